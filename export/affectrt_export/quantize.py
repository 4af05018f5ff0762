"""Symmetric 8-bit weights in NumPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
I8 = npt.NDArray[np.int8]

# x86 without VNNI multiplies u8 activations by s8 weights two at a time into 16 bits and saturates: 2 * 255 * 127 does not fit,
# 2 * 255 * 63 does. With 7-bit weights every CPU gives the same answer.
COLUMN_LIMIT = 63
ROW_LIMIT = 127


def columns(weight: F32, limit: int = COLUMN_LIMIT) -> tuple[I8, F32]:
    """(in, out) float32 to (in, out) int8 within +-limit and one scale a column (out,)."""
    scale = _scale(np.abs(weight).max(0), limit)
    return np.clip(np.rint(weight / scale), -limit, limit).astype(np.int8), scale


def rows(table: F32, limit: int = ROW_LIMIT) -> tuple[I8, F32]:
    """(rows, width) float32 to int8 within +-limit and one scale a row (rows, 1): for tables that are looked up, not multiplied."""
    scale = _scale(np.abs(table).max(1, keepdims=True), limit)
    return np.clip(np.rint(table / scale), -limit, limit).astype(np.int8), scale


def _scale(largest: F32, limit: int) -> F32:
    return np.where(largest > 0, largest / limit, 1).astype(np.float32)
