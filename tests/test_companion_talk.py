"""The talk and its cache in the memory's file: gone on with after a restart, and gone with whatever is erased. The model is real."""

from __future__ import annotations

import json
import logging
import shutil
import zlib

import affectrt as art
import numpy as np
import pytest
from affectrt.companion import Companion
from affectrt.companion.recollection import RecallSettings
from affectrt.companion.talk import CACHE, TALK, VERSION, KeptTalk
from affectrt.dialogue import Dialogue, Past, Turn
from affectrt.dialogue.strategy import Strategy
from affectrt.memory import Encoder, MemoryStore, StoreError
from affectrt.packs import DEFAULTS, pull
from affectrt.policy import Retention

SECOND = 1_000_000_000
NOON = 20_000 * 86_400 * SECOND + 43_200 * SECOND


class Clock:
    """A wall clock that stands still until it is told."""

    now_ns = NOON

    def __call__(self):
        return self.now_ns


def embed(texts):
    vectors = np.zeros((len(texts), 16), np.float32)
    for row, text in zip(vectors, texts, strict=True):
        for word in text.lower().split():
            row += np.random.default_rng(zlib.crc32(word.strip(".,!?").encode())).normal(size=16)
        row /= max(float(np.linalg.norm(row)), 1e-9)
    return vectors


@pytest.fixture(scope="module")
def dialogue():
    pull(DEFAULTS["dialogue"])
    with Dialogue(threads=1, device="cpu", seed=1, context_tokens=1024) as loaded:
        yield loaded


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def start(tmp_path, dialogue, clock):
    """Starts the robot anew on the same file, and stops what ran before."""
    running = []

    def stop():
        while running:
            bot = running.pop()
            bot.close()
            bot.memory.close()

    def run(*, key=None, policy=None, retention=None, partner="anna", name="robot.db", **options):
        stop()
        settings = {"key": key, "policy": policy, "retention": retention, "embed": embed, "encoder": Encoder("words", "1", 16)}
        store = MemoryStore(tmp_path / name, clock=clock, **settings)
        options = {"face": False, "text": False, "dialogue": dialogue, "memory": store, "partner": partner, **options}
        running.append(Companion(**options))
        return running[-1]

    run.stop = stop
    yield run
    stop()


def say(bot, text, stamp_ns=SECOND, max_tokens=6):
    reply = bot.reply(text, stamp_ns, max_tokens=max_tokens, seed=7)
    reply.read()
    return reply


def blobs(bot, partner="anna"):
    return [bot.memory.load_blob(name, partner=partner) for name in (TALK, CACHE)]


SAID = ("My dog Bruno is old and sleeps a lot.", "My sister keeps zirkon in Lisbon.")


@pytest.mark.parametrize("key", [None, bytes(range(32))], ids=["plain", "encrypted"])
def test_a_restarted_robot_goes_on_as_if_it_had_run(start, clock, tmp_path, key):
    bot = start(key=key, name="through.db")
    for text in SAID:
        say(bot, text)
    through = say(bot, "What is my dog called?").text
    bot = start(key=key)
    for text in SAID:
        say(bot, text)
    before, person = bot.conversation.past, bot._person
    clock.now_ns += 599 * SECOND
    bot = start(key=key)
    assert bot.conversation.past == before and all(turn.tokens for turn in before.turns)
    now = bot._person
    assert (now.said_ns, now.reminded_of, now.strategies) == (person.said_ns, person.reminded_of, person.strategies)
    reply = say(bot, "What is my dog called?")
    assert reply.text == through and reply.trace.memories == ()  # the model sees them still
    assert reply.stats.cached_tokens > 0.6 * reply.stats.prompt_tokens
    start.stop()
    assert all(b"zirkon" not in file.read_bytes() for file in tmp_path.iterdir()) == (key is not None)


def test_a_robot_that_was_switched_off_goes_on_before_its_last_turn(start, dialogue, tmp_path, clock):
    bot = start()
    for text in (*SAID, "Good night."):
        say(bot, text)
    left = bot.conversation.past.turns[:2]
    assert blobs(bot)[1] is None  # what costs a second waits for the end
    shutil.copytree(tmp_path, tmp_path / "off")
    store = MemoryStore(tmp_path / "off" / "robot.db", clock=clock, embed=embed, encoder=Encoder("words", "1", 16))
    with store, Companion(face=False, text=False, dialogue=dialogue, memory=store, partner="anna") as again:
        assert again.conversation.past.turns == left
        assert say(again, "What is my dog called?").stats.cached_tokens > 0


