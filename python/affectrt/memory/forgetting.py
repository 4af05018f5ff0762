"""The forgetting curve of MemoryBank (W. Zhong et al., AAAI 2024, arXiv 2305.10250).

R = exp(-t / S): t is the time since the last recall in days, S the strength, 1 at first; a recall adds 1 to S and sets t to 0. With a time
scale of ours, R = exp(-t / (tau S)); tau = 1 day is the paper's form.

The published code computes `math.exp(-t / 5*S)`, which Python reads as exp(-t S / 5): there a memory that was recalled more often fades
*faster*. The paper is implemented. At t = 3 days: R = 0.0498 for S = 1 and 0.2231 for S = 2 (the code: 0.5488 and 0.3012).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


_NS_PER_DAY = 86_400_000_000_000


def retention(elapsed_days: ArrayLike, strength: ArrayLike, tau_days: float = 1.0) -> Any:
    """R in [0, 1], the probability that a memory is kept, elementwise.

    Args:
        elapsed_days: t >= 0.
        strength: S >= 1.
        tau_days: The time scale, > 0; 1 is the paper's.
    """
    days, s = np.asarray(elapsed_days, np.float64), np.asarray(strength, np.float64)
    if not (days >= 0).all():
        raise ValueError("elapsed_days: expected numbers >= 0")
    if not (s >= 1).all():
        raise ValueError("strength: expected numbers >= 1")
    kept = np.exp(-days / (check_tau(tau_days) * s))
    return kept if kept.ndim else float(kept)


def check_tau(tau_days: float) -> float:
    """The time scale, if it is one."""
    if isinstance(tau_days, bool) or not isinstance(tau_days, (int, float)) or not (tau_days > 0 and math.isfinite(tau_days)):
        raise ValueError(f"tau_days: expected a finite number > 0, got {tau_days!r}")
    return float(tau_days)


def elapsed_days(now_ns: int, recalled_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Days since the last recall; 0 where the clock has been set back behind it."""
    days: NDArray[np.float64] = np.maximum(now_ns - recalled_ns, 0) / _NS_PER_DAY
    return days


def draws(seed: int, ids: NDArray[np.int64], strengths: NDArray[np.int64]) -> NDArray[np.float64]:
    """A number in [0, 1) for each memory, from the seed, its id and its strength alone.

    Not from a stream: so a memory's fate does not hang on which others there are. It stays the same until the memory is recalled, so
    that keeping it while the draw is below R gives exactly the probability R, however often forgetting is run.
    """
    mixed = _mix(np.uint64(seed & 0xFFFFFFFFFFFFFFFF) + _mix(ids.astype(np.uint64) + _mix(strengths.astype(np.uint64))))
    drawn: NDArray[np.float64] = (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return drawn


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    # The output function of SplitMix64 (G. Steele et al., OOPSLA 2014).
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return mixed
