"""All that an agent has felt, believed and lived through; as values that JSON can hold, and back, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from affectrt.affect.appraisal.derive import Goal
from affectrt.affect.appraisal.metas import Remembered
from affectrt.affect.appraisal.names import Name, parse
from affectrt.affect.appraisal.occ import OCC
from affectrt.affect.appraisal.state import Emotion, EmotionalState
from affectrt.affect.appraisal.world import Belief, Beliefs

VERSION = 1


@dataclass(frozen=True)
class Mind:
    """The whole of an agent at one time, as a value."""

    feelings: EmotionalState
    goals: dict[str, Goal]
    beliefs: Beliefs
    agents: tuple[Name, ...] = ()
    events: tuple[Remembered, ...] = ()
    next_id: int = 0
    stamp_ns: int | None = None
    """Of the last event, or None before the first."""


def to_json(mind: Mind) -> dict[str, Any]:
    """Every number goes through JSON unchanged."""
    return {
        "version": VERSION,
        "stamp_ns": mind.stamp_ns,
        "next_id": mind.next_id,
        "mood": mind.feelings.mood_value,
        "mood_stamp_ns": mind.feelings.mood_stamp_ns,
        "emotions": [{key: getattr(e, key) for key in _EMOTION} for e in mind.feelings.pool],
        "goals": [{"name": g.name, "significance": g.significance, "likelihood": g.likelihood} for g in mind.goals.values()],
        "beliefs": [{"name": str(b.name), "value": str(b.value), "certainty": b.certainty} for b in mind.beliefs],
        "agents": [str(agent) for agent in mind.agents],
        "events": [{"id": e.id, "event": str(e.event), "stamp_ns": e.stamp_ns} for e in mind.events],
    }


_NUMBER = (int, float)
_EMOTION: dict[str, tuple[type, ...]] = {
    "type": (str,),
    "intensity": _NUMBER,
    "target": (str,),
    "goal": (str,),
    "event": (str,),
    "cause": (int,),
    "about": (str,),
    "stamp_ns": (int,),
    "threshold": _NUMBER,
    "decay": _NUMBER,
}
_GOAL: dict[str, tuple[type, ...]] = {"name": (str,), "significance": _NUMBER, "likelihood": _NUMBER}
_BELIEF: dict[str, tuple[type, ...]] = {"name": (str,), "value": (str,), "certainty": _NUMBER}
_EVENT: dict[str, tuple[type, ...]] = {"id": (int,), "event": (str,), "stamp_ns": (int,)}
_MIND: dict[str, tuple[type, ...]] = {
    "version": (int,),
    "stamp_ns": (int, type(None)),
    "next_id": (int,),
    "mood": _NUMBER,
    "mood_stamp_ns": (int,),
    **dict.fromkeys(("emotions", "goals", "beliefs", "agents", "events"), (list,)),
}


def from_json(saved: object) -> Mind:
    """The mind. Raises ValueError that names the key and says what was expected and what came."""
    if isinstance(saved, Mapping) and saved.get("version") != VERSION:
        raise ValueError(f"saved mind: expected version {VERSION}, got {saved.get('version')!r}")
    top = _checked(saved, _MIND, "saved mind")
    _within(top["mood"], -10, 10, "mood")
    _within(top["next_id"], 0, math.inf, "next_id")
    pool = []
    for i, entry in enumerate(top["emotions"]):
        fields = _checked(entry, _EMOTION, f"emotions[{i}]")
        if fields["type"] not in OCC:
            raise ValueError(f"emotions[{i}].type: expected one of {', '.join(OCC)}, got {fields['type']!r}")
        for key in ("intensity", "threshold", "decay"):
            _within(fields[key], 0, 10, f"emotions[{i}].{key}")
        _name(fields["event"], f"emotions[{i}].event")
        _within(fields["cause"], 0, top["next_id"] - 1, f"emotions[{i}].cause")
        pool.append(Emotion(**fields))
    goals: dict[str, Goal] = {}
    for i, entry in enumerate(top["goals"]):
        goal = _made(Goal, _checked(entry, _GOAL, f"goals[{i}]"), f"goals[{i}]")
        if goal.name.casefold() in map(str.casefold, goals):
            raise ValueError(f"goals[{i}].name: a second goal {goal.name}")
        goals[goal.name] = goal
    beliefs = Beliefs()
    for i, entry in enumerate(top["beliefs"]):
        fields = _checked(entry, _BELIEF, f"beliefs[{i}]")
        named = {key: _name(fields[key], f"beliefs[{i}].{key}") for key in ("name", "value")}
        beliefs.put(_made(Belief, {**named, "certainty": fields["certainty"]}, f"beliefs[{i}]"))
    events = []
    for i, entry in enumerate(top["events"]):
        fields = _checked(entry, _EVENT, f"events[{i}]")
        events.append(Remembered(fields["id"], _name(fields["event"], f"events[{i}].event"), fields["stamp_ns"]))
        _within(fields["id"], events[-2].id + 1 if i else 0, top["next_id"] - 1, f"events[{i}].id")
    feelings = EmotionalState(tuple(pool), top["mood"], top["mood_stamp_ns"])
    stamps = [feelings.mood_stamp_ns, *(e.stamp_ns for e in pool), *(e.stamp_ns for e in events)]
    if (pool or events) and (top["stamp_ns"] is None or max(stamps) > top["stamp_ns"]):
        raise ValueError(f"stamp_ns: expected the time of the last event, at least {max(stamps)}, got {top['stamp_ns']!r}")
    agents = tuple(_name(agent, f"agents[{i}]") for i, agent in enumerate(top["agents"]))
    return Mind(feelings, goals, beliefs, agents, tuple(events), top["next_id"], top["stamp_ns"])


def _checked(value: object, kinds: Mapping[str, tuple[type, ...]], what: str) -> dict[str, Any]:
    """An object with exactly these keys, each of one of these types and finite."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{what}: expected an object, got {type(value).__name__}")
    missing, unknown = [k for k in kinds if k not in value], [k for k in value if k not in kinds]
    if missing or unknown:
        raise ValueError(f"{what}: expected the keys {', '.join(kinds)}; missing {missing}, unknown {unknown}")
    for key, allowed in kinds.items():
        if isinstance(value[key], bool) or not isinstance(value[key], allowed):
            expected = " or ".join(kind.__name__ for kind in allowed)
            raise ValueError(f"{what}.{key}: expected {expected}, got {value[key]!r}")
    return dict(value)


def _within(value: float, low: float, high: float, what: str) -> None:
    if not low <= value <= high:
        raise ValueError(f"{what}: expected a number in [{low:g}, {high:g}], got {value!r}")


def _name(text: object, what: str) -> Name:
    if not isinstance(text, str):
        raise ValueError(f"{what}: expected a name as text, got {text!r}")
    try:
        return parse(text)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None


def _made(kind: Any, fields: Mapping[str, Any], what: str) -> Any:
    try:
        return kind(**fields)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None