def test_of_a_long_talk_the_last_turns_are_kept(start, dialogue):
    bot = start()
    past = Past(tuple(Turn(f"This is number {i}.", "Yes.") for i in range(1000)), 990, "They counted.")
    bot._person.conversation = dialogue.conversation(bot.conversation.system, turns=past)
    bot._person.said_ns.update({i: NOON - 1000 + i for i in range(1000)})
    say(bot, "Where were we?")
    said = bot.conversation.turns
    for _ in range(2):  # kept again, with the summary, what is in it does not become younger
        bot = start()
        assert blobs(bot)[0].stamp_ns == NOON - 1000
        say(bot, "And now?")
        said += bot.conversation.turns[-1:]
    bot = start()
    assert bot.conversation.turns == said[-50:] and bot.conversation.turns_in_context == 13
    assert bot.conversation.summary == "They counted." and bot._person.before_ns() == NOON - 10
    assert past.latest(5) == Past(past.turns[989:], 1, "They counted.") and past.latest(2000) == past


def test_after_a_long_pause_only_the_system_message_is_used(start, clock, dialogue):
    say(start(), SAID[0])
    clock.now_ns += 601 * SECOND
    with Dialogue(threads=1, device="cpu", seed=1, context_tokens=1024) as later:
        bot = start(dialogue=later)
        assert bot.conversation.turns == ()
        reply = say(bot, "Hello there.")
        assert 20 < reply.stats.cached_tokens == bot.conversation._slot.system_length
        start.stop()
    clock.now_ns -= 700 * SECOND  # set back: there is no telling how long ago it was
    assert start().conversation.turns == ()


@pytest.mark.parametrize("options", [{"persona": "calm"}, {"resume_s": 0}, {"resume_s": 5}, {"partner": "ben"}])
def test_another_talk_is_not_resumed(start, clock, options):
    say(start(), SAID[0])
    clock.now_ns += 6 * SECOND
    assert start(**options).conversation.turns == ()
    assert len(start().conversation.turns) == 1  # and it stays until there is a newer one


def test_nothing_is_kept_where_nothing_is_to_be_resumed(start):
    bot = start(resume_s=0)
    say(bot, SAID[0])
    bot.meet("ben")
    assert blobs(start()) == [None, None]
    for wrong, kind in ((-1, ValueError), (float("inf"), ValueError), ("x", TypeError)):
        with pytest.raises(kind, match="resume_s must"):
            Companion(resume_s=wrong)


def test_each_partners_talk_is_kept_at_meet(start):
    bot = start()
    say(bot, SAID[0])
    bot.meet("ben")
    assert len(KeptTalk.from_bytes(blobs(bot)[0].value).past.turns) == 1 and blobs(bot)[1] is not None
    say(bot, "I like soup.")
    bot.meet("anna")
    say(bot, SAID[1])
    bot = start(partner="carl")
    bot.meet("ben")
    assert [turn.user for turn in bot.conversation.turns] == ["I like soup."]
    bot.meet("anna")
    assert [turn.user for turn in bot.conversation.turns] == list(SAID)


def test_what_is_forgotten_takes_the_talks_along(start, tmp_path):
    bot = start()
    say(bot, SAID[1])
    bot.meet("ben")
    say(bot, "I like soup.")
    bot = start(partner="ben")
    assert bot.forget("anna") == 1
    assert blobs(bot) == blobs(bot, "ben") == [None, None]
    assert all(b"zirkon" not in file.read_bytes() for file in tmp_path.iterdir())
    bot.meet("anna")
    say(bot, "Good evening to you.")
    bot = start()
    assert [turn.user for turn in bot.conversation.turns] == ["Good evening to you."]
    bot.meet("ben")
    assert bot.conversation.turns == ()  # said before: it might hold what was forgotten
    assert bot.forget("anna") == 1
    bot.meet("anna")
    say(bot, "And again.")
    assert [turn.user for turn in start().conversation.turns] == ["And again."]


