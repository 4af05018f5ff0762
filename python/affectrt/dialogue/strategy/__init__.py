"""Ways to support someone: the eight strategies, which of them fits now, and whether one is used too much.

planner = Planner()
plan = planner.plan(Situation.of(state, turn=0, text="I failed again."))
plan.strategy, plan.reasons, plan.prompt               # one of eight, why, and its line for the prompt

bias, preferences = preference_bias(counts)            # counts[i, j]: i was predicted where j was right
"""

from affectrt.dialogue.strategy.bias import PreferenceMonitor, Proficiency, count_strategies, debias, preference_bias, proficiency
from affectrt.dialogue.strategy.names import STAGES, STRATEGIES, Stage, Strategy
from affectrt.dialogue.strategy.planner import Plan, Planner, StrategyClassifier, TextClassifier
from affectrt.dialogue.strategy.rules import RULES, Rule, Situation, asks_for_advice, stage_of

__all__ = [
    "RULES",
    "STAGES",
    "STRATEGIES",
    "Plan",
    "Planner",
    "PreferenceMonitor",
    "Proficiency",
    "Rule",
    "Situation",
    "Stage",
    "Strategy",
    "StrategyClassifier",
    "TextClassifier",
    "asks_for_advice",
    "count_strategies",
    "debias",
    "preference_bias",
    "proficiency",
    "stage_of",
]
