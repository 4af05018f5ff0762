"""Tables that are looked up: rows of int8 with a scale each, so that a vocabulary takes a quarter of the room."""

from __future__ import annotations

import numpy as np
import onnx

from affectrt_export.quantize import rows
from affectrt_export.variants.net import Net, attributes

_LEAST = 4096  # numbers; a smaller table is no size worth an operator more


def lookups(net: Net) -> list[onnx.NodeProto]:
    """Gather nodes over the rows of a constant fp32 table (rows, width), in graph order."""
    found = []
    for node in net.graph.node:
        if node.op_type != "Gather" or node.domain or attributes(node).get("axis", 0) != 0:
            continue
        tensor = net.constants.get(node.input[0])
        if tensor is not None and tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) == 2 and np.prod(tensor.dims) >= _LEAST:
            found.append(node)
    return found


def shrink(net: Net, keep: frozenset[str]) -> None:
    """Makes the tables int8, except those that a lookup in `keep` reads."""
    kept = {node.input[0] for node in lookups(net) if node.name in keep}
    made: dict[str, tuple[str, str]] = {}
    for node in lookups(net):
        table = str(node.input[0])
        if table in kept:
            continue
        if table not in made:
            small, scale = rows(np.asarray(net.array(table), np.float32))
            made[table] = (net.constant(small, f"{table}:int8"), net.constant(scale, f"{table}:scale"))
        small_rows, scales = (net.add("Gather", [name, node.input[1]], name=f"{node.name}:rows", axis=0) for name in made[table])
        wide = net.add("Cast", [small_rows], name=f"{node.name}:float", to=onnx.TensorProto.FLOAT)
        net.stand_in(str(node.output[0]), net.add("Mul", [wide, scales], name=f"{node.name}:scaled"))
