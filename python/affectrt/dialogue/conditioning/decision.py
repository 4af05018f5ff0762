"""Which emotion it is: a small classifier proposes, the language model disposes.

HEF: Z. Yang et al., "Enhancing empathetic response generation by augmenting LLMs with small-scale empathetic models", 2024, arXiv
2402.11801. The language model chooses among the classifier's k likeliest emotions first, and only if it refuses them all, among the
others. The paper's prompts and k are not public: both are ours here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from affectrt.dialogue.prompt import feeling_word, quoted
from affectrt.dialogue.text import check_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Choose = Callable[[str, Sequence[str]], str]
"""A question and the answers allowed, at least two, to one of them: `chooser(dialogue)`, or a fake."""

REFUSAL = "none of these"
_LONGEST = 600


class Likelihoods(Protocol):
    """What `chooser` asks of a language model; `Dialogue` is one."""

    def choose(self, system: str | None, text: str, choices: Sequence[str]) -> NDArray[np.float32]: ...  # noqa: D102


def chooser(model: Likelihoods, system: str | None = None) -> Choose:
    """Takes the answer that the model finds likeliest; of equals the first. `system`: the system message of the question."""

    def choose(question: str, options: Sequence[str]) -> str:
        return options[int(model.choose(system, question, options).argmax())]

    return choose


@dataclass(frozen=True, slots=True)
class EmotionDecision:
    """An emotion, and how it was come by."""

    label: str
    stage: int
    """1: among the classifier's likeliest. 2: those were refused."""
    proposed: tuple[str, ...]
    """The classifier's likeliest, best first."""
    margin: float
    """Between the classifier's first and second."""
    calls: int
    """How often the language model was asked: 0 to 2."""


def decide_emotion(
    text: str, probs: Sequence[float], labels: Sequence[str], choose: Choose, *, k: int | None = None, sure_margin: float = 0.5
) -> EmotionDecision:
    """Two stages: the classifier's k likeliest, then the rest.

    Args:
        text: What the person said.
        probs: (K,) what the classifier gives each label; of equals the first one counts as likelier.
        labels: (K,) names, at least two.
        choose: Asks the language model.
        k: How many the first stage offers; None: 3, or all if there are fewer.
        sure_margin: If the classifier's first is further before its second than this, the first stage may not be refused, so that there is
            no second: one call less. 1 or more: never.

    Raises:
        TypeError: `text` is no str.
        ValueError: Lengths differ, a number is not finite, `k` does not fit, or the model's answer was not on offer.
    """
    check_text(text, "text")
    values = [float(value) for value in probs]
    if len(values) != len(labels) or len(labels) < 2 or len(set(labels)) != len(labels) or REFUSAL in labels:
        raise ValueError(
            f"labels: expected two or more different names, one for each of {len(values)} probabilities, got {list(labels)!r:.120}"
        )
    if not all(map(math.isfinite, values)):
        raise ValueError("probs: expected finite numbers, got some that are not")
    if k is None:
        k = min(3, len(labels))
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= len(labels):
        raise ValueError(f"k: expected an int in [1, {len(labels)}], got {k!r}")
    if not sure_margin >= 0:
        raise ValueError(f"sure_margin: expected a number of at least 0, got {sure_margin!r}")
    order = sorted(range(len(values)), key=lambda i: -values[i])
    first, rest = [labels[i] for i in order[:k]], [labels[i] for i in order[k:]]
    margin = values[order[0]] - values[order[1]]
    offered = [*first, REFUSAL] if rest and margin <= sure_margin else first
    answer, calls = _ask(text, offered, choose)
    if answer != REFUSAL:
        return EmotionDecision(answer, 1, tuple(first), margin, calls)
    answer, more = _ask(text, rest, choose)
    return EmotionDecision(answer, 2, tuple(first), margin, calls + more)


def _ask(text: str, options: list[str], choose: Choose) -> tuple[str, int]:
    if len(options) == 1:
        return options[0], 0
    words = ", ".join(feeling_word(one) for one in options if one != REFUSAL)
    question = f"Someone says {quoted(text, _LONGEST)} How do they feel: {words}?"
    answer = choose(question, options)
    if answer not in options:
        raise ValueError(f"choose: expected one of {', '.join(options)}, got {answer!r:.60}")
    return answer, 1
