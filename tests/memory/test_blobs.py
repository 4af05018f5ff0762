"""Blobs: bytes that come back whole, and go with whatever is erased."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from affectrt import MemoryStore, StoreError
from affectrt.errors import ConsentError, PolicyError
from affectrt.memory import StoredBlob
from affectrt.memory.blobs import MAX_BLOB_BYTES
from affectrt.policy import Policy, Retention
from memory_tools import DAY_NS, START_NS, Clock, raw

Open = Callable[..., MemoryStore]
LARGE = b"zirkon, said anna. " * 300_000  # 5.7 MB: over a thousand pages, with a word in each


def test_bytes_come_back_whole(open_store: Open, key: str | None) -> None:
    store = open_store(key=key)
    noise = np.random.default_rng(1).bytes(3 << 20)
    assert store.save_blobs({"cache": noise, "talk": b""}, partner="anna", stamp_ns=5, version=2)
    store.save_blobs({"cache": b"his"}, partner="ben")
    store.close()
    store = open_store(key=key)
    assert store.load_blob("cache", partner="anna") == StoredBlob("cache", noise, 5, 2, "anna")
    assert store.load_blob("cache", partner=" anna ").value == noise  # type: ignore[union-attr]
    assert store.load_blob("talk", partner="anna").value == b""  # type: ignore[union-attr]
    assert store.load_blob("cache", partner="ben") == StoredBlob("cache", b"his", START_NS, 1, "ben")
    assert store.load_blob("other", partner="anna") is None and store.partners() == ("anna", "ben") and store.check() == []
    assert store.save_blobs({"cache": None, "talk": b"new"}, partner="anna")
    assert store.load_blob("cache", partner="anna") is None and store.load_blob("talk", partner="anna").value == b"new"  # type: ignore[union-attr]


def test_a_large_one_does_not_make_the_file_grow_each_time(open_store: Open, key: str | None) -> None:
    store = open_store(key=key)
    for _ in range(4):
        store.save_blobs({"cache": LARGE}, partner="anna")
    store.save_state("step", 1)  # the log begins anew
    log = store.path.with_name("robot.db-wal").stat().st_size
    assert store.path.stat().st_size < 1.1 * len(LARGE) and log < len(LARGE)


def test_those_saved_longest_ago_give_way(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("affectrt.memory.blobs.MAX_BLOB_BYTES", 1000)
    for name, size in (("anna", 300), ("ben", 300), ("carl", 300), ("anna", 400)):
        store.save_blobs({"cache": bytes(size)}, partner=name)
    assert store.partners() == ("anna", "ben", "carl")  # hers is new
    store.save_blobs({"cache": bytes(300), "talk": b"x"}, partner="dora")
    assert store.partners() == ("anna", "dora")
    store.save_blobs({"cache": bytes(1000)}, partner="ben")
    assert store.partners() == ("ben",)


ERASE: dict[str, Callable[[MemoryStore], object]] = {
    "erase": lambda store: store.erase([1]),
    "erase_partner": lambda store: store.erase_partner("ben"),
    "her own": lambda store: store.erase_partner("anna"),
    "erase_all": lambda store: store.erase_all(),
    "erase_state": lambda store: store.erase_state("mood"),
    "forget": lambda store: store.forget(START_NS + 999 * DAY_NS, seed=1, policy="erase"),
    "expire": lambda store: store.expire(START_NS + 30 * DAY_NS),
}


@pytest.mark.parametrize("how", ERASE)
def test_whatever_is_erased_takes_all_blobs_along(open_store: Open, how: str) -> None:
    store = open_store(retention=Retention({"utterance": 20 * 86_400}))
    store.add("ben spoke of zirkon", partner="ben")
    store.save_state("mood", 1)
    for name in ("anna", "carl"):
        store.save_blobs({"cache": LARGE}, partner=name)
    assert raw(store.path).count(b"zirkon") > 500_000
    mark = store.erasing_mark()
    ERASE[how](store)
    held = raw(store.path)
    assert (b"zirkon" in held) == (how in ("her own", "erase_state")) and b"zirkon, said anna" not in held  # ben's own memory stays then
    assert store.erasing_mark() != mark and len(held) < 200_000
    assert store.load_blob("cache", partner="anna") is store.load_blob("cache", partner="carl") is None


def test_what_erases_nothing_takes_nothing_along(store: MemoryStore) -> None:
    store.add("zirkon", partner="ben")
    store.save_blobs({"cache": b"x"}, partner="anna")
    mark = store.erasing_mark()
    store.erase([7])
    store.erase_partner("nobody")
    store.erase_state("nothing")
    store.expire(START_NS + 999 * DAY_NS)
    store.forget(START_NS + 999 * DAY_NS, seed=1)  # into the archive
    assert store.load_blob("cache", partner="anna") and store.erasing_mark() == mark


def test_nothing_is_kept_that_may_hold_what_was_erased_meanwhile(open_store: Open) -> None:
    store, other = open_store(), open_store()
    mark = store.erasing_mark()
    store.add("zirkon", partner="ben")
    assert store.save_blobs({"cache": b"x"}, partner="anna", mark=mark)
    other.erase([1])
    assert not store.save_blobs({"cache": b"zirkon"}, partner="anna", mark=mark) and store.load_blob("cache", partner="anna") is None
    assert store.save_blobs({"cache": b"x"}, partner="anna", mark=store.erasing_mark())
    assert b"zirkon" not in raw(store.path)


def test_they_count_as_utterances_for_limits_of_age(open_store: Open, clock: Clock) -> None:
    store = open_store(retention=Retention({"utterance": 600, "fact": 60}))
    assert store.save_blobs({"cache": LARGE}, partner="anna", stamp_ns=START_NS - 300 * 10**9)
    assert not store.save_blobs({"late": b"x"}, partner="anna", stamp_ns=START_NS - 600 * 10**9)
    clock.now_ns += 299 * 10**9
    assert store.load_blob("cache", partner="anna")
    clock.now_ns += 10**9
    assert store.load_blob("cache", partner="anna") is None and b"zirkon" in raw(store.path)
    store.close()
    store = open_store(retention=Retention({"utterance": 600}))
    assert b"zirkon" not in raw(store.path) and store.partners() == ()
    with pytest.raises(PolicyError, match="utterance: not to be kept at all"):
        open_store(retention=Retention({"utterance": 0})).save_blobs({"cache": b"x"}, partner="anna")


def test_consent_is_asked_for(open_store: Open) -> None:
    policy = Policy(clock=lambda: START_NS)
    policy.grant("memory", partner="anna")
    store = open_store(policy=policy)
    store.save_blobs({"cache": b"x"}, partner="anna")
    policy.withdraw("memory", partner="anna")
    for use in (lambda: store.save_blobs({"cache": b"y"}, partner="anna"), lambda: store.load_blob("cache", partner="anna")):
        with pytest.raises(ConsentError):
            use()


def test_damage_is_noticed_and_can_be_erased(open_store: Open, tmp_path: Path) -> None:
    change = sqlite3.connect(tmp_path / "robot.db", isolation_level=None)
    for damage in ("value = X'00'", "value = 'text'", "stamp_ns = 7", "version = 'x'", "crc = NULL OR 1", "name = 'other'"):
        store = open_store()
        store.save_blobs({"cache": b"xyz", "other": None}, partner="anna")
        change.execute(f"UPDATE blobs SET {damage}")
        name = "other" if "name" in damage else "cache"
        with pytest.raises(StoreError, match=f"blob '{name}' of 'anna': it does not match its checksum") as caught:
            store.load_blob(name, partner="anna")
        assert caught.value.reason == "corrupt" and store.check() == [str(caught.value)]
        store.erase_partner("anna")
        assert store.check() == [] and store.partners() == ()
    change.close()


def test_an_export_leaves_them_out(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    store.add("bees", partner="anna")
    plain = list(store.export_lines())
    store.save_blobs({"cache": b"zirkon"}, partner="anna")
    assert list(store.export_lines()) == plain
    assert open_store(path=tmp_path / "other.db").import_lines(plain) == 1


def test_what_cannot_be_kept_is_refused_and_nothing_of_it_kept(store: MemoryStore) -> None:
    wrong: list[tuple[dict[str, object], type[Exception], str]] = [
        ({"values": {"fine": b"x", "cache": "text"}}, TypeError, "blob 'cache': expected bytes or None, got str"),
        ({"values": {"fine": b"x", "cache": bytes(MAX_BLOB_BYTES + 1)}}, ValueError, "blobs fine, cache: expected at most 268435456 bytes"),
        ({"values": {"fine": b"x", " ": b"x"}}, ValueError, "a blob's name: expected words"),
        ({"partner": ""}, ValueError, "partner: expected words"),
        ({"stamp_ns": -1}, ValueError, "stamp_ns"),
        ({"version": 0}, ValueError, "version"),
        ({"mark": 3}, TypeError, "mark"),
    ]
    for change, kind, message in wrong:
        with pytest.raises(kind, match=message):
            store.save_blobs(**{"values": {"fine": b"x"}, "partner": "anna", **change})  # type: ignore[arg-type]
    assert store.partners() == ()
