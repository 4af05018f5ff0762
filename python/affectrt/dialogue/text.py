"""From the bytes of tokens to text that can be shown: whole code points only, and never a part of a stop string."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence

LONE_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character: no tokenizer reads it, and no file holds it."""


class TextStream:
    """Turns token bytes into text as early as can be.

    A code point split over tokens waits until it is whole; a tail that may grow into a stop string waits until it cannot.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        """Make an empty stream.

        Args:
            stop: Strings that end the text; they are not part of it. None may be empty.

        Raises:
            ValueError: A stop string is empty.
        """
        if any(not s for s in stop):
            raise ValueError("a stop string must hold at least one character, got ''")
        self._stop = tuple(stop)
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.stopped = False
        """True once a stop string was seen; nothing comes out after it."""

    def feed(self, piece: bytes) -> str:
        """Add the bytes of one token; returns what is now certain (often all of it, sometimes "")."""
        if self.stopped:
            return ""
        fresh = self._utf8.decode(piece)
        if not self._stop:
            return fresh
        self._held += fresh
        found = [at for at in (self._held.find(s) for s in self._stop) if at >= 0]
        if found:
            self.stopped = True
            out, self._held = self._held[: min(found)], ""
            return out
        keep = max(_overlap(self._held, s) for s in self._stop)
        cut = len(self._held) - keep
        out, self._held = self._held[:cut], self._held[cut:]
        return out

    def close(self) -> str:
        """End of the text: what was held back as a possible stop string. Bytes of an unfinished code point are dropped."""
        out, self._held = self._held, ""
        return "" if self.stopped else out


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that `stop` begins with, short of the whole of `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)


def check_text(text: object, what: str) -> str:
    """Refuse what no tokenizer can read.

    Raises:
        TypeError: Not a str.
        ValueError: Empty or blank, or holding NUL or half of a surrogate pair.
    """
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a str, got {type(text).__name__}")
    if not text.strip():
        raise ValueError(f"{what} must hold something to read, got {'an empty string' if not text else 'only blanks'}")
    if (nul := text.find("\0")) >= 0:
        raise ValueError(f"{what} must not hold NUL, found one at index {nul}")
    if (found := LONE_SURROGATE.search(text)) is not None:
        raise ValueError(f"{what} must be valid Unicode, found the lone surrogate U+{ord(found[0]):04X} at index {found.start()}")
    return text
