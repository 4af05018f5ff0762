"""Which face the robot shows in answer to a person's: strings of hri_msgs/Expression, with a place in valence and arousal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from affectrt.labels import EXPRESSION_AFFECT, EXPRESSIONS, TAXONOMIES, mapping


@dataclass(frozen=True, slots=True)
class Expression:
    """What to show."""

    name: str
    """One of hri_msgs/Expression's strings, such as "happy"."""
    valence: float
    """[-1, 1]"""
    arousal: float
    """[-1, 1]; with valence, how strongly to show it."""

    def __str__(self) -> str:
        return self.name


NEUTRAL = Expression("neutral", 0.0, 0.0)

ANSWERS: Mapping[str, str] = MappingProxyType(
    {
        "neutral": "neutral",
        # Joy and wonder are shared.
        "happy": "happy",
        "excited": "excited",
        "amazed": "amazed",
        "surprised": "surprised",
        # Sorrow, shame and fear are met with sympathy: a robot that looks scared or ashamed beside them would make it worse.
        "sad": "sad",
        "despaired": "sad",
        "disappointed": "sad",
        "rejected": "sad",
        "pleading": "sad",
        "vulnerable": "sad",
        "guilty": "sad",
        "embarrassed": "neutral",
        "scared": "sad",
        "horrified": "sad",
        # Anger is neither mirrored nor smiled at.
        "angry": "neutral",
        "furious": "neutral",
        "annoyed": "neutral",
        "disgusted": "neutral",
        "suspicious": "neutral",
        "skeptical": "neutral",
        # The rest asks for attention, not for a face.
        "confused": "neutral",
        "bored": "neutral",
        "tired": "neutral",
        "asleep": "neutral",
    }
)
"""The person's expression -> the robot's. Every string of the message has one."""


# No label means one thing here and another there: tests/test_labels.py.
_WORN = {label: worn for name in TAXONOMIES for label, worn in mapping(name, "expression").items()}


def expression_of(label: str, valence: float, arousal: float) -> str:
    """The hri_msgs/Expression string for a label of any taxonomy of `affectrt.labels`; for any other label the nearest one in place."""
    known = _WORN.get(label)
    if known is not None:
        return known
    return min(EXPRESSIONS, key=lambda e: (EXPRESSION_AFFECT[e].valence - valence) ** 2 + (EXPRESSION_AFFECT[e].arousal - arousal) ** 2)


def answer_to(person: str | None, strength: float = 1.0) -> Expression:
    """What to show to a person who looks or sounds like `person` (None: unknown, so neutral).

    Args:
        person: A string of hri_msgs/Expression.
        strength: [0, 1], scales valence and arousal.

    Raises:
        ValueError: `person` is not one of those strings, or `strength` lies outside [0, 1].
    """
    if not 0.0 <= strength <= 1.0:
        raise ValueError(f"strength must lie in [0, 1], got {strength}")
    if person is None:
        return NEUTRAL
    if person not in ANSWERS:
        raise ValueError(f"person must be one of {', '.join(EXPRESSIONS)}, got {person!r}")
    name = ANSWERS[person]
    place = EXPRESSION_AFFECT[name]
    return Expression(name, place.valence * strength, place.arousal * strength)
