"""Recall against a plain float32 NumPy reference, and who is shown what."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affectrt import MemoryStore, StoreError
from affectrt.memory import COMBINATIONS, EMOTIONS, Encoder, NewMemory, index, recalling
from affectrt.memory.rows import vectors
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_tools import DAY_NS, DIMENSIONS, WORDS, Clock, bag_of_words
from numpy.typing import NDArray

Open = Callable[..., MemoryStore]
F32 = NDArray[np.float32]


def reference(semantic: F32, emotion: F32, semantics: F32, emotions: F32, combination: str, k: int, candidates: int) -> list[int]:
    """Emotional RAG, written out: indices, nearest first, the lower index first where two are equally near."""
    sem = np.sqrt(((semantics - semantic) ** 2).sum(axis=1))
    norms = np.linalg.norm(emotions, axis=1) * np.linalg.norm(emotion)
    with np.errstate(invalid="ignore", divide="ignore"):
        emo = np.where(norms > 0, 1 - emotions @ emotion / norms, 1.0)
    first = {"semantic": sem, "emotional": emo, "C-A": sem + emo, "C-M": sem * emo, "S-C": sem, "S-S": emo}[combination]
    order = sorted(range(len(sem)), key=lambda i: (round(float(first[i]), 5), i))
    if combination in ("S-C", "S-S"):
        second = emo if combination == "S-C" else sem
        order = sorted(order[:candidates], key=lambda i: (round(float(second[i]), 5), i))
    return order[:k]


@pytest.fixture(scope="module")
def lattice(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A store whose vectors and emotions are small integers, so that many are exactly equal, and their arrays."""
    random = np.random.default_rng(5)
    semantics = random.integers(-1, 2, (300, 6)).astype(np.float32)
    semantics[~semantics.any(axis=1), 0] = 1
    emotions = random.integers(0, 2, (300, 8)).astype(np.float32)
    emotions[::7] = 0
    store = MemoryStore(tmp_path_factory.mktemp("lattice") / "robot.db", encoder=Encoder("lattice", "1", 6))
    store.add_many(NewMemory(f"memory {i}", "a", emotion=e, semantic=s) for i, (s, e) in enumerate(zip(semantics, emotions, strict=True)))
    yield store, semantics, emotions
    store.close()


@settings(deadline=None, max_examples=80)
@given(
    data=st.data(),
    combination=st.sampled_from(COMBINATIONS),
    k=st.integers(1, 320),
    candidates=st.integers(1, 320),
    coded=st.booleans(),
)
def test_every_combination_is_as_the_reference_has_it(
    lattice: Any, data: st.DataObject, combination: str, k: int, candidates: int, coded: bool
) -> None:
    store, semantics, emotions = lattice
    semantic = np.array(data.draw(st.lists(st.integers(-2, 2), min_size=6, max_size=6).filter(any)), np.float32)
    emotion = np.array(data.draw(st.lists(st.integers(0, 3), min_size=8, max_size=8).filter(any)), np.float32)
    before, recalling.CODES_FROM = recalling.CODES_FROM, 1 if coded else 10**9
    try:
        found = store.recall(semantic, partner="a", emotion=emotion, combination=combination, k=k, candidates=candidates)
    finally:
        recalling.CODES_FROM = before
    expected = reference(semantic, emotion, semantics, emotions, combination, k, candidates)
    distances = np.array([hit.distance for hit in found.hits])
    assert found.combination == combination and found.reason == "" and len(found.hits) == len(expected)
    assert (np.diff(distances) >= 0).all()
    # Roundings may part what is equal on paper: compare the distances in order, then the memories where they clearly differ.
    sem = np.linalg.norm(semantics - semantic, axis=1)
    for hit in found.hits:
        i = hit.memory.id - 1
        assert hit.semantic_distance == pytest.approx(sem[i], abs=1e-5)
    if combination in ("semantic", "emotional", "C-A", "C-M"):
        part = {"semantic": lambda h: h.semantic_distance, "emotional": lambda h: h.emotional_distance}
        value = (
            part.get(combination)
            or {
                "C-A": lambda h: h.semantic_distance + h.emotional_distance,
                "C-M": lambda h: h.semantic_distance * h.emotional_distance,
            }[combination]
        )
        assert [value(h) for h in found.hits] == pytest.approx(distances.tolist(), abs=1e-5)
    if combination == "semantic":
        assert [hit.memory.id - 1 for hit in found.hits] == expected
    again = store.recall(semantic, partner="a", emotion=emotion, combination=combination, k=k, candidates=candidates)
    assert [h.memory.id for h in again.hits] == [h.memory.id for h in found.hits]


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_real_valued_vectors_give_the_references_order(open_store: Open, combination: str) -> None:
    random = np.random.default_rng(9)
    semantics = random.normal(size=(500, DIMENSIONS)).astype(np.float32)
    emotions = random.uniform(size=(500, 8)).astype(np.float32)
    store = open_store()
    store.add_many(NewMemory(f"m {i}", "a", emotion=e, semantic=s) for i, (s, e) in enumerate(zip(semantics, emotions, strict=True)))
    for _ in range(5):
        semantic, emotion = random.normal(size=DIMENSIONS).astype(np.float32), random.uniform(size=8).astype(np.float32)
        found = store.recall(semantic, partner="a", emotion=emotion, combination=combination)
        assert [h.memory.id - 1 for h in found.hits] == reference(semantic, emotion, semantics, emotions, combination, 10, 20)


