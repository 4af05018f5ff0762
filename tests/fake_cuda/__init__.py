"""A driver of NVIDIA's that is none: libcuda's functions over host memory, which record what is called, fail where they are told to, and
check how they are used. Tests of the GPU path run on it where there is no GPU.

What it does:

* Work on a stream waits until somebody waits for it (`cuStreamSynchronize`, `cuEventSynchronize`), so that a forgotten wait shows as old
  data. `run_all()` lets time pass; `eager` does everything at once.
* Two operations that touch the same memory, one of them writing, must be ordered by a stream, an event or the host that waited; else there
  is a violation that names both. Page-locked memory that the host changes, or frees, before it has been copied is one too, and so is what
  is freed twice, used after it was freed or destroyed, or copied out of bounds.
* Device addresses cannot be followed by the host; `memory()` shows what is there.
* A launch calls the function of `on_launch`, with the parameter block as bytes: a test gives one that runs the kernel's PTX.

The driver's table is opened once in a process. `load()` makes this the table of the test process itself, so that Python functions can run
launches; what must see no driver, or another, runs in a process of its own with `environment()`.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "fake_cuda"
LAUNCH_FAILED = 719
OUT_OF_MEMORY = 2

CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.POINTER(ctypes.c_uint),
    ctypes.POINTER(ctypes.c_uint),
    ctypes.c_uint,
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_void_p,
)
Launch = Callable[[str, tuple[int, int, int], tuple[int, int, int], int, bytes], None]
"""kernel, grid (x, y, z), block (x, y, z), bytes of dynamic shared memory, parameter block."""


@dataclass(frozen=True)
class Call:
    """One call of the driver."""

    number: int
    """From 1, since the last reset; what `fail_at` counts by."""
    name: str
    args: Mapping[str, Any]
    result: int


@contextmanager
def one_process_at_a_time(folder: Path) -> Iterator[None]:
    """Make the folder, and keep other processes of the tests from building in it: they would build the same."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@one_process_at_a_time(CACHE)
