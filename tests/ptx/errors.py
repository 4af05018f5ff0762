"""What goes wrong in a kernel, or in reading one: each error says where."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .program import Instruction, Location

Index3 = tuple[int, int, int]


class Kind(Enum):
    """The kinds of fault a launch is checked for; the value is how the message begins."""

    OUT_OF_BOUNDS = "out of bounds"
    MISALIGNED = "misaligned access"
    READ_ONLY = "write to read-only memory"
    UNINITIALISED = "read of uninitialised memory"
    RACE = "race"
    BARRIER_DIVERGENCE = "barrier divergence"
    BARRIER_AFTER_EXIT = "barrier after exit"
    MISSING_LANES = "missing lanes"
    ENDLESS_LOOP = "endless loop"
    DIVISION_BY_ZERO = "division by zero"
    ADDRESS_OVERFLOW = "address overflow"
    TRAP = "trap"


class ParseError(ValueError):
    """PTX text that the parser does not understand."""


class UnknownInstructionError(NotImplementedError):
    """An instruction, or a form of one, that the interpreter does not execute. Says which, and its CUDA line."""

    def __init__(self, instruction: Instruction, why: str = "") -> None:
        reason = f" ({why})" if why else ""
        super().__init__(f"the interpreter does not know `{instruction.text}`{reason}, CUDA line {instruction.location}")
        self.instruction = instruction


class PtxError(Exception):
    """A fault of a running kernel. `kind`, `kernel`, `location` (CUDA line), `instruction` (PTX), `block` and `thread` (x, y, z) say what
    and where; the message has them all."""

    def __init__(self, kind: Kind, text: str, *, kernel: str, instruction: Instruction, block: Index3, thread: Index3) -> None:
        detail = f"{kind.value}: {text}" if text else kind.value
        super().__init__(
            f"{detail}; kernel {kernel}, CUDA line {instruction.location}, PTX `{instruction.text}`, block {block}, thread {thread}"
        )
        self.kind = kind
        self.kernel = kernel
        self.location: Location = instruction.location
        self.instruction = instruction.text
        self.block = block
        self.thread = thread
