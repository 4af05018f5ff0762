"""A camera of the machine as a source of frames: a thread reads, and whoever asks gets the newest frame, never an old one."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from affectrt.cli.media import Frame, pyav, upright

FIRST_FRAME_S = 10.0


class Camera:
    """`/dev/video<index>` through V4L2. Stamps are `time.monotonic_ns()` at arrival. ValueError or OSError if it cannot be opened."""

    def __init__(self, index: int, *, size: str = "640x480") -> None:
        self._container: Any = self._open(index, size)
        self._newest: tuple[Any, int] | None = None
        self._error: BaseException | None = None
        self._stop = False
        self._arrived = threading.Condition()
        self._thread = threading.Thread(target=self._read, name="camera", daemon=True)
        self._thread.start()

    @staticmethod
    def _open(index: int, size: str) -> Any:
        device = Path(f"/dev/video{index}")
        if not device.exists():
            there = ", ".join(sorted(path.name.removeprefix("video") for path in Path("/dev").glob("video*"))) or "none"
            raise ValueError(f"no camera {index}: {device} does not exist (cameras here: {there})")
        av = pyav()
        try:
            return av.open(str(device), format="v4l2", options={"video_size": size})
        except av.error.FFmpegError as error:
            raise ValueError(f"camera {index}: {error.strerror or error} ({device}, {size})") from None

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = True
        self._thread.join(timeout=2.0)
        if not self._thread.is_alive():  # closing under a read that hangs would crash the process
            self._container.close()

    def _read(self) -> None:
        try:
            for picture in self._container.decode(video=0):
                with self._arrived:
                    self._newest = (picture, time.monotonic_ns())
                    self._arrived.notify()
                if self._stop:
                    return
            raise EOFError("it gives no more frames")
        except Exception as error:  # told to the thread that waits for frames
            with self._arrived:
                self._error = error
                self._arrived.notify()

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while True:
            with self._arrived:
                if not self._arrived.wait_for(lambda: self._newest or self._error, timeout=FIRST_FRAME_S):
                    raise ValueError(f"the camera gave no frame for {FIRST_FRAME_S:.0f} s")
                newest, self._newest = self._newest, None
            if newest is None:
                raise ValueError(f"the camera stopped: {self._error}")
            yield Frame(upright(newest[0]), newest[1], index, "")
            index += 1
