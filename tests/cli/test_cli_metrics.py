"""Scores against figures worked out by hand, and against definitions spelled out in plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from affectrt import metrics
from hypothesis import given
from hypothesis import strategies as st

LABELS = ("a", "b", "c")


def test_single_label_by_hand() -> None:
    # true    a a a b b c        a: 2 hits of 3 given, 3 real; b: 1 of 2, 2 real; c: 0 of 1, 1 real
    # given   a a b b c a
    scores = metrics.single_label(np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 0]), LABELS)
    assert scores.confusion == ((2, 1, 0), (0, 1, 1), (1, 0, 0))
    assert scores.accuracy == pytest.approx(0.5)
    assert [c.precision for c in scores.classes] == pytest.approx([2 / 3, 1 / 2, 0])
    assert [c.recall for c in scores.classes] == pytest.approx([2 / 3, 1 / 2, 0])
    assert [c.f1 for c in scores.classes] == pytest.approx([2 / 3, 1 / 2, 0])
    assert scores.macro_f1 == pytest.approx((2 / 3 + 1 / 2) / 3)
    assert scores.micro_f1 == pytest.approx(0.5)
    assert [(c.support, c.predicted) for c in scores.classes] == [(3, 3), (2, 2), (1, 1)]


def test_multi_label_by_hand() -> None:
    truth = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]], bool)
    given_ = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 1], [0, 0, 0]], bool)
    scores = metrics.multi_label(truth, given_, LABELS)
    assert scores.accuracy == pytest.approx(0.5)  # the first and the last row are exact
    assert scores.confusion == ((2, 0, 0, 2), (2, 1, 1, 0), (3, 0, 0, 1))
    assert [c.f1 for c in scores.classes] == pytest.approx([1, 0, 1])
    assert scores.micro_f1 == pytest.approx(2 * 3 / (4 + 4))
    assert scores.macro_f1 == pytest.approx(2 / 3)


def brute_f1(truth: np.ndarray, predicted: np.ndarray) -> float:
    hits = sum(1 for t, p in zip(truth, predicted, strict=True) if t and p)
    given_, real = int(sum(predicted)), int(sum(truth))
    precision = hits / given_ if given_ else 0.0
    recall = hits / real if real else 0.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
def test_single_label_by_brute_force(pairs: list[tuple[int, int]]) -> None:
    truth, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    scores = metrics.single_label(truth, predicted, ("a", "b", "c", "d"))
    f1 = [brute_f1(truth == i, predicted == i) for i in range(4)]
    assert [c.f1 for c in scores.classes] == pytest.approx(f1)
    assert scores.macro_f1 == pytest.approx(sum(f1) / 4)
    assert scores.accuracy == pytest.approx(scores.micro_f1) == pytest.approx(float(np.mean(truth == predicted)))
    assert sum(map(sum, scores.confusion)) == len(pairs)


@given(st.lists(st.tuples(st.tuples(*[st.booleans()] * 3), st.tuples(*[st.booleans()] * 3)), min_size=1, max_size=40))
def test_multi_label_by_brute_force(rows: list[tuple[tuple[bool, ...], tuple[bool, ...]]]) -> None:
    truth, predicted = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    scores = metrics.multi_label(truth, predicted, LABELS)
    assert [c.f1 for c in scores.classes] == pytest.approx([brute_f1(truth[:, i], predicted[:, i]) for i in range(3)])
    assert scores.micro_f1 == pytest.approx(brute_f1(truth.ravel(), predicted.ravel()))
    assert scores.accuracy == pytest.approx(sum(t == p for t, p in rows) / len(rows))


@pytest.mark.parametrize(
    ("truth", "predicted", "said"),
    [([0, 3], [0, 0], "got 0 to 3"), ([0], [0, 1], "equal shape"), ([], [], "no examples"), ([-1], [0], "got -1")],
)
def test_what_does_not_fit_is_refused(truth: list[int], predicted: list[int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        metrics.single_label(np.array(truth, int), np.array(predicted, int), LABELS)
