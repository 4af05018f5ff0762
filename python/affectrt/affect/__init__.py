"""What a person feels, over time, and who is feeling it."""

from affectrt.affect.appraisal import OCC, Appraisal, Decision, Emotion, RuleError, affect_of
from affectrt.affect.conversation import (
    ConversationDecoder,
    ConversationStream,
    ConversationUpdate,
    DecodedUtterance,
    Revision,
)
from affectrt.affect.conversation_model import ConversationModel
from affectrt.affect.evidence import Evidence
from affectrt.affect.fusion import Fusion
from affectrt.affect.log import AffectLog, read_log, replay
from affectrt.affect.personality import MBTI_CORRELATIONS, Personality, Temperament
from affectrt.affect.settings import OTHER, SOURCES, FusionSettings, Source
from affectrt.affect.state import AffectState, Contradiction, SourceState
from affectrt.affect.transition import EmotionTransition, LearntChange, Transition
from affectrt.affect.windows import Window, Windows, window_count
from affectrt.affect.zones import Zone, ZoneClassifier, ZoneFusion, fuse_zones

__all__ = [
    "MBTI_CORRELATIONS",
    "OCC",
    "OTHER",
    "SOURCES",
    "AffectLog",
    "AffectState",
    "Appraisal",
    "Contradiction",
    "ConversationDecoder",
    "ConversationModel",
    "ConversationStream",
    "ConversationUpdate",
    "Decision",
    "DecodedUtterance",
    "Emotion",
    "EmotionTransition",
    "Evidence",
    "Fusion",
    "FusionSettings",
    "LearntChange",
    "Personality",
    "Revision",
    "RuleError",
    "Source",
    "SourceState",
    "Temperament",
    "Transition",
    "Window",
    "Windows",
    "Zone",
    "ZoneClassifier",
    "ZoneFusion",
    "affect_of",
    "fuse_zones",
    "read_log",
    "replay",
    "window_count",
]
