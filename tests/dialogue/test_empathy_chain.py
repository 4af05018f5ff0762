"""The chain of empathy (row 14): a record of fixed form, from whatever answers under its schema."""

from __future__ import annotations

import json

import pytest
from affectrt.dialogue.cause import find_causes
from affectrt.dialogue.conditioning import STAGES, EmpathyChain, chain_of_empathy, chain_schema, parse_chain
from affectrt.dialogue.conditioning.empathy import MAX_CHARS
from affectrt.dialogue.prompt import TurnLayer, assemble, feeling_word
from affectrt.expression import answer_to, expression_of
from affectrt.labels import GOEMOTIONS
from hypothesis import given
from hypothesis import strategies as st
from prompt_attacks import ATTACKS

EMOTIONS = ("joy", "sadness", "anger")
SAID = "My dog died last week and the house is so quiet."
FULL = {
    "scenario": "Their dog died.",
    "emotion": "sadness",
    "cause": "dog died last week",
    "goal": "Comfort them.",
    "response": "I am sorry.",
}


def answers(**changes):
    """A stand-in for a model under a grammar: it writes what the schema asks for."""

    def ask(question, schema):
        ask.questions.append(question)
        assert schema["required"] == list(schema["properties"]) and schema["additionalProperties"] is False
        return json.dumps({stage: {**FULL, **changes}[stage] for stage in schema["required"]})

    ask.questions = []
    return ask


def test_all_five():
    chain = chain_of_empathy(SAID, answers(), emotions=EMOTIONS)
    assert (chain.scenario, chain.emotion, chain.goal, chain.response) == ("Their dog died.", "sadness", "Comfort them.", "I am sorry.")
    assert chain.cause.text == "dog died last week" == SAID[chain.cause.start : chain.cause.end]
    assert chain.asked == STAGES


def test_what_small_models_know_is_not_asked():
    ask = answers()
    said = "I cry all day because my dog died."
    cause = find_causes(said)[0].quote
    chain = chain_of_empathy(said, ask, emotions=EMOTIONS, emotion="grief", cause=cause)
    assert (chain.emotion, chain.cause, chain.asked) == ("grief", cause, ("scenario", "goal", "response"))
    assert ask.questions == [
        'Someone says "I cry all day because my dog died."\nThey feel grieving.\nIt is about "my dog died".\n'
        "Answer with JSON: scenario: what happened to them; goal: what a kind answer should do; response: the kind answer itself."
    ]

    def nobody(question, schema):
        raise AssertionError("asked")

    known = chain_of_empathy(said, nobody, emotions=EMOTIONS, emotion="grief", cause=cause, stages=("emotion", "cause"))
    assert known == EmpathyChain(emotion="grief", cause=cause)


@given(st.lists(st.sampled_from(STAGES), min_size=1, max_size=5, unique=True))
def test_any_stage_can_be_absent(stages):
    chain = chain_of_empathy(SAID, answers(), emotions=EMOTIONS, stages=stages)
    assert chain.asked == tuple(stage for stage in STAGES if stage in stages)
    for stage in STAGES:
        assert (getattr(chain, stage) is None) == (stage not in stages)
    assert list(chain_schema(EMOTIONS, stages)["properties"]) == list(chain.asked)


def test_a_cause_that_was_never_said_is_absent():
    assert chain_of_empathy(SAID, answers(cause="the tax office"), emotions=EMOTIONS).cause is None


def test_one_emotion_reaches_the_prompt_and_the_face():
    for emotion in GOEMOTIONS:
        chain = EmpathyChain(emotion=emotion, goal="Listen.\nAnd nod.")
        prompt = assemble([TurnLayer(SAID), chain.state, chain.strategy])
        if emotion != "neutral":
            assert prompt.note.startswith(f"You hear that I sound {feeling_word(emotion)}.\n")
        assert prompt.note.endswith("Listen. And nod.")
        assert answer_to(expression_of(chain.emotion, 0.0, 0.0)).name
    assert EmpathyChain().state.render() == "" and EmpathyChain().strategy is None


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"emotion": "boredom"}, "emotion: expected one of joy, sadness, anger, got 'boredom'"),
        ({"goal": ""}, "goal: expected a text"),
        ({"goal": None}, "goal: expected a text"),
        ({"response": 7}, "response: expected a text"),
        ({"scenario": "x" * (MAX_CHARS["scenario"] + 1)}, "scenario: expected at most 160 characters, got 161"),
    ],
)
def test_what_does_not_fit_is_refused(change, match):
    with pytest.raises(ValueError, match=match):
        parse_chain({**FULL, **change}, SAID, EMOTIONS)


@pytest.mark.parametrize(
    "answer", ["", "{", "[]", "null", '"x"', "{}", "[" * 100_000, json.dumps({**FULL, "extra": "x"}), *ATTACKS.values()]
)
def test_what_is_no_record(answer):
    with pytest.raises(ValueError, match="chain:"):
        parse_chain(answer, SAID, EMOTIONS)


@given(st.text(max_size=100))
def test_open_answers(answer):
    with pytest.raises(ValueError, match="chain:"):
        parse_chain(answer, SAID, EMOTIONS)


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_what_was_said_stays_a_quotation(attack):
    ask = answers()
    chain_of_empathy(ATTACKS[attack], ask, emotions=EMOTIONS)
    first, second = ask.questions[0].split("\n")
    assert first.startswith('Someone says "') and first.endswith('"') and first.count('"') == 2
    assert second.startswith("Answer with JSON: ")


def test_bad_arguments():
    cause = find_causes("I cry because my dog died.")[0].quote
    for change, match in (
        ({"stages": ()}, "stages"),
        ({"stages": "cause"}, "stages"),
        ({"stages": ("cause", "cause")}, "stages"),
        ({"stages": ("why",)}, "stages"),
        ({"emotions": ()}, "emotions"),
        ({"emotions": ("joy", "joy")}, "emotions"),
        ({"cause": cause}, "cause: expected a part of what was said"),
        ({"emotion": "123"}, "emotion: expected a name"),
        ({"said": " "}, "said"),
    ):
        with pytest.raises(ValueError, match=match):
            chain_of_empathy(**{"said": SAID, "ask": answers(), "emotions": EMOTIONS, **change})
