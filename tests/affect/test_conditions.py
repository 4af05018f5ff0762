"""Conditions over beliefs. The cases named after it are those of the FAtiMA Toolkit's own tests (Apache-2.0), as facts."""

from __future__ import annotations

import pytest
from affectrt.affect.appraisal.conditions import Conditions, compare, parse_condition
from affectrt.affect.appraisal.names import Name, number, parse
from affectrt.affect.appraisal.world import Belief, Beliefs, Solution, World, believe
from hypothesis import given
from hypothesis import strategies as st

HEROES = {
    "Strength(John)": 5,
    "Strength(Mary)": 3,
    "Strength(Leonidas)": 500,
    "Strength(Goku)": 9001,
    "Strength(SuperMan)": 2**64 - 1,
    "Strength(Saitama)": 3.4028235e38,
    "Race(Saitama)": "human",
    "Race(Superman)": "kriptonian",
    "Race(Goku)": "sayian",
    "Race(Leonidas)": "human",
    "Race(Mary)": "human",
    "Race(John)": "human",
    "IsAlive(Leonidas)": False,
    "IsAlive(Saitama)": True,
    "IsAlive(Superman)": True,
    "IsAlive(John)": True,
}


def world(beliefs: dict[str, object]) -> World:
    return World(Beliefs(believe(name, value) for name, value in beliefs.items()))  # type: ignore[arg-type]


def solve(conditions: list[str], beliefs: dict[str, object], *, universal: bool = False, **bound: str) -> list[Solution]:
    start = Solution({Name(f"[{variable}]"): parse(value) for variable, value in bound.items()})
    return Conditions(tuple(map(parse_condition, conditions)), universal).solve(world(beliefs), [start])


@pytest.mark.parametrize(
    "text",
    [
        "Value(X)>4",
        "Value(y)<  6",
        "Prop(Value)  <6",
        "Value(z)<  -65.54e10",
        "Prop(Value)  !=  true\t",
        "\t\t9  >= \t [y]",
        "[x]<=[y]",
        "#[x]<=#[y]",
        "#[z]!=4",
    ],
)
def test_toolkit_conditions_that_parse(text: str) -> None:
    condition = parse_condition(text)
    assert parse_condition(str(condition)) == condition


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("A=A", "both sides are the same"),
        ("4>3", "both sides are plain values"),
        ("true!=false", "both sides are plain values"),
        ("true=false", "both sides are plain values"),
        ("-65.54e10<-1e", "'-1e'"),
        ("?-65.54e10<+-1e", r"'\?-65.54e10'"),
        ("#Like([x]) = 4", "# counts the values of a"),
        ("#4 = 4", "# counts the values of a"),
        ("#4 % 4", "expected a comparison"),
        ("Mood(SELF)", "expected a comparison"),
        ("[x] = [y] = [z]", "'\\[y\\] = \\[z\\]'"),
        ("= 4", "expected a name at column 1, got the end"),
        ("Mood(SELF) == 4", "got '= 4'"),
    ],
)
def test_bad_conditions(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_condition(text)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("Strength(John)=5", True),
        ("34.7!=Strength(John)", True),
        ("Strength(Saitama)>=Strength(SuperMan)", True),
        ("Strength([x])<Strength(Goku)", True),
        ("Strength(Saitama)<Strength([x])", False),
        ("Strength([x])>Strength([y])", True),
        ("Race(Saitama)=human", True),
        ("Race(goku)=sayian", True),
        ("IsAlive(Saitama)=true", True),
        ("IsAlive(Goku)!=true", False),  # what is not known compares with nothing
        ("IsAlive(Leonidas)!=true", True),
        ("Strength(John)!=true", False),  # with true and false, only those compare
        ("Strength(John)=false", False),
        ("#[x] = 0", True),
        ("#[x] = #[y]", True),
        ("1 = #[y]", False),
        ("Race(Mary) > 4", False),  # the toolkit's code says True
        ("[x] != 4", False),  # nothing has bound it
    ],
)
def test_toolkit_conditions(text: str, holds: bool) -> None:
    assert bool(solve([text], HEROES)) is holds


def test_toolkit_condition_set() -> None:
    conditions = ["Strength([x])<=Strength(Saitama)", "Strength([x])>=Strength(Goku)", "[x]!=Saitama", "[x]!=goku"]
    assert [str(s.bindings[Name("[x]")]) for s in solve(conditions, HEROES)] == ["SuperMan"]


def test_toolkit_false_predicate() -> None:
    assert solve(["Likes(Formal) = false"], {}) == []


@pytest.mark.parametrize(
    ("beliefs", "exists", "all_of_them"),
    [
        ((True, True), True, True),
        ((True, False), True, False),
        ((False, True), True, False),
        ((False, False), False, False),
    ],
)
def test_toolkit_quantifiers(beliefs: tuple[bool, bool], exists: bool, all_of_them: bool) -> None:
    known = {"Likes(Money)": True, "Likes(Health)": True, "Has(Money)": beliefs[0], "Has(Health)": beliefs[1]}
    conditions = ["Likes([x]) = true", "Has([x]) = true"]
    assert bool(solve(conditions, known)) is exists
    assert bool(solve(conditions, known, universal=True)) is all_of_them


