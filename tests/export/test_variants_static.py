"""int8 for convolutions: integer through and through, as right as fp32, and what it refuses."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from affectrt_export.spec import ExportError
from affectrt_export.variants import METHODS, Options, kinds, notes_of, quantisable
from affectrt_export.variants.int8_static import Static, paired
from affectrt_export.variants.optimise import census
from onnx import numpy_helper
from variant_nets import answers, changed, constants, convnet, encoder, error, faces, graph, layer, pictures, sentences, xception

NONE: frozenset[str] = frozenset()
FLOAT_LAYERS = ("Conv", "com.microsoft.FusedConv", "Gemm", "com.microsoft.FusedGemm", "MatMul")


@pytest.mark.parametrize("method", METHODS)
def test_every_layer_of_a_real_network_is_integer_and_says_the_same(method: str) -> None:
    made = Static(Options(calibration=method))(xception(), faces()[:40], NONE)
    ops = census(made)
    assert ops["QLinearConv"] == 23 and ops["com.microsoft.QLinearAdd"] == 4
    assert not any(ops[op] for op in FLOAT_LAYERS)
    assert notes_of(made) == []
    assert len(made) < 0.35 * len(xception())
    fresh = faces()[40:]
    assert error(xception(), made, fresh) < 0.12
    same = answers(made, fresh).argmax(1) == answers(xception(), fresh).argmax(1)
    assert same.mean() >= 0.8


def test_same_bytes_twice() -> None:
    model, some = convnet(3), pictures()
    assert Static(Options())(model, some, NONE) == Static(Options())(model, some, NONE)


def test_methods_differ_where_values_have_tails() -> None:
    model = convnet(4)
    some = pictures()
    some[3] = {"image": some[3]["image"] * 30}
    files = {method: Static(Options(calibration=method, percentile=99.0))(model, some, NONE) for method in METHODS}
    assert len(set(files.values())) == len(METHODS)
    # One example of twelve is thirty times as large: the extremes leave the others a thirtieth of the steps.
    ordinary = pictures(8, seed=1)
    assert error(model, files["percentile"], ordinary) < 0.6 * error(model, files["minmax"], ordinary)


def test_shared_biases_do_not_leave_layers_in_fp32() -> None:
    model = convnet(5)
    shared = Counter(node.input[2] for node in graph(model).node if node.op_type == "Conv")
    assert max(shared.values()) == 4
    ops = census(Static(Options())(model, pictures(), NONE))
    assert ops["QLinearConv"] == 4 and ops["com.microsoft.QGemm"] == 1
    assert not any(ops[op] for op in FLOAT_LAYERS)


@pytest.mark.parametrize(
    ("inputs", "width", "classes", "height", "side"), [(1, 7, 2, 13, 17), (3, 13, 11, 31, 8), (5, 3, 3, 9, 9), (5, 1, 3, 9, 9)]
)
def test_odd_sizes(inputs: int, width: int, classes: int, height: int, side: int) -> None:
    model = convnet(width, inputs=inputs, width=width, classes=classes)
    some = pictures(16, inputs, height, side)
    made = Static(Options())(model, some, NONE)
    assert census(made)["QLinearConv"] == 4
    assert error(model, made, some) < 0.08


@pytest.mark.parametrize(("bits", "limit"), [(7, 63), (8, 127)])
def test_weights_are_int8_a_scale_a_channel_within_their_bits(bits: int, limit: int) -> None:
    values = constants(paired(convnet(6), pictures(), NONE, Options(weight_bits=bits)))
    weights = {name: value for name, value in values.items() if value.dtype == np.int8 and value.ndim > 1}
    assert len(weights) == 5
    for name, value in weights.items():
        scale = values[name.replace(":int8", ":scale")]
        assert scale.shape == (value.shape[0],)
        assert np.abs(value).max() == limit
    zeros = [value for name, value in values.items() if name.endswith(":zero") and value.ndim == 0]
    assert zeros and all(value.dtype == np.uint8 for value in zeros)


def test_a_kept_layer_stays_fp32_and_the_others_do_not() -> None:
    model = xception()
    kept = layer(model, "Conv", 10)
    made = Static(Options())(model, faces()[:20], frozenset({kept.name}))
    ops = census(made)
    assert ops["QLinearConv"] == 22
    left = [node for node in graph(made).node if node.op_type in ("Conv", "FusedConv")]
    assert [node.name for node in left] == [kept.name]
    np.testing.assert_array_equal(constants(made)[left[0].input[1]], constants(model)[kept.input[1]])


def test_everything_kept_is_the_network_itself() -> None:
    model, some = convnet(7), pictures()
    keep = frozenset(name for name, _ in quantisable(model, "int8"))
    made = Static(Options())(model, some, keep)
    assert not any("Quantize" in node.op_type or "QLinear" in node.op_type for node in graph(made).node)
    assert error(model, made, some) < 1e-6


def test_one_layer_alone_is_quantised() -> None:
    model, some = convnet(8), pictures()
    names = [name for name, _ in quantisable(model, "int8")]
    for name in names:
        made = Static(Options())(model, some, frozenset(names) - {name})
        assert sum(node.op_type in ("QLinearConv", "QGemm") for node in graph(made).node) == 1
        assert 0 < error(model, made, some) < 0.05


def test_outlying_weights_cost_only_their_own_channel() -> None:
    model = convnet(9)
    conv = layer(model, "Conv", 2)
    weight = constants(model)[conv.input[1]].copy()
    weight[3] *= 500
    spoiled = changed(model, conv.input[1], weight)
    some = pictures()
    values = constants(paired(spoiled, some, NONE, Options()))
    own, before = (values[f"{conv.input[1]}:scale"], constants(paired(model, some, NONE, Options()))[f"{conv.input[1]}:scale"])
    np.testing.assert_allclose(own[3] / before[3], 500, rtol=1e-3)
    np.testing.assert_allclose(np.delete(own, 3), np.delete(before, 3), rtol=1e-6)


def test_a_spoiled_layer_ruins_int8_and_keeping_it_saves_it() -> None:
    """One channel of a value is a thousand times as large, and read a thousandth as strongly: fp32 is the same, int8 is not."""
    model = convnet(10)
    first, second = layer(model, "Conv", 1), layer(model, "Conv", 2)
    scale = np.ones(16, np.float32)
    scale[5] = 1000
    known = constants(model)
    spoiled = changed(model, first.input[1], known[first.input[1]] * scale[:, None, None, None])
    spoiled = changed(spoiled, second.input[1], known[second.input[1]] / scale[None, :, None, None])
    some = pictures()
    assert error(model, spoiled, some) < 1e-5
    plain = Static(Options())(spoiled, some, NONE)
    saved = Static(Options())(spoiled, some, frozenset({first.name, second.name}))
    assert error(spoiled, plain, some) > 5 * error(spoiled, saved, some)
    assert error(spoiled, saved, some) < 0.05


def test_a_layer_of_zeros_and_a_bias_far_larger_than_its_weights() -> None:
    model = convnet(11)
    conv = layer(model, "Conv", 2)
    weight = constants(model)[conv.input[1]].copy()
    weight[2], weight[4] = 0, weight[4] * 1e-9
    spoiled = changed(model, conv.input[1], weight)
    bias = np.zeros(16, np.float32)
    bias[4] = 3
    proto = onnx.load_from_string(spoiled)
    node = next(node for node in proto.graph.node if node.name == conv.name)
    node.input[2] = "own"
    proto.graph.initializer.append(numpy_helper.from_array(bias, "own"))
    spoiled = proto.SerializeToString()
    assert error(spoiled, Static(Options())(spoiled, pictures(), NONE), pictures()) < 0.08


def test_nan_and_infinity_are_refused_by_layer() -> None:
    model = xception()
    conv = layer(model, "Conv", 4)
    weight = constants(model)[conv.input[1]].copy()
    weight.flat[7] = np.nan
    with pytest.raises(ExportError, match=rf"{conv.name} \(Conv\): 1 of {weight.size} values are NaN"):
        Static(Options())(changed(model, conv.input[1], weight), faces()[:4], NONE)
    weight.flat[7] = np.inf
    with pytest.raises(ExportError, match=rf"{conv.name} \(Conv\): 1 of {weight.size} values are infinite"):
        Static(Options())(changed(model, conv.input[1], weight), faces()[:4], NONE)
    weight.flat[7] = 3e38
    with pytest.raises(ExportError, match=r"layer node_\d+ \(\w+\) gives NaN or infinite values on the calibration examples"):
        Static(Options())(changed(model, conv.input[1], weight), faces()[:4], NONE)


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ([], "calibration examples were expected, none came"),
        ([{"picture": np.zeros((1, 1, 64, 64), np.float32)}], "example 0: inputs image were expected, picture came"),
        ([{}], "example 0: inputs image were expected, none came"),
        ([{"image": np.zeros((1, 64, 64, 1), np.float32)}], r"image was expected as float32 \['n', 1, 64, 64\], float32 \[1, 64, 64, 1\]"),
        ([{"image": np.zeros((1, 1, 64, 64), np.uint8)}], r"image was expected as float32 .*, uint8 \[1, 1, 64, 64\] came"),
        ([{"image": np.full((1, 1, 64, 64), np.nan, np.float32)}], "image holds NaN or infinite values"),
    ],
)
def test_calibration_that_does_not_fit_is_refused(feeds: list[dict[str, np.ndarray]], message: str) -> None:
    with pytest.raises(ExportError, match=message):
        Static(Options())(xception(), feeds, NONE)


def test_an_unknown_layer_to_keep_is_refused() -> None:
    with pytest.raises(ExportError, match="none called nowhere"):
        Static(Options())(convnet(), pictures(), frozenset({"nowhere"}))


def test_layers_that_are_not_quantised_are_named() -> None:
    proto = onnx.load_from_string(convnet(12))
    gemm = next(node for node in proto.graph.node if node.op_type == "Gemm")
    gemm.attribute.append(onnx.helper.make_attribute("alpha", 0.5))
    weight = next(tensor for tensor in proto.graph.initializer if tensor.name == gemm.input[1])
    bias = next(tensor for tensor in proto.graph.initializer if tensor.name == gemm.input[2])
    weight.CopyFrom(numpy_helper.from_array(np.random.default_rng(0).normal(size=(100, 16)).astype(np.float32), weight.name))
    bias.CopyFrom(numpy_helper.from_array(np.zeros(100, np.float32), bias.name))
    proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 100
    made = Static(Options())(proto.SerializeToString(), pictures(), NONE)
    assert notes_of(made) == [f"{gemm.name} (Gemm): stays in fp32, this kind of layer is not quantised here"]


def test_static_int8_of_an_encoder_is_as_right() -> None:
    model, some = encoder(1), sentences()
    made = Static(Options())(model, some, NONE)
    assert error(model, made, some) < 0.1
    assert {kind.name for kind in kinds(True)} == {"fp32", "fp16", "int8", "int8-trt", "master"}
