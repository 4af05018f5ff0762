"""A log replays to the same bytes: here, in another process, with another order of hashes, and on any other machine."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from affectrt.affect import AffectLog, Evidence, Fusion, FusionSettings, Source, read_log, replay
from affectrt.labels import Affect
from fusion_tools import SECOND, evidence
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

HOW = FusionSettings(  # all of it, so that a change of the defaults leaves the bytes below
    temperament=Affect(0.1, -0.1, 0.0),
    taxonomy="fer7",
    sources={"face": Source(3.0, 0.5), "voice": Source(6.0, 2.0), "text": Source(90.0, 3.0, 0.8), "event": Source(180.0, 5.0, 0.5)},
    prior=0.3,
    lateness_s=2.0,
)


def a_minute() -> list[Evidence]:
    """Faces at 10 Hz, some of them late, words and events; made by counting, so that it is the same everywhere."""
    result = []
    for i in range(600):
        at, turn = i * SECOND // 10, i % 13 / 13
        probs = tuple((1 + (i * k) % 7) / 28 for k in range(1, 8))
        shift = (i % 5) * 150_000_000
        result.append(Evidence("face", max(0, at - shift), 0.5 + turn / 2, valence=turn - 0.5, arousal=0.3, taxonomy="fer7", probs=probs))
        if i % 97 == 0:
            result.append(Evidence("text", at, 0.7, valence=0.5 - turn, arousal=-turn, dominance=0.1))
        if i % 211 == 0:
            result.append(Evidence.of_event("bump", at, valence=-0.4, arousal=0.6, weight=0.9))
        if i % 10 == 0:
            result.append(Evidence("voice", at, turn, arousal=turn))
    return result


def write(path: Path, given_: list[Evidence], how: FusionSettings = HOW) -> Path:
    with AffectLog(path, how) as log:
        for one in given_:
            log.write(one)
    return path


def digest(path: Path) -> str:
    lines = "".join(state.to_json() + "\n" for state in replay(path))
    return hashlib.sha256(lines.encode()).hexdigest()


def test_it_replays_to_what_was(tmp_path: Path) -> None:
    fusion, live = Fusion(HOW), []
    for one in a_minute():
        fusion.add(one)
        live.append(fusion.state(fusion.newest_ns).to_json())
    path = write(tmp_path / "log.jsonl", a_minute())
    assert [state.to_json() for state in replay(path)] == live
    how, read = read_log(path)
    assert how == HOW and list(read) == a_minute()


def test_another_process_and_every_machine_have_the_same_bytes(tmp_path: Path) -> None:
    path = write(tmp_path / "log.jsonl", a_minute())
    code = (
        "import sys, hashlib\nfrom affectrt.affect import replay\n"
        "print(hashlib.sha256(''.join(s.to_json() + '\\n' for s in replay(sys.argv[1])).encode()).hexdigest())"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code, path], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == digest(path)
    # Written down once: a machine, a C library or a Python on which this differs would break the promise.
    assert digest(path) == "6b242b96a61519b00c18bb1955260fcd716fdd0f6b26c7e1f945104aeb1789d4"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(given_=st.lists(evidence(), max_size=10))
def test_the_same_evidence_makes_the_same_file(given_: list[Evidence], tmp_path: Path) -> None:
    (tmp_path / "a").unlink(missing_ok=True)
    (tmp_path / "b").unlink(missing_ok=True)
    first = write(tmp_path / "a", given_)
    how, read = read_log(first)
    assert write(tmp_path / "b", list(read), how).read_bytes() == first.read_bytes()


def test_a_log_is_never_written_over(tmp_path: Path) -> None:
    path = write(tmp_path / "log.jsonl", a_minute()[:1])
    with pytest.raises(FileExistsError):
        AffectLog(path, HOW)


def test_every_line_is_there_as_soon_as_it_is_written(tmp_path: Path) -> None:
    with AffectLog(tmp_path / "log.jsonl", HOW) as log:
        log.write(a_minute()[0])
        assert len(list(read_log(log.path)[1])) == 1
        with pytest.raises(TypeError, match="expected Evidence, got dict"):
            log.write({})  # type: ignore[arg-type]


def test_what_a_power_cut_leaves_is_read_up_to_the_cut(tmp_path: Path) -> None:
    path = write(tmp_path / "log.jsonl", a_minute()[:5])
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for cut in range(len(lines[0]), len(whole), 7):
        path.write_bytes(whole[:cut])
        complete = whole[:cut].count(b"\n") - 1
        assert list(read_log(path)[1]) == a_minute()[:5][:complete]


def test_a_full_disk_leaves_a_whole_log_that_goes_on(tmp_path: Path) -> None:
    code = """
import resource, signal, sys
from affectrt.affect import AffectLog, Evidence, FusionSettings
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with AffectLog(sys.argv[1], FusionSettings()) as log:
    for i in range(40):
        full = log.path.stat().st_size + 20 if i % 10 == 5 else resource.RLIM_INFINITY
        resource.setrlimit(resource.RLIMIT_FSIZE, (full, resource.RLIM_INFINITY))
        try:
            log.write(Evidence("face", i, 1.0, valence=0.5))
        except OSError as error:
            print(i, type(error).__name__)
"""
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "log.jsonl"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["5", "OSError", "15", "OSError", "25", "OSError", "35", "OSError"]
    assert [one.stamp_ns for one in read_log(tmp_path / "log.jsonl")[1]] == [i for i in range(40) if i % 10 != 5]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{}", "line 3: evidence: expected the keys source, stamp_ns"),
        (b"nonsense", "line 3: evidence: not the JSON"),
        (b"\xff\xfe", "line 3: evidence: not the JSON"),
        (b'{"source":"face","stamp_ns":0,"confidence":NaN,"valence":0}', "line 3: evidence: not the JSON that was expected .NaN"),
        (b'{"source":"face","stamp_ns":0,"confidence":2,"valence":0}', "line 3: confidence: expected a number in"),
        (b"", "line 3: evidence: not the JSON"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: bytes, said: str) -> None:
    path = write(tmp_path / "log.jsonl", a_minute()[:1])
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(ValueError, match=said):
        list(replay(path))


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"", "line 1: expected the head of a log of evidence, got the end of the file"),
        (b'{"format":"affectrt.affect-log","version":1', "line 1: expected the head"),
        (b'{"format":"affectrt.affect-log","version":9}\n', "expected version 1, got 9"),
        (b'{"format":"affectrt.affect-log","version":1,"settings":{}}\n', "line 1: settings: expected the keys"),
        (b"\x89PNG\r\n\x1a\n", "line 1: not the JSON"),
    ],
)
def test_what_is_no_log(tmp_path: Path, head: bytes, said: str) -> None:
    (tmp_path / "x").write_bytes(head)
    with pytest.raises(ValueError, match=said):
        read_log(tmp_path / "x")
