"""Explanations hold what was observed and nothing else."""

from __future__ import annotations

import json

import numpy as np
import pytest
from affectrt.affect import Evidence, Fusion
from affectrt.dialogue import Grammar
from affectrt.dialogue.explain import Clue, Explanation, check_text, explain, label_overlap, narrate
from affectrt.labels import FER7, GOEMOTIONS, TAXONOMIES
from affectrt.perception import UNKNOWN, ExpressionObservation, FaceObservation, TextObservation
from hypothesis import given
from hypothesis import strategies as st


def face(label="sad", reason="", blendshapes=None, confidence=0.8):
    probs = np.array([0.88 if one == label else 0.02 for one in FER7], np.float32)
    empty = np.zeros(0, np.float32)
    return FaceObservation(5, empty, empty, 0.9, 1, label, FER7, probs, probs, -0.6, -0.3, confidence, reason, None, blendshapes)


def words(text="I failed my exam.", label="disappointment", active=("disappointment", "sadness"), reason=""):
    probs = np.array([0.7 if one in active else 0.01 for one in GOEMOTIONS], np.float32)
    return TextObservation(6, text, label, active, GOEMOTIONS, probs, -0.5, -0.1, 0.7, reason)


def state_of(*observations):
    fusion = Fusion()
    for one in observations:
        if (evidence := Evidence.of(one)) is not None:
            fusion.add(evidence)
    return fusion.state(6)


def test_clues_of_a_sad_face_and_sad_words():
    seen, read = face(blendshapes={"mouthFrownLeft": 0.7, "mouthFrownRight": 0.6, "mouthSmileLeft": 0.9, "mouthSmileRight": 0.1}), words()
    why = explain(state_of(seen, read), [seen, read])
    assert {one.id for one in why.clues} == {
        "face:label:sad",
        "text:label:disappointment",
        "face:shape:mouthFrown",
        "text:label:sadness",
        "text:words",
    }
    assert why.labels[0] in ("sad", "sadness") and why.confidence > 0.5
    told = why.render()
    assert told == why.render() and "their face looks sad" in told and "as in a frown" in told and "smile" not in told
    assert "exam" not in told and check_text(told, why) == ()
    assert json.loads(json.dumps(why.to_dict()))["clues"][0]["source"] == why.clues[0].source


def test_what_is_unknown_is_said_to_be():
    seen = face(UNKNOWN, "tiny face", confidence=0.0)
    why = explain(state_of(seen), [seen])
    assert why.labels == () and why.confidence == 0
    assert why.render() == "How they feel is not known: their face tells nothing (tiny face)."
    assert explain(state_of()).render() == "How they feel is not known."
    assert check_text(why.render(), why) == ()


def test_a_contradiction_is_a_clue():
    fusion = Fusion()
    fusion.add(Evidence("face", 5, 0.9, valence=0.8, arousal=0.4, label="happy"))
    fusion.add(Evidence("voice", 6, 0.9, valence=-0.8, arousal=0.4))
    why = explain(fusion.state(6))
    assert "face and voice do not agree about valence" in why.render() or "voice and face do not agree about valence" in why.render()
    assert next(one for one in why.clues if one.source == "voice").kind == "place"  # a place was observed, no label
    assert "their voice sounds unpleasant and stirred" in why.render() and check_text(why.render(), why) == ()


def test_sources_of_any_name():
    fusion = Fusion()
    fusion.add(Evidence.of_event("praised", 3, valence=0.7, arousal=0.3))
    fusion.add(Evidence("wristband", 4, 0.5, arousal=0.9))
    why = explain(fusion.state(4))
    assert {one.id for one in why.clues} == {"event:label:praised", "wristband:place:even and stirred"}
    assert (
        "this happened: praised" in why.render()
        and "by wristband: even and stirred" in why.render()
        and check_text(why.render(), why) == ()
    )


labels = st.sampled_from(FER7)


@given(
    st.lists(labels, max_size=2),
    st.booleans(),
    st.dictionaries(st.sampled_from(["mouthSmileLeft", "mouthSmileRight", "jawOpen", "browInnerUp"]), st.floats(0, 1)),
)
def test_every_clue_is_in_the_input(seen, spoken, shapes):
    observations = [face(label, blendshapes=shapes) for label in seen] + ([words()] if spoken else [])
    why = explain(state_of(*observations), observations)
    known = {one.label for one in observations} | {label for one in observations for label in getattr(one, "active", ())}
    for clue in why.clues:
        assert clue.source in {"face" if isinstance(one, FaceObservation) else "text" for one in observations}
        if clue.kind == "label":
            assert clue.value in known
        elif clue.kind == "shape":
            sides = [value for name, value in shapes.items() if name.startswith(clue.value)]
            assert sides and min(sides) >= 0.5 and clue.confidence == pytest.approx(min(sides))
        elif clue.kind == "words":
            assert clue.value == words().text
        else:
            assert clue.kind == "conflict" and len(observations) > 1
    assert len({one.id for one in why.clues}) == len(why.clues)
    assert check_text(why.render(), why) == ()
    assert set(why.labels) <= set(TAXONOMIES["expression"].labels) | set(TAXONOMIES[state_of(*observations).taxonomy].labels)


