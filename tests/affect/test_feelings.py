"""From appraisal variables to emotions, and how they and the mood fade: every worked number of the model, and what must always hold."""

from __future__ import annotations

import math

import pytest
from affectrt.affect.appraisal.derive import (
    DESIRABILITY,
    DESIRABILITY_FOR_OTHERS,
    GOAL,
    LIKE,
    PRAISEWORTHINESS,
    Appraised,
    Goal,
    Variables,
    derive,
)
from affectrt.affect.appraisal.events import action_end, property_change
from affectrt.affect.appraisal.names import NIL, SELF, Name
from affectrt.affect.appraisal.occ import FAMILIES, OCC, affect_of, affect_of_all, emotion_type
from affectrt.affect.appraisal.state import Disposition, Emotion, EmotionalState, Settings, faded, reinforced
from hypothesis import given
from hypothesis import strategies as st

ANA, BOB = Name("Ana"), Name("Bob")
SETTINGS = Settings()
SECOND = 1_000_000_000
EVENT = action_end("Ana", "Feed", "SELF")


def emotions_of(variables: Variables, subject: Name = ANA, **goals: tuple[float, float]) -> list[tuple[str, float, str]]:
    found, _ = derive(variables, subject, {name: Goal(name, *values) for name, values in goals.items()})
    return [(a.type.name, pytest.approx(a.potential), str(a.target or a.goal)) for a in found]


@pytest.mark.parametrize(
    ("d", "p", "whom", "expected"),
    [
        (5, 10, NIL, ("Gratification", 7.5, "SELF")),
        (5, 10, SELF, ("Gratification", 7.5, "SELF")),
        (-5, -3, NIL, ("Remorse", 4, "SELF")),
        (5, 10, ANA, ("Gratitude", 7.5, "Ana")),
        (-5, -3, ANA, ("Anger", 4, "Ana")),
        (-5, 5, ANA, ("Anger", 0, "Ana")),
    ],
)
def test_compound(d: float, p: float, whom: Name, expected: tuple[str, float, str]) -> None:
    """They take the place of plain attribution and well-being."""
    assert emotions_of({(DESIRABILITY, NIL): d, (PRAISEWORTHINESS, whom): p}) == [expected]


@pytest.mark.parametrize(
    ("d", "other", "expected"),
    [
        (5, 3, ("Happy-For", 4, "Bob")),
        (5, -3, ("Gloating", 4, "Bob")),
        (-5, 3, ("Resentment", 4, "Bob")),
        (-5, -3, ("Pity", 4, "Bob")),
        (0, 3, ("Happy-For", 1.5, "Bob")),
    ],
)
def test_fortunes_of_others(d: float, other: float, expected: tuple[str, float, str]) -> None:
    assert emotions_of({(DESIRABILITY, NIL): d, (DESIRABILITY_FOR_OTHERS, BOB): other}) == [expected]
    assert emotions_of({(DESIRABILITY, NIL): d, (DESIRABILITY_FOR_OTHERS, BOB): other}, subject=BOB) == [expected]


def test_fortune_of_oneself_is_well_being() -> None:
    assert emotions_of({(DESIRABILITY, NIL): -5, (DESIRABILITY_FOR_OTHERS, SELF): 3}) == [("Distress", 4, "")]
    assert emotions_of({(DESIRABILITY, NIL): 5, (DESIRABILITY_FOR_OTHERS, SELF): 3}) == [("Joy", 4, "")]


def test_fortune_without_desirability_is_nothing() -> None:
    assert emotions_of({(DESIRABILITY_FOR_OTHERS, BOB): 3}) == []


def test_fortune_and_compound_together() -> None:
    """The toolkit's rule set 23: Pity, and an Anger of potential 0."""
    variables = {(DESIRABILITY, NIL): -5.0, (DESIRABILITY_FOR_OTHERS, BOB): -5.0, (PRAISEWORTHINESS, BOB): 5.0}
    assert emotions_of(variables) == [("Pity", 5, "Bob"), ("Anger", 0, "Bob")]


@pytest.mark.parametrize(
    ("p", "whom", "expected"),
    [
        (5, NIL, ("Pride", 5, "SELF")),
        (-5, SELF, ("Shame", 5, "SELF")),
        (5, ANA, ("Admiration", 5, "Ana")),
        (-5, ANA, ("Reproach", 5, "Ana")),
    ],
)
def test_attribution(p: float, whom: Name, expected: tuple[str, float, str]) -> None:
    assert emotions_of({(PRAISEWORTHINESS, whom): p}) == [expected]
    plain = [expected, ("Joy", 0, "")]
    assert emotions_of({(PRAISEWORTHINESS, whom): p, (DESIRABILITY, NIL): 0}) == plain


