"""cvt in all its forms, and comparisons with what chooses by them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .arrays import DTYPES, PACKED, Array, Value
from .errors import UnknownInstructionError
from .floating import rounding_mode
from .program import Immediate, Instruction, Pair, Sink
from .rounding import directed, flush, saturate
from .wave import Active, Builders, Step, Wave, assign

_TO_INTEGER: dict[str, Callable[[Array], Array]] = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}


def _integer_rounding(instruction: Instruction) -> Callable[[Array], Array] | None:
    return next((_TO_INTEGER[part] for part in instruction.parts if part in _TO_INTEGER), None)


def _convert(instruction: Instruction, wave: Wave) -> Step:
    if instruction.has("pack"):
        return _pack_saturated(instruction, wave)
    to, source = instruction.types[0], instruction.types[-1]
    if to == "f16x2":
        return _to_half_pair(instruction, wave)
    out = wave.target(instruction.operands[0], to, instruction)
    x = wave.value(instruction.operands[1], source, instruction)
    if source in PACKED:
        raise UnknownInstructionError(instruction)
    to_float, from_float = DTYPES[to].kind == "f", DTYPES[source].kind == "f"
    if from_float and not to_float:
        return assign(out, lambda: _float_to_integer(x, instruction))
    if to_float and not from_float:
        return assign(out, lambda: _integer_to_float(x, instruction))
    if to_float:
        return assign(out, lambda: _float_to_float(x, instruction))
    return assign(out, lambda: _integer_to_integer(x, instruction))


def _float_to_integer(x: Value, instruction: Instruction) -> Array:
    """Rounded, then clamped to the type; NaN gives 0, or the highest bit alone where either side has 64 bits."""
    to, source = instruction.types[0], instruction.types[-1]
    dtype = DTYPES[to]
    limits = np.iinfo(dtype)
    rounding = _integer_rounding(instruction)
    if rounding is None:
        raise UnknownInstructionError(instruction, "no rounding to an integer")
    value = flush(x) if instruction.has("ftz") else x
    value = rounding(np.asarray(value, np.float64))
    not_a_number = 1 << dtype.itemsize * 8 - 1 if source == "f64" or dtype.itemsize == 8 else 0
    # The largest 64-bit integers are no doubles, so what reaches beyond is set apart.
    low, high = value < float(limits.min), value >= float(limits.max)
    inside = np.where(low | high | np.isnan(value), 0, value).astype(dtype)
    nan_value = np.array(not_a_number, np.uint64).astype(dtype)
    result: Array = np.where(
        np.isnan(value), nan_value, np.where(high, dtype.type(limits.max), np.where(low, dtype.type(limits.min), inside))
    )
    return result


def _integer_to_float(x: Value, instruction: Instruction) -> Value:
    dtype = DTYPES[instruction.types[0]]
    mode = rounding_mode(instruction)
    if mode == "rn" and dtype != np.float16:
        result = x.astype(dtype)
    elif x.dtype.itemsize < 8:
        result = directed(np.asarray(x, np.float64), 0.0, mode, dtype)
    else:
        raise UnknownInstructionError(instruction, f"rounding mode .{mode} from 64-bit integers")
    return saturate(result) if instruction.has("sat") else result


def _float_to_float(x: Value, instruction: Instruction) -> Array:
    dtype = DTYPES[instruction.types[0]]
    value = flush(x) if instruction.has("ftz") and x.dtype == np.float32 else x
    rounding = _integer_rounding(instruction)
    if rounding is not None:
        value = rounding(value)
    result: Array = directed(value, 0.0, rounding_mode(instruction), dtype) if dtype.itemsize < x.dtype.itemsize else value.astype(dtype)
    if instruction.has("ftz") and dtype == np.float32:
        result = flush(result)
    if instruction.has("satfinite"):
        result = np.clip(result, np.finfo(dtype).min, np.finfo(dtype).max)
    if instruction.has("relu"):
        result = np.where(result > 0, result, dtype.type(0))
    return saturate(result) if instruction.has("sat") else result


def _integer_to_integer(x: Value, instruction: Instruction) -> Array:
    dtype = DTYPES[instruction.types[0]]
    if instruction.has("sat"):
        limits, own = np.iinfo(dtype), np.iinfo(x.dtype)
        x = np.clip(x, x.dtype.type(max(limits.min, own.min)), x.dtype.type(min(limits.max, own.max)))
    result: Array = x.astype(dtype)
    return result


def _to_half_pair(instruction: Instruction, wave: Wave) -> Step:
    """cvt.f16x2.f32 d, a, b: a is the upper half."""
    out = wave.target(instruction.operands[0], "f16x2", instruction)
    high, low = (wave.value(operand, "f32", instruction) for operand in instruction.operands[1:3])
    size = wave.size

    def compute() -> Array:
        both = [np.broadcast_to(_float_to_float_16(value, instruction), size) for value in (low, high)]
        return np.stack(both, axis=1)

    return assign(out, compute)


def _float_to_float_16(x: Value, instruction: Instruction) -> Array:
    result = directed(x, 0.0, rounding_mode(instruction), np.dtype(np.float16))
    if instruction.has("satfinite"):
        result = np.clip(result, np.finfo(np.float16).min, np.finfo(np.float16).max)
    return np.where(result > 0, result, np.float16(0)) if instruction.has("relu") else result


def _pack_saturated(instruction: Instruction, wave: Wave) -> Step:
    """cvt.pack.sat.u8.s32.b32 d, a, b, c: d = c moved up by two bytes, then a (saturated) in byte 1 and b in byte 0; 16-bit forms have no
    c."""
    kind = instruction.types[0]
    dtype = DTYPES[kind]
    bits = 8 * dtype.itemsize
    limits = np.iinfo(dtype)
    a, b = (wave.value(operand, instruction.types[1], instruction) for operand in instruction.operands[1:3])
    rest = wave.value(instruction.operands[3], "u32", instruction) if len(instruction.operands) > 3 else None

    def part(value: Value) -> Value:
        cut = np.clip(np.asarray(value, np.int64), limits.min, limits.max)
        return cut.astype(np.uint32) & np.uint32((1 << bits) - 1)

    def compute() -> Value:
        pair = (part(a) << np.uint32(bits)) | part(b)
        return pair | (rest << np.uint32(2 * bits)) if rest is not None else pair

    return assign(wave.target(instruction.operands[0], "u32", instruction), compute)


_COMPARE: dict[str, Callable[[Value, Value], Array]] = {
    "eq": np.equal,
    "ne": lambda x, y: (x < y) | (x > y) if x.dtype.kind == "f" else np.not_equal(x, y),
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "lo": np.less,
    "ls": np.less_equal,
    "hi": np.greater,
    "hs": np.greater_equal,
    # With u, a comparison with NaN holds.
    "equ": lambda x, y: ~((x < y) | (x > y)),
    "neu": np.not_equal,
    "ltu": lambda x, y: ~(x >= y),
    "leu": lambda x, y: ~(x > y),
    "gtu": lambda x, y: ~(x <= y),
    "geu": lambda x, y: ~(x < y),
    "num": lambda x, y: ~(np.isnan(x) | np.isnan(y)),
    "nan": lambda x, y: np.isnan(x) | np.isnan(y),
}
_COMBINE: dict[str, Callable[[Array, Array], Array]] = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}


def _comparison(instruction: Instruction, wave: Wave) -> Callable[[], Array]:
    """Which lanes' comparison holds, before it is combined with a predicate."""
    kind = instruction.type
    x, y = (wave.value(operand, kind, instruction) for operand in instruction.operands[1:3])
    compare = _COMPARE[next(part for part in instruction.parts[1:] if part in _COMPARE)]
    if instruction.has("ftz") and kind == "f32":
        return lambda: compare(flush(x), flush(y))
    return lambda: compare(x, y)


