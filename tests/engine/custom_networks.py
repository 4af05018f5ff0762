"""Networks of one node each that calls an operator of ours, with bodies that are right or, so that it shows what ran, wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from affectrt_export.functions import DOMAIN, add_functions
from onnx import TensorProto, helper

KINDS = {np.float32: TensorProto.FLOAT, np.float16: TensorProto.FLOAT16, np.int64: TensorProto.INT64, np.bool_: TensorProto.BOOL}


def save(path: Path, name: str, inputs: dict[str, np.ndarray], *, wrong_body: bool = True, **attributes: Any) -> Path:
    """`y` is the operator's result for these inputs, whose sizes are left free. A wrong body gives its first input back."""
    infos = [helper.make_tensor_value_info(k, KINDS[v.dtype.type], [f"{k}{i}" for i in range(v.ndim)]) for k, v in inputs.items()]
    first = next(iter(inputs.values()))
    # A node behind it, whose type and shape come from what the operator says of itself.
    nodes = [helper.make_node(name, list(inputs), ["t"], domain=DOMAIN, **attributes), helper.make_node("Identity", ["t"], ["y"])]
    y = helper.make_tensor_value_info("y", KINDS[first.dtype.type], [f"y{i}" for i in range(first.ndim)])
    model = add_functions(
        helper.make_model(helper.make_graph(nodes, "g", infos, [y]), opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    )
    for function in model.functions if wrong_body else []:
        del function.node[:]
        function.node.append(helper.make_node("Identity", [function.input[0]], ["out"]))
    onnx.save(model, path)
    return path


def layernorm_inputs(dtype: type, batch: int = 2, tokens: int = 5, width: int = 12, emotions: int = 7) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(width)
    shapes = {"x": (batch, tokens, width), "probs": (batch, emotions), "table": (emotions, width), "gamma": (width,), "beta": (width,)}
    inputs = {name: rng.normal(0, 1, shape).astype(dtype) for name, shape in shapes.items()}
    inputs["probs"] = rng.dirichlet(np.ones(emotions), batch).astype(dtype)
    return inputs


def attention_inputs(
    dtype: type, batch: int = 2, heads: int = 3, tokens: int = 7, width: int = 5, value_width: int = 4
) -> dict[str, np.ndarray]:
    """The last text is padding alone."""
    rng = np.random.default_rng(tokens)
    inputs = {name: rng.normal(0, 1, (batch, heads, tokens, width)).astype(dtype) for name in ("query", "key_same", "key_other")}
    inputs["value"] = rng.normal(0, 1, (batch, heads, tokens, value_width)).astype(dtype)
    inputs["speakers"] = rng.integers(0, 3, (batch, tokens))
    inputs["mask"] = rng.uniform(size=(batch, tokens)) < 0.6
    inputs["mask"][:, 0], inputs["mask"][-1] = True, False
    return inputs


def save_without(path: Path) -> Path:
    """A network that uses no operator of ours: `y` = `x`, float32, (*, 4)."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path
