"""A network that is being rewritten: its nodes, its constants, who writes and who reads what, and how it is read, checked and saved."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, checker, helper, inliner, numpy_helper, version_converter

from affectrt_export.spec import ExportError

Array = npt.NDArray[Any]
MICROSOFT = "com.microsoft"
MIN_OPSET, MAX_OPSET = 13, 23
"""QuantizeLinear per channel came with 13; ONNX Runtime 1.23 reads up to 23."""
NOTES = "affectrt.notes"
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)
_QUANTISED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "MatMulInteger", "ConvInteger", "MatMulNBits")
_LIMIT_BYTES = 2**31 - 1


class Net:
    """Wraps a ModelProto, which it changes. `refresh` after nodes were taken out or inputs were written to directly."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self.proto = proto
        self.graph = proto.graph
        self.notes: list[str] = notes_of(proto)
        self.refresh()

    def refresh(self) -> None:
        """Reads anew who writes and who reads what."""
        self.constants = {tensor.name: tensor for tensor in self.graph.initializer}
        self.inputs = {value.name for value in self.graph.input} - set(self.constants)
        self.outputs = {value.name for value in self.graph.output}
        self.producer = {name: node for node in self.graph.node for name in node.output if name}
        self.consumers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in self.graph.node:
            for name in dict.fromkeys(node.input):
                if name:
                    self.consumers[name].append(node)
        self._taken = {node.name for node in self.graph.node} | set(self.producer) | set(self.constants) | self.inputs
        self._by_value: dict[tuple[str, str, tuple[int, ...], bytes], str] = {}

    def node(self, name: str) -> onnx.NodeProto:
        """The node of that name. KeyError if there is none."""
        for node in self.graph.node:
            if node.name == name:
                return node
        raise KeyError(name)

    def array(self, name: str) -> Array | None:
        """The value of a constant; None if it is computed."""
        tensor = self.constants.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)

    def scalar(self, name: str) -> float | None:
        """The value of a constant that is one number."""
        value = self.array(name)
        return float(value.reshape(-1)[0]) if value is not None and value.size == 1 else None

    def only_reader(self, name: str) -> onnx.NodeProto | None:
        """The one node that reads a value which nobody else reads and which is no output of the network."""
        readers = self.consumers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    def fresh(self, hint: str) -> str:
        """A name that nothing has yet."""
        name, count = hint, 1
        while name in self._taken:
            count += 1
            name = f"{hint}.{count}"
        self._taken.add(name)
        return name

    def constant(self, value: Array, hint: str) -> str:
        """A constant; a small one that is there already under the same hint is used again."""
        data = np.asarray(value, order="C")  # ascontiguousarray would make a number a vector
        key = (hint, data.dtype.str, data.shape, data.tobytes() if data.size <= 16 else b"")
        if data.size <= 16 and key in self._by_value:
            return self._by_value[key]
        name = self.fresh(hint)
        self.add_tensor(numpy_helper.from_array(data, name))
        self._by_value[key] = name
        return name

    def add_tensor(self, tensor: TensorProto) -> str:
        """Puts a tensor with a fresh name among the constants."""
        self.graph.initializer.append(tensor)
        self.constants[tensor.name] = self.graph.initializer[-1]
        self._taken.add(tensor.name)
        return str(tensor.name)

    def add(
        self, op: str, inputs: Sequence[str], outputs: Sequence[str] | None = None, *, name: str = "", domain: str = "", **attributes: Any
    ) -> str:
        """Adds a node and gives the name of its first output. Its place among the others is found when the network is saved."""
        name = self.fresh(name or op)
        made = helper.make_node(op, list(inputs), list(outputs or [self.fresh(f"{name}:out")]), name=name, domain=domain, **attributes)
        self.graph.node.append(made)
        made = self.graph.node[-1]
        for value in dict.fromkeys(made.input):
            if value:
                self.consumers[value].append(made)
        for value in made.output:
            self.producer[value] = made
        self._taken.update(made.output)
        return str(made.output[0])

    def remove(self, nodes: Iterable[onnx.NodeProto]) -> None:
        """Takes nodes out. Nodes held from before are stale then."""
        gone = {node.name for node in nodes}
        _set_nodes(self.graph, [node for node in self.graph.node if node.name not in gone])
        self.refresh()

    def redirect(self, old: str, new: str, but: Iterable[onnx.NodeProto] = ()) -> None:
        """Lets every reader of `old` read `new`, except the nodes in `but`. What the network gives out keeps its name."""
        spared = {node.name for node in but}
        moved = [node for node in self.consumers.get(old, []) if node.name not in spared]
        for node in moved:
            for i, name in enumerate(node.input):
                if name == old:
                    node.input[i] = new
        self.consumers[old] = [node for node in self.consumers[old] if node.name in spared]
        self.consumers[new] = [*self.consumers[new], *moved]

    def stand_in(self, old: str, new: str) -> None:
        """Lets `new` be read in place of `old`; if that is an output of the network, `new` takes its name."""
        if old in self.outputs:
            self._rename_written(old, self.fresh(f"{old}:unused"))
            self._rename_written(new, old)
            self.redirect(new, old)
        else:
            self.redirect(old, new)

    def _rename_written(self, old: str, new: str) -> None:
        writer = self.producer.pop(old)
        writer.output[list(writer.output).index(old)] = new
        self.producer[new] = writer

    def note(self, text: str) -> None:
        """Says in the file what a reader of the report should know."""
        if text not in self.notes:
            self.notes.append(text)

    def bytes(self) -> bytes:
        """The network as a file: nodes in order, nothing in it that is not used. The same network gives the same bytes."""
        _sort(self.graph)
        _prune(self.graph)
        proto = self.proto
        used = {node.domain for node in self.graph.node}
        versions = {entry.domain: entry.version for entry in proto.opset_import}
        del proto.opset_import[:]
        for domain in sorted({"", *used}):
            proto.opset_import.append(helper.make_opsetid(domain, 1 if domain == MICROSOFT else versions[domain]))
        del self.graph.value_info[:]
        proto.ir_version = _ir_version(versions[""])
        proto.producer_name, proto.producer_version, proto.doc_string, self.graph.doc_string = "affectrt_export", "", "", ""
        set_metadata(proto, {**metadata_of(proto), NOTES: json.dumps(self.notes)} if self.notes else metadata_of(proto))
        if proto.ByteSize() > _LIMIT_BYTES:
            raise ExportError(f"an ONNX file of at most 2 GB was expected, this network makes {proto.ByteSize() / 1e9:.1f} GB")
        try:
            checker.check_model(proto)
        except checker.ValidationError as error:
            raise ExportError(f"the rewritten network is no valid ONNX: {error}") from error
        return bytes(proto.SerializeToString(deterministic=True))


