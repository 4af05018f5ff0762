"""Texts that a grammar allows, drawn at random; and a check of JSON against a schema, written apart from what is tested."""

from __future__ import annotations

import string

from affectrt.dialogue.gbnf import Choice, Ref, Repeat, Text

LETTERS = [ord(c) for c in string.ascii_letters + string.digits + " .,-é😀\n"]


def derive(part, rules, random, budget=40):
    """A text of `part`. `budget` levels further down, the shortest ways are taken."""
    if isinstance(part, Text):
        return part.text
    if isinstance(part, Ref):
        return derive(rules[part.name], rules, random, budget - 1)
    if isinstance(part, Choice):
        options = part.options if budget > 0 else part.options[:1]
        return "".join(derive(inner, rules, random, budget - 1) for inner in random.choice(options))
    if isinstance(part, Repeat):
        most = part.least + 3 if part.most is None else part.most
        times = random.randint(part.least, min(most, part.least + 3)) if budget > 0 else part.least
        return "".join(derive(part.part, rules, random, budget - 1) for _ in range(times))
    inside = [code for low, high in part.ranges for code in (low, high)]
    if part.negated:
        inside = [code for code in LETTERS if not any(low <= code <= high for low, high in part.ranges)]
    return chr(random.choice(inside))


def fits(value, schema, root=None):
    """Whether JSON fits a schema of the supported kinds."""
    root = schema if root is None else root
    if "$ref" in schema:
        target = root
        for step in schema["$ref"][2:].split("/"):
            target = target[step]
        return fits(value, target, root)
    if "anyOf" in schema:
        return any(fits(value, one, root) for one in schema["anyOf"])
    if "const" in schema:
        return type(value) is type(schema["const"]) and value == schema["const"]
    if "enum" in schema:
        return any(type(value) is type(one) and value == one for one in schema["enum"])
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return any(_fits_one(value, kind, schema, root) for kind in kinds)


def _fits_one(value, kind, schema, root):
    if kind == "null":
        return value is None
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "string":
        return isinstance(value, str) and schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 1 << 30)
    if kind in ("integer", "number"):
        right = isinstance(value, int if kind == "integer" else (int, float)) and not isinstance(value, bool)
        return right and schema.get("minimum", value) <= value <= schema.get("maximum", value)
    if kind == "array":
        many = isinstance(value, list) and schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 1 << 30)
        return many and all(fits(one, schema["items"], root) for one in value)
    properties = schema.get("properties", {})
    named = isinstance(value, dict) and set(schema.get("required", [])) <= set(value) <= set(properties)
    return named and all(fits(one, properties[name], root) for name, one in value.items())
