"""Variants derived on the user's machine from the weight-only master that a pack carries, through the gates of every export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from affectrt.packs import Pack, open_pack

from affectrt_export import data as labelled
from affectrt_export import pipeline, runner, variants
from affectrt_export.publish import U8, Identity
from affectrt_export.spec import Bounds, Contract, ExportError, Feeds, Maker, Model, Progress
from affectrt_export.terminal import words

MASTER = "master"
DERIVED = ("fp32", "fp16", "int8-trt")


def derive(
    pack: str, to: str, out: Path, *, data: Path | None = None, replace: bool = False, progress: Progress | None = None
) -> pipeline.Result:
    """Writes to `out` a pack of the pack's name with the variants named in `to` (with commas), judged against its master.

    data: labelled data of the pack's task; without it the variants are held against the master's answers on the golden inputs only.
    ExportError: no master in the pack, an unknown variant.
    """
    names = words(to)
    if not names or set(names) - set(DERIVED):
        raise ExportError(f"--to: some of {', '.join(DERIVED)} were expected, got {to!r}")
    opened = open_pack(pack)
    model = _model(opened, data is not None)
    identity = _identity(opened, f"affectrt export derive {opened.name} --to {','.join(names)} --out DIR")
    judged = None if data is None else labelled.read(data, model.contract)
    none = Bounds(accuracy_drop=None, class_drop=None)
    # A master is computed in fp32: what it is derived to must be no slower than that, and may be larger than the master.
    request = pipeline.Request(
        model=model,
        identity=identity,
        out=out,
        variants=names,
        evaluation=judged,
        bounds=Bounds() if judged is not None else none,
        calibrate=False,
        replace=replace,
        notes=[f"Derived from the variant {MASTER!r} of the pack {opened.name} {opened.version}."],
    )
    return pipeline.export(request, progress)


def _model(pack: Pack, with_data: bool) -> Model:
    if MASTER not in pack.variants:
        raise ExportError(f"pack {pack.name}: a variant {MASTER!r} to derive from was expected, it has {', '.join(pack.variants)}")
    manifest = pack.manifest
    master = pack.variant(MASTER).path.read_bytes()
    files = {entry["tokenizer"]: pack.file(entry["tokenizer"]).read_bytes() for entry in manifest["inputs"] if "tokenizer" in entry}
    contract = Contract(
        task=pack.task,
        inputs=manifest["inputs"],
        outputs=manifest["outputs"],
        decode=manifest["decode"],
        labels=manifest["labels"],
        files=files,
    )
    return Model(
        name=pack.name,
        family="master",
        onnx=variants.derive(master, "fp32", ()),
        reference=runner.Onnx(master),
        contract=contract,
        convolutional=variants.is_convolutional(master),
        license=pack.license,
        source=[*manifest["source"]],
        makers={to: _maker(master, to, with_data) for to in ("fp16", "int8-trt")},
    )


def _maker(master: bytes, to: str, with_data: bool) -> Maker:
    """Of the master itself: where the user gave no examples, the ranges that it carries count, not those of a few golden inputs."""

    def make(model: bytes, calibration: Sequence[Feeds], keep: frozenset[str]) -> bytes:
        return variants.derive(master, to, calibration if with_data else (), keep=keep)

    return make


def _identity(pack: Pack, command: str) -> Identity:
    manifest = pack.manifest
    pictures, sentences = _golden(pack, manifest["golden"])
    origin = "; ".join(f"{entry['what']}: `{entry['origin']}` ({entry['license']})" for entry in manifest["source"])
    return Identity(
        name=pack.name,
        version=pack.version,
        description=manifest["description"],
        intended_use=manifest["intended_use"],
        known_limits=manifest["known_limits"],
        command=command,
        sections={
            "Origin and licence": f"{origin}. Derived from the master of the pack {pack.name} {pack.version}, whose card says more.",
            "Where not to use it": "Where the card of the pack that it is derived from excludes it.",
        },
        pictures=pictures,
        sentences=sentences,
    )


def _golden(pack: Pack, golden: list[Mapping[str, Any]]) -> tuple[dict[str, tuple[U8, str]], dict[str, str]]:
    pictures: dict[str, tuple[U8, str]] = {}
    sentences: dict[str, str] = {}
    for entry in golden:
        given = entry["input"]
        if "image" in given:
            pictures[entry["name"]] = (np.load(pack.file(given["image"]), allow_pickle=False), given["color"])
        else:
            sentences[entry["name"]] = given["text"]
    return pictures, sentences
