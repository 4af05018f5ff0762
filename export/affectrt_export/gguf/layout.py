"""Looks into ggml's tensors from Python.

ggml exports functions for nearly everything; only what a tensor was computed from has none. Where that pointer lies in the structure
differs between versions, so it is not assumed but found out: a product of two known tensors is built and searched for their addresses.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

from affectrt_export.spec import ExportError

_F32 = 0  # GGML_TYPE_F32
_ARENA_BYTES = 1 << 20


class _InitParams(ctypes.Structure):
    _fields_ = (("mem_size", ctypes.c_size_t), ("mem_buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool))


class Tensors:
    """Reads tensors by their address. ExportError where this build of llama.cpp is not understood."""

    def __init__(self) -> None:
        from llama_cpp import _ggml

        self._ggml = ggml = _ggml.libggml
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        for name, result, arguments in (
            ("ggml_init", pointer, (_InitParams,)),
            ("ggml_free", None, (pointer,)),
            ("ggml_new_tensor_2d", pointer, (pointer, ctypes.c_int, number, number)),
            ("ggml_mul_mat", pointer, (pointer, pointer, pointer)),
            ("ggml_get_name", ctypes.c_char_p, (pointer,)),
            ("ggml_op_desc", ctypes.c_char_p, (pointer,)),
            ("ggml_nrows", number, (pointer,)),
            ("ggml_nelements", number, (pointer,)),
            ("ggml_nbytes", ctypes.c_size_t, (pointer,)),
            ("ggml_is_contiguous", ctypes.c_bool, (pointer,)),
            ("ggml_tensor_overhead", ctypes.c_size_t, ()),
            ("ggml_backend_tensor_get", None, (pointer, pointer, ctypes.c_size_t, ctypes.c_size_t)),
        ):
            try:
                function: Any = getattr(ggml, name)
            except AttributeError:
                raise ExportError(f"this build of llama-cpp-python does not export {name}; version 0.3.36 does") from None
            function.restype, function.argtypes = result, arguments
        self._sources = self._find_sources()

    def _find_sources(self) -> int:
        """Offset of the first of the pointers to what a tensor was computed from."""
        ggml = self._ggml
        context = ggml.ggml_init(_InitParams(_ARENA_BYTES, None, True))
        try:
            left, right = ggml.ggml_new_tensor_2d(context, _F32, 32, 3), ggml.ggml_new_tensor_2d(context, _F32, 32, 5)
            product = ggml.ggml_mul_mat(context, left, right)
            words = (ctypes.c_void_p * (ggml.ggml_tensor_overhead() // 8)).from_address(product)
            found = [i for i in range(len(words) - 1) if words[i] == left and words[i + 1] == right]
        finally:
            ggml.ggml_free(context)
        if len(found) != 1:
            raise ExportError("this build of llama.cpp lays its tensors out in a way that is not understood; version 0.3.36 works")
        return found[0] * 8

    def source(self, tensor: int, index: int) -> int:
        """Address of what `tensor` was computed from."""
        return ctypes.c_void_p.from_address(tensor + self._sources + 8 * index).value or 0

    def name(self, tensor: int) -> str:
        """A weight's name as the file has it."""
        return bytes(self._ggml.ggml_get_name(tensor)).decode("utf-8", "replace")

    def operation(self, tensor: int) -> str:
        """ "MUL_MAT" and the like."""
        return bytes(self._ggml.ggml_op_desc(tensor)).decode()

    def rows(self, tensor: int) -> int:
        """All dimensions but the first, multiplied."""
        return int(self._ggml.ggml_nrows(tensor))

    def read(self, tensor: int) -> npt.NDArray[np.float32]:
        """(rows, columns) of a float32 tensor, copied."""
        ggml = self._ggml
        count, size = int(ggml.ggml_nelements(tensor)), int(ggml.ggml_nbytes(tensor))
        if size != 4 * count or not ggml.ggml_is_contiguous(tensor):
            raise ExportError(f"expected {count} float32 in a row, got {size} bytes; this build of llama.cpp is not understood")
        out = np.empty((self.rows(tensor), count // self.rows(tensor)), np.float32)
        ggml.ggml_backend_tensor_get(tensor, out.ctypes.data, 0, size)
        return out
