"""Times a piece of work over and over, and tells the figures from the samples."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

MAX_SAMPLES = 1_000_000


@dataclass(frozen=True)
class Plan:
    """How long to measure. Raises ValueError listing everything that is wrong."""

    warmup: int = 10
    iterations: int | None = None
    """So many runs; None: as many as `duration_s` has room for, at least 10."""
    duration_s: float = 5.0
    percentiles: tuple[float, ...] = (50.0, 90.0, 95.0, 99.0)

    def __post_init__(self) -> None:
        wrong = []
        if self.warmup < 0:
            wrong.append(f"warmup: 0 or more was expected, got {self.warmup}")
        if self.iterations is not None and not 1 <= self.iterations <= MAX_SAMPLES:
            wrong.append(f"iterations: 1 to {MAX_SAMPLES} was expected, got {self.iterations}")
        if not 0 < self.duration_s <= 86_400:
            wrong.append(f"duration: over 0 and at most 86400 s was expected, got {self.duration_s}")
        if not self.percentiles or any(not 0 <= p <= 100 for p in self.percentiles):
            wrong.append(f"percentiles: numbers from 0 to 100 were expected, got {self.percentiles}")
        if wrong:
            raise ValueError("; ".join(wrong))

    def more(self, done: int, spent_s: float) -> bool:
        """Whether another run is due."""
        if self.iterations is not None:
            return done < self.iterations
        return done < MAX_SAMPLES and (done < 10 or spent_s < self.duration_s)

    def progress(self, done: int, spent_s: float) -> tuple[float, float]:
        """(done, of) for a progress bar."""
        return (done, self.iterations) if self.iterations is not None else (min(spent_s, self.duration_s), self.duration_s)


@dataclass
class Samples:
    """What was measured: name of the quantity to its samples, and the wall time of each whole run."""

    values: dict[str, list[float]] = field(default_factory=dict)
    wall_ms: list[float] = field(default_factory=list)
    wall_s: float = 0.0
    """From the beginning of the first measured run to the end of the last."""

    def add(self, run: Mapping[str, float]) -> None:
        """Take the quantities of one run."""
        for name, value in run.items():
            self.values.setdefault(name, []).append(value)


def repeat(work: Callable[[], Mapping[str, float]], plan: Plan, progress: Callable[[float, float], None] | None = None) -> Samples:
    """Run `work` for warm-up, then measure it. It returns its own quantities (stages in ms, rates); the wall time is taken here."""
    for _ in range(plan.warmup):
        work()
    samples = Samples()
    began = time.perf_counter()
    while plan.more(len(samples.wall_ms), time.perf_counter() - began):
        start = time.perf_counter_ns()
        run = work()
        samples.wall_ms.append((time.perf_counter_ns() - start) / 1e6)
        samples.add(run)
        if progress:
            progress(*plan.progress(len(samples.wall_ms), time.perf_counter() - began))
    samples.wall_s = time.perf_counter() - began
    return samples


def percentile(ordered: Sequence[float], p: float) -> float:
    """The p-th percentile of ascending samples, linear between neighbours (as NumPy's default)."""
    position = (len(ordered) - 1) * p / 100
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def name_of(p: float) -> str:
    """ "p50", "p99.9"."""
    return f"p{p:g}"


def summary(samples: Sequence[float], percentiles: Sequence[float]) -> dict[str, float]:
    """Count, min, mean, max, standard deviation and percentiles. ValueError for no samples."""
    if not samples:
        raise ValueError("no samples")
    ordered = sorted(samples)
    mean = sum(ordered) / len(ordered)
    spread = (sum((value - mean) ** 2 for value in ordered) / max(1, len(ordered) - 1)) ** 0.5
    return {
        "samples": len(ordered),
        "min": ordered[0],
        "mean": mean,
        "max": ordered[-1],
        "std": spread,
        **{name_of(p): percentile(ordered, p) for p in percentiles},
    }


def drift(samples: Sequence[float]) -> float | None:
    """Median of the last fifth over the median of the first; None with fewer than 50 samples."""
    fifth = len(samples) // 5
    if fifth < 10:
        return None
    return percentile(sorted(samples[-fifth:]), 50) / max(percentile(sorted(samples[:fifth]), 50), 1e-12)
