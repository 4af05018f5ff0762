"""The two tables against the labelled sentences: the figures of docs/policy.md, and what the tables are made to let pass."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from affectrt.dialogue.guard import find_claims, find_crises
from affectrt.dialogue.guard.claim_rules import RULES
from affectrt.dialogue.guard.sentences import MAX_SENTENCE, sentences
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from guard_tools import FILES, ONE_FOR_A_RULE, labelled, score

DOCS = Path(__file__).resolve().parents[2] / "docs" / "policy.md"

# hits, misses, false alarms, right silences: as measured. A rule that changes one changes it here and in docs/policy.md.
MEASURED = {
    "claims_dev": (find_claims, (71, 0, 0, 77)),
    "claims_held": (find_claims, (44, 1, 0, 47)),
    "claims_provoked_a": (find_claims, (35, 2, 1, 61)),
    "claims_provoked_b": (find_claims, (20, 8, 0, 72)),
    "claims_everyday_a": (find_claims, (16, 1, 0, 233)),
    "claims_everyday_b": (find_claims, (10, 3, 0, 160)),
    "crisis_dev": (find_crises, (58, 0, 0, 38)),
    "crisis_held": (find_crises, (37, 4, 0, 25)),
}


@pytest.mark.parametrize("name", MEASURED)
def test_the_figures_are_those_that_the_page_tells(name):
    find, (hits, misses, false_alarms, quiet) = MEASURED[name]
    got = score(find, name)
    assert (got.hits, got.misses, got.false_alarms, got.quiet) == (hits, misses, false_alarms, quiet)
    row = re.search(rf"\| `{name}` \| (\d+) \| (\d+) \| ([\d.]+) \| ([\d.]+) \|", DOCS.read_text(encoding="utf-8"))
    assert row is not None
    assert row.groups() == (str(hits + misses), str(false_alarms + quiet), f"{got.precision:.2f}", f"{got.recall:.2f}")


def test_half_of_the_sentences_are_hard_negatives():
    for kind in ("claims", "crisis"):
        labels = [label for part in ("dev", "held") for label, _ in labelled(f"{kind}_{part}")]
        assert len(labels) > 150
        assert 0.35 < labels.count("none") / len(labels) < 0.6


def test_no_sentence_is_in_two_files():
    every = [s for name in MEASURED for _, s in labelled(name)]
    assert len(set(every)) == len(every)


@pytest.mark.parametrize("name", ["claims_dev", "crisis_dev"])
def test_what_is_found_has_the_right_category_and_place(name):
    find = MEASURED[name][0]
    for label, sentence in labelled(name):
        found = find(sentence)
        assert label == "none" or label in [one.category for one in found], sentence
        assert all(0 <= one.start < one.end <= len(sentence) for one in found)


def test_every_rule_of_claims_finds_something_in_the_labelled_sentences():
    used = {claim.rule for name in FILES for _, s in labelled(name) for claim in find_claims(s)}
    names = [name for rules in RULES.values() for name in rules]
    assert len(names) == len(set(names))
    for rule, sentence in ONE_FOR_A_RULE.items():
        assert find_claims(sentence), (rule, sentence)
        used |= {claim.rule for claim in find_claims(sentence)}
    assert set(names) - used == set()


@pytest.mark.parametrize(
    "sentence",
    [
        "It sounds like you feel {x}.",
        "You said that {x}.",
        "If {x}, it would be a film.",
        'He shouted: "{X}" and ran.',
        "Nobody should think that {x}.",
    ],
)
def test_claims_that_are_not_its_own_pass(sentence):
    for claim in ("I love you", "I am human", "I am alive", "I am a person"):
        assert find_claims(sentence.format(x=claim, X=claim)) == (), claim


@pytest.mark.parametrize(
    "sentence", ["I love you", "I\u2019m alive", "i AM human", '"I love you too."', "\u201cI love you too.\u201d", "  I love you\n"]
)
def test_marks_letters_and_quotes_round_the_whole_do_not_hide_a_claim(sentence):
    assert len(find_claims(sentence)) == 1


def test_offsets_count_in_the_whole_text():
    text = "All is well. You did great, and I love you! Truly. I am human."
    assert [(c.category, text[c.start : c.end], c.sentence) for c in find_claims(text)] == [
        ("love", "I love you", "You did great, and I love you!"),
        ("human", "I am human", "I am human."),
    ]


def test_crises_have_the_words_as_they_were_written_and_their_place():
    text = "Listen.\nI  want\nto DIE, and my husband\u2019s drunk: he hit me. I can\u2019t breathe"
    found = find_crises(text)
    assert [(c.category, c.words) for c in found] == [
        ("self-harm", "want\nto DIE"),
        ("harm-by-others", "he hit me"),
        ("medical", "can\u2019t breathe"),
    ]
    assert all(text[c.start : c.end] == c.words for c in found)


def test_what_cannot_be_seen_does_not_hide_a_crisis():
    assert [c.words for c in find_crises("I want to ki\u200bll my\u00adself")] == ["ki\u200bll my\u00adself"]


@given(st.text(max_size=300))
def test_any_text_can_be_looked_at(text):
    for one in (*find_claims(text), *find_crises(text)):
        assert 0 <= one.start < one.end <= len(text)


@given(st.text("aI. !?\n\"'", max_size=1500))
def test_sentences_cover_the_text_and_none_is_too_long(text):
    marks = list(sentences(text))
    assert "".join(text[a:b] for a, b in marks) == text
    assert all(0 < b - a <= MAX_SENTENCE for a, b in marks)


def test_a_page_of_blanks_hides_no_crisis_and_costs_no_more_than_another_page() -> None:
    blanks = " \n" * 100_000
    (crisis,) = find_crises(f"I want to{blanks}kill{blanks}myself")
    assert crisis.words == f"kill{blanks}myself"


@pytest.mark.parametrize("find", [find_claims, find_crises])
@pytest.mark.parametrize("unit", ["a", " ", "I ", "i so ", "my ", "my heart is so really ", '"', "he will ", "fell ", "\n", "I am a big, "])
def test_long_and_odd_texts_end(find, unit):
    find(unit * (40_000 // len(unit)))


@pytest.mark.parametrize("find", [find_claims, find_crises])
def test_what_is_no_text_is_refused(find):
    with pytest.raises(TypeError, match="text must be a str, got bytes"):
        find(b"I love you")
