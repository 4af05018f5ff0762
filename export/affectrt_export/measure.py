"""Figures of one ONNX file: its logits on examples, how right and how sure they are, and how long a call takes.

Everything runs on ONNX Runtime's CPU provider, one thread unless told otherwise, decoded as the runtime decodes (docs/pack-format.md).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from affectrt import metrics

from affectrt_export.runner import Onnx
from affectrt_export.spec import F32, Contract, Examples, ExportError, Feeds, Latency, Progress, Quality, Reliability

Bools = npt.NDArray[np.bool_]
F64 = npt.NDArray[np.float64]

BINS = 15
BATCH = 64
_BATCH_ELEMENTS = 4_000_000  # of input in one batch: 64 pictures of 224 px are 40 MB, and the network's own tensors many times that
# They scale their activations by all that is in the batch, so an answer would depend on its neighbours.
_DYNAMIC = frozenset({"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"})
_INPUTS = 32


@dataclass(frozen=True)
class Ratio:
    """How long a call takes in parts of another network's, from pairs measured right after each other."""

    median: float
    low: float
    """`low` to `high` holds the true median in 19 of 20 measurements."""
    high: float
    pairs: int


def run(
    model: bytes, feeds: Sequence[Feeds], output: str = "", *, threads: int = 1, batch: int = BATCH, progress: Progress | None = None
) -> F32:
    """(N, ...) float32: `output` (else the first) of each of `feeds`, in their order; those of other sizes padded with 0 to the largest.

    Inputs of one shape go through together where that changes nothing. ExportError if ONNX Runtime cannot open or run the network,
    or there is no such output.
    """
    network = _open(model, threads)
    largest = batch if _may_batch(model) else 1
    out: list[npt.NDArray[Any] | None] = [None] * len(feeds)
    waiting: dict[tuple[Any, ...], list[tuple[int, Feeds]]] = {}
    done = 0

    def flush(group: list[tuple[int, Feeds]]) -> None:
        nonlocal done
        joined = {name: np.concatenate([feed[name] for _, feed in group]) for name in group[0][1]}
        results = _call(network, joined)
        if output and output not in results:
            raise ExportError(f"the network was expected to have the output {output!r}, it has {', '.join(results)}")
        value = results[output] if output else next(iter(results.values()))
        if len(value) != len(group):
            raise ExportError(f"an output of {len(group)} rows was expected for as many inputs, got the shape {value.shape}")
        for (row, _), answer in zip(group, value, strict=True):
            out[row] = answer
        done += len(group)
        group.clear()
        if progress:
            progress("examples", done, len(feeds))

    for row in range(len(feeds)):
        feed = feeds[row]
        key = tuple((name, feed[name].shape, feed[name].dtype.str) for name in sorted(feed))
        group = waiting.setdefault(key, [])
        group.append((row, feed))
        elements = sum(value.size for value in feed.values())
        if len(group) >= min(largest, max(1, _BATCH_ELEMENTS // max(elements, 1))):
            flush(group)
    for group in waiting.values():
        if group:
            flush(group)
    if not out:
        raise ExportError("no inputs to run the network on")
    rows = [np.asarray(one, np.float32) for one in out if one is not None]
    largest = np.max([row.shape for row in rows], 0)
    return np.stack([np.pad(row, [(0, int(missing)) for missing in largest - row.shape]) for row in rows])


def probabilities(contract: Contract, logits: F32) -> F32:
    """(N, labels) float32 by the contract's decode. What is not a finite number counts as 0; the gates look for it before."""
    value = np.nan_to_num(logits.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    kind = contract.decode["kind"]
    if kind == "identity":
        return value.astype(np.float32)
    value = value / float(contract.decode.get("temperature", 1.0))
    if kind == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-np.clip(value, -80, 80))), np.float32)
    power = np.exp(value - value.max(1, keepdims=True))
    return np.asarray(power / power.sum(1, keepdims=True), np.float32)


def answers(contract: Contract, probs: F32) -> Bools:
    """(N, labels): what the pack says. One label: the likeliest. Several: each that reaches its threshold (0.5 where there are none)."""
    if not contract.multi_label:
        return np.asarray(np.arange(probs.shape[1]) == probs.argmax(1)[:, None])
    least = contract.decode.get("thresholds") or [0.5] * probs.shape[1]
    return np.asarray(probs >= np.asarray(least, np.float32))


