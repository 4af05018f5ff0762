"""Whole blocks of channels: the same answers, and no padding left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from affectrt_export import runner
from affectrt_export.channel_blocks import BLOCK, blocked
from affectrt_export.onnx_graph import Graph

PACKS = Path(__file__).resolve().parents[2] / "python" / "affectrt" / "packs" / "default"


def conv(graph: Graph, rng: np.random.Generator, source: str, before: int, after: int, side: int = 1, depthwise: bool = False) -> str:
    weight = rng.normal(size=(after, 1 if depthwise else before, side, side)).astype(np.float32)
    bias = rng.normal(size=after).astype(np.float32)
    inputs = [source, graph.constant(weight, "weight"), graph.constant(bias, "bias")]
    pads = [side // 2] * 4
    return graph.add("Conv", inputs, kernel_shape=[side, side], strides=[1, 1], pads=pads, group=after if depthwise else 1)


def network(width: int, narrow: int, wider: int) -> bytes:
    """A stem, a bottleneck whose residual gets more channels, and a head."""
    rng, graph = np.random.default_rng(3), Graph("t")
    stem = graph.add("Relu", [conv(graph, rng, graph.input("image", [1, 3, 6, 8]), 3, width, 3)])
    small = graph.add("Relu", [conv(graph, rng, stem, width, narrow)])
    large = conv(graph, rng, conv(graph, rng, small, narrow, narrow, 3, depthwise=True), narrow, wider)
    amount = np.array([0, 0, 0, 0, 0, wider - width, 0, 0], np.int64)
    padded = graph.add("Pad", [stem, graph.constant(amount, "pads")], mode="constant")
    body = graph.add("Relu", [graph.add("Add", [padded, large])])
    graph.output(graph.add("Transpose", [conv(graph, rng, body, wider, 5)], out="out", perm=[0, 2, 3, 1]), [1, 6, 8, 5])
    return graph.bytes()


def channels(data: bytes) -> list[int]:
    """Output channels of every convolution that is not a head."""
    graph = onnx.load_from_string(data).graph
    weights = {i.name: i.dims[0] for i in graph.initializer}
    heads = {n.input[0] for n in graph.node if n.op_type == "Transpose"}
    return [weights[n.input[1]] for n in graph.node if n.op_type == "Conv" and n.output[0] not in heads]


@pytest.mark.parametrize(("width", "narrow", "wider"), [(32, 8, 48), (24, 8, 28), (28, 12, 40), (16, 16, 64), (4, 36, 100)])
def test_answers_stay(width: int, narrow: int, wider: int) -> None:
    before = network(width, narrow, wider)
    after = blocked(before)
    image = np.random.default_rng(4).normal(size=(1, 3, 6, 8)).astype(np.float32)
    expected, actual = (runner.Onnx(data)({"image": image})["out"] for data in (before, after))
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= 1e-5 * np.abs(expected).max()
    assert all(c % BLOCK == 0 for c in channels(after)) and any(c % BLOCK for c in channels(before)) == bool(width % 16 or narrow % 16)
    assert "Pad" not in {n.op_type for n in onnx.load_from_string(after).graph.node}


def test_the_same_network_gives_the_same_bytes() -> None:
    assert blocked(network(24, 8, 40)) == blocked(network(24, 8, 40))


def test_spatial_padding_is_refused() -> None:
    graph, rng = Graph("t"), np.random.default_rng(3)
    padded = graph.add("Pad", [graph.input("image", [1, 3, 4, 4]), graph.constant(np.array([0, 0, 1, 0, 0, 0, 0, 0], np.int64), "pads")])
    graph.output(graph.add("Transpose", [conv(graph, rng, padded, 3, 5)], out="out", perm=[0, 2, 3, 1]), [1, 5, 4, 5])
    with pytest.raises(ValueError, match="after the channels only"):
        blocked(graph.bytes())


def test_a_residual_without_addition_is_refused() -> None:
    graph, rng = Graph("t"), np.random.default_rng(3)
    stem = conv(graph, rng, graph.input("image", [1, 3, 4, 4]), 3, 16)
    padded = graph.add("Pad", [stem, graph.constant(np.array([0, 0, 0, 0, 0, 16, 0, 0], np.int64), "pads")])
    graph.output(graph.add("Transpose", [conv(graph, rng, graph.add("Relu", [padded]), 32, 5)], out="out", perm=[0, 2, 3, 1]), [1, 4, 4, 5])
    with pytest.raises(ValueError, match="expected one Add"):
        blocked(graph.bytes())


def test_unknown_operators_are_named() -> None:
    graph, rng = Graph("t"), np.random.default_rng(3)
    graph.output(graph.add("Sigmoid", [conv(graph, rng, graph.input("image", [1, 3, 4, 4]), 3, 5)], out="out"), [1, 5, 4, 4])
    with pytest.raises(ValueError, match="Sigmoid"):
        blocked(graph.bytes())


@pytest.mark.parametrize("name", ["blazeface-full-range", "blazeface-short-range"])
def test_the_packs_carry_whole_blocks(name: str) -> None:
    data = (PACKS / name / "model.fp32.onnx").read_bytes()
    assert all(c % BLOCK == 0 for c in channels(data))
    assert "Pad" not in {n.op_type for n in onnx.load_from_string(data).graph.node}
