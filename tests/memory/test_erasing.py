"""Erased means gone: the raw bytes of the file and its companions are searched for the words and for the bytes of the vectors."""

from __future__ import annotations

import gc
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from affectrt import MemoryStore, StoreError
from affectrt.memory import NewMemory
from affectrt.policy import Retention
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_tools import bag_of_words, raw

Open = Callable[..., MemoryStore]
SECRET = "xylophone " * 900  # long enough for pages of its own


def traces(path: Path, word: str, text: str) -> list[str]:
    """What of a memory its files still hold."""
    held = raw(path)
    vector = bag_of_words([text])[0].tobytes()
    marks = {
        "word": word.encode(),
        "end of the vector": vector[-24:],
        "start of the vector": vector[:24],
        "utf-16": word.encode("utf-16-le"),
    }
    return [name for name, mark in marks.items() if mark in held]


def fill(store: MemoryStore, n: int = 60) -> None:
    store.add_many(NewMemory(f"quiet {i} of berta", "berta", emotion={"joy": i + 1}) for i in range(n))
    store.add_many(NewMemory(f"zirkon {i}" if i else SECRET, "anna", emotion={"sadness": 1}) for i in range(n))
    store.save_state("mood", {"word": "zirkon"}, partner="anna")


def test_the_search_finds_what_is_there(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    fill(store)
    assert traces(store.path, "zirkon", "zirkon 5")[:3] == ["word", "end of the vector", "start of the vector"]
    store.close()
    assert traces(tmp_path / "robot.db", "zirkon", "zirkon 5")[:3] == ["word", "end of the vector", "start of the vector"]


def test_deleting_alone_would_leave_traces(open_store: Open) -> None:
    """Why erasing is more than DELETE: with only that, the log still holds the words."""
    store = open_store()
    fill(store)
    with store._db.write() as connection:
        connection.execute("DELETE FROM memories WHERE partner = 'anna'")
    assert "word" in traces(store.path, "zirkon", "zirkon 5")


@pytest.mark.parametrize("how", ["erase", "erase_partner", "erase_all", "forget", "expire"])
def test_erased_is_gone_from_the_files_and_from_memory(open_store: Open, how: str, clock: Callable[[], int]) -> None:
    store = open_store(retention=Retention({"utterance": 86_400}) if how == "expire" else None)
    fill(store)
    store.recall("zirkon 5", partner="anna", emotion={"sadness": 1}, strengthen=True)
    index = store._index
    assert index is not None
    buffers = dict(index._columns)
    mine = [m.id for m in store.memories(partner="anna")]
    if how == "erase":
        assert store.erase(mine) == tuple(mine)
        store.erase_state("mood", partner="anna")
    elif how == "erase_partner":
        assert store.erase_partner("anna") == tuple(mine)
    elif how == "erase_all":
        assert len(store.erase_all()) == 120
    elif how == "forget":
        assert store.forget(clock() + 10**18, seed=1, policy="erase", partner="anna").ids == tuple(mine)
        store.erase_state("mood", partner="anna")
    else:
        assert len(store.expire(clock() + 2 * 86_400_000_000_000).ids) == 120
        store.erase_state("mood", partner="anna")
    for text in ("zirkon 5", "zirkon 59", SECRET):
        assert traces(store.path, "zirkon", text) == traces(store.path, "xylophone", text) == []
    assert b"anna" not in raw(store.path)
    assert (store.path.parent / "robot.db-wal").stat().st_size < 10_000  # a page or two: the note that it is done
    vector = bag_of_words(["zirkon 5"])[0]
    for buffer in buffers.values():
        assert vector[-6:].tobytes() not in buffer.tobytes()
    expected = 0 if how in ("erase_all", "expire") else 60
    assert store.count() == expected == len(index) and store.partners() == (("berta",) if expected else ())
    assert store.check() == [] and store.load_state("mood", partner="anna") is None
    if expected:
        assert store.recall("quiet 3", partner="berta").hits[0].memory.text.startswith("quiet 3 ")
    store.close()
    assert traces(store.path, "zirkon", "zirkon 5") == []


def test_an_encrypted_file_never_shows_a_word(open_store: Open, tmp_path: Path) -> None:
    store = open_store(key="correct horse")
    fill(store)
    for last in (False, True):
        held = raw(tmp_path / "robot.db")
        assert len(held) > 50_000
        for mark in (b"zirkon", b"anna", b"quiet", b"memories", b"SQLite", b"correct horse", bag_of_words(["zirkon 5"])[0][-3:].tobytes()):
            assert mark not in held
        store.erase_partner("anna")
        assert store.count() == 60
        if not last:
            store.close()
            store = open_store(key="correct horse")


def test_what_was_in_a_freed_buffer_is_zeros(store: MemoryStore) -> None:
    """The index moved to a larger matrix: the old one is overwritten, or a later erasing would not reach it."""
    fill(store)
    store.recall("zirkon", partner="anna")
    index = store._index
    assert index is not None
    old = dict(index._columns)
    store.add_many(NewMemory(f"more {i}", "anna") for i in range(400))
    assert index._columns["semantics"] is not old["semantics"] and not any(column.any() for column in old.values())
    new = index._columns["semantics"]
    store.close()
    assert not new.any()
    gc.collect()


def test_summaries_and_portraits_go_with_what_they_were_made_of(store: MemoryStore) -> None:
    one, two, three = (store.add(f"word {i}", partner="a").id for i in range(3))
    summary = store.add_summary("2026-01-01", "said word 0 and word 1", partner="a", sources=[one, two])
    portrait = store.add_portrait("wordy", partner="a", sources=[summary.id])
    other = store.add_summary("2026-01-02", "said word 2", partner="a", sources=[three])
    store.link(one, three)
    assert store.erase([two]) == (two, summary.id, portrait.id)
    assert [m.id for m in store.memories()] == [one, three, other.id]
    assert store.days("a")[0].summary is None and store.days("a")[1].summary == other.id
    assert store.portrait(partner="a") is None and store.linked(one)[0].id == three and store.check() == []
    assert store.erase([three, 99]) == (three, other.id) and store.linked(one) == ()


def test_a_change_of_the_index_that_is_broken_off_costs_only_time(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, 6)
    store.recall("quiet", partner="berta")
    index = store._index
    assert index is not None

    def interrupted(ids: object) -> None:
        index.column("ids")[:] = 7
        raise KeyboardInterrupt

    monkeypatch.setattr(index, "remove", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.erase_partner("anna")
    assert not any(column.any() for column in index._columns.values())
    assert len(store.recall("quiet", partner="berta").hits) == 6 and store.recall("zirkon", partner="anna").hits == ()
    assert store.erase([]) == () and traces(store.path, "zirkon", "zirkon 5") == []


def test_a_partners_name_leaves_the_index_too(store: MemoryStore) -> None:
    fill(store, 3)
    store.recall("quiet", partner="berta")
    index = store._index
    assert index is not None and index.partners() == ("berta", "anna")
    store.erase_partner("berta")
    assert index.partners() == ("anna",)
    store.add("quiet again", partner="carl")
    store.add("quiet at last", partner="berta")
    for name in ("anna", "berta", "carl"):
        assert {h.memory.partner for h in store.recall("quiet", partner=name).hits} == {name}


def test_ids_are_never_given_again(store: MemoryStore) -> None:
    store.add("one", partner="a")
    store.add("two", partner="a")
    store.erase_all()
    assert store.add("three", partner="a").id == 3


def test_erasing_nothing_is_nothing(store: MemoryStore) -> None:
    store.add("one", partner="a")
    assert store.erase([]) == store.erase([7]) == store.erase_partner("nobody") == ()
    for wrong in ("1", 1, [0], [True], ["1"], [1.5]):
        with pytest.raises((TypeError, ValueError), match="id"):
            store.erase(wrong)  # type: ignore[arg-type]
    assert store.count() == 1


def test_broken_off_erasing_is_finished_by_the_next(open_store: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    store = open_store()
    fill(store)

    def killed() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store._db, "scrub", killed)
    with pytest.raises(KeyboardInterrupt):
        store.erase_partner("anna")
    assert store.count() == 60 and "word" in traces(store.path, "zirkon", "zirkon 5")
    open_store()  # another process, or this one after it was started again
    assert traces(tmp_path / "robot.db", "zirkon", "zirkon 5") == []


def test_a_reader_in_the_way_is_told_and_the_rest_done_later(open_store: Open) -> None:
    store, reader = open_store(timeout_s=0.2), open_store()
    fill(store)
    with reader._db.read() as connection:
        connection.execute("BEGIN")
        assert connection.execute("SELECT count(*) FROM memories").fetchone() == (120,)
        with pytest.raises(StoreError, match=r"another program .*0\.2 s.*; what was erased is gone from the tables, but") as caught:
            store.erase_partner("anna")
        assert caught.value.reason == "busy" and store.count() == 60
        connection.execute("COMMIT")
    assert store.erase([]) == () and traces(store.path, "zirkon", "zirkon 5") == []


def test_erasing_waits_for_another_programs_checkpoint(open_store: Open) -> None:
    store = open_store(timeout_s=30)
    id_ = store.add(SECRET, partner="anna").id
    # SQLite's lock for it: byte 121 of the shared memory. It gives up there at once, whatever the time-out.
    hold = (
        "import fcntl, sys, time; f = open(sys.argv[1], 'r+b'); fcntl.lockf(f, fcntl.LOCK_EX, 1, 121); print(flush=True); time.sleep(0.5)"
    )
    with subprocess.Popen([sys.executable, "-c", hold, f"{store.path}-shm"], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline()
        assert store.erase([id_]) == (id_,)
    assert traces(store.path, "zirkon", SECRET) == []


def test_a_full_disk_in_the_way_is_told_too(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store)
    rewrite = store._db._scrub

    def full(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA max_page_count = 5")
        connection.execute("CREATE TABLE too_large AS SELECT randomblob(3000000)")

    monkeypatch.setattr(store._db, "_scrub", full)
    with pytest.raises(StoreError, match=r"the disk is full.*; what was erased is gone from the tables, but the file") as caught:
        store.erase_partner("anna")
    assert caught.value.reason == "full" and store.count() == 60
    monkeypatch.setattr(store._db, "_scrub", rewrite)
    assert store.erase([]) == () and traces(store.path, "zirkon", "zirkon 5") == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(data=st.data())
def test_whatever_is_erased_is_gone_and_the_rest_stays(store: MemoryStore, data: st.DataObject) -> None:
    store.erase_all()
    texts = [
        f"{data.draw(st.sampled_from(['zirkon', 'quartz', 'topaz']))} {i} " + "pad " * data.draw(st.integers(0, 1500)) for i in range(8)
    ]
    memories = store.add_many(NewMemory(text, "a") for text in texts)
    store.recall("zirkon", partner="a")
    gone = data.draw(st.sets(st.sampled_from([m.id for m in memories]), min_size=1))
    assert store.erase(gone) == tuple(sorted(gone))
    held = raw(store.path)
    for memory, text in zip(memories, texts, strict=True):
        name = " ".join(text.split()[:2]).encode()
        vector = bag_of_words([text])[0].tobytes()[-24:]
        assert (name in held, vector in held) == ((memory.id not in gone,) * 2)
    assert store.memories() == [m for m in memories if m.id not in gone]
    assert np.array_equal(store._index.column("ids"), [m.id for m in memories if m.id not in gone])  # type: ignore[union-attr]
