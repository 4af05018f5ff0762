"""`Appraisal`: events in, emotions, mood and decisions out.

Cases named after the FAtiMA Toolkit are those of its own tests (Apache-2.0), as facts.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from affectrt.affect import Evidence, Fusion, affect_of
from affectrt.affect.appraisal import (
    Appraisal,
    Belief,
    Disposition,
    Goal,
    Name,
    Rules,
    Settings,
    action_end,
    action_start,
    property_change,
)
from affectrt.affect.appraisal.derive import DESIRABILITY, DESIRABILITY_FOR_OTHERS, GOAL, LIKE, PRAISEWORTHINESS
from affectrt.affect.appraisal.world import Solution, World, believe
from agents import act, agent, rule

SECOND = 1_000_000_000
SPEAK = "Event(Action-End , Matt, Speak(Start, S1, -, -), Sarah)"


TOOLKIT = {
    1: ([(DESIRABILITY, 5)], "Joy"),
    2: ([(PRAISEWORTHINESS, 5)], "Pride"),
    3: ([(DESIRABILITY, -5)], "Distress"),
    4: ([(PRAISEWORTHINESS, -5)], "Shame"),
    5: ([(LIKE, 5)], "Love"),
    6: ([(LIKE, -5)], "Hate"),
    11: ([(GOAL, 0.7, "Goal")], "Hope"),
    12: ([(GOAL, 0.3, "Goal")], "Fear"),
    13: ([(GOAL, 1, "Goal")], "Relief"),
    14: ([(GOAL, 0, "Goal")], "Disappointment"),
    15: ([(PRAISEWORTHINESS, 5, "Sarah")], "Admiration"),
    16: ([(PRAISEWORTHINESS, -5, "Sarah")], "Reproach"),
    17: ([(GOAL, 1, "GoalPositive")], "Satisfaction"),
    18: ([(GOAL, 1, "GoalNegative")], "Relief"),
    19: ([(DESIRABILITY, -5), (DESIRABILITY_FOR_OTHERS, 5, "Other")], "Resentment"),
    20: ([(DESIRABILITY, 5), (DESIRABILITY_FOR_OTHERS, 5, "Other")], "Happy-For"),
    21: ([(DESIRABILITY, 5), (DESIRABILITY_FOR_OTHERS, -5, "Other")], "Gloating"),
    22: ([(DESIRABILITY, -5), (DESIRABILITY_FOR_OTHERS, -5, "Other")], "Pity"),
    23: ([(DESIRABILITY, -5), (DESIRABILITY_FOR_OTHERS, -5, "Other"), (PRAISEWORTHINESS, 5, "Other")], "Pity"),
}


@pytest.mark.parametrize("number", TOOLKIT)
def test_toolkit_emotion_for_event(number: int) -> None:
    """RPCAssetTests; its goals are from the time when rules gave the new likelihood."""
    variables, expected = TOOLKIT[number]
    goals = (Goal("Goal", 5, 0.5), Goal("GoalNegative", 5, 0.2), Goal("GoalPositive", 5, 0.8))
    matt = agent(rule("Event(*, *, *, *)", *variables), goals=goals, agent=Name("Matt"), settings=Settings(goal_value="likelihood"))
    matt.appraise(SPEAK, stamp_ns=0)
    strongest = matt.strongest(0)
    assert strongest is not None and strongest.type == expected


def test_toolkit_five_rules() -> None:
    """EAAssetTests: its five rules and ten dispositions; Feed is the worked example."""
    dispositions = {
        "Joy": (2, 3),
        "Distress": (2, 1),
        "Pride": (5, 5),
        "Shame": (2, 1),
        "Gratification": (8, 5),
        "Remorse": (2, 1),
        "Admiration": (5, 3),
        "Reproach": (8, 2),
        "Gratitude": (5, 3),
        "Anger": (5, 3),
    }
    rules = (
        rule("Event(Action-End,*,Pet,SELF)", (DESIRABILITY, 10)),
        rule("Event(Action-End,*,Slap,SELF)", (DESIRABILITY, 10)),
        rule("Event(Action-End,*,Feed,SELF)", (DESIRABILITY, 5), (PRAISEWORTHINESS, 10)),
        rule("Event(Action-End,*,Talk(High,Mad),SELF)", (DESIRABILITY, -7), (PRAISEWORTHINESS, -15)),
        rule("Event(Action-End,*,Talk(Low,Happy),SELF)", (PRAISEWORTHINESS, 5)),
    )
    felt = {}
    for action in ("Pet", "Slap", "Feed", "Talk(High,Mad)", "Talk(Low,Happy)", "Wave"):
        animal = agent(*rules, dispositions={name: Disposition(threshold, decay) for name, (decay, threshold) in dispositions.items()})
        animal.appraise(action_end("Sarah", action, "self"), stamp_ns=0)
        felt[action] = [(e.type, e.intensity, e.decay) for e in animal.emotions(0)], round(animal.mood(0), 6)
    assert felt == {
        "Pet": ([("Joy", 7, 2)], 2.1),
        "Slap": ([("Joy", 7, 2)], 2.1),
        "Feed": ([("Gratification", 2.5, 8)], 0.75),
        "Talk(High,Mad)": ([("Remorse", 10, 2)], -3.0),
        "Talk(Low,Happy)": ([], 0),
        "Wave": ([], 0),
    }


def test_the_agents_name_is_self() -> None:
    matt = agent(rule("Event(Action-End, SELF, Sing, *)", (PRAISEWORTHINESS, 5, "Matt")), agent=Name("Matt"), beliefs={"Near(Matt)": True})
    (pride,) = matt.appraise("Event(Action-End, matt, Sing, Sarah)", stamp_ns=0)
    assert (pride.type, pride.target, pride.event) == ("Pride", "SELF", "Event(Action-End, SELF, Sing, Sarah)")
    assert matt.ask("Near(SELF)", 0) == matt.ask("Near(Matt)", 0) == ("True",)


def test_variables_go_from_event_and_beliefs_into_the_emotion() -> None:
    """A relation makes the same deed a joy or a nuisance."""
    ana = agent(
        rule(
            "Event(Action-End, [who], Visit, SELF)",
            (DESIRABILITY, "[like]"),
            (PRAISEWORTHINESS, "[like]", "[who]"),
            when=("Like(SELF, [who]) = [like]",),
        ),
        beliefs={"Like(SELF, Bob)": 7, "Like(SELF, Eve)": -6},
    )
    assert [(e.type, e.intensity, e.target) for e in ana.appraise(action_end("Bob", "Visit", "SELF"), stamp_ns=0)] == [
        ("Gratitude", 6, "Bob")
    ]
    ana.tell("Like(SELF, Bob)", -3)
    assert [e.type for e in ana.appraise(action_end("Bob", "Visit", "SELF"), stamp_ns=900 * SECOND)] == ["Anger"]
    assert [e.type for e in ana.appraise(action_end("Eve", "Visit", "SELF"), stamp_ns=1800 * SECOND)] == ["Anger"]
    assert ana.appraise(action_end("Stranger", "Visit", "SELF"), stamp_ns=1800 * SECOND) == ()


def test_of_rules_that_say_the_same_the_later_counts() -> None:
    def of(*values: int) -> list[float]:
        ana = agent(*(rule("Event(Action-End, *, Wave, *)", (DESIRABILITY, v)) for v in values))
        return [e.potential for e in ana.appraise(action_end("Bob", "Wave"), stamp_ns=0)]

    assert (of(3, 7), of(7, 3), of(3)) == ([7], [3], [3])
    praised = (rule("Event(*, *, *, *)", (PRAISEWORTHINESS, value, self)) for value, self in ((5, "-"), (-5, "SELF")))
    assert [e.type for e in agent(*praised).appraise(action_end("Bob", "Wave"), stamp_ns=0)] == ["Shame"]


def test_two_goals_in_one_event_are_both_felt() -> None:
    event = rule("Event(Action-End, *, Win, *)", (GOAL, 0.5, "Fame"), (GOAL, -0.25, "Rest"), (GOAL, 0.5, "Unknown"))
    ana = agent(event, goals=(Goal("Fame", 8, 0.5), Goal("Rest", 8, 0.5)))
    assert [(e.type, e.goal) for e in ana.appraise(action_end("SELF", "Win"), stamp_ns=0)] == [("Relief", "Fame"), ("Fear", "Rest")]
    assert [g.likelihood for g in ana.goals] == [1.0, 0.25]


def test_a_changed_property_is_believed_first() -> None:
    """And gives way to what comes later about the same property."""
    robot = agent(
        rule("Event(Property-Change, *, Battery(SELF), [b])", (DESIRABILITY, -6), when=("Battery(SELF) < 20",)),
        rule("Event(Property-Change, *, Battery(SELF), [b])", (DESIRABILITY, 6), when=("Battery(SELF) >= 20",)),
    )
    assert [e.type for e in robot.appraise(property_change("Battery(SELF)", 12), stamp_ns=0)] == ["Distress"]
    assert [e.type for e in robot.appraise(property_change("Battery(SELF)", 90), stamp_ns=SECOND)] == ["Joy"]
    assert [e.type for e in robot.emotions(SECOND)] == ["Joy"]
    assert robot.ask("Battery(SELF)", SECOND) == ("90",)
    robot.appraise(property_change("Battery(SELF)", "-"), stamp_ns=SECOND)
    assert robot.ask("Battery(SELF)", SECOND) == ()


def test_toolkit_property_changes_that_are_worked_out() -> None:
    robot = agent(beliefs={"High(Score)": 2, "Has(Money)": 5})
    robot.appraise(property_change("High(Score)", "Mood(SELF)"), stamp_ns=0)
    robot.appraise(property_change("Has(Money)", "Math(2, Plus, 5)"), stamp_ns=0)
    assert (robot.ask("High(Score)", 0), robot.ask("Has(Money)", 0)) == (("0",), ("7",))
    with pytest.raises(ValueError, match=r"expected one value for Unknown\(Thing\), got none"):
        robot.appraise(property_change("Has(Money)", "Unknown(Thing)"), stamp_ns=0)


def test_decisions() -> None:
    robot = agent(
        rule("Event(Action-End, [who], Insult, SELF)", (DESIRABILITY, -6), (PRAISEWORTHINESS, -6, "[who]")),
        actions=(
            act("Greet([x])", "[x]", when=("IsAgent([x]) = True", "[x] != SELF")),
            act("Leave", priority=5, when=("Mood(SELF) < -1",), layer="Move"),
            act(
                "Frown",
                "[x]",
                priority="[i]",
                when=("StrongestEmotion(SELF) = Anger", "EmotionIntensity(SELF, Anger) = [i]", "IsAgent([x]) = True"),
            ),
            act("Blink", layer="Face"),
        ),
    )
    assert [(d.action, d.target, d.utility) for d in robot.decide(0)] == [("Blink", "-", 2)]
    robot.appraise(action_end("Bob", "Insult", "SELF"), stamp_ns=0)
    assert [(d.action, d.target, d.priority) for d in robot.decide(0)] == [
        ("Leave", "-", 5),
        ("Frown", "SELF", 5),
        ("Frown", "Bob", 5),
        ("Greet(Bob)", "Bob", 1),
        ("Blink", "-", 1),
    ]
    assert [d.action for d in robot.decide(0, "face")] == ["Blink"]
    assert [d.action for d in robot.decide(200 * SECOND)] == ["Greet(Bob)", "Blink"]


def test_a_certain_belief_decides_between_equals() -> None:
    def beliefs() -> tuple[Belief, ...]:
        return believe("Near(Bob)", True, 0.4), believe("Near(Eve)", True, 0.8), believe("Near(Ann)", True, 0.8)

    robot = Appraisal(Rules(actions=(act("Greet", "[x]", when=("Near([x]) = True",)),), beliefs=beliefs()))
    assert [(d.target, d.certainty) for d in robot.decide(0)] == [("Eve", 0.8), ("Ann", 0.8), ("Bob", 0.4)]


def test_rules_without_an_answer_do_nothing() -> None:
    robot = agent(actions=(act("Speak([kind])", "[x]"), act("Go", "[x]", when=("[x] != SELF",))))
    assert robot.decide(0) == ()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Mood(SELF)", ("1.5",)),
        ("Mood([x])", ("1.5",)),
        ("Mood(Sarah)", ()),
        ("IsAgent(SELF)", ("True",)),
        ("isAgent(Sarah)", ("True",)),
        ("isAgent(Matt)", ("True",)),
        ("isAgent(True)", ("False",)),
        ("IsAgent([x])", ("True", "True")),
        ("StrongestEmotion(SELF)", ("Gratitude",)),
        ("StrongestCompoundEmotion(SELF)", ("Gratitude",)),
        ("StrongestWellBeingEmotion(SELF)", ()),
        ("StrongestAttributionEmotion(Matt)", ()),
        ("StrongestEmotionForEvent(SELF, Event(Action-End, [s], *, *))", ("Gratitude",)),
        ("StrongestEmotionForEvent(SELF, Event(Action-Start, *, *, *))", ()),
        ("EmotionIntensity(SELF, [type])", ("5",)),
        ("EmotionIntensity([x], Gratitude)", ("5",)),
        ("EmotionIntensity(SELF, Joy)", ()),
        ("EventId(Action-End, Sarah, *, *)", ("1",)),
        ("EventId(*, *, *, [t])", ("0", "1", "2")),
        ("EventId(Action-End, Bob, *, *)", ("-1",)),
        ("LastEventId(Action-End, Sarah, *, *)", ("-1",)),
        ("LastEventId(Action-Start, *, *, *)", ("2",)),
        ("EventElapsedTime(1)", ("4",)),
        ("EventElapsedTime([id])", ("4", "4", "4")),
        ("Math(Mood(SELF), Times, 2)", ("3",)),
        ("Math(1, Div, 0)", ()),
        ("Math(1e300, Times, 1e300)", ()),
        ("Math(1, Times, Ana)", ()),
        ("Count(IsAgent([x]))", ("2", "2")),
        ("Count(Unknown([x]))", ("0",)),
        ("Round(2.567, 1)", ("2.6",)),
        ("RoundMethod(2.567, 0)", ("3",)),
        ("SquareDistance(0, 0, 3, 4)", ("25",)),
    ],
)
def test_meta_beliefs(name: str, expected: tuple[str, ...]) -> None:
    settings = Settings(mood_half_life=1e9, emotion_half_life=1e9, tick_s=0.5)
    matt = agent(
        rule("Event(Action-End, [who], Help, SELF)", (DESIRABILITY, 6), (PRAISEWORTHINESS, 6, "[who]")),
        agent=Name("Matt"),
        settings=settings,
    )
    matt.appraise(action_end("Matt", "EntersRoom", "Sarah"), stamp_ns=0)
    matt.appraise(action_end("Sarah", "Help", "Matt"), stamp_ns=0)
    matt.appraise(action_start("Matt", "Speak(Start, S1, -, -)", "Sarah"), stamp_ns=0)
    answers = matt.ask(name, 2 * SECOND)
    assert tuple(f"{float(a):.6g}" if a[0].isdigit() else a for a in answers) == expected


def test_the_strongest_of_several() -> None:
    """Of all, of a family, and of a type that two events have aroused."""
    robot = agent(
        rule("Event(*, *, Hit([n]), *)", (DESIRABILITY, "[n]")),
        rule("Event(*, [who], Shine([n]), *)", (PRAISEWORTHINESS, "[n]", "[who]")),
        settings=Settings(mood_to_emotion=0),
    )
    for action in ("Hit(4)", "Hit(9)", "Hit(-6)", "Shine(7)", "Shine(-8)"):
        robot.appraise(action_end("Ana", action), stamp_ns=0)
    asked = (
        "StrongestEmotion(SELF)",
        "StrongestWellBeingEmotion(SELF)",
        "StrongestAttributionEmotion(SELF)",
        "EmotionIntensity(SELF, Joy)",
    )
    assert [robot.ask(name, 0) for name in asked] == [("Joy",), ("Joy",), ("Reproach",), ("8",)]
    assert robot.ask("StrongestEmotionForEvent(SELF, Event(*, *, Hit(*), *))", 0) == ("Joy",)


def test_a_registered_meta_belief() -> None:
    def near(world: World, terms: tuple[Name, ...], solution: Solution) -> list[tuple[Name, Solution]]:
        return [(Name("True"), at) for at in [solution.bind(terms[0], Name("Ana")) if terms[0].is_variable else solution] if at]

    robot = agent(actions=(act("Greet", "[x]", when=("Near([x]) = True",)),))
    assert robot.decide(0) == ()
    robot.register("Near", 1, near)
    assert [d.target for d in robot.decide(0)] == ["Ana"]


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        ("Wave", "expected an event"),
        ("Event(Action-End, Ana, Wave)", "expected an event"),
        ("Event(Action-Finished, Ana, Wave, -)", "expected Action-Start, Action-End or Property-Change"),
        ("Event(Action-End, [x], Wave, -)", "neither variables nor"),
        ("Event(Action-End, *, Wave, -)", "neither variables nor"),
        ("Event(Action-End, f(x), Wave, -)", "symbol as subject"),
        ("Event(Action-End, Ana, Wave, f(x))", "symbol as target"),
        ("Event(Property-Change, Ana, Battery, 5)", "expected a property"),
        ("Event(Action-End, Ana", "expected ',' or"),
    ],
)
def test_bad_events_change_nothing(event: str, problem: str) -> None:
    robot = agent(rule("Event(*, *, *, *)", (DESIRABILITY, 5)))
    robot.appraise(action_end("Ana", "Wave"), stamp_ns=5)
    before = robot.save()
    with pytest.raises(ValueError, match=problem):
        robot.appraise(event, stamp_ns=7)
    assert robot.save() == before


def test_time_does_not_go_back() -> None:
    robot = agent()
    assert robot.mood(-5) == 0
    robot.appraise(action_end("Ana", "Wave"), stamp_ns=100)
    calls: list[Callable[[], object]] = [
        lambda: robot.appraise(action_end("Ana", "Wave"), stamp_ns=99),
        lambda: robot.mood(99),
        lambda: robot.emotions(99),
        lambda: robot.decide(99),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="from 100 ns on, that of the last event, got 99"):
            call()
    with pytest.raises(TypeError, match="got float"):
        robot.mood(1.5)  # type: ignore[arg-type]
    assert robot.mood(100) == 0


def test_a_value_that_is_no_number_is_said_with_its_rule() -> None:
    robot = agent(
        rule("Event(Action-End, *, Wave, *)", (DESIRABILITY, "[d]"), when=("Worth(Wave) = [d]",)),
        actions=(act("Go", priority="[p]", when=("Worth(Wave) = [p]",)),),
        beliefs={"Worth(Wave)": "much"},
    )
    with pytest.raises(ValueError, match=r"in the test: Desirability: expected a number, got \[d\] = much"):
        robot.appraise(action_end("Ana", "Wave"), stamp_ns=0)
    with pytest.raises(ValueError, match=r"Go: expected a number as priority, got \[p\] = much"):
        robot.decide(0)


def test_goals_have_different_names() -> None:
    with pytest.raises(ValueError, match="goals must have different names"):
        agent(goals=(Goal("Win", 1, 0.5), Goal("win", 2, 0.5)))


def test_only_so_many_events_are_remembered() -> None:
    for keep in (0, 3):
        robot = agent(settings=Settings(remember_events=keep))
        for i in range(10):
            robot.appraise(action_end("Ana", "Wave"), stamp_ns=i)
        assert len(robot.save()["events"]) == keep  # type: ignore[arg-type]
        assert robot.appraise(action_end("Ana", "Wave"), stamp_ns=10) == ()


def test_what_is_felt_is_evidence_for_the_fusion() -> None:
    robot = agent(rule("Event(Action-End, [who], Insult, SELF)", (DESIRABILITY, -9), (PRAISEWORTHINESS, -9, "[who]")))
    fusion = Fusion()
    for emotion in robot.appraise(action_end("Bob", "Insult", "SELF"), stamp_ns=SECOND):
        affect, weight = affect_of(emotion)
        fusion.add(
            Evidence.of_event(
                emotion.type,
                emotion.stamp_ns,
                valence=affect.valence,
                arousal=affect.arousal,
                dominance=affect.dominance,
                weight=weight,
            )
        )
    state = fusion.state(SECOND)
    assert state.valence < 0 < state.arousal and [s.source for s in state.sources] == ["event"]
