"""Grammars: what is read, what is refused, and that whatever a schema's grammar allows fits the schema."""

from __future__ import annotations

import json
import time

import pytest
from affectrt.dialogue import Grammar
from affectrt.dialogue.gbnf import Chars, Choice, Ref, Repeat, Text, check, read, write
from affectrt.dialogue.schema import rules_of
from grammar_tools import derive, fits
from hypothesis import given, settings
from hypothesis import strategies as st

NULLABLE_TOWER = "root ::= r25\nr0 ::= [a]?\n" + "\n".join(f"r{i} ::= r{i - 1} r{i - 1}" for i in range(1, 26))


def test_a_grammar_is_read_as_it_is_meant():
    source = 'root ::= "a\\n" [^b-d\\]] x-1{2,} # why\nx-1 ::= ( "é" |\n . )? | y{3} y{,2}\n\ny ::= "\\x41\\u00e9\\U0001F600"\n'
    assert read(source) == {
        "root": Choice(((Text("a\n"), Chars(((98, 100), (93, 93)), negated=True), Repeat(Ref("x-1"), 2, None)),)),
        "x-1": Choice(
            (
                (Repeat(Choice(((Text("é"),), (Chars((), negated=True),))), 0, 1),),
                (Repeat(Ref("y"), 3, 3), Repeat(Ref("y"), 0, 2)),
            )
        ),
        "y": Choice(((Text("Aé😀"),),)),
    }


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4)
codes = st.integers(1, 0xD7FF)
ranges = st.lists(st.tuples(codes, codes).map(sorted).map(tuple), min_size=1, max_size=3).map(tuple)
leaves = st.one_of(texts.map(Text), st.builds(Chars, ranges, st.booleans()), st.just(Chars((), True)), st.just(Ref("other")))
parts = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(st.lists(inner, max_size=3).map(tuple), min_size=1, max_size=3).map(tuple).map(Choice),
        st.builds(
            lambda p, a, b: Repeat(p, a, None if b is None else max(1, a + b)), inner, st.integers(0, 3), st.none() | st.integers(0, 3)
        ),
    ),
    max_leaves=12,
)


def same(part):
    """Without the parentheses that writing adds and the empty texts that it may lose."""
    if isinstance(part, Repeat):
        inner = same(part.part)
        wrap = isinstance(inner, Repeat) or (isinstance(inner, Text) and len(inner.text) != 1)
        return Repeat(Choice(((inner,),)) if wrap else inner, part.least, part.most)
    if isinstance(part, Choice):
        return Choice(tuple(tuple(map(same, option)) or (Text(""),) for option in part.options))
    return part


@given(parts)
def test_what_is_written_reads_back_the_same(part):
    rules = {"root": Choice(((part,),)), "other": Choice(((Text("x"),),))}
    assert read(write(rules))["root"] == same(rules["root"])


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("", "needs a rule named root, got none"),
        ('rot ::= "a"', "needs a rule named root, got rot"),
        ("root ::= foo", "'foo', used in 'root', is not defined"),
        ('root ::= root "a"', "left-recursive"),
        ('root ::= a\na ::= "x"? b\nb ::= a "y"', "left-recursive"),
        ('root ::= ("a"?)*', "repeats without end what may be empty"),
        ('root ::= "a"{2,1}', r"line 1, column 13: expected from 1 to 1000"),
        ('root ::= "a"{0}', "from 1 to 1000"),
        ('root ::= "a"{1001}', "from 1 to 1000"),
        ('root ::= "a"{99999999}', r"expected \{n\}"),
        ('root ::= "a"{1 2}', r"expected \{n\}"),
        ('root ::= "a"{,}', r"expected \{n\}"),
        ('root ::= "a"**', "one repetition"),
        ("root ::= *", "end of the line"),
        ('root ::= "a', "expected more, got the end"),
        ('root ::= "a\nb"', "end of a literal on its line"),
        ("root ::= [a", "expected more, got the end"),
        ("root ::= []", "at least one character"),
        ("root ::= [z-a]", "a range"),
        (r'root ::= "\q"', "an escape"),
        (r'root ::= "\ud83d"', "an escape"),
        (r'root ::= "\x0"', "an escape"),
        (r'root ::= "\x00"', "an escape"),
        (r'root ::= "\UFFFFFFFF"', "an escape"),
        ('root ::= "a"\nroot ::= "b"', "the second"),
        ('root ::= ("a"', "closing parenthesis"),
        ('root ::= "a")', "end of the line"),
        ("root ::= <think>", "end of the line"),
        ("root = 1", "expected ::="),
        ("root", "expected ::="),
        ("root ::= " + "(" * 10_000, "at most 48 parentheses"),
        ("root ::= " + '"a"{1000} ' * 21, "limit is 20000"),
        ("".join(f'r{i} ::= "a"\n' for i in range(513)), "a rule named root"),
        ('root ::= "a"\n' + "".join(f'r{i} ::= "a"\n' for i in range(513)), "514 rules"),
        ("#" * 70_000, "70000 characters"),
        (NULLABLE_TOWER, "may begin in over 1024 ways"),
    ],
)
def test_a_bad_grammar_is_refused_with_the_reason(source, words):
    with pytest.raises(ValueError, match=words):
        Grammar.gbnf(source)


