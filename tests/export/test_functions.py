"""Our operators as ONNX functions: ONNX Runtime's result of their bodies, the CPU twins' and NumPy's."""

import kernel_reference
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from affectrt import _core
from affectrt_export.functions import DOMAIN, FUNCTIONS, add_functions
from onnx import TensorProto, helper

KINDS = {np.float32: TensorProto.FLOAT, np.float16: TensorProto.FLOAT16, np.int64: TensorProto.INT64, np.bool_: TensorProto.BOOL}


def call(name, inputs, **attributes):
    """The function's result by ONNX Runtime, with free sizes."""
    infos = [helper.make_tensor_value_info(k, KINDS[v.dtype.type], [f"{k}{i}" for i in range(v.ndim)]) for k, v in inputs.items()]
    first = next(iter(inputs.values()))
    kind, rank = first.dtype.type, first.ndim
    node = helper.make_node(name, list(inputs), ["y"], domain=DOMAIN, **attributes)
    graph = helper.make_graph([node], "g", infos, [helper.make_tensor_value_info("y", KINDS[kind], [f"y{i}" for i in range(rank)])])
    model = add_functions(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9))
    onnx.checker.check_model(model, full_check=True)
    return ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, inputs)[0]


@pytest.mark.parametrize(("dtype", "limit"), [(np.float32, 2e-5), (np.float16, 8e-3)])
@pytest.mark.parametrize("epsilon", [None, 0.1])
@pytest.mark.parametrize(("batch", "tokens", "width", "emotions"), [(1, 1, 2, 1), (2, 5, 12, 7), (3, 7, 31, 28)])
def test_emotion_layer_norm(dtype, limit, epsilon, batch, tokens, width, emotions):
    rng = np.random.default_rng(width)
    shapes = {"x": (batch, tokens, width), "probs": (batch, emotions), "table": (emotions, width), "gamma": (width,), "beta": (width,)}
    inputs = {name: rng.normal(0, 1, shape).astype(dtype) for name, shape in shapes.items()}
    inputs["probs"] = rng.dirichlet(np.ones(emotions), batch).astype(dtype)
    got = call("EmotionLayerNorm", inputs, **({} if epsilon is None else {"epsilon": epsilon}))
    assert got.dtype == dtype
    want = kernel_reference.emotion_layernorm(*inputs.values(), epsilon or 1e-5)
    np.testing.assert_allclose(got, want, rtol=limit, atol=limit)
    twin = _core.emotion_layernorm(*(v.astype(np.float32) for v in inputs.values()), epsilon=epsilon or 1e-5)
    np.testing.assert_allclose(twin, want, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(("dtype", "limit"), [(np.float32, 2e-5), (np.float16, 8e-3)])
@pytest.mark.parametrize("scale", [None, 0.3])
@pytest.mark.parametrize("padding", ["none", "some", "one text"])
def test_masked_attention(dtype, limit, scale, padding):
    rng = np.random.default_rng(3)
    batch, heads, tokens, width, value_width = 2, 3, 7, 5, 4
    inputs = {name: rng.normal(0, 1, (batch, heads, tokens, width)).astype(dtype) for name in ("query", "key_same", "key_other")}
    inputs["value"] = rng.normal(0, 1, (batch, heads, tokens, value_width)).astype(dtype)
    inputs["speakers"] = rng.integers(0, 3, (batch, tokens))
    mask = np.ones((batch, tokens), bool)
    if padding == "some":
        mask = rng.uniform(size=mask.shape) < 0.6
        mask[:, 0] = True
    elif padding == "one text":
        mask[1] = False
    inputs["mask"] = mask
    got = call("MaskedAttention", inputs, **({} if scale is None else {"scale": scale}))
    assert got.dtype == dtype
    want = kernel_reference.masked_attention(*inputs.values(), scale or 1.0)
    np.testing.assert_allclose(got, want, rtol=limit, atol=limit)
    floats = [inputs[name].astype(np.float32) for name in ("query", "key_same", "key_other", "value")]
    twin = _core.masked_attention(*floats, inputs["speakers"].ravel().tolist(), mask.ravel().tolist(), scale=scale or 1.0)
    np.testing.assert_allclose(twin, want, rtol=2e-5, atol=2e-5)


def test_only_what_is_used_is_added_and_once():
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 2])
    node = helper.make_node("EmotionLayerNorm", ["x"] * 5, ["y"], domain=DOMAIN)
    model = helper.make_model(helper.make_graph([node, node], "g", [x], []))
    assert [f.name for f in add_functions(add_functions(model)).functions] == ["EmotionLayerNorm"]
    assert [o.version for o in model.opset_import if o.domain == DOMAIN] == [1]
    assert set(FUNCTIONS) == {"EmotionLayerNorm", "MaskedAttention"}


def test_a_name_there_is_not():
    model = helper.make_model(helper.make_graph([helper.make_node("Nothing", [], ["y"], domain=DOMAIN)], "g", [], []))
    with pytest.raises(ValueError, match="expected one of EmotionLayerNorm, MaskedAttention in domain affectrt, got Nothing"):
        add_functions(model)