def compile_cached(name: str, sources: list[Path], flags: list[str]) -> Path:
    """Compile C++ sources into one file, again only when one of them, a header or the flags have changed. Returns its path.

    Raises `RuntimeError` with the compiler's text.
    """
    compiler = os.environ.get("CXX", "c++")
    folders = {ROOT / "csrc" / "device", ROOT / "csrc" / "core", *(source.parent for source in sources)}
    headers = sorted(header for folder in folders for header in folder.glob("*.h"))
    common = hashlib.sha256(repr((compiler, flags)).encode())
    for path in headers:
        common.update(path.read_bytes())
    include = CACHE / "include"
    include.mkdir(exist_ok=True)
    if not (include / "affectrt").exists():
        (include / "affectrt").symlink_to(ROOT / "csrc")
    base = [compiler, "-std=c++20", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-g", "-fPIC", "-I", str(include), *flags]
    objects = []
    for source in sources:
        digest = hashlib.sha256(common.digest() + source.read_bytes()).hexdigest()[:16]
        objects.append(CACHE / f"{source.stem}-{digest}.o")
        if not objects[-1].exists():
            _run([*base, "-c", str(source), "-o"], objects[-1])
    stem, dot, suffix = name.partition(".")
    linked = CACHE / f"{stem}-{hashlib.sha256(repr(objects).encode()).hexdigest()[:16]}{dot}{suffix}"
    if not linked.exists():
        _run([*base, *map(str, objects), "-ldl", "-pthread", "-o"], linked)
    return linked


def _run(command: list[str], out: Path) -> None:
    # Under a name of its own first: a build that is stopped leaves nothing that looks whole.
    partial = out.with_name(f"{out.name}.{os.getpid()}")
    done = subprocess.run([*command, str(partial)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
    partial.replace(out)


@cache
def build() -> Path:
    """The library, compiled when it is needed."""
    return compile_cached("libfake_cuda.so", sorted((ROOT / "tests" / "fake_cuda").glob("*.cc")), ["-shared", "-O1"])


def environment(**machine: int | str) -> dict[str, str]:
    """Environment for a process of its own: the fake as its driver, and `devices`, `sm`, `version`, `eager`, `report` (a path) if given."""
    given = {f"AFFECTRT_FAKE_CUDA_{name.upper()}": str(value) for name, value in machine.items()}
    return {**os.environ, "AFFECTRT_CUDA_LIBRARY": str(build()), **given}


class FakeCuda:
    """Control of the fake that is loaded into this process."""

    def __init__(self, library: Path) -> None:
        self.library = library
        self._c = ctypes.CDLL(str(library))
        for name in ("log", "violations", "leaks"):
            getattr(self._c, f"fake_cuda_{name}").restype = ctypes.c_char_p
        self._c.fake_cuda_shadow.restype = ctypes.c_void_p
        self._c.fake_cuda_shadow.argtypes = [ctypes.c_uint64, ctypes.c_size_t]
        self._c.fake_cuda_touch.argtypes = [ctypes.c_uint64, ctypes.c_size_t, ctypes.c_int]
        self._c.fake_cuda_run.argtypes = [ctypes.c_void_p, ctypes.c_long]
        self._c.fake_cuda_fail_at.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_int]
        self._c.fake_cuda_set_device.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_uint64]
        self._c.fake_cuda_add_kernel.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
        self._c.fake_cuda_set_callback.argtypes = [CALLBACK, ctypes.c_void_p]
        for name in ("calls", "pending"):
            getattr(self._c, f"fake_cuda_{name}").restype = ctypes.c_long
        self._callback: Any = None
        self._error: BaseException | None = None

    def reset(self) -> None:
        """Forget the log, violations, faults, `on_launch` and the machine's settings. What is alive stays alive."""
        self._c.fake_cuda_reset()
        self._callback = self._error = None

    def set_device(self, *, count: int = 1, sm: int = 87, driver_version: int = 13000, memory_bytes: int = 8 << 30) -> None:
        """The machine that the driver shows from now on."""
        self._c.fake_cuda_set_device(count, sm, driver_version, memory_bytes)

    def set_eager(self, eager: bool) -> None:
        """Whether work is done when it is queued, or when somebody waits for it."""
        self._c.fake_cuda_set_eager(eager)

    def fail_at(self, call: int, code: int = OUT_OF_MEMORY, *, all_later: bool = False) -> None:
        """Let call number `call` since the reset fail with `code`; 0: none. What gives something back does so all the same."""
        self._c.fake_cuda_fail_at(call, code, all_later)

    @property
    def fired(self) -> bool:
        """Whether a fault was injected since `fail_at`."""
        return bool(self._c.fake_cuda_fired())

    def calls(self, *names: str) -> list[Call]:
        """The log since the reset; of these functions only, if any are named."""
        lines = (json.loads(line) for line in self._c.fake_cuda_log().decode().splitlines())
        log = [Call(line["call"], line["name"], line["args"], line["result"]) for line in lines]
        return [call for call in log if not names or call.name in names]

    def violations(self) -> list[str]:
        """What was done wrong since the reset. Raises what `on_launch` raised."""
        if self._error:
            error, self._error = self._error, None
            raise error
        return str(self._c.fake_cuda_violations().decode()).splitlines()

    def leaks(self) -> list[str]:
        """All that is alive now."""
        return str(self._c.fake_cuda_leaks().decode()).splitlines()

    @property
    def pending(self) -> int:
        """Operations that no stream has come to yet."""
        return int(self._c.fake_cuda_pending())

    def run_all(self) -> None:
        """Let time pass: all that is queued is done, though nobody has waited for it."""
        self._c.fake_cuda_run_all()

    def run(self, stream: int, count: int) -> None:
        """The first `count` operations that wait on a stream (its handle) are done."""
        self._c.fake_cuda_run(stream, count)

    def on_launch(self, function: Launch | None) -> None:
        """Run launches by a function. What it raises is the device's failure, and is raised again by `violations()`."""

        def call(kernel: bytes, grid: Any, block: Any, shared_bytes: int, parameters: int, size: int, _user: int) -> int:
            try:
                assert function is not None
                function(kernel.decode(), tuple(grid[:3]), tuple(block[:3]), shared_bytes, ctypes.string_at(parameters, size))
            except BaseException as error:
                self._error = self._error or error
                return LAUNCH_FAILED
            return 0

        self._callback = CALLBACK(call) if function else CALLBACK()
        self._c.fake_cuda_set_callback(self._callback, None)

    def add_kernel(self, name: str, parameter_bytes: int = 0, max_threads: int = 1024) -> None:
        """Name a kernel; once one is named, only named ones are found. 0 bytes: any size of parameters."""
        self._c.fake_cuda_add_kernel(name.encode(), parameter_bytes, max_threads)

    def unsafe(self) -> None:
        """Do what CUDA forbids to all threads while one captures a graph in global mode, as a library that knows nothing of it."""
        self._c.fake_cuda_unsafe()

    def memory(self, data: int, size: int) -> npt.NDArray[np.uint8]:
        """The bytes behind a device range: a view, (size,) uint8. Raises `ValueError` if that is no device memory."""
        address = self._c.fake_cuda_shadow(data, size)
        if not address:
            raise ValueError(f"{data:#x}: expected {size} bytes of device memory")
        return np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_uint8)), (size,))

    def touch(self, data: int, size: int, *, write: bool) -> None:
        """In `on_launch`: what this launch reads or writes. Where it tells nothing, all memory in its parameters counts as written."""
        self._c.fake_cuda_touch(data, size, write)


@cache
def load() -> FakeCuda:
    """Make the fake the driver of this process, for good, and give its control. Raises `RuntimeError` if another is open already."""
    from affectrt import _core

    library = build()
    before = os.environ.get("AFFECTRT_CUDA_LIBRARY")
    os.environ["AFFECTRT_CUDA_LIBRARY"] = str(library)
    try:
        opened = _core.cuda_library()
    finally:
        # Other processes that these tests start shall see the machine as it is.
        if before is None:
            del os.environ["AFFECTRT_CUDA_LIBRARY"]
        else:
            os.environ["AFFECTRT_CUDA_LIBRARY"] = before
    if opened != str(library):
        raise RuntimeError(f"expected the fake driver, but this process has opened {opened}")
    return FakeCuda(library)
