"""One thin layer over NVIDIA's builders: `tensorrt` 10 and 11, which build on the device, and `tensorrt_rtx`, which builds ahead of time.

What differs between them is here and nowhere else. Networks are strongly typed: precision comes from the types in the ONNX file.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from affectrt.bench import machine

from affectrt_export.spec import ExportError
from affectrt_export.tensorrt.device import find_gpu

KINDS = ("tensorrt", "tensorrt_rtx")
_KNOWN = {"tensorrt": ((10,), (12,)), "tensorrt_rtx": ((1, 2), (2,))}
_PROVIDERS = {"tensorrt": "TensorrtExecutionProvider", "tensorrt_rtx": "NvTensorRTRTXExecutionProvider"}
_SHOWN = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT-RTX"}
RTX_COMMAND = "pip install tensorrt-rtx-cu13"


@dataclass(frozen=True)
class Library:
    """A builder that has been loaded."""

    kind: str
    """"tensorrt" or "tensorrt_rtx": the Python module."""
    version: tuple[int, ...]
    """(10, 13, 0, 35)"""
    api: Any = field(repr=False, compare=False)
    """The module."""

    @property
    def shown(self) -> str:
        """ "TensorRT-RTX 1.7.1.116"."""
        return f"{_SHOWN[self.kind]} {self.version_text}"

    @property
    def version_text(self) -> str:
        """ "1.7.1.116"."""
        return ".".join(map(str, self.version))

    @property
    def sdk_version(self) -> str:
        """One number as ONNX Runtime's providers write it into an EPContext node: 10.13.0 is "101300"."""
        major, minor, patch = (*self.version, 0, 0)[:3]
        return str(major * 10000 + minor * 100 + patch)

    @property
    def provider(self) -> str:
        """The ONNX Runtime provider that runs its engines."""
        return _PROVIDERS[self.kind]

    @property
    def needs_gpu(self) -> bool:
        """Whether it builds only on the GPU that the engine is for."""
        return self.kind == "tensorrt"

    @property
    def has_timing_cache(self) -> bool:
        """TensorRT measures kernels and keeps the times; TensorRT-RTX chooses them on the device, and its timing cache does nothing."""
        return self.kind == "tensorrt"

    @property
    def network_flags(self) -> int:
        """What makes a network strongly typed. TensorRT 11 and TensorRT-RTX know no other and warn of the flag."""
        if self.kind == "tensorrt" and self.version < (11,):
            return 1 << int(self.api.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        return 0

    @property
    def targets(self) -> tuple[str, ...]:
        """GPUs that it builds for ahead of time, as `device.parse_target` writes them; empty where it builds on the device only."""
        capabilities = getattr(self.api, "ComputeCapability", None)
        return tuple(name.lower() for name in capabilities.__members__ if name.startswith("SM")) if capabilities else ()


def load(kind: str = "auto", targets: Sequence[str] = ()) -> Library:
    """The builder named, or for "auto" TensorRT where there is a GPU and no `targets` are named, else TensorRT-RTX, else the other.

    ExportError if it is missing (says what to install on a Jetson, on a desktop, and ahead of time), broken, or of an unknown version.
    """
    if kind not in ("auto", *KINDS):
        raise ExportError(f'library {kind!r}: expected "auto", "tensorrt" or "tensorrt_rtx"')
    if kind == "tensorrt" and targets:
        raise ExportError(
            f"targets {', '.join(targets)}: TensorRT builds for the GPU it runs on; ahead of time builds TensorRT-RTX ({RTX_COMMAND})"
        )
    wanted = [kind] if kind != "auto" else ["tensorrt_rtx"] if targets else sorted(KINDS, reverse=find_gpu() is None)
    reasons = []
    for name in wanted:
        try:
            module = importlib.import_module(name)
        except (ImportError, OSError) as error:
            missing = isinstance(error, ModuleNotFoundError) and error.name == name
            reasons.append(f"{name} is not installed" if missing else f"{name} cannot be loaded: {error}")
            continue
        return _checked(name, module)
    raise ExportError(f"{' and '.join(reasons)}; {_advice()}")


def parse_version(text: str) -> tuple[int, ...]:
    """(10, 3, 0, 30) from "10.3.0.30", "10.3.0.30-1+cuda12.5" or "10.3.0.30.post1": versions are compared as numbers, never as text."""
    match = re.match(r"\d+(?:\.\d+)*", text)
    if not match:
        raise ExportError(f"version {text!r}: expected numbers with dots between them")
    return tuple(int(part) for part in match[0].split("."))


def _checked(name: str, module: Any) -> Library:
    if not hasattr(module, "Builder"):
        raise ExportError(
            f"import {name} found {getattr(module, '__file__', module)}, which is not NVIDIA's library: something of that name hides it"
        )
    version = parse_version(str(module.__version__))
    low, high = _KNOWN[name]
    if not low <= version < high:
        first, end = (".".join(map(str, bound)) for bound in (low, high))
        raise ExportError(f"{_SHOWN[name]} {module.__version__}: expected a version from {first} on and before {end}")
    return Library(name, version, module)


def _advice() -> str:
    """What to install, this machine's own way first."""
    jetson = "on a Jetson: sudo apt-get install nvidia-jetpack, then python3 -m venv --system-site-packages (it is for the system's Python)"
    desktop = "on a desktop with an NVIDIA GPU: pip install tensorrt (its libraries come from NVIDIA's own package index)"
    ahead = f"ahead of time, without a GPU, on x86-64: {RTX_COMMAND} (NVIDIA's licence, not open source)"
    ways = [jetson, desktop, ahead] if machine.jetson() else [ahead, desktop, jetson]
    return "; ".join(ways)


def severities(api: Any) -> dict[int, str]:
    """Numbers of the library's severities to "error", "warning" and "info"."""
    severity = api.ILogger.Severity
    return {
        int(severity.INTERNAL_ERROR): "error",
        int(severity.ERROR): "error",
        int(severity.WARNING): "warning",
        int(severity.INFO): "info",
    }
