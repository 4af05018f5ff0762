"""The four zones of CALMED, from valence and arousal."""

from __future__ import annotations

import math

ZONES = ("blue", "green", "yellow", "red")
"""The zones, from L. Kuypers, "The Zones of Regulation" (2011), as A. Sousa, K. Young, M. d'Aquin, M. Zarrouk and J. Holloway,
"Introducing CALMED" (2023, arXiv 2307.13706), label them: unpleasant and low, calm, pleasant and excited, unpleasant and excited."""


def zone_of(valence: float, arousal: float) -> str:
    """The zone of a place in valence and arousal, each in [-1, 1].

    Only the signs count, as in the mapper that comes with the data set:

    =============  ==========  ===========  ===========
    .              valence <0  valence = 0  valence > 0
    =============  ==========  ===========  ===========
    arousal > 0    red         yellow       yellow
    arousal = 0    red         green        green
    arousal < 0    blue        blue         green
    =============  ==========  ===========  ===========

    Raises:
        ValueError: A coordinate is outside [-1, 1] or no number.
    """
    for name, value in (("valence", valence), ("arousal", arousal)):
        if not (math.isfinite(value) and -1.0 <= value <= 1.0):
            raise ValueError(f"{name} in [-1, 1] was expected, got {value}")
    if arousal > 0:
        return "yellow" if valence >= 0 else "red"
    if arousal < 0:
        return "green" if valence > 0 else "blue"
    return "green" if valence >= 0 else "red"
