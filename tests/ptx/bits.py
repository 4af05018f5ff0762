"""Moves, logic and bit fields."""

from __future__ import annotations

import numpy as np

from .arrays import DTYPES, Array, Value
from .errors import UnknownInstructionError
from .integer import sources, target
from .program import TYPE_BYTES, Immediate, Instruction, Operand, Register, Sink, Vector
from .wave import Active, Builder, Builders, Step, Wave, apply, assign


def _move(instruction: Instruction, wave: Wave) -> Step:
    to, source = instruction.operands
    kind = instruction.type
    if isinstance(to, Vector):
        return _unpack(instruction, wave, to.items, source)
    if isinstance(source, Vector):
        return _pack(instruction, wave, source.items)
    value = wave.value(source, kind, instruction)
    if kind == "pred" and isinstance(source, Register) and source.negated:
        return assign(target(instruction, wave), lambda: ~value)
    return assign(target(instruction, wave), lambda: value)


def _part_kind(instruction: Instruction, parts: int) -> str:
    kind = f"b{8 * TYPE_BYTES[instruction.type] // parts}"
    if kind not in DTYPES:
        raise UnknownInstructionError(instruction)
    return kind


def _unpack(instruction: Instruction, wave: Wave, items: tuple[Operand, ...], source: Operand) -> Step:
    part = _part_kind(instruction, len(items))
    whole = wave.value(source, instruction.type, instruction)
    shift = 8 * TYPE_BYTES[part]
    dtype = DTYPES[part]
    steps = []
    for i, item in enumerate(items):
        if not isinstance(item, Sink):
            amount = DTYPES[instruction.type].type(i * shift)
            steps.append((wave.target(item, part, instruction), amount))

    def step(active: Active) -> None:
        # All parts are taken before any is written: the source may be one of the results.
        parts = [(out, (whole >> amount).astype(dtype)) for out, amount in steps]
        for out, value in parts:
            np.copyto(out, value, where=True if active.everywhere else active.mask, casting="unsafe")

    return step


def _pack(instruction: Instruction, wave: Wave, items: tuple[Operand, ...]) -> Step:
    part = _part_kind(instruction, len(items))
    dtype = DTYPES[f"b{8 * TYPE_BYTES[instruction.type]}"]
    values = [wave.value(item, part, instruction) for item in items]
    shift = 8 * TYPE_BYTES[part]

    def compute() -> Value:
        whole = values[0].astype(dtype)
        for i, value in enumerate(values[1:], 1):
            whole = whole | (value.astype(dtype) << dtype.type(i * shift))
        return whole

    return assign(wave.target(instruction.operands[0], f"b{8 * dtype.itemsize}", instruction), compute)


def _address_cast(instruction: Instruction, wave: Wave) -> Step:
    """cvta: between the addresses of one state space and generic ones, which differ by where the space's window begins."""
    value = wave.value(instruction.operands[1], "u64", instruction)
    window = np.uint64(wave.spaces.window(instruction.space))
    if instruction.has("to"):
        return assign(target(instruction, wave), lambda: value - window)
    return assign(target(instruction, wave), lambda: value + window)


def _logic(function: np.ufunc, on_predicates: np.ufunc) -> Builder:
    def build(instruction: Instruction, wave: Wave) -> Step:
        if instruction.type == "pred":
            reads = [wave.predicate(operand, instruction) for operand in instruction.operands[1:] if isinstance(operand, Register)]
            constants = [np.bool_(operand.value) for operand in instruction.operands[1:] if isinstance(operand, Immediate)]
            return assign(target(instruction, wave), lambda: on_predicates(*(get() for get in reads), *constants))
        return apply(function, target(instruction, wave), *sources(instruction, wave))

    return build


def _logical_not(instruction: Instruction, wave: Wave) -> Step:
    out, (x,) = target(instruction, wave), sources(instruction, wave)
    return assign(out, lambda: x == 0)


def _any_logic(instruction: Instruction, wave: Wave) -> Step:
    """lop3: bit (a*4 + b*2 + c) of the table is the result for bits a, b, c."""
    out = target(instruction, wave)
    a, b, c = (wave.value(operand, "u32", instruction) for operand in instruction.operands[1:4])
    table = int(wave.value(instruction.operands[4], "u32", instruction))

    def compute() -> Value:
        result = np.zeros(wave.size, np.uint32)
        for row in range(8):
            if table >> row & 1:
                result |= (a if row & 4 else ~a) & (b if row & 2 else ~b) & (c if row & 1 else ~c)
        return result

    return assign(out, compute)


def _highest_bit(x: Array) -> Array:
    """Position of the highest one bit of unsigned integers, -1 for 0."""
    position = np.full(x.shape, -1, np.int64)
    rest = x.astype(np.uint64)
    for shift in (32, 16, 8, 4, 2, 1):
        high = rest >> np.uint64(shift) != 0
        position = np.where(high, position + shift, position)
        rest = np.where(high, rest >> np.uint64(shift), rest)
    result: Array = np.where(x != 0, position + 1, -1)
    return result


def _leading_zeros(instruction: Instruction, wave: Wave) -> Step:
    bits = 8 * TYPE_BYTES[instruction.type]
    (x,) = sources(instruction, wave)
    return assign(target(instruction, wave, "u32"), lambda: bits - 1 - _highest_bit(np.asarray(x)))


