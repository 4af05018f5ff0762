"""What the benchmarks share: alternating runs, percentiles, and one JSON record with the machine in it.

These machines are noisy, so figures are compared only within one run: the candidates take turns, round by round, and a ratio is the
median of the rounds' ratios.
"""

from __future__ import annotations

import gc
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def time_ms(function: Callable[[], Any], repeats: int, clock_ns: Callable[[], int] = time.perf_counter_ns) -> list[float]:
    """`clock_ns`: time.process_time_ns where one thread computes alone; on a busy machine a long call is put off more than a short one."""
    samples = []
    for _ in range(repeats):
        start = clock_ns()
        function()
        samples.append((clock_ns() - start) / 1e6)
    return samples


def take_turns(
    candidates: Mapping[str, Callable[[], Any]],
    *,
    rounds: int = 15,
    repeats: int = 20,
    warmup: int = 5,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
) -> dict[str, list[float]]:
    """Median time in ms of each candidate in each round; the order turns with the round."""
    for function in candidates.values():
        time_ms(function, warmup)
    names = list(candidates)
    medians: dict[str, list[float]] = {name: [] for name in names}
    gc.collect()
    gc.disable()
    try:
        for turn in range(rounds):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                medians[name].append(statistics.median(time_ms(candidates[name], repeats, clock_ns)))
    finally:
        gc.enable()
    return medians


def median_ratio(medians: Mapping[str, list[float]], over: str, under: str) -> float:
    return statistics.median(a / b for a, b in zip(medians[over], medians[under], strict=True))


def median_difference(medians: Mapping[str, list[float]], more: str, less: str) -> float:
    return statistics.median(a - b for a, b in zip(medians[more], medians[less], strict=True))


def machine() -> dict[str, Any]:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    return {"cpu": model, "cores": os.cpu_count(), "load_average": os.getloadavg()[0], "python": platform.python_version()}


def report(name: str, figures: Mapping[str, Any], bounds: Mapping[str, tuple[str, float]]) -> int:
    """Print one JSON record; for each bound ("<=" or ">=", value) say whether it is met. Returns the exit code."""
    verdicts = {}
    for key, (sign, bound) in bounds.items():
        met = figures[key] <= bound if sign == "<=" else figures[key] >= bound
        verdicts[key] = {"bound": f"{sign} {bound:g}", "met": bool(met)}
    rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in figures.items()}
    record = {"benchmark": name, "figures": rounded, "bounds": verdicts, "machine": machine(), "command": " ".join(["python", *sys.argv])}
    print(json.dumps(record, indent=2))
    return 0 if all(v["met"] for v in verdicts.values()) else 1


def unset_blas_overrides() -> None:
    """Some machines set these, and they slow NumPy down: not a fair opponent."""
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(name, None)
