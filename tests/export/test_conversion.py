"""The converters against plain NumPy, operator by operator, on small arrays."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from affectrt_export import keras_to_onnx, minilm, quantize, runner, tflite_reader, tflite_to_onnx
from affectrt_export.onnx_graph import Graph

RNG = np.random.default_rng(5)


def options(**values: Any) -> SimpleNamespace:
    """TFLite's option tables are read through methods."""
    return SimpleNamespace(**{name: (lambda value=value: value) for name, value in values.items()})


def convert(operators: list[tflite_reader.Operator], constants: dict[int, Any], shapes: dict[int, Any], out: int, **more: Any) -> Any:
    network = tflite_reader.Network([0], [out], shapes, operators, constants)
    dims = shapes[out][1:]
    dims = (dims[2], dims[0], dims[1]) if len(dims) == 3 and more.get("first", True) else dims
    built = tflite_to_onnx._Converter(network, "t", {0: ("out", dims)}, "x", None, more.get("first", True), False)
    return runner.Onnx(built.graph.bytes())


def convolve(x: Any, weight: Any, stride: int, depthwise: bool) -> Any:
    """NHWC, SAME as TensorFlow means it; weight (out, kh, kw, in) or (1, kh, kw, channels)."""
    n, h, w, _ = x.shape
    k = weight.shape[1]
    oh, ow = -(-h // stride), -(-w // stride)
    ph, pw = max((oh - 1) * stride + k - h, 0), max((ow - 1) * stride + k - w, 0)
    padded = np.pad(x, ((0, 0), (ph // 2, ph - ph // 2), (pw // 2, pw - pw // 2), (0, 0)))
    out = np.zeros((n, oh, ow, weight.shape[3] if depthwise else weight.shape[0]), np.float32)
    for i in range(oh):
        for j in range(ow):
            patch = padded[:, i * stride : i * stride + k, j * stride : j * stride + k]
            out[:, i, j] = (patch * weight).sum((1, 2)) if depthwise else np.tensordot(patch, weight, ((1, 2, 3), (1, 2, 3)))
    return out


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize(("stride", "kernel"), [(1, 3), (2, 3), (2, 2), (2, 5)])
def test_convolution_same(stride: int, kernel: int, depthwise: bool) -> None:
    x = RNG.normal(size=(1, 6, 8, 3)).astype(np.float32)
    weight = RNG.normal(size=(1, kernel, kernel, 3) if depthwise else (4, kernel, kernel, 3)).astype(np.float32)
    expected = convolve(x, weight, stride, depthwise)
    bias = RNG.normal(size=expected.shape[3]).astype(np.float32)
    table = options(
        StrideH=stride, StrideW=stride, Padding=0, DilationHFactor=1, DilationWFactor=1, FusedActivationFunction=1, DepthMultiplier=1
    )
    op = tflite_reader.Operator("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [0, 1, 2], [3], table)
    run = convert([op], {1: weight, 2: bias}, {0: x.shape, 1: weight.shape, 2: bias.shape, 3: expected.shape}, 3)
    out = run({"x": np.ascontiguousarray(x.transpose(0, 3, 1, 2))})["out"].transpose(0, 2, 3, 1)
    assert np.allclose(out, np.maximum(expected + bias, 0), atol=1e-5)


def test_spatial_padding_is_folded_and_channel_padding_is_kept() -> None:
    x = RNG.normal(size=(1, 4, 4, 2)).astype(np.float32)
    spatial, channel = np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32), np.array([[0, 0], [0, 0], [0, 0], [0, 3]], np.int32)
    weight, bias = RNG.normal(size=(2, 3, 3, 2)).astype(np.float32), np.zeros(2, np.float32)
    table = options(StrideH=1, StrideW=1, Padding=1, DilationHFactor=1, DilationWFactor=1, FusedActivationFunction=0)
    ops = [
        tflite_reader.Operator("PAD", [0, 1], [2], None),
        tflite_reader.Operator("CONV_2D", [2, 3, 4], [5], table),
        tflite_reader.Operator("PAD", [5, 6], [7], None),
    ]
    shapes = {0: (1, 4, 4, 2), 1: (4, 2), 2: (1, 6, 6, 2), 3: weight.shape, 4: (2,), 5: (1, 4, 4, 2), 6: (4, 2), 7: (1, 4, 4, 5)}
    run = convert(ops, {1: spatial, 3: weight, 4: bias, 6: channel}, shapes, 7)
    out = run({"x": np.ascontiguousarray(x.transpose(0, 3, 1, 2))})["out"].transpose(0, 2, 3, 1)
    assert np.allclose(out[..., :2], convolve(x, weight, 1, False), atol=1e-5) and (out[..., 2:] == 0).all()


def test_unknown_operators_are_named() -> None:
    with pytest.raises(ValueError, match="HARD_SWISH"):
        convert([tflite_reader.Operator("HARD_SWISH", [0], [1], None)], {}, {0: (1, 2, 2, 1), 1: (1, 2, 2, 1)}, 1)


def test_sparse_weights_are_expanded() -> None:
    """Rows dense, columns compressed: the way TFLite stores a sparse 1x1 convolution."""
    dense = np.array([[0, 1, 0, 2], [0, 0, 0, 0], [3, 0, 0, 4]], np.float16)
    column = SimpleNamespace(Format=lambda: 1)
    levels = [SimpleNamespace(Format=lambda: 0, DenseSize=lambda: 3), column]
    sparsity = SimpleNamespace(
        TraversalOrderAsNumpy=lambda: np.array([0, 1]),
        BlockMapLength=lambda: 0,
        DimMetadataLength=lambda: 2,
        DimMetadata=levels.__getitem__,
    )
    lists = {"ArraySegments": np.array([0, 2, 2, 4]), "ArrayIndices": np.array([1, 3, 0, 3])}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tflite_reader, "_integers", lambda _level, name: lists[name])
        out = tflite_reader._dense(np.array([1, 2, 3, 4], np.float16), (3, 4), sparsity)
    assert (out == dense).all()


@pytest.mark.parametrize("size", [1, 4, 5, 15])
@pytest.mark.parametrize("kernel", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2])
def test_same_padding_gives_the_size_tensorflow_gives(size: int, kernel: int, stride: int) -> None:
    before, after = keras_to_onnx.same_pads(size, kernel, stride)
    assert 0 <= before <= after <= before + 1
    if before + after or size % stride == 0:
        assert (size + before + after - kernel) // stride + 1 == -(-size // stride)


def test_the_same_graph_has_the_same_bytes() -> None:
    def graph() -> bytes:
        g = Graph("g")
        out = g.add("Add", [g.input("x", ["n", 2]), g.constant(np.ones(2, np.float32))], out="y")
        g.output(out, ["n", 2])
        return g.bytes()

    assert graph() == graph()


def test_quantised_columns_are_within_half_a_step() -> None:
    weight = (RNG.normal(size=(17, 5)) * [1, 10, 0.1, 1, 0]).astype(np.float32)
    table, scale = quantize.columns(weight)
    assert table.dtype == np.int8 and np.abs(table).max() <= quantize.COLUMN_LIMIT
    assert (np.abs(table * scale - weight) <= scale / 2 + 1e-6).all()


def test_both_precisions_of_the_encoder_agree() -> None:
    """Same features from both graphs: the small differences are the quantisation's."""
    width = minilm.WIDTH
    weights = {"embeddings.word_embeddings.weight": (40, width), "embeddings.position_embeddings.weight": (16, width)}
    weights |= {"embeddings.token_type_embeddings.weight": (2, width), "embeddings.LayerNorm.weight": (width,)}
    weights |= {"embeddings.LayerNorm.bias": (width,)}
    for layer in range(minilm.LAYERS):
        key = f"encoder.layer.{layer}."
        dense = [(f"attention.self.{n}", width, width) for n in ("query", "key", "value")] + [("attention.output.dense", width, width)]
        for name, rows, columns in [*dense, ("intermediate.dense", 4 * width, width), ("output.dense", width, 4 * width)]:
            weights |= {f"{key}{name}.weight": (rows, columns), f"{key}{name}.bias": (rows,)}
        for name in ("attention.output", "output"):
            weights |= {f"{key}{name}.LayerNorm.weight": (width,), f"{key}{name}.LayerNorm.bias": (width,)}
    filled = {
        name: (np.ones(shape) if "LayerNorm.weight" in name else RNG.normal(size=shape) * 0.05).astype(np.float32)
        for name, shape in weights.items()
    }
    ids = np.array([[3, 7, 1, 9, 2], [5, 2, 0, 0, 0]], np.int64)
    feeds = {"input_ids": ids, "attention_mask": np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]], np.int64)}
    full, small = (runner.Onnx(minilm.build(filled, None, p, 16))(feeds)["features"] for p in ("fp32", "int8"))
    assert full.shape == (2, minilm.FEATURES)
    assert np.abs(full - small).max() < 0.3  # of features with a spread of about 1
    alone = runner.Onnx(minilm.build(filled, None, "fp32", 16))({k: v[1:, :2] for k, v in feeds.items()})["features"]
    assert np.abs(full[1:] - alone).max() < 1e-4  # padding changes nothing
