"""Who touched each byte last, to find races."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arrays import Array
from .counts import WARP
from .order import Order

# How far apart the readers of a cell since the last barrier are.
_ONE, _WARP, _BLOCK, _GRID = 0, 1, 2, 3


@dataclass(frozen=True)
class Conflict:
    """`position` is the index of the access that races, with what thread `other` did."""

    position: int
    other: int
    text: str


class Shadow:
    """One cell for each `granule` bytes. Threads are kept as their number plus one, so that fresh memory has none."""

    def __init__(self, size_bytes: int, granule: int) -> None:
        self.granule = granule
        cells = -(-size_bytes // granule)
        self._writer = np.zeros(cells, np.int64)
        self._write_time = np.zeros(cells, np.int64)
        self._write_strong = np.zeros(cells, bool)
        self._reader = np.zeros(cells, np.int64)
        self._read_time = np.zeros(cells, np.int64)
        self._read_strong = np.zeros(cells, bool)
        self._spread = np.zeros(cells, np.int8)

    def cells(self, index: Array, size: int) -> tuple[Array, int]:
        """Cells of accesses at byte `index` of `size` bytes: (k * n,), and n."""
        n = size // self.granule
        first = index // self.granule
        return (first if n == 1 else (first[:, None] + np.arange(n)).ravel()), n

    def written_at_all(self, cells: Array) -> int | None:
        """Position of the first cell that any thread of the launch has written."""
        found = np.flatnonzero(self._writer[cells])
        return int(found[0]) if found.size else None

    def read(self, cells: Array, thread: Array, order: Order, strong: bool) -> Conflict | None:
        """Notes reads by `thread` (one per cell); `strong` reads (atomic, volatile) do not race with strong writes."""
        conflict = self._against_writes(cells, thread, order, strong, None)
        if conflict:
            return conflict
        threads = order.threads
        before = self._reader[cells] - 1
        fresh = (before < 0) | (before == thread)
        if not fresh.all():
            # A read that the barrier has put behind us needs no keeping.
            lane = thread - order.first
            behind = (before // threads == thread // threads) & (self._read_time[cells] < order.barrier[lane])
            fresh |= behind & (before != thread)
            spread = np.where(fresh, _ONE, np.maximum(self._spread[cells], _apart(before, thread, threads)))
            own = before == thread
            spread = np.where(own, self._spread[cells], spread)
            self._spread[cells] = spread
            self._read_strong[cells] = np.where(fresh & ~own, strong, self._read_strong[cells] & strong)
        else:
            self._spread[cells[before < 0]] = _ONE
            self._read_strong[cells] = strong
        self._reader[cells] = thread + 1
        last = self._reader[cells] - 1
        if (last != thread).any():
            apart = _apart(last, thread, threads)
            # In this order the widest comes last and stays.
            for how in (_WARP, _BLOCK, _GRID):
                here = cells[apart == how]
                self._spread[here] = np.maximum(self._spread[here], how)
        self._read_time[cells] = order.clock
        return None

    def write(self, cells: Array, thread: Array, order: Order, strong: bool, same: Array | None = None) -> Conflict | None:
        """Notes writes. `same` says where the new value is the one that is there, which is no race with a write."""
        conflict = self._against_writes(cells, thread, order, strong, same) or self._against_reads(cells, thread, order, strong)
        if conflict:
            return conflict
        self._writer[cells] = thread + 1
        self._write_time[cells] = order.clock
        self._write_strong[cells] = strong
        return None

    def collisions(self, cells: Array, thread: Array) -> Array:
        """After `write`: positions whose cell another thread wrote by the same instruction."""
        return np.flatnonzero(self._writer[cells] != thread + 1)

    def writer(self, cell: int) -> int:
        return int(self._writer[cell]) - 1

    def _against_writes(self, cells: Array, thread: Array, order: Order, strong: bool, same: Array | None) -> Conflict | None:
        other = self._writer[cells] - 1
        suspects = (other != thread) & (other >= 0)
        if same is not None:
            suspects &= ~same
        if strong:
            suspects &= ~self._write_strong[cells]
        return _first_unordered(np.flatnonzero(suspects), thread, other, self._write_time[cells], order, "a write")

    def _against_reads(self, cells: Array, thread: Array, order: Order, strong: bool) -> Conflict | None:
        other = self._reader[cells] - 1
        spread = self._spread[cells]
        suspects = (other >= 0) & ((other != thread) | (spread > _ONE))
        if strong:
            suspects &= ~self._read_strong[cells]
        if not suspects.any():
            return None
        time, threads = self._read_time[cells], order.threads
        same_block = other // threads == thread // threads
        behind = same_block & (spread < _GRID) & (time < order.barrier[thread - order.first])
        for i in np.flatnonzero(suspects & ~behind):
            if spread[i] == _WARP and same_block[i] and _apart(other[i : i + 1], thread[i : i + 1], threads)[0] <= _WARP:
                lane = int(thread[i]) - order.first
                width = min(WARP, threads - lane % threads // WARP * WARP)
                if order.met is not None and time[i] < order.met[lane, :width].min():
                    continue
            elif spread[i] == _ONE:
                one = slice(i, i + 1)
                if not order.unordered(thread[one], other[one], time[one])[0]:
                    continue
            return Conflict(int(i), int(other[i]), "a read")
        return None


def _apart(one: Array, two: Array, threads: int) -> Array:
    same_block = one // threads == two // threads
    same_warp = same_block & (one % threads // WARP == two % threads // WARP)
    apart: Array = np.where(one == two, _ONE, np.where(same_warp, _WARP, np.where(same_block, _BLOCK, _GRID))).astype(np.int8)
    return apart


def _first_unordered(suspects: Array, thread: Array, other: Array, time: Array, order: Order, text: str) -> Conflict | None:
    if suspects.size:
        free = order.unordered(thread[suspects], other[suspects], time[suspects])
        # Only the first that is found free is certain to be.
        first = np.flatnonzero(free)
        if first.size:
            at = int(suspects[first[0]])
            return Conflict(at, int(other[at]), text)
    return None
