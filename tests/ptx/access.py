"""Loads and stores."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .arrays import DTYPES, Array, Value
from .errors import UnknownInstructionError
from .program import TYPE_BYTES, Address, Immediate, Instruction, Operand, Register, Sink, Symbol, Vector
from .spaces import Access
from .wave import Active, Builders, Step, Wave

_STRONG = ("volatile", "relaxed", "acquire", "release", "acq_rel", "mmio")


def address_of(operand: Operand, wave: Wave, instruction: Instruction) -> Callable[[Array], Array]:
    """Gives the addresses of lanes, as signed 64-bit numbers."""
    if not isinstance(operand, Address):
        raise UnknownInstructionError(instruction, f"expected an address, got {operand}")
    if isinstance(operand.base, Register):
        register = wave.register(operand.base, instruction)
        offset = operand.offset
        if register.dtype.itemsize == 8:
            signed = register.view(np.int64)
            return lambda lanes: signed[lanes] + offset
        return lambda lanes: register[lanes].astype(np.int64) + offset
    if isinstance(operand.base, Symbol):
        constant = wave.symbols.get(operand.base.name)
        if constant is None:
            raise UnknownInstructionError(instruction, f"symbol {operand.base.name}")
        constant += operand.base.offset + operand.offset
    else:
        assert isinstance(operand.base, Immediate)
        constant = int(operand.base.value) + operand.offset
    return lambda lanes: np.full(len(lanes), constant, np.int64)


def _vector_count(instruction: Instruction) -> int:
    return next((int(part[1:]) for part in instruction.parts if part in ("v2", "v4", "v8")), 1)


def _items(operand: Operand) -> tuple[Operand, ...]:
    return operand.items if isinstance(operand, Vector) else (operand,)


def _order_strong(instruction: Instruction, wave: Wave, active: Active) -> None:
    """Volatile, acquiring and releasing accesses take part in the order between blocks as atomics do."""
    order = wave.spaces.order
    if instruction.has("release", "acq_rel"):
        order.fence(active.lanes)
    order.atomic(active.lanes)


def _load(instruction: Instruction, wave: Wave) -> Step:
    kind = instruction.type
    count = _vector_count(instruction)
    if count * TYPE_BYTES[kind] > 16 or kind == "b128":
        raise UnknownInstructionError(instruction, "more than 16 bytes")
    dtype = DTYPES[kind]
    outs = [None if isinstance(item, Sink) else wave.target(item, kind, instruction) for item in _items(instruction.operands[0])]
    where = address_of(instruction.operands[1], wave, instruction)
    strong = instruction.has(*_STRONG)
    access = Access(instruction, TYPE_BYTES[kind], count, "read", strong, read_only_path=instruction.has("nc"))
    space, spaces = instruction.space, wave.spaces
    shift = dtype.itemsize.bit_length() - 1

    def step(active: Active) -> None:
        lanes = active.lanes
        for piece in spaces.pieces(access, space, lanes, where(lanes)):
            spaces.check_read(access, piece)
            items = piece.region.items(dtype)
            first = piece.index >> shift
            # Gathered before any is written: an address register may be one of the results.
            values = [items[first + i] for i in range(count)]
            for out, value in zip(outs, values, strict=True):
                if out is not None:
                    out[piece.lanes] = value
        if strong:
            _order_strong(instruction, wave, active)

    return step


def _store(instruction: Instruction, wave: Wave) -> Step:
    kind = instruction.type
    count = _vector_count(instruction)
    if count * TYPE_BYTES[kind] > 16 or kind == "b128":
        raise UnknownInstructionError(instruction, "more than 16 bytes")
    dtype = DTYPES[kind]
    where = address_of(instruction.operands[0], wave, instruction)
    values = [wave.value(item, kind, instruction) for item in _items(instruction.operands[1])]
    strong = instruction.has(*_STRONG)
    access = Access(instruction, TYPE_BYTES[kind], count, "write", strong)
    space, spaces = instruction.space, wave.spaces
    shift = dtype.itemsize.bit_length() - 1
    bits = np.dtype(f"u{dtype.itemsize}")

    def of_lanes(value: Value, lanes: Array) -> Array:
        return value[lanes].view(bits) if isinstance(value, np.ndarray) else np.full(len(lanes), value, dtype).view(bits)

    def step(active: Active) -> None:
        if strong:
            _order_strong(instruction, wave, active)
        lanes = active.lanes
        for piece in spaces.pieces(access, space, lanes, where(lanes)):
            items = piece.region.items(bits)
            first = piece.index >> shift
            new = [of_lanes(value, piece.lanes) for value in values]
            # Threads may write one value to one place of global memory without an order between them; shared memory is held to more.
            same = None
            if piece.space == "global" and piece.region.writable:
                same = np.logical_and.reduce([items[first + i] == value for i, value in enumerate(new)])
            spaces.check_write(access, piece, same)
            for i, value in enumerate(new):
                items[first + i] = value
            if piece.space == "global" and not strong:
                for i, value in enumerate(new):
                    lost = items[first + i] != value
                    if lost.any():
                        spaces.different_values(access, piece, int(np.flatnonzero(lost)[0]))

    return step


def _nothing(instruction: Instruction, wave: Wave) -> Step:
    return lambda active: None


def _fence(instruction: Instruction, wave: Wave) -> Step:
    if instruction.has("cta"):
        return lambda active: None
    return lambda active: wave.spaces.order.fence(active.lanes)


BUILDERS: Builders = {
    "ld": _load,
    "ldu": _load,
    "st": _store,
    "prefetch": _nothing,
    "prefetchu": _nothing,
    "discard": _nothing,
    "membar": _fence,
    "fence": _fence,
}
