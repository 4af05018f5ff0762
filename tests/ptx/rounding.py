"""Exactly rounded float arithmetic: every rounding mode, and fused multiply-add with one rounding."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

from .arrays import Array, Value

_LOW_29 = np.uint64(0x1FFFFFFF)
_HALFWAY = np.uint64(0x10000000)
_SMALLEST_NORMAL_32 = float(np.finfo(np.float32).tiny)
_SPLITTER = 134217729.0
_HUGE = 2.0**900


def two_sum(x: Array, y: Array) -> tuple[Array, Array]:
    """The rounded sum and what rounding took away, exactly."""
    total = x + y
    part = total - x
    return total, (x - (total - part)) + (y - part)


def two_product(x: Array, y: Array) -> tuple[Array, Array]:
    """The rounded product of doubles and what rounding took away, exactly if nothing over- or underflows."""
    product = x * y
    xh, yh = _SPLITTER * x, _SPLITTER * y
    xh, yh = xh - (xh - x), yh - (yh - y)
    xl, yl = x - xh, y - yh
    return product, ((xh * yh - product) + xh * yl + xl * yh) + xl * yl


def _to_odd(total: Array, error: Array) -> Array:
    """Doubles rounded to odd: rounding such a value once more, to fewer bits, gives what one rounding would have given."""
    bits = total.view(np.int64)
    inexact = (error != 0) & (bits & 1 == 0) & np.isfinite(total)
    # One step toward the exact value: up in magnitude where the error has the sign of the sum.
    step = np.where((error > 0) == (total > 0), 1, -1)
    odd: Array = np.where(inexact, bits + step, bits).view(np.float64)
    return odd


def fma32(x: Value, y: Value, z: Value) -> Array:
    """x * y + z for float32, rounded once, to nearest."""
    product = np.multiply(x, y, dtype=np.float64)
    wide = np.asarray(z, np.float64)
    total = np.atleast_1d(np.add(product, wide))
    # A double holds the product; rounding the sum twice only matters just at a tie, or for results with fewer bits.
    suspicious = ((total.view(np.uint64) & _LOW_29) == _HALFWAY) | (np.abs(total) < _SMALLEST_NORMAL_32)
    if suspicious.any():
        _, error = two_sum(product, wide)
        total = _to_odd(total, np.broadcast_to(error, total.shape))
    return total.astype(np.float32)


def fma64(x: Value, y: Value, z: Value) -> Array:
    """x * y + z for float64, rounded once, to nearest."""
    a, b, c = (np.atleast_1d(np.asarray(value, np.float64)) for value in (x, y, z))
    high, low = two_product(a, b)
    t_high, t_low = two_sum(c, low)
    v_high, v_low = two_sum(high, t_high)
    rest, error = two_sum(t_low, v_low)
    fused = np.array(np.broadcast_to(v_high + _to_odd(rest, error), np.broadcast_shapes(a.shape, b.shape, c.shape)))
    # Near the ends of the exponents' range the parts over- or underflow: there, fractions.
    all_a, all_b, all_c = (np.broadcast_to(value, fused.shape) for value in (a, b, c))
    size = np.abs(all_a * all_b)
    extreme = ~((np.abs(all_a) < _HUGE) & (np.abs(all_b) < _HUGE) & (size < _HUGE) & (size > 1 / _HUGE) & (np.abs(all_c) < _HUGE))
    for i in np.flatnonzero(extreme):
        fused[i] = _fma_of_one(float(all_a[i]), float(all_b[i]), float(all_c[i]))
    return fused


def _fma_of_one(a: float, b: float, c: float) -> float:
    if not (math.isfinite(a) and math.isfinite(b)):
        return a * b + c
    if not math.isfinite(c) or a == 0 or b == 0:
        return a * b + c if math.isfinite(c) else c
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    try:
        return float(exact)
    except OverflowError:
        return math.copysign(math.inf, 1 if exact > 0 else -1)


def fma16(x: Value, y: Value, z: Value) -> Array:
    """x * y + z for float16: a double holds every finite result closely enough to round it once more."""
    total: Array = np.multiply(x, y, dtype=np.float64) + z
    return total.astype(np.float16)


def directed(exact: Array, error: Value, mode: str, dtype: np.dtype[Any]) -> Array:
    """`exact + error` (a double, and what it lacks) rounded to `dtype` by mode "rn", "rz", "rm" (down) or "rp" (up)."""
    nearest = np.asarray(exact, np.float64).astype(dtype)
    if mode == "rn":
        return nearest
    back = nearest.astype(np.float64)
    above = (back > exact) | ((back == exact) & (error < 0))
    below = (back < exact) | ((back == exact) & (error > 0))
    down = {"rm": above, "rp": np.False_, "rz": above & (exact > 0)}[mode]
    up = {"rm": np.False_, "rp": below, "rz": below & (exact < 0)}[mode]
    lowered = np.where(down, np.nextafter(nearest, dtype.type(-np.inf)), nearest)
    return np.where(up, np.nextafter(nearest, dtype.type(np.inf)), lowered)


def flush(x: Value) -> Value:
    """float32 with subnormal numbers made zero of the same sign (.ftz)."""
    return np.where(np.abs(x) < np.float32(_SMALLEST_NORMAL_32), np.copysign(np.float32(0), x), x)


def saturate(x: Value) -> Value:
    """Clamped to [0, 1]; NaN becomes 0."""
    return np.clip(np.where(np.isnan(x), x.dtype.type(0), x), x.dtype.type(0), x.dtype.type(1))
