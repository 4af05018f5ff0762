"""Names beside the points of a plot, placed so that none lies on another or on a point."""

from __future__ import annotations

import math
from typing import Any

_FONT_SIZE = 8
_PAD_PX = 1.5
_POINT_PX = 6.0

Box = tuple[float, float, float, float]
"""Left, bottom, right, top in pixels."""


def place(axes: Any) -> list[Box]:
    """Name every line of `axes` whose gid is "point:NAME", beside its only point; the boxes of the names. The layout must be final."""
    renderer = axes.figure.canvas.get_renderer()
    points = []
    for line in axes.get_lines():
        if str(line.get_gid() or "").startswith("point:"):
            (x,), (y,) = line.get_xdata(), line.get_ydata()
            points.append((line.get_gid()[6:], axes.transData.transform((x, y))))
    taken: list[Box] = [(x - _POINT_PX, y - _POINT_PX, x + _POINT_PX, y + _POINT_PX) for _, (x, y) in points]
    inside = axes.get_window_extent(renderer)
    border: Box = (inside.x0, inside.y0, inside.x1, inside.y1)
    boxes = []
    # From the edges inwards: those in the middle have the most ways out.
    middle = (inside.x0 + inside.x1) / 2
    for name, (x, y) in sorted(points, key=lambda one: (-abs(one[1][0] - middle), one[1][1], one[0])):
        width, height = _extent(axes, name, renderer)
        offset = _offset(x, y, width, height, border, taken)
        box = _box(x, y, width, height, offset)
        taken.append(box)
        boxes.append(box)
        _annotate(axes, name, (x, y), box)
    return boxes


def _extent(axes: Any, name: str, renderer: Any) -> tuple[float, float]:
    probe = axes.text(0, 0, name, fontsize=_FONT_SIZE)
    extent = probe.get_window_extent(renderer)
    probe.remove()
    return float(extent.width), float(extent.height)


def _box(x: float, y: float, width: float, height: float, offset: tuple[float, float]) -> Box:
    """The box of a name whose nearest side lies `offset` from the point."""
    dx, dy = offset
    left = x + dx - width * (1 - dx / max(math.hypot(dx, dy), 1e-9)) / 2
    bottom = y + dy - height * (1 - dy / max(math.hypot(dx, dy), 1e-9)) / 2
    return left, bottom, left + width, bottom + height


def _offset(x: float, y: float, width: float, height: float, border: Box, taken: list[Box]) -> tuple[float, float]:
    """The nearest free place round the point; where there is none the one that covers least."""
    best, least = (9.0, 0.0), math.inf
    for radius in (9.0, 15.0, 22.0, 30.0, 40.0, 52.0, 66.0, 82.0, 100.0):
        for step in (0, 8, 4, 12, 2, 6, 14, 10, 1, 15, 7, 9, 3, 5, 13, 11):
            angle = step * math.pi / 8
            offset = (radius * math.cos(angle), radius * math.sin(angle))
            box = _box(x, y, width, height, offset)
            out = max(border[0] - box[0], 0) + max(box[2] - border[2], 0) + max(border[1] - box[1], 0) + max(box[3] - border[3], 0)
            covered = sum(_overlap(box, other) for other in taken) + out * height
            if covered == 0:
                return offset
            if covered < least:
                best, least = offset, covered
    return best


def _overlap(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0]) + 2 * _PAD_PX
    height = min(one[3], other[3]) - max(one[1], other[1]) + 2 * _PAD_PX
    return width * height if width > 0 and height > 0 else 0.0


def _annotate(axes: Any, name: str, point: tuple[float, float], box: Box) -> None:
    from affectrt_export.report.pictures import FAINT

    to_points = 72 / axes.figure.dpi
    near = (min(max(point[0], box[0]), box[2]), min(max(point[1], box[1]), box[3]))
    if math.dist(point, near) > 2 * _POINT_PX:  # too far to be read without a line
        ends = [axes.transData.inverted().transform(end) for end in (point, near)]
        axes.plot([ends[0][0], ends[1][0]], [ends[0][1], ends[1][1]], color=FAINT, linewidth=0.7, zorder=2, scalex=False, scaley=False)
    axes.annotate(
        name,
        axes.transData.inverted().transform(point),
        xytext=((box[0] - point[0]) * to_points, (box[1] - point[1]) * to_points),
        textcoords="offset points",
        fontsize=_FONT_SIZE,
        ha="left",
        va="bottom",
    )
