"""QuantizeLinear and DequantizeLinear: scales, int8 weights, int32 biases, and where the pairs stand. Shared by the static variants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx

from affectrt_export.spec import F32
from affectrt_export.variants.net import Net, attributes
from affectrt_export.variants.ranges import Range

WEIGHT_LIMIT = 127
_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN", "Einsum")
_LEAST = 1024  # weights of a layer that is worth a word


@dataclass(frozen=True)
class Weighted:
    """A layer with constant weights: Conv, Gemm or MatMul."""

    node: onnx.NodeProto
    axis: int
    """Of the weight: its output channels."""

    @property
    def name(self) -> str:
        """Name of the node."""
        return str(self.node.name)

    @property
    def weight(self) -> str:
        """Name of the weight."""
        return str(self.node.input[1])

    @property
    def bias(self) -> str:
        """Name of the bias; "" where there is none."""
        return str(self.node.input[2]) if len(self.node.input) > 2 else ""


def weighted(net: Net, ops: Sequence[str]) -> list[Weighted]:
    """Layers of these operators (Conv, Gemm, MatMul) with constant fp32 weights, in graph order."""
    found = []
    for node in net.graph.node:
        if node.op_type not in ops or node.domain:
            continue
        tensor = net.constants.get(node.input[1])
        if tensor is None or tensor.data_type != onnx.TensorProto.FLOAT or node.input[0] in net.constants:
            continue
        if node.op_type == "Conv":
            found.append(Weighted(node, 0))
        elif node.op_type == "MatMul" and len(tensor.dims) == 2:
            found.append(Weighted(node, 1))
        elif node.op_type == "Gemm":
            given = attributes(node)
            plain = given.get("alpha", 1.0) == 1.0 and given.get("beta", 1.0) == 1.0 and not given.get("transA", 0)
            bias = net.array(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(1)
            if plain and bias is not None and bias.ndim <= 1:
                found.append(Weighted(node, 0 if given.get("transB", 0) else 1))
    return found


def unsigned(limits: Range) -> tuple[np.float32, np.uint8]:
    """Scale and zero point of uint8 that covers (low, high), 0 among them exactly."""
    low, high = min(limits[0], 0.0), max(limits[1], 0.0)
    scale = np.float32((high - low if high > low else 1.0) / 255)  # a value that is always 0 may still pass a Clip on its way
    scale = max(scale, np.finfo(np.float32).tiny)
    return scale, np.uint8(np.clip(np.rint(-low / float(scale)), 0, 255))


def signed(limits: Range) -> tuple[np.float32, np.int8]:
    """Scale and zero point, which is 0, of int8 that covers (low, high)."""
    largest = max(abs(limits[0]), abs(limits[1]))
    scale = np.float32(largest / 127) if largest > 0 else np.float32(1)
    return max(scale, np.finfo(np.float32).tiny), np.int8(0)


def channels(weight: F32, axis: int, limit: int, floor: npt.NDArray[np.float64] | None = None) -> tuple[npt.NDArray[np.int8], F32]:
    """int8 within +-limit, same shape, and a scale for each index of `axis`, no smaller than `floor`."""
    others = tuple(i for i in range(weight.ndim) if i != axis)
    largest = np.abs(weight).max(others).astype(np.float64)
    scale = np.where(largest > 0, largest / limit, 1.0)
    if floor is not None:
        scale = np.maximum(scale, floor)
    narrow = np.maximum(scale, np.finfo(np.float32).tiny).astype(np.float32)
    shape = [-1 if i == axis else 1 for i in range(weight.ndim)]
    return np.clip(np.rint(weight / narrow.reshape(shape)), -limit, limit).astype(np.int8), narrow


def pair(net: Net, value: str, scale: np.float32, zero: np.uint8 | np.int8) -> tuple[str, str]:
    """Quantises and dequantises a value: names of the 8-bit and of the float one. Who read the value still reads it as it was."""
    parameters = [net.constant(np.float32(scale), f"{value}:scale"), net.constant(np.asarray(zero), f"{value}:zero")]
    small = net.add("QuantizeLinear", [value, *parameters], name=f"{value}:quantise")
    return small, net.add("DequantizeLinear", [small, *parameters], name=f"{value}:dequantise")


def settle(net: Net, value: str, scale: np.float32, zero: np.uint8 | np.int8) -> str:
    """Puts a pair behind a value, so that everybody reads what 8 bits leave of it; an output of the network keeps its name."""
    source = value
    if value in net.outputs:
        source = net.fresh(f"{value}:float")
        writer = net.producer[value]
        writer.output[list(writer.output).index(value)] = source
        net.producer[source] = writer
        net.redirect(value, source)
    small, large = pair(net, source, scale, zero)
    writer = net.producer[small]
    net.redirect(source, large, but=[writer])
    if source != value:
        last = net.producer[large]
        last.output[0] = value
        net.producer[value] = last
        net.redirect(large, value)
        large = value
    return large


def weight(net: Net, layer: Weighted, limit: int, input_scale: np.float32 | None) -> None:
    """Makes the weight int8, a scale a channel; with the scale of the input the bias int32 too, as integer convolutions add it.

    A channel whose bias is so large beside its weights that 32 bits could not hold it has its weights' scale widened.
    """
    value = np.asarray(net.array(layer.weight), np.float32)
    bias = np.asarray(net.array(layer.bias), np.float64) if layer.bias and input_scale is not None else None
    floor = None
    if bias is not None:
        wide = np.broadcast_to(bias.reshape(-1), (value.shape[layer.axis],))
        floor = np.abs(wide) / (float(input_scale or 1) * 2.0**30)
    small, scale = channels(value, layer.axis, limit, floor)
    names = [net.constant(small, f"{layer.weight}:int8"), net.constant(scale, f"{layer.weight}:scale")]
    names.append(net.constant(np.zeros(scale.shape, np.int8), f"{layer.weight}:zero"))
    layer.node.input[1] = net.add("DequantizeLinear", names, name=f"{layer.weight}:dequantise", axis=layer.axis)
    if bias is not None:
        steps = scale.astype(np.float64) * float(input_scale or 1)
        narrow = steps.astype(np.float32)
        rounded = np.clip(np.rint(wide / narrow), -(2**31), 2**31 - 1).astype(np.int32)
        inputs = [net.constant(rounded, f"{layer.bias}:int32"), net.constant(narrow, f"{layer.bias}:scale")]
        layer.node.input[2] = net.add("DequantizeLinear", inputs, name=f"{layer.bias}:dequantise", axis=0)


def note_others(net: Net, proto: onnx.ModelProto, ops: Sequence[str], keep: frozenset[str]) -> None:
    """Notes in `net` which layers with weights of the simplified network `proto` no variant of these operators reaches."""
    whole = Net(proto)
    taken = {layer.name for layer in weighted(whole, ops)} | keep
    for node in whole.graph.node:
        weights = sum(int(np.prod(whole.constants[name].dims)) for name in node.input if name in whole.constants)
        if node.op_type in _LAYERS and node.name not in taken and weights >= _LEAST:
            net.note(f"{node.name} ({node.op_type}): stays in fp32, this kind of layer is not quantised here")
