"""Image classifiers of transformers: the ONNX answers as transformers does, and a pack's preprocessing is that of its processors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import checkpoints
import numpy as np
import onnx
import pytest
from affectrt_export import families, reference, runner
from affectrt_export.families import picture
from affectrt_export.families.network import middle
from affectrt_export.parity import parity
from affectrt_export.spec import Bounds, ExportError

TIGHT = Bounds(parity_max=1e-5, parity_mean=1e-5, parity_cosine=0.999999)
CONVOLUTIONAL = {"vit": False, "deit": False, "swin": False, "efficientnet": True, "resnet": True, "convnext": True}


@pytest.mark.parametrize("kind", CONVOLUTIONAL)
def test_the_onnx_answers_as_transformers_does_alone_and_in_a_batch(tmp_path: Path, kind: str) -> None:
    model = families.read(checkpoints.image(tmp_path / "m", kind))
    assert model.family == "image" and model.convolutional == CONVOLUTIONAL[kind]
    assert model.contract.task == "face-expression" and model.contract.names == checkpoints.LABELS
    (entry,) = model.contract.inputs
    batch = np.random.default_rng(7).normal(size=(5, 3, entry["height_px"], entry["width_px"])).astype(np.float32)
    found = parity(model, [{"image": row[None]} for row in batch], TIGHT)
    assert len(found) == 3 and all(finding.passed for finding in found), found
    network = runner.Onnx(model.onnx)
    single = np.concatenate([network({"image": row[None]})["logits"] for row in batch])
    assert single.std(0).min() > 1e-4, "outputs that do not depend on the picture would prove nothing"
    np.testing.assert_allclose(network({"image": batch})["logits"], single, rtol=1e-4, atol=1e-5)
    graph = onnx.load_from_string(model.onnx).graph
    biases = [node.input[2] for node in graph.node if node.op_type in ("Conv", "Gemm") and len(node.input) > 2]
    assert len(biases) == len(set(biases)) and all(node.name for node in graph.node)
    if kind in ("resnet", "efficientnet"):
        assert not any(node.op_type == "BatchNormalization" for node in graph.node)
        assert not any(part in node.name for node in graph.node for part in ("bn", "normalization")), "a convolution has its own name"


BASE = {
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.25, 0.5],
    "resample": 2,
    "rescale_factor": 1 / 255,
}
SQUARE = {"size": {"height": 32, "width": 32}}


@pytest.mark.parametrize(
    ("processor", "config"),
    [
        ("ViT", SQUARE),
        ("ViT", {**SQUARE, "do_normalize": False}),
        ("ConvNext", {"size": {"shortest_edge": 28}, "crop_pct": 0.875}),
        ("EfficientNet", {**SQUARE, "include_top": True, "rescale_offset": False}),
        ("EfficientNet", {**SQUARE, "include_top": False, "rescale_offset": True, "rescale_factor": 1 / 127.5}),
        ("Bit", {"size": {"shortest_edge": 32}, "do_center_crop": True, "crop_size": {"height": 24, "width": 24}}),
    ],
)
def test_preprocessing_is_what_the_processor_does(processor: str, config: dict[str, Any]) -> None:
    import transformers

    said = {**BASE, **config}
    frame = (
        np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    )  # of the size that it is resized to: nothing is resampled
    wanted = getattr(transformers, f"{processor}ImageProcessorPil")(**said)(frame, return_tensors="np")["pixel_values"]
    how = picture.of_transformers({**said, "image_processor_type": f"{processor}ImageProcessor"}, 3, families.Options())
    tensor = reference.image_tensor(frame, "rgb8", how.contract("image", families.Options()))
    np.testing.assert_allclose(middle(tensor, how), wanted, atol=5e-6)


def test_what_was_assumed_is_said() -> None:
    config = {**BASE, "size": {"shortest_edge": 28}, "crop_pct": 0.875, "image_processor_type": "ConvNextImageProcessor", "resample": 3}
    how = picture.of_transformers(config, 3, families.Options())
    notes = " ".join(how.all_notes(families.Options()))
    assert "bicubic" in notes and "middle 87.5%" in notes and "1.2 times the detected box" in notes
    crop = {"kind": "box", "scale": 1.0, "shift_x": 0.0, "shift_y": 0.0, "square": True, "rotate": False}
    own = families.Options(crop=crop)
    assert how.contract("image", own)["crop"] == crop and "1.2 times" not in " ".join(how.all_notes(own))


def test_the_users_word_goes_before_the_file() -> None:
    options = families.Options(mean=(0.1, 0.2, 0.3), std=(0.5,), size_px=20)
    how = picture.of_transformers({**BASE, **SQUARE}, 3, options)
    assert (how.side_px, how.inner_px) == (20, 20)
    np.testing.assert_allclose(how.mean, (25.5, 51, 76.5))
    np.testing.assert_allclose(how.scale, [1 / 127.5] * 3)
    assert picture.of_transformers({}, 3, options) == how


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "preprocessor_config.json was expected, there is none"),
        ({**BASE}, "a size was expected"),
        ({**BASE, "size": {"height": 32, "width": 24}}, "a square size was expected"),
        ({**BASE, "size": "big"}, "a number of pixels was expected as size, got 'big'"),
        ({**BASE, **SQUARE, "image_mean": None}, "image_mean: 3 numbers were expected"),
        ({**BASE, **SQUARE, "image_std": [0.1, 0.0, 0.1]}, "image_std: numbers over 0"),
        ({**BASE, "size": 20, "do_center_crop": True, "crop_size": 24}, "a crop_size of at most size was expected, got 24 of 20"),
    ],
)
def test_preprocessing_that_no_pack_can_say(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ExportError, match=words):
        picture.of_transformers(config, 3, families.Options())


def test_pictures_of_another_size_than_the_network_has_places_for(tmp_path: Path) -> None:
    folder = checkpoints.image(tmp_path / "m", "vit")
    checkpoints.edit(folder / "preprocessor_config.json", size={"height": 48, "width": 48})
    with pytest.raises(ExportError, match=r"makes pictures of 48 px, config.json says image_size 32"):
        families.read(folder)


def test_weights_that_are_not_numbers(tmp_path: Path) -> None:
    folder = checkpoints.image(tmp_path / "m", "resnet")
    checkpoints.spoil(folder / "model.safetensors", "resnet.embedder.embedder.convolution.weight", float("inf"))
    with pytest.raises(ExportError, match=r"resnet.embedder.embedder.convolution.weight \(0 NaN, 1 infinite"):
        families.read(folder)


def test_a_face_model_is_no_text_model(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="a model for face-expression, the task text-emotion was asked for"):
        families.read(checkpoints.image(tmp_path / "m", "vit"), options=families.Options(task="text-emotion"))
