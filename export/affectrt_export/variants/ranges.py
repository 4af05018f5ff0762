"""The range of every value inside a network on calibration data: the extremes, a percentile, or the range that loses least information.

The network runs once for the extremes and, where the method needs it, once more for histograms between them: memory is a histogram a value,
however many examples there are, and no range depends on the order of the examples.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import helper

from affectrt_export.spec import ExportError, Feeds
from affectrt_export.variants.net import Net
from affectrt_export.variants.options import Options

BINS = 4096
_LEVELS = 128  # of the quantised distribution in the search for the least loss: what 8 bits leave on one side of zero
_GROUP = 64  # outputs a pass: all values of a large network at once would not fit a small machine

_EXTREMES = 64  # examples that tell whether fp16 holds a value: with room to spare (fp16.py), more would say no more
_KEPT = 3
_STEPS = frozenset("Add Sub Mul Div Where Min Max Cast Expand Unsqueeze Squeeze Reshape Slice Transpose Concat".split())  # noqa: SIM905

Range = tuple[float, float]
_known: OrderedDict[bytes, Mapping[str, Spread]] = OrderedDict()  # sensitivity makes a variant a layer, all from the same ranges


@dataclass(frozen=True)
class Spread:
    """How the values of one tensor lie: extremes, and counts of |value| without exact zeros in BINS equal bins up to the largest."""

    low: float
    high: float
    positive: npt.NDArray[np.int64]
    """Counts (BINS,) of the values above zero."""
    negative: npt.NDArray[np.int64]
    """Counts (BINS,) of the values below zero, by distance from it."""

    @property
    def peak(self) -> float:
        """Largest absolute value."""
        return max(abs(self.low), abs(self.high))

    def range(self, options: Options) -> Range:
        """(low, high), with 0 inside: what int8 should cover."""
        low, high = min(self.low, 0.0), max(self.high, 0.0)
        if options.calibration == "minmax" or self.peak == 0:
            return low, high
        if options.calibration == "entropy":
            limit = self.peak * _least_loss(self.positive + self.negative) / BINS
            return max(low, -limit), min(high, limit)
        limit = self.peak / BINS
        return max(low, -limit * _cut(self.negative, options)), min(high, limit * _cut(self.positive, options))


def measure(
    proto: onnx.ModelProto, calibration: Sequence[Feeds], names: Sequence[str] | None = None, histograms: bool = True
) -> Mapping[str, Spread]:
    """Spread of each of the named float values, without names of all that there are; without histograms only the extremes.

    Raises ExportError: no examples, inputs, types or shapes that the network does not take, or a layer, named, that gives NaN or infinity
    (what only goes into a softmax apart: masks may).
    """
    check(proto, calibration)
    digest = hashlib.sha256(proto.SerializeToString(deterministic=True))
    digest.update(repr((names, histograms)).encode())
    for feeds in calibration:
        for name in sorted(feeds):
            digest.update(f"{name}{feeds[name].shape}{feeds[name].dtype}".encode())
            digest.update(np.ascontiguousarray(feeds[name]).tobytes())
    key = digest.digest()
    if key not in _known:
        _known[key] = _measured(proto, calibration, floats(proto) if names is None else names, histograms)
        while len(_known) > _KEPT:
            _known.popitem(last=False)
    return _known[key]


def extremes(proto: onnx.ModelProto, calibration: Sequence[Feeds]) -> Mapping[str, Spread]:
    """Extremes of every value on some of the examples, spread over all of them. ExportError as `measure`."""
    step = -(-len(calibration) // _EXTREMES) or 1
    return measure(proto, [calibration[i] for i in range(0, len(calibration), step)], histograms=False)


def check(proto: onnx.ModelProto, calibration: Sequence[Feeds]) -> None:
    """Holds calibration examples against the inputs of the network: ExportError says what was expected and what came."""
    if not calibration:
        raise ExportError("calibration examples were expected, none came: this variant measures the range of every value on real inputs")
    net = Net(proto)
    expected = {value.name: value.type.tensor_type for value in proto.graph.input if value.name in net.inputs}
    for i, feeds in enumerate(calibration):
        if set(feeds) != set(expected):
            raise ExportError(
                f"calibration example {i}: inputs {', '.join(sorted(expected))} were expected, {', '.join(sorted(feeds)) or 'none'} came"
            )
        for name, tensor in expected.items():
            dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
            shape = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in tensor.shape.dim]
            value = feeds[name]
            fits = len(shape) == value.ndim and all(
                isinstance(want, str) or want == got for want, got in zip(shape, value.shape, strict=True)
            )
            if value.dtype != dtype or not fits or value.size == 0:
                raise ExportError(
                    f"calibration example {i}: {name} was expected as {dtype} {shape}, {value.dtype} {list(value.shape)} came"
                )
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise ExportError(f"calibration example {i}: {name} holds NaN or infinite values")


def _measured(proto: onnx.ModelProto, calibration: Sequence[Feeds], names: Sequence[str], histograms: bool) -> Mapping[str, Spread]:
    stream = _Stream(proto)
    low, high = dict.fromkeys(names, np.inf), dict.fromkeys(names, -np.inf)
    for name, value in stream(names, calibration):
        low[name], high[name] = min(low[name], float(value.min())), max(high[name], float(value.max()))
    seen = [name for name in names if low[name] <= high[name]]
    counts = {name: np.zeros((2, BINS), np.int64) for name in seen}
    for name, value in stream(seen, calibration) if histograms else ():
        peak = max(abs(low[name]), abs(high[name]))
        if peak > 0:
            place = np.minimum(np.abs(value) * np.float32(BINS / peak), BINS - 1).astype(np.int32)
            for row, side in enumerate((value > 0, value < 0)):
                counts[name][row] += np.bincount(place[side], minlength=BINS)
    return {name: Spread(low[name], high[name], counts[name][0], counts[name][1]) for name in seen}


def floats(proto: onnx.ModelProto) -> list[str]:
    """Float values in the order of the graph. A value whose type cannot be inferred is left out."""
    inferred = onnx.shape_inference.infer_shapes(without_weights(proto))
    types = {v.name: v.type.tensor_type.elem_type for v in (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output)}
    written = [value.name for value in proto.graph.input] + [name for node in proto.graph.node for name in node.output]
    return [name for name in written if types.get(name) == onnx.TensorProto.FLOAT]


def without_weights(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same with large weights as inputs: inference of types need not copy them."""
    light = onnx.ModelProto()
    light.CopyFrom(proto)
    for i in reversed(range(len(light.graph.initializer))):
        tensor = light.graph.initializer[i]
        if np.prod(tensor.dims) > 1024:
            light.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims)))
            del light.graph.initializer[i]
    return light


