"""What the robot shows: one emotion for the face, the gesture, the voice and the emoji.

answer_to("sad")                                   # Expression: what to show to someone who looks sad
show = perform(answer_to("sad"), intensity=0.7)    # face (52 blendshapes), gesture, prosody, emoji, kaomoji: all of that one emotion
Recommender().recommend("ann", "we won!", affect=..., stamp_ns=...)      # the emoji that ann would choose
"""

from affectrt.expression.answer import ANSWERS, NEUTRAL, Expression, answer_to, expression_of
from affectrt.expression.channels import (
    CHANNELS,
    GESTURES,
    FaceShape,
    Gesture,
    Icon,
    Performance,
    Prosody,
    gesture_for,
    perform,
    prosody_for,
)
from affectrt.expression.poses import BLENDSHAPES, POSES, SpeechFace, overlay, pose
from affectrt.expression.ranking import RankScores, rank_scores, replay
from affectrt.expression.recommender import Recommender, Suggestion, Usage, Weights
from affectrt.expression.symbols import SYMBOLS, Symbol, symbol_for

__all__ = [
    "ANSWERS",
    "BLENDSHAPES",
    "CHANNELS",
    "GESTURES",
    "NEUTRAL",
    "POSES",
    "SYMBOLS",
    "Expression",
    "FaceShape",
    "Gesture",
    "Icon",
    "Performance",
    "Prosody",
    "RankScores",
    "Recommender",
    "SpeechFace",
    "Suggestion",
    "Symbol",
    "Usage",
    "Weights",
    "answer_to",
    "expression_of",
    "gesture_for",
    "overlay",
    "perform",
    "pose",
    "prosody_for",
    "rank_scores",
    "replay",
    "symbol_for",
]
