"""What a report says, in which order: from a record to a document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from affectrt_export.report import details, words
from affectrt_export.report.document import Block, Cell, Code, Document, Gallery, Image, Items, Section, Table, Text
from affectrt_export.report.pictures import Picture, planned, score_measure
from affectrt_export.report.record import Record, Variant

_OF = {"tradeoff": "summary", "classes": "classes", "reliability": "calibration"}


def document(record: Record) -> Document:
    """The report of a record."""
    pictures = planned(record)
    sections = [Section("Summary", [_summary(record), *_images(pictures, "tradeoff")])]
    sections += [Section("Notes", [Items(list(record.notes))])] if record.notes else []
    sections += [Section("Variants", [_variant(record, v, pictures) for v in record.variants])] if record.variants else []
    measured = [v for v in record.variants if v.quality is not None]
    if measured:
        sections.append(Section("Classes", [details.classes(record, measured), *_images(pictures, "classes")]))
        sections.append(Section("Calibration", _calibration(record, measured, pictures)))
    if timed := [v for v in record.variants if v.latency is not None]:
        sections.append(Section("Latency", [_latency(record, timed)]))
    if any(v.figures for v in record.variants):
        sections.append(Section("Further figures", [_figures(record)]))
    sections += [Section("Source", _source(record)), Section("How it was made", _made(record)), Section("Details", _details(record))]
    return Document(f"{words.clean(record.name)}: export report", words.opening(record), [s for s in sections if s.blocks])


def _images(pictures: Sequence[Picture], kind: str, variant: str | None = None) -> list[Block]:
    found = [Image(p.file, p.alt) for p in pictures if p.kind == kind and variant in (None, p.variant)]
    return [] if not found else [found[0]] if len(found) == 1 else [Gallery(found)]


def _summary(record: Record) -> Table:
    scored = any(v.score is not None for v in record.variants)
    timed = any(v.latency is not None for v in record.variants)
    head = ["variant", "status", "precision", "size", "size ratio"]
    head += [words.score_name(record), "drop", "ECE"] if scored else []
    main = None if scored else score_measure(record)
    head += [main.title] if main else []
    head += ["median ms", "latency ratio"] if timed else []
    head += ["gates"]
    rows = []
    for v in record.variants:
        row: list[Cell | str] = [v.name, Cell(v.status, words.MARK[v.status]), v.precision]
        row += [words.size(v.size_bytes), words.ratio(v.size_ratio)]
        if scored:
            row += [words.share(v.score, 4), words.share(v.drop, 4), words.share(v.quality.reliability.ece if v.quality else None)]
        row += [words.number(main.of(v))] if main else []
        if timed:
            row += [words.number(v.latency.p50_ms if v.latency else None, 3), words.ratio(v.latency_ratio)]
        rows.append([*row, _gates(v)])
    caption = "Every variant; ratios are to its parent."
    caption += f" drop: what it loses in {words.score_name(record)} against {record.reference}; negative: it gains." if scored else ""
    return Table(caption, head, rows, frozenset({0, 1, 2, len(head) - 1}))


def _gates(variant: Variant) -> Cell:
    judged = [one for one in variant.findings if words.judged(one)]
    passed, off = sum(one.passed for one in judged), len(variant.findings) - len(judged)
    said = f"{passed} of {len(judged)} passed" if judged else "none"
    said += f", {off} not judged" if off else ""
    return Cell(said, "bad" if passed < len(judged) else "warn" if off else "good" if judged else "")


def _variant(record: Record, variant: Variant, pictures: Sequence[Picture]) -> Section:
    blocks: list[Block] = []
    facts = [f"{variant.precision}, {words.size(variant.size_bytes)}"]
    facts += [f"needs {words.listed(list(variant.requires))}"] if variant.requires else []
    facts += [f"compared with {variant.parent}"] if variant.parent not in ("", variant.name) else []
    facts += [f"sha256 {variant.sha256}"] if variant.sha256 else []
    blocks.append(Text("; ".join(facts) + "."))
    if variant.findings:
        blocks.append(details.findings(f"What the gates found of {variant.name}", variant.findings, record.bounds))
    if variant.repairs:
        blocks.append(details.repairs(record, variant))
    if variant.sensitivity:
        blocks += _images(pictures, "sensitivity", variant.name)
    return Section(variant.name, blocks, mark=words.MARK[variant.status], badge=variant.status)


def _calibration(record: Record, measured: Sequence[Variant], pictures: Sequence[Picture]) -> list[Block]:
    rows = [
        [v.name, *(words.share(x) for x in (v.quality.reliability.ece, v.quality.coverage, v.quality.accuracy_where_known)), v.quality.data]
        for v in measured
        if v.quality
    ]
    head = ["variant", "ECE", "known part", "accuracy where known", "data"]
    caption = "How far the probabilities mean what they say. ECE: expected calibration error" + (
        ", the mean of the labels' own." if record.multi_label else ", of the top probability."
    )
    blocks: list[Block] = [Table(caption, head, rows, frozenset({0, 4}))]
    known = 'Known part: the share of the examples that the pack does not call "unknown"'
    limit = record.decode.get("unknown_below")
    known += f" (confidence of at least {words.number(limit)})" if isinstance(limit, (int, float)) else ""
    temperature = record.decode.get("temperature")
    said = f" Temperature: {words.number(temperature)}." if isinstance(temperature, (int, float)) else ""
    blocks.append(Text(f"{known}.{said} Hollow points in the pictures: bins of fewer than 20 examples."))
    return blocks + _images(pictures, "reliability")


def _latency(record: Record, timed: Sequence[Variant]) -> Table:
    head = ["variant", "p50", "p90", "p95", "p99", "ratio to its parent", "calls", "threads"]
    rows = []
    for v in timed:
        assert v.latency is not None
        times = [words.number(x, 3) for x in (v.latency.p50_ms, v.latency.p90_ms, v.latency.p95_ms, v.latency.p99_ms)]
        rows.append([v.name, *times, words.ratio(v.latency_ratio), f"{v.latency.runs:,}", str(v.latency.threads)])
    cpu = record.machine.get("cpu")
    name = cpu.get("name") if isinstance(cpu, Mapping) else None
    return Table(f"Milliseconds a call, batch 1{f', on {name}' if name else ''}.", head, rows)


def _figures(record: Record) -> Table:
    rows = [[v.name, f.metric, words.number(f.value), f.unit, f.data, f.detail] for v in record.variants for f in v.figures]
    return Table("What else was measured.", ["variant", "figure", "value", "unit", "data", "detail"], rows, frozenset({0, 1, 3, 4, 5}))


def _source(record: Record) -> list[Block]:
    rows = [
        ["pack", record.name],
        ["task", record.task],
        ["family", record.family],
        ["license of the weights", record.license or "not named"],
    ]
    for entry in record.source:
        rest = [f"{key} {entry[key]}" for key in entry if key not in ("what", "origin")]
        rows.append([str(entry.get("what", "source")), f"{entry.get('origin', '-')}" + (f" ({', '.join(rest)})" if rest else "")])
    blocks: list[Block] = [Table("What was exported.", ["what", "value"], rows, frozenset({0, 1}))]
    if any(words.judged(one) for one in record.parity) or (record.parity and record.bounds.parity_max is None):
        caption = "The fp32 network against the source's framework, on the same inputs"
        return [*blocks, details.findings(caption, record.parity, record.bounds)]
    return [*blocks, Text("Held against no other framework: the source is the network itself, or the card tells more of its conversion.")]


def _made(record: Record) -> list[Block]:
    blocks: list[Block] = [Text("The command:"), Code(record.command)]
    if record.data:
        rows = [[one.role, one.name, f"{one.examples:,}", one.sha256 or "-"] for one in record.data]
        blocks.append(Table("Data.", ["for", "data", "examples", "sha256"], rows, frozenset({0, 1, 3})))
    bounds: list[list[Cell | str]] = [
        [name, Cell(text, "warn" if text in (words.SWITCHED_OFF, words.UNLABELLED) else "")] for name, text in words.bounds(record)
    ]
    blocks.append(Table("Bounds of the gates.", ["gate", "bound"], bounds, frozenset({0, 1})))
    facts = [[name, str(value)] for name, value in (("date", record.date), ("commit", record.commit)) if value]
    facts += [[f"seed: {name}", str(value)] for name, value in record.seeds.items()]
    facts += [[name, value] for name, value in _flat(record.machine)]
    facts += [[f"version: {name}", value or "not installed"] for name, value in record.versions.items()]
    if facts:
        blocks.append(Table("Machine, versions and seeds.", ["what", "value"], facts, frozenset({0, 1})))
    return blocks


def _details(record: Record) -> list[Block]:
    """What few readers need, each part of it folded away where that is possible."""
    blocks: list[Block] = []
    for v in record.variants:
        if v.sensitivity:
            blocks.append(Section(f"Layers of {v.name}", [details.layers(v)], folded=True))
        if v.quality is not None:
            blocks.append(Section(f"Classes of {v.name}", details.quality(v.name, v.quality), folded=True))
            blocks.append(Section(f"Bins of {v.name}", [details.bins(v.name, v.quality.reliability)], folded=True))
    return blocks


def _flat(facts: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Facts in facts as one list; those that the machine does not tell are left out."""
    for key, value in facts.items():
        name = f"{before}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}, ")
        elif isinstance(value, (list, tuple)):
            if value:
                yield name, ", ".join(str(item) for item in value)
        elif value is not None and value != "":
            yield name, words.number(value, 6) if isinstance(value, float) else str(value)
