"""How one partner feels over time, on whatever clock the caller uses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from affectrt.affect import AffectState, Evidence, Fusion, FusionSettings
from affectrt.labels import translate_probs

# Speech is stamped when it was said and read seconds later, while frames go on coming; and a memory is looked for by feelings
# that a face's seven labels do not tell apart.
SETTINGS = FusionSettings(taxonomy="goemotions28", lateness_s=10.0)
LEAST_FEELING = 0.2
"""Of the mass of the state's labels, that which is a feeling; with less there is no mood to remember by."""


class Mood:
    """A `Fusion` that outlives restarts and clocks that are set back."""

    def __init__(self, saved: str | None = None, age_s: Callable[[], float] = lambda: 0.0) -> None:
        """Begin with nothing, or with what `to_json` gave; `age_s` tells how long ago, when it is first needed."""
        self._fusion = Fusion(SETTINGS)
        self._saved, self._age_s = saved, age_s

    def add(self, evidence: Evidence | None) -> None:
        """Take evidence in, however late: what is older than can be put in order counts as of the oldest time that can."""
        if evidence is None:
            return
        stamp = evidence.stamp_ns
        if self._saved is not None:  # only now is it known by which clock the caller counts
            self._fusion, self._saved = self._restored(self._saved, stamp), None
        newest = self._fusion.newest_ns
        if newest is not None and newest - stamp > SETTINGS.max_jump_s * 1e9:  # that clock was set back
            self._fusion = Fusion.restore(self._fusion.to_json(), stamp_ns=stamp, age_s=0.0)
        settled = self._fusion.settled_ns
        self._fusion.add(evidence if settled is None or stamp >= settled else replace(evidence, stamp_ns=settled))

    def at(self, stamp_ns: int) -> AffectState:
        """The state at this time, or at that of the newest evidence if that is later."""
        fusion = self._fusion if self._saved is None else self._restored(self._saved, stamp_ns)
        return fusion.state(stamp_ns if fusion.newest_ns is None else max(stamp_ns, fusion.newest_ns))

    def to_json(self) -> str | None:
        """All of it, as of the newest evidence; None if nothing has come since it was made: then what was saved still holds."""
        return self._fusion.to_json() if self._saved is None and self._fusion.taken else None

    def _restored(self, saved: str, stamp_ns: int) -> Fusion:
        return Fusion.restore(saved, stamp_ns=stamp_ns, age_s=self._age_s(), settings=SETTINGS)


def emotion_vector(state: AffectState) -> NDArray[np.float32] | None:
    """The state as a memory's emotion vector, (8,) float32 over Plutchik's eight; None if it is hardly a feeling."""
    vector = translate_probs(state.probs, state.taxonomy, "plutchik8", neutral="drop")
    return vector if float(vector.sum()) >= LEAST_FEELING else None
