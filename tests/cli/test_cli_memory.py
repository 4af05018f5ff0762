"""`affectrt memory`: what the owner of a robot does with its memory, and what is refused."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affectrt.memory import Encoder, MemoryStore, NewMemory
from cli_tools import Done

Cli = Callable[..., Done]
THREE = Encoder("three", "1", 3)


@pytest.fixture
def robot(here: Path) -> Path:
    """Memories of two people; their vectors need no encoder, which is another's test."""
    with MemoryStore(here / "robot.db", encoder=THREE) as store:
        said = [("My dog died.", {"sadness": 1}), ("I passed!", {"joy": 1, "trust": 0.5}), ("Rain | and wind", None)]
        store.add_many(
            NewMemory(
                text, "anna", emotion=emotion, semantic=np.eye(3, dtype=np.float32)[i], stamp_ns=1_767_225_600_000_000_000 + i * 10**9
            )
            for i, (text, emotion) in enumerate(said)
        )
        store.add("Ben likes tea.", partner="ben", kind="fact", semantic=np.ones(3, np.float32), shared=True)
        store.add_summary("2026-01-01", "A bad day.", partner="anna", sources=[1], semantic=np.ones(3, np.float32))
        store.archive([3])
    return here / "robot.db"


def rows(done: Done) -> Any:
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_list_in_every_format(cli: Cli, robot: Path) -> None:
    found = rows(cli("memory", "list", robot, "-o", "json"))
    assert [row["id"] for row in found] == [5, 4, 3, 2, 1]
    assert (
        found[-1]["time"] == "2026-01-01 00:00:00"
        and found[-1]["emotion"] == "sadness"
        and found[3]["emotions"] == {"joy": 1, "trust": 0.5}
    )
    assert (
        found[0]["day"] == "2026-01-01" and found[0]["state"] == "of 2026-01-01" and found[2]["state"] == "archived" and found[1]["shared"]
    )
    table = list(csv.DictReader(io.StringIO(cli("memory", "list", robot, "-o", "csv").out)))
    assert table[2]["text"] == "Rain | and wind" and table[2]["emotion"] == ""
    assert "Rain \\| and wind" in cli("memory", "list", robot, "-o", "md").out
    assert "robot.db: 5 memories" in cli("memory", "list", robot).out
    assert [row["id"] for row in rows(cli("memory", "list", robot, "--partner", "anna", "--kind", "utterance", "-o", "json"))] == [3, 2, 1]
    few = cli("memory", "list", robot, "--limit", "2", "-o", "json")
    assert len(rows(few)) == 2 and "2 of 5 shown" in few.err
    assert len(rows(cli("memory", "list", robot, "--limit", "2", "--all", "-o", "json"))) == 5


