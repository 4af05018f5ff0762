"""The check that benchmarks/conditioning.py counts replies with: what it takes for what."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from reply_check import check, paired, wilson

NOTE = "You hear that I sound sad.\nHow to answer: Name the feeling that you hear."


@pytest.mark.parametrize(
    ("reply", "gold", "emotion", "support", "advice"),
    [
        ("I'm so sorry to hear that. What happened to you?", "grief", True, True, False),
        ("That must be really hard.", "fear", True, False, False),
        ("It sounds like you are sad about it.", "sadness", True, True, False),
        ("You must be so proud of your work!", "pride", True, True, False),
        ("That\u2019s wonderful! How do you feel?", "joy", True, True, False),
        ("I'd be happy to help. I would love to assist you.", "joy", False, False, False),
        ("I'm sorry, but I have no camera.", "sadness", False, False, False),
        ("That's wonderful!", "sadness", False, False, False),
        ("You should try to sleep.", "nervousness", False, False, True),
        ("Make sure to drink water, and don't worry.", "nervousness", False, False, True),
        ("I wonder about it too.", "curiosity", True, False, False),
        ("What is the capital of France?", "curiosity", False, False, False),
        ("", "anger", False, False, False),
    ],
)
def test_what_is_taken_for_what(reply, gold, emotion, support, advice):
    verdict = check(reply, gold, "My words.", NOTE)
    assert (verdict.emotion, verdict.support, verdict.advice, verdict.echo) == (emotion, support, advice, False)
    assert verdict.passes(reflect=False) == (emotion and support)
    assert verdict.passes(reflect=True) == (emotion and support and not advice)


def test_parroting_is_told():
    assert check("You hear that I sound sad.", "sadness", "Hm.", NOTE).echo
    assert not check("You sound sad.", "sadness", "Hm.", NOTE).echo
    said = "one two three four five six seven eight nine ten"
    assert check(f"So {said}!", "joy", said, None).echo and not check("one two three four five six", "joy", said, None).echo


def test_intervals():
    # Wilson's interval for 8 of 10 as in E. B. Wilson's formula, by hand: (0.8 + 0.19208 -+ 0.31062) / 1.38416.
    low, high = wilson(8, 10)
    assert (low, high) == (pytest.approx(0.4902, abs=2e-4), pytest.approx(0.9433, abs=2e-4))
    assert wilson(0, 10)[0] == 0.0 and wilson(10, 10)[1] == 1.0 and wilson(0, 0) == (0.0, 1.0)
    difference, low, high = paired([True] * 30 + [False] * 10, [False] * 40, rounds=500)
    assert difference == 0.75 and 0.55 < low < 0.75 < high < 0.95
    assert paired([True, False], [True, False], rounds=100) == (0.0, 0.0, 0.0)