def test_well_being_and_attraction() -> None:
    assert emotions_of({(DESIRABILITY, NIL): 5}) == [("Joy", 5, "")]
    assert emotions_of({(DESIRABILITY, NIL): -5}) == [("Distress", 5, "")]
    assert emotions_of({(LIKE, NIL): 5}) == [("Love", 3.5, "Ana")]
    assert emotions_of({(LIKE, NIL): -5}) == [("Hate", 3.5, "Ana")]
    assert emotions_of({(LIKE, NIL): 5, (DESIRABILITY, NIL): 2}) == [("Love", 3.5, "Ana"), ("Joy", 2, "")]


@pytest.mark.parametrize(
    ("before", "change", "expected", "after"),
    [
        (0.5, 0.0, ("Hope", 0), 0.5),
        (0.5, 0.2, ("Hope", 0.7 * 8), 0.7),
        (0.5, 0.5, ("Relief", 8), 1.0),
        (0.6, 0.4, ("Satisfaction", 8), 1.0),
        (0.2, 3.0, ("Relief", 8), 1.0),
        (0.5, -0.2, ("Fear", 0.7 * 8), 0.3),
        (0.5, -0.5, ("Disappointment", 8), 0.0),
        (0.4, -0.4, ("Fears-Confirmed", 8), 0.0),
        (0.4, -3.0, ("Fears-Confirmed", 8), 0.0),
    ],
)
def test_prospects(before: float, change: float, expected: tuple[str, float], after: float) -> None:
    found, goals = derive({(GOAL, Name("win")): change}, ANA, {"Win": Goal("Win", 8, before)})
    assert [(a.type.name, pytest.approx(a.potential), a.goal) for a in found] == [(*expected, "Win")]
    assert goals["Win"].likelihood == pytest.approx(after)


def test_a_goal_nobody_has() -> None:
    assert derive({(GOAL, Name("Win")): 1.0}, ANA, {}) == ([], {})


def test_the_worked_example() -> None:
    """d = 5 and p = 10 of the agent itself, threshold 5: potential 7.5, intensity 2.5, mood 0.75."""
    (appraised,), _ = derive({(DESIRABILITY, NIL): 5, (PRAISEWORTHINESS, NIL): 10}, ANA, {})
    state, emotion = EmotionalState().feel(appraised, Disposition(5, 8), EVENT, 0, 0, SETTINGS)
    assert emotion is not None
    assert (emotion.type, emotion.potential, emotion.intensity, emotion.target) == ("Gratification", 7.5, 2.5, "SELF")
    assert state.mood(0, SETTINGS) == 0.75


def feel(state: EmotionalState, name: str, potential: float, *, cause: int = 0, at_s: float = 0, **more: str) -> EmotionalState:
    appraised = Appraised(OCC[name], potential, Name(more["target"]) if "target" in more else None, more.get("goal", ""))
    return state.feel(appraised, Disposition(), EVENT, cause, round(at_s * SECOND), SETTINGS)[0]


def test_emotions_and_mood_of_a_character_that_the_toolkit_saved() -> None:
    """John-output.rpc of its tutorials: three potentials of 6, each seen through the mood that those before it made."""
    state = feel(feel(feel(EmotionalState(), "Gratitude", 6), "Joy", 6), "Admiration", 6)
    assert [e.intensity for e in state.pool] == pytest.approx([5, 5.45, 5.9405])
    assert state.mood(0, SETTINGS) == pytest.approx(4.91715)


def test_decay() -> None:
    state = feel(EmotionalState(), "Joy", 9)
    assert [e.intensity for e in state.emotions(15 * SECOND, SETTINGS)] == pytest.approx([4])
    assert [e.intensity for e in state.emotions(30 * SECOND, SETTINGS)] == pytest.approx([2])
    assert state.emotions(93 * SECOND, SETTINGS) and not state.emotions(95 * SECOND, SETTINGS)  # 8 2^(-t/15) = 0.1 at 94.8
    assert state.mood(60 * SECOND, SETTINGS) == pytest.approx(1.2)
    assert state.mood(135 * SECOND, SETTINGS) == pytest.approx(2.4 * 2 ** (-135 / 60))
    assert state.mood(136 * SECOND, SETTINGS) == 0  # 2.4 2^(-t/60) = 0.5 at 135.8
    assert state.forget(95 * SECOND, SETTINGS).pool == ()
    quick, _ = EmotionalState().feel(Appraised(OCC["Joy"], 9), Disposition(1, 2), EVENT, 0, 0, SETTINGS)
    assert [e.intensity for e in quick.emotions(15 * SECOND, SETTINGS)] == pytest.approx([2])
    slow = Settings(tick_s=60.0)
    assert [e.intensity for e in state.emotions(15 * 60 * SECOND, slow)] == pytest.approx([4])


