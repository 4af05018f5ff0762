"""A question and a text, or a pair of texts, as the tokens that a network of at most so many reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["Window", "pair_ids", "windows"]


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A question and as much of a text as goes beside it."""

    ids: list[int]
    types: list[int]
    """0 of the question and 1 of the text, or as the tokenizer numbers them."""
    offsets: NDArray[np.int64]
    """(T, 2): where each token lies in its text, in code points."""
    allowed: NDArray[np.bool_]
    """(T,): tokens of the text that are not blank. The first token of all is never one: it stands for "no answer"."""


def windows(tokenizer: Tokenizer, question: str, context: str, *, max_tokens: int, overlap_tokens: int) -> list[Window]:
    """The whole pair if it has at most `max_tokens` tokens; else the question with one piece of the text after the other.

    Pieces overlap by `overlap_tokens`, so that every span of up to one more lies whole in one of them. The last may be shorter. They are
    those of transformers with `truncation="only_second"` and `stride=overlap_tokens`.

    Args:
        tokenizer: Without truncation and padding; its pairs begin with a special token.
        question, context: Any texts; the context may be empty.
        max_tokens: The question, the text and the special tokens.
        overlap_tokens: At least 0.

    Raises:
        ValueError: A question so long that a text which does not fit beside it would be read in crumbs: less room than two overlaps.
    """
    whole = tokenizer.encode(question, context)
    ids, types = whole.ids, whole.type_ids  # each asking makes a new list
    own = [i for i, part in enumerate(whole.sequence_ids) if part == 1]
    offsets = np.array(whole.offsets, np.int64).reshape(-1, 2)
    inside = np.zeros(len(ids), bool)
    inside[own] = [not context[first:last].isspace() and last > first for first, last in offsets[own].tolist()]
    inside[:1] = False

    def window(places: list[int]) -> Window:
        return Window([ids[i] for i in places], [types[i] for i in places], offsets[places], inside[places])

    if len(ids) <= max_tokens:
        return [window(list(range(len(ids))))]
    room = max_tokens - (len(ids) - len(own))
    least = max(1, 2 * overlap_tokens)
    if room < least:
        raise ValueError(
            f"question: expected one that leaves room for at least {least} of {max_tokens} tokens, "
            f"since the text has {len(own)}; this one leaves {max(room, 0)}"
        )
    before, after = list(range(own[0])), list(range(own[-1] + 1, len(ids)))
    step = room - overlap_tokens
    firsts = range(0, max(len(own) - overlap_tokens, 1), step)
    return [window([*before, *own[first : first + room], *after]) for first in firsts]


def pair_ids(tokenizer: Tokenizer, text: str, *, separator: str, max_tokens: int) -> tuple[list[int], bool]:
    """The tokens of "emotion <SEP> target <SEP> evidence[ <SEP> history]", and whether some of the history was left out.

    Of a text with more than `max_tokens` the oldest tokens of the history, its first, are left out; if none fits, so is its separator.

    Raises:
        ValueError: Fewer than three parts, or emotion, target and evidence alone are too long.
    """
    parts = text.split(separator, 3)
    if len(parts) < 3:
        raise ValueError(f"text: expected emotion, target and evidence with {separator!r} between them, got {len(parts)} of the three")
    whole = tokenizer.encode(text)
    ids = whole.ids
    over = len(ids) - max_tokens
    if over <= 0:
        return ids, False
    if len(parts) == 4:
        begin, special = len(text) - len(parts[3]), whole.special_tokens_mask
        history = [i for i, (_, last) in enumerate(whole.offsets) if last > begin and not special[i]]
        if over < len(history):
            left_out = set(history[:over])
            return [token for i, token in enumerate(ids) if i not in left_out], True
        ids = tokenizer.encode(separator.join(parts[:3]).rstrip()).ids
    if len(ids) > max_tokens:
        raise ValueError(f"emotion, target and evidence: expected at most {max_tokens} tokens in all, got {len(ids)}")
    return ids, True
