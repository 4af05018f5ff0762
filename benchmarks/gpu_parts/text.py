"""Text emotion on the GPU against the CPU's answers, and its time by batch."""

from __future__ import annotations

import functools
import statistics
import tempfile
import time
from pathlib import Path

import affectrt as art
import numpy as np
from measure import time_ms

from gpu_parts.machine import one_line
from gpu_parts.report import TEXT_RIGHT, Report

LATENCY, START = "Text: latency", "Opening and first frame"
ALIKE = {"fp32": 0.01, "fp16": 0.02}
BATCHES = (1, 8, 32)
SENTENCES = (
    "I finally passed the exam!",
    "Why would he say that to her in front of everybody? I really don't get it.",
    "Thanks, that was exactly what I needed today.",
    "My dog died last night and the house is so quiet now.",
)


def measure(pack: str | None, device: str, report: Report, *, quick: bool) -> None:
    """A pack with fp32 (and fp16) variants, given or derived here from the default one, which is for CPUs."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            folder = Path(pack) if pack else _derived(Path(scratch), "fp32" if quick else "fp32,fp16")
        except ImportError as error:
            report.leave_out(
                "text", f"the default pack is for CPUs, and no other can be derived ({error}): pip install '.[export]', or --text-pack"
            )
            return
        opened = art.open_pack(str(folder))
        for variant in opened.manifest["variants"]:
            needs = variant.get("requires") or []
            if variant["name"] == "master" or (needs and "CUDAExecutionProvider" not in needs):
                continue
            try:
                _variant(opened, variant["name"], variant["precision"], device, report, quick=quick)
            except (RuntimeError, ValueError) as error:
                report.failed(TEXT_RIGHT, variant["name"], one_line(error)[:300])


def _derived(out: Path, to: str) -> Path:
    from affectrt_export.derived import derive

    result = derive("minilm-goemotions", to, out, replace=True)
    if result.pack is None:
        raise RuntimeError(f"no variant passed its gates: {result.report}")
    return result.pack


def _variant(pack: art.Pack, name: str, precision: str, device: str, report: Report, *, quick: bool) -> None:
    began = time.perf_counter()
    gpu = art.TextEmotion(pack, device=device, strict=True, precision=name)
    report.figure(START, f"TextEmotion {name}, {gpu.provider}: open", 1e3 * (time.perf_counter() - began), "ms")
    # The CPU computes fp16 variants slowly, if at all: their answers are held against fp32.
    names = [variant["name"] for variant in pack.manifest["variants"]]
    cpu = art.TextEmotion(pack, device="cpu", precision="fp32" if "fp32" in names else name)
    got, want = gpu(list(SENTENCES)), cpu(list(SENTENCES))
    furthest = float(np.max([np.abs(a.probs - b.probs).max() for a, b in zip(got, want, strict=True)]))
    report.bounded(TEXT_RIGHT, f"{name}: probabilities", furthest, "", "<=", ALIKE.get(precision, ALIKE["fp16"]), f"{len(got)} texts")
    other = [f"{a.label} for {b.label}" for a, b in zip(got, want, strict=True) if a.label != b.label]
    report.bounded(TEXT_RIGHT, f"{name}: other labels", len(other), "", "<=", 0, "; ".join(other))

    rounds, repeats = (1, 1) if quick else (10, 10)
    for batch in BATCHES:
        texts = [SENTENCES[i % len(SENTENCES)] for i in range(batch)]
        both = {"GPU": functools.partial(gpu, texts), "CPU": functools.partial(cpu, texts)}
        for read in both.values():
            time_ms(read, 0 if quick else 5)
        samples: list[float] = []
        ratios = []
        for turn in range(rounds):
            order = list(both) if turn % 2 else list(both)[::-1]
            spent = {name: time_ms(both[name], repeats) for name in order}
            samples += spent["GPU"]
            ratios.append(statistics.median(spent["CPU"]) / statistics.median(spent["GPU"]))
        p50, p90, p99 = np.percentile(samples, (50, 90, 99))
        note = f"p90 {p90:.4g}, p99 {p99:.4g}; {1e3 * batch / p50:.4g} texts/s; the CPU takes {statistics.median(ratios):.4g} times as long"
        report.figure(LATENCY, f"{name}, {batch} texts: p50", p50, "ms", note)
