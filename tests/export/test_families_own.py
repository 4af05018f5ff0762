"""The two networks of affectrt's own trainings, untrained."""

from __future__ import annotations

from pathlib import Path

import checkpoints
import numpy as np
import onnx
import pytest
from affectrt.labels import FER7, GOEMOTIONS
from affectrt_export import families, runner
from affectrt_export.parity import parity
from affectrt_export.spec import Bounds, ExportError, Feeds, Model

TIGHT = Bounds(parity_max=1e-4, parity_mean=1e-5, parity_cosine=0.999999)
ROWS = ([2, 9, 8, 3], [2, 3], [2, 5, 6, 7, 8, 9, 10, 11, 12, 3], [2, 14, 3])


def feeds() -> list[Feeds]:
    return [{"input_ids": np.array([row]), "attention_mask": np.ones((1, len(row)), np.int64)} for row in ROWS]


def run(model: bytes) -> np.ndarray:
    network = runner.Onnx(model)
    return np.concatenate([network(feed)["logits"] for feed in feeds()])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.minilm(tmp_path_factory.mktemp("hub") / "minilm")


@pytest.fixture(scope="module")
def text(folder: Path) -> Model:
    return families.read(folder)


def test_the_text_network(text: Model) -> None:
    assert text.family == "affect-minilm" and text.contract.multi_label and text.contract.names == GOEMOTIONS and not text.notes
    assert len(text.contract.decode["thresholds"]) == 28 and text.contract.inputs[0]["max_tokens"] == 40
    found = parity(text, feeds(), TIGHT)
    assert all(finding.passed for finding in found), found
    single = run(text.onnx)
    assert single.std(0).min() > 1e-3
    width = max(map(len, ROWS)) + 2
    ids, mask = np.zeros((len(ROWS), width), np.int64), np.zeros((len(ROWS), width), np.int64)
    for i, row in enumerate(ROWS):
        ids[i, : len(row)], mask[i, : len(row)] = row, 1
    np.testing.assert_allclose(runner.Onnx(text.onnx)({"input_ids": ids, "attention_mask": mask})["logits"], single, rtol=1e-3, atol=1e-4)


def test_its_layers_have_the_names_of_the_checkpoint(text: Model) -> None:
    graph = onnx.load_from_string(text.onnx).graph
    products = [node.name for node in graph.node if node.op_type == "MatMul" and node.input[1].endswith(".weight")]
    parts = ("attention.self.qkv", "attention.output.dense", "intermediate.dense", "output.dense")
    assert products == [f"encoder.layer.{i}.{part}/MatMul" for i in range(6) for part in parts]
    assert graph.node[-1].name == "head/Gemm" and len({node.name for node in graph.node}) == len(graph.node)


def test_its_int8_keeps_the_layers_it_is_told_to(text: Model) -> None:
    make = text.makers["int8"]
    right = run(text.onnx)

    def made(*keep: str) -> tuple[bytes, float]:
        model = make(text.onnx, [], frozenset(keep))
        assert make(text.onnx, [], frozenset(keep)) == model
        return model, float(np.sqrt(np.square(run(model) - right).mean()))

    every = [node.name for node in onnx.load_from_string(text.onnx).graph.node]
    plain, error = made()
    assert 0 < error < 0.1 * right.std()
    assert count(plain, "QAttention") == 6 and count(plain, "DynamicQuantizeMatMul") == 18
    one, _ = made("encoder.layer.0.attention.self.qkv/MatMul")
    assert count(one, "QAttention") == 5 and count(one, "DynamicQuantizeMatMul") == 18 and len(one) > len(plain)
    assert made("encoder.layer.0.attention.self/Softmax")[0] == one  # attention is one operator with its product
    two, _ = made("encoder.layer.5.output.dense/MatMul", "encoder.layer.1.intermediate.dense/MatMul")
    assert count(two, "QAttention") == 6 and count(two, "DynamicQuantizeMatMul") == 16
    words, _ = made("embeddings.word_embeddings/Gather")
    assert count(words, "DynamicQuantizeMatMul") == 18 and len(words) > len(plain)
    whole, left = made(*every)
    assert count(whole, "QAttention") == count(whole, "DynamicQuantizeMatMul") == 0 and left < 0.01 * error
    with pytest.raises(ExportError, match=r"it has not encoder.layer.9"):
        made("encoder.layer.9.output.dense/MatMul")


def count(model: bytes, op: str) -> int:
    return sum(node.op_type == op for node in onnx.load_from_string(model).graph.node)


def test_other_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    lost = {name: value for name, value in weights.items() if name != "encoder.layer.3.output.dense.bias"}
    save_file(lost, tmp_path / "model.safetensors")
    with pytest.raises(ExportError, match=r"encoder.layer.3.output.dense.bias"):
        families.read(tmp_path)
    weights["head.bias"][3] = float("nan")
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(ExportError, match=r"head.bias \(1 NaN"):
        families.read(tmp_path)


def test_the_face_network(tmp_path: Path) -> None:
    model = families.read(checkpoints.fernet(tmp_path / "m"))
    assert model.family == "affect-fernet" and model.convolutional and model.contract.names == FER7 and not model.notes
    (entry,) = model.contract.inputs
    assert (entry["color"], entry["width_px"], entry["height_px"], entry["mean"]) == ("gray", 48, 48, [127.5])
    assert entry["scale"] == [1 / 127.5] and entry["crop"]["kind"] == "key_points"
    # The pack of 64 px before it had these points; the right half is the left one mirrored.
    points = np.array(entry["crop"]["template"])
    np.testing.assert_allclose(points[[0, 2, 3, 4]] / 0.75, [[20.4, 25.7], [32.0, 38.3], [32.0, 48.3], [9.3, 30.5]], atol=1e-9)
    np.testing.assert_allclose(points[[0, 4], 0] + points[[1, 5], 0], 48.0)
    batch = np.random.default_rng(1).normal(size=(3, 1, 48, 48)).astype(np.float32)
    found = parity(model, [{"image": row[None]} for row in batch], TIGHT)
    assert all(finding.passed for finding in found), found
    assert runner.Onnx(model.onnx)({"image": batch})["logits"].std(0).min() > 1e-3


def test_a_face_network_of_another_size(tmp_path: Path) -> None:
    folder = checkpoints.fernet(tmp_path / "m")
    checkpoints.edit(folder / "config.json", image_size=64)
    with pytest.raises(ExportError, match="image_size 48 and num_channels 1 were expected, got 64 and 1"):
        families.read(folder)