def test_what_is_forgotten_while_it_is_kept_is_not_in_the_file(start, tmp_path):
    bot = start()
    say(bot, SAID[1])
    conversation = bot.conversation
    conversation.export_cache = lambda **_: bot.forget("anna") and None  # as another thread may, while this one saves
    bot.meet("ben")
    assert all(b"zirkon" not in file.read_bytes() for file in tmp_path.iterdir())


def test_what_is_forgotten_while_it_is_resumed_is_not_known(start, monkeypatch):
    say(start(), SAID[1])
    bot = start(partner="ben")
    load = bot.memory.load_blob

    def loading(name, *, partner):
        found = load(name, partner=partner)
        if name == CACHE:
            bot.forget("anna")  # as another thread may
        return found

    monkeypatch.setattr(bot.memory, "load_blob", loading)
    bot.meet("anna")
    assert bot.conversation.turns == () and bot._person.said_ns == {} and bot.state.affect.confidence == 0
    say(bot, "Good evening to you.")
    monkeypatch.undo()
    assert [turn.user for turn in start().conversation.turns] == ["Good evening to you."]


def test_what_is_recalled_while_it_is_erased_is_not_kept(start, tmp_path, monkeypatch):
    say(start(), SAID[1])
    bot = start(persona="calm", recall=RecallSettings(semantic_limit=2.0))  # another talk, that remembers the words
    begun, erase = [], bot.memory.erase_partner

    def erasing(partner):
        begun.append(bot.reply("In Lisbon my sister keeps it.", SECOND, max_tokens=3))  # as another thread may
        return erase(partner)

    monkeypatch.setattr(bot.memory, "erase_partner", erasing)
    assert bot.forget() == 2
    assert "zirkon in Lisbon" in begun[0].trace.note
    begun[0].read()
    say(bot, "Good evening to you.")
    start.stop()
    assert all(b"zirkon" not in file.read_bytes() for file in tmp_path.iterdir())


def test_a_talk_in_which_something_was_erased_by_another_is_not_kept(start, tmp_path, clock):
    bot = start()
    say(bot, SAID[1])
    with MemoryStore(tmp_path / "robot.db", encoder=Encoder("words", "1", 16), clock=clock) as other:
        other.erase([1])
    bot = start()
    assert blobs(bot) == [None, None]
    start.stop()
    assert all(b"zirkon" not in file.read_bytes() for file in tmp_path.iterdir())


def test_a_talk_that_was_reset_is_not_resumed(start):
    say(start(), SAID[0])
    bot = start()
    bot.conversation.reset()
    assert start().conversation.turns == () and blobs(start()) == [None, None]


def test_it_is_no_older_than_the_limits_allow(start, clock):
    limits = Retention({"utterance": 300})
    say(start(retention=limits), SAID[0])
    clock.now_ns += 299 * SECOND
    bot = start(retention=limits)
    assert len(bot.conversation.turns) == 1
    clock.now_ns += SECOND
    assert start(retention=limits).conversation.turns == () and blobs(start()) == [None, None]


def test_what_was_said_without_consent_is_not_kept(start):
    policy = art.Policy(clock=lambda: NOON)
    policy.grant("memory", partner="anna")
    bot = start(policy=policy)
    say(bot, SAID[0])
    policy.withdraw("memory", partner="anna")
    assert start(policy=policy).conversation.turns == ()
    policy.grant("memory", partner="anna")
    assert start(policy=policy).conversation.turns == ()  # it lacked when that talk ended
    policy.withdraw("memory", partner="anna")
    bot = start(policy=policy)
    say(bot, SAID[1])
    policy.grant("memory", partner="anna")
    say(bot, "Now you may.")
    assert start().conversation.turns == ()
    bot = start(policy=policy)
    bot.reply("I have begun to say", SECOND).close()
    policy.withdraw("memory", partner="anna")
    say(bot, SAID[1])  # has the number of the turn that was cancelled
    policy.grant("memory", partner="anna")
    assert start().conversation.turns == ()


