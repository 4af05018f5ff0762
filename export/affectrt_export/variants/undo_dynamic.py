"""A network quantised for ONNX Runtime's CPU provider, brought back to a master: standard operators in fp32, the weights as it rounds them.

A pack has room for one file of its weights, and int8 is what a CPU wants. Everything that int8 adds can be taken away again but the
rounding: DynamicQuantizeMatMul becomes MatMul and Add, QAttention the steps that it stands for, Gelu its formula, and tables in 8 bits
tables. The result answers as the int8 file but for the rounding of activations, which it does not do, and is derived from as a master is.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from affectrt_export.spec import ExportError
from affectrt_export.variants.master import MARK
from affectrt_export.variants.net import (
    MAX_OPSET,
    MICROSOFT,
    MIN_OPSET,
    Array,
    Net,
    attributes,
    metadata_of,
    name_nodes,
    parse,
    set_metadata,
)
from affectrt_export.variants.ranges import without_weights

UNDONE = ("DynamicQuantizeMatMul", "QAttention", "Gelu")
"""Operators of com.microsoft that can be undone."""
_MASKED = -10000.0  # what QAttention adds to the score of an absent word, unless its attribute says otherwise
_ATTENTION = frozenset({"num_heads", "mask_filter_value", "unidirectional", "do_rotary", "past_present_share_buffer"})


def is_dynamic(model: bytes) -> bool:
    """Whether a file is an ONNX network whose products quantise their activations as they come."""
    try:
        proto = onnx.ModelProto.FromString(model)
    except Exception:  # protobuf's DecodeError, which lies in another package in each version of it
        return False
    return any(node.domain == MICROSOFT and node.op_type in UNDONE[:2] for node in proto.graph.node)


def undo(model: bytes) -> bytes:
    """The master in a dynamic int8 file: every node in domain "", a weight its int8 times its scale. The same file gives the same bytes.

    ExportError: an operator that cannot be undone, named with its node; weights that are not constant; a mask that is not one of words.
    """
    net = Net(_read(model))
    work = _Work(net)
    for node in list(net.graph.node):
        if node.domain == MICROSOFT and node.op_type == "DynamicQuantizeMatMul":
            net.stand_in(str(node.output[0]), work.product(node))
        elif node.domain == MICROSOFT and node.op_type == "QAttention":
            net.stand_in(str(node.output[0]), work.attention(node))
        elif node.domain == MICROSOFT and node.op_type == "Gelu":
            net.stand_in(str(node.output[0]), work.gelu(node))
        elif node.op_type == "Mul":
            work.table(node)
    set_metadata(net.proto, {**metadata_of(net.proto), MARK: "int8"})
    made = net.bytes()  # without the nodes that nothing reads any more
    for node in parse(made).graph.node:
        if node.domain:
            raise ExportError(f"{node.domain}.{node.op_type} {node.name!r} cannot be undone; of {MICROSOFT} {', '.join(UNDONE)} can")
    return made


def _read(model: bytes) -> onnx.ModelProto:
    if not is_dynamic(model):
        raise ExportError("a dynamic int8 network was expected, with DynamicQuantizeMatMul or QAttention; these bytes are none")
    proto = onnx.ModelProto.FromString(model)
    version = next((entry.version for entry in proto.opset_import if not entry.domain), 0)
    if not MIN_OPSET <= version <= MAX_OPSET:
        raise ExportError(f"operator set {MIN_OPSET} to {MAX_OPSET} was expected, this has {version}")
    name_nodes(proto.graph)
    return proto


class _Work:
    """What the steps share: weights and masks that are made once."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self._weights: dict[tuple[str, str, str], str] = {}
        self._masks: dict[tuple[str, float], str] = {}
        shapes = onnx.shape_inference.infer_shapes(without_weights(net.proto)).graph
        typed = [value for value in (*shapes.input, *shapes.value_info) if value.type.tensor_type.HasField("shape")]
        self._ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in typed}

    def product(self, node: onnx.NodeProto) -> str:
        """MatMul, and Add where there is a bias."""
        x, small, scale, zero, bias = _inputs(node, 5)
        name = node.name.removesuffix(":int8 product")
        value = self.net.add("MatMul", [x, self._weight(node, small, scale, zero)], name=f"{name}:product")
        return self.net.add("Add", [value, bias], name=f"{name}:biased") if bias else value

    def attention(self, node: onnx.NodeProto) -> str:
        """The joined projection, and attention in steps: (batch, words, width) to the same."""
        net, given = self.net, attributes(node)
        small_x, small, bias, x_scale, scale, mask, x_zero, zero, past = _inputs(node, 9)
        strange = sorted(name for name in given if name not in _ATTENTION)
        if strange or past or given.get("unidirectional") or given.get("do_rotary"):
            what = ", ".join(strange) or "a past, a direction or rotary positions"
            raise ExportError(f"QAttention {node.name!r}: plain attention over all words was expected, this has {what}")
        source = net.producer.get(small_x)
        if source is None or source.op_type != "DynamicQuantizeLinear" or [small_x, x_scale, x_zero] != list(source.output):
            raise ExportError(f"QAttention {node.name!r}: an input by DynamicQuantizeLinear was expected, with its scale and zero point")
        weight = self._weight(node, small, scale, zero)
        width, heads = net.constants[small].dims[1] // 3, int(given["num_heads"])
        size = width // heads

        def ints(*values: int) -> str:
            return net.constant(np.array(values, np.int64), "ints")

        def add(op: str, inputs: list[str], step: str, **more: Any) -> str:
            return net.add(op, inputs, name=f"{node.name}:{step}", **more)

        joined = add("MatMul", [str(source.input[0]), weight], "product")
        joined = add("Add", [joined, bias], "biased") if bias else joined
        parts = [net.fresh(f"{node.name}:{part}") for part in ("query", "key", "value")]
        net.add("Split", [joined, ints(width, width, width)], parts, name=f"{node.name}:split", axis=2)
        rows = [add("Reshape", [part, ints(0, 0, heads, size)], "heads") for part in parts]
        # The query is scaled, where the operator scales the scores: in half precision what is between stays small.
        query = add("Mul", [rows[0], net.constant(np.float32(1 / math.sqrt(size)), "query scale")], "scaled")
        query, value = (add("Transpose", [row], "by head", perm=[0, 2, 1, 3]) for row in (query, rows[2]))
        scores = add("MatMul", [query, add("Transpose", [rows[1]], "by head", perm=[0, 2, 3, 1])], "scores")
        if mask:
            scores = add("Add", [scores, self._mask(node, mask, float(given.get("mask_filter_value", _MASKED)))], "masked")
        seen = add("MatMul", [add("Softmax", [scores], "weights", axis=-1), value], "seen")
        return add("Reshape", [add("Transpose", [seen], "by word", perm=[0, 2, 1, 3]), ints(0, 0, width)], "joined")

    def gelu(self, node: onnx.NodeProto) -> str:
        """x / 2 * (1 + erf(x / sqrt 2)): ONNX has a Gelu from operator set 20 only, and all runtimes have these."""
        net, x = self.net, str(node.input[0])

        def step(op: str, value: str, other: float) -> str:
            return net.add(op, [value, net.constant(np.float32(other), "number")], name=f"{node.name}:{op}")

        bell = step("Add", net.add("Erf", [step("Div", x, math.sqrt(2))], name=f"{node.name}:Erf"), 1)
        return step("Mul", net.add("Mul", [x, bell], name=f"{node.name}:Mul"), 0.5)

    def table(self, node: onnx.NodeProto) -> None:
        """Rows that are picked, widened and scaled become rows picked of the widened and scaled table."""
        net = self.net
        writers = [net.producer.get(name) for name in node.input]
        for cast, scales in (writers, writers[::-1]):
            if cast is None or cast.op_type != "Cast" or scales is None or scales.op_type != "Gather":
                continue
            rows = net.producer.get(cast.input[0])
            if rows is None or rows.op_type != "Gather" or rows.input[1] != scales.input[1]:
                continue
            if any(attributes(gather).get("axis", 0) for gather in (rows, scales)):
                continue
            small, scale = net.array(rows.input[0]), net.array(scales.input[0])
            if small is None or small.dtype != np.int8 or scale is None or scale.shape != (len(small), 1):
                continue
            whole = self._weight(node, str(rows.input[0]), str(scales.input[0]), "")
            net.stand_in(str(node.output[0]), net.add("Gather", [whole, rows.input[1]], name=f"{node.name}:rows", axis=0))
            return

    def _weight(self, node: onnx.NodeProto, small: str, scale: str, zero: str) -> str:
        """(value - zero) * scale, as a master writes it: Cast and Mul of constants."""
        key = (small, scale, zero)
        if key in self._weights:
            return self._weights[key]
        net, value, factor = self.net, self.net.array(small), self.net.array(scale)
        offset = net.array(zero) if zero else np.zeros((), np.int8)
        if value is None or factor is None or offset is None or value.ndim != 2 or value.dtype not in (np.int8, np.uint8):
            raise ExportError(f"{node.op_type} {node.name!r}: constant weights in 8 bits, (in, out), with constant scales were expected")
        self._weights[key] = self._scaled(small, value.astype(np.int16) - offset.astype(np.int16), factor)
        return self._weights[key]

    def _scaled(self, name: str, value: Array, factor: Array) -> str:
        net = self.net
        if value.min() < -128 or value.max() > 127:  # unsigned with a zero point at one end: no int8 holds these
            return net.constant(value.astype(np.float32) * factor, f"{name}:float")
        small = net.constant(value.astype(np.int8), f"{name}:int8")
        wide = net.add("Cast", [small], name=f"{name}:float", to=TensorProto.FLOAT)
        return net.add("Mul", [wide, net.constant(factor, f"{name}:scale")], name=f"{name}:scaled")

    def _mask(self, node: onnx.NodeProto, mask: str, masked: float) -> str:
        """What is added to the scores, (batch, 1, 1, words): 0 for a word that is there, `masked` for one that is not."""
        if self._ranks.get(mask) != 2:
            rank = self._ranks.get(mask, "unknown")
            raise ExportError(f"QAttention {node.name!r}: a mask (batch, words) was expected, {mask} has {rank} axes")
        if (mask, masked) not in self._masks:
            net = self.net
            there = net.add("Greater", [mask, net.constant(np.int32(0), "nothing")], name=f"{mask}:there")
            numbers = [net.constant(np.float32(number), "mask") for number in (0, masked)]
            bias = net.add("Where", [there, *numbers], name=f"{mask}:bias")
            axes = net.constant(np.array([1, 2], np.int64), "ints")
            self._masks[mask, masked] = net.add("Unsqueeze", [bias, axes], name=f"{mask}:over heads")
        return self._masks[mask, masked]


def _inputs(node: onnx.NodeProto, count: int) -> list[str]:
    """Names of all inputs that the operator has; "" for those left out."""
    return [*map(str, node.input), *[""] * (count - len(node.input))]
