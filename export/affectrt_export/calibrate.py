"""Probabilities that mean what they say, thresholds for labels, and the threshold for "unknown": all chosen on labelled examples.

One label: a temperature. Several: a scale and an offset for the logit of each label (Platt, 1999), folded into the last layer. Everything
is plain NumPy, without chance: the same examples give the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from affectrt_export import measure
from affectrt_export.spec import F32, ExportError

Bools = npt.NDArray[np.bool_]
F64 = npt.NDArray[np.float64]

FOLDS = 5
PRIOR = 100.0
"""How much the common belief weighs against a label's own examples, in examples. At three checkpoints on GoEmotions' dev split macro-F1
was 0.007 higher with 100 than with none, and 0.002 higher still with 300: it need not be exact. docs/gates.md."""
_STEPS = 100
_GRID = 1 / (1 + np.exp(-np.arange(-4.5, 3.0, 0.05)))  # of thresholds: even in log-odds, so that rare labels have as many as common ones
_SMOOTHING = 11  # neighbours on it
_LEAST_SCALE = 0.05  # a label whose logits say nothing, or the contrary, keeps their order


@dataclass(frozen=True)
class Platt:
    """A label's calibrated logit is `scale * logit + offset`."""

    scale: F64
    """(labels,) positive."""
    offset: F64
    """(labels,)"""

    def __call__(self, logits: F32) -> F32:
        """Calibrated logits (N, labels)."""
        return np.asarray(self.scale * logits + self.offset, np.float32)


@dataclass(frozen=True)
class Unknown:
    """Below which probability the answer is "unknown", and what that gives."""

    below: float
    coverage: float
    """Share of the examples that are answered."""
    accuracy: float
    """Share of those that are answered right."""
    met: bool
    """Whether the accuracy asked for was reached."""


def temperature(logits: F32, truth: Bools) -> float:
    """The T of least negative log-likelihood of softmax(logits / T), from 0.05 to 20 (Guo et al., 2017). `logits`, `truth` (N, labels).

    ExportError for logits that are not finite, or rows without exactly one label.
    """
    _check(logits, truth)
    if (truth.sum(1) != 1).any():
        raise ExportError("a temperature is fitted on examples of one label each; use platt for several")
    value = logits.astype(np.float64)
    value -= value.max(1, keepdims=True)
    right = value[truth]

    def slope(cold: float) -> float:  # of the likelihood's negative logarithm, which is convex in 1 / T
        power = np.exp(cold * value)
        return float(((power * value).sum(1) / power.sum(1)).sum() - right.sum())

    low, high = 1 / 20, 1 / 0.05
    for _ in range(_STEPS):
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return round(float(1 / np.sqrt(low * high)), 4)


def platt(logits: F32, truth: Bools, prior: float = PRIOR) -> Platt:
    """Scale and offset for each label, by Newton's method on its log-likelihood. `logits`, `truth` (N, labels).

    `prior` holds the scale to 1 and, far more weakly, the offset to 0, so that a label of few examples keeps what training gave it.
    ExportError for logits that are not finite.
    """
    _check(logits, truth)
    value = logits.astype(np.float64)
    scale, offset = np.ones(value.shape[1]), np.zeros(value.shape[1])
    anchor = prior / 100
    loss = _platt_loss(value, truth, scale, offset, prior, anchor)
    for _ in range(_STEPS):
        p = _sigmoid(scale * value + offset)
        miss, weight = p - truth, p * (1 - p)
        slope_s = (miss * value).sum(0) + prior * (scale - 1)
        slope_o = miss.sum(0) + anchor * offset
        bend_ss = (weight * value * value).sum(0) + prior
        bend_so, bend_oo = (weight * value).sum(0), weight.sum(0) + anchor
        det = bend_ss * bend_oo - bend_so**2
        stuck = (scale <= _LEAST_SCALE) & (slope_s > 0)
        step_s = np.where(stuck, 0, (bend_oo * slope_s - bend_so * slope_o) / det)
        step_o = np.where(stuck, slope_o / bend_oo, (bend_ss * slope_o - bend_so * slope_s) / det)
        before, done = (scale, offset), np.zeros(scale.shape, np.bool_)
        for part in 0.5 ** np.arange(20):  # a whole step may overshoot where nearly all probabilities are 0 or 1
            tried_s, tried_o = np.maximum(before[0] - part * step_s, _LEAST_SCALE), before[1] - part * step_o
            tried = _platt_loss(value, truth, tried_s, tried_o, prior, anchor)
            better = ~done & (tried < loss)
            scale, offset, loss = (np.where(better, *pair) for pair in ((tried_s, scale), (tried_o, offset), (tried, loss)))
            done |= better
            if done.all():
                break
        if max(np.abs(scale - before[0]).max(), np.abs(offset - before[1]).max()) < 1e-9:
            break
    return Platt(scale, offset)


