"""`Appraisal`: an agent that events make feel something, and that decides what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from os import PathLike

from affectrt.affect.appraisal.derive import Goal, derive
from affectrt.affect.appraisal.events import ACTION_END, ACTION_START, PROPERTY_CHANGE, check_event
from affectrt.affect.appraisal.load import load_rules
from affectrt.affect.appraisal.metas import Now, Remembered, metas
from affectrt.affect.appraisal.mind import Mind, from_json, to_json
from affectrt.affect.appraisal.names import NIL, SELF, Name, as_name, parse
from affectrt.affect.appraisal.rules import AppraisalRule, Rules
from affectrt.affect.appraisal.state import Emotion, EmotionalState, Settings
from affectrt.affect.appraisal.unify import unify
from affectrt.affect.appraisal.world import Belief, Beliefs, Meta, Solution, World, believe

MAX_CAUSED = 1000
"""Effects end, but a few that each cause two can still cause a billion."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Something the agent wants to do."""

    action: str
    """A well-formed name, such as "Comfort(Ana)"."""
    target: str
    """Whom, or "-"."""
    priority: float
    """As the rule says."""
    certainty: float
    """Of the least certain belief that it rests on, in (0, 1]."""
    layer: str
    """The rule's kind of action, or "-"."""
    rule: str
    """Where the rule stands, file:line."""

    @property
    def utility(self) -> float:
        """Priority plus certainty: what decisions are ordered by."""
        return self.priority + self.certainty


