"""Which strategy fits, by rules: weights of our own for each stage, and what raises or lowers them.

No data set was fitted. The weights follow what the strategies are for (C. Hill, "Helping skills", 2009: first explore, then comfort, then
act) and three cautions: ask where the sources contradict one another, name no feeling that is not known, give no advice that was not asked
for while someone is upset.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from affectrt.affect import AffectState
from affectrt.dialogue.strategy.names import Stage, Strategy


@dataclass(frozen=True, slots=True)
class Situation:
    """What a planner looks at.

    Raises:
        TypeError, ValueError: A field is not what it should be.
    """

    turn: int
    """How many turns this conversation has had; 0 at the first."""
    valence: float = 0.0
    """[-1, 1], and so `arousal`."""
    arousal: float = 0.0
    confidence: float = 0.0
    """[0, 1]: how far the two above are known."""
    conflict: float = 0.0
    """[0, 1]: how far face, voice and words contradict one another."""
    asks_advice: bool = False
    asks_question: bool = False
    recent: tuple[Strategy, ...] = ()
    """What was chosen in the turns before, the latest last."""

    def __post_init__(self) -> None:
        if isinstance(self.turn, bool) or not isinstance(self.turn, int):
            raise TypeError(f"turn: expected an int, got {type(self.turn).__name__}")
        if self.turn < 0:
            raise ValueError(f"turn: expected at least 0, got {self.turn}")
        for name, low in (("valence", -1.0), ("arousal", -1.0), ("confidence", 0.0), ("conflict", 0.0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"{name}: expected a number, got {type(value).__name__}")
            if not low <= value <= 1.0:
                raise ValueError(f"{name}: expected a number in [{low:g}, 1], got {value:g}")
        object.__setattr__(self, "recent", tuple(Strategy.of(one) for one in self.recent))

    @classmethod
    def of(cls, state: AffectState | None, *, turn: int, text: str = "", recent: Sequence[Strategy | str] = ()) -> Situation:
        """From how the person feels (None: unknown) and what they just said."""
        said = {
            "asks_advice": asks_for_advice(text),
            "asks_question": text.rstrip().endswith(("?", "？")),
            "recent": tuple(Strategy.of(one) for one in recent),
        }
        if state is None:
            return cls(turn, **said)  # type: ignore[arg-type]
        return cls(turn, state.valence, state.arousal, state.confidence, state.conflict, **said)  # type: ignore[arg-type]

    @property
    def known(self) -> bool:
        """Whether it may be acted upon how they feel."""
        return self.confidence >= 0.3


_ADVICE = re.compile(
    r"\b(?:what (?:should|shall|can|could) (?:i|we) |what would you do\b|how (?:do|can|could|should|shall) (?:i|we) "
    r"|(?:should|shall) (?:i|we) |any (?:advice|ideas|tips|suggestions)\b|(?:your|some|need|want) advice\b"
    r"|what do you (?:suggest|recommend|advise)|can you help me\b)",
    re.IGNORECASE,
)


def asks_for_advice(text: str) -> bool:
    """Whether `text` seems to ask what to do, by a handful of English phrases."""
    if not isinstance(text, str):
        raise TypeError(f"text: expected a str, got {type(text).__name__}")
    return _ADVICE.search(text.replace("’", "'")) is not None


def stage_of(situation: Situation) -> Stage:
    """Where the conversation stands: two turns of exploration, three of comfort, then action.

    Someone who asks for advice has come to action. While it is not known how they feel, or they are very upset, action waits.
    """
    if situation.asks_advice:
        return Stage.ACTION
    if situation.turn < 2:
        return Stage.EXPLORATION
    if situation.turn < 5 or (situation.known and situation.valence < -0.5):
        return Stage.COMFORTING
    return Stage.ACTION if situation.known else Stage.EXPLORATION


def _row(*weights: float) -> Mapping[Strategy, float]:
    return MappingProxyType(dict(zip(Strategy, weights, strict=True)))


# Question, Restatement, Reflection, Self-disclosure, Affirmation, Suggestions, Information, Others.
WEIGHTS: Mapping[Stage, Mapping[Strategy, float]] = MappingProxyType(
    {
        Stage.EXPLORATION: _row(0.40, 0.18, 0.20, 0.02, 0.10, 0.02, 0.02, 0.06),
        Stage.COMFORTING: _row(0.12, 0.12, 0.30, 0.04, 0.30, 0.05, 0.03, 0.04),
        Stage.ACTION: _row(0.10, 0.06, 0.10, 0.02, 0.18, 0.34, 0.16, 0.04),
    }
)
"""What each strategy starts with; each row sums to 1."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What changes the weights."""

    reason: str
    applies: Callable[[Situation], bool]
    factors: Mapping[Strategy, float]


def _rule(reason: str, applies: Callable[[Situation], bool], **factors: float) -> Rule:
    return Rule(reason, applies, MappingProxyType({Strategy[name.upper()]: value for name, value in factors.items()}))


RULES: tuple[Rule, ...] = (
    _rule(
        "what they show and what they say do not agree: ask",
        lambda s: s.conflict >= 0.25,
        question=3.0,
        restatement=1.3,
        reflection=0.4,
        affirmation=0.6,
        suggestions=0.5,
    ),
    _rule("it is not known how they feel: name no feeling", lambda s: not s.known, question=1.4, restatement=1.4, reflection=0.2),
    _rule(
        "they feel bad: understanding before advice",
        lambda s: s.known and s.valence < -0.2 and not s.asks_advice,
        reflection=1.6,
        affirmation=1.4,
        suggestions=0.1,
        information=0.3,
        others=0.3,
    ),
    _rule(
        "they are upset: keep calm, and let them speak",
        lambda s: s.known and s.valence < -0.2 and s.arousal > 0.4,
        reflection=1.3,
        information=0.5,
        self_disclosure=0.5,
    ),
    _rule(
        "they feel good: share it, nothing needs mending",
        lambda s: s.known and s.valence > 0.3,
        affirmation=2.5,
        others=2.0,
        question=1.2,
        suggestions=0.2,
        information=0.4,
    ),
    _rule("they ask for advice", lambda s: s.asks_advice, suggestions=2.5, information=1.5, others=0.3),
    _rule(
        "they ask something: no question back",
        lambda s: s.asks_question and not s.asks_advice,
        question=0.5,
        information=2.0,
    ),
)


def weigh(situation: Situation) -> tuple[Mapping[Strategy, float], Stage, tuple[str, ...]]:
    """Weights that sum to 1, the stage, and the reasons of what changed them."""
    stage = stage_of(situation)
    weights, reasons = dict(WEIGHTS[stage]), [f"stage: {stage}"]
    for rule in RULES:
        if rule.applies(situation):
            reasons.append(rule.reason)
            for strategy, factor in rule.factors.items():
                weights[strategy] *= factor
    for strategy, factor in zip(reversed(situation.recent), (0.25, 0.6), strict=False):
        weights[strategy] *= factor
    if situation.recent:
        reasons.append(f"not {situation.recent[-1]} again at once")
    total = math.fsum(weights.values())
    return MappingProxyType({strategy: weight / total for strategy, weight in weights.items()}), stage, tuple(reasons)
