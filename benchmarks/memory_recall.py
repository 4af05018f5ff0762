"""Recall over real sentences: cost against NumPy's matrix product and argpartition, one thread each, and whether it finds the same.

python benchmarks/memory_recall.py GOEMOTIONS_FOLDER --vectors VECTORS.npz

The folder holds GoEmotions' .tsv files (text, labels, id). Its distinct texts come first; what is missing up to 100,000 memories and 200
queries are passages of two of them, drawn at random, each distinct. bge-small-en makes the semantic vectors and the default text pack the
emotion vectors, as docs/memory.md has it: 25 minutes on one core, kept in VECTORS.npz for the next time.

NumPy is given all that can be known before a query: unit rows, norms. It ranks by one product for `semantic`, by two for C-A.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import median_ratio, report, take_turns, unset_blas_overrides

unset_blas_overrides()
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import affectrt as art  # noqa: E402
import numpy as np  # noqa: E402
from affectrt import _core  # noqa: E402
from affectrt.labels import translate_probs  # noqa: E402

SIZES = (1_000, 10_000, 100_000)
QUERIES, K, CANDIDATES = 200, 10, 20
COMBINATIONS = ("semantic", "C-A", "C-M", "S-C", "S-S")
BOUNDS = {
    "100000_semantic_times_numpy": (">=", 1.2),
    "100000_C-A_times_numpy": (">=", 1.2),
    "100000_semantic_codes_times_numpy": (">=", 4.0),
    "100000_C-A_codes_times_numpy": (">=", 4.0),
    "recall_at_10": (">=", 1.0),
    "recall_at_10_codes": (">=", 1.0),
}


def sentences(folder: Path, count: int) -> tuple[list[str], int]:
    """`count` distinct texts, and how many of them are single ones of the data set."""
    lines = [line for path in sorted(folder.glob("*.tsv"), reverse=True) for line in path.read_text("utf-8").splitlines()]
    texts = list(dict.fromkeys(text for line in lines if (text := line.split("\t")[0].strip())))[:count]
    single, known, draw = len(texts), set(texts), random.Random(0)
    while len(texts) < count:
        both = " ".join(texts[i] for i in draw.sample(range(single), 2))
        if both not in known:
            known.add(both)
            texts.append(both)
    return texts, single


def vectors(folder: Path, path: Path, count: int) -> tuple[np.ndarray, np.ndarray, int]:
    """(count, 384) semantic and (count, 8) emotion vectors, and how many are of single texts."""
    if path.exists():
        kept = np.load(path)
        if len(kept["semantics"]) == count:
            return kept["semantics"], kept["emotions"], int(kept["single"])
    texts, single = sentences(folder, count)
    embed, feel = art.TextEmbedding("bge-small-en", threads=1), art.TextEmotion(threads=1)
    semantics, emotions = np.zeros((count, embed.dimensions), np.float32), np.zeros((count, 8), np.float32)
    order = sorted(range(count), key=lambda i: len(texts[i]))
    for start in range(0, count, 512):
        some = order[start : start + 512]
        semantics[some] = embed([texts[i] for i in some])
        probs = np.stack([one.probs for one in feel([texts[i] for i in some])])
        felt = translate_probs(probs, "goemotions28", "plutchik8", multi_label=True, neutral="drop")
        emotions[some] = np.where(felt.max(axis=1, keepdims=True) > 0.2, felt, 0)  # hardly anything: not known
        print(f"\r{start + len(some)} of {count} texts", end="", file=sys.stderr)
    print(file=sys.stderr)
    np.savez(path, semantics=semantics, emotions=emotions, single=single)
    return semantics, emotions, single


class NumpyRecall:
    """What a careful user of NumPy writes: float32 throughout, one or two matrix products, argpartition, the k best sorted."""

    def __init__(self, semantics: np.ndarray, emotions: np.ndarray) -> None:
        self.semantics = semantics
        self.squares = (semantics**2).sum(axis=1)
        norms = np.linalg.norm(emotions, axis=1, keepdims=True)
        self.moods = emotions / np.where(norms == 0, 1, norms)

    def __call__(self, combination: str, query: np.ndarray, mood: np.ndarray) -> np.ndarray:
        if combination == "semantic":
            return self.least(self.squares - 2 * (self.semantics @ query), K)
        mood = mood / np.linalg.norm(mood)
        if combination == "S-S":
            near = self.least(1 - self.moods @ mood, CANDIDATES)
            return near[self.least(np.linalg.norm(self.semantics[near] - query, axis=1), K)]
        d_sem = np.sqrt(np.maximum(self.squares + query @ query - 2 * (self.semantics @ query), 0))
        if combination == "S-C":
            near = self.least(d_sem, CANDIDATES)
            return near[self.least(1 - self.moods[near] @ mood, K)]
        d_emo = 1 - self.moods @ mood
        return self.least(d_sem + d_emo if combination == "C-A" else d_sem * d_emo, K)

    @staticmethod
    def least(values: np.ndarray, k: int) -> np.ndarray:
        some = np.argpartition(values, k)[:k]
        return some[np.argsort(values[some])]


class Recall:
    """Our search, with or without codes, over queries that take turns."""

    def __init__(self, semantics: np.ndarray, emotions: np.ndarray, queries: np.ndarray, moods: np.ndarray) -> None:
        self.semantics, self.emotions, self.queries, self.moods = semantics, emotions, queries, moods
        codes, bounds = _core.memory_codes(semantics)
        self.coded = {"codes": codes, "code_bounds": bounds}
        self.numpy = NumpyRecall(semantics, emotions)

    def found(self, combination: str, number: int, coded: bool) -> np.ndarray:
        codes = self.coded if coded else {}
        options: dict[str, Any] = {"combination": combination, "k": K, "candidates": CANDIDATES, **codes}
        index, _ = _core.memory_top_k(self.queries[number], self.moods[number], self.semantics, self.emotions, **options)
        return index

    def turning(self, call: Callable[[int], Any]) -> Callable[[], Any]:
        numbers = iter(range(1 << 62))
        return lambda: call(next(numbers) % len(self.queries))

    def candidates(self) -> dict[str, Callable[[], Any]]:
        copy = np.empty_like(self.semantics)
        found: dict[str, Callable[[], Any]] = {"copy": lambda: np.copyto(copy, self.semantics)}
        for name in COMBINATIONS:
            found[f"{name}_numpy"] = self.turning(lambda i, c=name: self.numpy(c, self.queries[i], self.moods[i]))
            found[name] = self.turning(lambda i, c=name: self.found(c, i, False))
            if name != "S-S":  # which reads 20 semantic vectors, so that codes are of no use
                found[f"{name}_codes"] = self.turning(lambda i, c=name: self.found(c, i, True))
        return found

    def recall_at_k(self) -> tuple[float, float]:
        """The share of the k nearest by float64 that is found, over all queries, by meaning and by C-A; without and with codes."""
        x, e = self.semantics.astype(np.float64), self.emotions.astype(np.float64)
        squares, norms = (x**2).sum(axis=1), np.linalg.norm(e, axis=1)
        e /= np.where(norms == 0, 1, norms)[:, None]
        found: tuple[list[float], list[float]] = [], []
        for i, (query, mood) in enumerate(zip(self.queries.astype(np.float64), self.moods.astype(np.float64), strict=True)):
            d_sem = np.sqrt(np.maximum(squares + query @ query - 2 * (x @ query), 0))
            for name, d in (("semantic", d_sem), ("C-A", d_sem + 1 - e @ mood / np.linalg.norm(mood))):
                want = set(np.argsort(d, kind="stable")[:K].tolist())
                for coded in (False, True):
                    found[coded].append(len(want & set(self.found(name, i, coded).tolist())) / K)
        return float(np.mean(found[0])), float(np.mean(found[1]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--vectors", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    semantics, emotions, single = vectors(given.folder, given.vectors, SIZES[-1] + QUERIES)
    felt = np.flatnonzero(emotions[SIZES[-1] :].any(axis=1)) + SIZES[-1]
    queries, moods = semantics[felt].copy(), emotions[felt].copy()

    figures: dict[str, float] = {"single_texts": single, "queries": len(felt), "dimensions": semantics.shape[1]}
    figures["without_emotion"] = float((~emotions[: SIZES[-1]].any(axis=1)).mean())
    for size in SIZES:
        # Drawn from all, so that single texts and passages mix as they do in the whole.
        rows = np.sort(np.random.default_rng(0).permutation(SIZES[-1])[:size])
        recall = Recall(np.ascontiguousarray(semantics[rows]), np.ascontiguousarray(emotions[rows]), queries, moods)
        medians = take_turns(recall.candidates(), rounds=given.rounds, repeats=5)
        for name in COMBINATIONS:
            for kind in ("", "_codes"):
                if name + kind in medians:
                    ms = float(np.median(medians[name + kind]))
                    figures[f"{size}_{name}{kind}_us"] = 1e3 * ms
                    figures[f"{size}_{name}{kind}_times_numpy"] = median_ratio(medians, f"{name}_numpy", name + kind)
        copied = 2 * recall.semantics.nbytes / np.median(medians["copy"]) / 1e6
        figures[f"{size}_copy_gb_s"] = float(copied)
        parts = {"semantic": recall.semantics.nbytes, "semantic_codes": sum(a.nbytes for a in recall.coded.values())}
        for name, read in parts.items():
            figures[f"{size}_{name}_mb"] = read / 1e6
            figures[f"{size}_{name}_gb_s"] = float(read / np.median(medians[name]) / 1e6)
    figures["recall_at_10"], figures["recall_at_10_codes"] = recall.recall_at_k()
    for name in ("semantic", "semantic_codes", "C-A", "C-A_codes"):
        for small, large in itertools.pairwise(SIZES):
            figures[f"{name}_cost_of_10_times_as_many_from_{small}"] = figures[f"{large}_{name}_us"] / figures[f"{small}_{name}_us"]
    return report("memory_recall", figures, BOUNDS)


if __name__ == "__main__":
    sys.exit(main())