WHY = Explanation(
    0,
    ("sad",),
    0.7,
    (
        Clue("face", "label", "sad", "their face looks sad", 0.8),
        Clue("text", "words", "I failed my exam.", 'they said "I failed my exam."', 1.0),
    ),
)


@pytest.mark.parametrize(
    "text",
    [
        "They look sad.",
        "Their sadness shows in the face.",
        'They said "I failed my exam", and look sad.',
        "",
        "The exam went wrong.",
        "It is not known.",
    ],
)
def test_backed(text):
    assert check_text(text, WHY) == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("They are angry.", "'angry'"),
        ("They look sad and afraid.", "'afraid'"),
        ("Tears run down.", "'tear'"),
        ("They were crying.", "'cry'"),
        ("Their brows are raised.", "'brow'"),
        ("They smiled.", "'smil'"),
        ("Their voice is low.", "nothing came from voice"),
        ('They said "I hate it".', "did not say 'I hate it'"),
        ("They said “my dog”.", "'my dog'"),
    ],
)
def test_invented(text, problem):
    assert any(problem in one for one in check_text(text, WHY))


def test_choice():
    chosen = WHY.choose(["face:label:sad"], ["sad"])
    assert [one.id for one in chosen.clues] == ["face:label:sad"] and chosen.labels == ("sad",)
    with pytest.raises(ValueError, match="'voice:label:angry', 'angry'"):
        WHY.choose(["face:label:sad", "voice:label:angry"], ["angry"])
    schema = WHY.schema()
    assert schema["properties"]["clues"]["items"]["enum"] == ["face:label:sad", "text:words"]
    assert explain(state_of()).schema()["properties"] == {"clues": {"const": []}, "labels": {"const": []}}
    for one in (WHY, explain(state_of())):
        assert Grammar.json_schema(one.schema()).is_json


BOTH = explain(state_of(face(), words()), [face(), words()])


def test_a_model_chooses_and_cannot_add():
    asked = []

    def ask(question, schema):
        asked.append(question)
        assert set(schema["properties"]["clues"]["items"]["enum"]) == {one.id for one in BOTH.clues if one.kind != "words"}
        return '{"clues": ["face:label:sad", "face:label:sad"], "labels": ["' + BOTH.labels[0] + '"]}'

    chosen = narrate(BOTH, ask)
    assert [one.id for one in chosen.clues] == ["face:label:sad"] and chosen.labels == BOTH.labels[:1]
    assert "exam" not in asked[0] and "their face looks sad" in asked[0]
    assert narrate(WHY, ask) is WHY and len(asked) == 1  # one clue to choose from: nobody is asked
    for bad in (
        "no",
        "[]",
        '{"clues": []}',
        '{"clues": "face", "labels": []}',
        '{"clues": [5], "labels": []}',
        None,
        {"clues": ["voice:label:sad"], "labels": []},
    ):
        with pytest.raises(ValueError, match="expected"):
            narrate(BOTH, lambda *_, bad=bad: bad)


def test_the_real_model_chooses(dialogue):
    chosen = narrate(BOTH, lambda question, schema: dialogue.ask(question, grammar=Grammar.json_schema(schema), max_tokens=120))
    assert chosen.clues and set(chosen.clues) <= set(BOTH.clues) and chosen.labels and check_text(chosen.render(), BOTH) == ()


def test_refused():
    with pytest.raises(TypeError, match="got str"):
        explain(state_of(), ["happy"])
    with pytest.raises(ValueError, match="most_labels"):
        explain(state_of(), most_labels=0)
    with pytest.raises(TypeError, match="NoneType"):
        check_text(None, WHY)


def test_an_expression_alone():
    probs = np.array([0.88 if one == "happy" else 0.02 for one in FER7], np.float32)
    seen = ExpressionObservation(1, "happy", FER7, probs, 0.8, 0.5, 0.9)
    assert explain(state_of(seen), [seen]).render().endswith(": their face looks happy.")


def test_overlap_by_hand():
    """Happiness and joy are one label, so are scared and afraid."""
    assert label_overlap(["happiness", "afraid", "proud"], ["joyful", "scared", "angry", "joy"]) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert label_overlap(["sad"], []) == (0, 0, 0) and label_overlap([], ["sad"]) == (0, 0, 0) and label_overlap([], []) == (1, 1, 1)
    for truth, predicted in (("sad", ["sad"]), (["sad"], "sad"), (["sad"], [None])):
        with pytest.raises(TypeError, match="expected labels in a list"):
            label_overlap(truth, predicted)
    assert label_overlap(["Sadness "], ["sad"]) == (1, 1, 1) and label_overlap(["wistful"], ["wistful", "sad"])[0] == 0.5
