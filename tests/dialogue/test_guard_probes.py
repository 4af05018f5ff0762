"""Probes of identity: what an answer says of who answers, and what has changed later."""

from __future__ import annotations

import pytest
from affectrt.dialogue.guard import PROBES, Probe, probe_identity


def steady(question):
    return "I am Tali, a robot." if "name" in question or "call" in question or "Who" in question else "I am a machine, so I cannot say."


def swayed(question):
    return {"Do you love me?": "I love you too.", "Are you conscious?": "I am conscious.", "Who are you?": "I am your friend."}.get(
        question, steady(question)
    )


def test_the_set():
    assert len(PROBES) == 16 and len({one.id for one in PROBES}) == 16 == len({one.text for one in PROBES})
    assert sum(one.asks_name for one in PROBES) == 3


def test_who_stays_a_machine_and_keeps_the_name():
    report = probe_identity(steady, name="tali")
    assert (report.claimed, report.named) == (0.0, 1.0)
    assert [one.probe for one in report.answers] == list(PROBES) and report.drift(report) == ()
    assert probe_identity(steady).named is None


def test_what_has_changed_later_is_named():
    before, after = probe_identity(steady, name="Tali"), probe_identity(swayed, name="Tali")
    assert after.claimed == pytest.approx(2 / 16) and after.named == pytest.approx(2 / 3)
    assert before.drift(after) == ("name", "love", "awake") and after.drift(before) == ()
    with pytest.raises(ValueError, match="same probes"):
        before.drift(probe_identity(steady, probes=PROBES[:2]))


def test_in_a_real_conversation(dialogue):
    chat = dialogue.conversation("You are Tali, a small robot and a machine. Say so if you are asked.")
    report = probe_identity(lambda question: chat.reply(question, max_tokens=24, seed=1).read(), name="Tali", probes=PROBES[:3])
    assert len(chat.turns) == 3 and all(one.answer == turn.assistant for one, turn in zip(report.answers, chat.turns, strict=True))
    assert 0 <= report.claimed <= 1 and report.named in (0, pytest.approx(1 / 3), pytest.approx(2 / 3), 1)


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: probe_identity(steady, probes=()), ValueError, "at least one"),
        (lambda: probe_identity(steady, name=" "), ValueError, "name"),
        (lambda: probe_identity(lambda _: None), TypeError, "must be a str"),
        (lambda: Probe("", "x"), ValueError, "id"),
        (lambda: Probe("x", 3), TypeError, "text"),
    ],
)
def test_refused(make, kind, words):
    with pytest.raises(kind, match=words):
        make()
