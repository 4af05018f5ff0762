"""Plots what was seen over time: valence and arousal as lines, probabilities as stacked areas, one column of panels a track.

Needs the extra `plot` (matplotlib); no display is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectrt.cli.media import MissingExtraError, atomic
from affectrt.cli.palette import AROUSAL, VALENCE, color_of, fraction
from affectrt.perception.observation import UNKNOWN

if TYPE_CHECKING:
    from affectrt.affect import AffectState
    from affectrt.perception.observation import FaceObservation, TextObservation

MAX_TRACKS = 4
"""The tracks seen longest are plotted; the title says how many there were."""
MAX_LABELS = 8
MAX_EVENTS = 24
"""So many events have their names on a plot; the others have their line alone."""
MAX_ROWS = 12
FEW = 40
"""So many points of a line are drawn as dots too."""
VISIBLE_BAND, VISIBLE_CURVE = 0.01, 0.05
"""A label that never reaches this probability cannot be seen on a plot, or told from the axis, and is not in its legend."""
INK, FAINT = "#1f2937", "#9ca3af"


@dataclass
class Series:
    """What was read of one face, or of one text, or the state made of it, over time; lists of equal length."""

    name: str
    labels: tuple[str, ...]
    at: list[float] = field(default_factory=list)
    """Seconds, or line numbers for text."""
    valence: list[float] = field(default_factory=list)
    arousal: list[float] = field(default_factory=list)
    probs: list[Any] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    known: list[bool] = field(default_factory=list)
    """False where it said nothing ("unknown")."""
    state: Series | None = None
    """What was made of it, at times of its own."""

    def add(self, at: float, seen: FaceObservation | TextObservation | AffectState) -> None:
        """Append one observation."""
        self.at.append(at)
        self.valence.append(seen.valence)
        self.arousal.append(seen.arousal)
        self.probs.append(seen.probs)
        self.confidence.append(seen.confidence)
        self.known.append(seen.label != UNKNOWN)

    def top(self, count: int = MAX_LABELS) -> list[int]:
        """Indices of the labels with the highest mean, strongest first."""
        import numpy as np

        mean = np.mean(np.asarray(self.probs), axis=0)
        return [int(i) for i in np.argsort(-mean)[:count]]

    def span(self) -> tuple[float, float]:
        """From when to when, its state with it, which lasts longer than what it was made of."""
        return self.at[0], max(self.at[-1], self.state.at[-1] if self.state else self.at[-1])

    def where_known(self, values: Any) -> Any:
        """The values (T,) or (T, C) with NaN, which is a gap on a plot, where it said nothing."""
        import numpy as np

        array = np.array(values, np.float64)
        array[~np.array(self.known)] = np.nan
        return array


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "plot", "plotting") from None
    figure = Figure(figsize=(width, height), dpi=110, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Any, path: Path) -> None:
    """Write the figure as its suffix says, complete or not at all."""
    with atomic(path) as partial:
        figure.savefig(partial)


def _tidy(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=8)
    axes.grid(axis="y", color="#e5e7eb", linewidth=0.7)
    axes.set_axisbelow(True)


def timeline(
    series: Sequence[Series], *, unit: str = "seconds", title: str = "", stacked: bool = True, events: Sequence[tuple[float, str]] = ()
) -> Any:
    """A figure: for each series its valence and arousal above, its probabilities below.

    Where there are states, theirs are the strong lines above, and their labels have a panel in the middle. `stacked` for probabilities that
    sum to 1; else each label is a line of its own (multi-label text), with a gap where nothing could be read. `events` are times, in the
    unit of the series, and names.
    """
    shown = sorted(sorted(series, key=lambda one: -len(one.at))[:MAX_TRACKS], key=lambda one: one.name)
    columns = max(1, len(shown))
    middle = any(one.state for one in shown)
    figure = _figure(max(7.5, 4.6 * columns), 8.4 if middle else 5.4)
    rest = f" ({len(shown)} of {len(series)} tracks)" if len(series) > len(shown) else ""
    figure.suptitle(title + rest, fontsize=12, color=INK, x=0.01, ha="left", fontweight="bold")
    heights = [1.3, 1, 1] if middle else [1, 1.25]
    grid = figure.subplots(len(heights), columns, sharex="col", squeeze=False, height_ratios=heights)
    for column, one in enumerate(shown):
        _affect(grid[0][column], one, legend=column == columns - 1, gaps=not stacked)
        if one.name != title:
            grid[0][column].set_title(one.name, fontsize=10, color=INK, loc="left")
        if one.state:
            _probabilities(grid[1][column], one.state, "", stacked=True)
            _confidence(grid[1][column], one.state)
        _probabilities(grid[-1][column], one, unit, stacked)
        _events(grid[:, column], one, events)
        first, last = one.span()
        dots = not stacked or one.state is not None or len(one.at) < FEW
        margin = 0.5 if first == last else 0.015 * (last - first) * dots  # so that the first and last dot are whole
        grid[-1][column].set_xlim(first - margin, last + margin)
    return figure


def _affect(axes: Any, one: Series, *, legend: bool, gaps: bool) -> None:
    from matplotlib.lines import Line2D

    _tidy(axes)
    axes.axhline(0, color=FAINT, linewidth=0.8)
    few = len(one.at) < FEW or (gaps and not all(one.known))
    for part in (one, one.state) if one.state else (one,):
        # Beside its state, what was read is no more than the dots that it is made of.
        beside = part is one and one.state is not None
        for name, values, color in (("valence", part.valence, VALENCE), ("arousal", part.arousal, AROUSAL)):
            axes.plot(
                part.at,
                part.where_known(values) if beside or gaps else values,
                color=fraction(color),
                label="_" if beside else name,
                linewidth=0 if beside else 1.8,
                marker="o" if beside or (part is one and few) else "",
                markersize=5 if beside and few else 2.5 if beside else 3.5,
                alpha=0.45 if beside else 1.0,
            )
    axes.set_ylim(-1.08, 1.08)
    axes.set_ylabel("valence, arousal", fontsize=8, color=INK)
    if legend:
        handles = axes.get_legend_handles_labels()[0]
        if one.state:
            handles.append(Line2D([], [], color=FAINT, marker="o", markersize=5, linewidth=0, label="dots: reading"))
            handles.append(Line2D([], [], color=FAINT, linewidth=1.8, label="lines: state"))
        axes.legend(handles=handles, fontsize=8, frameon=False, loc="lower right", ncols=4, bbox_to_anchor=(1.0, 1.0))


def _confidence(axes: Any, state: Series) -> None:
    axes.plot(state.at, state.confidence, color=INK, linewidth=1.4, linestyle=(0, (4, 2)), label="confidence")
    axes.set_ylabel("state", fontsize=8, color=INK)
    axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=4)


def _events(column: Sequence[Any], one: Series, events: Sequence[tuple[float, str]]) -> None:
    """A line through the panels for each event within their time; its name stands upright in the first."""
    first, last = one.span()
    inside = [(at, name) for at, name in events if first <= at <= last]
    for number, (at, name) in enumerate(inside):
        for axes in column:
            axes.axvline(at, color=INK, linewidth=0.9, linestyle=(0, (1, 2)))
        if number < MAX_EVENTS:
            box = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.8}
            column[0].text(at, -1.0, name[:24], rotation=90, fontsize=7, color=INK, ha="right", va="bottom", bbox=box)


def _probabilities(axes: Any, one: Series, unit: str, stacked: bool) -> None:
    import numpy as np

    _tidy(axes)
    probs = np.asarray(one.probs)
    bands = stacked and len(one.at) > 1
    visible = {i for i in one.top() if probs[:, i].max() >= (VISIBLE_BAND if bands else VISIBLE_CURVE)}
    if bands:
        order = one.top()
        colors = [fraction(color_of(one.labels[i])) for i in order]
        names = [one.labels[i] if i in visible else "_" for i in order]
        axes.stackplot(one.at, *(probs[:, i] for i in order), colors=colors, labels=names, alpha=0.92, linewidth=0)
        axes.set_ylim(0, 1)
    else:
        values = probs if stacked else one.where_known(probs)
        for i in (i for i in one.top() if i in visible):
            color, name = fraction(color_of(one.labels[i])), one.labels[i]
            axes.plot(one.at, values[:, i], color=color, label=name, linewidth=1.6, marker="o", markersize=3.5)
        axes.set_ylim(-0.03, 1.03)
    axes.set_ylabel("probability", fontsize=8, color=INK)
    axes.set_xlabel(unit, fontsize=8, color=INK)
    if visible:
        axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=4)
    if unit == "line":
        from matplotlib.ticker import MaxNLocator

        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def snapshot(seen: Sequence[tuple[str, FaceObservation | TextObservation]], *, title: str = "") -> Any:
    """A figure of single moments: bars for each of one or two, one stacked bar each for more; all in one plane of valence and arousal."""
    many = len(seen) > 2
    columns = 3 if many else len(seen) + 1
    figure = _figure(3.9 * columns, 3.9)
    figure.suptitle(title, fontsize=12, color=INK, x=0.01, ha="left", fontweight="bold")
    if many:
        grid = figure.subplots(1, 2, squeeze=False, width_ratios=[2, 1])[0]
        _stacked_bars(grid[0], seen[:MAX_ROWS])
    else:
        grid = figure.subplots(1, columns, squeeze=False)[0]
        for axes, (name, one) in zip(grid, seen, strict=False):
            _bars(axes, name, one)
    _affect_plane(grid[-1], seen[:MAX_ROWS])
    return figure


def _bars(axes: Any, name: str, one: FaceObservation | TextObservation) -> None:
    _tidy(axes)
    axes.grid(visible=False)
    # A label over its own threshold counts, however low that is: it comes before a likelier one that is not over its own.
    active = getattr(one, "active", ())
    order = sorted(range(len(one.labels)), key=lambda i: (one.labels[i] not in active, -float(one.probs[i])))[:MAX_LABELS]
    names, values = [one.labels[i] for i in order], [float(one.probs[i]) for i in order]
    bars = axes.barh(names, values, color=[fraction(color_of(label)) for label in names], height=0.62)
    axes.bar_label(bars, fmt="%.2f", fontsize=8, color=INK, padding=3)
    axes.invert_yaxis()
    for tick, label in zip(axes.get_yticklabels(), names, strict=True):
        tick.set_fontweight("bold" if label in (one.label, *active) else "normal")
    axes.set_xlim(0, 1.12)
    axes.set_xticks([0, 0.5, 1])
    axes.set_title(name, fontsize=10, color=INK, loc="left")
    axes.set_xlabel("probability", fontsize=8, color=INK)


def _stacked_bars(axes: Any, seen: Sequence[tuple[str, FaceObservation | TextObservation]]) -> None:
    _tidy(axes)
    axes.grid(visible=False)
    names, labels = [name for name, _ in seen], seen[0][1].labels
    left = [0.0] * len(seen)
    order = sorted(range(len(labels)), key=lambda i: -sum(float(one.probs[i]) for _, one in seen))
    for i in order:
        width = [float(one.probs[i]) for _, one in seen]
        axes.barh(names, width, left=left, color=fraction(color_of(labels[i])), height=0.62, label=labels[i])
        left = [start + part for start, part in zip(left, width, strict=True)]
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_title(f"{len(seen)} faces", fontsize=10, color=INK, loc="left")
    axes.set_xlabel("probability", fontsize=8, color=INK)
    axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=7)


def _affect_plane(axes: Any, seen: Sequence[tuple[str, FaceObservation | TextObservation]]) -> None:
    from matplotlib.patches import Circle

    _tidy(axes)
    axes.grid(visible=False)
    axes.add_patch(Circle((0, 0), 1, facecolor="#f3f4f6", edgecolor=FAINT, linewidth=0.8))
    axes.axhline(0, color=FAINT, linewidth=0.8)
    axes.axvline(0, color=FAINT, linewidth=0.8)
    points = [(one.valence, one.arousal) for _, one in seen]
    names = [f"{name}: {one.label}" for name, one in seen]
    for name, place, point, (_, one) in zip(names, _label_places(names, points), points, seen, strict=True):
        axes.scatter(*point, s=90, color=[fraction(color_of(one.label))], edgecolors=INK, linewidths=0.8, zorder=3)
        axes.annotate(
            name,
            point,
            xytext=place,
            ha="left" if place[0] > point[0] else "right",
            va="center",
            fontsize=8,
            color=INK,
            zorder=4,
            arrowprops={"arrowstyle": "-", "color": INK, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 0, "relpos": _side(place, point)},
        )
    axes.set(xlim=(-1.08, 1.08), ylim=(-1.08, 1.08), aspect="equal")
    axes.set_xticks([-1, 0, 1])
    axes.set_yticks([-1, 0, 1])
    axes.set_xlabel("valence", fontsize=8, color=INK)
    axes.set_ylabel("arousal", fontsize=8, color=INK)
    axes.set_title("valence and arousal", fontsize=10, color=INK, loc="left")


def _side(place: tuple[float, float], point: tuple[float, float]) -> tuple[float, float]:
    """Where on a label the line to its point begins: at the end that is nearer."""
    return (0.0 if place[0] > point[0] else 1.0, 0.5)


def _label_places(names: Sequence[str], points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """For each name where its label stands beside its point, clear of the other labels and of all points as far as there is room.

    From the highest point down, so that the lines from labels to points seldom cross. Sizes are those of 8 points on
    a plane of three inches, and rather too large.
    """
    letter, height, dot, away = 0.062, 0.13, 0.07, 0.14
    taken = [(x - dot, y - dot, x + dot, y + dot) for x, y in points]
    placed = {}
    for number in sorted(range(len(names)), key=lambda i: -points[i][1]):
        (x, y), width = points[number], letter * len(names[number])
        tries: list[tuple[Any, ...]] = []
        for side in (1, -1) if x < 0.2 else (-1, 1):
            for step in range(-16, 17):
                at_x, at_y = x + side * away, y + step * height / 2
                left, right = sorted((at_x, at_x + side * width))
                box = (left, at_y - height / 2, right, at_y + height / 2)
                outside = left < -1.05 or right > 1.05 or abs(at_y) > 1.0
                clashes = sum(box[0] < one[2] and box[2] > one[0] and box[1] < one[3] and box[3] > one[1] for one in taken)
                tries.append((outside, clashes, abs(step), len(tries), (at_x, at_y), box))
        *_, placed[number], box = min(tries)
        taken.append(box)
    return [placed[number] for number in range(len(names))]
