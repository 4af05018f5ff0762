"""Plain float32/float64 NumPy twins of the operations: written for reading, not for speed."""

from __future__ import annotations

import numpy as np


def components(frame: np.ndarray, color: str) -> np.ndarray:
    """Any encoding to (H, W, 3) float64: R, G, B, or Y, U, V with each chroma sample given to the pixels it covers."""
    if color == "mono8":
        gray = frame.reshape(frame.shape[0], frame.shape[1])
        return np.repeat(gray[..., None], 3, axis=2).astype(np.float64)
    if color == "nv12":
        height = frame.shape[0] // 3 * 2
        uv = frame[height:].reshape(height // 2, -1, 2)
        return np.dstack([frame[:height], np.repeat(np.repeat(uv, 2, axis=0), 2, axis=1)]).astype(np.float64)
    if color == "yuv422_yuy2":
        chroma = frame[..., 1].reshape(frame.shape[0], -1, 2)
        return np.dstack([frame[..., 0], np.repeat(chroma, 2, axis=1)]).astype(np.float64)
    order = [2, 1, 0] if color.startswith("b") else [0, 1, 2]
    return frame[..., order].astype(np.float64)


def yuv_to_rgb(yuv: np.ndarray) -> np.ndarray:
    y, u, v = 255 / 219 * (yuv[..., 0] - 16), yuv[..., 1] - 128, yuv[..., 2] - 128
    red = y + 255 / 224 * 1.402 * v
    green = y - 255 / 224 * (0.344136 * u + 0.714136 * v)
    blue = y + 255 / 224 * 1.772 * u
    return np.clip(np.dstack([red, green, blue]), 0, 255)


def image_to_tensor(frame, color, to_source, width, height, layout, tensor_color, mean, scale, pad_value):
    source = components(frame, color)
    rows, columns = source.shape[:2]
    a, b, c, d, e, f = (np.float32(v) for v in to_source)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    sx, sy = (a * x + (b * y + c)).astype(np.float64), (d * x + (e * y + f)).astype(np.float64)
    inside = (sx >= -0.5) & (sx <= columns - 0.5) & (sy >= -0.5) & (sy <= rows - 0.5)
    x0, y0 = np.clip(np.floor(sx), 0, columns - 1).astype(int), np.clip(np.floor(sy), 0, rows - 1).astype(int)
    x1, y1 = np.minimum(x0 + 1, columns - 1), np.minimum(y0 + 1, rows - 1)
    fx, fy = np.clip(sx - x0, 0, 1)[..., None], np.clip(sy - y0, 0, 1)[..., None]
    top = source[y0, x0] * (1 - fx) + source[y0, x1] * fx
    bottom = source[y1, x0] * (1 - fx) + source[y1, x1] * fx
    pixels = top * (1 - fy) + bottom * fy
    if color in ("nv12", "yuv422_yuy2"):
        pixels = yuv_to_rgb(pixels)
    if tensor_color == "gray":
        pixels = pixels @ np.array([0.299, 0.587, 0.114])[:, None]
    elif tensor_color == "bgr":
        pixels = pixels[..., ::-1]
    pixels = np.where(inside[..., None], pixels, np.asarray(pad_value, np.float64))
    result = (pixels - np.asarray(mean)) * np.asarray(scale)
    return (result.transpose(2, 0, 1) if layout == "nchw" else result).astype(np.float32)


def near_edge(to_source, width, height, columns, rows, within=1e-3):
    """Tensor pixels so near the picture's edge that rounding decides whether they lie inside."""
    a, b, c, d, e, f = to_source
    x, y = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    sx, sy = a * x + b * y + c, d * x + e * y + f
    distance = np.minimum.reduce([abs(sx + 0.5), abs(sx - columns + 0.5), abs(sy + 0.5), abs(sy - rows + 0.5)])
    return distance < within


def umeyama(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The similarity that takes target to source, by the singular value decomposition of the paper (without reflection)."""
    p, q = target.astype(np.float64), source.astype(np.float64)
    pm, qm = p.mean(0), q.mean(0)
    covariance = (q - qm).T @ (p - pm) / len(p)
    u, s, vt = np.linalg.svd(covariance)
    sign = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt)) or 1.0])
    rotation = u @ np.diag(sign) @ vt
    factor = (s * sign).sum() / ((p - pm) ** 2).sum(1).mean()
    linear = factor * rotation
    shift = qm - linear @ pm
    return np.array([linear[0, 0], linear[0, 1], shift[0], linear[1, 0], linear[1, 1], shift[1]])


def anchors(strides, per_cell, width, height):
    result = []
    for stride, count in zip(strides, per_cell, strict=True):
        columns, rows = -(-width // stride), -(-height // stride)
        for row in range(rows):
            for column in range(columns):
                result += [((column + 0.5) * stride, (row + 0.5) * stride)] * count
    return np.array(result)


def decode(scores, boxes, points, unit, threshold):
    rows = []
    for score, box, (ax, ay) in zip(scores, boxes * np.float64(unit), points, strict=True):
        probability = 1 / (1 + np.exp(-np.clip(np.float64(score), -100, 100)))
        if not probability >= threshold or not np.isfinite(box).all() or box[2] <= 0 or box[3] <= 0:
            continue
        x, y = ax + box[0], ay + box[1]
        rows.append(
            [
                probability,
                x - box[2] / 2,
                y - box[3] / 2,
                x + box[2] / 2,
                y + box[3] / 2,
                *(box[4:].reshape(-1, 2) + np.array([ax, ay])).ravel(),
            ]
        )
    rows.sort(key=lambda row: -row[0])
    return np.array(rows, np.float64).reshape(len(rows), 1 + boxes.shape[1])


def overlap(a, b):
    width, height = min(a[3], b[3]) - max(a[1], b[1]), min(a[4], b[4]) - max(a[2], b[2])
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return common / ((a[3] - a[1]) * (a[4] - a[2]) + (b[3] - b[1]) * (b[4] - b[2]) - common)


def weighted_nms(rows, threshold):
    rest, kept = list(np.asarray(rows, np.float64)), []
    while rest:
        best = rest[0]
        group = [row for i, row in enumerate(rest) if i == 0 or overlap(best, row) > threshold]
        rest = [row for i, row in enumerate(rest) if not (i == 0 or overlap(best, row) > threshold)]
        weights = np.array([row[0] for row in group])
        kept.append(np.concatenate([[best[0]], (np.array(group)[:, 1:] * weights[:, None]).sum(0) / weights.sum()]))
    return np.array(kept).reshape(len(kept), np.shape(rows)[1])
