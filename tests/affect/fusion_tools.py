"""Evidence of every kind for hypothesis, and the definition of the state written down once more, over whole lists and in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from affectrt.affect import Evidence, FusionSettings
from affectrt.labels import nearest, taxonomy, translate_probs
from affectrt.labels.terms import Affect
from hypothesis import strategies as st

AXES = ("valence", "arousal", "dominance")
SECOND = 1_000_000_000

unit = st.floats(0, 1, allow_subnormal=False)
signed = st.floats(-1, 1, allow_subnormal=False)
SOURCES = ("face", "voice", "text", "event", "breath")


@st.composite
def evidence(draw: st.DrawFn, span_ns: int = 4 * SECOND, sources: tuple[str, ...] = SOURCES) -> Evidence:
    """Coarse and fine stamps, so that some are equal; every mixture of what may be said."""
    step = draw(st.sampled_from([1, 1000, SECOND // 30, SECOND // 2]))
    stamp = draw(st.integers(0, span_ns // step)) * step
    axes: dict[str, Any] = {axis: draw(st.none() | signed) for axis in AXES}
    name = draw(st.sampled_from([None, "fer7", "goemotions28", "ekman", "zones4"]))
    if name is None and all(value is None for value in axes.values()):
        axes["arousal"] = draw(signed)
    labels: dict[str, Any] = {}
    if name is not None:
        count = len(taxonomy(name))
        probs = draw(st.lists(st.sampled_from([0.0, 1e-3, 0.25, 0.5, 1.0]) | unit, min_size=count, max_size=count))
        probs[draw(st.integers(0, count - 1))] = draw(st.floats(0.01, 1))
        labels = {"taxonomy": name, "probs": tuple(probs), "multi_label": draw(st.booleans())}
    confidence = draw(st.sampled_from([0.0, 0.5, 1.0]) | unit)
    return Evidence(draw(st.sampled_from(sources)), stamp, confidence, **axes, **labels, label=draw(st.sampled_from(["", "a", "b"])))


def said(one: Evidence, target: str) -> list[Any]:
    """Valence, arousal, dominance and distribution of one evidence, as the documentation tells; None where it says nothing."""
    axes: list[Any] = [one.valence, one.arousal, one.dominance]
    if one.probs is not None and one.taxonomy is not None:
        probs = translate_probs(one.probs, one.taxonomy, target, multi_label=one.multi_label).astype(np.float64)
        if axes == [None] * 3:
            places = np.array([[p.valence, p.arousal, p.dominance] for p in taxonomy(one.taxonomy).affect.values()])
            axes = list(np.average(places, axis=0, weights=one.probs))
        return [*axes, probs / probs.sum()]
    if axes[0] is not None and axes[1] is not None:
        if axes[2] is not None or target == "zones4":
            return [*axes, one_hot(Affect(axes[0], axes[1], axes[2] or 0.0), target)]
        places = np.array([[place.valence, place.arousal] for place in taxonomy(target).affect.values()])
        return [*axes, np.eye(len(places))[np.argmin(((places - axes[:2]) ** 2).sum(axis=1))]]
    return [*axes, None]


def one_hot(affect: Affect, target: str) -> np.ndarray:
    label = nearest(affect, target)
    return np.array([float(name == label) for name in taxonomy(target).labels])


def reference(given: list[Evidence], at_ns: int, settings: FusionSettings) -> dict[str, Any]:
    """The state from the whole set of evidence, by its definition."""
    heard = sorted({one for one in given if one.stamp_ns <= at_ns and one.confidence > 0}, key=Evidence.order)
    rest = settings.temperament
    sums: list[Any] = [rest.valence, rest.arousal, rest.dominance, one_hot(rest, settings.taxonomy)]
    sums = [settings.prior * value for value in sums]
    weights = [settings.prior] * 4
    confidence_of, presences_of, means_of = {}, {}, {}
    for name in sorted({one.source for one in heard}):
        how = settings.source(name)
        presences, means = [0.0] * 4, [None] * 4
        for channel in range(4):
            pairs = [(one, said(one, settings.taxonomy)[channel]) for one in heard if one.source == name]
            pairs = [(one, value) for one, value in pairs if value is not None]
            silence = int(20 * how.half_life_s * 1e9)
            for i in range(len(pairs) - 1, 0, -1):  # what lies before a long silence is forgotten
                if pairs[i][0].stamp_ns - pairs[i - 1][0].stamp_ns > silence:
                    pairs = pairs[i:]
                    break
            if not pairs or at_ns - pairs[-1][0].stamp_ns > silence:
                continue
            newest = pairs[-1][0].stamp_ns
            by = [one.confidence * 2.0 ** (-(newest - one.stamp_ns) / 1e9 / how.smoothing_s) for one, _ in pairs]
            means[channel] = np.average(np.array([value for _, value in pairs]), axis=0, weights=by)
            presences[channel] = max(one.confidence * 2.0 ** (-(at_ns - one.stamp_ns) / 1e9 / how.half_life_s) for one, _ in pairs)
            sums[channel] = sums[channel] + how.weight * presences[channel] * means[channel]
            weights[channel] += how.weight * presences[channel]
        if max(presences) > 0:
            confidence_of[name], presences_of[name], means_of[name] = how.weight * max(presences), presences, means
    total = sum(confidence_of.values())
    conflict = max(
        (
            abs(means_of[a][axis] - means_of[b][axis]) / 2 * min(presences_of[a][axis], presences_of[b][axis])
            for a in means_of
            for b in means_of
            for axis in (0, 1)
            if a < b and means_of[a][axis] is not None and means_of[b][axis] is not None
        ),
        default=0.0,
    )
    return {
        "axes": [float(a / b) for a, b in zip(sums[:3], weights, strict=False)],
        "probs": sums[3] / weights[3],
        "confidence": total / (total + settings.prior),
        "conflict": conflict,
        "sources": sorted(means_of),
    }
