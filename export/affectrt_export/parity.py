"""How far the fp32 ONNX is from the framework that trained the network, on real inputs: before anything is quantised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from affectrt_export import runner
from affectrt_export.spec import F32, Bounds, ExportError, Feeds, Finding, Model

_TINY = 1e-12


@dataclass(frozen=True)
class _Distance:
    """Of one example."""

    largest: float
    output: str
    """Which value differs most: "logits[3]"."""
    mean: float
    cosine: float


def parity(model: Model, feeds: Sequence[Feeds], bounds: Bounds) -> list[Finding]:
    """Three findings of the gate "parity": largest and mean absolute difference of all outputs, least cosine of an example's outputs.

    feeds: preprocessed real inputs, each run alone by both. A model without a reference (it came as ONNX) gets one finding that says so.
    Raises ExportError: no feeds, or outputs of the one that the other has not.
    """
    if model.reference is None:
        return [Finding("parity", True, 0.0, None, "the source is ONNX itself: there is no other framework to compare with")]
    if not feeds:
        raise ExportError("at least one real input was expected to compare the frameworks on, got none")
    network = runner.Onnx(model.onnx)
    found = [_distance(network(feed), model.reference(feed)) for feed in feeds]
    largest = max(range(len(found)), key=lambda i: _worse(found[i].largest))
    mean = max(range(len(found)), key=lambda i: _worse(found[i].mean))
    cosine = max(range(len(found)), key=lambda i: _worse(-found[i].cosine))
    overall = float(np.mean([one.mean for one in found]))
    return [
        _finding(found[largest].largest, bounds.parity_max, f"largest difference: example {largest}, {found[largest].output}"),
        _finding(overall, bounds.parity_mean, f"mean difference; {found[mean].mean:.3g} in example {mean}"),
        _finding(found[cosine].cosine, bounds.parity_cosine, f"least cosine: example {cosine}", least=True),
    ]


def _finding(value: float, bound: float | None, detail: str, least: bool = False) -> Finding:
    # A NaN is never within a bound, and even without one it is no answer.
    passed = np.isfinite(value) and (bound is None or (value >= bound if least else value <= bound))
    return Finding("parity", bool(passed), value, bound, detail)


def _worse(value: float) -> float:
    return np.inf if np.isnan(value) else value


def _distance(ours: Mapping[str, F32], theirs: Mapping[str, F32]) -> _Distance:
    if set(ours) != set(theirs):
        raise ExportError(f"the ONNX file gives the outputs {sorted(ours)}, the source framework {sorted(theirs)}")
    names = sorted(ours)
    for name in names:
        if ours[name].shape != theirs[name].shape:
            raise ExportError(f"output {name}: {theirs[name].shape} in the source framework, {ours[name].shape} in the ONNX file")
    a, b = (np.concatenate([np.ravel(side[name]).astype(np.float64) for name in names]) for side in (ours, theirs))
    difference = np.abs(a - b)
    worst = int(np.argmax(np.where(np.isnan(difference), np.inf, difference)))
    return _Distance(float(difference[worst]), _place(ours, names, worst), float(difference.mean()), _cosine(a, b))


def _place(values: Mapping[str, F32], names: Sequence[str], index: int) -> str:
    for name in names:
        size = values[name].size
        if index < size:
            return f"{name}[{', '.join(str(i) for i in np.unravel_index(index, values[name].shape)[1:])}]"
        index -= size
    raise AssertionError("an index within the outputs was expected")


def _cosine(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """1 where both are next to nothing: two zeros point the same way."""
    left, right = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    if not np.isfinite(left * right):
        return float("nan")
    if left < _TINY and right < _TINY:
        return 1.0
    return float(a @ b) / (left * right) if left * right > 0 else 0.0