def test_a_definition_binds_or_compares() -> None:
    likes = {"Like(SELF, Ana)": 7, "Like(SELF, Bob)": -2}
    assert [s.bindings[Name("[l]")].number for s in solve(["Like(SELF, [x]) = [l]"], likes)] == [7, -2]
    assert len(solve(["Like(SELF, [x]) = [l]"], likes, x="Bob")) == 1
    assert solve(["Like(SELF, [x]) = [l]"], likes, l="3") == []
    assert [str(s.bindings[Name("[d]")]) for s in solve(["[d] = 20"], {})] == ["20"]
    assert solve(["[a] = [b]"], {}, a="Ana")[0].bindings[Name("[b]")] == Name("Ana")
    assert solve(["[a] = [b]"], {}, b="Ana")[0].bindings[Name("[a]")] == Name("Ana")
    assert solve(["[a] = [b]"], {}) == []


def test_counting_what_has_been_found() -> None:
    likes = {"Like(SELF, Ana)": 7, "Like(SELF, Bob)": -2, "Like(SELF, Eve)": 3}
    assert len(solve(["Like(SELF, [x]) > 0", "#[x] = 2"], likes)) == 2
    assert solve(["Like(SELF, [x]) > 0", "#[x] > 2"], likes) == []


def test_certainty_is_of_the_weakest_belief() -> None:
    world = World(Beliefs([believe("Friend(Ana)", True, 0.4), believe("Near(Ana)", True, 0.9)]))
    conditions = parse_condition("Near([x]) = True"), parse_condition("Friend([x]) = True")
    assert [s.certainty for s in Conditions(conditions).solve(world)] == [0.4]
    assert [s.certainty for s in Conditions(conditions[::-1]).solve(world)] == [0.4]


def test_many_answers_are_refused() -> None:
    known: dict[str, object] = {f"Near(A{i})": True for i in range(1, 200)}
    with pytest.raises(ValueError, match="more than 10000 solutions"):
        solve(["Near([x]) = True", "Near([y]) = True"], known)


def test_a_variable_in_front() -> None:
    assert [str(s.bindings[Name("[p]")]) for s in solve(["[p](Goku) = sayian"], HEROES)] == ["Race"]
    assert solve(["[p](Goku) = sayian"], HEROES, p="f(a)") == []


@pytest.mark.parametrize(
    ("name", "value", "certainty", "problem"),
    [
        ("Happy", True, 1.0, "a belief is a composed name"),
        ("Like([x])", 1, 1.0, "a belief is a composed name"),
        ("Like(*)", 1, 1.0, "a belief is a composed name"),
        ("Like(Ana)", "f(a)", 1.0, "expected a word or a number"),
        ("Like(Ana)", float("nan"), 1.0, "finite"),
        ("Like(Ana)", 1, 0.0, "certainty"),
        ("Like(Ana)", 1, float("nan"), "certainty"),
        ("Like(Ana)", 1, 1.5, "certainty"),
    ],
)
def test_bad_beliefs(name: str, value: object, certainty: float, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        believe(name, value, certainty)  # type: ignore[arg-type]


def test_beliefs_are_replaced_and_dropped() -> None:
    beliefs = Beliefs([believe("Like(Ana)", 1), believe("LIKE(ana)", 2)])
    assert [b.value.number for b in beliefs] == [2]
    other = beliefs.copy()
    assert other.drop(parse("Like(Ana)")) and not other.drop(parse("Like(Ana)"))
    assert (len(beliefs), len(other)) == (1, 0)
    assert beliefs.get(parse("like(ANA)")) == Belief(parse("Like(Ana)"), Name("2"))


VALUES = st.one_of(st.integers(-3, 3).map(number), st.sampled_from([Name("True"), Name("false"), Name("Ana"), Name("-")]))


@given(VALUES, VALUES)
def test_comparisons_fit_together(a: Name, b: Name) -> None:
    assert compare(a, "=", b) == compare(b, "=", a)
    assert compare(a, "<", b) == compare(b, ">", a)
    assert compare(a, "<=", b) == compare(b, ">=", a)
    assert not (compare(a, "=", b) and compare(a, "!=", b))
    if a.number is not None and b.number is not None:
        assert compare(a, "<=", b) == (compare(a, "<", b) or compare(a, "=", b))
        assert compare(a, "=", b) != compare(a, "!=", b)
    else:
        assert not any(compare(a, op, b) for op in ("<", "<=", ">", ">="))


@given(st.dictionaries(st.sampled_from([f"Like(SELF, P{i})" for i in range(1, 6)]), st.integers(-5, 5)), st.integers(-5, 5))
def test_solutions_are_those_of_a_loop(likes: dict[str, int], bound: int) -> None:
    found = solve([f"Like(SELF, [x]) > {bound}", "Like(SELF, [x]) = [l]"], dict(likes))
    expected = {(parse(name).terms[1], value) for name, value in likes.items() if value > bound}
    assert {(s.bindings[Name("[x]")], s.bindings[Name("[l]")].number) for s in found} == expected
