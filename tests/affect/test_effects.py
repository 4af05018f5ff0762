"""What events change: effects, each an event of its own, that must come to an end."""

from __future__ import annotations

import pytest
from affectrt.affect.appraisal import Appraisal, Name, Rules, action_end, parse_name, property_change
from affectrt.affect.appraisal.derive import DESIRABILITY, PRAISEWORTHINESS
from affectrt.affect.appraisal.rules import Change, Effect
from agents import rule
from hypothesis import given
from hypothesis import strategies as st


def test_effects_are_events_of_their_own() -> None:
    rules = Rules(
        (rule("Event(Property-Change, [who], Hungry(SELF), False)", (DESIRABILITY, 4), (PRAISEWORTHINESS, 4, "[who]")),),
        effects=(
            Effect(parse_name("Event(Action-End, *, Feed([what]), SELF)"), (Change(parse_name("Eaten(SELF)"), parse_name("[what]")),)),
            Effect(
                parse_name("Event(Action-End, [who], Feed(*), [whom])"),
                (
                    Change(parse_name("Hungry([whom])"), Name("False")),
                    Change(parse_name("Secret([who])"), Name("True"), parse_name("[who]")),
                ),
                priority=2,
            ),
        ),
    )
    robot = Appraisal(rules)
    assert [(e.type, e.target) for e in robot.appraise(action_end("Ana", "Feed(Soup)", "SELF"), stamp_ns=0)] == [("Gratitude", "Ana")]
    assert {str(b.name) for b in robot.beliefs} == {"Hungry(SELF)"}  # the better effect alone, and what others observe is not ours


def test_effects_that_never_end_are_refused() -> None:
    def effect(event: str, what: str, value: str, where: str) -> Effect:
        return Effect(parse_name(event), (Change(parse_name(what), parse_name(value)),), where=where)

    wet = effect("Event(Property-Change, *, Rain([x]), True)", "Wet([x])", "True", "w.wmo:3")
    cold = effect("Event(Property-Change, *, Wet([y]), [v])", "Cold([y])", "[v]", "w.wmo:9")
    rain = effect("Event(Property-Change, *, Cold([x]), True)", "Rain([x])", "True", "w.wmo:15")
    Rules(effects=(wet, cold))
    Rules(effects=(wet, cold, effect("Event(Property-Change, *, Cold([x]), True)", "Rain([x])", "False", "w.wmo:15")))
    with pytest.raises(ValueError, match=r"for ever: .*w.wmo:3.* -> .*w.wmo:9.* -> .*w.wmo:15.* -> .*w.wmo:3"):
        Rules(effects=(wet, cold, rain))
    with pytest.raises(ValueError, match="for ever"):
        Rules(effects=(effect("Event(Property-Change, *, N(x), [v])", "N(x)", "Math([v], Plus, 1)", "w.wmo:1"),))


def test_effects_that_multiply_are_stopped() -> None:
    def twice(i: int) -> Effect:
        changes = tuple(Change(parse_name(f"N{i + 1}({side})"), Name("True")) for side in "ab")
        return Effect(parse_name(f"Event(Property-Change, *, N{i}(*), True)"), changes)

    def after(levels: int) -> Appraisal:
        return Appraisal(Rules(effects=tuple(twice(i) for i in range(levels))))

    robot = after(8)
    robot.appraise(property_change("N0(a)", True), stamp_ns=0)
    assert len(robot.beliefs) == 1 + 2 * 8
    robot = after(30)
    with pytest.raises(ValueError, match="causes more than 1000 events"):
        robot.appraise(property_change("N0(a)", True), stamp_ns=0)
    assert robot.beliefs == ()
    with pytest.raises(ValueError, match="at most 200 effects, got 201"):
        after(201)


WORDS = st.sampled_from(["A", "B", "C"])
EFFECTS = st.lists(st.tuples(WORDS, st.sampled_from(["x", "[v]", "*"]), WORDS, st.sampled_from(["x", "y", "[v]"])), max_size=5)


@given(EFFECTS)
def test_what_is_not_refused_ends(chains: list[tuple[str, str, str, str]]) -> None:
    """Each effect has one change, so a chain that ends has at most one event for each effect, and one to begin with."""
    effects = tuple(
        Effect(parse_name(f"Event(Property-Change, *, {a}(z), {when})"), (Change(parse_name(f"{b}(z)"), parse_name(to)),))
        for a, when, b, to in chains
        if to != "[v]" or when == "[v]"
    )
    try:
        rules = Rules(effects=effects)
    except ValueError:
        return
    for what in "ABC":
        robot = Appraisal(rules)
        robot.appraise(property_change(f"{what}(z)", "x"), stamp_ns=0)
        assert len(robot.save()["events"]) <= len(effects) + 1  # type: ignore[arg-type]
