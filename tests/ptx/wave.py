"""The blocks that run together: their lanes, registers and special registers.

All threads of some blocks of a launch run at once, one lane each, and every instruction is a few NumPy calls over all lanes. An
instruction is decoded once into a step, a closure over the registers' arrays.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np

from .arrays import DTYPES, PACKED, Array, Value
from .counts import WARP
from .errors import Index3, Kind, PtxError, UnknownInstructionError
from .program import TYPE_BYTES, Immediate, Instruction, Kernel, Operand, Register, Sink, Special, Symbol

if TYPE_CHECKING:
    from .spaces import Spaces


class Active:
    """The lanes that execute an instruction. `everywhere` says that no other lane is alive, so that writing to all registers does no
    harm."""

    __slots__ = ("_lanes", "count", "everywhere", "mask")

    def __init__(self, mask: Array, alive: int) -> None:
        self.mask = mask
        self.count = int(np.count_nonzero(mask))
        self.everywhere = self.count == alive
        self._lanes: Array | None = None

    @property
    def lanes(self) -> Array:
        """Indices of the active lanes, ascending."""
        if self._lanes is None:
            self._lanes = np.flatnonzero(self.mask)
        return self._lanes


Step: TypeAlias = Callable[[Active], None]


class Wave:
    """Lanes of `blocks` blocks of a launch. Lane = block in the wave x threads of a block + thread."""

    def __init__(self, kernel: Kernel, grid: Index3, block: Index3, blocks: int) -> None:
        self.kernel, self.grid, self.block, self.blocks = kernel, grid, block, blocks
        self.threads = block[0] * block[1] * block[2]
        self.size = blocks * self.threads
        self.first_block = 0
        self.spaces: Spaces
        self.symbols: dict[str, int] = {}
        # Instructions whose result becomes part of an address, see `dataflow`; results that no instruction reads.
        self.addressing: frozenset[int] = frozenset()
        self.unused: frozenset[int] = frozenset()
        lane = np.arange(self.size)
        thread = lane % self.threads
        self.block_of = lane // self.threads
        self.warps_per_block = -(-self.threads // WARP)
        self.warp_of = self.block_of * self.warps_per_block + thread // WARP
        self.lane_in_warp = thread % WARP
        # Position of a lane if every block were padded to whole warps.
        self.slot = self.warp_of * WARP + self.lane_in_warp
        self.whole_warps = self.threads % WARP == 0
        self._thread = thread
        self.alive = np.ones(self.size, bool)
        self.alive_count = self.size
        self._special = self._special_registers(thread)
        self._registers = {name: self._allocate(kind) for name, kind in kernel.registers.items()}

    def _allocate(self, kind: str) -> Array:
        if kind == "pred":
            return np.zeros(self.size, bool)
        dtype = np.dtype(f"u{TYPE_BYTES[kind]}")
        # A pattern that shows when a kernel computes with a register that was never written.
        return np.full(self.size, 0xA5A5A5A5A5A5A5A5 & ((1 << 8 * dtype.itemsize) - 1), dtype)

    def _special_registers(self, thread: Array) -> dict[str, Array]:
        x, y, _ = self.block
        special: dict[str, Any] = {"%tid.x": thread % x, "%tid.y": thread // x % y, "%tid.z": thread // (x * y)}
        for axis, name in enumerate("xyz"):
            special[f"%ntid.{name}"] = np.full(self.size, self.block[axis])
            special[f"%nctaid.{name}"] = np.full(self.size, self.grid[axis])
            special[f"%ctaid.{name}"] = np.zeros(self.size)
        special["%laneid"], special["%warpid"] = self.lane_in_warp, thread // WARP
        special["WARP_SZ"] = np.full(self.size, WARP)
        lane = self.lane_in_warp.astype(np.uint64)
        below = (np.uint64(1) << lane) - np.uint64(1)
        special |= {"%lanemask_lt": below, "%lanemask_eq": below + np.uint64(1), "%lanemask_le": 2 * below + 1}
        special |= {"%lanemask_gt": ~(2 * below + np.uint64(1)), "%lanemask_ge": ~below}
        return {name: values.astype(np.uint32) for name, values in special.items()}

    def begin(self, first_block: int) -> None:
        """Makes the lanes those of the blocks from `first_block` on, all alive."""
        self.first_block = first_block
        number = first_block + self.block_of
        x, y, _ = self.grid
        for axis, value in zip("xyz", (number % x, number // x % y, number // (x * y)), strict=True):
            self._special[f"%ctaid.{axis}"][:] = value
        self.alive[:] = True
        self.alive_count = self.size

    def kill(self, mask: Array) -> None:
        """These lanes have reached the end of the kernel."""
        self.alive &= ~mask
        self.alive_count = int(np.count_nonzero(self.alive))

    def active(self, mask: Array) -> Active:
        return Active(mask, self.alive_count)

    def thread_ids(self, lanes: Array) -> Array:
        """Numbers of the lanes' threads within the launch."""
        ids: Array = lanes + self.first_block * self.threads
        return ids

    def warp_bits(self, mask: Array) -> Array:
        """(warps,) uint32: which lanes of each warp are in `mask`."""
        if not self.whole_warps:
            padded = np.zeros(self.blocks * self.warps_per_block * WARP, bool)
            padded[self.slot] = mask
            mask = padded
        bits: Array = np.packbits(mask, bitorder="little").view(np.uint32)
        return bits

    def describe_thread(self, thread_id: int) -> str:
        """Block and thread of a thread's number within the launch."""
        block, thread = self._indices(thread_id)
        return f"block {block}, thread {thread}"

    def _indices(self, thread_id: int) -> tuple[Index3, Index3]:
        block, thread = divmod(int(thread_id), self.threads)
        return _index3(block, self.grid), _index3(thread, self.block)

    def fault(self, instruction: Instruction, kind: Kind, lane: int, text: str) -> NoReturn:
        """Raises the error of one lane."""
        block, thread = self._indices(int(lane) + self.first_block * self.threads)
        raise PtxError(kind, text, kernel=self.kernel.name, instruction=instruction, block=block, thread=thread)

    def register(self, operand: Operand, instruction: Instruction) -> Array:
        """The array behind a register."""
        if not isinstance(operand, Register) or operand.name not in self._registers:
            raise UnknownInstructionError(instruction, f"expected a register, got {operand}")
        return self._registers[operand.name]

    def predicate(self, operand: Operand, instruction: Instruction) -> Callable[[], Array]:
        """Reads a predicate, negated where the operand says so."""
        array = self.register(operand, instruction)
        if isinstance(operand, Register) and operand.negated:
            return lambda: ~array
        return lambda: array

    def value(self, operand: Operand, kind: str, instruction: Instruction) -> Value:
        """What a source operand is as type `kind`: a view of its register, which stays valid, or a constant."""
        dtype = DTYPES[kind]
        if isinstance(operand, Register):
            return self._view(self.register(operand, instruction), kind, instruction)
        if isinstance(operand, Special):
            if operand.name not in self._special or TYPE_BYTES[kind] > 4:
                raise UnknownInstructionError(instruction, f"special register {operand.name}")
            return self._view(self._special[operand.name], kind, instruction)
        if isinstance(operand, Symbol):
            if operand.name == "WARP_SZ":
                return dtype.type(WARP)
            if operand.name not in self.symbols:
                raise UnknownInstructionError(instruction, f"symbol {operand.name}")
            return dtype.type(self.symbols[operand.name] + operand.offset)
        if isinstance(operand, Immediate):
            return _constant(operand.value, kind)
        raise UnknownInstructionError(instruction, f"operand {operand}")

    def _view(self, array: Array, kind: str, instruction: Instruction) -> Array:
        dtype = DTYPES[kind]
        if kind == "pred" or array.dtype == bool:
            if kind != "pred" or array.dtype != bool:
                raise UnknownInstructionError(instruction, "a predicate where a number belongs")
            return array
        size = TYPE_BYTES[kind]
        if array.dtype.itemsize < size:
            raise UnknownInstructionError(instruction, f"a register of {array.dtype.itemsize} bytes read as {kind}")
        if kind in PACKED:
            return array.view(dtype).reshape(len(array), -1)[:, :2]
        # The low bytes come first, so a register's lower part is every second, fourth or eighth item.
        return array.view(dtype)[:: array.dtype.itemsize // size]

    def target(self, operand: Operand, kind: str, instruction: Instruction) -> Array:
        """Where a result of type `kind` goes; a wider register takes it sign- or zero-extended."""
        if isinstance(operand, Sink):
            return np.zeros((self.size, 2) if kind in PACKED else self.size, DTYPES[kind])
        array = self.register(operand, instruction)
        size = TYPE_BYTES[kind]
        if array.dtype == bool or array.dtype.itemsize == size or kind in PACKED:
            return self._view(array, kind, instruction)
        if array.dtype.itemsize < size or kind.startswith("f"):
            raise UnknownInstructionError(instruction, f"a register of {array.dtype.itemsize} bytes written as {kind}")
        return array.view(f"{'i' if kind.startswith('s') else 'u'}{array.dtype.itemsize}")


def _index3(number: int, extent: Index3) -> Index3:
    x, y, _ = extent
    return number % x, number // x % y, number // (x * y)


def _constant(value: int | float, kind: str) -> Value:
    dtype = DTYPES[kind]
    if isinstance(value, float):
        if dtype.kind == "f":
            return dtype.type(value)
        value = int.from_bytes(struct.pack("<f" if TYPE_BYTES[kind] == 4 else "<d", value), "little")
    if kind == "pred":
        return np.bool_(value)
    size = TYPE_BYTES[kind]
    data = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
    values = np.frombuffer(data, dtype)
    return values if kind in PACKED else values[0]


def assign(target: Array, compute: Callable[[], Value]) -> Step:
    """A step that puts what `compute` gives for all lanes into the active ones."""
    packed = target.ndim == 2

    def step(active: Active) -> None:
        if active.everywhere:
            np.copyto(target, compute(), casting="unsafe")
        else:
            np.copyto(target, compute(), where=active.mask[:, None] if packed else active.mask, casting="unsafe")

    return step


def apply(function: np.ufunc, target: Array, *sources: Value) -> Step:
    """A step that applies a ufunc to registers and constants."""

    def step(active: Active) -> None:
        if active.everywhere:
            function(*sources, out=target, casting="unsafe")
        else:
            np.copyto(target, function(*sources), where=active.mask, casting="unsafe")

    return assign(target, lambda: function(*sources)) if target.ndim == 2 else step


Builder: TypeAlias = Callable[[Instruction, Wave], Step]
Builders: TypeAlias = Mapping[str, Builder]
