"""affectrt's `Engine` and `Binding` on the fake runtime, in the process of the tests: with a GPU's stream and raw device addresses, which
the package's own Python side does not pass."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import fake_ort

Provider = str | tuple[str, Mapping[str, str]]


class ProbeError(Exception):
    """What the engine threw: `kind` is "DeviceError", "EngineError" or "ValueError"."""

    def __init__(self, said: str) -> None:
        self.kind, _, text = said.partition(": ")
        super().__init__(text)


@cache
def library() -> Any:
    """The engine's functions. Its runtime is the fake from the first call on."""
    fake_ort.load()
    c = ctypes.CDLL(str(fake_ort.build_probe()))
    pointer, text, number, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
    shapes = ctypes.POINTER(ctypes.c_int64)
    for name, result, arguments in [
        ("error", text, []),
        ("open", pointer, [text, text, number, number, pointer, number]),
        ("close", None, [pointer]),
        ("provider", text, [pointer]),
        ("on_gpu", number, [pointer]),
        ("has_graphs", number, [pointer]),
        ("fallbacks", text, [pointer]),
        ("to_be_had", text, [text, number]),
        ("binding", pointer, [pointer]),
        ("unbind", None, [pointer]),
        ("bind", number, [pointer, number, size, pointer, size, shapes, size, number]),
        ("run", number, [pointer, number]),
        ("register", number, [text, text]),
        ("devices", text, []),
    ]:
        function = getattr(c, f"probe_{name}")
        function.restype, function.argtypes = result, arguments
    return c


def _call(name: str, *arguments: Any) -> Any:
    c = library()
    # The runtime is opened by the first call that needs it, and reads this then.
    before = os.environ.get("AFFECTRT_ORT_LIBRARY")
    os.environ["AFFECTRT_ORT_LIBRARY"] = str(fake_ort.build())
    try:
        result = getattr(c, f"probe_{name}")(*arguments)
        said = c.probe_error().decode()
    finally:
        if before is None:
            del os.environ["AFFECTRT_ORT_LIBRARY"]
        else:
            os.environ["AFFECTRT_ORT_LIBRARY"] = before
    if said:
        raise ProbeError(said)
    return result


def _lines(providers: Sequence[Provider]) -> bytes:
    pairs = [(p, {}) if isinstance(p, str) else p for p in providers]
    return "\n".join("\t".join([name, *(f"{key}={value}" for key, value in options.items())]) for name, options in pairs).encode()


class Engine:
    """`gpu`: (ordinal, stream, graphs), or None. Use it in a `with`."""

    def __init__(
        self, model: Path, providers: Sequence[Provider], *, strict: bool = False, gpu: tuple[int, int, bool] | None = None
    ) -> None:
        ordinal, stream, graphs = gpu or (-1, 0, False)
        self._handle = _call("open", str(model).encode(), _lines(providers), strict, ordinal, stream or None, graphs)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        library().probe_close(self._handle)
        self._handle = None

    @property
    def provider(self) -> str:
        return str(library().probe_provider(self._handle).decode())

    @property
    def on_gpu(self) -> bool:
        return bool(library().probe_on_gpu(self._handle))

    @property
    def graphs(self) -> bool:
        return bool(library().probe_has_graphs(self._handle))

    @property
    def fallbacks(self) -> list[str]:
        return str(library().probe_fallbacks(self._handle).decode()).splitlines()

    def binding(self) -> Binding:
        return Binding(_call("binding", self._handle))


class Binding:
    """Use it in a `with`, inside that of its engine."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def __enter__(self) -> Binding:
        return self

    def __exit__(self, *_: object) -> None:
        library().probe_unbind(self._handle)

    def bind(self, kind: str, index: int, address: int, size: int, shape: Sequence[int], *, gpu: bool) -> None:
        """`kind`: "input" or "output"; `size` in bytes."""
        extents = (ctypes.c_int64 * len(shape))(*shape)
        _call("bind", self._handle, kind == "input", index, address, size, extents, len(shape), gpu)

    def run(self, graph: int = -1) -> None:
        _call("run", self._handle, graph)


def to_be_had(providers: Sequence[Provider], *, strict: bool = False) -> list[str]:
    return str(_call("to_be_had", _lines(providers), strict).decode()).splitlines()


def register(name: str, path: Path | str) -> None:
    _call("register", name.encode(), str(path).encode())


def devices() -> list[tuple[str, ...]]:
    return [tuple(line.split("\t")) for line in _call("devices").decode().splitlines()]
