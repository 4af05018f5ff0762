"""A PTX module as data: what the parser gives and the machine executes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

# Bytes of each fundamental type; a predicate has none.
TYPE_BYTES: dict[str, int] = {
    **{f"{letter}{bits}": bits // 8 for letter in "bsu" for bits in (8, 16, 32, 64)},
    **{"f16": 2, "f32": 4, "f64": 8, "f16x2": 4, "u16x2": 4, "s16x2": 4, "b128": 16},
    "pred": 0,
}
SPACES = ("param", "const", "global", "shared", "local")


@dataclass(frozen=True)
class Location:
    """A line of CUDA source. `inlined_at` is the line that called the function, where the compiler inlined one."""

    file: str
    line: int
    inlined_at: Location | None = None

    @property
    def outermost(self) -> Location:
        """The line of the kernel itself, whatever was inlined there."""
        return self.inlined_at.outermost if self.inlined_at else self

    def __str__(self) -> str:
        at = f"{self.file}:{self.line}"
        return f"{at} (inlined at {self.outermost})" if self.inlined_at else at


@dataclass(frozen=True)
class Register:
    """A register by its name, unique within the kernel (those of an inner scope are renamed)."""

    name: str
    negated: bool = False


@dataclass(frozen=True)
class Special:
    """A special register, such as `%tid.x`."""

    name: str


@dataclass(frozen=True)
class Immediate:
    """A constant in an instruction. `value` is a Python int, or a float where PTX gives `0f...` or `0d...`."""

    value: int | float


@dataclass(frozen=True)
class Symbol:
    """A variable's, parameter's or label's name, with a byte offset."""

    name: str
    offset: int = 0


@dataclass(frozen=True)
class Address:
    """`[base+offset]`."""

    base: Register | Symbol | Immediate
    offset: int


@dataclass(frozen=True)
class Vector:
    """`{a, b, ...}`."""

    items: tuple[Operand, ...]


@dataclass(frozen=True)
class Pair:
    """`d|p`: two results of one instruction."""

    first: Operand
    second: Operand


@dataclass(frozen=True)
class Sink:
    """`_`: a result that nobody wants."""


Operand: TypeAlias = Register | Special | Immediate | Symbol | Address | Vector | Pair | Sink


@dataclass(frozen=True)
class Instruction:
    """One instruction. `parts` are the dotted pieces of the opcode, the first of which is its name."""

    parts: tuple[str, ...]
    operands: tuple[Operand, ...]
    guard: Register | None
    location: Location
    text: str

    @property
    def name(self) -> str:
        return self.parts[0]

    @property
    def types(self) -> tuple[str, ...]:
        """The type suffixes in their order: `cvt.rn.f32.s32` has ("f32", "s32")."""
        return tuple(part for part in self.parts[1:] if part in TYPE_BYTES)

    @property
    def type(self) -> str:
        """The last type suffix: of the sources, or of all."""
        return self.types[-1]

    @property
    def space(self) -> str:
        """State space of a memory instruction, "generic" where none is written."""
        return next((part for part in self.parts[1:] if part in SPACES), "generic")

    def has(self, *parts: str) -> bool:
        """Whether any of these modifiers is there."""
        return any(part in self.parts for part in parts)


@dataclass(frozen=True)
class Parameter:
    """A kernel parameter at `offset` bytes of the parameter block."""

    name: str
    offset: int
    size_bytes: int
    align: int


@dataclass(frozen=True)
class Variable:
    """A module's or kernel's variable. `size_bytes` is None for `extern __shared__`; `data` is its initial content (empty: none given)."""

    name: str
    space: str
    align: int
    size_bytes: int | None
    data: bytes = b""


@dataclass(frozen=True)
class Kernel:
    """An entry function. `registers` maps each register to its type; `labels` each label to the index of an instruction."""

    name: str
    parameters: tuple[Parameter, ...]
    registers: Mapping[str, str]
    variables: tuple[Variable, ...]
    instructions: tuple[Instruction, ...]
    labels: Mapping[str, int]
    jump_tables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def parameter_bytes(self) -> int:
        return max((p.offset + p.size_bytes for p in self.parameters), default=0)


@dataclass(frozen=True)
class Program:
    """A PTX module. `target` is what follows `.target`, such as "sm_75"."""

    target: str
    version: str
    kernels: Mapping[str, Kernel]
    variables: tuple[Variable, ...]

    def kernel(self, name: str) -> Kernel:
        """The kernel of this name; LookupError names those there are."""
        if name not in self.kernels:
            raise LookupError(f"no kernel {name!r}; this program has {', '.join(sorted(self.kernels)) or 'none'}")
        return self.kernels[name]
