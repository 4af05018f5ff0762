"""The GPU of this machine, read from the driver's own library, and the GPUs that an engine may be built for ahead of time."""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from typing import Any

from affectrt.bench import machine

from affectrt_export.spec import ExportError

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR
_NAME_BYTES = 256


@dataclass(frozen=True)
class Gpu:
    """What an engine depends on beside the library that built it."""

    name: str
    """"Orin", "NVIDIA GeForce RTX 4090"."""
    compute_capability: tuple[int, int]
    """(8, 7), (8, 9)."""
    driver: str
    """Version of the kernel module, or of the driver's CUDA where the kernel does not tell."""

    @property
    def target(self) -> str:
        """As `parse_target` writes it: "sm87"."""
        return "sm{}{}".format(*self.compute_capability)


def find_gpu(index: int = 0, cuda: Any = None) -> Gpu | None:
    """GPU number `index`; None where there is no driver or no such GPU. `cuda`: the driver's library, in place of libcuda.so.1."""
    if cuda is None:
        try:
            cuda = ctypes.CDLL("libcuda.so.1")
        except OSError:
            return None
    device, major, minor, version = (ctypes.c_int() for _ in range(4))
    name = ctypes.create_string_buffer(_NAME_BYTES)
    calls: tuple[tuple[Any, ...], ...] = (
        (cuda.cuInit, 0),
        (cuda.cuDeviceGet, ctypes.byref(device), index),
        (cuda.cuDeviceGetName, name, _NAME_BYTES, device),
        (cuda.cuDeviceGetAttribute, ctypes.byref(major), _MAJOR, device),
        (cuda.cuDeviceGetAttribute, ctypes.byref(minor), _MINOR, device),
        (cuda.cuDriverGetVersion, ctypes.byref(version)),
    )
    if any(call(*arguments) != 0 for call, *arguments in calls):
        return None
    kernel = (machine.gpu() or {}).get("driver")
    driver = kernel or f"CUDA {version.value // 1000}.{version.value % 1000 // 10}"
    return Gpu(name.value.decode(errors="replace"), (major.value, minor.value), driver)


def parse_target(text: str) -> str:
    """ "sm89" from "sm89", "SM89", "89" or "8.9". ExportError for anything else."""
    match = re.fullmatch(r"(?:sm_?)?(\d{1,2})\.?(\d)", text.strip().lower())
    if not match:
        raise ExportError(f'target {text!r}: expected the compute capability of a GPU, such as "sm89" or "8.9"')
    return f"sm{match[1]}{match[2]}"
