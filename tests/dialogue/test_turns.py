"""Whose turn it is: in the order of asking, by the token, and by the batch of a prompt."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import pytest
from affectrt._core import CancelFlag
from affectrt.dialogue.turns import Turns

LONG = "Tell me about the sea, the wind and the ships that went out and came home again. "


def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_who_asks_first_is_served_first():
    turns, order, threads = Turns(), [], []

    def wait(i):
        with turns:
            order.append(i)

    with turns, turns.take() as mine:  # again inside
        assert mine
        for i in range(6):
            threads.append(threading.Thread(target=wait, args=(i,)))
            threads[-1].start()
            until(lambda n=i: len(turns._queue) == n + 1)
    for thread in threads:
        thread.join(timeout=30)
    assert order == list(range(6)) and turns._owner is None


def test_nobody_takes_two_turns_while_another_waits():
    turns, log = Turns(), []
    ready = threading.Barrier(3)

    def work(i):
        ready.wait()
        for _ in range(200):
            with turns:
                others = len(turns._queue)
                log.append((i, others))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(log) == 600
    assert not any(a == c and waiting for (a, waiting), (c, _) in pairwise(log))


def test_waiting_can_be_called_off():
    turns, flag, got = Turns(), CancelFlag(), []

    def wait():
        with turns.take(flag) as mine:
            got.append(mine)

    with turns:
        thread = threading.Thread(target=wait)
        thread.start()
        until(lambda: len(turns._queue) == 1)
        flag.set()
        thread.join(timeout=30)
        assert got == [False] and not turns._queue
    with turns.take(CancelFlag()) as mine:
        assert mine
    with pytest.raises(KeyError), turns:
        raise KeyError
    assert turns._owner is None


def test_a_long_prompt_enters_in_batches_between_which_others_speak(dialogue):
    chat, other = dialogue.conversation("You are a friendly cat."), dialogue.conversation("You are an old sailor.")
    speaking = chat.reply("Who are you?", seed=4, max_tokens=30)
    next(speaking)
    order = []
    evaluate = dialogue._runtime.context.decode

    def watched(tokens):
        order.append(len(tokens))
        return evaluate(tokens)

    long = other.reply(LONG * 25, max_tokens=2)
    thread = threading.Thread(target=long.read)
    dialogue._runtime.context.decode = watched
    try:
        thread.start()
        until(lambda: order)
        for _ in speaking:
            order.append("token")
            if long.stats.ttft_ms is not None:
                break
        thread.join(timeout=60)
    finally:
        dialogue._runtime.context.decode = evaluate
    batches = [i for i, entry in enumerate(order) if entry != "token"]
    assert len(batches) >= 8 and max(n for n in order if n != "token") <= 64
    between = ["token" in order[a:b] for a, b in pairwise(batches)]
    assert sum(between) >= len(between) // 2


def test_the_batches_do_not_depend_on_who_else_speaks(dialogue):
    def say(seed):
        return dialogue.conversation("You are a friendly cat.").reply(LONG * 8, seed=seed, max_tokens=10).read()

    alone = say(3)
    out = {}
    threads = [threading.Thread(target=lambda i=i: out.update({i: say(3)})) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert out == {i: alone for i in range(3)}


def test_states_of_replies_being_made_are_not_dropped_for_each_other(dialogue, monkeypatch):
    monkeypatch.setattr(dialogue._runtime.cache, "_spare_bytes", 1 << 20)
    replies = [dialogue.conversation(f"You are robot {i}.").reply(LONG * 4, seed=i, max_tokens=6) for i in range(3)]
    for reply in replies:
        next(reply)
    evaluated = []
    decode = dialogue._runtime.context.decode
    monkeypatch.setattr(dialogue._runtime.context, "decode", lambda tokens: evaluated.append(len(tokens)) or decode(tokens))
    for _ in range(4):
        for reply in replies:
            next(reply, "")
    assert not evaluated  # no prompt again
    for reply in replies:
        reply.read()