def test_what_was_said_in_sadness_comes_back_with_the_mood(open_store: Open, key: str | None, clock: Clock) -> None:
    store = open_store(key=key)
    store.add("Today we painted the kitchen.", partner="a", emotion={"joy": 1})
    sad = store.add("Today nobody called me.", partner="a", emotion={"sadness": 0.9, "anger": 0.1})
    store.close()
    clock.now_ns += DAY_NS
    store = open_store(key=key)
    hit = store.recall("today", partner="a", emotion={"sadness": 1}).hits[0]
    assert hit.memory == sad and hit.emotional_distance < 0.01


def test_partners_see_their_own_and_what_the_policy_shows(open_store: Open) -> None:
    store = open_store()
    store.add("anna keeps bees", partner="anna")
    store.add("ben keeps bees", partner="ben", shared=True)
    store.add("cleo keeps bees", partner="cleo")

    def seen(sharing: str, partner: str | None) -> set[str]:
        store.sharing = sharing  # type: ignore[assignment]
        return {h.memory.partner for h in store.recall("bees", partner=partner).hits}

    assert seen("private", "anna") == {"anna"} and seen("private", "dora") == set()
    assert seen("flagged", "anna") == {"anna", "ben"} and seen("flagged", "ben") == {"ben"} and seen("flagged", "dora") == {"ben"}
    assert seen("shared", "anna") == {"anna", "ben", "cleo"}
    assert seen("private", None) == {"anna", "ben", "cleo"}
    assert store.share([2], False) == 1 and store.share([3]) == 1
    assert seen("flagged", "anna") == {"anna", "cleo"}
    with pytest.raises(TypeError):
        store.recall("bees")  # type: ignore[call-arg]  # whose turn it is has no default: it decides who is shown what


def test_kinds_times_and_the_archive_narrow_the_search(store: MemoryStore, clock: Clock) -> None:
    store.add("bees", partner="a", stamp_ns=clock.now_ns - 10)
    store.add("bees", partner="a", kind="fact")
    found = store.recall("bees", partner="a").hits
    assert [h.memory.id for h in found] == [1, 2]  # equally near: the older first
    assert [h.memory.id for h in store.recall("bees", partner="a", kinds=["fact"]).hits] == [2]
    assert [h.memory.id for h in store.recall("bees", partner="a", before_ns=clock.now_ns).hits] == [1]
    store.archive([1])
    assert [h.memory.id for h in store.recall("bees", partner="a").hits] == [2]
    assert [h.memory.id for h in store.recall("bees", partner="a", archived=True).hits] == [1, 2]
    store.restore([1])
    assert [h.memory.id for h in store.recall("bees", partner="a", k=1).hits] == [1]


