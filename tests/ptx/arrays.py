"""Names of the array types, and which NumPy type stands for which PTX type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
# A register's value for every lane, or a constant.
Value: TypeAlias = Any
Compute: TypeAlias = Callable[..., Array]

DTYPES: dict[str, np.dtype[Any]] = {
    **{f"b{bits}": np.dtype(f"u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"u{bits}": np.dtype(f"u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"s{bits}": np.dtype(f"i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"f{bits}": np.dtype(f"f{bits // 8}") for bits in (16, 32, 64)},
    "pred": np.dtype(bool),
    # Packed pairs: one row of two for each lane.
    "f16x2": np.dtype("f2"),
    "u16x2": np.dtype("u2"),
    "s16x2": np.dtype("i2"),
}
PACKED = ("f16x2", "u16x2", "s16x2")