class _Stream:
    """Runs a network and gives the values inside it, flat, one after the other."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self.proto = proto
        self.fed = {value.name for value in proto.graph.input}
        self.masks = feeds_softmax(proto)

    def __call__(self, names: Sequence[str], calibration: Sequence[Feeds]) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """Each of the named values on each example; empty ones are left out."""
        for first in range(0, len(names), _GROUP):
            group = names[first : first + _GROUP]
            inner = [name for name in group if name not in self.fed]
            session = _session(self.proto, inner) if inner else None
            for feeds in calibration:
                found = {name: feeds[name] for name in group if name in self.fed}
                if session is not None:
                    found |= dict(zip(inner, session.run(inner, dict(feeds)), strict=True))
                for name, value in found.items():
                    flat = self._finite(name, value.reshape(-1))
                    if flat.size:
                        yield name, flat

    def _finite(self, name: str, flat: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        good = np.isfinite(flat)
        if good.all():
            return flat
        if name in self.masks and not np.isnan(flat).any():
            return flat[good]
        node = next((node for node in self.proto.graph.node if name in node.output), None)
        where = f"layer {node.name} ({node.op_type})" if node is not None else f"input {name}"
        raise ExportError(f"{where} gives NaN or infinite values on the calibration examples")


def _session(proto: onnx.ModelProto, names: Sequence[str]) -> onnxruntime.InferenceSession:
    shown = onnx.ModelProto()
    shown.CopyFrom(proto)
    given = {value.name for value in shown.graph.output}
    for name in names:
        if name not in given:
            shown.graph.output.append(onnx.ValueInfoProto(name=name, type=onnx.TypeProto(tensor_type=onnx.TypeProto.Tensor(elem_type=1))))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # one order of every sum: the same ranges each time
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(shown.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        raise ExportError(f"ONNX Runtime does not take the network: {error}") from error


def feeds_softmax(proto: onnx.ModelProto) -> frozenset[str]:
    """Values, constants among them, that go nowhere but into a softmax, step by step: masks and masked scores may be minus infinity."""
    outputs = {value.name for value in proto.graph.output}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in proto.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found: set[str] = set()
    written = [name for node in reversed(proto.graph.node) for name in node.output]
    for name in (*written, *(tensor.name for tensor in proto.graph.initializer)):
        reads = readers.get(name, [])
        ends = (node.op_type == "Softmax" or (node.op_type in _STEPS and node.output[0] in found) for node in reads)
        if reads and name not in outputs and all(ends):
            found.add(name)
    return frozenset(found)


def _cut(side: npt.NDArray[np.int64], options: Options) -> int:
    """How many bins of one side hold its share of the percentile."""
    allowed = float(side.sum()) * (1 - options.percentile / 100)
    beyond = np.cumsum(side[::-1])[::-1]  # how many values lie in this bin or further out
    inside = np.flatnonzero(beyond > allowed)
    return int(inside[-1]) + 1 if inside.size else 1


def _least_loss(counts: npt.NDArray[np.int64]) -> int:
    """How many bins to cover so that the clipped and quantised distribution tells least from the true one (Kullback and Leibler)."""
    filled = np.flatnonzero(counts)
    if not filled.size or filled[-1] < _LEVELS:
        return BINS
    best, loss = BINS, np.inf
    for stop in range(_LEVELS, BINS + 1, _LEVELS // 4):
        kept = counts[:stop].astype(np.float64)
        true = kept.copy()
        true[-1] += counts[stop:].sum()
        edges = np.arange(0, stop, stop / _LEVELS).astype(np.int64)[:_LEVELS]
        width = np.add.reduceat((kept > 0).astype(np.float64), edges)
        level = np.add.reduceat(kept, edges) / np.maximum(width, 1)
        rough = np.repeat(level, np.diff(np.append(edges, stop))) * (kept > 0)
        # A bin that only the clipped tail fills has no weight in the rough one: the least weight there is, not infinity.
        p, q = true / true.sum(), np.maximum(rough, 1e-9) / max(rough.sum(), 1e-9)
        mask = p > 0
        value = float((p[mask] * np.log(p[mask] / q[mask])).sum())
        if value < loss:
            best, loss = stop, value
    return best
