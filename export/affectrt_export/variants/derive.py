"""From a master to the variant that a device wants: fp32, fp16, or int8 for TensorRT. The same master gives the same bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import numpy_helper

from affectrt_export.spec import F32, ExportError, Feeds
from affectrt_export.variants import fp16, int8_trt, ranges
from affectrt_export.variants.master import MARK, RANGES
from affectrt_export.variants.net import Net, metadata_of, parse, set_metadata
from affectrt_export.variants.options import Options

TARGETS = ("fp32", "fp16", "int8-trt")
_FOLDED = ("Cast", "Mul", "Reshape")


def derive(
    master: bytes, to: str, calibration: Sequence[Feeds] = (), options: Options | None = None, keep: frozenset[str] = frozenset()
) -> bytes:
    """A variant of the network in a master: `to` is "fp32", "fp16" or "int8-trt".

    calibration: measured anew where given; otherwise what the master's own calibration found counts. options, keep: as for the makers of
    "fp16" and "int8-trt". ValueError: another `to`. ExportError: no master, or nothing to take ranges from.
    """
    if to not in TARGETS:
        raise ValueError(f"to must be one of {', '.join(TARGETS)}, not {to!r}")
    options = options or Options()
    proto, stored = unfolded(master)
    if to == "fp32":
        return Net(proto).bytes()
    if to == "fp16":
        spreads = ranges.extremes(proto, calibration) if calibration else (stored.spreads if stored else {})
        return fp16.convert_proto(proto, spreads, keep)
    if calibration:
        stored = int8_trt.measured(proto, calibration, options)
    if stored is None:
        raise ExportError("int8-trt: the master holds no ranges, because it was made without calibration examples; give some here")
    return int8_trt.quantise(proto, stored, keep, options)


def unfolded(master: bytes) -> tuple[onnx.ModelProto, int8_trt.Measured | None]:
    """The fp32 network in a master, and what calibration found when it was made. ExportError if it is none."""
    proto = parse(master)
    metadata = metadata_of(proto)
    if MARK not in metadata:
        raise ExportError('a master was expected: a file that the variant "master" wrote; this is another ONNX network')
    net = Net(proto)
    gone = []
    for node in net.graph.node:  # in order: a Reshape after the Mul, that after the Cast
        if node.op_type in _FOLDED and all(name in net.constants for name in node.input):
            gone.append(node)
            net.add_tensor(numpy_helper.from_array(_value(net, node), str(node.output[0])))
    net.remove(gone)
    text = metadata.pop(RANGES, None)
    del metadata[MARK]
    set_metadata(proto, metadata)
    net.notes.clear()
    result = onnx.ModelProto.FromString(net.bytes())
    return result, None if text is None else _stored(json.loads(text))


def _value(net: Net, node: onnx.NodeProto) -> F32:
    first, *rest = (np.asarray(net.array(name)) for name in node.input)
    if node.op_type == "Cast":
        return first.astype(np.int8).astype(np.float32)
    if node.op_type == "Mul":
        return np.asarray(first * rest[0], np.float32)
    return np.asarray(first.reshape(rest[0]), np.float32)


def _stored(values: dict[str, dict[str, tuple[float, float]]]) -> int8_trt.Measured:
    none = np.zeros(ranges.BINS, np.int64)
    spreads = {name: ranges.Spread(low, high, none, none) for name, (low, high) in values["extremes"].items()}
    return int8_trt.Measured({name: (low, high) for name, (low, high) in values["limits"].items()}, spreads)
