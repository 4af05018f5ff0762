"""How well symbols are suggested: mean reciprocal rank and hits, over uses in the order of their time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from affectrt.expression.recommender import Recommender, Usage


@dataclass(frozen=True, slots=True)
class RankScores:
    """Means over examples."""

    examples: int
    mrr: float
    """Mean of 1 / rank; a rank that is not there counts 0."""
    hits: dict[int, float]
    """k -> share of the examples whose rank is at most k."""


def rank_scores(ranks: Sequence[int | None], ks: Sequence[int] = (1, 3, 5, 10)) -> RankScores:
    """Score ranks, which count from 1; None where the right one was not in the list.

    Raises:
        ValueError: No ranks, one below 1, or a k below 1.
    """
    if not ranks:
        raise ValueError("no examples to score")
    if any(rank is not None and rank < 1 for rank in ranks) or any(k < 1 for k in ks):
        raise ValueError(f"expected ranks and ks of at least 1, got {list(ranks)[:20]} and {list(ks)}")
    count = len(ranks)
    mrr = sum(1 / rank for rank in ranks if rank is not None) / count
    return RankScores(count, mrr, {k: sum(rank is not None and rank <= k for rank in ranks) / count for k in ks})


def replay(make: Callable[[], Recommender], usages: Iterable[Usage], *, first: int = 0, ks: Sequence[int] = (1, 3, 5, 10)) -> RankScores:
    """Suggest for each use from what came before it, then learn it.

    Uses are taken by their time, and those of one time are all ranked before any of them is learnt, so nothing of a use or of what came
    later is known when it is ranked.

    Args:
        make: A recommender without history.
        usages: In any order.
        first: How many of the earliest uses are learnt and not ranked.
        ks: For the hits.

    Raises:
        ValueError: Nothing is left to rank.
    """
    recommender, ranks = make(), []
    for i, one in enumerate(ordered := sorted(usages, key=lambda usage: usage.stamp_ns)):
        # The recommender itself looks only at what is older than the stamp: so it may be fed along the way.
        if i >= first:
            ranked = recommender.recommend(one.user, one.text, affect=one.affect, stamp_ns=one.stamp_ns, k=None)
            names = [suggestion.symbol.text for suggestion in ranked]
            ranks.append(names.index(one.symbol) + 1 if one.symbol in names else None)
        recommender.learn(one)
    if not ranks:
        raise ValueError(f"expected more than {first} uses, got {len(ordered)}")
    return rank_scores(ranks, ks)