def test_small_moods_are_neutral() -> None:
    state = feel(EmotionalState(), "Joy", 2.6)  # intensity 1.6, mood 0.48
    assert len(state.pool) == 1 and state.mood(0, SETTINGS) == 0
    assert feel(EmotionalState(), "Joy", 2.7).mood(0, SETTINGS) == pytest.approx(0.51)


def test_hope_and_fear_leave_the_mood_alone() -> None:
    for name in ("Hope", "Fear"):
        state = feel(EmotionalState(), name, 9)
        assert len(state.pool) == 1 and state.mood(0, SETTINGS) == 0


def test_mood_colours_what_is_felt() -> None:
    good = EmotionalState(mood_value=10.0)
    assert [e.intensity for e in feel(good, "Joy", 2).pool] == [4.0]
    assert feel(good, "Distress", 3.9).pool == ()
    assert feel(good, "Joy", 0).pool == ()  # nothing was appraised, so nothing is felt


def test_threshold_is_exclusive_and_intensity_is_capped() -> None:
    assert feel(EmotionalState(), "Joy", 1).pool == ()
    assert feel(EmotionalState(), "Joy", 100).pool[0].intensity == 10


def test_one_event_appraised_again_moves_the_mood_once() -> None:
    state = feel(feel(EmotionalState(), "Joy", 6), "Joy", 9)
    assert [e.intensity for e in state.pool] == pytest.approx([8.45])
    assert state.mood(0, SETTINGS) == 1.5
    two = feel(feel(EmotionalState(), "Happy-For", 6, target="Ana"), "Happy-For", 6, target="Bob")
    assert len(two.pool) == 2 and two.mood(0, SETTINGS) > 1.5


def test_reinforcement() -> None:
    assert reinforced(3, 3) == pytest.approx(3 + math.log(2))
    assert reinforced(7, 2) == pytest.approx(math.log(math.exp(7) + math.exp(2)))
    assert reinforced(1000, 2) == 1000
    low = property_change("Battery(SELF)", 5)
    joy, distress = Appraised(OCC["Joy"], 4), Appraised(OCC["Distress"], 4)
    state, _ = EmotionalState().feel(distress, Disposition(), low, 0, 0, Settings(mood_to_emotion=0))
    again, emotion = state.feel(distress, Disposition(), low, 1, 0, Settings(mood_to_emotion=0))
    assert emotion is not None and emotion.potential == pytest.approx(4 + math.log(2)) and len(again.pool) == 1
    other, emotion = state.feel(joy, Disposition(), low, 1, 0, Settings(mood_to_emotion=0))
    assert emotion is not None and emotion.potential == 4 and [e.type for e in other.pool] == ["Joy"]
    else_, _ = state.feel(distress, Disposition(), property_change("Rain(Here)", True), 1, 0, SETTINGS)
    assert len(else_.pool) == 2


def test_settings_name_every_problem() -> None:
    with pytest.raises(ValueError) as caught:
        Settings(tick_s=0, half_life_base=1, neutral_mood=float("nan"), goal_value="x", remember_events=-1, emotion_to_mood=2)
    for name in ("tick_s", "half_life_base", "neutral_mood", "goal_value", "remember_events", "emotion_to_mood"):
        assert name in str(caught.value)


@pytest.mark.parametrize("values", [(-1, 1), (1, 11), (float("nan"), 1), (True, 1)])
def test_bad_dispositions(values: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"expected a (threshold|decay) in \[0, 10\]"):
        Disposition(*values)


@pytest.mark.parametrize("values", [(-1, 0.5), (11, 0.5), (5, -0.1), (5, 1.1), (5, float("nan"))])
def test_bad_goals(values: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="goal Win: expected a"):
        Goal("Win", *values)


