"""What every variant starts from: checked, named, optimised; and the list of variants."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from affectrt_export.onnx_graph import Graph
from affectrt_export.spec import ExportError
from affectrt_export.variants import KINDS, Options, is_convolutional, kinds, notes_of, quantisable
from affectrt_export.variants.net import Net, name_nodes, parse, unshare
from affectrt_export.variants.optimise import census, fused, standard, start
from onnx import TensorProto, helper, numpy_helper
from variant_nets import constants, convnet, encoder, error, faces, graph, pictures, sentences, xception


def _chain(op: str = "Relu") -> onnx.ModelProto:
    g = Graph("chain")
    g.input("x", ["n", 4])
    g.add("MatMul", ["x", g.constant(np.eye(4, dtype=np.float32), "weight")], out="y")
    g.add(op, ["y"], out="z")
    g.output("z", ["n", 4])
    return g.model()


@pytest.mark.parametrize("name", ["xception", "convnet", "encoder"])
def test_fp32_is_the_same_network_in_standard_operators(name: str) -> None:
    model, some = {
        "xception": (xception(), faces()[:12]),
        "convnet": (convnet(1), pictures()),
        "encoder": (encoder(1), sentences()),
    }[name]
    made = standard(model)
    assert error(model, made, some) < 1e-6
    assert {node.domain for node in graph(made).node} == {""}
    assert len(graph(made).node) <= len(graph(model).node)
    assert [entry.domain for entry in onnx.load_from_string(made).opset_import] == [""]
    assert made == standard(model)
    kept = {node.name for node in graph(made).node if node.op_type in ("Conv", "MatMul", "Gemm")}
    assert kept == {node.name for node in graph(model).node if node.op_type in ("Conv", "MatMul", "Gemm")}


def test_constants_are_folded_and_empty_steps_are_gone() -> None:
    g = Graph("folds")
    g.input("x", ["n", 4])
    two = g.add("Add", [g.constant(np.ones(4, np.float32)), g.constant(np.full(4, 2, np.float32))])
    x = g.add("Identity", [g.add("Mul", ["x", two])])
    g.add("Reshape", [g.add("Reshape", [x, g.constant(np.array([-1, 2, 2]))]), g.constant(np.array([-1, 4]))], out="y")
    g.add("Exp", ["x"], out="nobody reads this")
    g.output("y", ["n", 4])
    ops = census(standard(g.bytes()))
    assert ops["Mul"] == 1 and ops["Add"] == ops["Identity"] == ops["Exp"] == 0


def test_batch_norms_go_into_their_convolution() -> None:
    g = Graph("norm")
    rng = np.random.default_rng(0)
    g.input("image", ["n", 3, 8, 8])
    x = g.add("Conv", ["image", g.constant(rng.normal(size=(4, 3, 3, 3)).astype(np.float32))])
    parts = [g.constant(np.abs(rng.normal(size=4)).astype(np.float32) + 0.1, f"part{i}") for i in range(4)]
    g.add("BatchNormalization", [x, *parts], out="logits")
    g.output("logits", ["n", 4, 6, 6])
    made = standard(g.bytes())
    assert dict(census(made)) == {"Conv": 1}
    assert error(g.bytes(), made, [{"image": rng.normal(size=(1, 3, 8, 8)).astype(np.float32)}]) < 1e-5


def _with(change: str) -> bytes:
    proto = _chain()
    if change == "external":
        tensor = proto.graph.initializer[0]
        tensor.data_location = TensorProto.EXTERNAL
    elif change == "half":
        tensor = proto.graph.initializer[0]
        tensor.CopyFrom(numpy_helper.from_array(np.eye(4, dtype=np.float16), tensor.name))
    elif change == "quantised":
        return kinds(True)[3].maker(convnet(), pictures(), frozenset())
    elif change == "branch":
        branch = helper.make_graph(
            [helper.make_node("Identity", ["y"], ["b"])], "b", [], [helper.make_tensor_value_info("b", TensorProto.FLOAT, None)]
        )
        proto.graph.node[1].CopyFrom(helper.make_node("If", ["c"], ["z"], name="choose", then_branch=branch, else_branch=branch))
        proto.graph.initializer.append(numpy_helper.from_array(np.array(True), "c"))
    elif change == "unknown operator":
        proto.graph.node[1].CopyFrom(helper.make_node("Relux", ["y"], ["z"], name="strange"))
    elif change == "empty":
        del proto.graph.node[:]
    return proto.SerializeToString()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("external", "weight_0 lies outside the file"),
        ("half", "an fp32 network was expected, weight weight_0 is float16"),
        ("quantised", "an fp32 network was expected, QuantizeLinear"),
        ("branch", "If 'choose' branches on data"),
        ("unknown operator", "Relux"),
        ("empty", "has no nodes"),
    ],
)
def test_what_no_variant_can_be_made_of_is_refused(change: str, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        standard(_with(change))


@pytest.mark.parametrize("data", [b"", b"not a network", b"\x08"])
def test_what_is_no_onnx_is_refused(data: bytes) -> None:
    with pytest.raises(ExportError, match="an ONNX network was expected"):
        standard(data)


def test_an_old_operator_set_is_brought_up() -> None:
    node = helper.make_node("Softmax", ["x"], ["logits"], axis=1)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in ("x", "logits")]
    old = helper.make_model(helper.make_graph([node], "g", ends[:1], ends[1:]), opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    made = standard(old.SerializeToString())
    assert onnx.load_from_string(made).opset_import[0].version >= 13
    assert error(old.SerializeToString(), made, [{"x": np.array([[1, 2, 3, 4]], np.float32)}]) < 1e-6


def test_nodes_get_names_of_their_own() -> None:
    proto = _chain()
    proto.graph.node[0].name = proto.graph.node[1].name = ""
    proto.graph.node.append(helper.make_node("Neg", ["z"], ["w"], name="MatMul_0"))
    proto.graph.node.append(helper.make_node("Neg", ["w"], ["v"], name="MatMul_0"))
    name_nodes(proto.graph)
    names = [node.name for node in proto.graph.node]
    assert len(set(names)) == 4 and all(names) and names[2] == "MatMul_0"


def test_constants_in_nodes_and_among_the_inputs_are_weights() -> None:
    proto = _chain()
    weight = proto.graph.initializer[0]
    proto.graph.input.append(helper.make_tensor_value_info(weight.name, TensorProto.FLOAT, [4, 4]))
    proto.graph.node.insert(0, helper.make_node("Constant", [], ["two"], value=numpy_helper.from_array(np.float32(2))))
    proto.graph.node[2].CopyFrom(helper.make_node("Mul", ["y", "two"], ["z"], name="scale"))
    net = Net(parse(proto.SerializeToString()))
    assert net.inputs == {"x"} and net.scalar("two") == 2.0
    assert {node.op_type for node in net.graph.node} == {"MatMul", "Mul"}


def test_shared_constants_are_parted() -> None:
    net = Net(parse(convnet(2)))
    before = [node.input[2] for node in net.graph.node if node.op_type == "Conv"]
    unshare(net, ("Conv",))
    after = [node.input[2] for node in net.graph.node if node.op_type == "Conv"]
    assert len(set(before)) == 1 and len(set(after)) == 4
    assert error(convnet(2), net.bytes(), pictures()) == 0


def test_redirected_outputs_keep_their_name_and_a_cycle_is_refused() -> None:
    net = Net(_chain())
    net.stand_in("z", net.add("Neg", ["y"], name="other"))
    made = net.bytes()
    assert [value.name for value in graph(made).output] == ["z"]
    assert census(made) == {"MatMul": 1, "Neg": 1}
    net = Net(_chain())
    net.node("node_0").input[0] = "z"
    with pytest.raises(ExportError, match="cycle"):
        net.bytes()


def test_fused_graphs_hold_only_operators_that_every_runtime_has() -> None:
    file, ran = fused(standard(encoder(3)))
    assert file is not None
    assert not any("nchwc" in node.domain for node in ran.graph.node)
    assert error(encoder(3), file, sentences()) < 1e-5


def test_the_list_of_variants() -> None:
    assert [kind.name for kind in kinds(False)] == list(KINDS)
    assert [kind.name for kind in kinds(True)] == [name for name in KINDS if name != "int4"]
    names = {kind.name for kind in kinds(False)}
    assert all(kind.parent in names and kind.precision in ("fp32", "fp16", "int8", "int4") for kind in kinds(False))
    assert not is_convolutional(encoder()) and is_convolutional(convnet())
    with pytest.raises(ValueError, match="kind must be one of"):
        quantisable(convnet(), "int3")
    assert quantisable(convnet(), "fp32") == []
    assert [op for _, op in quantisable(convnet(), "int8")] == ["Conv"] * 4 + ["Gemm"]
    assert [op for _, op in quantisable(convnet(), "int8", convolutional=False)] == ["Gemm"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"calibration": "mean"},
        {"percentile": 0.9999},
        {"weight_bits": 6},
        {"int4_block": 48},
        {"int4_embeddings": "fp8"},
        {"trt_base": "bf16"},
        {"master_bits": 2},
    ],
)
def test_options_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Options(**wrong)  # type: ignore[arg-type]


def test_layers_to_keep_are_looked_up_and_notes_are_read_back() -> None:
    model = convnet(4)
    with pytest.raises(ExportError, match="none called a, b"):
        start(model, frozenset({"b", "a"}))
    net = start(model, frozenset({quantisable(model, "int8")[0][0]}))
    net.note("one")
    net.note("one")
    made = net.bytes()
    assert notes_of(made) == ["one"] and notes_of(model) == []
    assert constants(made).keys() <= constants(standard(model)).keys()