def test_what_is_not_known_is_not_guessed(store: MemoryStore) -> None:
    store.add("the sea", partner="a", emotion={"joy": 1})
    store.add("the sea at night", partner="a")
    store.add("\U0001f622", partner="a", emotion={"sadness": 1})  # no words that the encoder could read
    plain = store.recall("sea", partner="a")
    assert (plain.combination, plain.reason) == ("semantic", "emotion unknown") and [h.memory.id for h in plain.hits] == [1, 2]
    assert np.isnan(plain.hits[0].emotional_distance)
    zero = store.recall("sea", partner="a", emotion=[0.0] * 8, combination="S-S")
    assert zero == plain or (zero.combination, [h.memory for h in zero.hits]) == (plain.combination, [h.memory for h in plain.hits])
    for query in (None, "", "  ", "\U0001f622"):
        felt = store.recall(query, partner="a", emotion={"sadness": 2})
        assert (felt.combination, felt.reason) == ("emotional", "unreadable query") and felt.hits[0].memory.id == 3
        assert [h.emotional_distance for h in felt.hits] == [0, 1, 1] and np.isnan(felt.hits[0].semantic_distance)
        nothing = store.recall(query, partner="a")
        assert (nothing.hits, nothing.combination, nothing.reason) == ((), "none", "unreadable query")
    assert store.recall("sea", partner="a", emotion={"joy": 1}).combination == "C-A"
    assert store.recall("sea", partner="a", combination="emotional").combination == "semantic"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"combination": "C-B"}, "combination: expected one of semantic, emotional, C-A"),
        ({"k": 0}, r"k: expected an int of at least 1 \(and below 2\*\*63\), got 0"),
        ({"k": True}, "k: expected"),
        ({"k": 2**63}, "k: expected"),
        ({"candidates": 0}, "candidates: expected"),
        ({"kinds": ["gossip"]}, "kinds: expected some of"),
        ({"kinds": []}, "kinds"),
        ({"emotion": [float("nan")] * 8}, "emotion: expected finite"),
        ({"emotion": [1.0] * 9}, "emotion"),
        ({"query": np.full(DIMENSIONS, np.nan)}, "semantic: expected finite"),
        ({"query": np.zeros(3)}, r"semantic: expected \(48,\)"),
        ({"query": "a\0b"}, "query: expected a text without NUL"),
        ({"partner": " "}, "partner"),
        ({"before_ns": -3}, "before_ns"),
        ({"now_ns": 2**64}, "now_ns"),
    ],
)
def test_wrong_queries_are_refused(store: MemoryStore, wrong: dict[str, Any], words: str) -> None:
    store.add("bees", partner="a", emotion={"joy": 1})
    with pytest.raises(ValueError, match=words):
        store.recall(**{"query": "bees", "partner": "a", "strengthen": True, **wrong})
    assert store.get(1).strength == 1  # type: ignore[union-attr]


def test_recall_strengthens_exactly_the_hits(store: MemoryStore, clock: Clock) -> None:
    for word in ("bees", "bees here", "cows"):
        store.add(word, partner="a")
    before = store.memories()
    clock.now_ns += DAY_NS
    assert [h.memory.strength for h in store.recall("bees", partner="a", k=2).hits] == [1, 1]
    found = store.recall("bees", partner="a", k=2, strengthen=True).hits
    assert [(h.memory.id, h.memory.strength, h.memory.recalled_ns) for h in found] == [(1, 2, clock.now_ns), (2, 2, clock.now_ns)]
    after = store.memories()
    assert [m.strength for m in after] == [2, 2, 1] and after[2] == before[2]
    assert [(m.text, m.stamp_ns, m.emotion) for m in after] == [(m.text, m.stamp_ns, m.emotion) for m in before]


def test_a_clock_that_is_set_back_moves_no_memory_back(store: MemoryStore, clock: Clock) -> None:
    store.add("bees", partner="a")
    started = clock.now_ns
    clock.now_ns -= 5 * DAY_NS
    assert store.strengthen([1, 1, 9]) == 1
    memory = store.get(1)
    assert memory is not None and (memory.strength, memory.recalled_ns) == (2, started)
    assert store.add("cows", partner="a").id == 2 and store.recall("cows", partner="a").hits[0].memory.id == 2


def test_more_than_there_is_can_be_asked_for(store: MemoryStore) -> None:
    store.add("bees", partner="a", emotion={"joy": 1})
    found = store.recall("bees", partner="a", emotion={"joy": 1}, combination="S-C", k=2**62, candidates=2**62)
    assert len(found.hits) == 1 and len(store.memories(limit=2**63 - 1)) == 1
    for call in (
        lambda: store.get(2**63),
        lambda: store.memories(limit=2**64),
        lambda: store.memories(after_id=-1),
        lambda: store.erase([2**70]),
    ):
        with pytest.raises(ValueError, match="expected an int"):
            call()


def test_an_empty_store_recalls_nothing(store: MemoryStore) -> None:
    assert store.recall("bees", partner="a", emotion={"joy": 1}).hits == ()
    store.add("bees", partner="a")
    store.erase_all()
    assert store.recall("bees", partner="a", emotion={"joy": 1}).hits == () and store.partners() == ()


def test_vectors_can_be_read_ahead(open_store: Open) -> None:
    store = open_store()
    assert store.prepare() == 0
    store.add("bees", partner="a")
    store.close()
    store = open_store()
    assert store.prepare() == 1 and store._index is not None
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.prepare()


