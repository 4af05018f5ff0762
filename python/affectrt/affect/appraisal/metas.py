"""Meta-beliefs: what conditions can ask that is worked out, not told.

    Mood(SELF)                                     the mood, in [-10, 10]
    StrongestEmotion(SELF)                         the type of the strongest emotion; no value if nothing is felt
    StrongestWellBeingEmotion(SELF), StrongestAttributionEmotion(SELF), StrongestCompoundEmotion(SELF)
    StrongestEmotionForEvent(SELF, event)          of those caused by events like this one
    EmotionIntensity(SELF, [type])                 the intensity of the strongest emotion of a type; no value if none is felt
    IsAgent([x])                                   True of the agent and of whoever has acted; False of other constants
    EventId(kind, subject, action, target)         the numbers of events like this, or -1
    LastEventId(kind, subject, action, target)     the same for the newest event
    EventElapsedTime([id])                         ticks since that event
    Math(a, Plus | Minus | Times | Div, b), Count(name), Round(a, digits), SquareDistance(x1, y1, x2, y2)

Names and meanings are the toolkit's (its RoundMethod is Round here and goes by both names). Its Random is not here, since the same events
must give the same emotions and decisions; meta-beliefs of other assets (Volition, ValidDialogue, SI) are plain beliefs unless registered.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from affectrt.affect.appraisal.names import SELF, Name, number, parse
from affectrt.affect.appraisal.occ import OCC
from affectrt.affect.appraisal.state import Emotion
from affectrt.affect.appraisal.unify import unify
from affectrt.affect.appraisal.world import Meta, Solution, World

TRUE, FALSE = Name("True"), Name("False")
_NONE = Name("-1")
_ARITHMETIC: dict[object, Callable[[float, float], float]] = {
    "plus": operator.add,
    "minus": operator.sub,
    "times": operator.mul,
    "div": operator.truediv,
}
_Answers = Iterator[tuple[Name, Solution]]


@dataclass(frozen=True, slots=True)
class Remembered:
    """An event that was appraised."""

    id: int
    event: Name
    stamp_ns: int


@dataclass(frozen=True, slots=True)
class Now:
    """What meta-beliefs answer from."""

    mood: float
    emotions: tuple[Emotion, ...]
    """Strongest first."""
    agents: tuple[Name, ...]
    """Known others."""
    events: Sequence[Remembered]
    stamp_ns: int
    tick_s: float


def metas(now: Now) -> Mapping[tuple[object, int], Meta]:
    """All of them, by first term and number of terms."""

    def of_self(terms: tuple[Name, ...], solution: Solution) -> Iterator[Solution]:
        """The first term must be the agent, or becomes it."""
        if terms[0].is_variable:
            bound = solution.bind(terms[0], SELF)
            if bound is not None:
                yield bound
        elif terms[0] == SELF:
            yield solution

    def mood(world: World, terms: tuple[Name, ...], solution: Solution) -> _Answers:
        for at in of_self(terms, solution):
            yield number(now.mood), at

    def strongest(family: str | None) -> Meta:
        def answer(world: World, terms: tuple[Name, ...], solution: Solution) -> _Answers:
            felt = [e for e in now.emotions if family is None or OCC[e.type].family == family]
            for at in of_self(terms, solution):
                for emotion in felt[:1]:
                    yield Name(emotion.type), at

        return answer

    def strongest_for_event(world: World, terms: tuple[Name, ...], solution: Solution) -> _Answers:
        for at in of_self(terms, solution):
            seen = set()
            for emotion in now.emotions:
                found = unify(terms[1], parse(emotion.event))
                if found is not None and frozenset(found.items()) not in seen:
                    seen.add(frozenset(found.items()))
                    yield Name(emotion.type), at.extend(found)

    def intensity(world: World, terms: tuple[Name, ...], solution: Solution) -> _Answers:
        for at in of_self(terms, solution):
            strongest_of: dict[str, Emotion] = {}
            for emotion in now.emotions:
                strongest_of.setdefault(emotion.type, emotion)
            for emotion in strongest_of.values():
                found = unify(terms[1], Name(emotion.type))
                if found is not None:
                    yield number(emotion.intensity), at.extend(found)

    def is_agent(world: World, terms: tuple[Name, ...], solution: Solution) -> _Answers:
        known = (SELF, *now.agents)
        if terms[0].is_variable:
            for agent in known:
                yield TRUE, solution.extend({terms[0]: agent})
        else:
            yield TRUE if terms[0] in known else FALSE, solution

    def event_id(candidates: Sequence[Remembered]) -> Meta:
        def answer(world: World, terms: tuple[Name, ...], solution: Solution) -> _Answers:
            pattern, none = Name("Event", terms), True
            for event in candidates:
                found = unify(pattern, event.event)
                if found is not None:
                    none = False
                    yield number(event.id), solution.extend(found)
            if none:
                yield _NONE, solution

        return answer

    def elapsed(world: World, terms: tuple[Name, ...], solution: Solution) -> _Answers:
        for event in now.events:
            at = solution.bind(terms[0], number(event.id)) if terms[0].is_variable else solution
            if at is not None and (terms[0].is_variable or terms[0] == number(event.id)):
                yield number((now.stamp_ns - event.stamp_ns) / (now.tick_s * 1e9)), at

    strongest_families = {"Emotion": None, "WellBeingEmotion": "well-being", "AttributionEmotion": "attribution"}
    newest = now.events[-1:]
    table: dict[str, tuple[int, Meta]] = {
        **{f"Strongest{name}": (1, strongest(family)) for name, family in strongest_families.items()},
        "StrongestCompoundEmotion": (1, strongest("compound")),
        "StrongestEmotionForEvent": (2, strongest_for_event),
        "Mood": (1, mood),
        "EmotionIntensity": (2, intensity),
        "IsAgent": (1, is_agent),
        "EventId": (4, event_id(now.events)),
        "LastEventId": (4, event_id(newest)),
        "EventElapsedTime": (1, elapsed),
        "Math": (3, _math),
        "Count": (1, _count),
        "Round": (2, _round),
        "RoundMethod": (2, _round),
        "SquareDistance": (4, _square_distance),
    }
    return {(name.casefold(), terms): meta for name, (terms, meta) in table.items()}


def _numbers(world: World, terms: Iterable[Name], solution: Solution) -> Iterator[tuple[tuple[float, ...], Solution]]:
    """Every way to give all terms a number."""
    ways: list[tuple[tuple[float, ...], Solution]] = [((), solution)]
    for term in terms:
        ways = [((*values, value), at) for values, before in ways for value, at in world.numbers(term, before)]
    yield from ways


def _answer(value: float, at: Solution) -> _Answers:
    try:
        yield number(value), at
    except ValueError:  # beyond the numbers: no value
        return


def _math(world: World, terms: tuple[Name, ...], solution: Solution) -> _Answers:
    apply = _ARITHMETIC.get(terms[1].key)
    for (a, b), at in _numbers(world, (terms[0], terms[2]), solution):
        if apply is not None and not (apply is operator.truediv and b == 0):
            yield from _answer(apply(a, b), at)


def _count(world: World, terms: tuple[Name, ...], solution: Solution) -> _Answers:
    found = list(world.ask(terms[0], solution))
    for at in [at for _, at in found] or [solution]:
        yield number(len(found)), at


def _round(world: World, terms: tuple[Name, ...], solution: Solution) -> _Answers:
    for (value, digits), at in _numbers(world, terms, solution):
        if digits.is_integer() and 0 <= digits <= 15:
            yield from _answer(round(value, int(digits)), at)


def _square_distance(world: World, terms: tuple[Name, ...], solution: Solution) -> _Answers:
    for (x1, y1, x2, y2), at in _numbers(world, terms, solution):
        yield from _answer((x2 - x1) * (x2 - x1) + (y2 - y1) * (y2 - y1), at)
