"""Observations of several sources, each with its time and its confidence, become one state of one person."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from affectrt.affect import checks
from affectrt.affect import fold as folds
from affectrt.affect.evidence import Evidence
from affectrt.affect.fold import Fold, Pace
from affectrt.affect.mixture import mix, voice
from affectrt.affect.settings import FusionSettings
from affectrt.affect.state import AffectState
from affectrt.affect.vocabulary import Vocabulary

MAX_SOURCES = 64
"""Sources that may have a say at one time."""
MAX_PENDING = 4096
"""Evidence of one source that may be kept because later evidence could still come before it."""
FORMAT, VERSION = "affectrt.fusion", 1


@dataclass(slots=True)
class Heard:
    """What one source said: evidence that nothing can come before any more, folded, and the newer, each with the fold up to it."""

    pace: Pace
    base: Fold | None = None
    stamps: list[int] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    folds: list[Fold | None] = field(default_factory=list)

    def fold_at(self, stamp_ns: int) -> Fold | None:
        """The fold of all evidence up to this time."""
        count = len(self.stamps)
        if count and self.stamps[-1] > stamp_ns:
            count = bisect_right(self.stamps, stamp_ns)
        return self.folds[count - 1] if count else self.base

    def place(self, evidence: Evidence) -> int | None:
        """Where it belongs; None if the same is there already."""
        if not self.stamps or evidence.stamp_ns > self.stamps[-1]:
            return len(self.stamps)
        order, first = evidence.order(), bisect_left(self.stamps, evidence.stamp_ns)
        at = bisect_left(self.evidence, order, first, key=Evidence.order)
        return None if at < len(self.evidence) and self.evidence[at].order() == order else at

    def put(self, place: int, evidence: Evidence, vocabulary: Vocabulary) -> None:
        """Insert, and fold anew what comes after."""
        self.stamps.insert(place, evidence.stamp_ns)
        self.evidence.insert(place, evidence)
        self.folds.insert(place, None)
        fold = self.folds[place - 1] if place else self.base
        for i in range(place, len(self.stamps)):
            if self.evidence[i].confidence > 0:
                fold = folds.add(fold, vocabulary.said(self.evidence[i]), self.pace)
            self.folds[i] = fold

    def settle(self, before_ns: int) -> None:
        """Keep of what is older its fold alone."""
        if self.stamps and self.stamps[0] < before_ns:
            count = bisect_left(self.stamps, before_ns)
            self.base = self.folds[count - 1]
            del self.stamps[:count], self.evidence[:count], self.folds[:count]


class Fusion:
    """The state of one person, from everything that is observed of them.

    The state at a time is a function of the set of evidence up to that time and of nothing else: not of the order in which evidence
    came, nor of when or how often it was asked for. No clock is read. What a source says is the mean of its evidence, as `Source`
    tells; the state is the mean of what the sources say and of the temperament, by `Source.weight` times the confidence that is left,
    and by `FusionSettings.prior`. So when nothing comes the state falls back to the temperament, and its confidence to 0.

    Evidence may be late: up to `lateness_s` behind the newest it counts as if it had come in order; what is later is left out, and
    counted in `late`. Memory is bounded by what comes within `lateness_s`. Not for several threads at once.
    """

    def __init__(self, settings: FusionSettings | None = None) -> None:
        if settings is not None and not isinstance(settings, FusionSettings):
            raise TypeError(f"settings: expected FusionSettings, got {type(settings).__name__}")
        self.settings = settings or FusionSettings()
        self.newest_ns: int | None = None
        """Stamp of the newest evidence; None if there was none."""
        self.taken = 0
        """How much evidence counted."""
        self.late = 0
        """How much was left out because it came too late."""
        self.repeated = 0
        """How much was left out because the same had come before."""
        self._heard: dict[str, Heard] = {}  # by name, in order
        self._vocabulary = Vocabulary(self.settings.taxonomy)
        self._lateness_ns = int(self.settings.lateness_s * 1e9)
        self._jump_ns = int(self.settings.max_jump_s * 1e9)

    @property
    def settled_ns(self) -> int | None:
        """`lateness_s` before the newest evidence. States before this time cannot change any more, and are not kept."""
        return None if self.newest_ns is None else self.newest_ns - self._lateness_ns

    def add(self, evidence: Evidence | None) -> bool:
        """Take evidence in; True if it counts, False if it came too late or had come before. None, which says nothing, is False too.

        Raises:
            ValueError: Its stamp is more than `max_jump_s` behind the newest, as after a clock was set back (`restore` moves a state to
                another clock); or there are too many sources (`MAX_SOURCES`), or too much evidence within `lateness_s` (`MAX_PENDING`).
        """
        if evidence is None:
            return False
        counts = self._insert(evidence)
        settled = self.settled_ns
        if counts and settled is not None:
            self._heard[evidence.source].settle(settled)
        return counts

    def state(self, stamp_ns: int) -> AffectState:
        """The state at this time, by all evidence up to it.

        Raises:
            ValueError: The time is before `settled_ns`.
        """
        at_ns = checks.stamp(stamp_ns)
        settled = self.settled_ns
        if settled is not None and at_ns < settled:
            raise ValueError(f"stamp_ns: expected {settled} or later (lateness_s before the newest evidence), got {at_ns}")
        return self._state(at_ns)

    def windows(
        self, evidence: Iterable[Evidence | None], *, window_ms: float = 200.0, start_ns: int | None = None, end_ns: int | None = None
    ) -> Iterator[AffectState]:
        """Add all evidence, and give the state at the end of every window, as soon as no evidence can change it any more.

        Evidence of exactly a window's end belongs to it. An hour without evidence has its 18,000 windows of 200 ms like any other.

        Args:
            evidence: In the order of its arrival; it may be endless.
            window_ms: Length of a window, in ms; at least 1.
            start_ns: Where the first window begins. None: windows end at multiples of their length, the first at the earliest evidence or
                just after.
            end_ns: When `evidence` is through, windows up to here are given; None: up to the newest evidence.

        Raises:
            ValueError: As `add`; or `start_ns` is before `settled_ns`.
        """
        window_ns = round(checks.number(window_ms, "window_ms", 1, 1e9) * 1e6)
        next_ns = None if start_ns is None else checks.stamp(start_ns, "start_ns") + window_ns
        last_ns = None if end_ns is None else checks.stamp(end_ns, "end_ns")
        self._settle()
        settled = self.settled_ns
        if next_ns is not None and settled is not None and next_ns < settled:
            raise ValueError(f"start_ns: expected windows that end at {settled} or later (lateness_s before the newest), got {start_ns}")
        for one in evidence:
            if one is None or not self._insert(one):
                continue
            settled = self.settled_ns
            assert settled is not None
            if next_ns is None and (earliest := self._earliest()) is not None and earliest < settled:  # none can come before it now
                next_ns = -(-earliest // window_ns) * window_ns
            while next_ns is not None and next_ns < settled:
                yield self._state(next_ns)
                next_ns += window_ns
            self._settle()
        if next_ns is None and (earliest := self._earliest()) is not None:
            next_ns = -(-earliest // window_ns) * window_ns
        last_ns = self.newest_ns if last_ns is None else last_ns
        while next_ns is not None and last_ns is not None and next_ns <= last_ns:
            yield self._state(next_ns)
            next_ns += window_ns

    def to_json(self, stamp_ns: int | None = None) -> str:
        """Everything that the state depends on, as one line of JSON; the same for the same set of evidence.

        Args:
            stamp_ns: The time now, from which `restore` counts the age; None: that of the newest evidence.
        """
        self._forget_silent()
        saved_ns = checks.stamp(stamp_ns) if stamp_ns is not None else self.newest_ns
        return checks.canonical(
            {
                "format": FORMAT,
                "version": VERSION,
                "saved_ns": saved_ns,
                "newest_ns": self.newest_ns,
                "taken": self.taken,
                "late": self.late,
                "repeated": self.repeated,
                "settings": self.settings.to_dict(),
                "sources": {
                    name: {
                        "base": None if heard.base is None else folds.to_dict(heard.base),
                        "pending": [one.to_dict() for one in heard.evidence],
                    }
                    for name, heard in self._heard.items()
                },
            }
        )

    @classmethod
    def from_json(cls, saved: str) -> Fusion:
        """What `to_json` wrote, on the same clock: it goes on as if nothing had been. ValueError for anything else."""
        return cls._read(saved, None, None)

    @classmethod
    def restore(cls, saved: str, *, stamp_ns: int, age_s: float, settings: FusionSettings | None = None) -> Fusion:
        """What `to_json` wrote `age_s` ago by another clock (a monotonic clock starts anew with the machine), faded by as much.

        Args:
            saved: By `to_json`.
            stamp_ns: The time now, by the clock that stamps what comes next.
            age_s: Seconds since it was saved, of any length; a clock on the wall knows. 0 if that clock was set back.
            settings: In place of the saved ones; taxonomy and lateness_s must be the same.

        Raises:
            ValueError: It is not what `to_json` writes; `age_s` is negative; the settings do not fit.
        """
        now_ns = checks.stamp(stamp_ns)
        age_ns = round(checks.number(age_s, "age_s", 0, 9e9) * 1e9)
        return cls._read(saved, now_ns - age_ns, settings)

    @classmethod
    def _read(cls, saved: str, saved_at_ns: int | None, settings: FusionSettings | None) -> Fusion:
        names = ("format", "version", "saved_ns", "newest_ns", "taken", "late", "repeated", "settings", "sources")
        what = "saved Fusion"
        given = checks.parse(saved, what)
        checks.header(given, what, FORMAT, VERSION)
        checks.keys(given, what, names)
        try:
            written = FusionSettings.from_dict(given["settings"])
            for name in ("taxonomy", "lateness_s"):
                if settings is not None and getattr(settings, name) != getattr(written, name):
                    raise ValueError(f"settings: expected {name}={getattr(written, name)!r} as saved, got {getattr(settings, name)!r}")
            fusion = cls(settings or written)
            for count in ("taken", "late", "repeated"):
                setattr(fusion, count, checks.stamp(given[count], count))
                if getattr(fusion, count) < 0:
                    raise ValueError(f"{count}: expected 0 or more, got {given[count]}")
            if not isinstance(given["sources"], dict):
                raise ValueError(f"sources: expected an object, got {type(given['sources']).__name__}")
            if given["newest_ns"] is None:
                if given["sources"]:
                    raise ValueError("sources: expected none where newest_ns is null")
                return fusion
            saved_ns = checks.stamp(given["saved_ns"], "saved_ns")
            by_ns = 0 if saved_at_ns is None else saved_at_ns - saved_ns
            newest = checks.stamp(given["newest_ns"], "newest_ns")
            fusion.newest_ns = checks.stamp(newest + by_ns, "newest_ns")
            lateness_ns = int(written.lateness_s * 1e9)
            for name, one in given["sources"].items():
                fusion._read_source(checks.text(name, "source"), one, newest, newest - lateness_ns, by_ns)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{what}: {error}") from None
        fusion._settle()
        return fusion

    def _read_source(self, name: str, given: object, newest: int, settled: int, by_ns: int) -> None:
        what = f"sources.{name}"
        value: Any = checks.keys(given, what, ("base", "pending"))
        heard = self._new_source(name)
        if value["base"] is not None:
            base = folds.from_dict(value["base"], f"{what}.base", len(self._vocabulary.labels))
            if base.stamp_ns >= settled:
                raise ValueError(f"{what}.base: expected a stamp before {settled}, got {base.stamp_ns}")
            heard.base = folds.shifted(base, by_ns)
        if not isinstance(value["pending"], list) or len(value["pending"]) > MAX_PENDING:
            raise ValueError(f"{what}.pending: expected a list of at most {MAX_PENDING}")
        for one in value["pending"]:
            evidence = Evidence.from_dict(one)
            if evidence.source != name or not settled <= evidence.stamp_ns <= newest:
                raise ValueError(f"{what}.pending: expected evidence of {name!r} from {settled} to {newest}, got {one}")
            moved = evidence.shifted(by_ns)
            place = heard.place(moved)
            if place != len(heard.stamps):
                raise ValueError(f"{what}.pending: expected evidence in order, each once, got {one}")
            heard.put(place, moved, self._vocabulary)

    def _insert(self, evidence: Evidence) -> bool:
        if not isinstance(evidence, Evidence):
            raise TypeError(f"expected Evidence, got {type(evidence).__name__} (Evidence.of makes it of an observation)")
        stamp, newest = evidence.stamp_ns, self.newest_ns
        if newest is not None and stamp < newest - self._lateness_ns:
            if stamp < newest - self._jump_ns:
                raise ValueError(
                    f"stamp_ns of {evidence.source!r}: expected at most {self.settings.max_jump_s:g} s (max_jump_s) behind the newest "
                    f"evidence, got {(newest - stamp) / 1e9:.3f} s: was a clock set back? Fusion.restore moves a state to another clock"
                )
            self.late += 1
            return False
        heard = self._heard.get(evidence.source) or self._new_source(evidence.source)
        place = heard.place(evidence)
        if place is None:
            self.repeated += 1
            return False
        newest = stamp if newest is None else max(stamp, newest)
        kept = len(heard.stamps)
        if kept >= MAX_PENDING and kept - bisect_left(heard.stamps, newest - self._lateness_ns) >= MAX_PENDING:
            raise ValueError(f"source {evidence.source!r}: expected at most {MAX_PENDING} pieces of evidence within lateness_s")
        heard.put(place, evidence, self._vocabulary)
        self.taken += 1
        self.newest_ns = newest
        return True

    def _new_source(self, name: str) -> Heard:
        if len(self._heard) >= MAX_SOURCES:
            self._forget_silent()
        if len(self._heard) >= MAX_SOURCES:
            raise ValueError(f"source {name!r}: expected at most {MAX_SOURCES} sources at a time ({', '.join(self._heard)})")
        heard = Heard(Pace.of(self.settings.source(name)))
        self._heard = dict(sorted({**self._heard, name: heard}.items()))
        return heard

    def _settle(self) -> None:
        settled = self.settled_ns
        if settled is not None:
            for heard in self._heard.values():
                heard.settle(settled)

    def _forget_silent(self) -> None:
        """Drop sources on whose past no state can depend any more."""
        self._settle()
        settled = self.settled_ns
        for name, heard in list(self._heard.items()):
            base = heard.base
            if base is not None and settled is not None and settled - base.stamp_ns > heard.pace.silent_ns:
                heard.base = base = None
            if base is None and not heard.stamps:
                del self._heard[name]

    def _earliest(self) -> int | None:
        return min((heard.stamps[0] for heard in self._heard.values() if heard.stamps), default=None)

    def _state(self, at_ns: int) -> AffectState:
        heard = [(name, one.fold_at(at_ns), one.pace) for name, one in self._heard.items()]
        voices = [voice(name, fold, at_ns, pace) for name, fold, pace in heard if fold is not None]
        return mix(voices, at_ns, self.settings, self._vocabulary)
