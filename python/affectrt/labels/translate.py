"""From one taxonomy to another: labels, distributions, and places."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affectrt.labels.concepts import CONCEPTS
from affectrt.labels.registry import taxonomy
from affectrt.labels.taxonomy import Taxonomy
from affectrt.labels.terms import Affect
from affectrt.labels.zones import zone_of

ZONES4 = "zones4"


@cache
def mapping(source: str, target: str) -> Mapping[str, str]:
    """Every label of `source` -> the label of `target` that it becomes, in the order of `source`.

    By the concept that both stand for, or the first that stands in for it (`affectrt.labels.concepts`). Into "zones4" it is `zone_of` the
    label's valence and arousal instead, so that a label and a measured place never disagree. Within one taxonomy nothing changes.

    Raises:
        ValueError: There is no taxonomy of that name.
    """
    given, wanted = taxonomy(source), taxonomy(target)
    if given is wanted:
        return MappingProxyType({label: label for label in given.labels})
    if target == ZONES4:
        return MappingProxyType({label: zone_of(place.valence, place.arousal) for label, place in given.affect.items()})
    of_concept = {concept: label for label, concept in wanted.concepts.items()}
    found = {}
    for label, concept in given.concepts.items():
        found[label] = next(of_concept[one] for one in (concept, *CONCEPTS[concept].instead) if one in of_concept)
    return MappingProxyType(found)


def translate(label: str, source: str, target: str) -> str:
    """The label of `target` that comes nearest in meaning to `label` of `source` (an alias will do). Every label has one.

    Raises:
        ValueError: There is no such taxonomy, or `source` has no such label; the message lists what there is.
    """
    return mapping(source, target)[taxonomy(source).resolve(label)]


def translate_probs(
    probs: ArrayLike, source: str, target: str, *, multi_label: bool = False, neutral: Literal["keep", "drop"] = "keep"
) -> NDArray[np.float32]:
    """Probabilities over `source` as probabilities over `target`.

    One label an example (a distribution): what several labels of `source` hold is summed in the label of `target` that they share, so the
    mass stays what it was, 1 or not. Several labels an example (`multi_label`, each probability on its own): the largest of them counts,
    which is the least that the probability of "any of these" can be, so a label gains nothing from being split finely in `source`.

    Args:
        probs: (..., K) numbers in [0, 1], in the order of `source`'s labels.
        source: Name of their taxonomy.
        target: Name of the one wanted.
        multi_label: The probabilities are independent of one another.
        neutral: "drop" leaves the mass of neutral out where `target` has no neutral label, so that it need not pass for a feeling; the sum
            is then less by that much.

    Returns:
        (..., N) float32, in the order of `target`'s labels.

    Raises:
        ValueError: A wrong shape, a number that is not in [0, 1] (1e-6 over 1 is rounding), or an unknown name.
    """
    given, wanted = taxonomy(source), taxonomy(target)
    values = np.asarray(probs)
    if values.dtype.kind not in "fiu" or values.ndim < 1 or values.shape[-1] != len(given):
        raise ValueError(
            f"probs: numbers (..., {len(given)}), one for each label of {source}, were expected, got {values.dtype} {values.shape}"
        )
    if not (np.isfinite(values).all() and (values >= 0).all() and (values <= 1 + 1e-6).all()):
        raise ValueError(f"probs: numbers in [0, 1] were expected, got {values.min()} to {values.max()}")
    if neutral not in ("keep", "drop"):
        raise ValueError(f'neutral: "keep" or "drop" was expected, got {neutral!r}')
    position = {label: i for i, label in enumerate(wanted.labels)}
    result = np.zeros((*values.shape[:-1], len(wanted)), dtype=np.float64)
    into = mapping(source, target)
    for i, label in enumerate(given.labels):
        if neutral == "drop" and given.concepts[label] == "neutral" and not has_neutral(wanted):
            continue
        place = result[..., position[into[label]]]
        if multi_label:
            np.maximum(place, values[..., i], out=place)
        else:
            place += values[..., i]
    return result.astype(np.float32)


def has_neutral(one: Taxonomy) -> bool:
    """Whether it has a label for feeling nothing in particular."""
    return "neutral" in one.concepts.values()


def nearest(affect: Affect, name: str) -> str:
    """The label of a taxonomy whose place is nearest (Euclidean distance in valence, arousal, dominance; of equals the first).

    Into "zones4" it is `zone_of` instead. Raises TypeError for what is no `Affect`, ValueError for an unknown name or a coordinate that is
    not in [-1, 1].
    """
    if not isinstance(affect, Affect):
        raise TypeError(f"affect: an Affect(valence, arousal, dominance) was expected, got {type(affect).__name__}")
    for axis in ("valence", "arousal", "dominance"):
        value = getattr(affect, axis)
        if not -1.0 <= value <= 1.0:
            raise ValueError(f"{axis} in [-1, 1] was expected, got {value}")
    if name == ZONES4:
        return zone_of(affect.valence, affect.arousal)
    places = taxonomy(name).affect
    return min(places, key=lambda label: _distance2(places[label], affect))


def _distance2(a: Affect, b: Affect) -> float:
    return (a.valence - b.valence) ** 2 + (a.arousal - b.arousal) ** 2 + (a.dominance - b.dominance) ** 2
