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


def test_groups_of_one_label_by_hand() -> None:
    # group    x x x x  y y y  z      x: 3 of 4 right, y: 1 of 3, z: 1 of 1, which is too few to be compared
    # true     a a b b  a b c  c      F1 in x: a 2*2/(3+2), b 2*1/(1+2)
    # given    a a a b  b b a  c      in y: a 0, b 2*1/(2+1), c 0; in z: c 1
    truth, given_ = np.array([0, 0, 1, 1, 0, 1, 2, 2]), np.array([0, 0, 0, 1, 1, 1, 0, 2])
    slices = metrics.by_group(truth, given_, LABELS, list("xxxxyyyz"), least=2)
    assert [(one.group, one.examples, one.small) for one in slices.groups] == [("x", 4, False), ("y", 3, False), ("z", 1, True)]
    assert [one.accuracy for one in slices.groups] == pytest.approx([3 / 4, 1 / 3, 1])
    assert [one.macro_f1 for one in slices.groups] == pytest.approx([(4 / 5 + 2 / 3) / 2, (0 + 2 / 3 + 0) / 3, 1])
    assert slices.accuracy_gap is not None and slices.macro_f1_gap is not None
    assert (slices.accuracy_gap.best, slices.accuracy_gap.worst) == ("x", "y") == (slices.macro_f1_gap.best, slices.macro_f1_gap.worst)
    assert slices.accuracy_gap.difference == pytest.approx(3 / 4 - 1 / 3)
    assert slices.macro_f1_gap.difference == pytest.approx(11 / 15 - 2 / 9)
    # With the least of one the single example counts, and is the best.
    whole = metrics.by_group(truth, given_, LABELS, list("xxxxyyyz"), least=1)
    assert whole.accuracy_gap == metrics.Gap("z", "y", pytest.approx(2 / 3))
    assert metrics.by_group(truth, given_, LABELS, list("xxxxyyyz"), least=4).accuracy_gap is None
    assert metrics.by_group(truth, given_, LABELS, list("xxxxyyyz")).least == metrics.LEAST_GROUP == 30


def test_groups_of_many_labels_by_hand() -> None:
    truth = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 0, 0]], bool)
    given_ = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 1], [0, 0, 0]], bool)
    slices = metrics.by_group(truth, given_, LABELS, ["m", "m", "n", "o"], least=1)
    assert [one.accuracy for one in slices.groups] == [0.5, 0.0, 1.0]  # exact: one of two, none of one, nothing where nothing is
    assert [one.macro_f1 for one in slices.groups] == [0.5, 1.0, 0.0]  # a 1, b 0; c 1; no class at all
    assert slices.accuracy_gap == metrics.Gap("o", "n", 1.0)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from("pqr")), min_size=1, max_size=60), st.integers(1, 20))
def test_groups_are_parts_of_the_whole(rows: list[tuple[int, int, str]], least: int) -> None:
    truth, predicted, groups = np.array([r[0] for r in rows]), np.array([r[1] for r in rows]), [r[2] for r in rows]
    slices = metrics.by_group(truth, predicted, LABELS, groups, least=least)
    assert sum(one.examples for one in slices.groups) == len(rows)
    right = sum(one.accuracy * one.examples for one in slices.groups)
    assert right / len(rows) == pytest.approx(metrics.single_label(truth, predicted, LABELS).accuracy)
    compared = [one.accuracy for one in slices.groups if not one.small]
    assert (slices.accuracy_gap is None) == (len(compared) < 2)
    if slices.accuracy_gap is not None:
        assert slices.accuracy_gap.difference == pytest.approx(max(compared) - min(compared))
    for one in slices.groups:
        own = [i for i, group in enumerate(groups) if group == one.group]
        f1 = [brute_f1(truth[own] == k, predicted[own] == k) for k in range(3) if (truth[own] == k).any()]
        assert one.macro_f1 == pytest.approx(sum(f1) / len(f1)) and one.small == (len(own) < least)


def test_groups_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"groups: 2 names were expected, one for each example, got \(3,\)"):
        metrics.by_group(np.zeros(2, int), np.zeros(2, int), LABELS, ["x"] * 3)
    with pytest.raises(ValueError, match="least: at least 1 was expected, got 0"):
        metrics.by_group(np.zeros(1, int), np.zeros(1, int), LABELS, ["x"], least=0)
