"""int8 for TensorRT: symmetric int8 activations and weights in pairs of QuantizeLinear and DequantizeLinear, no zero points, fp32 biases.

Types are strong, so what lies between the layers works in the precision that the file gives it: fp16, unless told otherwise.
TensorRT fuses what stands between pairs by itself: a pair stands before each input of a layer, and before what is added to the result of
a convolution; nothing else is touched. The same file runs on ONNX Runtime's CPU provider, for its accuracy: in pairs, not in integers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx

from affectrt_export.spec import ExportError, Feeds
from affectrt_export.variants import ranges
from affectrt_export.variants.fp16 import convert_proto
from affectrt_export.variants.net import Net, unshare
from affectrt_export.variants.optimise import start
from affectrt_export.variants.options import Options
from affectrt_export.variants.qdq import WEIGHT_LIMIT, note_others, pair, signed, weight, weighted

OPS = ("Conv", "Gemm", "MatMul")
_PAIR = ("QuantizeLinear", "DequantizeLinear")


@dataclass(frozen=True)
class TensorRt:
    """The maker of "int8-trt"."""

    options: Options

    def __call__(self, model: bytes, calibration: Sequence[Feeds], keep: frozenset[str]) -> bytes:
        """See spec.Maker. `keep` names layers of `quantisable`."""
        proto = start(model, keep).proto
        return quantise(proto, measured(proto, calibration, self.options), keep, self.options)


@dataclass(frozen=True)
class Measured:
    """What is known of the values of a network from calibration."""

    limits: Mapping[str, ranges.Range]
    """What int8 should cover, by value."""
    spreads: Mapping[str, ranges.Spread]
    """Extremes of every value, for fp16 in between; empty where nothing is fp16."""


def measured(proto: onnx.ModelProto, calibration: Sequence[Feeds], options: Options, half: bool = False) -> Measured:
    """Ranges for `quantise` of a simplified network; `half`: with what fp16 needs in any case. ExportError as `ranges.measure`."""
    found = ranges.measure(proto, calibration, values(Net(proto)), options.calibration != "minmax")
    every = ranges.extremes(proto, calibration) if half or base(Net(proto), options) == "fp16" else {}
    return Measured({name: spread.range(options) for name, spread in found.items()}, every)


def base(net: Net, options: Options) -> str:
    """What works between the layers. Convolutions take what is between them into int8 with them; an encoder has more there than layers."""
    if options.trt_base != "auto":
        return options.trt_base
    return (
        "fp32" if any(node.op_type == "Conv" for node in net.graph.node) and not any(attention(net, n) for n in net.graph.node) else "fp16"
    )


def values(net: Net) -> list[str]:
    """Every value that some choice of `keep` and of options may quantise, in graph order."""
    names = {layer.name for layer in weighted(net, OPS)}
    found: dict[str, None] = {}
    for node in net.graph.node:
        if node.name in names:
            found[str(node.input[0])] = None
        elif attention(net, node):
            found.update(dict.fromkeys(str(name) for name in node.input))
        elif node.op_type == "Add":
            found.update(dict.fromkeys(str(name) for name in node.input if name not in net.constants))
    types = set(ranges.floats(net.proto))
    return [name for name in found if name in types]


def attention(net: Net, node: onnx.NodeProto) -> bool:
    """Whether a node is a product of two computed values."""
    return node.op_type == "MatMul" and not node.domain and not any(name in net.constants for name in node.input)


def quantise(proto: onnx.ModelProto, measured: Measured, keep: frozenset[str], options: Options) -> bytes:
    """A simplified network, which is changed, with pairs before its layers."""
    net = Net(proto)
    unshare(net, OPS)
    layers = [layer for layer in weighted(net, OPS) if layer.name not in keep]
    if not layers and not keep:
        raise ExportError("layers with constant weights (Conv, Gemm, MatMul) were expected, the network has none")
    note_others(net, proto, OPS, keep)
    reads: dict[str, list[tuple[str, int]]] = {}
    for layer in layers:
        reads.setdefault(str(layer.node.input[0]), []).append((layer.name, 0))
    for node in net.graph.node:
        if options.quantise_attention and attention(net, node) and node.name not in keep:
            for i, name in enumerate(node.input):
                reads.setdefault(str(name), []).append((str(node.name), i))
    for name, i in _shortcuts(net, {layer.name for layer in layers}):
        reads.setdefault(str(net.node(name).input[i]), []).append((name, i))
    for layer in layers:
        weight(net, layer, WEIGHT_LIMIT, None)
    nodes = {node.name: node for node in net.graph.node}
    for value, readers in reads.items():
        if value not in measured.limits:
            raise ExportError(f"layer {readers[0][0]}: {value} has no range, because it is empty or of no known type")
        _, wide = pair(net, value, *signed(measured.limits[value]))
        for name, i in readers:
            nodes[name].input[i] = wide
    net.refresh()
    if base(net, options) == "fp32":
        return net.bytes()
    # ONNX Runtime up to 1.32 answers wrongly on the CPU where QuantizeLinear and its kin work in fp16, so the layers stand between Casts.
    paired = {node.name for node in net.graph.node if node.op_type in _PAIR}
    fed = {node.name for node in net.graph.node if any(net.producer[n].op_type in _PAIR for n in node.input if n in net.producer)}
    return convert_proto(onnx.ModelProto.FromString(net.bytes()), measured.spreads, frozenset(paired | fed))


def _shortcuts(net: Net, layers: set[str]) -> list[tuple[str, int]]:
    """Inputs of sums that come from elsewhere than the convolution they are fused with: in 8 bits the whole block is."""
    found = []
    for node in net.graph.node:
        if node.op_type != "Add" or any(name in net.constants for name in node.input):
            continue
        writers = [net.producer.get(name) for name in node.input]
        conv = [w is not None and w.op_type == "Conv" and w.name in layers and len(net.consumers[w.output[0]]) == 1 for w in writers]
        if conv[0] or conv[1]:
            found.append((str(node.name), 0 if conv[1] else 1))
    return found