def top(probs: F32, said: Bools) -> npt.NDArray[np.int64]:
    """(N,) the label that is named first: the likeliest of those said, else the likeliest."""
    return np.asarray(np.where(said, probs, np.where(said.any(1, keepdims=True), -1, probs)).argmax(1))


def known(contract: Contract, probs: F32, said: Bools) -> Bools:
    """(N,) whether the pack names a label at all, or says "unknown"."""
    sure = np.asarray(probs.max(1) >= np.float32(contract.decode.get("unknown_below", 0.0)))
    return sure | said.any(1) if contract.multi_label else sure


def scores(contract: Contract, said: Bools, truth: Bools) -> metrics.Scores:
    """As `affectrt eval` counts."""
    if contract.multi_label:
        return metrics.multi_label(truth, said, contract.names)
    return metrics.single_label(truth.argmax(1), said.argmax(1), contract.names)


def quality(contract: Contract, logits: F32, examples: Examples) -> Quality:
    """How right `logits` (N, labels) are on `examples`, by the pack's own thresholds. ValueError for shapes that do not fit."""
    probs = probabilities(contract, logits)
    said = answers(contract, probs)
    passed = known(contract, probs, said)
    right = examples.truth[np.arange(len(examples)), top(probs, said)]
    return Quality(
        data=examples.name,
        scores=scores(contract, said, examples.truth),
        reliability=reliability(probs, examples.truth, contract.multi_label),
        coverage=float(passed.mean()),
        accuracy_where_known=float(right[passed].mean()) if passed.any() else 0.0,
    )


def by_group(contract: Contract, logits: F32, examples: Examples) -> metrics.Slices | None:
    """The same for each group, as `affectrt eval` counts; None where the examples tell none apart."""
    if not examples.groups:
        return None
    said, truth = answers(contract, probabilities(contract, logits)), examples.truth
    if contract.multi_label:
        return metrics.by_group(truth, said, contract.names, examples.groups)
    return metrics.by_group(truth.argmax(1), said.argmax(1), contract.names, examples.groups)


def reliability(probs: F32, truth: Bools, multi_label: bool) -> Reliability:
    """Calibration in 15 bins of equal width. One label: of the top probability. Several: of each label, and the bins of all together."""
    if not multi_label:
        rows = np.arange(len(probs))
        best = probs.argmax(1)
        return Reliability(*_bins(probs[rows, best], truth[rows, best]))
    own = tuple(_bins(probs[:, label], truth[:, label])[3] for label in range(probs.shape[1]))
    confidence, accuracy, count, _ = _bins(probs.ravel(), truth.ravel())
    return Reliability(confidence, accuracy, count, float(np.mean(own)), own)


def latency(
    model: bytes, feeds: Sequence[Feeds], *, threads: int = 1, runs: int = 300, seconds: float = 20.0, progress: Progress | None = None
) -> Latency:
    """Milliseconds a call on inputs of mixed lengths, batch 1, after a warm-up. Fewer than `runs` (at least 32) if `seconds` are over."""
    network, inputs = _open(model, threads), mixed(feeds)
    for feed in inputs:  # each shape once: the first call with a new one plans its memory
        _call(network, feed)
    taken: list[float] = []
    until = time.perf_counter() + seconds
    while len(taken) < runs and (len(taken) < _INPUTS or time.perf_counter() < until):
        taken.append(_timed(network, inputs[len(taken) % len(inputs)], 1))
        if progress:
            progress("latency", len(taken), runs)
    p50, p90, p95, p99 = (float(value) * 1000 for value in np.percentile(taken, [50, 90, 95, 99]))
    return Latency(p50, p90, p95, p99, len(taken), threads)


