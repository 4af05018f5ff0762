"""Well-formed names: the terms that events, beliefs, rules and conditions of FAtiMA are written in.

    name     = symbol | symbol "(" name {"," name} ")"
    symbol   = word | number | "[" word "]" | "*" | "-"

`John` and `34.5` are constants, `[x]` is a variable, `*` stands for anything, `-` for nothing, `Like(SELF, [x])` is composed. Names compare
without regard to case, numbers by value (`34` is `34.000`). From the FAtiMA Toolkit (S. Mascarenhas et al., arXiv 2103.03020); its grammar
wants words of ASCII first letters and exponents without leading zeros, ours takes any letter and any exponent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

MAX_SYMBOLS = 1000
MAX_DEPTH = 50
"""No sensible rule comes near these; they keep a hostile one from eating stack and memory."""

RESERVED = "[__ghost"
"""How the variables begin that the unifier puts where "*" stands; no name that is read may use them."""

_NUMBER = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_VARIABLE = re.compile(r"\[[^\W\d][\w-]*\]")
_WORD = re.compile(r"(?!0)\w[\w-]*")
_DELIMITER = re.compile(r"[(),]")


@lru_cache(maxsize=4096)
def _symbol_key(symbol: str) -> float | str:
    if symbol in ("*", "-") or _VARIABLE.fullmatch(symbol):
        return symbol.casefold()
    if _NUMBER.fullmatch(symbol):
        number = float(symbol)
        if math.isinf(number):
            raise ValueError(f"{symbol!r} is too large for a number")
        return number
    if _WORD.fullmatch(symbol):
        return symbol.casefold()
    raise ValueError(f"expected a word, a number, a [variable], * or -, got {symbol!r}")


@dataclass(frozen=True, slots=True, eq=False)
class Name:
    """One well-formed name: `Name("John")`, or composed, `Name("Like", (Name("SELF"), Name("[x]")))`; see `parse`.

    Raises ValueError for a symbol that is none, more than 1000 symbols, or more than 50 levels.
    """

    symbol: str
    """The first term: the whole name unless it is composed."""
    terms: tuple[Name, ...] = ()
    key: Any = field(init=False, repr=False)
    """What equality and hash go by."""
    size: int = field(init=False, repr=False)
    depth: int = field(init=False, repr=False)
    is_ground: bool = field(init=False, repr=False)
    """True if no variable is in it."""
    is_constant: bool = field(init=False, repr=False)
    """True if it holds neither a variable nor `*`."""

    def __post_init__(self) -> None:
        key = _symbol_key(self.symbol)
        size, depth = 1 + sum(t.size for t in self.terms), 1 + max((t.depth for t in self.terms), default=0)
        if size > MAX_SYMBOLS:
            raise ValueError(f"a name may have {MAX_SYMBOLS} symbols, this one has {size}")
        if depth > MAX_DEPTH:
            raise ValueError(f"a name may have {MAX_DEPTH} levels of parentheses, this one has {depth}")
        object.__setattr__(self, "key", (key, *(t.key for t in self.terms)) if self.terms else key)
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "depth", depth)
        ground = not self.symbol.startswith("[") and all(t.is_ground for t in self.terms)
        object.__setattr__(self, "is_ground", ground)
        object.__setattr__(self, "is_constant", ground and self.symbol != "*" and all(t.is_constant for t in self.terms))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Name) and bool(self.key == other.key)

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return f"{self.symbol}({', '.join(map(str, self.terms))})" if self.terms else self.symbol

    @property
    def head(self) -> Name:
        """The first term, by itself."""
        return _atom(self.symbol) if self.terms else self

    @property
    def is_variable(self) -> bool:
        """True of `[x]`, not of what is composed with one."""
        return not self.terms and self.symbol.startswith("[")

    @property
    def is_universal(self) -> bool:
        """True of `*` itself."""
        return not self.terms and self.symbol == "*"

    @property
    def number(self) -> float | None:
        """Its value if it is a number, else None."""
        return self.key if not self.terms and isinstance(self.key, float) else None

    @property
    def truth(self) -> bool | None:
        """True or False if it is one of those words, else None."""
        return {"true": True, "false": False}.get(self.key) if not self.terms and isinstance(self.key, str) else None

    def variables(self) -> Iterator[Name]:
        """Every variable, left to right, as often as it stands there."""
        if self.symbol.startswith("["):
            yield self.head
        for term in self.terms:
            yield from term.variables()

    def map(self, change: Callable[[Name], Name]) -> Name:
        """The name with `change` applied to each symbol. ValueError if the first term of a composed name would become composed itself."""
        if not self.terms:
            return change(self)
        head = change(self.head)
        if head.terms:
            raise ValueError(f"{self.symbol} stands for {head}, which cannot be the first term of {self}")
        return Name(head.symbol, tuple(t.map(change) for t in self.terms))

    def substitute(self, bindings: Mapping[Name, Name]) -> Name:
        """The name with each bound variable replaced by its value, once."""
        if not bindings or self.is_ground:
            return self
        return self.map(lambda symbol: bindings.get(symbol, symbol) if symbol.is_variable else symbol)

    def swap(self, old: Name, new: Name) -> Name:
        """The name with every symbol equal to `old` replaced by `new`."""
        return self.map(lambda symbol: new if symbol == old else symbol)

    def matches(self, other: Name) -> bool:
        """True if both are equal where neither has `*`, which matches any name, or as a first term any first term. Binds no variables."""
        if self.is_universal or other.is_universal:
            return True
        if len(self.terms) != len(other.terms):
            return False
        heads = "*" in (self.symbol, other.symbol) or self.head == other.head
        return heads and all(a.matches(b) for a, b in zip(self.terms, other.terms, strict=True))


@lru_cache(maxsize=4096)
def _atom(symbol: str) -> Name:
    return Name(symbol)


SELF = Name("SELF")
NIL = Name("-")
ANY = Name("*")


def number(value: float) -> Name:
    """The name of a finite number."""
    if not math.isfinite(value):
        raise ValueError(f"expected a finite number, got {value}")
    text = repr(float(value))
    return Name(text.removesuffix(".0"))


def parse(text: str) -> Name:
    """Reads a name. Raises ValueError that quotes the text, says what was expected and in which column (from 1)."""
    if not isinstance(text, str):
        raise TypeError(f"expected a name as text, got {type(text).__name__}")
    name, at = _parse(text, 0, 1)
    if at < len(text):
        raise _error(text, at, "the end")
    return name


def as_name(value: str | Name) -> Name:
    """A name, read from text if it is not one already."""
    return value if isinstance(value, Name) else parse(value)


def _error(text: str, at: int, expected: str) -> ValueError:
    got = repr(text[at]) if at < len(text) else "the end"
    return ValueError(f"{text!r}: expected {expected} at column {at + 1}, got {got}")


def _parse(text: str, at: int, depth: int) -> tuple[Name, int]:
    """The name that begins at `at`, and where the next thing begins."""
    if depth > MAX_DEPTH:
        raise ValueError(f"{text[:40]!r}...: more than {MAX_DEPTH} levels of parentheses")
    delimiter = _DELIMITER.search(text, at)
    end = delimiter.start() if delimiter else len(text)
    symbol = text[at:end].strip()
    if not symbol:
        raise _error(text, end, "a name")
    if symbol.casefold().startswith(RESERVED):
        raise ValueError(f"{text!r}: variables that begin with {RESERVED} are reserved")
    terms: list[Name] = []
    if delimiter and delimiter[0] == "(":
        while True:
            term, end = _parse(text, end + 1, depth + 1)
            terms.append(term)
            if end >= len(text) or text[end] == "(":
                raise _error(text, end, "',' or ')'")
            if text[end] == ")":
                break
        end += 1
        while end < len(text) and text[end].isspace():
            end += 1
    try:
        return Name(symbol, tuple(terms)), end
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None
