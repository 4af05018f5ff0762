"""The exported form: JSON lines, one thing a line, so that a file of any size streams through. docs/memory.md describes it.

    {"format": "affectrt-memory", "version": 1, "encoder": {...} or null}
    {"memory": {"id": 1, "kind": "utterance", "partner": ..., "text": ..., ..., "semantic": "<base64 of little-endian float32>"}}
    {"state": {...}}  {"link": {"a": 1, "b": 2, "linked": true}}  {"source": {"memory": 3, "source": 1}}
    {"end": {"memories": 1, ...}}

Blobs are left out: they hold for one machine, and for a while only.

The last line holds the counts, so that a file which was cut short is noticed. Ids are those of the file alone; importing gives new ones.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from affectrt.memory.encoder import Encoder
from affectrt.memory.items import EMOTIONS, KINDS, PORTRAIT, SUMMARY, Memory, check_day, check_emotion, check_time, check_words
from affectrt.memory.rows import Row

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT, FORMAT_VERSION = "affectrt-memory", 1
MAX_LINE = 64 << 20

_COUNTED = {"memory": "memories", "state": "states", "link": "links", "source": "sources"}
_F4 = np.dtype("<f4")


class Counts(dict[str, int]):
    """How many lines there were of each sort."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(_COUNTED.values(), 0))

    def add(self, sort: str) -> None:
        """One more."""
        self[_COUNTED[sort]] += 1