def test_an_answer_that_still_runs_costs_the_cache_alone(start, caplog):
    bot = start()
    say(bot, SAID[0])
    reply = bot.reply("Tell me a story.", SECOND, max_tokens=50)
    next(reply)
    with caplog.at_level(logging.WARNING, logger="affectrt.companion"):
        bot.meet("ben")
    assert "the cache of the talk with 'anna' is not kept: a reply of this conversation is still running" in caplog.text
    assert len(KeptTalk.from_bytes(blobs(bot)[0].value).past.turns) == 1 and blobs(bot)[1] is None
    reply.close()
    bot = start()  # which stops the other: it is kept whole then
    assert len(bot.conversation.turns) == 2 and blobs(bot)[1] is not None


def test_a_full_disk_costs_the_talk_alone(start, caplog, monkeypatch):
    bot = start()
    say(bot, SAID[0])
    reasons = iter(("full", "corrupt"))

    def refuse(*_, **__):
        raise StoreError("no", next(reasons))

    monkeypatch.setattr(bot.memory, "save_blobs", refuse)
    with caplog.at_level(logging.WARNING, logger="affectrt.companion"):
        bot.meet("ben")
    assert "the talk with 'anna' is not kept: no" in caplog.text
    with pytest.raises(StoreError):
        bot.close()


def test_a_state_that_was_sealed_elsewhere_does_not_reach_the_model(start, tmp_path, monkeypatch, caplog):
    say(start(), SAID[0])
    start.stop()
    monkeypatch.setenv("AFFECTRT_CACHE_DIR", str(tmp_path / "another machine"))
    with caplog.at_level(logging.WARNING, logger="affectrt.dialogue"):
        bot = start()
    assert "a cache is passed over: it is damaged, or sealed with another key" in caplog.text
    assert len(bot.conversation.turns) == 1 and bot.conversation._slot.saved is None


GOOD = KeptTalk("Be kind.", Past((Turn("Hello.", "Hi.", "", "stop", (1, 2)),)), (5,), ("ben",), (Strategy.QUESTION,))
TURN = {"user": "x", "assistant": "y", "note": "", "finish": "stop", "tokens": None}


@pytest.mark.parametrize(
    "change",
    [
        None,
        [],
        {"system": 5},
        {"past": None},
        {"past": {"turns": [], "left": 0, "summary": None}},
        {"past": {"turns": [{**TURN, "user": " "}], "left": 0, "summary": None}},
        {"past": {"turns": [{**TURN, "assistant": "\ud800"}], "left": 0, "summary": None}},
        {"past": {"turns": [{**TURN, "assistant": None}], "left": 0, "summary": None}},
        {"past": {"turns": [{**TURN, "tokens": 5}], "left": 0, "summary": None}},
        {"past": {"turns": [{**TURN, "more": 5}], "left": 0, "summary": None}},
        {"past": {"turns": [TURN], "left": 2, "summary": None}},
        {"past": {"turns": [TURN], "left": 0, "summary": "x"}},
        {"said_ns": []},
        {"said_ns": ["x"]},
        {"said_ns": [-1]},
        {"said_ns": 5},
        {"reminded_of": [5]},
        {"strategies": ["Shouting"]},
    ],
)
def test_a_talk_that_is_none_is_passed_over(start, caplog, change):
    value = json.loads(GOOD.to_bytes())
    data = json.dumps({**value, **change} if isinstance(change, dict) else change).encode()
    start().memory.save_blobs({TALK: data}, partner="anna", version=VERSION)
    with caplog.at_level(logging.WARNING, logger="affectrt.companion"):
        bot = start()
    assert "the talk kept of 'anna' is passed over: " in caplog.text
    assert bot.conversation.turns == () and say(bot, "Hello.", max_tokens=1).text


def test_damage_and_other_versions_are_passed_over(start, caplog, tmp_path):
    say(start(), SAID[1])
    start.stop()
    file = tmp_path / "robot.db"
    whole = file.read_bytes()
    assert b'"user":"My sister keeps zirkon' in whole
    file.write_bytes(whole.replace(b'"user":"My sister keeps zirkon', b'"user":"My sister keeps zirkom'))
    with caplog.at_level(logging.WARNING, logger="affectrt.companion"):
        assert start().conversation.turns == ()
    assert "blob 'talk' of 'anna': it does not match its checksum" in caplog.text
    start.stop()
    file.write_bytes(whole)
    bot = start()
    assert len(bot.conversation.turns) == 1
    bot.memory.save_blobs({TALK: blobs(bot)[0].value}, partner="anna", version=VERSION + 1)
    assert start().conversation.turns == ()
