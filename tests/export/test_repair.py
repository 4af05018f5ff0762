"""Sensitivity and repair: on small networks whose weak layer is known, and on networks of real faces that were spoiled on purpose."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from affectrt.evaluate import Images
from affectrt_export import data, gate, measure, repair
from affectrt_export.onnx_graph import Graph
from affectrt_export.spec import Bounds, Contract, Examples, ExportError, Feeds, Finding, Layer, VariantKind
from onnx import numpy_helper

PACKS = Path(__file__).resolve().parents[2] / "python" / "affectrt" / "packs" / "default"
WIDTH = 6


def chain(depth: int, outliers: Sequence[int] = ()) -> bytes:
    """x (n, 6) through `depth` matrices to logits (n, 6). The last column of x is 0, so outliers in that row of a matrix change nothing."""
    rng = np.random.default_rng(0)
    g = Graph("chain")
    x = g.input("x", ["n", WIDTH])
    for k in range(depth):
        weight = np.eye(WIDTH) + rng.normal(size=(WIDTH, WIDTH)) * 0.1
        weight[:, -1] = 0
        if k in outliers:
            weight[-1, 0] = 1e4
        x = g.add("MatMul", [x, g.constant(weight.astype(np.float32))], out="logits" if k == depth - 1 else None)
    g.output("logits", ["n", WIDTH])
    return g.bytes()


def inputs(count: int = 40) -> list[Feeds]:
    rng = np.random.default_rng(1)
    return [{"x": np.append(rng.normal(size=(1, WIDTH - 1)), [[0]], 1).astype(np.float32)} for _ in range(count)]


def layers(depth: int) -> list[str]:
    return [f"node_{k}" for k in range(depth)]


class Rounding:
    """A maker: weights of the layers that are not kept are rounded to 8 bits, one scale a matrix. Remembers what it was asked for."""

    def __init__(self, spoil: str = "") -> None:
        self.kept: list[frozenset[str]] = []
        self.inputs: list[int] = []
        self.spoil = spoil

    def __call__(self, model: bytes, calibration: Sequence[Feeds], keep: frozenset[str]) -> bytes:
        self.kept.append(keep)
        self.inputs.append(len(calibration))
        proto = onnx.load_from_string(model)
        stored = {value.name: value for value in proto.graph.initializer}
        for node in proto.graph.node:
            if node.name in keep:
                continue
            value = numpy_helper.to_array(stored[node.input[1]])
            scale = np.abs(value).max() / 127 if node.name != self.spoil else np.nan
            stored[node.input[1]].CopyFrom(numpy_helper.from_array((np.rint(value / scale) * scale).astype(np.float32), node.input[1]))
        return bytes(proto.SerializeToString(deterministic=True))


def test_the_layer_that_cannot_bear_it_comes_first() -> None:
    maker, seen = Rounding(), []
    found = repair.sensitivity(
        chain(6, [3]), maker, layers(6), inputs(), output="logits", progress=lambda what, done, total: seen.append((done, total))
    )
    assert found[0].name == "node_3" and found[0].op == "MatMul"
    assert found[0].error > 0.3 > 20 * found[1].error > 0
    assert [layer.error for layer in found] == sorted((layer.error for layer in found), reverse=True) and len(found) == 6
    assert maker.kept == [frozenset(layers(6)) - {name} for name in layers(6)]
    assert seen == [(k, 6) for k in range(1, 7)]


def test_an_error_is_that_of_the_logits_relative_to_their_size() -> None:
    model, maker = chain(3), Rounding()
    found = {layer.name: layer.error for layer in repair.sensitivity(model, maker, layers(3), inputs())}
    reference = measure.run(model, inputs())
    changed = measure.run(maker(model, inputs(), frozenset({"node_0", "node_2"})), inputs())
    wanted = np.sqrt(((changed - reference) ** 2).mean() / (reference**2).mean())
    assert found["node_1"] == pytest.approx(wanted, rel=1e-5)


def test_of_many_layers_few_variants_find_the_worst() -> None:
    maker = Rounding()
    found = repair.sensitivity(chain(30, [17, 4]), maker, layers(30), inputs(), most_variants=20)
    assert len(maker.kept) <= 20 and {layer.name for layer in found[:2]} == {"node_17", "node_4"}
    assert len(found) == 30 == len({layer.name for layer in found})
    assert found[1].error > 5 * found[2].error


def test_few_inputs_are_enough_for_an_order() -> None:
    maker = Rounding()
    repair.sensitivity(chain(2), maker, layers(2), inputs(500))
    assert maker.inputs == [repair.MOST_EXAMPLES] * 2


def test_a_layer_that_gives_nan_is_infinitely_bad() -> None:
    found = repair.sensitivity(chain(4), Rounding(spoil="node_2"), layers(4), inputs())
    assert found[0].name == "node_2" and found[0].error == float("inf")


def test_nothing_to_measure_is_told() -> None:
    with pytest.raises(ExportError, match="nothing that could be quantised"):
        repair.sensitivity(chain(2), Rounding(), [], inputs())
    with pytest.raises(ExportError, match="inputs to measure the layers on were expected"):
        repair.sensitivity(chain(2), Rounding(), layers(2), [])


def kind(maker: Callable[[bytes, Sequence[Feeds], frozenset[str]], bytes]) -> VariantKind:
    return VariantKind("int8", "int8", maker, "fp32")


def by_name(model: bytes, calibration: Sequence[Feeds], keep: frozenset[str]) -> bytes:
    """A maker whose files only say what is kept: for gates that are told what to find."""
    return json.dumps(sorted(keep)).encode()


ORDER = tuple(Layer(name, "MatMul", error) for name, error in zip("abcdefghij", [9, 8, 7, 6, 5, 4, 3, 2, 1, 0.5], strict=True))


def gates(drop: Callable[[set[str]], float], ratio: Callable[[set[str]], float] = lambda kept: 0.5) -> Callable[[bytes], list[Finding]]:
    def judge(model: bytes) -> list[Finding]:
        kept = set(json.loads(model))
        loss, size = drop(kept), ratio(kept)
        return [
            Finding("accuracy", loss <= 0.01, loss, 0.01, f"lost {loss:.3f}."),
            Finding("size", size <= 1, size, 1.0, f"{size:.2f} times the size."),
        ]

    return judge


def attempts(found: repair.Repaired) -> list[int]:
    return [len(one.kept) for one in found.repairs]


def test_the_worst_1_2_4_layers_are_kept_until_every_gate_passes() -> None:
    found = repair.repair(b"", kind(by_name), "", gates(lambda kept: 0.1 * len(set("abc") - kept)), [], measured=ORDER)
    assert found.onnx == b'["a", "b", "c", "d"]' and attempts(found) == [1, 2, 4]
    assert found.why == "saved by keeping a (MatMul), b (MatMul), c (MatMul), d (MatMul) in fp32"
    assert list(found.repairs[-1].kept) == list("abcd") and all(finding.passed for finding in found.repairs[-1].findings)
    assert found.findings == found.repairs[-1].findings and found.sensitivity == ORDER


def test_layers_that_help_only_together_are_found() -> None:
    found = repair.repair(b"", kind(by_name), "", gates(lambda kept: 0.0 if set("abcdefgh") <= kept else 0.6), [], measured=ORDER)
    assert attempts(found) == [1, 2, 4, 8] and found.onnx is not None


def test_it_gives_up_when_what_is_kept_makes_it_too_large() -> None:
    found = repair.repair(
        b"", kind(by_name), "", gates(lambda kept: 0.5 if len(kept) < 8 else 0.0, lambda kept: 0.5 + len(kept) / 5), [], measured=ORDER
    )
    assert found.onnx is None and attempts(found) == [1, 2, 4]
    assert found.why.startswith(
        "refused: with a (MatMul), b (MatMul), c (MatMul), d (MatMul) in fp32 the size gate fails (1.30 times the size)"
    )
    assert "and still the accuracy gate fails (lost 0.500)" in found.why


def test_it_gives_up_when_it_is_right_again_but_too_large() -> None:
    found = repair.repair(
        b"", kind(by_name), "", gates(lambda kept: 0.2 - 0.1 * len(kept), lambda kept: 0.8 + len(kept) / 8), [], measured=ORDER
    )
    assert found.onnx is None and attempts(found) == [1, 2]
    assert "right again with a (MatMul), b (MatMul) in fp32, but then the size gate fails (1.05 times the size)" in found.why


def test_it_gives_up_when_only_harmless_layers_are_left_and_nothing_is_gained() -> None:
    flat = ORDER[:2] + tuple(Layer(layer.name, layer.op, 0.01) for layer in ORDER[2:])
    found = repair.repair(b"", kind(by_name), "", gates(lambda kept: 0.6), [], measured=flat)
    assert found.onnx is None and attempts(found) == [1, 2] and "brings it no nearer" in found.why


def test_it_gives_up_when_all_but_one_are_kept() -> None:
    found = repair.repair(b"", kind(by_name), "", gates(lambda kept: 0.2 - len(kept) / 100), [], measured=ORDER)
    assert (
        found.onnx is None and attempts(found) == [1, 2, 4, 8, 9] and "all but one, still the accuracy gate fails (lost 0.110)" in found.why
    )
    alone = repair.repair(b"", kind(by_name), "", gates(lambda kept: 0.2), [], measured=ORDER[:1])
    assert alone.onnx is None and alone.repairs == [] and "no layer that could be kept without keeping all" in alone.why


def test_a_variant_that_is_right_but_too_large_is_refused_at_once() -> None:
    found = repair.repair(b"", kind(by_name), "", gates(lambda kept: 0.0, lambda kept: 1.5), [], measured=ORDER)
    assert found.onnx is None and attempts(found) == [] and "as right as it must be, but the size gate fails" in found.why


def test_a_variant_that_passed_needs_no_repair() -> None:
    with pytest.raises(ExportError, match="this one passed all"):
        repair.repair(b"", kind(by_name), "", gates(lambda kept: 0.0), [], measured=ORDER)


def test_answers_that_are_no_numbers_can_be_saved_too() -> None:
    def drop(kept: set[str]) -> float:
        return float("nan") if "a" not in kept else 0.3 if "b" not in kept else 0.0

    found = repair.repair(b"", kind(by_name), "", gates(drop), [], measured=ORDER)
    assert attempts(found) == [1, 2] and found.onnx is not None


# From here on with the real int8 of the toolchain, on real faces.


@dataclass(frozen=True)
class Case:
    """A network with what it takes to judge its variants."""

    model: bytes
    contract: Contract
    examples: Examples
    calibration: list[Feeds]
    bounds: Bounds

    def judge(self, model: bytes, kind: VariantKind) -> Callable[[bytes], list[Finding]]:
        reference = measure.run(model, self.examples.feeds)
        return gate.judge_with(kind, self.contract, self.examples, reference, model, self.bounds)


def static() -> VariantKind:
    from affectrt_export.variants.int8_static import Static
    from affectrt_export.variants.options import Options

    return kind(Static(Options()))


def quantisable(model: bytes) -> list[str]:
    from affectrt_export import variants

    return [name for name, _ in variants.quantisable(model, "int8")]


def lfw() -> np.ndarray:
    """(200, 25, 25) uint8 of scikit-image: 100 faces, then 100 pictures of anything else."""
    from skimage import data as pictures

    return np.asarray((pictures.lfw_subset() * 255).round(), np.uint8)


CONVOLUTIONS = ((1, 32, 1), (32, 64, 2), (64, 64, 1), (64, 64, 1), (64, 64, 1), (64, 64, 2))


def face_net(head: tuple[np.ndarray, np.ndarray] | None) -> bytes:
    """image (n, 1, 24, 24) through six drawn convolutions to features (n, 2304), or on to three logits."""
    rng = np.random.default_rng(0)
    g = Graph("faces")
    x = g.input("image", ["n", 1, 24, 24])
    for source, target, stride in CONVOLUTIONS:
        weight = g.constant((rng.normal(size=(target, source, 3, 3)) * np.sqrt(2 / (9 * source))).astype(np.float32))
        bias = g.constant((rng.normal(size=target) * 0.05).astype(np.float32))
        x = g.add("Relu", [g.add("Conv", [x, weight, bias], strides=[stride, stride], pads=[1, 1, 1, 1])])
    if head is None:
        g.add("Flatten", [x], out="features")
        g.output("features", ["n", 2304])
    else:
        g.add("Gemm", [g.add("Flatten", [x]), g.constant(head[0]), g.constant(head[1])], out="logits")
        g.output("logits", ["n", 3])
    return g.bytes()


@pytest.fixture(scope="module")
def faces() -> Case:
    """Face, face upside down, or no face: a head fitted here (ridge regression) to half of the people, judged on the others."""
    pictures, labels, halves = [], [], []
    for number, (face, other) in enumerate(zip(lfw()[:100], lfw()[100:], strict=True)):
        for mirror in (slice(None), slice(None, None, -1)):
            pictures += [face[:, mirror], face[::-1, mirror], other[:, mirror]]
            labels += [0, 1, 2]
            halves += [number % 2] * 3
    names = ("face", "upside down", "no face")
    image = {"tensor": "image", "kind": "image", "layout": "nchw", "color": "gray", "width_px": 24, "height_px": 24, "fit": "stretch"}
    contract = Contract(
        "face-expression",
        [{**image, "mean": [127.5], "scale": [1 / 64], "pad_value": [0.0]}],
        [{"tensor": "logits", "kind": "logits"}],
        {"kind": "softmax", "temperature": 1.0, "thresholds": [], "unknown_below": 0.0},
        [{"name": name} for name in names],
    )
    examples = data.examples(contract, Images(lambda i: pictures[i], tuple(labels), names), "LFW")
    learn, judge = (np.flatnonzero(np.array(halves) == half) for half in (0, 1))
    features = measure.run(face_net(None), examples.feeds).astype(np.float64)
    x, y = np.c_[features, np.ones(len(features))][learn], np.where(examples.truth[learn], 3.0, -3.0)
    weight = (x.T @ np.linalg.solve(x @ x.T + 0.3 * len(x) * np.eye(len(x)), y)).astype(np.float32)
    held_out = data.take(examples, judge, "faces held out")
    return Case(face_net((weight[:-1], weight[-1])), contract, held_out, [examples.feeds[int(i)] for i in learn[::5]], Bounds())


@pytest.fixture(scope="module")
def xception() -> Case:
    """The pack that ships. Its truth is what fp32 says where that is sure. At 8 to 128 channels it is slower in int8, so latency is off."""
    folder = PACKS / "xception-fer7"
    content = json.loads((folder / "pack.json").read_text(encoding="utf-8"))
    contract = Contract(content["task"], content["inputs"], content["outputs"], content["decode"], content["labels"])
    places = [slice(0, 23), slice(2, 25)]
    pictures = [face[y, x][:, ::way] for face in lfw()[:100] for y in places for x in places for way in (1, -1)]
    model = (folder / "model.fp32.onnx").read_bytes()
    everything = data.examples(contract, Images(lambda i: pictures[i], (0, 1) * (len(pictures) // 2), contract.names[:2]), "LFW")
    probs = measure.probabilities(contract, measure.run(model, everything.feeds))
    ordered = np.sort(probs, 1)
    sure = np.flatnonzero(ordered[:, -1] - ordered[:, -2] > 0.2)
    truth = tuple(int(label) for label in probs[sure].argmax(1))
    examples = data.examples(contract, Images(lambda i: pictures[sure[i]], truth, contract.names), "faces that fp32 is sure of")
    return Case(model, contract, examples, list(everything.feeds[::16]), Bounds(latency_ratio=None))


def spoiled(model: bytes, layer: str, channel: int = 3, factor: float = 1024.0) -> bytes:
    """One channel of a convolution made 1,024 times as large, and taken back by the next layer: to the bit the same in fp32, but whoever
    measures that tensor's range finds nothing of the other channels in 8 bits."""
    proto = onnx.load_from_string(model)
    stored = {value.name: value for value in proto.graph.initializer}

    def change(name: str, place: tuple[object, ...], by: float) -> None:
        value = numpy_helper.to_array(stored[name]).copy()
        value[place] *= np.float32(by)
        stored[name].CopyFrom(numpy_helper.from_array(value, name))

    node = next(node for node in proto.graph.node if node.name == layer)
    channels = stored[node.input[1]].dims[0]
    for name in node.input[1:]:
        change(name, (channel,), factor)
    tensor = node.output[0]
    while True:
        (reader,) = (node for node in proto.graph.node if tensor in node.input)
        if reader.op_type in ("Relu", "MaxPool", "Flatten"):
            tensor = reader.output[0]
            continue
        weight = stored[reader.input[1]]
        if reader.op_type == "Gemm":
            each = weight.dims[0] // channels
            change(weight.name, (slice(channel * each, (channel + 1) * each),), 1 / factor)
        else:
            assert reader.op_type == "Conv"
            change(weight.name, (channel,) if weight.dims[1] == 1 else (slice(None), channel), 1 / factor)
        return bytes(proto.SerializeToString(deterministic=True))


