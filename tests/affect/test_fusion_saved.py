"""A state that outlasts its process: saved, read again, moved to another clock; and whatever else the file may hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from affectrt.affect import Evidence, Fusion, FusionSettings
from affectrt.labels import Affect
from fusion_tools import SECOND, evidence
from hypothesis import given, settings
from hypothesis import strategies as st

HOW = FusionSettings(lateness_s=0.7, temperament=Affect(0.2, -0.1, 0.0), taxonomy="plutchik8")


def fused(given_: list[Evidence], settings_: FusionSettings = HOW) -> Fusion:
    fusion = Fusion(settings_)
    for one in given_:
        fusion.add(one)
    return fusion


def some() -> Fusion:
    return fused(
        [
            Evidence("face", 0, 0.9, valence=0.5, arousal=0.1, taxonomy="fer7", probs=(0.1, 0, 0, 0.6, 0.1, 0.1, 0.1), label="happy"),
            Evidence("face", 2 * SECOND, 0.8, valence=0.4, arousal=0.1),
            Evidence("text", 2 * SECOND, 0.7, valence=-0.3),
        ]
    )


@given(st.lists(evidence(), max_size=15), st.lists(evidence(span_ns=8 * SECOND), max_size=10))
def test_it_goes_on_as_if_nothing_had_been(before: list[Evidence], after: list[Evidence]) -> None:
    one = fused(sorted(before, key=Evidence.order))
    other = Fusion.from_json(one.to_json())
    assert other.to_json() == one.to_json() and other.settings == one.settings
    for more in after:
        assert one.add(more) == other.add(more)
    assert other.to_json() == one.to_json()
    assert other.state(9 * SECOND).to_json() == one.state(9 * SECOND).to_json()


@given(
    st.lists(evidence(), min_size=1, max_size=15),
    st.integers(-(10**15), 10**15),
    st.integers(0, 500),
    st.integers(0, 100 * SECOND),
    st.integers(0, 10 * SECOND),
)
def test_on_another_clock_it_has_faded_by_its_age(given_: list[Evidence], now_ns: int, age_s: int, later_ns: int, saved_after: int) -> None:
    one = fused(sorted(given_, key=Evidence.order))
    saved_ns = one.newest_ns + saved_after
    moved = Fusion.restore(one.to_json(saved_ns), stamp_ns=now_ns, age_s=age_s)
    by_ns = now_ns - (saved_ns + age_s * SECOND)
    wanted, found = one.state(saved_ns + age_s * SECOND + later_ns).to_dict(), moved.state(now_ns + later_ns).to_dict()
    for state in (found, *found["sources"]):
        state["stamp_ns"] -= by_ns
    assert found == wanted
    assert moved.newest_ns == one.newest_ns + by_ns


def test_yesterday_is_forgotten_and_half_an_hour_ago_is_not_quite() -> None:
    saved = fused([Evidence.of_event("scolded", 0, valence=-0.8, arousal=0.2)]).to_json()
    half = Fusion.restore(saved, stamp_ns=5 * SECOND, age_s=1800).state(5 * SECOND)
    day = Fusion.restore(saved, stamp_ns=5 * SECOND, age_s=86400).state(5 * SECOND)
    assert 0 < half.confidence < 0.01 and day.confidence == 0 and day.valence == 0.2


def test_a_restored_state_takes_what_comes_next() -> None:
    moved = Fusion.restore(some().to_json(), stamp_ns=0, age_s=0.5)
    assert moved.newest_ns == -SECOND // 2
    assert moved.add(Evidence("face", 0, 0.9, valence=-0.9, arousal=0.2))
    assert moved.state(0).valence < 0 and not moved.add(Evidence("face", -2 * SECOND, 0.9, valence=0.0))


def test_other_settings_may_be_given_if_they_fit() -> None:
    gloomy = FusionSettings(lateness_s=0.7, taxonomy="plutchik8", temperament=Affect(-0.9, -0.5, -0.5))
    assert Fusion.restore(some().to_json(), stamp_ns=0, age_s=1e6, settings=gloomy).state(0).valence == -0.9
    for wrong, said in ((FusionSettings(lateness_s=0.7), "taxonomy='plutchik8'"), (FusionSettings(taxonomy="plutchik8"), "lateness_s=0.7")):
        with pytest.raises(ValueError, match=f"expected {said} as saved"):
            Fusion.restore(some().to_json(), stamp_ns=0, age_s=1, settings=wrong)


def test_a_clock_too_far_away_is_refused() -> None:
    saved = fused([Evidence("face", 0, 0.9, valence=0.5), Evidence("face", SECOND, 0.9, valence=0.5)]).to_json()
    for stamp_ns in (-(2**63) + SECOND // 2, -(2**63)):
        with pytest.raises(ValueError, match=r"saved Fusion: \w+: expected a 64-bit number"):
            Fusion.restore(saved, stamp_ns=stamp_ns, age_s=0.4)


def test_an_empty_one_is_saved_too() -> None:
    saved = Fusion(HOW).to_json()
    assert Fusion.from_json(saved).to_json() == saved
    assert Fusion.restore(saved, stamp_ns=7, age_s=3).newest_ns is None
    assert Fusion.from_json(Fusion(HOW).to_json(stamp_ns=5)).newest_ns is None


@pytest.mark.parametrize(("age", "error"), [(-1, ValueError), (float("nan"), ValueError), (float("inf"), ValueError), ("1", TypeError)])
def test_ages_that_are_none(age: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="age_s"):
        Fusion.restore(some().to_json(), stamp_ns=0, age_s=age)


@pytest.mark.parametrize(
    ("saved", "said"),
    [
        ("", "not the JSON that was expected"),
        ("{", "not the JSON that was expected"),
        ("[]", "expected an object with the format 'affectrt.fusion'"),
        ('{"format":"other"}', "expected an object with the format 'affectrt.fusion'"),
        ('{"format":"affectrt.fusion","version":2}', "expected version 1, got 2: written by another version of affectrt"),
        ('{"format":"affectrt.fusion","version":true}', "expected version 1"),
        ('{"format":"affectrt.fusion","version":1}', "missing saved_ns"),
        ('{"format":"affectrt.fusion","format":"affectrt.fusion"}', "the key 'format' is there twice"),
        ('{"a":NaN}', "NaN is no number"),
        ("[" * 100_000, "not the JSON that was expected"),
        (" " * ((16 << 20) + 1), "at most"),
    ],
    ids=["empty", "cut", "list", "other", "newer", "bool", "no keys", "twice", "nan", "deep", "long"],
)
def test_what_is_no_saved_fusion(saved: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Fusion.from_json(saved)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(leaf for key, item in inside for leaf in leaves(item, (*path, key)))]


ODD = [None, True, -1, 0, 5, 2**63, 1e308, -0.5, 0.5, "", "face", [], {}, [0.5] * 5, {"a": 1}]


@settings(max_examples=300)
@given(st.data())
def test_one_wrong_thing_is_refused_or_harmless(data: st.DataObject) -> None:
    document = json.loads(some().to_json())
    path = data.draw(st.sampled_from(leaves(document)[1:]))
    place = document
    for key in path[:-1]:
        place = place[key]
    if data.draw(st.booleans()):
        place[path[-1]] = data.draw(st.sampled_from(ODD))
    else:
        del place[path[-1]]
    try:
        fusion = Fusion.from_json(json.dumps(document))
    except ValueError as error:
        assert str(error).startswith("saved Fusion: ")
        return
    now = fusion.newest_ns if fusion.newest_ns is not None else 0
    state = fusion.state(now)
    assert -1 <= state.valence <= 1 and 0 <= state.confidence <= 1 and 0.999 < float(state.probs.sum()) < 1.001
    assert Fusion.from_json(fusion.to_json()).to_json() == fusion.to_json()


def test_evidence_in_the_wrong_place_is_refused() -> None:
    document = json.loads(some().to_json())
    document["sources"]["face"]["pending"] *= 2
    with pytest.raises(ValueError, match=r"sources\.face\.pending: expected evidence in order, each once"):
        Fusion.from_json(json.dumps(document))
    document["sources"]["face"]["pending"] = document["sources"]["text"]["pending"]
    with pytest.raises(ValueError, match=r"sources\.face\.pending: expected evidence of 'face'"):
        Fusion.from_json(json.dumps(document))
    for stamp_ns in (SECOND, 2 * SECOND + 1):  # settled long ago, and newer than the newest
        document = json.loads(some().to_json())
        document["sources"]["text"]["pending"][0]["stamp_ns"] = stamp_ns
        with pytest.raises(ValueError, match=r"sources\.text\.pending: expected evidence of 'text' from 1300000000 to 2000000000"):
            Fusion.from_json(json.dumps(document))
    for clock in ([0, 1.0, 1], [1, 1.0, 0]):  # a peak after the newest, a clock after the fold
        document = json.loads(some().to_json())
        document["sources"]["face"]["base"]["valence"] = [0.5, 1.0, *clock]
        with pytest.raises(ValueError, match=r"sources\.face\.base\.valence: expected peak_ns <= stamp_ns <= 0, got"):
            Fusion.from_json(json.dumps(document))
    document["sources"]["face"] = {"base": {"stamp_ns": 2 * SECOND, "label": "", "valence": [0.5, 1, 0, 1, 0]}, "pending": []}
    with pytest.raises(ValueError, match=r"sources\.face\.base: expected a stamp before"):
        Fusion.from_json(json.dumps(document))
