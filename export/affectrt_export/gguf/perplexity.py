"""How much worse a variant predicts the user's text: perplexity, and KL divergence from the best source.

As llama.cpp's own tool measures: the text is cut into windows, and of each the second half is predicted, so that every token has at least
half a window before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from affectrt_export.gguf.child import call
from affectrt_export.gguf.files import whole
from affectrt_export.spec import ExportError, Progress

F32 = npt.NDArray[np.float32]
_LEVELS = 65535


@dataclass(frozen=True)
class Score:
    """What was measured of one file. The errors are standard errors of the mean over tokens."""

    perplexity: float
    perplexity_error: float
    tokens: int
    """Predicted tokens."""
    kl_mean: float
    """Nats a token, from the reference; 0 for the reference itself."""
    kl_error: float
    kl_p99: float
    same_top: float
    """Share of the tokens whose most probable successor is the reference's."""
    ratio: float
    """Perplexity over the reference's."""
    ratio_error: float
    """Of the ratio: both predict the same tokens, so it is known better than either."""


@dataclass(frozen=True)
class Reference:
    """The best source's answers, on disk: 16 bits a log-probability, spread over the range of each token's row."""

    path: Path
    """.npy (tokens, vocabulary) uint16; beside it .json with what it was made from."""
    score: Score


