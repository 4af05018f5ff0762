"""Every variant of a real face network and of an encoder: right, small, the same bytes twice, and true to what a repair keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from affectrt_export.spec import ExportError, VariantKind
from affectrt_export.variants import KINDS, Options, derive, is_convolutional, kinds, quantisable
from onnx import numpy_helper
from variant_nets import changed, constants, encoder, error, faces, graph, layer, sentences, xception

NONE: frozenset[str] = frozenset()
# Relative RMS error of the logits, and size in parts of fp32. The encoder's weights are noise, which suffers more than trained ones.
FACES = {"fp32": (1e-4, 1.02), "fp16": (0.01, 0.62), "int8": (0.12, 0.36), "int8-trt": (0.15, 0.45), "master": (0.02, 0.36)}
TEXTS = {
    "fp32": (1e-4, 1.05),
    "fp16": (0.01, 0.65),
    "int8": (0.15, 0.45),
    "int8-trt": (0.25, 0.6),
    "int4": (0.4, 0.5),
    "master": (0.05, 0.45),
}


def kind(name: str, convolutional: bool) -> VariantKind:
    return next(one for one in kinds(convolutional, Options()) if one.name == name)


def given(convolutional: bool) -> tuple[bytes, Sequence[Any]]:
    return (xception(), faces()[:24]) if convolutional else (encoder(3), sentences())


CASES = [(name, True) for name in FACES] + [(name, False) for name in TEXTS]


def test_kinds_are_named_once_and_parents_come_first() -> None:
    for convolutional in (True, False):
        names = [one.name for one in kinds(convolutional)]
        assert names == list(FACES if convolutional else TEXTS) and set(names) <= set(KINDS)
        assert all(names.index(one.parent) <= names.index(one.name) for one in kinds(convolutional))
    assert is_convolutional(xception()) and not is_convolutional(encoder(0))


@pytest.mark.parametrize(("name", "convolutional"), CASES)
def test_it_answers_as_fp32_does_and_is_as_small_as_it_should_be(name: str, convolutional: bool) -> None:
    model, feeds = given(convolutional)
    worst, share = (FACES if convolutional else TEXTS)[name]
    made = kind(name, convolutional).maker(model, feeds, NONE)
    assert error(model, made, feeds) < worst
    assert len(made) < share * len(model)
    assert made == kind(name, convolutional).maker(model, feeds, NONE), "the same bytes twice"


@pytest.mark.parametrize(("name", "convolutional"), [case for case in CASES if case[0] not in ("fp32",)])
def test_a_layer_that_is_kept_costs_size_and_brings_the_answer_nearer(name: str, convolutional: bool) -> None:
    model, feeds = given(convolutional)
    layers = [one for one, _ in quantisable(model, name)]
    maker = kind(name, convolutional).maker
    plain, all_kept = maker(model, feeds, NONE), maker(model, feeds, frozenset(layers))
    nearer = 0.1 if name != "fp16" else 0.9  # what lies between the layers stays in half precision
    assert error(model, all_kept, feeds) < nearer * error(model, plain, feeds) + 1e-5
    assert len(all_kept) > len(plain)


@pytest.mark.parametrize("name", ["fp32", "fp16", "int8-trt", "master"])
def test_what_goes_to_other_devices_is_in_standard_operators(name: str) -> None:
    for convolutional in (True, False):
        model, feeds = given(convolutional)
        made = onnx.load_from_string(kind(name, convolutional).maker(model, feeds, NONE))
        assert {node.domain for node in made.graph.node} <= {"", "ai.onnx"}
        assert not {node.op_type for node in made.graph.node} & {"DynamicQuantizeLinear", "MatMulInteger", "ConvInteger"}


def test_int8_for_tensorrt_is_symmetric_and_its_biases_are_not_quantised() -> None:
    for convolutional in (True, False):
        model, feeds = given(convolutional)
        made = kind("int8-trt", convolutional).maker(model, feeds, NONE)
        stored = constants(made)
        for node in graph(made).node:
            if node.op_type in ("QuantizeLinear", "DequantizeLinear") and len(node.input) > 2 and node.input[2]:
                zero = stored[node.input[2]]
                assert zero.dtype == np.int8 and not zero.any()
            if node.op_type == "DequantizeLinear" and node.input[0] in stored:
                assert stored[node.input[0]].dtype == np.int8, "no 32-bit bias"


@pytest.mark.parametrize("convolutional", [True, False])
def test_a_master_gives_the_others_without_data(convolutional: bool) -> None:
    model, feeds = given(convolutional)
    master = kind("master", convolutional).maker(model, feeds, NONE)
    fp32 = derive(master, "fp32")
    assert error(master, fp32, feeds) < 1e-4
    for to, worst in (("fp16", 0.02), ("int8-trt", 0.3)):
        made = derive(master, to)
        assert error(fp32, made, feeds) < worst and made == derive(master, to)
    with pytest.raises(ValueError, match="to must be one of"):
        derive(master, "int4")
    with pytest.raises(ExportError):
        derive(model, "fp32")


@pytest.mark.parametrize(("name", "convolutional"), CASES)
def test_weights_that_are_no_numbers_are_named(name: str, convolutional: bool) -> None:
    model, feeds = given(convolutional)
    weight = layer(model, "Conv" if convolutional else "MatMul", 1).input[1]
    value = constants(model)[weight].copy()
    value.flat[3] = np.nan
    with pytest.raises(ExportError, match="NaN"):
        kind(name, convolutional).maker(changed(model, weight, value), feeds, NONE)


@pytest.mark.parametrize("name", ["int8", "int8-trt"])
def test_static_scales_need_examples_of_the_right_names(name: str) -> None:
    maker = kind(name, True).maker
    with pytest.raises(ExportError):
        maker(xception(), [], NONE)
    with pytest.raises(ExportError):
        maker(xception(), [{"picture": np.zeros((1, 1, 64, 64), np.float32)}], NONE)


def test_values_beyond_half_precision_stay_in_fp32() -> None:
    model, feeds = given(True)
    weight = layer(model, "Conv", 2).input[1]
    huge = changed(model, weight, constants(model)[weight] * np.float32(1e6))
    made = kind("fp16", True).maker(huge, feeds, NONE)
    assert np.isfinite([numpy_helper.to_array(t).astype(np.float64).sum() for t in graph(made).initializer]).all()
    assert error(huge, made, feeds) < 0.02