def fold(model: bytes, scale: npt.ArrayLike, offset: npt.ArrayLike, output: str = "") -> bytes:
    """The same fp32 network with `scale * logit + offset` for each label, worked into its last layer: nothing is added, nothing costs more.

    scale, offset: (labels,) or one number. The layer that gives `output` (else the only one) must be Gemm, or MatMul and Add, with
    constant weights; ExportError names what it found otherwise.
    """
    loaded = onnx.load_from_string(model)
    graph = loaded.graph
    if not output and len(graph.output) != 1:
        raise ExportError(f"one output was expected, the network has {', '.join(o.name for o in graph.output)}; name one")
    last = _Last(graph, output or graph.output[0].name)
    factor, shift = (np.broadcast_to(np.asarray(part, np.float64), (last.labels,)) for part in (scale, offset))
    last.write(factor, shift)
    onnx.checker.check_model(loaded)
    return bytes(loaded.SerializeToString(deterministic=True))


def thresholds(probs: F32, truth: Bools, prior: float = PRIOR) -> F64:
    """(labels,) the threshold of best F1 of each label, from calibrated probabilities (N, labels).

    The empirical curve of a label with 20 positives jumps with every example. So its counts are blended with those that the
    probabilities themselves expect (Lipton et al., 2014), which weigh as much as `prior` positives, and the curve is smoothed over
    half a unit of log-odds. Thresholds lie between 0.01 and 0.95.
    """
    out = [_best_threshold(probs[:, label].astype(np.float64), truth[:, label], prior) for label in range(probs.shape[1])]
    return np.round(np.array(out), 4)


def cross_fitted(logits: F32, truth: Bools, folds: int = FOLDS, prior: float = PRIOR) -> tuple[F32, Bools]:
    """Probabilities and answers (N, labels) where each example is judged by a calibration and thresholds chosen without it."""
    part = np.arange(len(truth)) % folds
    probs, said = np.zeros(logits.shape, np.float32), np.zeros(truth.shape, np.bool_)
    for one in range(folds):
        own, others = part == one, part != one
        fit = platt(logits[others], truth[others], prior)
        least = thresholds(_sigmoid32(fit(logits[others])), truth[others], prior)
        probs[own] = _sigmoid32(fit(logits[own]))
        said[own] = probs[own] >= least.astype(np.float32)
    return probs, said


def unknown_below(probs: F32, truth: Bools, least: npt.ArrayLike | None = None, *, accuracy: float = 0.8, coverage: float = 0.5) -> Unknown:
    """The lowest bound, in steps of 0.01, at which at least `accuracy` of the answered examples are right: so the most are answered.

    least: thresholds of the labels where several may be said; an example that reaches one of them is always answered. Where no bound
    reaches `accuracy` with at least `coverage` of the examples answered, the most accurate of those that do answer so many, and `met` is
    False.
    """
    over = np.zeros(truth.shape, np.bool_) if least is None else probs >= np.asarray(least, np.float32)
    right = truth[np.arange(len(truth)), measure.top(probs, over)]
    tried = []
    for below in np.round(np.arange(0, 1, 0.01), 2):
        known = over.any(1) | (probs.max(1) >= np.float32(below))
        if not known.any() or known.mean() < coverage:
            break
        tried.append(Unknown(float(below), float(known.mean()), float(right[known].mean()), bool(right[known].mean() >= accuracy)))
    reached = [one for one in tried if one.met]
    return reached[0] if reached else max(tried, key=lambda one: (one.accuracy, one.coverage))


