"""What evidence says, in the labels of the state."""

from __future__ import annotations

import functools
import math

from affectrt.affect.evidence import AXES, Evidence
from affectrt.affect.fold import Said
from affectrt.labels import Affect, mapping, nearest, taxonomy


class Vocabulary:
    """One taxonomy, into which all evidence is translated."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.labels = taxonomy(name).labels

    def said(self, evidence: Evidence) -> Said:
        """What it says, as far as it says it.

        Places without labels have the nearest label, and labels without a place have the mean place of the labels: else the two halves of
        the state would tell of different evidence.
        """
        valence, arousal, dominance, labels = evidence.valence, evidence.arousal, evidence.dominance, None
        if evidence.probs is not None and evidence.taxonomy is not None:
            labels = translated(evidence.probs, evidence.taxonomy, self.name, multi_label=evidence.multi_label)
            if valence is None and arousal is None and dominance is None:
                valence, arousal, dominance = _place(evidence.probs, evidence.taxonomy)
        elif valence is not None and arousal is not None:
            labels = _at(valence, arousal, dominance, self.name)
        return Said(evidence.stamp_ns, evidence.confidence, (valence, arousal, dominance, labels), evidence.label)

    def at(self, affect: Affect) -> tuple[float, ...]:
        """All probability on the label nearest to a place."""
        return _at(affect.valence, affect.arousal, affect.dominance, self.name)

    def strongest(self, probs: tuple[float, ...] | list[float]) -> str:
        """The likeliest label; of equals the first."""
        return self.labels[probs.index(max(probs))]


@functools.lru_cache(maxsize=256)
def _at(valence: float, arousal: float, dominance: float | None, name: str) -> tuple[float, ...]:
    places = taxonomy(name).affect
    if dominance is None and name != "zones4":  # nearest in what is known; zones ask for no dominance anyway
        away = {label: math.hypot(place.valence - valence, place.arousal - arousal) for label, place in places.items()}
        label = min(away, key=lambda one: away[one])
    else:
        label = nearest(Affect(valence, arousal, dominance or 0.0), name)
    return tuple([1.0 if one == label else 0.0 for one in places])


@functools.lru_cache(maxsize=256)
def _targets(source: str, target: str) -> tuple[int, ...]:
    """For each label of `source` the index of what it becomes in `target`."""
    index = {label: i for i, label in enumerate(taxonomy(target).labels)}
    return tuple(index[label] for label in mapping(source, target).values())


def translated(probs: tuple[float, ...], source: str, target: str, *, multi_label: bool) -> tuple[float, ...]:
    """`labels.translate_probs` in float64, scaled to sum to 1: for some dozen numbers thirty times a second plain Python is the quicker."""
    mixed = [0.0] * len(taxonomy(target).labels)
    for prob, i in zip(probs, _targets(source, target), strict=True):
        mixed[i] = max(mixed[i], prob) if multi_label else mixed[i] + prob
    total = math.fsum(mixed)  # exact, where the sum of Python 3.12 is not that of 3.11
    return tuple([prob / total for prob in mixed])


def _place(probs: tuple[float, ...], name: str) -> tuple[float, float, float]:
    """Mean place of the labels, by probability."""
    total = math.fsum(probs)
    places = taxonomy(name).affect.values()
    valence, arousal, dominance = (
        math.fsum(prob * getattr(place, axis) for prob, place in zip(probs, places, strict=True)) / total for axis in AXES
    )
    return valence, arousal, dominance
