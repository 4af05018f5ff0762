"""What Companion says of the person and of its answer: frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from affectrt.affect import AffectState
from affectrt.dialogue.guard import Crisis
from affectrt.dialogue.prompt import PromptTrace
from affectrt.dialogue.strategy import Plan
from affectrt.expression import Expression, expression_of
from affectrt.labels import taxonomy, translate_probs
from affectrt.memory import Hit
from affectrt.perception import UNKNOWN, FaceObservation, TextObservation


@dataclass(frozen=True, slots=True)
class Impression:
    """How the person seems, from one source at one time. Never "unknown": then there is no impression."""

    label: str
    expression: str
    """The same as a string of hri_msgs/Expression."""
    valence: float
    arousal: float
    confidence: float
    stamp_ns: int

    @classmethod
    def of(cls, observation: FaceObservation | TextObservation, stamp_ns: int) -> Impression | None:
        """What an observation says; None if it is "unknown"."""
        if observation.label == UNKNOWN:
            return None
        return cls(
            label=observation.label,
            expression=expression_of(observation.label, observation.valence, observation.arousal),
            valence=observation.valence,
            arousal=observation.arousal,
            confidence=observation.confidence,
            stamp_ns=stamp_ns,
        )


@dataclass(frozen=True, slots=True)
class CompanionState:
    """What Companion makes of the person at `stamp_ns`, and what it would show."""

    stamp_ns: int
    """Of the newest observation; 0 if there was none yet."""
    seen: Impression | None
    """From the largest face; None if no face told anything lately."""
    read: Impression | None
    """From the last words; None if they told nothing, or it was too long ago."""
    faces: int
    """How many faces the newest frame held."""
    affect: AffectState
    """How the person feels by all that was seen, read and otherwise observed, also in earlier runs if there is a memory."""
    expression: Expression

    @property
    def label(self) -> str:
        """The strongest of Ekman's six emotions and "neutral". The labels of `affect` are finer: a sorrow is split into grief, sadness and
        disappointment, and any of them may be less than what is neutral."""
        probs = translate_probs(self.affect.probs, self.affect.taxonomy, "ekman")
        return taxonomy("ekman").labels[int(probs.argmax())]

    @property
    def valence(self) -> float:
        """That of `affect`, [-1, 1]."""
        return self.affect.valence

    @property
    def arousal(self) -> float:
        """That of `affect`, [-1, 1]."""
        return self.affect.arousal


@dataclass(frozen=True, slots=True)
class Trace:
    """What conditioned an answer."""

    prompt: PromptTrace | None
    """Layer by layer as it went in; it can be built anew, and `prompt.sha256` tells whether it is the same. None where the guard answered:
    then no model was asked."""
    state: CompanionState
    memories: tuple[Hit, ...] = ()
    """The memories that `note` tells of, nearest first."""
    crises: tuple[Crisis, ...] = ()
    """What the guard found in the person's words."""
    plan: Plan | None = None
    """The strategy that the model was told to take, and why; None if it was left to the model."""
    stages_ms: Mapping[str, float] = field(default_factory=dict)
    """What was done before the model was asked, and how long it took: "guard", "text", "recall", "prompt", "remember"; what there is not
    is not in it. `stats.ttft_ms` goes on from there."""

    @property
    def system(self) -> str | None:
        """The system message."""
        return self.prompt.prompt.system if self.prompt is not None else None

    @property
    def note(self) -> str | None:
        """The lines about what is remembered, how the person looks and sounds, and which way to answer; None if there are none."""
        return self.prompt.prompt.note if self.prompt is not None else None

    @property
    def user(self) -> str | None:
        """What the person said, as the model got it; None if it got nothing."""
        return self.prompt.prompt.words if self.prompt is not None else None


@dataclass(frozen=True, slots=True)
class Piece:
    """A bit of the answer."""

    text: str
    expression: Expression
    """What the robot's face shows while it says this."""

    def __str__(self) -> str:
        return self.text
