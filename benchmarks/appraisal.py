"""What an event and a decision cost an agent, with few rules and with many.

python benchmarks/appraisal.py
"""

from __future__ import annotations

import statistics
import sys

from affectrt.affect.appraisal import ActionRule, Appraisal, AppraisalRule, Rules, Variable, action_end, parse_name
from affectrt.affect.appraisal.conditions import Conditions, parse_condition
from affectrt.affect.appraisal.world import believe
from measure import report, time_ms

BOUNDS = {"event_100_rules_ms": ("<=", 5.0), "decide_10_rules_1000_beliefs_ms": ("<=", 250.0)}


def agent(rules: int, beliefs: int) -> Appraisal:
    """One rule in `rules` is about the event; each decision rule asks every belief."""
    liked = Conditions((parse_condition("Like(SELF, [who]) = [like]"),))
    appraisal = [
        AppraisalRule(parse_name(f"Event(Action-End, [who], Do{i}([x]), SELF)"), (Variable("Desirability", parse_name("[like]")),), liked)
        for i in range(rules)
    ]
    best = Conditions((parse_condition("Like(SELF, [x]) > 6"),))
    actions = [ActionRule(parse_name(f"Go{i}"), parse_name("[x]"), conditions=best) for i in range(rules // 10)]
    known = [believe(f"Like(SELF, P{i})", 5) for i in range(1, beliefs + 1)]
    return Appraisal(Rules(tuple(appraisal), tuple(actions), beliefs=tuple(known)))


def main() -> int:
    event = action_end("P3", "Do3(Tea)", "SELF")
    figures = {}
    for rules, beliefs in ((10, 10), (100, 1000)):
        one = agent(rules, beliefs)
        stamps = iter(range(10**6))
        figures[f"event_{rules}_rules_ms"] = statistics.median(time_ms(lambda o=one, s=stamps: o.appraise(event, stamp_ns=next(s)), 200))
        figures[f"decide_{rules // 10}_rules_{beliefs}_beliefs_ms"] = statistics.median(time_ms(lambda o=one: o.decide(10**6), 20))
    return report("appraisal", figures, BOUNDS)


if __name__ == "__main__":
    sys.exit(main())
