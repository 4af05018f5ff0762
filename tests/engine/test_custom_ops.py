"""Our operators inside ONNX Runtime: they run in place of their bodies where a network uses them, and nowhere else. The bodies here are
wrong, so that a right answer can only be ours.
"""

from concurrent.futures import ThreadPoolExecutor

import affectrt as art
import custom_networks as networks
import kernel_reference
import numpy as np
import onnx
import onnxruntime
import pytest
from affectrt_export.functions import DOMAIN
from onnx import TensorProto, helper

LIMITS = {np.float32: 2e-5, np.float16: 4e-3}
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float16])


@DTYPES
@pytest.mark.parametrize("epsilon", [None, 0.1])
@pytest.mark.parametrize(("batch", "tokens", "width", "emotions"), [(1, 1, 2, 1), (2, 5, 12, 7), (3, 7, 31, 28)])
def test_emotion_layer_norm(tmp_path, dtype, epsilon, batch, tokens, width, emotions):
    inputs = networks.layernorm_inputs(dtype, batch, tokens, width, emotions)
    given = {} if epsilon is None else {"epsilon": epsilon}
    model = networks.save(tmp_path / "m.onnx", "EmotionLayerNorm", inputs, **given)
    got = art.Engine(model).run(inputs)["y"]
    assert got.dtype == dtype
    want = kernel_reference.emotion_layernorm(*inputs.values(), epsilon or 1e-5)
    np.testing.assert_allclose(got, want, rtol=LIMITS[dtype], atol=LIMITS[dtype])


@DTYPES
@pytest.mark.parametrize("scale", [None, 0.3])
def test_masked_attention(tmp_path, dtype, scale):
    inputs = networks.attention_inputs(dtype)
    model = networks.save(tmp_path / "m.onnx", "MaskedAttention", inputs, **({} if scale is None else {"scale": scale}))
    got = art.Engine(model).run(inputs)["y"]
    assert got.dtype == dtype
    want = kernel_reference.masked_attention(*inputs.values(), scale or 1.0)
    np.testing.assert_allclose(got, want, rtol=LIMITS[dtype], atol=LIMITS[dtype])


def test_elsewhere_the_body_runs(tmp_path):
    """Which is what shows that the answers above are ours."""
    inputs = networks.layernorm_inputs(np.float32)
    model = networks.save(tmp_path / "m.onnx", "EmotionLayerNorm", inputs)
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(session.run(None, inputs)[0], inputs["x"])
    assert np.abs(art.Engine(model).run(inputs)["y"] - inputs["x"]).max() > 0.1


def test_every_half_goes_in_and_comes_out(tmp_path):
    """One token attends to itself alone, so that its value is the result; two alike give their mean, rounded as NumPy rounds it."""
    value = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    value = value[~np.isnan(value)]
    inputs = networks.attention_inputs(np.float16, 1, 1, 1, 2, len(value)) | {
        "value": value.reshape(1, 1, 1, -1),
        "mask": np.ones((1, 1), bool),
    }
    engine = art.Engine(networks.save(tmp_path / "m.onnx", "MaskedAttention", inputs))
    np.testing.assert_array_equal(engine.run(inputs)["y"].ravel(), value)

    pairs = np.random.default_rng(1).permutation(value[np.isfinite(value)])[:60000].reshape(1, 1, 2, -1)
    inputs = networks.attention_inputs(np.float16, 1, 1, 2, 2, pairs.shape[-1]) | {"value": pairs, "mask": np.ones((1, 2), bool)}
    inputs["query"] = np.zeros_like(inputs["query"])
    want = (pairs.astype(np.float32).sum(axis=2) / 2).astype(np.float16)
    np.testing.assert_array_equal(engine.run(inputs)["y"][:, :, 0], want)


def test_nothing_to_do(tmp_path):
    inputs = networks.layernorm_inputs(np.float32)
    engine = art.Engine(networks.save(tmp_path / "m.onnx", "EmotionLayerNorm", inputs))
    assert engine.run(inputs | {"x": inputs["x"][:, :0]})["y"].shape == (2, 0, 12)


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch):
    """Without this a session on the CPU alone keeps the bodies, which are quicker there."""
    monkeypatch.setenv("AFFECTRT_OPERATORS_ON_CPU", "1")