@given(st.text(st.sampled_from(list('root:=|()[]{}*+?"\\^-.,019 ax\n#')), max_size=60) | st.text(max_size=40))
def test_any_text_is_a_grammar_or_a_value_error(text):
    for source in (text, f"root ::= {text}"):
        try:
            grammar = Grammar.gbnf(source)
        except ValueError:
            continue
        check(read(grammar.source))


def test_what_no_text_is():
    for wrong in (None, b"root", 7):
        with pytest.raises(TypeError, match="a grammar must be a str"):
            Grammar.gbnf(wrong)
        with pytest.raises(TypeError, match="must be a dict"):
            Grammar.json_schema(wrong)


def test_choices():
    assert Grammar.choice(["yes", "no"]).source == 'root ::= "yes" | "no"\n'
    for wrong in ([], ["a", ""], ["\ud800"], ["a\0"]):
        with pytest.raises(ValueError, match="answers"):
            Grammar.choice(wrong)
    with pytest.raises(TypeError, match="must be a str, got int"):
        Grammar.choice(["a", 1])
    with pytest.raises(ValueError, match="over 1024 ways"):
        Grammar.choice(map(str, range(2000)))


names = st.text('abc é"\\', max_size=3)
literals = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.5, "a", 'q"\\\n', [1, {"x": None}], {}, "😀"])
bounds = st.tuples(st.integers(-3, 5), st.integers(0, 6)).map(lambda x: {"minimum": x[0], "maximum": x[0] + x[1]})
sizes = st.tuples(st.integers(0, 3), st.integers(0, 3))
simple = st.one_of(
    st.sampled_from(["integer", "number", "string", "boolean", "null"]).map(lambda t: {"type": t, "description": "any"}),
    st.just({"type": ["integer", "null", "string"]}),
    st.just({"$ref": "#/$defs/a"}),
    literals.map(lambda v: {"const": v}),
    st.lists(literals, min_size=1, max_size=3).map(lambda v: {"enum": v}),
    st.tuples(bounds, st.sampled_from(["integer", "number"])).map(lambda x: {"type": x[1], **x[0]}),
    sizes.map(lambda x: {"type": "string", "minLength": x[0], "maxLength": x[0] + x[1]}),
)


def objects(inner):
    made = st.dictionaries(names, inner, max_size=4)
    return made.flatmap(
        lambda p: (
            st.lists(st.sampled_from(sorted(p)), unique=True).map(lambda r: {"type": "object", "properties": p, "required": r})
            if p
            else st.just({"type": "object"})
        )
    )


schemas = st.recursive(
    simple,
    lambda inner: st.one_of(
        objects(inner),
        st.lists(inner, min_size=1, max_size=3).map(lambda v: {"anyOf": v}),
        st.tuples(inner, sizes).map(lambda x: {"type": "array", "items": x[0], "minItems": x[1][0], "maxItems": sum(x[1])}),
        inner.map(lambda x: {"type": "array", "items": x}),
    ),
    max_leaves=8,
).map(lambda s: {**s, "$defs": {"a": {"type": "string", "maxLength": 2}}})


@settings(max_examples=200)
@given(schemas, st.randoms(use_true_random=False))
def test_whatever_the_grammar_allows_fits_the_schema(schema, random):
    rules = rules_of(schema)
    check(rules)
    for _ in range(3):
        text = derive(rules["root"], rules, random)
        value = json.loads(text)
        assert fits(value, schema), text
        assert "$defs" not in text


