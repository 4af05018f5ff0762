"""Agents out of a few lines, for tests."""

from __future__ import annotations

from typing import Any

from affectrt.affect.appraisal import ActionRule, Appraisal, AppraisalRule, Name, Rules, Settings, Variable, parse_name
from affectrt.affect.appraisal.conditions import Conditions, parse_condition
from affectrt.affect.appraisal.world import believe


def rule(event: str, *variables: tuple[str, object, str] | tuple[str, object], when: tuple[str, ...] = ()) -> AppraisalRule:
    said = tuple(Variable(v[0], parse_name(str(v[1])), parse_name(v[2]) if len(v) > 2 else Name("-")) for v in variables)  # type: ignore[misc]
    return AppraisalRule(parse_name(event), said, Conditions(tuple(map(parse_condition, when))), f"{event} in the test")


def act(action: str, target: str = "-", *, priority: object = 1, when: tuple[str, ...] = (), layer: str = "-") -> ActionRule:
    conditions = Conditions(tuple(map(parse_condition, when)))
    return ActionRule(parse_name(action), parse_name(target), parse_name(str(priority)), conditions, parse_name(layer), action)


def agent(*appraisal: AppraisalRule, settings: Settings | None = None, **more: Any) -> Appraisal:
    if "beliefs" in more:
        more["beliefs"] = tuple(believe(name, value) for name, value in more["beliefs"].items())
    return Appraisal(Rules(appraisal, **more), settings)
