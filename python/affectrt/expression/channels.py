"""One emotion, all channels: what a robot that speaks, moves, has a face and a screen does at one time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from affectrt.expression.answer import Expression
from affectrt.expression.poses import pose
from affectrt.expression.symbols import Kind, Symbol, symbol_for
from affectrt.labels import EXPRESSION_AFFECT, EXPRESSIONS, TAXONOMIES, Affect, translate

__all__ = ["CHANNELS", "GESTURES", "FaceShape", "Gesture", "Icon", "Performance", "Prosody", "gesture_for", "perform", "prosody_for"]

CHANNELS = ("face", "gesture", "prosody", "emoji", "kaomoji")

_GESTURE_OF: Mapping[str, str] = MappingProxyType(
    {
        "neutral": "idle",
        "angry": "stand_tall",
        "sad": "lower_head",
        "happy": "nod",
        "surprised": "lean_back",
        "disgusted": "turn_away",
        "scared": "step_back",
        "pleading": "lean_forward",
        "vulnerable": "fold_arms",
        "despaired": "slump",
        "guilty": "lower_head",
        "disappointed": "shake_head",
        "embarrassed": "look_away",
        "horrified": "step_back",
        "skeptical": "tilt_head",
        "annoyed": "shake_head",
        "furious": "stand_tall",
        "suspicious": "tilt_head",
        "rejected": "slump",
        "bored": "look_away",
        "tired": "slump",
        "asleep": "rest",
        "confused": "tilt_head",
        "amazed": "open_arms",
        "excited": "raise_arms",
    }
)
GESTURES: tuple[str, ...] = tuple(sorted(set(_GESTURE_OF.values())))
"""Every token there is: what a robot's motion player has to know."""


@dataclass(frozen=True, slots=True)
class FaceShape:
    """A face."""

    emotion: str
    blendshapes: Mapping[str, float]
    """All 52 of `BLENDSHAPES`, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Gesture:
    """A movement."""

    emotion: str
    token: str
    """One of `GESTURES`."""
    amplitude: float
    """[0, 1]"""


@dataclass(frozen=True, slots=True)
class Prosody:
    """How to say it, as ratios to the voice's own manner: 1 changes nothing. No SSML: a speech engine takes numbers."""

    emotion: str
    rate: float
    """[0.75, 1.3]"""
    pitch: float
    """[0.8, 1.25]"""
    volume: float
    """[0.7, 1.3]"""


@dataclass(frozen=True, slots=True)
class Icon:
    """A symbol."""

    emotion: str
    symbol: Symbol

    def __str__(self) -> str:
        return self.symbol.text


@dataclass(frozen=True, slots=True)
class Performance:
    """What all channels do. Any may be absent; those that are there are of one emotion.

    Raises:
        ValueError: A channel is of another emotion than `expression`.
    """

    expression: Expression
    """The emotion, as a string of hri_msgs/Expression, with its place."""
    intensity: float
    """[0, 1]"""
    face: FaceShape | None = None
    gesture: Gesture | None = None
    prosody: Prosody | None = None
    emoji: Icon | None = None
    kaomoji: Icon | None = None

    def __post_init__(self) -> None:
        parts = {name: getattr(self, name) for name in CHANNELS}
        wrong = [f"{name} {part.emotion}" for name, part in parts.items() if part is not None and part.emotion != self.expression.name]
        if wrong:
            raise ValueError(f"expected every channel to show {self.expression.name}, got {', '.join(wrong)}")

    def to_hri(self, confidence: float = 1.0) -> dict[str, Any]:
        """The fields of the ROS message hri_msgs/Expression, without its header."""
        return {
            "expression": self.expression.name,
            "valence": self.expression.valence,
            "arousal": self.expression.arousal,
            "confidence": confidence,
        }


