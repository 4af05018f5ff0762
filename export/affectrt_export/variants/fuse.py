"""Steps of an encoder joined for ONNX Runtime's CPU provider: products of one input into one, GELU into one operator.

Attention and the sum before a normalisation stay as they are: beside int8 products their fused operators gain nothing on sentences
(docs/decisions/quantisation.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from affectrt_export.spec import F32
from affectrt_export.variants.net import MICROSOFT, Net
from affectrt_export.variants.qdq import Weighted, weighted

OPS = ("MatMul", "Gemm")


@dataclass(frozen=True)
class Product:
    """x @ weight + bias, perhaps of several layers that read the same x."""

    layers: Sequence[str]
    """Names of the layers, in the order of the columns."""
    x: str
    weight: F32
    """(in, out) float32."""
    bias: F32 | None
    outputs: Sequence[str]
    """One a layer: the value that holds its columns."""
    widths: Sequence[int]
    """One a layer: how many columns."""


def gelu(net: Net) -> int:
    """Puts one Gelu where it is spelled out as x / 2 * (1 + erf(x / sqrt 2)), in whatever order; how many there were."""
    count = 0
    for erf in [node for node in net.graph.node if node.op_type == "Erf"]:
        found = _gelu(net, erf)
        if found is None:
            continue
        x, last = found
        source, output = x, last.output[0]
        last.CopyFrom(onnx.helper.make_node("Gelu", [source], [output], name=last.name, domain=MICROSOFT))
        count += 1
        net.refresh()
    return count


def _gelu(net: Net, erf: onnx.NodeProto) -> tuple[str, onnx.NodeProto] | None:
    inner = net.producer.get(erf.input[0])
    x = _scaled(net, inner, math.sqrt(0.5)) if inner is not None else None
    add = net.only_reader(erf.output[0])
    if x is None or add is None or add.op_type != "Add" or not _has(net, add, 1.0):
        return None
    # What is left is a product of three, in any order: x, a half, and the sum.
    value, left = str(add.output[0]), {"half", "x"}
    node = net.only_reader(value)
    while node is not None:
        other = next((str(name) for name in node.input if name != value), value)
        writer = net.producer.get(other)
        if _scaled(net, node, 0.5) == value:
            left.discard("half")
        elif node.op_type == "Mul" and other == x:
            left.discard("x")
        elif node.op_type == "Mul" and writer is not None and _scaled(net, writer, 0.5) == x:
            left.clear()
        else:
            return None
        if not left:
            return x, node
        value = str(node.output[0])
        node = net.only_reader(value)
    return None


def _scaled(net: Net, node: onnx.NodeProto, factor: float) -> str | None:
    """The x of node = x * factor or x / (1 / factor)."""
    for i, name in enumerate(node.input):
        number = net.scalar(name)
        if number is None or len(node.input) != 2:
            continue
        if node.op_type == "Mul" and math.isclose(number, factor, rel_tol=1e-3):
            return str(node.input[1 - i])
        if node.op_type == "Div" and i == 1 and math.isclose(number, 1 / factor, rel_tol=1e-3):
            return str(node.input[0])
    return None


def _has(net: Net, node: onnx.NodeProto, number: float) -> bool:
    return any(net.scalar(name) == number for name in node.input)


def products(net: Net, keep: frozenset[str]) -> list[Product]:
    """Every layer that is a product with constant weights and is not kept; those that read one value together, in graph order."""
    groups: dict[tuple[str, int, bool], list[Product]] = {}
    for layer in weighted(net, OPS):
        if layer.name in keep:
            continue
        one = _product(net, layer)
        groups.setdefault((one.x, one.weight.shape[0], one.bias is None), []).append(one)
    return [_joined(group) for group in groups.values()]


def _product(net: Net, layer: Weighted) -> Product:
    value = np.asarray(net.array(layer.weight), np.float32)
    value = value.T if layer.axis == 0 else value
    bias = net.array(layer.bias) if layer.bias else None
    output = str(layer.node.output[0])
    if bias is not None:
        bias = np.broadcast_to(bias.reshape(-1), (value.shape[1],)).astype(np.float32)
    elif layer.node.op_type == "MatMul":
        add = net.only_reader(output)
        if add is not None and add.op_type == "Add":
            other = net.array(next((name for name in add.input if name != output), ""))
            if other is not None and other.shape == (value.shape[1],):
                bias, output = np.asarray(other, np.float32), str(add.output[0])
    return Product([layer.name], str(layer.node.input[0]), np.ascontiguousarray(value), bias, [output], [value.shape[1]])


def _joined(group: Sequence[Product]) -> Product:
    if len(group) == 1:
        return group[0]
    biases = [one.bias for one in group if one.bias is not None]
    return Product(
        [name for one in group for name in one.layers],
        group[0].x,
        np.concatenate([one.weight for one in group], 1),
        np.concatenate(biases) if biases else None,
        [output for one in group for output in one.outputs],
        [width for one in group for width in one.widths],
    )


def put(net: Net, product: Product, value: str) -> None:
    """Lets `value`, which holds all columns of a product, stand for what its layers wrote."""
    parts = [value]
    if len(product.layers) > 1:
        sizes = net.constant(np.array(product.widths, np.int64), f"{product.layers[0]}:widths")
        parts = [net.fresh(f"{name}:columns") for name in product.layers]
        net.add("Split", [value, sizes], parts, name=f"{product.layers[0]}:split", axis=-1)
    for output, part in zip(product.outputs, parts, strict=True):
        net.stand_in(output, part)
