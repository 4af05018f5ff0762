"""Streaming, cancelling and threads, on the real model."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from dataclasses import replace

import pytest
from affectrt.dialogue import Dialogue
from affectrt.errors import EngineError

LONG = "Tell me about the sea, the wind and the ships that went out and came home again. "


def test_pieces_make_the_text_and_the_figures_add_up(chat):
    reply = chat.reply("I finally passed my exam!")
    assert reply.stats.ttft_ms is None and reply.stats.finish == ""
    pieces = list(reply)
    assert all(pieces) and "".join(pieces) == reply.text
    stats = reply.stats
    assert stats.finish in ("stop", "length") and not stats.cancelled
    assert stats.prompt_tokens == len(reply.prompt_tokens) > stats.cached_tokens
    assert 0 < stats.generated_tokens == len(reply.tokens) <= 24
    assert stats.ttft_ms > 0 and stats.decode_tok_s > 0
    assert list(reply) == []
    assert chat.turns[-1].assistant == reply.text


def test_a_seed_repeats_a_reply_and_another_one_does_not(dialogue):
    def say(seed):
        chat = dialogue.conversation("You are a kind friend.")
        first = chat.reply("What shall we do today?", seed=seed, max_tokens=24).read()
        other = dialogue.conversation("You are somebody else.")  # takes the cache in between
        other.reply("Hello there, how are you?", max_tokens=4).read()
        return first, chat.reply("And tomorrow?", seed=seed, max_tokens=24).read()

    same = say(7)
    assert same == say(7)
    assert len({say(seed) for seed in (7, 8, 9)}) > 1


def test_without_a_seed_the_one_that_was_drawn_is_told(dialogue_pack):
    with Dialogue(dialogue_pack, threads=1, device="cpu", context_tokens=256) as unseeded:
        first = unseeded.conversation().reply("Name a colour.", max_tokens=16)
        first.read()
        second = unseeded.conversation().reply("Name a colour.", max_tokens=16)
        assert second.stats.seed != first.stats.seed
        second.close()
        again = unseeded.conversation().reply("Name a colour.", max_tokens=16, seed=first.stats.seed)
        assert again.read() == first.text


def test_a_follow_up_evaluates_only_what_is_new(chat):
    first = chat.reply("I finally passed my exam!")
    first.read()
    second = chat.reply("What now?")
    second.read()
    stats = second.stats
    # All but the end of the last turn and the new one: a dozen tokens or so.
    assert stats.cached_tokens >= first.stats.prompt_tokens + first.stats.generated_tokens - 1
    assert stats.prompt_tokens - stats.cached_tokens < 24


def test_a_conversation_can_be_taken_up_again(dialogue):
    chat = dialogue.conversation("You are a kind friend.")
    for text in ("I am Mara.", "I like the sea."):
        chat.reply(text, max_tokens=12).read()
    again = dialogue.conversation("You are a kind friend.", turns=chat.turns)
    first, second = (c.reply("What do I like?", max_tokens=1) for c in (chat, again))
    assert first.prompt_tokens == second.prompt_tokens
    with pytest.raises(ValueError, match="of a turn"):
        dialogue.conversation(turns=[replace(chat.turns[0], user="a\0")])


def test_a_new_conversation_shares_the_system_message(dialogue):
    system = "You are a kind friend who knows a great deal about the sea and about ships."
    dialogue.conversation(system).reply("Hello!", max_tokens=2).read()
    reply = dialogue.conversation(system).reply("Something else.", max_tokens=2)
    reply.read()
    assert reply.stats.cached_tokens > 10
    stranger = dialogue.conversation("You are a grumpy stranger who knows nothing at all about ships.").reply("Hello!", max_tokens=2)
    stranger.read()
    assert stranger.stats.cached_tokens == 0


def test_stop_strings_end_a_reply_and_are_not_part_of_it(dialogue):
    ask = "Tell me a long story about a dragon and a knight."

    def free(seed):
        return dialogue.conversation("You are a kind friend.").reply(ask, seed=seed, max_tokens=40).read()

    seed, text = next((seed, text) for seed in range(10) if len(text := free(seed)) > 12)
    stop = text[6:9]
    again = dialogue.conversation("You are a kind friend.")
    reply = again.reply(ask, seed=seed, max_tokens=40, stop=[stop])
    assert reply.read() == text[: text.index(stop)]
    assert reply.stats.finish == "stop_string"
    follow = again.reply("Go on.", max_tokens=4)  # the cache holds more tokens than the text does
    follow.read()
    assert follow.stats.finish in ("length", "stop")


def test_max_tokens_is_kept(chat):
    reply = chat.reply("Tell me a long story about a dragon and a knight.", max_tokens=5)
    reply.read()
    assert (reply.stats.generated_tokens, reply.stats.finish) == (5, "length")


def test_cancelled_while_talking(chat):
    reply = chat.reply("Tell me a long story about a dragon and a knight.", max_tokens=500)
    pieces = []
    for piece in reply:
        pieces.append(piece)
        if len(pieces) == 3:
            reply.cancel()
    assert len(pieces) == 3
    assert reply.stats.cancelled and reply.stats.finish == "cancelled"
    assert chat.turns[-1].assistant == "".join(pieces) == reply.text
    assert chat.reply("And then?", max_tokens=3).read()


@pytest.mark.alone
def test_cancelled_in_the_middle_of_the_prompt(dialogue):
    chat = dialogue.conversation("You are a kind friend.")
    chat.reply("Hello!", max_tokens=4).read()
    reply = chat.reply(LONG * 60, max_tokens=20)
    assert reply.stats.prompt_tokens > 1000
    ended = []
    thread = threading.Thread(target=lambda: ended.append((reply.read(), time.monotonic())))
    thread.start()
    time.sleep(0.1)
    asked = time.monotonic()
    reply.cancel()
    thread.join(timeout=30)
    text, end = ended[0]
    assert text == "" and reply.stats.generated_tokens == 0
    assert reply.stats.cancelled and reply.stats.finish == "cancelled"
    assert end - asked < 2.0
    # The cache is what it was: the conversation goes on as one that never heard of it.
    twin = dialogue.conversation("You are a kind friend.")
    twin.reply("Hello!", max_tokens=4).read()
    assert len(chat.turns) == 1
    assert chat.reply("How are you?", seed=5, max_tokens=16).read() == twin.reply("How are you?", seed=5, max_tokens=16).read()


def test_cancelled_before_the_first_piece(chat):
    reply = chat.reply("Hello!")
    reply.cancel()
    assert list(reply) == []
    assert reply.stats.cancelled and chat.turns == ()


def test_leaving_the_loop_early_frees_the_conversation(chat):
    for _ in chat.reply("Tell me a long story.", max_tokens=500):
        break
    gc.collect()
    assert chat.turns[-1].finish == "cancelled"
    assert chat.reply("Hello!", max_tokens=3).read()


def test_a_reply_that_is_never_read_frees_the_conversation(chat):
    chat.reply("Hello!")
    gc.collect()
    assert chat.turns == ()
    assert chat.reply("Hello!", max_tokens=3).read()


def test_a_second_reply_while_one_runs_is_refused(chat):
    reply = chat.reply("Tell me a story.", max_tokens=50)
    next(reply)
    with pytest.raises(EngineError, match=r"still running.*cancel"):
        chat.reply("Hello!")
    with pytest.raises(EngineError, match="still running"):
        chat.reset()
    reply.cancel()
    assert chat.reply("Hello!", max_tokens=3).read()  # cancelled is enough: no need to read it out
    assert list(reply) == []


def test_two_replies_read_in_turns_do_not_mix(dialogue):
    def alone(system):
        return dialogue.conversation(system).reply("Who are you?", seed=4, max_tokens=12).read()

    systems = ("You are a friendly cat.", "You are an old sailor.")
    expected = [alone(system) for system in systems]
    replies = [dialogue.conversation(system).reply("Who are you?", seed=4, max_tokens=12) for system in systems]
    got = ["", ""]
    for _ in range(12):
        for i, reply in enumerate(replies):
            got[i] += next(reply, "")
    assert got == [reply.text for reply in replies] == expected


def test_a_conversation_whose_state_was_dropped_goes_on(dialogue, monkeypatch):
    monkeypatch.setattr(dialogue._runtime.cache, "_spare_bytes", 0)
    chat = dialogue.conversation("You are a friendly cat.")
    reply = chat.reply("Who are you?", seed=4, max_tokens=8)
    pieces = [next(reply)]
    dialogue.conversation("You are an old sailor.").reply("Hello!", max_tokens=2).read()
    pieces += reply
    assert reply.stats.generated_tokens == 8 and "".join(pieces) == reply.text


def test_eight_threads_with_a_conversation_each(dialogue):
    def talk(i, out):
        chat = dialogue.conversation(f"You are robot number {i}.")
        texts = [chat.reply(f"Say the number {i}.", seed=i, max_tokens=8).read() for _ in range(2)]
        out[i] = (texts, [turn.assistant for turn in chat.turns])

    together, alone = {}, {}
    threads = [threading.Thread(target=talk, args=(i, together)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    for i in range(8):
        talk(i, alone)
        assert together[i] == alone[i]
        assert together[i][0] == together[i][1]


@pytest.mark.alone
def test_the_interpreter_is_free_while_the_model_thinks(dialogue):
    chat = dialogue.conversation("You are a kind friend.")
    reply = chat.reply(LONG * 20, max_tokens=1)
    count, stop = 0, threading.Event()

    def work():
        nonlocal count
        while not stop.is_set():
            count += 1
            time.sleep(0.001)

    worker = threading.Thread(target=work)
    worker.start()
    start = time.monotonic()
    reply.read()
    elapsed = time.monotonic() - start
    stop.set()
    worker.join()
    assert elapsed > 0.05  # long enough to tell
    assert count > 20  # a lock held throughout would let it in once or twice


def test_a_closed_dialogue_says_so(dialogue_pack):
    closed = Dialogue(dialogue_pack, threads=1, device="cpu", context_tokens=256)
    chat = closed.conversation()
    reply = chat.reply("Tell me a story.", max_tokens=50)
    next(reply)
    closed.close()
    closed.close()
    with pytest.raises(EngineError, match="closed"):
        next(reply)
    assert reply.stats.finish == "error"
    for use in (lambda: chat.reply("Hello!"), closed.conversation, lambda: setattr(closed, "threads", 2)):
        with pytest.raises(EngineError, match="closed"):
            use()


def test_areply_streams_and_lets_other_tasks_run(chat):
    async def main():
        ticks, done = 0, asyncio.Event()

        async def tick():
            nonlocal ticks
            while not done.is_set():
                ticks += 1
                await asyncio.sleep(0.001)

        ticking = asyncio.create_task(tick())
        reply = chat.areply(LONG * 5, seed=2, max_tokens=10)
        pieces = [piece async for piece in reply]
        done.set()
        await ticking
        return pieces, reply, ticks

    pieces, reply, ticks = asyncio.run(main())
    assert "".join(pieces) == reply.text != ""
    assert reply.stats.generated_tokens > 0
    assert ticks > 5


def test_areply_is_cancelled_with_its_task_and_by_hand(chat):
    async def main():
        reply = chat.areply("Tell me a long story.", max_tokens=500)

        async def listen():
            return [piece async for piece in reply]

        task = asyncio.create_task(listen())
        while not reply.text:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await reply.aclose()
        assert reply.stats.cancelled
        async with chat.areply("Tell me another.", max_tokens=500) as other:
            async for _ in other:
                other.cancel()
        assert other.stats.cancelled
        async for _ in chat.areply("And one more.", max_tokens=500):
            break

    asyncio.run(main())
    gc.collect()
    deadline = time.monotonic() + 10
    while len(chat.turns) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [turn.finish for turn in chat.turns] == ["cancelled"] * 3


def test_errors_of_the_engine_reach_the_async_reader(dialogue_pack):
    async def main():
        with Dialogue(dialogue_pack, threads=1, device="cpu", context_tokens=256) as closing:
            reply = closing.conversation().areply("Tell me a story.", max_tokens=100)
            await reply.__anext__()
            closing.close()
            with pytest.raises(EngineError, match="closed"):
                async for _ in reply:
                    pass

    asyncio.run(main())