def parse(model: bytes) -> onnx.ModelProto:
    """Reads a file and checks what all variants take for granted: fp32 ONNX, all data inside, no branches, every node named, no NaN.

    Raises ExportError that names what is wrong and where.
    """
    try:
        proto = onnx.ModelProto.FromString(model)
    except Exception as error:  # protobuf's DecodeError, which lies in another package in each version of it
        raise ExportError(f"an ONNX network was expected, these {len(model)} bytes are none") from error
    if not proto.graph.node:
        raise ExportError("an ONNX network was expected, this one has no nodes")
    for tensor in proto.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            raise ExportError(f"weight {tensor.name} lies outside the file; a network that holds all its weights was expected")
        if tensor.data_type in (TensorProto.FLOAT16, TensorProto.BFLOAT16):
            raise ExportError(
                f"an fp32 network was expected, weight {tensor.name} is {TensorProto.DataType.Name(tensor.data_type).lower()}"
            )
    if proto.functions:
        proto = inliner.inline_local_functions(proto)
    proto = _opset(proto)
    for node in proto.graph.node:
        if any(a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for a in node.attribute):
            raise ExportError(f"{node.op_type} {node.name!r} branches on data; a network without branches was expected")
        if node.op_type in _QUANTISED:
            raise ExportError(f"an fp32 network was expected, {node.op_type} {node.name!r} is of a quantised one")
    _inline_constants(proto.graph)
    name_nodes(proto.graph)
    check_finite(proto.graph)
    return proto


def notes_of(model: bytes | onnx.ModelProto) -> list[str]:
    """What was noted when a variant was made: layers left in higher precision and why."""
    proto = onnx.ModelProto.FromString(model) if isinstance(model, bytes) else model
    return [str(text) for text in json.loads(metadata_of(proto).get(NOTES, "[]"))]


def metadata_of(proto: onnx.ModelProto) -> dict[str, str]:
    """What a file says beside the network, by key."""
    return {entry.key: entry.value for entry in proto.metadata_props}


def set_metadata(proto: onnx.ModelProto, values: Mapping[str, str]) -> None:
    """Writes what a file says beside the network, sorted by key."""
    del proto.metadata_props[:]
    helper.set_model_props(proto, dict(sorted(values.items())))


def name_nodes(graph: onnx.GraphProto) -> None:
    """Gives each node a name of its own where it has none or another node's."""
    every = {node.name for node in graph.node}
    taken: set[str] = set()
    for i, node in enumerate(graph.node):
        if not node.name or node.name in taken:
            base = node.name or f"{node.op_type}_{i}"
            names = (base if count == 1 else f"{base}.{count}" for count in itertools.count(1))
            node.name = next(name for name in names if name not in every and name not in taken)
        taken.add(node.name)


