"""From the logits of a question-answering head to a piece of the text.

The head is that of SQuAD 2 (P. Rajpurkar et al., "Know what you don't know", ACL 2018), which RECCON uses for causes (S. Poria et al.,
"Recognizing emotion cause in conversations", Cognitive Computation 2021): a logit for each token to be the first of the answer, one to be
the last, and "no answer" is the span of the first token alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affectrt.dialogue.cause.quote import Quote, quote

MAX_TOKENS = 30
"""How long an answer may be, if nothing else is said."""


@dataclass(frozen=True, slots=True)
class TokenSpan:
    """Tokens `start` to `end`, both of them included."""

    start: int
    end: int
    score: float
    """Sum of the two logits."""
    margin: float
    """How much that is over the score of "no answer"; +inf where there is no such thing."""


def best_span(
    start_logits: ArrayLike,
    end_logits: ArrayLike,
    *,
    max_tokens: int = MAX_TOKENS,
    null_index: int | None = None,
    threshold: float | None = 0.0,
    allowed: ArrayLike | None = None,
) -> TokenSpan | None:
    """The valid span of the highest score, exactly, in time proportional to the number of tokens.

    A span is valid if start <= end, it has at most `max_tokens` tokens, and its first and last are allowed; what lies between need not be.
    For each end the best start is the maximum of a sliding window (a queue of falling logits); sums are compared with their rounding
    errors, so that the result is that of trying all pairs in exact arithmetic. Of equal spans it is the one that starts first, then the
    shortest.

    Args:
        start_logits: (N,) numbers, N >= 1; -inf forbids a token.
        end_logits: (N,) numbers.
        max_tokens: At least 1.
        null_index: The token that stands for "no answer", often 0; it is never part of an answer. None: there always is one.
        threshold: None is returned if the margin over "no answer" is not above this. None answers in any case, with its margin.
        allowed: (N,) bool: tokens of the text that is asked about, not of the question, no special ones. None allows all.

    Returns:
        The span, or None if no span is valid, or the margin is too small.

    Raises:
        ValueError: Shapes that differ, a logit that is NaN or +inf, an index or a number out of range.
    """
    starts, ends = _logits(start_logits, "start_logits"), _logits(end_logits, "end_logits")
    count = len(starts)
    if len(ends) != count:
        raise ValueError(f"expected as many end as start logits, got {len(ends)} and {count}")
    if max_tokens < 1:
        raise ValueError(f"max_tokens: expected at least 1, got {max_tokens}")
    if null_index is not None and not 0 <= null_index < count:
        raise ValueError(f"null_index: expected one of {count} tokens, got {null_index}")
    if threshold is not None and not np.isfinite(threshold):
        raise ValueError(f"threshold: expected a finite number or None, got {threshold}")
    inside = np.ones(count, bool) if allowed is None else np.array(allowed, dtype=bool)
    if inside.shape != (count,):
        raise ValueError(f"allowed: expected ({count},), got {inside.shape}")
    if null_index is not None:
        inside[null_index] = False
    first = np.where(inside, starts, -np.inf).tolist()
    last = np.where(inside, ends, -np.inf).tolist()
    best: tuple[float, float] | None = None
    where = (0, 0)
    window: deque[int] = deque()  # starts whose logits fall; the first is the best for this end, of equals the earliest
    for end in range(count):
        while window and first[window[-1]] < first[end]:
            window.pop()
        window.append(end)
        if window[0] <= end - max_tokens:
            window.popleft()
        start = window[0]
        if first[start] == -np.inf or last[end] == -np.inf:
            continue
        score = _exact_sum(first[start], last[end])
        if best is None or score > best:  # an equal one that ends later cannot start earlier: it would have been the best before
            best, where = score, (start, end)
    if best is None:
        return None
    null = -np.inf if null_index is None else float(starts[null_index]) + float(ends[null_index])
    margin = best[0] - null
    if threshold is not None and not margin > threshold:
        return None
    return TokenSpan(*where, best[0], margin)


def _logits(values: ArrayLike, name: str) -> NDArray[np.float64]:
    logits = np.asarray(values)
    if logits.dtype.kind not in "iuf" or logits.ndim != 1 or not len(logits):
        raise ValueError(f"{name}: expected (N,) numbers, got {logits.dtype} {logits.shape}")
    logits = logits.astype(np.float64)
    if np.isnan(logits).any() or (logits > 1e300).any() or (logits[np.isfinite(logits)] < -1e300).any():
        raise ValueError(f"{name}: expected numbers, or -inf for what is forbidden, got NaN, +inf or one beyond 1e300")
    return logits


def _exact_sum(a: float, b: float) -> tuple[float, float]:
    """a + b as the nearest float and what is missing (D. Knuth's two-sum): such pairs compare as the exact sums do."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def span_quote(context: str, offsets: ArrayLike, span: TokenSpan) -> Quote | None:
    """The characters of a span of tokens.

    Args:
        context: The text that the tokens are of.
        offsets: (N, 2) ints: where each token begins and ends in `context`, in code points, as `tokenizers` gives them; what it says of
            tokens outside the span is not looked at.
        span: From `best_span`.

    Returns:
        A part of `context`, word for word, without blanks at its sides; None if it is blank.

    Raises:
        ValueError: `offsets` has another shape, or does not lie in `context`.
    """
    places = np.asarray(offsets)
    if places.dtype.kind not in "iu" or places.ndim != 2 or places.shape[1] != 2:
        raise ValueError(f"offsets: expected (N, 2) ints, got {places.dtype} {places.shape}")
    if not 0 <= span.start <= span.end < len(places):
        raise ValueError(f"span: expected tokens of {len(places)}, got {span.start} to {span.end}")
    return quote(context, int(places[span.start, 0]), int(places[span.end, 1]))


@dataclass(frozen=True, slots=True, eq=False)
class SpanLogits:
    """What a question-answering head says of one question and one window of a text, as tokens that hold both."""

    start_logits: NDArray[np.float32]
    """(N,)"""
    end_logits: NDArray[np.float32]
    """(N,)"""
    offsets: NDArray[np.int64]
    """(N, 2): places in the text; anything for tokens that are not of the text."""
    allowed: NDArray[np.bool_]
    """(N,): which tokens are of the text."""
    null_index: int = 0


class SpanModel(Protocol):
    """What `extract` asks of a model."""

    def __call__(self, question: str, context: str) -> Sequence[SpanLogits]:
        """The logits of one question and one text: at least one window, several where the text is longer than the model reads at once."""
        ...


def extract(
    model: SpanModel, question: str, context: str, *, max_tokens: int = MAX_TOKENS, threshold: float = 0.0
) -> tuple[Quote, float] | None:
    """The cause that a question-answering model finds, and its margin over "no answer"; None if it finds none.

    Of several windows the answer is the best span of all of them, exactly: each lies whole in a window and has the logits of that one. As
    in SQuAD 2's own script, the score of "no answer" is the least that a window gives it: one that has the answer says so for all.
    Of equal spans it is the one that starts first, then the shortest.

    Raises:
        ValueError: The model gives no window, or what `best_span` and `span_quote` refuse.
    """
    if not np.isfinite(threshold):
        raise ValueError(f"threshold: expected a finite number, got {threshold}")
    windows = model(question, context)
    if not len(windows):
        raise ValueError("model: expected at least one window of logits, got none")
    best: tuple[tuple[float, float], int, int, Quote] | None = None
    null = np.inf
    for said in windows:
        starts, ends = said.start_logits, said.end_logits
        span = best_span(starts, ends, max_tokens=max_tokens, null_index=said.null_index, threshold=None, allowed=said.allowed)
        null = min(null, float(starts[said.null_index]) + float(ends[said.null_index]))
        found = None if span is None else span_quote(context, said.offsets, span)
        if span is None or found is None:
            continue
        score = _exact_sum(float(starts[span.start]), float(ends[span.end]))
        one = (score, -found.start, -found.end, found)
        if best is None or one[:3] > best[:3]:
            best = one
    margin = -np.inf if best is None else best[0][0] - null
    return (best[3], margin) if best is not None and margin > threshold else None


QUESTION = (
    'Someone says "{target}" and feels {emotion}. Before that, or in it, was said "{evidence}". '
    "Which part of the text tells what made them feel {emotion}?"
)
"""In our own words. A model that was trained with other words wants those: give them as `template`."""


def cause_question(target: str, evidence: str, emotion: str, *, template: str = QUESTION) -> str:
    """The question to a span model.

    Args:
        target: The words in which the emotion shows.
        evidence: The words that may hold its cause; often the same.
        emotion: Its name.
        template: With {target}, {evidence} and {emotion}, and no other field.

    Raises:
        ValueError: The template has another field, or lacks {emotion}.
    """
    if "{emotion}" not in template:
        raise ValueError(f"template: expected the field {{emotion}}, got {template!r}")
    try:
        return template.format(target=target, evidence=evidence, emotion=emotion)
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ValueError(
            f"template: expected no fields but {{target}}, {{evidence}} and {{emotion}}, got {template!r} ({error!r})"
        ) from None


SEPARATOR = "<SEP>"


def entailment_text(emotion: str, target: str, evidence: str, history: Sequence[str] = (), *, separator: str = SEPARATOR) -> str:
    """The input of RECCON's second task, "does this evidence cause that emotion": emotion, target, evidence and, if there is one, history,
    with the separator between them. A separator that someone says is left out, so that there are never more parts than these."""
    parts = [emotion, target, evidence, *([" ".join(history)] if history else [])]
    return f" {separator} ".join(" ".join(part.replace(separator, " ").split()) for part in parts)


def entailment(logits: ArrayLike, *, threshold: float = 0.5) -> tuple[bool, float]:
    """Whether an entailment head says yes, and the probability.

    Args:
        logits: (2,) of no and yes, or (1,) of yes against no.
        threshold: [0, 1]: yes from this probability on.

    Raises:
        ValueError: Another shape, a number that is not finite, a threshold out of range.
    """
    values = np.asarray(logits, np.float64)
    if values.shape not in ((1,), (2,)) or not np.isfinite(values).all():
        raise ValueError(f"logits: expected (1,) or (2,) finite numbers, got {values.tolist()}")
    if not 0.0 <= threshold <= 1.0:
        raise ValueError(f"threshold: expected a number in [0, 1], got {threshold}")
    yes = float(values[0] if len(values) == 1 else values[1] - values[0])
    probability = float(1 / (1 + np.exp(-yes))) if yes > -700 else 0.0
    return probability >= threshold, probability
