"""What one source has said so far, folded into a few numbers; evidence is put in by time, oldest first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from affectrt.affect import checks
from affectrt.affect.halving import halved
from affectrt.affect.settings import SILENT_AFTER, Source

VALUES = ("valence", "arousal", "dominance", "labels")
"""What a fold keeps apart: a source may say one and not another."""

_ROUNDING = 1e-9
"""A mean may leave the range of its values by this much and less; the state does not."""


class Pace(NamedTuple):
    """How a `Source` counts, in the units that folding needs."""

    half_life_ns: float
    smoothing_ns: float
    silent_ns: int
    weight: float

    @classmethod
    def of(cls, source: Source) -> Pace:
        """Seconds become nanoseconds."""
        half_life_ns = source.half_life_s * 1e9
        return cls(half_life_ns, source.smoothing_s * 1e9, int(SILENT_AFTER * half_life_ns), source.weight)


class Clock(NamedTuple):
    """How much was said, and when. Values that always came together share one."""

    mass: float
    """Sum of the confidences, each halved every `smoothing_s` up to `stamp_ns`."""
    stamp_ns: int
    """Of the newest evidence."""
    peak: float
    """The confidence that outlasts all others: of the evidence for which peak * 2 ** -(age / half-life) is the largest."""
    peak_ns: int

    def presence(self, at_ns: int, pace: Pace) -> float:
        """Confidence that is left at `at_ns`, in [0, 1]; 0 for good once it is silent."""
        if at_ns - self.stamp_ns > pace.silent_ns:
            return 0.0
        return self.peak * halved((at_ns - self.peak_ns) / pace.half_life_ns)


class Said(NamedTuple):
    """One evidence as a source's fold takes it, its labels in the taxonomy of the state."""

    stamp_ns: int
    confidence: float
    values: tuple[float | None, float | None, float | None, tuple[float, ...] | None]
    label: str


class Fold(NamedTuple):
    """Means of what was said, each weighted by confidence and recency."""

    stamp_ns: int
    """Of the newest evidence."""
    label: str
    """Its own word for it."""
    valence: tuple[float, Clock] | None
    arousal: tuple[float, Clock] | None
    dominance: tuple[float, Clock] | None
    labels: tuple[tuple[float, ...], Clock] | None


def add(fold: Fold | None, said: Said, pace: Pace) -> Fold:
    """The fold with one more evidence, none older than it."""
    if fold is not None and said.stamp_ns - fold.stamp_ns > pace.silent_ns:
        fold = None
    before: Sequence[tuple[Any, Clock] | None] = (None, None, None, None) if fold is None else fold[2:]
    after: list[Any] = []
    seen: Clock | None = None
    clock, gain = None, 0.0
    for old, value in zip(before, said.values, strict=True):
        if value is None:
            after.append(old)
            continue
        if clock is None or (old[1] if old else None) != seen:
            seen = old[1] if old else None
            clock, gain = _tick(seen, said, pace)
        if old is None or gain >= 1.0:
            after.append((value, clock))
        elif isinstance(value, tuple):
            after.append((tuple([a + (b - a) * gain for a, b in zip(old[0], value, strict=True)]), clock))
        else:
            after.append((old[0] + (value - old[0]) * gain, clock))
    return Fold(said.stamp_ns, said.label, *after)


def _tick(clock: Clock | None, said: Said, pace: Pace) -> tuple[Clock, float]:
    """The clock after one more evidence, and that evidence's part in the mean."""
    stamp_ns, confidence = said.stamp_ns, said.confidence
    if clock is None or stamp_ns - clock.stamp_ns > pace.silent_ns:
        return Clock(confidence, stamp_ns, confidence, stamp_ns), 1.0
    mass = clock.mass * halved((stamp_ns - clock.stamp_ns) / pace.smoothing_ns) + confidence
    if confidence >= clock.presence(stamp_ns, pace):
        return Clock(mass, stamp_ns, confidence, stamp_ns), confidence / mass
    return Clock(mass, stamp_ns, clock.peak, clock.peak_ns), confidence / mass


def shifted(fold: Fold, by_ns: int) -> Fold:
    """The same, by another clock. ValueError if a stamp of it leaves the 64 bits."""

    def later(clock: Clock) -> Clock:
        return clock._replace(stamp_ns=clock.stamp_ns + by_ns, peak_ns=checks.stamp(clock.peak_ns + by_ns, "peak_ns"))

    parts: list[Any] = [None if part is None else (part[0], later(part[1])) for part in fold[2:]]
    return Fold(fold.stamp_ns + by_ns, fold.label, *parts)


def to_dict(fold: Fold) -> dict[str, Any]:
    """In types that JSON has."""
    parts = {name: [part[0], *part[1]] for name, part in zip(VALUES, fold[2:], strict=True) if part is not None}
    return {"stamp_ns": fold.stamp_ns, "label": fold.label, **parts}


def from_dict(given: object, what: str, labels: int) -> Fold:
    """The reverse of `to_dict`, with `labels` labels. ValueError for what no evidence can have led to."""
    value = checks.keys(given, what, ("stamp_ns", "label"), VALUES)
    newest = checks.stamp(value["stamp_ns"], f"{what}.stamp_ns")
    parts = [_part(value.get(name), f"{what}.{name}", newest, labels if name == "labels" else 0) for name in VALUES]
    if not any(parts):
        raise ValueError(f"{what}: expected one of {', '.join(VALUES)}, got none of them")
    return Fold(newest, checks.text(value["label"], f"{what}.label", empty=True), *parts)


def _part(given: object, what: str, newest: int, labels: int) -> Any:
    if given is None:
        return None
    if not isinstance(given, list) or len(given) != 5:
        raise ValueError(f"{what}: expected [value, mass, stamp_ns, peak, peak_ns], got {given!r}")
    value, mass, stamp_ns, peak, peak_ns = given
    clock = Clock(
        checks.number(mass, f"{what} mass", 5e-324, 1e300),
        checks.stamp(stamp_ns, f"{what} stamp_ns"),
        checks.number(peak, f"{what} peak", 5e-324, 1),
        checks.stamp(peak_ns, f"{what} peak_ns"),
    )
    if not clock.peak_ns <= clock.stamp_ns <= newest:
        raise ValueError(f"{what}: expected peak_ns <= stamp_ns <= {newest}, got {clock.peak_ns} and {clock.stamp_ns}")
    if not labels:
        return checks.number(value, what, -1 - _ROUNDING, 1 + _ROUNDING), clock
    if not isinstance(value, list) or len(value) != labels:
        raise ValueError(f"{what}: expected {labels} probabilities, got {value!r}")
    return _distribution(value, what), clock


def _distribution(value: Sequence[object], what: str) -> tuple[float, ...]:
    probs = tuple(checks.number(prob, what, -_ROUNDING, 1 + _ROUNDING) for prob in value)
    if abs(math.fsum(probs) - 1) > _ROUNDING:
        raise ValueError(f"{what}: expected probabilities that sum to 1, got {math.fsum(probs):g}")
    return probs
