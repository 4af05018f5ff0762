"""One thing that one source said at one time about how a person feels."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

import numpy as np

from affectrt.affect import checks
from affectrt.labels import Taxonomy, taxonomy, taxonomy_of
from affectrt.perception.observation import UNKNOWN, ExpressionObservation, FaceObservation, TextObservation

Observation = FaceObservation | ExpressionObservation | TextObservation

AXES = ("valence", "arousal", "dominance")
LEAST = 1e-6
"""Probabilities that are all below say nothing."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What `source` said at `stamp_ns`. What it says nothing of is None: a voice may know arousal alone.

    Two that are equal in every field are the same evidence, and count once.

    Raises:
        TypeError, ValueError: A field is not what it should be, or nothing is said at all.
    """

    source: str
    """"face", "voice", "text", "event" or a name of your own."""
    stamp_ns: int
    """When it was so, not when it was known: for a face the capture of the frame. Any monotonic clock, the same for all sources."""
    confidence: float
    """[0, 1]; 0 carries no weight."""
    _: KW_ONLY
    valence: float | None = None
    """[-1, 1], and so the next two."""
    arousal: float | None = None
    dominance: float | None = None
    taxonomy: str | None = None
    """The name in `affectrt.labels.TAXONOMIES` of the labels that `probs` are of."""
    probs: tuple[float, ...] | None = None
    """One in [0, 1] for each label of the taxonomy, in its order; they need not sum to 1, but not all may be below `LEAST`."""
    multi_label: bool = False
    """Whether the probabilities are independent of one another, several labels at a time."""
    label: str = ""
    """What the source itself calls it ("happy", the name of an event); told, not reckoned with."""

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "source", checks.text(self.source, "source"))
        put(self, "stamp_ns", checks.stamp(self.stamp_ns))
        put(self, "confidence", checks.number(self.confidence, "confidence", 0, 1))
        for axis in AXES:
            value = getattr(self, axis)
            if value is not None:
                put(self, axis, checks.number(value, axis, -1, 1))
        put(self, "label", checks.text(self.label, "label", empty=True))
        if not isinstance(self.multi_label, bool):
            raise TypeError(f"multi_label: expected a bool, got {type(self.multi_label).__name__}")
        if (self.taxonomy is None) != (self.probs is None):
            raise ValueError(f"expected both taxonomy and probs or neither, got taxonomy={self.taxonomy!r} and probs={self.probs!r}")
        if self.taxonomy is not None and self.probs is not None:
            put(self, "probs", _checked_probs(self.taxonomy, self.probs))
        elif self.multi_label:
            raise ValueError("expected probs with multi_label=True, got none")
        elif self.valence is None and self.arousal is None and self.dominance is None:
            raise ValueError(f"expected valence, arousal, dominance or probs, got none of them from {self.source!r}")

    @classmethod
    def of(cls, observation: Observation, *, source: str | None = None) -> Evidence | None:
        """What an observation says; None if its label is "unknown", for that says nothing.

        Its probabilities count if its labels are those of one of `affectrt.labels.TAXONOMIES`; else only its valence, arousal and
        dominance. Those of a text are taken for independent of one another unless they sum to 1.

        Args:
            observation: From `Face`, `FaceExpression` or `TextEmotion`.
            source: None takes "face" or "text", by what it is.

        Raises:
            TypeError: It is no observation.
        """
        if isinstance(observation, (FaceObservation, ExpressionObservation)):
            kind = "face"
        elif isinstance(observation, TextObservation):
            kind = "text"
        else:
            raise TypeError(f"expected a FaceObservation, ExpressionObservation or TextObservation, got {type(observation).__name__}")
        if observation.label == UNKNOWN:
            return None
        known = _known(observation.labels)
        probs = None if known is None else _in_order(observation.probs.tolist(), observation.labels, known.labels)
        told = probs is not None and max(probs) >= LEAST
        return cls(
            kind if source is None else source,
            observation.stamp_ns,
            observation.confidence,
            valence=observation.valence,
            arousal=observation.arousal,
            dominance=observation.dominance,
            taxonomy=known.name if known is not None and told else None,
            probs=probs if told else None,
            multi_label=bool(probs and told and kind == "text" and abs(math.fsum(probs) - 1) > 1e-3),
            label=observation.label,
        )

    @classmethod
    def of_event(
        cls,
        name: str,
        stamp_ns: int,
        *,
        valence: float,
        arousal: float,
        dominance: float | None = None,
        weight: float = 1.0,
        source: str = "event",
    ) -> Evidence:
        """What happened ("praised", "fell over"), and how such a thing makes one feel.

        Args:
            name: What to call it.
            stamp_ns: When it happened.
            valence, arousal, dominance: [-1, 1]; None says nothing of dominance.
            weight: [0, 1]: how sure it is that this person feels so.
            source: A name of your own keeps a kind of events apart.
        """
        return cls(source, stamp_ns, weight, valence=valence, arousal=arousal, dominance=dominance, label=checks.text(name, "name"))

    def to_dict(self) -> dict[str, Any]:
        """In types that JSON has, without what it says nothing of."""
        optional = {axis: getattr(self, axis) for axis in AXES} | {"taxonomy": self.taxonomy, "probs": self.probs and list(self.probs)}
        return {
            "source": self.source,
            "stamp_ns": self.stamp_ns,
            "confidence": self.confidence,
            **{key: value for key, value in optional.items() if value is not None},
            **({"multi_label": True} if self.multi_label else {}),
            **({"label": self.label} if self.label else {}),
        }

    @classmethod
    def from_dict(cls, value: object) -> Evidence:
        """The reverse of `to_dict`. ValueError for anything else, unknown keys too."""
        given = checks.keys(value, "evidence", ("source", "stamp_ns", "confidence"), (*AXES, "taxonomy", "probs", "multi_label", "label"))
        try:
            return cls(**given)
        except TypeError as error:
            raise ValueError(f"evidence: {error}") from None

    def shifted(self, by_ns: int) -> Evidence:
        """The same, by another clock."""
        return replace(self, stamp_ns=self.stamp_ns + by_ns)

    def order(self) -> tuple[Any, ...]:
        """A total order of evidence, equal only for what is equal: by time, then by what it says."""
        said = tuple((value is not None, value or 0.0) for value in (self.valence, self.arousal, self.dominance))
        return (self.stamp_ns, self.source, self.confidence, said, self.taxonomy or "", self.probs or (), self.multi_label, self.label)


@functools.lru_cache(maxsize=64)
def _known(labels: tuple[str, ...]) -> Taxonomy | None:
    return taxonomy_of(labels)  # it searches, and a camera asks thirty times a second


def _checked_probs(name: object, probs: object) -> tuple[float, ...]:
    if not isinstance(name, str):
        raise TypeError(f"taxonomy: expected a name, got {type(name).__name__}")
    labels = taxonomy(name).labels
    if isinstance(probs, np.ndarray):
        probs = probs.tolist()
    if not isinstance(probs, Sequence) or isinstance(probs, (str, bytes)):
        raise TypeError(f"probs: expected a sequence of numbers, got {type(probs).__name__}")
    if len(probs) != len(labels):
        raise ValueError(f"probs: expected {len(labels)}, one for each label of {name}, got {len(probs)}")
    result = tuple([checks.number(prob, "probs", 0, 1) for prob in probs])
    if max(result) < LEAST:
        raise ValueError(f"probs: expected one of at least {LEAST:g}, got none above {max(result):g}")
    return result


def _in_order(probs: Sequence[float], labels: Sequence[str], wanted: Sequence[str]) -> tuple[float, ...]:
    by_label = dict(zip(labels, probs, strict=True))
    return tuple([min(by_label[label], 1.0) for label in wanted])  # rounding in float32 may give a little more than 1
