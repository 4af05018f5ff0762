"""Parity says how far two networks are apart, and where: nothing passes that should not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from affectrt_export.onnx_graph import Graph
from affectrt_export.parity import parity
from affectrt_export.spec import F32, Bounds, Contract, ExportError, Feeds, Model, Run

WEIGHT = np.array([[1, 0, 2], [0, 1, -1]], np.float32)


def model(reference: Run | None) -> Model:
    """y (n, 3) = x (n, 2) @ WEIGHT, once as ONNX."""
    graph = Graph("tiny")
    product = graph.add("MatMul", [graph.input("x", ["n", 2]), graph.constant(WEIGHT)], out="y")
    graph.output(product, ["n", 3])
    contract = Contract("face-expression", [], [{"tensor": "y", "kind": "logits", "shape": [-1, 3]}], {"kind": "softmax"}, [])
    return Model("tiny", "test", graph.bytes(), reference, contract, False, "MIT", [])


def feeds(count: int = 4) -> list[Feeds]:
    rng = np.random.default_rng(0)
    return [{"x": rng.normal(size=(1, 2)).astype(np.float32)} for _ in range(count)]


def shifted(example: int, place: int, by: float) -> Run:
    """The right answer, but one number of one example."""
    calls = iter(range(1000))

    def run(feed: Feeds) -> Mapping[str, F32]:
        out = (feed["x"] @ WEIGHT).astype(np.float32)
        if next(calls) == example:
            out[0, place] += by
        return {"y": out}

    return run


def test_the_same_network_passes() -> None:
    found = parity(model(lambda feed: {"y": (feed["x"] @ WEIGHT).astype(np.float32)}), feeds(), Bounds())
    assert [finding.gate for finding in found] == ["parity"] * 3 and all(finding.passed for finding in found)
    assert found[0].value < 1e-6 and found[1].value <= found[0].value and found[2].value > 0.999999


def test_one_wrong_number_of_one_example_is_found_and_named() -> None:
    largest, mean, cosine = parity(model(shifted(2, 1, 0.5)), feeds(), Bounds())
    assert not largest.passed and largest.value == pytest.approx(0.5, abs=1e-6) and largest.bound == 1e-3
    assert "example 2, y[1]" in largest.detail
    assert not mean.passed and mean.value == pytest.approx(0.5 / 12, abs=1e-6) and "example 2" in mean.detail
    assert not cosine.passed and cosine.value < 0.9999 and "example 2" in cosine.detail


def test_each_bound_is_judged_alone_and_may_be_off() -> None:
    bounds = Bounds(parity_max=None, parity_mean=0.1, parity_cosine=None)
    found = parity(model(shifted(2, 1, 0.5)), feeds(), bounds)
    assert all(finding.passed for finding in found) and [finding.bound for finding in found] == [None, 0.1, None]
    found = parity(model(shifted(2, 1, 0.5)), feeds(), Bounds(parity_max=0.6, parity_mean=0.01, parity_cosine=-1))
    assert [finding.passed for finding in found] == [True, False, True]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_never_passes(value: float) -> None:
    found = parity(model(shifted(1, 0, value)), feeds(), Bounds(parity_max=None, parity_mean=None, parity_cosine=None))
    assert not found[0].passed and not found[1].passed and not found[2].passed
    assert "example 1, y[0]" in found[0].detail


def test_zeros_on_both_sides_are_alike_and_on_one_are_not() -> None:
    nothing: list[Feeds] = [{"x": np.zeros((1, 2), np.float32)}]
    assert parity(model(lambda feed: {"y": np.zeros((1, 3), np.float32)}), nothing, Bounds())[2].value == 1.0
    assert not parity(model(lambda feed: {"y": np.ones((1, 3), np.float32)}), nothing, Bounds())[2].passed


def test_a_source_that_is_onnx_says_so() -> None:
    (found,) = parity(model(None), feeds(), Bounds())
    assert found.passed and found.bound is None and "ONNX itself" in found.detail


def test_other_outputs_or_shapes_are_an_error() -> None:
    with pytest.raises(ExportError, match=r"the ONNX file gives the outputs \['y'\], the source framework \['z'\]"):
        parity(model(lambda feed: {"z": np.zeros((1, 3), np.float32)}), feeds(), Bounds())
    with pytest.raises(ExportError, match=r"output y: \(1, 2\) in the source framework, \(1, 3\) in the ONNX file"):
        parity(model(lambda feed: {"y": np.zeros((1, 2), np.float32)}), feeds(), Bounds())


def test_nothing_to_compare_on_is_an_error() -> None:
    with pytest.raises(ExportError, match="at least one real input"):
        parity(model(lambda feed: {}), [], Bounds())
