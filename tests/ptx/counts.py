"""What a launch moved and computed, counted."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .arrays import Array

SECTOR_BYTES = 32
WARP = 32


@dataclass(frozen=True)
class Counts:
    """Figures of one launch, all of its blocks together.

    Global memory (constants and parameters are not counted): `bytes_*` are distinct bytes, `sectors_*` distinct 32-byte sectors (what
    must come from and go to DRAM if every sector moves once), `transactions_*` sectors that a warp touches per instruction, summed (what
    the caches serve). Atomics count as both read and write.

    `instructions` are thread-instructions, also those whose guard did not hold, `warp_instructions` what the warp schedulers issue for
    them. `float_operations` have fma = 2 and each half of a half2 as one of its own. `barriers` are barriers passed, once per block.
    """

    bytes_read: int = 0
    bytes_written: int = 0
    sectors_read: int = 0
    sectors_written: int = 0
    transactions_read: int = 0
    transactions_written: int = 0
    atomics: int = 0
    instructions: int = 0
    warp_instructions: int = 0
    float_operations: int = 0
    barriers: int = 0

    @property
    def bytes_moved(self) -> int:
        return self.bytes_read + self.bytes_written


@dataclass
class Footprint:
    """Which bytes of one buffer a launch touched; one flag per `granule` bytes. `skew_bytes` is how far into a sector the buffer begins."""

    size_bytes: int
    granule: int
    skew_bytes: int = 0
    read: Array = field(init=False)
    written: Array = field(init=False)

    def __post_init__(self) -> None:
        flags = -(-self.size_bytes // self.granule)
        self.read = np.zeros(flags, bool)
        self.written = np.zeros(flags, bool)

    def distinct_bytes(self, flags: Array) -> int:
        # The last granule may reach over the end of the buffer.
        over = len(flags) * self.granule - self.size_bytes if flags.size and flags[-1] else 0
        return int(np.count_nonzero(flags)) * self.granule - over

    def distinct_sectors(self, flags: Array) -> int:
        per_sector = SECTOR_BYTES // self.granule
        skew = self.skew_bytes // self.granule
        padded = np.zeros(-(-(skew + len(flags)) // per_sector) * per_sector, bool)
        padded[skew : skew + len(flags)] = flags
        return int(np.count_nonzero(padded.reshape(-1, per_sector).any(axis=1)))


@dataclass
class Counter:
    """Running totals of a launch."""

    transactions_read: int = 0
    transactions_written: int = 0
    atomics: int = 0
    instructions: int = 0
    warp_instructions: int = 0
    float_operations: int = 0
    barriers: int = 0

    def finish(self, footprints: list[Footprint]) -> Counts:
        return Counts(
            bytes_read=sum(f.distinct_bytes(f.read) for f in footprints),
            bytes_written=sum(f.distinct_bytes(f.written) for f in footprints),
            sectors_read=sum(f.distinct_sectors(f.read) for f in footprints),
            sectors_written=sum(f.distinct_sectors(f.written) for f in footprints),
            transactions_read=self.transactions_read,
            transactions_written=self.transactions_written,
            atomics=self.atomics,
            instructions=self.instructions,
            warp_instructions=self.warp_instructions,
            float_operations=self.float_operations,
            barriers=self.barriers,
        )


def transactions(addresses: Array, warps: Array) -> int:
    """Sectors that each warp touches, summed over the warps: `addresses` and `warps` are one per active lane, warps ascending."""
    keys = (warps << 50) + addresses // SECTOR_BYTES
    steps = np.diff(keys)
    if (steps < 0).any():
        keys.sort()
        steps = np.diff(keys)
    return 1 + int(np.count_nonzero(steps)) if len(keys) else 0
