"""Plain NumPy reference of what docs/pack-format.md says: preprocessing and decoding, written for reading, not for speed.

Golden vectors are computed with it, and the native operators are tested against it. It shares no code with them on purpose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # BT.601, which is what the gray training sets were made with


def whole(image: U8) -> F32:
    """The region that is the whole picture: a (2, 3) map from crop coordinates in [0, 1] to picture pixels (edges, not centres)."""
    return np.array([[image.shape[1], 0, 0], [0, image.shape[0], 0]], np.float32)


def letterboxed(region: F32, width_px: int, height_px: int) -> F32:
    """Widens an upright `region` (2, 3) about its centre to the aspect ratio of the tensor."""
    w, h = float(region[0, 0]), float(region[1, 1])
    scale = min(width_px / w, height_px / h)
    full_w, full_h = width_px / scale, height_px / scale
    return np.array([[full_w, 0, region[0, 2] - (full_w - w) / 2], [0, full_h, region[1, 2] - (full_h - h) / 2]], np.float32)


def box_region(
    box: Sequence[float] | F32, crop: Mapping[str, Any], right_eye: Sequence[float] | F32 = (0, 0), left_eye: Sequence[float] | F32 = (1, 0)
) -> F32:
    """The `box` crop of docs/pack-format.md: (2, 3) map from crop coordinates in [0, 1] to picture pixels.

    `box` is x0, y0, x1, y1 in pixels; the eyes are the subject's, in pixels, and are used only when the crop rotates.
    """
    x0, y0, x1, y1 = (float(v) for v in box)
    w, h = x1 - x0, y1 - y0
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
    angle = 0.0
    if crop["rotate"]:
        angle = float(np.arctan2(left_eye[1] - right_eye[1], left_eye[0] - right_eye[0]))
    c, s = float(np.cos(angle)), float(np.sin(angle))
    dx, dy = crop["shift_x"] * w, crop["shift_y"] * h
    cx, cy = cx + c * dx - s * dy, cy + s * dx + c * dy
    if crop["square"]:
        w = h = max(w, h)
    w, h = w * crop["scale"], h * crop["scale"]
    return np.array([[c * w, -s * h, cx - (c * w - s * h) / 2], [s * w, c * h, cy - (s * w + c * h) / 2]], np.float32)


def similarity(source: F32, target: F32) -> npt.NDArray[np.float64]:
    """Least-squares similarity (2, 3) that takes `source` (K, 2) to `target` (K, 2), no reflection (Umeyama, 1991)."""
    a, b = source.astype(np.float64), target.astype(np.float64)
    ma, mb = a.mean(0), b.mean(0)
    u, d, vt = np.linalg.svd((b - mb).T @ (a - ma) / len(a))
    sign = np.array([1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = u @ np.diag(sign) @ vt
    scale = float((d * sign).sum() / (a - ma).var(0).sum())
    return np.concatenate([scale * rotation, (mb - scale * rotation @ ma)[:, None]], 1)


def key_point_region(points: F32, template: F32, width_px: int, height_px: int) -> F32:
    """The `key_points` crop: (2, 3) map from crop coordinates in [0, 1] to picture pixels.

    `points` (K, 2) are picture pixels (edges: pixel i covers [i, i + 1]), `template` (K, 2) tensor pixels on the same terms.
    """
    back = np.linalg.inv(np.vstack([similarity(points, template), [0, 0, 1]]))[:2]
    return np.asarray(back * np.array([width_px, height_px, 1.0]), np.float32)


def sample(image: U8, region: F32, width_px: int, height_px: int, pad: Sequence[float]) -> F32:
    """Bilinear samples of `image` (H, W) or (H, W, C) over `region`: (height_px, width_px, C) float32 in pixel values."""
    picture = image[..., None] if image.ndim == 2 else image
    height, width = picture.shape[:2]
    u = (np.arange(width_px, dtype=np.float64) + 0.5) / width_px
    v = (np.arange(height_px, dtype=np.float64) + 0.5) / height_px
    x = region[0, 0] * u[None, :] + region[0, 1] * v[:, None] + region[0, 2] - 0.5
    y = region[1, 0] * u[None, :] + region[1, 1] * v[:, None] + region[1, 2] - 0.5
    outside = (x < -0.5) | (x > width - 0.5) | (y < -0.5) | (y > height - 0.5)
    x0, y0 = np.floor(x), np.floor(y)
    fx, fy = (x - x0)[..., None], (y - y0)[..., None]
    xa, xb = np.clip([x0, x0 + 1], 0, width - 1).astype(np.int64)
    ya, yb = np.clip([y0, y0 + 1], 0, height - 1).astype(np.int64)
    top = picture[ya, xa] * (1 - fx) + picture[ya, xb] * fx
    bottom = picture[yb, xa] * (1 - fx) + picture[yb, xb] * fx
    out = top * (1 - fy) + bottom * fy
    out[outside] = np.asarray(pad, np.float64)
    return np.asarray(out, np.float32)


def to_color(pixels: F32, source: str, target: str) -> F32:
    """(H, W, C) of pixel values from encoding `source` (rgb8, bgr8, mono8) to `target` (rgb, bgr, gray)."""
    if source == "mono8":
        return pixels if target == "gray" else np.repeat(pixels, 3, -1)
    rgb = pixels if source == "rgb8" else pixels[..., ::-1]
    if target == "gray":
        return (rgb @ _LUMA)[..., None]
    return rgb if target == "rgb" else rgb[..., ::-1]


def image_tensor(image: U8, color: str, contract: Mapping[str, Any], region: F32 | None = None) -> F32:
    """One image input of a pack: (1, C, H, W) or (1, H, W, C) float32 as the `contract` says."""
    width, height = contract["width_px"], contract["height_px"]
    area = whole(image) if region is None else region
    if contract["fit"] == "letterbox":
        area = letterboxed(area, width, height)
    # The pad value is in the colour order of the tensor, so colour comes first and sampling second; both are linear.
    pixels = to_color(np.atleast_3d(image).astype(np.float32), color, contract["color"])
    value = sample(pixels, area, width, height, contract["pad_value"])  # type: ignore[arg-type]
    value = (value - np.asarray(contract["mean"], np.float32)) * np.asarray(contract["scale"], np.float32)
    return np.ascontiguousarray(value.transpose(2, 0, 1) if contract["layout"] == "nchw" else value)[None]


def anchors(decode: Mapping[str, Any], width_px: int, height_px: int) -> F32:
    """Anchor centres (N, 2) in tensor pixels, cells in row order, the anchors of one cell next to each other."""
    out = []
    for stride, count in zip(decode["strides"], decode["anchors_per_cell"], strict=True):
        ys, xs = np.mgrid[0 : -(-height_px // stride), 0 : -(-width_px // stride)]
        centre = (np.stack([xs, ys], -1).reshape(-1, 2) + 0.5) * stride
        out.append(np.repeat(centre, count, 0))
    return np.concatenate(out).astype(np.float32)


def detections(boxes: F32, scores: F32, decode: Mapping[str, Any], contract: Mapping[str, Any], image: U8) -> F32:
    """Network outputs (1, N, 4 + 2K) and (1, N, 1) to (M, 5 + 2K): score, x0, y0, x1, y1, key points, in pixels of `image`."""
    width, height = contract["width_px"], contract["height_px"]
    logit = np.clip(scores.reshape(-1), -decode["score_clip"], decode["score_clip"]).astype(np.float64)
    score = 1 / (1 + np.exp(-logit))
    keep = score >= decode["score_threshold"]
    centre = anchors(decode, width, height)[keep]
    raw = boxes.reshape(len(keep), -1, 2)[keep] * (width / decode["box_scale_px"])
    half = raw[:, 1] / 2
    points = raw[:, 2:] + centre[:, None]
    middle = raw[:, 0] + centre
    flat = np.concatenate([middle[:, None] - half[:, None], middle[:, None] + half[:, None], points], 1)
    region = letterboxed(whole(image), width, height) if contract["fit"] == "letterbox" else whole(image)
    flat = flat / np.array([width, height]) * [region[0, 0], region[1, 1]] + region[:, 2]
    rows = np.concatenate([score[keep][:, None], flat.reshape(len(flat), 2 * flat.shape[1])], 1).astype(np.float32)
    return weighted_nms(rows, decode["iou_threshold"])


def overlap(a: F32, b: F32) -> F32:
    """Intersection over union of one box (4,) with boxes (N, 4), x0, y0, x1, y1."""
    side = np.maximum(np.minimum(a[2:], b[:, 2:]) - np.maximum(a[:2], b[:, :2]), 0)
    inter = side.prod(1)
    union = (a[2:] - a[:2]).prod() + (b[:, 2:] - b[:, :2]).prod(1) - inter
    return np.where(union > 0, inter / np.maximum(union, 1e-12), 0).astype(np.float32)


def weighted_nms(rows: F32, iou_threshold: float) -> F32:
    """Rows (N, 5 + 2K), score first: each best row takes the score-weighted mean of the rows that overlap it; sorted by score."""
    rest = rows[np.argsort(-rows[:, 0], kind="stable")]
    out = []
    while len(rest):
        same = overlap(rest[0, 1:5], rest[:, 1:5]) > iou_threshold
        same[0] = True
        weight = rest[same, :1]
        out.append(np.concatenate([rest[0, :1], (rest[same, 1:] * weight).sum(0) / weight.sum()]))
        rest = rest[~same]
    return np.stack(out).astype(np.float32) if out else np.zeros((0, rows.shape[1]), np.float32)
