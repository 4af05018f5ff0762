"""The camera's thread on FFmpeg's own test source in place of a V4L2 device: newest frame first, and Ctrl-C completes the files."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import pytest
from affectrt.cli.camera import Camera

# 20 frames a second in real time, as a camera gives them.
SOURCE = "testsrc=size=320x240:rate=20,realtime"


class TestSource(Camera):
    __test__ = False

    @staticmethod
    def _open(index: int, size: str) -> Any:
        return av.open(SOURCE if index == 0 else "testsrc=size=64x64:rate=20:duration=0.2", format="lavfi")


@pytest.mark.alone
def test_only_the_newest_frame_is_looked_at() -> None:
    with TestSource(0) as camera:
        frames = iter(camera)
        first = next(frames)
        time.sleep(0.5)
        second = next(frames)
        assert time.monotonic_ns() - second.stamp_ns < 200_000_000  # fresh, though ten frames went by
        assert second.stamp_ns - first.stamp_ns > 300_000_000
        assert (first.index, second.index) == (0, 1) and first.rgb.shape == (240, 320, 3)
        assert (first.rgb != second.rgb).any()


def test_a_camera_that_stops_is_an_error() -> None:
    with TestSource(1) as camera, pytest.raises(ValueError, match="the camera stopped"):
        for _ in camera:
            pass


def test_ctrl_c_completes_the_files_of_a_camera(tmp_path: Path) -> None:
    code = f"""
import sys, av
from affectrt.cli.camera import Camera
Camera._open = staticmethod(lambda index, size: av.open({SOURCE!r}, format="lavfi"))
sys.argv = ["affectrt", "run", "0", "--save", {str(tmp_path)!r}]
from affectrt.cli import main
main()
"""
    running = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    partial: list[Path] = []
    deadline = time.monotonic() + 30
    while not partial and time.monotonic() < deadline:
        time.sleep(0.1)
        partial = list(tmp_path.glob(".*.partial.mp4"))
    time.sleep(1)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130, err
    assert [path.name for path in tmp_path.iterdir()] == ["camera0-affect.mp4"]
    with av.open(str(tmp_path / "camera0-affect.mp4")) as written:
        assert sum(1 for _ in written.decode(video=0)) > 3
