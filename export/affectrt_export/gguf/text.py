"""The user's text: one part makes the importance matrix, another one, which it has not seen, judges."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from affectrt_export.spec import ExportError


@dataclass(frozen=True)
class Text:
    """Two texts that share no line's place."""

    calibration: str
    held_out: str
    name: str
    """What it is, as a report says it."""
    note: str
    """How it was parted."""

    @property
    def sha256(self) -> str:
        """Of both together."""
        return hashlib.sha256(f"{self.calibration}\0{self.held_out}".encode()).hexdigest()


def read_text(path: Path, calibration: Path | None = None, name: str = "") -> Text:
    """Reads UTF-8. Without a text of its own for calibration the first half is taken, up to the nearest end of a line.

    ExportError for what is no text, or is empty.
    """
    whole = _read(path)
    if calibration is not None:
        return Text(_read(calibration), whole, name or path.name, f"The importance matrix is of {calibration.name}, another file.")
    middle = whole.find("\n", len(whole) // 2) + 1
    if not middle or not whole[middle:].strip():
        raise ExportError(f"{path.name}: expected several lines, so that the text can be parted in two")
    note = "The importance matrix is of the first half of the text; perplexity and divergence of the second, which it has not seen."
    return Text(whole[:middle], whole[middle:], name or path.name, note)


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{path}: expected a text in UTF-8: {error}") from error
    if not text.strip():
        raise ExportError(f"{path.name}: expected a text, it is empty")
    return text