def reference(
    model: Path,
    text: Path,
    out: Path,
    *,
    context_tokens: int = 512,
    chunks: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Reference:
    """Runs the best source over the text and keeps its log-probabilities in `out`. chunks: windows at most; 0: all of the text.

    Raises ExportError where the text is shorter than one window.
    """
    arguments = {"model": str(model.resolve()), "text": str(text.resolve()), "out": str(out.resolve())}
    found = call("log-probabilities", {**arguments, "context_tokens": context_tokens, "chunks": chunks, "threads": threads}, progress)
    return Reference(out, Score(**found))


def score(
    model: Path,
    text: Path,
    best: Reference,
    *,
    context_tokens: int = 512,
    chunks: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> Score:
    """Runs a variant over the same windows of the same text; chunks: only the first so many of them, 0: all.

    Raises ExportError where its vocabulary is another.
    """
    arguments = {"model": str(model.resolve()), "text": str(text.resolve()), "best": str(best.path.resolve())}
    return Score(**call("perplexity", {**arguments, "context_tokens": context_tokens, "chunks": chunks, "threads": threads}, progress))


def reference_in_child(
    progress: Progress, model: str, text: str, out: str, context_tokens: int, chunks: int, threads: int
) -> dict[str, Any]:
    """The reference, in the child."""
    windows = _Windows(model, text, context_tokens, chunks, threads)
    shape = (windows.predicted, windows.vocabulary)
    losses = []
    with whole(Path(out)) as part, whole(_sides(out)) as sides:
        kept = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint16, shape=shape)
        spans = np.empty((windows.predicted, 2), np.float32)
        at = 0
        for done, (logits, truth) in enumerate(windows):
            log_p = _log_softmax(logits)
            losses.append(-log_p[np.arange(len(truth)), truth])
            low, high = log_p.min(1), log_p.max(1)
            step = np.maximum((high - low) / _LEVELS, np.float32(1e-30))
            rows = slice(at, at + len(truth))
            kept[rows] = np.rint((log_p - low[:, None]) / step[:, None])
            spans[rows, 0], spans[rows, 1] = low, step
            at += len(truth)
            progress("perplexity of the source", done + 1, windows.count)
        kept.flush()
        del kept
        loss = np.concatenate(losses).astype(np.float64)
        with sides.open("wb") as file:
            np.save(file, np.concatenate([spans, loss.astype(np.float32)[:, None]], 1))
    windows.close()
    perplexity, error = _perplexity(loss)
    return asdict(Score(perplexity, error, len(loss), 0.0, 0.0, 0.0, 1.0, 1.0, 0.0))


def score_in_child(progress: Progress, model: str, text: str, best: str, context_tokens: int, chunks: int, threads: int) -> dict[str, Any]:
    """A variant, in the child."""
    kept = np.load(best, mmap_mode="r", allow_pickle=False)
    there = len(kept) // _predicted(context_tokens)
    chunks = min(chunks or there, there)
    rows = chunks * _predicted(context_tokens)
    kept, spans = kept[:rows], np.load(_sides(best), allow_pickle=False)[:rows]
    windows = _Windows(model, text, context_tokens, chunks, threads)
    if (windows.predicted, windows.vocabulary) != kept.shape:
        raise ExportError(
            f"{Path(model).name}: expected {kept.shape[0]} predicted tokens of a vocabulary of {kept.shape[1]} as the source has, "
            f"got {windows.predicted} of {windows.vocabulary}"
        )
    losses, divergences, same = [], [], 0
    at = 0
    for done, (logits, truth) in enumerate(windows):
        here = slice(at, at + len(truth))
        log_p = kept[here].astype(np.float32) * spans[here, 1:2] + spans[here, 0:1]
        log_p -= np.log(np.exp(log_p).sum(1, keepdims=True))  # what the rounding took from the sum
        log_q = _log_softmax(logits)
        losses.append(-log_q[np.arange(len(truth)), truth])
        divergences.append((np.exp(log_p) * (log_p - log_q)).sum(1, dtype=np.float64))
        same += int((log_p.argmax(1) == log_q.argmax(1)).sum())
        at += len(truth)
        progress("perplexity", done + 1, windows.count)
    windows.close()
    loss, kl = np.concatenate(losses).astype(np.float64), np.maximum(np.concatenate(divergences), 0.0)
    if not np.isfinite(loss).all():
        raise ExportError(f"{Path(model).name}: its logits are not finite; the quantised file is ruined")
    perplexity, error = _perplexity(loss)
    more = loss - spans[:, 2]
    ratio, n = math.exp(more.mean()), len(loss)
    return asdict(
        Score(
            perplexity=perplexity,
            perplexity_error=error,
            tokens=n,
            kl_mean=float(kl.mean()),
            kl_error=_error(kl),
            kl_p99=float(np.quantile(kl, 0.99)),
            same_top=same / n,
            ratio=ratio,
            ratio_error=ratio * _error(more),
        )
    )


class _Windows:
    """Windows of the text through one model: (logits, the tokens that came) of the second half of each."""

    def __init__(self, model: str, text: str, context_tokens: int, chunks: int, threads: int) -> None:
        from affectrt_export.gguf.evaluate import Evaluator

        if context_tokens < 4:
            raise ExportError(f"context_tokens: expected at least 4, got {context_tokens}")
        self._evaluator = Evaluator(Path(model), context_tokens, threads=threads)
        tokens = self._evaluator.model.tokenize(Path(text).read_text(encoding="utf-8"))
        self._chunks = self._evaluator.chunks(tokens)
        if not self._chunks:
            raise ExportError(f"the text has {len(tokens)} tokens; one window of {context_tokens} is the least")
        if chunks:
            self._chunks = self._chunks[:chunks]
        self.count = len(self._chunks)
        self.vocabulary = self._evaluator.model.vocabulary_size
        self.predicted = self.count * _predicted(context_tokens)
        self._first = context_tokens // 2

    def __iter__(self) -> Iterator[tuple[F32, npt.NDArray[np.int64]]]:
        for chunk in self._chunks:
            yield self._evaluator.logits(chunk, range(self._first, len(chunk) - 1)), np.array(chunk[self._first + 1 :], np.int64)

    def close(self) -> None:
        self._evaluator.close()


def _predicted(context_tokens: int) -> int:
    return context_tokens - 1 - context_tokens // 2


def _sides(path: str) -> Path:
    return Path(path).with_suffix(".rows.npy")


def _log_softmax(logits: F32) -> F32:
    shifted: F32 = logits - logits.max(1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(1, keepdims=True))
    return shifted


def _error(values: npt.NDArray[np.float64]) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0


def _perplexity(loss: npt.NDArray[np.float64]) -> tuple[float, float]:
    value = math.exp(loss.mean())
    return value, value * _error(loss)