def test_a_narrow_table_keeps_what_matters_whole(cli: Cli, robot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for command in (("list", robot), ("search", robot, "", "--emotion", "joy")):
        lines = cli("memory", *command).out.splitlines()
        assert max(map(len, lines)) <= 80
        assert "(too narrow for strength" in lines[0] and any("2026-01-01 00:00:01" in line and "anna" in line for line in lines)
    monkeypatch.setenv("COLUMNS", "200")
    wide = cli("memory", "list", robot).out
    assert "too narrow" not in wide and all(name in wide for name in ("strength", "kind", "emotion", "state"))


def test_a_partner_who_is_unknown_is_told(cli: Cli, robot: Path) -> None:
    nobody = cli("memory", "list", robot, "--partner", "carla", "-o", "json")
    assert rows(nobody) == [] and nobody.err == f"{robot}: there is nothing of 'carla'; there is of: anna, ben\n"
    assert "there is nothing of" not in cli("memory", "list", robot, "--partner", "anna", "--kind", "fact").err


def test_search_by_feeling(cli: Cli, robot: Path) -> None:
    found = rows(cli("memory", "search", robot, "", "--emotion", "joy", "--emotion", "trust=0.5", "-k", "1", "-o", "json"))
    assert found["combination"] == "emotional" and found["hits"][0]["text"] == "I passed!"
    assert found["hits"][0]["emotional_distance"] == pytest.approx(0, abs=1e-6) and found["hits"][0]["semantic_distance"] is None
    assert rows(cli("memory", "search", robot, "", "--emotion", "happy", "-k", "1", "-o", "json"))["hits"][0]["text"] == "I passed!"
    zero = cli("memory", "search", robot, "", "--emotion", "joy=0")
    assert zero.code == 0 and "searched by none: unreadable query" in zero.err
    for nothing in ("", "  "):
        done = cli("memory", "search", robot, nothing)
        assert done.code == 2 and "words to search for, or --emotion" in done.err
    unknown = cli("memory", "search", robot, "", "--emotion", "luck")
    assert unknown.code == 1 and "joy, trust, fear" in unknown.err and "luck" in unknown.err
    assert cli("memory", "search", robot, "", "--emotion", "joy=much").code == 2
    assert cli("memory", "search", robot, "", "--combination", "C-B").code == 2
    with MemoryStore(robot, encoder=THREE) as store:
        assert {memory.strength for memory in store.memories()} == {1}


@pytest.mark.usefixtures("bge")
def test_search_by_words(cli: Cli, here: Path) -> None:
    with MemoryStore(here / "real.db") as store:
        for text in ("My dog Bruno died.", "The train was late again.", "I passed the exam!"):
            store.add(text, partner="anna")
    done = cli("memory", "search", here / "real.db", "Do you miss your pet?", "--partner", "anna", "-k", "2", "-o", "json")
    assert rows(done)["hits"][0]["text"] == "My dog Bruno died." and done.err == ""
    for asked in (("--emotion", "joy=0"), ("--combination", "C-A")):
        assert "searched by semantic: emotion unknown" in cli("memory", "search", here / "real.db", "pet", *asked).err
    nobody = cli("memory", "search", here / "real.db", "pet", "--partner", "ben", "-o", "json")
    assert rows(nobody)["hits"] == [] and nobody.err == f"{here / 'real.db'}: there is nothing of 'ben'; there is of: anna\n"


@pytest.fixture(scope="module")
def bge() -> None:
    """The encoder's weights are in the cache."""
    from affectrt.packs import pull

    pull("bge-small-en")


def test_search_with_another_encoder_says_what_to_do(cli: Cli, robot: Path, bge: None) -> None:
    done = cli("memory", "search", robot, "dog")
    assert done.code == 1 and "three 1 (3 dimensions)" in done.err and "reembed()" in done.err


def test_erase_asks_first(cli: Cli, robot: Path) -> None:
    for answer in ("n\n", "\n", ""):
        done = cli("memory", "erase", robot, "--partner", "anna", stdin=answer)
        assert done.code == 1 and "erased" not in done.out and "Erase all memories and states of anna (4) for good" in done.err
    assert len(rows(cli("memory", "list", robot, "-o", "json"))) == 5
    done = cli("memory", "erase", robot, "--partner", "anna", "-o", "json", stdin="y\n")
    assert done.code == 0 and json.loads(done.out[done.out.index("{") :]) == {"file": str(robot), "erased": 4, "left": 1}
    assert b"dog" not in b"".join(path.read_bytes() for path in robot.parent.glob("robot.db*"))


def test_erase_by_id_and_all(cli: Cli, robot: Path) -> None:
    done = cli("memory", "erase", robot, "--id", "1", "--yes", "-o", "json")  # and the summary made of it
    assert rows(done) == {"file": str(robot), "erased": 2, "left": 3}
    assert cli("memory", "erase", robot, "--id", "1", "--yes").err == f"error: {robot}: there is no memory 1\n"
    nobody = cli("memory", "erase", robot, "--partner", "carla", "--yes")
    assert nobody.code == 1 and "there is nothing of 'carla'; there is of: anna, ben" in nobody.err
    assert rows(cli("memory", "erase", robot, "--all", "--yes", "-o", "json"))["left"] == 0
    for wrong in ([], ["--all", "--partner", "anna"], ["--id", "1", "--all"]):
        assert cli("memory", "erase", robot, *wrong).code == 2


def test_export_and_import(cli: Cli, robot: Path, here: Path) -> None:
    done = cli("memory", "export", robot, "out.jsonl")
    assert (done.code, done.out, done.err) == (0, "", "5 memories written to out.jsonl\n")
    assert cli("memory", "export", robot).out == (here / "out.jsonl").read_text(encoding="utf-8")
    for to in (["out.jsonl"], []):
        nobody = cli("memory", "export", robot, *to, "--partner", "carla")
        assert (nobody.code, nobody.out) == (1, "") and "there is nothing of 'carla'; there is of: anna, ben" in nobody.err
    assert len((here / "out.jsonl").read_text(encoding="utf-8").splitlines()) > 5
    assert cli("memory", "export", robot, "--partner", "ben").out.count('{"memory"') == 1
    assert cli("memory", "import", "new.db", "out.jsonl").err == "5 memories taken in, 5 in new.db\n"
    assert rows(cli("memory", "list", "new.db", "-o", "json"))[0]["text"] == "A bad day."
    assert cli("memory", "import", "new.db", "none.jsonl").err == "error: No such file: none.jsonl\n"
    (here / "cut.jsonl").write_text(
        "".join((here / "out.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)[:3]), encoding="utf-8"
    )
    cut = cli("memory", "import", "new.db", "cut.jsonl")
    assert cut.code == 1 and "line 4: expected an end; the export was cut short" in cut.err
    assert len(rows(cli("memory", "list", "new.db", "-o", "json"))) == 5
    before = sorted(path.name for path in here.iterdir())
    assert cli("memory", "import", "other.db", "cut.jsonl").code == 1
    assert sorted(path.name for path in here.iterdir()) == before


def test_keys(cli: Cli, robot: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("memory", "export", robot, "out.jsonl")
    (here / "key").write_text("it's secret\n")
    assert cli("memory", "import", "safe.db", "out.jsonl", "--key-file", "key").code == 0
    assert b"dog" not in (here / "safe.db").read_bytes()
    for command in (["list", "safe.db"], ["export", "safe.db"], ["erase", "safe.db", "--all", "--yes"]):
        assert "needs its key: in the variable AFFECTRT_MEMORY_KEY, or in a file by --key-file" in cli("memory", *command).err
    monkeypatch.setenv("AFFECTRT_MEMORY_KEY", "it's secret")
    assert len(rows(cli("memory", "list", "safe.db", "-o", "json"))) == 5
    assert "which is not encrypted" in cli("memory", "export", "safe.db", "open.jsonl").err
    plain = cli("memory", "list", robot).err
    assert "the file is not encrypted; leave the key out" in plain and "`unset AFFECTRT_MEMORY_KEY` leaves it out" in plain
    assert "the key is that of --key-file" in cli("memory", "list", robot, "--key-file", "key").err
    (here / "wrong").write_text("wrong")
    done = cli("memory", "list", "safe.db", "--key-file", "wrong")
    assert done.code == 1 and "the key is wrong" in done.err and "secret" not in done.err
    (here / "empty").write_text("\n")
    assert "expected a key, got an empty file" in cli("memory", "list", "safe.db", "--key-file", "empty").err
    assert cli("memory", "list", "safe.db", "--key-file", "none").err == (
        "error: --key-file none: expected the file that holds the key of the memory: No such file or directory\n"
    )
    (here / "bytes").write_bytes(b"\xff\xfe")
    assert "expected a key as text in UTF-8" in cli("memory", "list", "safe.db", "--key-file", "bytes").err


def test_no_file_is_made_by_looking(cli: Cli, here: Path) -> None:
    for command in (["list"], ["search", "x"], ["erase", "--all", "--yes"], ["export"]):
        done = cli("memory", command[0], "none.db", *command[1:])
        assert done.code == 1 and "no such file" in done.err
    (here / "notes.txt").write_text("not a database, but long enough to be looked at " * 20)
    assert "not a memory file" in cli("memory", "list", "notes.txt").err
    assert [path.name for path in here.iterdir()] == ["notes.txt"]


def test_a_reader_that_goes_away(process: Callable[..., subprocess.Popen[bytes]], robot: Path) -> None:
    with MemoryStore(robot, encoder=THREE) as store:
        store.add_many(NewMemory("pad " * 300, "ben", semantic=np.ones(3, np.float32)) for _ in range(400))
    export = process("memory", "export", robot)
    assert export.stdout is not None and export.stderr is not None
    export.stdout.readline()
    export.stdout.close()
    assert export.wait(60) == 141 and export.stderr.read() == b""


def test_a_live_store_is_listed(cli: Cli, robot: Path) -> None:
    with MemoryStore(robot, encoder=THREE) as store:
        store.add("Still talking.", partner="anna", semantic=np.ones(3, np.float32))
        assert rows(cli("memory", "list", robot, "-o", "json"))[0]["text"] == "Still talking."
        assert rows(cli("memory", "erase", robot, "--id", "6", "--yes", "-o", "json"))["erased"] == 1
        assert store.get(6) is None
