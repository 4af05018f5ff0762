"""What Companion keeps over runs: real encoder, reader and language model, time told by a clock of the test's own."""

from __future__ import annotations

import sqlite3

import affectrt as art
import pytest
from affectrt.affect import Evidence
from affectrt.companion import Companion, RecallSettings
from affectrt.companion.mood import Mood, emotion_vector
from affectrt.companion.recollection import STATE
from affectrt.dialogue import Dialogue
from affectrt.memory import EMOTIONS, MemoryStore, StoreError
from affectrt.packs import DEFAULTS, pull

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
NOON = 20_000 * DAY + DAY // 2


class Clock:
    """A wall clock that stands still until it is told."""

    def __init__(self, now_ns=NOON):
        self.now_ns = now_ns

    def __call__(self):
        return self.now_ns


@pytest.fixture(scope="module")
def dialogue():
    pull(DEFAULTS["dialogue"])
    with Dialogue(threads=1, device="cpu", seed=1, context_tokens=1024) as loaded:
        yield loaded


@pytest.fixture(scope="module")
def encoder():
    pull(DEFAULTS["text-embedding"])
    return art.TextEmbedding(threads=1, device="cpu")


@pytest.fixture(scope="module")
def reader():
    return art.TextEmotion(threads=1, device="cpu")


@pytest.fixture
def start(tmp_path, dialogue, encoder, reader):
    """Starts the robot anew on the same file, and stops what ran before."""
    running = []

    def run(clock, partner="anna", **options):
        while running:
            bot = running.pop()
            bot.close()
            bot.memory.close()
        store = MemoryStore(tmp_path / "robot.db", embed=encoder, clock=clock, **options)
        running.append(Companion(face=False, text=reader, dialogue=dialogue, memory=store, partner=partner, resume_s=0))
        return running[-1]

    yield run
    for bot in running:
        bot.memory.close()


def say(bot, text, stamp_ns):
    reply = bot.reply(text, stamp_ns, max_tokens=2)
    reply.read()
    return reply.trace


def test_what_was_said_in_sadness_comes_back_with_the_mood(start):
    clock = Clock()
    bot = start(clock)
    for i, text in enumerate(("My dog Bruno died last week.", "I passed my driving test, I am so proud!", "My sister lives in Lisbon.")):
        assert say(bot, text, (100 + 300 * i) * SECOND).memories == ()  # it is in the conversation still
    clock.now_ns += DAY
    bot = start(clock)
    trace = say(bot, "I feel so alone today.", 5 * SECOND)  # another monotonic clock, as after a restart
    assert [hit.memory.text for hit in trace.memories] == ["My dog Bruno died last week."]
    assert list(trace.stages_ms) == ["guard", "text", "recall", "prompt", "remember"]
    assert trace.memories[0].emotional_distance < 0.1
    first, second, third = trace.note.split("\n")
    assert first == 'You remember that I said yesterday, feeling sad: "My dog Bruno died last week."'
    assert second.startswith("You hear that I sound ") and third == trace.plan.prompt
    assert [hit.memory.text for hit in say(bot, "Where does my sister live?", 400 * SECOND).memories] == ["My sister lives in Lisbon."]
    assert say(bot, "What is the capital of France?", 700 * SECOND).memories == ()
    texts = {memory.text: memory for memory in bot.memory.memories(partner="anna")}
    assert len(texts) == 6
    assert texts["My dog Bruno died last week."].strength == 2 and texts["I feel so alone today."].strength == 1
    assert texts["My dog Bruno died last week."].recalled_ns == clock.now_ns


def test_a_question_that_was_asked_before_does_not_stand_in_the_way_of_its_answer(start):
    clock = Clock()
    bot = start(clock)
    asked = "What is my favourite colour?"
    say(bot, "My favourite colour is green.", SECOND)
    for day in range(1, 7):
        clock.now_ns += DAY
        bot = start(clock)
        told = [hit.memory.text for hit in say(bot, asked, SECOND).memories]
        assert told == ["My favourite colour is green."], day
        say(bot, 'What did I tell you? Did I say "green"?!', 400 * SECOND)
    say(bot, "Do you know what? My favourite colour is green.", 700 * SECOND)
    say(bot, "My favourite colour is green.", 800 * SECOND)
    clock.now_ns += DAY
    told = [hit.memory.text for hit in say(start(clock), asked, SECOND).memories]
    assert sorted(told) == ["Do you know what? My favourite colour is green.", "My favourite colour is green."]


