"""The gates that a variant must pass to be published: accuracy, worst class, latency, size. Parity is held by affectrt_export.families.

A gate whose bound is None was switched off by the user: it passes, and its finding says so. docs/gates.md explains each in full.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from affectrt_export import measure
from affectrt_export.spec import F32, Bounds, Contract, Examples, ExportError, Finding, Progress, VariantKind

Bools = npt.NDArray[np.bool_]
F64 = npt.NDArray[np.float64]

ERRORS = 2.0
"""A class may lose so many standard errors of its loss on top of the bound: what chance alone does to a class with few examples."""
_NAMED = 5
_ROUNDING = 1e-9  # a loss of 0.01 is not more than 0.01


@dataclass(frozen=True)
class Loss:
    """What one class lost of its F1."""

    label: str
    before: float
    after: float
    examples: int
    error: float
    """Standard error of the loss."""

    @property
    def drop(self) -> float:
        """F1 lost; negative where it gained."""
        return self.before - self.after

    @property
    def allowance(self) -> float:
        """What it may lose on top of the bound."""
        return ERRORS * self.error


def judge(
    kind: VariantKind,
    candidate: F32,
    reference: F32,
    contract: Contract,
    examples: Examples,
    *,
    size_bytes: int,
    parent_size_bytes: int,
    ratio: measure.Ratio | None,
    bounds: Bounds,
) -> list[Finding]:
    """Accuracy, class, latency and size of one variant, in this order.

    candidate, reference: logits (N, labels) of the variant and of fp32 on `examples`. Sizes: of its file and of `kind.parent`'s. ratio: its
    latency against `kind.parent`, None where it was not measured. ValueError for shapes that do not fit.
    """
    if candidate.shape != reference.shape or candidate.shape != examples.truth.shape:
        raise ValueError(
            f"logits of both networks of the labels' shape {examples.truth.shape} were expected, "
            f"got {candidate.shape} and {reference.shape}"
        )
    right = _broken(candidate, examples.name, bounds)
    if not right:
        right = [_accuracy(candidate, reference, contract, examples, bounds.accuracy_drop)]
        right.append(_class(candidate, reference, contract, examples, bounds.class_drop))
    return [*right, *judge_cost(kind, size_bytes=size_bytes, parent_size_bytes=parent_size_bytes, ratio=ratio, bounds=bounds)]


def judge_cost(
    kind: VariantKind,
    *,
    size_bytes: int,
    parent_size_bytes: int,
    ratio: measure.Ratio | None,
    bounds: Bounds,
    candidate: F32 | None = None,
) -> list[Finding]:
    """Latency and size alone, as in `judge`: where there is no labelled data. Outputs that are given must still be finite numbers."""
    broken = [] if candidate is None else _broken(candidate, "the inputs without labels", bounds)
    return [*broken, _latency(kind, ratio, bounds.latency_ratio), _size(kind, size_bytes, parent_size_bytes, bounds.size_ratio)]


def judge_with(
    kind: VariantKind,
    contract: Contract,
    examples: Examples,
    reference: F32,
    parent: bytes,
    bounds: Bounds,
    *,
    threads: int = 1,
    progress: Progress | None = None,
) -> Callable[[bytes], list[Finding]]:
    """`judge` for a file of this kind: runs it, and times it against `parent` (`kind.parent`) where it is made for this machine.

    A file that ONNX Runtime cannot run fails the accuracy gate: what cannot be measured is not proven.
    """

    def judged(model: bytes) -> list[Finding]:
        try:
            logits = measure.run(model, examples.feeds, contract.output, progress=progress)
            ratio = None
            if kind.runs_here and bounds.latency_ratio is not None:
                ratio = measure.latency_ratio(model, parent, examples.feeds, threads=threads, progress=progress)
        except ExportError as error:
            return [Finding(gate, False, float("nan"), bound, str(error)) for gate, bound in _quality_bounds(bounds)]
        return judge(
            kind,
            logits,
            reference,
            contract,
            examples,
            size_bytes=len(model),
            parent_size_bytes=len(parent),
            ratio=ratio,
            bounds=bounds,
        )

    return judged


def losses(candidate: F32, reference: F32, contract: Contract, examples: Examples) -> list[Loss]:
    """What each class that has examples lost between `reference` and `candidate` (logits), the largest loss first.

    The standard error is of the difference on the same examples (delta method: the sum of squares of what each example changes), and at
    least what one answer weighs.
    """
    before, after = (measure.answers(contract, measure.probabilities(contract, logits)) for logits in (reference, candidate))
    truth = examples.truth
    f1_before, part_before = _f1(before, truth)
    f1_after, part_after = _f1(after, truth)
    one = 2 / np.maximum(truth.sum(0) + before.sum(0), 1)
    error = np.sqrt(((part_before - part_after) ** 2).sum(0) + one**2)
    out = [
        Loss(name, float(f1_before[k]), float(f1_after[k]), int(truth[:, k].sum()), float(error[k]))
        for k, name in enumerate(contract.names)
        if truth[:, k].any()
    ]
    return sorted(out, key=lambda loss: -loss.drop)


def _broken(logits: F32, data: str, bounds: Bounds) -> list[Finding]:
    """Failed accuracy and class where some outputs (N, ...) are no finite numbers, else nothing."""
    rows = np.flatnonzero(~np.isfinite(logits.reshape(len(logits), -1)).all(1))
    if not len(rows):
        return []
    why = (
        f"{len(rows):,} of {len(logits):,} examples give outputs that are no finite numbers (NaN or infinity), "
        f"the first is example {rows[0] + 1} of {data}."
    )
    return [Finding(gate, False, float("nan"), bound, why) for gate, bound in _quality_bounds(bounds)]


def _f1(said: Bools, truth: Bools) -> tuple[F64, F64]:
    """F1 of each class (labels,), and what each example adds to it (N, labels), to first order."""
    whole = np.maximum(said.sum(0) + truth.sum(0), 1)
    f1 = 2 * (said & truth).sum(0) / whole
    part = (2.0 * (said & truth) - f1 * (said.astype(np.float64) + truth)) / whole
    return np.asarray(f1, np.float64), np.asarray(part)


def _accuracy(candidate: F32, reference: F32, contract: Contract, examples: Examples, bound: float | None) -> Finding:
    metric = "macro-F1" if contract.multi_label else "accuracy"
    before, after = (measure.quality(contract, logits, examples) for logits in (reference, candidate))
    drop = before.score - after.score
    changed = "lost" if drop > 0 else "gained" if drop < 0 else "the same"
    said = f"{metric} on {examples.name}: fp32 {before.score:.4f}, this {after.score:.4f}, {changed}{f' {abs(drop):.4f}' if drop else ''}"
    return Finding("accuracy", bound is None or drop <= bound + _ROUNDING, drop, bound, f"{said}; {_may(bound, 'may be lost')}.")


def _class(candidate: F32, reference: F32, contract: Contract, examples: Examples, bound: float | None) -> Finding:
    ordered = losses(candidate, reference, contract, examples)
    worst = ordered[0]
    failed = [] if bound is None else [loss for loss in ordered if loss.drop > bound + loss.allowance + _ROUNDING]
    shown = failed[:_NAMED] or [worst]
    said = "; ".join(
        f"{loss.label!r}: F1 {loss.before:.4f} in fp32, {loss.after:.4f} in this, lost {loss.drop:.4f} on {loss.examples:,} examples"
        + ("" if bound is None else f", may lose {bound:g} and {loss.allowance:.4f} for chance in a class of this size")
        for loss in shown
    )
    more = f"; and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
    head = "these classes lost too much: " if failed else "the class that fared worst, "
    return Finding("class", not failed, worst.drop, bound, f"{head}{said}{more}.{'' if bound is not None else f' {_may(None)}.'}")


def _latency(kind: VariantKind, ratio: measure.Ratio | None, bound: float | None) -> Finding:
    if ratio is None:
        return Finding("latency", True, float("nan"), bound, f"{_may(None) if bound is None else f'not judged: {_untimed(kind)}'}.")
    said = f"a call takes {ratio.median:.3f} times as long as in {kind.parent} ({ratio.low:.3f} to {ratio.high:.3f}, {ratio.pairs} pairs)"
    # Slower only if it is beyond the noise of the measurement: equals would fail half the time.
    return Finding("latency", bound is None or ratio.low <= bound, ratio.median, bound, f"{said}; {_may(bound, 'times are allowed')}.")


def _untimed(kind: VariantKind) -> str:
    """Why the time of such a variant says nothing here."""
    if kind.name == "master":
        return "no device runs a master; variants are derived from it, and judged then"
    if kind.requires:
        return f"{kind.name} is made for another device than this machine's processor ({', '.join(kind.requires)})"
    if kind.precision == "fp16":
        return "the processor of this machine computes half precision in fp32; fp16 is made for GPUs"
    return "it was not measured"


def _size(kind: VariantKind, size_bytes: int, parent_size_bytes: int, bound: float | None) -> Finding:
    ratio = size_bytes / max(parent_size_bytes, 1)
    said = f"{size_bytes:,} bytes, {ratio:.3f} times the {parent_size_bytes:,} of {kind.parent}"
    return Finding("size", bound is None or ratio <= bound, ratio, bound, f"{said}; {_may(bound, 'times are allowed')}.")


def _may(bound: float | None, what: str = "") -> str:
    return "this gate was switched off" if bound is None else f"at most {bound:g} {what}"


def _quality_bounds(bounds: Bounds) -> list[tuple[str, float | None]]:
    return [("accuracy", bounds.accuracy_drop), ("class", bounds.class_drop)]
