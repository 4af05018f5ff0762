"""Export and import: the same memories again, and an export that was cut short, changed or made up is refused by line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affectrt import MemoryStore
from affectrt.memory import Encoder, NewMemory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_tools import WORDS, Clock, bag_of_words

Open = Callable[..., MemoryStore]


def fill(store: MemoryStore) -> None:
    store.add_many(NewMemory(f"bees {i} \u2028 of anna \N{SNOWMAN}", "anna", emotion={"joy": 1, "fear": i}) for i in range(230))
    store.erase(range(5, 20))
    store.add("bees of ben", partner="ben", kind="fact", shared=True)
    store.add_summary("2026-01-01", "bees", partner="anna", sources=[1, 2, 3])
    store.add_portrait("keeps bees", partner="anna", sources=[232])
    store.link(1, 2)
    store.link(231, 3, linked=False)
    store.archive([2])
    store.strengthen([3])
    store.save_state("mood", {"valence": 0.25}, partner="anna")
    store.save_state("mood", [1])


def content(store: MemoryStore) -> Any:
    """What is in a store, with ids counted anew."""
    memories = store.memories()
    number = {m.id: i for i, m in enumerate(memories)}
    return [
        (
            [getattr(m, name) for name in type(m).__slots__ if name != "id"],
            store.vector(m.id).tobytes(),  # type: ignore[union-attr]
            [number[other.id] for other in store.linked(m.id)],
            [number[source] for source in store.sources(m.id)],
        )
        for m in memories
    ], [store.load_state("mood", partner=p) for p in (None, "anna")]


def test_an_export_comes_back_whole(open_store: Open, tmp_path: Path, key: str | None) -> None:
    store = open_store(key=key)
    fill(store)
    assert store.export_file(tmp_path / "out.jsonl") == 218
    assert (tmp_path / "out.jsonl").stat().st_mode & 0o777 == 0o600
    other = open_store(path=tmp_path / "other.db", key=None if key else "secret")
    assert other.import_file(tmp_path / "out.jsonl") == 218
    assert content(other) == content(store) and other.check() == [] and other.encoder == store.encoder
    assert [h.memory.text for h in other.recall("bees of ben", partner="ben").hits] == ["bees of ben"]
    assert other.link_pass(1, lambda a, b: False) == other.count(partner="anna") - 2  # the answers came along


def test_importing_adds_to_what_is_there(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    fill(store)
    before = store.memories()
    lines = list(store.export_lines())
    assert store.import_lines(lines) == 218
    after = store.memories()
    assert [m for m in after if m.id <= 233 and m.kind in ("utterance", "fact")] == [m for m in before if m.kind in ("utterance", "fact")]
    assert store.count() == 2 * 218 - 2 and store.count(kinds=["summary", "portrait"]) == 2  # one a day, one in all
    assert store.check() == [] and len(store.recall("bees", partner="anna", k=999).hits) == 2 * 217 - 2 - 2


def test_one_partners_export_holds_nothing_of_others(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    fill(store)
    text = "".join(store.export_lines("ben"))
    assert "anna" not in text and text.count('{"memory"') == 1 and '"mood"' not in text
    other = open_store(path=tmp_path / "other.db")
    assert other.import_lines(store.export_lines("anna")) == 217 and other.partners() == ("anna",)
    assert other.load_state("mood", partner="anna").value == {"valence": 0.25} and other.load_state("mood") is None  # type: ignore[union-attr]


def test_an_empty_store_exports_and_imports(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    lines = list(store.export_lines())
    assert len(lines) == 2 and open_store(path=tmp_path / "other.db").import_lines(lines) == 0


def test_another_encoders_vectors_are_made_anew(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    fill(store)
    lines = list(store.export_lines())

    def lengths(texts: list[str]) -> Any:
        return np.array([[len(t), 1] for t in texts], np.float32)

    other = open_store(path=tmp_path / "other.db", embed=lengths, encoder=Encoder("lengths", "1", 2))
    other.add("x", partner="a")
    assert other.import_lines(lines) == 218 and other.vector(2).tolist() == [len("bees 0 \u2028 of anna \N{SNOWMAN}"), 1]  # type: ignore[union-attr]
    assert other.encoder == Encoder("lengths", "1", 2)


def test_erased_meanwhile_is_not_in_the_rest(store: MemoryStore) -> None:
    fill(store)
    lines = store.export_lines()
    got = [next(lines) for _ in range(3)]
    store.erase_partner("ben")
    store.add("late", partner="anna")
    text = "".join(got + list(lines))
    assert "bees of ben" not in text and '"late"' not in text
    assert store.import_lines(text.split("\n")[:-1]) == 217


def test_an_export_that_fails_leaves_no_file(store: MemoryStore, tmp_path: Path) -> None:
    store.add("bees", partner="a")
    (tmp_path / "out.jsonl").mkdir()
    for path in (tmp_path / "no folder" / "out.jsonl", tmp_path / "out.jsonl"):
        with pytest.raises(FileNotFoundError, match="expected a file in a folder that is there") as caught:
            store.export_file(path)
        assert caught.value.filename == str(path)
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []


HEAD = '{"format":"affectrt-memory","version":1,"encoder":{"name":"n","version":"1","dimensions":1,"sha256":""}}'
MEMORY = {
    "id": 1,
    "kind": "utterance",
    "partner": "a",
    "text": "bees",
    "stamp_ns": 5,
    "strength": 1,
    "recalled_ns": 5,
    "emotion": [0.0] * 8,
    "shared": False,
    "archived_ns": None,
    "day": "",
    "lost_sources": 0,
    "semantic": "AACAPw==",
}
END = '{"end":{"memories":1,"states":0,"links":0,"sources":0}}'


def memory(**changes: Any) -> str:
    return json.dumps({"memory": {**MEMORY, **changes}})


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "line 1: expected an export of memories"),
        (["{}"], "line 1: expected an export of memories"),
        (["[1]"], "line 1: expected an object, got list"),
        (["bees"], "line 1: expected JSON"),
        (['{"format":"affectrt-memory","version":2}'], "line 1: of format version 2; this affectrt knows 1"),
        (['{"format":"affectrt-memory","version":1,"encoder":3}'], "line 1: encoder: expected"),
        ([HEAD], "line 2: expected an end; the export was cut short"),
        ([HEAD, memory()], "line 3: expected an end; the export was cut short"),
        ([HEAD, memory(), END.replace("1", "2")], r'line 3: expected \{"memories": 1,'),
        ([HEAD, memory(), END, END], "line 4: expected nothing after the end"),
        ([HEAD, memory()[:-3]], "line 2: expected JSON"),
        ([HEAD, memory(id=0)], "line 2: id: expected an int"),
        ([HEAD, memory(), memory(), END.replace("1", "2")], "line 3: a second memory 1"),
        ([HEAD, memory(kind="gossip")], "line 2: kind: expected one of"),
        ([HEAD, memory(text="")], "line 2: text: expected words"),
        ([HEAD, memory(stamp_ns=-1)], "line 2: stamp_ns: expected"),
        ([HEAD, memory(stamp_ns=2**63)], "line 2: stamp_ns: expected"),
        ([HEAD, memory(stamp_ns="now")], "line 2: stamp_ns: expected"),
        ([HEAD, memory(emotion=[1])], "line 2: emotion: expected 8 numbers"),
        ([HEAD, memory(emotion=[-1.0] * 8)], "line 2: emotion: expected finite"),
        ([HEAD, memory().replace("0.0", "NaN", 1)], "line 2: expected JSON: NaN is not JSON"),
        ([HEAD, memory().replace("0.0", "1e999", 1)], "line 2: emotion: expected finite"),
        ([HEAD, memory(semantic="AACAfw==")], "line 2: semantic: expected finite"),
        ([HEAD, memory(semantic="AACA")], "line 2: semantic: expected 1 float32, got 3 bytes"),
        ([HEAD, memory(semantic="?")], "line 2: "),
        ([HEAD, memory(semantic=7)], "line 2: semantic: expected base64"),
        ([HEAD, memory(shared=1)], "line 2: shared: expected true or false"),
        ([HEAD, memory(day="2026-01-01")], "line 2: day: expected none of this kind"),
        ([HEAD, memory(kind="summary")], "line 2: day: expected a date"),
        ([HEAD, memory(more=1)], "line 2: expected .*archived_ns"),
        ([HEAD, '{"gossip":1}'], "line 2: expected one of memory, state, link, source, end"),
        ([HEAD, "{}"], "line 2: expected one of"),
        ([HEAD, '{"end":{},"memory":{}}'], "line 2: expected one of"),
        ([HEAD, '{"link":{"a":1,"b":1,"linked":true}}'], "line 2: link: expected two different"),
        ([HEAD, memory(), '{"link":{"a":1,"b":2,"linked":true}}'], "line 3: expected memories of this export, got 1 and 2"),
        ([HEAD, memory(), '{"source":{"memory":1,"source":2}}'], "line 3: source: expected one that is older"),
        ([HEAD, memory(), '{"source":{"memory":"1","source":2}}'], "line 3: "),
        ([HEAD, '{"state":{"partner":1,"name":"x","value":1,"stamp_ns":1,"version":1}}'], "line 2: partner: expected a str"),
        ([HEAD, "[" * 100_000], "line 2: expected JSON"),
        (["{" * 3] * 3, "line 1: expected JSON"),
    ],
)
def test_a_wrong_export_is_refused_by_line_and_nothing_kept(store: MemoryStore, lines: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        store.import_lines(lines)
    assert store.count() == 0 and store.check() == []


def test_a_right_one_is_not(open_store: Open) -> None:
    store = open_store(embed=None, encoder=Encoder("n", "1", 1))
    assert store.import_lines([HEAD, memory(), END]) == 1 and store.memories()[0].text == "bees"


def test_a_file_that_is_not_text(store: MemoryStore, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").write_bytes(HEAD.encode() + b"\n\xff\xfe\n")
    with pytest.raises(ValueError, match="UTF-8"):
        store.import_file(tmp_path / "out.jsonl")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> str:
    with MemoryStore(tmp_path_factory.mktemp("exported") / "robot.db", embed=bag_of_words, encoder=WORDS, clock=Clock()) as store:
        store.add_many(NewMemory(f"bees {i}", "a", emotion={"joy": 1}) for i in range(3))
        store.add_summary("2026-01-01", "bees", partner="a", sources=[1, 2])
        store.link(1, 2)
        store.save_state("mood", {"valence": 0.5}, partner="a")
        return "".join(store.export_lines())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(data=st.data())
def test_exports_with_flipped_characters(store: MemoryStore, exported: str, data: st.DataObject) -> None:
    """Changed anywhere, an export is refused by line, or is still one of as many memories; never anything else."""
    store.erase_all()
    before = data.draw(st.integers(0, 1))  # an empty store takes over the export's encoder, another compares it with its own
    store.add_many([NewMemory("cows", "z")] * before)
    text = list(exported)
    for _ in range(data.draw(st.integers(1, 3))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.characters(codec="utf-8"))
    try:
        assert store.import_lines("".join(text).split("\n")[:-1]) == 4
    except ValueError as error:
        assert str(error).startswith("line "), error
        assert store.count() == before
    assert store.check() == []
