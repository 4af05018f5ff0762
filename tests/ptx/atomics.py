"""atom and red: one lane after the other, in the order of the lanes, all at once where the result is the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .access import address_of
from .arrays import DTYPES, PACKED, Value
from .errors import UnknownInstructionError
from .program import TYPE_BYTES, Instruction, Sink
from .spaces import Access, Piece
from .wave import Active, Builders, Step, Wave

Combine = Callable[..., Any]

_OPERATIONS: dict[str, Combine] = {
    "add": np.add,
    "min": np.minimum,
    "max": np.maximum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "exch": lambda old, new: new,
    "inc": lambda old, limit: np.where(old >= limit, old.dtype.type(0), old + old.dtype.type(1)),
    "dec": lambda old, limit: np.where((old == 0) | (old > limit), limit, old - old.dtype.type(1)),
    "cas": lambda old, wanted, new: np.where(old == wanted, new, old),
}


def _atomic(instruction: Instruction, wave: Wave) -> Step:
    name = next((part for part in instruction.parts[1:] if part in _OPERATIONS), None)
    if name is None or instruction.has("v2", "v4", "v8", "b128"):
        raise UnknownInstructionError(instruction)
    combine = _OPERATIONS[name]
    kind = instruction.type
    dtype = DTYPES[kind]
    if dtype.kind == "f" and name in ("min", "max"):
        combine = {"min": np.fmin, "max": np.fmax}[name]
    returns = instruction.name == "atom"
    operands = instruction.operands[1:] if returns else instruction.operands
    where = address_of(operands[0], wave, instruction)
    values = [wave.value(operand, kind, instruction) for operand in operands[1:]]
    # Nobody looks at the old values: the order of the lanes then only matters to floats, which round.
    wanted = returns and id(instruction) not in wave.unused and not isinstance(instruction.operands[0], Sink)
    out = wave.target(instruction.operands[0], kind, instruction) if wanted else None
    commutes = name in ("add", "min", "max", "and", "or", "xor") and dtype.kind != "f" and out is None
    access = Access(instruction, TYPE_BYTES[kind], 1, "atomic", strong=True)
    space, spaces = instruction.space, wave.spaces
    releases = instruction.has("release", "acq_rel")

    def step(active: Active) -> None:
        if releases:
            spaces.order.fence(active.lanes)
        lanes = active.lanes
        for piece in spaces.pieces(access, space, lanes, where(lanes)):
            spaces.check_read(access, piece, shadow=False)
            spaces.check_write(access, piece, None)
            if piece.space == "global":
                spaces.order.atomic(piece.lanes)
                spaces.launch.counter.atomics += len(piece.lanes)
            given = [
                value[piece.lanes] if isinstance(value, np.ndarray) else np.full((len(piece.lanes), *value.shape), value)
                for value in values
            ]
            old = _update(piece, dtype, kind in PACKED, combine, given, commutes)
            if out is not None:
                out[piece.lanes] = old

    return step


def _update(piece: Piece, dtype: np.dtype[Any], packed: bool, combine: Combine, given: list[Value], commutes: bool) -> Value:
    """Replaces the items and returns what was there before each lane's turn."""
    items = piece.region.items(dtype)
    if packed:
        items = items.reshape(-1, 2)
        at = piece.index // 4
    else:
        at = piece.index // dtype.itemsize
    if len(at) > 1 and len(np.unique(at)) < len(at):
        if commutes and isinstance(combine, np.ufunc):
            combine.at(items, at, given[0])
            return items[at]
        old = np.empty((len(at), *items.shape[1:]), dtype)
        for i, place in enumerate(at):
            old[i] = items[place]
            items[place] = combine(old[i : i + 1], *(value[i : i + 1] for value in given))[0]
        return old
    old = items[at]
    items[at] = combine(old, *given)
    return old


BUILDERS: Builders = {"atom": _atomic, "red": _atomic}
