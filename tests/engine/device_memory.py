"""Memory and streams of the fake driver by its own functions, for networks that run between copies there."""

from __future__ import annotations

import ctypes

import fake_cuda
import numpy as np
from fake_ort import probe

SHAPE, BYTES = (2, 4), 32


class Gpu:
    """Device memory, page-locked memory and a stream, by the driver's own functions."""

    def __init__(self) -> None:
        self._c = ctypes.CDLL(str(fake_cuda.build()))
        self._owned: list[tuple[str, ctypes.c_void_p]] = []
        context = ctypes.c_void_p()
        self._call("cuInit", 0)
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), 0)
        self._call("cuCtxPushCurrent_v2", context)

    def _call(self, name: str, *arguments: object) -> None:
        assert getattr(self._c, name)(*arguments) == 0, name

    def _new(self, name: str, release: str, *arguments: object) -> int:
        made = ctypes.c_void_p()
        self._call(name, ctypes.byref(made), *arguments)
        self._owned.append((release, made))
        return int(made.value or 0)

    def stream(self) -> int:
        return self._new("cuStreamCreateWithPriority", "cuStreamDestroy_v2", 1, 0)

    def memory(self) -> int:
        return self._new("cuMemAlloc_v2", "cuMemFree_v2", ctypes.c_size_t(BYTES))

    def pinned(self) -> np.ndarray:
        """(2, 4) float32, page-locked."""
        address = self._new("cuMemHostAlloc", "cuMemFreeHost", ctypes.c_size_t(BYTES), 0)
        return np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_float)), SHAPE)

    def upload(self, to: int, source: np.ndarray, stream: int) -> None:
        self._call(
            "cuMemcpyHtoDAsync_v2",
            ctypes.c_uint64(to),
            ctypes.c_void_p(source.ctypes.data),
            ctypes.c_size_t(BYTES),
            ctypes.c_void_p(stream),
        )

    def download(self, to: np.ndarray, source: int, stream: int) -> None:
        self._call(
            "cuMemcpyDtoHAsync_v2",
            ctypes.c_void_p(to.ctypes.data),
            ctypes.c_uint64(source),
            ctypes.c_size_t(BYTES),
            ctypes.c_void_p(stream),
        )

    def wait(self, stream: int) -> None:
        self._call("cuStreamSynchronize", ctypes.c_void_p(stream))

    def free(self, address: int) -> None:
        (found,) = [owned for owned in self._owned if owned[1].value == address]
        self._owned.remove(found)
        self._call(found[0], found[1])

    def close(self) -> None:
        for release, handle in reversed(self._owned):
            self._call(release, handle)
        self._call("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))
        self._call("cuDevicePrimaryCtxRelease_v2", 0)


def bind(binding: probe.Binding, x: int, y: int) -> None:
    binding.bind("input", 0, x, BYTES, SHAPE, gpu=True)
    binding.bind("output", 0, y, BYTES, SHAPE, gpu=True)
