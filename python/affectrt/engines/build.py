"""A build of engines as the program that waits for it sees it: a process, what it tells, and an end to it when the program ends."""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from affectrt import _core
from affectrt.engines.key import RTX
from affectrt.errors import EngineError
from affectrt.packs import Pack

__all__ = ["Build", "request_of"]

_START = (
    "import json, sys; request = json.load(sys.stdin); sys.path[:] = request['path']; "
    "from affectrt.engines.builder import main; main(request)"
)
_ENDED = "the program is ending"
# An engine out of the cache is opened in the program itself, which cannot be broken off; it is a matter of moments.
_LAST_OPENING_S = 30.0

_builds: weakref.WeakSet[Build] = weakref.WeakSet()


def request_of(
    key: str, facts: Mapping[str, Any], networks: Mapping[str, tuple[Pack, str]], *, index: int, strict: bool, threads: int
) -> dict[str, Any]:
    """What builder.py is asked."""
    plugin = str(_core.provider_library(RTX))
    return {
        "key": key,
        "facts": facts,
        "provider": facts["provider"],
        "networks": [{"role": role, "folder": str(pack.path), "wanted": wanted} for role, (pack, wanted) in networks.items()],
        "index": index,
        "strict": strict,
        "threads": threads,
        "library": _core.ort_info()["library"],
        "plugins": {RTX: plugin} if plugin not in ("", ".") else {},
        "path": sys.path,
        "parent": os.getpid(),
    }


class Build:
    """One run of builder.py. `run` is called once; `stop` from any thread."""

    def __init__(self, request: Mapping[str, Any], tell: Callable[[str, int], None]) -> None:
        self._request, self._tell = request, tell
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False
        self.owner = os.getpid()
        self.thread: threading.Thread | None = None
        """Who calls `run`, if it is not the one who made this."""
        _builds.add(self)

    def run(self) -> None:
        """Start the process and wait for its end. Raises `EngineError` with the reason if the engines are not there then."""
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
            process = self._start(errors)
            try:
                answer = self._follow(process)
            except BaseException:  # Ctrl-C while a constructor waits
                process.kill()
                raise
            finally:
                process.wait()
                assert process.stdout is not None
                process.stdout.close()
            if "built" in answer:
                return
            if self._stopped:
                raise EngineError(_ENDED)
            errors.seek(0)
            said = errors.read().strip().splitlines()
        raise EngineError(answer.get("error") or f"the process that builds them {_end_of(process)}{': ' + said[-1] if said else ''}")

    def stop(self) -> None:
        """End the process, and let no other begin."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill()

    def _start(self, errors: IO[str]) -> subprocess.Popen[str]:
        if not sys.executable or getattr(sys, "frozen", False):
            raise EngineError("engines are built by a Python interpreter of their own, and this program says of none where it is")
        with self._lock:
            if self._stopped:
                raise EngineError(_ENDED)
            # In a session of its own: Ctrl-C in a terminal is for the program, which ends it.
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _START],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
                env={**os.environ, **_library_path()},
                start_new_session=True,
            )
            return self._process

    def _follow(self, process: subprocess.Popen[str]) -> dict[str, Any]:
        """The last answer."""
        assert process.stdin is not None and process.stdout is not None
        try:
            with process.stdin as to_it:
                json.dump(self._request, to_it)
        except BrokenPipeError:
            return {}  # it has died; how, its end says
        answer: dict[str, Any] = {}
        for line in process.stdout:
            try:
                answer = json.loads(line)
            except ValueError:
                return {}  # cut off
            if "network" in answer:
                self._tell(answer["network"], answer["done"])
        return answer


def _end_of(process: subprocess.Popen[str]) -> str:
    code = process.returncode
    if code >= 0:
        return f"ended with status {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _library_path() -> dict[str, str]:
    """What this program has loaded of CUDA and TensorRT, by whatever means, the builder shall find too."""
    folders: dict[str, None] = dict.fromkeys(filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)))
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    for line in lines:
        path = Path(line.partition("/")[1] + line.partition("/")[2])
        if ".so" in path.name and path.name.startswith(("libcudart", "libcublas", "libcudnn", "libcufft", "libcurand", "libnv")):
            folders[str(path.parent)] = None
    return {"LD_LIBRARY_PATH": os.pathsep.join(folders)} if folders else {}


@atexit.register
def _stop_all() -> None:
    builds = [build for build in _builds if build.owner == os.getpid()]  # not those that a fork() has copied
    for build in builds:
        build.stop()
    for build in builds:
        if build.thread is not None and build.thread is not threading.current_thread():
            build.thread.join(_LAST_OPENING_S)