def latency_ratio(
    candidate: bytes,
    parent: bytes,
    feeds: Sequence[Feeds],
    *,
    threads: int = 1,
    pairs: int = 150,
    seconds: float = 30.0,
    progress: Progress | None = None,
) -> Ratio:
    """Time of `candidate` over that of `parent`: both on the same input right after each other, now one first, now the other.

    Whatever slows the machine slows both of a pair, and the median forgets the pairs that were hit in between. Calls under half a
    millisecond are measured several at a time. Fewer than `pairs` (at least 32) if `seconds` are over.
    """
    one, other, inputs = _open(candidate, threads), _open(parent, threads), mixed(feeds)
    for feed in inputs:
        _call(one, feed)
        _call(other, feed)
    quick = min(_timed(network, inputs[len(inputs) // 2], 1) for network in (one, other) for _ in range(5))
    repeat = min(50, max(1, round(0.0005 / max(quick, 1e-7))))
    ratios: list[float] = []
    until = time.perf_counter() + seconds
    while len(ratios) < pairs and (len(ratios) < _INPUTS or time.perf_counter() < until):
        feed = inputs[len(ratios) // 2 % len(inputs)]  # each input is met in both orders
        if len(ratios) % 2:
            lower, upper = _timed(other, feed, repeat), _timed(one, feed, repeat)
        else:
            upper, lower = _timed(one, feed, repeat), _timed(other, feed, repeat)
        ratios.append(upper / lower)
        if progress:
            progress("latency against the parent", len(ratios), pairs)
    ordered, count = sorted(ratios), len(ratios)
    margin = 0.98 * np.sqrt(count)  # 1.96 standard deviations of how many of `count` lie under the median
    low, high = int(max(0, np.floor(count / 2 - margin))), int(min(count - 1, np.ceil(count / 2 + margin)))
    return Ratio(float(np.median(ordered)), ordered[low], ordered[high], count)


def mixed(feeds: Sequence[Feeds], count: int = _INPUTS) -> list[Feeds]:
    """At most `count` of the inputs, spread evenly from the smallest to the largest, so that long and short ones have their share.

    ExportError if there is none.
    """
    if not len(feeds):
        raise ExportError("no inputs to measure with")
    drawn = [feeds[i] for i in np.unique(np.linspace(0, len(feeds) - 1, min(len(feeds), 16 * count)).astype(int))]
    drawn.sort(key=lambda feed: sum(value.size for value in feed.values()))
    spread = [drawn[i] for i in np.unique(np.linspace(0, len(drawn) - 1, min(len(drawn), count)).astype(int))]
    return [spread[i] for i in np.random.default_rng(0).permutation(len(spread))]


def _open(model: bytes, threads: int) -> Onnx:
    try:
        return Onnx(model, threads)
    except Exception as error:  # ONNX Runtime's errors have no common class
        raise ExportError(f"ONNX Runtime's CPU provider cannot open the network: {error}") from error


def _call(network: Onnx, feeds: Feeds) -> dict[str, F32]:
    try:
        return network(feeds)
    except Exception as error:  # the same
        shapes = ", ".join(f"{name} {value.dtype} {value.shape}" for name, value in feeds.items())
        raise ExportError(f"ONNX Runtime's CPU provider cannot run the network on {shapes}: {error}") from error


def _timed(network: Onnx, feeds: Feeds, repeat: int) -> float:
    began = time.perf_counter()
    for _ in range(repeat):
        network(feeds)
    return (time.perf_counter() - began) / repeat


def _may_batch(model: bytes) -> bool:
    graph = onnx.load_from_string(model).graph
    stored = {value.name for value in graph.initializer}
    firsts = [i.type.tensor_type.shape.dim[:1] for i in graph.input if i.name not in stored]
    fixed = any(dim and dim[0].HasField("dim_value") for dim in firsts)
    return not fixed and not any(node.op_type in _DYNAMIC for node in graph.node)


def _bins(probs: F32, right: Bools) -> tuple[tuple[float, ...], tuple[float, ...], tuple[int, ...], float]:
    """Mean confidence, share right and count of each bin, and the expected calibration error."""
    place = np.clip((probs.astype(np.float64) * BINS).astype(np.int64), 0, BINS - 1)
    count = np.bincount(place, minlength=BINS)
    sums = [np.bincount(place, weights=value.astype(np.float64), minlength=BINS) for value in (probs, right)]
    empty = np.full(BINS, np.nan)
    confidence, accuracy = (np.divide(total, count, out=empty.copy(), where=count > 0) for total in sums)
    ece = float(np.abs(sums[0] - sums[1]).sum() / max(count.sum(), 1))
    return tuple(confidence.tolist()), tuple(accuracy.tolist()), tuple(count.tolist()), ece
