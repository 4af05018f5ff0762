"""Who fits whom, and which memory fits now: matcher and selector of CharacterChat (Q. Tu et al., arXiv 2308.10278).

Where its two programs disagree both ways are here: vectors and an affine map of their cosine, as it is trained (`PartnerBank`), and a model
that scores pairs, as its demonstration has it (`best_partner`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affectrt.dialogue.profile import Profile

__all__ = ["AffineScore", "CosineScorer", "Match", "PairScorer", "PartnerBank", "best_partner", "select_memory"]

Embed = Callable[[list[str]], ArrayLike]
"""Texts to vectors (N, D), as `TextEmbedding` does."""


class PairScorer(Protocol):
    """A model that says how well two texts go together; the higher, the better, and above 0 is good enough."""

    def __call__(self, first: str, second: str) -> float:
        """The score of one pair."""
        ...


@dataclass(frozen=True, slots=True)
class AffineScore:
    """`scale * cosine + offset`.

    CharacterChat trains a layer of 1 to 1,024 and one of 1,024 to 1 on the cosine, with nothing between them: together they are no more
    than this, whatever their weights (`collapse`). So among partners it ranks as the cosine does, or the other way round if `scale` < 0.
    """

    scale: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.scale) and np.isfinite(self.offset)):
            raise ValueError(f"expected a finite scale and offset, got {self.scale} and {self.offset}")

    @classmethod
    def collapse(cls, first_weight: ArrayLike, first_bias: ArrayLike, second_weight: ArrayLike, second_bias: ArrayLike) -> AffineScore:
        """Two linear layers in a row as one.

        Args:
            first_weight, first_bias: (H, 1) or (H,), and (H,).
            second_weight, second_bias: (1, H) or (H,), and one number.

        Raises:
            ValueError: Shapes that do not fit, or a number that is not finite.
        """
        w1, b1, w2, b2 = (np.asarray(one, np.float64).reshape(-1) for one in (first_weight, first_bias, second_weight, second_bias))
        if not (len(w1) == len(b1) == len(w2) >= 1 and len(b2) == 1):
            raise ValueError(f"expected H, H, H and 1 numbers, got {len(w1)}, {len(b1)}, {len(w2)} and {len(b2)}")
        return cls(float(w2 @ w1), float(w2 @ b1 + b2[0]))


@dataclass(frozen=True, slots=True)
class Match:
    """One partner out of a bank."""

    index: int
    """Its row in the bank."""
    profile: Profile | None
    """None in a bank of vectors alone."""
    score: float


class PartnerBank:
    """Characters and their vectors, of which the best partners for someone are found. It does not change; any number of threads may ask."""

    def __init__(self, vectors: ArrayLike, profiles: Sequence[Profile] = (), *, score: AffineScore | None = None) -> None:
        """Keep the vectors at unit length.

        Args:
            vectors: (N, D) finite numbers, no row all 0.
            profiles: One for each row, or none at all.
            score: None takes the cosine itself.

        Raises:
            ValueError: Shapes or numbers that are not so.
        """
        self._unit = _unit(vectors, "vectors", 2)
        self.profiles = tuple(profiles)
        if self.profiles and len(self.profiles) != len(self._unit):
            raise ValueError(f"expected a profile for each of {len(self._unit)} vectors or none, got {len(self.profiles)}")
        self.score = score if score is not None else AffineScore()

    @classmethod
    def of(cls, profiles: Sequence[Profile], embed: Embed, *, score: AffineScore | None = None) -> PartnerBank:
        """Embed what each says of itself as a supporter: `PartnerBank.of(profiles, TextEmbedding())`."""
        if not profiles:
            raise ValueError("expected at least one profile, got none")
        return cls(embed([one.statement("supporter") for one in profiles]), profiles, score=score)

    def __len__(self) -> int:
        return len(self._unit)

    def scores(self, seeker: ArrayLike) -> NDArray[np.float64]:
        """The score of every partner: (N,) for one seeker (D,), (M, N) for many (M, D). ValueError for another shape, or a vector of 0."""
        asked = np.asarray(seeker)
        unit = _unit(asked, "seeker", 1 if asked.ndim == 1 else 2)
        if unit.shape[-1] != self._unit.shape[1]:
            raise ValueError(f"seeker: expected vectors of {self._unit.shape[1]} numbers, got {unit.shape[-1]}")
        # Not by a matrix product: that may sum equal rows in different orders, and equals would no longer be equal.
        cosines: NDArray[np.float64] = np.einsum("...d,nd->...n", unit, self._unit)
        return cosines * self.score.scale + self.score.offset

    def match(self, seeker: ArrayLike, *, k: int = 1, leave_out: Sequence[int] = ()) -> tuple[Match, ...]:
        """The k best partners for one seeker, best first; of equals the one that comes first in the bank.

        Args:
            seeker: (D,), the vector of what they say of themselves.
            k: At least 1. Fewer come if there are fewer.
            leave_out: Rows that are not asked, such as the seeker's own.

        Raises:
            TypeError: `k` is no int.
            ValueError: An argument is not so.
        """
        if isinstance(k, bool) or not isinstance(k, int):
            raise TypeError(f"k: expected an int, got {k!r}")
        if k < 1:
            raise ValueError(f"k: expected at least 1, got {k}")
        if np.ndim(seeker) != 1:
            raise ValueError(f"seeker: expected (D,), got {np.shape(seeker)}")
        wrong = [row for row in leave_out if not 0 <= row < len(self)]
        if wrong:
            raise ValueError(f"leave_out: expected rows of {len(self)}, got {wrong}")
        scores = self.scores(seeker)
        free = np.ones(len(self), bool)
        free[list(leave_out)] = False
        order = [int(row) for row in np.argsort(-scores, kind="stable") if free[row]][:k]
        return tuple(Match(row, self.profiles[row] if self.profiles else None, float(scores[row])) for row in order)


def _unit(vectors: ArrayLike, name: str, rank: int) -> NDArray[np.float64]:
    values = np.asarray(vectors)
    if values.dtype.kind not in "iuf" or values.ndim != rank or not values.size:
        raise ValueError(f"{name}: expected {'(D,)' if rank == 1 else '(N, D)'} numbers, got {values.dtype} {values.shape}")
    values = values.astype(np.float64)
    largest = np.abs(values).max(axis=-1, keepdims=True)
    if not np.isfinite(values).all() or (largest == 0).any():
        raise ValueError(f"{name}: expected finite numbers, not all 0 in a vector")
    values /= largest  # so that no square overflows, or becomes 0
    result: NDArray[np.float64] = values / np.linalg.norm(values, axis=-1, keepdims=True)
    return result


def best_partner(seeker: str, partners: Sequence[str], scorer: PairScorer) -> int | None:
    """The partner whose statement goes best with the seeker's, by a model that scores pairs; of equals the first, None if there is none."""
    return _best([scorer(seeker, one) for one in partners], above=-np.inf)


