"""Text that others wrote, made fit to stand inside of a prompt: it cannot end the place it was given.

Control tokens are no concern of this file: the template turns all text of a message into ordinary tokens, whatever it spells. Here it
is the marks that the prompt itself is built with (quotation marks, line breaks, blank lines), and characters that no person sees.
"""

from __future__ import annotations

import re
import unicodedata

_QUOTES = '"\u201c\u201d\u201e\u201f\u00ab\u00bb\u275d\u275e\u301d\u301e\u301f\uff02\u2033\u02ba\u02ee'
_STRAIGHT = str.maketrans(dict.fromkeys(_QUOTES, "'"))
_KEPT = {"\u200c", "\u200d"}  # joiners: Persian, Hindi and families of emoji need them
_BREAKS = {"\n", "\r", "\t", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"}
_DROPPED = ("Cc", "Cf", "Co", "Cs")  # unassigned ones stay: they are the emoji of a newer Unicode
_BLANK_LINES = re.compile(r"[^\S\n]*\n\s*")


def visible(text: str) -> str:
    """`text` without control, format and private characters, and without variation selectors but those of emoji: what is hidden from people
    could still speak to the model. Every kind of line break becomes a line feed, a tab a blank."""
    text = text.replace("\r\n", "\n")
    return "".join(" " if char == "\t" else "\n" if char in _BREAKS else char for char in text if not _hidden(char))


def _hidden(char: str) -> bool:
    if char in _KEPT or char in _BREAKS:
        return False
    return unicodedata.category(char) in _DROPPED or "\U000e0100" <= char <= "\U000e01ef" or "\ufe00" <= char <= "\ufe0d"


def one_line(text: str, limit: int | None = None) -> str:
    """`text` on one line, blanks in a row made one, cut to `limit` characters with "..." at the end."""
    line = " ".join(visible(text).split())
    return line if limit is None or len(line) <= limit else line[: max(0, limit - 3)].rstrip() + "..."


def quoted(text: str, limit: int | None = None) -> str:
    """`text` on one line between double quotation marks, with none inside."""
    return f'"{one_line(text.translate(_STRAIGHT), limit)}"'


def paragraph(text: str) -> str:
    """`text` with its lines, but no blank one: the only blank line of a turn is ours."""
    return _BLANK_LINES.sub("\n", visible(text)).strip()


def name(text: str) -> str:
    """A person's name: letters, digits, blanks, hyphens and apostrophes, at most 40; in quotation marks if it is more than three words.
    "someone" if nothing is left."""
    kept = "".join(char if char in "-'\u2019" or unicodedata.category(char)[0] in "LMN" else " " for char in visible(text))
    words = one_line(kept, 40).replace("...", "")
    return "someone" if not words else words if len(words.split()) <= 3 else f'"{words}"'
