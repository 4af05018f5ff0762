"""Where words of feeling lie in valence, arousal and dominance.

The coordinates are the mean ratings of emotion-denoting terms, scaled to [-1, 1], in J. A. Russell and A. Mehrabian, "Evidence for a
three-factor theory of emotions", Journal of Research in Personality 11 (1977) 273-294; "sleepy" is from A. Mehrabian, "Analysis of the
Big-Five personality factors in terms of the PAD temperament model", Australian Journal of Psychology 48 (1996) 86-92. "neutral" is the
origin.

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
        "capable": Affect(0.70, 0.28, 0.61),
        "concentrating": Affect(0.42, 0.28, 0.39),
        "confused": Affect(-0.53, 0.27, -0.32),
        "consoled": Affect(0.29, -0.19, -0.28),
        "contemptuous": Affect(-0.24, 0.31, 0.21),
        "curious": Affect(0.22, 0.62, -0.01),
        "depressed": Affect(-0.72, -0.29, -0.41),
        "despairing": Affect(-0.72, -0.16, -0.38),
        "devoted": Affect(0.49, 0.17, 0.10),
        "discontented": Affect(-0.53, -0.16, -0.26),
        "discouraged": Affect(-0.61, -0.15, -0.29),
        "disgusted": Affect(-0.60, 0.35, 0.11),
        "displeased": Affect(-0.55, 0.16, -0.05),
        "embarrassed": Affect(-0.46, 0.54, -0.24),
        "enjoyment": Affect(0.77, 0.44, 0.42),
        "enraged": Affect(-0.44, 0.72, 0.32),
        "excited": Affect(0.62, 0.75, 0.38),
        "fatigued": Affect(-0.18, -0.57, -0.29),
        "fearful": Affect(-0.64, 0.60, -0.43),
        "frustrated": Affect(-0.64, 0.52, -0.35),
        "grateful": Affect(0.64, 0.16, -0.21),
        "guilty": Affect(-0.57, 0.28, -0.34),
        "happy": Affect(0.81, 0.51, 0.46),
        "helpless": Affect(-0.71, 0.42, -0.51),
        "hopeful": Affect(0.51, 0.23, 0.14),
        "impressed": Affect(0.41, 0.30, -0.32),
        "insecure": Affect(-0.57, 0.14, -0.21),
        "interested": Affect(0.64, 0.51, 0.17),
        "joyful": Affect(0.76, 0.48, 0.35),
        "lonely": Affect(-0.66, -0.43, -0.32),
        "loved": Affect(0.87, 0.54, -0.18),
        "mildly annoyed": Affect(-0.28, 0.17, 0.04),
        "neutral": NEUTRAL_AFFECT,
        "proud": Affect(0.77, 0.38, 0.65),
        "rejected": Affect(-0.62, -0.01, -0.33),
        "relaxed": Affect(0.68, -0.46, 0.06),
        "reverent": Affect(0.31, -0.08, -0.29),
        "sad": Affect(-0.63, -0.27, -0.33),
        "secure": Affect(0.74, -0.13, 0.03),
        "shamed": Affect(-0.57, 0.01, -0.34),
        "skeptical": Affect(-0.22, 0.21, 0.03),
        "sleepy": Affect(0.20, -0.70, -0.44),
        "surprised": Affect(0.40, 0.67, -0.13),
        "suspicious": Affect(-0.25, 0.42, 0.11),
        "tense": Affect(-0.33, 0.58, -0.11),
        "terrified": Affect(-0.62, 0.82, -0.43),
        "untroubled": Affect(0.79, -0.01, 0.33),
        "wonder": Affect(0.27, 0.24, -0.17),
    }
)
"""The rated terms in use, by name."""
