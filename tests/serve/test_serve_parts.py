"""The parts by themselves: messages, whose turn it is, what is kept."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from affectrt.dialogue import Turn
from affectrt.serve.errors import ApiError
from affectrt.serve.fields import Fields, parse
from affectrt.serve.gate import Gate
from affectrt.serve.kept import KeptConversations
from affectrt.serve.messages import Talk, read_messages
from hypothesis import given
from hypothesis import strategies as st

texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8).filter(str.strip)


def said(role, content):
    return {"role": role, "content": content}


def test_messages_become_turns():
    talk = read_messages(
        [
            said("system", "s1"),
            said("developer", "s2"),
            said("user", "u1"),
            said("user", "u2"),
            said("assistant", "a1"),
            said("assistant", "a2"),
            said("system", "n1"),
            said("user", "u3"),
            said("assistant", ""),
            said("user", "u4"),
            said("system", "n2"),
            said("user", "u5"),
        ],
        20,
    )
    assert talk == Talk("s1\n\ns2", (Turn("u1\n\nu2", "a1\n\na2"), Turn("u3", "", "n1")), "u4\n\nu5", "n2")


@given(system=st.none() | texts, turns=st.lists(st.tuples(st.none() | texts, texts, texts), max_size=4), note=st.none() | texts, text=texts)
def test_a_conversation_written_as_messages_reads_as_itself(system, turns, note, text):
    messages = [said("system", system)] if system else []
    for index, (noted, user, assistant) in enumerate(turns):
        # Before the first words a system message is the system message.
        messages += [said("system", noted)] if noted and index else []
        messages += [said("user", user), said("assistant", assistant)]
    messages += [said("system", note)] if note and turns else []
    messages.append(said("user", text))
    talk = read_messages(messages, 100)
    assert (talk.system, talk.text, talk.note) == (system, text, note if turns else None)
    assert [(t.note, t.user, t.assistant) for t in talk.turns] == [((n or "") if i else "", u, a) for i, (n, u, a) in enumerate(turns)]


def test_fields_tell_what_was_expected():
    members = Fields({"a": 1, "b": "x", "c": None}, "things[2]")
    assert members.of("a", float) == 1 and members.of("c", str) is None
    with pytest.raises(ApiError, match=r"things\[2\]\.b: expected an integer or a list, got the string 'x'"):
        Fields({"b": "x"}, "things[2]").of("b", int, list)
    with pytest.raises(ApiError, match=r"'things\[2\]\.b' is not a parameter here; known: a, c"):
        members.done()


def test_a_neutral_value_is_of_its_own_type():
    for value in (True, 1.5, "1", [1]):
        with pytest.raises(ApiError, match="n: expected 1 or nothing"):
            Fields({"n": value}).only("n", (1,), "why")
    Fields({"n": 1}).only("n", (1,), "why")


@given(data=st.binary(max_size=64))
def test_any_bytes_parse_or_are_refused(data):
    try:
        parse(data)
    except ApiError as error:
        assert error.status == 400


def test_first_come_first_served():
    async def scene():
        gate, order = Gate(1, 8, 10), []

        async def one(number):
            async with gate.turn():
                order.append(number)
                assert gate.running == 1
                await asyncio.sleep(0)

        await asyncio.gather(*(one(n) for n in range(6)))
        assert order == list(range(6)) and (gate.running, gate.waiting) == (0, 0)

    asyncio.run(scene())


@given(leaving=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6)), max_size=6), places=st.integers(1, 3))
def test_no_place_is_lost_however_they_leave(leaving, places):
    async def scene():
        gate, inside = Gate(places, 8, 10), 0

        async def one():
            nonlocal inside
            async with gate.turn():
                inside += 1
                assert inside <= places
                try:
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                finally:
                    inside -= 1

        tasks = [asyncio.create_task(one()) for _ in range(6)]
        for step in range(8):
            for number in (n for n, when in leaving if when == step):
                tasks[number].cancel()
            await asyncio.sleep(0)
        done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        assert all(one is None or isinstance(one, asyncio.CancelledError) for one in done)
        assert (gate.running, gate.waiting) == (0, 0)

    asyncio.run(scene())


def test_too_many_and_too_long():
    async def scene():
        gate = Gate(1, 1, 0.02)
        async with gate.turn():
            waiting = asyncio.create_task(_enter(gate))
            await asyncio.sleep(0)
            with pytest.raises(ApiError, match="1 requests are being served and 1 wait") as caught:
                await _enter(gate)
            assert caught.value.status == 503 and int(caught.value.headers["Retry-After"]) >= 1
            with pytest.raises(ApiError, match=r"no turn came within 0.02 s"):
                await waiting
        await _enter(gate)
        assert gate.running == 0

    asyncio.run(scene())


async def _enter(gate):
    async with gate.turn():
        pass


class Made:
    """Makes conversations that only know what was said."""

    def conversation(self, system, *, turns):
        return SimpleNamespace(system=system, turns=tuple(turns))


def talk(*turns, system=None):
    return Talk(system, tuple(turns), "now", None)


def test_a_kept_conversation_is_had_once_and_only_by_who_knows_all_of_it():
    async def scene():
        kept = KeptConversations(Made(), 4, 60)
        turns = (Turn("a", "b"), Turn("c", "d", "note"))
        mine = kept.take(talk(*turns, system="s"))
        kept.keep(mine)
        for other in (talk(*turns), talk(turns[0], system="s"), talk(turns[0], Turn("c", "d"), system="s"), talk(system="s")):
            assert kept.take(other) is not mine
        assert kept.take(talk(*turns, system="s")) is mine
        assert kept.take(talk(*turns, system="s")) is not mine and len(kept) == 0

    asyncio.run(scene())


def test_so_many_for_so_long():
    async def scene():
        kept = KeptConversations(Made(), 2, 0.05)
        made = [kept.take(talk(Turn("a", str(n)))) for n in range(3)]
        for one in [*made, made[2]]:
            kept.keep(one)
        assert len(kept) == 2 and kept.take(talk(Turn("a", "0"))) is not made[0]
        await asyncio.sleep(0.2)
        assert len(kept) == 0
        none = KeptConversations(Made(), 0, 60)
        none.keep(made[0])
        assert len(none) == 0

    asyncio.run(scene())
