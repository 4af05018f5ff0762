"""The planner's rules, and a classifier beside them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from affectrt.affect import Evidence, Fusion
from affectrt.dialogue.strategy import (
    RULES,
    STRATEGIES,
    Plan,
    Planner,
    PreferenceMonitor,
    Situation,
    Stage,
    Strategy,
    TextClassifier,
    asks_for_advice,
    stage_of,
)
from affectrt.dialogue.strategy.rules import WEIGHTS
from affectrt.perception import TextObservation
from hypothesis import given
from hypothesis import strategies as st

SAD = Situation(0, valence=-0.7, arousal=-0.2, confidence=0.8)
GLAD = Situation(0, valence=0.8, arousal=0.5, confidence=0.8)
situations = st.builds(
    Situation,
    st.integers(0, 50),
    st.floats(-1, 1),
    st.floats(-1, 1),
    st.floats(0, 1),
    st.floats(0, 1),
    st.booleans(),
    st.booleans(),
    st.lists(st.sampled_from(STRATEGIES), max_size=4).map(tuple),
)


def chosen(situation, **more):
    return Planner().plan(replace(situation, **more)).strategy


def test_a_table_of_situations():
    assert chosen(Situation(0)) is Strategy.QUESTION  # nothing is known
    assert chosen(SAD, turn=3) is Strategy.REFLECTION
    assert chosen(SAD, turn=3, conflict=0.6) is Strategy.QUESTION  # a smile with sad words: no feeling is put into their mouth
    assert chosen(SAD, turn=3, confidence=0.1) is not Strategy.REFLECTION
    assert chosen(SAD, turn=1, asks_advice=True) is Strategy.SUGGESTIONS
    assert chosen(SAD, turn=8, valence=-0.3) in (Strategy.REFLECTION, Strategy.AFFIRMATION)  # bad, and no advice was asked for
    assert chosen(Situation(8, valence=0.0, confidence=0.8)) is Strategy.SUGGESTIONS
    assert chosen(GLAD, turn=3) is Strategy.AFFIRMATION
    assert chosen(Situation(6, confidence=0.9, asks_question=True), recent=(Strategy.SUGGESTIONS,)) is Strategy.INFORMATION


def test_no_question_after_question():
    plans, recent = [], ()
    for turn in range(6):
        plans.append(chosen(SAD, turn=turn, recent=recent))
        recent = (*recent, plans[-1])
    assert all(one is not other for one, other in pairwise(plans))
    assert Strategy.QUESTION in plans and Strategy.REFLECTION in plans


def test_stages():
    calm = Situation(0, confidence=0.9)
    stages = [stage_of(replace(calm, turn=turn)) for turn in range(7)]
    assert stages == [Stage.EXPLORATION] * 2 + [Stage.COMFORTING] * 3 + [Stage.ACTION] * 2
    assert stage_of(replace(calm, asks_advice=True)) is Stage.ACTION
    assert stage_of(Situation(9, valence=-0.9, confidence=0.9)) is Stage.COMFORTING
    assert stage_of(Situation(9)) is Stage.EXPLORATION
    for stage in Stage:
        assert sum(WEIGHTS[stage].values()) == pytest.approx(1) and set(WEIGHTS[stage]) == set(STRATEGIES)


@given(situations)
def test_a_plan_is_whole(situation):
    plan = Planner().plan(situation)
    again = Planner().plan(situation)
    assert plan.strategy is again.strategy and plan.scores.tolist() == again.scores.tolist()
    assert plan.scores.sum() == pytest.approx(1) and (plan.scores > 0).all() and not plan.scores.flags.writeable
    assert plan.strategy is STRATEGIES[int(plan.scores.argmax())] and plan.prompt == plan.strategy.prompt
    assert plan.reasons[0] == f"stage: {plan.stage}"
    assert {rule.reason for rule in RULES if rule.applies(situation)} == {rule.reason for rule in RULES} & set(plan.reasons)


@given(situations)
def test_advice_that_was_asked_for_gains(situation):
    index = Strategy.SUGGESTIONS.place
    without, asked = (Planner().plan(replace(situation, asks_advice=value, conflict=0.0)).scores[index] for value in (False, True))
    assert asked > without


@given(situations)
def test_no_advice_that_was_not_asked_for_while_they_feel_bad(situation):
    plan = Planner().plan(
        replace(situation, valence=min(situation.valence, -0.21), confidence=max(situation.confidence, 0.3), asks_advice=False)
    )
    assert plan.strategy is not Strategy.SUGGESTIONS


@given(situations)
def test_no_feeling_is_named_that_is_not_known(situation):
    assert Planner().plan(replace(situation, confidence=0.0)).strategy is not Strategy.REFLECTION


@pytest.mark.parametrize(
    "text",
    [
        "What should I do?",
        "How can I tell her",
        "any advice?",
        "Should I call him?",
        "what do you suggest",
        "Well, I need advice, please",
        "WHAT WOULD YOU DO",
    ],
)
def test_asks(text):
    assert asks_for_advice(text)


@pytest.mark.parametrize("text", ["", "I did what I should.", "She gave me a hand.", "What happened yesterday", "I advised him.", "😢"])
def test_does_not_ask(text):
    assert not asks_for_advice(text)


def test_from_a_state():
    fusion = Fusion()
    for source, valence in (("face", 0.8), ("text", -0.8)):
        fusion.add(Evidence(source, 10, 0.9, valence=valence, arousal=0.0))
    state = fusion.state(10)
    one = Situation.of(state, turn=2, text="What should I do?", recent=["question"])
    assert (one.valence, one.conflict, one.confidence) == (state.valence, state.conflict, state.confidence)
    assert one.asks_advice and one.asks_question and one.recent == (Strategy.QUESTION,)
    assert one.conflict > 0.25 and "agree" in Planner().plan(one).reasons[1]
    assert Situation.of(None, turn=0) == Situation(0)


@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        ({"turn": -1}, ValueError, "turn: expected at least 0, got -1"),
        ({"turn": 1.0}, TypeError, "turn: expected an int, got float"),
        ({"turn": True}, TypeError, "bool"),
        ({"turn": 0, "valence": -1.1}, ValueError, r"valence: .*\[-1, 1\], got -1.1"),
        ({"turn": 0, "confidence": -0.1}, ValueError, r"\[0, 1\]"),
        ({"turn": 0, "arousal": float("nan")}, ValueError, "arousal"),
        ({"turn": 0, "conflict": "high"}, TypeError, "conflict: expected a number, got str"),
        ({"turn": 0, "recent": ("chat",)}, ValueError, "chat"),
    ],
)
def test_no_situation(fields, error, said):
    with pytest.raises(error, match=said):
        Situation(**fields)


def test_a_classifier_has_its_say():
    sure = np.zeros(8)
    sure[Strategy.INFORMATION.place] = 1.0
    heard = []

    def classifier(history):
        heard.append(tuple(history))
        return sure

    planner = Planner(classifier)
    assert planner.plan(SAD).strategy is not Strategy.INFORMATION and not heard  # nothing was said: rules alone
    plan = planner.plan(SAD, ["hello", "I am sad"])
    assert plan.strategy is Strategy.INFORMATION and "classifier" in plan.reasons and heard == [("hello", "I am sad")]
    assert Planner(classifier, classifier_weight=0).plan(SAD, ["x"]).scores == pytest.approx(Planner().plan(SAD).scores)
    alone = Planner(lambda _: np.full(8, 0.125), classifier_weight=1).plan(SAD, ["x"])
    assert alone.scores == pytest.approx(np.full(8, 0.125)) and alone.strategy is Strategy.QUESTION
    for bad in (np.ones(7), np.full(8, np.nan), -np.ones(8)):
        with pytest.raises(ValueError, match="classifier"):
            Planner(lambda _, bad=bad: bad).plan(SAD, ["x"])
    with pytest.raises(ValueError, match="classifier_weight"):
        Planner(classifier_weight=1.5)


def test_debiasing_takes_a_favourite_back():
    monitor = PreferenceMonitor()
    situation = Situation(1)
    assert Planner().plan(situation).strategy is Strategy.QUESTION
    for right in STRATEGIES * 20:
        monitor.add(Strategy.QUESTION, right)
    plan = Planner().plan(situation, preferences=monitor.preferences)
    assert plan.strategy is not Strategy.QUESTION and plan.reasons[-1] == "debiased"


class Reader:
    def __init__(self, labels, probs):
        self.labels, self.probs, self.read = labels, probs, []

    def __call__(self, text, stamp_ns=None):
        self.read.append(text)
        return TextObservation(0, text, self.labels[0], (), self.labels, np.array(self.probs, np.float32), 0.0, 0.0, 0.5)


def test_a_text_pack_as_classifier():
    names = tuple(one.value.upper() for one in reversed(STRATEGIES))
    reader = Reader(names, [0.1, 0.2, 0.3, 0, 0, 0, 0, 0])
    result = TextClassifier(reader, turns=2)(["a", "b", "c"])
    assert reader.read == ["b\nc"]
    assert result == pytest.approx(np.array([0, 0, 0, 0, 0, 0.3, 0.2, 0.1]) / 0.6)
    assert TextClassifier(Reader(names, [0] * 8))(["?"]) == pytest.approx(np.full(8, 0.125))
    for labels in (names[:7], (*names[:7], "joy"), (*names[:7], names[0])):
        with pytest.raises(ValueError, match="Reflection of feelings"):
            TextClassifier(Reader(labels, [0] * 8))
    with pytest.raises(ValueError, match="turns"):
        TextClassifier(reader, turns=0)


def test_a_plan_that_was_made_elsewhere():
    plan = Plan.of("question", "comforting", reasons=["so I like it"])
    assert (plan.strategy, plan.stage, plan.reasons, plan.prompt) == (
        Strategy.QUESTION,
        Stage.COMFORTING,
        ("so I like it",),
        Strategy.QUESTION.prompt,
    )
    assert plan.scores.tolist() == [1, 0, 0, 0, 0, 0, 0, 0] and not plan.scores.flags.writeable
    assert Plan.of(Strategy.OTHERS, Stage.ACTION, line="Hum.").prompt == "Hum."
    for wrong in (("Singing", "action"), ("Question", "encore")):
        with pytest.raises(ValueError, match=wrong[0] if wrong[0] != "Question" else wrong[1]):
            Plan.of(*wrong)
    with pytest.raises(TypeError, match="reasons: expected several texts, got 'because'"):
        Plan.of("Question", "action", reasons="because")