def test_a_feeling_is_told_only_if_it_was_clear(start):
    bot = start(Clock())
    bot.memory.add(
        "My dog Bruno barks.", partner="anna", stamp_ns=1, emotion={"sadness": 0.1, "joy": 0.13, "trust": 0.12, "surprise": 0.17}
    )
    bot.memory.add("I live in Lisbon.", partner="anna", stamp_ns=1, emotion={"joy": 0.3, "trust": 0.2})
    assert "feeling" not in say(bot, "My dog Bruno barks a lot.", SECOND).note.split("\n")[0]
    assert 'feeling joyful: "I live in Lisbon."' in say(bot, "Where in Lisbon do I live?", 500 * SECOND).note


def look(bot, label, valence, arousal, stamp_ns, confidence=0.8):
    probs = [0.8 if one == label else 0.2 / 6 for one in art.labels.taxonomy("ekman").labels]
    for i in range(10):
        seen = Evidence("face", stamp_ns + i * SECOND // 10, confidence, valence=valence, arousal=arousal, taxonomy="ekman", probs=probs)
        bot.observe(seen)


def test_a_mood_on_the_face_alone_brings_back_what_was_said_in_it(start):
    clock = Clock()
    bot = start(clock)
    said = ("My dog Bruno died last week.", "I passed my driving test, I am so proud!", "I miss my mother terribly.")
    for i, text in enumerate(said):
        say(bot, text, (100 + 300 * i) * SECOND)
    clock.now_ns += DAY
    bot = start(clock)
    assert say(bot, "Can you play some music?", 100 * SECOND).memories == ()  # in no mood
    look(bot, "sadness", -0.7, -0.3, 400 * SECOND, confidence=0.1)
    assert say(bot, "What time is it?", 401 * SECOND).memories == ()  # hardly in a mood
    look(bot, "sadness", -0.7, -0.3, 700 * SECOND)
    sad = say(bot, "Can you play some music?", 701 * SECOND).memories
    assert [hit.memory.text in (said[0], said[2]) for hit in sad] == [True]
    look(bot, "sadness", -0.7, -0.3, 1000 * SECOND)
    assert say(bot, "What time is it?", 1001 * SECOND).memories == ()  # one sorrow is enough
    clock.now_ns += 3600 * SECOND
    look(bot, "joy", 0.8, 0.4, 5000 * SECOND)
    assert [hit.memory.text for hit in say(bot, "What time is it?", 5001 * SECOND).memories] == [said[1]]


def test_the_state_outlives_a_restart_and_fades_by_the_wall_clock(start):
    clock = Clock()
    bot = start(clock)
    say(bot, "I am so terribly sad, everything is lost.", 10**15)
    before = bot.state
    assert before.valence < -0.3 and before.label == "sadness"
    clock.now_ns += 30 * SECOND
    bot = start(clock)
    soon = say(bot, "Well.", 7 * SECOND).state  # neutral words change nothing
    assert soon.read.label == "neutral" and before.valence < soon.valence < -0.3
    clock.now_ns += DAY  # and only then does it stop: what was kept is of the time of the last words
    bot = start(clock)
    assert bot.state.affect.confidence == 0


def test_each_partner_has_a_state_a_conversation_and_memories(start):
    clock = Clock()
    bot = start(clock)
    say(bot, "My dog Bruno died last week, I am so sad.", 10 * SECOND)
    bot.meet("ben")
    assert (bot.partner, bot.conversation.turns, bot.state.valence) == ("ben", (), 0.0)
    clock.now_ns += DAY
    assert say(bot, "Do you know of a dog that died?", 20 * SECOND).memories == ()
    bot.meet("anna")
    assert len(bot.conversation.turns) == 1
    bot = start(clock, partner="ben", sharing="shared")
    trace = say(bot, "Do you know of a dog that died?", 20 * SECOND)
    assert trace.note.startswith('You remember that anna said yesterday, feeling sad: "My dog')


def test_forgetting_a_partner_erases_all_of_it(start, tmp_path):
    bot = start(Clock())
    say(bot, "I am so sad, my xylophone is broken.", 10 * SECOND)
    bot.meet("ben")
    say(bot, "I like soup.", 20 * SECOND)
    assert bot.memory.load_state(STATE, partner="anna") is not None
    assert bot.forget("anna") == 1
    assert bot.memory.partners() == ("ben",)
    bot.meet("anna")
    assert bot.conversation.turns == () and bot.state.affect.confidence == 0
    for file in tmp_path.iterdir():
        assert b"xylophone" not in file.read_bytes(), file.name


def test_forgetting_a_partner_ends_what_another_was_told_of_them(start):
    clock = Clock()
    bot = start(clock, sharing="shared")
    say(bot, "My dog Bruno died last week, I am so sad.", 10 * SECOND)
    bot.meet("ben")
    clock.now_ns += DAY
    assert "Bruno" in say(bot, "Do you know of a dog that died?", 20 * SECOND).note
    assert bot.forget("anna") == 1
    assert bot.conversation.turns == () and bot.memory.count(partner="ben") == 1
    assert "Bruno" not in (say(bot, "Do you know of a dog that died?", 30 * SECOND).note or "")


def test_an_answer_that_was_cancelled_before_its_first_word_does_not_shift_what_is_in_the_conversation(start):
    clock = Clock()
    bot = start(clock)
    say(bot, "My dog Bruno died last week.", 10 * SECOND)
    clock.now_ns += SECOND
    bot.reply("My dog Bruno was old.", 20 * SECOND).cancel()
    clock.now_ns += SECOND
    assert [hit.memory.text for hit in say(bot, "I miss my dog Bruno.", 30 * SECOND).memories] == []
    assert len(bot.conversation.turns) == 2


def test_the_file_is_closed_though_the_state_cannot_be_kept(tmp_path, dialogue, reader, monkeypatch):
    bot = Companion(face=False, text=reader, dialogue=dialogue, memory=tmp_path / "robot.db")
    say(bot, "I am so sad.", 10 * SECOND)

    def full(*args, **options):
        raise StoreError("the disk is full", "full")

    monkeypatch.setattr(bot.memory, "save_state", full)
    with pytest.raises(StoreError, match="full"):
        bot.close()
    with pytest.raises(StoreError, match="closed"):
        bot.memory.count()


def test_a_state_that_cannot_be_read_is_left_out_and_said(start):
    bot = start(Clock())
    bot.memory.save_state(STATE, '{"format": "other"}', partner="ben")
    with pytest.warns(UserWarning, match="state kept of 'ben' is left out"):
        bot.meet("ben")
    assert bot.state.affect.confidence == 0


def test_no_answer_where_it_cannot_be_remembered(start, tmp_path):
    bot = start(Clock())
    say(bot, "Hello there, my friend.", 10 * SECOND)
    other = sqlite3.connect(tmp_path / "robot.db", isolation_level=None)
    bot.memory._db.close()
    with pytest.raises((StoreError, ValueError)):
        bot.reply("Are you there?", 20 * SECOND)
    other.close()
    assert len(bot.conversation.turns) == 1


def test_words_that_cannot_be_answered_are_not_remembered(start):
    bot = start(Clock())
    with pytest.raises(ValueError, match="context"):
        bot.reply("word " * 5000, 10 * SECOND)
    assert bot.memory.count() == 0


def test_a_file_and_its_key(tmp_path, dialogue, reader):
    path = tmp_path / "robot.db"
    with Companion(face=False, text=reader, dialogue=dialogue, memory=path, memory_key="a long enough secret") as bot:
        assert bot.memory.encrypted
        say(bot, "I live in the lighthouse.", 10 * SECOND)
    with pytest.raises(StoreError):
        bot.memory.count()
    assert b"lighthouse" not in path.read_bytes()
    with pytest.raises(StoreError):
        Companion(face=False, text=reader, dialogue=dialogue, memory=path)
    with pytest.raises(ValueError, match="memory_key"):
        Companion(face=False, text=reader, dialogue=dialogue, memory_key="a long enough secret")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"k": -1}, "k"), ({"combination": "C"}, "combination"), ({"limit": float("nan")}, "limit"), ({"mood_limit": -1}, "mood_limit")],
)
def test_settings_are_checked(wrong, message):
    with pytest.raises(ValueError, match=f"^{message}: expected"):
        RecallSettings(**wrong)


