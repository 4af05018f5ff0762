"""Alignment, detector decoding, suppression and smoothing against their NumPy twins."""

import math

import numpy as np
import pytest
import reference
from affectrt import _core
from hypothesis import given, settings
from hypothesis import strategies as st

points = st.lists(st.tuples(*[st.floats(-500, 500, width=32)] * 2), min_size=2, max_size=6)


@settings(max_examples=200, deadline=None)
@given(target=points, data=st.data())
def test_align_points_is_umeyamas_similarity(target, data):
    target = np.array(target, np.float32)
    source = np.array(
        data.draw(st.lists(st.tuples(*[st.floats(-500, 500, width=32)] * 2), min_size=len(target), max_size=len(target))), np.float32
    )
    if np.ptp(target, axis=0).max() < 1.0:  # ill-conditioned: points that all but coincide
        return
    got = np.array(_core.align_points(source, target))
    want = reference.umeyama(source, target)

    def error(m):  # the optimum may not be unique, the least error is
        mapped = target @ np.array([[m[0], m[3]], [m[1], m[4]]]) + [m[2], m[5]]
        return ((mapped - source) ** 2).sum()

    assert error(got) <= error(want) * (1 + 1e-3) + 1e-1
    assert got[0] == pytest.approx(got[4]) and got[1] == pytest.approx(-got[3])  # a similarity


def test_align_points_recovers_a_known_map():
    target = np.array([[10, 20], [50, 22], [30, 60]], np.float32)
    turn = 0.3
    linear = 1.7 * np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    source = (target @ linear.T + [5, -9]).astype(np.float32)
    np.testing.assert_allclose(
        _core.align_points(source, target), [linear[0, 0], linear[0, 1], 5, linear[1, 0], linear[1, 1], -9], atol=1e-4
    )


@pytest.mark.parametrize("count", [0, 1])
def test_align_points_needs_two(count):
    with pytest.raises(ValueError, match=f"at least 2 pairs of points, got {count}"):
        _core.align_points(np.zeros((count, 2), np.float32), np.zeros((count, 2), np.float32))


def test_align_points_needs_points_that_differ():
    with pytest.raises(ValueError, match="coincide"):
        _core.align_points(np.ones((3, 2), np.float32), np.ones((3, 2), np.float32))


def test_align_box_levels_the_eyes():
    # A face turned by 30 degrees: the right eye goes left of the left eye, at the same height, in the tensor.
    turn = math.radians(30)
    right, left = np.array([80.0, 100.0]), np.array([80.0, 100.0]) + 40 * np.array([math.cos(turn), math.sin(turn)])
    row = np.array([[0.9, 60, 60, 140, 160, *right, *left]], np.float32)
    a, b, c, d, e, f = _core.align_box(row, scale=1.5, rotate=True, width=64, height=64)
    inverse = np.linalg.inv(np.array([[a, b, c], [d, e, f], [0, 0, 1]]))
    eyes = [(inverse @ [*(eye - 0.5), 1])[:2] for eye in (right, left)]
    assert eyes[0][1] == pytest.approx(eyes[1][1], abs=1e-3)
    assert eyes[1][0] - eyes[0][0] == pytest.approx(40 / 150 * 64, rel=1e-4)  # the longer side, 100, times 1.5, is 64 tensor pixels
    centre = (inverse @ [99.5, 109.5, 1])[:2]
    np.testing.assert_allclose(centre, [31.5, 31.5], atol=1e-3)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("strides", "per_cell", "size", "key_points"), [([8, 16], [2, 6], 128, 6), ([4], [1], 192, 6), ([16], [1], 16, 0), ([32], [3], 97, 1)]
)
def test_decode_and_suppress(seed, strides, per_cell, size, key_points):
    rng = np.random.default_rng(seed)
    anchors = reference.anchors(strides, per_cell, size, size)
    scores = rng.normal(-1, 2, len(anchors)).astype(np.float32)
    boxes = rng.normal(0, 20, (len(anchors), 4 + 2 * key_points)).astype(np.float32)
    scores[::17], boxes[5::31, 0] = np.nan, np.inf  # a network that has lost its mind
    options = {"strides": strides, "anchors_per_cell": per_cell, "width": size, "height": size, "unit_px": 0.75, "key_points": key_points}
    got = _core.decode_detections(scores, boxes, score_threshold=0.6, **options)
    want = reference.decode(scores, boxes, anchors, 0.75, 0.6)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-2)
    for threshold in (0.0, 0.3, 1.0):
        np.testing.assert_allclose(
            _core.weighted_nms(got, iou_threshold=threshold), reference.weighted_nms(got, threshold), rtol=1e-4, atol=1e-2
        )


def test_decode_says_what_it_expected():
    with pytest.raises(ValueError, match="expected 64 scores and boxes of 16 values, got 63 scores"):
        _core.decode_detections(
            np.zeros(63, np.float32),
            np.zeros((64, 16), np.float32),
            strides=[2],
            anchors_per_cell=[1],
            width=16,
            height=16,
            score_threshold=0.5,
            key_points=6,
        )


@given(
    state=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=11),
    dt=st.floats(0, 1e4, width=32),
    tau=st.floats(1, 1e4, width=32),
    sample=st.floats(0, 1, width=32),
)
def test_smooth(state, dt, tau, sample):
    state = np.array(state, np.float32)
    target = np.full_like(state, sample)
    got = _core.smooth(state, target, dt_ms=dt, tau_ms=tau)
    np.testing.assert_allclose(got, state + (1 - math.exp(-dt / tau)) * (target - state), atol=1e-6)
    # Two half steps are one whole step.
    half = _core.smooth(_core.smooth(state, target, dt_ms=dt / 2, tau_ms=tau), target, dt_ms=dt / 2, tau_ms=tau)
    np.testing.assert_allclose(got, half, atol=1e-5)


def test_smooth_without_time_or_constant():
    state, sample = np.zeros(3, np.float32), np.ones(3, np.float32)
    np.testing.assert_array_equal(_core.smooth(state, sample, dt_ms=-5, tau_ms=100), state)
    np.testing.assert_array_equal(_core.smooth(state, sample, dt_ms=0, tau_ms=0), sample)
    with pytest.raises(ValueError, match="expected 3 values, got 2"):
        _core.smooth(state, sample[:2], dt_ms=1, tau_ms=1)
