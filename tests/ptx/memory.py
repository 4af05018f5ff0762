"""Memory that kernels see: buffers with exact bounds, and which of their bytes have a value."""

from __future__ import annotations

import bisect
from typing import Any

import numpy as np

from .arrays import Array

# Where a machine's own buffers lie, far from any address of the host, and the windows in which generic addresses of the other spaces lie.
FIRST_ADDRESS = 1 << 48
_GAP_BYTES = 1 << 20
ALIGN_BYTES = 256
# Accesses are at most 16 bytes wide, so a buffer at such an address has each access at a whole number of items.
MINIMUM_ALIGN_BYTES = 16


class Region:
    """Bytes with bounds. `data` is (n,) uint8, shared with whoever owns it; `initialised` is (n,) bool, or None when all bytes have a
    value."""

    def __init__(self, name: str, address: int, data: Array, *, writable: bool, initialised: Array | None) -> None:
        self.name, self.address, self.writable = name, address, writable
        self.data, self.initialised = data, initialised
        self.end = address + len(data)
        self._items: dict[np.dtype[Any], Array] = {}
        self._complete: dict[int, Array] = {}

    def items(self, dtype: np.dtype[Any]) -> Array:
        """The bytes as items of `dtype`, without a rest at the end that is shorter."""
        if dtype not in self._items:
            size = dtype.itemsize
            self._items[dtype] = self.data[: len(self.data) // size * size].view(dtype)
        return self._items[dtype]

    def lacking(self, index: Array, size: int) -> Array | None:
        """Which of the accesses at byte `index` read a byte without a value; None if none can."""
        if self.initialised is None:
            return None
        if size not in self._complete:
            self._complete[size] = self.initialised[: len(self.initialised) // size * size].view(f"u{size}")
        missing: Array = self._complete[size][index // size] != int.from_bytes(b"\1" * size, "little")
        return missing

    def set_initialised(self, index: Array, size: int) -> None:
        if self.initialised is not None:
            self.lacking(index[:0], size)
            self._complete[size][index // size] = int.from_bytes(b"\1" * size, "little")


class Buffer(Region):
    """Global memory of a machine."""

    def __init__(
        self, name: str, address: int, data: Array, dtype: np.dtype[Any], shape: tuple[int, ...], writable: bool, initialised: Array | None
    ) -> None:
        super().__init__(name, address, data, writable=writable, initialised=initialised)
        self._dtype, self._shape = dtype, shape

    def array(self) -> Array:
        """A copy of the content, with the type and shape it was made with."""
        content: Array = self.data.view(self._dtype).reshape(self._shape).copy()
        return content

    @property
    def written(self) -> Array:
        """(n,) bool: which bytes have a value."""
        return np.ones(len(self.data), bool) if self.initialised is None else self.initialised.copy()


class GlobalMemory:
    """Buffers by address."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._buffers: list[Buffer] = []
        self._next = FIRST_ADDRESS

    def allocate_address(self, size_bytes: int) -> int:
        address = self._next
        self._next += -(-size_bytes // _GAP_BYTES) * _GAP_BYTES + _GAP_BYTES
        return address

    def add(self, buffer: Buffer) -> None:
        if buffer.address % MINIMUM_ALIGN_BYTES:
            raise ValueError(f"expected an address that is a multiple of {MINIMUM_ALIGN_BYTES} for {buffer.name}, got {buffer.address:#x}")
        at = bisect.bisect_left(self._starts, buffer.address)
        neighbours = self._buffers[max(at - 1, 0) : at + 1]
        for other in neighbours:
            if buffer.address < other.end and other.address < buffer.end:
                raise ValueError(f"{buffer.name} at {buffer.address:#x} overlaps {other.name} at {other.address:#x}")
        self._starts.insert(at, buffer.address)
        self._buffers.insert(at, buffer)

    def remove(self, buffer: Buffer) -> None:
        at = self._buffers.index(buffer)
        del self._starts[at], self._buffers[at]

    def holding(self, address: int) -> Buffer | None:
        """The buffer at whose start, or behind whose start, an address lies; not necessarily within it."""
        at = bisect.bisect_right(self._starts, address) - 1
        return self._buffers[at] if at >= 0 else None

    def nearest(self, address: int) -> str:
        """Words on where a stray address lies."""
        below = self.holding(address)
        if below and address - below.end < _GAP_BYTES:
            return f"{address - below.end} bytes after the end of {below.name} ({len(below.data)} bytes)"
        above = next((b for b in self._buffers if 0 <= b.address - address < _GAP_BYTES), None)
        if above:
            return f"{above.address - address} bytes before {above.name} ({len(above.data)} bytes)"
        return f"address {address:#x}, far from every buffer"
