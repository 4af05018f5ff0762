"""Names of emotions and expressions, where they lie in valence, arousal and dominance, and how one vocabulary maps to another.

The coordinates are the mean ratings of emotion-denoting terms, scaled to [-1, 1], in J. A. Russell and A. Mehrabian, "Evidence for a
three-factor theory of emotions", Journal of Research in Personality 11 (1977) 273-294; "sleepy" is from A. Mehrabian, "Analysis of the
Big-Five personality factors in terms of the PAD temperament model", Australian Journal of Psychology 48 (1996) 86-92. A label that is not
itself one of the rated terms takes the term named beside it: that choice is ours, the numbers are theirs. "neutral" is the origin.

They place a *word*, not a measured person: good for choosing an expression or averaging, no substitute for a trained regressor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Affect:
    """A point in the space of feelings; each coordinate lies in [-1, 1]."""

    valence: float
    """Unpleasant (-1) to pleasant (1)."""
    arousal: float
    """Calm (-1) to excited (1)."""
    dominance: float
    """Controlled (-1) to in control (1)."""


NEUTRAL_AFFECT = Affect(0.0, 0.0, 0.0)

TERMS: Mapping[str, Affect] = MappingProxyType(
    {
        "affectionate": Affect(0.64, 0.35, 0.24),
        "angry": Affect(-0.51, 0.59, 0.25),
        "appreciative": Affect(0.55, 0.07, -0.14),
        "astonished": Affect(0.16, 0.88, -0.15),
        "bored": Affect(-0.65, -0.62, -0.33),
        "confused": Affect(-0.53, 0.27, -0.32),
        "consoled": Affect(0.29, -0.19, -0.28),
        "curious": Affect(0.22, 0.62, -0.01),
        "despairing": Affect(-0.72, -0.16, -0.38),
        "discouraged": Affect(-0.61, -0.15, -0.29),
        "disgusted": Affect(-0.60, 0.35, 0.11),
        "displeased": Affect(-0.55, 0.16, -0.05),
        "embarrassed": Affect(-0.46, 0.54, -0.24),
        "enjoyment": Affect(0.77, 0.44, 0.42),
        "enraged": Affect(-0.44, 0.72, 0.32),
        "excited": Affect(0.62, 0.75, 0.38),
        "fatigued": Affect(-0.18, -0.57, -0.29),
        "fearful": Affect(-0.64, 0.60, -0.43),
        "grateful": Affect(0.64, 0.16, -0.21),
        "guilty": Affect(-0.57, 0.28, -0.34),
        "happy": Affect(0.81, 0.51, 0.46),
        "helpless": Affect(-0.71, 0.42, -0.51),
        "hopeful": Affect(0.51, 0.23, 0.14),
        "impressed": Affect(0.41, 0.30, -0.32),
        "insecure": Affect(-0.57, 0.14, -0.21),
        "interested": Affect(0.64, 0.51, 0.17),
        "joyful": Affect(0.76, 0.48, 0.35),
        "loved": Affect(0.87, 0.54, -0.18),
        "mildly annoyed": Affect(-0.28, 0.17, 0.04),
        "neutral": NEUTRAL_AFFECT,
        "proud": Affect(0.77, 0.38, 0.65),
        "rejected": Affect(-0.62, -0.01, -0.33),
        "sad": Affect(-0.63, -0.27, -0.33),
        "skeptical": Affect(-0.22, 0.21, 0.03),
        "sleepy": Affect(0.20, -0.70, -0.44),
        "surprised": Affect(0.40, 0.67, -0.13),
        "suspicious": Affect(-0.25, 0.42, 0.11),
        "tense": Affect(-0.33, 0.58, -0.11),
        "terrified": Affect(-0.62, 0.82, -0.43),
        "wonder": Affect(0.27, 0.24, -0.17),
    }
)
"""The rated terms in use, by name."""


def _affects(terms: Mapping[str, str]) -> Mapping[str, Affect]:
    return MappingProxyType({label: TERMS[term] for label, term in terms.items()})


FER7 = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The seven facial expressions of FER2013 (I. Goodfellow et al., ICONIP 2013), in the data set's order."""

FER7_AFFECT = _affects(
    {
        "angry": "angry",
        "disgust": "disgusted",
        "fear": "fearful",
        "happy": "happy",
        "sad": "sad",
        "surprise": "surprised",
        "neutral": "neutral",
    }
)