class Appraisal:
    """An agent with rules: events go in, emotions, mood and decisions come out.

    Nothing reads a clock: `stamp_ns` is the time of any monotonic clock in nanoseconds, and the same calls give the same answers. Times
    may not go back behind the last event (ValueError). A call that raises leaves everything as it was. Not for several threads at once.

        agent = Appraisal.load("ana.rpc")
        for emotion in agent.appraise("Event(Action-End, Ana, Praise, SELF)", stamp_ns=now):
            print(emotion.type, emotion.intensity, emotion.target)
        agent.mood(now), agent.strongest(now), agent.decide(now)
    """

    def __init__(self, rules: Rules, settings: Settings | None = None) -> None:
        """`settings` wins over those of the rules. ValueError if two goals have one name."""
        self.rules = rules.for_self()
        self.settings = settings or rules.settings or Settings()
        goals = {goal.name.casefold(): goal for goal in rules.goals}
        if len(goals) != len(rules.goals):
            raise ValueError(f"goals must have different names, got {', '.join(goal.name for goal in rules.goals)}")
        feelings = EmotionalState(mood_value=rules.mood if abs(rules.mood) >= self.settings.neutral_mood else 0.0)
        self._mind = Mind(feelings, {g.name: g for g in goals.values()}, Beliefs(self.rules.beliefs))
        self._registered: dict[tuple[object, int], Meta] = {}

    @classmethod
    def load(cls, *paths: str | PathLike[str], agent: str | None = None, settings: Settings | None = None) -> Appraisal:
        """An agent out of rule files; see `load_rules`."""
        return cls(load_rules(*paths, agent=agent), settings)

    def appraise(self, event: str | Name, *, stamp_ns: int) -> tuple[Emotion, ...]:
        """Takes in what happened; returns the emotions that it arouses, in the order in which they arise.

        All rules whose event unifies with this one and whose conditions hold speak, in the order of the files; of two that say the same
        variable of the same target, the later one counts. A property's change is believed before it is appraised. Then come the effects
        of the event, each an event of its own, whose emotions are returned too.

        Raises ValueError for what is no event, for a time before the last one, for a rule that finds a value that is no number, and for
        an event that causes more than 1000 others.
        """
        mind = self._at(stamp_ns)
        event = check_event(self._own(as_name(event)))
        felt: list[Emotion] = []
        waiting, done = [event], 0
        while waiting:
            now = waiting.pop()
            mind, aroused = self._appraised(mind, now, stamp_ns)
            felt += aroused
            waiting += reversed(self._effects(now))  # what an event causes comes before what stands beside it
            done += 1
            if done + len(waiting) > MAX_CAUSED:
                raise ValueError(f"{event} causes more than {MAX_CAUSED} events")
        self._mind = replace(mind, stamp_ns=stamp_ns)
        return tuple(felt)

    def emotions(self, stamp_ns: int) -> tuple[Emotion, ...]:
        """What is felt at that time, strongest first; of equals the one that arose first."""
        return self._at(stamp_ns).feelings.emotions(stamp_ns, self.settings)

    def strongest(self, stamp_ns: int) -> Emotion | None:
        """The first of `emotions`, or None."""
        return next(iter(self.emotions(stamp_ns)), None)

    def mood(self, stamp_ns: int) -> float:
        """In [-10, 10]; 0 is neutral."""
        return self._at(stamp_ns).feelings.mood(stamp_ns, self.settings)

    def decide(self, stamp_ns: int, layer: str | None = None) -> tuple[Decision, ...]:
        """What the agent wants to do, highest utility first; each once. `layer` keeps to one kind of action.

        Of equals the rule that stands first in the files comes first (the toolkit shuffles them, so that no run is like another).
        """
        mind = self._at(stamp_ns)
        wanted = None if layer is None else as_name(layer)
        world = self._world(mind, stamp_ns)
        found: dict[tuple[Name, Name], Decision] = {}
        for rule in self.rules.actions:
            if wanted is not None and rule.layer != wanted:
                continue
            for solution in _named(rule.where, lambda r=rule: r.conditions.solve(world)):  # type: ignore[misc]
                action, target, priority = (n.substitute(solution.bindings) for n in (rule.action, rule.target, rule.priority))
                if not (action.is_ground and target.is_ground and priority.is_ground):
                    continue
                if priority.number is None:
                    raise ValueError(f"{rule.where}: expected a number as priority, got {rule.priority} = {priority}")
                decision = Decision(str(action), str(target), priority.number, solution.certainty, str(rule.layer), rule.where)
                best = found.get((action, target))
                if best is None or best.utility < decision.utility:
                    found[action, target] = decision
        return tuple(sorted(found.values(), key=lambda d: -d.utility))

    def tell(self, name: str | Name, value: str | float | bool | Name, certainty: float = 1.0) -> None:
        """Makes the agent believe something, without any feeling about it: `tell("Like(SELF, Ana)", 7)`."""
        belief = believe(self._own(as_name(name)), value, certainty)
        beliefs = self._mind.beliefs.copy()
        beliefs.put(replace(belief, value=self._own(belief.value)))
        self._mind = replace(self._mind, beliefs=beliefs)

    def forget(self, name: str | Name) -> bool:
        """Ends a belief; False if there was none."""
        beliefs = self._mind.beliefs.copy()
        known = beliefs.drop(self._own(as_name(name)))
        self._mind = replace(self._mind, beliefs=beliefs)
        return known

    def ask(self, name: str | Name, stamp_ns: int) -> tuple[str, ...]:
        """Every value of a belief or meta-belief, which may hold variables: `ask("Mood(SELF)", now)`."""
        world = self._world(self._at(stamp_ns), stamp_ns)
        return tuple(str(value) for value, _ in world.ask(self._own(as_name(name)), Solution()))

    def register(self, name: str, terms: int, meta: Callable[[World, tuple[Name, ...], Solution], Iterable[tuple[Name, Solution]]]) -> None:
        """Adds a meta-belief of so many terms: a function that works out its values. It must give the same for the same."""
        self._registered[parse(name).key, terms] = meta

    @property
    def beliefs(self) -> tuple[Belief, ...]:
        """All beliefs, with SELF for the agent."""
        return tuple(self._mind.beliefs)

    @property
    def goals(self) -> tuple[Goal, ...]:
        """The goals with their likelihoods of now."""
        return tuple(self._mind.goals.values())

    def save(self) -> dict[str, object]:
        """All that has been felt, believed and lived through, as values that JSON can hold. The rules are not in it."""
        return to_json(self._mind)

    def restore(self, saved: object) -> None:
        """Goes on from what `save` gave. Raises ValueError that names the key for anything else, and then changes nothing."""
        self._mind = from_json(saved)

    def _own(self, name: Name) -> Name:
        return name if self.rules.agent == SELF else name.swap(self.rules.agent, SELF)

    def _at(self, stamp_ns: int) -> Mind:
        if isinstance(stamp_ns, bool) or not isinstance(stamp_ns, int):
            raise TypeError(f"expected stamp_ns as an integer, got {type(stamp_ns).__name__}")
        last = self._mind.stamp_ns
        if last is None:
            # The mood that an agent begins with is of the time of its first event, or of whoever asks before.
            return replace(self._mind, feelings=replace(self._mind.feelings, mood_stamp_ns=stamp_ns))
        if stamp_ns < last:
            raise ValueError(f"expected a time from {last} ns on, that of the last event, got {stamp_ns}")
        return self._mind

    def _world(self, mind: Mind, stamp_ns: int) -> World:
        feelings = mind.feelings
        now = Now(
            feelings.mood(stamp_ns, self.settings),
            feelings.emotions(stamp_ns, self.settings),
            mind.agents,
            mind.events,
            stamp_ns,
            self.settings.tick_s,
        )
        return World(mind.beliefs, {**metas(now), **self._registered})

    def _appraised(self, mind: Mind, event: Name, stamp_ns: int) -> tuple[Mind, list[Emotion]]:
        kind, subject, what, new = event.terms
        if kind == PROPERTY_CHANGE:
            mind = replace(mind, beliefs=self._changed(mind, what, new, stamp_ns))
        elif kind in (ACTION_START, ACTION_END) and subject not in (SELF, NIL, *mind.agents):
            mind = replace(mind, agents=(*mind.agents, subject))
        number = mind.next_id
        events = (*mind.events, Remembered(number, event, stamp_ns))[-self.settings.remember_events :]
        mind = replace(mind, next_id=number + 1, events=events if self.settings.remember_events else ())

        world = self._world(mind, stamp_ns)
        variables: dict[tuple[str, Name], float] = {}
        for rule in self.rules.appraisal:
            for key, value in _spoken(rule, event, world):
                variables[key] = value
        found, goals = derive(variables, subject, mind.goals, goal_value=self.settings.goal_value)
        feelings, felt = mind.feelings.forget(stamp_ns, self.settings), []
        for appraised in found:
            disposition = self.rules.disposition(appraised.type.name)
            feelings, emotion = feelings.feel(appraised, disposition, event, number, stamp_ns, self.settings)
            if emotion is not None:
                felt.append(emotion)
        mind = replace(mind, feelings=feelings, goals=goals)

        return mind, felt

    def _changed(self, mind: Mind, what: Name, new: Name, stamp_ns: int) -> Beliefs:
        beliefs = mind.beliefs.copy()
        if new == NIL:
            beliefs.drop(what)
            return beliefs
        values = list(dict.fromkeys(value for value, _ in self._world(mind, stamp_ns).ask(new, Solution())))
        if len(values) != 1:
            raise ValueError(f"{what}: expected one value for {new}, got {', '.join(map(str, values)) or 'none'}")
        beliefs.put(Belief(what, values[0]))
        return beliefs

    def _effects(self, event: Name) -> list[Name]:
        """What the event changes, as events."""
        best, bindings = None, {}
        for effect in self.rules.effects:
            if best is None or effect.priority > best.priority:
                found = unify(effect.event, event)
                if found is not None:
                    best, bindings = effect, found
        caused = []
        for change in best.changes if best else ():
            what, value, observer = (n.substitute(bindings) for n in (change.property, change.value, change.observer))
            if observer.is_universal or observer == SELF:
                caused.append(check_event(Name("Event", (PROPERTY_CHANGE, event.terms[1], what, value))))
        return caused


def _spoken(rule: AppraisalRule, event: Name, world: World) -> list[tuple[tuple[str, Name], float]]:
    """What a rule says of an event: appraisal variables with their targets, and values."""
    found = unify(rule.event, event)
    if found is None:
        return []
    said = []
    for solution in _named(rule.where, lambda: rule.conditions.solve(world, [Solution(found)])):
        for variable in rule.variables:
            target = event.terms[1] if variable.by_subject else variable.target.substitute(solution.bindings)
            value = variable.value.substitute(solution.bindings)
            if value.number is None:
                raise ValueError(f"{rule.where}: {variable.name}: expected a number, got {variable.value} = {value}")
            said.append(((variable.name, NIL if target == SELF else target), value.number))
    return said


def _named(where: str, solve: Callable[[], list[Solution]]) -> list[Solution]:
    try:
        return solve()
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
