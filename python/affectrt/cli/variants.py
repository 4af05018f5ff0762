"""What `affectrt packs inspect` says of the variants of a pack: the figures of its manifest, and those of the report beside it.

The report (`NAME.report/report.json` beside the folder `NAME`) is no part of the pack and no hash covers it: whatever is wrong with it
gives a note, never an error, and nothing of it is believed for a variant whose file it does not name by its hash.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SCHEMA = "affectrt-report/1"
MAX_BYTES = 8 << 20
_STATUSES = ("published", "repaired", "refused", "not carried")
_PERCENTILES = ("p50_ms", "p90_ms", "p95_ms", "p99_ms")
_MAX_REFUSED = 32
_MAX_NAME = 64


@dataclass(frozen=True)
class Summary:
    """A row a variant, those of the pack first, then those that the export refused."""

    columns: Sequence[str]
    """What people are shown of the rows."""
    rows: Sequence[Mapping[str, Any]]
    notes: Sequence[str] = field(default_factory=tuple)
    """What else is to be told, a line each."""
    report: str | None = None
    """Path of the report that was read; None without one."""


def summary(manifest: Mapping[str, Any], folder: Path) -> Summary:
    """The variants of an opened pack that lies in `folder`."""
    files = {entry["path"]: entry for entry in manifest["files"]}
    metric = _main_metric(manifest)
    rows: dict[str, dict[str, Any]] = {}
    for variant in manifest["variants"]:
        size_mb = files[variant["file"]]["size_bytes"] / 1e6
        row = {"variant": variant["name"], "precision": variant["precision"], "size_mb": size_mb, "metric": metric}
        rows[variant["name"]] = row | _figures(variant, manifest["variants"][0], metric)
    path = folder.parent / f"{folder.name}.report" / "report.json"
    notes: list[str] = []
    report = _read(path, manifest["name"], notes)
    if report is not None:
        hashes = {variant["name"]: files[variant["file"]]["sha256"] for variant in manifest["variants"]}
        _add_report(report, rows, hashes, metric, notes)
        notes.append(f"report of the export: {path}")
    columns = ["variant", "precision", "size_mb"]
    shown = [name for name in (metric, "drop", "ece", "status", "gates", *_PERCENTILES, "latency_ratio") if name]
    columns += [name for name in shown if any(row.get(name) is not None for row in rows.values())]
    return Summary(columns, list(rows.values()), notes, str(path) if report is not None else None)


def _main_metric(manifest: Mapping[str, Any]) -> str:
    """What the accuracy gate compares, or "" where nothing of the kind was measured."""
    there = {one["metric"] for variant in manifest["variants"] for one in variant["measured"]}
    several = manifest["decode"].get("kind") == "sigmoid"
    order = ("macro_f1", "accuracy", "micro_f1") if several else ("accuracy", "macro_f1", "micro_f1")
    return next((name for name in (*order, "perplexity") if name in there), "")


def _figures(variant: Mapping[str, Any], first: Mapping[str, Any], metric: str) -> dict[str, Any]:
    measured = {one["metric"]: one for one in reversed(variant["measured"])}
    found: dict[str, Any] = {name: measured[name]["value"] for name in ("ece", "known_part", "accuracy_where_known") if name in measured}
    main = measured.get(metric)
    if main is None:
        return found
    same = (one["value"] for one in first["measured"] if one["metric"] == metric and one["data"] == main["data"])
    reference = main.get("reference", next(same, None) if first is not variant else None)
    found |= {metric: main["value"], "score": main["value"], "data": main["data"]}
    if reference is not None and metric != "perplexity":
        found["drop"] = reference - main["value"]
    return found


def _read(path: Path, name: str, notes: list[str]) -> dict[str, Any] | None:
    """The report, if there is one and it is of this pack; else None, with a note where it cannot be used."""
    problem = ""
    report: Any = None
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            problem = f"at most {MAX_BYTES} bytes were expected"
        else:
            report = json.loads(content)
    except (OSError, ValueError, RecursionError) as error:
        problem = f"JSON was expected ({type(error).__name__})"
    if not problem and (not isinstance(report, dict) or report.get("schema") != SCHEMA or not isinstance(report.get("variants"), list)):
        problem = f"a report of schema {SCHEMA} was expected"
    if not problem and report.get("name") != name:
        problem = f"it is of another pack, {_word(report.get('name'))}"
    if problem:
        notes.append(f"the report beside the pack is not used: {problem}: {path}")
        return None
    found: dict[str, Any] = report
    return found


def _add_report(
    report: Mapping[str, Any], rows: dict[str, dict[str, Any]], hashes: Mapping[str, str], metric: str, notes: list[str]
) -> None:
    refused = 0
    for one in report["variants"]:
        if not isinstance(one, dict) or not isinstance(one.get("name"), str) or one.get("status") not in _STATUSES:
            notes.append("the report beside the pack has a variant that cannot be read")
            continue
        name, status = one["name"], one["status"]
        if name in hashes:
            if status == "refused" or one.get("sha256") != hashes[name]:
                notes.append(f"variant {name}: the report beside the pack is of another file than this one")
            else:
                rows[name] |= _verdict(one)
        elif status == "refused" and refused < _MAX_REFUSED:
            refused += 1
            rows[f"refused {refused}"] = _refused_row(one, metric) | _verdict(one)
            gates = [_word(finding.get("gate")) for finding in _objects(one.get("findings")) if finding.get("passed") is False]
            notes.append(f"{_word(name)} was refused at export" + (f" by: {', '.join(gates)}" if gates else ""))


def _refused_row(one: Mapping[str, Any], metric: str) -> dict[str, Any]:
    size, quality = _number(one.get("size_bytes")), one.get("quality")
    reliability = quality.get("reliability") if isinstance(quality, dict) else None
    row = {"variant": _word(one["name"]), "precision": _word(one.get("precision")), "size_mb": size / 1e6 if size is not None else None}
    row |= {"metric": metric, "drop": _number(one.get("drop")), "score": _number(one.get("score"))}
    row["ece"] = _number(reliability.get("ece")) if isinstance(reliability, dict) else None
    return row | ({metric: row["score"]} if metric else {})


def _verdict(one: Mapping[str, Any]) -> dict[str, Any]:
    """Status, gates and latency of one variant, as far as they are what they should be."""
    findings = _objects(one.get("findings"))
    # A gate without a bound was switched off by the user; one without a figure could not judge here. A failure counts, whatever it found.
    judged = [one for one in findings if one.get("passed") is False or (one.get("bound") is not None and one.get("value") != "nan")]
    passed, off = sum(finding.get("passed") is True for finding in judged), len(findings) - len(judged)
    gates = f"{passed} of {len(judged)} passed" + (f", {off} not judged" if off else "") if findings else None
    latency = one.get("latency")
    times = {name: _number(latency.get(name)) for name in _PERCENTILES} if isinstance(latency, dict) else {}
    counts = {"gates_passed": passed, "gates_judged": len(judged), "gates_not_judged": off}
    return {"status": one["status"], "gates": gates, **counts, **times, "latency_ratio": _number(one.get("latency_ratio"))}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _word(value: Any) -> str:
    """A name from the report, safe to print."""
    text = value if isinstance(value, str) else "?"
    return "".join(char if char.isprintable() else "?" for char in text[:_MAX_NAME])
