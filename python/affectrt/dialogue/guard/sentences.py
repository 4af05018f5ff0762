"""Where sentences end, the same for a whole text and for one that comes in pieces."""

from __future__ import annotations

import re
from collections.abc import Iterator

MAX_SENTENCE = 400
"""Characters after which a sentence that does not end is cut, at a blank if there is one: nothing is held back for ever."""

_END = re.compile(r"[.!?\u2026]+[\"'\u201d\u2019)\]*]*(?=\s)|\n")


def end_of_first(text: str) -> int | None:
    """Where the first sentence of `text` ends; None if that cannot be known before more has come.

    A mark ends a sentence only when a blank follows, so "3.5" does not; blanks between two sentences belong to the second.
    """
    found = _END.search(text, _first_word(text))
    if found is not None and found.end() <= MAX_SENTENCE:
        return found.end()
    if len(text) <= MAX_SENTENCE:
        return None
    blank = max(text.rfind(" ", 1, MAX_SENTENCE), text.rfind("\t", 1, MAX_SENTENCE))
    return blank if blank > _first_word(text) else MAX_SENTENCE


def sentences(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each sentence, one after the other without a gap."""
    start = 0
    while start < len(text):
        # One more than the longest: what decides is in there, and a long text is not copied again and again.
        end = end_of_first(text[start : start + MAX_SENTENCE + 1])
        stop = len(text) if end is None else start + end
        yield start, stop
        start = stop


def _first_word(text: str) -> int:
    return len(text) - len(text.lstrip())
