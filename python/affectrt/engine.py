"""`Engine`: one ONNX network, and how a device, a list of providers and the installed ONNX Runtime become one."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from affectrt import _core
from affectrt.errors import DeviceError, EngineError

__all__ = ["Configured", "Engine", "EngineSettings", "ProviderSpec", "TensorSpec", "find_ort_library", "set_thread_pool"]

ProviderSpec = str | tuple[str, Mapping[str, str]]
"""The name of an ONNX Runtime provider, alone or with its options."""


_CPU, _CUDA, _CUDA_PLUGIN = "CPUExecutionProvider", "CUDAExecutionProvider", "CudaPluginExecutionProvider"


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, dtype ("float32", "int64", ...) and shape (-1: free) of an input or output."""

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How networks are opened. Raises `ValueError` listing everything that is wrong."""

    device: str = "auto"
    """"auto" (the first GPU where there is one that can be used, else the CPU; `fallbacks` says why not), "cpu", or "cuda:0" and so on."""
    precision: str = "auto"
    """"auto" (the pack's first variant that the providers can run), or a precision or variant name of the pack."""
    providers: Sequence[ProviderSpec] | None = None
    """ONNX Runtime providers in order of preference, instead of `device`."""
    strict: bool = False
    """Raise instead of falling back to another provider or to the CPU."""
    engine: str = "cuda"
    """On a GPU: "cuda", ready at once, or "tensorrt": engines from the cache, built first where there are none (docs/engines.md)."""
    threads: int = 0
    """0: the pool that all networks share; n: n threads of its own (1: the calling thread alone)."""

    def __post_init__(self) -> None:
        wrong = []
        if self.device not in ("auto", "cpu") and _cuda_index(self.device) is None:
            wrong.append(f'device: expected "auto", "cpu" or "cuda:N", got {self.device!r}')
        if self.providers is not None and self.device != "auto":
            wrong.append(f"device and providers: expected one of the two, got device={self.device!r} and providers={self.providers!r}")
        if isinstance(self.providers, str) or (self.providers is not None and not self.providers):
            wrong.append(f"providers: expected a list of at least one name, got {self.providers!r}")
        if isinstance(self.providers, (list, tuple)) and not all(_is_provider(p) for p in self.providers):
            wrong.append(f"providers: expected names, or pairs of a name and its options, got {self.providers!r}")
        if not isinstance(self.precision, str):
            wrong.append(f'precision: expected "auto" or a name, got {self.precision!r}')
        if self.engine not in ("cuda", "tensorrt"):
            wrong.append(f'engine: expected "cuda" or "tensorrt", got {self.engine!r}')
        elif self.engine == "tensorrt" and (self.device == "cpu" or self.providers is not None):
            given = 'device="cpu"' if self.device == "cpu" else f"providers={self.providers!r}"
            wrong.append(f'engine: "tensorrt" is for device="auto" or "cuda:N", got {given} too')
        # ONNX Runtime waits for ever for threads that the system does not grant.
        most = max(64, 4 * (os.cpu_count() or 1))
        if isinstance(self.threads, bool) or not isinstance(self.threads, int) or not 0 <= self.threads <= most:
            wrong.append(f"threads: expected 0 to {most}, got {self.threads!r}")
        if wrong:
            raise ValueError("; ".join(wrong))

    def core_options(self) -> dict[str, Any]:
        """Keyword arguments of `_core`'s networks, whatever `engine` is. Raises `DeviceError` if a device was named that cannot be had."""
        find_and_set_library()
        return {"providers": self._providers(), "strict": self.strict, "threads": self.threads}

    def _providers(self) -> list[tuple[str, dict[str, str]]]:
        if self.providers is not None:
            return [(p, {}) if isinstance(p, str) else (p[0], {k: str(v) for k, v in p[1].items()}) for p in self.providers]
        index = _cuda_index(self.device)
        if index is not None:
            # What has no variant for a GPU runs on the CPU, and its fallbacks say so.
            return [(_require_cuda(self.device, index), {"device_id": str(index)}), *([] if self.strict else [(_CPU, {})])]
        if self.device != "auto":
            return []
        # What keeps a network from the GPU is in its fallbacks. Without a driver there is nothing to say, and it is not started where the
        # runtime could not use it.
        provider = cuda_provider()
        there = _has_driver() if provider is None else _any_gpu()
        return [(provider or _CUDA, {"device_id": "0"}), (_CPU, {})] if there else []


class Configured:
    """What every object that runs networks says of itself: what was asked for, beside its own `provider` and `fallbacks`."""

    settings: EngineSettings

    @property
    def device(self) -> str:
        """The device asked for."""
        return self.settings.device

    @property
    def precision(self) -> str:
        """The precision asked for."""
        return self.settings.precision

    @property
    def providers(self) -> tuple[ProviderSpec, ...] | None:
        """The providers asked for, or None."""
        return None if self.settings.providers is None else tuple(self.settings.providers)

    @property
    def strict(self) -> bool:
        """Whether falling back was forbidden."""
        return self.settings.strict


class Engine(Configured):
    """One ONNX network, opened once, run from any number of threads.

    Raises `EngineError` (no ONNX Runtime, a file that is no model), `DeviceError` (a device that cannot be had).
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        settings: EngineSettings | None = None,
        *,
        spinning: bool = False,
    ) -> None:
        path = Path(model)
        if not path.is_file():
            raise EngineError(f"{path}: expected an ONNX file, found {'a folder' if path.is_dir() else 'nothing'}")
        self.settings = settings or EngineSettings()
        if self.settings.engine != "cuda":
            raise ValueError(f'engine: expected "cuda" for a single model file, got {self.settings.engine!r}; name the provider instead')
        self._core = _core.Engine(path, spinning=spinning, **self.settings.core_options())

    @classmethod
    def of_pack(
        cls,
        pack: _core.Pack,
        wanted: str = "auto",
        settings: EngineSettings | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[str, Engine]:
        """The variant `wanted` of a pack, by name or precision, and its name.

        options: what to open it with instead of the settings' own `core_options()`.

        "auto" is the first that needs no provider, or one that was asked for and is to be had. Raises `PackError` (no such variant, a file
        that has not been pulled), `EngineError`; `DeviceError` if the variant needs a provider that was not asked for, or if none can run.
        """
        engine = cls.__new__(cls)
        engine.settings = settings or EngineSettings()
        name, engine._core = _core.open_variant(pack, wanted, **(engine.settings.core_options() if options is None else options))
        return name, engine

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """What `run` takes."""
        return tuple(TensorSpec(*spec) for spec in self._core.inputs)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """What `run` returns."""
        return tuple(TensorSpec(*spec) for spec in self._core.outputs)

    @property
    def provider(self) -> str:
        """The provider that the network really runs on."""
        return self._core.provider

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """Providers that were asked for and could not be had, each with the reason."""
        return tuple(self._core.fallbacks)

    def run(self, feeds: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Input name to array (NumPy or DLPack on the CPU, C-contiguous, of the input's dtype, not copied) to output name to array.

        Raises `TypeError` or `ValueError` naming the input, what was expected and what came.
        """
        result: dict[str, NDArray[Any]] = self._core.run(dict(feeds))
        return result


def set_thread_pool(threads: int = 0, *, spinning: bool = False) -> None:
    """Set the pool that all networks share: number of threads (0: one a core), and whether idle threads spin (lower latency, busy cores).

    Counts only before the first network opens; `EngineError` after.
    """
    if isinstance(threads, bool) or not isinstance(threads, int):
        raise TypeError(f"threads: expected an int, got {type(threads).__name__}")
    _core.set_thread_pool(threads=threads, spinning=spinning)


def find_ort_library() -> Path | None:
    """The ONNX Runtime library of the installed `onnxruntime` package, found without importing it; None if there is none."""
    spec = importlib.util.find_spec("onnxruntime")
    if spec is None or not spec.submodule_search_locations:
        return None
    for folder in spec.submodule_search_locations:
        # The file with the longest name carries the version; shorter ones are links to it, where there are any.
        found = sorted(Path(folder, "capi").glob("libonnxruntime.so*"), key=lambda p: len(p.name))
        if found:
            return found[-1]
    return None


def find_and_set_library() -> None:
    """Tell `_core` where ONNX Runtime lies, once. Raises `EngineError` if the installed package carries no library."""
    if _core.ort_is_open() or os.environ.get("AFFECTRT_ORT_LIBRARY"):
        return
    library = find_ort_library()
    if library is not None:
        _core.set_ort_library(str(library))
    elif importlib.util.find_spec("onnxruntime") is not None:
        raise EngineError(
            "the installed onnxruntime package carries no libonnxruntime.so of its own (some vendors' wheels do not): "
            "set AFFECTRT_ORT_LIBRARY to the path of the library"
        )


def _is_provider(provider: object) -> bool:
    if isinstance(provider, str):
        return True
    return isinstance(provider, (tuple, list)) and len(provider) == 2 and isinstance(provider[0], str) and isinstance(provider[1], Mapping)


def _cuda_index(device: str) -> int | None:
    name, colon, index = device.partition(":") if isinstance(device, str) else ("", "", "")
    if name != "cuda" or (colon and not index.isdecimal()):
        return None
    return int(index) if index else 0


def _gpus() -> int:
    """How many GPUs the driver shows. Raises `DeviceError` where there is none, or no driver."""
    return len(_core.cuda_devices())


@functools.cache
def _any_gpu() -> bool:
    try:
        return _gpus() > 0
    except DeviceError:
        return False


@functools.cache
def _has_driver() -> bool:
    """Whether the driver's library can be opened. That does not start it."""
    try:
        ctypes.CDLL(os.environ.get("AFFECTRT_CUDA_LIBRARY") or "libcuda.so.1")
    except OSError:
        return False
    return True


def cuda_provider() -> str | None:
    """The CUDA provider that ONNX Runtime has: its own, or one from a library that was registered. None if it has neither."""
    there = {*_core.ort_info()["providers"], *(name for name, _, gpu, _ in _core.provider_devices() if gpu)}
    return next((name for name in (_CUDA, _CUDA_PLUGIN) if name in there), None)


def _require_cuda(device: str, index: int) -> str:
    """The provider for this GPU. Raises `DeviceError` that says what is missing."""
    try:
        count = _gpus()
    except DeviceError as error:
        raise DeviceError(f'device="{device}": {error}; use device="cpu"') from None
    if index >= count:
        raise DeviceError(f'device="{device}": this machine has cuda:0{f" to cuda:{count - 1}" if count > 1 else " alone"}')
    provider = cuda_provider()
    if provider is None:
        info = _core.ort_info()
        raise DeviceError(
            f'device="{device}": the ONNX Runtime {info["version"]} at {info["library"]} has no CUDA provider (it has: '
            f'{", ".join(info["providers"])}); install "affectrt[gpu]" in place of "affectrt[cpu]"'
        )
    return provider
