"""An ONNX Runtime with GPU providers that needs no GPU: the real library, whose CUDA, TensorRT and NvTensorRTRTX providers, and providers
from libraries, are answered here.

What it does:

* Every call that can fail is counted and logged, and fails where it is told to (`fail_at`, `fail`); sessions are refused for a provider or
  for graphs (`refuse`). What is created and not released shows in `leaks()`, wrong use in `violations()`.
* Options of a provider are checked as the real one checks them: an unknown key is refused.
* A network runs on the CPU, with its tensors where they were bound. Where the fake driver of tests/fake_cuda is loaded (`use_driver`, or
  AFFECTRT_CUDA_LIBRARY), device addresses are its addresses. A run with such tensors that is not synchronised stands on the session's
  stream like a kernel, if the driver has `fake_cuda_enqueue`; without, what stood on the stream before it is done first, then the run.
* Operators that are registered for CUDA run in their sessions, in place of those for the CPU, with tensors on the fake driver's device.
* A graph replays with the tensors that it was captured with; binding others under its number is a violation. Each thread that runs a
  session has graphs of its own. While one is captured `on_capture` is called; where the fake driver is loaded, opening and closing
  sessions, runs without a graph, and what the driver counts as unsafe, are then refused on any thread, and break the capture.
* A session of a TensorRT provider with a cache takes its engine from there, or builds one into it. AFFECTRT_FAKE_ORT_BUILDS names a file
  that gets a line for each build, AFFECTRT_FAKE_ORT_HOLD one that no build ends before it is gone; AFFECTRT_FAKE_ORT_BUILD_FAULT is the
  text that builds fail with, or "abort".
* A library whose name ends in `.fake` is a text file of devices (`plugin_file`).

A process opens one ONNX Runtime. The tests of this folder's neighbours open the fake through a small library of their own (`probe()`), so
that it lives beside the real one. Whoever wants the package itself on the fake starts a process with `environment()`, and there calls
`load()` for control:

    code = "import affectrt, fake_ort; fake = fake_ort.load(); ...; print(fake.calls('CreateSession'))"
    subprocess.run([sys.executable, "-c", code], env=fake_cuda.environment() | fake_ort.environment(), check=True)
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import fake_cuda

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "fake_ort"
HERE = ROOT / "tests" / "fake_ort"
FAIL = 1


_failed: set[Path] = set()


@dataclass(frozen=True)
class Call:
    """One call of the runtime."""

    number: int
    """From 1, since the last reset; what `fail_at` counts by."""
    name: str
    args: Mapping[str, Any]
    failed: bool
    """Whether it answered with an injected status."""


def real_library() -> Path:
    """ONNX Runtime's own library: AFFECTRT_FAKE_ORT_REAL, or that of the installed package. Raises `RuntimeError` if there is none."""
    if given := os.environ.get("AFFECTRT_FAKE_ORT_REAL"):
        return Path(given)
    spec = importlib.util.find_spec("onnxruntime")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for found in sorted(Path(folder, "capi").glob("libonnxruntime.so*"), key=lambda path: -len(path.name)):
            return found
    raise RuntimeError("expected the package onnxruntime with its library, found none")


