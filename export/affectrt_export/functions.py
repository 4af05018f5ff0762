"""Operators of ours as ONNX functions: a name in the domain "affectrt" with a body of standard operators, which any runtime can execute.

A runtime that has a kernel of the same name may put it in the body's place; csrc/ops/emotion_layernorm.cu and masked_attention.cu compute
the same. `add_functions` makes a model carry the bodies of those of ours that it uses.
"""

from __future__ import annotations

from collections.abc import Callable

import onnx
from onnx import FunctionProto, ModelProto, helper

DOMAIN = "affectrt"
VERSION = 1
OPSET = 17  # LayerNormalization is a standard operator from here on


def emotion_layer_norm() -> FunctionProto:
    """EmotionLayerNorm(x, probs, table, gamma, beta; epsilon = 1e-5): LayerNorm(x + probs @ table) * gamma + beta.

    x: (batch, tokens, width), probs: (batch, emotions), of which one 1 and else 0 is a plain lookup, table: (emotions, width), gamma and
    beta: (width); all float32 or all float16. Row 1 of the systems this SDK brings on device: Goel et al., arXiv 2204.11320.
    """
    nodes = [
        helper.make_node("MatMul", ["probs", "table"], ["mix"]),
        helper.make_node("Constant", [], ["token_axis"], value_ints=[1]),
        helper.make_node("Unsqueeze", ["mix", "token_axis"], ["mix_of_text"]),
        helper.make_node("Add", ["x", "mix_of_text"], ["sum"]),
        _with_reference(helper.make_node("LayerNormalization", ["sum", "gamma", "beta"], ["out"], axis=-1), "epsilon"),
    ]
    return _function("EmotionLayerNorm", ["x", "probs", "table", "gamma", "beta"], nodes, epsilon=1e-5)


def masked_attention() -> FunctionProto:
    """MaskedAttention(query, key_same, key_other, value, speakers, mask; scale = 1): attention whose keys depend on who speaks.

    softmax over j of scale * <query i, speakers equal ? key_same j : key_other j>, times value. query and keys: (batch, heads, tokens, key
    width), value: (batch, heads, tokens, value width), all float32 or all float16; speakers: (batch, tokens) int64; mask: (batch, tokens)
    bool, false where a token is padding. Where all tokens are padding, zeros come out. Row 16: EmotionIC, arXiv 2303.11117.
    """
    node = helper.make_node
    nodes = [
        node("Constant", [], ["one"], value_ints=[1]),
        node("Constant", [], ["two"], value_ints=[2]),
        node("Constant", [], ["both"], value_ints=[1, 2]),
        node("Unsqueeze", ["speakers", "two"], ["of_query"]),
        node("Unsqueeze", ["speakers", "one"], ["of_key"]),
        node("Equal", ["of_query", "of_key"], ["same_of_text"]),
        node("Unsqueeze", ["same_of_text", "one"], ["same"]),
        node("Transpose", ["key_same"], ["key_same_t"], perm=[0, 1, 3, 2]),
        node("Transpose", ["key_other"], ["key_other_t"], perm=[0, 1, 3, 2]),
        node("MatMul", ["query", "key_same_t"], ["logits_same"]),
        node("MatMul", ["query", "key_other_t"], ["logits_other"]),
        node("Where", ["same", "logits_same", "logits_other"], ["chosen"]),
        _with_reference(node("Constant", [], ["scale_value"]), "value_float", "scale"),
        node("CastLike", ["scale_value", "query"], ["scale_like"]),
        node("Mul", ["chosen", "scale_like"], ["logits"]),
        # The least finite half, so that a row of padding alone gives no NaN; what padding gets is taken away after the softmax.
        node("Constant", [], ["least_value"], value_float=-65504.0),
        node("CastLike", ["least_value", "query"], ["least"]),
        node("Unsqueeze", ["mask", "both"], ["real"]),
        node("Where", ["real", "logits", "least"], ["masked"]),
        node("Softmax", ["masked"], ["softened"], axis=-1),
        node("CastLike", ["real", "query"], ["real_like"]),
        node("Mul", ["softened", "real_like"], ["weights"]),
        node("MatMul", ["weights", "value"], ["out"]),
    ]
    return _function("MaskedAttention", ["query", "key_same", "key_other", "value", "speakers", "mask"], nodes, scale=1.0)


FUNCTIONS: dict[str, Callable[[], FunctionProto]] = {"EmotionLayerNorm": emotion_layer_norm, "MaskedAttention": masked_attention}


def add_functions(model: ModelProto) -> ModelProto:
    """Adds the bodies of all functions of this domain that the graph calls, in place. Raises ValueError for a name there is not."""
    used = sorted({node.op_type for node in model.graph.node if node.domain == DOMAIN})
    present = {function.name for function in model.functions if function.domain == DOMAIN}
    for name in used:
        if name not in FUNCTIONS:
            raise ValueError(f"expected one of {', '.join(FUNCTIONS)} in domain {DOMAIN}, got {name}")
        if name not in present:
            model.functions.append(FUNCTIONS[name]())
    if used and all(opset.domain != DOMAIN for opset in model.opset_import):
        model.opset_import.append(helper.make_opsetid(DOMAIN, VERSION))
    return model


def _function(name: str, inputs: list[str], nodes: list[onnx.NodeProto], **defaults: float) -> FunctionProto:
    function: FunctionProto = helper.make_function(DOMAIN, name, inputs, ["out"], nodes, [helper.make_opsetid("", OPSET)])
    # With a default, a call may leave the attribute out.
    function.attribute_proto.extend(helper.make_attribute(attribute, value) for attribute, value in defaults.items())
    return function


def _with_reference(node: onnx.NodeProto, attribute: str, refers_to: str = "") -> onnx.NodeProto:
    """A float attribute of the node that is the function's own."""
    reference = onnx.AttributeProto(name=attribute, ref_attr_name=refers_to or attribute)
    reference.type = onnx.AttributeProto.FLOAT
    node.attribute.append(reference)
    return node
