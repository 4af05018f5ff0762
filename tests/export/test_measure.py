"""Figures and calibration, against plain loops, known answers and numbers drawn so that the truth is known."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime
import pytest
from affectrt_export import calibrate, measure
from affectrt_export.onnx_graph import Graph
from affectrt_export.spec import Contract, Examples, ExportError, Feeds
from onnx import TensorProto, numpy_helper

RNG = np.random.default_rng(7)


def contract(labels: int = 3, kind: str = "softmax", **decode: object) -> Contract:
    return Contract(
        "text-emotion",
        [{"tensor": "x", "kind": "tensor"}],
        [{"tensor": "logits", "kind": "logits"}],
        {"kind": kind, "temperature": 1.0, "thresholds": [], "unknown_below": 0.0, **decode},
        [{"name": f"label {i}"} for i in range(labels)],
    )


def network(width: int = 8, labels: int = 3, depth: int = 1, seed: int = 0, batch: int | str = "n", last: str = "Gemm") -> bytes:
    """x (n, t, 8) to logits (n, labels): the mean over t, some layers, the last one of the given kind."""
    rng = np.random.default_rng(seed)
    g = Graph("small")
    x = g.add("ReduceMean", [g.input("x", [batch, "t", 8])], axes=[1], keepdims=0)
    size = 8
    for _ in range(depth):
        weight = g.constant((rng.normal(size=(size, width)) / np.sqrt(size)).astype(np.float32), "weight")
        x, size = g.add("Relu", [g.add("MatMul", [x, weight])]), width
    weight, bias = rng.normal(size=(size, labels)).astype(np.float32), rng.normal(size=labels).astype(np.float32)
    if last == "Gemm":
        g.add("Gemm", [x, g.constant(weight), g.constant(bias)], out="logits")
    elif last == "Gemm transposed":
        g.add("Gemm", [x, g.constant(weight.T), g.constant(bias)], out="logits", transB=1, alpha=0.5, beta=2.0)
    elif last == "Gemm without bias":
        g.add("Gemm", [x, g.constant(weight)], out="logits")
    elif last == "MatMul, Add":
        g.add("Add", [g.add("MatMul", [x, g.constant(weight)]), g.constant(bias)], out="logits")
    elif last == "Add of a bias before, Identity":
        g.add("Identity", [g.add("Add", [g.constant(bias[None]), g.add("MatMul", [x, g.constant(weight)])])], out="logits")
    elif last == "shared":  # the bias is read by another node too, which must not notice
        shift = g.constant(bias)
        x = g.add("Gemm", [x, g.constant(weight), shift])
        g.add("Gemm", [g.add("Sub", [x, shift]), g.constant(np.eye(labels, dtype=np.float32)), shift], out="logits")
    else:
        g.add(last, [g.add("MatMul", [x, g.constant(weight)])], out="logits")
    g.output("logits", [batch, labels])
    return g.bytes()


def inputs(count: int, lengths: Sequence[int] = (1, 4, 9)) -> list[Feeds]:
    rng = np.random.default_rng(3)
    return [{"x": rng.normal(size=(1, lengths[i % len(lengths)], 8)).astype(np.float32)} for i in range(count)]


def one_by_one(model: bytes, feeds: Sequence[Feeds]) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(["logits"], dict(feed))[0] for feed in feeds])


def test_answers_come_in_the_order_of_the_inputs_whatever_their_lengths() -> None:
    seen: list[tuple[int, int]] = []
    feeds = inputs(50)
    logits = measure.run(network(), feeds, "logits", batch=8, progress=lambda what, done, total: seen.append((done, total)))
    np.testing.assert_allclose(logits, one_by_one(network(), feeds), atol=1e-5)
    assert seen[-1] == (50, 50) and [done for done, _ in seen] == sorted(done for done, _ in seen)


def dynamic_int8() -> bytes:
    """A layer whose activations share one scale, which is found anew for every call."""
    rng = np.random.default_rng(0)
    g = Graph("dynamic")
    x = g.add("ReduceMean", [g.input("x", ["n", "t", 8])], axes=[1], keepdims=0)
    small = g.add("DynamicQuantizeLinear", [x], outputs=3)
    product = g.add("MatMulInteger", [small, g.constant(rng.integers(-99, 99, (8, 3)).astype(np.int8)), f"{small}.2"])
    g.add("Mul", [g.add("Cast", [product], to=TensorProto.FLOAT), f"{small}.1"], out="logits")
    g.output("logits", ["n", 3])
    return g.bytes()


def test_dynamic_int8_is_run_one_by_one_as_on_the_device() -> None:
    feeds = [{"x": feed["x"] * 10.0 ** (i % 4)} for i, feed in enumerate(inputs(40, [5]))]
    alone = one_by_one(dynamic_int8(), feeds)
    together = one_by_one(dynamic_int8(), [{"x": np.concatenate([feed["x"] for feed in feeds]).astype(np.float32)}])
    assert np.abs(together - alone).max() > 1, "else this network would prove nothing"
    np.testing.assert_array_equal(measure.run(dynamic_int8(), feeds), alone)


def test_a_network_of_one_row_only_is_run_one_by_one() -> None:
    feeds = inputs(10)
    np.testing.assert_allclose(measure.run(network(batch=1), feeds), one_by_one(network(), feeds), atol=1e-5)


@pytest.mark.parametrize(
    ("model", "feeds", "output", "word"),
    [
        (b"nothing", inputs(1), "", "cannot open"),
        (network(), [{"y": np.zeros((1, 1, 8), np.float32)}], "", "cannot run the network on y float32"),
        (network(), inputs(1), "probs", "expected to have the output 'probs', it has logits"),
        (network(), [], "", "no inputs"),
    ],
)
def test_what_cannot_be_run_is_told(model: bytes, feeds: list[Feeds], output: str, word: str) -> None:
    with pytest.raises(ExportError, match=word):
        measure.run(model, feeds, output)


def test_decoding_one_label() -> None:
    rule = contract(temperature=2.0, unknown_below=0.6)
    logits = np.array([[4, 0, 0], [0, 1, 0.9], [0, 0, 6]], np.float32)
    probs = measure.probabilities(rule, logits)
    np.testing.assert_allclose(probs[0], np.exp([2, 0, 0]) / np.exp([2, 0, 0]).sum(), atol=1e-6)
    examples = Examples("three", [{}] * 3, np.eye(3, dtype=bool)[[0, 1, 0]])
    quality = measure.quality(rule, logits, examples)
    assert quality.coverage == pytest.approx(2 / 3) and quality.accuracy_where_known == 0.5
    assert quality.score == quality.scores.accuracy == pytest.approx(2 / 3) and quality.data == "three"


def test_decoding_several_labels() -> None:
    rule = contract(kind="sigmoid", thresholds=[0.3, 0.5, 0.9], unknown_below=0.45)
    probs = np.array([[0.35, 0.1, 0.8], [0.2, 0.4, 0.3], [0.1, 0.2, 0.46], [0.6, 0.7, 0.1]])
    logits = np.log(probs / (1 - probs)).astype(np.float32)
    np.testing.assert_allclose(measure.probabilities(rule, logits), probs, atol=1e-6)
    said = measure.answers(rule, measure.probabilities(rule, logits))
    assert said.tolist() == [[True, False, False], [False] * 3, [False] * 3, [True, True, False]]
    # A label over its own threshold comes before a likelier one that is under its own.
    assert measure.top(probs.astype(np.float32), said).tolist() == [0, 1, 2, 1]
    assert measure.known(rule, probs.astype(np.float32), said).tolist() == [True, False, True, True]
    truth = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0]], bool)
    quality = measure.quality(rule, logits, Examples("four", [{}] * 4, truth))
    assert quality.coverage == 0.75 and quality.accuracy_where_known == pytest.approx(2 / 3)
    assert quality.score == quality.scores.macro_f1 and len(quality.reliability.label_ece) == 3


def test_outputs_that_are_no_numbers_count_as_nothing() -> None:
    logits = np.array([[np.nan, 1, 0], [np.inf, 0, 0]], np.float32)
    assert np.isfinite(measure.probabilities(contract(), logits)).all()
    assert np.isfinite(measure.probabilities(contract(kind="sigmoid"), logits)).all()


def test_reliability_against_a_loop() -> None:
    probs = RNG.dirichlet(np.ones(4) * 0.4, 500).astype(np.float32)
    truth = np.eye(4, dtype=bool)[RNG.integers(0, 4, 500)]
    found = measure.reliability(probs, truth, multi_label=False)
    wanted, edges = 0.0, np.linspace(0, 1, 16)
    for i in range(15):
        rows = [r for r in range(500) if edges[i] <= probs[r].max() < edges[i + 1] or (i == 14 and probs[r].max() == 1)]
        if rows:
            mean, right = np.mean([probs[r].max() for r in rows]), np.mean([truth[r, probs[r].argmax()] for r in rows])
            assert found.confidence[i] == pytest.approx(mean, abs=1e-6) and found.accuracy[i] == pytest.approx(right)
            wanted += len(rows) / 500 * abs(mean - right)
        else:
            assert np.isnan(found.confidence[i]) and found.count[i] == 0
    assert found.ece == pytest.approx(wanted, abs=1e-6) and sum(found.count) == 500 and found.label_ece == ()


def test_reliability_of_several_labels_is_the_mean_of_their_own() -> None:
    probs = RNG.random((400, 2)).astype(np.float32)
    truth = np.stack([RNG.random(400) < probs[:, 0], RNG.random(400) < 0.5], 1)
    found = measure.reliability(probs, truth, multi_label=True)
    assert found.label_ece[0] < 0.08 < 0.2 < found.label_ece[1]
    assert found.ece == pytest.approx(np.mean(found.label_ece)) and sum(found.count) == 800


def test_latency_and_its_ratio_tell_a_large_network_from_a_small_one() -> None:
    small, large = network(), network(width=1500, depth=2)
    seen: list[int] = []
    quick = measure.latency(small, inputs(9), runs=60, progress=lambda what, done, total: seen.append(done))
    assert 0 < quick.p50_ms <= quick.p90_ms <= quick.p95_ms <= quick.p99_ms and quick.runs == 60 == seen[-1]
    ratio = measure.latency_ratio(large, small, inputs(9), pairs=60)
    assert 5 < ratio.low <= ratio.median <= ratio.high and ratio.pairs == 60


def test_measuring_ends_when_its_time_is_over() -> None:
    began = time.monotonic()
    assert measure.latency(network(width=1500, depth=2), inputs(3), runs=10**6, seconds=0.2).runs >= 32
    assert measure.latency_ratio(network(), network(), inputs(3), pairs=10**6, seconds=0.2).pairs >= 32
    assert time.monotonic() - began < 10


def test_inputs_to_measure_with_are_of_all_lengths() -> None:
    picked = measure.mixed(inputs(300, range(1, 101)), 10)
    lengths = sorted(feed["x"].shape[1] for feed in picked)
    assert len(lengths) == 10 and lengths[0] < 10 and lengths[-1] > 90 and 40 < np.median(lengths) < 60
    with pytest.raises(ExportError, match="no inputs"):
        measure.mixed([])


@pytest.mark.parametrize("heat", [0.4, 1.0, 3.0])
def test_the_temperature_that_made_the_logits_is_found(heat: float) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(20000, 4)) * 2
    power = np.exp(logits)
    truth = np.eye(4, dtype=bool)[(rng.random((20000, 1)) > (power / power.sum(1, keepdims=True)).cumsum(1)).sum(1)]
    found = calibrate.temperature((logits * heat).astype(np.float32), truth)
    assert found == pytest.approx(heat, rel=0.03)
    costs = [nll(logits * heat / t, truth) for t in (found, found * 1.03, found / 1.03)]
    assert costs[0] == min(costs)


def nll(logits: np.ndarray, truth: np.ndarray) -> float:
    return float((np.log(np.exp(logits).sum(1)) - logits[truth]).mean())


def test_a_temperature_keeps_its_bounds() -> None:
    truth = np.eye(2, dtype=bool)[[0, 1, 0, 1]]
    assert calibrate.temperature((truth * 1.0).astype(np.float32), truth) == pytest.approx(0.05, rel=1e-3)
    assert calibrate.temperature((~truth * 1.0).astype(np.float32), truth) == pytest.approx(20, rel=1e-3)
    with pytest.raises(ExportError, match="one label each"):
        calibrate.temperature(np.zeros((4, 2), np.float32), np.ones((4, 2), bool))
    with pytest.raises(ExportError, match="2 of 4 examples have others, the first is example 3"):
        calibrate.temperature(np.array([[0, 1], [1, 0], [np.nan, 0], [0, np.inf]], np.float32), truth)


def drawn(count: int = 20000) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Logits whose labels follow another scale and offset: those, the labels, scale, offset."""
    rng = np.random.default_rng(4)
    logits = (rng.normal(size=(count, 3)) * 2 - 1).astype(np.float32)
    scale, offset = np.array([0.7, 1.0, 1.5]), np.array([-0.5, 0.0, 1.0])
    truth = rng.random(logits.shape) < 1 / (1 + np.exp(-(scale * logits + offset)))
    return logits, truth, scale, offset


