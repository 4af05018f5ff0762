"""int8 for TensorRT: what its parser takes, and the same answers. Engines are built in test_tensorrt_build.py."""

from __future__ import annotations

import numpy as np
import pytest
from affectrt_export.spec import ExportError
from affectrt_export.variants import METHODS, Options, notes_of, quantisable
from affectrt_export.variants.int8_trt import TensorRt
from affectrt_export.variants.optimise import census
from variant_nets import constants, convnet, encoder, error, faces, graph, layer, pictures, sentences, xception

NONE: frozenset[str] = frozenset()
REFUSED = ("DynamicQuantizeLinear", "MatMulInteger", "ConvInteger", "QLinearConv")


def _check(model: bytes) -> None:
    """What TensorRT's parser asks of a file."""
    known = constants(model)
    ops = census(model)
    assert not any(ops[op] for op in REFUSED)
    assert {node.domain for node in graph(model).node} == {""}
    for node in graph(model).node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            zero = known[node.input[2]]
            assert zero.dtype == np.int8 and not zero.any()
            assert known[node.input[1]].dtype == np.float32 and (known[node.input[1]] > 0).all()
            if node.op_type == "DequantizeLinear" and node.input[0] in known:
                assert known[node.input[0]].dtype == np.int8
    assert not any(value.dtype == np.int32 for value in known.values())


@pytest.mark.parametrize("method", METHODS)
def test_a_real_network(method: str) -> None:
    made = TensorRt(Options(calibration=method))(xception(), faces()[:40], NONE)
    _check(made)
    ops = census(made)
    # Each of 23 weights, 22 inputs of convolutions (some are read twice), and what is added to a convolution in four blocks.
    assert ops["DequantizeLinear"] - ops["QuantizeLinear"] == 23
    assert ops["Cast"] == 0
    assert error(xception(), made, faces()[40:]) < 0.12
    assert len(made) < 0.5 * len(xception())
    assert made == TensorRt(Options(calibration=method))(xception(), faces()[:40], NONE)


@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("base", ["fp16", "fp32"])
def test_an_encoder(attention: bool, base: str) -> None:
    model, some = encoder(1), sentences()
    made = TensorRt(Options(quantise_attention=attention, trt_base=base))(model, some, NONE)
    _check(made)
    ops = census(made)
    # 13 weights; inputs: one a query, key and value, three more a layer, the head; inside attention four a layer.
    assert ops["DequantizeLinear"] == 13 + 2 * 4 + 1 + 8 * attention
    halves = [value for value in constants(made).values() if value.dtype == np.float16]
    assert bool(halves) == (base == "fp16")
    assert 0 < error(model, made, some) < 0.06
    assert notes_of(made) == []


def test_auto_puts_fp16_between_the_layers_where_there_is_attention() -> None:
    assert census(TensorRt(Options())(convnet(1), pictures(), NONE))["Cast"] == 0
    made = TensorRt(Options())(encoder(2), sentences(), NONE)
    assert made == TensorRt(Options(trt_base="fp16"))(encoder(2), sentences(), NONE)
    # Layers stand between Casts, in fp32 types: ONNX Runtime computes QuantizeLinear of fp16 wrongly.
    known = constants(made)
    weights = {node.output[0] for node in graph(made).node if node.op_type == "DequantizeLinear" and node.input[0] in known}
    assert len(weights) == 13


@pytest.mark.parametrize(("inputs", "height", "side"), [(1, 13, 17), (4, 11, 7)])
def test_odd_sizes_and_what_is_added_to_a_convolution(inputs: int, height: int, side: int) -> None:
    model, some = convnet(inputs, inputs=inputs, width=7), pictures(12, inputs, height, side)
    made = TensorRt(Options())(model, some, NONE)
    _check(made)
    assert error(model, made, some) < 0.06
    writers = {node.output[0]: node.op_type for node in graph(made).node}
    added = next(node for node in graph(made).node if node.op_type == "Add")
    assert sorted(writers[name] for name in added.input) == ["Conv", "DequantizeLinear"]


def test_a_kept_layer_reads_and_holds_what_it_did() -> None:
    model = convnet(5)
    kept = layer(model, "Conv", 2)
    made = TensorRt(Options())(model, pictures(), frozenset({kept.name}))
    node = next(node for node in graph(made).node if node.name == kept.name)
    writers = {node.output[0]: node.op_type for node in graph(made).node}
    assert writers[node.input[0]] != "DequantizeLinear" and node.input[1] not in writers
    np.testing.assert_array_equal(constants(made)[node.input[1]], constants(model)[kept.input[1]])
    names = frozenset(name for name, _ in quantisable(model, "int8-trt"))
    assert census(TensorRt(Options())(model, pictures(), names))["QuantizeLinear"] == 0


def test_weights_use_all_of_eight_bits_and_biases_stay() -> None:
    made = TensorRt(Options())(xception(), faces()[:8], NONE)
    known = constants(made)
    weights = [known[n.input[0]] for n in graph(made).node if n.op_type == "DequantizeLinear" and n.input[0] in known]
    assert len(weights) == 23 and all(np.abs(weight).max() == 127 for weight in weights)
    assert all(known[n.input[2]].dtype == np.float32 for n in graph(made).node if n.op_type == "Conv" and len(n.input) > 2)


def test_no_calibration_is_refused() -> None:
    with pytest.raises(ExportError, match="none came"):
        TensorRt(Options())(convnet(), (), NONE)
