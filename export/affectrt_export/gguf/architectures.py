"""What llama.cpp needs to know of each architecture: the tensors it must have, how they are turned, and its numbers.

To add one: a row in ARCHITECTURES, and a case in tests/export/test_gguf_convert.py that holds it against transformers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from affectrt_export.spec import ExportError

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Architecture:
    """One family of decoders."""

    gguf: str
    """Its name in llama.cpp."""
    interleaved: bool = False
    """llama.cpp turns neighbouring pairs where transformers turns halves: rows of q and k change places."""
    qkv_bias: bool = False
    """Biases that the architecture always has; others follow `attention_bias` of config.json."""
    qk_norm: bool = False


ARCHITECTURES: Mapping[str, Architecture] = {
    "LlamaForCausalLM": Architecture("llama", interleaved=True),
    "MistralForCausalLM": Architecture("llama", interleaved=True),
    "Qwen2ForCausalLM": Architecture("qwen2", qkv_bias=True),
    "Qwen3ForCausalLM": Architecture("qwen3", qk_norm=True),
}


@dataclass(frozen=True)
class Shape:
    """The numbers of config.json, under names of our own."""

    name: str
    architecture: Architecture
    layers: int
    width: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    context_tokens: int
    rms_epsilon: float
    rope_theta: float
    rope: Mapping[str, Any]
    """rope_type and what belongs to it."""
    tied: bool
    attention_bias: bool
    mlp_bias: bool

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Name in the checkpoint and shape of every tensor that must be there."""
        yield "model.embed_tokens.weight", (self.vocabulary, self.width)
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        for i in range(self.layers):
            at = f"model.layers.{i}."
            yield at + "input_layernorm.weight", (self.width,)
            for name, rows in (("q_proj", q), ("k_proj", kv), ("v_proj", kv)):
                yield f"{at}self_attn.{name}.weight", (rows, self.width)
                if self.attention_bias or self.architecture.qkv_bias:
                    yield f"{at}self_attn.{name}.bias", (rows,)
            yield at + "self_attn.o_proj.weight", (self.width, q)
            if self.attention_bias:
                yield at + "self_attn.o_proj.bias", (self.width,)
            if self.architecture.qk_norm:
                yield at + "self_attn.q_norm.weight", (self.head_dim,)
                yield at + "self_attn.k_norm.weight", (self.head_dim,)
            yield at + "post_attention_layernorm.weight", (self.width,)
            for name, rows, columns in (
                ("gate_proj", self.hidden, self.width),
                ("up_proj", self.hidden, self.width),
                ("down_proj", self.width, self.hidden),
            ):
                yield f"{at}mlp.{name}.weight", (rows, columns)
                if self.mlp_bias:
                    yield f"{at}mlp.{name}.bias", (rows,)
        yield "model.norm.weight", (self.width,)
        if not self.tied:
            yield "lm_head.weight", (self.vocabulary, self.width)

    def turned(self, name: str, value: F32) -> F32:
        """The tensor in the order of rows that llama.cpp expects."""
        if not self.architecture.interleaved or not (".q_proj." in name or ".k_proj." in name):
            return value
        heads = self.heads if ".q_proj." in name else self.kv_heads
        halves = value.reshape(heads, 2, value.shape[0] // heads // 2, *value.shape[1:])
        turned: F32 = halves.swapaxes(1, 2).reshape(value.shape)
        return turned


def read_shape(config: Mapping[str, Any]) -> Shape:
    """Reads config.json. ExportError with everything in it that cannot be converted."""
    names = config.get("architectures")
    name = names[0] if isinstance(names, list) and len(names) == 1 else None
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise ExportError(f"config.json: architecture {names!r} cannot be converted; known are {', '.join(ARCHITECTURES)}")
    architecture = ARCHITECTURES[name]
    problems: list[str] = []

    def number(key: str, default: float | None = None) -> float:
        value = config.get(key)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
            problems.append(f"{key}: expected a positive number, got {value!r}")
            return 1
        return value

    heads, width = int(number("num_attention_heads")), int(number("hidden_size"))
    rope = _rope(config, problems)
    shape = Shape(
        name=name,
        architecture=architecture,
        layers=int(number("num_hidden_layers")),
        width=width,
        hidden=int(number("intermediate_size")),
        heads=heads,
        kv_heads=int(number("num_key_value_heads", heads)),
        head_dim=int(number("head_dim", max(1, width // heads))),
        vocabulary=int(number("vocab_size")),
        context_tokens=int(_context(config, number)),
        rms_epsilon=float(number("rms_norm_eps", 1e-6)),
        rope_theta=float(rope.get("rope_theta") or config.get("rope_theta") or 10000.0),
        rope=rope,
        tied=bool(config.get("tie_word_embeddings", False)),
        attention_bias=bool(config.get("attention_bias", False)),
        mlp_bias=bool(config.get("mlp_bias", False)),
    )
    if shape.heads % shape.kv_heads:
        problems.append(f"num_key_value_heads: {shape.kv_heads} does not divide num_attention_heads {shape.heads}")
    if shape.head_dim % 2:
        problems.append(f"head_dim: {shape.head_dim} is odd, rotation works on pairs")
    if (act := config.get("hidden_act", "silu")) not in ("silu", "swish"):
        problems.append(f"hidden_act: expected silu, got {act!r}")
    if config.get("quantization_config"):
        problems.append("quantization_config: the checkpoint is quantised already; give the one it was made from")
    if (share := config.get("partial_rotary_factor")) not in (None, 1, 1.0):
        problems.append(f"partial_rotary_factor: expected 1, got {share!r}")
    if problems:
        raise ExportError("config.json: " + "; ".join(problems))
    return shape


def _context(config: Mapping[str, Any], number: Any) -> float:
    """Positions the model is right for: llama.cpp looks at all tokens where a sliding window looks at the last few."""
    trained = float(number("max_position_embeddings", 2048))
    window = config.get("sliding_window")
    uses = config.get("use_sliding_window", True)
    return min(trained, float(window)) if window and uses else trained


def _rope(config: Mapping[str, Any], problems: list[str]) -> Mapping[str, Any]:
    """The rotation's parameters: `rope_parameters` (transformers 5) or `rope_scaling` (before)."""
    found = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    kind = found.get("rope_type") or found.get("type") or "default"
    needed = {
        "default": (),
        "linear": ("factor",),
        "yarn": ("factor",),
        "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
    }
    if kind not in needed:
        problems.append(f"rope type: {kind!r} cannot be converted; known are {', '.join(needed)}")
        return {"rope_type": "default"}
    for key in needed[kind]:
        if not isinstance(found.get(key), (int, float)) or found[key] <= 0:
            problems.append(f"rope {kind}: {key}: expected a positive number, got {found.get(key)!r}")
    if kind == "yarn":
        usual = {"beta_fast": 32, "beta_slow": 1, "attention_factor": None, "mscale": None, "mscale_all_dim": None, "truncate": True}
        problems += [f"rope yarn: {k}: expected {v!r}, got {found[k]!r}" for k, v in usual.items() if found.get(k, v) not in (v, None)]
    return found | {"rope_type": kind}


def llama3_factors(shape: Shape) -> F32:
    """(head_dim / 2,) what Llama 3.1 divides each frequency by: 1 for the fast ones, `factor` for the slow ones, a blend between."""
    rope, trained = shape.rope, float(shape.rope["original_max_position_embeddings"])
    low, high, factor = float(rope["low_freq_factor"]), float(rope["high_freq_factor"]), float(rope["factor"])
    out = []
    for i in range(0, shape.head_dim, 2):
        turns = trained / (2 * math.pi * shape.rope_theta ** (i / shape.head_dim))
        blend = min(1.0, max(0.0, (turns - low) / (high - low))) if high > low else float(turns >= high)
        out.append(1.0 / ((1.0 - blend) / factor + blend))
    return np.array(out, np.float32)
