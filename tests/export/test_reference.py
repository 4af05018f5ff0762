"""The NumPy reference itself, against cases that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from affectrt_export import reference

RNG = np.random.default_rng(3)
IMAGE = RNG.integers(0, 256, (7, 11, 3), dtype=np.uint8)
CONTRACT = {
    "layout": "nchw",
    "color": "rgb",
    "width_px": 11,
    "height_px": 7,
    "mean": [0.0] * 3,
    "scale": [1.0] * 3,
    "pad_value": [9.0, 8.0, 7.0],
    "fit": "stretch",
}


def test_the_whole_picture_at_its_own_size_is_the_picture() -> None:
    assert (reference.image_tensor(IMAGE, "rgb8", CONTRACT)[0].transpose(1, 2, 0) == IMAGE).all()


def test_bgr_nhwc_and_normalisation() -> None:
    contract = {**CONTRACT, "layout": "nhwc", "mean": [1.0, 2.0, 3.0], "scale": [2.0, 0.5, 4.0]}
    value = reference.image_tensor(np.ascontiguousarray(IMAGE[..., ::-1]), "bgr8", contract)
    assert np.allclose(value[0], (IMAGE.astype(np.float32) - [1, 2, 3]) * [2, 0.5, 4])


def test_twice_the_size_samples_at_quarter_pixels() -> None:
    row = np.array([[0, 100]], np.uint8)
    contract = {**CONTRACT, "color": "gray", "width_px": 4, "height_px": 1, "mean": [0.0], "scale": [1.0], "pad_value": [0.0]}
    assert reference.image_tensor(row, "mono8", contract).ravel().tolist() == [0, 25, 75, 100]


def test_letterbox_pads_evenly_with_the_pad_value() -> None:
    value = reference.image_tensor(IMAGE, "rgb8", {**CONTRACT, "fit": "letterbox", "width_px": 11, "height_px": 11})[0]
    assert np.allclose(value[:, 2:9].transpose(1, 2, 0), IMAGE, atol=1e-3)
    for rows in (value[:, :2], value[:, 9:]):
        assert (rows == np.array([9, 8, 7], np.float32)[:, None, None]).all()


def test_gray_is_bt601() -> None:
    value = reference.to_color(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.float32), "rgb8", "gray")
    assert np.allclose(value.ravel(), [76.245, 149.685, 29.07], atol=1e-3)


def test_a_turned_crop_levels_the_eyes() -> None:
    crop = {"kind": "box", "scale": 1.0, "shift_x": 0.0, "shift_y": 0.0, "square": True, "rotate": True}
    region = reference.box_region([0, 0, 10, 6], crop, right_eye=(5, 1), left_eye=(5, 5))  # the head lies on its side
    centre = region @ np.array([0.5, 0.5, 1])
    right = region @ np.array([1.0, 0.5, 1])
    assert np.allclose(centre, [5, 3]) and np.allclose(right, [5, 8])  # the crop's right is the picture's down


@pytest.mark.parametrize("angle", [0.0, 0.7, 3.0])
def test_similarity_finds_the_motion_it_was_given(angle: float) -> None:
    points = RNG.normal(size=(6, 2)).astype(np.float32)
    c, s = 1.7 * np.cos(angle), 1.7 * np.sin(angle)
    motion = np.array([[c, -s, 3], [s, c, -2]])
    moved = (points @ motion[:, :2].T + motion[:, 2]).astype(np.float32)
    assert np.allclose(reference.similarity(points, moved), motion, atol=1e-5)


def test_anchor_centres() -> None:
    centres = reference.anchors({"strides": [4, 8], "anchors_per_cell": [1, 2]}, 8, 16)
    assert len(centres) == 2 * 4 + 2 * 2
    assert centres[:3].tolist() == [[2, 2], [6, 2], [2, 6]]
    assert centres[8:].tolist() == [[4, 4], [4, 4], [4, 12], [4, 12]]


def test_weighted_nms_averages_what_overlaps_and_keeps_what_does_not() -> None:
    rows = np.array([[0.5, 1, 0, 11, 10], [1.0, 0, 0, 10, 10], [0.9, 50, 50, 60, 60]], np.float32)
    out = reference.weighted_nms(rows, 0.3)
    assert np.allclose(out, [[1.0, 1 / 3, 0, 10 + 1 / 3, 10], [0.9, 50, 50, 60, 60]])


def test_no_detections_is_an_empty_table() -> None:
    rule = {"strides": [8], "anchors_per_cell": [1], "box_scale_px": 16, "score_clip": 100.0, "score_threshold": 0.5, "iou_threshold": 0.3}
    contract = {**CONTRACT, "width_px": 16, "height_px": 16, "fit": "letterbox"}
    boxes, scores = np.zeros((1, 4, 16), np.float32), np.full((1, 4, 1), -9, np.float32)
    assert reference.detections(boxes, scores, rule, contract, IMAGE).shape == (0, 17)
