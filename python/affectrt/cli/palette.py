"""One colour for each emotion, the same in pictures, videos and plots."""

from __future__ import annotations

import zlib

RGB = tuple[int, int, int]

# Warm for high arousal and cold for low, told apart by people with the common colour-vision deficiencies as far as ten hues allow.
_NAMED: dict[str, RGB] = {
    "neutral": (148, 163, 184),
    "happy": (250, 190, 40),
    "sad": (70, 130, 225),
    "angry": (230, 70, 60),
    "fear": (160, 100, 220),
    "disgust": (95, 165, 75),
    "surprise": (245, 130, 50),
    "contempt": (150, 110, 85),
    "unknown": (130, 130, 130),
    # The rest of GoEmotions: relatives have related hues.
    "admiration": (255, 170, 100),
    "amusement": (225, 205, 70),
    "annoyance": (240, 120, 105),
    "approval": (150, 185, 60),
    "caring": (240, 150, 190),
    "confusion": (135, 145, 225),
    "curiosity": (20, 160, 160),
    "desire": (205, 60, 130),
    "disappointment": (85, 105, 150),
    "disapproval": (170, 85, 60),
    "embarrassment": (200, 130, 130),
    "excitement": (255, 105, 15),
    "gratitude": (85, 195, 110),
    "grief": (35, 60, 130),
    "love": (245, 80, 140),
    "nervousness": (195, 155, 235),
    "optimism": (175, 215, 105),
    "pride": (45, 150, 95),
    "realization": (105, 185, 235),
    "relief": (120, 210, 195),
    "remorse": (115, 90, 135),
}
_ALIASES = {
    "happiness": "happy",
    "joy": "happy",
    "sadness": "sad",
    "anger": "angry",
    "fearful": "fear",
    "disgusted": "disgust",
    "surprised": "surprise",
}
_OTHERS: tuple[RGB, ...] = (
    (20, 160, 160),
    (220, 90, 150),
    (110, 180, 230),
    (180, 150, 60),
    (90, 110, 190),
    (200, 120, 120),
    (70, 175, 120),
    (170, 130, 190),
)

VALENCE: RGB = (36, 157, 143)
AROUSAL: RGB = (231, 111, 81)


def color_of(label: str) -> RGB:
    """The (r, g, b) of a label, each in 0 to 255; a label without one of its own always gets the same of eight others."""
    known = _NAMED.get(_ALIASES.get(label, label))
    return known or _OTHERS[zlib.crc32(label.encode()) % len(_OTHERS)]


def fraction(rgb: RGB) -> tuple[float, float, float]:
    """The colour as matplotlib takes it, each in 0 to 1."""
    return (rgb[0] / 255, rgb[1] / 255, rgb[2] / 255)
