"""Writes an annotated video with the times of its source."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectrt.cli.media import atomic, pyav

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TIME_BASE = Fraction(1, 90_000)  # divides every common frame rate


class VideoWriter:
    """MP4 (H.264 where the build of FFmpeg has it, else MPEG-4) at `path`, complete or not there at all.

    Use as a context manager; a failure inside it removes what was written.
    """

    def __init__(self, path: Path, *, rate: float) -> None:
        self.path = path
        self._rate = Fraction(rate).limit_denominator(1001)
        self._files = contextlib.ExitStack()
        self._container: Any = None
        self._stream: Any = None
        self._size = (0, 0)
        self._first_ns = 0
        self._last_pts = -1

    def __enter__(self) -> VideoWriter:
        self._partial = self._files.enter_context(atomic(self.path))
        return self

    def write(self, rgb: NDArray[np.uint8], stamp_ns: int) -> None:
        """Add a frame of (H, W, 3) uint8; later frames of another size are refused with ValueError."""
        av = pyav()
        if self._container is None:
            self._open(rgb.shape[1], rgb.shape[0], stamp_ns)
        even = rgb[: self._size[1], : self._size[0]]  # 4:2:0 has no odd sizes
        if (even.shape[1], even.shape[0]) != self._size:
            raise ValueError(
                f"{self.path.name}: frames of {self._size[0]}x{self._size[1]} were expected, got {rgb.shape[1]}x{rgb.shape[0]}"
            )
        frame = av.VideoFrame.from_ndarray(even, format="rgb24")
        # Strictly growing, or the muxer refuses; two frames of one time do occur in damaged files.
        frame.pts = max(self._last_pts + 1, round((stamp_ns - self._first_ns) * 1e-9 / TIME_BASE))
        frame.time_base = TIME_BASE
        self._last_pts = frame.pts
        self._container.mux(self._stream.encode(frame))

    def _open(self, width: int, height: int, stamp_ns: int) -> None:
        av = pyav()
        self._first_ns = stamp_ns
        self._size = (width - width % 2, height - height % 2)
        self._container = av.open(str(self._partial), "w", format="mp4")
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        self._stream = self._container.add_stream(codec, rate=self._rate)
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = TIME_BASE
        if codec == "libx264":
            self._stream.options = {"crf": "20", "preset": "veryfast"}
        else:
            self._stream.bit_rate = 6_000_000

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            if self._container is not None:
                with contextlib.closing(self._container):
                    if kind is None:
                        self._container.mux(self._stream.encode(None))
        except BaseException as failure:
            self._files.__exit__(type(failure), failure, failure.__traceback__)
            raise
        self._files.__exit__(kind, error, trace)
