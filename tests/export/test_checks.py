"""What is no network to export is refused with the name of what is wrong in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from affectrt_export import checks
from affectrt_export.spec import Contract, ExportError
from onnx import TensorProto, helper, numpy_helper

IMAGE = {"tensor": "image", "kind": "image", "layout": "nchw", "color": "gray", "width_px": 4, "height_px": 4}


def contract(labels: Sequence[str] = ("a", "b", "c"), **more: Any) -> Contract:
    entries = [{"name": name, "valence": 0.0, "arousal": 0.0, "dominance": 0.0} for name in labels]
    outputs = [{"tensor": "logits", "kind": "logits", "shape": [-1, 3]}]
    return Contract("face-expression", [{**IMAGE, **more}], outputs, {"kind": "softmax"}, entries)


def network(change: Callable[[onnx.ModelProto], object] = lambda model: None) -> bytes:
    """image (n, 1, 4, 4) to logits (n, 3), changed."""
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"], name="body/Flatten"),
        helper.make_node("Gemm", ["flat", "head.weight", "head.bias"], ["logits"], name="head/Gemm"),
    ]
    weights = [
        numpy_helper.from_array(np.ones((16, 3), np.float32), "head.weight"),
        numpy_helper.from_array(np.ones(3, np.float32), "head.bias"),
    ]
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 1, 4, 4])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])]
    model = helper.make_model(
        helper.make_graph(nodes, "g", inputs, outputs, weights), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    change(model)
    return bytes(model.SerializeToString())


def weight(value: float, count: int = 1) -> Callable[[onnx.ModelProto], object]:
    def change(model: onnx.ModelProto) -> None:
        array = numpy_helper.to_array(model.graph.initializer[0]).copy()
        array.flat[:count] = value
        model.graph.initializer[0].CopyFrom(numpy_helper.from_array(array, "head.weight"))

    return change


def half(model: onnx.ModelProto) -> None:
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.ones(3, np.float16), "head.bias"))


def outside(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")


def node(**fields: str) -> Callable[[onnx.ModelProto], object]:
    def change(model: onnx.ModelProto) -> None:
        for key, value in fields.items():
            setattr(model.graph.node[0], key, value)

    return change


def test_a_sound_network_passes() -> None:
    checks.check_network(network(), contract())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (weight(np.nan, 2), r"finite weights were expected.*head.weight \(2 NaN, 0 infinite of 48\)"),
        (weight(np.inf), r"head.weight \(0 NaN, 1 infinite of 48\)"),
        (half, "weights in fp32 were expected.*head.bias"),
        (outside, "weights inside the ONNX file were expected.*head.weight"),
        (node(domain="my.ops", op_type="Warp"), "no target has my.ops::Warp in layer 'body/Flatten'"),
        (node(op_type="QuantizeLinear"), "quantised already: QuantizeLinear in layer 'body/Flatten'"),
        (node(op_type="Wrap"), "ONNX Runtime cannot open the network.*Wrap"),
        (node(name="", domain="x", op_type="Warp"), "in the layer that writes 'flat'"),
        (lambda model: model.graph.ClearField("node"), "has no nodes"),
    ],
)
def test_a_spoiled_network_is_refused(change: Callable[[onnx.ModelProto], object], words: str) -> None:
    with pytest.raises(ExportError, match=words):
        checks.check_network(network(change), contract())


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (contract(labels=("a", "b")), "3 labels were expected, one an output of the network, got 2: a, b"),
        (contract(labels=()), "at least one label was expected"),
        (contract(labels=("a", " ", "c")), "these places are empty: 1"),
        (contract(labels=("a", "b", "a")), "these come more often: a"),
        (contract(labels=("a", "b", "unknown")), "a label named unknown"),
        (contract(tensor="picture"), r"names the inputs \['picture'\], the network has \['image'\]"),
        (contract(width_px=5), r"the contract says \(n, 1, 4, 5\), the network takes \[0, 1, 4, 4\]"),
        (contract(color="rgb"), r"the contract says \(n, 3, 4, 4\)"),
        (contract(layout="nhwc"), r"the contract says \(n, 4, 4, 1\)"),
    ],
)
def test_a_contract_of_another_network_is_refused(said: Contract, words: str) -> None:
    with pytest.raises(ExportError, match=words):
        checks.check_network(network(), said)


def test_an_output_that_is_not_there() -> None:
    said = contract()
    other = Contract(said.task, said.inputs, [{"tensor": "probs", "kind": "logits", "shape": [-1, 3]}], said.decode, said.labels)
    with pytest.raises(ExportError, match=r"names the outputs \['probs'\], the network has \['logits'\]"):
        checks.check_network(network(), other)


@pytest.mark.parametrize("data", [b"", b"not a model", b"\x00" * 100])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ExportError, match=r"an ONNX file was expected|has no nodes"):
        checks.check_network(data, contract())


def test_many_bad_weights_are_counted_not_listed() -> None:
    with pytest.raises(ExportError, match="and 4 more"):
        checks.check_finite((f"w{i}", np.array([np.nan], np.float32)) for i in range(9))
    checks.check_finite([("counts", np.array([1, 2])), ("fine", np.ones(2, np.float32))])
