"""timm and HSEmotion. timm itself is no dependency of the tests (it brings torchvision): a stand-in with its few functions takes its place,
so that all of affectrt's own code runs; HSEmotion's ONNX files need no timm."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import checkpoints
import numpy as np
import onnx
import pytest
from affectrt_export import families, runner
from affectrt_export.families import Options
from affectrt_export.families import timm as reading
from affectrt_export.families.hsemotion import EIGHT, SEVEN
from affectrt_export.parity import parity
from affectrt_export.spec import Bounds, ExportError, Model
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file


def network(outputs: int) -> Any:
    import torch

    class Small(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv_stem, self.bn1 = torch.nn.Conv2d(3, 6, 3, 2, bias=False), torch.nn.BatchNorm2d(6)
            self.conv_head = torch.nn.Conv2d(6, 8, 3)
            self.classifier = torch.nn.Linear(8, outputs)
            self.pretrained_cfg = {"classifier": "classifier", "input_size": (3, 20, 20), "mean": (0.5,) * 3, "std": (0.25,) * 3}

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.classifier(torch.relu(self.conv_head(torch.relu(self.bn1(self.conv_stem(x))))).mean((2, 3)))

    return Small()


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("timm")
    module.__dict__.update(
        __version__="1.0",
        is_model=lambda name: name in ("tiny", "tf_efficientnet_b0", "tf_efficientnet_b2"),
        create_model=lambda name, *, pretrained, num_classes=1000: network(num_classes),
    )
    monkeypatch.setitem(sys.modules, "timm", module)


def weights(outputs: int) -> dict[str, Any]:
    made = network(outputs)
    checkpoints.shake(made)
    return {name: value.contiguous() for name, value in made.state_dict().items()}


def hub(folder: Path, **changes: Any) -> Path:
    folder.mkdir()
    save_file(weights(3), folder / "model.safetensors")
    config: dict[str, Any] = {
        "architecture": "tiny",
        "num_classes": 3,
        "label_names": list(checkpoints.LABELS),
        "pretrained_cfg": {
            "input_size": [3, 18, 18],
            "crop_pct": 0.9,
            "interpolation": "bicubic",
            "mean": [0.1, 0.2, 0.3],
            "std": [0.5, 0.5, 1.0],
        },
    }
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    return folder


def same_answers(model: Model) -> None:
    side = model.contract.inputs[0]["width_px"]
    batch = np.random.default_rng(0).normal(size=(3, 3, side, side)).astype(np.float32)
    found = parity(model, [{"image": row[None]} for row in batch], Bounds(parity_max=1e-5, parity_mean=1e-5, parity_cosine=0.999999))
    assert all(finding.passed for finding in found), found
    assert runner.Onnx(model.onnx)({"image": batch})["logits"].std(0).min() > 1e-4


@pytest.mark.usefixtures("timm")
def test_timms_hub_layout(tmp_path: Path) -> None:
    model = families.read(hub(tmp_path / "m"))
    assert (model.family, model.convolutional, model.contract.names) == ("timm", True, checkpoints.LABELS)
    (entry,) = model.contract.inputs
    assert entry["width_px"] == 20  # 18 / 0.9: the middle is cut out inside
    np.testing.assert_allclose(entry["mean"], [25.5, 51, 76.5])
    np.testing.assert_allclose(entry["scale"], [1 / 127.5, 1 / 127.5, 1 / 255])
    assert any("bicubic" in note for note in model.notes) and any("middle 90.0%" in note for note in model.notes)
    same_answers(model)


@pytest.mark.usefixtures("timm")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architecture": "giant"}, "timm 1.0 has no architecture 'giant'"),
        ({"label_names": None}, "names no labels"),
        ({"label_names": ["a"]}, "3 labels were expected, one an output of the network, got 1"),
        ({"model_args": ["x"]}, "model_args was expected to be an object"),
        ({"model_args": {"depth": 3}}, "these weights were expected to be of this network.*depth"),
        ({"pretrained_cfg": {"input_size": [3, 18, 20]}}, "a square input_size was expected"),
    ],
)
def test_a_timm_folder_that_cannot_be_read(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ExportError, match=words):
        families.read(hub(tmp_path / "m", **changes))


@pytest.mark.usefixtures("timm")
def test_weights_of_another_network(tmp_path: Path) -> None:
    folder = hub(tmp_path / "m")
    save_file({"other.bias": weights(3)["classifier.bias"]}, folder / "model.safetensors")
    with pytest.raises(ExportError, match=r"classifier.bias was expected among the weights"):
        families.read(folder)
    save_file({name: value for name, value in weights(3).items() if name != "conv_head.bias"}, folder / "model.safetensors")
    with pytest.raises(ExportError, match=r"expected to be of this network: .*conv_head.bias"):
        families.read(folder)


def test_without_timm_the_command_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ExportError, match=r"pip install timm.*torchvision, up to several GB"):
        families.read(hub(tmp_path / "m"))


def test_a_timm_that_does_not_fit_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        """As torchvision is when it was built for another torch."""

        def find_spec(self, name: str, *_: object) -> None:
            if name == "timm":
                raise RuntimeError("operator torchvision::nms does not exist\nmore")

    monkeypatch.delitem(sys.modules, "timm", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(
        ExportError, match=r"cannot be imported \(operator torchvision::nms does not exist\): torchvision must be the build"
    ):
        reading.library()


@pytest.mark.usefixtures("timm")
@pytest.mark.parametrize(
    ("name", "outputs", "labels"), [("enet_b0_8_best_vgaf", 8, EIGHT), ("enet_b2_7", 7, SEVEN), ("enet_b0_8_va_mtl", 10, EIGHT)]
)
def test_hsemotions_weights(tmp_path: Path, name: str, outputs: int, labels: tuple[str, ...]) -> None:
    # Some of its networks have their last layer inside a sequence of one.
    held = {key.replace("classifier.", "classifier.0."): value for key, value in weights(outputs).items()}
    save_file(held, tmp_path / f"{name}.safetensors")
    model = families.read(tmp_path / f"{name}.safetensors", options=Options(size_px=16, license="Apache-2.0"))
    assert (model.family, model.contract.names, model.license) == ("hsemotion", labels, "Apache-2.0")
    tensors = [(entry["tensor"], entry["kind"], entry["shape"]) for entry in model.contract.outputs]
    assert tensors == [("logits", "logits", [-1, len(labels)])] + ([("valence_arousal", "embedding", [-1, 2])] if outputs == 10 else [])
    assert model.contract.output == "logits" and not any("0 is taken" in note for note in model.notes)
    same_answers(model)


def test_hsemotions_pickled_modules_are_refused_with_the_way_out(tmp_path: Path) -> None:
    import torch

    torch.save(torch.nn.Linear(2, 2), tmp_path / "enet_b2_8.pt")  # a whole module, as its authors save theirs
    with pytest.raises(ExportError, match=r"enet_b2_8.pt: .* pickled Python objects, which can run any code.*save_model"):
        families.read(tmp_path / "enet_b2_8.pt")


def test_nothing_of_a_pickle_runs(tmp_path: Path) -> None:
    import pickle

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    (tmp_path / "enet_b0_8_best_afew.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ExportError, match="a file of tensors was expected"):
        families.read(tmp_path / "enet_b0_8_best_afew.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.usefixtures("timm")
def test_the_number_of_outputs_is_held_against_the_name(tmp_path: Path) -> None:
    save_file(weights(8), tmp_path / "enet_b0_8_va_mtl.safetensors")
    with pytest.raises(ExportError, match="10 outputs were expected by its name, the network has 8"):
        families.read(tmp_path / "enet_b0_8_va_mtl.safetensors")
    save_file(weights(8), tmp_path / "other.safetensors")
    with pytest.raises(ExportError, match="a name like enet_b0_8_best_vgaf was expected"):
        families.read(tmp_path / "other.safetensors", family="hsemotion")


def hsemotion_onnx(path: Path, outputs: int) -> Path:
    """As HSEmotion's ONNX files are: input to one output, a free batch."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["input", "w"], ["a"], strides=[32, 32], name="stem"),
        helper.make_node("GlobalAveragePool", ["a"], ["b"], name="pool"),
        helper.make_node("Flatten", ["b"], ["c"], name="flat"),
        helper.make_node("Gemm", ["c", "v"], ["output"], transB=1, name="head"),
    ]
    held = {"w": rng.normal(size=(16, 3, 3, 3)), "v": rng.normal(size=(outputs, 16))}
    inits = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in held.items()]
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, 224, 224])]
    results = [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", outputs])]
    graph = helper.make_graph(nodes, "g", inputs, results, inits)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8), path)
    return path


