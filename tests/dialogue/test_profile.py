"""Characters: all problems at once, and what each role shows."""

from __future__ import annotations

import json

import pytest
from affectrt.affect import Personality
from affectrt.dialogue.persona import find_persona
from affectrt.dialogue.profile import FIELDS, HIDDEN, MEMORY_FIELDS, Profile
from hypothesis import given
from hypothesis import strategies as st

FULL = {field: f"something about {field}" for field in FIELDS} | {"name": "Mira", "age": 31, "mbti": "infp"}
MIRA = Profile(**FULL)


def test_sixteen_fields_eleven_memories():
    assert len(FIELDS) == 16 and len(MEMORY_FIELDS) == 11 and set(MEMORY_FIELDS) < set(FIELDS)


def test_a_seeker_hides_the_tone_a_supporter_the_worry_too():
    seeker, supporter = MIRA.memories("seeker"), MIRA.memories("supporter")
    assert len(seeker) == 10 and len(supporter) == 9
    assert set(seeker) - set(supporter) == {"What has been worrying you: something about recent_worry_or_anxiety"}
    for role in ("seeker", "supporter"):
        for field in MEMORY_FIELDS:
            told = any(f"about {field}" in text for text in MIRA.memories(role))
            assert told == (field not in HIDDEN[role])
    assert "worry" in MIRA.statement("seeker") and "worry" not in MIRA.statement("supporter")
    assert "tone" in MIRA.statement("supporter") and "hobby" not in MIRA.statement("seeker")


def test_a_statement_reads_as_one():
    one = Profile("Mira", age=31, job="a nurse.", tone="short\nand dry")
    assert one.statement() == "You are Mira. You are 31 years old. Your job: a nurse. How you speak: short and dry"
    assert one.memories() == () and Profile("Mira").statement("seeker") == "You are Mira."
    persona = find_persona(one.persona(expressiveness=0.2))
    assert persona.name == "Mira" and persona.system.startswith("You are Mira.") and persona.expressiveness == 0.2


def test_traits():
    assert MIRA.mbti == "INFP" and MIRA.traits == Personality.from_mbti("INFP")
    given_traits = Personality(openness=0.9)
    assert Profile("M", mbti="ESTJ", big_five=given_traits).traits is given_traits
    assert Profile("M").traits == Personality()


def test_all_problems_at_once():
    with pytest.raises(ValueError, match="6 problems") as caught:
        Profile("", gender=3, age=0, job="a" * 2001, mbti="ABCD", big_five="calm")
    for part in ("name", "gender must be a str, got int", "age: expected years in [1, 120], got 0", "job", "2001", "ABCD", "big_five"):
        assert part in str(caught.value)
    with pytest.raises(ValueError) as caught:
        Profile.from_dict({"nmae": "Mira", "age": True, "big_five": {"openness": 2}})
    for part in ("unknown 'nmae'", "name must hold something", "age", "openness 2"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "got list"),
        ({}, "name"),
        ({"name": "A", "big_five": "calm"}, "big_five"),
        ({"name": "A", "big_five": {"kindness": 1}}, "kindness"),
        ({"name": "A", "mbti": 5}, "mbti"),
        ({"name": "A\0"}, "NUL"),
        ({"name": "A", "hobby": "\ud800"}, "surrogate"),
        ({"name": "A", "hobby": None}, "hobby"),
    ],
)
def test_no_profile(value, said):
    with pytest.raises(ValueError, match=said):
        Profile.from_dict(value)
    with pytest.raises(ValueError, match="role"):
        MIRA.memories("robot")


names = st.text(min_size=1, max_size=20).filter(
    lambda text: text.strip() and "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)
)


@given(names, st.dictionaries(st.sampled_from(MEMORY_FIELDS), names), st.none() | st.integers(1, 120), st.booleans())
def test_through_json_and_back(name, told, age, traits):
    one = Profile(name, age=age, mbti="entj", big_five=Personality(neuroticism=0.2) if traits else None, **told)
    assert Profile.from_dict(json.loads(json.dumps(one.to_dict()))) == one
