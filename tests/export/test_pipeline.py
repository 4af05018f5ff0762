"""A whole export by the command line: what is published, what is refused, and what a kill leaves behind. On real pictures: faces of
scikit-image upright and upside down, and pictures of anything else, read by a network whose head is fitted here.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import affectrt as art
import numpy as np
import onnx
import pytest
from affectrt import evaluate
from affectrt.cli.variants import summary
from affectrt.verify import verify
from affectrt_export import measure
from affectrt_export.cli import app
from affectrt_export.onnx_graph import Graph
from affectrt_export.report import read as read_report
from onnx import numpy_helper
from typer.testing import CliRunner

NAMES = ("upright", "upside down", "no face")
# Nothing is timed in tests; that the gate works is tested with its own numbers in test_gate.py.
UNTIMED = ("--max-latency-ratio", "off")


def network(head: tuple[np.ndarray, np.ndarray] | None) -> bytes:
    """image (n, 1, 24, 24) through four drawn convolutions to features (n, 1152), or on to three logits."""
    rng = np.random.default_rng(0)
    g = Graph("faces")
    x = g.input("image", ["n", 1, 24, 24])
    for source, target, stride in ((1, 16, 1), (16, 32, 2), (32, 32, 1), (32, 32, 2)):
        weight = g.constant((rng.normal(size=(target, source, 3, 3)) * np.sqrt(2 / (9 * source))).astype(np.float32))
        bias = g.constant((rng.normal(size=target) * 0.05).astype(np.float32))
        x = g.add("Relu", [g.add("Conv", [x, weight, bias], strides=[stride, stride], pads=[1, 1, 1, 1])])
    if head is None:
        g.add("Flatten", [x], out="features")
        g.output("features", ["n", 1152])
    else:
        g.add("Gemm", [g.add("Flatten", [x]), g.constant(head[0]), g.constant(head[1])], out="logits")
        g.output("logits", ["n", 3])
    return g.bytes()


def spoiled(model: bytes) -> bytes:
    """One channel of the third convolution 4,096 times as large and taken back by the fourth: the same in fp32, a ruin in 8 bits."""
    proto = onnx.load_from_string(model)
    third, fourth = [node for node in proto.graph.node if node.op_type == "Conv"][2:4]
    stored = {value.name: value for value in proto.graph.initializer}
    for name, place, by in ((third.input[1], 5, 4096.0), (third.input[2], 5, 4096.0), (fourth.input[1], (slice(None), 5), 1 / 4096)):
        value = numpy_helper.to_array(stored[name]).copy()
        value[place] *= np.float32(by)
        stored[name].CopyFrom(numpy_helper.from_array(value, name))
    return bytes(proto.SerializeToString(deterministic=True))


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with net.onnx, spoiled.onnx, contract.json, learn.npz and judge.npz."""
    from skimage import data

    folder = tmp_path_factory.mktemp("given")
    pictures = (data.lfw_subset() * 255).round().astype(np.uint8)[:, :24, :24]
    sets: dict[str, tuple[list[Any], list[int]]] = {"learn": ([], []), "judge": ([], [])}
    for number, (face, other) in enumerate(zip(pictures[:100], pictures[100:], strict=True)):
        images, labels = sets["learn" if number % 2 else "judge"]
        for way in (1, -1):
            images += [face[:, ::way], face[::-1, ::way], other[:, ::way]]
            labels += [0, 1, 2]
    for name, (images, labels) in sets.items():
        sides = np.array(["as it was", "mir|rored"])[np.arange(len(labels)) // 3 % 2]
        np.savez(folder / f"{name}.npz", images=np.stack(images), labels=np.array(labels), label_names=np.array(NAMES), side=sides)
    images, labels = sets["learn"]
    feeds = [{"image": ((image.astype(np.float32) - 127.5) / 64)[None, None]} for image in images]
    features = measure.run(network(None), feeds).astype(np.float64)
    x, y = np.c_[features, np.ones(len(features))], np.where(np.eye(3)[labels] > 0, 3.0, -3.0)
    weight = (x.T @ np.linalg.solve(x @ x.T + 0.3 * len(x) * np.eye(len(x)), y)).astype(np.float32)
    sound = network((weight[:-1], weight[-1]))
    (folder / "net.onnx").write_bytes(sound)
    (folder / "spoiled.onnx").write_bytes(spoiled(sound))
    image = {"tensor": "image", "kind": "image", "layout": "nchw", "color": "gray", "width_px": 24, "height_px": 24, "fit": "stretch"}
    contract = {
        "task": "face-expression",
        "inputs": [{**image, "mean": [127.5], "scale": [1 / 64], "pad_value": [0.0], "dynamic_batch": True}],
        "outputs": [{"tensor": "logits", "kind": "logits", "shape": [-1, 3]}],
        "decode": {"kind": "softmax", "temperature": 1.0, "thresholds": [], "unknown_below": 0.0},
        "labels": [{"name": name, "valence": 0.0, "arousal": 0.0} for name in NAMES],
    }
    (folder / "contract.json").write_text(json.dumps(contract))
    return folder


def arguments(given: Path, out: Path, *more: str, model: str = "net.onnx", name: str = "faces") -> list[str]:
    out.mkdir(parents=True, exist_ok=True)
    argv = ["model", str(given / model), "--contract", str(given / "contract.json"), "--license", "MIT", "--name", name, "--out", str(out)]
    argv += ["--data", str(given / "judge.npz"), "--calibration", str(given / "learn.npz"), *UNTIMED, *more, "-o", "json"]
    return ["export", *argv]


def start(argv: list[str], environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    code = "import sys; from affectrt.cli.app import build; from affectrt_export.cli import app; sys.argv[0] = 'affectrt'; app()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *argv[1:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})},
    )


def export(argv: list[str]) -> tuple[int, dict[str, Any], str]:
    """The same in this process, which has everything loaded. An error that the command line does not catch is raised."""
    done = CliRunner().invoke(app, argv[1:])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, json.loads(done.stdout) if done.stdout else {}, done.stderr


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_sound_network_becomes_a_pack_that_proves_itself(given: Path, tmp_path: Path) -> None:
    code, said, err = export(arguments(given, tmp_path, "--variants", "int8,fp32,master"))
    assert code == 0 and said["passed"], err
    pack = art.open_pack(str(tmp_path / "faces"))
    assert pack.variants == ("int8", "fp32", "master") and pack.license == "MIT"
    assert all(one.ok for one in verify(pack))
    record = read_report(tmp_path / "faces.report")
    assert record.passed and record.variant("fp32").score > 0.8
    assert (tmp_path / "faces.report" / "report.html").is_file()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["faces", "faces.report"], "the work folder is gone"
    sizes = {one["variant"]: one["size_mb"] for one in said["variants"]}
    assert sizes["int8"] < 0.4 * sizes["fp32"] and sizes["master"] < 0.4 * sizes["fp32"]
    assert "By group" not in (tmp_path / "faces" / "CARD.md").read_text(encoding="utf-8")
    text = json.dumps(pack.manifest)
    assert str(tmp_path) not in text and str(given) not in text, "nothing of this machine"
    expression = art.FaceExpression(str(tmp_path / "faces"))
    assert expression(np.zeros((24, 24), np.uint8), color="mono8").labels == NAMES


def test_the_card_tells_how_each_group_fares(given: Path, tmp_path: Path) -> None:
    code, _, err = export(arguments(given, tmp_path, "--variants", "fp32", "--data-group", "side"))
    assert code == 0, err
    card = (tmp_path / "faces" / "CARD.md").read_text(encoding="utf-8")
    _, _, section = card.partition("## By group\n")
    section = section.partition("\n## ")[0]
    answers = evaluate.answer_images(
        art.FaceExpression(str(tmp_path / "faces"), precision="fp32"), data := evaluate.read_npz(given / "judge.npz", "side")
    )
    assert data.groups is not None
    slices = answers.by_group(data.groups)
    assert [one.examples for one in slices.groups] == [150, 150]
    for one in slices.groups:
        name = one.group.replace("|", "\\|")
        assert f"| fp32 | {name} | 150 | {one.accuracy:.4g} | {one.macro_f1:.4g} |" in section
    gap = slices.accuracy_gap
    assert gap is not None and f"accuracy is worst for {gap.worst}".replace("|", "\\|") in section


def test_variants_are_derived_from_the_master_in_a_pack(given: Path, tmp_path: Path) -> None:
    code, _, err = export(arguments(given, tmp_path / "made", "--variants", "master"))
    assert code == 0, err
    pack = str(tmp_path / "made" / "faces")
    for to, more in (("fp16,int8-trt", ()), ("fp32,fp16", ("--data", str(given / "judge.npz")))):
        out = tmp_path / to
        code, said, err = export(["export", "derive", pack, "--to", to, "--out", str(out), *more, "-o", "json"])
        assert code == 0 and said["passed"], err
        assert art.open_pack(str(out / "faces")).variants == tuple(to.split(","))
    code, _, err = export(["export", "derive", "xception-fer7", "--to", "fp16", "--out", str(tmp_path / "x")])
    assert code == 1 and "a variant 'master', or a dynamic int8 one, was expected" in err
    code, _, err = export(["export", "derive", pack, "--to", "int9", "--out", str(tmp_path / "x")])
    assert code == 2 and "int9" in err and not (tmp_path / "x").exists()


def test_a_spoiled_network_is_repaired_and_the_report_names_the_layer(given: Path, tmp_path: Path) -> None:
    code, said, err = export(arguments(given, tmp_path, "--variants", "int8,fp32", model="spoiled.onnx"))
    assert code == 0, err
    (int8,) = (one for one in said["variants"] if one["variant"] == "int8")
    assert int8["status"] == "repaired" and int8["drop"] <= 0.01
    record = read_report(tmp_path / "faces.report")
    repaired = record.variant("int8")
    conv = [node.name for node in onnx.load(given / "spoiled.onnx").graph.node if node.op_type == "Conv"]
    assert set(repaired.kept) & {conv[2], conv[3]}
    assert repaired.sensitivity[0].name in (conv[2], conv[3])
    text = (tmp_path / "faces.report" / "report.md").read_text()
    assert repaired.kept[0] in text


def test_what_cannot_be_saved_is_refused_and_the_rest_is_published(given: Path, tmp_path: Path) -> None:
    # No int8 file is a hundredth of its parent's size: a gate that nothing can pass.
    code, said, err = export(arguments(given, tmp_path, "--variants", "int8", "--max-size-ratio", "0.01"))
    assert code == 1 and not said["passed"] and said["pack"] == ""
    assert "int8: size: " in err and not (tmp_path / "faces").exists()
    assert "refused" in (tmp_path / "faces.report" / "report.md").read_text()


def test_a_refusal_leaves_the_pack_that_was_to_be_replaced(given: Path, tmp_path: Path) -> None:
    code, said, err = export(arguments(given, tmp_path, "--variants", "int8,fp32,master"))
    assert code == 0, err
    before = content(tmp_path)
    code, said, err = export(arguments(given, tmp_path, "--variants", "int8,fp32", "--replace", "--max-size-ratio", "0.01"))
    assert code == 1 and said["pack"] == "" and said["kept"] == str(tmp_path / "faces"), err
    after = content(tmp_path)
    assert {name: after[name] for name in before} == before, "pack and report as they were"
    record = read_report(tmp_path / "faces.refused.report")
    assert [(one.name, one.status) for one in record.variants] == [("fp32", "not carried"), ("int8", "refused")]
    text = (tmp_path / "faces.refused.report" / "report.md").read_text()
    assert "Nothing was published of faces" in text and "stays as it was" in text and "is published" not in text
    assert sorted(p.name for p in tmp_path.iterdir()) == ["faces", "faces.refused.report", "faces.report"]
    code, said, err = export(arguments(given, tmp_path, "--variants", "int8", "--replace"))
    assert code == 0 and art.open_pack(str(tmp_path / "faces")).variants == ("int8",), err


def test_the_last_line_says_what_the_pack_holds(given: Path, tmp_path: Path) -> None:
    argv = arguments(given, tmp_path, "--variants", "int8,fp32", "--max-size-ratio", "0.01")
    out, _ = start([*argv[:-1], "table"]).communicate(timeout=300)
    assert out.splitlines()[-1] == f"pack: {tmp_path / 'faces'} holds fp32; int8 was refused and is not in it"


def test_the_reference_is_published_only_where_the_pack_carries_it(given: Path, tmp_path: Path) -> None:
    code, said, err = export(arguments(given, tmp_path, "--variants", "int8"))
    assert code == 0, err
    assert {one["variant"]: one["status"] for one in said["variants"]} == {"fp32": "not carried", "int8": "published"}
    record = read_report(tmp_path / "faces.report")
    assert record.passed and record.variant("fp32").score > 0.8
    text = (tmp_path / "faces.report" / "report.md").read_text()
    assert "Everything passed: the one variant of faces" in text and "fp32 | published" not in text
    inspected = summary(art.open_pack(str(tmp_path / "faces")).manifest, tmp_path / "faces")
    assert inspected.rows[0]["status"] == "published" and not any("cannot be read" in note for note in inspected.notes)


def test_each_step_is_a_line_in_a_pipe(given: Path, tmp_path: Path) -> None:
    code, _, err = export(arguments(given, tmp_path, "--variants", "int8,fp32", model="spoiled.onnx"))
    assert code == 0, err
    lines = [line for line in err.splitlines() if line.endswith(" ...")]
    assert lines[0] == f"reading {given / 'spoiled.onnx'} ..." and lines[1] == "reading judge.npz ..."
    assert "fp32: making and judging it (1 of 2) ..." in lines and "int8: making and judging it (2 of 2) ..." in lines
    assert any(line.startswith("int8: repairing it, since it failed") for line in lines)
    assert lines[-1].startswith("writing the pack") and len(lines) < 12


def test_what_a_killed_export_left_is_cleared_away(given: Path, tmp_path: Path) -> None:
    others = (".other.0123456789ab.tmp", "faces-notes.tmp")
    for name in (".faces.0123456789ab.tmp", ".faces.report.0123456789ab.tmp", *others):
        (tmp_path / name).mkdir()
    code, _, err = export(arguments(given, tmp_path, "--variants", "fp32"))
    assert code == 0, err
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*others, "faces", "faces.report"])


