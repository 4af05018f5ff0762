"""Bad input to the command line: one clear line on stderr, the right exit code, nothing half-written."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_tools import Done, leftovers
from PIL import Image

Cli = Callable[..., Done]
Process = Callable[..., "subprocess.Popen[bytes]"]


def bomb() -> bytes:
    """A PNG of a few bytes that claims 60000 x 60000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def failed(done: Done, *said: str) -> None:
    assert done.code == 1, (done.out, done.err)
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.err
    assert "Traceback" not in done.err and "unexpected" not in done.err
    for part in said:
        assert part in errors[0]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("text.png", b"this is no picture", "not a picture that can be read"),
        ("empty.png", b"", "the file is empty"),
        ("bomb.png", bomb(), "at most 100 megapixels"),
        ("text.mp4", b"this is no video", "neither a picture nor a video"),
        ("empty.mp4", b"", "the file is empty"),
        ("noise.avi", bytes(range(256)) * 40, "neither a picture nor a video"),
    ],
    ids=["text for a picture", "empty picture", "bomb", "text for a video", "empty video", "noise"],
)
def test_a_file_that_is_something_else(cli: Cli, tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    failed(cli("run", tmp_path / name, "--save", tmp_path / "out"), name, said)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_picture_cut_short(cli: Cli, media: Path, tmp_path: Path) -> None:
    whole = (media / "face.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    failed(cli("run", tmp_path / "cut.png"), "cut.png", "damaged or cut short")


def test_a_video_cut_short_before_its_index(cli: Cli, media: Path, tmp_path: Path) -> None:
    whole = (media / "pan.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    failed(cli("run", tmp_path / "cut.mp4"), "cut.mp4", "neither a picture nor a video")


def test_a_video_cut_short_after_its_index_keeps_what_could_be_read(cli: Cli, media: Path, tmp_path: Path) -> None:
    import av

    fast = tmp_path / "fast.mp4"
    with av.open(str(media / "pan.mp4")) as source, av.open(str(fast), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    whole = fast.read_bytes()
    fast.write_bytes(whole[: len(whole) * 2 // 3])
    done = cli("run", fast, "--save", tmp_path / "out", "-o", "jsonl")
    failed(done, "frames could be read, 24 were expected")
    assert 5 < len(done.out.splitlines()) < 24
    with av.open(str(tmp_path / "out" / "fast-affect.mp4")) as written:
        assert sum(1 for _ in written.decode(video=0)) == len(done.out.splitlines())


def test_sound_without_pictures(cli: Cli, tmp_path: Path) -> None:
    import wave

    with wave.open(str(tmp_path / "sound.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\0\0" * 8000)
    failed(cli("run", tmp_path / "sound.wav"), "no video in this file, only audio")


def test_a_folder_without_pictures(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("x")
    failed(cli("run", tmp_path), "no pictures in this folder")


def test_a_bad_picture_in_a_folder_does_not_hide_the_others(cli: Cli, tmp_path: Path, photo: np.ndarray) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    Image.fromarray(photo).save(tmp_path / "c.png")
    done = cli("run", tmp_path, "-o", "jsonl")
    failed(done, "b.png")
    assert len(done.out.splitlines()) == 2


def test_what_is_not_there(cli: Cli, tmp_path: Path) -> None:
    failed(cli("run", tmp_path / "nothing.png"), "no such file or folder")
    failed(cli("run", "97"), "no camera 97")


def no_override() -> None:
    """Root may read every file unless the two capabilities for it are out of reach; others have none to lose."""
    prctl, drop = ctypes.CDLL(None).prctl, 24
    for capability in (1, 2):
        prctl(drop, capability, 0, 0, 0)


def test_a_file_that_may_not_be_read(process: Process, media: Path, tmp_path: Path) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes((media / "face.png").read_bytes())
    path.chmod(0)
    running = process("run", path, preexec_fn=no_override)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 1
    assert err.decode().splitlines()[-1] == f"error: Permission denied: {path}"


def test_a_pipe_instead_of_a_file_does_not_wait_for_ever(cli: Cli, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    failed(cli("run", tmp_path / "pipe.png"), "a file was expected, this is a pipe")


def test_save_into_a_file(cli: Cli, media: Path) -> None:
    failed(cli("run", media / "face.png", "--save", media / "face.png"), "a folder was expected")


@pytest.mark.parametrize(
    "arguments", [["run"], ["nonsense"], ["run", "x", "-o", "xml"], ["bench", "--pipeline", "nonsense"], ["eval", "x"]]
)
def test_wrong_usage_is_exit_code_two(cli: Cli, arguments: list[str]) -> None:
    done = cli(*arguments)
    assert done.code == 2 and done.out == "" and "Traceback" not in done.err


def test_an_unexpected_error_is_a_line_too_and_debug_shows_where(process: Process, media: Path) -> None:
    code = "import sys, affectrt, affectrt.cli.media as m; m.read_image = lambda p: 1 // 0; from affectrt.cli import main; "
    for words, traceback in ((["run"], False), (["--debug", "run"], True)):
        done = subprocess.run(
            [sys.executable, "-c", f"{code} sys.argv = ['affectrt', *{words!r}, {str(media / 'face.png')!r}]; main()"],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1
        assert ("Traceback" in done.stderr) == traceback
        assert "ZeroDivisionError" in done.stderr


def test_a_full_disk_leaves_nothing_half_written(process: Process, media: Path, tmp_path: Path) -> None:
    limit = 20_000  # bytes a file may grow to: less than the annotated video takes

    running = process(
        *("run", media / "pan.mp4", "--save", tmp_path), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    )
    _, err = running.communicate(timeout=60)
    assert running.returncode == 1, err
    assert b"error: File too large" in err and b"Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_nothing_half_written(process: Process, tmp_path: Path, photo: np.ndarray) -> None:
    from cli_tools import write_video

    write_video(tmp_path / "long.mp4", [np.roll(photo, i, axis=1) for i in range(150)], rate=25)
    running = process("run", tmp_path / "long.mp4", "--save", tmp_path / "out", "-o", "jsonl", "--landmarks")
    assert running.stdout is not None
    running.stdout.readline()  # it is at work
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130, err
    assert err.strip().endswith(b"interrupted") and b"Traceback" not in err
    assert list((tmp_path / "out").iterdir()) == []


def test_sigterm_leaves_nothing_half_written(process: Process, tmp_path: Path, photo: np.ndarray) -> None:
    from cli_tools import write_video

    write_video(tmp_path / "long.mp4", [np.roll(photo, i, axis=1) for i in range(150)], rate=25)
    running = process("run", tmp_path / "long.mp4", "--save", tmp_path / "out", "-o", "jsonl", "--landmarks")
    assert running.stdout is not None
    running.stdout.readline()
    running.terminate()
    running.communicate(timeout=30)
    assert running.returncode == 143
    assert list((tmp_path / "out").iterdir()) == []


def test_a_closed_pipe_is_quiet(process: Process, media: Path) -> None:
    running = process("run", media / "pan.mp4", "-o", "jsonl")
    assert running.stdout is not None and running.stderr is not None
    running.stdout.readline()
    running.stdout.close()
    err = running.stderr.read()
    assert running.wait(timeout=30) == 141
    assert b"error" not in err.lower() and b"Traceback" not in err and b"Exception" not in err


def test_partial_files_of_others_are_let_be(cli: Cli, media: Path, tmp_path: Path) -> None:
    other = tmp_path / ".face-affect.1.partial.png"
    other.write_bytes(b"of another process")
    assert cli("run", media / "face.png", "--save", tmp_path).code == 0
    assert leftovers(tmp_path) == [str(other)]
    assert time.time() - (tmp_path / "face-affect.png").stat().st_mtime < 60
