"""An ONNX file with its contract as JSON, in the form that `affectrt packs add --contract` takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, version_converter

from affectrt_export.families import labels, tokenizer
from affectrt_export.families.base import TASKS, Options
from affectrt_export.families.source import Source, entries, license_of, name_of, read_json
from affectrt_export.spec import Contract, ExportError, Model

OLDEST_OPSET = 13
"""Per-channel quantisation needs it; older files are converted to `NEW_OPSET`."""
NEW_OPSET = 17
_KEYS = ("task", "inputs", "outputs", "decode", "labels")
_LIMIT_BYTES = 2**31 - 1


@dataclass(frozen=True)
class OnnxFile:
    """A .onnx file; data that it keeps outside itself is taken in."""

    name: str = "onnx"
    about: str = "an .onnx file in fp32 with its contract as JSON (--contract)"

    def claims(self, source: Source) -> bool:
        """By suffix."""
        return source.suffix == ".onnx"

    def read(self, source: Source, options: Options) -> Model:
        """See `affectrt_export.families.base.Family`."""
        if options.contract is None:
            raise ExportError(
                f"{source.origin}: an ONNX file does not say how to feed it: write its contract as JSON (docs/packs.md) and pass it"
            )
        content = read_json(options.contract)
        missing = [key for key in _KEYS if key not in content]
        if missing:
            raise ExportError(f"{options.contract.name}: the keys {', '.join(_KEYS)} were expected, missing: {', '.join(missing)}")
        if content["task"] not in TASKS or options.task not in ("", content["task"]):
            raise ExportError(
                f"{options.contract.name}: the task {options.task or ' or '.join(TASKS)} was expected, got {content['task']!r}"
            )
        proto = load(source.place)
        try:
            contract = _contract(content, options, proto.graph)
        except (KeyError, TypeError, AttributeError, StopIteration) as error:
            raise ExportError(
                f"{options.contract.name}: the keys of docs/pack-format.md were expected, got a problem at {error!r}"
            ) from error
        said = content.get("license")
        license = license_of(source, options) or (str(said.get("weights", "")) if isinstance(said, Mapping) else "")
        counts = Counter(node.op_type for node in proto.graph.node)
        return Model(
            name=name_of(source, options) if options.name or "name" not in content else str(content["name"]),
            family=self.name,
            onnx=finished(proto),
            reference=None,
            contract=contract,
            convolutional=counts["Conv"] > counts["MatMul"] + counts["Gemm"],
            license=license,
            source=content.get("source") or entries(source, [source.place], license),
        )


def _contract(content: Mapping[str, Any], options: Options, graph: onnx.GraphProto) -> Contract:
    points = []
    for label in content["labels"]:
        known = labels.affect(str(label["name"]))
        points.append({"dominance": known.dominance if known else 0.0, **label})
    files = {}
    for entry in content["inputs"]:
        if "tokenizer" not in entry:
            continue
        assert options.contract is not None
        place = options.contract.parent / entry["tokenizer"]
        if Path(entry["tokenizer"]).is_absolute() or ".." in Path(entry["tokenizer"]).parts or not place.is_file():
            raise ExportError(f"{options.contract.name}: the tokenizer {entry['tokenizer']!r} was expected beside it, there is none")
        data = tokenizer.bare(place.read_bytes())
        tokenizer.check(data, _rows(graph, entry["tensor"]), {}, {})
        files[str(entry["tokenizer"])] = data
    contract = Contract(content["task"], content["inputs"], content["outputs"], content["decode"], points, files)
    _ = contract.output, contract.multi_label  # what is missing is found here and not later
    return contract


def _rows(graph: onnx.GraphProto, ids: str) -> int:
    """Of the table that ids are looked up in, as far as the graph shows it."""
    weights = {tensor.name: tensor for tensor in graph.initializer}
    tables = [weights[n.input[0]].dims[0] for n in graph.node if n.op_type == "Gather" and n.input[1] == ids and n.input[0] in weights]
    return min(tables, default=1 << 31)


def load(path: Path) -> onnx.ModelProto:
    """An ONNX file as a whole: data outside it taken in, weights no inputs, of opset 13 or newer. Raises ExportError."""
    try:
        proto = onnx.load(path)  # external data only from the folder of the file or below: onnx itself sees to that
    except Exception as error:  # protobuf's own kinds differ from release to release
        raise ExportError(
            f"{path.name}: an ONNX file was expected: {str(error).strip().splitlines()[0] if str(error) else error!r}"
        ) from error
    if proto.ByteSize() > _LIMIT_BYTES:
        raise ExportError(f"{path.name}: with its weights at most 2 GB were expected, got {proto.ByteSize() / 1e9:.1f} GB")
    weights = {tensor.name for tensor in proto.graph.initializer}
    for tensor in proto.graph.initializer:
        if tensor.data_location == TensorProto.DEFAULT:
            tensor.ClearField("data_location")  # where data was outside it says so: the same network is to be the same bytes
    inputs = [value for value in proto.graph.input if value.name not in weights]  # old files list weights as inputs, which stops folding
    del proto.graph.input[:]
    proto.graph.input.extend(inputs)
    opset = next((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if opset < OLDEST_OPSET:
        try:
            proto = version_converter.convert_version(proto, NEW_OPSET)
        except Exception as error:  # a C++ extension's
            raise ExportError(
                f"{path.name}: opset {OLDEST_OPSET} or newer was expected, got {opset}, which cannot be converted: {error}"
            ) from error
    return proto


def finished(proto: onnx.ModelProto) -> bytes:
    """File bytes: constants as weights, every node named, the batch free. Raises ExportError: a batch that the graph itself fixes."""
    graph = proto.graph
    _constants(graph)
    taken = {node.name for node in graph.node if node.name}
    weights = {tensor.name for tensor in graph.initializer}
    seen: set[str] = set()
    for node in graph.node:
        if not node.name or node.name in seen:
            read = next((name for name in node.input if name in weights), node.output[0])
            stem = f"{read.removesuffix('.weight').removesuffix('.bias')}/{node.op_type}"
            node.name = next(name for i in range(len(taken) + 2) if (name := f"{stem}.{i}" if i else stem) not in taken)
            taken.add(node.name)
        seen.add(node.name)
    _free_batch(proto)
    return bytes(proto.SerializeToString(deterministic=True))


def _constants(graph: onnx.GraphProto) -> None:
    for node in [node for node in graph.node if node.op_type == "Constant"]:
        value = next((entry for entry in node.attribute if entry.name == "value"), None)
        if value is not None:
            tensor = TensorProto()
            tensor.CopyFrom(value.t)
            tensor.name = node.output[0]
            graph.initializer.append(tensor)
            graph.node.remove(node)


def _free_batch(proto: onnx.ModelProto) -> None:
    """Where the file fixes a batch of one, it is set free if two inputs at once then give what each gives alone."""
    fixed = [value for value in proto.graph.input if value.type.tensor_type.shape.dim and value.type.tensor_type.shape.dim[0].dim_value]
    if not fixed:
        return
    sizes = sorted({value.type.tensor_type.shape.dim[0].dim_value for value in fixed})
    if sizes != [1]:
        raise ExportError(f"a free batch, or one of 1, was expected, the network takes {sizes}")
    for value in (*fixed, *proto.graph.output):
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = "n"
    del proto.graph.value_info[:]
    two = {value.name: _sample(value, 2) for value in proto.graph.input}
    if not _same_in_batch(bytes(proto.SerializeToString()), two):
        raise ExportError(
            "a network for any batch was expected, this one computes with a batch of 1 inside; export it with a free batch axis"
        )


def _sample(value: onnx.ValueInfoProto, batch: int) -> Any:
    shape = [dim.dim_value or 8 for dim in value.type.tensor_type.shape.dim]
    kind = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
    numbers = np.random.default_rng(0).random((batch, *shape[1:]))
    return numbers.astype(kind) if np.issubdtype(kind, np.floating) else np.ones(numbers.shape, kind)


def _same_in_batch(model: bytes, two: Mapping[str, Any]) -> bool:
    from affectrt_export import runner

    try:
        network = runner.Onnx(model)
        both = network(two)
        alone = [network({name: value[i : i + 1] for name, value in two.items()}) for i in range(2)]
    except Exception:  # ONNX Runtime's kinds have no common base; any of them says that it does not run
        return False
    return all(np.allclose(value, np.concatenate([one[name] for one in alone]), rtol=1e-4, atol=1e-5) for name, value in both.items())


def rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Other names for tensors, wherever they stand."""
    for node in graph.node:
        for slots in (node.input, node.output):
            for i, name in enumerate(slots):
                slots[i] = names.get(name, name)
    for value in (*graph.input, *graph.output, *graph.value_info):
        value.name = names.get(value.name, value.name)


def split_output(graph: onnx.GraphProto, parts: Mapping[str, int]) -> None:
    """The one output (n, sum of parts) becomes several (n, part), in order."""
    old = graph.output[0].name
    sizes = numpy_helper.from_array(np.array(list(parts.values()), np.int64), "outputs.sizes")
    graph.initializer.append(sizes)
    graph.node.append(helper.make_node("Split", [old, sizes.name], list(parts), name="outputs/Split", axis=1))
    del graph.output[:]
    graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size]) for name, size in parts.items())
