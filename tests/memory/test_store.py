"""Remembering, listing, states, threads, forks and what is refused before anything is written."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import affectrt
import numpy as np
import pytest
from affectrt import MemoryStore, StoreError
from affectrt.labels import TAXONOMIES
from affectrt.memory import EMOTIONS, Encoder, NewMemory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_tools import DIMENSIONS, START_NS, WORDS, Clock, bag_of_words

Open = Callable[..., MemoryStore]


def test_what_was_added_is_there_after_opening_again(open_store: Open, key: str | None, clock: Clock) -> None:
    store = open_store(key=key)
    told = store.add("My dog Bruno died.", partner="Anna", emotion={"sadness": 1, "trust": 0.5}, stamp_ns=START_NS - 5)
    known = store.add("Anna has a sister.", partner="Anna", kind="fact", shared=True)
    assert (told.id, told.kind, told.text, told.stamp_ns, told.strength, told.recalled_ns) == (
        1,
        "utterance",
        "My dog Bruno died.",
        START_NS - 5,
        1,
        START_NS - 5,
    )
    assert told.emotion == (0, 0.5, 0, 0, 1, 0, 0, 0) and not told.shared and told.archived_ns is None
    assert known.stamp_ns == clock.now_ns and known.emotion == (0,) * 8 and known.shared
    store.close()
    again = open_store(key=key)
    assert again.memories() == [told, known] and again.get(2) == known and again.get(3) is None
    assert again.encoder == WORDS and again.partners() == ("Anna",) and again.encrypted == (key is not None)
    vector = again.vector(1)
    assert vector is not None and np.array_equal(vector, bag_of_words(["My dog Bruno died."])[0])
    assert again.check() == []


def test_the_lists_select(store: MemoryStore, clock: Clock) -> None:
    for i, (partner, kind) in enumerate([("a", "utterance"), ("b", "fact"), ("a", "fact"), ("a", "utterance")]):
        store.add(f"word {i}", partner=partner, kind=kind, stamp_ns=clock.now_ns - i)
    assert [m.id for m in store.memories(partner="a")] == [1, 3, 4]
    assert [m.id for m in store.memories(kinds=["fact"])] == [2, 3] == [m.id for m in store.memories(kinds="fact")]
    assert [m.id for m in store.memories(newest_first=True, limit=2)] == [1, 2]
    assert [m.id for m in store.memories(since_ns=clock.now_ns - 2, before_ns=clock.now_ns)] == [2, 3]
    assert [m.id for m in store.memories(after_id=1, limit=2)] == [2, 3]
    assert store.archive([2, 3, 99]) == 2
    assert [m.id for m in store.memories(archived=True)] == [2, 3] and [m.id for m in store.memories(archived=False)] == [1, 4]
    assert store.count() == 4 and store.count(partner="a", archived=True) == 1 and store.count(kinds=["fact"]) == 2
    assert store.get(2).archived_ns == clock.now_ns and store.restore([2]) == 1 and store.get(2).archived_ns is None  # type: ignore[union-attr]


def test_a_batch_is_kept_as_a_whole_or_not_at_all(store: MemoryStore) -> None:
    assert len(store.add_many(NewMemory(f"word {i}", "a") for i in range(30))) == 30
    with pytest.raises(ValueError, match="emotion"):
        store.add_many([NewMemory("good", "a"), NewMemory("bad", "a", emotion=[np.nan] * 8)])
    assert store.count() == 30 and store.add_many([]) == ()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(
    text=st.text(min_size=1).filter(lambda t: t.strip() and "\0" not in t),
    partner=st.text(min_size=1, max_size=20).filter(lambda t: t.strip() and "\0" not in t),
    emotion=st.lists(st.floats(0, 1e6, width=32), min_size=8, max_size=8),
    stamp=st.integers(0, 2**63 - 1),
)
def test_any_words_come_back_as_they_went_in(store: MemoryStore, text: str, partner: str, emotion: list[float], stamp: int) -> None:
    memory = store.add(text, partner=partner, emotion=emotion, stamp_ns=stamp)
    assert memory.text == text and memory.stamp_ns == stamp and store.get(memory.id) == memory
    assert memory.id in {m.id for m in store.memories(partner=partner)}


def test_one_name_in_two_spellings_is_one_partner(store: MemoryStore) -> None:
    store.add("hello", partner="Zoe\u0308")
    store.add("hello again", partner=" Zo\u00eb ")
    assert store.partners() == ("Zo\u00eb",)
    assert store.erase_partner("Zoe\u0308") == (1, 2)


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"text": "  "}, ValueError, "text: expected words"),
        ({"text": 7}, TypeError, "text: expected a str, got int"),
        ({"text": "a\0b"}, ValueError, "NUL"),
        ({"text": "\ud800"}, ValueError, "surrogate"),
        ({"partner": ""}, ValueError, "partner: expected words"),
        ({"kind": "summary"}, ValueError, "kind: expected utterance or fact, got 'summary'"),
        ({"stamp_ns": -1}, ValueError, "stamp_ns: expected nanoseconds since 1970"),
        ({"stamp_ns": 2**63}, ValueError, "stamp_ns"),
        ({"stamp_ns": 1.5}, TypeError, "stamp_ns: expected an int"),
        ({"stamp_ns": True}, TypeError, "stamp_ns"),
        ({"emotion": [1.0] * 7}, ValueError, r"emotion: expected \(8,\) numbers, got shape \(7,\)"),
        ({"emotion": [np.nan] + [0.0] * 7}, ValueError, "emotion: expected finite"),
        ({"emotion": [-1.0] + [0.0] * 7}, ValueError, "emotion: expected finite numbers >= 0"),
        ({"emotion": [1e39] * 8}, ValueError, "emotion: expected finite"),
        ({"emotion": {"happiness": 1}}, ValueError, "emotion: expected names of joy, .* got 'happiness'"),
        ({"emotion": "joy"}, ValueError, "emotion"),
        ({"semantic": np.zeros(3, np.float32)}, ValueError, r"semantic: expected \(48,\) numbers of bag-of-words, got shape \(3,\)"),
        ({"semantic": np.full(DIMENSIONS, np.nan, np.float32)}, ValueError, "semantic: expected finite"),
        ({"semantic": np.full(DIMENSIONS, 1e30)}, ValueError, "semantic: expected finite"),
        ({"semantic": np.array(["x"] * DIMENSIONS)}, ValueError, "semantic"),
        ({"shared": 1}, TypeError, "shared: expected a bool"),
    ],
)
def test_wrong_memories_are_refused(store: MemoryStore, wrong: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        store.add(**{"text": "hello", "partner": "a", **wrong})
    assert store.count() == 0


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"sharing": "public"}, ValueError, "sharing: expected one of private, flagged, shared, got 'public'"),
        ({"timeout_s": -1}, ValueError, "timeout_s"),
        ({"timeout_s": float("nan")}, ValueError, "timeout_s"),
        ({"retention": {"utterance": 1}}, TypeError, "retention: expected an affectrt.policy.Retention"),
        ({"policy": "strict"}, TypeError, "policy"),
        ({"timezone": "UTC"}, TypeError, "timezone"),
        ({"path": ":memory:"}, ValueError, "path: expected the name of a file"),
        ({"path": ""}, ValueError, "path"),
        ({"path": 5}, TypeError, "path"),
        ({"path": b"robot.db"}, TypeError, "path"),
        ({"key": ""}, ValueError, "key: expected a passphrase"),
        ({"key": "a\0b"}, ValueError, "key"),
        ({"key": b"short"}, ValueError, "key: expected 32 bytes, or a passphrase as str, got 5 bytes"),
        ({"key": 7}, TypeError, "key"),
        ({"encoder": None}, ValueError, "embed: give encoder=Encoder"),
        ({"embed": 3}, TypeError, "embed: expected a callable"),
        ({"encoder": "bge"}, TypeError, "encoder: expected an Encoder"),
    ],
)
def test_wrong_settings_are_refused_and_make_no_file(
    open_store: Open, tmp_path: Path, wrong: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        open_store(**wrong)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        (np.zeros((1, 3), np.float32), r"embed: expected \(1, 48\) numbers, got \(1, 3\)"),
        (np.full((1, DIMENSIONS), np.inf, np.float32), "embed: expected finite"),
        (np.array([["x"] * DIMENSIONS]), "embed: expected"),
    ],
)
def test_a_wrong_encoder_is_caught(open_store: Open, vectors: Any, words: str) -> None:
    store = open_store(embed=lambda texts: vectors)
    with pytest.raises(ValueError, match=words):
        store.add("hello", partner="a")
    assert store.count() == 0


def test_without_an_encoder_the_vectors_are_the_callers(open_store: Open) -> None:
    store = open_store(embed=None)
    with pytest.raises(ValueError, match="no embed"):
        store.add("hello", partner="a")
    store.add("hello", partner="a", semantic=np.ones(DIMENSIONS, np.float32))
    assert store.recall(np.ones(DIMENSIONS, np.float32), partner="a").hits[0].distance == 0


def test_encoders_are_checked() -> None:
    for wrong in ({"name": ""}, {"dimensions": 0}, {"dimensions": 1.0}, {"version": 1}):
        with pytest.raises(ValueError, match="Encoder"):
            Encoder(**{"name": "x", "version": "1", "dimensions": 4, **wrong})  # type: ignore[arg-type]
    one, newer = Encoder("x", "1", 4, "ab"), Encoder("x", "2", 4, "ab")
    assert one.same(newer) and not one.same(Encoder("x", "1", 4, "cd")) and not Encoder("x", "1", 4).same(Encoder("x", "2", 4))


def test_states_are_kept_and_replaced(open_store: Open, key: str | None, clock: Clock) -> None:
    store = open_store(key=key)
    store.save_state("affect", {"valence": -0.5, "of": ["anna", None]}, version=3)
    store.save_state("affect", [1, 2], 7, partner="anna")
    store.close()
    again = open_store(key=key)
    kept = again.load_state("affect")
    assert kept is not None and (kept.value, kept.stamp_ns, kept.version) == ({"valence": -0.5, "of": ["anna", None]}, clock.now_ns, 3)
    again.save_state("affect", "new")
    assert again.load_state("affect").value == "new" and again.load_state("affect", partner="anna").value == [1, 2]  # type: ignore[union-attr]
    assert again.load_state("other") is None and again.partners() == ("anna",)
    assert again.erase_state("affect") and not again.erase_state("affect") and again.load_state("affect") is None


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, b"x", {"a": float("inf")}, "\ud800"])
def test_a_state_that_is_not_json_is_refused(store: MemoryStore, value: Any) -> None:
    store.save_state("s", 1)
    with pytest.raises(ValueError, match="state 's': expected what JSON holds"):
        store.save_state("s", value)
    assert store.load_state("s").value == 1  # type: ignore[union-attr]


def test_a_closed_store_says_so(store: MemoryStore) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed") as caught:
        store.add("hello", partner="a")
    assert caught.value.reason == "closed"


def test_only_the_owner_may_read_the_file(store: MemoryStore, tmp_path: Path) -> None:
    store.add("hello", partner="a")
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {"robot.db": 0o600, "robot.db-wal": 0o600, "robot.db-shm": 0o600}


def test_many_threads_lose_nothing(open_store: Open, key: str | None) -> None:
    store = open_store(key=key)
    failures: list[BaseException] = []

    def work(n: int) -> None:
        try:
            for i in range(12):
                memory = store.add(f"thread {n} word {i}", partner=f"p{n}", emotion={"joy": 1})
                hits = store.recall(f"thread {n} word {i}", partner=f"p{n}", emotion={"joy": 1}, strengthen=i % 3 == 0).hits
                assert hits[0].memory.id == memory.id
                if i % 4 == 3:
                    store.erase([memory.id])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert {p: store.count(partner=p) for p in store.partners()} == {f"p{n}": 9 for n in range(6)}
    assert store.check() == []


def test_the_event_loop_turns_while_the_store_works(open_store: Open) -> None:
    def slow(texts: list[str]) -> Any:
        time.sleep(0.3)
        return bag_of_words(texts)

    store = open_store(embed=slow)

    async def main() -> int:
        turns = 0
        work = asyncio.ensure_future(asyncio.to_thread(store.add, "hello", partner="a"))
        while not work.done():
            turns += 1
            await asyncio.sleep(0.005)
        assert work.result().id == 1
        return turns

    assert asyncio.run(main()) > 5


def test_another_thread_recalls_while_one_embeds(open_store: Open) -> None:
    inside, go = threading.Event(), threading.Event()

    def waits(texts: list[str]) -> Any:
        if texts == ["slow words"]:
            inside.set()
            assert go.wait(30)
        return bag_of_words(texts)

    store = open_store(embed=waits)
    store.add("quick words", partner="a")
    thread = threading.Thread(target=store.add, args=("slow words",), kwargs={"partner": "a"})
    thread.start()
    assert inside.wait(30)
    assert len(store.recall("quick", partner="a").hits) == 1  # would hang here if the lock were held
    go.set()
    thread.join(30)
    assert store.count() == 2


def test_others_recall_while_the_file_is_rewritten(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, go = threading.Event(), threading.Event()
    rewrite = store._db._scrub

    def waits(connection: Any) -> None:
        inside.set()
        assert go.wait(30)
        rewrite(connection)

    monkeypatch.setattr(store._db, "_scrub", waits)
    store.add("bees", partner="a")
    store.add("cows", partner="a")
    eraser = threading.Thread(target=store.erase, args=([1],))
    eraser.start()
    assert inside.wait(30)
    assert [h.memory.id for h in store.recall("bees", partner="a").hits] == [2]  # would hang if reading had to wait
    assert store.count() == 1 and store.memories()[0].text == "cows"
    writer = threading.Thread(target=store.add, args=("geese",), kwargs={"partner": "a"})
    writer.start()  # waits for its turn, and does not run into a timeout
    go.set()
    eraser.join(30)
    writer.join(30)
    assert [m.text for m in store.memories()] == ["cows", "geese"] and store.check() == []


def test_a_forked_child_is_told_and_harms_nothing(store: MemoryStore, tmp_path: Path) -> None:
    program = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from memory_tools import WORDS, bag_of_words
from affectrt.memory import MemoryStore, StoreError
store = MemoryStore({str(tmp_path / "forked.db")!r}, embed=bag_of_words, encoder=WORDS)
store.add("before", partner="a")
child = os.fork()
if child == 0:
    try:
        store.add("in the child", partner="a")
    except StoreError as error:
        assert error.reason == "forked", error
        own = MemoryStore({str(tmp_path / "forked.db")!r}, embed=bag_of_words, encoder=WORDS)
        own.add("by the child's own", partner="a")
        own.close()
        store.close()
        sys.exit(7)
    sys.exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
store.add("after", partner="a")
print([m.text for m in store.memories()], len(store.recall("after", partner="a").hits), store.check())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "['before', \"by the child's own\", 'after'] 3 []", done.stderr


def test_the_front_names_it() -> None:
    assert affectrt.MemoryStore is MemoryStore and issubclass(affectrt.StoreError, RuntimeError)
    assert TAXONOMIES["plutchik8"].labels == EMOTIONS  # the order is part of the file's form
    code = (
        "import sys, affectrt; print('sqlite3' in sys.modules); affectrt.MemoryStore; print({'onnxruntime', 'sqlcipher3'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\nset()\n", done.stderr
