"""Integer arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays import DTYPES, PACKED, Array, Value
from .errors import Kind, UnknownInstructionError
from .overflow import checked
from .program import TYPE_BYTES, Instruction
from .wave import Active, Builder, Builders, Step, Wave, apply, assign

_WIDER = {np.dtype(f"{k}{b}"): np.dtype(f"{k}{2 * b}") for k in "iu" for b in (1, 2, 4)}


def sources(instruction: Instruction, wave: Wave, kind: str | None = None) -> list[Value]:
    """All operands but the result, as the instruction's type."""
    return [wave.value(operand, kind or instruction.type, instruction) for operand in instruction.operands[1:]]


def target(instruction: Instruction, wave: Wave, kind: str | None = None) -> Array:
    return wave.target(instruction.operands[0], kind or instruction.type, instruction)


def _plain(function: np.ufunc) -> Builder:
    def build(instruction: Instruction, wave: Wave) -> Step:
        if instruction.has("cc", "sat", "relu") or instruction.name == "addc":
            raise UnknownInstructionError(instruction, "this modifier")
        return apply(function, target(instruction, wave), *sources(instruction, wave))

    return build


def _add_sub(function: np.ufunc) -> Builder:
    def build(instruction: Instruction, wave: Wave) -> Step:
        if instruction.has("cc"):
            raise UnknownInstructionError(instruction, "carries")
        out, (x, y) = target(instruction, wave), sources(instruction, wave)
        if instruction.has("sat"):
            return assign(out, lambda: np.clip(function(x.astype(np.int64), y.astype(np.int64)), -(2**31), 2**31 - 1))
        step = apply(function, out, x, y)
        return step if instruction.type in PACKED else checked(step, function, instruction, wave, x, y)

    return build


def high_product(x: Value, y: Value) -> Value:
    """Upper half of the product of two integers of one type."""
    dtype = x.dtype
    if dtype in _WIDER:
        wide = np.multiply(x, y, dtype=_WIDER[dtype])
        return (wide >> wide.dtype.type(8 * dtype.itemsize)).astype(dtype)
    # 64 bits from four products of 32; a negative factor adds 2^64 times the other one, which is taken off again.
    a, b = x.astype(np.uint64), y.astype(np.uint64)
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    middle = (a >> half) * (b & low) + (((a & low) * (b & low)) >> half)
    other = (a & low) * (b >> half) + (middle & low)
    high = (a >> half) * (b >> half) + (middle >> half) + (other >> half)
    if dtype.kind == "i":
        high = high - np.where(x < 0, b, np.uint64(0)) - np.where(y < 0, a, np.uint64(0))
    return np.asarray(high).astype(dtype)


def _product(instruction: Instruction, wave: Wave) -> Step:
    """mul and mad, .lo, .hi, .wide; mul24 and mad24 with arguments that fit."""
    kind = instruction.type
    dtype = DTYPES[kind]
    adds = instruction.name.startswith("mad")
    if instruction.has("cc") or instruction.name == "madc":
        raise UnknownInstructionError(instruction, "carries")
    wide = instruction.has("wide")
    result = f"{kind[0]}{2 * int(kind[1:])}" if wide else kind
    out = target(instruction, wave, result)
    x, y = (wave.value(operand, kind, instruction) for operand in instruction.operands[1:3])
    z = wave.value(instruction.operands[3], result, instruction) if adds else None
    if instruction.has("hi"):
        if instruction.has("sat") or "24" in instruction.name:
            raise UnknownInstructionError(instruction)
        return assign(out, lambda: high_product(x, y) + z if adds else high_product(x, y))
    if wide:
        to = DTYPES[result]
        return assign(out, lambda: np.multiply(x, y, dtype=to) + z if adds else np.multiply(x, y, dtype=to))
    if "24" in instruction.name:
        up = dtype.type(8)
        x, y = _low24(x, up), _low24(y, up)
    if adds:
        return checked(assign(out, lambda: np.multiply(x, y) + z), np.multiply, instruction, wave, x, y, z)
    return checked(apply(np.multiply, out, x, y), np.multiply, instruction, wave, x, y)


def _low24(x: Value, up: Any) -> Value:
    raise_up = (x << up) >> up
    return raise_up


def _division(instruction: Instruction, wave: Wave) -> Step:
    """div and rem round toward zero. Dividing by zero is an error, though a GPU goes on with some value."""
    out, (x, y) = target(instruction, wave), sources(instruction, wave)
    remainder = instruction.name == "rem"

    def compute() -> Array:
        left: Array = np.fmod(x, y)
        if remainder:
            return left
        quotient: Array = np.floor_divide(x - left, y)
        return quotient

    step = assign(out, compute)

    def run(active: Active) -> None:
        zero = np.logical_and(y == 0, active.mask)
        if zero.any():
            wave.fault(instruction, Kind.DIVISION_BY_ZERO, int(np.flatnonzero(zero)[0]), "the divisor is 0")
        step(active)

    return run


