"""Damaged files: flipped bits, truncation, bytes overwritten. What is read is what was written, or a StoreError says that it cannot be."""

from __future__ import annotations

import sqlite3
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from affectrt import MemoryStore, StoreError
from affectrt.memory import Memory, NewMemory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_tools import DIMENSIONS, WORDS, Clock, bag_of_words

Open = Callable[..., MemoryStore]


class Sound:
    """A file's bytes, the memories in it, its key; no dataclass, of which Hypothesis would print all."""

    def __init__(self, content: bytes, memories: list[Memory], key: bytes | None) -> None:
        self.content, self.memories, self.key = content, memories, key


@pytest.fixture(scope="module", params=[None, bytes(range(32))], ids=["plain", "encrypted"])
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """A file that was closed."""
    path = tmp_path_factory.mktemp("sound") / "robot.db"
    with MemoryStore(path, embed=bag_of_words, encoder=WORDS, key=request.param, clock=Clock()) as store:
        store.add_many(NewMemory(f"bees {i} " + "pad " * (i * 9), "a", emotion={"joy": 1}) for i in range(60))
        memories = store.memories()
    return Sound(path.read_bytes(), memories, request.param)


def damaged(path: Path, content: bytes, sound: Sound) -> None:
    """Whatever the damage: what is read is what was written, or a StoreError says that it cannot be."""
    for extra in ("-wal", "-shm"):
        path.with_name(path.name + extra).unlink(missing_ok=True)
    path.write_bytes(content)
    try:
        with MemoryStore(path, embed=bag_of_words, encoder=WORDS, key=sound.key, clock=Clock()) as store:
            wrong = set(store.memories()) - set(sound.memories)
            # Counters and flags have no checksum of their own; words, times, partners, emotions and vectors have.
            known = {m.id: m for m in sound.memories}
            for one in wrong:
                there = known[one.id]
                assert (one.kind, one.partner, one.text, one.stamp_ns, one.emotion) == (
                    there.kind,
                    there.partner,
                    there.text,
                    there.stamp_ns,
                    there.emotion,
                )
            for hit in store.recall("bees 7", partner="a", k=60).hits:
                vector = store.vector(hit.memory.id)
                assert vector is not None and np.array_equal(vector, bag_of_words([known[hit.memory.id].text])[0])
    except StoreError as error:
        assert error.reason in ("corrupt", "key", "failed", "newer", "full", "encoder"), error


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(data=st.data())
def test_flipped_bits_are_noticed(sound: Sound, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(sound.content)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    damaged(tmp_path / "robot.db", bytes(content), sound)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(data=st.data())
def test_truncated_and_overwritten_files_are_noticed(sound: Sound, tmp_path: Path, data: st.DataObject) -> None:
    content = sound.content
    at = data.draw(st.integers(1, len(content) - 1))
    if data.draw(st.booleans()):
        content = content[:at]
    else:
        patch = data.draw(st.binary(min_size=1, max_size=5000))
        content = (content[:at] + patch + content[at + len(patch) :])[: len(content)]
    damaged(tmp_path / "robot.db", content, sound)


def test_one_damaged_memory_is_named_and_can_be_erased(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    store.add_many(NewMemory(f"bees {i} zirkon", "a", emotion={"joy": 1}) for i in range(20))
    store.close()
    path = tmp_path / "robot.db"
    path.write_bytes(path.read_bytes().replace(b"bees 7 zirkon", b"bees 7 zirkom"))
    store = open_store()
    with pytest.raises(StoreError, match="memory 8: its words do not match their checksum") as caught:
        store.memories()
    assert caught.value.reason == "corrupt" and len(store.check()) == 1
    assert store.erase([8]) == (8,)
    assert store.count() == 19 == len(store.memories()) and store.check() == []
    store.close()
    vector = bag_of_words(["bees 5 zirkon"])[0].tobytes()
    path.write_bytes(path.read_bytes().replace(vector[40:60], struct.pack("<5f", *[float("nan")] * 5)))
    store = open_store()
    with pytest.raises(StoreError, match="memory 6: its vector does not match its checksum"):
        store.recall("bees", partner="a")
    assert store.check() == ["memory 6: its vector does not match its checksum; the file is damaged there"]
    store.erase([6])
    assert len(store.recall("bees", partner="a", k=99).hits) == 18


def test_what_should_be_a_number_and_is_none_is_damage(open_store: Open, tmp_path: Path) -> None:
    for column, ask in (
        ("stamp_ns", lambda store: store.days("a")),
        ("recalled_ns", lambda store: store.forget(seed=1)),
        ("strength", lambda store: store.forget(seed=1, policy="erase")),
    ):
        for value in ("words", -1, b"\x18"):
            id_ = open_store().add("bees", partner="a").id
            connection = sqlite3.connect(tmp_path / "robot.db")
            connection.execute(f"UPDATE memories SET {column} = ? WHERE id = ?", (value, id_))
            connection.commit()
            connection.close()
            with pytest.raises(StoreError, match=f"memory {id_}: the file is damaged there") as caught:
                ask(open_store())
            assert caught.value.reason == "corrupt"
            open_store().erase([id_])


@pytest.mark.parametrize("damage", ["ALTER TABLE memories RENAME COLUMN text TO texu", "DROP TABLE vectors", "DROP TABLE meta"])
def test_damaged_tables_are_damage(open_store: Open, tmp_path: Path, damage: str) -> None:
    open_store().add("bees", partner="a")
    connection = sqlite3.connect(tmp_path / "robot.db")
    connection.execute(damage)
    connection.commit()
    connection.close()
    with pytest.raises(StoreError) as caught:
        open_store().add("bees", partner="a")
    assert caught.value.reason == "corrupt"


def test_vectors_of_a_wrong_length_are_damage(open_store: Open, tmp_path: Path) -> None:
    open_store().add("bees", partner="a")
    connection = sqlite3.connect(tmp_path / "robot.db")
    short = bytes(4 * (DIMENSIONS - 1))
    connection.execute("UPDATE vectors SET semantic = ?, crc = ?", (short, zlib.crc32(short, 1)))
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="memory 1: its vector"):
        open_store().recall("bees", partner="a")
