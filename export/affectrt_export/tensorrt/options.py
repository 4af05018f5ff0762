"""What can be asked of an engine, and the shapes it must take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import onnx
from onnx import TensorProto

from affectrt_export.spec import ExportError
from affectrt_export.tensorrt.device import parse_target

BATCHES = (1, 1, 8)
"""Least, usual and largest batch of an image."""
TEXTS = ((1, 1), (1, 32), (8, 128))
"""Least, usual and largest (sentences, tokens)."""

Shape = tuple[int, ...]
_MIB = 1 << 20


@dataclass(frozen=True)
class Shapes:
    """What one input may be given: every extent between `least` and `most`; the engine is fastest at `usual`."""

    least: Shape
    usual: Shape
    most: Shape


@dataclass(frozen=True)
class Options:
    """How an engine is built. ExportError listing everything that is wrong."""

    shapes: Mapping[str, Shapes] = field(default_factory=dict)
    """By input; what is not named gets what the pack's contract says, or the usual for an image or a sentence."""
    targets: Sequence[str] = ()
    """GPUs to build for ahead of time, such as "sm80", "sm86", "sm89", "sm120".

    Empty: TensorRT builds for the GPU of this machine, TensorRT-RTX for every GPU from sm80 on.
    """
    library: str = "auto"
    """"auto", "tensorrt" or "tensorrt_rtx"."""
    workspace_mib: int | None = None
    """Most scratch memory that a layer may use; None: the library's own limit."""
    level: int | None = None
    """0 (quickest build) to 5 (quickest engine); None: the library's own, 3."""
    tf32: bool = False
    """Whether float32 products may be computed with 10 bits of mantissa (Ampere and later), which breaks a golden tolerance of 1e-4."""

    def __post_init__(self) -> None:
        wrong = []
        if self.workspace_mib is not None and self.workspace_mib < 1:
            wrong.append(f"workspace_mib: expected 1 or more, got {self.workspace_mib}")
        if self.level is not None and not 0 <= self.level <= 5:
            wrong.append(f"level: expected 0 to 5, got {self.level}")
        try:
            object.__setattr__(self, "targets", tuple(sorted({parse_target(t) for t in self.targets}, key=lambda t: int(t[2:]))))
        except ExportError as error:
            wrong.append(str(error))
        for name, shapes in self.shapes.items():
            wrong += _disorder(name, shapes)
        if wrong:
            raise ExportError("; ".join(wrong))

    @property
    def workspace_bytes(self) -> int | None:
        """`workspace_mib` in bytes."""
        return None if self.workspace_mib is None else self.workspace_mib * _MIB


def read(model: bytes) -> onnx.ModelProto:
    """The network of an ONNX file. ExportError if it is none, has no outputs, or keeps its weights in other files."""
    # The builders take any bytes that protobuf can read, empty ones too, and fail later without a reason.
    try:
        proto = onnx.load_model_from_string(model)
    except Exception as error:  # protobuf has types of its own
        raise ExportError(f"expected an ONNX file, got {len(model)} bytes that are none: {error or type(error).__name__}") from error
    if not proto.graph.node or not proto.graph.output:
        raise ExportError(f"expected an ONNX file with nodes and outputs, got {len(model)} bytes without")
    outside = [t.name for t in proto.graph.initializer if t.data_location == TensorProto.EXTERNAL]
    if outside:
        raise ExportError(
            f"expected an ONNX file that holds its weights, got one that keeps {len(outside)} outside itself, such as {outside[0]!r}"
        )
    return proto


def inputs_of(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    """What has to be fed: the graph's inputs that no initialiser fills."""
    filled = {t.name for t in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in filled]


def dims_of(value: onnx.ValueInfoProto) -> Shape:
    """Extents of an input or output, -1 where free."""
    return tuple(d.dim_value if d.HasField("dim_value") else -1 for d in value.type.tensor_type.shape.dim)


def plan(model: onnx.ModelProto, given: Mapping[str, Shapes], contract: Sequence[Mapping[str, Any]] = ()) -> dict[str, Shapes]:
    """Shapes of every dynamic input: those given, else from `contract` (the inputs as pack.json writes them), else the usual.

    ExportError listing all that is wrong: a name that is no dynamic input, extents that fit no free axis, an input that nothing covers.
    """
    inputs = {value.name: dims_of(value) for value in inputs_of(model)}
    dynamic = {name: dims for name, dims in inputs.items() if -1 in dims}
    wrong = []
    for name in given:
        if name not in inputs:
            wrong.append(f"shapes of {name!r}: the network has no such input; it has {', '.join(sorted(inputs)) or 'none'}")
        elif name not in dynamic:
            wrong.append(f"shapes of {name!r}: the input is always {inputs[name]} and takes no others")
    chosen: dict[str, Shapes] = {}
    texts = {t: int(entry["max_tokens"]) for entry in contract if entry["kind"] == "text" for t in _text_tensors(entry)}
    for name, dims in dynamic.items():
        shapes = given.get(name) or _usual(model, name, dims, texts.get(name))
        if shapes is None:
            wrong.append(f"input {name!r} {dims}: expected shapes for it, as more than its batch is free")
            continue
        wrong += _disorder(name, shapes) or _misfit(name, dims, shapes)
        chosen[name] = shapes
    if wrong:
        raise ExportError("; ".join(wrong))
    return chosen


def _text_tensors(entry: Mapping[str, Any]) -> list[str]:
    return [str(entry[key]) for key in ("tensor", "mask_tensor", "type_tensor") if entry.get(key)]


def _usual(model: onnx.ModelProto, name: str, dims: Shape, max_tokens: int | None) -> Shapes | None:
    kinds = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    if max_tokens is not None or (len(dims) == 2 and kinds[name] in (TensorProto.INT64, TensorProto.INT32)):
        least, usual, most = ((n, t if max_tokens is None else min(t, max_tokens)) for n, t in TEXTS)
        if max_tokens is not None:
            most = (most[0], max_tokens)
        # An axis of the text that is not free stays what it is.
        return Shapes(*(tuple(d if d >= 0 else e for d, e in zip(dims, shape, strict=True)) for shape in (least, usual, most)))
    if dims[0] == -1 and -1 not in dims[1:]:
        return Shapes(*((batch, *dims[1:]) for batch in BATCHES))
    return None


def _disorder(name: str, shapes: Shapes) -> list[str]:
    least, usual, most = shapes.least, shapes.usual, shapes.most
    said = f"shapes of {name!r}: expected least <= usual <= most along every axis, all at least 1, got {least}, {usual}, {most}"
    if not len(least) == len(usual) == len(most):
        return [said]
    return [] if all(1 <= a <= b <= c for a, b, c in zip(least, usual, most, strict=True)) else [said]


def _misfit(name: str, dims: Shape, shapes: Shapes) -> list[str]:
    for shape in (shapes.least, shapes.usual, shapes.most):
        if len(shape) != len(dims) or any(d not in (-1, e) for d, e in zip(dims, shape, strict=True)):
            shown = "(" + ", ".join("*" if d < 0 else str(d) for d in dims) + ")"
            return [f"shapes of {name!r}: expected {shown}, got {shape}"]
    return []
