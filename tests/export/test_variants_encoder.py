"""int8 and int4 of encoders for CPUs: fused, small, as right as they must be."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from affectrt_export import minilm
from affectrt_export.spec import ExportError
from affectrt_export.variants import Options, kinds, notes_of, quantisable
from affectrt_export.variants.blocks import asymmetric, nibbles, symmetric
from affectrt_export.variants.int4 import Int4
from affectrt_export.variants.int8_dynamic import Dynamic
from affectrt_export.variants.optimise import census, simplified
from variant_nets import HIDDEN, WIDTH, WORDS, changed, constants, convnet, encoder, error, graph, layer, sentences

NONE: frozenset[str] = frozenset()


def test_dynamic_int8_is_fused_small_and_says_the_same() -> None:
    model, some = encoder(0), sentences()
    made = Dynamic(Options())(model, (), NONE)
    ops = census(made)
    # Query, key and value together, the projection after them, two products of the hidden layer; and the head.
    assert ops["com.microsoft.DynamicQuantizeMatMul"] == 2 * 4 + 1
    assert ops["com.microsoft.Gelu"] == 2 and ops["Erf"] == 0
    assert ops["MatMul"] == 4  # of computed values, inside attention
    assert len(made) < 0.4 * len(model)
    assert 0 < error(model, made, some) < 0.04
    assert notes_of(made) == []
    assert made == Dynamic(Options())(model, some, NONE)


def test_tables_are_int8_rows() -> None:
    made = Dynamic(Options())(encoder(1), (), NONE)
    tables = [value for value in constants(made).values() if value.shape == (WORDS, WIDTH)]
    assert [table.dtype for table in tables] == [np.int8]


@pytest.mark.parametrize(("bits", "limit"), [(7, 63), (8, 127)])
def test_dynamic_weights_keep_to_their_bits(bits: int, limit: int) -> None:
    made = Dynamic(Options(weight_bits=bits))(encoder(2), (), NONE)
    weights = [value for value in constants(made).values() if value.dtype == np.int8 and value.shape != (WORDS, WIDTH)]
    assert len(weights) == 9 and all(np.abs(weight).max() == limit for weight in weights)
    assert (WIDTH, 3 * WIDTH) in {weight.shape for weight in weights}


@pytest.mark.parametrize("which", [0, 1, 4, 5])
@pytest.mark.parametrize("maker", [Dynamic(Options()), Int4(Options())], ids=["int8", "int4"])
def test_a_kept_product_stays_fp32(maker: Dynamic | Int4, which: int) -> None:
    model = encoder(3)
    kept = layer(model, "MatMul", which)
    made = maker(model, (), frozenset({kept.name}))
    left = [node for node in graph(made).node if node.op_type == "MatMul" and node.input[1] in constants(made)]
    assert [node.name for node in left] == [kept.name]
    np.testing.assert_array_equal(constants(made)[left[0].input[1]], constants(model)[kept.input[1]])
    assert error(model, made, sentences()) < error(model, maker(model, (), NONE), sentences()) * 1.5


def test_a_kept_table_stays_fp32_and_everything_kept_is_the_network_itself() -> None:
    model = encoder(4)
    names = quantisable(model, "int8")
    assert [op for _, op in names] == ["Gather", *["MatMul"] * 12, "Gemm"]
    table = next(name for name, op in names if op == "Gather")
    made = Dynamic(Options())(model, (), frozenset({table}))
    assert [value.dtype for value in constants(made).values() if value.shape == (WORDS, WIDTH)] == [np.float32]
    whole = Dynamic(Options())(model, (), frozenset(name for name, _ in names))
    assert error(model, whole, sentences()) < 1e-6


def test_outlying_activations_ruin_a_layer_and_keeping_it_saves_it() -> None:
    """A row of the second product of the hidden layer reads one value a thousandfold less than the first makes it."""
    model = encoder(5)
    known = constants(model)
    first, second = layer(model, "MatMul", 4), layer(model, "MatMul", 5)
    assert known[first.input[1]].shape == (WIDTH, HIDDEN)
    add = next(node for node in graph(model).node if node.op_type == "Add" and first.output[0] in node.input)
    # GELU lets a large value through as it is, so that what is added to it arrives: a constant, which the second product takes off again.
    bias = known[add.input[1]].copy()
    bias[7] += 400
    spoiled = changed(model, add.input[1], bias)
    after = next(node for node in graph(model).node if node.op_type == "Add" and second.output[0] in node.input)
    spoiled = changed(spoiled, after.input[1], known[after.input[1]] - 400 * known[second.input[1]][7])
    plain, saved = (Dynamic(Options())(spoiled, (), keep) for keep in (NONE, frozenset({second.name})))
    assert error(spoiled, plain, sentences()) > 4 * error(spoiled, saved, sentences())
    assert error(spoiled, saved, sentences()) < 0.04


def test_guards_of_pytorch_go_and_absent_words_do_not_count() -> None:
    model = encoder(6, mask=-np.inf, guard=True)
    made = Dynamic(Options())(model, (), NONE)
    assert census(made)["IsNaN"] == 0 and census(made)["Where"] == 1
    assert error(model, made, sentences()) < 0.04
    fp32 = kinds(False)[0].maker(model, (), NONE)
    assert census(fp32)["IsNaN"] == 0
    assert error(model, fp32, sentences()) < 1e-6
    loose = encoder(6, mask=-np.inf)
    assert error(loose, Dynamic(Options())(loose, (), NONE), sentences()) < 0.04


@pytest.mark.parametrize("block", [16, 32, 64])
@pytest.mark.parametrize("tables", ["int8", "int4"])
def test_int4_is_smaller_still(block: int, tables: str) -> None:
    model, some = encoder(7), sentences()
    made = Int4(Options(int4_block=block, int4_embeddings=tables))(model, (), NONE)
    ops = census(made)
    assert ops["com.microsoft.MatMulNBits"] == 9 and ops["com.microsoft.Gelu"] == 2
    assert ops["com.microsoft.GatherBlockQuantized"] == (tables == "int4")
    assert len(made) < 0.85 * len(Dynamic(Options())(model, (), NONE))
    assert 0 < error(model, made, some) < 0.25
    assert made == Int4(Options(int4_block=block, int4_embeddings=tables))(model, (), NONE)


def test_blocks_of_four_bits_are_what_they_say() -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(5, 50)).astype(np.float32)
    value, scale, zero = asymmetric(weight, 32)
    assert value.shape == (5, 2, 32) and value.max() == 15 and scale.shape == zero.shape == (5, 2)
    again = ((value.astype(np.float32) - zero[..., None]) * scale[..., None]).reshape(5, 64)
    assert np.abs(again[:, :50] - weight).max() < scale.max() * 1.6
    np.testing.assert_allclose(again[:, 50:], 0)
    small, steps = symmetric(weight[:, :48], 16)
    assert small.min() == -8 and small.max() <= 7
    np.testing.assert_allclose(small * steps.repeat(16, 1), weight[:, :48], atol=np.abs(steps).max() * 1.6)
    assert nibbles(np.array([[1, 2, 15]], np.uint8)).tolist() == [[0x21, 0x0F]]
    grid = (np.arange(16) - 8).astype(np.float32)[None] * 0.25
    np.testing.assert_array_equal(symmetric(grid, 16)[0] * symmetric(grid, 16)[1].repeat(16, 1), grid)


def test_products_without_bias_and_with_a_shared_weight() -> None:
    proto = onnx.load_from_string(encoder(8, layers=1))
    products = [node for node in proto.graph.node if node.op_type == "MatMul" and node.input[1].startswith("weight")]
    products[1].input[1] = products[0].input[1]
    add = next(node for node in proto.graph.node if node.op_type == "Add" and products[3].output[0] in node.input)
    products[3].output[0] = add.output[0]
    proto.graph.node.remove(add)
    model = proto.SerializeToString()
    for maker in (Dynamic(Options()), Int4(Options())):
        made = maker(model, (), NONE)
        assert not [node for node in graph(made).node if node.op_type == "MatMul" and node.input[1] in constants(made)]
        assert error(model, made, sentences()) < (0.04 if isinstance(maker, Dynamic) else 0.25)


def test_a_network_without_products_is_refused_and_nan_is_named() -> None:
    proto = onnx.load_from_string(convnet(0))
    gemm = proto.graph.node[-1]
    del proto.graph.node[-1]
    proto.graph.output[0].name = gemm.input[0]
    for maker in (Dynamic(Options()), Int4(Options())):
        with pytest.raises(ExportError, match="products with constant weights"):
            maker(proto.SerializeToString(), (), NONE)
    model = encoder(9)
    node = layer(model, "MatMul", 2)
    weight = constants(model)[node.input[1]].copy()
    weight[3, 4] = np.nan
    with pytest.raises(ExportError, match=rf"weight {node.input[1]} of layer {node.name} \(MatMul\): 1 of 4096 values are NaN"):
        Dynamic(Options())(changed(model, node.input[1], weight), (), NONE)


def test_a_whole_minilm_is_as_small_and_as_right_as_the_one_built_by_hand() -> None:
    rng = np.random.default_rng(0)
    weights = {f"embeddings.{name}_embeddings.weight": rng.normal(0, 0.05, (rows, 384)) for name, rows in _TABLES.items()}
    for i in range(minilm.LAYERS):
        at = f"encoder.layer.{i}."
        shapes = {"attention.self.query": (384, 384), "attention.self.key": (384, 384), "attention.self.value": (384, 384)}
        shapes |= {"attention.output.dense": (384, 384), "intermediate.dense": (1536, 384), "output.dense": (384, 1536)}
        for name, shape in shapes.items():
            weights |= {f"{at}{name}.weight": rng.normal(0, 0.04, shape), f"{at}{name}.bias": rng.normal(0, 0.1, shape[0])}
    norms = ["embeddings", *(f"encoder.layer.{i}.{part}output" for i in range(minilm.LAYERS) for part in ("attention.", ""))]
    for name in norms:
        weights |= {f"{name}.LayerNorm.weight": np.ones(384), f"{name}.LayerNorm.bias": rng.normal(0, 0.1, 384)}
    small = {name: value.astype(np.float32) for name, value in weights.items()}
    head = minilm.Head(rng.normal(0, 0.05, (minilm.FEATURES, 28)).astype(np.float32), np.zeros(28, np.float32))
    whole, by_hand = (minilm.build(small, head, precision, 64) for precision in ("fp32", "int8"))
    made = Dynamic(Options())(whole, (), NONE)
    assert len(made) < 1.03 * len(by_hand)
    some = [{"input_ids": rng.integers(0, 2000, (1, n)), "attention_mask": np.ones((1, n), np.int64)} for n in (4, 11, 23)]
    assert error(whole, made, some) < 1.1 * error(whole, by_hand, some) + 0.01
    assert len(simplified(whole).graph.node) > len(graph(made).node)


_TABLES = {"word": 2000, "position": 64, "token_type": 2}
