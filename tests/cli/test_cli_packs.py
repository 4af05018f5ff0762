"""`affectrt packs`: lists, inspects and verifies; a pack that was tampered with, or whose answer is wrong, does not pass."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from affectrt import open_pack
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