def test_two_stores_on_one_file_stay_in_step(open_store: Open, key: str | None) -> None:
    one, two = open_store(key=key), open_store(key=key)

    def both() -> tuple[list[int], list[int]]:
        found = [[h.memory.id for h in s.recall("bees", partner="a", k=99).hits] for s in (one, two)]
        return found[0], found[1]

    one.add("bees", partner="a")
    assert both() == ([1], [1])
    for i in range(6):  # in turn, so that each has rows that belong between the other's
        (one, two)[i % 2].add(f"bees {i}", partner="a")
    assert both()[0] == both()[1] and sorted(both()[0]) == [1, 2, 3, 4, 5, 6, 7]
    two.erase([2, 5])
    one.archive([3])
    assert sorted(both()[0]) == [1, 4, 6, 7] == sorted(both()[1])
    assert (
        one._index is not None and len(one._index) == 5 and not one._index._columns["semantics"][5:].any()
    )  # what the other erased is zeros here
    two.restore([3])
    one.share([1])
    assert sorted(both()[0]) == [1, 3, 4, 6, 7] == sorted(both()[1])
    two.add("bees late", partner="b")
    one.add("bees later", partner="a")
    assert sorted(both()[0]) == [1, 3, 4, 6, 7, 9] == sorted(both()[1])


def test_another_encoder_is_refused_until_reembedded(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    store.add_many(NewMemory(f"bees {i}", "a", emotion={"joy": 1}) for i in range(70))
    store.close()

    def first_letters(texts: list[str]) -> Any:
        return np.array([[len(t), ord(t[0]), 1] for t in texts], np.float32)

    other = open_store(embed=first_letters, encoder=Encoder("letters", "2", 3))
    for call in (lambda: other.recall("bees", partner="a"), lambda: other.add("cows", partner="a")):
        with pytest.raises(StoreError, match=r"bag-of-words 1 \(48 dimensions\).*letters 2 \(3 dimensions\).*reembed") as caught:
            call()
        assert caught.value.reason == "encoder"
    assert other.recall(None, partner="a", emotion={"joy": 1}).hits[0].memory.id == 1  # feelings need no encoder
    assert other.count() == 70 and other.encoder == WORDS
    seen: list[tuple[int, int]] = []
    assert other.reembed(lambda done, total: seen.append((done, total))) == 70
    assert seen == [(64, 70), (70, 70)] and other.encoder == Encoder("letters", "2", 3)
    assert len(other.recall("bees", partner="a").hits) == 10 and other.vector(1).tolist() == [6, 98, 1]  # type: ignore[union-attr]
    other.close()
    with pytest.raises(StoreError, match="letters"):
        open_store().recall("bees", partner="a")


def test_reembedding_that_fails_changes_nothing(open_store: Open) -> None:
    store = open_store()
    store.add_many(NewMemory(f"bees {i}", "a") for i in range(70))
    store.close()
    calls = 0

    def fails(texts: list[str]) -> Any:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise RuntimeError("out of memory")
        return np.ones((len(texts), 3), np.float32)

    other = open_store(embed=fails, encoder=Encoder("fails", "1", 3))
    with pytest.raises(RuntimeError, match="out of memory"):
        other.reembed()
    other.close()
    again = open_store()
    assert again.encoder == WORDS and len(again.recall("bees", partner="a").hits) == 10


def test_the_index_survives_growth_and_erasing(store: MemoryStore) -> None:
    """Rows against the file after a long life: append past several growths, erase in the middle, archive, append again."""
    random = np.random.default_rng(1)
    for batch in range(8):
        store.add_many(NewMemory(f"{batch} word {i}", f"p{i % 3}", emotion=random.uniform(size=8)) for i in range(90))
        store.recall("word", partner=None)
        store.erase([int(i) for i in random.choice(batch * 90 + 89, 20) + 1])
    index = store._index
    assert index is not None
    there = store.memories()
    assert index.column("ids").tolist() == [m.id for m in there]
    assert np.array_equal(index.column("emotions"), np.array([m.emotion for m in there], np.float32))
    assert np.array_equal(index.column("semantics"), bag_of_words([m.text for m in there]))
    assert index.column("stamps").tolist() == [m.stamp_ns for m in there]
    for name, column in index._columns.items():
        assert not column[len(index) :].any(), name
    assert len(EMOTIONS) == index.column("emotions").shape[1]


def test_what_another_program_erases_while_the_vectors_are_read_is_no_damage(open_store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store()
    one, two = store.add("bees", partner="a").id, store.add("bees too", partner="a").id

    def erased_meanwhile(*args: Any) -> Any:
        with contextlib.closing(sqlite3.connect(store.path)) as other, other:
            other.execute("DELETE FROM vectors WHERE memory = ?", (one,))
            other.execute("DELETE FROM memories WHERE id = ?", (one,))
        return vectors(*args)

    monkeypatch.setattr(index, "vectors", erased_meanwhile)
    assert [hit.memory.id for hit in store.recall("bees", partner="a").hits] == [two]
    monkeypatch.undo()
    assert [hit.memory.id for hit in store.recall("bees", partner="a").hits] == [two] and len(store._index or ()) == 1
