"""Plain NumPy twins of sharpness, affect, emotion_layernorm and masked_attention: written for reading, not for speed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


def sharpness(tensor: np.ndarray, layout: str) -> float:
    """Mean square of second differences over the variance of the middle channel, counted as in 64x64."""
    channels = tensor if layout == "nchw" else tensor.transpose(2, 0, 1)
    p = channels[len(channels) // 2].astype(np.float64)
    height, width = p.shape
    inner = p[1:-1, 1:-1]
    if inner.size == 0 or inner.var() <= 1e-9:
        return 0.0
    second = 4 * inner - p[:-2, 1:-1] - p[2:, 1:-1] - p[1:-1, :-2] - p[1:-1, 2:]
    return float((second**2).mean() / inner.var() * (width * height / 64**2) ** 2)


@dataclass
class Reading:
    raw: np.ndarray
    probs: np.ndarray
    vad: np.ndarray = field(default_factory=lambda: np.zeros(3))
    confidence: float = 0.0
    label: int = -1
    doubt: int = 0  # 0 none, 1 tiny, 2 blurred, 3 uncertain


def activate(values: np.ndarray, activation: str, temperature: float) -> np.ndarray:
    values = values.astype(np.float64)
    with np.errstate(all="ignore"):
        if activation == "softmax":
            e = np.exp((values - values.max()) / temperature)
            return e / e.sum()
        return 1 / (1 + np.exp(-values / temperature)) if activation == "sigmoid" else values


def read_affect(values, height_px, sharpness, stamp_ns, ratings, track, options) -> Reading:
    """`track` is a dict that holds "probs" and "stamp_ns" after its first clear face."""
    raw = activate(values, options["activation"], options["temperature"])
    if not np.isfinite(raw).all():
        return Reading(raw, raw, doubt=3)
    doubt = 1 if height_px < options["min_face_px"] else 2 if sharpness < options["min_sharpness"] else 0
    if doubt == 0:
        weight = 1.0
        if "probs" in track and options["smoothing_ms"] > 0:
            weight = 1 - np.exp(-max(stamp_ns - track["stamp_ns"], 0) * 1e-6 / options["smoothing_ms"])
        track["probs"] = raw if "probs" not in track else track["probs"] + weight * (raw - track["probs"])
        track["stamp_ns"] = stamp_ns
    probs = track["probs"] if doubt == 0 else raw
    reading = Reading(raw, probs, ratings.astype(np.float64) @ probs, doubt=doubt)
    if doubt == 0:
        top = int(np.argmax(probs))
        reading.confidence = probs[top] * min(1.0, height_px / options["full_height_px"])
        reading.label, reading.doubt = (-1, 3) if probs[top] < options["unknown_below"] else (top, 0)
    return reading


def emotion_layernorm(x, probs, table, gamma, beta, epsilon) -> np.ndarray:
    x, probs, table, gamma, beta = (v.astype(np.float64) for v in (x, probs, table, gamma, beta))
    z = x + (probs @ table)[:, None, :]
    centred = z - z.mean(axis=2, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=2, keepdims=True) + epsilon) * gamma + beta


def masked_attention(query, key_same, key_other, value, speakers, mask, scale) -> np.ndarray:
    """speakers, mask: (batch, tokens)."""
    query, key_same, key_other, value = (v.astype(np.float64) for v in (query, key_same, key_other, value))
    same = (speakers[:, :, None] == speakers[:, None, :])[:, None]
    logits = scale * np.where(same, query @ key_same.swapaxes(2, 3), query @ key_other.swapaxes(2, 3))
    real = mask.astype(bool)[:, None, None, :]
    with np.errstate(all="ignore"):
        weights = np.where(real, np.exp(logits - np.where(real, logits, -np.inf).max(axis=3, keepdims=True)), 0)
        weights = weights / weights.sum(axis=3, keepdims=True)
    return np.nan_to_num(weights @ value, nan=0.0)
