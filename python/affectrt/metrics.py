"""How right a classifier is: accuracy, precision, recall, F1 and confusion, in plain NumPy.

One definition throughout: with no true and no predicted example of a class its precision, recall and F1 are 0 (as scikit-learn does
with `zero_division=0`), and the macro average runs over every class of `labels`, seen or not (`affectrt eval` gives
those of the pack, also the ones that the data has no word for).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ClassScore:
    """How one class fared."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    """Examples that truly have the class."""
    predicted: int
    """Examples that were given the class."""


@dataclass(frozen=True, slots=True)
class Scores:
    """How a data set fared."""

    examples: int
    accuracy: float
    """Share of examples answered right; with several labels an example counts only if all of them are."""
    macro_f1: float
    micro_f1: float
    macro_precision: float
    macro_recall: float
    micro_precision: float
    micro_recall: float
    classes: tuple[ClassScore, ...]
    confusion: tuple[tuple[int, ...], ...]
    """One label each: [true][predicted]. Several: for each class (true negatives, false positives, false negatives, true positives)."""
    multi_label: bool


@dataclass(frozen=True, slots=True)
class GroupScore:
    """How the examples of one group fared."""

    group: str
    examples: int
    accuracy: float
    """As in `Scores`."""
    macro_f1: float
    """Over the classes that the group truly has, so that one which it lacks does not count as a failure; 0 if it has none."""
    small: bool
    """Whether it has too few examples to be compared with others."""


@dataclass(frozen=True, slots=True)
class Gap:
    """How far the worst group is under the best; the first by name where several are alike."""

    best: str
    worst: str
    difference: float
    """[0, 1]."""


@dataclass(frozen=True, slots=True)
class Slices:
    """The same figures for each group of people, recordings or whatever the data tells apart."""

    least: int
    """Fewer examples than this are a small group."""
    groups: tuple[GroupScore, ...]
    """By name."""
    accuracy_gap: Gap | None
    """Among the groups that are not small; None if there are fewer than two."""
    macro_f1_gap: Gap | None


LEAST_GROUP = 30
"""Of a share of one half the standard error is 0.09 with so many examples: a gap under that says nothing yet."""


def single_label(truth: NDArray[np.integer], predicted: NDArray[np.integer], labels: Sequence[str]) -> Scores:
    """Score one label an example: `truth` and `predicted` are (N,) indices into `labels`. ValueError for what does not fit."""
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    count = len(labels)
    _check(truth, predicted, 1)
    for name, values in (("truth", truth), ("predicted", predicted)):
        if values.min() < 0 or values.max() >= count:
            raise ValueError(f"{name}: indices from 0 to {count - 1} were expected, got {values.min()} to {values.max()}")
    confusion = np.zeros((count, count), dtype=np.int64)
    np.add.at(confusion, (truth, predicted), 1)
    hits = np.diag(confusion)
    return _scores(
        hits, confusion.sum(axis=0), confusion.sum(axis=1), labels, len(truth), float(hits.sum() / len(truth)), confusion, multi=False
    )


def multi_label(truth: NDArray[np.bool_], predicted: NDArray[np.bool_], labels: Sequence[str]) -> Scores:
    """Score any number of labels an example: `truth` and `predicted` are (N, C) bool. ValueError for shapes that do not fit."""
    truth, predicted = np.asarray(truth, dtype=bool), np.asarray(predicted, dtype=bool)
    _check(truth, predicted, 2)
    if truth.shape[1] != len(labels):
        raise ValueError(f"truth: {len(labels)} columns were expected, one for each label, got {truth.shape[1]}")
    hits = (truth & predicted).sum(axis=0)
    given, real = predicted.sum(axis=0), truth.sum(axis=0)
    cells = np.stack([len(truth) - given - real + hits, given - hits, real - hits, hits], axis=1)
    exact = float((truth == predicted).all(axis=1).mean())
    return _scores(hits, given, real, labels, len(truth), exact, cells, multi=True)


def by_group(
    truth: NDArray[np.generic], predicted: NDArray[np.generic], labels: Sequence[str], groups: Sequence[str], *, least: int = LEAST_GROUP
) -> Slices:
    """Score each group apart.

    Args:
        truth, predicted: As of `single_label` (rank 1) or `multi_label` (rank 2).
        labels: The classes.
        groups: (N,) the group of each example.
        least: A group with fewer examples is marked as small, and does not count in the gaps.

    Raises:
        ValueError: Shapes do not fit, or `least` is under 1.
    """
    truth, predicted, names = np.asarray(truth), np.asarray(predicted), np.asarray(groups)
    if names.shape != truth.shape[:1]:
        raise ValueError(f"groups: {len(truth)} names were expected, one for each example, got {names.shape}")
    if least < 1:
        raise ValueError(f"least: at least 1 was expected, got {least}")
    found = []
    for group in sorted(set(groups)):
        rows = names == group
        scores = (
            multi_label(truth[rows].astype(np.bool_), predicted[rows].astype(np.bool_), labels)
            if truth.ndim == 2
            else single_label(truth[rows].astype(np.int64), predicted[rows].astype(np.int64), labels)
        )
        own = [one.f1 for one in scores.classes if one.support]
        macro_f1 = float(np.mean(own)) if own else 0.0
        found.append(GroupScore(group, scores.examples, scores.accuracy, macro_f1, scores.examples < least))
    return Slices(
        least,
        tuple(found),
        _gap({one.group: one.accuracy for one in found if not one.small}),
        _gap({one.group: one.macro_f1 for one in found if not one.small}),
    )


def _gap(scores: Mapping[str, float]) -> Gap | None:
    if len(scores) < 2:
        return None
    best, worst = max(scores, key=lambda name: scores[name]), min(scores, key=lambda name: scores[name])
    return Gap(best, worst, scores[best] - scores[worst])


def pearson(truth: NDArray[np.floating], predicted: NDArray[np.floating]) -> float:
    """The linear correlation of (N,) and (N,) numbers, [-1, 1]. ValueError for shapes that do not fit, or if either does not vary."""
    truth, predicted = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    _check(truth, predicted, 1)
    a, b = truth - truth.mean(), predicted - predicted.mean()
    scale = math.sqrt(float(a @ a) * float(b @ b))
    if not scale > 0 or not math.isfinite(scale):
        raise ValueError("truth and predicted that vary and are finite were expected")
    return max(-1.0, min(1.0, float(a @ b) / scale))


def jaccard(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> float:
    """Mean over examples of what (N, C) label sets share over what either holds, [0, 1]; two empty sets agree (S. Mohammad et al.,
    SemEval-2018 task 1, "accuracy"). ValueError for shapes that do not fit."""
    truth, predicted = np.asarray(truth, dtype=bool), np.asarray(predicted, dtype=bool)
    _check(truth, predicted, 2)
    either = (truth | predicted).sum(axis=1)
    return float(np.where(either > 0, (truth & predicted).sum(axis=1) / np.maximum(either, 1), 1.0).mean())


def _check(truth: NDArray[np.generic], predicted: NDArray[np.generic], rank: int) -> None:
    if truth.ndim != rank or truth.shape != predicted.shape:
        raise ValueError(f"truth and predicted of rank {rank} and equal shape were expected, got {truth.shape} and {predicted.shape}")
    if not len(truth):
        raise ValueError("no examples to score")


def _ratio(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(np.shape(part), dtype=np.float64), where=np.asarray(whole) > 0)


def _scores(
    hits: NDArray[np.int64],
    given: NDArray[np.int64],
    real: NDArray[np.int64],
    labels: Sequence[str],
    examples: int,
    accuracy: float,
    confusion: NDArray[np.int64],
    *,
    multi: bool,
) -> Scores:
    precision, recall, f1 = _ratio(hits, given), _ratio(hits, real), _ratio(2 * hits, given + real)
    all_hits, all_given, all_real = (np.asarray(part.sum()) for part in (hits, given, real))
    return Scores(
        examples=examples,
        accuracy=accuracy,
        macro_f1=float(f1.mean()),
        micro_f1=float(_ratio(2 * all_hits, all_given + all_real)),
        macro_precision=float(precision.mean()),
        macro_recall=float(recall.mean()),
        micro_precision=float(_ratio(all_hits, all_given)),
        micro_recall=float(_ratio(all_hits, all_real)),
        classes=tuple(
            ClassScore(label, float(precision[i]), float(recall[i]), float(f1[i]), int(real[i]), int(given[i]))
            for i, label in enumerate(labels)
        ),
        confusion=tuple(tuple(int(cell) for cell in row) for row in confusion),
        multi_label=multi,
    )
