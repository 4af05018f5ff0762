"""What all waves of one launch share."""

from __future__ import annotations

from dataclasses import dataclass, field

from .counts import SECTOR_BYTES, Counter, Footprint
from .memory import Buffer, GlobalMemory
from .order import LaunchOrder
from .program import TYPE_BYTES, Kernel
from .shadow import Shadow

_MEMORY = ("ld", "st", "atom", "red", "ldu")


def granules(kernel: Kernel) -> dict[str, int]:
    """For each state space, the smallest access of the kernel in bytes: finer than that nothing needs to be tracked."""
    smallest = {"global": 8, "shared": 8, "local": 8}
    for instruction in kernel.instructions:
        if instruction.name in _MEMORY and instruction.types:
            spaces = smallest if instruction.space == "generic" else {instruction.space} & smallest.keys()
            for space in spaces:
                smallest[space] = min(smallest[space], TYPE_BYTES[instruction.type])
    return smallest


@dataclass
class Launch:
    """Trackers of a launch: made as buffers are touched."""

    kernel: Kernel
    memory: GlobalMemory
    parameters: bytes
    shared_bytes: int
    counter: Counter = field(default_factory=Counter)
    order: LaunchOrder = field(default_factory=LaunchOrder)
    _shadows: dict[Buffer, Shadow] = field(default_factory=dict)
    _footprints: dict[Buffer, Footprint] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.granules = granules(self.kernel)

    def shadow(self, buffer: Buffer) -> Shadow | None:
        """None for memory that nobody writes."""
        if not buffer.writable:
            return None
        if buffer not in self._shadows:
            self._shadows[buffer] = Shadow(len(buffer.data), self.granules["global"])
        return self._shadows[buffer]

    def footprint(self, buffer: Buffer) -> Footprint:
        if buffer not in self._footprints:
            self._footprints[buffer] = Footprint(len(buffer.data), self.granules["global"], buffer.address % SECTOR_BYTES)
        return self._footprints[buffer]

    @property
    def footprints(self) -> list[Footprint]:
        return list(self._footprints.values())
