"""From ROS values to affectrt's and back, as plain functions: no ROS is needed to read, use or test them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
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
    pixels = data[: message.step * message.height].reshape(message.height, message.step)[:, : message.width * channels]
    if channels > 1:
        # Splitting the last axis of padded rows needs no copy, but reshape would not promise that.
        strides = (message.step, channels, 1)
        pixels = np.lib.stride_tricks.as_strided(pixels, (message.height, message.width, channels), strides, writeable=False)
    return pixels, message.encoding


class Lingering:
    """Which faces have been out of sight long enough: a face that is missed for a few pictures keeps its topics, so that none flap."""

    def __init__(self, keep_ns: int = 1_000_000_000) -> None:
        self._keep_ns = keep_ns
        self._last_seen_ns: dict[str, int] = {}

    def gone(self, seen: Iterable[str], now_ns: int) -> list[str]:
        """The faces that at `now_ns` have been unseen for over `keep_ns`, each told once; `seen` are those of the picture of that time."""
        self._last_seen_ns.update(dict.fromkeys(seen, now_ns))
        # Both ways: a clock that was set back (a bag played again) must not keep a face for ever.
        gone = [name for name, last_ns in self._last_seen_ns.items() if abs(now_ns - last_ns) > self._keep_ns]
        for name in gone:
            del self._last_seen_ns[name]
        return gone


def face_id(observation: FaceObservation) -> str:
    """The track as a ROS4HRI id: part of a topic's name, so letters and digits."""
    found = f"f{observation.track_id:05d}"
    assert re.fullmatch(r"[a-z][a-z0-9]*", found)
    return found


def expression_of(observation: FaceObservation) -> dict[str, str | float]:
    """The fields of hri_msgs/Expression, all but the header.

    The message has no word for "unknown": that is the empty string at confidence 0.
    """
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
    xmin, xmax = np.clip([x0 / width, x1 / width], 0.0, 1.0)
    ymin, ymax = np.clip([y0 / height, y1 / height], 0.0, 1.0)
    return {
        "xmin": float(xmin),
        "ymin": float(ymin),
        "xmax": float(xmax),
        "ymax": float(ymax),
        "c": float(observation.detection_score),
    }
