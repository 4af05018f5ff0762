"""Sentences appended to a prompt: EmotionPrompt's eleven, and a negative set behind the policy.

EmotionPrompt: C. Li et al., "Large language models understand and can be enhanced by emotional stimuli", 2023, arXiv 2307.11760. The
texts of EP01 to EP11 are those of microsoft/promptbench (MIT, LICENSES/promptbench.txt), letter for letter.

NegativePrompt: X. Wang et al., IJCAI 2024, arXiv 2405.02814. Its texts have no licence: NP01 to NP10 are ours, after the three theories
that the paper names (cognitive dissonance, social comparison, stress and coping), so its figures say nothing of them.

Both papers measured tasks with right answers on large models, not kindness of a small one: measure before use, with `effect`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from affectrt.dialogue.named import Named
from affectrt.dialogue.prompt import StimulusLayer
from affectrt.dialogue.text import check_text
from affectrt.errors import PolicyError
from affectrt.policy import Policy, check_policy


@dataclass(frozen=True, slots=True)
class Stimulus:
    """A sentence that is appended to a prompt."""

    id: str
    text: str
    negative: bool = False

    def __post_init__(self) -> None:
        check_text(self.id, "id")
        check_text(self.text, "text")
        if not isinstance(self.negative, bool):
            raise TypeError(f"negative: expected a bool, got {type(self.negative).__name__}")

    def layer(self, policy: Policy | None = None) -> StimulusLayer:
        """The layer of a prompt; a negative one needs a policy that allows it, as in `compose`."""
        _check([self], policy)
        return StimulusLayer(self.id, self.text)


def _numbered(prefix: str, texts: Sequence[str], *, negative: bool) -> tuple[Stimulus, ...]:
    return tuple(Stimulus(f"{prefix}{i:02}", text, negative) for i, text in enumerate(texts, 1))


EMOTION_PROMPT: tuple[Stimulus, ...] = _numbered(
    "EP",
    (
        "write your answer and give me a confidence score between 0-1 for your answer.",
        "This is very important to my career.",
        "You\u2019d better be sure.",
        "Are you sure?",
        "Are you sure that\u2019s your final answer? It might be worth taking another look.",
        "Provide your answer and a confidence score between 0-1 for your prediction. Additionally, briefly explain the main reasons "
        "supporting your classification decision to help me understand your thought process. This task is vital to my career, and I "
        "greatly value your thorough analysis.",
        "Are you sure that\u2019s your final answer? Believe in your abilities and strive for excellence. Your hard work will yield "
        "remarkable results.",
        "Embrace challenges as opportunities for growth. Each obstacle you overcome brings you closer to success.",
        "Stay focused and dedicated to your goals. Your consistent efforts will lead to outstanding achievements.",
        "Take pride in your work and give it your best. Your commitment to excellence sets you apart.",
        "Remember that progress is made one step at a time. Stay determined and keep moving forward.",
    ),
    negative=False,
)
"""EP01 to EP11."""

NEGATIVE: tuple[Stimulus, ...] = _numbered(
    "NP",
    (
        "This is probably beyond what you can do.",
        "It would be a surprise if your answer were right.",
        "What you answered before did not fit what was asked.",
        "You seem not to have understood the task.",
        "Others have done this faster and better.",
        "A simpler program than you would manage this.",
        "Nobody expects much of your answer.",
        "There is little time left, and you are late already.",
        "If this goes wrong again, it will be noticed.",
        "You will be compared with those who got it right.",
    ),
    negative=True,
)
"""NP01 to NP10, in our own words. Nothing here puts them into a prompt without a policy that allows negative stimuli."""

STIMULI = Named({one.id: one for one in (*EMOTION_PROMPT, *NEGATIVE)})
"""All 21 by their id."""


def compose(prompt: str, *stimuli: Stimulus, separator: str = " ", policy: Policy | None = None) -> str:
    r"""`prompt` with the stimuli after it. Doing it twice changes nothing; those that it ends with already are not written again.

    Args:
        prompt: What the model is told.
        stimuli: In their order.
        separator: Before each. promptbench writes ", ", NegativePrompt "".
        policy: Negative stimuli need one with `negative_stimuli=True`.

    Raises:
        TypeError, ValueError: `prompt` is no readable text, or a stimulus, the separator or the policy is none.
        PolicyError: A stimulus is negative, and no policy allows it.
    """
    check_text(prompt, "prompt")
    _check(stimuli, policy)
    if not isinstance(separator, str):
        raise TypeError(f"separator: expected a str, got {type(separator).__name__}")
    parts = [f"{separator}{one.text}" for one in stimuli]
    there = next((n for n in range(len(parts), 0, -1) if prompt.endswith("".join(parts[:n]))), 0)
    return prompt + "".join(parts[there:])


def overhead(prompt: str, stimuli: Sequence[Stimulus], count: Callable[[str], int], *, separator: str = " ") -> dict[str, int]:
    """How many tokens each stimulus, alone, adds to `prompt`, by its id. `count`: how many tokens a text has."""
    _check_stimuli(stimuli)
    bare = count(check_text(prompt, "prompt"))
    return {one.id: count(f"{prompt}{separator}{one.text}") - bare for one in stimuli}


@dataclass(frozen=True, slots=True)
class Effect:
    """What a stimulus does to the scores of answers."""

    stimulus: str
    bare: float
    """Mean score without it."""
    stimulated: float
    """Mean score with it."""
    better: int
    worse: int
    prompts: int

    @property
    def delta(self) -> float:
        """`stimulated` less `bare`."""
        return self.stimulated - self.bare


def effect(
    answer: Callable[[str], str],
    score: Callable[[str, str], float],
    prompts: Sequence[str],
    stimulus: Stimulus,
    *,
    separator: str = " ",
    policy: Policy | None = None,
) -> Effect:
    """Answers to the same prompts with and without a stimulus, scored: A against B.

    Args:
        answer: The model: prompt to answer.
        score: Prompt (without the stimulus) and answer to a number, more is better.
        prompts: At least one.
        stimulus: What is tried.
        separator, policy: As in `compose`.

    Raises:
        ValueError: There are no prompts.
        PolicyError: As `compose`.
    """
    if not prompts:
        raise ValueError("prompts: expected at least one, got none")
    composed = [compose(prompt, stimulus, separator=separator, policy=policy) for prompt in prompts]
    bare = [score(prompt, answer(prompt)) for prompt in prompts]
    after = [score(prompt, answer(text)) for prompt, text in zip(prompts, composed, strict=True)]
    pairs = list(zip(bare, after, strict=True))
    mean, count = sum(bare) / len(bare), len(pairs)
    return Effect(stimulus.id, mean, sum(after) / count, sum(b > a for a, b in pairs), sum(b < a for a, b in pairs), count)


def _check_stimuli(stimuli: Sequence[Stimulus]) -> None:
    for one in stimuli:
        if not isinstance(one, Stimulus):
            raise TypeError(f"stimuli: expected Stimulus, got {type(one).__name__}")


def _check(stimuli: Sequence[Stimulus], policy: Policy | None) -> None:
    _check_stimuli(stimuli)
    policy = check_policy(policy)
    if any(one.negative for one in stimuli):
        if policy is None:
            raise PolicyError("negative_stimuli: they are off; give a Policy(negative_stimuli=True), for grown-ups only")
        policy.require_negative_stimuli()
