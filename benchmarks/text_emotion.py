"""Text emotion, one sentence at a time, on one thread: against raw ONNX Runtime + tokenizers, and against a transformers pipeline of the
same fp32 weights.

    pip install torch transformers onnxruntime tokenizers
    python -m affectrt_export.recipes.text_emotion --variants fp32,int8 --out PACK    # the fp32 network is not carried in the default pack
    python benchmarks/text_emotion.py PACK ENCODER     # ENCODER: folder of the encoder (model.safetensors, config.json, tokenizer.json)
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
import onnxruntime as ort  # noqa: E402
import torch  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402
from transformers import AutoModel, AutoTokenizer, pipeline  # noqa: E402

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


def main(pack_folder: str, encoder_folder: str) -> int:
    torch.set_num_threads(1)
    pack = art.open_pack(pack_folder)
    candidates = {}
    for precision in ("fp32", "int8"):
        ours, bare = art.TextEmotion(pack, precision=precision, threads=1), raw(pack, precision)
        for sentence in SENTENCES:
            np.testing.assert_allclose(ours(sentence).probs, bare(sentence)[0], atol=1e-4)
        candidates[f"ours_{precision}"] = lambda ours=ours: [ours(s) for s in SENTENCES]
        candidates[f"raw_{precision}"] = lambda bare=bare: [bare(s) for s in SENTENCES]

    model = AutoModel.from_pretrained(encoder_folder).eval()
    encode = pipeline("feature-extraction", model=model, tokenizer=AutoTokenizer.from_pretrained(encoder_folder), device="cpu")
    # The pipeline ends at the encoder; the linear head that ours adds costs it nothing here, which is in its favour.
    candidates["transformers"] = lambda: [encode(s, return_tensors=True) for s in SENTENCES]

    medians = take_turns(candidates, rounds=15, repeats=5)
    count = len(SENTENCES)
    figures = {f"{name}_ms": statistics.median(values) / count for name, values in medians.items()}
    figures |= {
        "fp32_over_raw": median_ratio(medians, "ours_fp32", "raw_fp32"),
        "int8_over_raw": median_ratio(medians, "ours_int8", "raw_int8"),
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
