"""Checks of arguments that several files of this package share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T", bound=str)

DAY_S = 86_400.0


def one_of(what: str, value: object, known: Iterable[T]) -> T:
    """`value`, which must be one of `known`."""
    names = tuple(known)
    for name in names:
        if isinstance(value, str) and value == name:
            return name
    raise ValueError(f"{what}: expected one of {', '.join(names)}, got {value!r}")


def check_time(what: str, value: object) -> int:
    """A time in nanoseconds since 1970, signed and of 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{what}: expected an int of nanoseconds since 1970, got {type(value).__name__}")
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"{what}: expected a 64-bit number of nanoseconds, got {value}")
    return value


def check_partner(partner: object) -> str | None:
    """The name of a conversation partner, or None: whoever is there."""
    if partner is None:
        return None
    if not isinstance(partner, str):
        raise TypeError(f"partner: expected a str or None, got {type(partner).__name__}")
    if not partner.strip() or len(partner) > 256 or any(ord(c) < 32 or "\ud800" <= c <= "\udfff" for c in partner):
        raise ValueError(f"partner: expected a name of 1 to 256 readable characters, got {partner[:40]!r}")
    return partner


def check_number(what: str, value: object, low: float, high: float = math.inf) -> float:
    """A finite number in [low, high]."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{what}: expected a number, got {type(value).__name__}")
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{what}: expected a finite number in [{low:g}, {high:g}], got {value}")
    return float(value)


def check_words(what: str, value: object, least: int) -> str:
    """A text of at least so many words, on one line, of at most 2,000 characters."""
    if not isinstance(value, str):
        raise TypeError(f"{what}: expected a str, got {type(value).__name__}")
    if any(ord(c) < 32 or "\ud800" <= c <= "\udfff" for c in value) or len(value) > 2000:
        raise ValueError(f"{what}: expected one line of at most 2000 readable characters, got {value[:40]!r}")
    if len(value.split()) < least:
        raise ValueError(f"{what}: expected at least {least} words, got {value!r}")
    return value.strip()
