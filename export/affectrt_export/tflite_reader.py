"""Reads a TFLite flatbuffer into plain Python: operators in order, constants as NumPy arrays (fp16 and sparse ones expanded)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import tflite

Array = npt.NDArray[Any]

_TYPES = {0: np.float32, 1: np.float16, 2: np.int32, 3: np.uint8, 4: np.int64, 6: np.bool_, 9: np.int8}
_CODES = {value: name for name, value in vars(tflite.BuiltinOperator).items() if isinstance(value, int)}
_OPTIONS = {
    "CONV_2D": tflite.Conv2DOptions,
    "DEPTHWISE_CONV_2D": tflite.DepthwiseConv2DOptions,
    "MAX_POOL_2D": tflite.Pool2DOptions,
    "ADD": tflite.AddOptions,
    "CONCATENATION": tflite.ConcatenationOptions,
    "RESIZE_BILINEAR": tflite.ResizeBilinearOptions,
    "DEPTH_TO_SPACE": tflite.DepthToSpaceOptions,
    "STRIDED_SLICE": tflite.StridedSliceOptions,
    "MEAN": tflite.ReducerOptions,
    "SUM": tflite.ReducerOptions,
}


@dataclass(frozen=True)
class Operator:
    """One operator: its name, tensor numbers, and its options table (None where it has none)."""

    name: str
    inputs: list[int]
    outputs: list[int]
    options: Any


@dataclass
class Network:
    """A TFLite network: `shapes` by tensor number, `constants` for the tensors that hold weights."""

    inputs: list[int]
    outputs: list[int]
    shapes: dict[int, tuple[int, ...]]
    operators: list[Operator]
    constants: dict[int, Array] = field(default_factory=dict)


def read(data: bytes) -> Network:
    """Parses a TFLite file of one subgraph; DEQUANTIZE and DENSIFY of constants are folded away."""
    model = tflite.Model.GetRootAs(data, 0)
    if model.SubgraphsLength() != 1:
        raise ValueError(f"expected a TFLite file of one subgraph, got {model.SubgraphsLength()}")
    graph = model.Subgraphs(0)
    shapes: dict[int, tuple[int, ...]] = {}
    constants: dict[int, Array] = {}
    for i in range(graph.TensorsLength()):
        tensor = graph.Tensors(i)
        shapes[i] = tuple(int(v) for v in tensor.ShapeAsNumpy()) if tensor.ShapeLength() else ()
        buffer = model.Buffers(tensor.Buffer())
        if buffer.DataLength():
            flat: Array = np.frombuffer(buffer.DataAsNumpy().tobytes(), _TYPES[tensor.Type()])
            sparsity = tensor.Sparsity()
            constants[i] = flat.reshape(shapes[i]) if sparsity is None else _dense(flat, shapes[i], sparsity)
    network = Network(
        [graph.Inputs(k) for k in range(graph.InputsLength())],
        [graph.Outputs(k) for k in range(graph.OutputsLength())],
        shapes,
        [],
        constants,
    )
    for i in range(graph.OperatorsLength()):
        raw = graph.Operators(i)
        code = model.OperatorCodes(raw.OpcodeIndex())
        name = _CODES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        inputs = [raw.Inputs(k) for k in range(raw.InputsLength())]
        outputs = [raw.Outputs(k) for k in range(raw.OutputsLength())]
        if name in ("DEQUANTIZE", "DENSIFY") and inputs[0] in constants:
            constants[outputs[0]] = constants[inputs[0]].astype(np.float32)
            continue
        options = None
        if name in _OPTIONS:
            options = _OPTIONS[name]()
            table = raw.BuiltinOptions()
            options.Init(table.Bytes, table.Pos)
        network.operators.append(Operator(name, inputs, outputs, options))
    return network


def _dense(values: Array, shape: tuple[int, ...], sparsity: Any) -> Array:
    """Expands TFLite's block-sparse storage: a tree of dimensions in traversal order, each dense or compressed (CSR)."""
    order = [int(v) for v in sparsity.TraversalOrderAsNumpy()]
    blocks = [int(v) for v in sparsity.BlockMapAsNumpy()] if sparsity.BlockMapLength() else []
    levels = [sparsity.DimMetadata(k) for k in range(sparsity.DimMetadataLength())]
    block_size = {dim: levels[order.index(len(shape) + k)].DenseSize() for k, dim in enumerate(blocks)}
    # `paths` holds, for each stored value so far, its index at every level that was walked.
    paths = np.zeros((1, 0), np.int64)
    for level in levels:
        if level.Format() == 0:
            size = level.DenseSize()
            paths = np.concatenate([np.repeat(paths, size, 0), np.tile(np.arange(size), len(paths))[:, None]], 1)
        else:
            segments, indices = _integers(level, "ArraySegments"), _integers(level, "ArrayIndices")
            paths = np.concatenate([np.repeat(paths, np.diff(segments), 0), indices[: segments[-1], None]], 1)
    position = {dim: paths[:, level] for level, dim in enumerate(order)}
    index = []
    for dim in range(len(shape)):
        at = position[dim]
        if dim in blocks:
            at = at * block_size[dim] + position[len(shape) + blocks.index(dim)]
        index.append(at)
    out = np.zeros(shape, values.dtype)
    out[tuple(index)] = values[: len(paths)]
    return out


def _integers(level: Any, name: str) -> npt.NDArray[np.int64]:
    kind = {1: tflite.Int32Vector, 2: tflite.Uint16Vector, 3: tflite.Uint8Vector}[getattr(level, name + "Type")()]
    table = getattr(level, name)()
    vector = kind()
    vector.Init(table.Bytes, table.Pos)
    return np.asarray(vector.ValuesAsNumpy(), np.int64)