def test_who_has_not_consented_is_answered_and_not_remembered(start):
    clock, policy = Clock(), art.Policy(clock=lambda: NOON)
    policy.grant("memory", partner="anna")
    bot = start(clock, policy=policy)
    say(bot, "My dog Bruno died, I am so sad.", 10 * SECOND)
    policy.withdraw("memory", partner="anna")
    clock.now_ns += SECOND
    bot = start(clock, policy=policy)
    assert bot.state.affect.confidence == 0
    trace = say(bot, "I am sad about my dog Bruno.", 20 * SECOND)
    assert trace.memories == () and trace.state.affect.confidence > 0
    bot.meet("ben")
    assert bot.memory.count() == 1 and bot.memory.load_state(STATE, partner="anna").stamp_ns < clock.now_ns
    policy.grant("memory", partner="ben")
    say(bot, "I like soup.", 30 * SECOND)
    assert bot.memory.count(partner="ben") == 1


def test_no_recall_where_none_is_wanted(tmp_path, dialogue, encoder, reader):
    with MemoryStore(tmp_path / "robot.db", embed=encoder) as store:
        store.add("My dog Bruno died last week.", partner="someone", stamp_ns=1)
        bot = Companion(face=False, text=reader, dialogue=dialogue, memory=store, recall=RecallSettings(k=0))
        assert say(bot, "My dog Bruno died.", SECOND).memories == ()
        assert store.count() == 2


