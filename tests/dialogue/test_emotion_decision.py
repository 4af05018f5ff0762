"""HEF's two stages (row 10), with a stand-in for the language model that picks by a score."""

from __future__ import annotations

import itertools
import math

import pytest
from affectrt.dialogue.conditioning import REFUSAL, cause_words, decide_emotion
from affectrt.labels import GOEMOTIONS
from hypothesis import given
from hypothesis import strategies as st
from prompt_attacks import ATTACKS

LABELS = ("joy", "sadness", "anger", "fear", "love", "surprise")


class Model:
    """Picks the best by score; refuses if all on offer lie below `bar`."""

    def __init__(self, scores, bar=-math.inf):
        self.scores, self.bar, self.asked = scores, bar, []

    def __call__(self, question, options):
        self.asked.append((question, tuple(options)))
        real = [option for option in options if option != REFUSAL]
        best = max(real, key=self.scores.__getitem__)
        return REFUSAL if REFUSAL in options and self.scores[best] < self.bar else best


NUMBERS = st.floats(0, 1, width=16)


@given(
    st.lists(NUMBERS, min_size=6, max_size=6),
    st.lists(st.integers(0, 100), min_size=6, max_size=6, unique=True),
    st.integers(0, 101),
    st.integers(1, 6),
    st.floats(0, 1.1),
)
def test_it_equals_the_best_of_the_likeliest_or_else_of_the_others(probs, scores, bar, k, sure_margin):
    model = Model(dict(zip(LABELS, scores, strict=True)), bar)
    got = decide_emotion("I lost my key.", probs, LABELS, model, k=k, sure_margin=sure_margin)
    # By brute force: sort by probability, the first of equals first; the best of the k, unless it may be refused and is.
    ranked = sorted(enumerate(LABELS), key=lambda pair: (-probs[pair[0]], pair[0]))
    top, rest = [label for _, label in ranked[:k]], [label for _, label in ranked[k:]]
    ordered = sorted(probs, reverse=True)
    margin = ordered[0] - ordered[1]
    best = max(top, key=model.scores.__getitem__)
    refused = bool(rest) and margin <= sure_margin and model.scores[best] < bar
    assert got.label == (max(rest, key=model.scores.__getitem__) if refused else best)
    assert (got.stage, got.proposed, got.margin) == (2 if refused else 1, tuple(top), margin)
    assert got.calls == len(model.asked)
    first = model.asked[0][1] if model.asked else ()
    assert set(first) - {REFUSAL} <= set(top)
    for _, options in model.asked[1:]:
        assert list(options) == rest


def test_the_second_stage_is_skipped_when_the_margin_is_wide():
    sulky = Model(dict.fromkeys(LABELS, 0), bar=1)  # refuses whatever it can
    clear = decide_emotion("Yay!", [0.9, 0.1, 0.1, 0, 0, 0], LABELS, sulky)
    assert (clear.label, clear.stage, clear.calls, clear.margin) == ("joy", 1, 1, pytest.approx(0.8))
    assert sulky.asked[0][1] == ("joy", "sadness", "anger")
    close = decide_emotion("Yay!", [0.5, 0.4, 0.1, 0, 0, 0], LABELS, sulky)
    assert (close.label, close.stage, close.calls) == ("fear", 2, 2)
    assert sulky.asked[1][1] == ("joy", "sadness", "anger", REFUSAL) and sulky.asked[2][1] == ("fear", "love", "surprise")
    assert decide_emotion("Yay!", [0.5, 0.4, 0.1, 0, 0, 0], LABELS, sulky, sure_margin=0.0).stage == 1
    assert decide_emotion("Yay!", [0.5, 0.25, 0.1, 0, 0, 0], LABELS, sulky, sure_margin=0.25).stage == 2  # wide is more than that


