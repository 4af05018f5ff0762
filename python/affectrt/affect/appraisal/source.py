"""JSON that remembers its lines, so that what is wrong with a rule can be said with the line it stands in."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from affectrt.affect.appraisal.names import Name, parse

MAX_BYTES = 16 * 1024 * 1024
MAX_NESTING = 100

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_STRINGS = json.JSONDecoder()
_WORDS = {"true": True, "false": False, "null": None}


class RuleError(ValueError):
    """Something is wrong with a rule file; the text begins with file and line."""

    def __init__(self, file: str, line: int, problem: str) -> None:
        super().__init__(f"{file}:{line}: {problem}")
        self.file = file
        self.line = line
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a file and where it stands."""

    value: Any
    """str, int, float, bool, None, a list of nodes or a dict of nodes."""
    file: str
    line: int

    @property
    def where(self) -> str:
        """file:line."""
        return f"{self.file}:{self.line}"

    def fail(self, problem: str) -> NoReturn:
        """Raises RuleError with this place."""
        raise RuleError(self.file, self.line, problem)

    def members(self, what: str) -> dict[str, Node]:
        """An object's members; `what` is what the error calls it."""
        if not isinstance(self.value, dict):
            self.fail(f"{what}: expected an object, got {self._kind()}")
        return self.value

    def elements(self, what: str) -> list[Node]:
        """An array's elements; also one that the toolkit has put into a box ({"classId": 0, "boxedValue": [...]})."""
        if isinstance(self.value, dict) and set(self.value) == {"classId", "boxedValue"}:
            boxed: Node = self.value["boxedValue"]
            return boxed.elements(what)
        if not isinstance(self.value, list):
            self.fail(f"{what}: expected an array, got {self._kind()}")
        return self.value

    def text(self, what: str) -> str:
        """A string."""
        if not isinstance(self.value, str):
            self.fail(f"{what}: expected a string, got {self._kind()}")
        return self.value

    def number(self, what: str, low: float, high: float) -> float:
        """A number in [low, high]; a string that holds one will do, as the toolkit writes both."""
        value = self.value
        if isinstance(value, str) and re.fullmatch(r"\s*[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?\s*", value):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            self.fail(f"{what}: expected a number in [{low:g}, {high:g}], got {self._kind()}")
        return float(value)

    def name(self, what: str) -> Name:
        """A well-formed name; numbers, true and false may stand without quotes, null is `-`."""
        value = self.value
        if value is None:
            return Name("-")
        if isinstance(value, bool | int | float):
            value = str(value)
        if not isinstance(value, str):
            self.fail(f"{what}: expected a well-formed name, got {self._kind()}")
        try:
            return parse(value)
        except ValueError as error:
            self.fail(f"{what}: {error}")

    def keys(self, what: str, required: set[str], optional: set[str]) -> dict[str, Node]:
        """An object's members, none of which is missing or unknown."""
        members = self.members(what)
        missing, unknown = sorted(required - set(members)), sorted(set(members) - required - optional)
        if missing:
            self.fail(f"{what}: {', '.join(missing)} is missing")
        if unknown:
            members[unknown[0]].fail(f"{what}: unknown key {unknown[0]!r}; expected {', '.join(sorted(required | optional))}")
        return members

    def _kind(self) -> str:
        if isinstance(self.value, dict):
            return "an object"
        if isinstance(self.value, list):
            return "an array"
        return json.dumps(self.value)[:80]


def read_json(path: Path) -> Node:
    """Reads a file. RuleError with the line for what is no JSON, a repeated key, or over 16 MB; OSError if it cannot be read."""
    data = path.read_bytes()
    if len(data) > MAX_BYTES:
        raise RuleError(str(path), 1, f"expected at most {MAX_BYTES} bytes, got {len(data)}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RuleError(str(path), data[: error.start].count(b"\n") + 1, f"expected UTF-8, got byte 0x{data[error.start]:02x}") from None
    return parse_json(text, str(path))


def parse_json(text: str, file: str) -> Node:
    """Reads a text; `file` is what errors call it."""
    return _Reader(text, file).read()


class _Reader:
    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._at = 0
        self._line = 1
        self._counted = 0  # how far lines have been counted

    def read(self) -> Node:
        node = self._value(0)
        self._skip()
        if self._at < len(self._text):
            self._fail("expected the end")
        return node

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _fail(self, expected: str) -> NoReturn:
        got = repr(self._text[self._at]) if self._at < len(self._text) else "the end of the file"
        raise RuleError(self._file, self._here(), f"{expected}, got {got}")

    def _skip(self) -> str:
        match = _SPACE.match(self._text, self._at)
        assert match is not None
        self._at = match.end()
        return self._text[self._at : self._at + 1]

    def _value(self, depth: int) -> Node:
        first = self._skip()
        line = self._here()
        if depth > MAX_NESTING:
            self._fail(f"expected at most {MAX_NESTING} levels")
        value: Any
        if first == "{":
            value = self._object(depth)
        elif first == "[":
            value = self._array(depth)
        elif first == '"':
            value = self._string()
        elif number := _NUMBER.match(self._text, self._at):
            self._at = number.end()
            value = float(number[0]) if set(number[0]) & set(".eE") else self._integer(number[0])
        elif word := next((w for w in _WORDS if self._text.startswith(w, self._at)), None):
            self._at += len(word)
            value = _WORDS[word]
        else:
            self._fail("expected a JSON value")
        return Node(value, self._file, line)

    def _integer(self, digits: str) -> int:
        if len(digits) > 20:
            self._fail("expected a number of at most 20 digits")
        return int(digits)

    def _string(self) -> str:
        try:
            value, self._at = _STRINGS.raw_decode(self._text, self._at)
        except json.JSONDecodeError as error:
            self._at = error.pos
            raise RuleError(self._file, self._here(), error.msg) from None
        return str(value)

    def _object(self, depth: int) -> dict[str, Node]:
        members: dict[str, Node] = {}
        self._at += 1
        if self._skip() == "}":
            self._at += 1
            return members
        while True:
            if self._skip() != '"':
                self._fail("expected a key in double quotes")
            key = self._string()
            if key in members:
                raise RuleError(self._file, self._here(), f"the key {key!r} stands here a second time")
            if self._skip() != ":":
                self._fail("expected ':'")
            self._at += 1
            members[key] = self._value(depth + 1)
            end = self._skip()
            if end not in (",", "}"):
                self._fail("expected ',' or '}'")
            self._at += 1
            if end == "}":
                return members

    def _array(self, depth: int) -> list[Node]:
        elements: list[Node] = []
        self._at += 1
        if self._skip() == "]":
            self._at += 1
            return elements
        while True:
            elements.append(self._value(depth + 1))
            end = self._skip()
            if end not in (",", "]"):
                self._fail("expected ',' or ']'")
            self._at += 1
            if end == "]":
                return elements
