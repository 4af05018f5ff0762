"""Steps of an export: kept by content, whole or not at all, one process at a time."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from affectrt_export.job import Job, digest, digest_of_feeds
from affectrt_export.spec import ExportError
from hypothesis import given
from hypothesis import strategies as st

PARTS = st.recursive(st.one_of(st.binary(), st.text(), st.integers(), st.none()), st.lists, max_leaves=6)


@given(st.lists(PARTS, max_size=4), st.lists(PARTS, max_size=4))
def test_different_parts_have_different_keys(a: list[object], b: list[object]) -> None:
    assert (digest(*a) == digest(*b)) == (a == b)


def test_feeds_differ_by_name_type_shape_and_value() -> None:
    x = np.zeros((1, 2), np.float32)
    keys = {digest_of_feeds([f]) for f in ({"x": x}, {"y": x}, {"x": x.astype(np.int32)}, {"x": x.T}, {"x": x + 1})}
    assert len(keys) == 5
    assert digest_of_feeds([{"x": x[:, ::-1]}]) == digest_of_feeds([{"x": x}])


def test_a_step_is_made_once(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        return b"value"

    for _ in range(2):
        with Job(tmp_path / "w") as job:
            assert job.step("one", digest(1), make) == b"value"
            assert job.step("one", digest(2), lambda: b"other") == b"other"
    assert made == [1] and job.reused == 2


def test_arrays_and_json_come_back_as_they_were(tmp_path: Path) -> None:
    with Job(tmp_path) as job:
        for _ in range(2):
            value = job.array("a", digest(1), lambda: np.arange(6, dtype=np.float32).reshape(2, 3).T)
            assert value.dtype == np.float32 and value.tolist() == [[0, 3], [1, 4], [2, 5]]
            assert job.json("j", digest(2), lambda: {"x": [1.5, None]}) == {"x": [1.5, None]}


def test_objects_are_refused(tmp_path: Path) -> None:
    with Job(tmp_path) as job, pytest.raises(ValueError, match=r"[Oo]bject"):
        job.array("a", digest(1), lambda: np.array([{}], dtype=object))


@pytest.mark.parametrize("damage", [b"", b"x", b"valuX" + b"\0" * 32])
def test_a_damaged_step_is_made_again(tmp_path: Path, damage: bytes) -> None:
    with Job(tmp_path) as job:
        job.step("one", digest(1), lambda: b"value")
        (file,) = [p for p in tmp_path.iterdir() if p.name != "lock"]
        file.write_bytes(damage)
        assert job.step("one", digest(1), lambda: b"value") == b"value"
        assert job.reused == 0


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    with Job(tmp_path):
        code = f"from pathlib import Path; from affectrt_export.job import Job\nwith Job(Path({str(tmp_path)!r})): pass"
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert other.returncode == 1 and "another export works in this folder" in other.stderr
    with Job(tmp_path):
        pass


def test_a_step_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with Job(tmp_path) as job:
        with pytest.raises(ExportError):
            job.step("one", digest(1), lambda: (_ for _ in ()).throw(ExportError("no")))
        assert [p.name for p in tmp_path.iterdir()] == ["lock"]


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with Job(tmp_path) as job:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            with pytest.raises(OSError):
                job.step("one", digest(1), lambda: os.urandom(5000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)
        assert [p.name for p in tmp_path.iterdir()] == ["lock"]
