"""How much each source counts, for how long, and what a person falls back to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from affectrt.affect import checks
from affectrt.labels import NEUTRAL_AFFECT, Affect, taxonomy

SILENT_AFTER = 20
"""Half-lives after which a source that says nothing new is forgotten: a millionth of its weight would be left."""
_LONGEST_S = 1e9


@dataclass(frozen=True, slots=True)
class Source:
    """How one source counts.

    A source is one witness, however often it speaks: frames of the same face are not independent, so thirty a second weigh what one does.
    What it says is the mean of its evidence, in which older gives way to newer by `smoothing_s`. How much it weighs is `weight` times
    the confidence of what it said, halved every `half_life_s` since.
    """

    half_life_s: float
    """Seconds in which its weight halves when nothing new comes."""
    smoothing_s: float
    """Seconds after which an older word counts half beside a newer one; at most `half_life_s`."""
    weight: float = 1.0
    """How far it is believed, beside the others and the prior."""

    def __post_init__(self) -> None:
        problems = []
        for name, low, high in (("half_life_s", 1e-3, _LONGEST_S), ("smoothing_s", 1e-3, _LONGEST_S), ("weight", 1e-6, 1e6)):
            try:
                object.__setattr__(self, name, checks.number(getattr(self, name), name, low, high))
            except (TypeError, ValueError) as error:
                problems.append(str(error))
        if not problems and self.smoothing_s > self.half_life_s:
            problems.append(f"smoothing_s: expected at most half_life_s ({self.half_life_s:g}), got {self.smoothing_s:g}")
        if problems:
            raise ValueError("; ".join(problems))


SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "face": Source(half_life_s=3.0, smoothing_s=0.5),
        "voice": Source(half_life_s=6.0, smoothing_s=2.0),
        "text": Source(half_life_s=90.0, smoothing_s=3.0),
        "event": Source(half_life_s=180.0, smoothing_s=5.0, weight=0.5),
    }
)
"""The defaults. They are our choice, no published constants: an expression passes in seconds, words and events keep for minutes. An event
tells how one might feel, a face how one does: it weighs half."""

OTHER = Source(half_life_s=30.0, smoothing_s=5.0)
"""For a source of any other name."""


@dataclass(frozen=True, slots=True)
class FusionSettings:
    """What a `Fusion` is made with. ValueError with every problem at once."""

    temperament: Affect = NEUTRAL_AFFECT
    """Where the state rests when nothing is known."""
    taxonomy: str = "ekman"
    """The labels of the state; a name of `affectrt.labels.TAXONOMIES`."""
    sources: Mapping[str, Source] = field(default_factory=lambda: SOURCES)
    """By name, in place of the defaults: `{**SOURCES, "voice": Source(...)}` changes one."""
    other: Source = OTHER
    prior: float = 0.25
    """The weight of the temperament: a single source of weight 1 that is certain moves the state by 1 / (1 + prior) of the way."""
    lateness_s: float = 2.0
    """Evidence may come this much later than the newest and still counts as if it had come in order."""
    max_jump_s: float = 60.0
    """Evidence older than the newest by more is no late evidence but a clock that was set back, which is an error."""

    def __post_init__(self) -> None:
        problems = []
        for name, low, high in (("prior", 1e-6, 1e6), ("lateness_s", 0.0, 3600.0), ("max_jump_s", 0.0, _LONGEST_S)):
            try:
                object.__setattr__(self, name, checks.number(getattr(self, name), name, low, high))
            except (TypeError, ValueError) as error:
                problems.append(str(error))
        if not problems and self.max_jump_s < self.lateness_s:
            problems.append(f"max_jump_s: expected at least lateness_s ({self.lateness_s:g}), got {self.max_jump_s:g}")
        try:
            rest = [checks.number(getattr(self.temperament, f.name), f"temperament.{f.name}", -1, 1) for f in fields(Affect)]
            object.__setattr__(self, "temperament", Affect(*rest))
        except (AttributeError, TypeError, ValueError) as error:
            problems.append(f"temperament: {error}")
        try:
            taxonomy(self.taxonomy)
        except (TypeError, ValueError) as error:
            problems.append(f"taxonomy: {error}")
        if not isinstance(self.sources, Mapping) or not all(isinstance(one, Source) for one in [*self.sources.values(), self.other]):
            problems.append("sources, other: expected a mapping of names to Source, and a Source")
        else:
            for name in self.sources:
                try:
                    checks.text(name, "sources")
                except (TypeError, ValueError) as error:
                    problems.append(str(error))
        if problems:
            raise ValueError("; ".join(problems))
        object.__setattr__(self, "sources", MappingProxyType(dict(sorted(self.sources.items()))))

    def source(self, name: str) -> Source:
        """How the source of this name counts."""
        return self.sources.get(name, self.other)

    def to_dict(self) -> dict[str, Any]:
        """In types that JSON has."""
        return {
            "temperament": [self.temperament.valence, self.temperament.arousal, self.temperament.dominance],
            "taxonomy": self.taxonomy,
            "sources": {name: _numbers(one) for name, one in self.sources.items()},
            "other": _numbers(self.other),
            "prior": self.prior,
            "lateness_s": self.lateness_s,
            "max_jump_s": self.max_jump_s,
        }

    @classmethod
    def from_dict(cls, value: object) -> FusionSettings:
        """The reverse of `to_dict`. ValueError for anything else."""
        given = dict(checks.keys(value, "settings", [f.name for f in fields(cls)]))
        place = given["temperament"]
        if not isinstance(place, list) or len(place) != 3:
            raise ValueError(f"temperament: expected [valence, arousal, dominance], got {place!r}")
        given["temperament"] = Affect(*place)
        if not isinstance(given["sources"], dict):
            raise ValueError(f"sources: expected an object, got {type(given['sources']).__name__}")
        given["sources"] = {name: _source(one, f"sources.{name}") for name, one in given["sources"].items()}
        given["other"] = _source(given["other"], "other")
        return cls(**given)


def _numbers(source: Source) -> dict[str, float]:
    return {f.name: getattr(source, f.name) for f in fields(Source)}


def _source(value: object, what: str) -> Source:
    return Source(**checks.keys(value, what, [f.name for f in fields(Source)]))
