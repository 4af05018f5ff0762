"""What machine this is, and the one line that says why it cannot be measured."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import shutil
import subprocess
import traceback
from pathlib import Path
from typing import Any

from affectrt import _core
from affectrt.bench import machine as host
from affectrt.engine import find_and_set_library
from affectrt.errors import DeviceError, EngineError

ROOT = Path(__file__).resolve().parents[2]
PROVIDERS = ("CUDAExecutionProvider", "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider")
DISTRIBUTIONS = ("affectrt", "onnxruntime", "onnxruntime-gpu", "onnxruntime-ep-nv-tensorrt-rtx-cu13", "tensorrt", "tensorrt-rtx-cu13")
DISTRIBUTIONS += ("numpy", "torch", "cupy-cuda12x", "cupy-cuda13x", "nvidia-cudnn-cu12", "nvidia-cudnn-cu13")
SMI_FIELDS = ("driver_version", "pstate", "clocks.sm", "clocks.mem", "clocks.max.sm", "clocks.max.mem", "power.limit", "temperature.gpu")


class NotHereError(Exception):
    """This machine, or this build, cannot be measured. The text is one line: what is missing, and the command that mends it."""


def driver_library() -> str | None:
    """The file that stands in for the driver, where AFFECTRT_CUDA_LIBRARY names one. Nothing says that a GPU is behind it."""
    return os.environ.get("AFFECTRT_CUDA_LIBRARY") or None


def require(device: str) -> None:
    """Raises `NotHereError` unless there are a driver, the GPU, kernels for it and a runtime with a CUDA provider."""
    jetson = host.jetson()
    try:
        names = [gpu.name for gpu in _core.cuda_devices()]
    except DeviceError as error:
        mend = "flash or repair JetPack" if jetson else "sudo apt-get install nvidia-driver-580 (in a container: docker run --gpus all)"
        raise NotHereError(f"no GPU to measure: {one_line(error)}; {mend}") from None
    if device not in names:
        raise NotHereError(f"--device {device}: this machine has {', '.join(names)}; python benchmarks/gpu.py --device {names[0]}")
    if not _core.cuda_kernel_images():
        nvcc = "/usr/local/cuda/bin/nvcc" if jetson else "/path/to/nvcc"
        mend = f"CUDACXX={nvcc} pip install --force-reinstall --no-deps -C cmake.define.AFFECTRT_CUDA=ON . (nvcc: docs/gpu.md)"
        raise NotHereError(f"this build of affectrt has no kernels: {mend}")
    try:
        find_and_set_library()
        info = _core.ort_info()
    except EngineError as error:
        raise NotHereError(f"no ONNX Runtime: {one_line(error)}; {_runtime_command(jetson)}") from None
    if PROVIDERS[0] not in info["providers"]:
        had = ", ".join(info["providers"])
        raise NotHereError(f"the ONNX Runtime {info['version']} has no CUDA provider (it has: {had}); {_runtime_command(jetson)}")


def _runtime_command(jetson: dict[str, Any] | None) -> str:
    if jetson:
        return "install the onnxruntime-gpu wheel for this JetPack (docs/gpu.md)"
    return "pip uninstall -y onnxruntime && pip install --force-reinstall 'onnxruntime-gpu>=1.23'"


def describe(device: str) -> dict[str, Any]:
    """The machine, its GPU, versions and the commit."""
    gpu = next(found for found in _core.cuda_devices() if found.name == device)
    runtime = dict(_core.ort_info())
    shown: dict[str, Any] = {
        "gpu": gpu.model,
        "device": device,
        "sm": gpu.sm,
        "memory_bytes": gpu.memory_bytes,
        "multiprocessors": gpu.multiprocessors,
        "integrated": gpu.integrated,
        "driver_serves_cuda": gpu.cuda_version,
        "driver_library": _core.cuda_library(),
        "nvidia_smi": _smi(gpu.model) or None,
        "kernels": sorted({image[0] for image in _core.cuda_kernel_images()}),
        "onnxruntime": runtime,
        "provider_libraries": [list(entry) for entry in _core.provider_devices()],
        "versions": {name: version for name in DISTRIBUTIONS if (version := _version(name))},
        "commit": _commit(),
        "host": host.describe(),
        "temperature_c": host.temperature_c(),
        "load_average": host.load_average(),
    }
    return shown


def is_a_gpu() -> bool:
    """False where another library stands in for the driver: its figures are none of a GPU."""
    return driver_library() is None


def free_bytes(device: str) -> int | None:
    """Free memory of the device, as its driver tells; None where it does not."""
    driver = ctypes.CDLL(_core.cuda_library())
    ask = getattr(driver, "cuMemGetInfo_v2", None)
    if ask is None:
        return None
    handle, context, free, total = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_size_t()
    if driver.cuDeviceGet(ctypes.byref(handle), int(device.partition(":")[2] or 0)):
        return None
    if driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), handle):
        return None
    driver.cuCtxPushCurrent_v2(context)
    failed = ask(ctypes.byref(free), ctypes.byref(total))
    driver.cuCtxPopCurrent_v2(ctypes.byref(context))
    driver.cuDevicePrimaryCtxRelease_v2(handle)
    return None if failed else free.value


def one_line(error: BaseException) -> str:
    """Its text; of one without a text, as a bare assert's, the line that raised it."""
    text = " ".join(str(error).split())
    if text or error.__traceback__ is None:
        return text or type(error).__name__
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {Path(last.filename).name}:{last.lineno}: {last.line}"


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _run(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, cwd=ROOT).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _commit() -> str | None:
    commit = _run("git", "rev-parse", "HEAD")
    return f"{commit} with changes" if commit and _run("git", "status", "--porcelain", "--untracked-files=no") else commit or None


def _smi(model: str) -> dict[str, str]:
    """What nvidia-smi tells of the GPU of this name: clocks, limits and the driver's own version."""
    if not is_a_gpu() or not shutil.which("nvidia-smi"):
        return {}
    for line in _run("nvidia-smi", f"--query-gpu=name,{','.join(SMI_FIELDS)}", "--format=csv,noheader").splitlines():
        name, *values = (value.strip() for value in line.split(","))
        if name == model and len(values) == len(SMI_FIELDS):
            return dict(zip(SMI_FIELDS, values, strict=True))
    return {}
