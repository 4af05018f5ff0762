"""How right a classifier is: accuracy, precision, recall, F1 and confusion, in plain NumPy.

One definition throughout: with no true and no predicted example of a class its precision, recall and F1 are 0 (as scikit-learn does
with `zero_division=0`), and the macro average runs over every class of `labels`, seen or not (`affectrt eval` gives
those of the pack, also the ones that the data has no word for).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