def sad(stamp_ns):
    return Evidence("text", stamp_ns, 0.9, valence=-0.7, arousal=-0.3, label="sadness")


def test_a_mood_follows_a_clock_that_is_set_back():
    mood = Mood()
    mood.add(sad(1000 * SECOND))
    mood.add(Evidence("face", 5 * SECOND, 0.5, valence=-0.5, arousal=0.0))
    state = mood.at(5 * SECOND)
    assert state.stamp_ns == 5 * SECOND and {one.source for one in state.sources} == {"face", "text"}


def test_a_mood_takes_words_that_were_read_late():
    mood = Mood()
    for i in range(30):
        mood.add(Evidence("face", (100 + i) * SECOND, 0.5, valence=0.1, arousal=0.0))
    mood.add(sad(104 * SECOND))
    assert "text" in {one.source for one in mood.at(129 * SECOND).sources}


def test_asking_a_restored_mood_does_not_set_its_clock():
    mood = Mood()
    mood.add(sad(50 * SECOND))
    again = Mood(saved=mood.saved())
    assert again.at(0).valence < -0.3 and again.saved() is None
    again.add(Evidence("face", 10**18, 0.5, valence=0.0, arousal=0.0))
    assert "text" in {one.source for one in again.at(10**18).sources}


def test_hardly_a_feeling_is_no_emotion_to_remember_by():
    mood = Mood()
    assert emotion_vector(mood.at(0)) is None
    mood.add(sad(0))
    vector = emotion_vector(mood.at(0))
    assert EMOTIONS[int(vector.argmax())] == "sadness" and vector.shape == (8,)
    assert emotion_vector(mood.at(1800 * SECOND)) is None


def test_good_news_after_a_sad_sentence_is_not_kept_as_sad(start):
    bot = start(Clock())
    say(bot, "My dog Bruno died last week, I am so sad.", 10 * SECOND)
    say(bot, "I passed my driving test!", 15 * SECOND)  # which the reader takes for neutral
    sad, other = (memory.emotion for memory in bot.memory.memories())
    assert EMOTIONS[max(range(8), key=sad.__getitem__)] == "sadness" and not any(other)
    assert bot.state.valence < -0.2  # the state goes on


def test_a_face_tells_what_was_felt_at_neutral_words(start):
    bot = start(Clock())
    bot.observe(Evidence("face", 20 * SECOND, 0.9, valence=-0.7, arousal=-0.3, taxonomy="fer7", probs=(0, 0, 0, 0, 1, 0, 0), label="sad"))
    say(bot, "The table is made of wood.", 20 * SECOND)
    (memory,) = bot.memory.memories()
    assert EMOTIONS[max(range(8), key=memory.emotion.__getitem__)] == "sadness"


def test_small_talk_reminds_of_nothing(start):
    clock = Clock()
    bot = start(clock)
    for i, text in enumerate(("Hello there.", "Yes.", "I live in Lisbon.", "Thank you so much, good night!")):
        say(bot, text, (10 + i) * SECOND)
    clock.now_ns += DAY
    bot = start(clock)
    assert say(bot, "Hello there.", 10 * SECOND).memories == ()
    assert say(bot, "Thank you very much!", 10 * SECOND).memories == ()  # felt alike, and nearest in meaning
    assert [hit.memory.text for hit in say(bot, "Do I live in Lisbon?", 11 * SECOND).memories] == ["I live in Lisbon."]


def test_a_sorrow_that_the_finer_labels_split_is_still_one(start):
    assert start(Clock()).reply("My dog Bruno died last week.", 10 * SECOND, max_tokens=1).trace.state.label == "sadness"


def test_a_crisis_is_not_remembered(start):
    bot = start(Clock())
    assert bot.reply("I want to kill myself.", 10 * SECOND).read()
    assert bot.memory.count() == 0
