"""The question to the language model, in four families, and the form of its answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from affectrt.dialogue.named import Named
from affectrt.dialogue.prompt import feeling_word, one_line, quoted
from affectrt.dialogue.text import check_text

FAMILIES = ("plain", "steps", "emotion", "examples")
"""Asked plainly; step by step; with the emotion that was recognised; with worked examples."""

QUESTIONS: Mapping[str, str] = MappingProxyType(
    Named(
        {
            "low-mood": "Do these words tell of a low mood that goes on?",
            "stress": "Do these words tell of more strain than this person can carry?",
            "loneliness": "Do these words tell of loneliness?",
            "worry": "Do these words tell of worry that does not let go?",
            "sleep": "Do these words tell of bad sleep?",
        }
    )
)
"""Questions about what somebody's words tell, never about an illness. Any other question with the answers yes and no may be asked."""

ANSWERS = ("Yes", "No", "Unsure")
MAX_REASONING = 300
"""Characters that the grammar allows for the reason."""

_UNKNOWN = "unknown"
_FORM = 'Answer "Yes", "No", or "Unsure" if the words do not tell, then why, from their words alone. '
_ENDS = {
    "plain": _FORM + 'Write: "Yes. Reasoning: ..." or "No. Reasoning: ..." or "Unsure. Reasoning: ..."',
    "steps": (
        "Go step by step: what happened, how they speak of themselves, how long it has lasted. Then answer "
        '"Yes", "No", or "Unsure" if the words do not tell. Write: "Reasoning: ..." and on a new line "Answer: ..."'
    ),
}


class _Observed(Protocol):
    @property
    def label(self) -> str: ...
    @property
    def confidence(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Cue:
    """An emotion that was recognised. Raises TypeError, ValueError for what names none, or a confidence outside [0, 1]."""

    emotion: str
    """A label of any taxonomy, or "unknown"."""
    confidence: float
    """[0, 1]."""

    def __post_init__(self) -> None:
        if not isinstance(self.emotion, str) or isinstance(self.confidence, bool) or not isinstance(self.confidence, int | float):
            raise TypeError(f"cue: expected a label and a number, got {self.emotion!r:.40} and {self.confidence!r:.40}")
        if not feeling_word(self.emotion):
            raise ValueError(f"cue: emotion: expected a name, got {self.emotion!r:.40}")
        if not (math.isfinite(self.confidence) and 0 <= self.confidence <= 1):
            raise ValueError(f"cue: confidence: expected a number in [0, 1], got {self.confidence}")

    @classmethod
    def of(cls, observation: _Observed) -> Cue:
        """Of a `TextObservation` or a `FaceObservation`."""
        return cls(observation.label, float(observation.confidence))


@dataclass(frozen=True, slots=True)
class Example:
    """A worked example, such as an expert wrote it. Raises ValueError, TypeError for texts that cannot be read or another answer."""

    said: str
    answer: str
    """"Yes", "No" or "Unsure"."""
    reasoning: str

    def __post_init__(self) -> None:
        check_text(self.said, "example: said")
        check_text(self.reasoning, "example: reasoning")
        if self.answer not in ANSWERS:
            raise ValueError(f"example: answer: expected one of {', '.join(ANSWERS)}, got {self.answer!r:.40}")


def build_prompt(
    said: str,
    question: str,
    family: str = "plain",
    *,
    cue: Cue | None = None,
    least: float = 0.5,
    examples: Sequence[Example] = (),
) -> str:
    """What the language model is asked.

    Args:
        said: The text that is looked at. It stands on one line between quotation marks.
        question: One of `QUESTIONS`, or your own.
        family: One of `FAMILIES`.
        cue: For "emotion": what was recognised. It is told only if its confidence is over `least`; otherwise, and where it is "unknown"
            or None, the prompt is the plain one.
        least: [0, 1].
        examples: For "examples", which needs one at least: worked answers to the same question.

    Raises:
        TypeError, ValueError: A text cannot be read, `least` is out of range, or a cue or examples are given to a family without.
    """
    check_text(said, "said")
    check_text(question, "question")
    _check(family, cue, least, examples)
    asked = f"Question: {one_line(question)}"
    blocks = [f"Someone said: {quoted(one.said)}\n{asked}\n{one.answer}. Reasoning: {one_line(one.reasoning)}" for one in examples]
    lines = [f"Someone said: {quoted(said)}"]
    if cue is not None and cue.emotion != _UNKNOWN and cue.confidence > least:
        lines.append(f"A program hears that they sound {feeling_word(cue.emotion)}. Think of that too, if their words bear it out.")
    lines += [asked, _ENDS.get(family, _ENDS["plain"])]
    return "\n\n".join([*blocks, "\n".join(lines)])


def grammar(family: str = "plain") -> str:
    """GBNF of the answer: "Yes. Reasoning: ...", or for "steps" the reason first, as an answer that stands before its steps gains nothing
    by them. Raises ValueError for another family."""
    _known(family)
    verdict = " | ".join(f'"{answer}"' for answer in ANSWERS)
    reason = f"[^ \\n] [^\\n]{{0,{MAX_REASONING - 1}}}"
    if family == "steps":
        return f'root ::= "Reasoning: " {reason} "\\nAnswer: " ({verdict})\n'
    return f'root ::= ({verdict}) ". Reasoning: " {reason}\n'


def _known(family: str) -> None:
    if family not in FAMILIES:
        raise ValueError(f"family: expected one of {', '.join(FAMILIES)}, got {family!r:.40}")


def _check(family: str, cue: Cue | None, least: float, examples: Sequence[Example]) -> None:
    _known(family)
    if cue is not None and not isinstance(cue, Cue):
        raise TypeError(f"cue: expected a Cue or None, got {type(cue).__name__}")
    if isinstance(least, bool) or not isinstance(least, int | float):
        raise TypeError(f"least: expected a number, got {type(least).__name__}")
    if not 0 <= least <= 1:
        raise ValueError(f"least: expected a number in [0, 1], got {least}")
    if cue is not None and family != "emotion":
        raise ValueError(f'cue: expected none in the family {family!r}; "emotion" takes one')
    if not all(isinstance(one, Example) for one in examples):
        raise TypeError(f"examples: expected Examples, got {[type(one).__name__ for one in examples]!r:.80}")
    if bool(examples) != (family == "examples"):
        raise ValueError(f"examples: expected {'at least one' if family == 'examples' else 'none'} in the family {family!r}")