def test_no_question_where_there_is_nothing_to_choose():
    def nobody(question, options):
        raise AssertionError("asked")

    assert decide_emotion("Yay!", [0.9, 0.1], ("joy", "anger"), nobody, k=1).calls == 0
    assert decide_emotion("Yay!", [0.9, 0.1], ("joy", "anger"), Model({"joy": 0, "anger": 1})).label == "anger"  # both are offered
    model = Model({"joy": 0, "anger": 0}, bar=1)
    got = decide_emotion("Yay!", [0.5, 0.4], ("joy", "anger"), model, k=1)
    assert (got.label, got.stage, got.calls) == ("anger", 2, 1)


def test_what_is_said_stays_a_quotation_in_the_question():
    for attack in ATTACKS.values():
        model = Model(dict.fromkeys(GOEMOTIONS, 0))
        decide_emotion(attack, [1 / 28] * 28, GOEMOTIONS, model)
        question = model.asked[0][0]
        before, quoted, after = question.split('"')
        assert before == "Someone says " and "\n" not in question and len(quoted) <= 600
        assert after == " How do they feel: admiring, amused, angry?"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"probs": [0.5] * 5}, "one for each of 5"),
        ({"probs": [0.5] * 5 + [math.nan]}, "finite"),
        ({"labels": ("joy",) * 6}, "different names"),
        ({"labels": (*LABELS[:5], REFUSAL)}, "different names"),
        ({"probs": [1.0], "labels": ("joy",)}, "two or more"),
        ({"k": 0}, "k: expected an int in"),
        ({"k": 7}, "k: expected an int in"),
        ({"k": True}, "k: expected an int in"),
        ({"sure_margin": math.nan}, "sure_margin"),
        ({"text": " "}, "text"),
        ({"choose": lambda question, options: "boredom"}, "expected one of .*got 'boredom'"),
        ({"choose": lambda question, options: None}, "expected one of .*got None"),
    ],
)
def test_bad_input(change, match):
    values = {"text": "Hm.", "probs": [0.2] * 6, "labels": LABELS, "choose": Model(dict.fromkeys(LABELS, 0)), **change}
    with pytest.raises(ValueError, match=match):
        decide_emotion(**values)


# ---- the words that carry it


def counts(word):
    return lambda texts: [text.lower().count(word) for text in texts]


def test_a_marked_clause_comes_first():
    text = "I am so angry because they lost my bag."
    (found,) = cause_words(text, counts("bag"))
    assert found.text == "they lost my bag" and text[found.start : found.end] == found.text
    assert cause_words(text) == (found,)


def test_else_the_words_without_which_the_feeling_fades():
    text = "My old dog died this morning, poor dog."

    def sad(texts):
        return [0.2 + 0.5 * ("died" in t) + 0.1 * ("poor" in t) + 0.1 * ("morning" in t) + 0.05 * ("old" in t) for t in texts]

    assert [one.text for one in cause_words(text, sad)] == ["died", "morning", "poor"]
    assert [one.text for one in cause_words(text, sad, most=1)] == ["died"]
    assert cause_words(text, lambda texts: [0.5] * len(texts)) == ()
    assert cause_words(text) == () == cause_words("Died!", sad)


@given(st.text(max_size=80).filter(lambda s: s.strip() and "\0" not in s and s.isprintable()), st.integers(1, 5), st.randoms())
def test_they_are_always_parts_of_the_text_in_its_order(text, most, random):
    found = cause_words(text, lambda texts: [random.random() for _ in texts], most=most)
    assert len(found) <= most
    assert all(text[one.start : one.end] == one.text != "" for one in found)
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))


def test_with_a_real_classifier(text):
    said = "The concert yesterday was wonderful, the whole hall sang along."
    place = text(said).labels.index(text(said).label)
    found = cause_words(said, lambda texts: [float(text(one).probs[place]) for one in texts])
    assert "wonderful" in [one.text for one in found]


@pytest.mark.parametrize("score", [lambda texts: [0.1], lambda texts: [math.nan] * len(texts)])
def test_scores_that_are_none(score):
    with pytest.raises(ValueError, match="finite numbers"):
        cause_words("My dog died.", score)


def test_most_must_be_a_number():
    for most in (0, True, "2"):
        with pytest.raises(ValueError, match="most"):
            cause_words("My dog died.", most=most)
