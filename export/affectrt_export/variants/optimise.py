"""The graph optimised once and saved: constants folded, dead parts and empty steps gone, so that it loads fast and runs as well everywhere.

ONNX Runtime does it, at levels that know no processor: "basic" leaves standard operators only, which every runtime reads; "extended" writes
the fused operators of its CPU provider, which every ONNX Runtime from 1.23 has. Layouts for one kind of processor (NCHWc) come at a level
above, which is left to the moment of loading.
"""

from __future__ import annotations

import functools
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from affectrt_export.spec import ExportError, Feeds
from affectrt_export.variants.net import MICROSOFT, Net, name_nodes, parse

# A product and its sum under one name of ONNX Runtime's own: the layer would lose the name that its owner knows.
_RENAMING = ("MatMulAddFusion",)
FUSED = frozenset(
    {
        "QLinearAdd",
        "QLinearMul",
        "QLinearAveragePool",
        "QLinearGlobalAveragePool",
        "QLinearConcat",
        "QLinearLeakyRelu",
        "QLinearSigmoid",
        "QGemm",
        "MatMulIntegerToFloat",
        "FusedConv",
        "FusedGemm",
        "FusedMatMul",
        "Gelu",
        "BiasGelu",
        "QuickGelu",
        "SkipLayerNormalization",
        "QuantizeLinear",
        "DequantizeLinear",
    }
)
"""Operators of com.microsoft that ONNX Runtime 1.23 runs on a CPU: a file with any other is not written."""


def standard(model: bytes, calibration: Sequence[Feeds] = (), keep: frozenset[str] = frozenset()) -> bytes:
    """The maker of "fp32": the same network, optimised, standard operators only."""
    del calibration, keep  # a Maker takes them; there is nothing to keep in fp32
    return Net(simplified(model)).bytes()


def simplified(model: bytes) -> onnx.ModelProto:
    """What every variant starts from: checked, named, optimised, standard operators. Layers keep their names. The caller owns it.

    Raises ExportError: no ONNX, NaN, branches, or an operator that ONNX Runtime does not know, named with its layer.
    """
    return onnx.ModelProto.FromString(_simplified(model))


def start(model: bytes, keep: frozenset[str]) -> Net:
    """What a maker begins with. ExportError as `simplified`, and where `keep` names what is no node of the network."""
    net = Net(simplified(model))
    absent = sorted(keep - {str(node.name) for node in net.graph.node})
    if absent:
        raise ExportError(f"layers to keep were expected to be nodes of the network, it has none called {', '.join(absent[:5])}")
    return net


@functools.lru_cache(maxsize=2)  # repair makes dozens of variants of one network
def _simplified(model: bytes) -> bytes:
    parsed = parse(model)
    found = through_runtime(bytes(parsed.SerializeToString(deterministic=True)), "basic", _RENAMING)
    strange = sorted(
        {f"{n.domain}.{n.op_type}" for n in found.graph.node if n.domain} - {f"{n.domain}.{n.op_type}" for n in parsed.graph.node}
    )
    if strange:  # an ONNX Runtime that fuses more at this level than those known: the graph as it came is as right
        found = parsed
    name_nodes(found.graph)
    net = Net(found)
    drop_guards(net)
    return net.bytes()


def through_runtime(model: bytes, level: str, disabled: Sequence[str] = ()) -> onnx.ModelProto:
    """The graph as ONNX Runtime's CPU provider makes it at a level: "basic" or "extended"."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_ENABLE_{level.upper()}")
    options.intra_op_num_threads = 1  # constants that are folded come out the same each time
    options.log_severity_level = 4
    with tempfile.TemporaryDirectory(prefix="affectrt-") as folder:
        path = Path(folder) / "model.onnx"
        options.optimized_model_filepath = str(path)
        try:
            onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"], disabled_optimizers=list(disabled))
            return onnx.load_model(path)
        except OSError as error:
            raise ExportError(f"the optimised network could not be written to {folder}: {error}") from error
        except Exception as error:  # ONNX Runtime's exceptions share no base class
            raise ExportError(f"ONNX Runtime does not take the network: {error}") from error


def fused(model: bytes) -> tuple[bytes | None, onnx.ModelProto]:
    """A network for ONNX Runtime's CPU provider with its operators fused, and the graph as that provider runs it.

    The file is None where the runtime that is installed here fuses to an operator that ONNX Runtime 1.23 may not have.
    """
    graph = through_runtime(model, "extended")
    name_nodes(graph.graph)
    unknown = {n.op_type for n in graph.graph.node if n.domain and not (n.domain == MICROSOFT and n.op_type in FUSED)}
    return (None if unknown else Net(onnx.ModelProto.FromString(graph.SerializeToString())).bytes()), graph


def drop_guards(net: Net) -> None:
    """Takes out what PyTorch puts after each softmax of attention: where everything is masked, NaN becomes 0.

    Masks of minus infinity become large and finite instead, so no NaN can come. Only an example without a single word is answered
    differently, and none is: a tokenizer puts its own marks round it.
    """
    for guard in [node for node in net.graph.node if node.op_type == "Where"]:
        test = net.producer.get(guard.input[0])
        if test is None or test.op_type != "IsNaN" or net.scalar(guard.input[1]) != 0.0 or guard.input[2] != test.input[0]:
            continue
        softmax = net.producer.get(test.input[0])
        if softmax is None or softmax.op_type != "Softmax" or not _finite_mask(net, softmax.input[0]) or guard.output[0] in net.outputs:
            continue
        net.redirect(guard.output[0], softmax.output[0])
    net.refresh()


def _finite_mask(net: Net, scores: str) -> bool:
    """Makes the mask that is added to `scores` finite; False where it cannot be followed."""
    add = net.producer.get(scores)
    if add is None or add.op_type != "Add":
        return add is not None and add.op_type in ("MatMul", "Mul", "Div")
    for name in add.input:
        node = net.producer.get(name)
        while node is not None and node.op_type in ("Expand", "Unsqueeze", "Reshape", "Slice"):
            node = net.producer.get(node.input[0])
        if node is None or node.op_type != "Where":
            continue
        for i in (1, 2):
            if net.scalar(node.input[i]) == -np.inf:
                node.input[i] = net.constant(np.float32(-1e9), "masked")
        return all(net.scalar(node.input[i]) is not None for i in (1, 2))
    return False


def census(model: bytes | onnx.ModelProto) -> Counter[str]:
    """How many nodes of each operator; those of ONNX Runtime's own with their domain."""
    proto = onnx.ModelProto.FromString(model) if isinstance(model, bytes) else model
    return Counter(f"{node.domain}.{node.op_type}" if node.domain else str(node.op_type) for node in proto.graph.node)
