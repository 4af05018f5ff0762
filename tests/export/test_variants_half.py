"""fp16: strong types, fp32 at the edges, and fp32 where fp16 would not hold the numbers."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from affectrt_export.onnx_graph import Graph
from affectrt_export.variants import notes_of, quantisable
from affectrt_export.variants.fp16 import convert
from affectrt_export.variants.optimise import census
from onnx import TensorProto
from onnx.reference import ReferenceEvaluator
from variant_nets import answers, changed, constants, convnet, encoder, error, faces, graph, layer, pictures, sentences, xception

NONE: frozenset[str] = frozenset()


def _types(model: bytes) -> dict[str, int]:
    """Type of every value, by what ONNX itself infers."""
    found = onnx.shape_inference.infer_shapes(onnx.load_from_string(model), check_type=True, strict_mode=True).graph
    return {value.name: value.type.tensor_type.elem_type for value in (*found.value_info, *found.input, *found.output)}


@pytest.mark.parametrize("name", ["xception", "convnet", "encoder"])
def test_half_the_size_the_same_answers_fp32_at_the_edges(name: str) -> None:
    model, some = {
        "xception": (xception(), faces()[:12]),
        "convnet": (convnet(1), pictures()),
        "encoder": (encoder(1), sentences()),
    }[name]
    made = convert(model, some, NONE)
    assert len(made) < 0.6 * len(model)
    assert 0 < error(model, made, some) < 3e-3
    assert notes_of(made) == []
    assert {node.domain for node in graph(made).node} == {""}
    types = _types(made)
    assert all(types[value.name] != TensorProto.FLOAT16 for value in (*graph(made).input, *graph(made).output))
    layers = [node for node in graph(made).node if node.op_type in ("Conv", "MatMul", "Gemm", "LayerNormalization", "Softmax")]
    assert layers and all(types.get(node.output[0]) == TensorProto.FLOAT16 for node in layers)
    assert made == convert(model, some, NONE)


def test_a_kept_layer_stays_fp32() -> None:
    model = encoder(2)
    names = quantisable(model, "fp16")
    assert {"MatMul", "Gemm", "LayerNormalization", "Softmax"} == {op for _, op in names}
    kept = layer(model, "MatMul", 3)
    made = convert(model, sentences(), frozenset({kept.name}))
    node = next(node for node in graph(made).node if node.name == kept.name)
    np.testing.assert_array_equal(constants(made)[node.input[1]], constants(model)[kept.input[1]])
    assert _types(made)[node.output[0]] == TensorProto.FLOAT
    whole = convert(model, sentences(), frozenset(name for name, _ in names))
    assert error(model, whole, sentences()) < error(model, convert(model, sentences(), NONE), sentences())


def test_a_weight_beyond_the_range_keeps_its_layer_and_is_named() -> None:
    model = convnet(3)
    conv = layer(model, "Conv", 2)
    weight = constants(model)[conv.input[1]].copy()
    weight[4] *= 1e6
    spoiled = changed(model, conv.input[1], weight)
    made = convert(spoiled, (), NONE)
    assert any(note.startswith(f"{conv.name} (Conv): stays in fp32, {conv.input[1]} reaches") for note in notes_of(made))
    assert any("without calibration" in note for note in notes_of(made))


def test_values_beyond_the_range_keep_their_layers_and_the_answer_is_saved() -> None:
    model = convnet(4)
    first, second = layer(model, "Conv", 1), layer(model, "Conv", 2)
    known = constants(model)
    # Weights that fp16 holds, values that it does not: 2000 times as large, and read a two-thousandth as strongly.
    spoiled = changed(model, first.input[1], known[first.input[1]] * 2000)
    spoiled = changed(spoiled, second.input[1], known[second.input[1]] / 2000)
    some = [{"image": one["image"] * 20} for one in pictures()]
    assert np.isfinite(answers(spoiled, some)).all()
    made = convert(spoiled, some, NONE)
    named = {note.split(" ")[0] for note in notes_of(made)}
    assert {first.name, second.name} <= named
    assert error(spoiled, made, some) < 5e-3
    # ONNX Runtime's CPU provider computes fp16 in fp32 and would not notice; ONNX's own evaluator rounds where the file says.
    unseen = convert(spoiled, (), NONE)
    with np.errstate(over="ignore", invalid="ignore"):
        exact = [ReferenceEvaluator(onnx.load_from_string(file)).run(None, dict(some[0]))[0] for file in (made, unseen)]
    assert np.isfinite(exact[0]).all() and not np.isfinite(exact[1]).all()


@pytest.mark.parametrize("mask", [-1e9, float(np.finfo(np.float32).min), -np.inf])
@pytest.mark.parametrize("guard", [False, True])
def test_masks_are_brought_into_the_range(mask: float, guard: bool) -> None:
    model, some = encoder(5, mask=mask, guard=guard), sentences()
    made = convert(model, some, NONE)
    halves = [value for value in constants(made).values() if value.dtype == np.float16]
    assert all(np.isfinite(value).all() for value in halves)
    assert np.isfinite(answers(made, some)).all()
    assert error(model, made, some) < 3e-3
    assert notes_of(made) == []


def test_numbers_that_fp16_would_lose_stay() -> None:
    """A normalisation spelled out, with an epsilon that is 0 in fp16: a row of zeros would be divided by it."""
    g = Graph("norm")
    g.input("x", ["n", 8])
    centred = g.add("Sub", ["x", g.add("ReduceMean", ["x"], axes=[1])])
    variance = g.add("ReduceMean", [g.add("Mul", [centred, centred])], axes=[1])
    deep = g.add("Add", [variance, g.constant(np.float32(1e-12))])
    scaled = g.add("Div", [centred, g.add("Sqrt", [deep])])
    g.add("Mul", [scaled, g.constant(np.full(8, 2, np.float32))], out="logits")
    g.output("logits", ["n", 8])
    model = g.bytes()
    some = [{"x": np.zeros((1, 8), np.float32)}, {"x": np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)}]
    made = convert(model, some, NONE)
    assert np.isfinite(answers(made, some)).all()
    assert error(model, made, some) < 3e-3


def test_inputs_that_are_outputs_too_and_values_used_on_both_sides() -> None:
    g = Graph("both")
    g.input("x", ["n", 4])
    y = g.add("MatMul", ["x", g.constant(np.eye(4, dtype=np.float32) * 3)], out="logits")
    g.add("Exp", [y], out="grown")
    g.add("Shape", [y], out="shape")
    g.output("logits", ["n", 4])
    g.output("grown", ["n", 4])
    g.output("shape", [2], TensorProto.INT64)
    model = g.bytes()
    made = convert(model, [{"x": np.ones((1, 4), np.float32)}], NONE)
    assert [value.name for value in graph(made).output] == ["logits", "grown", "shape"]
    types = _types(made)
    assert types["logits"] == types["grown"] == TensorProto.FLOAT
    assert error(model, made, [{"x": np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)}]) < 1e-3
    assert census(made)["Cast"] == 3  # x in, logits out, and the value that Exp reads