def test_few_examples_are_said_to_prove_little(given: Path, tmp_path: Path) -> None:
    with np.load(given / "judge.npz") as read:
        few = {**read, "images": read["images"][:150], "labels": read["labels"][:150]}
        np.savez(tmp_path / "few.npz", **few)
    argv = arguments(given, tmp_path / "out", "--variants", "fp32")
    code, _, err = export(argv)
    assert code == 0 and "examples judge" not in (tmp_path / "out" / "faces.report" / "report.md").read_text(), "300 do"
    argv[argv.index("--data") + 1] = str(tmp_path / "few.npz")
    code, _, err = export([*argv, "--replace"])
    assert code == 0, err
    assert "Only 150 examples judge: one answer is 0.007" in (tmp_path / "out" / "faces.report" / "report.md").read_text()


def test_a_refused_export_leaves_no_work_folder(given: Path, tmp_path: Path) -> None:
    with np.load(given / "judge.npz") as read:
        np.savez(tmp_path / "mixed.npz", **{**read, "labels": (read["labels"] + 1) % 3})
    argv = arguments(given, tmp_path / "out")
    argv[argv.index("--data") + 1] = str(tmp_path / "mixed.npz")
    code, _, err = export(argv)
    assert code == 1 and "mixed up" in err
    assert list((tmp_path / "out").iterdir()) == []