_GOEMOTIONS_TERMS = {
    "admiration": "impressed",
    "amusement": "enjoyment",
    "anger": "angry",
    "annoyance": "mildly annoyed",
    "approval": "appreciative",
    "caring": "affectionate",
    "confusion": "confused",
    "curiosity": "curious",
    "desire": "interested",
    "disappointment": "discouraged",
    "disapproval": "displeased",
    "disgust": "disgusted",
    "embarrassment": "embarrassed",
    "excitement": "excited",
    "fear": "fearful",
    "gratitude": "grateful",
    "grief": "despairing",
    "joy": "joyful",
    "love": "loved",
    "nervousness": "tense",
    "optimism": "hopeful",
    "pride": "proud",
    "realization": "wonder",
    "relief": "consoled",
    "remorse": "guilty",
    "sadness": "sad",
    "surprise": "surprised",
    "neutral": "neutral",
}

GOEMOTIONS = tuple(_GOEMOTIONS_TERMS)
"""The 27 emotions and "neutral" of GoEmotions, in the data set's order (D. Demszky et al., "GoEmotions: a dataset of fine-grained
emotions", ACL 2020)."""

GOEMOTIONS_AFFECT = _affects(_GOEMOTIONS_TERMS)

EKMAN = ("anger", "disgust", "fear", "joy", "sadness", "surprise", "neutral")
"""Ekman's six basic emotions and "neutral", as GoEmotions names them."""

_EKMAN_GROUPS = {
    "anger": ("anger", "annoyance", "disapproval"),
    "disgust": ("disgust",),
    "fear": ("fear", "nervousness"),
    "joy": (
        "joy",
        "amusement",
        "approval",
        "excitement",
        "gratitude",
        "love",
        "optimism",
        "relief",
        "pride",
        "admiration",
        "desire",
        "caring",
    ),
    "sadness": ("sadness", "disappointment", "embarrassment", "grief", "remorse"),
    "surprise": ("surprise", "realization", "confusion", "curiosity"),
    "neutral": ("neutral",),
}

GOEMOTIONS_TO_EKMAN: Mapping[str, str] = MappingProxyType({fine: basic for basic, group in _EKMAN_GROUPS.items() for fine in group})
"""The grouping published with GoEmotions."""

_EXPRESSION_TERMS = {
    "neutral": "neutral",
    "angry": "angry",
    "sad": "sad",
    "happy": "happy",
    "surprised": "surprised",
    "disgusted": "disgusted",
    "scared": "fearful",
    "pleading": "helpless",
    "vulnerable": "insecure",
    "despaired": "despairing",
    "guilty": "guilty",
    "disappointed": "discouraged",
    "embarrassed": "embarrassed",
    "horrified": "terrified",
    "skeptical": "skeptical",
    "annoyed": "mildly annoyed",
    "furious": "enraged",
    "suspicious": "suspicious",
    "rejected": "rejected",
    "bored": "bored",
    "tired": "fatigued",
    "asleep": "sleepy",
    "confused": "confused",
    "amazed": "astonished",
    "excited": "excited",
}

EXPRESSIONS = tuple(_EXPRESSION_TERMS)
"""Every string of hri_msgs/Expression (ROS4HRI), in the message definition's order."""

EXPRESSION_AFFECT = _affects(_EXPRESSION_TERMS)

FER7_TO_EXPRESSION: Mapping[str, str] = MappingProxyType(
    {
        "angry": "angry",
        "disgust": "disgusted",
        "fear": "scared",
        "happy": "happy",
        "sad": "sad",
        "surprise": "surprised",
        "neutral": "neutral",
    }
)

GOEMOTIONS_TO_EXPRESSION: Mapping[str, str] = MappingProxyType(
    {
        "admiration": "happy",
        "amusement": "happy",
        "anger": "angry",
        "annoyance": "annoyed",
        "approval": "happy",
        "caring": "happy",
        "confusion": "confused",
        "curiosity": "surprised",
        "desire": "excited",
        "disappointment": "disappointed",
        "disapproval": "annoyed",
        "disgust": "disgusted",
        "embarrassment": "embarrassed",
        "excitement": "excited",
        "fear": "scared",
        "gratitude": "happy",
        "grief": "despaired",
        "joy": "happy",
        "love": "happy",
        "nervousness": "vulnerable",
        "optimism": "happy",
        "pride": "happy",
        "realization": "surprised",
        "relief": "happy",
        "remorse": "guilty",
        "sadness": "sad",
        "surprise": "surprised",
        "neutral": "neutral",
    }
)
"""The expression a person would wear who feels this; not the one a robot should answer with."""
