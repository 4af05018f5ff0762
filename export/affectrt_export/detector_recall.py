"""How many faces a detector finds at a given face height in a 640x480 frame, and how many it sees where there are none.

Faces are those of real photos and videos. Each is scaled, with its own surroundings, until its box has the height asked for, and put
anywhere in a picture without faces. The height is that of the detector's own box on the full-resolution picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from affectrt_export import photos
from affectrt_export.reference import F32, U8, overlap, weighted_nms

Detector = Callable[[U8], F32]
FRAME_PX = (640, 480)


@dataclass(frozen=True)
class Face:
    """A real face: its picture and its box x0, y0, x1, y1 in pixels."""

    image: U8
    box: F32


def faces(detect: Detector, cache: Path) -> list[Face]:
    """The faces of all photos and videos, found in overlapping tiles, each box taken from a close-up of the face."""
    pictures = [photos.astronaut(), *(photos.portrait(name, cache) for name in photos.PORTRAITS)]
    for name, every in photos.VIDEOS:
        pictures += photos.video(name, every, cache)
    found = []
    for image in pictures:
        height, width = image.shape[:2]
        tiles = [(0, 0, width, height)]
        tiles += [(x, y, x + width // 2, y + height // 2) for x in (0, width // 4, width // 2) for y in (0, height // 4, height // 2)]
        rows = []
        for x0, y0, x1, y1 in tiles:
            for row in detect(image[y0:y1, x0:x1]):
                box = row[1:5] + np.array([x0, y0, x0, y0])
                middle, half = (box[:2] + box[2:]) / 2, float(max(box[2:] - box[:2])) * 1.25
                left, top = np.maximum(middle - half, 0).astype(int)
                right, bottom = np.minimum(middle + half, [width, height]).astype(int)
                close = detect(image[top:bottom, left:right]) if min(right - left, bottom - top) > 20 else np.zeros((0, 5), np.float32)
                if len(close):
                    rows.append(np.concatenate([close[0, :1], close[0, 1:5] + [left, top, left, top]]))
        if rows:
            found += [Face(image, row[1:5]) for row in weighted_nms(np.stack(rows).astype(np.float32), 0.3)]
    return found


def frame(face: Face, height_px: int, background: U8, rng: np.random.Generator) -> tuple[U8, F32]:
    """A 640x480 frame with the face `height_px` high at a random place, and its box there."""
    scale = height_px / float(face.box[3] - face.box[1])
    height, width = (max(1, round(side * scale)) for side in face.image.shape[:2])
    small = photos.resized(face.image, width, height)
    box = face.box * np.array([width / face.image.shape[1], height / face.image.shape[0]] * 2, np.float32)
    out = photos.resized(background, *FRAME_PX).copy()
    x = int(rng.integers(0, int(FRAME_PX[0] - (box[2] - box[0])))) - int(box[0])
    y = int(rng.integers(0, int(FRAME_PX[1] - (box[3] - box[1])))) - int(box[1])
    left, top, right, bottom = max(0, x), max(0, y), min(FRAME_PX[0], x + width), min(FRAME_PX[1], y + height)
    out[top:bottom, left:right] = small[top - y : bottom - y, left - x : right - x]
    return out, box + np.array([x, y, x, y], np.float32)


def recall(detect: Detector, found: Sequence[Face], height_px: int, places: int = 10, seed: int = 1) -> float:
    """Part of the faces that a detection overlaps by more than half (IoU), each put in `places` places."""
    rng, backgrounds = np.random.default_rng(seed), list(photos.faceless().values())
    hits = 0
    for face in found:
        for _ in range(places):
            image, box = frame(face, height_px, backgrounds[int(rng.integers(len(backgrounds)))], rng)
            rows = detect(image)
            hits += bool(len(rows) and (overlap(box, rows[:, 1:5]) > 0.5).any())
    return hits / (len(found) * places)


def false_alarms(detect: Detector) -> int:
    """Detections in the faceless pictures, each as a 640x480 frame."""
    return sum(len(detect(photos.resized(image, *FRAME_PX))) for image in photos.faceless().values())
