"""Rules as they are used: what an event means to the agent, what it does, and what events change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from affectrt.affect.appraisal.conditions import Conditions
from affectrt.affect.appraisal.derive import Goal
from affectrt.affect.appraisal.events import PROPERTY_CHANGE
from affectrt.affect.appraisal.names import ANY, NIL, SELF, Name
from affectrt.affect.appraisal.state import Disposition, Settings
from affectrt.affect.appraisal.unify import unify
from affectrt.affect.appraisal.world import Belief

MAX_EFFECTS = 200
"""Each is looked at together with every other."""

ALWAYS = Conditions()
DEFAULT_PRIORITY = Name("1")


@dataclass(frozen=True, slots=True)
class Variable:
    """What an appraisal rule says of an event: one appraisal variable."""

    name: str
    """One of `derive.VARIABLES`."""
    value: Name
    """A number, or a variable that stands for one."""
    target: Name = NIL
    """The other, the one to praise or blame, or the goal; `-` for none."""
    by_subject: bool = False
    """True: its target is whoever acted."""


@dataclass(frozen=True, slots=True)
class AppraisalRule:
    """What events that unify with `event` mean where `conditions` hold."""

    event: Name
    variables: tuple[Variable, ...]
    conditions: Conditions = ALWAYS
    where: str = "a rule"
    """file:line, for errors."""


@dataclass(frozen=True, slots=True)
class ActionRule:
    """What to do, and to whom, where `conditions` hold."""

    action: Name
    target: Name = NIL
    priority: Name = DEFAULT_PRIORITY
    """A number, or a variable that stands for one."""
    conditions: Conditions = ALWAYS
    layer: Name = NIL
    """Which kind of action it is (speech, gaze ...), so that they can be decided on apart."""
    where: str = "a rule"


@dataclass(frozen=True, slots=True)
class Change:
    """A belief that an event changes, in the mind of `observer` (`*` is everyone's)."""

    property: Name
    value: Name
    observer: Name = ANY


@dataclass(frozen=True, slots=True)
class Effect:
    """What events that unify with `event` change; of several the one of highest priority counts, of equals the first."""

    event: Name
    changes: tuple[Change, ...]
    priority: float = 1.0
    where: str = "an effect"


@dataclass(frozen=True)
class Rules:
    """Everything that makes one agent; `load_rules` reads it from files of the FAtiMA Toolkit.

    Raises ValueError for more than 200 effects, and, with the cycle named, if effects could set each other off for ever.
    """

    appraisal: tuple[AppraisalRule, ...] = ()
    actions: tuple[ActionRule, ...] = ()
    effects: tuple[Effect, ...] = ()
    dispositions: Mapping[str, Disposition] = field(default_factory=dict)
    """By emotion type; "*" is for all others (else threshold 1 and decay 1)."""
    goals: tuple[Goal, ...] = ()
    beliefs: tuple[Belief, ...] = ()
    agent: Name = SELF
    """The agent's own name, which means the same as SELF."""
    mood: float = 0.0
    """At the start, in [-10, 10]."""
    settings: Settings | None = None
    """If the files have any."""

    def __post_init__(self) -> None:
        if len(self.effects) > MAX_EFFECTS:
            raise ValueError(f"expected at most {MAX_EFFECTS} effects, got {len(self.effects)}")
        cycle = _cycle(self.effects)
        if cycle:
            raise ValueError(f"effects that set each other off for ever: {' -> '.join(f'{e.event} ({e.where})' for e in cycle)}")

    def disposition(self, emotion: str) -> Disposition:
        """The one of an emotion type."""
        return self.dispositions.get(emotion) or self.dispositions.get("*") or Disposition()

    def merged(self, other: Rules) -> Rules:
        """Both, `other` after this one; where only one can be, the other's if it has any."""
        return Rules(
            appraisal=self.appraisal + other.appraisal,
            actions=self.actions + other.actions,
            effects=self.effects + other.effects,
            dispositions={**self.dispositions, **other.dispositions},
            goals=self.goals + other.goals,
            beliefs=self.beliefs + other.beliefs,
            agent=self.agent if other.agent == SELF else other.agent,
            mood=other.mood or self.mood,
            settings=other.settings or self.settings,
        )

    def for_self(self) -> Rules:
        """The same with SELF wherever the agent's name stands."""
        if self.agent == SELF:
            return self

        def own(name: Name) -> Name:
            return name.swap(self.agent, SELF)

        def conditions(old: Conditions) -> Conditions:
            return old.swap(self.agent, SELF)

        return replace(
            self,
            appraisal=tuple(
                replace(
                    rule,
                    event=own(rule.event),
                    conditions=conditions(rule.conditions),
                    variables=tuple(replace(v, value=own(v.value), target=own(v.target)) for v in rule.variables),
                )
                for rule in self.appraisal
            ),
            actions=tuple(
                replace(rule, action=own(rule.action), target=own(rule.target), conditions=conditions(rule.conditions))
                for rule in self.actions
            ),
            effects=tuple(
                replace(
                    effect,
                    event=own(effect.event),
                    changes=tuple(Change(own(c.property), own(c.value), own(c.observer)) for c in effect.changes),
                )
                for effect in self.effects
            ),
            beliefs=tuple(replace(b, name=own(b.name), value=own(b.value)) for b in self.beliefs),
        )


def _cycle(effects: Iterable[Effect]) -> list[Effect]:
    """Effects each of which may set off the next, and the last the first; empty if there are none.

    A change is an event itself, so an effect whose event is a property's change may follow. Whether it can is judged by unification with
    all variables free, and a composed new value, which is worked out only then, may be anything: a rule set that is refused might end
    after all on some data, one that passes ends on all.
    """
    everything = list(effects)

    def after(number: int) -> Iterator[int]:
        caused = [
            Name(
                "Event",
                (PROPERTY_CHANGE, ANY, _renamed(change.property, number), ANY if change.value.terms else _renamed(change.value, number)),
            )
            for change in everything[number].changes
        ]
        return (i for i, effect in enumerate(everything) if any(unify(event, effect.event) is not None for event in caused))

    done: set[int] = set()
    for start in range(len(everything)):
        if start in done:
            continue
        path, waiting = [start], [after(start)]
        while waiting:
            follower = next(waiting[-1], None)
            if follower is None:
                waiting.pop()
                done.add(path.pop())
            elif follower in path:
                return [everything[i] for i in [*path[path.index(follower) :], follower]]
            elif follower not in done:
                path.append(follower)
                waiting.append(after(follower))
    return []


def _renamed(name: Name, number: int) -> Name:
    """With variables of its own, since the same letter in another effect is another variable."""
    return name.map(lambda s: Name(f"{s.symbol[:-1]}-of-{number}]") if s.is_variable else s)
