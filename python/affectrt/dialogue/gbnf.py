"""Grammars as values: read from GBNF, checked, and written for llama.cpp.

llama.cpp's own reader must not see what a stranger wrote: of this library's version, `"a"{2,1}` ends the process, and thirty short rules
that may each be empty keep it busy for good. So a text is read here, checked, and only what we write anew goes to the library.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NoReturn

MAX_CHARACTERS = 65536
MAX_RULES = 512
MAX_DEPTH = 48
MAX_REPEATS = 1000
MAX_ELEMENTS = 20_000
MAX_ENTRIES = 1024


@dataclass(frozen=True, slots=True)
class Text:
    """These characters."""

    text: str


@dataclass(frozen=True, slots=True)
class Chars:
    """One character of these ranges, first and last included; or, `negated`, of none of them."""

    ranges: tuple[tuple[int, int], ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Ref:
    """Another rule."""

    name: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several sequences."""

    options: tuple[tuple[Part, ...], ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A part, so many times; `most` None is without end."""

    part: Part
    least: int
    most: int | None


Part = Text | Chars | Ref | Choice | Repeat
Rules = Mapping[str, Choice]

ANY = Chars((), negated=True)


def write(rules: Rules) -> str:
    """The rules as GBNF, in the one spelling that is sure to be read."""
    return "".join(f"{name} ::= {_options(rule)}\n" for name, rule in rules.items())


def _options(choice: Choice) -> str:
    return " | ".join(" ".join(map(_part, option)) or '""' for option in choice.options)


def _part(part: Part) -> str:
    if isinstance(part, Text):
        return '"' + "".join(_plain(ord(c)) for c in part.text) + '"'
    if isinstance(part, Chars):
        if part == ANY:
            return "."
        return f"[{'^' * part.negated}{''.join(f'{_code(a)}-{_code(b)}' for a, b in part.ranges)}]"
    if isinstance(part, Ref):
        return part.name
    if isinstance(part, Choice):
        return f"({_options(part)})"
    inner = _part(part.part)
    if isinstance(part.part, Repeat) or (isinstance(part.part, Text) and len(part.part.text) != 1):
        inner = f"({inner})"
    return f"{inner}{{{part.least},{'' if part.most is None else part.most}}}"


def _plain(code: int) -> str:
    return chr(code) if 0x20 <= code < 0x7F and code not in b'"\\' else _code(code)


def _code(code: int) -> str:
    return f"\\U{code:08X}"


def check(rules: Rules) -> None:
    """Refuse what llama.cpp cannot take, or cannot take in bounded time.

    Raises:
        ValueError: There is no `root`; a rule is not defined, left-recursive, or repeats without end what may be empty; the whole is too
            large, or leaves too many ways open at one place.
    """
    if "root" not in rules:
        raise ValueError(f"a grammar needs a rule named root, got {', '.join(list(rules)[:5]) or 'none'}")
    if len(rules) > MAX_RULES:
        raise ValueError(f"the grammar has {len(rules)} rules, the limit is {MAX_RULES}")
    for name, rule in rules.items():
        for part in _walk(rule):
            if isinstance(part, Ref) and part.name not in rules:
                raise ValueError(f"the rule {part.name!r}, used in {name!r}, is not defined")
    if (size := sum(_size(rule) for rule in rules.values())) > MAX_ELEMENTS:
        raise ValueError(
            f"the grammar comes to {size} characters, ranges and rules with its repetitions written out, the limit is {MAX_ELEMENTS}"
        )
    nullable = _nullable_rules(rules)
    for name, rule in rules.items():
        for part in _walk(rule):
            if isinstance(part, Repeat) and part.most is None and _is_nullable(part.part, nullable):
                raise ValueError(f"the rule {name!r} repeats without end what may be empty")
    _Entries(rules, nullable).check()


def _walk(part: Part) -> Iterator[Part]:
    yield part
    if isinstance(part, Choice):
        for option in part.options:
            for inner in option:
                yield from _walk(inner)
    elif isinstance(part, Repeat):
        yield from _walk(part.part)


def _size(part: Part) -> int:
    if isinstance(part, Text):
        return len(part.text)
    if isinstance(part, Chars):
        return max(1, len(part.ranges))
    if isinstance(part, Choice):
        return 1 + sum(_size(inner) for option in part.options for inner in option)
    if isinstance(part, Repeat):
        return 2 + max(part.least, part.most or 1) * _size(part.part)
    return 1


def _is_nullable(part: Part, rules: set[str]) -> bool:
    if isinstance(part, Text):
        return not part.text
    if isinstance(part, Ref):
        return part.name in rules
    if isinstance(part, Choice):
        return any(all(_is_nullable(inner, rules) for inner in option) for option in part.options)
    if isinstance(part, Repeat):
        return part.least == 0 or _is_nullable(part.part, rules)
    return False


def _nullable_rules(rules: Rules) -> set[str]:
    found: set[str] = set()
    while new := {name for name, rule in rules.items() if name not in found and _is_nullable(rule, found)}:
        found |= new
    return found


class _Entries:
    """In how many ways a rule may begin: llama.cpp keeps a stack for each."""

    def __init__(self, rules: Rules, nullable: set[str]) -> None:
        self._rules, self._nullable = rules, nullable
        self._known: dict[str, int] = {}

    def check(self) -> None:
        # Rules in the order in which they begin with each other, without recursion: chains of rules may be long.
        first = {name: sorted(self._begins_with(rule)) for name, rule in self._rules.items()}
        for start in self._rules:
            path, waiting = [start], [iter(first[start])]
            while path:
                name = next(waiting[-1], None)
                if name is None:
                    waiting.pop()
                    done = path.pop()
                    if done not in self._known:
                        self._known[done] = self._of(self._rules[done])
                        if self._known[done] > MAX_ENTRIES:
                            raise ValueError(
                                f"the rule {done!r} may begin in over {MAX_ENTRIES} ways: have fewer choices or parts that may be empty"
                            )
                elif name in path:
                    raise ValueError(f"the rule {name!r} is left-recursive: it may begin with itself")
                elif name not in self._known:
                    path.append(name)
                    waiting.append(iter(first[name]))

    def _begins_with(self, part: Part) -> set[str]:
        if isinstance(part, Ref):
            return {part.name}
        if isinstance(part, Repeat):
            return self._begins_with(part.part)
        found: set[str] = set()
        if isinstance(part, Choice):
            for option in part.options:
                for inner in option:
                    found |= self._begins_with(inner)
                    if not _is_nullable(inner, self._nullable):
                        break
        return found

    def _of(self, part: Part) -> int:
        if isinstance(part, Ref):
            return self._known[part.name]
        if isinstance(part, Repeat):
            again = max(part.least, part.most or 1) if _is_nullable(part.part, self._nullable) else 1
            return again * self._of(part.part) + (part.least == 0)
        if not isinstance(part, Choice):
            return 1
        total = 0
        for option in part.options:
            for inner in option:
                total += self._of(inner)
                if not _is_nullable(inner, self._nullable):
                    break
            else:
                total += 1
        return total


def read(source: str) -> dict[str, Choice]:
    """Read GBNF. Raises ValueError with line and column."""
    return _Reader(source).rules()


_SPACE = re.compile(r"(?:[ \t]|#[^\r\n]*)*")
_LINES = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_NAME = re.compile(r"[A-Za-z0-9-]{1,128}")
_COUNTS = re.compile(r"\{[ \t]*([0-9]{0,6})[ \t]*(?:(,)[ \t]*([0-9]{0,6})[ \t]*)?\}")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "[": "[", "]": "]"}
_HEX = {"x": 2, "u": 4, "U": 8}


class _Reader:
    def __init__(self, source: str) -> None:
        self._source, self._at = source, 0

    def rules(self) -> dict[str, Choice]:
        found: dict[str, Choice] = {}
        self._skip(_LINES)
        while self._at < len(self._source):
            name = self._name() or self._fail("the name of a rule (letters, digits, -)")
            self._skip(_SPACE)
            if not self._take("::="):
                self._fail("::=")
            if name in found:
                self._fail(f"one rule {name!r}, this is the second")
            self._skip(_LINES)
            found[name] = self._choice(0)
            if self._at < len(self._source) and self._source[self._at] not in "\r\n":
                self._fail("the end of the line")
            self._skip(_LINES)
        return found

    def _choice(self, depth: int) -> Choice:
        if depth > MAX_DEPTH:
            self._fail(f"at most {MAX_DEPTH} parentheses inside each other")
        options = [self._sequence(depth)]
        while self._take("|"):
            self._skip(_LINES)
            options.append(self._sequence(depth))
        return Choice(tuple(options))

    def _sequence(self, depth: int) -> tuple[Part, ...]:
        parts: list[Part] = []
        space = _LINES if depth else _SPACE
        while (part := self._one(depth)) is not None:
            self._skip(space)
            while (counts := self._repetition()) is not None:
                if isinstance(part, Repeat):
                    self._fail("one repetition: put the first one in parentheses")
                part = Repeat(part, *counts)
                self._skip(space)
            parts.append(part)
        return tuple(parts)

    def _one(self, depth: int) -> Part | None:
        if self._take('"'):
            return Text("".join(chr(code) for code in self._until('"')))
        if self._take("["):
            return self._chars()
        if self._take("("):
            self._skip(_LINES)
            choice = self._choice(depth + 1)
            return choice if self._take(")") else self._fail("a closing parenthesis")
        if self._take("."):
            return ANY
        name = self._name()
        return Ref(name) if name else None

    def _chars(self) -> Chars:
        negated = self._take("^")
        ranges: list[tuple[int, int]] = []
        while not self._take("]"):
            low = high = self._code()
            if self._source.startswith("-", self._at) and not self._source.startswith("-]", self._at):
                self._at += 1
                high = self._code()
                if high < low:
                    self._fail(f"a range whose end is not before its start, before {self._source[self._at : self._at + 1]!r}")
            ranges.append((low, high))
        if not ranges:
            self._fail("at least one character between [ and ]")
        return Chars(tuple(ranges), negated)

    def _until(self, end: str) -> Iterator[int]:
        while not self._take(end):
            yield self._code()

    def _code(self) -> int:
        """The code of one character, perhaps escaped."""
        char = self._source[self._at : self._at + 1] or self._fail("more, got the end of the grammar")
        self._at += 1
        if char in "\r\n\0":
            self._at -= 1
            self._fail("the end of a literal on its line")
        if char != "\\":
            return ord(char)
        kind = self._source[self._at : self._at + 1]
        self._at += 1
        if kind in _ESCAPES and kind:
            return ord(_ESCAPES[kind])
        digits = self._source[self._at : self._at + _HEX.get(kind, 0)]
        code = int(digits, 16) if kind in _HEX and re.fullmatch(f"[0-9A-Fa-f]{{{_HEX[kind]}}}", digits) else 0
        if 0 < code < 0xD800 or 0xE000 <= code <= 0x10FFFF:
            self._at += len(digits)
            return code
        self._at -= 2
        return self._fail('an escape of a character (\\n \\r \\t \\\\ \\" \\[ \\] \\x41 \\u0041 \\U00000041)')

    def _repetition(self) -> tuple[int, int | None] | None:
        for sign, counts in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._take(sign):
                return counts
        found = _COUNTS.match(self._source, self._at)
        if found is None:
            return None if not self._source.startswith("{", self._at) else self._fail("{n}, {n,}, {,m} or {n,m}")
        first, comma, last = found.groups()
        if not first and not last:
            self._fail("{n}, {n,}, {,m} or {n,m}")
        least = int(first or 0)
        most = (int(last) if last else None) if comma else least
        if least > MAX_REPEATS or (most is not None and not max(1, least) <= most <= MAX_REPEATS):
            self._fail(f"from 1 to {MAX_REPEATS} repetitions, no more at least than at most")
        self._at = found.end()
        return least, most

    def _name(self) -> str:
        found = _NAME.match(self._source, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found.group()

    def _skip(self, what: re.Pattern[str]) -> None:
        found = what.match(self._source, self._at)
        self._at = found.end() if found else self._at

    def _take(self, sign: str) -> bool:
        if not self._source.startswith(sign, self._at):
            return False
        self._at += len(sign)
        return True

    def _fail(self, expected: str) -> NoReturn:
        line = self._source.count("\n", 0, self._at) + 1
        column = self._at - self._source.rfind("\n", 0, self._at)
        rest = self._source[self._at : self._at + 20]
        raise ValueError(f"grammar, line {line}, column {column}: expected {expected}, got {rest!r}")
