"""Percentiles against NumPy, the plan of a measurement, the comparison of records, and what makes figures doubtful."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affectrt.bench import record as bench_record
from affectrt.bench import resources
from affectrt.bench.measure import Plan, drift, percentile, repeat, summary
from hypothesis import given
from hypothesis import strategies as st

POSITIVE = st.floats(0.001, 1e6, allow_nan=False)


@given(st.lists(POSITIVE, min_size=1, max_size=80), st.floats(0, 100))
def test_percentiles_are_numpys(samples: list[float], p: float) -> None:
    assert percentile(sorted(samples), p) == pytest.approx(float(np.percentile(samples, p)))


@given(st.lists(POSITIVE, min_size=2, max_size=80))
def test_summary_is_numpys(samples: list[float]) -> None:
    found = summary(samples, (50.0, 99.9))
    assert found["mean"] == pytest.approx(float(np.mean(samples)))
    assert found["std"] == pytest.approx(float(np.std(samples, ddof=1)), abs=1e-6 * max(samples))
    assert (found["min"], found["max"], found["samples"]) == (min(samples), max(samples), len(samples))
    assert found["p99.9"] == pytest.approx(float(np.percentile(samples, 99.9)))


def test_repeat_runs_warmup_and_iterations_and_keeps_stages() -> None:
    calls: list[int] = []

    def work() -> dict[str, float]:
        calls.append(1)
        return {"stage_ms": float(len(calls))}

    samples = repeat(work, Plan(warmup=3, iterations=5))
    assert len(calls) == 8
    assert samples.values == {"stage_ms": [4.0, 5.0, 6.0, 7.0, 8.0]}
    assert len(samples.wall_ms) == 5


def test_duration_ends_a_measurement_but_not_before_ten_runs() -> None:
    assert len(repeat(dict, Plan(warmup=0, duration_s=1e-9)).wall_ms) == 10


def test_a_wrong_plan_names_everything() -> None:
    with pytest.raises(ValueError, match=r"warmup.*iterations.*duration.*percentiles"):
        Plan(warmup=-1, iterations=0, duration_s=0, percentiles=(101.0,))


def test_drift_sees_runs_grow_slower() -> None:
    assert drift([1.0] * 50 + [1.3] * 50) == pytest.approx(1.3)
    assert drift([1.0] * 20) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"others_cpu_share": 0.5}, "busy: other processes used 50 %"),
        ({"throttle_events": 2}, "throttled: 2"),
        ({"clock_mhz_before": 2000.0, "clock_mhz_after": 1000.0}, "from 2000 to 1000 MHz"),
        ({"drift": 1.4}, "slower"),
    ],
)
def test_doubtful_conditions_are_said(change: dict[str, Any], said: str) -> None:
    calm = {"others_cpu_share": 0.01, "throttle_events": 0, "clock_mhz_before": 2000.0, "clock_mhz_after": 1990.0, "drift": 1.0}
    assert resources.warnings(calm) == []
    (warning,) = resources.warnings({**calm, **change})
    assert said in warning


def test_rapl_counts_joules_over_the_counters_end(tmp_path: Path) -> None:
    zone = tmp_path / "sys/class/powercap/intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "max_energy_range_uj").write_text("1000000000")
    (zone / "energy_uj").write_text("999000000")
    meter, why = resources.energy_meter(tmp_path)
    assert meter is not None and not why and "RAPL" in meter.source
    (zone / "energy_uj").write_text("4000000")
    assert meter.joules() == pytest.approx(5.0)


@pytest.mark.alone
def test_a_jetsons_power_sensor_is_added_up(tmp_path: Path) -> None:
    sensor = tmp_path / "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1"
    sensor.mkdir(parents=True)
    for name, text in (("in1_label", "VDD_IN"), ("in1_input", "5000"), ("curr1_input", "2000")):
        (sensor / name).write_text(text + "\n")
    meter, _ = resources.energy_meter(tmp_path)
    assert meter is not None and meter.source == "INA3221 VDD_IN"
    import time

    start = time.monotonic()
    time.sleep(0.3)
    meter.close()
    # 5 V x 2 A for the time that went by; the first and last sampling step may be missing.
    assert 10 * 0.15 < meter.joules() < 10 * (time.monotonic() - start) + 0.5


def test_no_counter_says_why(tmp_path: Path) -> None:
    meter, why = resources.energy_meter(tmp_path)
    assert meter is None and "no energy counter" in why


def _record() -> dict[str, Any]:
    stage = {"samples": 10, "min": 1.0, "mean": 2.0, "max": 3.0, "std": 0.1, "p50": 2.0, "p99": 3.0}
    return {
        "schema": bench_record.SCHEMA,
        "subject": {"pipeline": "face", "pack": None, "packs": {}, "input": "x"},
        "settings": {"threads": 0, "batch": 1},
        "provider": "CPUExecutionProvider",
        "load_ms": 50.0,
        "first_ms": 5.0,
        "latency_ms": {"end_to_end": stage},
        "rates": {"decode_tok_s": {**stage, "p50": 100.0}},
        "throughput_per_s": 500.0,
        "memory_mb": {"before": 40.0, "after": 80.0, "peak": 90.0},
        "energy": {"joules_per_run": None},
        "machine": {"cpu": {"name": "a", "usable_cores": 2}},
    }


def test_comparison_knows_which_way_is_worse() -> None:
    old, new = _record(), copy.deepcopy(_record())
    new["latency_ms"]["end_to_end"]["p50"] = 3.0
    new["rates"]["decode_tok_s"]["p50"] = 50.0
    new["throughput_per_s"] = 1000.0
    rows = {row["metric"]: row for row in bench_record.compare(new, old)}
    assert rows["latency_ms.end_to_end.p50"]["worse_percent"] == pytest.approx(50)
    assert rows["rates.decode_tok_s.p50"]["worse_percent"] == pytest.approx(100)
    assert rows["throughput_per_s"]["worse_percent"] == pytest.approx(-50)
    assert rows["latency_ms.end_to_end.p50"]["gated"] and not rows["latency_ms.end_to_end.p99"]["gated"] and not rows["load_ms"]["gated"]


def test_unlike_records_are_told_apart() -> None:
    new = _record()
    new["machine"]["cpu"]["name"] = "b"
    assert bench_record.differences(new, _record()) == ["the baseline has another processor: a, now b"]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"records": [{"schema": "other/9"}]}', '{"records": [{}]}', "\xff"])
def test_a_file_that_is_no_record_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "base.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"base\.json"):
        bench_record.read_baseline(path)


def test_a_record_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "base.json"
    path.write_text(json.dumps({"records": [_record()]}))
    assert bench_record.read_baseline(path) == [_record()]
