"""The curve, the chance, the archive, and limits by wall clock."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from affectrt import MemoryStore, StoreError
from affectrt.errors import ConsentError, PolicyError
from affectrt.memory import NewMemory, retention
from affectrt.memory.forgetting import draws
from affectrt.policy import Policy, Retention
from hypothesis import given
from hypothesis import strategies as st
from memory_tools import DAY_NS, Clock

Open = Callable[..., MemoryStore]


@pytest.mark.parametrize(
    ("days", "strength", "tau", "kept"),
    [
        (0, 1, 1, 1.0),
        (1, 1, 1, 0.36787944),
        (3, 1, 1, 0.04978707),  # the paper's
        (3, 2, 1, 0.22313016),
        (3, 1, 5, 0.54881164),  # with a time scale
        (3, 2, 5, 0.74081822),  # where the published code has 0.3012, as its 5*S stands under the line by mistake
    ],
)
def test_the_curve(days: float, strength: float, tau: float, kept: float) -> None:
    assert retention(days, strength, tau) == pytest.approx(kept, abs=1e-8)


@given(
    days=st.floats(0, 1e4),
    more=st.floats(0, 1e4),
    strength=st.integers(1, 1000),
    stronger=st.integers(0, 1000),
    tau=st.floats(1e-3, 1e3),
)
def test_the_curve_falls_with_time_and_rises_with_strength(days: float, more: float, strength: int, stronger: int, tau: float) -> None:
    kept = retention(days, strength, tau)
    assert 0 <= kept <= 1
    assert retention(days + more, strength, tau) <= kept <= retention(days, strength + stronger, tau)


def test_the_curve_takes_arrays_and_refuses_nonsense() -> None:
    assert retention([0, 3], [1, 2]).tolist() == pytest.approx([1, 0.22313016])
    for wrong in ({"elapsed_days": -1}, {"elapsed_days": float("nan")}, {"strength": 0}, {"tau_days": 0}, {"tau_days": float("inf")}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            retention(**{"elapsed_days": 1, "strength": 1, **wrong})


def test_draws_are_even_and_hang_on_nothing_else() -> None:
    ids = np.arange(1, 100_001)
    ones = np.ones_like(ids)
    drawn = draws(7, ids, ones)
    assert (drawn >= 0).all() and (drawn < 1).all()
    counts = np.histogram(drawn, 20, (0, 1))[0]
    assert (np.abs(counts - 5000) < 5 * np.sqrt(5000)).all()
    assert np.array_equal(draws(7, ids[5:9], ones[5:9]), drawn[5:9])
    for other in (draws(8, ids, ones), draws(7, ids, ones + 1), draws(-7, ids, ones), drawn[::-1]):
        assert abs(np.corrcoef(drawn, other)[0, 1]) < 0.02


@pytest.fixture
def filled(store: MemoryStore) -> MemoryStore:
    store.add_many(NewMemory(f"word {i}", "a" if i % 2 else "b") for i in range(2000))
    return store


def test_forgetting_is_reproducible_and_as_likely_as_the_curve_says(filled: MemoryStore, clock: Clock, open_store: Open) -> None:
    now = clock.now_ns + DAY_NS // 2
    expected = 2000 * (1 - np.exp(-0.5))
    first = filled.forget(now, seed=3)
    assert not first.erased and abs(len(first.ids) - expected) < 4 * np.sqrt(2000 * 0.25)
    assert [m.id for m in filled.memories(archived=True)] == list(first.ids)
    filled.restore(first.ids)
    assert filled.forget(now, seed=3) == first
    filled.restore(first.ids)
    assert filled.forget(now, seed=4).ids != first.ids


def test_how_often_it_is_run_makes_no_difference(filled: MemoryStore, clock: Clock) -> None:
    once = filled.forget(clock.now_ns + 2 * DAY_NS, seed=3)
    filled.restore(once.ids)
    gone: set[int] = set()
    for hour in range(0, 49, 4):
        step = filled.forget(clock.now_ns + hour * DAY_NS // 24, seed=3)
        assert gone.isdisjoint(step.ids)
        gone |= set(step.ids)
    assert sorted(gone) == list(once.ids)


def test_recall_saves_from_forgetting(filled: MemoryStore, clock: Clock) -> None:
    clock.now_ns += 3 * DAY_NS
    half = list(range(1, 1001))
    filled.strengthen(half)
    clock.now_ns += DAY_NS
    gone = set(filled.forget(seed=1).ids)
    assert abs(len(gone & set(half)) - 1000 * (1 - np.exp(-1 / 2))) < 70
    assert abs(len(gone - set(half)) - 1000 * (1 - np.exp(-4))) < 30


def test_nothing_is_forgotten_at_once_or_before_its_time(filled: MemoryStore, clock: Clock) -> None:
    assert filled.forget(seed=1).ids == ()
    assert filled.forget(clock.now_ns - 900 * DAY_NS, seed=1).ids == ()  # a clock that was set back
    assert filled.forget(clock.now_ns + 400 * DAY_NS, seed=1, partner="a", kinds="utterance").ids == tuple(range(2, 2001, 2))


def test_forgotten_is_not_hidden(store: MemoryStore, clock: Clock) -> None:
    store.add("bees", partner="a", emotion={"joy": 1})
    store.recall("bees", partner="a")
    assert store.forget(clock.now_ns + 400 * DAY_NS, seed=0).ids == (1,)
    assert store.recall("bees", partner="a").hits == ()
    assert store.count() == 1 and store.memories()[0].archived_ns == clock.now_ns + 400 * DAY_NS and store.partners() == ("a",)
    assert any('"bees"' in line for line in store.export_lines())
    assert store.recall("bees", partner="a", archived=True).hits[0].memory.id == 1


def test_forgotten_for_good_leaves_the_summaries_true(store: MemoryStore, clock: Clock) -> None:
    ids = [store.add(f"word {i}", partner="a").id for i in range(12)]
    summary = store.add_summary("2026-01-01", "a dozen words", partner="a", sources=ids)
    portrait = store.add_portrait("talkative", partner="a", sources=[summary.id])
    gone = store.forget(clock.now_ns + DAY_NS // 2, seed=2, policy="erase", kinds="utterance")
    assert gone.erased and 0 < len(gone.ids) < 12, gone
    left = tuple(sorted(set(ids) - set(gone.ids)))
    assert store.sources(summary.id) == left and store.summary("2026-01-01", partner="a").lost_sources == len(gone.ids)  # type: ignore[union-attr]
    (day,) = store.days("a")
    assert (day.memories, day.summary, day.unsummarised) == (len(left), summary.id, 0)
    assert store.portrait(partner="a") == portrait and store.sources(portrait.id) == (summary.id,)
    assert store.check() == []
    store.forget(clock.now_ns + 10_000 * DAY_NS, seed=2, policy="erase")
    assert [m.kind for m in store.memories()] == ["portrait"] and store.days("a") == ()  # a portrait is never forgotten by itself
    assert store.portrait(partner="a").lost_sources == 1  # type: ignore[union-attr]


def test_wrong_arguments_are_refused(store: MemoryStore) -> None:
    for wrong in ({"policy": "hide"}, {"tau_days": -1}, {"kinds": ["gossip"]}, {"now_ns": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            store.forget(**{"seed": 1, **wrong})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="seed"):
        store.forget(seed=1.5)  # type: ignore[arg-type]


DAY_S = 86_400


def test_limits_are_kept_by_the_wall_clock(open_store: Open, clock: Clock) -> None:
    limits = Retention({"utterance": 30 * DAY_S, "fact": 365 * DAY_S, "summary": 1000 * DAY_S})
    store = open_store(retention=limits)
    store.add("said", partner="a")
    store.add("known", partner="a", kind="fact")
    store.add_summary("2026-01-01", "a day", partner="a", sources=[1])
    clock.now_ns += 30 * DAY_NS - 1
    assert store.expire().ids == () and store.count() == 3
    clock.now_ns += 3_600_000_000_000
    store.recall("said", partner="a")  # an hour of use later it happens by itself
    assert [m.kind for m in store.memories()] == ["fact", "summary"] and store.memories()[1].lost_sources == 1
    store.close()
    clock.now_ns += 336 * DAY_NS
    assert [m.kind for m in open_store(retention=limits).memories()] == ["summary"]


def test_what_cannot_be_erased_for_its_age_just_now_stands_in_no_ones_way(open_store: Open, clock: Clock, tmp_path: Path) -> None:
    store = open_store(retention=Retention({"utterance": DAY_S, "fact": 365 * DAY_S}), timeout_s=0.05)
    store.add("bees said", partner="a")
    store.add("bees known", partner="a", kind="fact")
    clock.now_ns += DAY_NS
    other = sqlite3.connect(tmp_path / "robot.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert len(store.recall("bees", partner="a").hits) == 2
    with pytest.raises(StoreError, match="another program is writing"):
        store.expire()
    other.close()
    clock.now_ns += DAY_NS
    assert [hit.memory.kind for hit in store.recall("bees", partner="a").hits] == ["fact"]


def test_short_limits_are_looked_at_more_often(open_store: Open, clock: Clock) -> None:
    store = open_store(retention=Retention({"utterance": 60, "fact": 0}))
    store.add("said", partner="a")
    clock.now_ns += 60_000_000_000
    store.add("said later", partner="a")
    assert [m.text for m in store.memories()] == ["said later"]
    with pytest.raises(PolicyError, match="fact: not to be kept at all"):
        store.add("known", partner="a", kind="fact")


def test_limits_and_a_clock_that_is_set_back(open_store: Open, clock: Clock) -> None:
    store = open_store(retention=Retention({"utterance": DAY_S}))
    store.add("said", partner="a")
    clock.now_ns -= 100 * DAY_NS
    store.add("said earlier, by the clock", partner="a")
    assert store.expire().ids == () and store.count() == 2
    clock.now_ns += 100 * DAY_NS + 1
    assert store.add("now", partner="a").id == 3
    assert [m.id for m in store.memories()] == [1, 3]


def test_a_policy_is_asked_before_anything_is_kept_or_recalled(open_store: Open, clock: Clock) -> None:
    policy = Policy(retention=Retention({"utterance": 2 * DAY_S}), clock=clock)
    store = open_store(policy=policy, sharing="shared", retention=Retention({"utterance": DAY_S}))
    for call in (
        lambda: store.add("bees", partner="anna"),
        lambda: store.recall("bees", partner="anna"),
        lambda: store.add_portrait("bees", partner="anna", sources=[]),
        lambda: store.summarise("2026-01-01", lambda memories: "x", partner="anna"),
    ):
        with pytest.raises(ConsentError, match="memory: consent by 'anna'"):
            call()
    assert store.count() == 0
    policy.grant("memory", partner="anna")
    policy.grant("memory", partner="ben")
    store.add("bees", partner="anna")
    store.add("bees too", partner="ben")
    store.link(1, 2)
    assert [h.memory.id for h in store.recall("bees", partner="anna").hits] == [1, 2]
    policy.withdraw("memory", partner="ben")
    found = store.recall("bees", partner="anna")
    assert [h.memory.id for h in found.hits] == [1] and found.linked == ()  # what Ben said is not shown any more
    with pytest.raises(ConsentError):
        store.recall("bees", partner="ben")
    assert store.count(partner="ben") == 1 and len(list(store.export_lines("ben"))) == 3  # his to see, and to have erased
    assert store.erase_partner("ben") == (2,)
    clock.now_ns += DAY_NS  # the shorter of the two limits
    assert store.expire().ids == (1,)
