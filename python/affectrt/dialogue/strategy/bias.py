"""Whether a model has a favourite strategy, and how well it chooses: the measures of D. Kang et al., "Can large language models be good
emotional supporter? Mitigating preference bias on emotional support conversation", ACL 2024 (arXiv 2402.13211)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affectrt.dialogue.strategy.names import STRATEGIES, Strategy

__all__ = ["PreferenceMonitor", "Proficiency", "count_strategies", "debias", "preference_bias", "proficiency"]

SWEEPS = 20
"""As published."""


def count_strategies(predicted: Sequence[Strategy | str], gold: Sequence[Strategy | str]) -> NDArray[np.int64]:
    """How often each strategy was predicted where each was right.

    Returns:
        (8, 8) int64: `counts[i, j]` is how often `STRATEGIES[i]` was predicted and `STRATEGIES[j]` was right.

    Raises:
        ValueError: The two are of unequal length, or hold a name that is none of the eight (`Strategy.of(..., unknown=)` maps those).
    """
    if len(predicted) != len(gold):
        raise ValueError(f"expected as many predicted as gold, got {len(predicted)} and {len(gold)}")
    counts = np.zeros((len(STRATEGIES), len(STRATEGIES)), np.int64)
    for one, right in zip(predicted, gold, strict=True):
        counts[Strategy.of(one).place, Strategy.of(right).place] += 1
    return counts


def preference_bias(counts: ArrayLike, *, smoothing: float = 0.0, sweeps: int = SWEEPS) -> tuple[float, NDArray[np.float64]]:
    """How unevenly a model likes the strategies, beyond what is right, as the paper and its code have it.

    Each strategy has a strength p in the sense of Bradley and Terry: where j was right and i was said, i has won over j. From p = 1, every
    sweep sets one after the other, in place,

        p_i = (sum over j != i of W_ij p_j / (p_i + p_j)) / (sum over j != i of W_ji / (p_i + p_j))

    and then divides all by the geometric mean of those that are not 0. In the end they are scaled to sum to the number of strategies.
    Sweeps run in the order of the strategies, so before they have settled another order gives slightly other numbers.

    Args:
        counts: (N, N) numbers of at least 0, N >= 2: `counts[i, j]`, how often i was predicted where j was right. The diagonal is not
            looked at.
        smoothing: Added to every cell off the diagonal; ours. It draws towards "no preference", and few examples need it: the published
            formula has no value where, say, nothing but "Question" was ever said where "Question" was right.
        sweeps: The published number is 20.

    Returns:
        The bias (population standard deviation of p; 0 is none) and p, (N,) float64. p_i over 1: i is said more than it should be.

    Raises:
        ValueError: `counts` is not such a table, an argument is out of range, or the formula has no value for it; the message says where.
    """
    wins = _table(counts)
    if not (np.isfinite(smoothing) and smoothing >= 0):
        raise ValueError(f"smoothing: expected a finite number of at least 0, got {smoothing}")
    if sweeps < 1:
        raise ValueError(f"sweeps: expected at least 1, got {sweeps}")
    size = len(wins)
    wins = wins + smoothing
    np.fill_diagonal(wins, 0.0)
    strengths = np.ones(size)
    for _ in range(sweeps):
        for i in range(size):
            strengths[i] = _strength(wins, strengths, i)
        positive = strengths[strengths > 0]
        if not len(positive):
            raise ValueError("the preferences have no value for these counts: no strategy has any strength; give smoothing=1")
        strengths /= np.exp(np.log(positive).mean())
    strengths *= size / strengths.sum()
    return float(strengths.std()), strengths


def _strength(wins: NDArray[np.float64], strengths: NDArray[np.float64], i: int) -> float:
    pair = strengths[i] + strengths
    met = (wins[i] > 0) | (wins[:, i] > 0)
    if (pair[met] <= 0).any():
        raise ValueError(f"the preferences have no value for these counts: {_name(i)} and another both have no strength; give smoothing=1")
    won = float((wins[i, met] * strengths[met] / pair[met]).sum())
    lost = float((wins[met, i] / pair[met]).sum())
    if lost == 0:
        raise ValueError(
            f"the preferences have no value for these counts: where {_name(i)} was right, nothing else was said; give smoothing=1"
        )
    return won / lost


def _name(i: int) -> str:
    return f'number {i} ("{STRATEGIES[i]}" of the eight)' if i < len(STRATEGIES) else f"number {i}"


def _table(counts: ArrayLike) -> NDArray[np.float64]:
    table = np.asarray(counts)
    if table.dtype.kind not in "iuf" or table.ndim != 2 or table.shape[0] != table.shape[1] or len(table) < 2:
        raise ValueError(f"counts: expected a square table of at least 2 x 2 numbers, got {table.dtype} {table.shape}")
    table = table.astype(np.float64)
    if not (np.isfinite(table).all() and (table >= 0).all()):
        raise ValueError(f"counts: expected finite numbers of at least 0, got {table.min()} to {table.max()}")
    return table


@dataclass(frozen=True, slots=True)
class Proficiency:
    """How well strategies were chosen; each number lies in [0, 1]."""

    macro_f1: float
    """Mean F1 of the strategies that were predicted or right at least once: the paper's Q."""
    weighted_f1: float
    """Mean F1, each weighted by how often it was right."""
    f1: tuple[float, ...]
    """Of each strategy; 0 for one that never occurs."""


