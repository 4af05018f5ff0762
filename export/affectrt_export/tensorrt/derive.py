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
_MASTER = "master"
_DERIVED = ("fp32", "fp16", "int8-trt")


def engine_for(
    pack: Pack | str | os.PathLike[str],
    variant: str = "auto",
    options: Options | None = None,
    progress: Progress | None = None,
    *,
    limit_bytes: int = cache.LIMIT_BYTES,
) -> Path:
    """Path of an ONNX file in the cache that holds the engine of one variant of a pack; built only if the cache has it not.

    `variant`: a name or precision, or what the pack's master can become ("fp32", "fp16", "int8-trt"); "auto" is the first that says it
    is for a TensorRT provider, else fp16, from the master too, else fp32.
    ExportError, BuildError (names node and operator), or PackError if the pack cannot be opened or the disk refuses.
    """
    if not isinstance(pack, Pack):
        pack = open_pack(pack)
    chosen, derived = pick(pack, variant)
    shown = f"variant {derived} of {chosen.name}" if derived else f"variant {chosen.name}"
    try:
        if chosen.format != "onnx":
            raise ExportError(f"expected an ONNX file, got {chosen.format}, which TensorRT does not build")
        model = chosen.path.read_bytes()
        if derived:
            from affectrt_export.variants.derive import derive

            model = derive(model, derived)
        name = f"{pack.name or 'model'}-{derived or chosen.name}"
        inputs = pack.manifest.get("inputs", ())
        return engine_of(model, name, inputs, options, progress, file=chosen.path.name, limit_bytes=limit_bytes)
    except ExportError as error:
        error.args = (f"pack {pack.name}, {shown}: {error}",)
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


def pick(pack: Pack, variant: str = "auto") -> tuple[Variant, str]:
    """The variant of a pack that an engine is made of, and what must be derived from it first ("" for nothing).

    A pack with a master has every variant that can be derived from one. ExportError if TensorRT could take none.
    """
    if not pack.verified:
        return pack.variant(variant), ""
    found = pack.manifest["variants"]
    names = {v[key] for v in found if v["name"] != _MASTER for key in ("name", "precision")}
    master = _MASTER if _MASTER in pack.variants else ""
    if variant == master or (variant not in names and master and variant in _DERIVED):
        return pack.variant(master), "fp16" if variant == master else variant
    if variant != "auto":
        chosen = pack.variant(variant)
        if chosen.name == master:  # "int8" is the precision of what it holds, and no network
            raise ExportError(f"pack {pack.name}: expected {', '.join(_DERIVED)}, which its master can become, got {variant!r}")
        return chosen, ""
    for_tensorrt = [v["name"] for v in found if any("tensorrt" in p.lower() for p in v["requires"])]
    if for_tensorrt:
        return pack.variant(for_tensorrt[0]), ""
    for precision in ("fp16", "fp32"):
        of_it = [v["name"] for v in found if v["precision"] == precision and v["format"] == "onnx"]
        if of_it:
            return pack.variant(of_it[0]), ""
        if master:
            return pack.variant(master), precision
    shown = ", ".join(f"{v['name']} ({v['precision']})" for v in found)
    raise ExportError(f"pack {pack.name}: expected a variant for TensorRT, or one in fp16 or fp32, or a master, got {shown}")


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
