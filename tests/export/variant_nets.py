"""Small networks and real faces for the tests of variants, and what the tests ask of a file."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from affectrt_export.onnx_graph import Graph
from affectrt_export.runner import Onnx
from onnx import TensorProto, numpy_helper
from PIL import Image
from skimage import data

F32 = npt.NDArray[np.float32]
WIDTH, HEADS, HIDDEN, WORDS = 64, 4, 128, 300


@functools.cache
def xception() -> bytes:
    """The face expression pack's network: image (n, 1, 64, 64) in [-1, 1] to logits (n, 7)."""
    import affectrt

    return (Path(affectrt.__file__).parent / "packs/default/xception-fer7/model.fp32.onnx").read_bytes()


@functools.cache
def faces(count: int = 60, side: int = 64) -> tuple[dict[str, F32], ...]:
    """Real faces, (1, 1, side, side) in [-1, 1]."""
    out = []
    for face in np.asarray(data.lfw_subset()[:count]):
        picture = Image.fromarray((face * 255).astype(np.uint8)).resize((side, side), Image.Resampling.BILINEAR)
        out.append({"image": (np.asarray(picture, np.float32) / 127.5 - 1)[None, None]})
    return tuple(out)


def convnet(seed: int = 0, *, inputs: int = 3, width: int = 16, classes: int = 5, scale: float = 1.0) -> bytes:
    """image (n, inputs, h, w) to logits: plain, depthwise and pointwise convolutions, a residual sum, pooling, a Gemm; biases are zero."""
    rng, g = np.random.default_rng(seed), Graph("convnet")

    def conv(x: str, before: int, after: int, side: int, group: int = 1, **more: Any) -> str:
        weight = rng.normal(0, np.sqrt(2 * group / (before * side * side)), (after, before // group, side, side)).astype(np.float32)
        return g.add("Conv", [x, g.constant(weight * np.float32(scale)), g.constant(np.zeros(after, np.float32))], group=group, **more)

    g.input("image", ["n", inputs, "h", "w"])
    x = g.add("Relu", [conv("image", inputs, width, 3, pads=[1, 1, 1, 1])])
    y = g.add("Relu", [conv(x, width, width, 3, width, pads=[1, 1, 1, 1])])
    y = conv(y, width, width, 1)
    x = g.add("MaxPool", [g.add("Relu", [g.add("Add", [x, y])])], kernel_shape=[2, 2], strides=[2, 2])
    x = g.add("Clip", [conv(x, width, width, 3, strides=[2, 2]), g.constant(np.float32(0)), g.constant(np.float32(6))])
    x = g.add("Flatten", [g.add("GlobalAveragePool", [x])])
    weight = rng.normal(0, 0.5, (classes, width)).astype(np.float32)
    g.add("Gemm", [x, g.constant(weight), g.constant(rng.normal(size=classes).astype(np.float32))], out="logits", transB=1)
    g.output("logits", ["n", classes])
    return g.bytes()


def pictures(count: int = 12, channels: int = 3, height: int = 20, width: int = 20, seed: int = 0) -> list[dict[str, F32]]:
    """Smooth noise, one picture each."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(count, channels, height // 4 + 1, width // 4 + 1)).astype(np.float32)
    fine = coarse.repeat(4, 2).repeat(4, 3)[:, :, :height, :width]
    return [{"image": np.ascontiguousarray(one[None])} for one in fine]


def encoder(seed: int = 0, *, layers: int = 2, gain: float = 1.0, mask: float = -1e9, guard: bool = False) -> bytes:
    """input_ids, attention_mask (n, t) to logits (n, 6), as frameworks write it: separate projections, GELU spelled out.

    gain: of the values that the hidden layers make. mask: what is added to the scores of absent words. guard: PyTorch's guard against rows
    that are masked as a whole.
    """
    rng, g = np.random.default_rng(seed), Graph("encoder")

    def ints(*values: int) -> str:
        return g.constant(np.array(values, np.int64), "ints")

    def dense(x: str, before: int, after: int, size: float = 1.0) -> str:
        weight = g.constant(rng.normal(0, size / np.sqrt(before), (before, after)).astype(np.float32), "weight")
        product = g.add("MatMul", [x, weight])
        return g.add("Add", [product, g.constant(rng.normal(0, 0.1, after).astype(np.float32), "bias")])

    def norm(x: str) -> str:
        scale, bias = np.ones(WIDTH, np.float32), rng.normal(0, 0.1, WIDTH).astype(np.float32)
        return g.add("LayerNormalization", [x, g.constant(scale, "norm"), g.constant(bias, "norm")], axis=-1, epsilon=1e-12)

    def gelu(x: str) -> str:
        bell = g.add("Erf", [g.add("Div", [x, g.constant(np.float32(np.sqrt(2)))])])
        return g.add("Mul", [g.add("Mul", [x, g.add("Add", [bell, g.constant(np.float32(1))])]), g.constant(np.float32(0.5))])

    def attention(x: str) -> str:
        def heads(value: str, perm: Sequence[int]) -> str:
            return g.add("Transpose", [g.add("Reshape", [value, ints(0, 0, HEADS, WIDTH // HEADS)])], perm=list(perm))

        query, key, value = (dense(x, WIDTH, WIDTH) for _ in range(3))
        scores = g.add("MatMul", [heads(query, (0, 2, 1, 3)), heads(key, (0, 2, 3, 1))])
        scores = g.add("Mul", [scores, g.constant(np.float32(1 / np.sqrt(WIDTH / HEADS)))])
        weights = g.add("Softmax", [g.add("Add", [scores, hidden])], axis=-1)
        if guard:
            weights = g.add("Where", [g.add("IsNaN", [weights]), g.constant(np.float32(0)), weights])
        seen = g.add("Transpose", [g.add("MatMul", [weights, heads(value, (0, 2, 1, 3))])], perm=[0, 2, 1, 3])
        return dense(g.add("Reshape", [seen, ints(0, 0, WIDTH)]), WIDTH, WIDTH)

    g.input("input_ids", ["n", "t"], TensorProto.INT64)
    g.input("attention_mask", ["n", "t"], TensorProto.INT64)
    there = g.add("Unsqueeze", [g.add("Cast", ["attention_mask"], to=TensorProto.BOOL), ints(1, 2)])
    hidden = g.add("Where", [there, g.constant(np.float32(0)), g.constant(np.float32(mask))])
    x = norm(g.add("Gather", [g.constant(rng.normal(size=(WORDS, WIDTH)).astype(np.float32), "words"), "input_ids"]))
    for _ in range(layers):
        x = norm(g.add("Add", [x, attention(x)]))
        x = norm(g.add("Add", [x, dense(gelu(dense(x, WIDTH, HIDDEN, gain)), HIDDEN, WIDTH)]))
    first = g.add("Reshape", [g.add("Gather", [x, ints(0)], axis=1), ints(-1, WIDTH)])
    g.add("Gemm", [first, g.constant(rng.normal(0, 0.2, (WIDTH, 6)).astype(np.float32), "head")], out="logits")
    g.output("logits", ["n", 6])
    return g.bytes()


def sentences(count: int = 12, seed: int = 0) -> list[dict[str, npt.NDArray[np.int64]]]:
    """Random words, the second half of them in pairs of which one is shorter."""
    rng, out = np.random.default_rng(seed), []
    for i in range(count):
        length = int(rng.integers(3, 14))
        ids = rng.integers(1, WORDS, (1 if i < count // 2 else 2, length))
        mask = np.ones_like(ids)
        mask[1:, length // 2 :] = 0
        out.append({"input_ids": ids, "attention_mask": mask})
    return out


def answers(model: bytes, feeds: Sequence[Mapping[str, npt.NDArray[Any]]]) -> F32:
    """logits of all examples, one under the other."""
    network = Onnx(model)
    return np.concatenate([network(one)["logits"] for one in feeds])


def error(model: bytes, other: bytes, feeds: Sequence[Mapping[str, npt.NDArray[Any]]]) -> float:
    """Relative RMS error of the logits of `other`."""
    reference = answers(model, feeds)
    return float(np.sqrt(np.square(answers(other, feeds) - reference).mean() / np.square(reference).mean()))


def graph(model: bytes) -> onnx.GraphProto:
    """The graph of a file."""
    return onnx.load_from_string(model).graph


def constants(model: bytes) -> dict[str, npt.NDArray[Any]]:
    """Constants of a file by name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph(model).initializer}


def changed(model: bytes, name: str, value: npt.NDArray[Any]) -> bytes:
    """The same with another value of a constant."""
    proto = onnx.load_from_string(model)
    tensor = next(tensor for tensor in proto.graph.initializer if tensor.name == name)
    tensor.CopyFrom(numpy_helper.from_array(value, name))
    return proto.SerializeToString(deterministic=True)


def layer(model: bytes, op: str, which: int = 0) -> onnx.NodeProto:
    """The n-th node of an operator that has a constant weight."""
    known = {tensor.name for tensor in graph(model).initializer}
    return [node for node in graph(model).node if node.op_type == op and len(node.input) > 1 and node.input[1] in known][which]
