"""An engine in the clothes of an ONNX file: one node `com.microsoft::EPContext`, which ONNX Runtime's TensorRT providers open.

The engine is in the file itself, or in a file beside it that the node names. What the providers check was read from their sources
(docs/tensorrt.md); none has opened such a file here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import onnx
from onnx import helper

from affectrt_export.onnx_graph import IR_VERSION, MICROSOFT, OPSET
from affectrt_export.spec import ExportError
from affectrt_export.tensorrt.options import inputs_of

OP = "EPContext"
PROVIDERS = ("TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider")
_ATTRIBUTES = {
    "main_context": onnx.AttributeProto.INT,
    "embed_mode": onnx.AttributeProto.INT,
    "ep_cache_context": onnx.AttributeProto.STRING,
    "ep_sdk_version": onnx.AttributeProto.STRING,
    "hardware_architecture": onnx.AttributeProto.STRING,
    "onnx_model_filename": onnx.AttributeProto.STRING,
    "partition_name": onnx.AttributeProto.STRING,
    "source": onnx.AttributeProto.STRING,
}


@dataclass(frozen=True)
class Context:
    """What the node says of its engine."""

    provider: str
    """The ONNX Runtime provider that runs it."""
    sdk_version: str
    """As `Library.sdk_version` writes it."""
    hardware: str
    """As `Engine.hardware` writes it."""
    model_file: str
    """Name of the ONNX file that the engine was built from, without folders."""
    partition: str
    """Unique name of the engine: the providers name files after it."""


def wrap(network: onnx.ModelProto, engine: bytes | str, context: Context) -> bytes:
    """An ONNX file with the inputs and outputs of `network`. The same arguments give the same bytes.

    `engine`: its bytes, which then are in the file, or the name of a file in the same folder. ExportError for a name that is a path, for an
    unknown provider, and for an empty engine.
    """
    embedded = isinstance(engine, bytes)
    if context.provider not in PROVIDERS:
        raise ExportError(f"provider {context.provider!r}: expected {' or '.join(PROVIDERS)}")
    if not engine:
        raise ExportError("expected an engine, got none")
    for name in (context.model_file, context.partition, *([engine] if isinstance(engine, str) else [])):
        _plain_name(name)
    node = helper.make_node(
        OP,
        [value.name for value in inputs_of(network)],
        [value.name for value in network.graph.output],
        name=context.partition,
        domain=MICROSOFT,
        main_context=1,
        embed_mode=int(embedded),
        ep_cache_context=engine,
        ep_sdk_version=context.sdk_version,
        hardware_architecture=context.hardware,
        onnx_model_filename=context.model_file,
        partition_name=context.partition,
        source=context.provider,
    )
    graph = helper.make_graph([node], context.partition, inputs_of(network), list(network.graph.output))
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="affectrt_export")
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def check(model: bytes) -> tuple[Context, bytes | str]:
    """The context of a wrapped engine, and the engine or the name of its file.

    ExportError unless the file is one EPContext node for a TensorRT provider, with every attribute there, of its type and safe to follow.
    """
    try:
        proto = onnx.load_model_from_string(model)
        onnx.checker.check_model(proto)
    except Exception as error:  # protobuf and the checker have types of their own
        raise ExportError(f"expected an ONNX file that holds an engine, got none: {error or type(error).__name__}") from error
    nodes = proto.graph.node
    if len(nodes) != 1 or (nodes[0].domain, nodes[0].op_type) != (MICROSOFT, OP):
        raise ExportError(f"expected one node {MICROSOFT}::{OP}, got {', '.join(f'{n.domain}::{n.op_type}' for n in nodes[:3])}")
    found = {a.name: a for a in nodes[0].attribute}
    wrong = [name for name, kind in _ATTRIBUTES.items() if name not in found or found[name].type != kind]
    if wrong:
        raise ExportError(f"{OP}: expected the attributes {', '.join(wrong)} of their types")
    words = _words({name: a for name, a in found.items() if a.type == onnx.AttributeProto.STRING and name != "ep_cache_context"})
    if words["source"] not in PROVIDERS:
        raise ExportError(f"{OP}: expected the source {' or '.join(PROVIDERS)}, got {words['source']!r}")
    if found["embed_mode"].i not in (0, 1) or found["main_context"].i not in (0, 1) or not found["ep_cache_context"].s:
        raise ExportError(f"{OP}: expected embed_mode and main_context of 0 or 1, and an engine or the name of its file")
    engine: bytes | str = found["ep_cache_context"].s
    if found["embed_mode"].i == 0:
        engine = _words({"ep_cache_context": found["ep_cache_context"]})["ep_cache_context"]
        _plain_name(engine)
    return (
        Context(
            words["source"], words["ep_sdk_version"], words["hardware_architecture"], words["onnx_model_filename"], words["partition_name"]
        ),
        engine,
    )


def _words(attributes: Mapping[str, onnx.AttributeProto]) -> dict[str, str]:
    try:
        return {name: a.s.decode() for name, a in attributes.items()}
    except UnicodeDecodeError as error:
        raise ExportError(f"{OP}: expected attributes in UTF-8: {error}") from error


def _plain_name(name: str) -> None:
    # The providers refuse absolute paths and "..", and name files of their own after the partition.
    if not name or name in (".", "..") or name != PurePosixPath(name).name or "\\" in name:
        raise ExportError(f"expected the name of a file, without a folder, got {name!r}")
