"""A report on disk: whole or not at all, in the place of an older one, and never in the place of anything else."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest
from affectrt.cli import variants as variants_of_cli
from affectrt.cli.variants import summary
from affectrt_export import report
from affectrt_export.report import writer
from affectrt_export.report.record import MAX_BYTES, SCHEMA
from report_samples import FP32, INT8, REFUSED, kind, record


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_report_is_written_and_read_back(tmp_path: Path) -> None:
    made = record(FP32, dataclasses.replace(REFUSED, kind=kind("int8-plain")))
    place = tmp_path / "new" / "tiny-fer7.report"
    report.write(made, place)
    files = tree(place)
    assert {"report.json", "report.md", "report.html", "pictures/tradeoff.svg", "pictures/sensitivity-int8-plain.svg"} <= files.keys()
    assert report.read(place).to_json() == made.to_json()
    text = files["report.md"].decode()
    for name in files:
        if name.endswith(".svg"):
            assert f"]({name})" in text, "every picture is shown"
    assert files["report.html"].count(b"<svg") == sum(name.endswith(".svg") for name in files)
    assert b"http" not in files["report.html"].replace(b"http-equiv", b"")
    report.write(made, place)
    assert tree(place) == files
    assert [path.name for path in place.parent.iterdir()] == ["tiny-fer7.report"]


def test_a_new_report_takes_the_place_of_the_old_one_with_all_its_pictures(tmp_path: Path) -> None:
    place = tmp_path / "x.report"
    report.write(record(FP32, INT8), place)
    report.write(record(dataclasses.replace(FP32, quality=None, latency=None)), place)
    assert set(tree(place)) == {"report.json", "report.md", "report.html"}


@pytest.mark.parametrize("fails_at", [1, 3, 5])
def test_what_fails_leaves_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int) -> None:
    place = tmp_path / "x.report"
    report.write(record(FP32), place)
    before = tree(place)
    calls = 0

    def full(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls == fails_at:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        report.write(record(FP32, INT8), place)
    assert tree(place) == before and [path.name for path in tmp_path.iterdir()] == ["x.report"]
    with pytest.raises(OSError, match="No space left"):
        calls = 0
        report.write(record(FP32), tmp_path / "y.report")
    assert [path.name for path in tmp_path.iterdir()] == ["x.report"]


def test_the_old_report_comes_back_where_the_new_one_cannot_move_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "x.report"
    made = record(dataclasses.replace(FP32, quality=None, latency=None))
    report.write(made, place)
    before = tree(place)
    rename = Path.rename

    def move(self: Path, target: Path) -> Path:
        if self.suffix == ".tmp":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", move)
    with pytest.raises(OSError, match="Input/output"):
        report.write(made, place)
    assert tree(place) == before and [path.name for path in tmp_path.iterdir()] == ["x.report"]


def test_what_is_no_report_is_left_alone(tmp_path: Path) -> None:
    made = record(dataclasses.replace(FP32, quality=None, latency=None))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_bytes(b"me")
    (tmp_path / "file").write_bytes(b"me")
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    for name in ("photos", "file", "link"):
        with pytest.raises(FileExistsError, match=name):
            report.write(made, tmp_path / name)
    assert tree(tmp_path / "photos") == {"me.jpg": b"me"}
    (tmp_path / "empty").mkdir()
    report.write(made, tmp_path / "empty")
    assert report.read(tmp_path / "empty").name == made.name


def test_damaged_and_absent_reports_are_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        report.read(tmp_path)
    (tmp_path / writer.JSON).write_text('{"schema": "affectrt-report/1"}')
    with pytest.raises(ValueError, match="missing key 'name'"):
        report.read(tmp_path)


def test_the_runtime_reads_what_is_written(tmp_path: Path) -> None:
    """`affectrt packs inspect` knows the format by its documentation only; this holds the two together."""
    fp32, int8 = FP32, dataclasses.replace(INT8, kind=kind("int8"))
    made = record(fp32, int8, dataclasses.replace(REFUSED, kind=kind("int4")))
    report.write(made, tmp_path / "tiny-fer7.report")
    variants = [v for v in made.variants if v.published]
    manifest = {
        "name": "tiny-fer7",
        "decode": {"kind": "softmax"},
        "files": [{"path": f"{v.name}.onnx", "size_bytes": v.size_bytes, "sha256": v.sha256} for v in variants],
        "variants": [{"name": v.name, "file": f"{v.name}.onnx", "precision": v.precision, "measured": []} for v in variants],
    }
    found = summary(manifest, tmp_path / "tiny-fer7")
    assert [row["status"] for row in found.rows] == ["published", "published", "refused"]
    assert [row["p50_ms"] for row in found.rows] == [0.8, 0.44, 0.44] and found.rows[1]["gates"] == "4 of 4 passed"
    assert found.rows[2]["drop"] == made.variants[2].drop and found.rows[2]["ece"] == REFUSED.quality.reliability.ece
    assert found.notes[0] == "int4 was refused at export by: accuracy, class" and len(found.notes) == 2
    assert (SCHEMA, MAX_BYTES) == (variants_of_cli.SCHEMA, variants_of_cli.MAX_BYTES)


def test_names_that_are_no_characters_do_not_stop_a_report(tmp_path: Path) -> None:
    made = record(dataclasses.replace(FP32, quality=None, latency=None), notes=["half a character: \ud800"])
    made = dataclasses.replace(made, command="affectrt export caf\udce9")  # as Python names a file that is not UTF-8
    report.write(made, tmp_path / "x.report")
    assert report.read(tmp_path / "x.report").command == made.command
    (tmp_path / "x.report" / "report.md").read_text("utf-8")
