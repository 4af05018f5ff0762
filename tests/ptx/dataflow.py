"""Which registers an instruction reads and writes, and what follows: whose results become addresses, and whose nobody reads."""

from __future__ import annotations

from collections.abc import Iterator

from .program import Address, Instruction, Kernel, Operand, Pair, Register, Vector

# Instructions with no result: all their operands are sources.
_NO_RESULT = ("st", "red", "bra", "brx", "bar", "barrier", "ret", "exit", "membar", "fence", "prefetch", "trap")
# Through these an index keeps its meaning on its way into an address. A mask, a remainder or a shift to the right cuts a value to size on
# purpose, so what came before one may well have wrapped.
_CARRIES = ("add", "sub", "mul", "mad", "shl", "cvt", "mov", "selp", "cvta")
_ARITHMETIC = ("add", "sub", "mul", "mad", "shl")


def _names(operand: Operand) -> Iterator[str]:
    if isinstance(operand, Register):
        yield operand.name
    elif isinstance(operand, Vector):
        for item in operand.items:
            yield from _names(item)
    elif isinstance(operand, Pair):
        yield from _names(operand.first)
        yield from _names(operand.second)
    elif isinstance(operand, Address):
        yield from _names(operand.base)


def written(instruction: Instruction) -> set[str]:
    """Names of the registers that get a result."""
    reduces = instruction.has("red") and instruction.name in ("bar", "barrier")
    if not instruction.operands or (instruction.name in _NO_RESULT and not reduces):
        return set()
    return set(_names(instruction.operands[0]))


def read(instruction: Instruction) -> set[str]:
    """Names of the registers that are sources, the guard among them."""
    sources = instruction.operands[1:] if written(instruction) else instruction.operands
    names = {name for operand in sources for name in _names(operand)}
    return names | ({instruction.guard.name} if instruction.guard else set())


def unused(kernel: Kernel) -> frozenset[int]:
    """Indices of the instructions whose results no instruction reads."""
    anywhere = set().union(*(read(instruction) for instruction in kernel.instructions))
    return frozenset(i for i, instruction in enumerate(kernel.instructions) if not written(instruction) & anywhere)


def addressing(kernel: Kernel) -> frozenset[int]:
    """Indices of the 32- and 64-bit additions, products and shifts whose results become part of a memory address."""
    wanted = {name for i in kernel.instructions for operand in i.operands if isinstance(operand, Address) for name in _names(operand)}
    carriers = [i for i in kernel.instructions if i.name in _CARRIES and not i.has("cc") and i.type[0] in "bsu"]
    while True:
        more = set()
        for instruction in carriers:
            if written(instruction) & wanted:
                # The last operand of a shift is a distance, that of a selection a predicate.
                last = -1 if instruction.name in ("shl", "selp") else None
                more |= {name for operand in instruction.operands[1:last] for name in _names(operand)}
        if more <= wanted:
            break
        wanted |= more
    return frozenset(
        i
        for i, instruction in enumerate(kernel.instructions)
        if instruction.name in _ARITHMETIC and instruction.types and instruction.type[1:] in ("32", "64") and written(instruction) & wanted
    )
