"""PyTorch to ONNX: names, biases, free sizes, the same bytes in another process, and errors that name the layer."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from affectrt_export import runner
from affectrt_export.spec import ExportError
from affectrt_export.to_onnx import export
from onnx import numpy_helper
from torch import nn


class Wrapped(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network(x)


class Body(nn.Module):
    """Two convolutions whose biases are equal, each before a batch normalisation that makes them so: the exporter merges them."""

    def __init__(self, last: nn.Module) -> None:
        super().__init__()
        self.first, self.second = (nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2)) for _ in range(2))
        self.last = last
        self.head = nn.Linear(2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.second(torch.relu(self.first(x))))
        return self.head(self.last(x).mean((2, 3)))


def network(last: nn.Module | None = None) -> nn.Module:
    torch.manual_seed(3)
    body = Body(last or nn.Identity())
    with torch.no_grad():
        for stage in (body.first, body.second):
            stage[0].bias.fill_(0.25)
            stage[1].running_mean.fill_(0.5)
            stage[1].running_var.fill_(0.7)
    return Wrapped(body).eval()


def made(module: nn.Module) -> bytes:
    return export(module, {"x": torch.zeros(2, 2, 6, 6)}, ["y"], {"x": {0: "n"}})


def test_equal_biases_are_one_each_and_layers_have_their_names() -> None:
    module = network()
    model = made(module)
    graph = onnx.load_from_string(model).graph
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert [node.name for node in convolutions] == ["first.0/Conv", "second.0/Conv"]
    assert [list(node.input[1:]) for node in convolutions] == [["first.0.weight", "first.0.bias"], ["second.0.weight", "second.0.bias"]]
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    np.testing.assert_array_equal(weights["first.0.bias"], weights["second.0.bias"])  # else this test shows nothing
    x = np.random.default_rng(0).normal(size=(5, 2, 6, 6)).astype(np.float32)
    with torch.inference_mode():
        wanted = module(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(runner.Onnx(model)({"x": x})["y"], wanted, rtol=1e-5, atol=1e-6)


def test_the_same_bytes_in_another_process() -> None:
    code = "import hashlib, test_families_export as t; print(hashlib.sha256(t.made(t.network())).hexdigest())"
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [hashlib.sha256(made(network())).hexdigest()]
    assert b"/" + Path(__file__).name.encode() not in made(network()) and b"site-packages" not in made(network())


class Bessel(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.special.bessel_j0(x)


class Branch(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


class Cond(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, lambda a: a + 1, lambda a: a - 1, (x,))


class Fixed(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(2, 2, 6, 6)


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (Bessel(), r"operator prims.bessel_j0.default in layer last has no form in ONNX"),
        (Branch(), r"cannot be traced in layer last: .*data-dependent"),
        (Cond(), r"If in layer last branches on data"),
        (Fixed(), r"the sizes x\[0\] were expected to stay free"),
    ],
)
def test_what_cannot_be_written_is_named_with_its_layer(last: nn.Module, words: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ExportError, match=words):
        made(network(last))
    assert capfd.readouterr().out == ""
