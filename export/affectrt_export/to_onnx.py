"""A PyTorch network as fp32 ONNX: standard operators, free batch, every node and weight named by its layer, the same bytes each time.

PyTorch's exporter over `torch.export` is used: the older one that traces fixes the lengths it has seen into some encoders, silently. It
puts batch normalisation into the convolution before it. What it leaves is tidied: nothing of this machine (stack traces, paths) stays in
the file, and no two nodes share a bias. The exporter merges equal vectors; a quantised bias has the scale of one node's input and weight,
so that a shared one is right for one reader only, unless the quantiser looks after that (ONNX Runtime 1.32 does, by copies).
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import onnx

from affectrt_export.onnx_graph import IR_VERSION
from affectrt_export.spec import ExportError

if TYPE_CHECKING:
    import torch

OPSET = 18
"""The least that the exporter writes without converting back: no Gelu operator, which many a runtime on a device does not have."""

_SCOPES = "pkg.torch.onnx.name_scopes"
_LIMIT_BYTES = 2**31 - 1
_ROLES = {
    "Conv": ("", "weight", "bias"),
    "Gemm": ("", "weight", "bias"),
    "MatMul": ("weight", "weight"),
    "LayerNormalization": ("", "weight", "bias"),
    "GroupNormalization": ("", "weight", "bias"),
    "InstanceNormalization": ("", "weight", "bias"),
    "Gather": ("weight", "indices"),
    "Add": ("bias", "bias"),
    "Reshape": ("", "shape"),
    "Expand": ("", "shape"),
    "Unsqueeze": ("", "axes"),
    "Squeeze": ("", "axes"),
    "Slice": ("", "starts", "ends", "axes", "steps"),
    "Pad": ("", "pads"),
}


def export(
    module: torch.nn.Module,
    inputs: Mapping[str, torch.Tensor],
    outputs: Sequence[str],
    free: Mapping[str, Mapping[int, str]],
    *,
    strip: str = "network.",
) -> bytes:
    """ONNX file bytes of `module`, called with `inputs` in their order, giving tensors named `outputs`.

    inputs: an example of each, of a size of at least 2 on every free axis. free: by input, axis to the name of its size ("n" for the
    batch). strip: beginning of the module's names that is no part of the layer's name (a wrapper's attribute).

    Raises ExportError: something that cannot be traced or an operator that ONNX has not, named with its layer; an axis that would not
    stay free; more than 2 GB.
    """
    import torch

    module = module.eval()
    traced = _trace(module, inputs, free, strip)
    with _quiet():
        try:
            program = torch.onnx.export(
                traced,
                dynamo=True,
                opset_version=OPSET,
                input_names=list(inputs),
                output_names=list(outputs),
                verbose=False,
                external_data=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise ExportError(_untranslated(traced, error, strip)) from error
    assert program is not None  # only with f= does it return nothing
    model = program.model_proto
    _check_axes(model, free)
    return finish(model, _layers(model.graph, strip))


def _trace(
    module: torch.nn.Module, inputs: Mapping[str, torch.Tensor], free: Mapping[str, Mapping[int, str]], strip: str
) -> torch.export.ExportedProgram:
    import torch

    shapes = tuple({axis: torch.export.Dim.DYNAMIC for axis in free.get(name, {})} for name in inputs)
    with _quiet(), torch.no_grad():
        try:
            return torch.export.export(module, tuple(inputs.values()), dynamic_shapes=shapes, strict=False)
        except Exception as error:  # whatever the network's own code raises, and a dozen kinds of the tracer's
            if "Constraints violated" in str(error):
                sizes = ", ".join(f"{name}[{axis}]" for name, axes in free.items() for axis in axes)
                raise ExportError(f"the sizes {sizes} were expected to stay free, the network's code fixes one of them") from error
            where = _where(error, module, strip)
            raise ExportError(f"the network cannot be traced{where}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _where(error: BaseException, module: torch.nn.Module, strip: str) -> str:
    """ " in layer X": the innermost module whose code was running."""
    names = {id(part): name for name, part in module.named_modules()}
    found, trace = "", error.__traceback__
    while trace is not None:
        found = names.get(id(trace.tb_frame.f_locals.get("self")), found)
        trace = trace.tb_next
    layer = found.removeprefix(strip)
    return f" in layer {layer}" if layer and layer != strip.rstrip(".") else ""


def _untranslated(traced: torch.export.ExportedProgram, error: BaseException, strip: str) -> str:
    """Names the operator that has no ONNX form, and the layer that calls it."""
    found = re.search(r"translating node %(\w+) .*?target=torch\.ops\.([\w.]+)\]", str(error))
    if found is None:
        return f"the network cannot be written as ONNX: {_first_line(error)}"
    name, target = found.groups()
    layer = ""
    for program in (traced.run_decompositions(), traced):
        for node in program.graph.nodes:
            if node.name == name or str(node.target) == target or target.split(".")[1].strip("_") in node.name:
                stack = list((node.meta.get("nn_module_stack") or {}).values())
                layer = layer or (str(stack[-1][0]).removeprefix(strip) if stack else "")
    return f"operator {target} in layer {layer or 'the network itself'} has no form in ONNX (opset {OPSET})"


def _check_axes(model: onnx.ModelProto, free: Mapping[str, Mapping[int, str]]) -> None:
    for value in model.graph.input:
        for axis, name in free.get(value.name, {}).items():
            dim = value.type.tensor_type.shape.dim[axis]
            if dim.HasField("dim_value"):
                raise ExportError(
                    f"input {value.name}: axis {axis} ({name}) was expected to stay free, the network fixes it to {dim.dim_value}"
                )
            dim.Clear()
            dim.dim_param = name


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's own progress and its warnings about itself are no news to whoever exports a model."""
    loggers = [logging.getLogger(name) for name in ("torch", "torch.onnx", "torch.fx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def finish(model: onnx.ModelProto, layers: Sequence[str]) -> bytes:
    """File bytes of `model`, its nodes, values and weights named by `layers`, one a node ("" for none).

    Every node gets a bias of its own; what is only of this machine goes. Raises ExportError: control flow, or more than 2 GB.
    """
    graph = model.graph
    _name_nodes(graph, layers)
    _own_weights(graph, dict(zip((node.name for node in graph.node), layers, strict=True)))
    for node in graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*graph.input, *graph.output):
        del value.metadata_props[:]
        value.doc_string = ""
    for value in graph.output:
        if value.type.tensor_type.shape.dim and model.graph.input[0].type.tensor_type.shape.dim[0].dim_param:
            dim = value.type.tensor_type.shape.dim[0]
            if not dim.HasField("dim_value"):
                dim.dim_param = model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    del graph.value_info[:]
    del graph.metadata_props[:]
    del model.metadata_props[:]
    graph.name, graph.doc_string, model.doc_string = "network", "", ""
    model.producer_name, model.producer_version, model.ir_version = "affectrt_export", "", IR_VERSION
    if model.ByteSize() > _LIMIT_BYTES:
        raise ExportError(f"an ONNX file of at most 2 GB was expected, this network makes {model.ByteSize() / 1e9:.1f} GB")
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _layers(graph: onnx.GraphProto, strip: str) -> list[str]:
    """Dotted name of the module that each node comes from, "" for the outermost."""
    layers, claimed = [], set()
    for node in graph.node:
        found = next((entry.value for entry in node.metadata_props if entry.key == _SCOPES), "")
        names = re.findall(r"'([^']*)'", found)[:-1]  # the last is the operation itself
        layer = names[-1] if names and not names[-1].startswith("_empty_nn_module") else ""
        if node.op_type == "Conv" and node.input[1].endswith(".weight") and node.input[1] not in claimed:
            # Its scope is that of the batch normalisation that went into it; its weight still has its own name.
            claimed.add(node.input[1])
            layer = node.input[1].removesuffix(".weight")
        layers.append(layer.removeprefix(strip) if layer != strip.rstrip(".") else "")
    return layers


def _name_nodes(graph: onnx.GraphProto, layers: Sequence[str]) -> None:
    outside = {value.name for value in graph.output}
    taken: dict[str, int] = {}
    renamed: dict[str, str] = {}
    for node, layer in zip(graph.node, layers, strict=True):
        if any(attribute.HasField("g") for attribute in node.attribute):
            raise ExportError(f"{node.op_type} in layer {layer or 'the network itself'} branches on data, which no target can be given")
        name = f"{layer}/{node.op_type}" if layer else node.op_type
        taken[name] = taken.get(name, 0) + 1
        node.name = name if taken[name] == 1 else f"{name}.{taken[name]}"
        for i, output in enumerate(node.output):
            if output and output not in outside:
                renamed[output] = node.name if len(node.output) == 1 else f"{node.name}:{i}"
    for node in graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = renamed.get(name, name)
        for i, name in enumerate(node.output):
            node.output[i] = renamed.get(name, name)


def _own_weights(graph: onnx.GraphProto, layers: Mapping[str, str]) -> None:
    """Renames initialisers after the layer that reads them first; vectors and scalars are copied for every further reader."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    taken = {value.name for value in (*graph.input, *graph.output)} | {output for node in graph.node for output in node.output}
    shared: dict[str, str] = {}
    kept: list[onnx.TensorProto] = []
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name not in weights:
                continue
            tensor = weights[name]
            # A matrix that several layers share on purpose (ALBERT) stays one.
            alone = tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) < 2
            if not alone and name in shared:
                node.input[i] = shared[name]
                continue
            roles = _ROLES.get(node.op_type, ())
            role = roles[i] if i < len(roles) and roles[i] else f"input{i}"
            owner = layers[node.name] if role in ("weight", "bias") and layers[node.name] else node.name
            fresh, count = f"{owner}.{role}", 1
            while fresh in taken:
                count += 1
                fresh = f"{owner}.{role}.{count}"
            taken.add(fresh)
            copy = onnx.TensorProto()
            copy.CopyFrom(tensor)
            copy.name, copy.doc_string = fresh, ""
            del copy.metadata_props[:]
            kept.append(copy)
            node.input[i] = shared[name] = fresh
    outputs = {value.name for value in graph.output}
    kept += [tensor for name, tensor in weights.items() if name in outputs]
    del graph.initializer[:]
    graph.initializer.extend(kept)