def test_int8_of_the_sound_network_passes_every_gate(faces: Case) -> None:
    int8 = static()
    findings = faces.judge(faces.model, int8)(int8.maker(faces.model, faces.calibration, frozenset()))
    assert all(finding.passed for finding in findings), findings
    assert findings[2].value < 0.9 and findings[3].value < 0.4


def test_a_spoiled_network_is_caught_and_saved_and_the_layer_named(faces: Case) -> None:
    int8, model = static(), spoiled(faces.model, "node_4")
    np.testing.assert_array_equal(measure.run(model, faces.examples.feeds), measure.run(faces.model, faces.examples.feeds))
    judge = faces.judge(model, int8)
    first = judge(int8.maker(model, faces.calibration, frozenset()))
    assert not first[0].passed and first[0].value > 0.3, "plain int8 ruins it"
    assert not first[1].passed and "'no face'" in first[1].detail

    found = repair.repair(model, int8, quantisable(model), judge, faces.calibration, first=first)
    assert found.onnx is not None and all(finding.passed for finding in found.findings), found.why
    assert set(found.repairs[-1].kept) == {"node_4", "node_6"}, "who writes and who reads the spoiled tensor"
    assert found.why in ("saved by keeping node_4 (Conv), node_6 (Conv) in fp32", "saved by keeping node_6 (Conv), node_4 (Conv) in fp32")
    assert found.sensitivity[1].error > 10 * found.sensitivity[2].error
    kept = {node.name: node.op_type for node in onnx.load_from_string(found.onnx).graph.node}
    assert judge(found.onnx)[0].passed and any("QLinear" in op for op in kept.values())


