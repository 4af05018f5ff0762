"""The pivot of all maps: what each label means, and what stands in for a meaning that a taxonomy lacks.

A label stands for a *concept*. To translate it, take the label of the target that stands for the same concept; if there is none, the
first concept of the list below that the target has. So every map is written by hand, once for a concept and not once for a pair, and
where it ends is plain to see. The nearest label in valence, arousal and dominance was tried first and is not used: onto Ekman's six it
makes surprise of love and of gratitude, disgust of disapproval, fear of remorse, and onto LEIA's five sadness of neutral. The ratings
say how a word feels, not what it is about.

Sources of the lists: the grouping published with GoEmotions (D. Demszky et al., ACL 2020) wherever a list ends in Ekman's six, which
the tests hold it to; the intensities of R. Plutchik, "Emotion: a psychoevolutionary synthesis" (1980): serenity is mild joy, acceptance
and admiration are trust, interest and vigilance anticipation; the families of P. Shaver, J. Schwartz, D. Kirson and C. O'Connor,
"Emotion knowledge", Journal of Personality and Social Psychology 52 (1987) 1061-1086: sentimentality and longing belong to love,
jealousy to anger, guilt and embarrassment to sadness. The rest is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Concept:
    """One meaning."""

    term: str
    """The rated term of `TERMS` that places it; where that is another word, the choice is ours."""
    instead: tuple[str, ...] = ()
    """Concepts that stand in for it, best first."""


_GLAD = ("joy", "happiness")
_WARM = ("positive", *_GLAD)
_STARTLED = ("surprise", "astonishment")

CONCEPTS: Mapping[str, Concept] = MappingProxyType(
    {
        # Where nothing is felt and the target has no word for that, a placid and pleasant label claims least.
        "neutral": Concept("neutral", ("contentment", "calm", "trust", "happiness", "joy")),
        "sleep": Concept("sleepy", ("neutral", "contentment", "calm", "trust", "happiness", "joy")),
        "fatigue": Concept("fatigued", ("neutral", "sadness")),
        "boredom": Concept("bored", ("sadness",)),
        # Glad
        "joy": Concept("joyful", ("happiness",)),
        "happiness": Concept("happy", ("joy",)),
        "excitement": Concept("excited", _GLAD),
        "amusement": Concept("enjoyment", _GLAD),
        "contentment": Concept("untroubled", ("calm", *_GLAD)),
        "calm": Concept("relaxed", ("contentment", *_GLAD)),
        "relief": Concept("consoled", ("calm", "contentment", *_GLAD)),
        "pride": Concept("proud", _WARM),
        "positive": Concept("hopeful", _GLAD),
        # Warm towards someone
        "love": Concept("loved", ("affection", "caring", *_WARM)),
        "affection": Concept("affectionate", ("love", "caring", *_WARM)),
        "caring": Concept("affectionate", ("affection", "love", *_WARM)),
        "sentiment": Concept("wonder", ("affection", "caring", "love", *_WARM)),
        "nostalgia": Concept("reverent", ("sentiment", "affection", "caring", "love", *_WARM)),
        "gratitude": Concept("grateful", _WARM),
        "admiration": Concept("impressed", ("trust", *_WARM)),
        "approval": Concept("appreciative", ("trust", *_WARM)),
        "trust": Concept("secure", ("approval", "affection", *_WARM)),
        "loyalty": Concept("devoted", ("trust", "affection", "love", *_WARM)),
        # Looking ahead
        "optimism": Concept("hopeful", ("anticipation", *_WARM)),
        "confidence": Concept("capable", ("optimism", "pride", *_WARM)),
        "anticipation": Concept("interested", ("optimism", *_WARM)),
        "readiness": Concept("concentrating", ("anticipation", "optimism", *_WARM)),
        "desire": Concept("interested", ("anticipation", "excitement", *_WARM)),
        # Startled, puzzled, wary
        "surprise": Concept("surprised", ("astonishment", *_GLAD)),
        "astonishment": Concept("astonished", ("surprise", *_GLAD)),
        "realization": Concept("wonder", (*_STARTLED, *_GLAD)),
        "curiosity": Concept("curious", ("anticipation", *_STARTLED, *_GLAD)),
        "confusion": Concept("confused", (*_STARTLED, "fear")),
        "skepticism": Concept("skeptical", ("confusion", "neutral", "unease", "anticipation", "fear")),
        "suspicion": Concept("suspicious", ("unease", "worry", "neutral", "anticipation", "fear")),
        # Afraid
        "fear": Concept("fearful"),
        "terror": Concept("terrified", ("fear",)),
        "worry": Concept("tense", ("unease", "fear")),
        "unease": Concept("insecure", ("worry", "fear")),
        # Sad
        "sadness": Concept("sad"),
        "grief": Concept("despairing", ("depression", "sadness")),
        "depression": Concept("depressed", ("sadness",)),
        "loneliness": Concept("lonely", ("sadness",)),
        "rejection": Concept("rejected", ("loneliness", "sadness")),
        "helplessness": Concept("helpless", ("sadness",)),
        "disappointment": Concept("discouraged", ("sadness",)),
        "pessimism": Concept("discouraged", ("disappointment", "sadness")),
        "negative": Concept("discontented", ("disappointment", "sadness")),
        "embarrassment": Concept("embarrassed", ("shame", "negative", "sadness")),
        "shame": Concept("shamed", ("embarrassment", "guilt", "negative", "sadness")),
        "guilt": Concept("guilty", ("shame", "negative", "sadness")),
        # Angry
        "anger": Concept("angry"),
        "annoyance": Concept("mildly annoyed", ("anger",)),
        "fury": Concept("enraged", ("anger",)),
        "disapproval": Concept("displeased", ("annoyance", "anger")),
        "jealousy": Concept("frustrated", ("negative", "anger")),
        "disgust": Concept("disgusted", ("anger",)),
        "contempt": Concept("contemptuous", ("disgust", "anger")),
    }
)
"""Every meaning that a label of the registry has, by name."""
