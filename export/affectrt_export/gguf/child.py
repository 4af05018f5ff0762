"""Runs one task of llama.cpp in a process of its own: the library aborts on some bad files, and that must not end the caller's process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from affectrt_export.spec import ExportError, Progress

_LAST_WORDS_BYTES = 2000


def call(task: str, arguments: Mapping[str, Any], progress: Progress | None = None) -> Any:
    """What the task of that name (worker.py) returns; arguments and result are what JSON can hold.

    Raises ExportError with the task's own words, or with the library's last ones where it took the process down. The process dies
    with this one, and when this is interrupted.
    """
    with tempfile.TemporaryFile() as noise:
        process = subprocess.Popen(
            [sys.executable, "-c", "from affectrt_export.gguf.worker import main; main()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=noise,
            cwd=os.sep,  # python -c imports from the current folder, which is the user's
            env=_environment(),
        )
        try:
            reply = _converse(process, {"task": task, "arguments": dict(arguments)}, progress)
            code = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        if reply is None:
            raise ExportError(f"{task}: {_end(code)}{_last_words(noise)}")
    if "error" in reply:
        raise ExportError(f"{task}: {reply['error']}")
    return reply["result"]


def _environment() -> dict[str, str]:
    path = os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path if entry)
    # An abort is to end the process, not to start a debugger that prints a backtrace.
    return {**os.environ, "PYTHONPATH": path, "GGML_NO_BACKTRACE": "1"}


def _converse(process: subprocess.Popen[bytes], request: Mapping[str, Any], progress: Progress | None) -> dict[str, Any] | None:
    """The last message of the child; None if it ended without one."""
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        return None
    for line in process.stdout:
        message: dict[str, Any] = json.loads(line)
        if "progress" not in message:
            return message
        if progress is not None:
            what, done, total = message["progress"]
            progress(what, done, total)
    return None


def _end(code: int) -> str:
    if code < 0:
        return f"llama.cpp was ended by {signal.Signals(-code).name}"
    return f"its process ended with code {code}"


def _last_words(noise: IO[bytes]) -> str:
    size = noise.seek(0, os.SEEK_END)
    noise.seek(max(0, size - _LAST_WORDS_BYTES))
    lines = [line.strip() for line in noise.read().decode("utf-8", "replace").splitlines() if line.strip()]
    # An assertion names the file it stands in, on the machine where the library was built.
    return ": " + re.sub(r"\S*/(?=[^/\s]+:\d+: )", "", lines[-1]) if lines else ""
