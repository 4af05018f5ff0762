"""How one partner feels over time, on whatever clock the caller uses."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from affectrt.affect import AffectState, Evidence, Fusion, FusionSettings
from affectrt.labels import taxonomy_of, translate_probs
from affectrt.perception import UNKNOWN, TextObservation

# Speech is stamped when it was said and read seconds later, while frames go on coming; and a memory is looked for by feelings
# that a face's seven labels do not tell apart.
SETTINGS = FusionSettings(taxonomy="goemotions28", lateness_s=10.0)
LEAST_FEELING = 0.2
"""Of the mass of the state's labels, that which is a feeling; with less there is no mood to remember by."""


class Mood:
    """A `Fusion` that outlives restarts and clocks that are set back."""

    def __init__(self, clock: Callable[[], int] = time.time_ns, saved: tuple[str, int] | None = None) -> None:
        """Begin with nothing, or with what `saved` gave. `clock` is the one on the wall, which goes on while the robot is off."""
        self._fusion = Fusion(SETTINGS)
        self._clock, self._before = clock, saved
        self._newest_wall_ns = 0

    def add(self, evidence: Evidence | None) -> None:
        """Take evidence in, however late: what is older than can be put in order counts as of the oldest time that can."""
        if evidence is None:
            return
        stamp = evidence.stamp_ns
        if self._before is not None:  # only now is it known by which clock the caller counts
            self._fusion, self._before = self._restored(*self._before, stamp), None
        newest = self._fusion.newest_ns
        if newest is not None and newest - stamp > SETTINGS.max_jump_s * 1e9:  # that clock was set back
            self._fusion = Fusion.restore(self._fusion.to_json(), stamp_ns=stamp, age_s=0.0)
        settled = self._fusion.settled_ns
        self._fusion.add(evidence if settled is None or stamp >= settled else replace(evidence, stamp_ns=settled))
        self._newest_wall_ns = self._clock()

    def at(self, stamp_ns: int) -> AffectState:
        """The state at this time, or at that of the newest evidence if that is later."""
        fusion = self._fusion if self._before is None else self._restored(*self._before, stamp_ns)
        return fusion.state(stamp_ns if fusion.newest_ns is None else max(stamp_ns, fusion.newest_ns))

    def saved(self) -> tuple[str, int] | None:
        """All of it as JSON, and the wall-clock time it is of; None if nothing has come yet: then what was saved before still holds."""
        return (self._fusion.to_json(), self._newest_wall_ns) if self._newest_wall_ns else None

    def anew(self) -> Mood:
        """One of the same clock that knows nothing."""
        return Mood(self._clock)

    def _restored(self, saved: str, wall_ns: int, stamp_ns: int) -> Fusion:
        age_s = max(0, self._clock() - wall_ns) / 1e9
        return Fusion.restore(saved, stamp_ns=stamp_ns, age_s=age_s, settings=SETTINGS)


def emotion_vector(state: AffectState) -> NDArray[np.float32] | None:
    """The state as a memory's emotion vector, (8,) float32 over Plutchik's eight; None if it is hardly a feeling."""
    return _clear(translate_probs(state.probs, state.taxonomy, "plutchik8", neutral="drop"))


def emotion_of_moment(state: AffectState, read: TextObservation | None) -> NDArray[np.float32] | None:
    """What is felt at the very words, as a memory's emotion vector: what the words tell, or else what is seen and heard beside them.

    Not the state as a whole: in that an earlier sentence lives on, and good news that the reader takes for neutral would be kept as sad.
    """
    if read is not None and read.label not in (UNKNOWN, "neutral") and (known := taxonomy_of(read.labels)) is not None:
        by_label = dict(zip(read.labels, read.probs.tolist(), strict=True))
        probs = [min(by_label[label], 1.0) for label in known.labels]
        return _clear(translate_probs(probs, known.name, "plutchik8", multi_label=True, neutral="drop"))
    probs = [0.0] * len(state.labels)
    for one in state.sources:
        if one.source != "text" and one.label:
            probs[state.labels.index(one.label)] += one.share
    return _clear(translate_probs(probs, state.taxonomy, "plutchik8", neutral="drop"))


def _clear(vector: NDArray[np.float32]) -> NDArray[np.float32] | None:
    return vector if float(vector.sum()) >= LEAST_FEELING else None