def line(sort: str, value: Any) -> str:
    """One line of an export, with its line end."""
    return json.dumps({sort: value}, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"


def head(encoder: Encoder | None) -> str:
    """The first line."""
    start = {"format": FORMAT, "version": FORMAT_VERSION, "encoder": encoder.to_json() if encoder else None}
    return json.dumps(start, separators=(",", ":")) + "\n"


def memory_line(memory: Memory, vector: NDArray[np.float32]) -> str:
    """A memory's line."""
    value = {name: getattr(memory, name) for name in Memory.__slots__}
    value["emotion"] = list(memory.emotion)
    value["semantic"] = base64.b64encode(vector.astype(_F4).tobytes()).decode()
    return line("memory", value)


class Reader:
    """Reads an export line by line and checks each; every error names the line."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._number = 0
        self._counts = Counts()
        start = self._next()
        if start is None or start.get("format") != FORMAT:
            raise ValueError(f"line 1: expected an export of memories ({FORMAT}), got something else")
        if start.get("version") != FORMAT_VERSION:
            raise ValueError(f"line 1: of format version {start.get('version')}; this affectrt knows {FORMAT_VERSION}")
        try:
            self.encoder = Encoder.from_json(start["encoder"]) if start.get("encoder") is not None else None
        except ValueError as error:
            raise ValueError(f"line 1: {error}") from None

    def error(self, text: str) -> ValueError:
        """What is wrong with the line that was read last."""
        return ValueError(f"line {self._number}: {text}")

    def _next(self) -> dict[str, Any] | None:
        try:
            text = next(self._lines, None)
        except UnicodeDecodeError as error:
            raise ValueError(f"line {self._number + 1} or soon after: expected UTF-8: {error}") from None
        if text is None:
            return None
        self._number += 1
        if len(text) > MAX_LINE:
            raise ValueError(f"line {self._number}: longer than {MAX_LINE} characters")
        try:
            value = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"line {self._number}: expected JSON: {error}") from None
        if not isinstance(value, dict):
            raise ValueError(f"line {self._number}: expected an object, got {type(value).__name__}")
        return value

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Pairs of ("memory", (id, Row)), ("state", {...}), ("link", (a, b, linked)), ("source", (memory, source))."""
        makers = {"memory": self._memory, "state": self._state, "link": self._link, "source": self._source}
        while (value := self._next()) is not None:
            (sort, content), *more = value.items() or [("nothing", None)]
            if not more and sort == "end":
                if content != self._counts:
                    raise ValueError(f"line {self._number}: expected {json.dumps(self._counts)} as the counts, got {json.dumps(content)}")
                if self._next() is not None:
                    raise ValueError(f"line {self._number}: expected nothing after the end")
                return
            if more or sort not in makers:
                raise ValueError(f"line {self._number}: expected one of {', '.join([*makers, 'end'])}, got {list(value)}")
            try:
                made = makers[sort](content)
            except (ValueError, TypeError, KeyError, binascii.Error) as error:
                missing = f"{error} is missing" if isinstance(error, KeyError) else str(error)
                raise ValueError(f"line {self._number}: {missing}") from None
            self._counts.add(sort)
            yield sort, made
        raise ValueError(f"line {self._number + 1}: expected an end; the export was cut short")

    def _memory(self, value: Any) -> tuple[int, Row]:
        _keys(value, Memory.__slots__, ("semantic",))
        kind, day = value["kind"], value["day"]
        if kind not in KINDS:
            raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
        if kind == SUMMARY or (kind == PORTRAIT and day):
            check_day(day)
        elif day != "":
            raise ValueError(f"day: expected none of this kind, got {day!r}")
        if not isinstance(value["emotion"], list) or len(value["emotion"]) != len(EMOTIONS):
            raise ValueError(f"emotion: expected {len(EMOTIONS)} numbers")
        archived = value["archived_ns"]
        return _count(value["id"], "id"), Row(
            kind=kind,
            partner=check_words(value["partner"], "partner"),
            text=check_words(value["text"], "text"),
            stamp_ns=_time(value["stamp_ns"], "stamp_ns"),
            emotion=check_emotion(value["emotion"]),
            semantic=self._vector(value["semantic"]),
            shared=_flag(value["shared"], "shared"),
            day=day,
            strength=_count(value["strength"], "strength"),
            recalled_ns=_time(value["recalled_ns"], "recalled_ns"),
            archived_ns=None if archived is None else _time(archived, "archived_ns"),
            lost_sources=_count(value["lost_sources"], "lost_sources", 0),
        )

    def _vector(self, text: Any) -> NDArray[np.float32]:
        if self.encoder is None:
            raise ValueError("semantic: line 1 names no encoder")
        if not isinstance(text, str):
            raise ValueError("semantic: expected base64")
        raw = base64.b64decode(text, validate=True)
        if len(raw) != 4 * self.encoder.dimensions:
            raise ValueError(f"semantic: expected {self.encoder.dimensions} float32, got {len(raw)} bytes")
        vector = np.frombuffer(raw, _F4).astype(np.float32)
        if not np.isfinite(vector).all():
            raise ValueError("semantic: expected finite numbers")
        return vector

    @staticmethod
    def _state(value: Any) -> dict[str, Any]:
        _keys(value, ("partner", "name", "value", "stamp_ns", "version"), ())
        if not isinstance(value["partner"], str):
            raise ValueError(f"partner: expected a str, got {value['partner']!r}")
        return {
            "name": check_words(value["name"], "name"),
            "value": value["value"],
            "stamp_ns": _time(value["stamp_ns"], "stamp_ns"),
            "version": _count(value["version"], "version"),
            "partner": value["partner"] or None,
        }

    @staticmethod
    def _link(value: Any) -> tuple[int, int, bool]:
        _keys(value, ("a", "b", "linked"), ())
        if value["a"] == value["b"]:
            raise ValueError("link: expected two different memories")
        return _count(value["a"], "a"), _count(value["b"], "b"), _flag(value["linked"], "linked")

    @staticmethod
    def _source(value: Any) -> tuple[int, int]:
        _keys(value, ("memory", "source"), ())
        if value["memory"] <= value["source"]:
            raise ValueError("source: expected one that is older than what was made of it")
        return _count(value["memory"], "memory"), _count(value["source"], "source")


def _keys(value: Any, names: Iterable[str], more: Iterable[str]) -> None:
    expected = {*names, *more}
    if not isinstance(value, Mapping) or set(value) != expected:
        got = sorted(value) if isinstance(value, Mapping) else type(value).__name__
        raise ValueError(f"expected {sorted(expected)}, got {got}")


def _count(value: Any, name: str, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**63:
        raise ValueError(f"{name}: expected an int in [{least}, 2**63), got {value!r}")
    return value


def _time(value: Any, name: str) -> int:
    return check_time(_count(value, name, 0), 0, name)


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name}: expected true or false, got {value!r}")
    return value


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
