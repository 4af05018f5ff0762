"""What one export gave, as a value that can be written and read back: the source of report.md, report.html and report.json.

Figures are stored, not derived anew by each reader: `packs inspect` reads report.json with nothing but the standard library.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from affectrt_export.report import codec
from affectrt_export.spec import Bounds, Finding, Latency, Layer, Model, Outcome, Quality, Repair

SCHEMA = "affectrt-report/1"
MAX_BYTES = 8 << 20
"""A report.json that is longer is not read."""
PUBLISHED, REPAIRED, REFUSED, NOT_CARRIED = "published", "repaired", "refused", "not carried"
STATUSES = (PUBLISHED, REPAIRED, REFUSED, NOT_CARRIED)
DISTRIBUTIONS = ("onnx", "torch", "transformers", "safetensors", "tokenizers", "gguf", "matplotlib", "tensorrt", "tensorrt-rtx-cu13")
"""Beside those that every benchmark record names."""


@dataclass(frozen=True)
class DataSet:
    """Data that took part."""

    role: str
    """What it was for: "calibration", "validation", "importance"."""
    name: str
    """What it is, as a person says it: "FER2013 PublicTest (3,589)"."""
    examples: int
    sha256: str = ""
    """Of the file, where it is one."""


@dataclass(frozen=True)
class Figure:
    """One more thing that was measured of a variant and has no field of its own: perplexity, tokens a second."""

    metric: str
    value: float
    data: str = ""
    """What it was measured on."""
    unit: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Variant:
    """What became of one variant."""

    name: str
    precision: str
    parent: str
    """The variant that size and latency were compared with; its own name or "" where there is none."""
    status: str
    """"published", "repaired" (published after layers were kept in higher precision), "refused", or "not carried": measured only, since
    the others are held against it; the pack was not to have it."""
    size_bytes: int
    sha256: str = ""
    """Of its file; "" where it was refused."""
    requires: Sequence[str] = ()
    """ONNX Runtime providers it needs; empty: any."""
    findings: Sequence[Finding] = ()
    repairs: Sequence[Repair] = ()
    """In order; one that keeps no layer is the variant as it was before."""
    sensitivity: Sequence[Layer] = ()
    """Worst first."""
    quality: Quality | None = None
    score: float | None = None
    """What the accuracy gate compares: accuracy (one label) or macro-F1 (several)."""
    drop: float | None = None
    """Score of the reference variant minus this one's; negative: this one is better. None for the reference itself."""
    latency: Latency | None = None
    latency_ratio: float | None = None
    """Over the parent's: as its gate found it, which measures both in turn, else the quotient of the medians."""
    size_ratio: float | None = None
    """Size over the parent's."""
    figures: Sequence[Figure] = ()

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"variant {self.name!r}: status {', '.join(STATUSES)} was expected, got {self.status!r}")

    @property
    def published(self) -> bool:
        """Whether the pack has it."""
        return self.status in (PUBLISHED, REPAIRED)

    @property
    def kept(self) -> Sequence[str]:
        """Layers that the last repair kept in higher precision."""
        return self.repairs[-1].kept if self.repairs else ()

    def figure(self, metric: str) -> float | None:
        """The value of a further figure; None if it was not measured."""
        return next((one.value for one in self.figures if one.metric == metric), None)


