"""int8 for CPUs with convolutions: uint8 activations with ranges measured beforehand, int8 weights a scale a channel, int32 biases.

The pairs of QuantizeLinear and DequantizeLinear stand where ONNX Runtime can make one integer operator of each layer and what lies between
layers; then it does so, here, once, and every layer is looked up in what came out. One that is not integer there is named in the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from affectrt_export.spec import ExportError, Feeds
from affectrt_export.variants import ranges
from affectrt_export.variants.net import Net, attributes, unshare
from affectrt_export.variants.optimise import fused, simplified, start
from affectrt_export.variants.options import Options
from affectrt_export.variants.qdq import Weighted, note_others, settle, unsigned, weight, weighted

OPS = ("Conv", "Gemm", "MatMul")
_SAME = ("MaxPool", "Flatten", "Reshape", "Transpose", "Squeeze", "Unsqueeze")  # give out 8-bit values as they are
_OWN = ("Add", "Mul", "AveragePool", "GlobalAveragePool", "Concat", "Sigmoid", "LeakyRelu")
_FOLDED = ("Relu", "Clip")  # a uint8 value that starts at zero is the result of one
FLOAT_OPS = frozenset({"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"})


@dataclass(frozen=True)
class Static:
    """The maker of "int8" for networks with convolutions."""

    options: Options

    def __call__(self, model: bytes, calibration: Sequence[Feeds], keep: frozenset[str]) -> bytes:
        """See spec.Maker. `keep` names layers of `quantisable`."""
        quantised = paired(model, calibration, keep, self.options)
        written, graph = fused(quantised)
        every = {layer.name for layer in weighted(Net(simplified(model)), OPS)}
        left = sorted({n.name for n in graph.graph.node if n.op_type in FLOAT_OPS and n.name in every} - keep)
        if left and not keep and len(left) == len(every):
            raise ExportError(f"ONNX Runtime runs none of the {len(left)} layers in int8: {', '.join(left[:5])}")
        result = Net(onnx.ModelProto.FromString(written if written is not None else quantised))
        for name in left:
            result.note(f"{name}: ONNX Runtime runs this layer in fp32, though its weights are int8")
        note_others(result, simplified(model), OPS, keep)
        return result.bytes()


def prepared(model: bytes, keep: frozenset[str]) -> Net:
    """The network that is quantised."""
    net = start(model, keep)
    _pools(net)
    unshare(net, OPS)
    return net


def paired(model: bytes, calibration: Sequence[Feeds], keep: frozenset[str], options: Options) -> bytes:
    """The network with pairs of QuantizeLinear and DequantizeLinear, standard operators, not yet fused."""
    net = prepared(model, keep)
    every = weighted(net, OPS)
    spreads = ranges.measure(net.proto, calibration, _candidates(net, every), options.calibration != "minmax")
    layers = {layer.name: layer for layer in every if layer.name not in keep}
    plan = _Plan(net, layers)
    parameters: dict[str, tuple[np.float32, np.uint8]] = {}
    for node in list(net.graph.node):
        for value in plan.values(node):
            if value in parameters:
                continue
            source = net.producer.get(value)
            if source is not None and source.op_type in _SAME and source.name in plan.between:
                parameters[value] = parameters[source.input[0]]
            elif value in spreads:
                parameters[value] = unsigned(spreads[value].range(options))
            else:
                raise ExportError(f"layer {node.name} ({node.op_type}): {value} has no range, because it is empty or of no known type")
    for layer in layers.values():
        weight(net, layer, options.weight_limit, parameters[layer.node.input[0]][0])
    for value, (scale, zero) in parameters.items():
        settle(net, value, scale, zero)
    return net.bytes()


def _candidates(net: Net, layers: Sequence[Weighted]) -> list[str]:
    """Every value that some choice of `keep` may quantise: what layers and the operators between them read and write."""
    found: dict[str, None] = {}
    names = {layer.name for layer in layers}
    for node in net.graph.node:
        if node.name in names:
            found.update(dict.fromkeys([node.input[0], node.output[0]]))
        elif node.op_type in (*_SAME, *_OWN, *_FOLDED):
            found.update(dict.fromkeys([*(name for name in node.input if name not in net.constants), node.output[0]]))
    types = set(ranges.floats(net.proto))
    return [name for name in found if name in types]


class _Plan:
    """Which nodes work on 8 bits beside the layers, and which values are 8 bits then."""

    def __init__(self, net: Net, layers: Mapping[str, Weighted]) -> None:
        self.net, self.layers = net, layers
        integer: set[str] = set()  # values that come from a layer, over nothing but what can work on 8 bits
        for node in net.graph.node:
            if node.name in layers or (self._can(node) and all(name in integer for name in self._read(node))) or self._folds(node, integer):
                integer.add(node.output[0])
        wanted: set[str] = set()  # values that a layer reads, over nothing but what can work on 8 bits
        for node in reversed(net.graph.node):
            if node.name in layers:
                wanted.add(node.input[0])
            elif node.output[0] in wanted and node.output[0] in integer:
                wanted.update(self._read(node))
        self.wanted = wanted
        self.between = {n.name for n in net.graph.node if self._can(n) and n.output[0] in integer and n.output[0] in wanted}

    def values(self, node: onnx.NodeProto) -> list[str]:
        """Values that this node needs in 8 bits, inputs first."""
        if node.name in self.layers:
            # A product of matrices may give out floats; a convolution of integers cannot.
            own = node.op_type == "Conv" or self._settled(node) in self.wanted
            return [node.input[0], *([self._settled(node)] if own else [])]
        if node.name in self.between:
            return [*self._read(node), self._settled(node)]
        return []

    def _settled(self, node: onnx.NodeProto) -> str:
        """What leaves the node, after the Relu or Clip that it swallows."""
        reader = self.net.only_reader(str(node.output[0]))
        if reader is not None and reader.op_type in _FOLDED and node.op_type not in _SAME:
            return str(reader.output[0])
        return str(node.output[0])

    def _folds(self, node: onnx.NodeProto, integer: set[str]) -> bool:
        writer = self.net.producer.get(node.input[0]) if node.op_type in _FOLDED and node.input else None
        return writer is not None and writer.output[0] in integer and self._settled(writer) == node.output[0]

    def _can(self, node: onnx.NodeProto) -> bool:
        if node.domain or node.op_type not in (*_SAME, *_OWN):
            return False
        read = self._read(node)
        return bool(read) and (node.op_type in _SAME or len(read) == len(node.input)) and len(node.output) == 1

    def _read(self, node: onnx.NodeProto) -> list[str]:
        """Computed floats that the node reads: not shapes, not constants."""
        if node.op_type in ("Reshape", "Squeeze", "Unsqueeze") or node.op_type in _FOLDED:
            return [str(node.input[0])] if node.input[0] not in self.net.constants else []
        return [str(name) for name in node.input if name and name not in self.net.constants]


def _pools(net: Net) -> None:
    """Means over height and width become GlobalAveragePool, which has an integer form."""
    shapes = {v.name: v.type.tensor_type.shape for v in onnx.shape_inference.infer_shapes(net.proto).graph.value_info}
    for node in net.graph.node:
        if node.op_type != "ReduceMean":
            continue
        given = attributes(node)
        axes = given.get("axes") or (net.array(node.input[1]) if len(node.input) > 1 else None)
        rank = len(shapes[node.input[0]].dim) if node.input[0] in shapes else 0
        if axes is None or rank != 4 or not given.get("keepdims", 1) or sorted(int(a) % 4 for a in axes) != [2, 3]:
            continue
        del node.input[1:], node.attribute[:]
        node.op_type = "GlobalAveragePool"
    net.refresh()
