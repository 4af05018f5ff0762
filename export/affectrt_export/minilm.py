"""MiniLM sentence encoder with pooled layers and a linear head, written as ONNX straight from its weights.

Two graphs of the same network: `fp32` in standard operators only (any provider), and `int8` for CPUs, in ONNX Runtime's fused
operators: weights 8 bits a column, activations quantised as they come. The features that the head reads are, side by side, the mean
over the words of each layer, the maximum over the words of the last, and its first word: all are by-products of one pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from affectrt_export.onnx_graph import MICROSOFT, Graph
from affectrt_export.quantize import columns, rows

F32 = npt.NDArray[np.float32]
Weights = Mapping[str, F32]

LAYERS, HEADS, WIDTH = 6, 12, 384
FEATURES = (LAYERS + 2) * WIDTH
EPSILON = 1e-12


@dataclass(frozen=True)
class Head:
    """A linear layer on the features: weight (FEATURES, C), bias (C,)."""

    weight: F32
    bias: F32


def build(weights: Weights, head: Head | None, precision: str, max_tokens: int) -> bytes:
    """ONNX file bytes: input_ids, attention_mask (n, t) int64 to logits (n, C), or to features (n, FEATURES) without a head."""
    if precision not in ("fp32", "int8"):
        raise ValueError(f"precision {precision!r} must be fp32 or int8")
    builder = _Fp32(weights, max_tokens) if precision == "fp32" else _Int8(weights, max_tokens)
    return builder.build(head)


class _Fp32:
    """The network in standard operators."""

    name = "minilm"

    def __init__(self, weights: Weights, max_tokens: int) -> None:
        self.weights, self.max_tokens, self.graph = weights, max_tokens, Graph(self.name)

    def build(self, head: Head | None) -> bytes:
        g = self.graph
        ids = g.input("input_ids", ["n", "t"], TensorProto.INT64)
        mask = g.input("attention_mask", ["n", "t"], TensorProto.INT64)
        self.mask = mask
        self.prepare(mask)
        real = g.add("Cast", [mask], to=TensorProto.FLOAT)
        share = g.add("Div", [real, g.add("ReduceSum", [real, self._ints([1])], keepdims=1)])
        share = g.add("Unsqueeze", [share, self._ints([1])])  # (n, 1, t): the mean over words is a product with it
        x = self._norm(self.embedding(ids), "embeddings")
        pooled = []
        for layer in range(LAYERS):
            x = self._layer(x, f"encoder.layer.{layer}.")
            pooled.append(g.add("MatMul", [share, x]))
        absent = g.add("Mul", [g.add("Sub", [real, g.constant(np.float32(1))]), g.constant(np.float32(1e4))])
        masked = g.add("Add", [x, g.add("Unsqueeze", [absent, self._ints([2])])])
        pooled.append(g.add("ReduceMax", [masked], axes=[1], keepdims=1))
        pooled.append(g.add("Slice", [x, self._ints([0]), self._ints([1]), self._ints([1])]))
        features = g.add("Concat", pooled, axis=2)
        if head is None:
            g.add("Reshape", [features, self._ints([-1, FEATURES])], out="features")
            g.output("features", ["n", FEATURES])
        else:
            flat = g.add("Reshape", [features, self._ints([-1, FEATURES])])
            g.add("Gemm", [flat, g.constant(head.weight, "head"), g.constant(head.bias, "head")], out="logits")
            g.output("logits", ["n", head.bias.shape[0]])
        return g.bytes()

    def prepare(self, mask: str) -> None:
        """What the attention of every layer needs of the mask."""
        g = self.graph
        gap = g.add("Sub", [g.add("Cast", [mask], to=TensorProto.FLOAT), g.constant(np.float32(1))])
        gap = g.add("Mul", [gap, g.constant(np.float32(1e4))])
        self.bias = g.add("Unsqueeze", [gap, self._ints([1, 2])])

    def words(self, ids: str) -> str:
        """(n, t, WIDTH) of the word table."""
        return self.graph.add("Gather", [self.graph.constant(self.weights["embeddings.word_embeddings.weight"], "words"), ids])

    def embedding(self, ids: str) -> str:
        """Words and positions; every sentence is of type 0, so that row is part of the positions."""
        g, w = self.graph, self.weights
        place = w["embeddings.position_embeddings.weight"][: self.max_tokens] + w["embeddings.token_type_embeddings.weight"][0]
        length = g.add("Slice", [g.add("Shape", [ids]), self._ints([1]), self._ints([2])])
        places = g.add("Slice", [g.constant(place, "places"), self._ints([0]), length, self._ints([0])])
        return g.add("Add", [self.words(ids), places])

    def linear(self, x: str, weight: F32, bias: F32) -> str:
        """`weight` is (in, out)."""
        product = self.graph.add("MatMul", [x, self.graph.constant(weight, "weight")])
        return self.graph.add("Add", [product, self.graph.constant(bias, "bias")])

    def attention(self, x: str, weight: F32, bias: F32) -> str:
        """Self-attention, without the projection after it: (n, t, WIDTH)."""
        g, size = self.graph, WIDTH // HEADS
        weight, bias = weight.copy(), bias.copy()
        weight[:, :WIDTH] /= np.sqrt(size)
        bias[:WIDTH] /= np.sqrt(size)
        joined = self.linear(x, weight, bias)
        parts = g.add("Split", [joined, self._ints([WIDTH] * 3)], outputs=3, axis=2)
        heads = [g.add("Reshape", [f"{parts}{end}", self._ints([0, 0, HEADS, size])]) for end in ("", ".1", ".2")]
        query = g.add("Transpose", [heads[0]], perm=[0, 2, 1, 3])
        key = g.add("Transpose", [heads[1]], perm=[0, 2, 3, 1])
        value = g.add("Transpose", [heads[2]], perm=[0, 2, 1, 3])
        scores = g.add("Softmax", [g.add("Add", [g.add("MatMul", [query, key]), self.bias])], axis=-1)
        seen = g.add("Transpose", [g.add("MatMul", [scores, value])], perm=[0, 2, 1, 3])
        return g.add("Reshape", [seen, self._ints([0, 0, WIDTH])])

    def gelu(self, x: str) -> str:
        """Exact GELU."""
        g = self.graph
        bell = g.add("Erf", [g.add("Div", [x, g.constant(np.float32(np.sqrt(2)))])])
        return g.add("Mul", [g.add("Mul", [x, g.add("Add", [bell, g.constant(np.float32(1))])]), g.constant(np.float32(0.5))])

    def add_norm(self, x: str, skip: str, key: str) -> str:
        """Residual sum, then layer normalisation."""
        return self._norm(self.graph.add("Add", [x, skip]), key)

    def _norm(self, x: str, key: str) -> str:
        g, w = self.graph, self.weights
        scale, bias = (g.constant(w[f"{key}.LayerNorm.{part}"], "norm") for part in ("weight", "bias"))
        return g.add("LayerNormalization", [x, scale, bias], axis=-1, epsilon=EPSILON)

    def _layer(self, x: str, key: str) -> str:
        w = self.weights
        parts = [key + "attention.self." + name for name in ("query", "key", "value")]
        weight = np.concatenate([w[p + ".weight"].T for p in parts], 1)
        bias = np.concatenate([w[p + ".bias"] for p in parts])
        seen = self._dense(self.attention(x, weight, bias), key + "attention.output.dense")
        x = self.add_norm(seen, x, key + "attention.output")
        hidden = self.gelu(self._dense(x, key + "intermediate.dense"))
        return self.add_norm(self._dense(hidden, key + "output.dense"), x, key + "output")

    def _dense(self, x: str, key: str) -> str:
        return self.linear(x, np.ascontiguousarray(self.weights[key + ".weight"].T), self.weights[key + ".bias"])

    def _ints(self, values: list[int]) -> str:
        return self.graph.constant(np.array(values, np.int64), "shape")


class _Int8(_Fp32):
    """The same in ONNX Runtime's operators for CPUs. Its SkipLayerNormalization is not among them: with Add and LayerNormalization, as
    above, the whole network is an eighth faster."""

    name = "minilm_int8"

    def prepare(self, mask: str) -> None:
        self.mask32 = self.graph.add("Cast", [mask], to=TensorProto.INT32)

    def words(self, ids: str) -> str:
        g = self.graph
        table, scale = rows(self.weights["embeddings.word_embeddings.weight"])
        picked = g.add("Cast", [g.add("Gather", [g.constant(table, "words"), ids])], to=TensorProto.FLOAT)
        return g.add("Mul", [picked, g.add("Gather", [g.constant(scale, "words"), ids])])

    def linear(self, x: str, weight: F32, bias: F32) -> str:
        g = self.graph
        table, scale = columns(weight)
        inputs = [x, g.constant(table, "weight"), g.constant(scale, "scale"), "", g.constant(bias, "bias")]
        return g.add("DynamicQuantizeMatMul", inputs, domain=MICROSOFT)

    def attention(self, x: str, weight: F32, bias: F32) -> str:
        g = self.graph
        table, scale = columns(weight)
        small = g.add("DynamicQuantizeLinear", [x], outputs=3)
        inputs = [small, g.constant(table, "weight"), g.constant(bias, "bias"), small + ".1", g.constant(scale, "scale"), self.mask32]
        return g.add("QAttention", [*inputs, small + ".2"], domain=MICROSOFT, num_heads=HEADS)

    def gelu(self, x: str) -> str:
        return self.graph.add("Gelu", [x], domain=MICROSOFT)