@pytest.mark.parametrize("bounds", [(0, 1), (-3, 2), (-5, -2), (0, 0), (3, 7)])
def test_numbers_reach_both_ends_and_no_further(bounds):
    import random

    low, high = bounds
    rules = rules_of({"type": "number", "minimum": low, "maximum": high})
    values = [json.loads(derive(rules["root"], rules, random.Random(i))) for i in range(400)]
    assert (min(values), max(values)) == (low, high)
    assert low == high or any(value != int(value) for value in values)


NESTED: dict = {"type": "string"}
for _ in range(20):
    NESTED = {"type": "array", "items": NESTED}
DOUBLING = {"$defs": {"d0": {"type": "null"}}, "$ref": "#/$defs/d20"}
for level in range(1, 21):
    DOUBLING["$defs"][f"d{level}"] = {"anyOf": [{"type": "array", "items": {"$ref": f"#/$defs/d{level - 1}"}}] * 2}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({}, "#: expected a type"),
        ({"type": "thing"}, "expected a type .* got type 'thing'"),
        ({"type": []}, "list that is not empty"),
        ({"type": ["string", []]}, "list that is not empty"),
        ({"type": ["string", "x"]}, "expected a type"),
        ({"type": "string", "pattern": "^a$"}, "#: pattern not supported here"),
        ({"type": "string", "format": "email"}, "format not supported"),
        ({"type": ["string", "null"], "pattern": "a"}, "pattern not supported"),
        ({"oneOf": [{"type": "null"}]}, "expected a type"),
        ({"type": "object", "additionalProperties": True}, "name the properties"),
        ({"type": "object", "properties": []}, "#/properties: expected an object"),
        ({"type": "object", "required": ["x"]}, "#/required: expected a list of names"),
        ({"type": "object", "properties": {"a": 3}}, "#/properties/a: expected a schema"),
        ({"type": "array"}, "an array needs items"),
        ({"type": "array", "items": {"type": "null"}, "uniqueItems": True}, "uniqueItems not supported"),
        ({"type": "array", "items": {"type": "null"}, "maxItems": 5000}, r"maxItems: expected an int in \[0, 1000\]"),
        ({"type": "string", "minLength": 3, "maxLength": 2}, "minLength 3 is more than maxLength 2"),
        ({"type": "string", "minLength": True}, "expected an int"),
        ({"type": "integer", "minimum": 0}, "minimum and maximum together"),
        ({"type": "number", "minimum": 0, "maximum": 0.5}, "both whole numbers"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "minimum <= maximum"),
        ({"type": "integer", "minimum": 0, "maximum": 1e300}, "at most 256"),
        ({"enum": []}, "not empty"),
        ({"enum": ["a"], "type": "integer"}, "'a' is not of type 'integer'"),
        ({"const": "\ud800"}, "surrogate"),
        ({"const": float("nan")}, "is not JSON"),
        ({"const": object()}, "is not JSON"),
        ({"$ref": "https://example.org/x"}, "a place in this schema"),
        ({"$ref": "#/$defs/x"}, "there is no '#/\\$defs/x'"),
        ({"$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"}, "holds itself"),
        ({"enum": ["x" * 300_000]}, "characters, the limit"),
        (NESTED, "nested deeper"),
        (DOUBLING, "over 2000 parts|nested deeper"),
    ],
)
def test_a_schema_that_the_grammar_cannot_hold_is_refused(schema, words):
    with pytest.raises(ValueError, match=words):
        Grammar.json_schema(schema)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["type", "properties", "items", "enum", "anyOf", "$ref", "const", "required", "minimum", "maximum", "minItems", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)


@given(
    st.dictionaries(
        st.sampled_from(["type", "properties", "items", "enum", "anyOf", "$ref", "const", "required", "minimum", "maximum"]),
        json_like,
        max_size=5,
    )
)
def test_any_dict_is_a_schema_or_a_value_error(schema):
    try:
        Grammar.json_schema(schema)
    except ValueError as error:
        assert str(error)


def test_hostile_grammars_are_refused_at_once():
    start = time.monotonic()
    for source in (NULLABLE_TOWER, "root ::= " + "(" * 60_000, "\n".join(f"r{i} ::= r{i + 1}" for i in range(4000))):
        with pytest.raises(ValueError):
            Grammar.gbnf(source)
    assert time.monotonic() - start < 20  # llama.cpp's own reader takes for ever on the first
