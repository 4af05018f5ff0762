"""What in someone's words carries their feeling, in those very words: for the prompt (`StateLayer(cause=...)`).

HEF (Z. Yang et al., 2024, arXiv 2402.11801) takes the words that its own classifier attends to. A pack's attention is not at hand here,
so a word's weight is what the emotion loses without it (erasure: J. Li, W. Monroe and D. Jurafsky, 2016, arXiv 1612.08220), with any
classifier.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from affectrt.dialogue.cause import Quote, find_causes, quote
from affectrt.dialogue.text import check_text

MAX_WORDS = 64
"""Words that are tried; what comes later is not looked at."""
_WORD = re.compile(r"\w+(?:['\u2019-]\w+)*")


def cause_words(text: str, score: Callable[[Sequence[str]], Sequence[float]] | None = None, *, most: int = 3) -> tuple[Quote, ...]:
    """Parts of `text`, in its order: `text[one.start:one.end] == one.text`.

    A marked clause ("because ...", see `cause.find_causes`) if there is one; else, with `score`, the words that matter most.

    Args:
        text: What the person said.
        score: Texts to the probability of the emotion in each; called twice at most, with up to 65 texts.
        most: The most words.

    Returns:
        Nothing if there is no marked clause, and no score or no word that matters.

    Raises:
        TypeError: `text` is no str.
        ValueError: `text` is not readable, `most` is below 1, or `score` gives other than a finite number for each text.
    """
    check_text(text, "text")
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise ValueError(f"most: expected an int of at least 1, got {most!r}")
    if causes := find_causes(text):
        return (causes[0].quote,)
    spans = [match.span() for match in _WORD.finditer(text)][:MAX_WORDS]
    if score is None or len(spans) < 2:
        return ()
    without = [f"{text[:start].rstrip()} {text[end:].lstrip()}".strip() or " " for start, end in spans]
    whole, *values = _scores(score, [text, *without])
    losses = {i: whole - value for i, value in enumerate(values) if whole > value}
    best = sorted(sorted(losses, key=lambda i: -losses[i])[:most])
    return tuple(found for i in best if (found := quote(text, *spans[i])) is not None)


def _scores(score: Callable[[Sequence[str]], Sequence[float]], texts: list[str]) -> list[float]:
    values = [float(value) for value in score(texts)]
    if len(values) != len(texts) or not all(map(math.isfinite, values)):
        raise ValueError(f"score: expected {len(texts)} finite numbers, got {values!r:.80}")
    return values