def test_platt_finds_scale_and_offset_and_calibrates() -> None:
    logits, truth, scale, offset = drawn()
    fit = calibrate.platt(logits, truth)
    np.testing.assert_allclose(fit.scale, scale, atol=0.05)
    np.testing.assert_allclose(fit.offset, offset, atol=0.06)
    rule = contract(kind="sigmoid")
    raw, after = (measure.reliability(measure.probabilities(rule, value), truth, True).ece for value in (logits, fit(logits)))
    assert after < 0.02 < 0.05 < raw


def test_platt_holds_on_where_there_is_little_to_learn_from() -> None:
    logits, _, _, _ = drawn(40)
    none = calibrate.platt(logits, np.zeros(logits.shape, bool))
    assert (np.abs(none.scale - 1) < 0.5).all() and (none.offset < 0).all() and np.isfinite(none.offset).all()
    contrary = calibrate.platt(np.tile(logits, (50, 1)), np.tile(logits < 0, (50, 1)))
    assert (contrary.scale > 0).all() and np.isfinite(contrary.offset).all()
    split = np.where(np.arange(2000)[:, None] % 2 == [0, 1, 0], 60, -60).astype(np.float32)
    sure = calibrate.platt(split, split > 0)
    assert np.isfinite(sure.scale).all() and (sure.scale > 0.5).all()


