"""The operand part of a PTX instruction."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

from .errors import ParseError
from .program import Address, Immediate, Operand, Pair, Register, Sink, Special, Symbol, Vector

Unique = Callable[[str], str | None]

_INTEGER = re.compile(r"-?(0[xX][0-9a-fA-F]+|0[bB][01]+|\d+)U?$")
_NAME = re.compile(r"[%$\w.]+$")


def parse_operands(text: str, unique: Unique) -> tuple[Operand, ...]:
    """`unique` gives a declared register's name within the kernel, None for what is no register."""
    return tuple(_operand(piece, unique) for piece in _split(text, ","))


def _split(text: str, separator: str) -> list[str]:
    """Pieces of `text` between separators that are not within brackets."""
    pieces, depth, start = [], 0, 0
    for i, character in enumerate(text):
        depth += (character in "{[(") - (character in "}])")
        if character == separator and depth == 0:
            pieces.append(text[start:i])
            start = i + 1
    return [piece for piece in (p.strip() for p in [*pieces, text[start:]]) if piece]


def _operand(text: str, unique: Unique) -> Operand:
    if text.startswith("{"):
        return Vector(tuple(_operand(piece, unique) for piece in _split(text[1:-1], ",")))
    if text.startswith("[") and text.endswith("]"):
        return _address(text[1:-1].strip(), unique)
    if "|" in text:
        first, second = text.split("|")
        return Pair(_operand(first.strip(), unique), _operand(second.strip(), unique))
    if text == "_":
        return Sink()
    if text.startswith("!"):
        name = unique(text[1:].strip())
        if name is None:
            raise ParseError(f"expected a predicate after '!', got {text!r}")
        return Register(name, negated=True)
    if (number := _number(text)) is not None:
        return Immediate(number)
    if (name := unique(text)) is not None:
        return Register(name)
    if text.startswith("%"):
        return Special(text)
    if plus := re.match(r"([\w$]+)\s*\+\s*(-?\d+)$", text):
        return Symbol(plus[1], int(plus[2]))
    if _NAME.match(text):
        return Symbol(text)
    raise ParseError(f"expected an operand, got {text!r}")


def _number(text: str) -> int | float | None:
    if re.match(r"0[fF][0-9a-fA-F]{8}$", text):
        return float(struct.unpack("<f", int(text[2:], 16).to_bytes(4, "little"))[0])
    if re.match(r"0[dD][0-9a-fA-F]{16}$", text):
        return float(struct.unpack("<d", int(text[2:], 16).to_bytes(8, "little"))[0])
    if _INTEGER.match(text):
        return int(text.rstrip("U"), 0)
    return None


def _address(text: str, unique: Unique) -> Address:
    match = re.match(r"([%$\w]+)\s*(?:\+\s*(-?\w+))?$", text)
    if not match:
        raise ParseError(f"expected [base] or [base+offset], got [{text}]")
    base, offset = _operand(match[1], unique), int(match[2] or "0", 0)
    if not isinstance(base, Register | Symbol | Immediate):
        raise ParseError(f"expected a register or a name as address, got [{text}]")
    return Address(base, offset)
