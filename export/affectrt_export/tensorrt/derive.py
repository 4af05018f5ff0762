"""From a pack, or an ONNX file, to an engine in the cache that ONNX Runtime can open: `affectrt export engine`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
from affectrt.packs import Pack, Variant, open_pack

from affectrt_export.spec import ExportError, Progress
from affectrt_export.tensorrt import cache
from affectrt_export.tensorrt.build import Engine, build, choose
from affectrt_export.tensorrt.ep_context import Context, wrap
from affectrt_export.tensorrt.library import Library
from affectrt_export.tensorrt.options import Options, inputs_of, plan, read

MODEL, ENGINE = "model.onnx", "model.engine"
_BEST = ("fp16", "fp32")


def engine_for(
    pack: Pack | str | os.PathLike[str],
    variant: str = "auto",
    options: Options | None = None,
    progress: Progress | None = None,
    *,
    limit_bytes: int = cache.LIMIT_BYTES,
) -> Path:
    """Path of an ONNX file in the cache that holds the engine of one variant of a pack; built only if the cache has it not.

    `variant`: a name or precision; "auto" is the first that says it is for a TensorRT provider, else fp16, else fp32.
    ExportError, BuildError (names node and operator), or PackError if the pack cannot be opened or the disk refuses.
    """
    if not isinstance(pack, Pack):
        pack = open_pack(pack)
    chosen = pick(pack, variant)
    if chosen.format != "onnx":
        raise ExportError(
            f"pack {pack.name}, variant {chosen.name}: expected an ONNX file, got {chosen.format}; TensorRT builds ONNX files only"
        )
    inputs = pack.manifest.get("inputs", ())
    name = f"{pack.name or 'model'}-{chosen.name}"
    try:
        return engine_of(chosen.path.read_bytes(), name, inputs, options, progress, file=chosen.path.name, limit_bytes=limit_bytes)
    except ExportError as error:
        error.args = (f"pack {pack.name}, variant {chosen.name}: {error}",)
        raise


def engine_of(
    model: bytes,
    name: str,
    contract: Sequence[Mapping[str, Any]] = (),
    options: Options | None = None,
    progress: Progress | None = None,
    *,
    file: str = MODEL,
    limit_bytes: int = cache.LIMIT_BYTES,
) -> Path:
    """As `engine_for`, of the bytes of an ONNX file, also one that is in no pack, such as a variant derived from a master.

    `name` is for people; `contract`: the inputs as pack.json writes them; `file`: the name of the ONNX file.
    """
    options = options or Options()
    network = read(model)
    shapes = plan(network, options.shapes, contract)
    library, gpu = choose(options)

    def make() -> dict[str, bytes]:
        engine = build(model, options, progress, contract=contract, timing=cache.read_timing(library, gpu))
        cache.write_timing(library, gpu, engine.timing)
        context = context_of(engine, library, _file_name(name), file, key)
        return {ENGINE: engine.data, MODEL: wrap(network, ENGINE, context)}

    what = {**cache.parts(model, types_of(network), shapes, library, gpu, options), "name": name, "file": file}
    key = cache.key_of(what)
    return cache.entry(what, make, limit_bytes=limit_bytes) / MODEL


def context_of(engine: Engine, library: Library, name: str, file: str, key: str) -> Context:
    """What the EPContext node says of an engine; `key` keeps apart engines of one name."""
    return Context(library.provider, library.sdk_version, engine.hardware, file, f"{name}-{key[:16]}")


def pick(pack: Pack, variant: str = "auto") -> Variant:
    """The variant of a pack that an engine is made of. ExportError if "auto" finds none that TensorRT could take."""
    if variant != "auto" or not pack.verified:
        return pack.variant(variant)
    found = pack.manifest["variants"]
    for_tensorrt = [v["name"] for v in found if any("tensorrt" in p.lower() for p in v["requires"])]
    by_precision = [v["name"] for precision in _BEST for v in found if v["precision"] == precision and v["format"] == "onnx"]
    names = for_tensorrt + by_precision
    if not names:
        shown = ", ".join(f"{v['name']} ({v['precision']})" for v in found)
        raise ExportError(f"pack {pack.name}: expected a variant for TensorRT, or one in fp16 or fp32, got {shown}")
    return pack.variant(names[0])


def types_of(network: onnx.ModelProto) -> dict[str, int]:
    """How often each element type stands for an input, output or weight: the precision of a strongly typed network."""
    counts: dict[str, int] = {}
    values = [value.type.tensor_type.elem_type for value in (*inputs_of(network), *network.graph.output)]
    for kind in (*values, *(t.data_type for t in network.graph.initializer)):
        shown = onnx.TensorProto.DataType.Name(kind)
        counts[shown] = counts.get(shown, 0) + 1
    return counts


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name) or "model"
