"""Finds who executes an instruction."""

from __future__ import annotations

from . import access, atomics, bits, collective, convert, floating, integer
from .errors import UnknownInstructionError
from .program import Instruction
from .wave import Builders, Step, Wave

_ANY_TYPE: Builders = {**bits.BUILDERS, **convert.BUILDERS, **access.BUILDERS, **atomics.BUILDERS, **collective.BUILDERS}


def decode(instruction: Instruction, wave: Wave) -> Step:
    """The step that executes an instruction; UnknownInstructionError where there is none."""
    build = _ANY_TYPE.get(instruction.name)
    if build is None:
        by_type = floating.BUILDERS if instruction.types and instruction.type.startswith("f") else integer.BUILDERS
        build = by_type.get(instruction.name)
    if build is None:
        raise UnknownInstructionError(instruction)
    try:
        return build(instruction, wave)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise UnknownInstructionError(instruction, f"{type(error).__name__}: {error}") from error


def float_operations(instruction: Instruction) -> int:
    """Float operations a thread does by this instruction."""
    if not instruction.types or not instruction.type.startswith("f"):
        return 0
    halves = 2 if instruction.type == "f16x2" else 1
    return floating.OPERATIONS.get(instruction.name, 0) * halves
