"""What must hold of a network before anything is measured or made of it: finite weights, fitting labels, operators that something runs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, numpy_helper

from affectrt_export.spec import Contract, ExportError

DOMAINS = ("", "ai.onnx", "com.microsoft")
"""Of operators: the standard's, and ONNX Runtime's own."""
_SHOWN = 5
_QUANTISED = re.compile(r"QuantizeLinear|QLinear|QGemm|MatMulInteger|ConvInteger|QAttention|MatMulNBits|DynamicQuantize")


def check_finite(weights: Iterable[tuple[str, npt.NDArray[np.generic]]]) -> None:
    """ExportError naming the weights that hold NaN or infinity, and how many."""
    bad = []
    for name, value in weights:
        if np.issubdtype(value.dtype, np.floating) and not (finite := np.isfinite(value)).all():
            bad.append(f"{name} ({int(np.isnan(value).sum())} NaN, {int(np.isinf(value).sum())} infinite of {finite.size})")
    if bad:
        raise ExportError(f"finite weights were expected, these are not: {_few(bad)}")


def check_labels(names: Sequence[str], outputs: int | None = None) -> None:
    """ExportError for no labels, empty or double ones, "unknown", or as many as the network has not outputs."""
    if not names:
        raise ExportError("at least one label was expected, there are none")
    empty = [str(i) for i, name in enumerate(names) if not name.strip()]
    if empty:
        raise ExportError(f"every label was expected to have a name, these places are empty: {_few(empty)}")
    double = [name for name, count in Counter(names).items() if count > 1]
    if double:
        raise ExportError(f"every label was expected once, these come more often: {_few(double)}")
    if "unknown" in names:
        raise ExportError(
            "a label named unknown was found: in a pack that word means that the runtime is not sure; rename it in a labels file"
        )
    if outputs is not None and len(names) != outputs:
        raise ExportError(f"{outputs} labels were expected, one an output of the network, got {len(names)}: {_few(list(names))}")


def check_network(model: bytes, contract: Contract) -> None:
    """ExportError unless `model` is a whole fp32 network of operators that some target runs, with the inputs and outputs of `contract`."""
    graph = _graph(model)
    check_operators(graph)
    check_finite((tensor.name, numpy_helper.to_array(tensor)) for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT)
    if contract.task != "text-span":
        check_labels(contract.names)
    _check_inputs(graph, contract)
    _check_outputs(graph, contract)
    _check_runs(model)


def _graph(model: bytes) -> onnx.GraphProto:
    try:
        proto = onnx.load_from_string(model)
    except Exception as error:  # protobuf's own kinds differ from release to release
        raise ExportError(f"an ONNX file was expected, got {len(model)} other bytes") from error
    graph = proto.graph
    if not graph.node:
        raise ExportError("a network was expected, the ONNX file has no nodes")
    outside = [tensor.name for tensor in graph.initializer if tensor.data_location == TensorProto.EXTERNAL]
    if outside:
        raise ExportError(f"weights inside the ONNX file were expected, these lie outside it: {_few(outside)}")
    return graph


def check_operators(graph: onnx.GraphProto) -> None:
    """ExportError naming operators, with their layers, of a foreign domain or of an already quantised network, and weights in 16 bits."""
    foreign = [f"{node.domain}::{node.op_type} in {_where(node)}" for node in graph.node if node.domain not in DOMAINS]
    if foreign:
        raise ExportError(f"operators that some target runs were expected, no target has {_few(foreign)}")
    quantised = [f"{node.op_type} in {_where(node)}" for node in graph.node if _QUANTISED.search(node.op_type)]
    if quantised:
        raise ExportError(f"a network in fp32 was expected, this one is quantised already: {_few(quantised)}")
    half = [tensor.name for tensor in graph.initializer if tensor.data_type in (TensorProto.FLOAT16, TensorProto.BFLOAT16)]
    if half:
        raise ExportError(f"weights in fp32 were expected, these are in 16 bits: {_few(half)}")


def _where(node: onnx.NodeProto) -> str:
    return f"layer {node.name!r}" if node.name else f"the layer that writes {node.output[0]!r}"


def _check_inputs(graph: onnx.GraphProto, contract: Contract) -> None:
    weights = {tensor.name for tensor in graph.initializer}
    there = {value.name: value for value in graph.input if value.name not in weights}
    wanted = [str(entry[key]) for entry in contract.inputs for key in ("tensor", "mask_tensor", "type_tensor") if entry.get(key)]
    if sorted(there) != sorted(wanted):
        raise ExportError(f"the contract names the inputs {sorted(wanted)}, the network has {sorted(there)}")
    for entry in contract.inputs:
        if entry["kind"] != "image":
            continue
        channels = 1 if entry["color"] == "gray" else 3
        size = (entry["height_px"], entry["width_px"])
        want = (channels, *size) if entry["layout"] == "nchw" else (*size, channels)
        shape = [dim.dim_value for dim in there[entry["tensor"]].type.tensor_type.shape.dim]
        if len(shape) != 4 or any(have and have != need for have, need in zip(shape[1:], want, strict=True)):
            raise ExportError(
                f"input {entry['tensor']}: the contract says (n, {', '.join(map(str, want))}), the network takes {shape}, 0 being free"
            )


def _check_outputs(graph: onnx.GraphProto, contract: Contract) -> None:
    there = {value.name: value.type.tensor_type for value in graph.output}
    missing = [str(entry["tensor"]) for entry in contract.outputs if entry["tensor"] not in there]
    if missing:
        raise ExportError(f"the contract names the outputs {missing}, the network has {sorted(there)}")
    shape = there[contract.output].shape.dim
    if contract.task == "text-span":
        if len(shape) != 3 or shape[-1].dim_value != 2:
            sizes = [dim.dim_value for dim in shape]
            raise ExportError(f"output {contract.output}: (n, t, 2) was expected, the network gives {sizes}, 0 being free")
    elif shape and shape[-1].dim_value:
        check_labels(contract.names, shape[-1].dim_value)


def _check_runs(model: bytes) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what it has to say is in the error
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its kinds are those of a C++ extension without a common base
        raise ExportError(f"ONNX Runtime cannot open the network: {str(error).strip().splitlines()[0]}") from error


def _few(items: Sequence[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more
