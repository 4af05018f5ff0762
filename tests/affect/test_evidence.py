"""Evidence made of observations and events, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from affectrt.affect import Evidence, Fusion
from affectrt.affect import checks as affect_checks
from affectrt.labels import TAXONOMIES
from affectrt.perception.observation import ExpressionObservation, FaceObservation, TextObservation
from fusion_tools import evidence
from hypothesis import given
from hypothesis import strategies as st

FER7 = TAXONOMIES["fer7"].labels


def seen(label: str = "happy", labels: tuple[str, ...] = FER7, **more: Any) -> ExpressionObservation:
    probs = np.array([0.9 if one == label else 0.1 / 6 for one in labels], np.float32)
    values = {"stamp_ns": 7, "label": label, "labels": labels, "probs": probs, "valence": 0.7, "arousal": 0.4, "confidence": 0.9} | more
    return ExpressionObservation(**values)


def read(label: str = "joy", **more: Any) -> TextObservation:
    labels = TAXONOMIES["goemotions28"].labels
    probs = np.array([0.8 if one == label else 0.05 for one in labels], np.float32)
    values = {"stamp_ns": 9, "text": "secret", "label": label, "active": (label,), "labels": labels, "probs": probs}
    return TextObservation(**(values | {"valence": 0.6, "arousal": 0.3, "confidence": 0.8, "dominance": 0.2} | more))


def test_what_a_face_says() -> None:
    one = Evidence.of(seen())
    assert one is not None
    assert (one.source, one.stamp_ns, one.confidence, one.valence, one.arousal, one.dominance) == ("face", 7, 0.9, 0.7, 0.4, 0.0)
    assert one.taxonomy == "fer7" and one.label == "happy" and not one.multi_label
    assert one.probs == tuple(seen().probs.tolist())


def test_what_a_face_of_a_track_says(astronaut: np.ndarray, face: Any) -> None:
    (observation,) = face(astronaut, 3)
    assert isinstance(observation, FaceObservation)
    one = Evidence.of(observation, source="left camera")
    assert one is not None and one.source == "left camera" and one.label == observation.label
    fusion = Fusion()
    assert fusion.add(one) and fusion.state(3).label == "joy" and fusion.state(3).valence > 0.3


def test_what_words_say_without_the_words() -> None:
    one = Evidence.of(read())
    assert one is not None and one.source == "text" and one.multi_label and one.dominance == 0.2
    assert "secret" not in json.dumps(one.to_dict())
    single = Evidence.of(read(probs=np.full(28, 1 / 28, np.float32)))
    assert single is not None and not single.multi_label


@pytest.mark.parametrize("observation", [seen(label="unknown"), read(label="unknown", reason="uncertain")])
def test_unknown_says_nothing(observation: Any) -> None:
    assert Evidence.of(observation) is None


def test_labels_in_another_order_are_the_same() -> None:
    turned = seen(labels=FER7[::-1])
    assert Evidence.of(turned) == Evidence.of(seen())


def test_labels_of_nobody_leave_the_place() -> None:
    one = Evidence.of(seen(label="smug", labels=("smug", "plain", "c", "d", "e", "f", "g")))
    assert one is not None and one.taxonomy is None and one.probs is None and one.valence == 0.7
    assert Evidence.of(read(probs=np.zeros(28, np.float32))).taxonomy is None  # type: ignore[union-attr]


def test_rounding_of_float32_is_no_error() -> None:
    probs = np.array([1.0000001, 0, 0, 0, 0, 0, 0], np.float32)
    assert Evidence.of(seen(probs=probs)).probs == (1.0, 0, 0, 0, 0, 0, 0)  # type: ignore[union-attr]


def test_what_is_no_observation() -> None:
    with pytest.raises(TypeError, match="expected a FaceObservation, ExpressionObservation or TextObservation, got str"):
        Evidence.of("happy")  # type: ignore[arg-type]


def test_an_event() -> None:
    one = Evidence.of_event("praised", 5, valence=0.6, arousal=0.3, weight=0.5)
    assert one == Evidence("event", 5, 0.5, valence=0.6, arousal=0.3, label="praised")
    with pytest.raises(ValueError, match="name: expected a name"):
        Evidence.of_event("", 5, valence=0.6, arousal=0.3)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"source": ""}, "source"),
    ({"source": 3}, "source"),
    ({"source": "x" * 201}, "at most 200 characters"),
    ({"source": "\ud800"}, "surrogate"),
    ({"stamp_ns": 1.0}, "stamp_ns: expected an int"),
    ({"stamp_ns": True}, "stamp_ns: expected an int"),
    ({"stamp_ns": 2**63}, "64-bit"),
    ({"confidence": math.nan}, r"confidence: expected a number in \[0, 1\], got nan"),
    ({"confidence": -0.1}, "confidence"),
    ({"confidence": "1"}, "confidence: expected a number, got str"),
    ({"valence": math.nan}, r"valence: expected a number in \[-1, 1\], got nan"),
    ({"arousal": math.inf}, "arousal"),
    ({"dominance": 1.01}, "dominance"),
    ({"valence": True}, "valence"),
    ({"valence": 10**400}, "valence"),
    ({"valence": None}, "expected valence, arousal, dominance or probs, got none"),
    ({"taxonomy": "fer7"}, "expected both taxonomy and probs or neither"),
    ({"probs": (1.0,)}, "expected both taxonomy and probs or neither"),
    ({"taxonomy": "fer8", "probs": (1.0,)}, "fer8"),
    ({"taxonomy": 8, "probs": (1.0,)}, "taxonomy: expected a name"),
    ({"taxonomy": "fer7", "probs": (1.0,)}, "probs: expected 7, one for each label of fer7, got 1"),
    ({"taxonomy": "fer7", "probs": (0.0,) * 7}, "probs: expected one of at least"),
    ({"taxonomy": "fer7", "probs": (math.nan,) * 7}, "probs: expected a number in"),
    ({"taxonomy": "fer7", "probs": (1.5,) * 7}, "probs: expected a number in"),
    ({"taxonomy": "fer7", "probs": "happyyy"}, "probs: expected a sequence"),
    ({"taxonomy": "fer7", "probs": 0.5}, "probs: expected a sequence"),
    ({"multi_label": True}, "expected probs with multi_label=True"),
    ({"multi_label": 1}, "multi_label: expected a bool"),
    ({"label": 3}, "label: expected a str"),
]


@pytest.mark.parametrize(("fields", "said"), BAD, ids=[f"{next(iter(f))}-{i}" for i, (f, _) in enumerate(BAD)])
def test_nothing_wrong_becomes_evidence(fields: dict[str, Any], said: str) -> None:
    with pytest.raises((ValueError, TypeError), match=said):
        Evidence(**({"source": "face", "stamp_ns": 0, "confidence": 1.0, "valence": 0.5} | fields))


def test_numbers_of_numpy_are_numbers() -> None:
    one = Evidence("face", np.int64(5), np.float32(0.5), valence=np.float64(0.25), taxonomy="fer7", probs=np.full(7, 0.125, np.float32))  # type: ignore[arg-type]
    assert one == Evidence("face", 5, 0.5, valence=0.25, taxonomy="fer7", probs=(0.125,) * 7)
    assert {type(one.stamp_ns), type(one.confidence), type(one.valence)} == {int, float}


def test_minus_zero_is_zero() -> None:
    one, other = Evidence("face", 0, 0.5, valence=-0.0), Evidence("face", 0, 0.5, valence=0.0)
    assert affect_checks.canonical(one.to_dict()) == affect_checks.canonical(other.to_dict())


@given(evidence(), evidence())
def test_the_order_is_total_and_tells_what_is_equal(one: Evidence, other: Evidence) -> None:
    assert (one.order() == other.order()) == (one == other)
    assert (one.order() < other.order()) + (other.order() < one.order()) + (one == other) == 1
    assert one.order() != dataclasses.replace(one, label=one.label + "x").order()


@given(evidence())
def test_there_and_back(one: Evidence) -> None:
    line = affect_checks.canonical(one.to_dict())
    assert Evidence.from_dict(json.loads(line)) == one
    assert affect_checks.canonical(Evidence.from_dict(json.loads(line)).to_dict()) == line


@pytest.mark.parametrize("wrong", [[], None, {}, {"source": "a", "stamp_ns": 0, "confidence": 1, "mood": 1}])
def test_other_objects_are_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="evidence: expected"):
        Evidence.from_dict(wrong)


LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@given(st.recursive(LEAF, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_no_object_breaks_it(value: object) -> None:
    with pytest.raises(ValueError):
        Evidence.from_dict({"source": "face", "stamp_ns": 0, "confidence": 0.5, "probs": value})