def test_a_network_that_is_spoiled_throughout_is_refused(faces: Case) -> None:
    int8, model = static(), faces.model
    for layer in quantisable(model)[:-1]:
        model = spoiled(model, layer)
    np.testing.assert_array_equal(measure.run(model, faces.examples.feeds), measure.run(faces.model, faces.examples.feeds))
    found = repair.repair(model, int8, quantisable(model), faces.judge(model, int8), faces.calibration)
    assert found.onnx is None and found.why.startswith("refused: with node_"), found.why
    assert "the accuracy gate fails" in found.why and "these classes lost too much: " in found.why
    assert all(layer.error > 0.3 for layer in found.sensitivity), "no layer can be quantised"
    assert not any(all(finding.passed for finding in one.findings) for one in found.repairs)


def test_the_pack_that_ships_is_saved_when_it_is_spoiled(xception: Case) -> None:
    int8, model = static(), spoiled(xception.model, "node_13", channel=5)
    sound = xception.judge(xception.model, int8)(int8.maker(xception.model, xception.calibration, frozenset()))
    assert all(finding.passed for finding in sound), sound
    judge = xception.judge(model, int8)
    first = judge(int8.maker(model, xception.calibration, frozenset()))
    assert not first[0].passed and first[0].value > 0.5 and not first[1].passed
    found = repair.repair(model, int8, quantisable(model), judge, xception.calibration[::2], first=first)
    assert found.onnx is not None, found.why
    assert set(found.repairs[-1].kept) == {"node_13", "node_15"} and len(found.sensitivity) == 23
    assert found.findings[0].value <= 0.01 and found.findings[3].value < 0.5
