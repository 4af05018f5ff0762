"""fp16: standard operators and strong types, so that TensorRT takes the file as it is; inputs and outputs stay fp32.

What fp16 cannot hold stays in fp32 with a Cast on either side, and the file says which layers and why: weights or values beyond 65504,
numbers that would become zero, sums of many, powers and roots. Normalisations keep their fp32 inside (stash_type). A mask of minus a
billion is as good a mask at minus thirty thousand, so masks are narrowed instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, defs, numpy_helper

from affectrt_export.spec import ExportError, Feeds
from affectrt_export.variants import ranges
from affectrt_export.variants.net import Net, attributes
from affectrt_export.variants.optimise import start

LARGEST = 65504.0
_SAFE = LARGEST / 2  # what calibration examples reach, others exceed
_LEAST = 6.1e-5  # the least number that fp16 holds with all its digits
_MASK = 3e4
_WIDE_OPS = frozenset(
    {"Pow", "Sqrt", "Reciprocal", "Exp", "Log", "ReduceSum", "ReduceMean", "ReduceL1", "ReduceL2", "ReduceSumSquare", "CumSum", "Range"}
    | {"ConstantOfShape", "EyeLike", "RandomNormal", "RandomUniform", "QuantizeLinear", "DequantizeLinear"}
)
_FLOAT, _HALF = TensorProto.FLOAT, TensorProto.FLOAT16


def convert(model: bytes, calibration: Sequence[Feeds], keep: frozenset[str]) -> bytes:
    """The maker of "fp16". Without calibration examples only the weights are looked at, and the file says so."""
    proto = start(model, keep).proto
    return convert_proto(proto, ranges.extremes(proto, calibration) if calibration else {}, keep)


def convert_proto(proto: onnx.ModelProto, spreads: Mapping[str, ranges.Spread], keep: frozenset[str]) -> bytes:
    """The same of a network that is simplified already, with the extremes of its values; it is changed."""
    net = Net(proto)
    if not spreads:
        net.note("fp16: made without calibration examples, so only the weights were held against its range")
    work = _Work(net, set(ranges.floats(proto)), spreads, ranges.feeds_softmax(proto))
    work.narrow_masks()
    wide = {node.name: reason for node in net.graph.node if (reason := work.reason(node, keep)) is not None}
    for name, reason in wide.items():
        if reason:
            net.note(f"{name} ({net.node(name).op_type}): stays in fp32, {reason}")
    work.apply(frozenset(wide))
    made = net.bytes()
    try:
        onnx.shape_inference.infer_shapes(ranges.without_weights(onnx.ModelProto.FromString(made)), check_type=True, strict_mode=True)
    except onnx.shape_inference.InferenceError as error:
        raise ExportError(f"fp16: the types of the network do not fit together: {error}") from error
    return made


@dataclass(frozen=True)
class _Work:
    net: Net
    floats: set[str]
    """Values that are fp32 in the network as it came."""
    spreads: Mapping[str, ranges.Spread]
    masks: frozenset[str]
    """Values that go nowhere but into a softmax."""

    def narrow_masks(self) -> None:
        """Brings numbers that fp16 cannot hold into it where they only mask."""
        for name, tensor in list(self.net.constants.items()):
            if tensor.data_type != _FLOAT or name not in self.masks:
                continue
            value = numpy_helper.to_array(tensor)
            if value.size and np.abs(value).max() > _SAFE:
                tensor.CopyFrom(numpy_helper.from_array(np.clip(value, -_MASK, _MASK).astype(np.float32), name))

    def reason(self, node: onnx.NodeProto, keep: frozenset[str]) -> str | None:
        """Why a node stays in fp32: "" where that needs no word, None where it does not stay."""
        if node.name in keep:
            return ""
        if not any(self._is_float(name) for name in (*node.input, *node.output)):
            return ""
        if node.op_type in _WIDE_OPS or not self._allowed(node):
            return ""
        if not any(name in self.floats for name in node.output):  # Shape, Equal: as precise as what they read
            writer = next((self.net.producer.get(name) for name in node.input if self._is_float(name)), None)
            return None if writer is not None and self.reason(writer, keep) is None else ""
        for name in node.input:
            value = self.net.array(name) if self._is_float(name) else None
            if value is None or not value.size:
                continue
            largest = float(np.abs(value).max())
            if largest > LARGEST:
                return f"{name} reaches {largest:.3g}, fp16 {LARGEST:.0f}"
            if value.size == 1 and 0 < largest < _LEAST:
                return f"{name} is {largest:.3g}, which fp16 cannot hold"
        for name in (*node.input, *node.output):
            spread = self.spreads.get(name)
            beyond = 0.0 if spread is None else spread.high if name in self.masks else spread.peak
            if beyond > _SAFE:
                return f"{name} reaches {beyond:.3g} on the calibration examples, fp16 {LARGEST:.0f}"
        return None

    def apply(self, wide: frozenset[str]) -> None:
        """Changes types, and puts a Cast wherever a value is needed in the type that it is not."""
        net = self.net
        written = {name: _FLOAT if node.name in wide else _HALF for node in net.graph.node for name in node.output if name in self.floats}
        given = sorted(net.outputs & set(written), key=[value.name for value in net.graph.output].index)
        for name in given:
            if written[name] == _HALF:
                self._return_wide(name, written)
        made: dict[tuple[str, int], str] = {}
        for node in list(net.graph.node):
            if node.op_type == "Cast" and node.name.endswith(":wide"):
                continue
            target = _FLOAT if node.name in wide else _HALF
            fixed = _fixed_inputs(node)
            for i, name in enumerate(node.input):
                if not self._is_float(name) and name not in written:
                    continue
                want = _FLOAT if i in fixed else target
                if written.get(name, _FLOAT) != want:
                    node.input[i] = self._as(name, want, made)
            if target == _HALF and node.op_type == "Cast" and attributes(node)["to"] == _FLOAT:
                del node.attribute[:]
                node.attribute.append(onnx.helper.make_attribute("to", int(_HALF)))

    def _return_wide(self, name: str, written: dict[str, int]) -> None:
        """An output of the network is fp32: what the node writes is another value, cast back."""
        inner = self.net.fresh(f"{name}:half")
        writer = self.net.producer[name]
        writer.output[list(writer.output).index(name)] = inner
        self.net.redirect(name, inner)
        written[inner] = _HALF
        del written[name]
        self.net.add("Cast", [inner], [name], name=f"{name}:wide", to=_FLOAT)

    def _as(self, name: str, want: int, made: dict[tuple[str, int], str]) -> str:
        if (name, want) not in made:
            label = "half" if want == _HALF else "float"
            value = self.net.array(name)
            if value is None:
                made[name, want] = self.net.add("Cast", [name], name=f"{name}:{label}", to=want)
            else:
                made[name, want] = self.net.constant(value.astype(np.float16), f"{name}:{label}")
        return made[name, want]

    def _is_float(self, name: str) -> bool:
        tensor = self.net.constants.get(name)
        return tensor.data_type == _FLOAT if tensor is not None else name in self.floats

    def _allowed(self, node: onnx.NodeProto) -> bool:
        """Whether ONNX defines the operator for fp16."""
        schema = _schema(node, self.net)
        if schema is None:
            return False
        for i, name in enumerate(node.output):
            if name in self.floats and "tensor(float16)" not in _types(schema, schema.outputs, i):
                return False
        readable = [i for i, name in enumerate(node.input) if self._is_float(name)]
        return all("tensor(float16)" in _types(schema, schema.inputs, i) or i in _fixed_inputs(node) for i in readable)


def _schema(node: onnx.NodeProto, net: Net) -> defs.OpSchema | None:
    version = next((entry.version for entry in net.proto.opset_import if entry.domain == node.domain), 1)
    try:
        return defs.get_schema(node.op_type, version, node.domain)
    except defs.SchemaError:
        return None


def _types(schema: defs.OpSchema, ends: Sequence[defs.OpSchema.FormalParameter], i: int) -> frozenset[str]:
    return frozenset(ends[min(i, len(ends) - 1)].types)


def _fixed_inputs(node: onnx.NodeProto) -> frozenset[int]:
    """Inputs that are fp32 whatever the operator works in."""
    return frozenset({1, 2} if node.op_type == "Resize" else ())
