"""A small builder of ONNX graphs that always writes the same bytes for the same calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17  # has LayerNormalization; every ONNX Runtime from 1.14 and every TensorRT from 8.6 reads it
IR_VERSION = 8
MICROSOFT = "com.microsoft"

Array = npt.NDArray[Any]


class Graph:
    """Nodes, initialisers and names of one network; `save` checks it and writes it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._by_value: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._custom = False

    def input(self, name: str, shape: Sequence[int | str], elem_type: int = TensorProto.FLOAT) -> str:
        """Declares an input; a string marks a free dimension."""
        self._inputs.append(helper.make_tensor_value_info(name, elem_type, list(shape)))
        return name

    def output(self, name: str, shape: Sequence[int | str], elem_type: int = TensorProto.FLOAT) -> None:
        """Declares an output that some node writes."""
        self._outputs.append(helper.make_tensor_value_info(name, elem_type, list(shape)))

    def constant(self, value: Array, hint: str = "const") -> str:
        """Stores `value` once, however often it is asked for, and returns its name."""
        data = np.ascontiguousarray(value)
        key = (data.dtype.str, data.shape, data.tobytes())
        if key not in self._by_value:
            name = f"{hint}_{len(self._constants)}"
            self._by_value[key] = name
            self._constants[name] = numpy_helper.from_array(data, name)
        return self._by_value[key]

    def add(self, op: str, inputs: Sequence[str], *, out: str | None = None, outputs: int = 1, domain: str = "", **attributes: Any) -> str:
        """Appends a node and returns the name of its first output; further ones are that name with `.1`, `.2`."""
        name = out or f"{op.lower()}_{len(self._nodes)}"
        names = [name] + [f"{name}.{i}" for i in range(1, outputs)]
        self._nodes.append(helper.make_node(op, list(inputs), names, name=f"node_{len(self._nodes)}", domain=domain, **attributes))
        self._custom = self._custom or domain == MICROSOFT
        return name

    def model(self) -> onnx.ModelProto:
        """The finished model, checked."""
        graph = helper.make_graph(self._nodes, self.name, self._inputs, self._outputs, list(self._constants.values()))
        opsets = [helper.make_opsetid("", OPSET)] + ([helper.make_opsetid(MICROSOFT, 1)] if self._custom else [])
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="affectrt_export")
        onnx.checker.check_model(model, full_check=not self._custom)
        return model

    def bytes(self) -> bytes:
        """The finished model as a file's bytes; the same graph gives the same bytes."""
        return bytes(self.model().SerializeToString(deterministic=True))
