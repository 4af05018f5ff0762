"""A camera, where the newest frame wins: `python camera.py [/dev/video0 or a video file]`.

A camera delivers at its own pace. If inference is slower, a queue would fill and every answer would be about the past. So a thread
keeps only the newest frame, with the time of its capture, and the loop takes whatever is newest when it is ready.
Needs `pip install "affectrt[cpu,video]"`.
"""

from __future__ import annotations

import sys
import threading
import time

import affectrt
import av
import numpy as np


class NewestFrame:
    """One place for one frame: `put` replaces what nobody took, `get` waits for one that is new."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: tuple[np.ndarray, int] | None = None
        self._ended = False
        self.dropped = 0
        self.error = ""

    def put(self, frame: np.ndarray, stamp_ns: int) -> None:
        with self._changed:
            self.dropped += self._item is not None
            self._item = (frame, stamp_ns)
            self._changed.notify()

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()

    def get(self) -> tuple[np.ndarray, int] | None:
        """The newest frame and its capture time in ns, or None after the last."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._ended)
            item, self._item = self._item, None
            return item


def capture(source: str, newest: NewestFrame) -> None:
    try:
        with av.open(source, format="v4l2" if source.startswith("/dev/video") else None) as container:
            for frame in container.decode(video=0):
                newest.put(frame.to_ndarray(format="rgb24"), time.monotonic_ns())
    except av.error.FFmpegError as error:
        newest.error = f"{source}: {error.strerror}"
    finally:
        newest.end()


def main() -> None:
    newest = NewestFrame()
    threading.Thread(target=capture, args=(sys.argv[1] if len(sys.argv) > 1 else "/dev/video0", newest), daemon=True).start()
    face = affectrt.Face(color="rgb8")
    while (item := newest.get()) is not None:
        frame, stamp_ns = item
        faces = face(frame, stamp_ns)
        age_ms = (time.monotonic_ns() - stamp_ns) / 1e6
        seen = ", ".join(f"#{f.track_id} {f.label}" for f in faces) or "nobody"
        print(f"{age_ms:5.1f} ms after capture, {newest.dropped} frames passed over: {seen}")
    if newest.error:
        sys.exit(f"{newest.error} (python camera.py DEVICE-OR-VIDEO-FILE)")


if __name__ == "__main__":
    main()
