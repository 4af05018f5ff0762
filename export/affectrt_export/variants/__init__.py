"""Variants of an ONNX network: how each is made, and which of its layers a repair may keep in higher precision."""

from __future__ import annotations

from affectrt_export.spec import VariantKind
from affectrt_export.variants import fp16, fuse, int8_static, int8_trt, master, optimise, tables
from affectrt_export.variants.derive import derive
from affectrt_export.variants.int4 import Int4
from affectrt_export.variants.int8_dynamic import Dynamic
from affectrt_export.variants.net import Net, notes_of, parse
from affectrt_export.variants.options import METHODS, Options
from affectrt_export.variants.qdq import weighted

__all__ = ["KINDS", "METHODS", "Options", "derive", "is_convolutional", "kinds", "notes_of", "quantisable"]

KINDS = ("fp32", "fp16", "int8", "int8-trt", "int4", "master")
_CPU = ("CPUExecutionProvider",)
_TENSORRT = ("TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider")
_WHOLE = ("Conv", "Gemm", "MatMul", "LayerNormalization", "Softmax")  # what fp16 may be too narrow for


def kinds(convolutional: bool, options: Options | None = None) -> tuple[VariantKind, ...]:
    """Every variant that such a network can have, the one that the others are held against first.

    convolutional: int8 is static, and there is no int4; otherwise int8 is dynamic.
    """
    chosen = options or Options()
    int8 = int8_static.Static(chosen) if convolutional else Dynamic(chosen)
    found = [
        VariantKind("fp32", "fp32", optimise.standard, "fp32"),
        VariantKind("fp16", "fp16", fp16.convert, "fp32", runs_here=False),
        VariantKind("int8", "int8", int8, "fp32", _CPU),
        VariantKind("int8-trt", "int8", int8_trt.TensorRt(chosen), "fp16", _TENSORRT, runs_here=False),
    ]
    if not convolutional:
        found.append(VariantKind("int4", "int4", Int4(chosen), "fp32", _CPU))
    bits = f"int{chosen.master_bits}"
    return (*found, VariantKind("master", bits, master.Master(chosen), "fp32", runs_here=False))


def is_convolutional(model: bytes) -> bool:
    """Whether a network is one of convolutions: some, and no attention, which a vision transformer has beside its first one."""
    net = Net(parse(model))
    return any(node.op_type == "Conv" for node in net.graph.node) and not any(int8_trt.attention(net, node) for node in net.graph.node)


def quantisable(model: bytes, kind: str, convolutional: bool | None = None) -> list[tuple[str, str]]:
    """(name, operator) of each layer that `keep` may name for a kind, in graph order.

    convolutional: as `kinds` was told; None: as `is_convolutional` finds. ValueError: no such kind. ExportError as the makers raise it.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
    if kind == "fp32":
        return []
    net = Net(optimise.simplified(model))
    if kind == "fp16":
        return [(str(node.name), str(node.op_type)) for node in net.graph.node if node.op_type in _WHOLE]
    static = is_convolutional(model) if convolutional is None else convolutional
    dynamic = kind == "int4" or (kind == "int8" and not static)
    names = {layer.name for layer in weighted(net, fuse.OPS if dynamic else master.OPS)}
    if dynamic or kind == "master":
        names |= {str(node.name) for node in tables.lookups(net)}
    return [(str(node.name), str(node.op_type)) for node in net.graph.node if node.name in names]