def proficiency(counts: ArrayLike) -> Proficiency:
    """Macro and weighted F1 of a table as `preference_bias` takes it.

    Raises:
        ValueError: `counts` is no such table, or is all 0.
    """
    table = _table(counts)
    if not table.any():
        raise ValueError("counts: expected at least one example, got none")
    hits, said, right = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    total = said + right
    f1 = np.divide(2 * hits, total, out=np.zeros(len(table)), where=total > 0)
    return Proficiency(float(f1[total > 0].mean()), float((f1 * right).sum() / right.sum()), tuple(f1.tolist()))


def debias(scores: ArrayLike, preferences: ArrayLike, *, least: float = 0.1) -> NDArray[np.float64]:
    """Scores of strategies divided by how much each is preferred, so that a favourite must be that much better to be chosen.

    Args:
        scores: (N,) numbers of at least 0, not all 0.
        preferences: (N,) as `preference_bias` returns them.
        least: A preference below counts as this much: one that is never said has preference 0.

    Returns:
        (N,) float64 that sum to 1.

    Raises:
        ValueError: Shapes that differ, a number that is negative or not finite, or scores that are all 0.
    """
    values, liked = np.asarray(scores, np.float64), np.asarray(preferences, np.float64)
    if values.ndim != 1 or values.shape != liked.shape:
        raise ValueError(f"expected scores and preferences of one rank and equal length, got {values.shape} and {liked.shape}")
    for name, one in (("scores", values), ("preferences", liked)):
        if not (np.isfinite(one).all() and (one >= 0).all()):
            raise ValueError(f"{name}: expected finite numbers of at least 0, got {one.tolist()}")
    if not values.any():
        raise ValueError("scores: expected at least one above 0, got none")
    if not 0 < least <= 1:
        raise ValueError(f"least: expected a number in (0, 1], got {least}")
    divided = values / np.maximum(liked, least)
    result: NDArray[np.float64] = divided / divided.sum()
    return result


class PreferenceMonitor:
    """Preference bias over the latest choices. Not for several threads at once.

    `right` is what should have been said: a person's judgement, or the planner's choice where it is asked whether the language model
    keeps to it.
    """

    def __init__(self, *, window: int = 500, smoothing: float = 1.0) -> None:
        """Begin with nothing.

        Args:
            window: How many of the latest choices count.
            smoothing: As of `preference_bias`; with a few choices the published formula has no value without it.

        Raises:
            ValueError: `window` is below 1, or `smoothing` not above 0.
        """
        if window < 1:
            raise ValueError(f"window: expected at least 1, got {window}")
        if not (np.isfinite(smoothing) and smoothing > 0):
            raise ValueError(f"smoothing: expected a finite number above 0, got {smoothing}")
        self._smoothing = smoothing
        self._choices: deque[tuple[int, int]] = deque(maxlen=window)

    def add(self, said: Strategy | str, right: Strategy | str) -> None:
        """One more choice. ValueError for a name that is none of the eight."""
        self._choices.append((Strategy.of(said).place, Strategy.of(right).place))

    def __len__(self) -> int:
        return len(self._choices)

    @property
    def counts(self) -> NDArray[np.int64]:
        """(8, 8) int64, as `count_strategies` returns them."""
        counts = np.zeros((len(STRATEGIES), len(STRATEGIES)), np.int64)
        for said, right in self._choices:
            counts[said, right] += 1
        return counts

    @property
    def bias(self) -> float:
        """0 while nothing was added."""
        return preference_bias(self.counts, smoothing=self._smoothing)[0]

    @property
    def preferences(self) -> NDArray[np.float64]:
        """(8,) float64, mean 1; for `debias` and `Planner.plan`."""
        return preference_bias(self.counts, smoothing=self._smoothing)[1]

    @property
    def proficiency(self) -> Proficiency | None:
        """None while nothing was added."""
        return proficiency(self.counts) if self._choices else None
