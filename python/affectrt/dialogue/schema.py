"""From a JSON schema to a grammar: a part of JSON Schema, and nothing of it by halves.

What a grammar cannot hold is refused by name instead of passed over (llama-cpp-python's own converter leaves out `minimum`, for one), so
that whatever is written under the grammar fits the schema. It is spelled as `json.dumps` would: a blank after `:` and `,`, none elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from affectrt.dialogue.gbnf import MAX_REPEATS, Chars, Choice, Part, Ref, Repeat, Text

MAX_NODES = 2000
_MAX_DEPTH = 16
_MAX_LISTED = 256

_NOTES = {"title", "description", "default", "examples", "$schema", "$id", "$comment", "$defs", "definitions"}
_KEYWORDS = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems", "maxItems"},
    "string": {"minLength", "maxLength"},
    "integer": {"minimum", "maximum"},
    "number": {"minimum", "maximum"},
    "boolean": set(),
    "null": set(),
}
_DIGIT = Chars(((0x30, 0x39),))
_UNESCAPED = Chars(((0x22, 0x22), (0x5C, 0x5C), (0x01, 0x1F), (0x7F, 0x7F)), negated=True)
_CHAR = Choice(((_UNESCAPED,), (Text("\\"), Chars(tuple((ord(c), ord(c)) for c in '"\\/bfnrt')))))
_INTEGER = Choice(((Text("0"),), (Text("-"), Ref("natural")), (Ref("natural"),)))
_NATURAL = Choice(((Chars(((0x31, 0x39),)), Repeat(_DIGIT, 0, 15)),))
_SHARED = {"char": _CHAR, "integer": _INTEGER, "natural": _NATURAL}


def rules_of(schema: Any) -> dict[str, Choice]:
    """The rules of a grammar whose every text is JSON that fits `schema`.

    Raises:
        TypeError: Not a mapping.
        ValueError: Not JSON, too large, recursive, or with a keyword that is not supported; the text says where.
    """
    if not isinstance(schema, Mapping):
        raise TypeError(f"a JSON schema must be a dict, got {type(schema).__name__}")
    try:
        text = json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"the JSON schema is not JSON: {error}") from None
    if len(text) > 1 << 18:
        raise ValueError(f"the JSON schema has {len(text)} characters, the limit is {1 << 18}")
    root = _Converter(json.loads(text)).part("#", schema, 0)
    return {"root": Choice(((root,),)), **_SHARED}


class _Converter:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._open: list[str] = []
        self._nodes = 0

    def part(self, at: str, schema: Any, depth: int) -> Part:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise ValueError(f"the JSON schema comes to over {MAX_NODES} parts with its references written out")
        if not isinstance(schema, Mapping):
            raise ValueError(f"{at}: expected a schema (an object), got {schema!r:.60}")
        if depth > _MAX_DEPTH:
            raise ValueError(f"{at}: nested deeper than {_MAX_DEPTH}")
        given = set(schema) - _NOTES
        if "$ref" in given:
            self._only(at, given, {"$ref"})
            return self._reference(at, schema["$ref"], depth)
        if "anyOf" in given:
            self._only(at, given, {"anyOf"})
            return self._any_of(f"{at}/anyOf", schema["anyOf"], depth)
        if "const" in given:
            self._only(at, given, {"const", "type"})
            return self._literal(f"{at}/const", schema["const"], schema.get("type"))
        if "enum" in given:
            self._only(at, given, {"enum", "type"})
            values = self._list(f"{at}/enum", schema["enum"])
            return Choice(tuple((self._literal(f"{at}/enum", value, schema.get("type")),) for value in values))
        kind = schema.get("type")
        if isinstance(kind, list):
            return self._any_of(at, [{**schema, "type": one} for one in self._list(f"{at}/type", kind)], depth, given - {"type"})
        if not isinstance(kind, str) or kind not in _KEYWORDS:
            raise ValueError(f"{at}: expected a type ({', '.join(_KEYWORDS)}), enum, const, anyOf or $ref, got type {kind!r:.60}")
        self._only(at, given, {"type", *_KEYWORDS[kind]})
        make = {"object": self._object, "array": self._array, "string": self._string, "integer": self._integer, "number": self._number}
        if kind in make:
            return make[kind](at, schema, depth)
        return Choice(((Text("true"),), (Text("false"),))) if kind == "boolean" else Text("null")

    @staticmethod
    def _only(at: str, given: set[str], allowed: set[str]) -> None:
        if wrong := sorted(given - allowed):
            hint = " (use anyOf)" if wrong == ["oneOf"] else ""
            raise ValueError(f"{at}: {', '.join(wrong)} not supported here{hint}; expected {', '.join(sorted(allowed))}")

    @staticmethod
    def _list(at: str, values: Any) -> list[Any]:
        if not isinstance(values, list) or not values:
            raise ValueError(f"{at}: expected a list that is not empty, got {values!r:.60}")
        return values

    def _reference(self, at: str, name: Any, depth: int) -> Part:
        if not isinstance(name, str) or not name.startswith("#/"):
            raise ValueError(f"{at}/$ref: expected a place in this schema such as '#/$defs/name', got {name!r:.60}")
        if name in self._open:
            raise ValueError(f"{at}/$ref: {name!r} holds itself; a grammar of bounded size has no recursive schemas")
        target = self._root
        for step in name[2:].split("/"):
            step = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(target, Mapping) or step not in target:
                raise ValueError(f"{at}/$ref: there is no {name!r:.60}")
            target = target[step]
        self._open.append(name)
        found = self.part(name, target, depth + 1)
        self._open.pop()
        return found

    def _any_of(self, at: str, schemas: Any, depth: int, spread: set[str] | None = None) -> Part:
        options = []
        for i, one in enumerate(self._list(at, schemas)):
            if spread is not None:  # of several types, each takes the keywords that are its own
                mine = _KEYWORDS.get(one["type"], set()) if isinstance(one["type"], str) else set()
                one = {key: value for key, value in one.items() if key in mine or key not in spread}
            options.append((self.part(f"{at}/{i}", one, depth + 1),))
        if spread and (left := spread - set().union(*(_KEYWORDS.get(s["type"], set()) for s in schemas if isinstance(s["type"], str)))):
            self._only(at, left, set())
        return Choice(tuple(options))

    @staticmethod
    def _literal(at: str, value: Any, kind: Any) -> Text:
        fits = {
            "object": isinstance(value, Mapping),
            "array": isinstance(value, list),
            "string": isinstance(value, str),
            "integer": isinstance(value, int) and not isinstance(value, bool),
            "number": isinstance(value, (int, float)) and not isinstance(value, bool),
            "boolean": isinstance(value, bool),
            "null": value is None,
        }
        if kind is not None and not any(
            fits.get(one, False) for one in (kind if isinstance(kind, list) else [kind]) if isinstance(one, str)
        ):
            raise ValueError(f"{at}: {value!r:.60} is not of type {kind!r:.60}")
        text = json.dumps(value, ensure_ascii=False)
        if any("\ud800" <= char < "\ue000" for char in text):
            raise ValueError(f"{at}: {value!r:.60} holds half of a surrogate pair")
        return Text(text)

    def _object(self, at: str, schema: Mapping[str, Any], depth: int) -> Part:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        if not isinstance(properties, Mapping):
            raise ValueError(f"{at}/properties: expected an object, got {properties!r:.60}")
        if not isinstance(required, list) or not all(isinstance(one, str) and one in properties for one in required):
            raise ValueError(f"{at}/required: expected a list of names of properties, got {required!r:.60}")
        if schema.get("additionalProperties", False) is not False:
            raise ValueError(f"{at}/additionalProperties: expected false: name the properties")
        pairs = [
            (name in required, (self._literal(at, name, None), Text(": "), self.part(f"{at}/properties/{name}", one, depth + 1)))
            for name, one in properties.items()
        ]
        # From the last one on: what may follow the property before.
        rest: tuple[Part, ...] = ()
        tails = [rest]
        for needed, pair in reversed(pairs):
            again: tuple[Part, ...] = (Text(", "), *pair)
            rest = (*again, *rest) if needed else (Repeat(Choice((again,)), 0, 1), *rest)
            tails.append(rest)
        tails.reverse()
        starts: list[tuple[Part, ...]] = []
        for i, (needed, pair) in enumerate(pairs):
            starts.append((*pair, *tails[i + 1]))
            if needed:
                break
        else:
            starts.append(())
        return Choice(((Text("{"), Choice(tuple(starts)), Text("}")),))

    def _array(self, at: str, schema: Mapping[str, Any], depth: int) -> Part:
        if "items" not in schema:
            raise ValueError(f"{at}: an array needs items")
        item = self.part(f"{at}/items", schema["items"], depth + 1)
        least, most = self._bounds(at, schema, "minItems", "maxItems")
        if most == 0:
            return Text("[]")
        more = Repeat(Choice(((Text(", "), item),)), max(0, least - 1), None if most is None else most - 1)
        full: tuple[Part, ...] = (item,) if most == 1 else (item, more)
        options = (full,) if least else (full, ())
        return Choice(((Text("["), Choice(options), Text("]")),))

    def _string(self, at: str, schema: Mapping[str, Any], _depth: int) -> Part:
        least, most = self._bounds(at, schema, "minLength", "maxLength")
        inner: tuple[Part, ...] = () if most == 0 else (Repeat(Ref("char"), least, most),)
        return Choice(((Text('"'), *inner, Text('"')),))

    def _bounds(self, at: str, schema: Mapping[str, Any], low: str, high: str) -> tuple[int, int | None]:
        least, most = schema.get(low, 0), schema.get(high)
        for name, value in ((low, least), (high, most)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_REPEATS):
                raise ValueError(f"{at}/{name}: expected an int in [0, {MAX_REPEATS}], got {value!r:.60}")
        if most is not None and least > most:
            raise ValueError(f"{at}: {low} {least} is more than {high} {most}")
        return least, most

    def _range(self, at: str, schema: Mapping[str, Any]) -> tuple[int, int] | None:
        if not {"minimum", "maximum"} & set(schema):
            return None
        low, high = schema.get("minimum"), schema.get("maximum")
        for value in (low, high):
            if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
                raise ValueError(f"{at}: expected minimum and maximum together, both whole numbers, got {low!r:.60} and {high!r:.60}")
        low, high = int(low), int(high)  # type: ignore[arg-type]
        if not 0 <= high - low < _MAX_LISTED:
            raise ValueError(f"{at}: expected minimum <= maximum with at most {_MAX_LISTED} whole numbers, got {low} and {high}")
        return low, high

    def _integer(self, at: str, schema: Mapping[str, Any], _depth: int) -> Part:
        bounds = self._range(at, schema)
        if bounds is None:
            return Ref("integer")
        return Choice(tuple((Text(str(value)),) for value in range(bounds[0], bounds[1] + 1)))

    def _number(self, at: str, schema: Mapping[str, Any], _depth: int) -> Part:
        fraction = Choice(((Text("."), Repeat(_DIGIT, 1, 15)),))
        zeros = Choice(((Text("."), Repeat(Text("0"), 1, 15)),))
        bounds = self._range(at, schema)
        if bounds is None:
            whole = Choice(((Text("0"),), (Ref("natural"),)))
            return Choice(((Repeat(Text("-"), 0, 1), whole, Repeat(fraction, 0, 1)),))
        # A whole part may have any fraction, which leads away from zero; the one at the end of the range none but zeros.
        low, high = bounds
        options: list[tuple[Part, ...]] = []
        for value in range(low, high + 1):
            end = value == (high if value >= 0 else low)
            options.append((Text(str(value)), Repeat(zeros if end else fraction, 0, 1)))
        if low < 0 <= high:
            options.append((Text("-0"), fraction))
        return Choice(tuple(options))
