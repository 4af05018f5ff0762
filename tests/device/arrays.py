"""Objects that have memory on a (fake) GPU, as CuPy and PyTorch have: by __cuda_array_interface__, and by DLPack of two versions."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

KDL_CUDA, KDL_CPU = 2, 1


class Interface:
    """Whatever __cuda_array_interface__ is to be."""

    def __init__(self, **interface: Any) -> None:
        self.__cuda_array_interface__ = interface


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


_DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Managed(ctypes.Structure):
    _fields_ = (("tensor", _Tensor), ("manager", ctypes.c_void_p), ("deleter", _DELETER))


class _Versioned(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("manager", ctypes.c_void_p),
        ("deleter", _DELETER),
        ("flags", ctypes.c_uint64),
        ("tensor", _Tensor),
    )


_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]


class DlPack:
    """A uint8 tensor on a GPU. `streams` are those that consumers came with, `deleted` counts tensors given back."""

    def __init__(
        self,
        data: int,
        shape: tuple[int, ...],
        *,
        strides: tuple[int, ...] | None = None,
        code: int = 1,
        bits: int = 8,
        device: tuple[int, int] = (KDL_CUDA, 0),
        byte_offset: int = 0,
        major: int = 1,
        versioned: bool = True,
    ) -> None:
        self.device, self.major, self.versioned = device, major, versioned
        self._shape = (ctypes.c_int64 * len(shape))(*shape)
        self._strides = (ctypes.c_int64 * len(shape))(*strides) if strides else None
        self._tensor = _Tensor(data, *device, len(shape), code, bits, 1, self._shape, self._strides, byte_offset)
        self._deleter = _DELETER(self._delete)
        self._managed: list[Any] = []
        self.streams: list[int] = []
        self.deleted = 0

    def _delete(self, _managed: int) -> None:
        self.deleted += 1

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device

    def __dlpack__(self, *, stream: int, **more: Any) -> Any:
        if more and not self.versioned:
            raise TypeError(f"__dlpack__() got an unexpected keyword argument {next(iter(more))!r}")
        self.streams.append(stream)
        if self.versioned:
            assert more == {"max_version": (1, 0)}
            made: Any = _Versioned(self.major, 0, None, self._deleter, 0, self._tensor)
        else:
            made = _Managed(self._tensor, None, self._deleter)
        self._managed.append(made)
        return _new_capsule(ctypes.addressof(made), b"dltensor_versioned" if self.versioned else b"dltensor", None)


def strided(shape: tuple[int, int, int], row_bytes: int) -> tuple[int, int, int]:
    """Strides of a picture whose rows lie `row_bytes` apart, in bytes (elements are bytes)."""
    assert row_bytes >= np.prod(shape[1:])
    return (row_bytes, shape[2], 1)
