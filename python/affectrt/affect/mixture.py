"""The state that sources and temperament make together at one time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from affectrt.affect.fold import Clock, Fold, Pace
from affectrt.affect.settings import FusionSettings
from affectrt.affect.state import AffectState, Contradiction, SourceState
from affectrt.affect.vocabulary import Vocabulary


class Voice(NamedTuple):
    """What a source says at one time, and how much of its confidence is left."""

    name: str
    fold: Fold
    weight: float
    values: tuple[float | None, ...]
    """Valence, arousal, dominance; None where nothing is said."""
    presences: tuple[float, ...]
    """Of valence, arousal, dominance and labels; 0 where nothing is said."""
    presence: float
    """The largest of them."""


def voice(name: str, fold: Fold, at_ns: int, pace: Pace) -> Voice:
    """What the source says at a time, none of its evidence being later."""
    presences: list[float] = []
    values: list[float | None] = []
    seen: Clock | None = None
    left = 0.0
    for part in fold[2:]:
        if part is None:
            presences.append(0.0)
            values.append(None)
            continue
        value, clock = part
        if seen is not clock:  # values that came together share one, and most do
            seen, left = clock, clock.presence(at_ns, pace)
        presences.append(left)
        values.append(_clipped(value) if left > 0 and not isinstance(value, tuple) else None)
    return Voice(name, fold, pace.weight, tuple(values[:3]), tuple(presences), max(presences))


def mix(voices: Iterable[Voice], at_ns: int, settings: FusionSettings, vocabulary: Vocabulary) -> AffectState:
    """The mean of temperament and voices by weight. The voices come in the order of their names: sums depend on it in the last bit."""
    rest, prior = settings.temperament, settings.prior
    sums = [prior * rest.valence, prior * rest.arousal, prior * rest.dominance]
    weights = [prior, prior, prior]
    mixed, mixed_weight = [prior * prob for prob in vocabulary.at(rest)], prior
    total = prior
    told = [one for one in voices if one.presence > 0]
    for one in told:
        for axis in range(3):
            if (value := one.values[axis]) is not None:
                part = one.weight * one.presences[axis]
                sums[axis] += part * value
                weights[axis] += part
        if one.fold.labels is not None:
            part = one.weight * one.presences[3]
            mixed = [a + part * b for a, b in zip(mixed, one.fold.labels[0], strict=True)]
            mixed_weight += part
        total += one.weight * one.presence
    conflict, contradiction = _conflict(told)
    probs = np.array([value / mixed_weight for value in mixed], np.float32)
    probs.flags.writeable = False
    return AffectState(
        stamp_ns=at_ns,
        valence=_clipped(sums[0] / weights[0]),
        arousal=_clipped(sums[1] / weights[1]),
        dominance=_clipped(sums[2] / weights[2]),
        confidence=(total - prior) / total,
        taxonomy=vocabulary.name,
        labels=vocabulary.labels,
        probs=probs,
        label=vocabulary.strongest(mixed),
        conflict=conflict,
        contradiction=contradiction,
        sources=tuple([_source(one, total, vocabulary) for one in told]),
    )


def _source(one: Voice, total: float, vocabulary: Vocabulary) -> SourceState:
    fold = one.fold
    label = vocabulary.strongest(fold.labels[0]) if fold.labels is not None and one.presences[3] > 0 else ""
    share = one.weight * one.presence / total
    valence, arousal, dominance = one.values
    return SourceState(one.name, fold.stamp_ns, fold.label, label, valence, arousal, dominance, one.presence, share)


def _conflict(told: list[Voice]) -> tuple[float, Contradiction | None]:
    degree, found = 0.0, None
    for i, a in enumerate(told):
        for b in told[i + 1 :]:
            for axis, name in enumerate(("valence", "arousal")):
                one, other = a.values[axis], b.values[axis]
                if one is not None and other is not None:
                    here = abs(one - other) / 2 * min(a.presences[axis], b.presences[axis])
                    if here > degree:
                        degree, found = here, Contradiction(a.name, b.name, name, one, other)
    return degree, found


def _clipped(value: float) -> float:
    return min(max(value, -1.0), 1.0)
