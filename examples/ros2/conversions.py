"""From ROS values to affectrt's and back, as plain functions: no ROS is needed to read, use or test them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from affectrt.labels import FER7_TO_EXPRESSION
from affectrt.perception.observation import UNKNOWN, FaceObservation

# Encodings of sensor_msgs/Image that affectrt reads, with their bytes a pixel.
BYTES_PER_PIXEL = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1, "yuv422_yuy2": 2}


class Stamp(Protocol):
    """builtin_interfaces/Time."""

    sec: int
    nanosec: int


class Image(Protocol):
    """sensor_msgs/Image."""

    height: int
    width: int
    encoding: str
    step: int
    data: Sequence[int]


def stamp_ns(stamp: Stamp) -> int:
    """Nanoseconds of a builtin_interfaces/Time."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def frame_of(message: Image) -> tuple[np.ndarray, str]:
    """The pixels of a sensor_msgs/Image, not copied, and the `color` to read them with.

    Rows may be padded (`step` beyond the pixels). Raises ValueError for an encoding that affectrt does not read, and for too few bytes.
    """
    if message.encoding not in BYTES_PER_PIXEL:
        raise ValueError(f"image encoding: expected one of {', '.join(BYTES_PER_PIXEL)}, got {message.encoding!r}")
    channels = BYTES_PER_PIXEL[message.encoding]
    data = np.frombuffer(message.data, np.uint8)
    if message.step < message.width * channels or data.size < message.step * message.height:
        raise ValueError(
            f"image of {message.width}x{message.height} {message.encoding}: expected {message.width * channels} bytes a row or more, "
            f"got step {message.step} and {data.size} bytes"
        )
    rows = data[: message.step * message.height].reshape(message.height, message.step)[:, : message.width * channels]
    shape = (message.height, message.width) if channels == 1 else (message.height, message.width, channels)
    return np.lib.stride_tricks.as_strided(
        rows, shape, (message.step, channels, 1)[: len(shape)] if channels > 1 else (message.step, 1), writeable=False
    ), message.encoding


def face_id(observation: FaceObservation) -> str:
    """The track as a ROS4HRI id: part of a topic's name, so letters and digits."""
    found = f"f{observation.track_id:05d}"
    assert re.fullmatch(r"[a-z][a-z0-9]*", found)
    return found


def expression_of(observation: FaceObservation) -> dict[str, str | float]:
    """The fields of hri_msgs/Expression, all but the header. Unknown is the empty string at confidence 0: the message has no word for it."""
    known = observation.label != UNKNOWN
    return {
        "expression": FER7_TO_EXPRESSION[observation.label] if known else "",
        "valence": float(observation.valence),
        "arousal": float(observation.arousal),
        "confidence": float(observation.confidence) if known else 0.0,
    }


def region_of(observation: FaceObservation, width: int, height: int) -> dict[str, float]:
    """The fields of hri_msgs/NormalizedRegionOfInterest2D, all but the header: parts of the picture in [0, 1]."""
    x0, y0, x1, y1 = (float(v) for v in observation.box)
    clip = lambda value: min(max(value, 0.0), 1.0)  # noqa: E731
    return {
        "xmin": clip(x0 / width),
        "ymin": clip(y0 / height),
        "xmax": clip(x1 / width),
        "ymax": clip(y1 / height),
        "c": float(observation.detection_score),
    }
