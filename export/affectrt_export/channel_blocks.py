"""Rewrites a convolutional network so that ONNX Runtime keeps it in its blocked channel layout from the first convolution to the heads.

On CPU, ONNX Runtime computes convolutions on blocks of 16 channels (8 without AVX-512). For a bottleneck narrower than a block, and
for a residual that is padded with zero channels, it leaves that layout and copies every value twice; nor can it join the addition
after such a padding to the convolution before it. Two exact steps remove both causes:

- the channels between layers are filled up to whole blocks with channels that are zero: the arithmetic stays, the layout too;
- `Relu(Pad(x) + Conv(y))` becomes the concatenation of `Relu(x + Conv(y))` and `Relu(Conv(y))`, one for the channels that `x` has and
  one for those it lacks: the weights are cut in two, none is added.

Answers differ from the network before in the rounding of sums only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

BLOCK = 16
_SAME_CHANNELS = frozenset({"Relu", "Add", "MaxPool", "Resize", "Transpose", "Reshape", "Concat"})

Array = npt.NDArray[Any]


def blocked(data: bytes, block: int = BLOCK) -> bytes:
    """The same network with whole blocks of channels; the same bytes for the same input.

    data: an ONNX file with one image input (N, C, H, W), as `tflite_to_onnx.convert` writes it. Heads, which are convolutions whose
    answer is transposed, keep their channels. Raises ValueError for an operator it does not know and for a padding of channels
    that is not followed by an addition to a convolution and a Relu.
    """
    return _Rewriter(onnx.load_from_string(data), block).bytes()


class _Rewriter:
    def __init__(self, model: onnx.ModelProto, block: int) -> None:
        self.model, self.block = model, block
        self.values = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
        self.stored: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self.made: dict[str, Array] = {}
        self.nodes: list[onnx.NodeProto] = list(model.graph.node)
        image = model.graph.input[0]
        channels = image.type.tensor_type.shape.dim[1].dim_value
        # Channels of each tensor before and after; no channel of the picture is added.
        self.before, self.after = {image.name: channels}, {image.name: channels}
        for node in list(self.nodes):
            if node.op_type == "Conv":
                self._conv(node)
            elif node.op_type == "Pad":
                self._pad(node)
            elif node.op_type in _SAME_CHANNELS:
                self._like_input(node)
            else:
                raise ValueError(f"operator {node.op_type} cannot be given blocks of channels; add it to channel_blocks.py")
        for node in [n for n in self.nodes if n.op_type == "Pad"]:
            self._split(node)

    def bytes(self) -> bytes:
        """The rewritten model, checked, as a file's bytes."""
        graph = self.model.graph
        used = {name for node in self.nodes for name in node.input}
        constants = {**self.values, **self.made}
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(self.nodes)
        graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items() if name in used)
        onnx.checker.check_model(self.model, full_check=True)
        return bytes(self.model.SerializeToString(deterministic=True))

    def _whole(self, channels: int) -> int:
        return math.ceil(channels / self.block) * self.block

    def _users(self, tensor: str) -> list[onnx.NodeProto]:
        return [n for n in self.nodes if tensor in n.input]

    def _constant(self, value: Array, hint: str) -> str:
        data = np.ascontiguousarray(value)
        key = (data.dtype.str, data.shape, data.tobytes())
        if key not in self.stored:
            self.stored[key] = f"{hint}_blocked_{len(self.stored)}"
            self.made[self.stored[key]] = data
        return self.stored[key]

    def _conv(self, node: onnx.NodeProto) -> None:
        source, out = node.input[0], node.output[0]
        weight, bias = self.values[node.input[1]], self.values[node.input[2]]
        group = next(a for a in node.attribute if a.name == "group")
        channels = len(weight)
        if group.i == 1:
            head = any(n.op_type == "Transpose" for n in self._users(out))
            target = channels if head else self._whole(channels)
            weight = _grown(_grown(weight, 0, target), 1, self.after[source])
        elif group.i == channels == self.before[source]:
            target = group.i = self.after[source]
            weight = _grown(weight, 0, target)
        else:
            raise ValueError(f"{node.name}: expected a convolution of 1 group or of a group for each channel, got {group.i} groups")
        node.input[1], node.input[2] = self._constant(weight, "weight"), self._constant(_grown(bias, 0, target), "bias")
        self.before[out], self.after[out] = channels, target

    def _pad(self, node: onnx.NodeProto) -> None:
        source, out = node.input[0], node.output[0]
        pads = self.values[node.input[1]].copy()
        if len(pads) != 8 or pads[[0, 1, 2, 3, 4, 6, 7]].any():
            raise ValueError(f"{node.name}: expected zeros after the channels only, got pads {pads.tolist()}")
        self.before[out] = self.before[source] + int(pads[5])
        self.after[out] = self._whole(self.before[out])
        if self.after[out] == self.after[source]:  # the channels asked for are there already
            for user in self._users(out):
                for k, name in enumerate(user.input):
                    if name == out:
                        user.input[k] = source
            self.nodes.remove(node)
        else:
            pads[5] = self.after[out] - self.after[source]
            node.input[1] = self._constant(pads, "pads")

    def _like_input(self, node: onnx.NodeProto) -> None:
        known = [name for name in node.input if name in self.before]
        self.before[node.output[0]] = max(self.before[name] for name in known)
        self.after[node.output[0]] = max(self.after[name] for name in known)

    def _split(self, pad: onnx.NodeProto) -> None:
        """Relu(Pad(x) + Conv(y)) -> Concat(Relu(x + Conv_a(y)), Relu(Conv_b(y)))."""
        short, out = pad.input[0], pad.output[0]
        add = self._only(self._users(out), "Add", pad)
        other = next(name for name in add.input if name != out)
        conv = self._only([n for n in self.nodes if other in n.output], "Conv", pad)
        self._only(self._users(other), "Add", pad)
        relu = self._only(self._users(add.output[0]), "Relu", pad)
        weight, bias = self.made[conv.input[1]], self.made[conv.input[2]]
        cut, end = self.after[short], relu.output[0]
        halves = [(slice(None, cut), f"{end}_a"), (slice(cut, None), f"{end}_b")]
        convs = []
        for part, name in halves:
            inputs = [conv.input[0], self._constant(weight[part], "weight"), self._constant(bias[part], "bias")]
            convs.append(helper.make_node("Conv", inputs, [f"{name}_conv"], name=f"{name}_conv"))
            convs[-1].attribute.extend(conv.attribute)
        new = [
            *convs,
            helper.make_node("Add", [short, f"{end}_a_conv"], [f"{end}_a_sum"], name=f"{end}_a_sum"),
            helper.make_node("Relu", [f"{end}_a_sum"], [f"{end}_a"], name=f"{end}_a"),
            helper.make_node("Relu", [f"{end}_b_conv"], [f"{end}_b"], name=f"{end}_b"),
            helper.make_node("Concat", [f"{end}_a", f"{end}_b"], [end], name=end, axis=1),
        ]
        place = self.nodes.index(relu)  # everything the new nodes read comes before the old Relu
        self.nodes[place : place + 1] = new
        for node in (pad, add, conv):
            self.nodes.remove(node)

    @staticmethod
    def _only(nodes: Sequence[onnx.NodeProto], kind: str, pad: onnx.NodeProto) -> onnx.NodeProto:
        if [n.op_type for n in nodes] != [kind]:
            raise ValueError(f"{pad.name}: expected one {kind} around the padded channels, got {[n.op_type for n in nodes]}")
        return nodes[0]


def _grown(value: Array, axis: int, size: int) -> Array:
    """`value` with zeros at the end of `axis` up to `size`."""
    widths = [(0, size - value.shape[axis] if k == axis else 0) for k in range(value.ndim)]
    return np.pad(value, widths)