@pytest.mark.parametrize(("name", "outputs"), [("enet_b0_8_best_vgaf", 8), ("enet_b0_8_va_mtl", 10)])
def test_hsemotions_onnx(tmp_path: Path, name: str, outputs: int) -> None:
    path = hsemotion_onnx(tmp_path / f"{name}.onnx", outputs)
    model = families.read(path)
    assert (model.family, model.contract.names, model.reference) == ("hsemotion", EIGHT, None)
    (entry,) = model.contract.inputs
    assert (entry["width_px"], entry["color"]) == (224, "rgb")
    np.testing.assert_allclose(entry["mean"], np.array([0.485, 0.456, 0.406]) * 255)
    np.testing.assert_allclose(entry["scale"], 1 / (255 * np.array([0.229, 0.224, 0.225])))
    x = np.random.default_rng(1).normal(size=(2, 3, 224, 224)).astype(np.float32)
    whole = runner.Onnx(path.read_bytes())({"input": x})["output"]
    parts = runner.Onnx(model.onnx)({"image": x})
    np.testing.assert_allclose(parts["logits"], whole[:, :8], rtol=1e-5)
    if outputs == 10:
        np.testing.assert_allclose(parts["valence_arousal"], whole[:, 8:], rtol=1e-5)
    with pytest.raises(ExportError, match="7 outputs were expected by its name"):
        families.read(path.rename(tmp_path / "enet_b2_7.onnx"), options=Options(size_px=224))


def test_timms_configuration_is_read_as_timm_reads_it() -> None:
    how = reading.preprocessing({"input_size": (3, 224, 224), "crop_pct": 0.875}, Options())
    assert (how.side_px, how.inner_px, how.margin_px) == (256, 224, 16)
    squash = reading.preprocessing({"input_size": (3, 224, 224), "crop_pct": 0.875, "crop_mode": "squash"}, Options())
    assert (squash.side_px, squash.inner_px) == (224, 224)
    with pytest.raises(ExportError, match="an input_size was expected"):
        reading.preprocessing({}, Options())
    assert reading.preprocessing({}, Options(size_px=16)).side_px == 16
