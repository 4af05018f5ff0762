"""Features that arrive when they like, cut into windows of one length: what a classifier of short windows is fed.

CALMED (A. Sousa et al., 2023, arXiv 2307.13706) labels windows of 200 ms; hence the default.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Window", "Windows", "window_count"]

_NS_A_MS = 1_000_000
_MOST = 1_000_000  # windows at once: more than two days of 200 ms, so a mistaken clock


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """The samples of one stretch of time, as one."""

    index: int
    """Counts from 0."""
    start_ns: int
    """Its samples have start_ns <= stamp_ns < end_ns."""
    end_ns: int
    count: int
    """How many samples there were; 0 for a window in which nothing came."""
    values: NDArray[np.float32]
    """(F,) float32: the mean of each feature over the samples that have it; NaN where none has."""


def window_count(duration_s: float, length_ms: float = 200.0) -> int:
    """How many whole windows there are in so many seconds: floor(duration / length), of whole nanoseconds, so that 0.6 s are 3 of 200 ms.

    Raises `ValueError` for a duration below 0 or not finite, or a length that is no whole nanosecond.
    """
    if not (math.isfinite(duration_s) and duration_s >= 0):
        raise ValueError(f"duration_s: a number of at least 0 was expected, got {duration_s}")
    return round(duration_s * 1e9) // _nanoseconds(length_ms, "length_ms", least=1)


class Windows:
    """Cuts one stream of feature vectors into windows. Time is passed in; the order of arrival within a window makes no difference.

        windows = Windows(features=2, start_ns=0)
        windows.add(stamp_ns, [valence, arousal])
        for window in windows.close(now_ns):
            ...

    Args:
        features: F, numbers in a sample.
        start_ns: Where window 0 begins.
        length_ms: Of each window, at least a nanosecond.
        wait_ms: How long after its end a window stays open for samples that are on their way.
        ahead_ms: How far ahead of what was last closed a sample may lie: a bound on what is kept, and on what a broken clock can do.

    Raises: `ValueError`, `TypeError` for arguments.
    """

    def __init__(self, features: int, *, start_ns: int, length_ms: float = 200.0, wait_ms: float = 0.0, ahead_ms: float = 60_000.0) -> None:
        if _integer(features, "features") < 1:
            raise ValueError(f"features: at least 1 was expected, got {features}")
        self.features = features
        self.start_ns = _integer(start_ns, "start_ns")
        self.length_ns = _nanoseconds(length_ms, "length_ms", least=1)
        self.wait_ns = _nanoseconds(wait_ms, "wait_ms", least=0)
        self.ahead_ns = _nanoseconds(ahead_ms, "ahead_ms", least=self.length_ns)
        self.late = 0
        """Samples that were not taken, as their window was closed, or they came from before the start."""
        self._next = 0
        self._open: dict[int, list[NDArray[np.float64]]] = {}

    def add(self, stamp_ns: int, values: ArrayLike) -> bool:
        """Take a sample. False, and counted in `late`, if its window is closed already.

        Args:
            stamp_ns: When it was captured, on the clock of `start_ns`.
            values: (F,) numbers; NaN for a feature that this sample lacks.

        Raises:
            ValueError: Another shape, an infinite number, or a stamp more than `ahead_ms` ahead.
            TypeError: A stamp that is no int.
        """
        sample = np.array(values, dtype=np.float64)
        if sample.shape != (self.features,):
            raise ValueError(f"values: ({self.features},) numbers were expected, got {sample.shape}")
        if np.isinf(sample).any():
            raise ValueError("values: finite numbers, or NaN for what is missing, were expected, got infinity")
        since = _integer(stamp_ns, "stamp_ns") - self.start_ns
        index = since // self.length_ns
        if index < self._next:
            self.late += 1
            return False
        if since > self._next * self.length_ns + self.ahead_ns:
            raise ValueError(
                f"stamp_ns: at most {self.start_ns + self._next * self.length_ns + self.ahead_ns} was expected "
                f"(ahead_ms after what was last closed), got {stamp_ns}"
            )
        self._open.setdefault(index, []).append(sample)
        return True

    def close(self, now_ns: int) -> list[Window]:
        """Every window that is over by now and has not been given yet, in order, those without samples too; each is given once.

        With `wait_ms=0`, after a duration d from the start that is floor(d / length) in all. A now that lies before an earlier one closes
        nothing.

        Raises:
            TypeError: `now_ns` is no int.
            ValueError: More than a million windows would be closed at once.
        """
        over = (_integer(now_ns, "now_ns") - self.wait_ns - self.start_ns) // self.length_ns
        if over - self._next > _MOST:
            raise ValueError(f"now_ns: at most {_MOST} windows after what was last closed was expected, got {over - self._next}")
        closed = [self._window(index) for index in range(self._next, over)]
        self._next = max(self._next, over)
        return closed

    def _window(self, index: int) -> Window:
        samples = self._open.pop(index, [])
        values = np.full(self.features, np.nan)
        if samples:
            # Sorted, so that the sum does not depend on who came first; NaNs come last.
            stack = np.sort(np.stack(samples), axis=0)
            known = np.isfinite(stack)
            total, number = np.where(known, stack, 0.0).sum(axis=0), known.sum(axis=0)
            np.divide(total, number, out=values, where=number > 0)
        start = self.start_ns + index * self.length_ns
        return Window(index, start, start + self.length_ns, len(samples), values.astype(np.float32))


def _integer(value: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: an int was expected, got {value!r}")
    return int(value)


def _nanoseconds(value_ms: float, name: str, *, least: int) -> int:
    if not (math.isfinite(value_ms) and round(value_ms * _NS_A_MS) >= least):
        raise ValueError(f"{name}: a number of at least {least / _NS_A_MS:g} was expected, got {value_ms}")
    return round(value_ms * _NS_A_MS)