@pytest.mark.parametrize(
    ("name", "change", "text"),
    [
        ("EmotionLayerNorm", {"probs": (1, 7)}, "EmotionLayerNorm: expected probs of shape (2, 7), got (1, 7)"),
        ("EmotionLayerNorm", {"table": (6, 12)}, "EmotionLayerNorm: expected table of shape (7, 12), got (6, 12)"),
        ("EmotionLayerNorm", {"beta": (1,)}, "EmotionLayerNorm: expected beta of shape (12), got (1)"),
        ("EmotionLayerNorm", {"probs": (2, 0), "table": (0, 12)}, "EmotionLayerNorm: emotion_layernorm: expected sizes of at least 1"),
        ("MaskedAttention", {"key_other": (2, 3, 7, 6)}, "MaskedAttention: expected key_other of shape (2, 3, 7, 5), got (2, 3, 7, 6)"),
        ("MaskedAttention", {"value": (2, 1, 7, 4)}, "MaskedAttention: expected value of shape (2, 3, 7, 4), got (2, 1, 7, 4)"),
        ("MaskedAttention", {"mask": (2, 8)}, "MaskedAttention: expected mask of shape (2, 7), got (2, 8)"),
    ],
)
def test_shapes_that_do_not_fit(tmp_path, name, change, text):
    make = networks.layernorm_inputs if name == "EmotionLayerNorm" else networks.attention_inputs
    inputs = make(np.float32)
    engine = art.Engine(networks.save(tmp_path / "m.onnx", name, inputs))
    for key, shape in change.items():
        inputs[key] = np.zeros(shape, inputs[key].dtype)
    with pytest.raises(art.EngineError) as error:
        engine.run(inputs)
    assert text in str(error.value)


def test_another_rank(tmp_path):
    inputs = networks.layernorm_inputs(np.float32)
    inputs["gamma"] = inputs["gamma"][None]
    engine = art.Engine(networks.save(tmp_path / "m.onnx", "EmotionLayerNorm", inputs))
    with pytest.raises(art.EngineError, match=r"EmotionLayerNorm: expected gamma with 1 dimensions, got shape \(1, 12\)"):
        engine.run(inputs)


def test_an_attribute_of_another_type(tmp_path):
    model = networks.save(tmp_path / "m.onnx", "MaskedAttention", networks.attention_inputs(np.float32), scale=3)
    with pytest.raises(art.EngineError, match=r"MaskedAttention: scale: .*type"):
        art.Engine(model)


def test_many_threads(tmp_path):
    inputs = networks.attention_inputs(np.float32)
    model = networks.save(tmp_path / "m.onnx", "MaskedAttention", inputs)
    want = kernel_reference.masked_attention(*inputs.values(), 1.0)

    def once(_):
        np.testing.assert_allclose(art.Engine(model).run(inputs)["y"], want, rtol=2e-5, atol=2e-5)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(once, range(24)))


def test_inputs_of_unknown_rank(tmp_path):
    """What comes behind the operator is not told a shape that nobody knows."""
    inputs = networks.layernorm_inputs(np.float32)
    path = networks.save(tmp_path / "m.onnx", "EmotionLayerNorm", inputs)
    model = onnx.load(path)
    graph = model.graph
    graph.node[0].input[0] = "reshaped"
    graph.node.insert(0, helper.make_node("Reshape", ["x", "shape"], ["reshaped"]))
    graph.node.append(helper.make_node("MatMul", ["y", "w"], ["z"]))
    graph.input.extend(
        [helper.make_tensor_value_info("shape", TensorProto.INT64, ["k"]), helper.make_tensor_value_info("w", TensorProto.FLOAT, [12, 3])]
    )
    graph.output[0].CopyFrom(helper.make_tensor_value_info("z", TensorProto.FLOAT, None))
    onnx.save(model, path)
    w = np.ones((12, 3), np.float32)
    got = art.Engine(path).run(inputs | {"shape": np.array(inputs["x"].shape), "w": w})["z"]
    np.testing.assert_allclose(got, kernel_reference.emotion_layernorm(*inputs.values(), 1e-5) @ w, rtol=2e-5, atol=2e-5)


def test_called_by_another_function(tmp_path):
    """Only the function says that it uses the domain, beside the model's list, which ONNX wants to name it too."""
    inputs = networks.layernorm_inputs(np.float32)
    path = networks.save(tmp_path / "m.onnx", "EmotionLayerNorm", inputs)
    model = onnx.load(path)
    names = list(inputs)
    inner = helper.make_node("EmotionLayerNorm", names, ["out"], domain=DOMAIN)
    imports = [helper.make_opsetid("", 17), helper.make_opsetid(DOMAIN, 1)]
    model.functions.append(helper.make_function("outer", "Block", names, ["out"], [inner], imports))
    model.graph.node[0].op_type, model.graph.node[0].domain = "Block", "outer"
    model.opset_import.append(helper.make_opsetid("outer", 1))
    onnx.save(model, path)
    got = art.Engine(path).run(inputs)["y"]
    np.testing.assert_allclose(got, kernel_reference.emotion_layernorm(*inputs.values(), 1e-5), rtol=2e-5, atol=2e-5)