class _Last:
    """The layer that gives the logits, and how to change it."""

    def __init__(self, graph: onnx.GraphProto, output: str) -> None:
        self.graph = graph
        self.stored = {value.name: value for value in graph.initializer}
        makers = {name: node for node in graph.node for name in node.output}
        node = makers.get(output)
        while node is not None and node.op_type == "Identity":
            node = makers.get(node.input[0])
        if node is None:
            raise ExportError(f"{output!r} is no output of a layer; the network has {', '.join(o.name for o in graph.output)}")
        expected = "calibration goes into a last layer of Gemm, or MatMul and Add, with constant weights"
        if node.op_type == "Gemm":
            self.product = self.sum = node
            self.bias = 2
        elif node.op_type == "Add":
            self.sum = node
            fits = [k for k in (0, 1) if node.input[k] in self.stored and node.input[1 - k] in makers]
            product = makers[node.input[1 - fits[0]]] if fits else None
            if product is None or product.op_type != "MatMul":
                raise ExportError(f"{expected}; {node.name} ({node.op_type}) adds {' and '.join(node.input)}")
            self.product, self.bias = product, fits[0]
        else:
            raise ExportError(f"{expected}; the network ends in {node.name} ({node.op_type})")
        weight = self.stored.get(self.product.input[1])
        if weight is None or len(weight.dims) != 2:
            raise ExportError(f"{expected}; the weight {self.product.input[1]!r} of {self.product.name} is no constant matrix")
        self.across = any(a.name == "transB" and a.i for a in self.product.attribute)
        self.labels = int(weight.dims[0 if self.across else 1])

    def write(self, scale: F64, offset: F64) -> None:
        """Changes weight and bias. Constants that others read too stay as they are."""
        beta = next((a.f for a in self.sum.attribute if a.name == "beta"), 1.0)
        has_bias = len(self.sum.input) > self.bias and self.sum.input[self.bias] != "" and beta != 0
        bias = self._value(self.sum.input[self.bias]) * beta if has_bias else np.zeros(self.labels)
        if bias.size not in (1, self.labels):
            raise ExportError(f"{self.sum.name}: a bias of {self.labels} numbers was expected, got {bias.size}")
        weight = self._value(self.product.input[1])
        weight = weight * (scale[:, None] if self.across else scale)
        self._replace(self.product, 1, weight)
        self._replace(self.sum, self.bias, np.broadcast_to(bias.reshape(-1), (self.labels,)) * scale + offset)
        for attribute in list(self.sum.attribute):
            if attribute.name == "beta":
                self.sum.attribute.remove(attribute)

    def _value(self, name: str) -> F64:
        if name not in self.stored:
            raise ExportError(f"{self.sum.name}: its bias {name!r} was expected to be a constant")
        return np.asarray(numpy_helper.to_array(self.stored[name]), np.float64)

    def _replace(self, node: onnx.NodeProto, place: int, value: F64) -> None:
        while len(node.input) <= place:
            node.input.append("")
        old = node.input[place]
        own = old != "" and sum(list(other.input).count(old) for other in self.graph.node) == 1
        name = old if own else f"{old or node.name}_calibrated"
        new = numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name)
        if own:
            self.stored[old].CopyFrom(new)
        else:
            self.graph.initializer.append(new)
            node.input[place] = name


def _best_threshold(probs: F64, truth: Bools, prior: float) -> float:
    order = np.argsort(-probs, kind="stable")
    p, y = probs[order], truth[order]
    said = np.searchsorted(-p, -_GRID, side="right")  # how many reach each threshold
    own = 1 - prior / (prior + y.sum())
    hits = own * np.append(0, np.cumsum(y))[said] + (1 - own) * np.append(0, np.cumsum(p))[said]
    positives = own * y.sum() + (1 - own) * p.sum()
    curve = 2 * hits / np.maximum(said + positives, 1e-12)
    smooth = np.convolve(np.pad(curve, _SMOOTHING // 2, mode="edge"), np.ones(_SMOOTHING) / _SMOOTHING, "valid")
    return float(_GRID[int(np.argmax(smooth))])


def _platt_loss(value: F64, truth: Bools, scale: F64, offset: F64, prior: float, anchor: float) -> F64:
    """(labels,) negative log-likelihood and what the prior adds."""
    z = scale * value + offset
    likelihood = np.logaddexp(0, z).sum(0) - np.where(truth, z, 0).sum(0)
    return np.asarray(likelihood + prior / 2 * (scale - 1) ** 2 + anchor / 2 * offset**2)


def _sigmoid(value: F64) -> F64:
    return np.asarray(1 / (1 + np.exp(-np.clip(value, -80, 80))))


def _sigmoid32(logits: F32) -> F32:
    return np.asarray(_sigmoid(logits.astype(np.float64)), np.float32)


def _check(logits: F32, truth: Bools) -> None:
    if logits.shape != truth.shape or logits.ndim != 2 or not len(logits):
        raise ExportError(f"logits and truth of one shape (examples, labels) were expected, got {logits.shape} and {truth.shape}")
    if not np.isfinite(logits).all():
        rows = np.flatnonzero(~np.isfinite(logits).all(1))
        raise ExportError(
            f"finite logits were expected, {len(rows)} of {len(logits)} examples have others, the first is example {rows[0] + 1}"
        )
