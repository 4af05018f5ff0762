"""`affectrt packs`: lists, inspects and verifies; a pack that was tampered with, or whose answer is wrong, does not pass."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affectrt import open_pack
from affectrt.cli.output import plain
from affectrt.cli.variants import summary
from affectrt.packs import default_packs
from affectrt.verify import compare
from cli_tools import Done

Cli = Callable[..., Done]
SMALL = [name for name in default_packs() if not open_pack(name).missing]


def rewrite(folder: Path, name: str, array: np.ndarray) -> None:
    """Put another array in place of a golden file and say so in pack.json, as someone would who exports carelessly."""
    np.save(folder / name, array, allow_pickle=False)
    manifest = json.loads((folder / "pack.json").read_text())
    content = (folder / name).read_bytes()
    for entry in manifest["files"]:
        if entry["path"] == name:
            entry.update(size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    (folder / "pack.json").write_text(json.dumps(manifest))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(open_pack("xception-fer7").path, tmp_path / "xception-fer7"))


def test_list_in_every_format(cli: Cli) -> None:
    rows = json.loads(cli("packs", "list", "-o", "json").out)
    assert {row["name"] for row in rows} >= set(default_packs())
    assert all(row["license"] and row["size_mb"] > 0 for row in rows)
    lines = cli("packs", "list", "-o", "md").out.splitlines()
    assert lines[0].startswith("| name | version |") and set(lines[1]) <= set("|-")
    assert len(cli("packs", "list", "-o", "jsonl").out.splitlines()) == len(rows)


@pytest.mark.parametrize("name", SMALL)
def test_every_pack_that_is_here_proves_itself(cli: Cli, name: str) -> None:
    done = cli("packs", "verify", name, "-o", "json")
    document = json.loads(done.out)
    assert done.code == 0 and document["ok"], done.out
    assert document["outcomes"] and all(
        one["status"] == "passed" and one["max_difference"] <= one["tolerance"] for one in document["outcomes"]
    )


def test_inspect_tells_licence_limits_and_measurements(cli: Cli) -> None:
    out = cli("packs", "inspect", "xception-fer7").out
    for part in ("MIT", "known limit", "accuracy", "golden vectors", "face-expression"):
        assert part in out
    document = json.loads(cli("packs", "inspect", "xception-fer7", "-o", "json").out)
    assert document["verified"] and document["format_version"] == 1


def test_inspect_shows_a_table_of_the_variants(cli: Cli) -> None:
    lines = cli("packs", "inspect", "minilm-goemotions", "-o", "md").out.splitlines()
    head = next(line for line in lines if line.startswith("| variant |"))
    assert head.startswith("| variant | precision | size_mb | macro_f1 | drop |")
    document = json.loads(cli("packs", "inspect", "minilm-goemotions", "-o", "json").out)
    (row,) = document["summary"]
    entry = next(one for one in document["variants"][0]["measured"] if one["metric"] == "macro_f1")
    assert row["score"] == row["macro_f1"] == entry["value"] and row["drop"] == pytest.approx(entry["reference"] - entry["value"])
    assert row["size_mb"] == pytest.approx(open_pack("minilm-goemotions").file("model.int8.onnx").stat().st_size / 1e6)
    assert document["report"] is None and document["notes"] == [] and document["files"] and document["format_version"] == 1
    # A pack of another kind has no score; the table has what there is.
    assert "| variant | precision | size_mb |\n" in cli("packs", "inspect", "blazeface-short-range", "-o", "md").out


def test_inspect_finds_the_drop_in_the_first_variant_where_no_reference_is_named(cli: Cli, copy: Path) -> None:
    manifest = json.loads((copy / "pack.json").read_text())
    second = json.loads(json.dumps(manifest["variants"][0]))
    second.update(name="int8", precision="int8")
    second["measured"] = [
        {"metric": "accuracy", "data": "elsewhere", "value": 0.9},
        {"metric": "ece", "data": "FER2013 PublicTest (3,589)", "value": 0.02},
    ]
    manifest["variants"].append(second)
    (copy / "pack.json").write_text(json.dumps(manifest))
    rows = json.loads(cli("packs", "inspect", copy, "-o", "json").out)["summary"]
    assert "drop" not in rows[1] and rows[1]["ece"] == 0.02  # other data say nothing of a drop
    second["measured"][0].update(data="FER2013 PublicTest (3,589)", value=0.55)
    (copy / "pack.json").write_text(json.dumps(manifest))
    rows = json.loads(cli("packs", "inspect", copy, "-o", "json").out)["summary"]
    assert rows[1]["drop"] == pytest.approx(0.584 - 0.55) and "drop" not in rows[0]


def report_of(folder: Path) -> dict[str, Any]:
    """What an export would say of the pack: one variant that it holds, one that was refused."""
    digest = hashlib.sha256((folder / "model.fp32.onnx").read_bytes()).hexdigest()
    gates = [
        {"gate": "accuracy", "passed": True, "value": 0.001, "bound": 0.01, "detail": ""},
        {"gate": "latency", "passed": True, "value": "nan", "bound": 1.0, "detail": "not judged"},
        {"gate": "size", "passed": True, "value": 0.5, "bound": None, "detail": ""},
    ]
    failed = [{"gate": "class", "passed": False, "value": 0.12, "bound": 0.05, "detail": ""}, gates[0]]
    latency = {"p50_ms": 0.31, "p90_ms": 0.35, "p95_ms": 0.42, "p99_ms": 4.5, "runs": 200, "threads": 1}
    fp32 = {"name": "fp32", "precision": "fp32", "status": "published", "sha256": digest, "findings": gates, "latency": latency}
    int8 = {"name": "int8", "precision": "int8", "status": "refused", "sha256": "", "size_bytes": 96_000, "score": 0.53, "drop": 0.054}
    int8 |= {"findings": failed, "quality": {"reliability": {"ece": 0.04}}, "latency": None, "latency_ratio": None}
    return {"schema": "affectrt-report/1", "name": "xception-fer7", "variants": [fp32 | {"latency_ratio": None}, int8]}


def beside(folder: Path, content: bytes) -> Path:
    place = folder.with_name(f"{folder.name}.report")
    place.mkdir()
    (place / "report.json").write_bytes(content)
    return place / "report.json"


def test_inspect_reads_the_report_beside_the_pack(cli: Cli, copy: Path) -> None:
    path = beside(copy, json.dumps(report_of(copy)).encode())
    document = json.loads(cli("packs", "inspect", copy, "-o", "json").out)
    fp32, int8 = document["summary"]
    assert document["report"] == str(path) and fp32["p50_ms"] == 0.31 and fp32["p99_ms"] == 4.5
    assert (fp32["status"], fp32["gates_passed"], fp32["gates_judged"], fp32["gates_not_judged"]) == ("published", 1, 1, 2)
    assert int8["status"] == "refused" and int8["gates"] == "1 of 2 passed" and int8["drop"] == 0.054 and int8["ece"] == 0.04
    out = cli("packs", "inspect", copy).out
    assert "1 of 1 passed, 2 not judged" in out and "int8 was refused at export by: class" in out and str(path) in out
    assert cli("packs", "verify", copy).code == 0  # it is no part of the pack


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], bytes]:
    def make(document: dict[str, Any]) -> bytes:
        change(document)
        return json.dumps(document).encode()

    return make


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda d: b"", "JSON was expected"),
        (lambda d: b"\xff\x00", "JSON was expected"),
        (lambda d: b"[" * 100_000, "JSON was expected"),
        (lambda d: b"[]", "schema affectrt-report/1 was expected"),
        (lambda d: b" " * (9 << 20), "bytes were expected"),
        (changed(lambda d: d.update(schema="affectrt-report/9")), "schema affectrt-report/1 was expected"),
        (changed(lambda d: d.update(variants={})), "schema affectrt-report/1 was expected"),
        (changed(lambda d: d.update(name="other\x1b[2J\n")), "it is of another pack, other?[2J?"),
        (changed(lambda d: d["variants"][0].update(sha256="00" * 32)), "variant fp32: the report beside the pack is of another file"),
        (changed(lambda d: d["variants"][0].update(status="refused")), "variant fp32: the report beside the pack is of another file"),
        (changed(lambda d: d["variants"].append(7)), "a variant that cannot be read"),
        (changed(lambda d: d["variants"][1].update(name=["x"])), "a variant that cannot be read"),
        (changed(lambda d: d["variants"][1].update(status="fine")), "a variant that cannot be read"),
    ],
)
def test_inspect_outlives_any_report(cli: Cli, copy: Path, content: Callable[[dict[str, Any]], bytes], said: str) -> None:
    beside(copy, content(report_of(copy)))
    done = cli("packs", "inspect", copy)
    assert done.code == 0 and said in done.out and "\x1b" not in done.out
    assert "0.584" in done.out and (said.startswith("a variant") or "0.310" not in done.out)


@pytest.mark.parametrize("key", ["findings", "latency", "latency_ratio", "quality", "score", "drop", "size_bytes", "precision", "sha256"])
@pytest.mark.parametrize("value", [None, True, "text\x1b", -1, 10**400, [1, None, {"a": {}}], {"p50_ms": "x", "reliability": []}])
def test_inspect_outlives_any_field_of_a_report(copy: Path, key: str, value: object) -> None:
    document = report_of(copy)
    for variant in document["variants"]:
        variant[key] = value
    beside(copy, json.dumps(document).encode())
    found = summary(json.loads((copy / "pack.json").read_text()), copy)
    text = json.dumps(plain([found.rows, found.notes]), allow_nan=False)
    assert found.rows[0]["precision"] == "fp32" and "\\u001b" not in text


def test_inspect_does_not_wait_for_what_is_no_file(cli: Cli, copy: Path) -> None:
    place = copy.with_name(f"{copy.name}.report")
    place.mkdir()
    os.mkfifo(place / "report.json")
    assert cli("packs", "inspect", copy).code == 0
    (place / "report.json").unlink()
    (place / "report.json").mkdir()
    assert cli("packs", "inspect", copy).code == 0


def test_a_wrong_answer_does_not_pass(cli: Cli, copy: Path) -> None:
    name = "golden/astronaut.probs.npy"
    expected = np.load(copy / name)
    rewrite(copy, name, expected + np.float32(0.01))
    done = cli("packs", "verify", copy, "-o", "json")
    wrong = [one for one in json.loads(done.out)["outcomes"] if one["status"] == "failed"]
    assert done.code == 1 and [one["golden"] for one in wrong] == ["astronaut"]
    assert wrong[0]["max_difference"] == pytest.approx(0.01, abs=2e-3)


def test_an_answer_of_another_shape_does_not_pass(cli: Cli, copy: Path) -> None:
    rewrite(copy, "golden/astronaut.probs.npy", np.zeros(5, np.float32))
    done = cli("packs", "verify", copy)
    assert done.code == 1 and "shape (5,) was expected, got (7,)" in done.out


def test_a_tampered_file_is_refused(cli: Cli, copy: Path) -> None:
    model = copy / "model.fp32.onnx"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(bytes(content))
    done = cli("packs", "verify", copy)
    assert done.code == 1 and "model.fp32.onnx" in done.err and "Traceback" not in done.err


def test_a_bad_pack_does_not_hide_the_others(cli: Cli, copy: Path, tmp_path: Path) -> None:
    """A file unlike its hash, a pack that is not there, a golden file that is no array: all are told, and the rest is replayed."""
    (copy / "golden" / "astronaut.probs.npy").write_bytes(b"nothing")
    unreadable = Path(shutil.copytree(open_pack("xception-fer7").path, tmp_path / "unreadable"))
    rewrite(unreadable, "golden/astronaut.probs.npy", np.zeros(7))
    (unreadable / "golden" / "astronaut.probs.npy").write_bytes(content := b"\x93NUMPY garbage")
    manifest = json.loads((unreadable / "pack.json").read_text())
    for entry in manifest["files"]:
        if entry["path"] == "golden/astronaut.probs.npy":
            entry.update(size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    (unreadable / "pack.json").write_text(json.dumps(manifest))
    done = cli("packs", "verify", copy, "nonsense", unreadable, "xception-fer7", "-o", "json")
    outcomes = json.loads(done.out)["outcomes"]
    failed = [one for one in outcomes if one["status"] == "failed"]
    assert done.code == 1
    assert [one["pack"] for one in failed] == [str(copy), "nonsense", "xception-fer7"]
    assert "astronaut.probs.npy" in failed[0]["detail"] and "nonsense" in failed[1]["detail"]
    assert failed[2]["golden"] == "astronaut" and ".npy file of numbers was expected" in failed[2]["detail"]
    assert "pickle" not in done.out + done.err
    goldens = open_pack("xception-fer7").manifest["golden"]
    assert sum(one["status"] == "passed" for one in outcomes) == 2 * len(goldens) - 1
    assert len([line for line in done.err.splitlines() if line.startswith("failed: ")]) == 3


def test_a_remote_file_that_was_not_pulled(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFECTRT_CACHE_DIR", str(tmp_path))
    done = cli("packs", "verify", "smollm2-135m")
    assert done.code == 1 and "not pulled" in done.out and "affectrt packs pull smollm2-135m" in done.out
    done = cli("packs", "verify", "smollm2-135m", "--skip-remote")
    assert done.code == 0 and "NOT VERIFIED: smollm2-135m" in done.err


def test_no_such_pack_or_variant(cli: Cli) -> None:
    done = cli("packs", "inspect", "nonsense")
    assert done.code == 1 and "nonsense" in done.err and len(done.err.splitlines()) == 1
    done = cli("packs", "verify", "xception-fer7", "--variant", "int4")
    assert done.code == 1 and "no variant 'int4'; there are fp32" in done.err


@pytest.mark.filterwarnings("ignore:.*is a bare model")
def test_a_bare_model_has_nothing_to_verify(cli: Cli) -> None:
    model = open_pack("xception-fer7").file("model.fp32.onnx")
    done = cli("packs", "inspect", model)
    assert done.code == 1 and "allow_unverified" in done.err.replace("-", "_")
    done = cli("packs", "inspect", model, "--allow-unverified", "--license", "MIT", "-o", "json")
    assert done.code == 0 and json.loads(done.out)["verified"] is False


def test_detections_are_compared_in_parts_of_the_box() -> None:
    row = np.array([0.9, 10, 10, 110, 110, 30, 40], np.float32)
    other = np.array([0.8, 200, 10, 240, 50, 220, 30], np.float32)
    moved = row + np.array([0, 1, 0, 1, 0, 1, 0], np.float32)
    # One pixel of a box of 100, and rows of nearly the same score that changed places.
    difference, _ = compare("detections", np.stack([other, moved]), np.stack([row, other]))
    assert difference == pytest.approx(0.01)
    assert compare("detections", np.zeros((0, 7), np.float32), np.stack([row]))[0] is None
    assert compare("probs", np.array([np.nan], np.float32), np.array([0.0], np.float32)) == (None, "not finite")


def test_errors_of_a_bare_model_name_options(cli: Callable[..., Done], tmp_path: Path) -> None:
    network = tmp_path / "x.onnx"
    shutil.copy(open_pack("blazeface-short-range").variant().path, network)
    assert "and pass --contract\n" in cli("packs", "add", network).err
    assert "pass --license with its SPDX id" in cli("packs", "inspect", network, "--allow-unverified").err
    assert "allow_unverified=True (--allow-unverified)" in cli("packs", "inspect", network).err