@dataclass(frozen=True)
class Record:
    """Everything that a report tells. Make one with `Record.of`, or fill it in where variants are no `Outcome`s (GGUF)."""

    name: str
    """Of the pack."""
    family: str
    """Which family of models read the source."""
    task: str
    license: str
    """SPDX id of the weights."""
    source: Sequence[Mapping[str, Any]]
    """As pack.json writes it: what, origin, license, sha256."""
    command: str
    """The exact command line that made all this."""
    variants: Sequence[Variant]
    """In the order in which they were asked for."""
    reference: str = "fp32"
    """Name of the variant that `drop` is against."""
    bounds: Bounds = field(default_factory=Bounds)
    parity: Sequence[Finding] = ()
    """The fp32 network against the source's framework; empty where the source is ONNX itself."""
    data: Sequence[DataSet] = ()
    decode: Mapping[str, Any] = field(default_factory=dict)
    """As pack.json writes it: kind, temperature, thresholds, unknown_below."""
    seeds: Mapping[str, int] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    """As `affectrt bench` describes it."""
    versions: Mapping[str, str | None] = field(default_factory=dict)
    """None: not installed."""
    commit: str = ""
    """Of the toolchain, "+" at its end if files differ from it; "" outside a checkout."""
    date: str = ""
    """Only if it was given: the clock is read nowhere."""
    notes: Sequence[str] = ()
    """Further sentences for the reader, one paragraph each."""

    def __post_init__(self) -> None:
        names = [one.name for one in self.variants]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"variants of different names were expected, got {', '.join(twice)} twice")

    @classmethod
    def of(
        cls,
        model: Model,
        outcomes: Sequence[Outcome],
        *,
        command: str,
        bounds: Bounds,
        parity: Sequence[Finding] = (),
        data: Sequence[DataSet] = (),
        seeds: Mapping[str, int] | None = None,
        license: str = "",
        name: str = "",
        date: str = "",
        notes: Sequence[str] = (),
        figures: Mapping[str, Sequence[Figure]] | None = None,
        machine: Mapping[str, Any] | None = None,
        versions: Mapping[str, str | None] | None = None,
        commit: str | None = None,
        carried: Sequence[str] | None = None,
    ) -> Record:
        """The record of an export.

        The first of: the outcome named "fp32", the first with a quality, is the reference of `drop`. license, name: where the user gives
        another than the model's. figures: further ones by the name of their variant. machine, versions, commit: None: those of this
        machine, now. carried: names of the variants that the pack has if they pass; None: all.

        Raises ValueError for two outcomes of one name.
        """
        reference = next((o for o in outcomes if o.kind.name == "fp32"), next((o for o in outcomes if o.quality), None))
        by_name = {outcome.kind.name: outcome for outcome in outcomes}
        more = figures or {}
        return cls(
            name=name or model.name,
            family=model.family,
            task=model.contract.task,
            license=license or model.license,
            source=tuple(codec.plain(entry) for entry in model.source),
            command=command,
            variants=tuple(
                _variant(o, by_name.get(o.kind.parent), reference, more.get(o.kind.name, ()), carried is None or o.kind.name in carried)
                for o in outcomes
            ),
            reference=reference.kind.name if reference else "fp32",
            bounds=bounds,
            parity=tuple(parity),
            data=tuple(data),
            decode=codec.plain(model.contract.decode),
            seeds=dict(seeds or {}),
            machine=codec.plain(this_machine() if machine is None else machine),
            versions=dict(installed() if versions is None else versions),
            commit=this_commit() if commit is None else commit,
            date=date,
            notes=tuple(notes),
        )

    @property
    def passed(self) -> bool:
        """Whether there are variants, the source holds parity and no variant was refused."""
        return bool(self.variants) and all(one.passed for one in self.parity) and all(one.status != REFUSED for one in self.variants)

    @property
    def multi_label(self) -> bool:
        """Several labels at a time, as far as anything was measured on labelled data."""
        return any(one.quality is not None and one.quality.scores.multi_label for one in self.variants)

    def variant(self, name: str) -> Variant | None:
        """The variant of that name; None if there is none."""
        return next((one for one in self.variants if one.name == name), None)

    def to_json(self) -> str:
        """UTF-8 JSON (in fact ASCII) with `schema` first, keys in the order of the fields. The same record gives the same text."""
        return codec.dumps({"schema": SCHEMA, **codec.encode(self)})

    @classmethod
    def from_json(cls, text: str | bytes) -> Record:
        """What `to_json` wrote. ValueError names the place where anything is missing, unknown or of another type."""
        if len(text) > MAX_BYTES:
            raise ValueError(f"a report of at most {MAX_BYTES} bytes was expected, got {len(text)}")
        document = codec.loads(text)
        schema = document.pop("schema", None) if isinstance(document, dict) else None
        if schema != SCHEMA:
            raise ValueError(f"a report of schema {SCHEMA!r} was expected, got {str(schema)[:60]!r}")
        return codec.decode(cls, document)


def _variant(outcome: Outcome, parent: Outcome | None, reference: Outcome | None, figures: Sequence[Figure], carried: bool) -> Variant:
    quality = outcome.quality
    drop = None
    if quality is not None and reference is not None and reference is not outcome and reference.quality is not None:
        drop = reference.quality.score - quality.score
    above = parent if parent is not outcome else None
    size = _size(outcome)
    return Variant(
        name=outcome.kind.name,
        precision=outcome.kind.precision,
        parent=outcome.kind.parent,
        status=_status(outcome, carried),
        size_bytes=size,
        sha256="" if outcome.onnx is None else hashlib.sha256(outcome.onnx).hexdigest(),
        requires=tuple(outcome.kind.requires),
        findings=tuple(outcome.findings),
        repairs=tuple(outcome.repairs),
        sensitivity=tuple(outcome.sensitivity),
        quality=quality,
        score=None if quality is None else quality.score,
        drop=drop,
        latency=outcome.latency,
        latency_ratio=_latency_ratio(outcome, above),
        size_ratio=_ratio(size, _size(above)) if size and above else None,
        figures=tuple(figures),
    )


def _status(outcome: Outcome, carried: bool) -> str:
    if outcome.onnx is None:
        return REFUSED
    return NOT_CARRIED if not carried else REPAIRED if any(one.kept for one in outcome.repairs) else PUBLISHED


def _size(outcome: Outcome) -> int:
    return outcome.size_bytes or len(outcome.onnx or b"")


def _latency_ratio(outcome: Outcome, parent: Outcome | None) -> float | None:
    if parent is None:
        return None
    judged = next((one.value for one in outcome.findings if one.gate == "latency" and math.isfinite(one.value)), None)
    if judged is not None or outcome.latency is None or parent.latency is None:
        return judged
    return _ratio(outcome.latency.p50_ms, parent.latency.p50_ms)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole and math.isfinite(whole) else None


def this_machine() -> dict[str, Any]:
    """Processor, memory, GPU and system, without what changes from minute to minute."""
    from affectrt.bench import machine

    found = machine.describe()
    found["cpu"].pop("clock_mhz", None)
    found["memory"].pop("available_mb", None)
    return found


def installed() -> dict[str, str | None]:
    """Versions of what takes part in an export; None for what is not installed."""
    from affectrt.bench import record

    found = record.versions()
    for name in DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def this_commit() -> str:
    """The git commit of the toolchain, "+" at its end if files differ from it; "" outside a checkout."""
    from affectrt.bench import record

    return record.commit() or ""
