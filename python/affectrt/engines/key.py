"""Which TensorRT there is, and the key of what it builds: whatever an engine depends on is in it, so a stale one is never found."""

from __future__ import annotations

import ctypes
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affectrt import _core
from affectrt.engine import EngineSettings, _cuda_index, find_and_set_library
from affectrt.errors import DeviceError
from affectrt.packs import Pack

__all__ = ["RTX", "TENSORRT", "choose_provider", "engine_facts", "engine_providers", "gpu_of", "key_of"]

TENSORRT, RTX, CUDA = "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider", "CUDAExecutionProvider"
_NVINFER = ("libnvinfer.so.10", "libnvinfer.so.11")
_RTX_PACKAGES = ("onnxruntime-ep-nv-tensorrt-rtx", "onnxruntime-ep-nv-tensorrt-rtx-cu13", "onnxruntime-ep-nv-tensorrt-rtx-cu12")


def gpu_of(settings: EngineSettings) -> tuple[int, Any]:
    """The position of the GPU that the settings mean and what the driver says of it. Raises `DeviceError` where there is none."""
    index = _cuda_index(settings.device) or 0
    devices = _core.cuda_devices()
    if index >= len(devices):
        raise DeviceError(f'device="{settings.device}": expected one of {[device.name for device in devices]}')
    return index, devices[index]


def choose_provider() -> str:
    """TensorRT where ONNX Runtime has it, else TensorRT-RTX, its own or from a library. Raises `DeviceError` where there is neither."""
    find_and_set_library()
    info = _core.ort_info()
    if TENSORRT in info["providers"]:
        return TENSORRT
    if RTX in info["providers"] or any(device[0] == RTX for device in _core.provider_devices()):
        return RTX
    raise DeviceError(
        f"the ONNX Runtime {info['version']} at {info['library']} has neither {TENSORRT} nor {RTX} (it has: {', '.join(info['providers'])})"
    )


def engine_providers(provider: str, index: int, folder: Path, strict: bool) -> list[tuple[str, dict[str, str]]]:
    """The providers of networks whose engines lie in `folder`. CUDA stands behind, for single nodes, unless `strict`."""
    device = {"device_id": str(index)}
    if provider == TENSORRT:
        path = str(folder)
        own = {"trt_engine_cache_enable": "1", "trt_engine_cache_path": path, "trt_timing_cache_enable": "1", "trt_timing_cache_path": path}
    else:
        own = {"nv_runtime_cache_path": str(folder)}
    behind = [(CUDA, dict(device))] if not strict and CUDA in _core.ort_info()["providers"] else []
    return [(provider, device | own), *behind]


def engine_facts(provider: str, gpu: Any, networks: Mapping[str, tuple[Pack, str]]) -> dict[str, Any]:
    """All that the engines of `networks` (role: pack, wanted variant) depend on."""
    options = engine_providers(provider, 0, Path(), strict=True)[0][1]
    info = _core.ort_info()
    return {
        "provider": provider,
        "options": {name: value for name, value in sorted(options.items()) if not name.endswith("_path") and name != "device_id"},
        "onnxruntime": info["version"],
        "tensorrt": _version(provider),
        "gpu": gpu.model,
        "sm": gpu.sm,
        "driver": f"CUDA {gpu.cuda_version}, {_driver()}",
        "machine": platform.machine(),
        "networks": {role: _network(pack, wanted) for role, (pack, wanted) in networks.items()},
    }


def key_of(facts: Mapping[str, Any]) -> str:
    """64 hex digits."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _network(pack: Pack, wanted: str) -> dict[str, Any]:
    manifest = pack.manifest
    hashes = {entry["path"]: entry["sha256"] for entry in manifest["files"]}
    assert pack._core is not None
    return {
        "pack": pack.name,
        "wanted": wanted,
        # Which of them opens is the runtime's to say, by the providers that there are.
        "variants": {variant["name"]: hashes[variant["file"]] for variant in manifest["variants"]},
        "shapes": [list(map(_plain, one)) for one in _core.shape_ranges(pack._core)],
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _driver() -> str:
    """The driver's own version where the kernel module tells it (not on a Jetson, whose system's release stands for it), else ""."""
    for path in ("/sys/module/nvidia/version", "/etc/nv_tegra_release"):
        try:
            return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()[0].strip()
        except (OSError, IndexError):
            continue
    return ""


def _version(provider: str) -> str:
    """The version of the library that builds, as far as it can be had without a GPU's help, or ""."""
    if provider == RTX:
        library = Path(str(_core.provider_library(RTX)))
        versions = [_installed(name) for name in _RTX_PACKAGES]
        size = library.stat().st_size if library.is_file() else 0
        return " ".join(filter(None, [*versions, f"{library.name} of {size} bytes" if size else ""]))
    for name in _NVINFER:
        try:
            return str(ctypes.CDLL(name).getInferLibVersion())
        except (OSError, AttributeError):
            continue
    return ""


def _installed(distribution: str) -> str:
    try:
        return f"{distribution} {importlib.metadata.version(distribution)}"
    except importlib.metadata.PackageNotFoundError:
        return ""
