"""Plain NumPy twins of memory_top_k: one in float64, and one in the op's own arithmetic, to the last bit."""

from __future__ import annotations

import numpy as np

COMBINATIONS = ("semantic", "emotional", "C-A", "C-M", "S-C", "S-S")


def tree_sum(lanes: np.ndarray) -> np.ndarray:
    """Over the last axis, a power of two: the last half is added to the first, until one is left."""
    while lanes.shape[-1] > 1:
        half = lanes.shape[-1] // 2
        lanes = lanes[..., :half] + lanes[..., half:]
    return lanes[..., 0]


def lane_sum(terms: np.ndarray, lanes: int) -> np.ndarray:
    """(N, D) to (N,): term j belongs to partial sum j % lanes."""
    count, width = terms.shape
    padded = np.zeros((count, -(-width // lanes) * lanes), terms.dtype)
    padded[:, :width] = terms
    sums = np.zeros((count, lanes), terms.dtype)
    for at in range(0, padded.shape[1], lanes):
        sums = sums + padded[:, at : at + lanes]
    return tree_sum(sums)


def euclidean(query: np.ndarray, rows: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        difference = query.astype(np.float32) - rows.astype(np.float32)
        return np.sqrt(lane_sum(difference * difference, 32))


def cosine(query: np.ndarray, rows: np.ndarray) -> np.ndarray:
    q, x = query.astype(np.float64)[None], rows.astype(np.float64)
    with np.errstate(all="ignore"):
        dot, own = lane_sum(q * x, 8), lane_sum(x * x, 8)
        root = np.sqrt((dot * dot / (lane_sum(q * q, 8) * own)).astype(np.float32))
        return np.where(own == 0, np.float32(1), np.where(dot < 0, 1 + root, 1 - root))


def oracle_distances(query: np.ndarray, mood: np.ndarray, rows: np.ndarray, moods: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """d_sem and d_emo in float64."""
    q, x = mood.astype(np.float64), moods.astype(np.float64)
    own = np.linalg.norm(x, axis=1)
    d_emo = np.where(own == 0, 1.0, 1.0 - x @ q / np.where(own == 0, 1, own) / np.linalg.norm(q))
    return np.linalg.norm(query.astype(np.float64) - rows.astype(np.float64), axis=1), d_emo


def combined(d_sem: np.ndarray, d_emo: np.ndarray, combination: str) -> np.ndarray:
    with np.errstate(all="ignore"):
        d = {"semantic": d_sem, "emotional": d_emo, "C-A": d_sem + d_emo, "C-M": d_sem * d_emo}[combination]
        return np.where(np.isnan(d), d.dtype.type(np.inf), d)


def first(distances: np.ndarray, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k of `rows` at the least of `distances`, ties by the lower index."""
    rows = np.sort(rows)
    order = rows[np.argsort(distances[rows], kind="stable")][:k]
    return order.astype(np.int64), distances[order]


def top_k(d_sem, d_emo, combination: str, k: int, candidates: int = 20, allowed=None) -> tuple[np.ndarray, np.ndarray]:
    """index (k'), distance (k') from d_sem and d_emo (N,) of all rows."""
    rows = np.arange(len(d_sem)) if allowed is None else np.flatnonzero(allowed)
    if combination in ("S-C", "S-S"):
        before, after = ("semantic", "emotional") if combination == "S-C" else ("emotional", "semantic")
        rows = first(combined(d_sem, d_emo, before), rows, candidates)[0]
        return first(combined(d_sem, d_emo, after), rows, k)
    return first(combined(d_sem, d_emo, combination), rows, k)


def memory_top_k(semantic, emotion, semantics, emotions, combination, k, candidates=20, allowed=None):
    return top_k(euclidean(semantic, semantics), cosine(emotion, emotions), combination, k, candidates, allowed)
