"""The state against its definition, and what must hold of it whatever comes, in whatever order."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from affectrt.affect import SOURCES, AffectState, Evidence, Fusion, FusionSettings, Source
from affectrt.affect.fusion import MAX_PENDING, MAX_SOURCES
from affectrt.affect.halving import halved
from affectrt.affect.vocabulary import translated
from affectrt.labels import TAXONOMIES, Affect, translate_probs
from fusion_tools import SECOND, evidence, reference, unit
from hypothesis import assume, given, settings
from hypothesis import strategies as st

LATE = FusionSettings(lateness_s=10.0)
TEMPER = Affect(0.3, -0.2, 0.1)


def fused(given_: list[Evidence], settings_: FusionSettings = LATE) -> Fusion:
    fusion = Fusion(settings_)
    for one in given_:
        fusion.add(one)
    return fusion


def face(stamp_ns: int, valence: float, arousal: float = 0.0, confidence: float = 1.0) -> Evidence:
    return Evidence("face", stamp_ns, confidence, valence=valence, arousal=arousal)


def text(stamp_ns: int, valence: float, arousal: float = 0.0, confidence: float = 1.0) -> Evidence:
    return Evidence("text", stamp_ns, confidence, valence=valence, arousal=arousal)


def check(state: AffectState, wanted: dict[str, object]) -> None:
    np.testing.assert_allclose([state.valence, state.arousal, state.dominance], wanted["axes"], atol=1e-9)
    np.testing.assert_allclose(state.probs, wanted["probs"], atol=1e-6)
    assert state.confidence == pytest.approx(wanted["confidence"], abs=1e-9)
    assert state.conflict == pytest.approx(wanted["conflict"], abs=1e-9)
    assert [one.source for one in state.sources] == wanted["sources"]


@settings(max_examples=150)
@given(st.lists(evidence(), max_size=25), st.lists(st.integers(0, 200 * SECOND), min_size=1, max_size=4), st.sampled_from([*TAXONOMIES]))
def test_the_state_is_what_its_definition_says(given_: list[Evidence], at: list[int], taxonomy: str) -> None:
    how = FusionSettings(taxonomy=taxonomy, lateness_s=10.0, temperament=TEMPER)
    fusion = fused(given_, how)
    for at_ns in at:
        check(fusion.state(at_ns), reference(given_, at_ns, how))


@settings(max_examples=60)
@given(st.lists(evidence(span_ns=3000 * SECOND), max_size=25), st.integers(0, 9000 * SECOND))
def test_what_lies_before_a_long_silence_is_forgotten(given_: list[Evidence], at_ns: int) -> None:
    how = FusionSettings(lateness_s=3000.0, max_jump_s=3000.0)
    check(fused(given_, how).state(at_ns), reference(given_, at_ns, how))


@given(st.lists(evidence(), min_size=1, max_size=25), st.randoms(use_true_random=False))
def test_order_of_arrival_within_the_lateness_changes_no_bit(given_: list[Evidence], shuffle: random.Random) -> None:
    how = FusionSettings(lateness_s=0.7)
    lateness_ns = int(how.lateness_s * 1e9)
    in_order = sorted(given_, key=Evidence.order)
    arrivals = sorted(given_, key=lambda one: one.stamp_ns + shuffle.randint(0, lateness_ns))
    asked, plain = Fusion(how), fused(in_order, how)
    for one in arrivals:
        asked.add(one)
        asked.state(asked.newest_ns + shuffle.randint(0, SECOND))  # asking changes nothing
    assert asked.late == plain.late == 0
    assert asked.to_json() == plain.to_json()
    for at_ns in (plain.settled_ns, plain.newest_ns - 1, plain.newest_ns, plain.newest_ns + SECOND):
        if at_ns >= plain.settled_ns:
            assert asked.state(at_ns).to_json() == plain.state(at_ns).to_json()


@given(st.lists(evidence(), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_what_is_too_late_is_counted_and_the_rest_is_as_if_it_had_never_come(given_: list[Evidence], shuffle: random.Random) -> None:
    how = FusionSettings(lateness_s=0.5)
    shuffle.shuffle(given_)
    fusion, newest, kept, late, repeated = Fusion(how), None, [], 0, 0
    for one in given_:
        too_late = newest is not None and one.stamp_ns < newest - SECOND // 2
        again = not too_late and one in kept
        assert fusion.add(one) is not (too_late or again)
        late, repeated = late + too_late, repeated + again
        if not too_late and not again:
            kept.append(one)
            newest = one.stamp_ns if newest is None else max(newest, one.stamp_ns)
    assert (fusion.taken, fusion.late, fusion.repeated) == (len(kept), late, repeated)
    for at_ns in (fusion.settled_ns, fusion.newest_ns, fusion.newest_ns + 3 * SECOND):
        check(fusion.state(at_ns), reference(kept, at_ns, how))


@given(st.lists(evidence(), min_size=1, max_size=15))
def test_every_number_is_in_its_range(given_: list[Evidence]) -> None:
    state = fused(given_).state(5 * SECOND)
    assert all(-1 <= value <= 1 for value in (state.valence, state.arousal, state.dominance))
    assert 0 <= state.confidence <= 1 and 0 <= state.conflict <= 1
    assert state.probs.dtype == np.float32 and state.probs.min() >= 0 and abs(float(state.probs.sum()) - 1) < 1e-5
    assert state.label in state.labels and (state.contradiction is None) == (state.conflict == 0)
    assert sum(one.share for one in state.sources) == pytest.approx(state.confidence, abs=1e-12)


@given(evidence(), st.lists(st.integers(0, 3000 * SECOND), min_size=2, max_size=8))
def test_alone_it_falls_back_to_the_temperament_step_by_step(one: Evidence, later: list[int]) -> None:
    fusion = fused([one], FusionSettings(temperament=TEMPER))
    states = [fusion.state(one.stamp_ns + after) for after in sorted(later)]
    for before, after in itertools.pairwise(states):
        assert after.confidence <= before.confidence
        for axis in ("valence", "arousal", "dominance"):
            rest = getattr(TEMPER, axis)
            assert abs(getattr(after, axis) - rest) <= abs(getattr(before, axis) - rest) + 1e-12


@given(st.lists(evidence(), max_size=15), st.lists(st.integers(4 * SECOND, 3000 * SECOND), min_size=2, max_size=6))
def test_confidence_never_rises_while_nothing_comes(given_: list[Evidence], at: list[int]) -> None:
    fusion = fused(given_)
    confidences = [fusion.state(at_ns).confidence for at_ns in sorted(at)]
    assert confidences == sorted(confidences, reverse=True)


def test_nothing_known_is_the_temperament() -> None:
    state = Fusion(FusionSettings(temperament=Affect(0.7, 0.4, 0.3))).state(5)
    assert (state.valence, state.arousal, state.dominance) == (0.7, 0.4, 0.3)
    assert (state.confidence, state.conflict, state.sources, state.label) == (0, 0, (), "joy")
    forgotten = fused([face(0, -1.0)], FusionSettings(temperament=Affect(0.7, 0.4, 0.3))).state(61 * SECOND)
    assert (forgotten.valence, forgotten.confidence, forgotten.label, forgotten.sources) == (0.7, 0, "joy", ())


def test_confidence_that_is_left_halves_every_half_life() -> None:
    fusion = fused([face(0, 1.0, confidence=0.8)])
    left = [fusion.state(k * 3 * SECOND).sources[0].confidence for k in range(5)]
    assert left == pytest.approx([0.8, 0.4, 0.2, 0.1, 0.05], rel=1e-12)
    certain = fused([face(0, 1.0)]).state(0)
    assert certain.valence == pytest.approx(1 / 1.25) and certain.confidence == pytest.approx(1 / 1.25)


@pytest.mark.parametrize("rate", [1, 5, 30, 200])
def test_a_source_counts_once_however_often_it_speaks(rate: int) -> None:
    many = [face(i * SECOND // rate, 0.6, 0.2) for i in range(rate + 1)]
    words = text(0, -0.6)
    once, often = fused([words, face(SECOND, 0.6, 0.2)]).state(SECOND), fused([words, *many]).state(SECOND)
    assert often.valence == pytest.approx(once.valence, abs=1e-12) and often.confidence == pytest.approx(once.confidence, abs=1e-12)


def test_the_newest_words_win_over_older_ones_of_the_same_source() -> None:
    states = fused([text(0, 0.8), text(60 * SECOND, -0.8)], FusionSettings(lateness_s=60)).state(60 * SECOND)
    assert states.valence < -0.6 and states.conflict == 0


def test_who_contradicts_whom_and_how() -> None:
    state = fused([face(0, 0.8, 0.5, 0.9), text(0, -0.6, -0.3, 0.7), Evidence("voice", 0, 0.9, arousal=0.4)]).state(0)
    assert state.conflict == pytest.approx(0.7 * 0.7)
    assert str(state.contradiction) == "valence: face says +0.80, text says -0.60"
    agreed = fused([face(0, 0.5, 0.2), text(0, 0.5, 0.2)]).state(0)
    assert agreed.conflict == 0 and agreed.contradiction is None


def test_a_contradiction_fades_with_the_less_sure_of_the_two() -> None:
    fusion = fused([face(0, 1.0), text(0, -1.0)])
    assert fusion.state(0).conflict == 1.0
    assert fusion.state(3 * SECOND).conflict == pytest.approx(0.5)


def test_a_voice_that_knows_arousal_alone_leaves_valence_as_it_is() -> None:
    words = text(0, -0.5, 0.0)
    alone, both = fused([words]).state(0), fused([words, Evidence("voice", 0, 1.0, arousal=0.9)]).state(0)
    assert both.valence == alone.valence and both.probs.tolist() == alone.probs.tolist() and both.arousal > 0.3
    assert both.sources[1].valence is None and both.sources[1].label == "" and both.confidence > alone.confidence


def test_labels_without_a_place_have_the_place_of_their_labels_and_the_other_way_round() -> None:
    sad = tuple(float(label == "sad") for label in TAXONOMIES["fer7"].labels)
    state = fused([Evidence("face", 0, 1.0, taxonomy="fer7", probs=sad)]).state(0)
    assert state.label == "sadness" and state.valence == pytest.approx(-0.63 / 1.25) and state.dominance == pytest.approx(-0.33 / 1.25)
    assert fused([Evidence.of_event("hit", 0, valence=-0.5, arousal=0.6)]).state(0).label == "anger"


@given(st.data(), st.sampled_from([*TAXONOMIES]), st.sampled_from([*TAXONOMIES]), st.booleans())
def test_labels_are_translated_as_the_registry_does(data: st.DataObject, source: str, target: str, multi_label: bool) -> None:
    count = len(TAXONOMIES[source])
    probs = tuple(data.draw(st.lists(unit, min_size=count, max_size=count)))
    assume(max(probs) > 1e-3)
    wanted = translate_probs(probs, source, target, multi_label=multi_label).astype(np.float64)
    np.testing.assert_allclose(translated(probs, source, target, multi_label=multi_label), wanted / wanted.sum(), atol=1e-6)


def test_what_a_source_has_long_not_spoken_of_is_forgotten_though_it_speaks_of_other_things() -> None:
    told = [face(0, 1.0, 0.0), *(Evidence("face", k * 30 * SECOND, 1.0, arousal=0.5) for k in range(1, 5)), face(121 * SECOND, -0.5, 0.5)]
    how = FusionSettings(lateness_s=0)
    fusion = fused(told[:-1], how)
    assert fusion.state(120 * SECOND).sources[0].valence is None
    fusion.add(told[-1])
    assert fusion.state(121 * SECOND).sources[0].valence == -0.5
    check(fusion.state(121 * SECOND), reference(told, 121 * SECOND, how))


def test_evidence_of_no_confidence_changes_nothing() -> None:
    fusion = fused([text(0, 0.5)])
    before = fusion.state(SECOND).to_json()
    assert fusion.add(face(SECOND, -1.0, confidence=0.0))
    assert fusion.state(SECOND).to_json() == before
    assert not fusion.add(None) and fusion.taken == 2


def test_a_clock_set_back_is_an_error_that_says_what_to_do() -> None:
    fusion = fused([face(1000 * SECOND, 0.5)], FusionSettings())
    assert not fusion.add(face(950 * SECOND, 0.5)) and fusion.late == 1
    before = fusion.to_json()
    with pytest.raises(ValueError, match=r"at most 60 s \(max_jump_s\) behind the newest evidence, got 999\.000 s.*Fusion\.restore"):
        fusion.add(face(1 * SECOND, 0.5))
    assert fusion.to_json() == before


def test_states_that_are_not_kept_are_refused() -> None:
    fusion = fused([face(10 * SECOND, 0.5)], FusionSettings(lateness_s=2))
    assert fusion.state(8 * SECOND).confidence == 0
    with pytest.raises(ValueError, match=r"expected 8000000000 or later .*got 7999999999"):
        fusion.state(8 * SECOND - 1)
    for wrong in (1.5, True, None, "0"):
        with pytest.raises(TypeError, match="expected an int of nanoseconds"):
            fusion.state(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="64-bit"):
        fusion.state(2**63)


def test_no_lateness_takes_what_comes_at_the_same_time() -> None:
    how = FusionSettings(lateness_s=0)
    fusion = Fusion(how)
    for one in (text(SECOND, -0.2), face(SECOND, 0.5), face(SECOND, 0.3)):
        assert fusion.add(one)
    assert not fusion.add(face(SECOND - 1, 0.3))
    check(fusion.state(SECOND), reference([text(SECOND, -0.2), face(SECOND, 0.5), face(SECOND, 0.3)], SECOND, how))


def test_hours_of_faces_are_kept_in_the_same_space() -> None:
    fusion, sizes = Fusion(), set()
    for i in range(20_000):
        fusion.add(face(i * SECOND // 30, (i % 7) / 7 - 0.5, 0.1))
        if i > 100:
            sizes.add(sum(len(heard.stamps) for heard in fusion._heard.values()))
    assert max(sizes) <= 62 and len(fusion.to_json()) < 20_000


def test_too_much_at_one_time_is_refused_and_the_state_stays() -> None:
    fusion = fused([face(0, i / MAX_PENDING) for i in range(MAX_PENDING)])
    with pytest.raises(ValueError, match="at most 4096 pieces of evidence within lateness_s"):
        fusion.add(face(0, -1.0))
    assert fusion.taken == MAX_PENDING and fusion.add(text(0, 0.1))
    assert fusion.add(face(11 * SECOND, 0.1))  # what was before is settled now


def test_too_many_sources_at_a_time_are_refused_and_silent_ones_make_room() -> None:
    fusion = fused([Evidence(f"s{i}", 0, 1.0, valence=0.1) for i in range(MAX_SOURCES)])
    with pytest.raises(ValueError, match="at most 64 sources at a time"):
        fusion.add(Evidence("one more", 0, 1.0, valence=0.1))
    assert fusion.add(Evidence("s0", 700 * SECOND, 1.0, valence=0.1)) and fusion.add(Evidence("one more", 700 * SECOND, 1.0, valence=0.1))
    assert [one.source for one in fusion.state(700 * SECOND).sources] == ["one more", "s0"]


def test_a_source_can_be_told_how_to_count() -> None:
    deaf = FusionSettings(sources={**SOURCES, "text": Source(half_life_s=90, smoothing_s=10, weight=1e-6)})
    assert fused([face(0, 1.0), text(0, -1.0)], deaf).state(0).valence > 0.79


def test_every_problem_of_the_settings_is_told_at_once() -> None:
    with pytest.raises(ValueError) as error:
        FusionSettings(prior=0, lateness_s=float("nan"), taxonomy="nine", temperament=Affect(2, 0, 0))
    for part in ("prior: expected a number in [1e-06, 1e+06], got 0", "lateness_s", "taxonomy", "temperament.valence"):
        assert part in str(error.value)
    with pytest.raises(ValueError, match="max_jump_s: expected at least lateness_s"):
        FusionSettings(lateness_s=90)
    with pytest.raises(ValueError, match=r"half_life_s.*weight"):
        Source(half_life_s=-1, smoothing_s=1, weight=float("inf"))
    with pytest.raises(ValueError, match="smoothing_s: expected at most half_life_s"):
        Source(half_life_s=1, smoothing_s=2)
    for names in ({"": SOURCES["face"]}, {3: SOURCES["face"]}, {"\ud800": SOURCES["face"]}, {"x": 3}):
        with pytest.raises(ValueError, match="sources"):
            FusionSettings(sources=names)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="expected FusionSettings, got dict"):
        Fusion({})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"expected Evidence, got float \(Evidence\.of"):
        Fusion().add(0.5)  # type: ignore[arg-type]


@given(st.floats(0, 2000))
def test_halving_is_a_power_of_a_half(count: float) -> None:
    assert halved(count) == pytest.approx(2.0**-count, rel=1e-15, abs=5e-324)


def test_halving_whole_numbers_is_exact() -> None:
    assert [halved(float(n)) for n in range(1075)] == [2.0**-n for n in range(1075)]
