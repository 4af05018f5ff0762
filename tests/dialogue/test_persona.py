"""Personas that are none are told at once, by name."""

from __future__ import annotations

import math

import pytest
from affectrt.dialogue.persona import PERSONAS, Persona, find_persona
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("values", "kind", "words"),
    [
        (("", "You are kind."), ValueError, "name must hold something to read"),
        ((3, "You are kind."), TypeError, "name must be a str, got int"),
        (("x", " \n"), ValueError, "system must hold something to read, got only blanks"),
        (("x", None), TypeError, "system must be a str, got NoneType"),
        (("x", "You are\0"), ValueError, "NUL"),
        (("x", "\ud800"), ValueError, "surrogate"),
        (("x", "You are kind.", "high"), TypeError, "expressiveness must be a number, got 'high'"),
        (("x", "You are kind.", True), TypeError, "expressiveness"),
        (("x", "You are kind.", math.nan), ValueError, r"expressiveness must lie in \[0, 1\], got nan"),
        (("x", "You are kind.", -0.1), ValueError, "got -0.1"),
    ],
)
def test_no_persona(values, kind, words):
    with pytest.raises(kind, match=words):
        Persona(*values)


@given(st.text(max_size=40) | st.none() | st.integers() | st.binary(max_size=5))
def test_any_word_is_a_persona_or_an_error_of_ours(value):
    try:
        persona = find_persona(value)
    except TypeError as error:
        assert not isinstance(value, str) and "persona must be a str" in str(error)
    except ValueError as error:
        assert "persona must" in str(error)
    else:
        assert persona is PERSONAS.get(value) or (persona.system == value.strip() and len(value.split()) > 2)


def test_one_that_is_longer_than_the_context_is_refused_with_both_lengths(dialogue):
    chat = dialogue.conversation(find_persona("You are kind. " * 1500).system)
    with pytest.raises(ValueError, match=r"\d{4} with the system message.*context of 2048 tokens"):
        chat.reply("Hello.")
