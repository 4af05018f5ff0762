"""`import affectrt` stays light, and nothing opens a socket once the packs are there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAVY = [
    "torch",
    "onnx",
    "onnxruntime",
    "transformers",
    "tokenizers",
    "huggingface_hub",
    "typer",
    "rich",
    "llama_cpp",
    "PIL",
    "av",
    "matplotlib",
    "starlette",
    "uvicorn",
]

IMPORT = f"""
import sys
import affectrt
print([name for name in {HEAVY!r} if name in sys.modules])
"""

# Everything that a robot does after `pull`: faces, text, an answer, the doctor's look round.
WORK = """
import sys
events = []
WATCHED = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
sys.addaudithook(lambda event, args: events.append(f"{event}{args[1:]}") if event in WATCHED else None)

import numpy as np
import affectrt
from affectrt.packs import DEFAULTS

golden = affectrt.open_pack(DEFAULTS["face-detection"])
first = golden.manifest["golden"][0]["input"]
frame = np.load(golden.file(first["image"]), allow_pickle=False)
faces = affectrt.Face(color=first["color"], landmarks=True, blendshapes=True)(frame)
feeling = affectrt.TextEmotion()("I finally passed the exam!")
bot = affectrt.Companion()
bot.see(frame, color=first["color"])
answer = "".join(str(piece) for piece in bot.reply("I finally passed!"))
import time; time.sleep(6)  # what reports home does so after a while, from a thread of its own
print(f"faces={len(faces)} label={feeling.label} answered={bool(answer)} sockets={events}")
"""


# Where one of these is set, ONNX Runtime's reporting is off anyway.
QUIETING = ("CI", "TF_BUILD", "GITHUB_ACTIONS", "ORT_RUNNING_UNIT_TESTS", "ORT_DISABLE_TELEMETRY")


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # Libraries that report home hold still where CI is set; what is tested here is what a user has.
    inherited = {name: value for name, value in os.environ.items() if name not in QUIETING}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env={**inherited, **environment})


def test_import_loads_nothing_heavy() -> None:
    started = time.perf_counter()
    done = run(sys.executable, "-c", IMPORT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
    # Loose, for a busy machine with cold disks; benchmarks/ holds the real figure and its bound.
    assert time.perf_counter() - started < 5


@pytest.fixture(scope="module")
def pulled() -> None:
    """The dialogue pack's weights are in the cache."""
    from affectrt.packs import DEFAULTS, pull

    pull(DEFAULTS["dialogue"])


@pytest.mark.usefixtures("pulled")
def test_no_socket_is_used_after_pull() -> None:
    done = run(sys.executable, "-c", WORK)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"faces=[1-9]\d* label=\w+ answered=True sockets=\[\]", done.stdout.strip()), done.stdout


def test_the_watch_sees_a_socket() -> None:
    watch = (
        WORK.split("import numpy")[0]
        + "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('127.0.0.1', 9))\nprint(events)"
    )
    assert "socket.connect" in run(sys.executable, "-c", watch).stdout


def strace_works() -> bool:
    return shutil.which("strace") is not None and run("strace", "-o", os.devnull, "true").returncode == 0


# Native code escapes Python's audit hook, not the kernel's. A machine may lack strace; CI may not.
@pytest.mark.skipif(not os.environ.get("CI") and not strace_works(), reason="strace is not installed, or may not trace here")
@pytest.mark.usefixtures("pulled")
def test_no_network_call_reaches_the_kernel(tmp_path: Path) -> None:
    log = tmp_path / "trace"
    strace = ("strace", "-f", "-qq", "-e", "trace=socket,connect,bind,sendto", "-o", str(log))
    seen = run(*strace, sys.executable, "-c", "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('127.0.0.1', 9))")
    assert seen.returncode == 0, seen.stderr
    assert "AF_INET" in log.read_text()

    done = run(*strace, sys.executable, "-c", WORK)
    assert done.returncode == 0, done.stderr
    assert [line for line in log.read_text().splitlines() if "AF_INET" in line or "AF_UNIX" in line] == []
