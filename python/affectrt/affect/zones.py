"""Zones of regulation: from valence and arousal, from several modalities, and fitted to one person.

The zones and their mapper are CALMED's (A. Sousa et al., "Introducing CALMED", 2023, arXiv 2307.13706): blue, green, yellow, red. How
they fuse late and how a classifier is fitted to a person is ours. Nothing of CALMED's data or code is here, and none of this has been
tried on it.

This is for people who may be vulnerable: docs/affect.md says what that asks of whoever uses it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affectrt.labels import TERMS, ZONES, zone_of

__all__ = ["Zone", "ZoneClassifier", "ZoneFusion", "fuse_zones"]


class Zone(str, Enum):
    """One of the four; each is its own name, so `Zone.RED == "red"`."""

    BLUE = "blue"
    """Unpleasant and low: sad, tired, bored."""
    GREEN = "green"
    """Calm, ready."""
    YELLOW = "yellow"
    """Pleasant and excited."""
    RED = "red"
    """Unpleasant and excited: angry, terrified."""

    def __str__(self) -> str:
        return self.value  # in an f-string, too, whatever the version of Python

    @classmethod
    def of(cls, valence: float, arousal: float) -> Zone:
        """The zone of a place, by the signs alone (`affectrt.labels.zone_of`). ValueError outside [-1, 1]."""
        return cls(zone_of(valence, arousal))


@dataclass(frozen=True, slots=True, eq=False)
class ZoneFusion:
    """What several modalities say together."""

    probs: NDArray[np.float32]
    """(4,) float32 over `ZONES`, sums to 1."""
    weights: Mapping[str, float]
    """What each modality counted for; those that were there sum to 1, the absent have 0."""

    @property
    def zone(self) -> Zone:
        """The most probable."""
        return Zone(ZONES[int(self.probs.argmax())])


def fuse_zones(modalities: Mapping[str, ArrayLike | None], weights: Mapping[str, float]) -> ZoneFusion:
    """Late fusion: the weighted mean of what each modality says alone.

    The weights of those that are there are scaled to sum to 1, so that an absent one changes nothing else, and one alone is passed on as it
    is, bit for bit.

    Args:
        modalities: Name -> (4,) probabilities over `ZONES`; None where it has nothing to say now.
        weights: Name -> its weight, over 0, for at least every name in `modalities`.

    Raises:
        ValueError: Nothing is there; a name without a weight, a weight that is not over 0; probabilities that are none, by name.
    """
    given = {name: _distribution(probs, name) for name, probs in modalities.items() if probs is not None}
    for name in modalities:
        if name not in weights:
            raise ValueError(f"weights: one for {name!r} was expected, got those of {', '.join(map(repr, weights)) or 'nothing'}")
        if not (math.isfinite(weights[name]) and weights[name] > 0):
            raise ValueError(f"weights: a number over 0 was expected for {name!r}, got {weights[name]}")
    if not given:
        raise ValueError("modalities: at least one that is not None was expected, got none")
    shares = {name: 0.0 for name in modalities}
    if len(given) == 1:
        ((name, alone),) = given.items()
        return ZoneFusion(alone.copy(), MappingProxyType(shares | {name: 1.0}))
    total = math.fsum(weights[name] for name in given)
    shares |= {name: weights[name] / total for name in given}
    # In one order, so that the order of the mapping changes no bit.
    mixed = sum(shares[name] * given[name].astype(np.float64) for name in sorted(given))
    return ZoneFusion(np.asarray(mixed / np.sum(mixed), dtype=np.float32), MappingProxyType(shares))


def _distribution(probs: ArrayLike, name: str) -> NDArray[np.float32]:
    values = np.asarray(probs, dtype=np.float32)
    if values.shape != (len(ZONES),):
        raise ValueError(f"{name}: ({len(ZONES)},) probabilities were expected, got {values.shape}")
    if not np.isfinite(values).all() or (values < 0).any() or abs(float(values.sum()) - 1.0) > 1e-3:
        raise ValueError(f"{name}: probabilities that sum to 1 were expected, got {values.tolist()}")
    return values


_FORMAT, _VERSION = "affectrt zones", 1
_FEATURES = ("valence", "arousal")
_SPREAD = 0.3  # how far the places of one zone lie from its middle before anything is known of a person
_FAR = 1e6  # standard deviations; what is farther is equally far from all


@dataclass(frozen=True, slots=True, eq=False)
class ZoneClassifier:
    """The zone of a window of features, learnt from windows of one person that someone has labelled.

    A regularised nearest centroid: each zone has a middle, all zones share one spread a feature, and both begin at a prior that counts as
    so many windows (`weights`). A zone without labels keeps its prior. In statistics: linear discriminant analysis with a diagonal
    covariance under the conjugate prior; so fitting in parts, in any order, is fitting at once. All zones are taken to be equally likely.

    Immutable: `calibrate` gives a new one. `generic()` reads valence and arousal; `blank(...)` any other features.
    """

    features: tuple[str, ...]
    """F names."""
    centroids: NDArray[np.float64]
    """(4, F), rows as `ZONES`."""
    variance: NDArray[np.float64]
    """(F,), over 0."""
    weights: NDArray[np.float64]
    """(4, F): how many windows stand behind each number of `centroids`, the prior's among them; over 0."""

    @classmethod
    def generic(cls, strength: float = 10.0) -> ZoneClassifier:
        """What is known before a person is: the places of the words sad, angry, excited, and half-way from neutral to relaxed, of valence
        and arousal. `strength`: as how many labelled windows a zone this counts, over 0."""
        words = {zone: TERMS[term] for zone, term in (("blue", "sad"), ("yellow", "excited"), ("red", "angry"))}
        places = {zone: (place.valence, place.arousal) for zone, place in words.items()}
        places["green"] = (TERMS["relaxed"].valence / 2, TERMS["relaxed"].arousal / 2)
        centroids = np.array([places[zone] for zone in ZONES])
        return cls(_FEATURES, centroids, np.full(2, _SPREAD**2), np.full((4, 2), _strength(strength)))

    @classmethod
    def blank(cls, features: Sequence[str], values: ArrayLike, strength: float = 1.0) -> ZoneClassifier:
        """For any features, from windows without labels: (N, F) numbers, NaN where missing. It knows their middle and spread, and
        no zone yet.

        Raises `ValueError` for another shape, infinite numbers, a feature that no window has, names that are not distinct.
        """
        names = _names(features)
        windows = _windows(values, len(names))
        known = np.isfinite(windows).any(axis=0)
        if not known.all():
            raise ValueError(f"values: at least one window with {names[int((~known).argmax())]!r} was expected, got none")
        middle, variance = np.nanmean(windows, axis=0), np.nanvar(windows, axis=0)
        # Of a feature that never changed, nothing can be said about how much it will.
        variance = np.where(variance > 0, variance, 1.0)
        return cls(names, np.tile(middle, (4, 1)), variance, np.full((4, len(names)), _strength(strength)))

    def calibrate(self, values: ArrayLike, zones: Sequence[str]) -> ZoneClassifier:
        """One that has learnt these windows too.

        Args:
            values: (N, F) numbers in the order of `features`; NaN where a window lacks one.
            zones: N names of `ZONES`, by whoever knows the person.

        Raises: `ValueError`.
        """
        windows = _windows(values, len(self.features))
        unknown = sorted({repr(zone) for zone in zones if zone not in ZONES})
        if unknown:
            raise ValueError(f"zones: {', '.join(ZONES)} were expected, got {', '.join(unknown)}")
        if len(windows) != len(zones):
            raise ValueError(f"zones: as many as windows, {len(windows)}, were expected, got {len(zones)}")
        centroids, weights = self.centroids.copy(), self.weights.copy()
        scatter = self.variance * self.weights.sum(axis=0)
        rows = np.array([ZONES.index(zone) for zone in zones], dtype=np.int64)
        for k in range(len(ZONES)):
            chosen = windows[rows == k]
            known = np.isfinite(chosen)
            n = known.sum(axis=0)
            mean = np.where(known, chosen, 0.0).sum(axis=0) / np.maximum(n, 1)
            scatter += np.where(known, (chosen - mean) ** 2, 0.0).sum(axis=0)
            away = np.where(n > 0, mean - centroids[k], 0.0)
            scatter += weights[k] * n / (weights[k] + n) * away**2
            centroids[k] += n / (weights[k] + n) * away
            weights[k] += n
        return ZoneClassifier(self.features, centroids, scatter / weights.sum(axis=0), weights)

    def probs(self, values: ArrayLike) -> NDArray[np.float32]:
        """(..., 4) float32 over `ZONES` for (..., F) features. What is NaN is left out; where all is, every zone has 0.25.

        Raises `ValueError` for another shape or infinite numbers.
        """
        given = np.asarray(values, dtype=np.float64)
        windows = _windows(given.reshape(-1, given.shape[-1]) if given.ndim else given, len(self.features))
        away = (windows[:, None, :] - self.centroids) / np.sqrt(self.variance)
        away = np.where(np.isfinite(away), np.clip(away, -_FAR, _FAR), 0.0)
        score = -0.5 * (away**2).sum(axis=2)
        weight = np.exp(score - score.max(axis=1, keepdims=True))
        result: NDArray[np.float32] = (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)
        shaped: NDArray[np.float32] = result.reshape(*given.shape[:-1], len(ZONES))
        return shaped

    def zone(self, values: ArrayLike) -> Zone:
        """The most probable zone of one window (F,); the first of equals."""
        probs = self.probs(values)
        if probs.ndim != 1:
            raise ValueError(f"values: one window ({len(self.features)},) was expected, got {np.shape(values)}")
        return Zone(ZONES[int(probs.argmax())])

    def to_json(self) -> str:
        """All of it as JSON. It is about a person: keep it where, and as long as, that person (or who cares for them) agreed to."""
        return json.dumps(
            {
                "format": _FORMAT,
                "version": _VERSION,
                "features": list(self.features),
                "zones": list(ZONES),
                "centroids": self.centroids.tolist(),
                "variance": self.variance.tolist(),
                "weights": self.weights.tolist(),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> ZoneClassifier:
        """What `to_json` wrote, to the last bit. ValueError, naming what is wrong, for anything else."""
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:  # a number of thousands of digits is a plain ValueError
            raise ValueError(f"JSON of a zone classifier was expected ({error})") from None
        if not isinstance(document, dict) or document.get("format") != _FORMAT:
            raise ValueError(f'an object with "format": "{_FORMAT}" was expected, got {text[:60]!r}')
        if document.get("version") != _VERSION:
            raise ValueError(f"version {_VERSION} was expected, got {document.get('version')!r}")
        if document.get("zones") != list(ZONES):
            raise ValueError(f"zones: {list(ZONES)} was expected, got {document.get('zones')!r}")
        names = document.get("features")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"features: a list of names was expected, got {names!r}")
        features = _names(names)
        count = len(features)
        return cls(
            features,
            _numbers(document, "centroids", (len(ZONES), count), positive=False),
            _numbers(document, "variance", (count,), positive=True),
            _numbers(document, "weights", (len(ZONES), count), positive=True),
        )


def _strength(value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"strength: a number over 0 was expected, got {value}")
    return value


def _names(features: Sequence[str]) -> tuple[str, ...]:
    names = tuple(features)
    if not names or len(set(names)) != len(names):
        raise ValueError(f"features: at least one name, each once, was expected, got {names!r}")
    return names


def _windows(values: ArrayLike, count: int) -> NDArray[np.float64]:
    windows = np.asarray(values, dtype=np.float64)
    if windows.ndim != 2 or windows.shape[1] != count:
        raise ValueError(f"values: (N, {count}) numbers were expected, got {windows.shape}")
    if np.isinf(windows).any():
        raise ValueError("values: finite numbers, or NaN for what is missing, were expected, got infinity")
    return windows


def _numbers(document: dict[str, Any], name: str, shape: tuple[int, ...], *, positive: bool) -> NDArray[np.float64]:
    try:
        numbers = np.array(document.get(name))
    except ValueError:  # lists of different lengths
        numbers = np.array(None)
    if numbers.dtype.kind not in "fi" or numbers.shape != shape or not np.isfinite(numbers).all() or (positive and (numbers <= 0).any()):
        raise ValueError(
            f"{name}: {'numbers over 0' if positive else 'finite numbers'} {shape} were expected, got {document.get(name)!r:.80}"
        )
    return numbers.astype(np.float64)
