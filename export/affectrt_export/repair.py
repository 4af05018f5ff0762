"""Saves a variant that failed its gates: finds the layers that cannot bear the lower precision, and keeps the worst of them in fp32."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from affectrt_export import measure
from affectrt_export.spec import ExportError, Feeds, Finding, Layer, Maker, Progress, Repair, VariantKind

MOST_EXAMPLES = 64
"""Inputs that the sensitivity of a layer is measured on, calibration included: it only has to put layers in order."""
MOST_VARIANTS = 48
"""Variants that are made at most to find the sensitive layers of a large network."""
_COST = ("size", "latency")
_GAIN = 0.02  # of the best shortfall so far; less is none
_HARMLESS = 0.1  # of the worst layer's error: where only such layers are left to keep, keeping them is no great hope


@dataclass(frozen=True)
class Repaired:
    """What became of a variant that failed."""

    onnx: bytes | None
    """None: refused."""
    repairs: Sequence[Repair]
    """Every attempt, in order; the last is the one that passed, if one did."""
    sensitivity: Sequence[Layer]
    """Worst first."""
    findings: Sequence[Finding]
    """Of the file that passed, or of the attempt that came nearest."""
    why: str
    """What saved it, or why it is refused: a sentence for the report."""


def sensitivity(
    model: bytes,
    maker: Maker,
    layers: Sequence[str],
    calibration: Sequence[Feeds],
    *,
    output: str = "",
    most_examples: int = MOST_EXAMPLES,
    most_variants: int = MOST_VARIANTS,
    progress: Progress | None = None,
) -> tuple[Layer, ...]:
    """How far `output` (else the first) moves from fp32 when one layer alone is quantised, worst first; equals stay in the network's order.

    model: fp32 ONNX. layers: names of the nodes that `maker` quantises. With more layers than `most_variants`, neighbours are measured
    together and the worst groups are parted until so many variants were made; a layer in a group that was never parted is given the
    error of the group over the square root of its size. An error is infinite where outputs are no finite numbers.
    ExportError if there are no layers or no inputs, or the maker cannot make such a variant.
    """
    if not layers:
        raise ExportError("layers to measure were expected, got none: the network has nothing that could be quantised")
    inputs = _spread(calibration, most_examples)
    whole = frozenset(layers)
    reference = measure.run(model, inputs, output).astype(np.float64)
    scale = float(np.sqrt((reference**2).mean())) or 1.0
    made = 0
    total = min(len(layers), most_variants)

    def error(group: Sequence[str]) -> float:
        nonlocal made
        logits = measure.run(maker(model, inputs, whole - frozenset(group)), inputs, output)
        made += 1
        if progress:
            progress("sensitivity of layers", min(made, total), total)
        return float(np.sqrt(((logits - reference) ** 2).mean())) / scale if np.isfinite(logits).all() else float("inf")

    # Half of the variants find out where to look, the other half look closer there.
    start = len(layers) if len(layers) <= most_variants else max(1, most_variants // 2)
    cuts = np.linspace(0, len(layers), start + 1).astype(int)
    found = [(list(layers[a:b]), error(layers[a:b])) for a, b in itertools.pairwise(cuts)]
    while made + 2 <= most_variants and any(len(group) > 1 for group, _ in found):
        place = max((k for k, (group, _) in enumerate(found) if len(group) > 1), key=lambda k: found[k][1])
        group = found[place][0]
        halves = [group[: len(group) // 2], group[len(group) // 2 :]]
        found[place : place + 1] = [(half, error(half)) for half in halves]
    ops = {node.name: node.op_type for node in onnx.load_from_string(model).graph.node}
    out = [Layer(name, ops.get(name, ""), value / float(np.sqrt(len(group)))) for group, value in found for name in group]
    return tuple(sorted(out, key=lambda layer: -layer.error))


def repair(
    model: bytes,
    kind: VariantKind,
    layers: Sequence[str],
    judge: Callable[[bytes], Sequence[Finding]],
    calibration: Sequence[Feeds],
    *,
    first: Sequence[Finding] = (),
    output: str = "",
    measured: Sequence[Layer] = (),
    progress: Progress | None = None,
) -> Repaired:
    """Keeps the worst 1, 2, 4, ... layers in fp32 until every gate passes, or it is clear that none of it will do.

    judge: the gates of one file (`gate.judge_with`). first: what they found of the plain variant; it is made and judged where that is not
    given. measured: the sensitivity, where it is known. It gives up when what is kept makes the file larger or slower than its parent;
    when two attempts in a row came no nearer and only layers are left that do little harm; and when all layers but one are kept. A
    variant that is right but too large or too slow as it is gains nothing from keeping more, and is refused at once.
    ExportError if the plain variant passed.
    """
    findings = tuple(first) or tuple(judge(kind.maker(model, calibration, frozenset())))
    if all(finding.passed for finding in findings):
        raise ExportError(f"{kind.name}: a variant that failed a gate was expected, this one passed all")
    if not _failed(findings, cost=False):
        return Repaired(None, (), (), findings, f"refused: as right as it must be, but {_names(findings, cost=True)}")
    ordered = tuple(measured) or sensitivity(model, kind.maker, layers, calibration, output=output, progress=progress)
    repairs: list[Repair] = []
    best = _shortfall(findings)
    nearest, idle = findings, 0
    counts = [2**k for k in range(64) if 2**k < len(ordered)]
    counts += [len(ordered) - 1] if len(ordered) > 1 and len(ordered) - 1 not in counts else []
    why = "there is no layer that could be kept without keeping all"
    for attempt, count in enumerate(counts):
        kept = tuple(layer.name for layer in ordered[:count])
        if progress:
            progress("repair", attempt, len(counts))
        variant = kind.maker(model, calibration, frozenset(kept))
        findings = tuple(judge(variant))
        repairs.append(Repair(kept, findings))
        if all(finding.passed for finding in findings):
            return Repaired(variant, repairs, ordered, findings, f"saved by keeping {_layers(ordered[:count])} in fp32")
        if not _failed(findings, cost=False):
            nearest, why = findings, f"right again with {_layers(ordered[:count])} in fp32, but then {_names(findings, cost=True)}"
            break
        gained = _shortfall(findings) < best * (1 - _GAIN)
        idle = 0 if gained else idle + 1
        if gained:
            best, nearest = _shortfall(findings), findings
        if _failed(findings, cost=True):
            why = f"with {_layers(ordered[:count])} in fp32 {_names(findings, cost=True)}, and still {_names(findings, cost=False)}"
            break
        if idle >= 2 and ordered[count].error < _HARMLESS * ordered[0].error:
            why = f"keeping more layers in fp32 brings it no nearer: with {_layers(ordered[:count])} still {_names(findings, cost=False)}"
            break
        why = f"with {_layers(ordered[:count])} in fp32, all but one, still {_names(findings, cost=False)}"
    return Repaired(None, repairs, ordered, nearest, f"refused: {why}")


def _spread(feeds: Sequence[Feeds], count: int) -> list[Feeds]:
    if not len(feeds):
        raise ExportError("inputs to measure the layers on were expected, got none")
    return [feeds[i] for i in np.unique(np.linspace(0, len(feeds) - 1, min(count, len(feeds))).astype(int))]


def _failed(findings: Sequence[Finding], *, cost: bool) -> list[Finding]:
    return [finding for finding in findings if not finding.passed and (finding.gate in _COST) == cost]


def _shortfall(findings: Sequence[Finding]) -> float:
    """How far the answers are from passing, in bounds; infinite where there is nothing to compare."""
    out = 0.0
    for finding in _failed(findings, cost=False):
        if finding.bound is None or not np.isfinite(finding.value):
            return float("inf")
        out += (finding.value - finding.bound) / max(abs(finding.bound), 1e-3)
    return out


def _names(findings: Sequence[Finding], *, cost: bool) -> str:
    return " and ".join(f"the {finding.gate} gate fails ({finding.detail.rstrip('.')})" for finding in _failed(findings, cost=cost))


def _layers(layers: Sequence[Layer], most: int = 8) -> str:
    named = ", ".join(f"{layer.name} ({layer.op})" for layer in layers[:most])
    return named + (f" and {len(layers) - most} more" if len(layers) > most else "")
