"""The gates: what passes, what fails, by how much, and whether a newcomer can read why."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from affectrt_export import gate, measure
from affectrt_export.onnx_graph import Graph
from affectrt_export.spec import Bounds, Contract, Examples, Feeds, Finding, VariantKind

NAMES = ("calm", "glad", "cross", "rare")


def contract(kind: str = "softmax") -> Contract:
    decode = {"kind": kind, "temperature": 1.0, "thresholds": [0.5] * 4 if kind == "sigmoid" else [], "unknown_below": 0.0}
    labels = [{"name": name} for name in NAMES]
    return Contract("text-emotion", [{"tensor": "x", "kind": "tensor"}], [{"tensor": "logits", "kind": "logits"}], decode, labels)


def unused(model: bytes, calibration: object, keep: frozenset[str]) -> bytes:
    raise AssertionError("the gates make no variants")


KIND = VariantKind("int8", "int8", unused, "fp32")
QUICK = measure.Ratio(0.5, 0.48, 0.52, 100)


def made(counts: tuple[int, ...] = (400, 400, 190, 10)) -> tuple[Examples, np.ndarray]:
    """Examples and the logits of a network that is right about all of them."""
    truth = np.eye(4, dtype=bool)[np.repeat(np.arange(4), counts)]
    return Examples("made up (1,000)", [{}] * len(truth), truth), np.asarray(truth * 8.0 - 4, np.float32)


def turned(logits: np.ndarray, rows: list[int] | range, label: int) -> np.ndarray:
    """The same with another answer in these rows."""
    out = logits.copy()
    out[rows] = -4
    out[rows, label] = 4
    return out


def judged(candidate: np.ndarray, **more: object) -> dict[str, Finding]:
    examples, reference = made()
    given = {"size_bytes": 100, "parent_size_bytes": 400, "ratio": QUICK, "bounds": Bounds(), **more}
    found = gate.judge(KIND, candidate, reference, contract(), examples, **given)  # type: ignore[arg-type]
    assert [finding.gate for finding in found] == ["accuracy", "class", "latency", "size"]
    return {finding.gate: finding for finding in found}


def test_a_variant_that_answers_alike_passes() -> None:
    found = judged(made()[1])
    assert all(finding.passed for finding in found.values())
    assert found["accuracy"].value == 0 and found["accuracy"].bound == 0.01
    assert "fp32 1.0000, this 1.0000, the same; at most 0.01 may be lost" in found["accuracy"].detail
    assert found["size"].value == 0.25 and "100 bytes, 0.250 times the 400 of fp32" in found["size"].detail


def test_accuracy_at_and_over_its_bound() -> None:
    logits = made()[1]
    at, over = (judged(turned(logits, range(0, count), 1))["accuracy"] for count in (10, 11))
    assert at.passed and at.value == pytest.approx(0.01)
    assert not over.passed and over.value == pytest.approx(0.011)
    assert over.detail == "accuracy on made up (1,000): fp32 1.0000, this 0.9890, lost 0.0110; at most 0.01 may be lost."


def test_a_gain_is_no_loss() -> None:
    examples, right = made()
    found = gate.judge(
        KIND,
        right,
        turned(right, range(0, 100), 1),
        contract(),
        examples,
        size_bytes=1,
        parent_size_bytes=1,
        ratio=QUICK,
        bounds=Bounds(),
    )
    assert found[0].passed and found[0].value == pytest.approx(-0.1) and "gained 0.1000" in found[0].detail
    assert found[1].passed and found[1].value == 0


def test_the_class_that_lost_is_named_with_what_it_lost() -> None:
    found = judged(turned(made()[1], range(800, 850), 0))["class"]
    assert not found.passed and found.value == pytest.approx(1 - 280 / 330)
    assert "these classes lost too much: 'cross': F1 1.0000 in fp32, 0.8485 in this, lost 0.1515 on 190 examples" in found.detail
    assert "may lose 0.05 and 0.0" in found.detail
    both = judged(turned(turned(made()[1], range(800, 880), 0), range(0, 250), 2))["class"]
    assert "'cross'" in both.detail and "'calm'" in both.detail and "'glad'" not in both.detail


def test_a_class_of_few_examples_is_given_its_sampling_error() -> None:
    one = judged(turned(made()[1], [990], 0))["class"]
    assert one.passed and one.value == pytest.approx(1 - 18 / 19) and one.value > 0.05, "one answer of ten more than the bound"
    assert "the class that fared worst, 'rare'" in one.detail
    half = judged(turned(made()[1], range(990, 996), 0))["class"]
    assert not half.passed and "'rare'" in half.detail
    # What is an accident there is none in a large class: 15 of a hundred.
    assert not judged(turned(made()[1], range(0, 60), 1))["class"].passed


def test_the_standard_error_is_what_drawing_the_examples_again_gives() -> None:
    rng = np.random.default_rng(0)
    truth = np.eye(4, dtype=bool)[rng.choice(4, 1500, p=[0.5, 0.3, 0.15, 0.05])]
    before, after = (np.asarray(truth * 2.0 + rng.normal(size=truth.shape) * spread, np.float32) for spread in (1.1, 1.4))
    found = {loss.label: loss for loss in gate.losses(after, before, contract(), Examples("x", [{}] * 1500, truth))}
    drops = []
    for _ in range(400):
        rows = rng.integers(0, 1500, 1500)
        again = gate.losses(after[rows], before[rows], contract(), Examples("x", [{}] * 1500, truth[rows]))
        drops.append([next(loss.drop for loss in again if loss.label == name) for name in NAMES])
    for k, name in enumerate(NAMES):
        assert found[name].drop == pytest.approx(np.mean(drops, 0)[k], abs=0.01)
        assert found[name].error == pytest.approx(np.std(drops, 0)[k], rel=0.2)


def test_losses_are_sorted_and_leave_out_classes_without_examples() -> None:
    logits = turned(turned(made()[1], range(800, 850), 0), [990, 991], 0)
    found = gate.losses(logits, made()[1], contract(), made()[0])
    assert [loss.label for loss in found] == ["cross", "rare", "calm", "glad"] and found[0].examples == 190
    assert [loss.drop for loss in found] == sorted((loss.drop for loss in found), reverse=True)
    empty = Examples("x", [{}] * 2, np.eye(4, dtype=bool)[[0, 1]])
    assert {loss.label for loss in gate.losses(made()[1][[0, 400]], made()[1][[0, 400]], contract(), empty)} == {"calm", "glad"}


def test_several_labels_are_judged_by_macro_f1() -> None:
    examples, reference = made()
    silent = reference.copy()
    silent[990:] = -4  # 'rare' is never said again: a hundredth of the examples, a quarter of macro-F1
    options = {"size_bytes": 1, "parent_size_bytes": 1, "ratio": QUICK, "bounds": Bounds()}
    found = gate.judge(KIND, silent, reference, contract("sigmoid"), examples, **options)  # type: ignore[arg-type]
    assert not found[0].passed and found[0].value == pytest.approx(0.25) and found[0].detail.startswith("macro-F1 on made up")
    assert not found[1].passed and "'rare'" in found[1].detail and found[1].value == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_outputs_that_are_no_numbers_fail_even_where_the_gate_is_off(value: float) -> None:
    logits = made()[1]
    logits[[3, 500], 2] = value
    found = judged(logits, bounds=dataclasses.replace(Bounds(), accuracy_drop=None))
    assert not found["accuracy"].passed and not found["class"].passed and math.isnan(found["accuracy"].value)
    assert "2 of 1,000 examples give outputs that are no finite numbers" in found["accuracy"].detail
    assert "the first is example 4 of made up (1,000)" in found["accuracy"].detail


def test_latency_fails_only_beyond_the_noise_of_its_measurement() -> None:
    logits = made()[1]
    noisy, slow = (
        judged(logits, ratio=ratio)["latency"] for ratio in (measure.Ratio(1.01, 0.99, 1.04, 100), measure.Ratio(1.2, 1.1, 1.3, 100))
    )
    assert noisy.passed and noisy.value == 1.01
    assert not slow.passed
    assert slow.detail == "a call takes 1.200 times as long as in fp32 (1.100 to 1.300, 100 pairs); at most 1 times are allowed."
    assert judged(logits, ratio=measure.Ratio(1.2, 1.1, 1.3, 100), bounds=Bounds(latency_ratio=1.5))["latency"].passed


def test_size_at_and_over_its_bound() -> None:
    assert judged(made()[1], size_bytes=400)["size"].passed
    found = judged(made()[1], size_bytes=1300)["size"]
    assert not found.passed and found.value == 3.25 and "1,300 bytes, 3.250 times the 400 of fp32" in found.detail


def test_cost_can_be_judged_without_labels() -> None:
    found = gate.judge_cost(KIND, size_bytes=200, parent_size_bytes=400, ratio=QUICK, bounds=Bounds())
    assert [(finding.gate, finding.passed, finding.value) for finding in found] == [("latency", True, 0.5), ("size", True, 0.5)]
    outputs = made()[1]
    costs = {"size_bytes": 200, "parent_size_bytes": 400, "ratio": QUICK, "bounds": Bounds()}
    assert gate.judge_cost(KIND, **costs, candidate=outputs) == found  # type: ignore[arg-type]
    outputs[7, 1] = np.nan
    broken = gate.judge_cost(KIND, **costs, candidate=outputs)  # type: ignore[arg-type]
    assert not broken[0].passed and "1 of 1,000 examples give outputs that are no finite numbers" in broken[0].detail


def test_a_gate_that_is_off_says_so_and_still_tells_the_figure() -> None:
    bad = turned(made()[1], range(0, 400), 1)
    off = Bounds(accuracy_drop=None, class_drop=None, latency_ratio=None, size_ratio=None)
    found = judged(bad, bounds=off, ratio=None, size_bytes=1300)
    for finding in found.values():
        assert finding.passed and finding.bound is None and "this gate was switched off" in finding.detail
    assert found["accuracy"].value == pytest.approx(0.4) and found["size"].value == 3.25
    assert "'calm'" in found["class"].detail


def test_a_variant_for_another_device_is_not_timed_here() -> None:
    examples, logits = made()
    trt = VariantKind("int8-trt", "int8", unused, "fp32", ("TensorrtExecutionProvider",), runs_here=False)
    options = {"size_bytes": 1, "parent_size_bytes": 1, "ratio": None, "bounds": Bounds()}
    found = gate.judge(trt, logits, logits, contract(), examples, **options)[2]  # type: ignore[arg-type]
    assert found.passed and found.bound == 1.0 and "not judged: int8-trt is made for another device" in found.detail
    assert "TensorrtExecutionProvider" in found.detail


@pytest.mark.parametrize(("name", "precision", "said"), [("master", "int8", "no device runs a master"), ("fp16", "fp16", "made for GPUs")])
def test_why_a_variant_is_not_timed(name: str, precision: str, said: str) -> None:
    kind = VariantKind(name, precision, unused, "fp32", runs_here=False)
    found = gate.judge_cost(kind, size_bytes=1, parent_size_bytes=1, ratio=None, bounds=Bounds())[0]
    assert found.passed and said in found.detail and "another device" not in found.detail


def test_logits_that_do_not_fit_are_refused() -> None:
    examples, logits = made()
    options = {"size_bytes": 1, "parent_size_bytes": 1, "ratio": None, "bounds": Bounds()}
    with pytest.raises(ValueError, match=r"shape \(1000, 4\) were expected, got \(999, 4\)"):
        gate.judge(KIND, logits[1:], logits, contract(), examples, **options)  # type: ignore[arg-type]


def network(scale: float = 1.0, width: int = 4, spoiled: bool = False) -> bytes:
    """x (n, 4) is the logits already; `width` makes it slower and larger."""
    g = Graph("small")
    wide = np.zeros((4, width), np.float32)
    wide[:, :4] = np.eye(4)
    x = g.add("MatMul", [g.input("x", ["n", 4]), g.constant(wide)])
    x = g.add("MatMul", [x, g.constant((np.eye(width) * scale).astype(np.float32))])
    if spoiled:
        x = g.add("Sqrt", [x])
    g.add("MatMul", [x, g.constant(np.ascontiguousarray(wide.T))], out="logits")
    g.output("logits", ["n", 4])
    return g.bytes()


def files() -> tuple[Examples, np.ndarray]:
    truth = np.eye(4, dtype=bool)[np.arange(80) % 4]
    feeds: list[Feeds] = [{"x": np.asarray(row[None] * 2.0 - 1, np.float32)} for row in truth]
    return Examples("eighty", feeds, truth), np.asarray(truth * 2.0 - 1, np.float32)


def test_files_are_run_timed_and_weighed() -> None:
    examples, reference = files()
    judge = gate.judge_with(KIND, contract(), examples, reference, network(width=500), Bounds())
    small = {finding.gate: finding for finding in judge(network())}
    assert all(finding.passed for finding in small.values())
    assert small["latency"].value < 0.7 and small["size"].value < 0.01
    wrong = {finding.gate: finding for finding in judge(network(scale=-1))}
    assert not wrong["accuracy"].passed and not wrong["class"].passed and wrong["latency"].passed
    against_small = gate.judge_with(KIND, contract(), examples, reference, network(), Bounds())
    large = {finding.gate: finding for finding in against_small(network(width=500))}
    assert large["accuracy"].passed and not large["latency"].passed and not large["size"].passed
    untimed = gate.judge_with(KIND, contract(), examples, reference, network(), Bounds(latency_ratio=None))
    assert untimed(network(width=500))[2].detail == "this gate was switched off."


def test_a_file_that_gives_nan_or_cannot_be_run_fails() -> None:
    examples, reference = files()
    judge = gate.judge_with(KIND, contract(), examples, reference, network(), Bounds())
    assert "no finite numbers" in judge(network(spoiled=True))[0].detail
    broken = judge(b"no network")
    assert not broken[0].passed and "cannot open the network" in broken[0].detail


def test_findings_can_be_written_as_json() -> None:
    json.dumps([dataclasses.asdict(finding) for finding in judged(made()[1]).values()])
