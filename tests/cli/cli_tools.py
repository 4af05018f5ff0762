"""What several tests of the command line use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


def write_video(path: Path, frames: list[NDArray[np.uint8]], *, rate: int) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 2_000_000
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode(None))


def leftovers(folder: Path) -> list[str]:
    """Whatever a broken-off command left behind under its temporary name."""
    return [str(path) for path in folder.rglob("*") if "partial" in path.name or path.name.endswith(".tmp")]