def check_finite(graph: onnx.GraphProto) -> None:
    """Refuses NaN in any constant, and infinity unless it can only be a mask: ExportError names the weight and the layer."""
    readers: dict[str, onnx.NodeProto] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, node)
    for tensor in graph.initializer:
        if tensor.data_type not in _FLOATS:
            continue
        value = numpy_helper.to_array(tensor).astype(np.float32)
        if np.isfinite(value).all():
            continue
        node = readers.get(tensor.name)
        where = f"weight {tensor.name} of layer {node.name} ({node.op_type})" if node is not None else f"weight {tensor.name}"
        bad = np.isnan(value)
        if bad.any():
            raise ExportError(f"{where}: {int(bad.sum())} of {value.size} values are NaN")
        # Masks are minus infinity: one number, or a whole table of them that is added or picked from.
        mask = node is not None and node.op_type in ("Where", "Add", "Mul", "Slice", "Expand") and (value.size == 1 or value.ndim > 1)
        if not mask:
            raise ExportError(f"{where}: {int(np.isinf(value).sum())} of {value.size} values are infinite")


def unshare(net: Net, ops: Sequence[str]) -> None:
    """Gives each node of these operators constants of its own: what is shared cannot take two scales."""
    seen: set[str] = set()
    for node in net.graph.node:
        if node.op_type not in ops:
            continue
        for i, name in enumerate(node.input):
            if name not in net.constants:
                continue
            if name in seen:
                copy = TensorProto.FromString(net.constants[name].SerializeToString())
                copy.name = net.fresh(f"{node.name}.{('', 'weight', 'bias')[i] if i in (1, 2) else i}")
                node.input[i] = net.add_tensor(copy)
            seen.add(node.input[i])
    net.refresh()


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Attributes of a node as Python values."""
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _opset(proto: onnx.ModelProto) -> onnx.ModelProto:
    version = next((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), 0)
    for entry in proto.opset_import:
        if entry.domain == "ai.onnx":
            entry.domain = ""
    if MIN_OPSET <= version <= MAX_OPSET:
        return proto
    target = 17 if version < MIN_OPSET else MAX_OPSET
    try:
        return version_converter.convert_version(proto, target)
    except Exception as error:  # the converter's own, without a class
        raise ExportError(
            f"operator set {MIN_OPSET} to {MAX_OPSET} was expected, this has {version} and cannot be converted: {error}"
        ) from error


def _ir_version(opset: int) -> int:
    """The oldest version of the file format that has everything the operator set may need."""
    return 8 if opset <= 18 else 9 if opset <= 20 else 10 if opset <= 22 else 11


def _inline_constants(graph: onnx.GraphProto) -> None:
    left = []
    for node in graph.node:
        value = next((a.t for a in node.attribute if a.name == "value"), None) if node.op_type == "Constant" else None
        if value is None:
            left.append(node)
            continue
        tensor = TensorProto.FromString(value.SerializeToString())
        tensor.name = node.output[0]
        graph.initializer.append(tensor)
    _set_nodes(graph, left)
    given = [value for value in graph.input if value.name in {tensor.name for tensor in graph.initializer}]
    for value in given:  # old files list weights among the inputs, which nothing may then fold
        graph.input.remove(value)


def _set_nodes(graph: onnx.GraphProto, nodes: Iterable[onnx.NodeProto]) -> None:
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _sort(graph: onnx.GraphProto) -> None:
    """Puts each node after those it reads, otherwise in the order it was in."""
    nodes = list(graph.node)
    writer = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    order: list[int] = []
    state = [0] * len(nodes)
    for start in range(len(nodes)):
        stack = [start]
        while stack:
            i = stack[-1]
            if state[i] == 2:
                stack.pop()
                continue
            waiting = [writer[name] for name in nodes[i].input if name in writer and state[writer[name]] != 2]
            if state[i] == 1 and any(state[j] == 1 for j in waiting):
                raise ExportError(f"the network has a cycle at {nodes[i].name}")
            state[i] = 1
            if waiting:
                stack.extend(reversed(waiting))
            else:
                state[i] = 2
                order.append(i)
                stack.pop()
    if order != list(range(len(nodes))):
        _set_nodes(graph, [nodes[i] for i in order])


def _prune(graph: onnx.GraphProto) -> None:
    """Drops nodes and constants that no output needs."""
    needed = {value.name for value in graph.output}
    kept: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if any(name in needed for name in node.output):
            needed.update(node.input)
            kept.append(node)
    if len(kept) < len(graph.node):
        _set_nodes(graph, reversed(kept))
    for i in reversed(range(len(graph.initializer))):
        if graph.initializer[i].name not in needed:
            del graph.initializer[i]
