"""`affectrt audit`: whether a log is whole, named to the line, and what it holds."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from affectrt.policy import AuditLog, Policy, read_events
from cli_tools import Done

Cli = Callable[..., Done]
NOON_NS = 1_767_268_800_000_000_000  # 2026-01-01 12:00:00


@pytest.fixture
def log(here: Path) -> Path:
    """Six events about two people: opened, two consents, a crisis, two replies."""
    log = AuditLog(here / "audit.jsonl", sync=False)
    policy = Policy(audit=log, clock=lambda: NOON_NS)
    policy.grant("camera", partner="ada")
    policy.grant("memory")
    log.record("crisis", NOON_NS, facts={"category": "self-harm", "action": "answer"}, content={"said": "secret words"}, partner="ada")
    for turn in range(2):
        log.record("reply", NOON_NS + turn, facts={"turn": turn}, content={"said": "secret words", "answer": "hm"}, partner="ben")
    return here / "audit.jsonl"


def change(log: Path, number: int, old: bytes, new: bytes) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    assert old in lines[number - 1]
    lines[number - 1] = lines[number - 1].replace(old, new)
    log.write_bytes(b"".join(lines))


def test_a_whole_log(cli: Cli, log: Path) -> None:
    done = cli("audit", "verify", log, "-o", "json")
    assert done.code == 0
    found = json.loads(done.out)
    assert (found["ok"], found["lines"], found["first_seq"], found["broken"]) == (True, 6, 0, "")
    assert found["checkpoint"] == str(AuditLog(log).checkpoint())
    assert cli("audit", "verify", log, "--checkpoint", found["checkpoint"]).code == 0
    people = cli("audit", "verify", log).out
    assert "yes" in people and found["checkpoint"] in people.splitlines()


@pytest.mark.parametrize("number", range(1, 7))
def test_the_first_broken_line_is_named(cli: Cli, log: Path, number: int) -> None:
    change(log, number, b'"kind":', b'"king":')
    if number < 6:
        change(log, 6, b'"kind":', b'"king":')
    done = cli("audit", "verify", log)
    assert done.code == 1
    held = "1 line" if number == 2 else f"{number - 1} lines"
    assert done.err == f"error: {log} line {number}: its hash is not that of its bytes ({held} before it hold{'s' * (number == 2)})\n"
    assert "no" in done.out.split()


def test_a_line_that_was_taken_out_or_doubled(cli: Cli, log: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:2] + lines[3:]))
    assert f"error: {log} line 3: expected number 2, got 3" in cli("audit", "verify", log).err
    log.write_bytes(b"".join(lines[:3] + lines[2:]))
    assert f"error: {log} line 4: expected number 3, got 2" in cli("audit", "verify", log).err


def test_what_was_cut_off_is_found_with_a_checkpoint_alone(cli: Cli, log: Path) -> None:
    checkpoint = str(AuditLog(log).checkpoint())
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    assert cli("audit", "verify", log).code == 0
    done = cli("audit", "verify", log, "--checkpoint", checkpoint)
    assert done.code == 1 and f"error: {log}, the end: event 5, that of the checkpoint, is missing: the log was cut off" in done.err


def test_a_torn_write_is_told_and_no_fault(cli: Cli, log: Path) -> None:
    with log.open("ab") as file:
        file.write(b'{"at_ns"')
    done = cli("audit", "verify", log)
    assert done.code == 0 and "8 bytes after the last line" in done.err


def test_closed_files_count_too(cli: Cli, here: Path) -> None:
    path = here / "turned.jsonl"
    log = AuditLog(path, max_bytes=1024, sync=False)
    for _ in range(12):
        log.record("reply", NOON_NS, facts={"turn": 0})
    lines = sum(1 for _ in read_events(path))
    assert json.loads(cli("audit", "verify", path, "-o", "json").out)["lines"] == lines > 12
    change(here / "turned.jsonl.2", 1, b'"kind":', b'"king":')
    assert f"error: {path}.2 line 1: its hash" in cli("audit", "verify", path).err


def test_show(cli: Cli, log: Path) -> None:
    done = cli("audit", "show", log, "-o", "json")
    assert done.code == 0 and done.err == ""
    rows = json.loads(done.out)
    assert [row["kind"] for row in rows] == ["opened", "consent", "consent", "crisis", "reply", "reply"]
    assert rows[3] == {
        "seq": 3,
        "time": "2026-01-01 12:00:00",
        "at_ns": NOON_NS,
        "kind": "crisis",
        "facts": {"category": "self-harm", "action": "answer"},
        "digests": ["said", "who"],
        "hash": rows[3]["hash"],
    }
    table = list(csv.DictReader(io.StringIO(cli("audit", "show", log, "-o", "csv").out)))
    assert json.loads(table[5]["facts"]) == {"turn": 1}
    people = cli("audit", "show", log).out
    assert "category self-harm" in people and "secret" not in people


def test_show_some(cli: Cli, log: Path) -> None:
    def seqs(*arguments: object) -> list[int]:
        done = cli("audit", "show", log, "-o", "jsonl", *arguments)
        assert done.code == 0
        return [json.loads(line)["seq"] for line in done.out.splitlines()]

    assert seqs("--last", 2) == [4, 5]
    assert seqs("--kind", "reply", "--kind", "crisis") == [3, 4, 5]
    assert seqs("--kind", "consent", "--last", 1) == [2]
    assert seqs("--partner", "ada") == [1, 3]
    done = cli("audit", "show", log, "--partner", "carl")
    assert done.code == 0 and "no event names 'carl'" in done.err
    AuditLog(log).erase("ada", NOON_NS)
    assert seqs("--partner", "ada") == []


def test_show_of_a_broken_log_shows_what_is_before(cli: Cli, log: Path) -> None:
    change(log, 3, b'"kind":', b'"king":')
    done = cli("audit", "show", log, "-o", "jsonl")
    assert done.code == 1 and len(done.out.splitlines()) == 2
    assert done.err == f"error: {log} line 3: its hash is not that of its bytes\n"


def test_what_is_not_there_or_no_log(cli: Cli, here: Path, log: Path) -> None:
    for command in (("verify",), ("show",), ("show", "--partner", "ada")):
        done = cli("audit", command[0], here / "none.jsonl", *command[1:])
        assert (
            done.code == 1
            and done.err == f"error: {here / 'none.jsonl'}: expected an audit log: No such file or directory\n"
            and done.out == ""
        )
    (here / "poem.txt").write_text("Roses are red,\nviolets are blue.\n")
    done = cli("audit", "verify", here / "poem.txt")
    assert done.code == 1 and f"{here / 'poem.txt'} line 1: it does not end in a hash: this is no audit log" in done.err
    done = cli("audit", "show", here / "poem.txt")
    assert done.code == 1 and done.out == "" and "line 1: it does not end in a hash: this is no audit log" in done.err
    (here / "empty.jsonl").touch()
    done = cli("audit", "verify", here / "empty.jsonl")
    assert done.code == 0 and done.err == f"{here / 'empty.jsonl'}: it is empty\n"
    (here / "begun.jsonl").write_text("Roses are red")
    assert "a log just begun, or no audit log" in cli("audit", "verify", here / "begun.jsonl").err
    done = cli("audit", "verify", log, "--checkpoint", "7")
    assert done.code == 1 and "expected a checkpoint NUMBER:64-HEX-DIGITS, got '7'" in done.err
    done = cli("audit", "show", log, "--kind", "poem")
    assert done.code == 2 and "expected one of opened" in done.err.replace("\n", " ")
    assert sorted(path.name for path in here.iterdir() if "none" in path.name) == []


def test_reading_writes_nothing(cli: Cli, here: Path, log: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    copy = tmp_path_factory.mktemp("copy") / "copy.jsonl"
    AuditLog(log).export(copy, NOON_NS)
    assert cli("audit", "verify", copy).code == 0 and cli("audit", "show", copy).code == 0
    assert [path.name for path in copy.parent.iterdir()] == ["copy.jsonl"]