def select_memory(history: str, memories: Sequence[str], scorer: PairScorer) -> int | None:
    """Which memory is worth bringing up now: the one of the highest score, of equals the first; None unless that is above 0.

    Args:
        history: What was said so far.
        memories: `Profile.memories(role)`, or any others.
        scorer: Called once for each of them.

    Raises:
        ValueError: A score is no number.
    """
    return _best([scorer(history, one) for one in memories], above=0.0)


def _best(scores: Sequence[float], *, above: float) -> int | None:
    values = [float(score) for score in scores]
    if any(np.isnan(value) for value in values):
        raise ValueError(f"scorer: expected numbers, got {values}")
    best = max(values, default=-np.inf)
    return values.index(best) if best > above else None


class CosineScorer:
    """A `PairScorer` of any text embedding: the cosine, less what counts as good enough.

    It is a stand-in for CharacterChat's trained selector, whose weights nobody may pass on: likeness is not the same as fitting.
    """

    def __init__(self, embed: Embed, *, threshold: float = 0.6) -> None:
        """Take an embedding.

        Args:
            embed: A `TextEmbedding`, or a function from texts to (N, D).
            threshold: [-1, 1]: the cosine that becomes 0. It depends on the embedding: of bge-small-en unrelated texts have 0.4 to 0.6.

        Raises:
            ValueError: It is out of range.
        """
        if not -1.0 <= threshold <= 1.0:
            raise ValueError(f"threshold: expected a number in [-1, 1], got {threshold}")
        self._embed, self._threshold = embed, threshold

    def __call__(self, first: str, second: str) -> float:
        """The cosine of the two, less the threshold."""
        one, other = _unit(self._embed([first, second]), "embed", 2)
        return float(one @ other) - self._threshold