def _combined(instruction: Instruction, wave: Wave) -> tuple[Callable[[Array], Array], bool]:
    """The boolean combination with a predicate, if there is one."""
    function = next((_COMBINE[part] for part in instruction.parts[1:] if part in _COMBINE), None)
    if function is None:
        return lambda result: result, False
    other = wave.predicate(instruction.operands[3], instruction)
    return lambda result: function(result, other()), True


def _set_predicate(instruction: Instruction, wave: Wave) -> Step:
    """setp.cmp d|e, a, b, c: d = combine(cmp, c), e = combine(not cmp, c); for f16x2, d and e are the two halves."""
    result = _comparison(instruction, wave)
    combine, _ = _combined(instruction, wave)
    to = instruction.operands[0]
    if not isinstance(to, Pair):
        return assign(wave.target(to, "pred", instruction), lambda: combine(result()))
    outs = [None if isinstance(part, Sink) else wave.target(part, "pred", instruction) for part in (to.first, to.second)]
    halves = instruction.type in PACKED

    def step(active: Active) -> None:
        holds = result()
        both = (holds[:, 0], holds[:, 1]) if halves else (holds, ~holds)
        combined = [combine(part) for part in both]
        for out, value in zip(outs, combined, strict=True):
            if out is not None:
                np.copyto(out, value, where=active.mask)

    return step


def _set(instruction: Instruction, wave: Wave) -> Step:
    """set: 1.0 for float results, all bits for integers, else 0."""
    to = instruction.types[0]
    result = _comparison(instruction, wave)
    combine, combines = _combined(instruction, wave)
    dtype = DTYPES[to]
    if combines and to in PACKED:
        raise UnknownInstructionError(instruction)
    yes = dtype.type(1) if dtype.kind == "f" else np.array(-1).astype(dtype)[()]
    if instruction.type in PACKED and to not in PACKED:
        # Two 16-bit masks in one word.
        out = wave.target(instruction.operands[0], "u16x2", instruction)
        return assign(out, lambda: np.where(result(), np.uint16(0xFFFF), np.uint16(0)))
    return assign(wave.target(instruction.operands[0], to, instruction), lambda: np.where(combine(result()), yes, dtype.type(0)))


def _select(instruction: Instruction, wave: Wave) -> Step:
    kind = instruction.type
    out = wave.target(instruction.operands[0], kind, instruction)
    a, b = (wave.value(operand, kind, instruction) for operand in instruction.operands[1:3])
    chosen = instruction.operands[3]
    if isinstance(chosen, Immediate):
        return assign(out, lambda: a if chosen.value else b)
    predicate = wave.predicate(chosen, instruction)
    return assign(out, lambda: np.where(predicate(), a, b))


def _select_by_sign(instruction: Instruction, wave: Wave) -> Step:
    """slct d, a, b, c: a where c >= 0, else b (also for NaN)."""
    kind, by = instruction.types[0], instruction.types[-1]
    out = wave.target(instruction.operands[0], kind, instruction)
    a, b = (wave.value(operand, kind, instruction) for operand in instruction.operands[1:3])
    c = wave.value(instruction.operands[3], by, instruction)
    return assign(out, lambda: np.where(c >= 0, a, b))


BUILDERS: Builders = {"cvt": _convert, "setp": _set_predicate, "set": _set, "selp": _select, "slct": _select_by_sign}