def _shift(instruction: Instruction, wave: Wave) -> Step:
    """shl, shr; a distance of the type's width or more shifts everything out."""
    out = target(instruction, wave)
    x = wave.value(instruction.operands[1], instruction.type, instruction)
    distance = wave.value(instruction.operands[2], "u32", instruction)
    bits = 8 * TYPE_BYTES[instruction.type]
    dtype = DTYPES[instruction.type]
    left = instruction.name == "shl"
    signed = dtype.kind == "i" and not left

    def by(amount: Value) -> Value:
        near = np.minimum(amount, bits - 1).astype(dtype)
        shifted = np.left_shift(x, near) if left else np.right_shift(x, near)
        return shifted if signed else np.where(amount >= bits, dtype.type(0), shifted)

    if not isinstance(distance, np.ndarray) and distance < bits:
        step = apply(np.left_shift if left else np.right_shift, out, x, dtype.type(distance))
    else:
        step = assign(out, lambda: by(distance))
    return checked(step, np.left_shift, instruction, wave, x, distance) if left else step


def _funnel(instruction: Instruction, wave: Wave) -> Step:
    """shf.l/r .wrap/.clamp: the two words as one of 64 bits."""
    out = target(instruction, wave)
    low, high, distance = sources(instruction, wave, "u32")
    clamp, left = instruction.has("clamp"), instruction.has("l")

    def compute() -> Value:
        by = (np.minimum(distance, 32) if clamp else distance & np.uint32(31)).astype(np.uint64)
        both = low.astype(np.uint64) | (high.astype(np.uint64) << np.uint64(32))
        return (both << by) >> np.uint64(32) if left else both >> by

    return assign(out, compute)


def _sum_of_differences(instruction: Instruction, wave: Wave) -> Step:
    out, (x, y, z) = target(instruction, wave), sources(instruction, wave)
    return assign(out, lambda: np.where(x > y, x - y, y - x) + z)


def _dot(instruction: Instruction, wave: Wave) -> Step:
    """dp4a, dp2a: products of bytes, summed onto the third operand."""
    out = wave.target(instruction.operands[0], "u32", instruction)
    kinds = instruction.types
    x, y = (
        _bytes(wave.value(operand, "u32", instruction), kind, wave.size)
        for operand, kind in zip(instruction.operands[1:3], kinds, strict=True)
    )
    z = wave.value(instruction.operands[3], "u32", instruction)
    if instruction.name == "dp2a":
        half = slice(2, 4) if instruction.has("hi") else slice(0, 2)
        full, wide = x, "i2" if kinds[0] == "s32" else "u2"
        return assign(out, lambda: (full().view(wide).astype(np.int64) * y()[:, half]).sum(axis=1).astype(np.uint32) + z)
    return assign(out, lambda: (x().astype(np.int64) * y()).sum(axis=1).astype(np.uint32) + z)


def _bytes(value: Value, kind: str, size: int) -> Callable[[], Array]:
    """(size, 4) bytes of a register or constant, signed or not."""
    dtype = np.int8 if kind == "s32" else np.uint8
    if isinstance(value, np.ndarray):
        array = value
        return lambda: np.ascontiguousarray(array).view(dtype).reshape(-1, 4)
    constant = np.full(size, value).view(dtype).reshape(-1, 4)
    return lambda: constant


def _negative(instruction: Instruction, wave: Wave) -> Step:
    return apply(np.negative, target(instruction, wave), *sources(instruction, wave))


def _carries(instruction: Instruction, wave: Wave) -> Step:
    raise UnknownInstructionError(instruction, "carries")


BUILDERS: Builders = {
    "add": _add_sub(np.add),
    "sub": _add_sub(np.subtract),
    "mul": _product,
    "mad": _product,
    "mul24": _product,
    "mad24": _product,
    "div": _division,
    "rem": _division,
    "abs": _plain(np.absolute),
    "neg": _negative,
    "min": _plain(np.minimum),
    "max": _plain(np.maximum),
    "sad": _sum_of_differences,
    "shl": _shift,
    "shr": _shift,
    "shf": _funnel,
    "dp4a": _dot,
    "dp2a": _dot,
    "addc": _carries,
    "subc": _carries,
    "madc": _carries,
}