@pytest.mark.parametrize(
    "last", ["Gemm", "Gemm transposed", "Gemm without bias", "MatMul, Add", "Add of a bias before, Identity", "shared"]
)
def test_folding_changes_the_logits_and_nothing_else(last: str) -> None:
    model, feeds = network(last=last), inputs(20)
    scale, offset = np.array([0.5, 1.5, 2.0]), np.array([1.0, -2.0, 0.25])
    folded = calibrate.fold(model, scale, offset)
    np.testing.assert_allclose(one_by_one(folded, feeds), one_by_one(model, feeds) * scale + offset, atol=1e-4)
    assert [node.op_type for node in onnx.load_from_string(folded).graph.node] == [
        node.op_type for node in onnx.load_from_string(model).graph.node
    ]
    assert calibrate.fold(model, scale, offset) == folded
    np.testing.assert_allclose(one_by_one(calibrate.fold(model, 2.0, 0.0), feeds), one_by_one(model, feeds) * 2, atol=1e-4)


def test_a_network_with_another_end_cannot_take_a_calibration() -> None:
    with pytest.raises(ExportError, match=r"a last layer of Gemm, or MatMul and Add.*ends in node_\d \(Tanh\)"):
        calibrate.fold(network(last="Tanh"), 1.0, 0.0)
    with pytest.raises(ExportError, match="no output of a layer"):
        calibrate.fold(network(), 1.0, 0.0, "nothing")
    proto = onnx.load_from_string(network())
    name = proto.graph.node[-1].input[1]
    weight = next(value for value in proto.graph.initializer if value.name == name)
    shape = numpy_helper.to_array(weight).shape
    proto.graph.initializer.remove(weight)
    proto.graph.input.append(onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    with pytest.raises(ExportError, match="is no constant matrix"):
        calibrate.fold(proto.SerializeToString(), 1.0, 0.0)


def test_thresholds_of_many_examples_are_those_of_best_f1() -> None:
    logits, truth, scale, offset = drawn()
    probs = (1 / (1 + np.exp(-(scale * logits + offset)))).astype(np.float32)
    found = calibrate.thresholds(probs, truth)
    for label in range(3):
        curve = {t: f1(probs[:, label] >= t, truth[:, label]) for t in np.arange(0.05, 0.95, 0.01)}
        assert f1(probs[:, label] >= found[label], truth[:, label]) > max(curve.values()) - 0.003
        assert found[label] == pytest.approx(max(curve.values()) / 2, abs=0.06)  # Lipton et al., 2014


def f1(said: np.ndarray, truth: np.ndarray) -> float:
    return float(2 * (said & truth).sum() / max(said.sum() + truth.sum(), 1))


def test_thresholds_of_rare_labels_do_not_chase_single_examples() -> None:
    gained = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        probs = (1 / (1 + np.exp(-(rng.normal(size=(4000, 1)) * 1.5 - 5)))).astype(np.float32)  # about 15 in 1000 are true
        truth, later = (rng.random(probs.shape) < probs for _ in range(2))
        blended, empirical = (calibrate.thresholds(probs[:1000], truth[:1000], prior)[0] for prior in (calibrate.PRIOR, 1e-9))
        gained.append(f1(probs >= blended, later) - f1(probs >= empirical, later))
    assert np.mean(gained) > 0.01, "on examples that nobody has chosen by"


def test_a_threshold_lies_where_the_truth_parts() -> None:
    rng = np.random.default_rng(0)
    probs = rng.random((4000, 1)).astype(np.float32)
    assert calibrate.thresholds(probs, probs > 0.6, prior=1e-9)[0] == pytest.approx(0.6, abs=0.07)
    nobody = calibrate.thresholds(probs, np.zeros(probs.shape, bool))
    assert 0.01 <= nobody[0] <= 0.95
    assert calibrate.thresholds(probs, probs > 0.6).tolist() == calibrate.thresholds(probs, probs > 0.6).tolist()


def test_cross_fitting_judges_nobody_by_himself() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(300, 4)).astype(np.float32)
    truth = rng.random(logits.shape) < 0.05  # nothing to be learned: whoever looks good here has peeked
    peeked = calibrate.thresholds(measure.probabilities(contract(kind="sigmoid"), logits), truth, prior=1e-9)
    probs, said = calibrate.cross_fitted(logits, truth, prior=1e-9)
    looked = np.mean([f1(measure.probabilities(contract(kind="sigmoid"), logits)[:, k] >= peeked[k], truth[:, k]) for k in range(4)])
    honest = np.mean([f1(said[:, k], truth[:, k]) for k in range(4)])
    assert honest < looked - 0.03 and probs.shape == truth.shape
    # An example's own label has no say in its answer.
    other = truth.copy()
    other[7] = ~other[7]
    again = calibrate.cross_fitted(logits, other)
    np.testing.assert_array_equal(again[0][7], calibrate.cross_fitted(logits, truth)[0][7])


