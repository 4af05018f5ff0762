"""Well-formed names and their unifier. The cases named after them are those of the FAtiMA Toolkit's own tests (Apache-2.0), as facts."""

from __future__ import annotations

import pytest
from affectrt.affect.appraisal.names import MAX_DEPTH, MAX_SYMBOLS, Name, number, parse
from affectrt.affect.appraisal.unify import _Solver, unify
from hypothesis import example, given
from hypothesis import strategies as st

WORDS = st.sampled_from(["John", "SELF", "Ana", "f", "g", "k", "7", "-1.5", "-"])
VARIABLES = st.sampled_from(["[x]", "[y]", "[z]"])


def names(symbols: st.SearchStrategy[str], heads: st.SearchStrategy[str]) -> st.SearchStrategy[Name]:
    def compose(inner: st.SearchStrategy[Name]) -> st.SearchStrategy[Name]:
        return st.builds(lambda head, terms: Name(head, tuple(terms)), heads, st.lists(inner, min_size=1, max_size=3))

    return st.recursive(st.builds(Name, symbols), compose, max_leaves=8)


PLAIN = names(WORDS | VARIABLES, WORDS | VARIABLES)
ANY = names(WORDS | VARIABLES | st.just("*"), WORDS | VARIABLES | st.just("*"))
GROUND = names(WORDS, WORDS)


NAMES = """[y] IsPerson(x) Likes([x],y) Likes(x,Likes(x,x)) Likes(x,Likes(y,Hates([y],x))) [x]([x],y,z) x 9 0 0000 0010 10.56 -10.56 -10 +10
    10.7654e10 1.7654e-5 true false _17654 - [_x] [x-93] Likes([x],10.7654e10) * SELF Zoë 1e5"""


@pytest.mark.parametrize("text", NAMES.split())
def test_toolkit_names_that_parse(text: str) -> None:
    assert str(parse(text)).replace(" ", "") == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("IsPerson(x", "expected ',' or '\\)' at column 11, got the end"),
        ("@", "got '@'"),
        ("/", "got '/'"),
        ("(x)", "expected a name at column 1, got '\\('"),
        ("x)", "expected the end at column 2"),
        ("(x", "expected a name at column 1"),
        ("x, y", "expected the end at column 2"),
        ("1.76.54e-5", "expected a word"),
        ("1.76.54", "expected a word"),
        ("_1.76", "expected a word"),
        ("[x", "expected a word"),
        ("x]", "expected a word"),
        ("[]", "expected a word"),
        ("Likes(-56.34, 1.76.54e-5)", "got '1.76.54e-5'"),
        ("", "expected a name at column 1, got the end"),
        ("f(a,)", "expected a name at column 5"),
        ("f()", "expected a name at column 3"),
        ("f(a)(b)", "expected the end at column 5"),
        ("f(g(a)(b))", "expected ',' or '\\)' at column 7"),
        ("f(a) b", "expected the end at column 6"),
        ("1e999", "too large"),
        ("[__ghost-1]", "reserved"),
        ("f(" * 60 + "a" + ")" * 60, f"more than {MAX_DEPTH} levels"),
        ("f(" + "a," * MAX_SYMBOLS + "a)", f"{MAX_SYMBOLS} symbols"),
    ],
)
def test_bad_names(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse(text)


def test_a_name_is_text() -> None:
    with pytest.raises(TypeError, match="expected a name as text, got int"):
        parse(5)  # type: ignore[arg-type]


@given(ANY)
def test_printed_and_read_again(name: Name) -> None:
    assert parse(str(name)) == name
    assert str(parse(str(name))) == str(name)


@given(st.text(alphabet="ab1[](),*- .e+", max_size=20))
def test_any_text_is_a_name_or_a_value_error(text: str) -> None:
    try:
        name = parse(text)
    except ValueError:
        return
    assert parse(str(name)) == name


@pytest.mark.parametrize(
    ("a", "b"),
    [("John", "JoHn"), ("Albert(SMART)", "ALBERT(Smart)"), ("[_x]", "[_X]"), ("SELF", "self"), ("*", "*"), ("0", "000"), ("34", "34.000")],
)
def test_toolkit_equal_names(a: str, b: str) -> None:
    assert parse(a) == parse(b)
    assert hash(parse(a)) == hash(parse(b))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("JoHn", "*"),
        ("john", "joHn"),
        ("J(*)", "j(A(b))"),
        ("J(A(B))", "j(*(b))"),
        ("J(A,*,*,B)", "J(*,B,D,B)"),
        ("J(A(B,C),*(B,D),*,B)", "J(*,B(B,D),D,B)"),
        ("J(*,*(B,D),*,B(d,f))", "J(A(B(C,D)),B(b,D),D,*)"),
    ],
)
def test_toolkit_names_that_match(a: str, b: str) -> None:
    assert parse(a).matches(parse(b)) and parse(b).matches(parse(a))
    assert unify(parse(a), parse(b)) == {}


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("JoHn", "Jo"),
        ("J(*,b)", "j(A(b))"),
        ("J(A(d))", "j(*(b))"),
        ("J(A,*,*,B,D)", "J(*,B,D,B)"),
        ("J(A(B,C),*(B,D(D)),*,B)", "J(*,B(B,D),D,B)"),
        ("A(A(A,A))", "A(A(A),A)"),
        ("A(A(A,A),A)", "A(A(A),A)"),
    ],
)
def test_toolkit_names_that_do_not_match(a: str, b: str) -> None:
    assert not parse(a).matches(parse(b)) and not parse(b).matches(parse(a))
    assert unify(parse(a), parse(b)) is None


