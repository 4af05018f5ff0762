"""A part of a text, word for word, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quote:
    """Characters `start` to `end` of a text: `text == context[start:end]`. It is made by `quote`, which sees to that."""

    text: str
    start: int
    """In code points, as Python counts."""
    end: int

    def __str__(self) -> str:
        return self.text


def quote(context: str, start: int, end: int) -> Quote | None:
    """Characters `start` to `end` of `context`, without blanks at either side; None if nothing else is there.

    Raises:
        ValueError: They do not lie in `context`, or the wrong way round.
    """
    if not 0 <= start <= end <= len(context):
        raise ValueError(f"expected 0 <= start <= end <= {len(context)}, got {start} and {end}")
    text = context[start:end]
    start += len(text) - len(text.lstrip())
    text = text.strip()
    return Quote(text, start, start + len(text)) if text else None
