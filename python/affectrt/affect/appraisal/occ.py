"""The 22 emotions of Ortony, Clore and Collins, and where they lie in valence, arousal and dominance.

A. Ortony, G. L. Clore, A. Collins, "The Cognitive Structure of Emotions", Cambridge University Press 1988. The coordinates are those of
P. Gebhard, "ALMA: a layered model of affect", AAMAS 2005, pages 29-36, table 2. Copies of that table in use elsewhere differ in two signs:
here Fear is aroused and Distress submissive, as its text has them (Fear among the anxious, Distress among the bored octant).

Unlike the terms of `affectrt.labels` they were not rated by people but set by the author of ALMA, so their scale is its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from affectrt.labels import NEUTRAL_AFFECT, Affect

if TYPE_CHECKING:
    from affectrt.affect.appraisal.state import Emotion

FAMILIES = ("well-being", "fortunes of others", "attribution", "attraction", "compound", "prospect")


@dataclass(frozen=True, slots=True)
class EmotionType:
    """One of the 22."""

    name: str
    """As FAtiMA writes it in its files ("Happy-For"), but "Pity" for its "Pitty"."""
    family: str
    """One of `FAMILIES`: which appraisal variables it comes from."""
    valence: int
    """1 or -1: which way it pulls the mood."""
    affect: Affect
    influences_mood: bool = True
    """Hope and Fear do not: nothing has happened yet."""


def _types() -> dict[str, EmotionType]:
    table = {
        "well-being": {"Joy": (0.4, 0.2, 0.1), "Distress": (-0.4, -0.2, -0.5)},
        "fortunes of others": {
            "Happy-For": (0.4, 0.2, 0.2),
            "Gloating": (0.3, -0.3, -0.1),
            "Resentment": (-0.2, -0.3, -0.2),
            "Pity": (-0.4, -0.2, -0.5),
        },
        "attribution": {
            "Pride": (0.4, 0.3, 0.3),
            "Shame": (-0.3, 0.1, -0.6),
            "Admiration": (0.5, 0.3, -0.2),
            "Reproach": (-0.3, -0.1, 0.4),
        },
        "attraction": {"Love": (0.3, 0.1, 0.2), "Hate": (-0.6, 0.6, 0.3)},
        "compound": {
            "Gratification": (0.6, 0.5, 0.4),
            "Remorse": (-0.3, 0.1, -0.6),
            "Gratitude": (0.4, 0.2, -0.3),
            "Anger": (-0.51, 0.59, 0.25),
        },
        "prospect": {
            "Hope": (0.2, 0.2, -0.1),
            "Fear": (-0.64, 0.6, -0.43),
            "Satisfaction": (0.3, -0.2, 0.4),
            "Relief": (0.2, -0.3, 0.4),
            "Disappointment": (-0.3, 0.1, -0.4),
            "Fears-Confirmed": (-0.5, -0.3, -0.7),
        },
    }
    return {
        name: EmotionType(name, family, 1 if pad[0] > 0 else -1, Affect(*pad), name not in ("Hope", "Fear"))
        for family, members in table.items()
        for name, pad in members.items()
    }


OCC: Mapping[str, EmotionType] = MappingProxyType(_types())
"""The 22 emotion types by name."""

_BY_KEY = {name.casefold(): kind for name, kind in OCC.items()} | {"pitty": OCC["Pity"]}


def emotion_type(name: str) -> EmotionType:
    """The type of a name in any case. Raises ValueError that lists all names."""
    kind = _BY_KEY.get(name.casefold())
    if kind is None:
        raise ValueError(f"expected an emotion type ({', '.join(OCC)}), got {name!r}")
    return kind


def affect_of(emotion: Emotion) -> tuple[Affect, float]:
    """Where the emotion lies, and its weight in [0, 1]: intensity / 10. With them it enters the fusion, as evidence of source "event"."""
    return emotion_type(emotion.type).affect, emotion.intensity / 10


def affect_of_all(emotions: Iterable[Emotion]) -> tuple[Affect, float]:
    """The mean of several, weighted by intensity, and the weight of the strongest; neutral with weight 0 if there are none."""
    parts = [affect_of(emotion) for emotion in emotions]
    total = sum(weight for _, weight in parts)
    if total == 0:
        return NEUTRAL_AFFECT, 0.0
    valence, arousal, dominance = (
        sum(getattr(affect, axis) * weight for affect, weight in parts) / total for axis in ("valence", "arousal", "dominance")
    )
    return Affect(valence, arousal, dominance), max(weight for _, weight in parts)
