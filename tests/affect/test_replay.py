"""The same events give the same feelings, in one run or in two with a saved mind between them; and what a saved mind must be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from affectrt.affect.appraisal import Appraisal, Disposition, Goal, Name, action_end, property_change
from affectrt.affect.appraisal.derive import DESIRABILITY, DESIRABILITY_FOR_OTHERS, GOAL, LIKE, PRAISEWORTHINESS
from agents import act, agent, rule
from hypothesis import given
from hypothesis import strategies as st

SECOND = 1_000_000_000
PEOPLE = st.sampled_from(["Ana", "Bob", "SELF"])
EVENTS = st.one_of(
    st.builds(action_end, PEOPLE, st.sampled_from(["Help", "Insult", "Win", "Sing"]), PEOPLE),
    st.builds(lambda v: property_change("Battery(SELF)", v), st.integers(0, 100)),
)
LOG = st.lists(st.tuples(EVENTS, st.integers(0, 100)), max_size=10)


def busy_agent() -> Appraisal:
    return agent(
        rule("Event(Action-End, [who], Help, *)", (DESIRABILITY, 6), (PRAISEWORTHINESS, 4, "[who]"), (LIKE, 3)),
        rule("Event(Action-End, [who], Insult, [whom])", (DESIRABILITY, -6), (PRAISEWORTHINESS, -8, "[who]"), (LIKE, -9)),
        rule("Event(Action-End, *, Win, [whom])", (DESIRABILITY, 3), (DESIRABILITY_FOR_OTHERS, 7, "[whom]"), (GOAL, 0.3, "Fame")),
        rule("Event(Action-End, *, Sing, *)", (GOAL, -0.4, "Fame"), (PRAISEWORTHINESS, 5)),
        rule("Event(Property-Change, *, Battery(SELF), *)", (DESIRABILITY, -7), when=("Battery(SELF) < 20",)),
        goals=(Goal("Fame", 9, 0.5),),
        actions=(act("Comfort", "[x]", priority="[m]", when=("Mood(SELF) = [m]", "IsAgent([x]) = True")), act("Wait")),
        dispositions={"*": Disposition(0.5, 1), "Hate": Disposition(2, 0.2)},
    )


def told(robot: Appraisal, log: list[tuple[Name, int]], now: int = 0) -> tuple[list[object], int]:
    seen: list[object] = []
    for event, seconds in log:
        now += seconds * SECOND
        seen += [robot.appraise(event, stamp_ns=now), robot.emotions(now), robot.mood(now), robot.decide(now)]
    return seen, now


@given(LOG)
def test_the_same_events_give_the_same(log: list[tuple[Name, int]]) -> None:
    a, b = busy_agent(), busy_agent()
    assert told(a, log) == told(b, log)
    assert json.dumps(a.save()) == json.dumps(b.save())


@given(LOG)
def test_bounds(log: list[tuple[Name, int]]) -> None:
    robot, now = busy_agent(), 0
    for event, seconds in log:
        now += seconds * SECOND
        for emotion in robot.appraise(event, stamp_ns=now):
            assert 0 < emotion.intensity <= 10
            assert emotion.threshold == (2 if emotion.type == "Hate" else 0.5)
        assert -10 <= robot.mood(now) <= 10
        assert all(0 <= g.likelihood <= 1 for g in robot.goals)
        later = robot.emotions(now + 1000 * SECOND)
        assert sum(e.intensity for e in later) <= sum(e.intensity for e in robot.emotions(now))


@given(LOG, LOG)
def test_saved_and_restored_in_between(first: list[tuple[Name, int]], then: list[tuple[Name, int]]) -> None:
    """Through JSON, in a new process as it were."""
    robot, again = busy_agent(), busy_agent()
    _, now = told(robot, first)
    again.restore(json.loads(json.dumps(robot.save())))
    assert told(again, then, now) == told(robot, then, now)
    assert again.save() == robot.save()


def saved() -> dict[str, Any]:
    robot = busy_agent()
    robot.appraise(action_end("Ana", "Help", "SELF"), stamp_ns=10)
    robot.appraise(property_change("Battery(SELF)", 5), stamp_ns=20)
    return json.loads(json.dumps(robot.save()))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        (["version"], 2, "expected version 1, got 2"),
        (["more"], 1, "unknown \\['more'\\]"),
        (["mood"], 11, "mood: expected a number in \\[-10, 10\\], got 11"),
        (["mood"], float("nan"), "mood: expected a number"),
        (["mood"], "2", "mood: expected int or float, got '2'"),
        (["mood"], True, "mood: expected int or float, got True"),
        (["stamp_ns"], None, "at least 20, got None"),
        (["stamp_ns"], 19, "at least 20, got 19"),
        (["next_id"], 0, "expected a number in"),
        (["emotions", 0, "type"], "Bliss", "emotions\\[0\\].type: expected one of Joy"),
        (["emotions", 0, "intensity"], -1, "emotions\\[0\\].intensity"),
        (["emotions", 0, "event"], "Event(", "emotions\\[0\\].event: 'Event\\('"),
        (["emotions", 0, "cause"], 9, "emotions\\[0\\].cause"),
        (["emotions", 0], [], "emotions\\[0\\]: expected an object, got list"),
        (["goals", 0, "likelihood"], 1.5, "goals\\[0\\]: goal Fame: expected a likelihood"),
        (["beliefs", 0, "certainty"], 0, "beliefs\\[0\\]"),
        (["beliefs", 0, "name"], "Battery", "beliefs\\[0\\]: a belief is a composed name"),
        (["agents", 0], 5, "agents\\[0\\]: expected a name as text, got 5"),
        (["events", 1, "id"], 0, "events\\[1\\].id"),
        (["events"], {}, "events: expected list, got \\{\\}"),
    ],
)
def test_a_bad_saved_mind_is_refused_and_changes_nothing(path: list[Any], value: object, problem: str) -> None:
    robot, broken = busy_agent(), saved()
    robot.restore(saved())
    before = robot.save()
    place = broken
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ValueError, match=problem):
        robot.restore(broken)
    assert robot.save() == before
    with pytest.raises(ValueError, match="expected an object, got list"):
        robot.restore([])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*saved(), "x"]), inner),
        max_leaves=20,
    )
)
def test_any_value_is_a_mind_or_a_value_error(value: object) -> None:
    if isinstance(value, dict):
        value = {**saved(), **value}
    robot = busy_agent()
    try:
        robot.restore(value)
    except ValueError:
        return
    told(robot, [(action_end("Ana", "Help", "SELF"), 1)], now=2**70)
