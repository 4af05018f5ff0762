"""Personality: Mehrabian's weights, the sign of neuroticism, types of four letters."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import product

import pytest
from affectrt.affect import MBTI_CORRELATIONS, Personality, Temperament
from affectrt.labels import Affect
from hypothesis import given
from hypothesis import strategies as st

TRAITS = [trait.name for trait in fields(Personality)]
# A speaker of PELD, as its paper scores him: openness, conscientiousness, extraversion, agreeableness, neuroticism.
PELD = Personality(0.648, 0.375, 0.386, 0.58, 0.477)
people = st.builds(Personality, *[st.floats(0, 1)] * 5)


def test_the_papers_worked_number_by_its_own_convention():
    place = PELD.temperament(neuroticism_means="stability", scores="unit")
    assert place.valence == pytest.approx(0.51389, abs=1e-12)
    assert place.arousal == pytest.approx(0.15 * 0.648 + 0.30 * 0.58 - 0.57 * 0.477, abs=1e-12)
    assert place.dominance == pytest.approx(0.25 * 0.648 + 0.17 * 0.375 + 0.60 * 0.386 - 0.32 * 0.58, abs=1e-12)


def test_by_default_neuroticism_is_neuroticism():
    calm, anxious = replace(PELD, neuroticism=0.1), replace(PELD, neuroticism=0.9)
    for scores in ("centred", "unit"):
        assert calm.temperament(scores=scores).valence > anxious.temperament(scores=scores).valence
        assert calm.temperament(scores=scores).arousal < anxious.temperament(scores=scores).arousal
        # As PELD feed it, an anxious character comes out calm and glad: the trap.
        trap = [p.temperament(neuroticism_means="stability", scores=scores) for p in (calm, anxious)]
        assert trap[0].arousal > trap[1].arousal and trap[0].valence < trap[1].valence
    assert PELD.temperament(scores="unit").valence == pytest.approx(0.21 * 0.386 + 0.59 * 0.58 + 0.19 * (1 - 0.477))


@given(people)
def test_the_two_conventions_are_each_others_mirror(person):
    mirrored = replace(person, neuroticism=1 - person.neuroticism)
    for scores in ("centred", "unit"):
        one, other = person.temperament(scores=scores), mirrored.temperament(neuroticism_means="stability", scores=scores)
        assert (one.valence, one.arousal, one.dominance) == pytest.approx((other.valence, other.arousal, other.dominance), abs=1e-9)


@given(people)
def test_a_temperament_is_a_place(person):
    for means, scores in product(("neuroticism", "stability"), ("centred", "unit")):
        place = person.temperament(neuroticism_means=means, scores=scores)
        assert isinstance(place, Temperament) and isinstance(place, Affect)
        assert all(-1 <= value <= 1 for value in (place.valence, place.arousal, place.dominance))


def test_the_average_person_rests_at_the_origin():
    assert Personality().temperament() == Temperament(0.0, 0.0, 0.0)
    assert Personality(extraversion=1.0).temperament().dominance == pytest.approx(0.6)
    assert Personality(1, 1, 1, 0, 0).temperament().dominance == 1.0  # 1.34 by the weights


@pytest.mark.parametrize("kind", ["".join(letters) for letters in product("IE", "NS", "FT", "PJ")])
def test_all_sixteen_types(kind):
    person = Personality.from_mbti(kind.lower())
    for trait, (high, low, r) in MBTI_CORRELATIONS.items():
        assert (high in kind) != (low in kind)
        assert getattr(person, trait) == pytest.approx(0.5 + r / 2 if high in kind else 0.5 - r / 2)
    assert person.neuroticism == 0.5


def test_infp_by_hand():
    person = Personality.from_mbti(" INFP ")
    assert (person.extraversion, person.openness) == pytest.approx((0.13, 0.86))
    assert (person.agreeableness, person.conscientiousness) == pytest.approx((0.72, 0.255))


@pytest.mark.parametrize("kind", ["", "INF", "INFPX", "XNFP", "NIFP", "INFP-T", "IIII", "ＩＮＦＰ"])
def test_no_type(kind):
    with pytest.raises(ValueError, match="four letters"):
        Personality.from_mbti(kind)
    with pytest.raises(TypeError, match="four letters"):
        Personality.from_mbti(None)


@pytest.mark.parametrize("trait", TRAITS)
@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf")])
def test_traits_out_of_range_are_named(trait, value):
    with pytest.raises(ValueError, match=trait):
        Personality(**{trait: value})


def test_all_wrong_traits_are_named_at_once():
    with pytest.raises(ValueError, match=r"openness 2, neuroticism -1"):
        Personality(openness=2, neuroticism=-1)
    for value in ("0.5", None, True):
        with pytest.raises(TypeError, match="openness"):
            Personality(openness=value)


def test_unknown_conventions():
    with pytest.raises(ValueError, match="stability"):
        Personality().temperament(neuroticism_means="sanity")
    with pytest.raises(ValueError, match="centred"):
        Personality().temperament(scores="z")
