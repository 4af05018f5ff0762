"""Which accesses of two threads are ordered: what barriers, warp synchronisation and fences establish.

A clock ticks at each such event. An access at time t by one thread is ordered before what another does now if an event after t joined both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arrays import Array
from .counts import WARP


@dataclass
class LaunchOrder:
    """What outlives a wave: the clock, and when threads released their writes to other blocks."""

    clock: int = 1
    # Writes of a thread before this time are visible to blocks that see a later atomic of its block; (threads of the launch,).
    released: Array | None = None
    # Time of each block's last atomic operation; (blocks of the launch,).
    atomic: Array | None = None

    def tick(self) -> int:
        self.clock += 1
        return self.clock


class Order:
    """The order between the threads of one wave, and toward those of earlier waves. Threads are numbered within the launch."""

    def __init__(self, launch: LaunchOrder, threads: int, first_thread: int, size: int, syncs_warps: bool) -> None:
        self.launch = launch
        self.threads, self.first, self.size = threads, first_thread, size
        # When each lane last passed a barrier with all its block.
        self.barrier = np.zeros(size, np.int64)
        # When each lane last met each lane of its warp in a bar.warp.sync.
        self.met = np.zeros((size, WARP), np.int64) if syncs_warps else None
        # Barriers of a part of a block: time and lanes.
        self.partial: list[tuple[int, Array]] = []

    @property
    def clock(self) -> int:
        return self.launch.clock

    def pass_barrier(self, lanes: Array) -> None:
        """All threads of some blocks meet."""
        self.barrier[lanes] = self.launch.tick()

    def pass_partial_barrier(self, lanes: Array) -> None:
        mask = np.zeros(self.size, bool)
        mask[lanes] = True
        self.partial.append((self.launch.tick(), mask))

    def pass_warp(self, lanes: Array, members: Array) -> None:
        """Each of `lanes` meets the lanes of its warp in the bit mask `members`."""
        now = self.launch.tick()
        if self.met is not None:
            bits = (members[:, None] >> np.arange(WARP, dtype=np.uint32)) & 1
            self.met[lanes] = np.where(bits != 0, now, self.met[lanes])

    def fence(self, lanes: Array) -> None:
        """These lanes' writes, and those ordered before by a barrier, are released to all blocks."""
        released = self.launch.released
        if released is None:
            return
        now = self.launch.tick()
        blocks = np.unique(lanes // self.threads)
        block_lanes = (blocks[:, None] * self.threads + np.arange(self.threads)).ravel()
        released[self.first + block_lanes] = np.maximum(released[self.first + block_lanes], self.barrier[block_lanes])
        released[self.first + lanes] = now

    def atomic(self, lanes: Array) -> None:
        if self.launch.atomic is not None:
            self.launch.atomic[(self.first + lanes) // self.threads] = self.launch.tick()

    def unordered(self, thread: Array, other: Array, time: Array) -> Array:
        """Whether what `other` did at `time` is not ordered before what `thread` does now; all (k,), threads different."""
        lane = thread - self.first
        same_block = thread // self.threads == other // self.threads
        free: Array = ~(same_block & (time < self.barrier[lane]))
        if free.any():
            for i in np.flatnonzero(free):
                free[i] = not self._otherwise_ordered(int(thread[i]), int(other[i]), int(time[i]), bool(same_block[i]))
                if free[i]:
                    break
        return free

    def _otherwise_ordered(self, thread: int, other: int, time: int, same_block: bool) -> bool:
        lane, threads = thread - self.first, self.threads
        if same_block:
            other_lane = other - self.first
            same_warp = thread % threads // WARP == other % threads // WARP
            if same_warp and self.met is not None and time < self.met[lane, other % threads % WARP]:
                return True
            return any(time < when and mask[lane] and mask[other_lane] for when, mask in self.partial)
        released, atomic = self.launch.released, self.launch.atomic
        if released is None or atomic is None:
            return False
        until = released[other]
        return bool(time < until <= atomic[other // threads] and until <= atomic[thread // threads])
