"""Float arithmetic: fp32, fp64, fp16 and pairs of fp16."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays import DTYPES, Array, Compute, Value
from .errors import UnknownInstructionError
from .integer import sources, target
from .program import Instruction
from .rounding import directed, flush, fma16, fma32, fma64, saturate, two_sum
from .wave import Builder, Builders, Step, Wave, apply, assign

_MODES = ("rn", "rz", "rm", "rp")


def rounding_mode(instruction: Instruction) -> str:
    return next((part for part in instruction.parts if part in _MODES), "rn")


def _finish(instruction: Instruction, wave: Wave, compute: Compute, values: list[Value]) -> Step:
    """Puts flushing of inputs and outputs and saturation around `compute`."""
    out = target(instruction, wave)
    ftz, sat = instruction.has("ftz") and instruction.type == "f32", instruction.has("sat")
    relu = instruction.has("relu")
    if not (ftz or sat or relu):
        return assign(out, lambda: compute(*values))

    def run() -> Value:
        result = compute(*(flush(value) for value in values)) if ftz else compute(*values)
        result = flush(result) if ftz else result
        if relu:
            result = np.where(result > 0, result, result.dtype.type(0))
        return saturate(result) if sat else result

    return assign(out, run)


def _is_plain(instruction: Instruction) -> bool:
    return rounding_mode(instruction) == "rn" and not instruction.has("ftz", "sat", "relu")


def _wide(*values: Value) -> list[Array]:
    return [np.asarray(value, np.float64) for value in values]


def _sum_exact(x: Value, y: Value) -> tuple[Array, Value]:
    return two_sum(*_wide(x, y))


def _difference_exact(x: Value, y: Value) -> tuple[Array, Value]:
    return two_sum(*_wide(x, -y))


def _product_exact(x: Value, y: Value) -> tuple[Array, Value]:
    return np.multiply(*_wide(x, y)), 0.0


def _fused_exact(x: Value, y: Value, z: Value) -> tuple[Array, Value]:
    return two_sum(np.multiply(*_wide(x, y)), np.asarray(z, np.float64))


# A quotient or root of float32 numbers lies farther from every float32 than a double's rounding error, unless it is one of them.
def _quotient_exact(x: Value, y: Value) -> tuple[Array, Value]:
    return np.divide(*_wide(x, y)), 0.0


def _inverse_exact(x: Value) -> tuple[Array, Value]:
    return 1.0 / np.asarray(x, np.float64), 0.0


def _root_exact(x: Value) -> tuple[Array, Value]:
    return np.sqrt(np.asarray(x, np.float64)), 0.0


def _rounded(nearest: Compute, exact: Callable[..., tuple[Array, Value]]) -> Builder:
    """An operation with a rounding mode: `nearest` for the usual one, `exact` (value and error in doubles) for the others."""

    def build(instruction: Instruction, wave: Wave) -> Step:
        values = sources(instruction, wave)
        mode = rounding_mode(instruction)
        dtype = DTYPES[instruction.type]
        if _is_plain(instruction) and isinstance(nearest, np.ufunc):
            return apply(nearest, target(instruction, wave), *values)
        if mode == "rn":
            return _finish(instruction, wave, nearest, values)
        if instruction.type != "f32":
            raise UnknownInstructionError(instruction, f"rounding mode .{mode} for {instruction.type}")
        return _finish(instruction, wave, lambda *v: directed(*exact(*v), mode, dtype), values)

    return build


def _fused(instruction: Instruction, wave: Wave) -> Step:
    nearest = {"f32": fma32, "f64": fma64}.get(instruction.type, fma16)
    return _rounded(nearest, _fused_exact)(instruction, wave)


def _inverse(x: Value) -> Array:
    result: Array = x.dtype.type(1) / x
    return result


def _extreme(function: np.ufunc, take_sign: Callable[[Array, Array], Array]) -> Builder:
    """min and max: of a number and NaN the number, unless .NaN is asked for; and -0 < +0, which NumPy does not promise."""

    def pair(x: Value, y: Value, passes_nan: bool) -> Array:
        result: Array = np.atleast_1d(function(x, y))
        if not passes_nan and np.isnan(result).any():
            result = np.where(np.isnan(x), y, np.where(np.isnan(y), x, result))
        zeros = (result == 0) & (x == y)
        if zeros.any():
            negative = take_sign(np.signbit(x), np.signbit(y))
            result = np.where(zeros, np.where(negative, -0.0, 0.0).astype(result.dtype), result)
        return result

    def build(instruction: Instruction, wave: Wave) -> Step:
        if instruction.has("xorsign"):
            raise UnknownInstructionError(instruction, ".xorsign")
        passes_nan = instruction.has("NaN")
        return _finish(instruction, wave, lambda *v: functools.reduce(lambda x, y: pair(x, y, passes_nan), v), sources(instruction, wave))

    return build


def _on_bits(function: np.ufunc, mask_of: Callable[[int], int]) -> Builder:
    """abs and neg change the sign bit, of NaNs too, and nothing else."""

    def build(instruction: Instruction, wave: Wave) -> Step:
        out, (x,) = target(instruction, wave), sources(instruction, wave)
        if instruction.has("ftz"):
            plain = np.absolute if function is np.bitwise_and else np.negative
            return _finish(instruction, wave, plain, [x])
        bits = out.dtype.itemsize
        dtype = np.dtype(f"u{bits}")
        mask = dtype.type(mask_of(8 * bits))
        as_bits = x.view(dtype) if isinstance(x, np.ndarray) else np.asarray(x).view(dtype)
        return apply(function, out.view(dtype), as_bits, mask)

    return build


def _copy_sign(instruction: Instruction, wave: Wave) -> Step:
    sign, magnitude = sources(instruction, wave)
    return assign(target(instruction, wave), lambda: np.copysign(magnitude, sign))


def _approximate(function: Callable[[Array], Any]) -> Builder:
    """Computed in doubles and rounded, which is at least as near as any GPU comes. Without .ftz, an f32 operation keeps subnormal
    numbers."""

    def build(instruction: Instruction, wave: Wave) -> Step:
        dtype = DTYPES[instruction.type]
        if instruction.type == "f64" and instruction.has("approx"):
            raise UnknownInstructionError(instruction, "approximate f64")
        return _finish(instruction, wave, lambda x: function(np.asarray(x, np.float64)).astype(dtype), sources(instruction, wave))

    return build


def _test(instruction: Instruction, wave: Wave) -> Step:
    """testp: what sort of number it is."""
    (x,) = sources(instruction, wave)
    out = wave.target(instruction.operands[0], "pred", instruction)
    tests: dict[str, Callable[[], Array]] = {
        "finite": lambda: np.isfinite(x),
        "infinite": lambda: np.isinf(x),
        "number": lambda: ~np.isnan(x),
        "notanumber": lambda: np.isnan(x),
        "normal": lambda: np.isfinite(x) & (np.abs(x) >= np.finfo(x.dtype).tiny),
        "subnormal": lambda: (x != 0) & (np.abs(x) < np.finfo(x.dtype).tiny),
    }
    return assign(out, tests[instruction.parts[1]])


BUILDERS: Builders = {
    "add": _rounded(np.add, _sum_exact),
    "sub": _rounded(np.subtract, _difference_exact),
    "mul": _rounded(np.multiply, _product_exact),
    "fma": _fused,
    "mad": _fused,
    "div": _rounded(np.divide, _quotient_exact),
    "rcp": _rounded(_inverse, _inverse_exact),
    "sqrt": _rounded(np.sqrt, _root_exact),
    "rsqrt": _approximate(lambda x: 1.0 / np.sqrt(x)),
    "ex2": _approximate(np.exp2),
    "lg2": _approximate(np.log2),
    "sin": _approximate(np.sin),
    "cos": _approximate(np.cos),
    "tanh": _approximate(np.tanh),
    "min": _extreme(np.minimum, np.logical_or),
    "max": _extreme(np.maximum, np.logical_and),
    "abs": _on_bits(np.bitwise_and, lambda bits: (1 << bits - 1) - 1),
    "neg": _on_bits(np.bitwise_xor, lambda bits: 1 << bits - 1),
    "copysign": _copy_sign,
    "testp": _test,
}

# Operations that one instruction counts for; a pair of halves counts twice.
OPERATIONS = dict.fromkeys(("add", "sub", "mul", "div", "rcp", "sqrt", "rsqrt", "ex2", "lg2", "sin", "cos", "tanh", "min", "max"), 1) | {
    "fma": 2,
    "mad": 2,
}
