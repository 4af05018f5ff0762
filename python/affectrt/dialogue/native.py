"""llama-cpp-python's ctypes layer: imported when first needed, its log led into `logging`, its failures turned into EngineError."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import logging
import os
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from affectrt.errors import EngineError

INSTALL = 'pip install "affectrt[dialogue]"'

_log = logging.getLogger("affectrt.llama")
_log.addHandler(logging.NullHandler())  # else Python prints warnings of a library nobody configured

# ggml_log_level: 0 none, 1 debug, 2 info, 3 warning, 4 error, 5 continuation. Its infos and warnings are chatter
# ("n_ctx < n_ctx_train"), so everything goes one step down.
_ERROR = 4
_LEVELS = {3: logging.INFO, _ERROR: logging.WARNING}

_complaints = threading.local()


def complaints() -> deque[str]:
    """What llama.cpp logged as an error on this thread, the last few lines: the only reason it gives for returning NULL."""
    if not hasattr(_complaints, "lines"):
        _complaints.lines = deque(maxlen=4)
    lines: deque[str] = _complaints.lines
    return lines


def _on_log(level: int, text: bytes | None, _data: Any) -> None:
    line = (text or b"").decode("utf-8", "replace").strip()
    if not line:
        return
    if level == _ERROR:
        complaints().append(line)
    _log.log(_LEVELS.get(level, logging.DEBUG), "%s", line)


@functools.cache
def load() -> Any:
    """The module `llama_cpp`, ready for use.

    Raises:
        EngineError: It is not installed, or its shared library does not load.
    """
    try:
        with _sleeping_threads():
            import llama_cpp
    except ModuleNotFoundError as error:
        if error.name != "llama_cpp":
            raise EngineError(f"llama-cpp-python does not import ({error}): reinstall it with `{INSTALL}`") from error
        raise EngineError(f"dialogue needs llama-cpp-python, which is not installed: `{INSTALL}` (it compiles for 3-5 minutes)") from error
    except (ImportError, OSError, RuntimeError) as error:  # the shared library is missing or does not fit this machine
        raise EngineError(f"llama-cpp-python does not load ({error}): reinstall it with `{INSTALL}`") from error
    llama: Any = llama_cpp
    # Held by the function object for the life of the process: the library keeps the bare pointer.
    callback = llama.llama_log_callback(_on_log)
    llama.llama_log_set(callback, ctypes.c_void_p(0))
    load.log_callback = callback  # type: ignore[attr-defined]
    llama.llama_backend_init()
    return llama


@contextlib.contextmanager
def _sleeping_threads() -> Iterator[None]:
    """Let the OpenMP runtime that loads meanwhile wait asleep instead of spinning, unless the user has set it otherwise.

    Spinning gains a little on an idle machine; beside one busy process the threads spin away each other's time, and decoding
    falls to a tenth and less. A robot's processor is never idle. The runtime reads the variable once, when it loads.
    """
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
    if any(name in os.environ for name in names):
        yield
        return
    os.environ[names[0]] = "passive"
    try:
        yield
    finally:
        os.environ.pop(names[0], None)


def default_threads() -> int:
    """Physical cores that this process may use: hyper-threads share the arithmetic that decoding is bound by, and slow it down."""
    cpus = _allowed_cpus()
    if cpus is None:
        return max(1, (os.cpu_count() or 2) // 2)
    cores = set()
    for cpu in cpus:
        try:
            cores.add(Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text(encoding="ascii").strip())
        except OSError:
            cores.add(str(cpu))
    return max(1, min(len(cores), _quota_cpus()))


def most_threads() -> int:
    """Hardware threads that this process may use."""
    cpus = _allowed_cpus()
    return max(1, min(len(cpus) if cpus is not None else os.cpu_count() or 1, _quota_cpus()))


def _allowed_cpus() -> set[int] | None:
    """This process's affinity; None where the platform has none."""
    try:
        return os.sched_getaffinity(0)
    except AttributeError:
        return None


def _quota_cpus() -> int:
    """Whole CPUs that a container's quota allows; many where there is none."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):  # no cgroup v2, or "max"
        return 1 << 16