def test_substitute_and_swap() -> None:
    name = parse("A(B,C(D,E([x],D)),[x],B(A,B(SELF)))")
    assert name.substitute({parse("[x]"): parse("J(I)")}) == parse("A(B,C(D,E(J(I),D)),J(I),B(A,B(SELF)))")
    assert parse("SELF(B,C(D,E([x],D)),[x])").swap(Name("D"), Name("T")) == parse("SELF(B,C(T,E([x],T)),[x])")
    with pytest.raises(ValueError, match="cannot be the first term"):
        parse("[x](a)").substitute({parse("[x]"): parse("f(b)")})


def test_kinds_of_names() -> None:
    assert parse("[x]").is_variable and not parse("f([x])").is_variable
    assert parse("f(*)").is_ground and not parse("f(*)").is_constant
    assert not parse("[f](a)").is_ground
    assert (parse("-10.5").number, parse("ten").number, parse("f(1)").number) == (-10.5, None, None)
    assert (parse("TRUE").truth, parse("false").truth, parse("1").truth) == (True, False, None)
    assert [str(number(v)) for v in (3.0, 0.5, 1e-7, -2)] == ["3", "0.5", "1e-07", "-2"]
    with pytest.raises(ValueError, match="finite"):
        number(float("nan"))


def bindings(*pairs: str) -> dict[Name, Name]:
    return {parse(variable): parse(value) for variable, value in (pair.split("/") for pair in pairs)}


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("John", "John", ()),
        ("Strong(John,A(B,C(D)))", "Strong(John,A(B,C(*)))", ()),
        ("John", "[x]", ("[x]/John",)),
        ("Strong([x])", "Strong(John)", ("[x]/John",)),
        ("Likes([x],[y])", "Likes(John, [z])", ("[x]/John", "[y]/[z]")),
        ("Likes([x],John)", "Likes(John, [x])", ("[x]/John",)),
        ("Likes([x],[y])", "Likes(John, Mary)", ("[x]/John", "[y]/Mary")),
        ("S([x],k([x],[z]),j([y],k(t(k,l),y)))", "S(t(k,l),k([x],y),j(P,k([x],[z])))", ("[x]/t(k,l)", "[z]/y", "[y]/P")),
        ("S([x])", "S(t(k))", ("[x]/t(k)",)),
        ("Event(Action-End, *, Speak([cs], *), SELF)", "Event(Action-End, Ana, Speak(Start, Polite), SELF)", ("[cs]/Start",)),
    ],
)
def test_toolkit_names_that_unify(a: str, b: str, expected: tuple[str, ...]) -> None:
    assert unify(parse(a), parse(b)) == bindings(*expected)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("John", "J"),
        ("Strong(John)", "John"),
        ("[x]([x])", "IsPerson(John)"),
        ("[x](John,Paul)", "Friend(John,[x])"),
        ("Like([x],[y])", "Like(John,Strong([y]))"),
        ("g([x], [x](a))", "g(f(b), [y])"),
        ("g([x], [x], [x])", "g(f(*), f(A), f(B))"),
    ],
)
def test_toolkit_names_that_do_not_unify(a: str, b: str) -> None:
    assert unify(parse(a), parse(b)) is None
    assert unify(parse(b), parse(a)) is None


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("x", "x(a)", ()),
        ("x", "[y](a)", ("[y]/x",)),
        ("x(a)", "x", ()),
        ("[y](a)", "x", ("[y]/x",)),
        ("x(a, b)", "x(a, b, c)", ()),
    ],
)
def test_toolkit_names_that_unify_in_part(a: str, b: str, expected: tuple[str, ...]) -> None:
    assert unify(parse(a), parse(b), partial=True) == bindings(*expected)


