"""What the lanes of a warp do together: shuffles, votes, matches, reductions, synchronisation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .arrays import DTYPES, Array
from .counts import WARP
from .errors import Kind, UnknownInstructionError
from .program import Instruction, Operand, Pair, Register, Sink
from .wave import Active, Builder, Step, Wave, assign

_REDUCE = {"add": np.add, "min": np.minimum, "max": np.maximum, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor}


class Collective:
    """A warp instruction with a mask of its members, which is executed when all of them have come to it."""

    def __init__(self, instruction: Instruction, wave: Wave, members: Operand, run: Callable[[Active, Array], None]) -> None:
        self.instruction, self._wave, self._run = instruction, wave, run
        value = wave.value(members, "u32", instruction)
        self._members = value if isinstance(value, np.ndarray) else np.full(wave.size, value, np.uint32)
        # A barrier leaves out the threads that have gone; whoever exchanges values must be there.
        self._forgives_exited = instruction.name in ("bar", "barrier")

    def split(self, active: Active) -> tuple[Array, Array]:
        """Masks of the lanes whose members are all here, and of those that must wait."""
        wave = self._wave
        lanes = active.lanes
        warps = wave.warp_of[lanes]
        members = self._members[lanes]
        own = (members >> wave.lane_in_warp[lanes].astype(np.uint32)) & 1
        if not own.all():
            at = int(np.flatnonzero(own == 0)[0])
            self._missing(lanes[at], f"lane {wave.lane_in_warp[lanes[at]]} is not in its own mask {int(members[at]):#010x}")
        gone = members & ~wave.warp_bits(wave.alive)[warps]
        if gone.any() and not self._forgives_exited:
            at = int(np.flatnonzero(gone)[0])
            text = f"mask {int(members[at]):#010x} names lanes that have exited or never were: {_lanes(int(gone[at]))}"
            self._missing(lanes[at], text)
        needed = members & ~gone
        ready = (needed & ~wave.warp_bits(active.mask)[warps]) == 0
        leader = np.zeros(wave.blocks * wave.warps_per_block * WARP, np.uint32)
        leader[wave.slot[lanes]] = needed
        lowest = _lowest_bit(needed)
        differs = ready & (leader[warps * WARP + lowest] != needed)
        if differs.any():
            at = int(np.flatnonzero(differs)[0])
            self._missing(lanes[at], f"mask {int(members[at]):#010x} is not the mask of the lanes that it names")
        go = np.zeros(wave.size, bool)
        go[lanes[ready]] = True
        return go, active.mask & ~go

    def run(self, active: Active) -> None:
        self._run(active, self._members)

    def waiting_for(self, mask: Array) -> tuple[int, str]:
        """A lane that waits in vain, and words on whom it waits for."""
        wave = self._wave
        lane = int(np.flatnonzero(mask)[0])
        missing = int(self._members[lane] & ~wave.warp_bits(mask)[wave.warp_of[lane]])
        return lane, f"lanes {_lanes(missing)} of mask {int(self._members[lane]):#010x} never come here"

    def _missing(self, lane: int, text: str) -> None:
        self._wave.fault(self.instruction, Kind.MISSING_LANES, lane, text)


def _lanes(bits: int) -> str:
    return ", ".join(str(i) for i in range(WARP) if bits >> i & 1)


def _lowest_bit(bits: Array) -> Array:
    """Position of the lowest one bit; there is one."""
    low = bits & (~bits + np.uint32(1))
    position: Array = np.log2(low.astype(np.float64)).astype(np.int64)
    return position


def _shuffle(instruction: Instruction, wave: Wave) -> Callable[[Active, Array], None]:
    result, source = instruction.operands[:2]
    value = wave.value(source, "u32", instruction)
    distance, control = (wave.value(operand, "u32", instruction) for operand in instruction.operands[2:4])
    to, valid = (result.first, result.second) if isinstance(result, Pair) else (result, Sink())
    out = wave.target(to, "u32", instruction)
    out_valid = None if isinstance(valid, Sink) else wave.target(valid, "pred", instruction)
    mode = instruction.parts[2]

    def run(active: Active, members: Array) -> None:
        lanes = active.lanes
        lane = wave.lane_in_warp[lanes]
        b, c = (np.broadcast_to(v, wave.size)[lanes].astype(np.int64) for v in (distance, control))
        segment, clamp = (c >> 8) & 31, c & 31
        last = (lane & segment) | (clamp & ~segment)
        first = lane & segment
        b = b & 31
        wanted = {"up": lane - b, "down": lane + b, "bfly": lane ^ b, "idx": first | (b & ~segment)}[mode]
        inside = wanted >= last if mode == "up" else wanted <= last
        wanted = np.where(inside, wanted, lane)
        here = wave.warp_bits(active.mask)[wave.warp_of[lanes]] & members[lanes]
        absent = (here >> wanted.astype(np.uint32)) & 1 == 0
        if absent.any():
            at = int(np.flatnonzero(absent)[0])
            text = f"lane {lane[at]} reads from lane {wanted[at]}, which takes no part"
            wave.fault(instruction, Kind.MISSING_LANES, lanes[at], text)
        sources = lanes - lane + wanted
        out[lanes] = np.broadcast_to(value, wave.size)[sources]
        if out_valid is not None:
            out_valid[lanes] = inside

    return run


def _vote(instruction: Instruction, wave: Wave) -> Callable[[Active, Array], None]:
    mode = instruction.parts[2]
    source = instruction.operands[1]
    holds = (
        wave.predicate(source, instruction)
        if isinstance(source, Register)
        else lambda: np.full(wave.size, bool(wave.value(source, "pred", instruction)))
    )
    out = wave.target(instruction.operands[0], "u32" if mode == "ballot" else "pred", instruction)

    def run(active: Active, members: Array) -> None:
        lanes = active.lanes
        warps = wave.warp_of[lanes]
        ballot = wave.warp_bits(holds() & active.mask)[warps] & members[lanes]
        everyone = wave.warp_bits(active.mask)[warps] & members[lanes]
        results = {"ballot": ballot, "any": ballot != 0, "all": ballot == everyone, "uni": (ballot == 0) | (ballot == everyone)}
        out[lanes] = results[mode]

    return run


def _groups(wave: Wave, lanes: Array, members: Array) -> list[Array]:
    """Positions in `lanes` of each set of lanes that act together."""
    keys = wave.warp_of[lanes] << 32 | members[lanes].astype(np.int64)
    order = np.argsort(keys, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(keys[order])) + 1)


def _match(instruction: Instruction, wave: Wave) -> Callable[[Active, Array], None]:
    result = instruction.operands[0]
    value = wave.value(instruction.operands[1], instruction.type, instruction)
    to, same = (result.first, result.second) if isinstance(result, Pair) else (result, Sink())
    out = wave.target(to, "u32", instruction)
    out_same = None if isinstance(same, Sink) else wave.target(same, "pred", instruction)
    every = instruction.parts[1] == "all"

    def run(active: Active, members: Array) -> None:
        lanes = active.lanes
        values = np.broadcast_to(value, wave.size)[lanes]
        bits = np.left_shift(np.int64(1), wave.lane_in_warp[lanes])
        for group in _groups(wave, lanes, members):
            equal = values[group][:, None] == values[group][None, :]
            masks = (equal * bits[group]).sum(axis=1)
            if every:
                agree = bool(equal.all())
                masks = masks if agree else np.zeros_like(masks)
                if out_same is not None:
                    out_same[lanes[group]] = agree
            out[lanes[group]] = masks

    return run


def _reduce(instruction: Instruction, wave: Wave) -> Callable[[Active, Array], None]:
    if instruction.type.startswith("f"):
        raise UnknownInstructionError(instruction)
    function = _REDUCE[instruction.parts[2]]
    value = wave.value(instruction.operands[1], instruction.type, instruction)
    out = wave.target(instruction.operands[0], instruction.type, instruction)

    def run(active: Active, members: Array) -> None:
        lanes = active.lanes
        values = np.broadcast_to(value, wave.size)[lanes]
        for group in _groups(wave, lanes, members):
            out[lanes[group]] = function.reduce(values[group], dtype=DTYPES[instruction.type])

    return run


def _synchronise(instruction: Instruction, wave: Wave) -> Callable[[Active, Array], None]:
    return lambda active, members: wave.spaces.order.pass_warp(active.lanes, members[active.lanes])


_RUNS = {"shfl": _shuffle, "vote": _vote, "match": _match, "redux": _reduce}


def is_collective(instruction: Instruction) -> bool:
    return instruction.name in _RUNS or (instruction.name in ("bar", "barrier") and instruction.has("warp"))


def collective(instruction: Instruction, wave: Wave) -> Collective:
    """The mask of members is the last operand of each of these."""
    if instruction.name in _RUNS and not instruction.has("sync"):
        raise UnknownInstructionError(instruction, "without .sync")
    run = _RUNS.get(instruction.name, _synchronise)(instruction, wave)
    return Collective(instruction, wave, instruction.operands[-1], run)


def _active_mask(instruction: Instruction, wave: Wave) -> Step:
    out = wave.target(instruction.operands[0], "u32", instruction)

    def step(active: Active) -> None:
        assign(out, lambda: wave.warp_bits(active.mask)[wave.warp_of])(active)

    return step


BUILDERS: dict[str, Builder] = {"activemask": _active_mask}
