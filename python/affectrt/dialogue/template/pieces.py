"""Plain text to tokens, piece by piece: no token reaches from one line into the next, nor from a message into the template's own text.

Each layer of a prompt begins a line, so each is tokenised on its own: what stands in one cannot change how the next, or the mark of a
role, is read. The blanks and breaks between two pieces go to whichever side leaves ordinary text the tokens that the model was trained
on, which some tokenizers want before and some after (".\n\n" is one token for Qwen; for GPT-2 the second break belongs to the next line).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

_APART = "\x01"
_BLANKS = re.compile(r"\s+")


class Vocabulary(Protocol):
    """What must be known of a model."""

    bos: int
    eos: int
    adds_bos: bool

    def tokenize(self, text: str, *, special: bool = False) -> list[int]: ...  # noqa: D102
    def spelling(self, token: int, *, special: bool = True) -> bytes: ...  # noqa: D102
    def attributes(self, token: int) -> int: ...  # noqa: D102


class Pieces:
    """Cuts text where it may be cut. Safe to use from several threads."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._offsets: dict[str, int] = {}
        # SentencePiece puts a blank before whatever it is given, and only the first piece is to have it: the others are given behind a
        # character that it joins with nothing.
        begun = b"".join(vocabulary.spelling(token) for token in vocabulary.tokenize("a"))
        self._lead = vocabulary.tokenize(_APART) if begun != b"a" else []

    def cut(self, fragments: Sequence[str]) -> list[str]:
        """The pieces that text which is given in `fragments` is tokenised in: each fragment, and each line, apart."""
        text, ends, at = "".join(fragments), set[int](), 0
        for fragment in fragments[:-1]:
            at += len(fragment)
            ends.add(len(text[:at].rstrip()))  # without a line break, blanks belong to the word after them
        for gap in _BLANKS.finditer(text):
            if "\n" in gap.group() and gap.start() > 0 and gap.end() < len(text):
                ends.discard(gap.start())
                ends.add(gap.start() + self._offset(gap.group()))
        return [text[start:end] for start, end in pairwise([0, *sorted(ends - {0}), len(text)]) if end > start]

    def tokenize(self, piece: str, *, first: bool) -> list[int]:
        """The tokens of one piece; `first`: the tokenizer begins with it."""
        if first or not self._lead:
            return self._vocabulary.tokenize(piece)
        tokens = self._vocabulary.tokenize(_APART + piece)
        known = len(self._lead)
        return tokens[known:] if tokens[:known] == self._lead else self._vocabulary.tokenize(piece)

    def _offset(self, gap: str) -> int:
        """Where to cut in blanks with a line break: after the last break or before them all."""
        if (known := self._offsets.get(gap)) is not None:
            return known
        after = gap.rfind("\n") + 1
        whole = self._vocabulary.tokenize(f"a.{gap}b")

        def parted(at: int) -> list[int]:
            return self.tokenize("a." + gap[:at], first=True) + self.tokenize(gap[at:] + "b", first=False)

        found = 0 if parted(after) != whole and parted(0) == whole else after
        if len(self._offsets) > 256:
            self._offsets.clear()
        self._offsets[gap] = found
        return found