def test_a_gate_that_is_off_is_named_in_the_report(given: Path, tmp_path: Path) -> None:
    code, _, err = export(arguments(given, tmp_path, "--variants", "int8", "--max-accuracy-drop", "off"))
    assert code == 0, err
    record = read_report(tmp_path / "faces.report")
    off = [finding.gate for finding in record.variant("int8").findings if finding.bound is None]
    assert off == ["accuracy", "latency"]


@pytest.mark.parametrize(
    ("drop", "more", "expected"),
    [
        ("--license", (), "names no licence"),
        ("--data", (), "no labelled data"),
        ("", ("--variants", "int9"), "some of fp32"),
        ("", ("--variants", "int4"), "variants of fp32"),
        ("", ("--name", "NOT GOOD"), "[a-z0-9]"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_written(
    given: Path, tmp_path: Path, drop: str, more: tuple[str, ...], expected: str
) -> None:
    argv = arguments(given, tmp_path, *more)
    if drop:
        place = argv.index(drop)
        del argv[place : place + 2]
    code, _, err = export(argv)
    assert code in (1, 2) and expected in err, err
    assert list(tmp_path.iterdir()) == []


def test_a_pack_that_is_there_is_not_replaced_unasked(given: Path, tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    code, _, err = export(arguments(given, tmp_path))
    assert code == 1 and "--replace" in err and list((tmp_path / "faces").iterdir()) == []


def test_mixed_up_labels_are_found(given: Path, tmp_path: Path) -> None:
    with np.load(given / "judge.npz") as read:
        np.savez(tmp_path / "mixed.npz", **{**read, "labels": (read["labels"] + 1) % 3})
    argv = arguments(given, tmp_path / "out")
    argv[argv.index("--data") + 1] = str(tmp_path / "mixed.npz")
    code, _, err = export(argv)
    assert code == 1 and "upright" in err and not (tmp_path / "out" / "faces").exists()


def test_killed_again_and_again_it_goes_on_to_the_same_bytes(given: Path, tmp_path: Path) -> None:
    more = ("--variants", "int8,fp32,master")
    code, _, err = export(arguments(given, tmp_path / "whole" / "out", *more, model="spoiled.onnx"))
    assert code == 0, err
    argv = arguments(given, tmp_path / "killed" / "out", *more, model="spoiled.onnx")
    work = tmp_path / "killed" / "out" / ".faces.work"
    kills, wanted = 0, (2, 5, 9)
    while kills < len(wanted):
        process = start(argv)
        while process.poll() is None and len(list(work.glob("*"))) < wanted[kills]:
            time.sleep(0.005)
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not (tmp_path / "killed" / "out" / "faces").exists(), "nothing is half-published"
        kills += 1
    assert kills >= 2, "it was killed in the middle"
    code, _, err = export(argv)
    assert code == 0, err
    assert content(tmp_path / "killed" / "out" / "faces") == content(tmp_path / "whole" / "out" / "faces")
    assert not work.exists()
