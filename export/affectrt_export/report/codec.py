"""Frozen dataclasses to JSON and back, strictly: what is read is what was written, or a ValueError that names the place.

JSON has no NaN and no infinity, and both occur (an empty bin, a variant that answers NaN): a float that is not finite is written as one
of the strings "nan", "inf" and "-inf". Where anything may stand (`Any`), which only facts in passing use, it becomes null.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

_LITERALS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def encode(value: Any) -> Any:
    """`value`, a dataclass, in the types that JSON has; tuples become lists. A `float` is written as one, whatever it holds."""
    hints = typing.get_type_hints(type(value))
    return {f.name: _encode(hints[f.name], getattr(value, f.name)) for f in dataclasses.fields(value)}


def _encode(kind: Any, value: Any) -> Any:
    arguments = typing.get_args(kind)
    if value is None or kind is Any:
        return plain(value)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return _encode(_not_none(arguments), value)
    if isinstance(value, Mapping):
        return {str(key): _encode(arguments[1], item) for key, item in value.items()}
    if dataclasses.is_dataclass(value):
        return encode(value)
    if hasattr(value, "tolist"):  # NumPy's numbers, which no field asks for but many computations give
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_encode(arguments[0], item) for item in value]
    if kind is float and isinstance(value, (int, float)):
        return float(value) if math.isfinite(value) else str(float(value))
    return value


def _not_none(arguments: Sequence[Any]) -> Any:
    return next(one for one in arguments if one is not type(None))


def plain(value: Any) -> Any:
    """`value` in the types that JSON has, whatever it is: NumPy's numbers and arrays become Python's, NaN and infinity null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    return str(value)


def dumps(value: Any) -> str:
    """JSON of encoded values: one key a line, lists of plain values on one line; ASCII, so that any string survives."""
    return _text(value, 0) + "\n"


def _text(value: Any, indent: int) -> str:
    pad, inner = "  " * indent, "  " * (indent + 1)
    if isinstance(value, dict) and value:
        lines = [f"{inner}{json.dumps(key)}: {_text(item, indent + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{pad}}}"
    if isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        return "[\n" + ",\n".join(inner + _text(item, indent + 1) for item in value) + f"\n{pad}]"
    return json.dumps(value, allow_nan=False)


def loads(text: str | bytes) -> Any:
    """JSON as `dumps` writes it. ValueError for what is no JSON, for a key that comes twice, for NaN, and for nesting without end."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("JSON nested less deeply was expected") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for i, (key, _) in enumerate(pairs) if key in [earlier for earlier, _ in pairs[:i]])
        raise ValueError(f"key {twice!r} comes twice")
    return found


def _refuse(name: str) -> Any:
    raise ValueError(f"JSON has no {name}")


def decode(kind: type[T], value: Any, where: str = "") -> T:
    """A `kind`, a dataclass, from what `encode` made of one. ValueError names the place of what is missing, unknown or of another type."""
    found: T = _decode(kind, value, where)
    return found


def _decode(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return None if value is None else _decode(_not_none(arguments), value, where)
    if origin in (collections.abc.Sequence, tuple):
        if not isinstance(value, list):
            raise _wrong("a list", value, where)
        return tuple(_decode(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is collections.abc.Mapping:
        if not isinstance(value, dict):
            raise _wrong("an object", value, where)
        return {key: _decode(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(kind):
        return _object(kind, value, where)
    return _scalar(kind, value, where)


def _object(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _wrong("an object", value, where)
    names = [f.name for f in dataclasses.fields(kind)]
    place = where or "the record"
    problems = [f"missing key {name!r}" for name in names if name not in value]
    problems += [f"unknown key {name!r}" for name in value if name not in names]
    if problems:
        raise ValueError(f"{place}: " + ", ".join(problems))
    hints = typing.get_type_hints(kind)
    return kind(**{name: _decode(hints[name], value[name], f"{where}.{name}".lstrip(".")) for name in names})


def _scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is float:
        if isinstance(value, str) and value in _LITERALS:
            return _LITERALS[value]
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            try:
                return float(value)
            except OverflowError:
                raise _wrong("a number", "an integer beyond any float", where) from None
    elif kind in (int, str, bool) and isinstance(value, kind) and isinstance(value, bool) is (kind is bool):
        return value
    names = {float: "a number", int: "an integer", str: "a string", bool: "true or false"}
    raise _wrong(names.get(kind, str(kind)), value, where)


def _wrong(expected: str, value: Any, where: str) -> ValueError:
    got: Sequence[str] | str = value if isinstance(value, str) else json.dumps(value)
    return ValueError(f"{where or 'the record'}: {expected} was expected, got {str(got)[:60]!r}")
