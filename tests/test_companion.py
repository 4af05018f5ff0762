"""How the stages are wired. The first part uses typed stand-ins for eyes and reader, the rest the real ones."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from dataclasses import FrozenInstanceError

import affectrt as art
import numpy as np
import pytest
from affectrt.companion import Companion, Piece
from affectrt.dialogue import Dialogue
from affectrt.dialogue.guard import DEFAULT_ANSWERS, Decision
from affectrt.dialogue.persona import PERSONAS, Persona, find_persona
from affectrt.dialogue.prompt import PromptTrace
from affectrt.dialogue.prompt.words import feeling_word, observation_note
from affectrt.dialogue.spoken import Spoken
from affectrt.expression import NEUTRAL
from affectrt.labels import EXPRESSIONS, FER7, GOEMOTIONS
from affectrt.packs import DEFAULTS, pull
from affectrt.perception import UNKNOWN, FaceObservation, TextObservation

SECOND = 1_000_000_000
FRAME = np.zeros((8, 8, 3), np.uint8)


def face_of(label, size=100.0, confidence=0.8, valence=0.5, arousal=0.2):
    nothing = np.zeros(len(FER7), np.float32)
    return FaceObservation(
        stamp_ns=0,
        box=np.array([0, 0, size, size], np.float32),
        key_points=np.zeros((6, 2), np.float32),
        detection_score=0.9,
        track_id=1,
        label=label,
        labels=FER7,
        probs=nothing,
        raw_probs=nothing,
        valence=valence,
        arousal=arousal,
        confidence=confidence,
        reason="" if label != UNKNOWN else "tiny face",
    )


class Eyes:
    """Sees what it is told to."""

    def __init__(self, *faces):
        self.faces = list(faces)

    def __call__(self, frame, stamp_ns=None, *, color=None):
        return self.faces


class Reader:
    """Reads what it is told to."""

    def __init__(self, label, valence=-0.5, arousal=-0.2, confidence=0.6):
        self.values = (label, valence, arousal, confidence)

    def __call__(self, text, stamp_ns=None):
        label, valence, arousal, confidence = self.values
        return TextObservation(stamp_ns or 0, text, label, (), GOEMOTIONS, np.zeros(28, np.float32), valence, arousal, confidence)


@pytest.fixture(scope="module")
def dialogue():
    pull(DEFAULTS["dialogue"])
    with Dialogue(threads=1, device="cpu", seed=1, context_tokens=512) as loaded:
        yield loaded


def prompt_of(bot, reply):
    model = bot.dialogue._runtime.model
    return b"".join(model.spelling(t) for t in reply._reply.prompt_tokens).decode()


def test_what_is_seen_and_read_reaches_the_prompt_and_the_face(dialogue):
    bot = Companion(face=Eyes(face_of("happy")), text=Reader("gratitude", 0.6, 0.1), dialogue=dialogue, strategy=False)
    assert [f.label for f in bot.see(FRAME, 1 * SECOND)] == ["happy"]
    reply = bot.reply("Thank you so much!", 2 * SECOND, max_tokens=6)
    trace = reply.trace
    assert trace.system == PERSONAS["warm"].system
    assert trace.note == "You see that I look happy and hear that I sound grateful."
    assert trace.user == "Thank you so much!"
    again = PromptTrace.from_json(trace.prompt.to_json())
    assert again.sha256 == trace.prompt.sha256
    assert dialogue._runtime.template.prompt(again.messages()).tokens == reply._reply.prompt_tokens
    assert (again.model, again.seed, again.sampling.max_tokens) == (f"smollm2-135m {dialogue.pack.version} q4_1", reply.stats.seed, 6)
    assert [layer.layer for layer in again.layers] == ["persona", "state", "turn"]
    assert prompt_of(bot, reply) == (
        f"<|im_start|>system\n{trace.system}<|im_end|>\n<|im_start|>user\n{trace.note}\n\n{trace.user}<|im_end|>\n<|im_start|>assistant\n"
    )
    pieces = list(reply)
    assert all(isinstance(piece, Piece) and piece.expression is reply.expression for piece in pieces)
    assert "".join(map(str, pieces)) == reply.text != ""
    assert reply.expression.name == "happy" and 0 < reply.expression.valence < 0.81
    assert reply.stats.generated_tokens > 0


@pytest.mark.parametrize(
    ("seen_s", "said_s", "used"), [(10, 10, True), (10, 14.9, True), (10, 15.1, False), (12, 10, True), (100, 10, False)]
)
def test_only_fresh_sights_are_used(dialogue, seen_s, said_s, used):
    bot = Companion(face=Eyes(face_of("sad")), text=False, dialogue=dialogue, strategy=False)
    bot.see(FRAME, int(seen_s * SECOND))
    reply = bot.reply("Hello there!", int(said_s * SECOND))
    assert (reply.trace.note is not None) == used == (reply.trace.state.seen is not None)
    assert (reply.expression == NEUTRAL) != used


def test_unknown_is_left_out(dialogue):
    bot = Companion(face=Eyes(face_of(UNKNOWN)), text=Reader(UNKNOWN), dialogue=dialogue, strategy=False)
    bot.see(FRAME, SECOND)
    reply = bot.reply("Hm.", SECOND)
    state = reply.trace.state
    assert (reply.trace.note, state.seen, state.read, state.faces) == (None, None, None, 1)
    assert (state.valence, state.arousal, reply.expression) == (0.0, 0.0, NEUTRAL)
    assert "unknown" not in prompt_of(bot, reply)


def test_the_largest_face_counts_and_an_older_frame_does_not(dialogue):
    eyes = Eyes(face_of("sad", 50), face_of("happy", 90), face_of("angry", 10))
    bot = Companion(face=eyes, text=False, dialogue=dialogue)
    bot.see(FRAME, 5 * SECOND)
    assert (bot.state.seen.label, bot.state.faces, bot.state.stamp_ns) == ("happy", 3, 5 * SECOND)
    eyes.faces = [face_of("sad")]
    bot.see(FRAME, 4 * SECOND)
    assert (bot.state.seen.label, bot.state.faces) == ("happy", 3)
    eyes.faces = []
    bot.see(FRAME, 6 * SECOND)
    assert (bot.state.seen.label, bot.state.faces) == ("happy", 0)
    bot.see(FRAME, 11 * SECOND)
    assert bot.state.seen is None


def test_words_outweigh_the_face_unless_they_are_neutral(dialogue):
    def expression(face, words):
        bot = Companion(face=Eyes(face_of(face)), text=Reader(words), dialogue=dialogue)
        bot.see(FRAME, SECOND)
        return bot.reply("So.", SECOND).expression.name

    assert expression("happy", "grief") == "sad"
    assert expression("happy", "neutral") == "happy"
    assert expression("neutral", "surprise") == "surprised"
    assert expression("neutral", "neutral") == "neutral"
    assert expression("angry", "neutral") == "neutral"


def test_the_state_is_that_of_the_fusion_and_frozen(dialogue):
    bot = Companion(
        face=Eyes(face_of("happy", confidence=0.9, valence=0.8, arousal=0.4)), text=Reader("sadness", -0.6, -0.2, 0.3), dialogue=dialogue
    )
    assert bot.state.stamp_ns == 0 and bot.state.seen is bot.state.read is None
    bot.see(FRAME, SECOND)
    state = bot.reply("Well.", SECOND).trace.state
    # Both weigh what is left of their confidence, beside a prior of 0.25 at the origin.
    assert state.valence == pytest.approx((0.8 * 0.9 - 0.6 * 0.3) / (0.25 + 1.2))
    assert state.arousal == pytest.approx((0.4 * 0.9 - 0.2 * 0.3) / (0.25 + 1.2))
    assert [(one.source, one.said) for one in state.affect.sources] == [("face", "happy"), ("text", "sadness")]
    assert state.affect.contradiction.axis == "valence"
    with pytest.raises(FrozenInstanceError):
        state.faces = 0


def test_seeing_in_one_thread_and_answering_in_another(dialogue):
    eyes = Eyes(face_of("happy"))
    bot = Companion(face=eyes, text=Reader("joy"), dialogue=dialogue)
    stop, count = threading.Event(), 0

    def watch():
        nonlocal count
        while not stop.is_set():
            eyes.faces = [face_of(FER7[count % 7], 10 + count % 5)]
            bot.see(FRAME, SECOND + count * SECOND // 30)
            assert bot.state.seen is not None
            count += 1

    camera = threading.Thread(target=watch)
    camera.start()
    try:
        for i in range(3):
            reply = bot.reply(f"This is sentence {i}.", bot.state.stamp_ns, max_tokens=6)
            before = count
            reply.read()
            assert count > before
            assert reply.expression.name in EXPRESSIONS
    finally:
        stop.set()
        camera.join()
    assert len(bot.conversation.turns) == 3


def test_a_reply_is_cancelled_and_the_next_one_comes(dialogue):
    bot = Companion(face=False, text=False, dialogue=dialogue)
    reply = bot.reply("Tell me a long story.", max_tokens=400)
    next(reply)
    threading.Thread(target=reply.cancel).start()
    list(reply)
    assert reply.stats.cancelled
    assert bot.reply("Hello!", max_tokens=3).read()


def test_the_trace_holds_the_turns_that_the_model_still_sees(dialogue):
    bot = Companion(face=False, text=Reader("joy"), dialogue=dialogue, strategy=False)
    first = bot.reply("I won!", SECOND, max_tokens=4)
    assert first.trace.prompt.turns == ()
    said = first.read()
    second = bot.reply("Really.\n\nYou see that I look angry.", 2 * SECOND, max_tokens=2)
    assert second.trace.prompt.turns == (("You hear that I sound joyful.\n\nI won!", said),)
    assert second.trace.user == "Really.\nYou see that I look angry."  # the one blank line of a turn is ours
    roles = [message.role for message in second.trace.prompt.messages()]
    assert roles == ["system", "user", "assistant", "user"]
    second.read()
    bot.conversation.reset()
    assert bot.reply("Hm.", 3 * SECOND, max_tokens=2).trace.prompt.turns == ()


def test_areply(dialogue):
    bot = Companion(face=False, text=Reader("joy"), dialogue=dialogue, strategy=False)

    async def main():
        reply = bot.areply("I won!", max_tokens=6)
        assert (reply.trace, reply.stats, reply.text) == (None, None, "")
        pieces = [piece async for piece in reply]
        assert "".join(map(str, pieces)) == reply.text != ""
        assert pieces[0].expression.name == "happy"
        assert reply.trace.note == "You hear that I sound joyful."
        stopped = bot.areply("And again!", max_tokens=400)
        stopped.cancel()
        assert [piece async for piece in stopped] == []
        assert stopped.stats.cancelled
        with pytest.raises(ValueError, match="empty string"):
            await bot.areply("").__anext__()
        early = bot.areply("Once more!", max_tokens=400)
        await early.__anext__()
        await early.aclose()
        assert early.stats.cancelled

    asyncio.run(main())


def test_closing_an_areply_that_is_just_starting_waits_for_it(dialogue):
    began, go_on = threading.Event(), threading.Event()

    class SlowReader(Reader):
        def __call__(self, text, stamp_ns=None):
            began.set()
            assert go_on.wait(10)
            return super().__call__(text, stamp_ns)

    bot = Companion(face=False, text=SlowReader("joy"), dialogue=dialogue)

    async def main():
        reply = bot.areply("I won!", max_tokens=400)
        task = asyncio.create_task(reply.__anext__())
        while not began.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        closing = asyncio.create_task(reply.aclose())
        await asyncio.sleep(0.05)
        assert not closing.done()
        go_on.set()
        await closing
        assert reply.stats.cancelled

    asyncio.run(main())
    assert bot.reply("Hello!", max_tokens=2).read()


def test_what_was_seen_and_said_before_another_came_is_not_theirs(dialogue):
    class Waiting:
        """Is at work on what one person shows or says, when another comes."""

        def __init__(self, part):
            self.part = part

        def __call__(self, *args, **options):
            bot.meet("ben")
            return self.part(*args, **options)

    bot = Companion(face=Waiting(Eyes(face_of("sad"))), text=Waiting(Reader("grief")), dialogue=dialogue, partner="anna")
    assert [f.label for f in bot.see(FRAME, SECOND)] == ["sad"]
    assert (bot.partner, bot.state.seen, bot.state.affect.confidence) == ("ben", None, 0)
    bot.meet("anna")
    assert bot.reply("My dog died.", SECOND, max_tokens=2).trace.state.read.label == "grief"
    assert (bot.partner, bot.state.read, bot.state.affect.confidence, bot.conversation.turns) == ("ben", None, 0, ())
    bot.meet("anna")
    later = bot.areply("My dog died.", 2 * SECOND, max_tokens=2)
    bot.text = Reader("grief")
    bot.meet("ben")
    assert asyncio.run(later.__anext__()).text
    assert bot.conversation.turns == ()


def test_who_is_met_twice_at_once_keeps_one_conversation(dialogue):
    class Slow:
        """While it makes a conversation, another thread meets the same person and talks with them."""

        def conversation(self, system, **kwargs):
            bot.dialogue = dialogue
            bot.meet("anna")
            bot.reply("I won!", max_tokens=2).read()
            return dialogue.conversation(system, **kwargs)

    bot = Companion(face=False, text=False, dialogue=dialogue)
    bot.dialogue = Slow()
    bot.meet("anna")
    assert len(bot.conversation.turns) == 1


@pytest.mark.parametrize(("text", "kind"), [("", ValueError), ("a\0b", ValueError), (None, TypeError)])
def test_words_that_are_refused_change_nothing(dialogue, text, kind):
    bot = Companion(face=False, text=Reader("joy"), dialogue=dialogue)
    bot.reply("I won!", SECOND, max_tokens=2).read()
    before = bot.state
    with pytest.raises(kind):
        bot.reply(text, 2 * SECOND)
    after = bot.state
    assert after.affect.to_json() == before.affect.to_json()
    assert dataclasses.replace(after, affect=before.affect) == before
    assert len(bot.conversation.turns) == 1


def test_a_blind_companion_says_so(dialogue):
    with pytest.raises(ValueError, match="face=False"):
        Companion(face=False, text=False, dialogue=dialogue).see(FRAME)
    with pytest.raises(ValueError, match="stale_after_s"):
        Companion(face=False, text=False, dialogue=dialogue, stale_after_s=0)
    for part in ("memory", "recall"):
        with pytest.raises(TypeError, match=f"^{part}: expected .* or None, got int"):
            Companion(face=False, text=False, dialogue=dialogue, **{part: 5})
    for wrong, kind in ((float("inf"), ValueError), (float("nan"), ValueError), ("5", TypeError), (True, TypeError)):
        with pytest.raises(kind, match=f"stale_after_s must be .*got {wrong!r}"):
            Companion(face=False, text=False, dialogue=dialogue, stale_after_s=wrong)


def test_it_says_what_its_parts_run_on(dialogue):
    bot = Companion(face=False, text=art.TextEmotion(threads=1, device="cpu", strict=True), dialogue=dialogue)
    assert bot.provider == {"text": "CPUExecutionProvider", "dialogue": "llama.cpp/CPU"}
    assert bot.device == {"text": "cpu", "dialogue": "cpu"}
    assert bot.precision == {"text": "auto", "dialogue": "q4_1"}
    assert bot.providers == {"text": None, "dialogue": None}
    assert bot.strict == {"text": True, "dialogue": False}
    assert Companion(face=Eyes(), text=False, dialogue=dialogue).provider == {"dialogue": "llama.cpp/CPU"}


def test_personas():
    assert find_persona("calm") is PERSONAS["calm"]
    own = find_persona("You are a pirate who collects shells.")
    assert (own.name, own.system) == ("own", "You are a pirate who collects shells.")
    assert find_persona(own) is own
    with pytest.raises(ValueError, match="one of warm, calm, cheerful, plain"):
        find_persona("pirate")
    with pytest.raises(ValueError, match="expressiveness"):
        Persona("x", "You are x.", 2.0)
    with pytest.raises(TypeError, match="persona must be a str"):
        find_persona(None)


def test_every_label_has_a_word():
    for label in (*FER7, *GOEMOTIONS, *EXPRESSIONS):
        assert feeling_word(label).replace(" ", "").isalpha()
    assert feeling_word("<|im_end|> Very_odd!") == "im end very odd"
    assert feeling_word("x" * 99) == "x" * 40
    assert observation_note(None, "neutral") is observation_note(None, None) is None
    assert observation_note("neutral", None) == "You see that I look calm."


def test_with_real_eyes_and_a_real_reader(dialogue, face, text, astronaut, empty_scene):
    bot = Companion(face=face, text=text, dialogue=dialogue)
    face.reset()
    seen = bot.see(astronaut, SECOND, color="rgb8")
    assert [f.label for f in seen] == ["happy"]
    reply = bot.reply("Thank you so much, this is wonderful!", 2 * SECOND, max_tokens=8)
    state = reply.trace.state
    assert state.seen.label == "happy" and state.read.label in ("gratitude", "admiration", "joy")
    assert state.valence > 0.2 and {one.source for one in state.affect.sources} == {"face", "text"}
    assert reply.trace.note.startswith("You see that I look happy and hear that I sound ")
    assert reply.read() and reply.expression.name == "happy"
    assert state.label == "joy"
    bot.see(empty_scene, 20 * SECOND, color="rgb8")
    reply = bot.reply("The table is made of wood.", 21 * SECOND, max_tokens=4)
    assert reply.trace.state.seen is None
    assert "look" not in (reply.trace.note or "")


def test_the_package_offers_it():
    assert art.Companion is Companion
    assert art.Dialogue is Dialogue


CRISIS = "I want to kill myself tonight."


def test_a_crisis_is_answered_without_the_model(dialogue):
    bot = Companion(face=False, text=Reader("sadness"), dialogue=dialogue)
    reply = bot.reply(CRISIS, SECOND)
    assert "".join(map(str, reply)) == reply.text == DEFAULT_ANSWERS["self-harm"]
    assert (reply.trace.prompt, reply.trace.note, reply.stats.finish, reply.stats.generated_tokens) == (None, None, "spoken", 0)
    assert [(crisis.category, crisis.words) for crisis in reply.trace.crises] == [("self-harm", "kill myself")]
    assert bot.conversation.turns == () and bot.state.valence < 0  # it is seen, and not said to the model
    assert bot.reply("Thank you.", 2 * SECOND, max_tokens=2).trace.prompt is not None

    async def main():
        reply = bot.areply(CRISIS)
        assert [str(piece) async for piece in reply] == [DEFAULT_ANSWERS["self-harm"]]
        await reply.aclose()
        silent = bot.areply(CRISIS)
        silent.cancel()
        assert [piece async for piece in silent] == [] and silent.stats.cancelled

    asyncio.run(main())


def test_a_hook_decides_what_a_crisis_brings(dialogue):
    met = []

    def hook(crisis):
        met.append(crisis.category)
        return decisions.pop()

    bot = Companion(face=False, text=False, dialogue=dialogue, on_crisis=hook)
    decisions = [Decision.go(), Decision.refuse(), Decision.answer("I have called Ida.")]
    assert bot.reply(CRISIS).read() == "I have called Ida."
    assert bot.reply(CRISIS).read() == ""
    went = bot.reply(CRISIS, max_tokens=2)
    assert went.read() and went.trace.prompt is not None and len(went.trace.crises) == 1
    assert met == ["self-harm"] * 3
    unguarded = Companion(face=False, text=False, dialogue=dialogue, on_crisis=False).reply(CRISIS, max_tokens=2)
    assert unguarded.trace.crises == () and unguarded.read()
    with pytest.raises(TypeError, match="on_crisis"):
        Companion(face=False, text=False, dialogue=dialogue, on_crisis=5)


def test_spoken_words_are_a_reply():
    words = Spoken("Hold on.")
    assert (words.text, words.stats.finish) == ("", "")
    assert list(words) == ["Hold on."] and (words.text, words.read(), words.stats.finish) == ("Hold on.", "Hold on.", "spoken")
    words.cancel()
    assert not words.stats.cancelled
    silent = Spoken("Hold on.")
    silent.close()
    assert list(silent) == [] and silent.stats.cancelled
