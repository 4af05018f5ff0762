"""TFLite to ONNX for the small vision networks of the default packs (docs/decisions/tflite-conversion.md says why it is ours).

Convolutional networks (`channels_first=True`) come out in NCHW with no transpose but the one before a detection head's
reshape; explicit padding is folded into the convolution that follows. Others keep TFLite's layout, where a 1x1 convolution is a
matrix product and the layer normalisations that TFLite spells out in ten operators become one. To add an operator, write `_<name>`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from affectrt_export.onnx_graph import Array, Graph
from affectrt_export.tflite_reader import Network, Operator, read

_LAYER_NORM = ["MEAN", "NEG", "SQUARED_DIFFERENCE", "MEAN", "ADD", "RSQRT", "MUL", "MUL", "MUL", "ADD"]
_SAME = 0


def convert(
    data: bytes,
    name: str,
    outputs: Mapping[int, tuple[str, Sequence[int]]],
    *,
    input_name: str,
    size: tuple[int, int] | None = None,
    channels_first: bool = True,
    dynamic_batch: bool = False,
) -> bytes:
    """ONNX file bytes of a TFLite network.

    outputs: number of a TFLite output -> its ONNX name and shape without the batch (-1: as it comes); others are left out.
    size: (height, width) of the input where it shall differ from the original, for fully convolutional networks.
    """
    return _Converter(read(data), name, outputs, input_name, size, channels_first, dynamic_batch).graph.bytes()


class _Converter:
    def __init__(
        self,
        network: Network,
        name: str,
        outputs: Mapping[int, tuple[str, Sequence[int]]],
        input_name: str,
        size: tuple[int, int] | None,
        channels_first: bool,
        dynamic_batch: bool,
    ) -> None:
        self.net, self.graph, self.first = network, Graph(name), channels_first
        self.names: dict[int, str] = {}
        self.pads: dict[int, tuple[int, list[int]]] = {}
        wanted = {network.outputs[k] for k in outputs}
        self.users = {t: [o for o in network.operators if t in o.inputs] for t in network.shapes}
        batch: int | str = "n" if dynamic_batch else 1
        shape = list(network.shapes[network.inputs[0]])
        if channels_first:
            height, width = size or (shape[1], shape[2])
            shape = [shape[0], shape[3], height, width]
        self.names[network.inputs[0]] = self.graph.input(input_name, [batch, *shape[1:]])
        todo = self._needed(wanted)
        while todo:
            if [o.name for o in todo[: len(_LAYER_NORM)]] == _LAYER_NORM:
                self._layer_norm(todo[: len(_LAYER_NORM)])
                todo = todo[len(_LAYER_NORM) :]
                continue
            op = todo.pop(0)
            method = getattr(self, "_" + op.name.lower(), None)
            if method is None:
                raise ValueError(f"operator {op.name} of network {name} is not supported; add _{op.name.lower()} to tflite_to_onnx.py")
            method(op)
        for k, (out, dims) in outputs.items():
            target = [0, *dims] if dynamic_batch else [1, *dims]
            self.graph.add("Reshape", [self.names[network.outputs[k]], self._ints(target)], out=out)
            self.graph.output(out, [batch, *(f"{out}_{i}" if d < 0 else d for i, d in enumerate(dims))])

    def _needed(self, wanted: set[int]) -> list[Operator]:
        """The operators that the wanted tensors depend on, in order."""
        keep = []
        for op in reversed(self.net.operators):
            if wanted & set(op.outputs):
                keep.append(op)
                wanted = wanted | set(op.inputs)
        return keep[::-1]

    def _ints(self, values: Sequence[int]) -> str:
        return self.graph.constant(np.array(values, np.int64), "shape")

    def _value(self, tensor: int, like_rank: int = 0) -> str:
        """Name of a tensor; a constant is stored, in the layout of the activations it meets."""
        if tensor not in self.net.constants:
            return self.names[tensor]
        value = self.net.constants[tensor]
        if self.first and like_rank == 4:
            value = value.reshape((1,) * (4 - value.ndim) + value.shape).transpose(0, 3, 1, 2)
        return self.graph.constant(value, "weight")

    def _axis(self, axis: int, rank: int) -> int:
        axis %= rank
        return [0, 2, 3, 1][axis] if self.first and rank == 4 else axis

    def _emit(self, op: Operator, kind: str, inputs: Sequence[str], **attributes: Any) -> None:
        out = self.graph.add(kind, inputs, **attributes)
        code = op.options.FusedActivationFunction() if hasattr(op.options, "FusedActivationFunction") else 0
        if code:
            if code not in (1, 3):
                raise ValueError(f"fused activation {code} of {op.name} is not supported")
            out = (
                self.graph.add("Relu", [out])
                if code == 1
                else self.graph.add("Clip", [out, self.graph.constant(np.float32(0)), self.graph.constant(np.float32(6))])
            )
        self.names[op.outputs[0]] = out

    # Convolution and pooling

    def _window(self, op: Operator, kernel: tuple[int, int], source: int) -> tuple[list[int], list[int]]:
        """Strides and ONNX pads (top, left, bottom, right) of a windowed operator."""
        strides = [op.options.StrideH(), op.options.StrideW()]
        pads = [0, 0, 0, 0]
        if op.options.Padding() == _SAME:
            for axis in (0, 1):
                if self.net.shapes[source][1 + axis] % strides[axis]:
                    raise ValueError(f"{op.name}: input side {self.net.shapes[source][1 + axis]} is not a multiple of the stride")
                # TensorFlow puts the odd pixel after the picture.
                total = max(kernel[axis] - strides[axis], 0)
                pads[axis], pads[axis + 2] = total // 2, total - total // 2
        return strides, pads

    def _conv(self, op: Operator, weight: Array, group: int) -> None:
        source, bias = op.inputs[0], self.net.constants[op.inputs[2]]
        if op.options.DilationHFactor() != 1 or op.options.DilationWFactor() != 1:
            raise ValueError(f"dilated {op.name} is not supported")
        strides, pads = self._window(op, weight.shape[2:], source)
        if source in self.pads:
            source, extra = self.pads[source]
            pads = [a + b for a, b in zip(pads, extra, strict=True)]
        inputs = [self.names[source], self.graph.constant(weight, "weight"), self.graph.constant(bias, "bias")]
        self._emit(op, "Conv", inputs, kernel_shape=list(weight.shape[2:]), strides=strides, pads=pads, group=group)

    def _conv_2d(self, op: Operator) -> None:
        weight = self.net.constants[op.inputs[1]]  # out, height, width, in
        if self.first:
            self._conv(op, weight.transpose(0, 3, 1, 2), 1)
            return
        if weight.shape[1:3] != (1, 1):
            raise ValueError("only 1x1 convolutions can keep the channels last")
        product = self.graph.add("MatMul", [self.names[op.inputs[0]], self.graph.constant(weight[:, 0, 0].T, "weight")])
        self._emit(op, "Add", [product, self._value(op.inputs[2])])

    def _depthwise_conv_2d(self, op: Operator) -> None:
        if op.options.DepthMultiplier() != 1:
            raise ValueError("only depthwise convolutions with multiplier 1 are supported")
        weight = self.net.constants[op.inputs[1]]  # 1, height, width, channels
        self._conv(op, weight.transpose(3, 0, 1, 2), weight.shape[3])

    def _max_pool_2d(self, op: Operator) -> None:
        kernel = (op.options.FilterHeight(), op.options.FilterWidth())
        strides, pads = self._window(op, kernel, op.inputs[0])
        self._emit(op, "MaxPool", [self.names[op.inputs[0]]], kernel_shape=list(kernel), strides=strides, pads=pads)

    def _pad(self, op: Operator) -> None:
        amount = self.net.constants[op.inputs[1]]
        windows = ("CONV_2D", "DEPTHWISE_CONV_2D")
        if self.first and not amount[[0, 3]].any() and all(u.name in windows for u in self.users[op.outputs[0]]):
            (top, bottom), (left, right) = amount[1].tolist(), amount[2].tolist()
            self.pads[op.outputs[0]] = (op.inputs[0], [top, left, bottom, right])
            return
        order = [0, 3, 1, 2] if self.first else [0, 1, 2, 3]
        pads = [*amount[order, 0].tolist(), *amount[order, 1].tolist()]
        self._emit(op, "Pad", [self.names[op.inputs[0]], self._ints(pads)], mode="constant")

    def _resize_bilinear(self, op: Operator) -> None:
        before, after = self.net.shapes[op.inputs[0]], self.net.shapes[op.outputs[0]]
        scales = self.graph.constant(np.array([1, 1, after[1] / before[1], after[2] / before[2]], np.float32), "scales")
        if op.options.AlignCorners():
            mode = "align_corners"
        else:
            mode = "half_pixel" if op.options.HalfPixelCenters() else "asymmetric"
        self._emit(op, "Resize", [self.names[op.inputs[0]], "", scales], mode="linear", coordinate_transformation_mode=mode)

    def _depth_to_space(self, op: Operator) -> None:
        self._emit(op, "DepthToSpace", [self.names[op.inputs[0]]], blocksize=op.options.BlockSize(), mode="DCR")

    # Element by element

    def _binary(self, op: Operator, kind: str) -> None:
        rank = len(self.net.shapes[op.outputs[0]])
        self._emit(op, kind, [self._value(t, rank) for t in op.inputs])

    def _unary(self, op: Operator, kind: str) -> None:
        self._emit(op, kind, [self.names[op.inputs[0]]])

    def _add(self, op: Operator) -> None:
        self._binary(op, "Add")

    def _sub(self, op: Operator) -> None:
        self._binary(op, "Sub")

    def _mul(self, op: Operator) -> None:
        self._binary(op, "Mul")

    def _div(self, op: Operator) -> None:
        self._binary(op, "Div")

    def _relu(self, op: Operator) -> None:
        self._unary(op, "Relu")

    def _sqrt(self, op: Operator) -> None:
        self._unary(op, "Sqrt")

    def _logistic(self, op: Operator) -> None:
        self._unary(op, "Sigmoid")

    def _prelu(self, op: Operator) -> None:
        slope = self.net.constants[op.inputs[1]].reshape(-1)
        value = self.graph.constant(slope.reshape(-1, 1, 1) if self.first else slope, "slope")
        self._emit(op, "PRelu", [self.names[op.inputs[0]], value])

    # Shape

    def _reshape(self, op: Operator) -> None:
        rank, after = len(self.net.shapes[op.inputs[0]]), list(self.net.shapes[op.outputs[0]])
        source = self.names[op.inputs[0]]
        if self.first and rank == 4:
            source = self.graph.add("Transpose", [source], perm=[0, 2, 3, 1])
            # The number of cells follows the size of the input, the number of values a cell does not.
            after = [0, -1, after[-1]] if len(after) == 3 else [0, *after[1:]]
        self._emit(op, "Reshape", [source, self._ints(after)])

    def _concatenation(self, op: Operator) -> None:
        rank = len(self.net.shapes[op.outputs[0]])
        inputs = [self._value(t, rank) for t in op.inputs]
        self._emit(op, "Concat", inputs, axis=self._axis(op.options.Axis(), rank))

    def _transpose(self, op: Operator) -> None:
        self._emit(op, "Transpose", [self.names[op.inputs[0]]], perm=self.net.constants[op.inputs[1]].tolist())

    def _strided_slice(self, op: Operator) -> None:
        begin, end, step = (self.net.constants[t].tolist() for t in op.inputs[1:])
        o = op.options
        if o.EllipsisMask() or o.NewAxisMask():
            raise ValueError("STRIDED_SLICE with an ellipsis or a new axis is not supported")
        rank = len(self.net.shapes[op.inputs[0]])
        begin = [0 if o.BeginMask() >> k & 1 else begin[k] for k in range(rank)]
        end = [2**31 - 1 if o.EndMask() >> k & 1 else end[k] for k in range(rank)]
        dropped = [k for k in range(rank) if o.ShrinkAxisMask() >> k & 1]
        end = [begin[k] + 1 if k in dropped else end[k] for k in range(rank)]
        out = self.graph.add(
            "Slice", [self.names[op.inputs[0]], self._ints(begin), self._ints(end), self._ints(range(rank)), self._ints(step)]
        )
        self.names[op.outputs[0]] = self.graph.add("Squeeze", [out, self._ints(dropped)]) if dropped else out

    def _reduced(self, op: Operator, kind: str) -> None:
        rank = len(self.net.shapes[op.inputs[0]])
        axes = [self._axis(int(a), rank) for a in np.atleast_1d(self.net.constants[op.inputs[1]])]
        keep = int(op.options.KeepDims())
        if kind == "ReduceSum":  # from opset 13 on its axes are an input
            self._emit(op, kind, [self.names[op.inputs[0]], self._ints(axes)], keepdims=keep)
        else:
            self._emit(op, kind, [self.names[op.inputs[0]]], axes=axes, keepdims=keep)

    def _mean(self, op: Operator) -> None:
        self._reduced(op, "ReduceMean")

    def _sum(self, op: Operator) -> None:
        self._reduced(op, "ReduceSum")

    def _layer_norm(self, ops: Sequence[Operator]) -> None:
        """x * g / sd - mean * g / sd, the way TFLite writes it, as one node."""
        source, scale = ops[0].inputs[0], self.net.constants[ops[6].inputs[1]]
        epsilon = float(self.net.constants[ops[4].inputs[1]])
        inputs = [self.names[source], self.graph.constant(scale, "weight")]
        self.names[ops[9].outputs[0]] = self.graph.add("LayerNormalization", inputs, axis=-1, epsilon=epsilon)