@fake_cuda.one_process_at_a_time(CACHE)
def compile_library(name: str, sources: Sequence[Path]) -> Path:
    """Compile C++ sources into a library, again only when one of them, a header or the compiler has changed. Returns its path.

    Raises `RuntimeError` with the compiler's text.
    """
    compiler = os.environ.get("CXX", "c++")
    headers = [
        path for folder in ("csrc/core", "csrc/engine", "csrc/pack", "tests/fake_ort") for path in sorted((ROOT / folder).glob("*.h"))
    ]
    digest = hashlib.sha256(compiler.encode())
    for path in [*headers, *sources]:
        digest.update(path.read_bytes())
    library = CACHE / f"lib{name}-{digest.hexdigest()[:16]}.so"
    if library.exists():
        return library
    if library in _failed:  # told to the first test; the others do not compile for it again
        raise RuntimeError(f"{library.name}: could not be compiled, see the first error")
    include = CACHE / "include"
    include.mkdir(exist_ok=True)
    if not (include / "affectrt").exists():
        (include / "affectrt").symlink_to(ROOT / "csrc")
    # Under a name of its own first: a build that is stopped leaves nothing that looks whole.
    partial = library.with_name(f"{library.name}.{os.getpid()}")
    command = [compiler, "-std=c++20", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-O0", "-fPIC", "-shared", f"-I{include}"]
    command += [*map(str, sources), "-ldl", "-pthread", "-o", str(partial)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        _failed.add(library)
        raise RuntimeError(f"{' '.join(command)}\n{done.stderr}")
    partial.replace(library)
    return library


@cache
def build() -> Path:
    """The fake runtime's library, compiled when it is needed."""
    return compile_library("onnxruntime_fake", sorted(HERE.glob("*.cc")))


@cache
def build_probe() -> Path:
    """The library with the engine alone, compiled when it is needed."""
    engine = ["engine.cc", "ort_api.cc", "plugin.cc", "providers.cc"]
    return compile_library(
        "engine_probe", [HERE / "probe" / "probe.cc", *(ROOT / "csrc/engine" / name for name in engine), ROOT / "csrc/pack/text.cc"]
    )


def environment() -> dict[str, str]:
    """Environment variables for a process of its own whose ONNX Runtime is the fake. Tests' modules can be imported there too."""
    path = os.pathsep.join(filter(None, [str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]))
    return {"AFFECTRT_ORT_LIBRARY": str(build()), "AFFECTRT_FAKE_ORT_REAL": str(real_library()), "PYTHONPATH": path}


def plugin_file(folder: Path, *devices: str) -> Path:
    """A library of providers for the fake. A device is "PROVIDER VENDOR gpu key=value meta:key=value ...": what it says of itself."""
    path = folder / f"provider-{hashlib.sha256(repr(devices).encode()).hexdigest()[:8]}.fake"
    path.write_text("".join(f"{device}\n" for device in devices))
    return path


class FakeOrt:
    """Control of the fake that is loaded into this process."""

    def __init__(self, library: Path) -> None:
        self._c = ctypes.CDLL(str(library))
        self._on_capture: Any = None
        for name in ("log", "violations", "leaks"):
            getattr(self._c, f"fake_ort_{name}").restype = ctypes.c_char_p
        self._c.fake_ort_calls.restype = ctypes.c_long
        self._c.fake_ort_fail_at.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_char_p]
        self._c.fake_ort_fail.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int, ctypes.c_char_p]
        self._c.fake_ort_set_api_version.argtypes = [ctypes.c_uint32]

    def reset(self) -> None:
        """Forget the log, violations, faults and refusals. What is alive stays alive, registered libraries stay registered."""
        self._c.fake_ort_reset()

    def set_providers(self, *names: str) -> None:
        """The providers that it has beside the real library's. Read once, when a process opens its runtime."""
        self._c.fake_ort_set_providers(",".join(names).encode())

    def set_api_version(self, version: int) -> None:
        """The newest version of the API that it serves, as an older library would; 0: the real one's."""
        self._c.fake_ort_set_api_version(version)

    def use_driver(self, library: Path) -> None:
        """The fake driver that this process has loaded."""
        self._c.fake_ort_use_driver(str(library).encode())

    def fail_at(self, call: int, text: str = "injected", *, code: int = FAIL) -> None:
        """Let call number `call` since the reset fail; 0: none."""
        self._c.fake_ort_fail_at(call, code, text.encode())

    def fail(self, name: str, text: str = "injected", *, nth: int = 1, code: int = FAIL) -> None:
        """Let the nth call of this function from now on fail."""
        self._c.fake_ort_fail(name.encode(), nth, code, text.encode())

    def refuse(self, what: str, text: str) -> None:
        """Let sessions fail to open that are given this provider, or ("graphs") one that is to capture graphs."""
        self._c.fake_ort_refuse(what.encode(), text.encode())

    def lose_stream(self, lose: bool = True) -> None:
        """Let sessions that open from now on tell operators for CUDA another stream than the provider was given."""
        self._c.fake_ort_lose_stream(lose)

    def on_capture(self, function: Callable[[], None] | None) -> None:
        """Call this while a graph is being captured, on the thread that runs the network."""
        self._on_capture = ctypes.CFUNCTYPE(None)(function) if function else ctypes.CFUNCTYPE(None)()
        self._c.fake_ort_on_capture(self._on_capture)

    @property
    def fired(self) -> bool:
        """Whether a fault was injected since it was asked for."""
        return bool(self._c.fake_ort_fired())

    @property
    def count(self) -> int:
        """Number of calls since the reset."""
        return int(self._c.fake_ort_calls())

    def calls(self, *names: str) -> list[Call]:
        """The log since the reset; of these functions only, if any are named."""
        lines = (json.loads(line) for line in self._c.fake_ort_log().decode().splitlines())
        log = [Call(line["call"], line["name"], line["args"], bool(line["failed"])) for line in lines]
        return [call for call in log if not names or call.name in names]

    def violations(self) -> list[str]:
        """What was done wrong since the reset."""
        return str(self._c.fake_ort_violations().decode()).splitlines()

    def leaks(self) -> list[str]:
        """Kinds of all that is alive now, sorted."""
        return sorted(str(self._c.fake_ort_leaks().decode()).splitlines())


@cache
def load() -> FakeOrt:
    """Control of the fake in this process. It counts for the package's own engines only in a process with `environment()`."""
    os.environ.setdefault("AFFECTRT_FAKE_ORT_REAL", str(real_library()))
    return FakeOrt(build())