def test_the_types() -> None:
    assert len(OCC) == 22 and {t.family for t in OCC.values()} == set(FAMILIES)
    for kind in OCC.values():
        assert all(-1 <= axis <= 1 for axis in (kind.affect.valence, kind.affect.arousal, kind.affect.dominance))
        assert kind.valence * kind.affect.valence > 0
    good = {name for name, kind in OCC.items() if kind.valence > 0}
    assert good == {
        *("Joy", "Happy-For", "Gloating", "Pride", "Admiration", "Love", "Gratification", "Gratitude"),
        *("Hope", "Satisfaction", "Relief"),
    }
    assert emotion_type("pitty") is emotion_type("PITY") is OCC["Pity"]
    with pytest.raises(ValueError, match=r"Fears-Confirmed.*got 'Bliss'"):
        emotion_type("Bliss")


def test_the_octants_of_the_table() -> None:
    """The signs of pleasure, arousal and dominance, as the text of the table's source names the octants."""
    octants = {
        "+++": ["Gratification", "Happy-For", "Joy", "Love", "Pride"],  # exuberant
        "++-": ["Admiration", "Gratitude", "Hope"],  # dependent
        "+-+": ["Relief", "Satisfaction"],  # relaxed
        "+--": ["Gloating"],  # docile
        "-++": ["Anger", "Hate"],  # hostile
        "-+-": ["Disappointment", "Fear", "Remorse", "Shame"],  # anxious
        "--+": ["Reproach"],  # disdainful
        "---": ["Distress", "Fears-Confirmed", "Pity", "Resentment"],  # bored
    }
    found: dict[str, list[str]] = {}
    for name, kind in sorted(OCC.items()):
        axes = kind.affect.valence, kind.affect.arousal, kind.affect.dominance
        found.setdefault("".join("+" if axis > 0 else "-" for axis in axes), []).append(name)
    assert found == octants


def test_affect() -> None:
    anger = feel(EmotionalState(), "Anger", 6).pool[0]
    joy = feel(EmotionalState(), "Joy", 2).pool[0]
    affect, weight = affect_of(anger)
    assert (affect.valence, affect.arousal, affect.dominance, weight) == (-0.51, 0.59, 0.25, 0.5)
    mean, weight = affect_of_all([anger, joy])
    assert weight == 0.5 and mean.valence == pytest.approx((-0.51 * 5 + 0.4) / 6)
    assert affect_of_all([])[1] == 0


POTENTIALS = st.floats(0, 100)
FELT = st.lists(st.tuples(st.sampled_from(sorted(OCC)), POTENTIALS, st.integers(0, 100)), max_size=12)


@given(FELT, st.builds(Disposition, st.floats(0, 10), st.floats(0, 10)), st.floats(0, 1), st.floats(0, 1))
def test_bounds(felt: list[tuple[str, float, int]], disposition: Disposition, to_mood: float, to_emotion: float) -> None:
    """Intensity in [0, 10], mood in [-10, 10] and never between 0 and neutral, nothing felt below its threshold."""
    settings = Settings(emotion_to_mood=to_mood, mood_to_emotion=to_emotion)
    state, now = EmotionalState(), 0
    for cause, (name, potential, seconds) in enumerate(felt):
        now += seconds * SECOND
        mood = state.mood(now, settings)
        state, emotion = state.feel(Appraised(OCC[name], potential), disposition, EVENT, cause, now, settings)
        seen = potential + OCC[name].valence * mood * to_emotion if potential else 0
        assert (emotion is not None) == (max(0, seen) > disposition.threshold)
        for e in state.emotions(now, settings):
            assert settings.forget_at < e.intensity <= 10
        assert state.mood(now, settings) == 0 or 0.5 <= abs(state.mood(now, settings)) <= 10


@given(st.floats(0.2, 10), st.floats(0, 10), st.lists(st.integers(0, 10**13), min_size=2, max_size=6))
def test_decay_is_monotone(intensity: float, decay: float, times: list[int]) -> None:
    emotion = Emotion("Joy", intensity, "", "", str(EVENT), 0, "#0", 0, 1.0, decay)
    left = [faded(emotion, t, SETTINGS).intensity for t in sorted(times)]
    assert left == sorted(left, reverse=True) and all(0 <= i <= intensity for i in left)
    moods = [EmotionalState(mood_value=-intensity).mood(t, SETTINGS) for t in sorted(times)]
    assert moods == sorted(moods)


@given(FELT)
def test_strongest_first_and_of_equals_the_oldest(felt: list[tuple[str, float, int]]) -> None:
    state = EmotionalState()
    for cause, (name, potential, _) in enumerate(felt):
        state = feel(state, name, potential, cause=cause)
    order = [(-e.intensity, e.cause) for e in state.emotions(0, SETTINGS)]
    assert order == sorted(order)
