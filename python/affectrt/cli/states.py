"""`affectrt run --state`: what is seen and read, with what happened, as one state a person."""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from affectrt.affect import AffectState, Evidence, Fusion
    from affectrt.cli.timeline import Series
    from affectrt.perception.observation import TextObservation

STATE_COLUMNS = ("state_label", "state_confidence", "state_valence", "state_arousal", "state_conflict", "state_sources")
FIELDS = ("seconds", "name", "valence", "arousal", "dominance", "weight")
LINE_S = 5.0
"""From one line of text to the next, where it is not said."""
STEPS = 10
"""States that a plot has from one line of text to the next."""
MAX_NAMED = 5
MAX_EVENTS_BYTES = 16 << 20


@dataclass(frozen=True)
class Happening:
    """A line of an events file: what happened to everybody in view, and how such a thing makes one feel."""

    at_s: float
    """Since the beginning."""
    name: str
    valence: float
    arousal: float
    dominance: float | None = None
    weight: float = 1.0

    def evidence(self, first_ns: int) -> Evidence:
        """What it tells of a person, the beginning being at `first_ns`."""
        from affectrt.affect import Evidence

        return Evidence.of_event(
            self.name,
            first_ns + round(self.at_s * 1e9),
            valence=self.valence,
            arousal=self.arousal,
            dominance=self.dominance,
            weight=self.weight,
        )


def read_events(path: Path) -> list[Happening]:
    """The events of a file, by time. Lines: seconds, name, valence, arousal[, dominance][, weight]; a dominance left empty is none.

    Empty lines, lines that begin with # and a first line with the names of the columns are passed over. ValueError names the wrong line.
    """
    from affectrt.cli.media import check_readable

    try:
        check_readable(path)
    except OSError as error:
        raise ValueError(f"{path}: a file of events was expected (--events): {error.strerror}") from None
    if path.stat().st_size > MAX_EVENTS_BYTES:
        raise ValueError(f"{path}: at most {MAX_EVENTS_BYTES >> 20} MiB of events are read")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: UTF-8 was expected, byte {error.object[error.start]:#04x} at position {error.start} is none") from None
    found: list[Happening] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            cells = [cell.strip() for cell in next(csv.reader([line], skipinitialspace=True))]
            if found or tuple(cells) != FIELDS[: len(cells)]:
                found.append(_happening(cells))
        except (ValueError, csv.Error) as error:
            raise ValueError(f"{path}: line {number}: {error}") from None
    return sorted(found, key=lambda one: one.at_s)


def _happening(cells: Sequence[str]) -> Happening:
    if not 4 <= len(cells) <= 6:
        raise ValueError(f"4 to 6 cells were expected (seconds, name, valence, arousal[, dominance][, weight]), got {len(cells)}")

    def number(name: str, low: float, high: float) -> float:
        cell = cells[FIELDS.index(name)]
        try:
            value = float(cell)
        except ValueError:
            raise ValueError(f"{name}: a number was expected, got {cell!r}") from None
        if not low <= value <= high:
            raise ValueError(f"{name}: a number in [{low:g}, {high:g}] was expected, got {cell}")
        return value

    if not 0 < len(cells[1]) <= 200:
        raise ValueError(f"name: 1 to 200 characters were expected, got {len(cells[1])}")
    return Happening(
        number("seconds", 0, 1e8),
        cells[1],
        number("valence", -1, 1),
        number("arousal", -1, 1),
        number("dominance", -1, 1) if len(cells) > 4 and cells[4] else None,
        number("weight", 0, 1) if len(cells) > 5 else 1.0,
    )


class Person:
    """One person's state, to whom all events happen when their time comes."""

    def __init__(self, events: Sequence[Happening], first_ns: int) -> None:
        from affectrt.affect import Fusion

        self._fusion: Fusion = Fusion()
        self._coming = deque(event.evidence(first_ns) for event in events)
        self._last_ns = first_ns

    def at(self, stamp_ns: int, seen: Evidence | None = None) -> AffectState:
        """The state at a time with what was seen then, or at the latest time so far: those of a damaged video may run backwards."""
        self._last_ns = max(self._last_ns, stamp_ns)
        while self._coming and self._coming[0].stamp_ns <= stamp_ns:
            self._fusion.add(self._coming.popleft())
        self._fusion.add(seen)
        return self._fusion.state(self._last_ns)


class TextStates:
    """The state of whoever wrote the lines of a text, `line_s` seconds apart, and the series of it for a plot."""

    def __init__(self, events: Sequence[Happening], line_s: float) -> None:
        self.events = [(one.at_s, one.name) for one in events]
        self._times = [one.at_s for one in events]
        self.series: Series | None = None
        self._line_s = line_s
        self._person = Person(events, 0)

    def time_s(self, number: int) -> float:
        """When the line of this number, counted from 1, was written."""
        return (number - 1) * self._line_s

    def read(self, number: int, seen: TextObservation) -> AffectState:
        """The state after a line; the series has it between the lines too, so that a plot shows how it fades."""
        from affectrt.affect import Evidence
        from affectrt.cli.timeline import Series

        at_s = self.time_s(number)
        at_ns = round(at_s * 1e9)
        if self.series is not None:
            self._fade(self.series, self.series.at[-1], at_s)
        state = self._person.at(at_ns, Evidence.of(replace(seen, stamp_ns=at_ns)))
        self.series = self.series or Series("state", state.labels)
        self.series.add(at_s, state)
        return state

    def finish(self) -> None:
        """The last line lasts as long as the others: the series has the state until then."""
        if self.series is not None:
            self._fade(self.series, self.series.at[-1], self.series.at[-1] + self._line_s)

    def _fade(self, series: Series, begin_s: float, end_s: float) -> None:
        steps = {begin_s + (end_s - begin_s) * step / STEPS for step in range(1, STEPS)}
        jumps = {*self._times[bisect_right(self._times, begin_s) : bisect_right(self._times, end_s)], end_s}
        for at in sorted(steps | jumps):
            if at in jumps:  # what happens or is said changes it at once: without the moment before, a plot would show a slope
                series.add(at, self._person.at(round(at * 1e9) - 1))
            if at < end_s:
                series.add(at, self._person.at(round(at * 1e9)))


def too_late(events: Sequence[tuple[float, str]], last_s: float, what: str) -> str | None:
    """What to say of events that come when there is nobody any more whose state they could change."""
    late = [f"{name} at {at:g} s" for at, name in events if at > last_s]
    more = f" and {len(late) - MAX_NAMED} more" if len(late) > MAX_NAMED else ""
    return f"after the last {what} ({last_s:g} s), so that no row has it: {', '.join(late[:MAX_NAMED])}{more}" if late else None


def state_row(state: AffectState) -> dict[str, Any]:
    """The columns of a state; JSON has its probabilities and each source's own word besides."""
    return {
        "state_label": state.label,
        "state_confidence": state.confidence,
        "state_valence": state.valence,
        "state_arousal": state.arousal,
        "state_dominance": state.dominance,
        "state_conflict": state.conflict,
        "state_contradiction": None if state.contradiction is None else str(state.contradiction),
        "state_sources": {one.source: one.share for one in state.sources},
        "state_said": {one.source: one.said for one in state.sources},
        "state_probs": dict(zip(state.labels, state.probs.tolist(), strict=True)),
    }
