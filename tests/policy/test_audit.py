"""The audit log: what it holds, that any change is found, and that an erased person cannot be found again."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading

import pytest
from affectrt.errors import AuditError
from affectrt.policy import KINDS, AuditLog, Checkpoint, verify
from hypothesis import given
from hypothesis import strategies as st

SAID = "I am so tired of everything, and Tom does not listen."


def filled(path, turns=4, **options):
    log = AuditLog(path, sync=False, **options)
    for turn in range(turns):
        partner = ("ada", "bob", None)[turn % 3]
        log.record("reply", 1_000 + turn, facts={"turn": turn}, content={"said": f"{SAID} {turn}", "answer": "Oh."}, partner=partner)
    return log


def test_nothing_that_was_said_or_who_said_it_is_in_any_file(tmp_path):
    filled(tmp_path / "audit.jsonl")
    log = (tmp_path / "audit.jsonl").read_text()
    assert not re.search(r"tired|Tom|\bada\b|\bbob\b|Oh\.", log)
    assert "tired" not in "".join(p.read_text() for p in tmp_path.iterdir())


def test_a_line_is_json_and_holds_what_was_passed_in(tmp_path):
    filled(tmp_path / "audit.jsonl")
    first, second, *_ = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert (first["seq"], first["kind"], first["prev"]) == (0, "opened", "0" * 64)
    assert (second["seq"], second["at_ns"], second["facts"], second["prev"]) == (1, 1000, {"turn": 0}, first["hash"])
    assert set(second["digests"]) == {"said", "answer", "who"}


def test_the_same_events_give_the_same_bytes_but_for_the_salt(tmp_path):
    for name in ("a", "b"):
        log = AuditLog(tmp_path / name)
        log.record("disclosed", 5, facts={"turn": 0})
        log.record("retention", 6, facts={"kind": "utterance", "records": 2})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("kind", "facts", "content", "words"),
    [
        ("gossip", {}, {}, "kind: expected one of"),
        ("reply", {"text": SAID}, {}, "expected facts of turn, got 'text'"),
        ("claim", {"category": SAID}, {}, "category: expected a word of a-z"),
        ("claim", {"category": "love\n"}, {}, "category: expected a word"),
        ("reply", {"turn": "one"}, {}, "turn: expected an int"),
        ("reply", {"turn": True}, {}, "turn: expected an int"),
        ("reply", {"turn": 2**70}, {}, "turn: expected a 64-bit"),
        ("reply", {}, {"secret": "x"}, "expected digests of"),
        ("reply", {}, {"said": 5}, "said: expected str or bytes"),
        ("exemption", {"statement": "x" * 2001}, {}, "at most 2000"),
    ],
)
def test_what_has_no_place_in_an_event_is_refused_before_anything_is_written(tmp_path, kind, facts, content, words):
    log = AuditLog(tmp_path / "audit.jsonl")
    with pytest.raises((ValueError, TypeError), match=words):
        log.record(kind, 1, facts=facts, content=content)
    assert not log.path.exists()
    assert not (tmp_path / "audit.jsonl.salts").exists()


@pytest.mark.parametrize("at_ns", [1.0, None, True, 2**63])
def test_a_time_that_is_none_is_refused(tmp_path, at_ns):
    with pytest.raises((ValueError, TypeError), match="at_ns"):
        AuditLog(tmp_path / "a").record("disclosed", at_ns)


def test_every_kind_can_be_written_with_all_it_may_hold(tmp_path):
    log = AuditLog(tmp_path / "audit.jsonl", sync=False)
    values = {"int": -3, "token": "x-1.y_2", "text": "für Menschen, “in Worten”"}
    for kind, (facts, digests) in KINDS.items():
        log.record(kind, 1, facts={n: values[t] for n, t in facts.items()}, content=dict.fromkeys(digests, "c\ud800"), partner="ada")
    assert verify(log.path).ok
    assert [e.kind for e in log.events()][1:] == list(KINDS)


def test_prompt_layers_can_be_held_against_the_log(tmp_path):
    log = AuditLog(tmp_path / "audit.jsonl")
    event = log.record("reply", 1, content={"system": "You are kind.", "said": SAID}, partner="ada")
    assert log.matches(event, "said", SAID, "ada")
    assert not log.matches(event, "said", SAID + " ", "ada")
    assert not log.matches(event, "system", SAID, "ada")  # the name of the layer is part of the digest
    assert not log.matches(event, "said", SAID, "bob")
    assert not log.matches(event, "answer", SAID, "ada")


# One log of eight lines, and its end.
@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    log = filled(tmp_path_factory.mktemp("sample") / "audit.jsonl", 7)
    return log.path.read_bytes(), log.checkpoint()


def check(tmp_path_factory, data, checkpoint=None):
    path = tmp_path_factory.mktemp("log") / "audit.jsonl"
    path.write_bytes(data)
    return verify(path, checkpoint)


def test_untouched_it_holds(tmp_path_factory, sample):
    data, end = sample
    found = check(tmp_path_factory, data, end)
    assert (found.ok, found.lines, found.first_seq, found.last, found.torn_bytes, found.broken) == (True, 8, 0, end, 0, "")


@given(data=st.data())
def test_any_byte_changed_put_in_or_taken_out_is_found_and_the_line_is_named(tmp_path_factory, sample, data):
    log, _ = sample
    at = data.draw(st.integers(0, len(log) - 1))
    byte = data.draw(st.integers(0, 255))
    how = data.draw(st.sampled_from(["change", "insert", "remove"]))
    if how == "change":
        other = log[:at] + bytes([byte if byte != log[at] else byte ^ 1]) + log[at + 1 :]
    else:
        other = log[:at] + (bytes([byte]) + log[at:] if how == "insert" else log[at + 1 :])
    found = check(tmp_path_factory, other)
    if at == len(log) - 1 and how != "insert":  # the last newline: what is left is a torn line, no lie
        assert found.lines == 7 and found.torn_bytes > 0
        return
    line = log[:at].count(b"\n") + 1
    assert not found.ok
    # A newline put in at the very end of a line, or between two, makes an empty line of its own.
    assert re.fullmatch(r"audit\.jsonl line (\d+)", found.broken) and int(found.broken.split()[-1]) in (line, line + 1)
    assert found.lines in (line - 1, line)


@given(data=st.data())
def test_lines_taken_out_doubled_or_swapped_are_found(tmp_path_factory, sample, data):
    log, end = sample
    lines = log.splitlines(keepends=True)
    i, j = data.draw(st.tuples(st.integers(0, 7), st.integers(0, 7)))
    how = data.draw(st.sampled_from(["remove", "double", "swap"]))
    changed = list(lines)
    if how == "remove":
        del changed[i]
    elif how == "double":
        changed.insert(j, lines[i])
    else:
        changed[i], changed[j] = lines[j], lines[i]
    found = check(tmp_path_factory, b"".join(changed), end)
    assert found.ok == (changed == lines)


@given(st.integers(0, 8))
def test_a_cut_tail_needs_a_checkpoint_to_be_seen(tmp_path_factory, sample, kept):
    log, end = sample
    short = b"".join(log.splitlines(keepends=True)[:kept])
    assert check(tmp_path_factory, short).ok  # what a chain alone cannot show
    found = check(tmp_path_factory, short, end)
    assert found.ok == (kept == 8)
    assert found.ok or "cut off" in found.reason


def test_a_log_written_anew_needs_a_checkpoint_to_be_seen(tmp_path, sample):
    _, end = sample
    log = filled(tmp_path / "audit.jsonl", 9)
    assert verify(log.path).ok
    assert "written anew" in verify(log.path, end).reason


def test_a_checkpoint_is_told_and_read(sample):
    _, end = sample
    assert Checkpoint.parse(f" {end}\n") == end
    for bad in ("", "7", "7:", "x:" + "0" * 64, "7:" + "g" * 64, "-1:" + "0" * 64, "²:" + "0" * 64):
        with pytest.raises(ValueError, match="expected a checkpoint"):
            Checkpoint.parse(bad)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["0" * 64, "opened", "reply"])
values = st.recursive(scalars, lambda v: st.lists(v, max_size=2) | st.dictionaries(st.text(max_size=3), v, max_size=2), max_leaves=4)
NAMES = ("at_ns", "digests", "facts", "kind", "prev", "seq")
GOOD = {"at_ns": 1, "digests": {}, "facts": {}, "kind": "opened", "prev": "0" * 64, "seq": 0}


def line_of(body):
    """A line whose hash is right, whatever it holds."""
    return body + b',"hash":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'


@given(st.dictionaries(st.sampled_from(NAMES), values), st.booleans())
def test_a_line_of_another_writer_with_a_right_hash_is_refused_for_what_it_holds(tmp_path_factory, fields, canonical):
    blank = {"separators": (",", ":")} if canonical else {}
    body = json.dumps({**GOOD, **fields}, sort_keys=True, **blank).encode()[:-1]
    found = check(tmp_path_factory, line_of(body))
    assert found.ok == (canonical and {**GOOD, **fields} == GOOD and json.dumps({**GOOD, **fields}, sort_keys=True) == json.dumps(GOOD))
    assert found.ok or found.broken == "audit.jsonl line 1"


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 5000, b'{"seq":' + b"9" * 5000, b'{"a":"\xff"', b"\x00" * 100, b'{"seq":NaN'])
def test_a_line_that_is_no_event_is_refused_whatever_its_hash(tmp_path_factory, body):
    found = check(tmp_path_factory, line_of(body))
    assert (found.ok, found.lines, found.broken) == (False, 0, "audit.jsonl line 1")


def test_a_line_without_end_is_refused_and_not_taken_for_a_torn_one(tmp_path_factory, sample):
    data, _ = sample
    found = check(tmp_path_factory, data + b"x" * 200_000)
    assert not found.ok and found.broken == "audit.jsonl line 9"


def test_a_missing_log_is_no_empty_log(tmp_path):
    with pytest.raises(FileNotFoundError):
        verify(tmp_path / "audit.jsonl")


def test_a_broken_last_line_is_not_written_after(tmp_path):
    log = filled(tmp_path / "audit.jsonl")
    data = log.path.read_bytes()
    log.path.write_bytes(data[:-10] + b"X" + data[-9:])
    with pytest.raises(AuditError, match=r"audit\.jsonl: its last line is broken \(its hash"):
        AuditLog(log.path)
    log.record("disclosed", 1)  # who knows the true line goes on from that one, which shows what was done to it
    assert verify(log.path).broken == "audit.jsonl line 5"
    with pytest.raises(AuditError, match="line 5: its hash"):
        list(log.events())


@given(st.data())
def test_a_log_that_does_not_verify_does_not_open(tmp_path_factory, sample, data):
    log, _ = sample
    path = tmp_path_factory.mktemp("log") / "audit.jsonl"
    at = data.draw(st.integers(0, len(log) - 2))
    path.write_bytes(log[:at] + bytes([log[at] ^ 1]) + log[at + 1 :])
    before = path.read_bytes()
    with pytest.raises(AuditError, match=r"audit\.jsonl.*: set the file aside with those beside it, and begin a new log"):
        AuditLog(path)
    assert path.read_bytes() == before


def test_the_broken_line_is_named_and_a_new_log_begins_where_the_old_was_set_aside(tmp_path):
    path = filled(tmp_path / "audit.jsonl").path
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    with pytest.raises(AuditError, match=r"audit\.jsonl line 3: expected number 2, got 3"):
        AuditLog(path)
    (tmp_path / "broken").mkdir()
    for file in tmp_path.glob("audit.jsonl*"):
        file.rename(tmp_path / "broken" / file.name)
    assert filled(path).erase("ada", 9_000) == 2 and verify(path).ok
    assert verify(tmp_path / "broken" / "audit.jsonl").broken == "audit.jsonl line 3"


# -- erasing -----------------------------------------------------------------------------------------------------------------


def test_an_erased_partner_cannot_be_linked_to_a_guess_and_the_chain_holds(tmp_path):
    log = filled(tmp_path / "audit.jsonl", 6)
    mine = list(log.events("ada"))
    assert len(mine) == 2 and log.matches(mine[0], "said", f"{SAID} 0", "ada")
    before = log.path.read_bytes()
    assert log.erase("ada", 9_000) == 2
    assert log.path.read_bytes().startswith(before)
    assert verify(log.path).ok
    assert list(log.events("ada")) == []
    assert not log.matches(mine[0], "said", f"{SAID} 0", "ada")
    log.record("reply", 9_001, content={"said": f"{SAID} 0"}, partner="ada")  # she comes back: nothing ties her to before
    assert not log.matches(mine[0], "said", f"{SAID} 0", "ada")
    assert len(list(log.events("ada"))) == 1
    assert len(list(log.events("bob"))) == 2
    event = next(e for e in log.events() if e.kind == "erase")
    assert dict(event.facts) == {"scope": "partner", "records": 2}


def test_the_salt_is_gone_from_the_files_and_from_the_block_that_held_it(tmp_path):
    log = filled(tmp_path / "audit.jsonl")
    salts = tmp_path / "audit.jsonl.salts"
    assert salts.stat().st_mode & 0o077 == 0
    secret = json.loads(salts.read_text())["salts"]["ada"].encode()
    held = os.open(salts, os.O_RDONLY)  # the very file, by whatever name
    try:
        log.erase("ada", 1)
        assert secret not in b"".join(p.read_bytes() for p in tmp_path.iterdir())
        assert set(os.pread(held, 1 << 16, 0)) == {0}
    finally:
        os.close(held)


def test_what_a_killed_writer_left_of_the_salts_does_not_outlive_an_erasure(tmp_path):
    log = filled(tmp_path / "audit.jsonl")
    salts = tmp_path / "audit.jsonl.salts"
    secret = json.loads(salts.read_text())["salts"]["ada"].encode()
    (tmp_path / "audit.jsonl.salts.new").write_bytes(salts.read_bytes())  # killed between writing and renaming
    log.erase("ada", 1)
    assert secret not in b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["audit.jsonl", "audit.jsonl.lock", "audit.jsonl.salts"]


def test_salts_that_cannot_be_written_leave_the_old_ones(tmp_path, monkeypatch):
    log = filled(tmp_path / "audit.jsonl")
    mine = next(iter(log.events("ada")))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        log.record("reply", 1, content={"said": "x"}, partner="somebody new")
    monkeypatch.undo()
    assert log.matches(mine, "said", f"{SAID} 0", "ada")
    assert verify(log.path).ok


def test_erasing_all(tmp_path):
    log = filled(tmp_path / "audit.jsonl", 6)
    events = list(log.events())
    assert log.erase_all(1) == 6
    assert not any(log.matches(e, "said", f"{SAID} {i}", p) for e in events for i in range(6) for p in ("ada", "bob", None))
    assert verify(log.path).ok


def test_an_erasure_that_a_crash_interrupted_is_made_good_at_the_next_event(tmp_path, monkeypatch):
    log = filled(tmp_path / "audit.jsonl")
    mine = list(log.events("ada"))

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("affectrt.policy.audit.salts.Salts.shred", crash)
    with pytest.raises(KeyboardInterrupt):
        log.erase("ada", 5)
    monkeypatch.undo()
    again = AuditLog(log.path)
    again.record("disclosed", 6)
    assert list(again.events("ada")) == []
    assert not again.matches(mine[0], "said", f"{SAID} 0", "ada")
    assert [e.facts.get("scope") for e in again.events() if e.kind == "erase"] == ["partner", "resumed"]


def test_erasing_a_stranger_is_noted_and_changes_nothing(tmp_path):
    log = filled(tmp_path / "audit.jsonl")
    assert log.erase("eve", 1) == 0
    assert len(list(log.events("ada"))) == 2


def test_broken_salts_are_refused(tmp_path):
    log = filled(tmp_path / "audit.jsonl")
    for text in ("", "{}", '{"salts": {"ada": "00"}, "going": []}', '{"salts": {}, "going": ["ada"]}', '{"salts": 3, "going": []}'):
        (tmp_path / "audit.jsonl.salts").write_text(text)
        with pytest.raises(AuditError, match="expected a file of salts"):
            log.record("reply", 1, content={"said": "x"})


# -- exporting ---------------------------------------------------------------------------------------------------------------


def test_an_export_is_one_file_that_holds_and_is_an_event(tmp_path):
    log = filled(tmp_path / "audit.jsonl", 40, max_bytes=2048, keep=2)
    count = log.export(tmp_path / "copy.jsonl", 50)
    found = verify(tmp_path / "copy.jsonl")
    assert found.ok and found.lines == count and found.first_seq > 0
    last = list(log.events())[-1]
    assert (last.kind, dict(last.facts)) == ("export", {"scope": "all", "records": count})
    with pytest.raises(FileExistsError):
        log.export(tmp_path / "copy.jsonl", 51)


def test_a_partners_export_holds_their_lines_alone(tmp_path):
    log = filled(tmp_path / "audit.jsonl", 9)
    assert log.export(tmp_path / "ada.jsonl", 50, partner="ada") == 3
    assert (tmp_path / "ada.jsonl").read_text().splitlines() == [
        line for line in log.path.read_text().splitlines() if '"at_ns":1000,' in line or '"at_ns":1003,' in line or '"at_ns":1006,' in line
    ][-3:]


def test_reading_does_not_keep_writers_waiting(tmp_path):
    log = filled(tmp_path / "audit.jsonl")
    for event in log.events():  # a lock that is held here would never be given to `record`
        log.record("disclosed", 1)
        log.matches(event, "said", "x", "ada")
    assert verify(log.path).lines == 10


def test_threads_and_other_writers_share_one_chain(tmp_path):
    path = tmp_path / "audit.jsonl"
    logs = [AuditLog(path, max_bytes=4096, keep=None, sync=False) for _ in range(4)]  # each knows only what it wrote itself
    errors = []

    def work(log):
        try:
            for turn in range(25):
                log.record("reply", turn, facts={"turn": turn}, content={"said": "x"}, partner=f"p{turn % 3}")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(log,)) for log in logs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors[0]
    assert verify(path).ok
    assert sum(e.kind == "reply" for e in logs[0].events()) == 100
    assert len({e.digests["who"] for e in logs[0].events() if e.kind == "reply"}) == 3
