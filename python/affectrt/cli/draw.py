"""Draws what was seen into a picture: box, track, label, a bar for each expression, and a dot in the plane of valence and arousal."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from affectrt.cli.media import pillow
from affectrt.cli.palette import RGB, color_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from affectrt.perception.observation import FaceObservation

PANEL_FACES = 4
"""With more faces than this only boxes and labels are drawn: panels would hide the faces."""
DARK = (17, 24, 39)
PAPER = (248, 250, 252)

Rect = tuple[float, float, float, float]


@dataclass(frozen=True)
class _Style:
    """Sizes in pixels, grown with the picture."""

    unit: float

    @property
    def font(self) -> int:
        return max(10, round(13 * self.unit))

    @property
    def line(self) -> int:
        return max(2, round(2.4 * self.unit))

    @property
    def row(self) -> int:
        return round(self.font * 1.45)

    @property
    def pad(self) -> int:
        return round(7 * self.unit)


def annotate(rgb: NDArray[np.uint8], faces: Sequence[FaceObservation]) -> NDArray[np.uint8]:
    """A copy of the picture, (H, W, 3) uint8, with every face drawn into it."""
    import numpy as np
    from PIL import ImageDraw

    image = pillow().fromarray(rgb)
    draw = ImageDraw.Draw(image, "RGBA")
    style = _Style(max(0.85, min(rgb.shape[0], rgb.shape[1]) / 480))
    taken: list[Rect] = [_rect(face) for face in faces]
    for face in faces:
        _face(draw, face, style)
    if len(faces) <= PANEL_FACES:
        for face in faces:
            spot = _free_spot(_rect(face), _panel_size(face, style), image.size, taken, style)
            if spot:
                taken.append(spot)
                _panel(image, draw, spot, face, style)
    for face in faces:
        taken.append(_tag(draw, face, image.size, style, taken))
    return np.asarray(image)


def _rect(face: FaceObservation) -> Rect:
    x0, y0, x1, y1 = (float(value) for value in face.box)
    return (x0, y0, x1, y1)


def _face(draw: Any, face: FaceObservation, style: _Style) -> None:
    color = color_of(face.label)
    x0, y0, x1, y1 = _rect(face)
    if face.landmarks is not None:
        radius = max(0.6, (x1 - x0) / 320)
        for x, y, _ in face.landmarks:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(*PAPER, 120))
    x1, y1 = max(x1, x0 + 4), max(y1, y0 + 4)  # Pillow refuses a frame that is thinner than its own line
    radius = min(x1 - x0, y1 - y0) * 0.08
    draw.rounded_rectangle((x0, y0, x1, y1), radius, outline=(*DARK, 130), width=style.line + 2)
    draw.rounded_rectangle((x0 + 1, y0 + 1, x1 - 1, y1 - 1), radius, outline=(*color, 255), width=style.line)


def _tag(draw: Any, face: FaceObservation, size: tuple[int, int], style: _Style, taken: Sequence[Rect]) -> Rect:
    color, font = color_of(face.label), _font(style.font)
    sure = f" {face.confidence * 100:.0f}%" if face.confidence > 0 else f" ({face.reason})" if face.reason else ""
    text = f"#{face.track_id} {face.label}{sure}"
    x0, y0, _, y1 = _rect(face)
    width, height = draw.textlength(text, font=font) + 2 * style.pad, style.row + style.pad * 0.4
    left = min(max(0.0, x0), max(0.0, size[0] - width))
    above, below, inside = y0 - height - 2, y1 + 2, max(0.0, y0)
    others = [rect for rect in taken if rect != _rect(face)]
    tops = [top for top in (above, below, inside) if 0 <= top <= size[1] - height] or [inside]
    top = next((top for top in tops if not any(_overlap((left, top, left + width, top + height), rect) for rect in others)), tops[0])
    draw.rounded_rectangle((left, top, left + width, top + height), height * 0.28, fill=(*color, 240))
    ink = DARK if _bright(color) else PAPER
    draw.text((left + style.pad, top + height / 2), text, font=font, fill=(*ink, 255), anchor="lm")
    return (left, top, left + width, top + height)


def _panel_size(face: FaceObservation, style: _Style) -> tuple[float, float]:
    rows = max(len(face.labels), 5)
    return (style.font * 12.5, rows * style.row + style.font * 6.4 + 3 * style.pad)


def _free_spot(box: Rect, size: tuple[float, float], picture: tuple[int, int], taken: Sequence[Rect], style: _Style) -> Rect | None:
    """Where the panel covers no face and no other panel: beside the face, else in a corner of the picture; None if nowhere."""
    width, height = size
    gap = style.pad
    top = min(max(gap, box[1]), picture[1] - height - gap)
    lefts = (box[2] + gap, box[0] - gap - width)
    corners = ((x, y) for y in (gap, picture[1] - height - gap) for x in (gap, picture[0] - width - gap))
    for left, upper in (*((left, top) for left in lefts), *corners):
        spot = (left, upper, left + width, upper + height)
        inside = left >= 0 and upper >= 0 and spot[2] <= picture[0] and spot[3] <= picture[1]
        if inside and not any(_overlap(spot, rect) for rect in taken):
            return spot
    return None


def _overlap(a: Rect, b: Rect) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _panel(image: Any, draw: Any, spot: Rect, face: FaceObservation, style: _Style) -> None:
    left, top, right, bottom = spot
    font = _font(round(style.font * 0.92))
    draw.rounded_rectangle(spot, style.pad, fill=(*DARK, 185))
    x, y = left + style.pad, top + style.pad
    name_width = max(draw.textlength(name, font=font) for name in face.labels) + style.pad
    bar_left, bar_right = x + name_width, right - style.pad
    thick = style.row * 0.46
    order = sorted(range(len(face.labels)), key=lambda i: -float(face.probs[i]))[:10]
    for i in order:
        prob, middle = float(face.probs[i]), y + style.row / 2
        strong = i == order[0]
        draw.text((x, middle), face.labels[i], font=font, fill=(*PAPER, 255 if strong else 170), anchor="lm")
        area = (bar_left, middle - thick / 2, bar_right, middle + thick / 2)
        draw.rounded_rectangle(area, thick / 2, fill=(*PAPER, 30))
        if prob > 0.01:
            reach = (bar_right - bar_left) * min(1.0, prob)
            bar = (bar_left, area[1], bar_left + reach, area[3])
            draw.rounded_rectangle(bar, min(thick, reach) / 2, fill=(*color_of(face.labels[i]), 255))
        y += style.row
    _plane(image, draw, (x, y + style.pad * 0.6, right - style.pad, bottom - style.pad), face, style)


def _plane(image: Any, draw: Any, area: Rect, face: FaceObservation, style: _Style) -> None:
    """A small plane, valence to the right and arousal upwards, both from -1 to 1, with the face's dot and its figures."""
    side = min(area[3] - area[1], (area[2] - area[0]) * 0.5)
    x0, y0 = area[0], area[1]
    middle_x, middle_y = x0 + side / 2, y0 + side / 2
    draw.rounded_rectangle((x0, y0, x0 + side, y0 + side), style.pad * 0.6, fill=(*PAPER, 24), outline=(*PAPER, 70))
    draw.line((x0 + 2, middle_y, x0 + side - 2, middle_y), fill=(*PAPER, 90))
    draw.line((middle_x, y0 + 2, middle_x, y0 + side - 2), fill=(*PAPER, 90))
    dot = _dot(max(3, round(style.font * 0.36)), color_of(face.label))
    at_x, at_y = middle_x + face.valence * side * 0.44, middle_y - face.arousal * side * 0.44
    image.paste(dot, (round(at_x - dot.width / 2), round(at_y - dot.height / 2)), dot)
    font = _font(round(style.font * 0.84))
    text_x = x0 + side + style.pad
    for row, (name, value) in enumerate((("valence", face.valence), ("arousal", face.arousal))):
        line = middle_y + (row * 2 - 1.5) * style.font * 1.15
        draw.text((text_x, line), name, font=font, fill=(*PAPER, 170), anchor="lm")
        draw.text((text_x, line + style.font * 1.1), f"{value:+.2f}", font=font, fill=(*PAPER, 255), anchor="lm")


def _bright(rgb: RGB) -> bool:
    return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2] > 140


@functools.lru_cache(maxsize=16)
def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


@functools.lru_cache(maxsize=64)
def _dot(radius: int, color: RGB) -> Any:
    """A smooth disc with a light rim, (2r+2)² RGBA; drawn large and made small, because Pillow's ellipses have jagged edges."""
    from PIL import ImageDraw

    scale, side = 4, 2 * radius + 2
    image_module = pillow()
    large = image_module.new("RGBA", (side * scale, side * scale), (*PAPER, 0))
    draw = ImageDraw.Draw(large)
    draw.ellipse((0, 0, side * scale - 1, side * scale - 1), fill=(*PAPER, 255))
    draw.ellipse((scale, scale, (side - 1) * scale - 1, (side - 1) * scale - 1), fill=(*color, 255))
    return large.resize((side, side), image_module.Resampling.LANCZOS)
