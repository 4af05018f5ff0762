"""Variants derived on the user's machine from the one file of its weights that a pack carries, through the gates of every export.

That is a weight-only master, or a dynamic int8 file, which is brought back to one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from affectrt.packs import Pack, open_pack

from affectrt_export import data as labelled
from affectrt_export import golden, measure, pipeline, publish, runner, variants
from affectrt_export.publish import U8, Identity
from affectrt_export.request import Request, Result
from affectrt_export.spec import Bounds, Contract, ExportError, Feeds, Maker, Model, Progress, Tell
from affectrt_export.terminal import words
from affectrt_export.variants.undo_dynamic import is_dynamic, undo

MASTER = "master"
DERIVED = ("fp32", "fp16", "int8-trt")
_ALIKE = 0.98
"""Least cosine of the logits on any golden input between a dynamic int8 file and the master made of it. Rounded activations leave 0.999."""


@dataclass(frozen=True)
class _Source:
    """What a pack's variants are derived from."""

    variant: str
    master: bytes
    dynamic: bytes | None = None
    """The int8 file that the master was made of."""

    @property
    def shown(self) -> str:
        named = f"the variant {self.variant!r}"
        return named if self.dynamic is None else f"{named}, its dynamic quantisation undone,"


def derive(
    pack: str,
    to: str,
    out: Path,
    *,
    data: Path | None = None,
    replace: bool = False,
    progress: Progress | None = None,
    tell: Tell | None = None,
) -> Result:
    """Writes to `out` a pack of the pack's name with the variants named in `to` (with commas), judged against its master.

    A pack without a master is derived from its dynamic int8 variant: weights as that rounds them, activations not rounded any more.
    data: labelled data of the pack's task; without it the variants are held against the master's answers on the golden inputs only, and
    int8-trt needs it where the pack has no master with ranges. ExportError: neither of the two in the pack, an unknown variant.
    """
    names = words(to)
    if not names or set(names) - set(DERIVED):
        raise ExportError(f"--to: some of {', '.join(DERIVED)} were expected, got {to!r}")
    opened = open_pack(pack)
    source = _source(opened)
    model = _model(opened, source, data is not None)
    identity = _identity(opened, source, f"affectrt export derive {opened.name} --to {','.join(names)} --out DIR")
    judged = None if data is None else labelled.read(data, model.contract)
    said = ""
    if model.contract.inputs[0]["kind"] == "text":
        texts, said = golden.choose(model.contract, identity.sentences, [judged])
        identity = dataclasses.replace(identity, sentences=texts)
    none = Bounds(accuracy_drop=None, class_drop=None)
    # A master is computed in fp32: what it is derived to must be no slower than that, and may be larger than the master.
    request = Request(
        model=model,
        identity=identity,
        out=out,
        variants=names,
        evaluation=judged,
        bounds=Bounds() if judged is not None else none,
        calibrate=False,
        replace=replace,
        notes=[
            f"Derived from {source.shown} of the pack {opened.name} {opened.version}.",
            *([said] if said else []),
            *_likeness(source, model.contract, identity),
        ],
    )
    return pipeline.export(request, progress, tell)


def _source(pack: Pack) -> _Source:
    if MASTER in pack.variants:
        return _Source(MASTER, pack.variant(MASTER).path.read_bytes())
    for variant in map(pack.variant, pack.variants):
        if variant.format == "onnx" and variant.precision == "int8":
            file = variant.path.read_bytes()
            if is_dynamic(file):
                return _Source(variant.name, undo(file), file)
    shown = ", ".join(pack.variants)
    raise ExportError(f"pack {pack.name}: a variant {MASTER!r}, or a dynamic int8 one, was expected to derive from, it has {shown}")


def _likeness(source: _Source, contract: Contract, identity: Identity) -> list[str]:
    """How near the master comes to the int8 file it was made of, in words. ExportError where rounded activations cannot be all there is."""
    if source.dynamic is None:
        return []
    networks = runner.Onnx(source.dynamic), runner.Onnx(source.master)
    apart = 0.0
    for name, feeds in publish.feeds_of(contract, identity).items():
        rounded, exact = (np.concatenate([network(feed)[contract.output] for feed in feeds], 1) for network in networks)
        cosine = float((rounded * exact).sum() / (np.linalg.norm(rounded) * np.linalg.norm(exact)))
        if not cosine >= _ALIKE:
            raise ExportError(
                f"variant {source.variant!r} undone: logits of a cosine of at least {_ALIKE} to its own were expected, "
                f"golden input {name!r} has {cosine:.3f}"
            )
        both = (measure.probabilities(contract, logits) for logits in (rounded, exact))
        apart = max(apart, float(np.abs(np.subtract(*both)).max()))
    return [f"Its activations are no longer rounded: on the golden inputs a probability moves from the int8 file's by at most {apart:.3f}."]


def _model(pack: Pack, source: _Source, with_data: bool) -> Model:
    manifest, master = pack.manifest, source.master
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


def _identity(pack: Pack, source: _Source, command: str) -> Identity:
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
            "Origin and licence": f"{origin}. Derived from {source.shown} of the pack {pack.name} {pack.version}, whose card says more.",
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
