"""A dynamic int8 network brought back to a master: what its operators stand for, what is derived from it, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import affectrt
import numpy as np
import numpy.typing as npt
import onnx
import pytest
from affectrt.packs import Pack, open_pack
from affectrt_export import derived, minilm
from affectrt_export.quantize import columns, rows
from affectrt_export.runner import Onnx
from affectrt_export.spec import ExportError
from affectrt_export.tensorrt.build import build, parses
from affectrt_export.variants import Options, derive
from affectrt_export.variants.int8_dynamic import Dynamic
from affectrt_export.variants.int8_static import Static
from affectrt_export.variants.net import MICROSOFT
from affectrt_export.variants.optimise import census
from affectrt_export.variants.qdq import channels
from affectrt_export.variants.undo_dynamic import is_dynamic, undo
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from variant_nets import answers, changed, constants, convnet, encoder, error, graph, pictures, sentences

F32 = npt.NDArray[np.float32]
NONE: frozenset[str] = frozenset()
SAID = """Thank you so much for helping me move last weekend.
What a beautiful drawing, you are really talented.
I can't believe you forgot my birthday again.
Are you sure this is the right way to the station?
I am so nervous about the interview tomorrow.
That joke made me laugh until I cried.
I'm sorry, I should not have said that to you.
This soup tastes disgusting, take it away.
Wow, I did not see that coming at all!
I love you more than anything in the world.
Please be careful on the icy road tonight.
I wish I had a dog of my own.
He died last year and I still think of him every day.
I don't agree with you, that is simply wrong.
We could win this if we keep going.
I am proud of what my daughter has done.
The meeting is at three in the small room.
Somebody is following me and I am scared.
It all makes sense now, I had the wrong key.
Thank goodness, the test came back negative.
I feel awful about breaking your vase.
How does this machine work inside?
You are an idiot and I hate you.
I was hoping for more than this.
Yes, that sounds like a good plan.
I blushed when everybody turned round to look at me.
Let's go, let's go, the concert starts in an hour!
I have no idea what you are talking about.
My neighbour keeps parking in front of my door.
There are twelve eggs in the box.
You can do it, I believe in you.
It's raining again and I have nothing to do.
Could you tell me more about your journey to Japan?
The cat sat on the mat.
Nobody came to my party.
Everything will be fine in the end.
I finally passed the exam!
I miss my grandmother so much, the house feels empty.
The train leaves at half past nine from platform two.
Stop it! I am sick of this noise, it drives me mad.""".splitlines()


@pytest.fixture(scope="module")
def carried() -> Pack:
    return open_pack("minilm-goemotions")


@pytest.fixture(scope="module")
def int8(carried: Pack) -> bytes:
    return carried.variant("int8").path.read_bytes()


@pytest.fixture(scope="module")
def master(int8: bytes) -> bytes:
    return undo(int8)


@pytest.fixture(scope="module")
def said(carried: Pack) -> list[dict[str, npt.NDArray[np.int64]]]:
    tokenizer = Tokenizer.from_file(str(carried.file("tokenizer.json")))
    every = [np.array([tokenizer.encode(text).ids], np.int64) for text in SAID]
    return [{"input_ids": ids, "attention_mask": np.ones_like(ids)} for ids in every]


def test_the_carried_text_pack_is_brought_back_but_for_the_rounding_of_activations(
    int8: bytes, master: bytes, said: list[dict[str, npt.NDArray[np.int64]]]
) -> None:
    assert {node.domain for node in graph(master).node} == {""} and not any("Quantize" in op for op in census(master))
    assert len(master) < 1.01 * len(int8) and undo(int8) == master
    rounded, exact = answers(int8, said), answers(master, said)
    assert 1e-3 < error(int8, master, said) < 0.03  # measured: 0.017
    assert (rounded.argmax(1) == exact.argmax(1)).sum() >= len(SAID) - 1
    probabilities = [1 / (1 + np.exp(-logits)).ravel() for logits in (rounded, exact)]
    assert np.corrcoef(*probabilities)[0, 1] > 0.998 and np.abs(np.subtract(*probabilities)).max() < 0.1
    np.testing.assert_array_equal(answers(derive(master, "fp32"), said[:4]), exact[:4])
    assert error(master, derive(master, "fp16"), said) < 2e-3


def test_tensorrt_takes_what_is_derived_from_it(carried: Pack, master: bytes, said: list[dict[str, npt.NDArray[np.int64]]]) -> None:
    half, whole = derive(master, "fp16"), derive(master, "fp32")
    assert parses(whole) == [] == parses(half)
    assert len(build(half, contract=carried.manifest["inputs"]).data) > 0.9 * len(half)
    assert parses(derive(master, "int8-trt", said[:4])) == []


def test_a_pack_without_a_master_is_derived_from_its_int8(carried: Pack, tmp_path: Path) -> None:
    result = derived.derive("minilm-goemotions", "fp16", tmp_path)
    assert result.passed and result.pack == tmp_path / "minilm-goemotions"
    text = (result.report / "report.md").read_text()
    assert "Derived from the variant 'int8', its dynamic quantisation undone" in text and "activations are no longer rounded" in text
    made = open_pack(str(result.pack))
    assert made.variants == ("fp16",) and made.manifest["decode"] == carried.manifest["decode"]
    both = affectrt.TextEmotion(str(result.pack)), affectrt.TextEmotion("minilm-goemotions")
    for text in SAID[:6]:
        half, small = (network(text) for network in both)
        assert half.label == small.label and np.abs(half.probs - small.probs).max() < 0.1


def test_what_answers_otherwise_than_its_int8_is_not_derived_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def spoiled(model: bytes) -> bytes:
        made = undo(model)
        return changed(made, "head_107", -constants(made)["head_107"])

    monkeypatch.setattr(derived, "undo", spoiled)
    with pytest.raises(ExportError, match=r"a cosine of at least 0\.98 to its own were expected, golden input 'exam' has -?\d"):
        derived.derive("minilm-goemotions", "fp16", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_pack_with_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="a variant 'master', or a dynamic int8 one, was expected to derive from, it has fp32"):
        derived.derive("xception-fer7", "fp16", tmp_path)


def test_the_dynamic_maker_undone_is_the_network_with_its_weights_rounded() -> None:
    model, some = encoder(3), sentences()
    made = undo(Dynamic(Options())(model, (), NONE))
    assert {node.domain for node in graph(made).node} == {""} and census(made)["Erf"] == 2
    exact = model
    for name, value in constants(model).items():
        if value.ndim == 2 and value.size >= 6 * 64:
            table = name.startswith("words")
            small, scale = rows(value) if table else channels(value, 1, Options().weight_limit)
            exact = changed(exact, name, small.astype(np.float32) * scale)
    assert error(model, exact, some) > 1e-3
    np.testing.assert_allclose(answers(made, some), answers(exact, some), atol=1e-4)
    assert error(made, derive(made, "fp16"), some) < 3e-3
    assert error(made, derive(made, "int8-trt", some), some) < 0.12
    with pytest.raises(ExportError, match="the master holds no ranges"):
        derive(made, "int8-trt")


def test_the_recipe_of_the_text_pack_undone_is_its_fp32_with_rounded_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "LAYERS", 2)
    monkeypatch.setattr(minilm, "FEATURES", 4 * minilm.WIDTH)
    rng, width = np.random.default_rng(0), minilm.WIDTH
    tables = {f"embeddings.{what}_embeddings.weight": (n, width) for what, n in (("word", 40), ("position", 64), ("token_type", 2))}
    dense, norms = [], ["embeddings"]
    for key in ("encoder.layer.0.", "encoder.layer.1."):
        dense += [(f"{key}attention.self.{name}", width, width) for name in ("query", "key", "value")]
        dense += [(f"{key}attention.output.dense", width, width)]
        dense += [(f"{key}intermediate.dense", 4 * width, width), (f"{key}output.dense", width, 4 * width)]
        norms += [f"{key}attention.output", f"{key}output"]
    weights = {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in tables.items()}
    weights |= {f"{name}.weight": rng.normal(0, 0.1, (to, of)).astype(np.float32) for name, to, of in dense}
    weights |= {f"{name}.bias": rng.normal(0, 0.1, to).astype(np.float32) for name, to, _ in dense}
    for name in norms:
        weights |= {f"{name}.LayerNorm.weight": np.ones(width, np.float32), f"{name}.LayerNorm.bias": np.zeros(width, np.float32)}
    head = minilm.Head(rng.normal(0, 0.05, (minilm.FEATURES, 5)).astype(np.float32), np.zeros(5, np.float32))
    made = undo(minilm.build(weights, head, "int8", 64))
    rounded = dict(weights)
    for name, _, _ in dense:
        small, scale = columns(np.ascontiguousarray(weights[f"{name}.weight"].T))
        rounded[f"{name}.weight"] = (small.astype(np.float32) * scale).T
    small, scale = rows(weights["embeddings.word_embeddings.weight"])
    rounded["embeddings.word_embeddings.weight"] = small.astype(np.float32) * scale
    ids, mask = rng.integers(0, 40, (3, 12)), np.ones((3, 12), np.int64)
    mask[1, 7:], mask[2, 2:] = 0, 0
    feeds = [{"input_ids": ids, "attention_mask": mask}]
    expected = answers(minilm.build(rounded, head, "fp32", 64), feeds)
    np.testing.assert_allclose(answers(made, feeds), expected, atol=1e-4 * np.abs(expected).max())
    assert error(minilm.build(weights, head, "fp32", 64), made, feeds) > 1e-3


def attention(
    zero: npt.NDArray[Any] | None = None,
    scale: int = 36,
    mask: tuple[str, ...] | None = ("n", "t"),
    quantised: bool = True,
    **attributes: Any,
) -> bytes:
    """x (n, t, 8) and a mask to y (n, t, 12): QAttention of 3 heads alone, its weights unsigned where there is a zero point."""
    rng = np.random.default_rng(5)
    weight = rng.integers(-63, 64, (8, 36)).astype(np.int8)
    if zero is not None:
        weight = (weight.astype(np.int16) + 128).astype(np.uint8)
    known = {"w": weight, "b": rng.normal(0, 0.5, 36).astype(np.float32), "s": rng.uniform(1e-4, 2e-4, scale).astype(np.float32)}
    known |= {} if zero is None else {"z": zero}
    known |= {} if quantised else {"xs": np.float32(1), "xz": np.uint8(128)}
    nodes = [helper.make_node("DynamicQuantizeLinear", ["x"], ["xq", "xs", "xz"])]
    if not quantised:
        nodes = [helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"])]
    inputs = ["xq", "w", "b", "xs", "s", "mask" if mask else "", "xz", "z" if zero is not None else ""]
    nodes.append(helper.make_node("QAttention", inputs, ["y"], name="attention", domain=MICROSOFT, **{"num_heads": 3, **attributes}))
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", "t", 8])]
    given += [helper.make_tensor_value_info("mask", TensorProto.INT32, list(mask))] if mask else []
    return saved(nodes, given, helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", "t", 12]), known)


def saved(
    nodes: list[onnx.NodeProto], given: list[onnx.ValueInfoProto], made: onnx.ValueInfoProto, known: dict[str, npt.NDArray[Any]]
) -> bytes:
    body = helper.make_graph(nodes, "g", given, [made], [numpy_helper.from_array(v, n) for n, v in known.items()])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(MICROSOFT, 1)]
    return bytes(helper.make_model(body, opset_imports=opsets, ir_version=8).SerializeToString())


def whole_numbers(*shape: int) -> F32:
    """Values that DynamicQuantizeLinear holds exactly: whole, from -128 to 127, both of them there."""
    value = np.random.default_rng(1).integers(-128, 128, shape).astype(np.float32)
    value.flat[:2] = -128, 127
    return value


@pytest.mark.parametrize(
    "made",
    [
        attention(),
        attention(mask=None),
        attention(scale=1),
        attention(mask_filter_value=-2.0),
        attention(np.full((1,), 128, np.uint8)),
        attention(np.full((1,), 100, np.uint8), scale=1),
        attention(np.full((1,), 7, np.uint8)),
    ],
    ids=["plain", "no mask", "one scale", "weak mask", "zero point", "another zero point", "beyond int8"],
)
def test_attention_is_what_the_operator_computes(made: bytes) -> None:
    feeds: dict[str, npt.NDArray[Any]] = {"x": whole_numbers(2, 5, 8)}
    if "mask" in [value.name for value in graph(made).input]:
        feeds["mask"] = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 2, -1]], np.int32)
    expected = Onnx(made)(feeds)["y"]
    got = Onnx(undo(made))(feeds)["y"]
    np.testing.assert_allclose(got, expected, atol=2e-5 * np.abs(expected).max())
    assert np.abs(expected[0, 0] - expected[0, 1]).max() > 1e-3, "words attend differently, or nothing is shown"


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("zero", [None, 128])
def test_a_product_is_what_the_operator_computes(bias: bool, zero: int | None) -> None:
    rng = np.random.default_rng(2)
    weight = rng.integers(-63, 64, (8, 6)).astype(np.int8)
    if zero is not None:
        weight = (weight.astype(np.int16) + zero).astype(np.uint8)
    known: dict[str, npt.NDArray[Any]] = {"w": weight, "s": rng.uniform(0.01, 0.02, 6).astype(np.float32)}
    known |= {} if zero is None else {"z": np.full(6, zero, np.uint8)}
    known |= {"b": rng.normal(size=6).astype(np.float32)} if bias else {}
    inputs = ["x", "w", "s", "z" if zero is not None else "", *(["b"] if bias else [])]
    node = helper.make_node("DynamicQuantizeMatMul", inputs, ["p"], domain=MICROSOFT)
    last = helper.make_node("Gelu", ["p"], ["y"], domain=MICROSOFT)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "t", size]) for name, size in (("x", 8), ("y", 6)))
    made, feeds = saved([node, last], [x], y, known), {"x": whole_numbers(2, 3, 8) / 64}
    assert census(undo(made))["Cast"] == 1
    np.testing.assert_allclose(Onnx(undo(made))(feeds)["y"], Onnx(made)(feeds)["y"], atol=1e-5)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (attention(unidirectional=1), "QAttention 'attention': plain attention over all words was expected"),
        (attention(mask=("n",)), r"QAttention 'attention': a mask \(batch, words\) was expected, mask has 1 axes"),
        (attention(quantised=False), "QAttention 'attention': an input by DynamicQuantizeLinear was expected"),
    ],
    ids=["one direction", "mask of lengths", "static"],
)
def test_attention_of_other_kinds_is_refused(made: bytes, said: str) -> None:
    with pytest.raises(ExportError, match=said):
        undo(made)


def test_what_cannot_be_undone_is_named() -> None:
    dynamic = Dynamic(Options())(encoder(), (), NONE)
    for other in (b"nothing", convnet(), Static(Options())(convnet(), pictures(), NONE)):
        assert not is_dynamic(other)
        with pytest.raises(ExportError, match="a dynamic int8 network was expected"):
            undo(other)
    strange = onnx.load_from_string(dynamic)
    gelu = next(node for node in strange.graph.node if node.op_type == "Gelu")
    gelu.op_type, gelu.name = "QuickGelu", "layer.3"
    with pytest.raises(ExportError, match=r"com\.microsoft\.QuickGelu 'layer\.3' cannot be undone; .*QAttention"):
        undo(strange.SerializeToString())
    computed = onnx.load_from_string(dynamic)
    node = next(node for node in computed.graph.node if node.op_type == "DynamicQuantizeMatMul")
    node.input[1] = "elsewhere"
    with pytest.raises(ExportError, match=f"DynamicQuantizeMatMul '{node.name}': constant weights in 8 bits"):
        undo(computed.SerializeToString())
