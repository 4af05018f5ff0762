"""What `affectrt_export.train.text_emotion` writes: MiniLM with its layers pooled, as ONNX straight from its weights.

fp32 in standard operators; int8 in ONNX Runtime's fused ones, which are faster than what general quantisers make of the same network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from affectrt_export.checks import check_finite
from affectrt_export.families import labels, pretrained, tokenizer
from affectrt_export.families.base import Options
from affectrt_export.families.encoder import decode
from affectrt_export.families.source import Source, entries, license_of, name_of, weight_files
from affectrt_export.minilm import FEATURES, LAYERS, Head, _Fp32, _Int8
from affectrt_export.spec import F32, Contract, ExportError, Feeds, Maker, Model, Run
from affectrt_export.to_onnx import finish

MAX_TOKENS = 128
_PARTS = ("attention.self.qkv", "attention.output.dense", "intermediate.dense", "output.dense")
WORDS = "embeddings.word_embeddings"


@dataclass(frozen=True)
class MiniLm:
    """Folders whose config.json has the model_type affect-minilm."""

    name: str = "affect-minilm"
    about: str = "the text network of affectrt's own training"

    def claims(self, source: Source) -> bool:
        """By model_type."""
        return source.model_type == self.name

    def read(self, source: Source, options: Options) -> Model:
        """See `affectrt_export.families.base.Family`."""
        files = weight_files(source)
        weights = {name: value.float().numpy() for file in files for name, value in pretrained.state(file).items()}
        check_finite(weights.items())
        try:
            head = Head(np.ascontiguousarray(weights["head.weight"].T), weights["head.bias"])
            rows, places = (len(weights[f"embeddings.{part}_embeddings.weight"]) for part in ("word", "position"))
        except KeyError as error:
            raise ExportError(f"{source.origin}: the weights of affect-minilm were expected, {error} is missing") from error
        outputs = len(head.bias)
        if head.weight.shape != (FEATURES, outputs):
            raise ExportError(f"head.weight: ({outputs}, {FEATURES}) was expected, got {head.weight.T.shape}")
        tokens = options.max_tokens or min(MAX_TOKENS, places)
        if tokens > places:
            raise ExportError(f"max_tokens: at most {places} was expected, as many as the network has positions for, got {tokens}")
        named = labels.of_config(source.config, options.labels, outputs)
        words = tokenizer.read(source, rows)
        license = license_of(source, options)
        reference = _reference(weights, outputs, rows, places)  # first: it names what is missing or does not fit
        return Model(
            name=name_of(source, options),
            family=self.name,
            onnx=_named(_Fp32(weights, tokens).build(head)),
            reference=reference,
            contract=Contract(
                task="text-emotion",
                inputs=[
                    {
                        "tensor": "input_ids",
                        "kind": "text",
                        "tokenizer": tokenizer.FILE,
                        "max_tokens": tokens,
                        "mask_tensor": "attention_mask",
                    }
                ],
                outputs=[{"tensor": "logits", "kind": "logits", "shape": [-1, outputs]}],
                decode=decode(str(source.config.get("problem_type", "multi_label_classification")), outputs),
                labels=named.entries,
                files={tokenizer.FILE: words.data},
            ),
            convolutional=False,
            license=license,
            source=entries(source, files, license),
            makers={"int8": _int8(weights, head, tokens)},
            notes=named.notes,
        )


def _int8(weights: Mapping[str, F32], head: Head, tokens: int) -> Maker:
    def make(model: bytes, calibration: Sequence[Feeds], keep: frozenset[str]) -> bytes:
        """Made of the weights, so `model` must be the fp32 network of the same; activations are quantised as they come."""
        known = {node.name for node in onnx.load_from_string(model).graph.node}
        if strange := sorted(keep - known):
            raise ExportError(f"layers of this network were expected to stay in fp32, it has not {', '.join(strange[:5])}")
        return _PartlyInt8(weights, tokens, keep).build(head)

    return make


class _PartlyInt8(_Int8):
    """Int8 but for the layers of the fp32 network that are named in `keep`: the products of a layer, and the word table.

    Nothing else is quantised, so that names of other nodes ask for nothing. Attention is one operator with its product: a name of either
    keeps both.
    """

    def __init__(self, weights: Mapping[str, F32], max_tokens: int, keep: frozenset[str]) -> None:
        super().__init__(weights, max_tokens)
        self.keep = {name.rpartition("/")[0] for name in keep}
        self.keep |= {f"{layer}.qkv" for layer in self.keep if layer.endswith("attention.self")}
        self.place = ""

    def prepare(self, mask: str) -> None:
        super().prepare(mask)
        if any(layer.endswith(_PARTS[0]) for layer in self.keep):
            _Fp32.prepare(self, mask)

    def words(self, ids: str) -> str:
        return _Fp32.words(self, ids) if WORDS in self.keep else super().words(ids)

    def attention(self, x: str, weight: F32, bias: F32) -> str:
        kept = self.place in self.keep
        return _Fp32.attention(self, x, weight, bias) if kept else super().attention(x, weight, bias)

    def linear(self, x: str, weight: F32, bias: F32) -> str:
        kept = self.place in self.keep
        return _Fp32.linear(self, x, weight, bias) if kept else super().linear(x, weight, bias)

    def _layer(self, x: str, key: str) -> str:
        self.place = key + _PARTS[0]
        return super()._layer(x, key)

    def _dense(self, x: str, key: str) -> str:
        self.place = key
        return super()._dense(x, key)


def _named(model: bytes) -> bytes:
    """The fp32 network with its nodes named after the layers of the checkpoint."""
    proto = onnx.load_from_string(model)
    weights = {tensor.name for tensor in proto.graph.initializer}
    writers = {output: node.op_type for node in proto.graph.node for output in node.output}
    layers: list[str] = []
    place, products, after = "mask", 0, ""
    for node in proto.graph.node:
        block = place.removesuffix(".dense").removesuffix(".qkv")
        if node.op_type == "MatMul" and node.input[1] in weights:
            place = f"encoder.layer.{products // len(_PARTS)}.{_PARTS[products % len(_PARTS)]}"
            products, after = products + 1, node.output[0]
            layers.append(place)
        elif node.op_type == "Add" and node.input[0] == after:
            layers.append(place)  # the bias of a product
        elif node.op_type == "Gather":
            place = "embeddings"
            layers.append(WORDS)
        elif node.op_type == "LayerNormalization":
            layers.append(f"{block}.LayerNorm")
            place = "pooling" if products == LAYERS * len(_PARTS) and "intermediate" not in block and "attention" not in block else place
        elif node.op_type == "MatMul" and writers.get(node.input[0]) == "Unsqueeze":
            layers.append("pooling")  # the mean over the words
        else:
            layers.append("head" if node.op_type == "Gemm" else block)
    return finish(proto, layers)


def _reference(weights: Mapping[str, F32], outputs: int, rows: int, places: int) -> Run:
    import torch

    from affectrt_export.train.minilm import MiniLm as Network

    network: Any = Network(outputs, words=rows, places=places)
    try:
        network.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    except RuntimeError as error:
        raise ExportError(f"the weights of affect-minilm were expected: {' '.join(str(error).split())[:300]}") from error
    network.eval()

    def run(feeds: Feeds) -> dict[str, F32]:
        with torch.inference_mode():
            ids, mask = (torch.from_numpy(np.asarray(feeds[name], np.int64)) for name in ("input_ids", "attention_mask"))
            return {"logits": network(ids, mask).numpy()}

    return run
