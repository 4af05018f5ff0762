"""Ranges of values on calibration data, against NumPy."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from affectrt_export.onnx_graph import Graph
from affectrt_export.spec import ExportError
from affectrt_export.variants import Options
from affectrt_export.variants.ranges import Spread, extremes, feeds_softmax, measure
from variant_nets import encoder, sentences


def _network() -> onnx.ModelProto:
    g = Graph("two")
    g.input("x", ["n", 4])
    g.add("Mul", ["x", g.constant(np.float32(-2))], out="y")
    g.add("Relu", ["y"], out="z")
    g.output("z", ["n", 4])
    return g.model()


def _spread(values: np.ndarray) -> Spread:
    """As `measure` finds it of one value."""
    found = measure(_network(), [{"x": values.reshape(-1, 4).astype(np.float32)}], ["x"])
    return found["x"]


def test_extremes_are_those_of_numpy_whatever_the_order() -> None:
    feeds = [{"x": np.random.default_rng(i).normal(size=(3, 4)).astype(np.float32)} for i in range(7)]
    whole = np.concatenate([feed["x"] for feed in feeds])
    for given in (feeds, feeds[::-1]):
        found = measure(_network(), given, ["x", "y", "z"])
        for name, value in (("x", whole), ("y", -2 * whole), ("z", np.maximum(-2 * whole, 0))):
            assert (found[name].low, found[name].high) == (value.min(), value.max())
            assert found[name].positive.sum() == (value > 0).sum() and found[name].negative.sum() == (value < 0).sum()
            assert found[name].range(Options()) == (min(value.min(), 0), value.max())


def test_percentile_leaves_out_as_much_as_it_says() -> None:
    values = np.random.default_rng(0).standard_t(2, 100_000)
    for percent in (99.0, 99.9):
        low, high = _spread(values).range(Options(calibration="percentile", percentile=percent))
        for side, cut in ((values[values > 0], high), (-values[values < 0], -low)):
            assert (side > cut).mean() == pytest.approx(1 - percent / 100, abs=1e-4)  # out in the tail a bin holds no value, or a few
    assert _spread(values).range(Options(calibration="percentile", percentile=100.0)) == pytest.approx((values.min(), values.max()))


def test_entropy_cuts_a_tail_and_leaves_what_has_none() -> None:
    rng = np.random.default_rng(0)
    even = rng.uniform(-1, 1, 100_000)
    assert _spread(even).range(Options(calibration="entropy"))[1] > 0.97
    tailed = np.concatenate([even, [40.0, 40.0, -40.0, 40.0]])
    low, high = _spread(tailed).range(Options(calibration="entropy"))
    assert 0.9 < high < 10 and low < -0.9


def test_zeros_have_a_range() -> None:
    for method in ("minmax", "percentile", "entropy"):
        assert _spread(np.zeros(8)).range(Options(calibration=method)) == (0, 0)


def test_a_layer_that_gives_no_numbers_is_named() -> None:
    g = Graph("bad")
    g.input("x", ["n", 4])
    g.add("Log", ["x"], out="y")
    g.output("y", ["n", 4])
    with pytest.raises(ExportError, match=r"layer node_0 \(Log\) gives NaN or infinite values"):
        measure(g.model(), [{"x": np.full((1, 4), -1, np.float32)}], ["y"])
    with pytest.raises(ExportError, match=r"layer node_0 \(Log\)"):
        measure(g.model(), [{"x": np.zeros((1, 4), np.float32)}], ["y"])


def test_masks_may_be_infinite_and_nothing_else_counts_as_a_mask() -> None:
    proto = onnx.load_from_string(encoder(0, mask=-np.inf))
    masks = feeds_softmax(proto)
    softmax = [node for node in proto.graph.node if node.op_type == "Softmax"]
    assert {node.input[0] for node in softmax} <= masks
    for node in proto.graph.node:
        if node.op_type in ("LayerNormalization", "Gemm", "Erf", "Reshape"):
            assert not set(node.output) & masks
    found = measure(proto, sentences(), [softmax[0].input[0]])
    assert np.isfinite([found[softmax[0].input[0]].low, found[softmax[0].input[0]].high]).all()


def test_extremes_need_no_names_and_not_all_examples() -> None:
    feeds = [{"x": np.full((1, 4), i, np.float32)} for i in range(200)]
    found = extremes(_network(), feeds)
    assert set(found) == {"x", "y", "z"}
    assert found["x"].low == 0 and found["x"].high >= 190
