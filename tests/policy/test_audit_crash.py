"""The log's end after crashes, full disks and turns of files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from affectrt.errors import AuditError
from affectrt.policy import AuditLog, verify
from hypothesis import given
from hypothesis import strategies as st

WRITER = """
import sys
from affectrt.policy import AuditLog
log = AuditLog(sys.argv[1], max_bytes=3000, keep=None, sync=False)
turn = int(sys.argv[2])
while True:
    event = log.record("reply", turn, facts={"turn": turn}, content={"said": "x" * 50}, partner="ada")
    sys.stdout.write(f"{event.seq} {turn}\\n")
    sys.stdout.flush()
    turn += 1
"""


def test_kill_9_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path):
    path, acknowledged, turn = tmp_path / "audit.jsonl", {}, 0
    for attempt in range(6):
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(turn)], stdout=subprocess.PIPE, text=True)
        for _ in range(5):
            assert child.stdout.readline()
        time.sleep(0.003 * attempt)
        os.kill(child.pid, signal.SIGKILL)
        lines = child.stdout.read().splitlines()
        child.wait()
        acknowledged |= {int(seq): int(t) for seq, t in (line.split() for line in lines if line.count(" ") == 1 and line.split()[1])}
        turn += 1000
        found = verify(path)
        assert found.ok, found
    log = AuditLog(path)
    log.record("disclosed", 1)
    assert verify(path).ok and verify(path).torn_bytes == 0
    written = {event.seq: event.facts.get("turn") for event in log.events()}
    # The pipe's last line may itself be cut short by the kill, so its number is not compared.
    assert len(acknowledged) > 20
    assert acknowledged.items() - written.items() <= {max(acknowledged.items())}


def log_of(path, turns, **options):
    log = AuditLog(path, sync=False, **options)
    for turn in range(turns):
        log.record("disclosed", turn, facts={"turn": turn})
    return log


@given(st.data())
def test_a_torn_line_is_told_and_mended_by_the_rule(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("torn") / "audit.jsonl"
    log_of(path, 3)
    whole = path.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1
    cut = data.draw(st.integers(start + 1, len(whole) - 1))
    path.write_bytes(whole[:cut])
    found = verify(path)
    assert (found.ok, found.lines, found.torn_bytes) == (True, 3, cut - start)
    AuditLog(path).record("disclosed", 9, facts={"turn": 9})
    lines = list(AuditLog(path).events())
    assert [e.kind for e in lines] == ["opened", "disclosed", "disclosed", "mended", "disclosed"]
    assert lines[3].facts == {"bytes": cut - start}
    assert path.read_bytes().startswith(whole[:start])
    assert verify(path).ok and verify(path).torn_bytes == 0


@pytest.mark.parametrize("left", [0, 1, 50])
def test_a_log_whose_very_first_line_was_torn_begins_anew(tmp_path, left):
    path = tmp_path / "audit.jsonl"
    log_of(path, 1)
    path.write_bytes(path.read_bytes()[:left])
    log_of(path, 1)
    assert [e.kind for e in AuditLog(path).events()] == (["opened", "mended", "disclosed"] if left else ["opened", "disclosed"])
    assert verify(path).ok


def test_blocks_of_zeros_after_a_power_cut_are_a_torn_line(tmp_path):
    path = tmp_path / "audit.jsonl"
    log = log_of(path, 2)
    with path.open("ab") as file:
        file.write(bytes(4096))
    assert verify(path).torn_bytes == 4096
    log.record("disclosed", 5)
    assert verify(path).ok and verify(path).torn_bytes == 0


@pytest.mark.parametrize("written", [0, 1, 40])
def test_a_disk_that_is_full_in_the_middle_of_a_line_leaves_the_log_whole(tmp_path, monkeypatch, written):
    log = log_of(tmp_path / "audit.jsonl", 2)
    before = log.path.read_bytes()
    write = os.write
    monkeypatch.setattr("os.write", lambda handle, data: write(handle, data[:written]))
    with pytest.raises(OSError, match="is the disk full"):
        log.record("disclosed", 5)
    monkeypatch.undo()
    assert log.path.read_bytes() == before
    log.record("disclosed", 6)
    assert verify(log.path).ok and [e.at_ns for e in log.events()][-2:] == [1, 6]


def test_a_folder_that_is_missing_or_a_log_that_may_not_be_written_says_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        AuditLog(tmp_path / "none" / "audit.jsonl")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        AuditLog(tmp_path / "folder").record("disclosed", 1)


@pytest.mark.parametrize(
    ("name", "value", "kind"), [("max_bytes", 10, ValueError), ("max_bytes", 1e6, TypeError), ("keep", -1, ValueError)]
)
def test_bounds_that_make_no_sense_are_refused(tmp_path, name, value, kind):
    with pytest.raises(kind, match=name):
        AuditLog(tmp_path / "a", **{name: value})


@pytest.mark.parametrize("keep", [0, 1, 3, None])
def test_it_turns_over_and_drops_by_rule_and_the_chain_goes_on(tmp_path, keep):
    path = tmp_path / "audit.jsonl"
    log = log_of(path, 60, max_bytes=2048, keep=keep)
    closed = sorted(p for p in tmp_path.iterdir() if p.suffix[1:].isdecimal())
    assert len(closed) == keep if keep is not None else len(closed) > 5
    assert all(p.stat().st_size <= 2048 for p in [path, *closed])
    found = verify(path, log.checkpoint())
    assert found.ok, found
    assert (found.first_seq == 0) == (keep is None)
    seqs = [e.seq for e in log.events()]
    assert seqs == list(range(found.first_seq, found.last.seq + 1))


def test_a_closed_file_that_was_changed_or_taken_away_is_named(tmp_path):
    path = tmp_path / "audit.jsonl"
    log_of(path, 60, max_bytes=2048, keep=None)
    second = tmp_path / "audit.jsonl.2"
    data = second.read_bytes()
    second.write_bytes(data.replace(b"disclosed", b"forgotten", 1))
    assert verify(path).broken == "audit.jsonl.2 line 2"
    second.unlink()
    assert verify(path).broken == "audit.jsonl.3 line 1"
    (tmp_path / "audit.jsonl.1").unlink()
    found = verify(path)
    assert not found.ok and "no line says that those before it were dropped" in found.reason


def test_it_opens_only_on_the_closed_file_that_it_goes_on_from(tmp_path):
    path = tmp_path / "audit.jsonl"
    log_of(path, 60, max_bytes=2048, keep=None)
    closed = sorted(tmp_path.glob("audit.jsonl.[0-9]*"), key=lambda file: int(file.suffix[1:]))
    data = closed[0].read_bytes()
    closed[0].write_bytes(data.replace(b"disclosed", b"forgotten", 1))
    AuditLog(path)  # what was closed long ago is `verify`'s
    closed[-1].unlink()
    with pytest.raises(AuditError, match=r"audit\.jsonl line 1: expected number"):
        AuditLog(path)
    closed[-2].write_bytes(b"")
    with pytest.raises(AuditError, match=rf"{closed[-2].name}'s last line: "):
        AuditLog(path)


def test_a_checkpoint_of_lines_that_were_dropped_says_so(tmp_path):
    path = tmp_path / "audit.jsonl"
    old = log_of(path, 1).checkpoint()
    log_of(path, 60, max_bytes=2048, keep=1)
    assert "a newer checkpoint is needed" in verify(path, old).reason


@pytest.mark.parametrize("step", ["sync_folder", "append"])
def test_a_crash_in_the_middle_of_a_turn_is_nothing(tmp_path, monkeypatch, step):
    path = tmp_path / "audit.jsonl"
    log = log_of(path, 3, max_bytes=2048)

    def crash(*_, **__):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        for turn in range(60):
            if path.stat().st_size > 1700:  # the next one turns over
                monkeypatch.setattr(f"affectrt.policy.audit.files.{step}", crash)
            log.record("disclosed", turn)
    monkeypatch.undo()
    assert step == "append" or not path.exists()
    assert verify(path).ok
    again = log_of(path, 20, max_bytes=2048)
    assert verify(path).ok
    assert [e.seq for e in again.events()] == list(range(verify(path).lines))