@given(ANY, ANY)
def test_success_is_symmetric(a: Name, b: Name) -> None:
    assert (unify(a, b) is None) == (unify(b, a) is None)


SMALL = st.builds(Name, WORDS) | st.builds(lambda head, term: Name(head, (Name(term),)), WORDS, WORDS)
X, Y, Z = Name("[x]"), Name("[y]"), Name("[z]")


@st.composite
def unifiable(draw: st.DrawFn) -> tuple[Name, Name, dict[Name, Name]]:
    """Two names with variables put in the place of parts of one ground name, and the values that give it back."""
    values = {v: draw(SMALL) for v in (X, Y, Z)}
    parts = st.builds(Name, WORDS) | st.sampled_from(list(values.values()))
    inner = st.builds(lambda t: Name("k", tuple(t)), st.lists(parts, min_size=1, max_size=2))
    whole = Name("h", tuple(draw(st.lists(parts | inner, min_size=1, max_size=4))))

    def hide(name: Name) -> Name:
        fitting = [v for v, value in values.items() if value == name]
        if fitting and draw(st.booleans()):
            return draw(st.sampled_from(fitting))
        head = next((v for v, value in values.items() if value == name.head), name.head)
        if name.terms and draw(st.booleans()):
            return Name(head.symbol, tuple(map(hide, name.terms)))
        return Name(name.symbol, tuple(map(hide, name.terms))) if name.terms else name

    return hide(whole), hide(whole), values


@given(unifiable())
def test_the_most_general_unifier(pair: tuple[Name, Name, dict[Name, Name]]) -> None:
    """It makes both equal, substituting twice is once, and the values that are known to make both equal are an instance of it."""
    a, b, values = pair
    found = unify(a, b)
    assert found is not None
    assert a.substitute(found) == b.substitute(found)
    for variable, value in found.items():
        assert variable.is_variable and variable not in value.variables()
        assert value.substitute(found) == value
        assert value.substitute(values) == values[variable]


@given(ANY, ANY)
@example(parse("f([x], *)"), parse("f(*, A)"))
def test_whatever_unifies_is_made_to_match(a: Name, b: Name) -> None:
    found = unify(a, b)
    if found is not None:
        assert a.substitute(found).matches(b.substitute(found))
        assert all(value.substitute(found) == value for value in found.values())


@given(ANY, GROUND)
@example(parse("f([x], [x](a))"), parse("f(g, g(a))"))
@example(parse("f([x], [x](a))"), parse("f(g(b), g(a))"))
def test_constants_have_the_solvers_answer_without_it(pattern: Name, constant: Name) -> None:
    assert unify(pattern, constant) == unify(constant, pattern) == _Solver(False).solve(pattern, constant)


@given(ANY, ANY)
def test_a_glance_tells_what_the_solver_tells(a: Name, b: Name) -> None:
    assert unify(a, b) == _Solver(False).solve(a, b)


@given(unifiable())
def test_instances_have_the_solvers_answer_without_it(pair: tuple[Name, Name, dict[Name, Name]]) -> None:
    pattern, other, values = pair
    constant = other.substitute(values)
    assert unify(pattern, constant) == _Solver(False).solve(pattern, constant) is not None


@given(PLAIN)
def test_a_name_unifies_with_itself(name: Name) -> None:
    assert unify(name, name) == {}
    assert unify(name, Name("*")) == {}


@given(PLAIN, GROUND)
def test_an_instance_unifies_with_its_pattern(pattern: Name, ground: Name) -> None:
    instance = pattern.map(lambda s: ground.head if s.is_variable else s)
    found = unify(pattern, instance)
    assert found is not None and pattern.substitute(found) == instance


def test_hostile_doubling_ends() -> None:
    """x1 = f(x0, x0), x2 = f(x1, x1) ...: the answer would have 2^40 symbols."""
    n = 40
    left = parse(f"h({', '.join(f'[x{i}]' for i in range(1, n))})")
    right = parse(f"h({', '.join(f'f([x{i}], [x{i}])' for i in range(n - 1))})")
    with pytest.raises(ValueError, match=r"symbols|steps|levels"):
        unify(left, right)
    twice = parse(f"h({', '.join(f'[x{i}], [y{i}]' for i in range(1, n))}, [x{n - 1}])")
    both = parse(f"h({', '.join(f'f([x{i}], [x{i}]), f([y{i}], [y{i}])' for i in range(n - 1))}, [y{n - 1}])")
    with pytest.raises(ValueError, match=r"symbols|steps|levels"):
        unify(twice, both)