def prosody_for(expression: Expression) -> Prosody:
    """Rate, pitch and volume from a place: excitement is faster, higher and louder, calm and sorrow slower, lower and softer (K. Scherer,
    "Vocal communication of emotion", Speech Communication 40, 2003); pleasure is a little higher. The slopes are ours, and careful: a
    robot should sound moved, not play-act."""
    valence, arousal = expression.valence, expression.arousal
    return Prosody(
        expression.name,
        rate=_within(1 + 0.2 * arousal + 0.05 * valence, 0.75, 1.3),
        pitch=_within(1 + 0.12 * arousal + 0.08 * valence, 0.8, 1.25),
        volume=_within(1 + 0.25 * arousal, 0.7, 1.3),
    )


def gesture_for(expression: str, intensity: float = 1.0) -> Gesture:
    """The movement that goes with an expression. ValueError for another string, or an intensity out of [0, 1]."""
    if expression not in _GESTURE_OF:
        raise ValueError(f"expression: expected one of {', '.join(EXPRESSIONS)}, got {expression!r}")
    if not 0.0 <= intensity <= 1.0:
        raise ValueError(f"intensity: expected a number in [0, 1], got {intensity}")
    return Gesture(expression, _GESTURE_OF[expression], intensity)


def perform(
    emotion: Expression | str,
    intensity: float = 1.0,
    *,
    taxonomy: str = "expression",
    channels: Collection[str] = CHANNELS,
    icon: Symbol | None = None,
) -> Performance:
    """Everything that goes with one emotion.

    Args:
        emotion: A label of `taxonomy`, or an `Expression` such as `answer_to` gives, whose place is taken as it is.
        intensity: [0, 1]: scales the face, the gesture and, of a label, the place and with it the voice.
        taxonomy: A name in `affectrt.labels.TAXONOMIES`; a label of it becomes the expression that is nearest in meaning.
        channels: Those wanted, out of `CHANNELS`.
        icon: Instead of the default emoji or kaomoji, by its kind (a sticker counts as an emoji), such as a `Recommender` suggests.

    Raises:
        ValueError: An unknown label, channel or taxonomy, or an intensity out of range.
    """
    if not 0.0 <= intensity <= 1.0:
        raise ValueError(f"intensity: expected a number in [0, 1], got {intensity}")
    if isinstance(channels, str) or (unknown := set(channels) - set(CHANNELS)):
        raise ValueError(f"channels: expected some of {', '.join(CHANNELS)}, got {channels if isinstance(channels, str) else unknown}")
    if isinstance(emotion, Expression):
        shown = emotion
    else:
        name = _expression_of(emotion, taxonomy)
        place: Affect = EXPRESSION_AFFECT[name]
        shown = Expression(name, place.valence * intensity, place.arousal * intensity)
    return Performance(
        shown,
        intensity,
        face=FaceShape(shown.name, MappingProxyType(pose(shown.name, intensity))) if "face" in channels else None,
        gesture=gesture_for(shown.name, intensity) if "gesture" in channels else None,
        prosody=prosody_for(shown) if "prosody" in channels else None,
        emoji=_icon(shown.name, "emoji", icon) if "emoji" in channels else None,
        kaomoji=_icon(shown.name, "kaomoji", icon) if "kaomoji" in channels else None,
    )


def _expression_of(label: str, taxonomy: str) -> str:
    try:
        return translate(label, taxonomy, "expression")
    except ValueError as error:
        word = label.strip().lower()
        others = [name for name, one in TAXONOMIES.items() if word in one.labels]
        if not others or taxonomy in others:
            raise
        raise ValueError(f"{error}; it is a label of {', '.join(others)}: perform({label!r}, taxonomy={others[0]!r})") from None


def _icon(name: str, kind: Kind, wanted: Symbol | None) -> Icon:
    fits = wanted is not None and (wanted.kind == "kaomoji") == (kind == "kaomoji")
    return Icon(name, wanted if fits and wanted is not None else symbol_for(name, kind))


def _within(value: float, low: float, high: float) -> float:
    return min(high, max(low, value))
