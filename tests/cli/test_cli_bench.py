"""`affectrt bench` on the real networks: the record has every field that docs/bench.md names, and a baseline is judged."""

from __future__ import annotations

import json
import re
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_tools import Done

Cli = Callable[..., Done]
SHORT = ("--warmup", "2", "--iterations", "12")


def fields(value: Any, name: str = "") -> set[str]:
    """Dotted names of a record's fields, with the open-ended groups cut off."""
    if not isinstance(value, dict) or name in OPEN:
        return {name}
    return {found for key, item in value.items() for found in fields(item, f"{name}.{key}" if name else key)}


OPEN = ("subject.packs", "latency_ms", "rates", "versions", "machine", "machine.gpu", "machine.jetson")


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    from affectrt.bench import record as bench_record
    from affectrt.bench.measure import Plan
    from affectrt.bench.subjects import Options

    return bench_record.run("face", None, Options(), Plan(warmup=2, iterations=12))


def test_the_record_has_the_documented_fields(record: dict[str, Any]) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "bench.md").read_text()
    documented = set(re.findall(r"^\| `([\w.]+)` \|", text, re.MULTILINE))
    assert fields(record) == documented


def test_stages_lie_within_the_whole(record: dict[str, Any]) -> None:
    latency = record["latency_ms"]
    assert set(latency) == {"end_to_end", "detect", "expression", "total"}
    assert all(stage["samples"] == 12 and 0 < stage["min"] <= stage["p50"] <= stage["p99"] <= stage["max"] for stage in latency.values())
    assert latency["detect"]["p50"] + latency["expression"]["p50"] < latency["end_to_end"]["max"]
    assert "1 face" in record["subject"]["input"] and "640x480" in record["subject"]["input"]
    assert record["throughput_per_s"] == pytest.approx(1000 / latency["end_to_end"]["mean"], rel=0.2)
    # The peak is that of the process, whatever tests ran in it before. The kernel tells it in another place too, to some pages.
    most_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1.024e-3
    assert 20 < record["memory_mb"]["before"] < record["memory_mb"]["peak"] < 1.02 * most_mb
    assert (record["energy"]["joules"] is None) == bool(record["energy"]["why_not"])


def test_percentiles_are_those_asked_for(cli: Cli) -> None:
    done = cli("bench", "--pack", "xception-fer7", "--batch", "3", "--percentile", "50,99.9", *SHORT, "-o", "json")
    (found,) = json.loads(done.out)["records"]
    assert {"p50", "p99.9"} <= set(found["latency_ms"]["end_to_end"]) and "p90" not in found["latency_ms"]["end_to_end"]
    assert found["subject"]["input"].startswith("3 x ") and found["settings"]["batch"] == 3


@pytest.mark.parametrize("pack", ["blazeface-full-range", "face-mesh-478", "blendshapes-52"])
def test_each_face_pack_alone(cli: Cli, pack: str) -> None:
    done = cli("bench", "--pack", pack, *SHORT, "-o", "json")
    (found,) = json.loads(done.out)["records"]
    stage = {"blazeface-full-range": "detect", "face-mesh-478": "landmarks", "blendshapes-52": "blendshapes"}[pack]
    assert found["latency_ms"][stage]["p50"] > 0 and any(pack in label for label in found["subject"]["packs"].values())


def test_text(cli: Cli) -> None:
    (found,) = json.loads(cli("bench", "--pipeline", "text", "--batch", "4", *SHORT, "-o", "json").out)["records"]
    assert found["latency_ms"]["end_to_end"]["p50"] > 0 and found["subject"]["input"].startswith("4 sentences")


def test_a_baseline_is_compared_and_judged(cli: Cli, tmp_path: Path) -> None:
    done = cli("bench", "--pipeline", "face", *SHORT, "-o", "json")
    fine, bad = json.loads(done.out), json.loads(done.out)
    fine["records"][0]["latency_ms"]["end_to_end"]["p50"] *= 1000
    for stage in bad["records"][0]["latency_ms"].values():
        stage["p50"] /= 1000
    for name, document in (("fine", fine), ("bad", bad)):
        (tmp_path / name).write_text(json.dumps(document))
    passed = cli("bench", "--pipeline", "face", *SHORT, "--baseline", tmp_path / "fine", "--max-regression", "100000", "-o", "json")
    assert passed.code == 0 and json.loads(passed.out)["ok"] is True
    failed = cli("bench", "--pipeline", "face", *SHORT, "--baseline", tmp_path / "bad", "--max-regression", "1000", "-o", "json")
    assert failed.code == 1 and json.loads(failed.out)["ok"] is False
    assert "latency_ms.end_to_end.p50" in failed.err and "worse than the baseline" in failed.err
    assert "ratio" in cli("bench", "--pipeline", "face", *SHORT, "--baseline", tmp_path / "bad").out


def test_what_does_not_go_together(cli: Cli, tmp_path: Path) -> None:
    assert cli("bench", "--pipeline", "face", "--pack", "xception-fer7").code == 2
    assert cli("bench", "--pipeline", "face", "--max-regression", "5").code == 2
    assert cli("bench", "--percentile", "fast").code == 2
    done = cli("bench", "--pipeline", "face", "--batch", "2")
    assert done.code == 1 and "one input at a time" in done.err
    done = cli("bench", "--pipeline", "face", "--baseline", tmp_path / "none.json")
    assert done.code == 1 and "No such file" in done.err
