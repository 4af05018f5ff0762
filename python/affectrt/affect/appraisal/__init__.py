"""Appraisal: what events mean to an agent, in the OCC model as the FAtiMA Toolkit has it. No language model, no network.

S. Mascarenhas, M. Guimarães, R. Prada, P. A. Santos, J. Dias, A. Paiva, "FAtiMA Toolkit: Toward an effective and accessible tool for the
development of intelligent virtual agents and social robots", arXiv 2103.03020. docs/appraisal.md shows how to use it.
"""

from affectrt.affect.appraisal.agent import Appraisal, Decision
from affectrt.affect.appraisal.derive import Goal
from affectrt.affect.appraisal.events import action_end, action_start, property_change
from affectrt.affect.appraisal.load import load_rules
from affectrt.affect.appraisal.names import Name
from affectrt.affect.appraisal.names import parse as parse_name
from affectrt.affect.appraisal.occ import OCC, EmotionType, affect_of, affect_of_all, emotion_type
from affectrt.affect.appraisal.rules import ActionRule, AppraisalRule, Rules, Variable
from affectrt.affect.appraisal.source import RuleError
from affectrt.affect.appraisal.state import Disposition, Emotion, Settings
from affectrt.affect.appraisal.unify import unify
from affectrt.affect.appraisal.world import Belief

__all__ = [
    "OCC",
    "ActionRule",
    "Appraisal",
    "AppraisalRule",
    "Belief",
    "Decision",
    "Disposition",
    "Emotion",
    "EmotionType",
    "Goal",
    "Name",
    "RuleError",
    "Rules",
    "Settings",
    "Variable",
    "action_end",
    "action_start",
    "affect_of",
    "affect_of_all",
    "emotion_type",
    "load_rules",
    "parse_name",
    "property_change",
    "unify",
]
