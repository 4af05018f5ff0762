"""The master: a network with its weights in 8 or 4 bits and nothing else changed, small enough to be the only file of a pack.

Each weight is a Cast and a Mul of constants: standard operators, which any ONNX Runtime folds when it loads the file; then it runs in fp32.
DequantizeLinear would be the word for it, but that and the product after it ONNX Runtime takes for one in 8 bits. Variants are derived from
the master on the device (derive.py). What calibration found of the values goes along, so that int8 for TensorRT can be derived without the
data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper, version_converter

from affectrt_export.quantize import rows
from affectrt_export.spec import F32, ExportError, Feeds
from affectrt_export.variants import int8_trt, ranges, tables
from affectrt_export.variants.blocks import nibbles, symmetric
from affectrt_export.variants.net import Net, metadata_of, set_metadata
from affectrt_export.variants.optimise import start
from affectrt_export.variants.options import Options
from affectrt_export.variants.qdq import WEIGHT_LIMIT, Weighted, channels, weighted

OPS = ("Conv", "Gemm", "MatMul")
RANGES = "affectrt.ranges"
MARK = "affectrt.master"
_INT4_OPSET = 21


@dataclass(frozen=True)
class Master:
    """The maker of "master". Calibration examples may be missing; then int8 can only be derived where there are some."""

    options: Options

    def __call__(self, model: bytes, calibration: Sequence[Feeds], keep: frozenset[str]) -> bytes:
        """See spec.Maker. `keep` names layers of `quantisable`: their weights stay fp32."""
        proto = start(model, keep).proto
        found = int8_trt.measured(proto, calibration, self.options, half=True) if calibration else None
        net = Net(_with_int4(proto) if self.options.master_bits == 4 else proto)
        kept = {str(layer.weight) for layer in weighted(net, OPS) if layer.name in keep}
        kept |= {str(node.input[0]) for node in tables.lookups(net) if node.name in keep}
        done: set[str] = set()
        for layer in weighted(net, OPS):
            if layer.weight not in kept | done:
                self._shrink_layer(net, layer)
                done.add(layer.weight)
        for table in dict.fromkeys(str(node.input[0]) for node in tables.lookups(net)):
            if table not in kept | done:
                self._shrink_table(net, table)
                done.add(table)
        if not done and not keep:
            raise ExportError("layers with constant weights (Conv, Gemm, MatMul, Gather) were expected, the network has none")
        _drop(net, done)
        if found is not None:
            values = {"limits": _short(found.limits), "extremes": _short({k: (s.low, s.high) for k, s in found.spreads.items()})}
            set_metadata(net.proto, {**metadata_of(net.proto), RANGES: json.dumps(values, sort_keys=True, separators=(",", ":"))})
        set_metadata(net.proto, {**metadata_of(net.proto), MARK: f"int{self.options.master_bits}"})
        return net.bytes()

    def _shrink_layer(self, net: Net, layer: Weighted) -> None:
        value = np.asarray(net.array(layer.weight), np.float32)
        inward = 1 - layer.axis  # the axis that the layer sums over: neighbours along it share a scale
        if self.options.master_bits == 4 and value.shape[inward] % self.options.int4_block == 0:
            _blocks(net, layer.weight, value, inward, self.options.int4_block)
        else:
            small, scale = channels(value, layer.axis, WEIGHT_LIMIT)
            shape = [-1 if i == layer.axis else 1 for i in range(value.ndim)]
            _scaled(net, layer.weight, numpy_helper.from_array(small, f"{layer.weight}:int8"), scale.reshape(shape))

    def _shrink_table(self, net: Net, table: str) -> None:
        value = np.asarray(net.array(table), np.float32)
        if self.options.master_bits == 4 and value.shape[1] % self.options.int4_block == 0:
            _blocks(net, table, value, 1, self.options.int4_block)
        else:
            small, scale = rows(value)
            _scaled(net, table, numpy_helper.from_array(small, f"{table}:int8"), scale)


def _blocks(net: Net, name: str, value: F32, axis: int, block: int) -> None:
    """A weight in 4 bits: its axis in two, blocks and what is in a block, and a Reshape to bring them together again."""
    moved = np.moveaxis(value, axis, -1)
    small, scale = symmetric(np.ascontiguousarray(moved).reshape(-1, value.shape[axis]), block)
    count = value.shape[axis] // block
    small = np.moveaxis(small.reshape(*moved.shape[:-1], count, block), (-2, -1), (axis, axis + 1))
    scale = np.moveaxis(scale.reshape(*moved.shape[:-1], count, 1), (-2, -1), (axis, axis + 1))
    tensor = TensorProto(data_type=TensorProto.INT4, name=f"{name}:int4", dims=small.shape)
    tensor.raw_data = nibbles((small.reshape(-1) & 15).astype(np.uint8)).tobytes()
    _scaled(net, name, tensor, np.ascontiguousarray(scale), value.shape)


def _scaled(net: Net, name: str, tensor: TensorProto, scale: F32, shape: Sequence[int] = ()) -> None:
    """A constant comes to be another times a scale."""
    small = net.add_tensor(tensor)
    del net.constants[name]
    wide = net.add("Cast", [small], name=f"{name}:float", to=TensorProto.FLOAT)
    factors = [wide, net.constant(scale, f"{name}:scale")]
    if not shape:
        net.add("Mul", factors, [name], name=f"{name}:scaled")
        return
    whole = net.add("Mul", factors, name=f"{name}:scaled")
    net.add("Reshape", [whole, net.constant(np.array(shape, np.int64), f"{name}:shape")], [name], name=f"{name}:whole")


def _drop(net: Net, names: set[str]) -> None:
    for i in reversed(range(len(net.graph.initializer))):
        if net.graph.initializer[i].name in names:
            del net.graph.initializer[i]
    net.refresh()


def _with_int4(proto: onnx.ModelProto) -> onnx.ModelProto:
    version = next(entry.version for entry in proto.opset_import if not entry.domain)
    if version >= _INT4_OPSET:
        return proto
    try:
        return version_converter.convert_version(proto, _INT4_OPSET)
    except Exception as error:  # the converter's own, without a class
        raise ExportError(f"the network cannot be brought from operator set {version} to {_INT4_OPSET}: {error}") from error


def _short(values: Mapping[str, ranges.Range]) -> dict[str, list[float]]:
    """Six digits are more than any of this is exact to."""
    return {name: [float(f"{low:.6g}"), float(f"{high:.6g}")] for name, (low, high) in values.items()}
