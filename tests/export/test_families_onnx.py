"""ONNX files with a contract, and PyTorch modules by a recipe of the user's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import checkpoints
import numpy as np
import onnx
import pytest
from affectrt_export import families, runner
from affectrt_export.families import Options, onnx_file
from affectrt_export.parity import parity
from affectrt_export.spec import Bounds, ExportError
from onnx import TensorProto, helper, numpy_helper

FACE: dict[str, Any] = {
    "name": "mine",
    "task": "face-expression",
    "license": {"code": "MIT", "weights": "MIT"},
    "inputs": [
        {
            "tensor": "image",
            "kind": "image",
            "layout": "nchw",
            "color": "gray",
            "width_px": 8,
            "height_px": 8,
            "mean": [127.5],
            "scale": [0.0078],
            "pad_value": [0.0],
            "fit": "stretch",
            "dynamic_batch": True,
        }
    ],
    "outputs": [{"tensor": "logits", "kind": "logits", "shape": [-1, 2]}],
    "decode": {"kind": "softmax", "temperature": 1.0, "thresholds": [], "unknown_below": 0.0},
    "labels": [{"name": "happy", "valence": 0.5, "arousal": 0.1}, {"name": "odd", "valence": 0, "arousal": 0}],
}


def face_onnx(path: Path, *, batch: int | str = "n", opset: int = 17, inside: int | None = None) -> Path:
    """A convolution and a product, no node named, the shape as a Constant, weights listed as inputs too: as old exporters write them."""
    rng = np.random.default_rng(0)
    rows = -1 if inside is None else inside
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["a"], kernel_shape=[8, 8]),
        helper.make_node("Constant", [], ["shape"], value=numpy_helper.from_array(np.array([rows, 3], np.int64), "shape")),
        helper.make_node("Reshape", ["a", "shape"], ["b"]),
        helper.make_node("MatMul", ["b", "head.weight"], ["logits"]),
    ]
    weights = [
        numpy_helper.from_array(rng.normal(size=(3, 1, 8, 8)).astype(np.float32), "w"),
        numpy_helper.from_array(rng.normal(size=(3, 2)).astype(np.float32), "head.weight"),
    ]
    inputs = [
        helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 1, 8, 8]),
        helper.make_tensor_value_info("w", TensorProto.FLOAT, [3, 1, 8, 8]),
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, 2])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


def contract(folder: Path, **changes: Any) -> Path:
    path = folder / "contract.json"
    path.write_text(json.dumps({key: value for key, value in {**FACE, **changes}.items() if value is not None}))
    return path


def test_an_onnx_file_with_its_contract(tmp_path: Path) -> None:
    read = families.read(face_onnx(tmp_path / "m.onnx"), options=Options(contract=contract(tmp_path)))
    assert (read.family, read.name, read.license, read.reference) == ("onnx", "mine", "MIT", None)
    assert [label["dominance"] for label in read.contract.labels] == [0.46, 0.0] and read.contract.labels[0]["valence"] == 0.5
    assert read.source[0]["origin"] == "file: m.onnx" and len(read.source[0]["sha256"]) == 64
    graph = onnx.load_from_string(read.onnx).graph
    assert [node.name for node in graph.node] == ["w/Conv", "shape/Reshape", "head/MatMul"] and [v.name for v in graph.input] == ["image"]
    x = np.random.default_rng(1).normal(size=(3, 1, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(
        runner.Onnx(read.onnx)({"image": x})["logits"], runner.Onnx((tmp_path / "m.onnx").read_bytes())({"image": x})["logits"]
    )
    (found,) = parity(read, [{"image": x}], Bounds())
    assert found.passed and found.bound is None


def test_a_batch_of_one_is_set_free_if_that_is_right(tmp_path: Path) -> None:
    options = Options(contract=contract(tmp_path))
    read = families.read(face_onnx(tmp_path / "m.onnx", batch=1), options=options)
    x = np.random.default_rng(1).normal(size=(3, 1, 8, 8)).astype(np.float32)
    assert runner.Onnx(read.onnx)({"image": x})["logits"].shape == (3, 2)
    with pytest.raises(ExportError, match="computes with a batch of 1 inside"):
        families.read(face_onnx(tmp_path / "fixed.onnx", batch=1, inside=1), options=options)
    with pytest.raises(ExportError, match=r"a free batch, or one of 1, was expected, the network takes \[4\]"):
        families.read(face_onnx(tmp_path / "four.onnx", batch=4), options=options)


def test_an_old_opset_is_converted(tmp_path: Path) -> None:
    read = families.read(face_onnx(tmp_path / "m.onnx", opset=11), options=Options(contract=contract(tmp_path)))
    assert onnx.load_from_string(read.onnx).opset_import[0].version == onnx_file.NEW_OPSET


def test_data_outside_the_file_is_taken_in(tmp_path: Path) -> None:
    face_onnx(tmp_path / "one.onnx")
    proto = onnx.load(tmp_path / "one.onnx")
    onnx.save(proto, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    assert (tmp_path / "m.data").stat().st_size > 0
    read = families.read(tmp_path / "m.onnx", options=Options(contract=contract(tmp_path)))
    assert read.onnx == families.read(tmp_path / "one.onnx", options=Options(contract=contract(tmp_path))).onnx
    (tmp_path / "m.data").unlink()
    with pytest.raises(ExportError, match=r"m.onnx: an ONNX file was expected"):
        families.read(tmp_path / "m.onnx", options=Options(contract=contract(tmp_path)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"decode": None}, "missing: decode"),
        (
            {"task": "face-detection"},
            "the task face-expression or text-emotion or text-span or text-pair was expected, got 'face-detection'",
        ),
        ({"labels": [{"name": "a", "valence": 0, "arousal": 0}]}, "2 labels were expected, one an output of the network, got 1"),
        ({"labels": [{"valence": 0}]}, r"the keys of docs/pack-format.md were expected, got a problem at KeyError\('name'\)"),
        ({"outputs": []}, "the keys of docs/pack-format.md were expected"),
        ({"inputs": [{**FACE["inputs"][0], "width_px": 9}]}, r"the contract says \(n, 1, 8, 9\)"),
    ],
)
def test_a_contract_that_does_not_fit(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ExportError, match=words):
        families.read(face_onnx(tmp_path / "m.onnx"), options=Options(contract=contract(tmp_path, **changes)))


def test_no_contract_and_no_onnx(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"file: m.onnx: an ONNX file does not say how to feed it"):
        families.read(face_onnx(tmp_path / "m.onnx"))
    (tmp_path / "bad.onnx").write_bytes(b"\x80\x04pickle")
    with pytest.raises(ExportError, match=r"bad.onnx: an ONNX file was expected"):
        families.read(tmp_path / "bad.onnx", options=Options(contract=contract(tmp_path)))


def test_the_tokenizer_beside_the_contract(tmp_path: Path) -> None:
    words = checkpoints.tokenizer("[CLS]", "[SEP]", "[PAD]", "[UNK]", pad_id=0)
    (tmp_path / "tokenizer.json").write_bytes(words)
    entry = {"tensor": "ids", "kind": "text", "tokenizer": "tokenizer.json", "max_tokens": 8, "mask_tensor": "mask"}

    def text(rows: int, name: str = "tokenizer.json") -> Options:
        nodes = [
            helper.make_node("Gather", ["table", "ids"], ["a"]),
            helper.make_node("Cast", ["mask"], ["m"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["m", "two"], ["u"]),
            helper.make_node("Mul", ["a", "u"], ["b"]),
            helper.make_node("ReduceMean", ["b"], ["logits"], axes=[1], keepdims=0),
        ]
        table = numpy_helper.from_array(np.random.default_rng(0).normal(size=(rows, 2)).astype(np.float32), "table")
        sizes = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"]) for name in ("ids", "mask")]
        outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2])]
        graph = helper.make_graph(nodes, "g", sizes, outputs, [table, numpy_helper.from_array(np.array([2]), "two")])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
        return Options(contract=contract(tmp_path, task="text-emotion", inputs=[{**entry, "tokenizer": name}]))

    read = families.read(tmp_path / "m.onnx", options=text(64))
    assert json.loads(read.contract.files["tokenizer.json"])["padding"] is None
    with pytest.raises(ExportError, match=r"wrong tokenizer: it gives ids up to .* has 5 rows"):
        families.read(tmp_path / "m.onnx", options=text(5))
    for name in ("absent.json", "../tokenizer.json"):
        with pytest.raises(ExportError, match="was expected beside it, there is none"):
            families.read(tmp_path / "m.onnx", options=text(64, name))


RECIPE = """
import torch
from affectrt_export.families import Recipe
from affectrt_export.spec import Contract

