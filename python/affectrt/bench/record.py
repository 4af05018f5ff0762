"""One benchmark from beginning to end, as the record that docs/bench.md describes; and the comparison of two records."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from affectrt.bench import machine
from affectrt.bench.measure import Plan, drift, name_of, repeat, summary
from affectrt.bench.resources import Conditions, energy_meter, memory_mb
from affectrt.bench.subjects import Options, open_subject

SCHEMA = "affectrt-bench/1"
_DISTRIBUTIONS = ("affectrt", "numpy", "onnxruntime", "onnxruntime-gpu", "tokenizers", "llama-cpp-python")
HIGHER_IS_BETTER = ("_tok_s", "throughput")


def run(
    pipeline: str | None, pack: str | None, options: Options, plan: Plan, progress: Callable[[float, float], None] | None = None
) -> dict[str, Any]:
    """Measure a pipeline or a pack. Raises what opening it raises, ValueError for options that do not fit it."""
    before = memory_mb()
    start = time.perf_counter()
    subject = open_subject(pipeline, pack, options)
    load_ms = (time.perf_counter() - start) * 1e3
    start = time.perf_counter()
    subject.run()
    first_ms = (time.perf_counter() - start) * 1e3
    if plan.warmup:
        repeat(subject.run, Plan(warmup=plan.warmup - 1, iterations=1))
    conditions = Conditions()
    meter, why = energy_meter(gpu="CUDA" in subject.provider or "Tensorrt" in subject.provider)
    try:
        samples = repeat(subject.run, Plan(0, plan.iterations, plan.duration_s, plan.percentiles), progress)
        joules = meter.joules() if meter else None
    finally:
        if meter:
            meter.close()
    runs = len(samples.wall_ms)
    stages = {
        name.removesuffix("_ms"): summary(values, plan.percentiles) for name, values in samples.values.items() if name.endswith("_ms")
    }
    rates = {name: summary(values, plan.percentiles) for name, values in samples.values.items() if not name.endswith("_ms")}
    after = memory_mb()
    around = conditions.record(drift(samples.wall_ms))
    around["warnings"] += getattr(subject, "warnings", ())
    return {
        "schema": SCHEMA,
        "time_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "subject": {"pipeline": pipeline, "pack": pack, "packs": dict(subject.packs), "input": subject.input},
        "settings": {
            **options.engine(),
            "batch": options.batch,
            "warmup": plan.warmup,
            "iterations": plan.iterations,
            "duration_s": None if plan.iterations else plan.duration_s,
        },
        "provider": subject.provider,
        "load_ms": load_ms,
        "first_ms": first_ms,
        "latency_ms": {"end_to_end": summary(samples.wall_ms, plan.percentiles), **stages},
        "rates": rates,
        "throughput_per_s": runs * subject.per_run / samples.wall_s,
        "memory_mb": {"before": before["rss"], "after": after["rss"], "peak": after["peak"]},
        "energy": {
            "joules": joules,
            "joules_per_run": joules / runs if joules is not None else None,
            "source": meter.source if meter else None,
            "why_not": why or None,
        },
        "conditions": around,
        "machine": machine.describe(),
        "versions": versions(),
        "commit": commit(),
    }


def versions() -> dict[str, str | None]:
    """Versions of what takes part; None for what is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    if found["affectrt"] is None:
        import affectrt

        found["affectrt"] = affectrt.__version__
    return found


def commit() -> str | None:
    """The git commit that this code is checked out at, with "+" if files differ from it; None outside a checkout."""
    here = Path(__file__).resolve().parents[3]
    if not (here / ".git").exists():
        return None
    try:
        head = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()
        dirty = subprocess.run(
            ["git", "-C", str(here), "status", "--porcelain", "-uno"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return head + ("+" if dirty.strip() else "")


def run_apart(pipeline: str, arguments: list[str]) -> dict[str, Any]:
    """Measure a pipeline in a process of its own, so that load and memory are those of nothing else. ValueError if it fails."""
    command = [sys.executable, "-m", "affectrt", "bench", "--pipeline", pipeline, *arguments, "-o", "json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=None, text=True, check=False)
    if done.returncode < 0 or done.returncode == 130:
        raise KeyboardInterrupt
    try:
        found: dict[str, Any] = json.loads(done.stdout)["records"][0]
    except (ValueError, KeyError, IndexError):
        raise ValueError(f"the benchmark of {pipeline} failed (exit code {done.returncode})") from None
    return found


def metrics_of(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Every figure of a record by its dotted name."""
    for name in ("load_ms", "first_ms", "throughput_per_s"):
        yield name, record[name]
    for group in ("latency_ms", "rates"):
        for name, stage in record[group].items():
            for key, value in stage.items():
                if key not in ("samples", "std"):
                    yield f"{group}.{name}.{key}", value
    for group, name in (("memory_mb", "peak"), ("energy", "joules_per_run")):
        if record[group][name] is not None:
            yield f"{group}.{name}", record[group][name]


GATED = ("throughput_per_s", "memory_mb.peak")
"""Beside every median: what `--max-regression` judges. Single runs and tails vary too much for a verdict."""


def compare(record: Mapping[str, Any], baseline: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For each figure of both: the two values, their ratio, by how many percent it is worse (negative: better), and whether it is gated."""
    old = dict(metrics_of(baseline))
    rows = []
    for name, value in metrics_of(record):
        if name not in old or not old[name] or not value:
            continue
        ratio = value / old[name]
        better_high = any(part in name for part in HIGHER_IS_BETTER)
        worse = (1 / ratio if better_high else ratio) - 1
        gated = name in GATED or name.endswith("." + name_of(50))
        rows.append({"metric": name, "value": value, "baseline": old[name], "ratio": ratio, "worse_percent": worse * 100, "gated": gated})
    return rows


def differences(record: Mapping[str, Any], baseline: Mapping[str, Any]) -> list[str]:
    """What makes two records hard to compare, in words."""
    found = []
    for what, path in (
        ("packs", ("subject", "packs")),
        ("input", ("subject", "input")),
        ("processor", ("machine", "cpu", "name")),
        ("cores", ("machine", "cpu", "usable_cores")),
        ("provider", ("provider",)),
        ("threads", ("settings", "threads")),
        ("batch", ("settings", "batch")),
    ):
        new, old = _at(record, path), _at(baseline, path)
        if new != old:
            found.append(f"the baseline has another {what}: {old}, now {new}")
    return found


def _at(record: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        record = record.get(key) if isinstance(record, Mapping) else None
    return record


def read_baseline(path: Path) -> list[dict[str, Any]]:
    """The records of an earlier `-o json`. ValueError if it is none."""
    try:
        document = json.loads(path.read_bytes())
        records: list[dict[str, Any]] = document["records"]
        if any(record["schema"] != SCHEMA for record in records):
            raise ValueError(f"{path}: records of {SCHEMA} were expected, got {records[0]['schema']}")
        for record in records:
            dict(metrics_of(record))
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a record that `affectrt bench -o json` wrote ({type(error).__name__}: {error})") from None
    return records
