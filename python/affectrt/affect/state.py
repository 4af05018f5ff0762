"""How a person feels at one time, as far as is known, and who said so."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectrt.affect.checks import canonical


@dataclass(frozen=True, slots=True)
class SourceState:
    """What one source says at the time of the state; None for what it says nothing of."""

    source: str
    stamp_ns: int
    """Of its newest evidence."""
    said: str
    """What it called that itself."""
    label: str
    """The strongest label of what it says, in the state's taxonomy; "" if it says nothing of labels."""
    valence: float | None
    arousal: float | None
    dominance: float | None
    confidence: float
    """[0, 1]: what is left of its confidence."""
    share: float
    """[0, 1]: its part in the state. The shares of all sources sum to the state's confidence."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two sources that say different things."""

    first: str
    second: str
    axis: str
    """"valence" or "arousal": where they are furthest apart."""
    first_value: float
    second_value: float

    def __str__(self) -> str:
        return f"{self.axis}: {self.first} says {self.first_value:+.2f}, {self.second} says {self.second_value:+.2f}"


@dataclass(frozen=True, slots=True, eq=False)
class AffectState:
    """How a person feels at `stamp_ns`. With nothing known it is the temperament, with confidence 0."""

    stamp_ns: int
    valence: float
    """[-1, 1], and so the next two."""
    arousal: float
    dominance: float
    confidence: float
    """[0, 1]: the part that evidence has in the state; the rest is the temperament's."""
    taxonomy: str
    labels: tuple[str, ...]
    """Those of `taxonomy`."""
    probs: NDArray[np.float32]
    """(K,) float32 over `labels`, sums to 1; what evidence leaves is on the label nearest to the temperament."""
    label: str
    """The likeliest of `labels`; of equals the first."""
    conflict: float
    """[0, 1]: half the distance of the two sources that differ most, times the confidence of the less sure of them; 0 if none differ."""
    contradiction: Contradiction | None
    """Who differs, and how; None where `conflict` is 0."""
    sources: tuple[SourceState, ...]
    """The sources that still have a say, in the order of their names."""

    def to_dict(self) -> dict[str, Any]:
        """In types that JSON has."""
        flat = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            **flat,
            "labels": list(self.labels),
            "probs": self.probs.tolist(),
            "contradiction": None if self.contradiction is None else _flat(self.contradiction),
            "sources": [_flat(one) for one in self.sources],
        }

    def to_json(self) -> str:
        """One line of JSON; two states are the same if and only if these are."""
        return canonical(self.to_dict())


def _flat(value: SourceState | Contradiction) -> dict[str, Any]:
    return {f.name: getattr(value, f.name) for f in fields(value)}
