"""Role marks that are plain text.

Most templates mark whose turn it is with control tokens, which no text can spell. Some say "USER:", "### Response:" or "[/INST]" in
ordinary words, and whoever writes those in a message has written a turn. There a message's marks get a blank put in: "USER :". A person
reads the same; a mark, letter for letter and token for token, is then only where the template put it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_PUNCTUATION = re.compile(r"[^\w\s]")
_FLAGS = re.IGNORECASE | re.MULTILINE
_ROUNDS = 4  # where one mark ends with what another begins with, parting the first may leave the second
_TAGS = re.compile(r"<+[^<>\s]+>+|\[+[^][\s]+\]+")


class Marks:
    """The marks of one template; none where control tokens part the turns."""

    def __init__(self, marks: Iterable[str] = ()) -> None:
        """Take the marks as the template writes them, without the blanks around them."""
        found = {" ".join(mark.split()) for mark in marks}
        # "[INST] <<SYS>>" beside "[INST]": "<<SYS>>" is one too.
        found |= {long[len(short) :].strip() for long in found for short in found if long.startswith(short) and long != short}
        found |= {tag for mark in found for tag in _TAGS.findall(mark)}  # those of one mark may also be written one by one
        found = {mark for mark in found if any(map(str.isalnum, mark))}  # a lone "." is no mark that could be told from text
        patterns = {mark: re.compile(_pattern(mark), _FLAGS) for mark in found}
        # Without "[INST]" there is no "[INST] <<SYS>>" either.
        least = {mark for mark in found if not any(patterns[other].search(mark) for other in found - {mark})}
        self.marks = tuple(sorted(least))
        self._pattern = re.compile("|".join(map(_pattern, self.marks)), _FLAGS) if least else None

    def defuse(self, text: str) -> str:
        """`text` without a mark in it."""
        if self._pattern is None:
            return text
        for _ in range(_ROUNDS):
            before, text = text, self._pattern.sub(lambda found: _parted(found.group()), text)
            if text == before:
                break
        return text


def _pattern(mark: str) -> str:
    words = r"\s+".join(map(re.escape, mark.split()))
    if not _PUNCTUATION.search(mark):  # a bare word is a mark only where it is all of a line
        return rf"^{words}(?=[^\S\n]*$)"
    return (r"(?<!\w)" if mark[0].isalnum() else "") + words + (r"(?!\w)" if mark[-1].isalnum() else "")


def _parted(mark: str) -> str:
    first = _PUNCTUATION.search(mark)
    if first is None:
        return f"- {mark}"
    at = max(1, first.start())
    return f"{mark[:at]} {mark[at:]}"