CONTRACT = {contract!r}

def recipe():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 2))
    said = Contract(*(CONTRACT[key] for key in ("task", "inputs", "outputs", "decode", "labels")))
    return Recipe(module, {{"image": torch.zeros(2, 1, 8, 8)}}, said, convolutional=True, license="MIT")

def spoiled():
    made = recipe()
    made.module[0].weight.data[0] = float("nan")
    return made

def broken():
    raise KeyError("weights.pt")

def nothing():
    return None
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(RECIPE.format(contract=FACE))
    return path


def test_a_module_by_a_recipe(mine: Path) -> None:
    read = families.read(mine)
    assert (read.family, read.name, read.license, read.convolutional) == ("recipe", "mine", "MIT", True)
    assert read.source == [{"what": "weights", "origin": "recipe: mine.py", "license": "MIT"}]
    assert onnx.load_from_string(read.onnx).graph.node[0].name == "0/Conv"
    rows = np.random.default_rng(0).normal(size=(4, 1, 8, 8)).astype(np.float32)
    assert all(finding.passed for finding in parity(read, [{"image": row[None]} for row in rows], Bounds()))


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (":absent", "a function absent was expected, there is none"),
        (":broken", "the recipe failed: KeyError: 'weights.pt'"),
        (":nothing", "nothing was expected to return a Recipe, got NoneType"),
        (":spoiled", r"0.weight \(9 NaN"),
    ],
)
def test_a_recipe_that_gives_none(mine: Path, end: str, words: str) -> None:
    with pytest.raises(ExportError, match=words):
        families.read(f"{mine}{end}")


def test_a_recipe_in_a_module(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(mine.parent))
    mine.rename(mine.with_name("my_recipes_of_faces.py"))
    with pytest.raises(ExportError, match="the recipe failed: KeyError"):
        families.read("my_recipes_of_faces:broken")
    with pytest.raises(ExportError, match="the recipe failed: ModuleNotFoundError"):
        families.read("no_such_module:recipe")


def test_weights_alone_do_not_say_their_network(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").touch()
    with pytest.raises(ExportError, match="weights alone do not say their network"):
        families.read(tmp_path / "w.safetensors")
