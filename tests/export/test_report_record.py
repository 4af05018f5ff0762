"""The record of a report: made of outcomes, written, read back, and strict about what it reads."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affectrt.metrics import ClassScore, Scores
from affectrt_export.report import DataSet, Figure, Record, Variant
from affectrt_export.report.record import MAX_BYTES, STATUSES
from affectrt_export.spec import Bounds, Finding, Latency, Layer, Outcome, Quality, Reliability, Repair
from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import FP32, INT8, REFUSED, REPAIRED, emotions, kind, record


def test_the_record_of_outcomes() -> None:
    refused = dataclasses.replace(REFUSED, kind=kind("int8-plain"))
    found = record(FP32, REPAIRED, refused)
    fp32, int8, plain = found.variants
    assert [v.status for v in found.variants] == ["published", "repaired", "refused"]
    assert FP32.quality and INT8.quality and int8.drop == pytest.approx(FP32.quality.scores.accuracy - INT8.quality.scores.accuracy)
    assert fp32.drop is None and fp32.size_ratio is None and fp32.latency_ratio is None
    assert int8.size_bytes == 108_000 and int8.size_ratio == pytest.approx(0.27) and plain.size_bytes == 108_000
    assert int8.latency_ratio == 0.55  # as the gate found it, which measured both in turn
    assert int8.sha256 == hashlib.sha256(b"i" * 108_000).hexdigest() and plain.sha256 == ""
    assert int8.kept == ["stages.3.first"] and not plain.published and not found.passed
    assert record(FP32, REPAIRED).passed and not record().passed


def test_latency_without_a_gate_is_the_quotient_of_the_medians() -> None:
    found = record(FP32, dataclasses.replace(INT8, findings=[])).variants[1]
    assert found.latency_ratio == pytest.approx(0.44 / 0.8)
    assert record(dataclasses.replace(INT8, findings=[])).variants[0].latency_ratio is None  # no parent was made


def test_several_labels_are_scored_by_macro_f1() -> None:
    found = emotions(2)
    quality = found.variants[0].quality
    assert quality and found.multi_label and found.variants[0].score == quality.scores.macro_f1 != quality.scores.accuracy


def test_this_machine_and_what_is_installed_are_told_where_nothing_else_is_given() -> None:
    found = record(FP32, machine=None, versions=None, commit=None)
    assert found.machine["cpu"]["cores"] >= 1 and "clock_mhz" not in found.machine["cpu"]
    assert found.versions["numpy"] == np.__version__ and {"python", "onnx", "onnxruntime", "torch", "affectrt"} <= found.versions.keys()
    assert found.date == ""  # the clock is read nowhere


def test_numbers_of_numpy_are_numbers() -> None:
    finding = Finding("accuracy", bool(np.bool_(True)), np.float32(0.5), np.float64(0.75))
    text = record(dataclasses.replace(INT8, findings=[finding], latency=None), seeds={"split": np.int64(3)}).to_json()
    back = Record.from_json(text)
    assert back.variants[0].findings[0].value == 0.5 and back.seeds == {"split": 3}


@pytest.mark.parametrize("made", [record(FP32, REPAIRED, dataclasses.replace(REFUSED, kind=kind("int4"))), emotions(2), record()])
def test_round_trip(made: Record) -> None:
    text = made.to_json()
    back = Record.from_json(text)
    assert back.to_json() == text == made.to_json()
    assert back.passed == made.passed and [v.drop for v in back.variants] == [v.drop for v in made.variants]


def test_json_has_no_nan() -> None:
    finding = Finding("latency", True, math.nan, 1.0)
    text = record(
        dataclasses.replace(INT8, findings=[finding, Finding("x", False, -math.inf, math.inf)]), machine={"t": math.nan}
    ).to_json()
    document = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert document["schema"] == "affectrt-report/1" and next(iter(document)) == "schema"
    assert document["variants"][0]["findings"][0]["value"] == "nan" and document["machine"] == {"t": None}
    first, second = Record.from_json(text).variants[0].findings
    assert math.isnan(first.value) and second.value == -math.inf and second.bound == math.inf


def broken(change: Any) -> str:
    document = json.loads(record(FP32, REPAIRED).to_json())
    change(document)
    return json.dumps(document)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d.pop("command"), "missing key 'command'"),
        (lambda d: d.update(extra=1), "unknown key 'extra'"),
        (lambda d: d.update(schema="affectrt-report/2"), "affectrt-report/2"),
        (lambda d: d.update(name=3), "name: a string was expected, got '3'"),
        (lambda d: d["variants"][1].update(size_bytes=1.5), r"variants\[1\].size_bytes: an integer was expected"),
        (lambda d: d["variants"][1].update(size_bytes=True), r"variants\[1\].size_bytes: an integer was expected"),
        (lambda d: d["variants"][1]["findings"][0].update(passed=1), r"variants\[1\].findings\[0\].passed: true or false"),
        (lambda d: d["variants"][1]["findings"][0].update(value="NaN"), r"findings\[0\].value: a number was expected"),
        (lambda d: d["variants"][1]["findings"][0].update(value=10**400), r"findings\[0\].value: a number was expected"),
        (lambda d: d["variants"][1].update(status="fine"), "published, repaired, refused, not carried was expected"),
        (lambda d: d["variants"][1].update(name="fp32"), "fp32 twice"),
        (lambda d: d.update(variants={}), "variants: a list was expected"),
        (lambda d: d.update(bounds=[]), "bounds: an object was expected"),
        (lambda d: d.update(seeds={"split": "7"}), "seeds.split: an integer was expected"),
    ],
)
def test_what_is_no_record_is_named(change: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Record.from_json(broken(change))


@pytest.mark.parametrize(
    "text", ["", "[]", "null", '{"a": NaN}', '{"a": 1, "a": 2}', "[" * 200_000, b"\xff\xfe", "{" + " " * MAX_BYTES + "}"]
)
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        Record.from_json(text)


def test_two_variants_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="int8 twice"):
        record(INT8, INT8)


def test_a_refusal_counts_even_where_the_outcome_has_no_size() -> None:
    outcome = Outcome(kind("int4"), None, [Finding("make", False, math.nan, None, "an operator is not supported")])
    found = record(FP32, outcome).variants[1]
    assert found.status == "refused" and found.size_bytes == 0 and found.size_ratio is None


TEXT = st.text(max_size=12)
NUMBER = st.floats(width=64)
COUNT = st.integers(0, 10**12)
PLAIN = st.recursive(
    st.none() | st.booleans() | COUNT | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=3,
)


def some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(strategy, max_size=2).map(tuple)


FINDING = st.builds(Finding, TEXT, st.booleans(), NUMBER, st.none() | NUMBER, TEXT)
SCORES = st.builds(
    Scores,
    COUNT,
    *[NUMBER] * 7,
    some(st.builds(ClassScore, TEXT, NUMBER, NUMBER, NUMBER, COUNT, COUNT)),
    some(some(COUNT)),
    st.booleans(),
)
QUALITY = st.builds(
    Quality, TEXT, SCORES, st.builds(Reliability, some(NUMBER), some(NUMBER), some(COUNT), NUMBER, some(NUMBER)), NUMBER, NUMBER
)
VARIANT = st.builds(
    Variant,
    name=TEXT,
    precision=TEXT,
    parent=TEXT,
    status=st.sampled_from(STATUSES),
    size_bytes=COUNT,
    requires=some(TEXT),
    findings=some(FINDING),
    repairs=some(st.builds(Repair, some(TEXT), some(FINDING))),
    sensitivity=some(st.builds(Layer, TEXT, TEXT, NUMBER)),
    quality=st.none() | QUALITY,
    drop=st.none() | NUMBER,
    latency=st.none() | st.builds(Latency, NUMBER, NUMBER, NUMBER, NUMBER, COUNT, COUNT),
    figures=some(st.builds(Figure, TEXT, NUMBER, TEXT, TEXT, TEXT)),
)
RECORDS = st.builds(
    Record,
    name=TEXT,
    family=TEXT,
    task=TEXT,
    license=TEXT,
    source=some(st.dictionaries(TEXT, PLAIN, max_size=2)),
    command=TEXT,
    variants=st.lists(VARIANT, max_size=2, unique_by=lambda variant: variant.name).map(tuple),
    bounds=st.builds(Bounds, parity_max=st.none() | NUMBER, latency_ratio=st.none() | NUMBER),
    parity=some(FINDING),
    data=some(st.builds(DataSet, TEXT, TEXT, COUNT, TEXT)),
    decode=st.dictionaries(TEXT, PLAIN, max_size=2),
    seeds=st.dictionaries(TEXT, COUNT, max_size=2),
    machine=st.dictionaries(TEXT, PLAIN, max_size=2),
    versions=st.dictionaries(TEXT, st.none() | TEXT, max_size=2),
    notes=some(TEXT),
)


@settings(max_examples=60)
@given(RECORDS)
def test_any_record_comes_back_as_it_was(made: Record) -> None:
    text = made.to_json()
    back = Record.from_json(text)
    assert back.to_json() == text
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    # All fields but those that hold NaN, which is unlike itself, are equal as values too.
    for f in dataclasses.fields(Record):
        if "nan" not in repr(getattr(made, f.name)):
            assert getattr(back, f.name) == getattr(made, f.name), f.name


def test_the_documentation_names_every_key() -> None:
    page = (Path(__file__).parents[2] / "docs" / "report.md").read_text("utf-8")
    names = [f.name for one in (Record, Variant) for f in dataclasses.fields(one)]
    assert [name for name in names if f"`{name}`" not in page] == []
    assert [f.name for f in dataclasses.fields(Bounds) if f.name not in page] == []
