"""One emotion on all channels; poses; symbols."""

from __future__ import annotations

import numpy as np
import pytest
from affectrt.expression import (
    ANSWERS,
    BLENDSHAPES,
    CHANNELS,
    GESTURES,
    POSES,
    SYMBOLS,
    Expression,
    FaceShape,
    Gesture,
    Icon,
    Performance,
    Symbol,
    answer_to,
    gesture_for,
    overlay,
    perform,
    pose,
    prosody_for,
    symbol_for,
)
from affectrt.labels import EXPRESSION_AFFECT, EXPRESSIONS, TAXONOMIES
from affectrt.packs import open_pack
from hypothesis import given
from hypothesis import strategies as st

unit = st.floats(0, 1)


def test_the_52_names_are_those_of_the_pack():
    assert tuple(label.name for label in open_pack("blendshapes-52").labels) == BLENDSHAPES and len(BLENDSHAPES) == 52


def test_every_expression_has_a_pose_of_its_own():
    assert set(POSES) == set(EXPRESSIONS)
    shown = {name: np.array(list(POSES[name].values())) for name in EXPRESSIONS}
    for name, values in shown.items():
        assert tuple(POSES[name]) == BLENDSHAPES and ((values >= 0) & (values <= 1)).all()
        assert values.any() == (name != "neutral")
        # No face smiles and frowns, or is both wide-eyed and asleep.
        one = POSES[name]
        assert min(one["mouthSmileLeft"], one["mouthFrownLeft"]) == 0 and min(one["eyeBlinkLeft"], one["eyeWideLeft"]) == 0
        assert min(one["eyeLookUpLeft"], one["eyeLookDownLeft"]) == 0
        for other in EXPRESSIONS:
            assert name == other or np.abs(values - shown[other]).max() > 0.15, (name, other)


@given(st.sampled_from(EXPRESSIONS), unit)
def test_intensity_scales_a_pose(name, intensity):
    shapes = pose(name, intensity)
    assert list(shapes) == list(BLENDSHAPES) and not any(pose(name, 0.0).values())
    for shape, value in shapes.items():
        assert value == POSES[name][shape] * intensity and 0 <= value <= 1


def test_smiles_and_frowns_are_where_they_belong():
    """The action units: 12 for joy, 4 for anger, 1 and 15 for sadness, 5 for surprise and fear, 9 for disgust."""
    at = {name: max(EXPRESSIONS, key=lambda e, n=name: POSES[e][n]) for name in ("mouthSmileLeft", "browDownLeft", "mouthFrownLeft")}
    assert at == {"mouthSmileLeft": "excited", "browDownLeft": "furious", "mouthFrownLeft": "despaired"}
    for name, shape in (("happy", "mouthSmileLeft"), ("angry", "browDownLeft"), ("sad", "browInnerUp"), ("disgusted", "noseSneerLeft")):
        assert POSES[name][shape] == max(POSES[name].values())
    assert POSES["surprised"]["eyeWideLeft"] > 0.5 and POSES["scared"]["eyeWideRight"] > 0.5 and POSES["asleep"]["eyeBlinkLeft"] == 1


@given(st.sampled_from(EXPRESSIONS), unit, st.lists(st.sampled_from(CHANNELS), unique=True))
def test_one_emotion_reaches_every_channel(name, intensity, channels):
    show = perform(name, intensity, channels=channels)
    for channel in CHANNELS:
        part = getattr(show, channel)
        assert (part is not None) == (channel in channels)
        assert part is None or part.emotion == name == show.expression.name
    place = EXPRESSION_AFFECT[name]
    assert (show.expression.valence, show.expression.arousal) == (place.valence * intensity, place.arousal * intensity)
    if show.prosody is not None:
        assert 0.75 <= show.prosody.rate <= 1.3 and 0.8 <= show.prosody.pitch <= 1.25 and 0.7 <= show.prosody.volume <= 1.3
    if show.gesture is not None:
        assert show.gesture.token in GESTURES and show.gesture.amplitude == intensity
    if show.face is not None:
        assert dict(show.face.blendshapes) == pose(name, intensity)
    assert show.to_hri(0.5) == {
        "expression": name,
        "valence": show.expression.valence,
        "arousal": show.expression.arousal,
        "confidence": 0.5,
    }


def test_channels_that_disagree_are_refused():
    happy = Expression("happy", 0.8, 0.5)
    with pytest.raises(ValueError, match="every channel to show happy, got gesture sad, emoji angry"):
        Performance(happy, 1.0, FaceShape("happy", {}), Gesture("sad", "nod", 1.0), prosody_for(happy), Icon("angry", symbol_for("angry")))