def test_unknown_is_said_as_rarely_as_the_accuracy_asked_for_allows() -> None:
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(3), 5000).astype(np.float32)
    truth = np.eye(3, dtype=bool)[(rng.random((5000, 1)) > probs.cumsum(1)).sum(1).clip(0, 2)]
    right = truth[np.arange(5000), probs.argmax(1)]
    found = calibrate.unknown_below(probs, truth, accuracy=0.7)
    known = probs.max(1) >= np.float32(found.below)
    assert found.met and found.accuracy == right[known].mean() >= 0.7 and found.coverage == known.mean()
    lower = probs.max(1) >= np.float32(found.below - 0.01)
    assert right[lower].mean() < 0.7
    never = calibrate.unknown_below(probs, truth, accuracy=0.999, coverage=0.6)
    assert not never.met and never.coverage >= 0.6 and never.accuracy > right.mean()
    assert calibrate.unknown_below(probs, truth, accuracy=0.1) == calibrate.Unknown(0.0, 1.0, float(right.mean()), True)


def test_unknown_of_several_labels_never_silences_a_label_over_its_threshold() -> None:
    probs = np.array([[0.3, 0.1], [0.2, 0.25], [0.1, 0.6], [0.1, 0.2]], np.float32)
    truth = np.array([[1, 0], [1, 0], [0, 1], [1, 0]], bool)
    found = calibrate.unknown_below(probs, truth, [0.3, 0.5], accuracy=0.9, coverage=0.4)
    assert found.met and found.coverage == 0.5 and found.accuracy == 1.0 and found.below == 0.26
