"""The tables of a report that go into detail: gates, repairs, layers, classes, bins."""

from __future__ import annotations

import math
from collections.abc import Sequence

from affectrt_export.report import words
from affectrt_export.report.document import Block, Cell, Table
from affectrt_export.report.record import Record, Variant
from affectrt_export.spec import Bounds, Finding, Quality, Reliability

MAX_CONFUSED = 16
"""Classes up to which the confusion matrix is shown; report.json has any."""
MAX_LAYERS = 25


def findings(caption: str, found: Sequence[Finding], bounds: Bounds) -> Table:
    """A row a gate."""
    rows: list[list[Cell | str]] = []
    for one in found:
        value = "-" if math.isnan(one.value) else words.number(one.value, 6 if words.at_least(one) else 4)
        rows.append([one.gate, Cell(*words.verdict(one)), value, words.bound(one, bounds), one.detail or "-"])
    return Table(f"{caption}.", ["gate", "result", "found", "bound", "detail"], rows, frozenset({0, 1, 3, 4}))


def repairs(record: Record, variant: Variant) -> Table:
    """A row an attempt."""
    rows: list[list[Cell | str]] = []
    for i, one in enumerate(variant.repairs):
        failed = [finding for finding in one.findings if not finding.passed]
        gave = "; ".join(dict.fromkeys(words.failure(f, record, variant.parent) for f in failed)) if failed else "every gate passed"
        rows.append([str(i + 1), str(len(one.kept)), ", ".join(one.kept) or "none", Cell(gave, "bad" if failed else "good")])
    head = ["attempt", "layers", "kept in higher precision", "what that gave"]
    return Table(f"What was tried to save {variant.name}.", head, rows, frozenset({0, 2, 3}))


def layers(variant: Variant) -> Table:
    """The layers that suffer most."""
    kept = set(variant.kept)
    rows = [[one.name, one.op, words.number(one.error, 3), "kept" if one.name in kept else ""] for one in variant.sensitivity[:MAX_LAYERS]]
    count = len(variant.sensitivity)
    rest = f" The worst {len(rows)} of {count}." if count > len(rows) else ""
    caption = f"How much the outputs suffer where one layer alone is quantised.{rest}"
    return Table(caption, ["layer", "operator", "relative error", "after repair"], rows, frozenset({0, 1, 3}))


def classes(record: Record, measured: Sequence[Variant]) -> Table:
    """A row a class: its F1 in every variant, and what it loses in that of the published ones that loses most."""
    scores = [v.quality.scores for v in measured if v.quality]
    reference = next((s for v, s in zip(measured, scores, strict=True) if v.name == record.reference), None)
    f1 = [{one.label: one.f1 for one in s.classes} for s in scores]
    others = [i for i, v in enumerate(measured) if v.name != record.reference and v.published]
    compared = reference is not None and bool(others)
    rows: list[list[Cell | str]] = []
    for one in scores[0].classes:
        row: list[Cell | str] = [one.label, f"{one.support:,}", *(words.share(found.get(one.label)) for found in f1)]
        if compared and reference is not None:
            base = next(c.f1 for c in reference.classes if c.label == one.label)
            lost = max(base - f1[i].get(one.label, 0.0) for i in others)
            limit = record.bounds.class_drop
            row.append(Cell(words.share(lost), "warn" if limit is not None and lost > limit else ""))
        rows.append(row)
    names = ("macro-F1", "micro-F1", "every label right" if record.multi_label else "accuracy")
    for name, values in zip(names, zip(*((s.macro_f1, s.micro_f1, s.accuracy) for s in scores), strict=True), strict=True):
        rows.append([name, "", *map(words.share, values), *([""] if compared else [])])
    caption = "F1 of each class."
    caption += f" most lost: by the worst published variant, against {record.reference}; negative: none loses." if compared else ""
    return Table(caption, ["class", "examples", *(v.name for v in measured), *(["most lost"] if compared else [])], rows)


def quality(name: str, found: Quality) -> list[Block]:
    """Precision, recall and F1 of each class of one variant, and what was taken for what."""
    scores, own = found.scores, found.reliability.label_ece
    labelled = len(own) == len(scores.classes)
    head = ["class", "examples", "given", "precision", "recall", "F1", *(["ECE"] if labelled else [])]
    rows: list[list[Cell | str]] = []
    for i, one in enumerate(scores.classes):
        row: list[Cell | str] = [
            one.label,
            f"{one.support:,}",
            f"{one.predicted:,}",
            *map(words.share, (one.precision, one.recall, one.f1)),
        ]
        rows.append([*row, words.share(own[i])] if labelled else row)
    blocks: list[Block] = [Table(f"{name} on {found.data}: {scores.examples:,} examples.", head, rows)]
    if not scores.multi_label and 1 < len(scores.confusion) <= MAX_CONFUSED:
        blocks.append(_confusion(found))
    return blocks


def _confusion(found: Quality) -> Table:
    names = [one.label for one in found.scores.classes]
    rows: list[list[Cell | str]] = []
    for name, counts in zip(names, found.scores.confusion, strict=True):
        most = max(sum(counts), 1)
        rows.append([name, *(Cell(f"{count:,}", shade=count / most) for count in counts)])
    return Table("What was taken for what: rows are the truth, columns the answer.", ["truth", *names], rows)


def bins(name: str, found: Reliability) -> Table:
    """The bins of a reliability plot; empty ones are left out."""
    rows = [
        [words.share(confidence), words.share(right), f"{count:,}"]
        for confidence, right, count in zip(found.confidence, found.accuracy, found.count, strict=True)
        if count
    ]
    return Table(f"Bins of {name}.", ["mean confidence", "share right", "examples"], rows, frozenset())
