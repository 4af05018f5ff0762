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
answer = "".join(str(piece) for piece in bot.reply("I finally passed!", max_tokens=24))
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


def strace_works() -> bool:
    return shutil.which("strace") is not None and run("strace", "-o", os.devnull, "true").returncode == 0


# A machine may lack strace; CI may not.
STRACE = bool(os.environ.get("CI")) or strace_works()


def traced(log: Path) -> tuple[str, ...]:
    return ("strace", "-f", "-qq", "-e", "trace=socket,connect,bind,sendto", "-o", str(log))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """All the work, once, with the dialogue pack's weights in the cache: what it printed, and the kernel's log where there is strace."""
    from affectrt.packs import DEFAULTS, pull

    pull(DEFAULTS["dialogue"])
    log = tmp_path_factory.mktemp("strace") / "trace"
    done = run(*(traced(log) if STRACE else ()), sys.executable, "-c", WORK)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), log


def test_no_socket_is_used_after_pull(work: tuple[str, Path]) -> None:
    assert re.fullmatch(r"faces=[1-9]\d* label=\w+ answered=True sockets=\[\]", work[0]), work[0]


def test_the_watch_sees_a_socket() -> None:
    watch = (
        WORK.split("import numpy")[0]
        + "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('127.0.0.1', 9))\nprint(events)"
    )
    assert "socket.connect" in run(sys.executable, "-c", watch).stdout


# Native code escapes Python's audit hook, not the kernel's.
@pytest.mark.skipif(not STRACE, reason="strace is not installed, or may not trace here")
def test_no_network_call_reaches_the_kernel(work: tuple[str, Path], tmp_path: Path) -> None:
    log = tmp_path / "trace"
    connect = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('127.0.0.1', 9))"
    seen = run(*traced(log), sys.executable, "-c", connect)
    assert seen.returncode == 0, seen.stderr
    assert "AF_INET" in log.read_text()
    assert [line for line in work[1].read_text().splitlines() if "AF_INET" in line or "AF_UNIX" in line] == []
