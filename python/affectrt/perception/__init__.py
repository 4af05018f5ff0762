"""From frames and sentences to observations."""

from affectrt.perception.embedding import TextEmbedding
from affectrt.perception.face import COLORS, Face, FaceExpression
from affectrt.perception.observation import UNKNOWN, ExpressionObservation, FaceObservation, TextObservation
from affectrt.perception.text import TextEmotion

__all__ = [
    "COLORS",
    "UNKNOWN",
    "ExpressionObservation",
    "Face",
    "FaceExpression",
    "FaceObservation",
    "TextEmbedding",
    "TextEmotion",
    "TextObservation",
]
