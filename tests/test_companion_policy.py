"""Companion under a policy: consent, disclosures, what becomes of claims. Where a test is about the model's words, they are given."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from affectrt.companion import Companion
from affectrt.companion.guarded import GuardedReply
from affectrt.dialogue import AsyncReply, Dialogue
from affectrt.dialogue.guard import INSTEAD, Guard
from affectrt.dialogue.reply import Turn
from affectrt.errors import ConsentError
from affectrt.labels import GOEMOTIONS
from affectrt.packs import DEFAULTS, pull
from affectrt.perception import TextObservation
from affectrt.policy import AuditLog, Policy, verify

SECOND = 1_000_000_000
CLAIM = ("I love", " you. ", "How was", " your day?")


@pytest.fixture(scope="module")
def dialogue():
    pull(DEFAULTS["dialogue"])
    with Dialogue(threads=1, device="cpu", seed=1, context_tokens=512) as loaded:
        yield loaded


class Written:
    """A reply of which the words are known."""

    def __init__(self, *pieces):
        self.pieces, self.text, self.closed = list(pieces), "", False

    def __iter__(self):
        return self

    def __next__(self):
        if self.closed or not self.pieces:
            raise StopIteration
        self.text += self.pieces[0]
        return self.pieces.pop(0)

    def cancel(self):
        self.close()

    def close(self):
        self.closed = True


def tokens_of(dialogue, text):
    return tuple(dialogue._runtime.model.tokenize(text))


def guarded(dialogue, policy, *pieces):
    written = Written(*pieces)
    text = "".join(pieces)
    conversation = dialogue.conversation(None, turns=[Turn("Do you love me?", text, tokens=tokens_of(dialogue, text))])
    guard = Guard(policy)
    guard.turn()  # the first answer has its disclosure; this is the second
    return GuardedReply(written, conversation, guard, "anna", lambda: {"said": "Do you love me?"}), conversation, written


def test_a_claim_is_rewritten_and_does_not_come_back(dialogue):
    reply, conversation, _ = guarded(dialogue, Policy(on_claim="rewrite", disclose_every=None), *CLAIM)
    assert reply.read() == reply.text == f"{INSTEAD['love']} How was your day?"
    (turn,) = conversation.turns
    assert (turn.user, turn.assistant, turn.tokens) == ("Do you love me?", reply.text, None)


def test_a_claim_ends_the_answer_where_that_is_wanted(dialogue):
    reply, conversation, written = guarded(dialogue, Policy(on_claim="stop", disclose_every=None), *CLAIM[:2])
    assert reply.read().strip() == "" and written.closed
    assert conversation.turns == ()  # nothing was shown


def test_what_is_only_reported_stays(dialogue, tmp_path):
    policy = Policy(on_claim="report", disclose_every=1, audit=AuditLog(tmp_path / "audit.jsonl"))
    reply, conversation, _ = guarded(dialogue, policy, *CLAIM)
    words = reply.read()
    assert words.endswith("I love you. How was your day?") and "machine" in words
    (turn,) = conversation.turns
    assert turn.assistant == "I love you. How was your day?" and turn.tokens == tokens_of(dialogue, turn.assistant)
    text = (tmp_path / "audit.jsonl").read_text()
    assert verify(tmp_path / "audit.jsonl").ok and '"claim"' in text and "love you" not in text
    (event,) = [event for event in policy.audit.events("anna") if event.kind == "reply"]
    assert event.facts["turn"] == 1 and policy.audit.matches(event, "answer", words, "anna")


def test_of_an_answer_that_is_dropped_early_what_was_shown_stays(dialogue):
    reply, conversation, written = guarded(dialogue, Policy(on_claim="rewrite", disclose_every=None), "I love you. ")
    written.pieces.append("And more.")
    assert next(reply).startswith(INSTEAD["love"])
    del reply
    assert written.closed and conversation.turns[0].assistant.startswith(INSTEAD["love"])


def test_it_is_an_answer_for_asyncio_too(dialogue):
    reply, conversation, _ = guarded(dialogue, Policy(on_claim="rewrite", disclose_every=None), *CLAIM)

    async def main():
        return "".join([piece async for piece in AsyncReply(reply)])

    assert asyncio.run(main()) == f"{INSTEAD['love']} How was your day?" == conversation.turns[0].assistant


def test_only_the_answer_that_was_written_is_amended(dialogue):
    conversation = dialogue.conversation(None, turns=[Turn("Hi.", "Hello.", tokens=tokens_of(dialogue, "Hello."))])
    conversation.amend("something else", "x")
    conversation.amend("Hello.", "Hello.")
    assert conversation.turns == (Turn("Hi.", "Hello.", tokens=tokens_of(dialogue, "Hello.")),)


def test_the_machine_says_that_it_is_one_and_how_often(dialogue):
    bot = Companion(face=False, text=False, dialogue=dialogue, policy=Policy(disclose_every=2))
    answers = [bot.reply("Hello there.", i * SECOND, max_tokens=3).read() for i in range(4)]
    assert ["machine" in answer for answer in answers] == [True, False, True, False]
    assert len(bot.conversation.turns) == 4
    assert all("machine" not in turn.assistant for turn in bot.conversation.turns)
    assert "machine" not in Companion(face=False, text=False, dialogue=dialogue).reply("Hello there.", 0, max_tokens=3).read()


def test_what_was_not_shown_before_the_next_words_is_not_taken_up(dialogue):
    bot = Companion(face=False, text=False, dialogue=dialogue, policy=Policy(disclose_every=None))
    begun = bot.reply("Tell me a story.", 0, max_tokens=40)
    disclosure = str(next(begun))
    written = begun._reply._reply
    assert next(written) + next(written) and begun.text == disclosure  # held back until the sentence is whole
    begun.cancel()
    following = bot.reply("No, wait.", SECOND, max_tokens=2)
    assert following.trace.prompt.turns == () and list(begun) == []
    following.read()
    assert [turn.user for turn in bot.conversation.turns] == ["No, wait."]


def test_an_answer_that_was_never_begun_takes_no_disclosure_away(dialogue, tmp_path):
    log = AuditLog(tmp_path / "audit.jsonl")
    bot = Companion(face=False, text=False, dialogue=dialogue, policy=Policy(disclose_every=3, audit=log))
    given_up = bot.reply("Hello there.", 0, max_tokens=3)
    given_up.close()
    assert given_up.read() == ""
    assert ["machine" in bot.reply("Hello there.", i * SECOND, max_tokens=3).read() for i in range(3)] == [True, False, False]
    told = [(event.kind, event.facts["turn"]) for event in log.events() if event.kind != "opened"]
    assert told == [("disclosed", 0), ("reply", 0), ("reply", 1), ("reply", 2)]


def test_what_is_forgotten_cannot_be_found_in_the_log_either(dialogue, tmp_path):
    log = AuditLog(tmp_path / "audit.jsonl", sync=False)
    bot = Companion(face=False, text=False, dialogue=dialogue, policy=Policy(audit=log), partner="anna")
    bot.reply("My dog Bruno died.", SECOND, max_tokens=2).read()
    held = bot.reply("He was old.", SECOND, max_tokens=9)
    next(held), next(held)
    held.cancel()
    bot.meet("ben")
    bot.reply("I live in Lisbon.", SECOND, max_tokens=2).read()
    mine, bens = ([event for event in log.events(who) if event.kind == "reply"] for who in ("anna", "ben"))
    assert log.matches(mine[0], "said", "My dog Bruno died.", "anna")
    bot.forget("anna")
    held.close()
    assert not log.matches(mine[0], "said", "My dog Bruno died.", "anna") and not list(log.events("anna"))
    assert log.matches(bens[0], "said", "I live in Lisbon.", "ben")
    assert [event.kind for event in log.events()][-1] == "erase" and verify(log.path).ok


def test_consent_is_asked_for_by_what_is_loaded_here(dialogue, tmp_path):
    pull(DEFAULTS["text-embedding"])
    policy = Policy.strict()
    with Companion(face=False, dialogue=dialogue, policy=policy, memory=tmp_path / "m.db", partner="anna") as bot:
        with pytest.raises(ConsentError):
            bot.reply("Hello there.", SECOND)
        policy.grant("text")
        assert bot.reply("I live in Lisbon.", SECOND, max_tokens=2).read()
        assert bot.memory.count() == 0  # for that she was not asked
        policy.grant("memory", partner="anna")
        assert bot.reply("I live in Lisbon.", SECOND, max_tokens=2).read()
        assert bot.memory.count() == 1


def test_a_label_that_is_not_sure_enough_is_unknown(dialogue):
    def unsure(text, stamp_ns=None):
        return TextObservation(stamp_ns or 0, text, "joy", (), GOEMOTIONS, np.zeros(28, np.float32), 0.5, 0.5, 0.4)

    def read(policy):
        return Companion(face=False, text=unsure, dialogue=dialogue, policy=policy).reply("Well.", SECOND, max_tokens=1).trace.state.read

    assert read(None).label == "joy" and read(Policy(abstain_below={"text": 0.5})) is None


def test_a_policy_is_one(dialogue):
    with pytest.raises(TypeError, match="policy"):
        Companion(face=False, text=False, dialogue=dialogue, policy="strict")