def _find(instruction: Instruction, wave: Wave) -> Step:
    """bfind: the highest bit that is not a copy of the sign; .shiftamt: how far left it could go. 0xffffffff where there is none."""
    bits = 8 * TYPE_BYTES[instruction.type]
    (x,) = sources(instruction, wave)
    amount = instruction.has("shiftamt")

    def compute() -> Array:
        value = np.asarray(x)
        plain = np.where(value < 0, ~value, value) if value.dtype.kind == "i" else value
        position = _highest_bit(plain.view(f"u{bits // 8}"))
        return np.where(position < 0, -1, bits - 1 - position if amount else position)

    return assign(target(instruction, wave, "u32"), compute)


def _population(instruction: Instruction, wave: Wave) -> Step:
    (x,) = sources(instruction, wave)

    def compute() -> Value:
        value = np.atleast_1d(np.ascontiguousarray(x))
        return np.unpackbits(value.view(np.uint8).reshape(len(value), -1), axis=1).sum(axis=1, dtype=np.uint32)

    return assign(target(instruction, wave, "u32"), compute)


def _reverse(instruction: Instruction, wave: Wave) -> Step:
    (x,) = sources(instruction, wave)

    def compute() -> Array:
        value = np.atleast_1d(np.ascontiguousarray(x))
        bits = np.unpackbits(value.view(np.uint8).reshape(len(value), -1), axis=1, bitorder="little")
        return np.ascontiguousarray(np.packbits(bits[:, ::-1], axis=1, bitorder="little")).view(value.dtype).reshape(-1)

    return assign(target(instruction, wave), compute)


def _extract(instruction: Instruction, wave: Wave) -> Step:
    """bfe: `length` bits from `position` on; what lies above the value is its sign, or 0."""
    kind = instruction.type
    bits = 8 * TYPE_BYTES[kind]
    x = wave.value(instruction.operands[1], kind, instruction)
    position, length = (wave.value(operand, "u32", instruction) for operand in instruction.operands[2:4])
    dtype = DTYPES[kind]

    def compute() -> Value:
        start = (position & np.uint32(255)).astype(np.int64)
        count = (length & np.uint32(255)).astype(np.int64)
        field = np.right_shift(x, np.minimum(start, bits - 1).astype(dtype))
        if dtype.kind == "u":
            field = np.where(start >= bits, dtype.type(0), field)
        up = np.clip(bits - count, 0, bits - 1).astype(dtype)
        cut = np.right_shift(np.left_shift(field, up), up)
        return np.where(count == 0, dtype.type(0), cut)

    return assign(target(instruction, wave), compute)


def _insert(instruction: Instruction, wave: Wave) -> Step:
    """bfi d, a, b, position, length: the low bits of a put into b."""
    kind = instruction.type
    bits = 8 * TYPE_BYTES[kind]
    a, b = (wave.value(operand, kind, instruction) for operand in instruction.operands[1:3])
    position, length = (wave.value(operand, "u32", instruction) for operand in instruction.operands[3:5])
    dtype = DTYPES[kind]

    def compute() -> Value:
        start = (position & np.uint32(255)).astype(np.int64)
        count = np.minimum((length & np.uint32(255)).astype(np.int64), bits)
        ones = np.where(
            count >= bits, ~dtype.type(0), np.left_shift(dtype.type(1), np.minimum(count, bits - 1).astype(dtype)) - dtype.type(1)
        )
        shift = np.minimum(start, bits - 1).astype(dtype)
        mask = np.where(start >= bits, dtype.type(0), np.left_shift(ones, shift)).astype(dtype)
        return (b & ~mask) | (np.left_shift(a, shift) & mask)

    return assign(target(instruction, wave), compute)


def _permute(instruction: Instruction, wave: Wave) -> Step:
    """prmt: each nibble of the selector picks one of eight bytes, or a byte full of its sign."""
    if instruction.has("f4e", "b4e", "rc8", "ecl", "ecr", "rc16"):
        raise UnknownInstructionError(instruction, "only the default mode of prmt")
    low, high, selector = sources(instruction, wave, "u32")

    def compute() -> Array:
        eight = low.astype(np.uint64) | (high.astype(np.uint64) << np.uint64(32))
        result = np.zeros(wave.size, np.uint32)
        for i in range(4):
            pick = (selector >> np.uint32(4 * i)) & np.uint32(15)
            byte = (eight >> ((pick & np.uint32(7)) * np.uint32(8)).astype(np.uint64)) & np.uint64(255)
            byte = np.where(pick & np.uint32(8), np.where(byte & np.uint64(128), 255, 0), byte)
            result |= byte.astype(np.uint32) << np.uint32(8 * i)
        return result

    return assign(target(instruction, wave, "u32"), compute)


BUILDERS: Builders = {
    "mov": _move,
    "cvta": _address_cast,
    "and": _logic(np.bitwise_and, np.logical_and),
    "or": _logic(np.bitwise_or, np.logical_or),
    "xor": _logic(np.bitwise_xor, np.logical_xor),
    "not": _logic(np.invert, np.logical_not),
    "cnot": _logical_not,
    "lop3": _any_logic,
    "clz": _leading_zeros,
    "bfind": _find,
    "popc": _population,
    "brev": _reverse,
    "bfe": _extract,
    "bfi": _insert,
    "prmt": _permute,
}
