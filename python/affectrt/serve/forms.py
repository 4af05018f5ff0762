"""`response_format`: the form that an answer must have, as a grammar."""

from __future__ import annotations

from typing import Any

from affectrt.dialogue.grammar import Grammar
from affectrt.serve.errors import ApiError
from affectrt.serve.fields import Fields, invalid

# Any JSON object, spelled as the grammars of schemas are: a blank after `:` and `,`, none elsewhere, so that no answer is a row of blanks.
_JSON_OBJECT = r"""
root ::= object
object ::= "{" (member (", " member)*)? "}"
member ::= string ": " value
array ::= "[" (value (", " value)*)? "]"
value ::= object | array | string | number | "true" | "false" | "null"
string ::= "\"" ([^"\\\x01-\x1f\x7f] | "\\" ["\\/bfnrt])* "\""
number ::= "-"? ("0" | [1-9] [0-9]{0,15}) ("." [0-9]{1,15})?
"""


def read_form(value: Any) -> Grammar | None:
    """The grammar of a response_format; None where any text will do.

    Raises:
        ApiError: It is none, or a schema with what no grammar of ours can hold.
    """
    if value is None:
        return None
    members = Fields(value, "response_format")
    kind = members.of("type", str, required=True)
    if kind not in ("text", "json_object", "json_schema"):
        raise invalid("response_format.type", '"text", "json_object" or "json_schema"', kind)
    grammar = None
    if kind == "json_object":
        grammar = Grammar.gbnf(_JSON_OBJECT)
    elif kind == "json_schema":
        grammar = _of_schema(Fields(members.of("json_schema", dict, required=True), "response_format.json_schema"))
    members.done()
    return grammar


def _of_schema(members: Fields) -> Grammar:
    for name in ("name", "description"):
        members.of(name, str)
    members.of("strict", bool)  # whatever it says: a grammar is always kept to
    schema = members.of("schema", dict, required=True)
    members.done()
    try:
        return Grammar.json_schema(schema)
    except (ValueError, TypeError) as error:
        param = "response_format.json_schema.schema"
        raise ApiError(400, f"{param}: {error}", param=param, code="invalid_json_schema") from None