@pytest.mark.parametrize("taxonomy", list(TAXONOMIES))
def test_any_label_of_any_taxonomy(taxonomy):
    for label in TAXONOMIES[taxonomy].labels:
        show = perform(label, taxonomy=taxonomy)
        assert show.expression.name in EXPRESSIONS and str(show.emoji) and str(show.kaomoji)
    assert perform("nervousness", taxonomy="goemotions28").expression.name == "vulnerable"


def test_an_answer_is_performed_as_it_is():
    answer = answer_to("despaired", 0.5)
    show = perform(answer, 0.5)
    assert show.expression is answer and show.prosody == prosody_for(answer) and answer.name == ANSWERS["despaired"]


def test_voices():
    neutral, excited, sad = (prosody_for(perform(name).expression) for name in ("neutral", "excited", "sad"))
    assert (neutral.rate, neutral.pitch, neutral.volume) == (1, 1, 1)
    assert excited.rate > 1.1 and excited.pitch > 1.1 and excited.volume > 1.1
    assert sad.rate < 1 and sad.pitch < 1 and sad.volume < 1
    half = perform("excited", 0.5).prosody
    assert half is not None and 1 < half.rate < excited.rate


def test_a_chosen_icon():
    party = next(symbol for symbol in SYMBOLS if symbol.text == "🎉")
    show = perform("happy", icon=party)
    assert str(show.emoji) == "🎉" and show.emoji.emotion == "happy" and show.kaomoji.symbol is symbol_for("happy", "kaomoji")
    sticker = Symbol("cat_17.webp", "sticker")
    assert perform("happy", icon=sticker).emoji.symbol is sticker


def test_symbols():
    assert len({symbol.text for symbol in SYMBOLS}) == len(SYMBOLS) > 70
    for symbol in SYMBOLS:
        assert symbol.affect is not None and symbol.expression in EXPRESSIONS and symbol.words == symbol.words.lower() != ""
        assert " | " not in symbol.text + symbol.words and symbol.text.strip() == symbol.text
    for name in EXPRESSIONS:
        assert symbol_for(name).expression == name and symbol_for(name, "kaomoji").kind == "kaomoji"
    happy, sad = symbol_for("happy").affect, symbol_for("sad").affect
    assert happy.valence > 0.5 and sad.valence < -0.3


@given(st.integers(0, 5), st.sampled_from(EXPRESSIONS), unit, st.integers(0, 2**32 - 1))
def test_a_pose_over_speech(count, name, keep, seed):
    frames = np.random.default_rng(seed).random((count, 52), np.float32)
    shown = overlay(frames, pose(name), keep=keep)
    assert shown.shape == frames.shape and shown.dtype == np.float32 and ((shown >= 0) & (shown <= 1)).all()
    assert (shown >= frames).all()
    smile, brow = BLENDSHAPES.index("mouthSmileLeft"), BLENDSHAPES.index("browInnerUp")
    assert shown[:, brow] == pytest.approx(np.maximum(frames[:, brow], np.float32(POSES[name]["browInnerUp"])))
    assert shown[:, smile] == pytest.approx(np.minimum(frames[:, smile] + keep * POSES[name]["mouthSmileLeft"], 1), abs=1e-6)
    assert overlay(frames, {}, keep=keep) == pytest.approx(frames)


FRAMES = np.zeros((1, 52))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: perform("joyous"), "joyous"),
        (
            lambda: perform("Gratitude"),
            r"'Gratitude', .*; it is a label of goemotions28.*: perform\('Gratitude', taxonomy='goemotions28'\)",
        ),
        (lambda: perform("happy", 1.5), "intensity"),
        (lambda: perform("happy", float("nan")), "intensity"),
        (lambda: perform("happy", channels=["smell"]), "smell"),
        (lambda: perform("happy", channels="face"), "face"),
        (lambda: perform("happy", taxonomy="none"), "none"),
        (lambda: pose("joy"), "one of neutral"),
        (lambda: pose("happy", -0.1), "intensity"),
        (lambda: gesture_for("joy"), "one of neutral"),
        (lambda: gesture_for("happy", 2), "intensity"),
        (lambda: symbol_for("happy", "sticker"), "sticker"),
        (lambda: symbol_for("joy"), "joy"),
        (lambda: Symbol("", "emoji"), "empty"),
        (lambda: Symbol("x", "picture"), "picture"),
        (lambda: Symbol("x", "emoji", "joy"), "joy"),
        (lambda: overlay(np.zeros((2, 51)), {}), r"\(2, 51\)"),
        (lambda: overlay(FRAMES, {"smile": 1.0}), "smile"),
        (lambda: overlay(FRAMES + 2, {}), "frames"),
        (lambda: overlay(FRAMES, {"jawOpen": 2.0}), "expression"),
        (lambda: overlay(FRAMES, {}, keep=-1), "keep"),
    ],
)
def test_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()
