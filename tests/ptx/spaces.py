"""The state spaces of a wave: where an address lies, and every check of an access."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from .arrays import Array
from .counts import transactions
from .errors import Kind
from .launch import Launch
from .memory import Buffer, Region
from .order import Order
from .program import Instruction, Variable
from .shadow import Conflict, Shadow
from .wave import Wave

# Shared and local memory do not begin at 0, so that a null pointer into them is out of bounds.
FIRST_OFFSET = 1024
# Between variables in shared memory, so that an index beyond one does not land in the next.
_GUARD_BYTES = 256
WINDOWS = {"shared": 1 << 56, "local": 1 << 57, "param": 1 << 58}
_WINDOW_BITS = 56
_SPACE_OF_WINDOW = {0: "global", 1: "shared", 2: "local", 4: "param"}


@dataclass
class Access:
    """One memory instruction: `bytes` at a time, as `count` items. `strong` ones (volatile, atomic) do not race with each other."""

    instruction: Instruction
    item_bytes: int
    count: int
    verb: str
    strong: bool = False
    read_only_path: bool = False
    last: Buffer | None = field(default=None, repr=False)

    @property
    def bytes(self) -> int:
        return self.item_bytes * self.count


@dataclass(frozen=True)
class Piece:
    """The lanes of an access that fall into one region, at byte `index` of it. `chosen` are their positions, None for all."""

    space: str
    region: Region
    lanes: Array
    index: Array
    chosen: Array | None


def _aligned(size: int, align: int) -> int:
    return -(-size // align) * align


class Spaces:
    """Shared, local and parameter memory of a wave, and the global memory of its machine."""

    def __init__(self, wave: Wave, launch: Launch, shared: list[Variable], local: list[Variable], order: Order) -> None:
        self.wave, self.launch, self.order = wave, launch, order
        self.offsets: dict[str, int] = {}
        self._owner = self._lay_out(shared, launch.shared_bytes)
        self._shared_bytes = len(self._owner)
        self._shared = _fresh("shared memory", wave.blocks * self._shared_bytes)
        self.shared_shadow = Shadow(len(self._shared.data), launch.granules["shared"])
        offset = 0
        for variable in local:
            offset = _aligned(offset, variable.align)
            self.offsets[variable.name] = FIRST_OFFSET + offset
            offset += variable.size_bytes or 0
        self._local_bytes, self._local_stride = offset, _aligned(offset, 16)
        self._local = _fresh("local memory", wave.size * self._local_stride)
        self._parameters = Region("parameters", 0, np.frombuffer(launch.parameters, np.uint8), writable=False, initialised=None)

    def _lay_out(self, variables: list[Variable], dynamic_bytes: int) -> Array:
        """Which variable each byte of a block's shared memory belongs to, -1 for the gaps."""
        owner = np.full(0, -1, np.int16)
        for number, variable in enumerate(sorted(variables, key=lambda v: v.size_bytes is None)):
            size = dynamic_bytes if variable.size_bytes is None else variable.size_bytes
            start = _aligned(len(owner) + _GUARD_BYTES, max(variable.align, 16))
            if variable.size_bytes is None and any(v.size_bytes is None and v.name in self.offsets for v in variables):
                # All arrays without a size are one and the same.
                self.offsets[variable.name] = next(
                    self.offsets[v.name] for v in variables if v.size_bytes is None and v.name in self.offsets
                )
                continue
            self.offsets[variable.name] = FIRST_OFFSET + start
            owner = np.concatenate([owner, np.full(start - len(owner), -1, np.int16), np.full(size, number, np.int16)])
        return np.concatenate([owner, np.full(_aligned(len(owner) + _GUARD_BYTES, 16) - len(owner), -1, np.int16)])

    def begin(self, order: Order) -> None:
        """Shared and local memory of new blocks: nothing in it has a value."""
        self.order = order
        for region in (self._shared, self._local):
            if region.initialised is not None:
                region.initialised[:] = False
        self.shared_shadow = Shadow(len(self._shared.data), self.launch.granules["shared"])

    def window(self, space: str) -> int:
        return WINDOWS.get(space, 0)

    # Where an access goes.

    def pieces(self, access: Access, space: str, lanes: Array, address: Array) -> Iterator[Piece]:
        """The parts of an access by region, bounds and alignment checked."""
        stray = address & (access.bytes - 1)
        if stray.any():
            at = int(np.flatnonzero(stray)[0])
            text = f"{access.verb} of {access.bytes} bytes at {int(address[at]):#x}, which is no multiple of {access.bytes}"
            self.wave.fault(access.instruction, Kind.MISALIGNED, lanes[at], text)
        if space != "generic":
            yield from self._pieces_in(access, space, lanes, address, None)
            return
        windows = address >> _WINDOW_BITS
        if not windows.any():
            yield from self._pieces_in(access, "global", lanes, address, None)
            return
        for number in np.unique(windows):
            chosen = np.flatnonzero(windows == number)
            name = _SPACE_OF_WINDOW.get(int(number))
            if name is None:
                self._outside(access, lanes[chosen[0]], f"address {int(address[chosen[0]]) & (1 << 64) - 1:#x}, far from every buffer")
            else:
                yield from self._pieces_in(access, name, lanes[chosen], address[chosen] - self.window(name), chosen)

    def _pieces_in(self, access: Access, space: str, lanes: Array, address: Array, chosen: Array | None) -> Iterator[Piece]:
        if space in ("global", "const"):
            yield from self._buffers(access, lanes, address, chosen)
            return
        offset = address - FIRST_OFFSET if space != "param" else address
        if space == "shared":
            region, base, limit = self._shared, self.wave.block_of[lanes] * self._shared_bytes, self._shared_bytes
        elif space == "local":
            region, base, limit = self._local, lanes * self._local_stride, self._local_bytes
        else:
            region, base, limit = self._parameters, np.zeros(len(lanes), np.int64), len(self._parameters.data)
        bad = (offset < 0) | (offset > limit - access.bytes)
        if not bad.any() and space == "shared":
            owner = self._owner[offset]
            bad = (owner < 0) | (owner != self._owner[offset + access.bytes - 1])
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            where = (
                self._describe_shared(int(offset[at]))
                if space == "shared"
                else f"byte {int(offset[at])} of {limit} bytes of {space} memory"
            )
            self._outside(access, lanes[at], where)
        yield Piece(space, region, lanes, base + offset, chosen)

    def _describe_shared(self, offset: int) -> str:
        starts = {
            name: start - FIRST_OFFSET
            for name, start in self.offsets.items()
            if self._owner[min(start - FIRST_OFFSET, self._shared_bytes - 1)] >= 0
        }
        if not starts:
            return "shared memory, of which the kernel has none"
        name = min(starts, key=lambda n: abs(starts[n] - offset))
        size = int(np.count_nonzero(self._owner == self._owner[starts[name]]))
        return f"byte {offset - starts[name]} of {size} bytes of the shared {name}"

    def _buffers(self, access: Access, lanes: Array, address: Array, chosen: Array | None) -> Iterator[Piece]:
        low, high = int(address.min()), int(address.max())
        buffer = access.last
        if buffer is None or not buffer.address <= low <= high <= buffer.end - access.bytes:
            buffer = self.launch.memory.holding(low)
        if buffer and low >= buffer.address and high <= buffer.end - access.bytes:
            access.last = buffer
            yield Piece("global", buffer, lanes, address - buffer.address, chosen)
            return
        if buffer is None or low > buffer.end - access.bytes:
            at = int(np.argmin(address))
            self._outside(access, lanes[at], self.launch.memory.nearest(low))
        inside = np.flatnonzero(address <= buffer.end - access.bytes) if buffer else np.zeros(0, np.int64)
        outside = np.flatnonzero(address > buffer.end - access.bytes) if buffer else np.arange(len(address))
        yield from self._buffers(access, lanes[inside], address[inside], inside if chosen is None else chosen[inside])
        yield from self._buffers(access, lanes[outside], address[outside], outside if chosen is None else chosen[outside])

    def _outside(self, access: Access, lane: int, where: str) -> None:
        self.wave.fault(access.instruction, Kind.OUT_OF_BOUNDS, lane, f"{access.verb} of {access.bytes} bytes at {where}")

    # What an access does to what is tracked.

    def check_read(self, access: Access, piece: Piece, *, shadow: bool = True) -> None:
        """Every byte must have a value, and no other thread may be writing it."""
        halves = range(0, access.bytes, min(access.bytes, 8))
        for start in halves:
            missing = piece.region.lacking(piece.index + start, min(access.bytes, 8))
            if missing is not None and missing.any():
                at = int(np.flatnonzero(missing)[0])
                text = f"{access.verb} of {access.bytes} bytes at {self._within(piece, at)}"
                self.wave.fault(access.instruction, Kind.UNINITIALISED, piece.lanes[at], text)
        self._count(access, piece, write=False)
        cells = self._cells(access, piece) if shadow else None
        if cells is not None:
            tracker, index, threads = cells
            if access.read_only_path and (position := tracker.written_at_all(index)) is not None:
                self._race(access, piece, Conflict(position, tracker.writer(int(index[position])), "a write"), "through the read-only path")
            conflict = tracker.read(index, threads, self.order, access.strong)
            if conflict:
                self._race(access, piece, conflict)

    def check_write(self, access: Access, piece: Piece, same: Array | None) -> None:
        """The memory must be writable and no other thread may be using it. `same` (one per lane) says where the value is there already."""
        region = piece.region
        if not region.writable:
            self.wave.fault(access.instruction, Kind.READ_ONLY, piece.lanes[0], f"{access.verb} at {self._within(piece, 0)}")
        for start in range(0, access.bytes, min(access.bytes, 8)):
            region.set_initialised(piece.index + start, min(access.bytes, 8))
        self._count(access, piece, write=True)
        cells = self._cells(access, piece)
        if cells is None:
            return
        tracker, index, threads = cells
        per_lane = len(index) // len(piece.lanes)
        conflict = tracker.write(index, threads, self.order, access.strong, None if same is None else np.repeat(same, per_lane))
        if conflict:
            self._race(access, piece, conflict)
        if piece.space == "shared" and not access.strong:
            together = tracker.collisions(index, threads)
            if together.size:
                at = int(together[0])
                self._race(access, piece, Conflict(at, tracker.writer(int(index[at])), "a write"), "of the same instruction")

    def different_values(self, access: Access, piece: Piece, at: int) -> None:
        """The lane at position `at` and another one wrote different values to one place by the same instruction."""
        cells = self._cells(access, piece)
        assert cells is not None
        tracker, index, _ = cells
        first = at * (len(index) // len(piece.lanes))
        self._race(access, piece, Conflict(first, tracker.writer(int(index[first])), "a write"), "of another value")

    def _cells(self, access: Access, piece: Piece) -> tuple[Shadow, Array, Array] | None:
        if piece.space == "shared":
            tracker: Shadow | None = self.shared_shadow
        else:
            tracker = self.launch.shadow(piece.region) if isinstance(piece.region, Buffer) else None
        if tracker is None:
            return None
        index, each = tracker.cells(piece.index, access.bytes)
        threads = self.wave.thread_ids(piece.lanes)
        return tracker, index, threads if each == 1 else np.repeat(threads, each)

    def _count(self, access: Access, piece: Piece, *, write: bool) -> None:
        region = piece.region
        if not isinstance(region, Buffer) or access.instruction.space == "const":
            return
        footprint = self.launch.footprint(region)
        flags = footprint.written if write else footprint.read
        cell = piece.index // footprint.granule
        for i in range(access.bytes // footprint.granule):
            flags[cell + i] = True
        number = transactions(piece.index + footprint.skew_bytes, self.wave.warp_of[piece.lanes])
        if write:
            self.launch.counter.transactions_written += number
        else:
            self.launch.counter.transactions_read += number

    def _within(self, piece: Piece, at: int) -> str:
        index = int(piece.index[at])
        if piece.space == "shared":
            return self._describe_shared(index % self._shared_bytes)
        if piece.space == "local":
            return f"byte {index % self._local_stride} of {self._local_bytes} bytes of local memory"
        return f"byte {index} of {len(piece.region.data)} bytes of {piece.region.name}"

    def _race(self, access: Access, piece: Piece, conflict: Conflict, how: str = "with nothing that orders them") -> None:
        cells = self._cells(access, piece)
        at = conflict.position // (len(cells[1]) // len(piece.lanes)) if cells else conflict.position
        other = self.wave.describe_thread(conflict.other)
        text = f"{access.verb} at {self._within(piece, at)} and {conflict.text} by {other}, {how}"
        self.wave.fault(access.instruction, Kind.RACE, piece.lanes[at], text)


def _fresh(name: str, size: int) -> Region:
    """Memory without values: a pattern that shows, should a check let it through."""
    return Region(name, 0, np.full(size, 0xA5, np.uint8), writable=True, initialised=np.zeros(size, bool))
