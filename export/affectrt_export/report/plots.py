"""How each picture of a report is drawn; `pictures.draw` calls these within the report's own settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from affectrt_export.report import words
from affectrt_export.report.labels import place
from affectrt_export.report.pictures import (
    BAD,
    BAND,
    FAINT,
    INK,
    MARKERS,
    PAPER,
    REFERENCE,
    SERIES,
    STATUS,
    STRIPE,
    WARN,
    Measure,
    finite,
    score_measure,
    speed_measure,
)
from affectrt_export.report.record import Record, Variant
from affectrt_export.spec import Quality

FEW = 20
"""Examples in a bin under which its point is hollow: it says little."""
_LAYERS = 12
_STATUS_MARKERS = {"published": "o", "repaired": "D", "refused": "X", "not carried": "s"}


def short(name: str, most: int = 24) -> str:
    """A name as a picture shows it: cut in the middle where it is long."""
    text = words.clean(name)
    if len(text) <= most:
        return text
    half = (most - 1) // 2
    return f"{text[: most - 1 - half]}…{text[-half:]}"


def figure(width: float, height: float) -> Any:
    """An empty figure, inches, with a canvas that can measure text."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(made)
    return made


def tradeoff(record: Record) -> Any:
    """Quality over size, and over speed where that was measured; without any quality speed over size."""
    score, speed = score_measure(record), speed_measure(record)
    over = [axis for axis in (score or speed,) if axis] + [axis for axis in (speed if score else None,) if axis]
    first = over[0]
    made = figure(7.4 if len(over) > 1 else 4.6, 3.4)
    grid = made.subplots(1, len(over), sharey=True, squeeze=False)[0]
    sized = [v for v in record.variants if v.size_bytes and first.of(v) is not None]
    _scatter(grid[0], sized, [v.size_bytes / 1e6 for v in sized], first)
    grid[0].set(xlabel="size, MB", ylabel=first.label, title=f"{_capital(first.title)} and size")
    if len(over) > 1:
        timed = [v for v in sized if over[1].of(v) is not None]
        _scatter(grid[1], timed, [over[1].of(v) or 0 for v in timed], first)
        grid[1].set(xlabel=over[1].label, title=f"{_capital(first.title)} and {over[1].title}")
    if score:
        _score_axis(grid, record, [first.of(v) or 0 for v in sized], gated=first.title == words.score_name(record))
    else:
        grid[0].set_ylim(0, max(first.of(v) or 0 for v in sized) * 1.16 or 1)
    _legend(made, record)
    made.draw_without_rendering()
    made.set_layout_engine("none")  # the labels are placed for just this layout
    for axes in made.axes:
        place(axes)
    return made


def _scatter(axes: Any, variants: Sequence[Variant], x: Sequence[float], y: Measure) -> None:
    for variant, at in zip(variants, x, strict=True):
        refused = variant.status == "refused"
        axes.plot(
            [at],
            [y.of(variant)],
            marker=_STATUS_MARKERS[variant.status],
            color=STATUS[variant.status],
            markersize=8,
            markeredgecolor=PAPER,
            linestyle="none",
            gid=f"point:{short(variant.name)}",
            zorder=4 if refused else 3,
        )
    axes.set_xlim(0, max(x, default=0) * 1.16 or 1)


