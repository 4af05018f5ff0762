"""Links between memories; days, their summaries, portraits."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from affectrt import MemoryStore
from affectrt.memory import Day, Memory
from memory_tools import DAY_NS, START_NS, Clock

Open = Callable[..., MemoryStore]


def test_links_are_symmetric_and_leave_the_source_out(store: MemoryStore) -> None:
    for word in ("bees", "honey", "cows"):
        store.add(word, partner="a")
    store.link(2, 1)
    store.link(1, 3, linked=False)
    assert [m.id for m in store.linked(1)] == [2] and [m.id for m in store.linked(2)] == [1] and store.linked(3) == ()
    store.link(1, 2, linked=False)
    assert store.linked(1) == ()
    for a, b in ((1, 1), (1, 9), (0, 1)):
        with pytest.raises(ValueError, match=r"link|id"):
            store.link(a, b)


def test_recall_brings_what_is_linked_with_the_first_hit(store: MemoryStore) -> None:
    for word, partner in (("bees", "a"), ("honey", "a"), ("honey of ben", "ben"), ("wax", "a")):
        store.add(word, partner=partner)
    for other in (2, 3, 4):
        store.link(1, other)
    store.archive([4])
    found = store.recall("bees", partner="a", k=1)
    assert [h.memory.id for h in found.hits] == [1]
    assert [m.id for m in found.linked] == [2]  # neither Ben's nor what was forgotten
    assert [m.id for m in store.recall("bees", partner="a", k=1, archived=True).linked] == [2, 4]
    store.sharing = "flagged"
    store.share([3])
    assert [m.id for m in store.recall("bees", partner="a", k=1).linked] == [2, 3]
    assert [m.id for m in store.recall("honey", partner="a", k=1).linked] == [1]


def test_each_pair_is_judged_once(store: MemoryStore) -> None:
    words = ("bees", "bees and honey", "cows", "bees again")
    for word in words:
        store.add(word, partner="a")
    store.add("bees of ben", partner="ben")
    asked: list[tuple[int, int]] = []

    def judge(a: Memory, b: Memory) -> bool:
        asked.append((a.id, b.id))
        return "bees" in a.text and "bees" in b.text

    assert store.link_pass(1, judge) == 3 and store.link_pass(1, judge) == 0
    assert store.link_pass(2, judge, limit=1) == 1 and store.link_pass(2, judge) == 1
    assert asked == [(1, 4), (1, 3), (1, 2), (2, 4), (2, 3)]  # never itself, never another's, newest first, each pair once
    assert [m.id for m in store.linked(1)] == [2, 4] and store.linked(3) == ()
    with pytest.raises(ValueError, match="no memory 9"):
        store.link_pass(9, judge)


def test_a_judge_that_fails_keeps_what_it_said(store: MemoryStore) -> None:
    for i in range(3):
        store.add(f"bees {i}", partner="a")

    def judge(a: Memory, b: Memory) -> bool:
        if b.id == 2:
            raise RuntimeError("no answer")
        return True

    with pytest.raises(RuntimeError, match="no answer"):
        store.link_pass(1, judge)
    assert [m.id for m in store.linked(1)] == [3]
    assert store.link_pass(1, lambda a, b: store.erase([b.id]) == ()) == 1  # erased while it was judged


def test_days_have_summaries(open_store: Open, key: str | None, clock: Clock) -> None:
    store = open_store(key=key)
    for i in range(3):
        store.add(f"word {i}", partner="a", stamp_ns=START_NS + i * DAY_NS // 2)
    store.add("other", partner="b")
    assert store.days("a") == (Day("2026-01-01", 2, None, 2), Day("2026-01-02", 1, None, 1))
    assert [m.text for m in store.of_day("2026-01-01", "a")] == ["word 0", "word 1"]

    def joined(memories: Sequence[Memory]) -> str:
        return "; ".join(m.text for m in memories)

    summary = store.summarise("2026-01-01", joined, partner="a")
    assert summary is not None and (summary.text, summary.day, summary.kind) == ("word 0; word 1", "2026-01-01", "summary")
    assert store.sources(summary.id) == (1, 2) and store.summarise("2020-01-01", joined, partner="a") is None
    store.add("late", partner="a", stamp_ns=START_NS + 5)
    assert store.days("a")[0] == Day("2026-01-01", 3, summary.id, 1)
    newer = store.summarise("2026-01-01", joined, partner="a")
    assert newer is not None and store.summary("2026-01-01", partner="a") == newer and store.get(summary.id) is None
    assert store.days("a")[0] == Day("2026-01-01", 3, newer.id, 0)
    assert [h.memory.id for h in store.recall("word", partner="a", kinds="summary").hits] == [newer.id]
    store.close()
    assert open_store(key=key).summary("2026-01-01", partner="a") == newer


def test_a_day_begins_where_the_robot_lives(open_store: Open) -> None:
    store = open_store(timezone=datetime.timezone(datetime.timedelta(hours=-5)))
    store.add("new year's eve", partner="a", stamp_ns=START_NS)
    assert store.days("a")[0].day == "2025-12-31" == store.day_of(START_NS) and store.day_of(2**63 - 1) == "2262-04-11"


def test_portraits_are_one_and_one_a_day(store: MemoryStore) -> None:
    store.add("bees", partner="a")
    first = store.add_portrait("keeps bees", partner="a", sources=[1], emotion={"joy": 1})
    of_day = store.add_portrait("tired", partner="a", sources=[1], day="2026-01-01")
    second = store.add_portrait("keeps bees and cows", partner="a", sources=[1])
    assert store.portrait(partner="a") == second and store.portrait(partner="a", day="2026-01-01") == of_day
    assert store.get(first.id) is None and store.portrait(partner="b") is None and store.count(kinds="portrait") == 2


def test_a_summary_of_what_was_erased_meanwhile_is_not_kept(store: MemoryStore) -> None:
    store.add("bees", partner="a")
    with pytest.raises(ValueError, match=r"sources: .* got 1"):
        store.summarise("2026-01-01", lambda memories: f"erased {store.erase([1])}", partner="a")
    assert store.count() == 0


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"day": "1.1.2026"}, "day: expected a date as 2026-03-01, got '1.1.2026'"),
        ({"day": None}, "day"),
        ({"day": "2026-W01-4"}, "day"),
        ({"day": "20260101"}, "day"),
        ({"day": "2026-02-30"}, "day"),
        ({"text": ""}, "text"),
        ({"sources": [2]}, "sources: .* got 2"),  # another partner's
        ({"sources": [77]}, "sources: .* got 77"),
        ({"sources": [3]}, "what this would replace"),
        ({"stamp_ns": -1}, "stamp_ns"),
    ],
)
def test_wrong_summaries_are_refused(store: MemoryStore, wrong: dict[str, Any], words: str) -> None:
    store.add("bees", partner="a")
    store.add("cows", partner="b")
    kept = store.add_summary("2026-01-01", "bees", partner="a", sources=[1])
    with pytest.raises(ValueError, match=words):
        store.add_summary(**{"day": "2026-01-01", "text": "new", "partner": "a", "sources": [1], **wrong})
    assert store.summary("2026-01-01", partner="a") == kept and store.sources(kept.id) == (1,)
