"""Media made from real photos at test time, and the command line in this process or in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from cli_tools import Done, write_video
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner


@pytest.fixture(scope="session")
def photo() -> NDArray[np.uint8]:
    from skimage import data

    return np.ascontiguousarray(data.astronaut())


@pytest.fixture(scope="session")
def media(photo: NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """face.png, a folder of three pictures (one of them a texture), and pan.mp4: 24 frames of a face that moves, 320x240 at 12 a second."""
    from skimage import data

    root = tmp_path_factory.mktemp("media")
    Image.fromarray(photo).save(root / "face.png")
    (root / "folder").mkdir()
    Image.fromarray(photo).save(root / "folder" / "10.png")
    Image.fromarray(photo[:, ::-1]).save(root / "folder" / "2.jpg", quality=90)
    Image.fromarray(data.brick()).save(root / "folder" / "3.png")
    small = np.asarray(Image.fromarray(photo).resize((400, 400)))
    write_video(root / "pan.mp4", [small[10:250, 2 * i : 2 * i + 320] for i in range(24)], rate=12)
    return root


@pytest.fixture(autouse=True)
def _no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables of a pipe are as wide as they are, whatever terminal the tests run in."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def cli() -> Callable[..., Done]:
    """Run the command line in this process."""

    def run(*arguments: str | Path, stdin: str | bytes | None = None) -> Done:
        from affectrt.cli.app import build

        words = [str(argument) for argument in arguments]
        result = CliRunner().invoke(build(words), words, input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Done(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def process() -> Callable[..., subprocess.Popen[bytes]]:
    """Start the command line in a process of its own."""

    def start(*arguments: str | Path, **options: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "affectrt", *map(str, arguments)]
        streams: dict[str, object] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(streams.pop("env", None) or {})}  # type: ignore[dict-item]
        return subprocess.Popen(command, env=environment, **streams)  # type: ignore[call-overload,no-any-return]

    return start


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