def _score_axis(grid: Any, record: Record, scores: Sequence[float], *, gated: bool) -> None:
    """A scale that does not blow differences up which mean nothing, with what the accuracy gate allows."""
    low, high = min(scores), max(scores)
    if gated and (allowed := _allowed(record)):
        floor, drop = allowed
        low = min(low, floor - 0.6 * drop)
        for axes in grid:
            axes.axhspan(floor, 2, color=BAND, linewidth=0, zorder=0)
            axes.axhline(floor, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    room = max(high - low, 0.02 if gated else 0.02 * high) * 0.16
    grid[0].set_ylim(low - room, high + 1.6 * room)


def _allowed(record: Record) -> tuple[float, float] | None:
    """The least score that the accuracy gate lets pass, and how far that is under the reference."""
    reference, drop = record.variant(record.reference), record.bounds.accuracy_drop
    score = finite(reference.score) if reference else None
    return None if score is None or drop is None else (score - drop, drop)


def _legend(made: Any, record: Record) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    there = [status for status in STATUS if any(v.status == status for v in record.variants)]
    style: dict[str, Any] = {"linestyle": "none", "markersize": 7, "markeredgecolor": PAPER}
    handles: list[Any] = [Line2D([], [], marker=_STATUS_MARKERS[s], color=STATUS[s], label=s, **style) for s in there]
    if allowed := _allowed(record):
        handles.append(Patch(facecolor=BAND, edgecolor=FAINT, label=f"at most {allowed[1]:g} under {short(record.reference)}"))
    made.legend(handles=handles, loc="outside lower center", ncols=len(handles))


def classes(record: Record) -> Any:
    """A row a class: its F1 in each variant, and beside it the difference to the reference."""
    shown = [(v, v.quality) for v in record.variants if v.quality is not None]
    reference = next((q for v, q in shown if v.name == record.reference), None)
    others = [(v, q) for v, q in shown if v.name != record.reference] if reference else shown
    names = [one.label for one in shown[0][1].scores.classes]
    step = 0.16 + 0.055 * max(1, len(shown))
    compared = reference is not None and bool(others)
    made = figure(7.4 if compared else 4.8, max(2.2, step * len(names) + 1.2))
    grid = made.subplots(1, 2 if compared else 1, sharey=True, squeeze=False, width_ratios=[1.25, 1] if compared else [1])[0]
    rows = np.arange(len(names), dtype=float)
    for axes in grid:
        axes.grid(visible=False, axis="y")
        for row in range(1, len(names), 2):  # stripes lead the eye along a row
            axes.axhspan(row - 0.5, row + 0.5, color=STRIPE, linewidth=0, zorder=0)
    base = _f1(reference, names) if reference else []
    if reference:  # a line through the row, which the marks of the others stand beside
        x = np.stack([base, base, np.full(len(base), np.nan)], axis=1).ravel()
        y = np.stack([rows - 0.4, rows + 0.4, rows], axis=1).ravel()
        grid[0].plot(x, y, color=REFERENCE, linewidth=2, solid_capstyle="butt", label=short(record.reference))
    for i, (variant, quality) in enumerate(others):
        color, marker = SERIES[i % len(SERIES)], MARKERS[i % len(MARKERS)]
        at, values = rows + _dodge(i, len(others)), _f1(quality, names)
        grid[0].plot(values, at, marker, color=color, markersize=5, markeredgewidth=0.5, label=short(variant.name))
        if compared:
            _differences(grid[1], np.subtract(values, base), at, color, marker, len(others))
    grid[0].set(xlim=(-0.02, 1.02), xlabel="F1", title="F1 of each class")
    grid[0].set_yticks(rows, [short(name) for name in names])
    grid[0].set_ylim(len(names) - 0.5, -0.5)
    if compared:
        _difference_axis(grid[1], record)
    made.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=-(-len(shown) // -(-len(shown) // 5)))
    return made


def _f1(quality: Quality, names: Sequence[str]) -> list[float]:
    found = {one.label: one.f1 for one in quality.scores.classes}
    return [found.get(name, float("nan")) for name in names]


def _dodge(i: int, count: int) -> float:
    """Where in its row a variant's mark stands, so that none hides another."""
    return 0.0 if count == 1 else (i / (count - 1) - 0.5) * 0.62


def _differences(axes: Any, values: Any, at: Any, color: str, marker: str, count: int) -> None:
    bars = np.stack([np.zeros(len(values)), np.nan_to_num(values), np.full(len(values), np.nan)], axis=1).ravel()
    axes.plot(bars, np.repeat(at, 3), color=color, linewidth=24 / max(6, 2 * count + 4), alpha=0.5, solid_capstyle="butt")
    axes.plot(values, at, color=color, marker=marker, linestyle="none", markersize=4, markeredgewidth=0.5)


def _difference_axis(axes: Any, record: Record) -> None:
    ends = np.concatenate([np.asarray(line.get_xdata(), float) for line in axes.get_lines()])
    reach = float(np.abs(ends[np.isfinite(ends)]).max(initial=0))
    allowed = record.bounds.class_drop
    reach = max(reach, (allowed or 0) * 1.2, 0.02) * 1.1
    axes.axvline(0, color=INK, linewidth=0.9)
    title = f"Difference to {short(record.reference)}"
    if allowed is not None:
        axes.axvline(-allowed, color=BAD, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set(xlim=(-reach, reach), title=title)
    axes.set_xlabel("F1 gained or lost" + (f"; dashed: the bound, {-allowed:g}" if allowed is not None else ""))


def reliability(variant: Variant | None) -> Any:
    """Share right over confidence with the number of examples under it; with several labels also the ECE of each."""
    assert variant is not None and variant.quality is not None
    found, scores = variant.quality.reliability, variant.quality.scores
    labelled = len(found.label_ece) == len(scores.classes) > 0
    many = len(scores.classes) if labelled else 0
    made = figure(6.6 if labelled else 3.5, max(3.9, 0.165 * many + 1.0))
    left, right = made.subfigures(1, 2, width_ratios=[1.15, 1]) if labelled else (made, None)
    top, bottom = left.subplots(2, 1, sharex=True, height_ratios=[3.4, 1])
    confidence, share, count = (np.array(part, float) for part in (found.confidence, found.accuracy, found.count))
    there = np.isfinite(confidence) & np.isfinite(share) & (count > 0)
    confidence, share, count = confidence[there], share[there], count[there]
    top.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
    top.vlines(confidence, np.minimum(confidence, share), np.maximum(confidence, share), color=WARN, linewidth=3, alpha=0.6)
    top.plot(confidence, share, color=SERIES[0], linewidth=1.3)
    for enough, face in ((count >= FEW, SERIES[0]), (count < FEW, PAPER)):
        points = top.plot(confidence[enough], share[enough], "o", color=SERIES[0], markerfacecolor=face, markersize=5.5, clip_on=False)
        points[0].set_in_layout(False)
    top.set(xlim=(0, 1), ylim=(0, 1), ylabel="share right", title=short(variant.name, 34))
    top.text(0.04, 0.93, f"ECE {words.share(found.ece)}", transform=top.transAxes, va="top")
    bottom.bar(confidence, count / max(count.sum(), 1), width=0.8 / max(len(found.count), 1), color=SERIES[0], linewidth=0)
    bottom.set(xlabel="confidence", ylabel="part of all", ylim=(0, None))
    bottom.locator_params(axis="y", nbins=3)
    if labelled and right is not None:
        _label_bars(right.subplots(), [one.label for one in scores.classes], np.array(found.label_ece, float))
    return made


def _label_bars(axes: Any, names: Sequence[str], errors: Any) -> None:
    order = np.argsort(-np.nan_to_num(errors, nan=-1), kind="stable")
    axes.barh(np.arange(len(order)), np.nan_to_num(errors[order]), height=0.66, color=SERIES[0], linewidth=0)
    axes.set_yticks(np.arange(len(order)), [short(names[i], 18) for i in order])
    axes.set_ylim(len(order) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.set(xlabel="ECE", title="ECE of each label", xlim=(0, max(float(np.nanmax(np.append(errors, 0))) * 1.08, 0.01)))
    axes.locator_params(axis="x", nbins=5)


def sensitivity(variant: Variant | None) -> Any:
    """A bar a layer, worst first; those that a repair kept in higher precision stand out."""
    assert variant is not None
    from matplotlib.patches import Patch

    layers, kept = list(variant.sensitivity)[:_LAYERS], set(variant.kept)
    errors = [finite(layer.error) for layer in layers]
    made = figure(6.6, 0.235 * len(layers) + 1.25)
    axes = made.subplots()
    rows = np.arange(len(layers))
    colors = [WARN if layer.name in kept else SERIES[0] for layer in layers]
    axes.barh(rows, [error or 0 for error in errors], height=0.66, color=colors, linewidth=0)
    axes.set_yticks(rows, [short(layer.name, 44) for layer in layers])
    for row, error in zip(rows, errors, strict=True):
        said = words.number(error if error is not None else float("nan"), 3)
        axes.annotate(said, (error or 0, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
    rest = f", {len(layers)} worst of {len(variant.sensitivity)}" if len(variant.sensitivity) > len(layers) else ""
    axes.set(title=f"{short(variant.name)}: one layer quantised at a time{rest}", xlabel="relative error of the outputs")
    axes.set_xlim(0, (max([error or 0 for error in errors]) or 1) * 1.14)
    axes.set_ylim(len(layers) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    if kept:
        handles = [Patch(color=WARN, label="kept in higher precision"), Patch(color=SERIES[0], label="quantised")]
        made.legend(handles=handles, loc="outside lower center", ncols=2)
    return made


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
