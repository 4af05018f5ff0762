"""Trains the linear head of a text-emotion pack on cached sentence features, and chooses a threshold for each label."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from affectrt_export.minilm import Head

F32 = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

FOLDS = 5
GRID = np.linspace(0.02, 0.9, 89)
SMOOTHING = 5


@dataclass(frozen=True)
class Training:
    """How the head is trained."""

    epochs: int = 5
    batch: int = 512
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    seed: int = 0


def read_rows(path: Path, labels: int) -> tuple[list[str], F32]:
    """Texts and multi-hot labels (N, labels) of a GoEmotions .tsv: text, label indices with commas, comment id."""
    texts, truth = [], []
    for line in path.read_text(encoding="utf-8").rstrip("\n").split("\n"):  # comments hold other line separators
        text, indices, _ = line.split("\t")
        row = np.zeros(labels, np.float32)
        row[[int(i) for i in indices.split(",")]] = 1
        texts.append(text)
        truth.append(row)
    return texts, np.stack(truth)


def train(features: F32, truth: F32, how: Training) -> Head:
    """Logistic regression for each label. `features` (N, F) is standardised in place; the head takes them as they were."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    torch.manual_seed(how.seed)
    torch.set_num_threads(1)  # sums in one order: the same head on every run
    mean, spread = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64) + 1e-6
    features -= mean.astype(np.float32)
    features /= spread.astype(np.float32)
    x, y = torch.from_numpy(features), torch.from_numpy(truth)
    layer = torch.nn.Linear(features.shape[1], truth.shape[1])
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.logit(y.mean(0)))
    optimizer = torch.optim.AdamW(layer.parameters(), lr=how.learning_rate, weight_decay=how.weight_decay)
    steps = -(-len(x) // how.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, how.epochs * steps)
    for _ in range(how.epochs):
        for rows in torch.randperm(len(x)).split(how.batch):
            loss = binary_cross_entropy_with_logits(layer(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    weight = layer.weight.detach().numpy().astype(np.float64) / spread
    bias = layer.bias.detach().numpy().astype(np.float64) - weight @ mean
    return Head(np.ascontiguousarray(weight.T.astype(np.float32)), bias.astype(np.float32))


def f1(said: Bools, truth: F32) -> tuple[float, float]:
    """Macro and micro F1 of multi-label answers (N, C)."""
    hits, total = (said * truth).sum(0), said.sum(0) + truth.sum(0)
    return float((2 * hits / np.maximum(total, 1)).mean()), float(2 * hits.sum() / max(total.sum(), 1))


def thresholds(probs: F32, truth: F32) -> npt.NDArray[np.float64]:
    """For each label the threshold of best F1, on a curve smoothed over neighbouring thresholds so that rare labels do not chase noise."""
    out = []
    for label in range(truth.shape[1]):
        said = probs[:, label, None] >= GRID
        hits = (said * truth[:, label, None]).sum(0)
        curve = 2 * hits / np.maximum(said.sum(0) + truth[:, label].sum(), 1)
        padded = np.pad(curve, SMOOTHING // 2, mode="edge")
        out.append(GRID[int(np.argmax(np.convolve(padded, np.ones(SMOOTHING) / SMOOTHING, "valid")))])
    return np.round(np.array(out), 4)


def cross_fitted(probs: F32, truth: F32) -> Bools:
    """Answers (N, C) where each row is judged by thresholds that were chosen without it."""
    fold = np.arange(len(truth)) % FOLDS
    said = np.zeros(truth.shape, np.bool_)
    for k in range(FOLDS):
        said[fold == k] = probs[fold == k] >= thresholds(probs[fold != k], truth[fold != k])
    return said
