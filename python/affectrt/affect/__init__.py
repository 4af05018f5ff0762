"""What a person feels, over time, and who is feeling it."""

from affectrt.affect.personality import MBTI_CORRELATIONS, Personality, Temperament
from affectrt.affect.transition import EmotionTransition, LearntChange, Transition

__all__ = [
    "MBTI_CORRELATIONS",
    "EmotionTransition",
    "LearntChange",
    "Personality",
    "Temperament",
    "Transition",
]
