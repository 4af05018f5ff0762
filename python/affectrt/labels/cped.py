"""The label sets of CPED beside its emotions (`TAXONOMIES["cped13"]`), and the control tokens that its dialogue models are told them with.

Y. Chen et al., "CPED: a large-scale Chinese personalized and emotional dialogue dataset for conversational AI", 2022 (arXiv 2205.14727).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from affectrt.labels.registry import taxonomy

DIALOGUE_ACTS = (
    "greeting",
    "question",
    "answer",
    "statement-opinion",
    "statement-non-opinion",
    "apology",
    "command",
    "agreement",
    "disagreement",
    "acknowledge",
    "appreciation",
    "interjection",
    "conventional-closing",
    "quotation",
    "reject",
    "irony",
    "comfort",
    "thanking",
    "other",
)
"""The 19 dialogue acts, in the data set's order."""

SENTIMENTS = ("neutral", "positive", "negative")

SCENES = (
    "home",
    "office",
    "school",
    "mall",
    "hospital",
    "restaurant",
    "sports-venue",
    "entertainment-venue",
    "car",
    "outdoor",
    "other-scene",
)
"""The 11 scenes of the data (the paper's abstract says 10)."""

GENDERS = ("female", "male", "unknown")
AGES = ("children", "teenager", "young", "middle-aged", "elderly", "unknown")
TRAITS = ("neuroticism", "extraversion", "openness", "agreeableness", "conscientiousness")
"""The Big Five in the order of the data's columns."""
LEVELS = ("low", "high", "unknown")
"""What is said of each trait."""

SENTIMENT_OF: Mapping[str, str] = MappingProxyType(
    {
        label: "neutral"
        if label == "neutral"
        else "positive"
        if label in ("happy", "grateful", "relaxed", "positive-other")
        else "negative"
        for label in taxonomy("cped13").labels
    }
)
"""Emotion -> the sentiment it is filed under. "astonished" counts as negative there, although the word is not unpleasant in itself."""


def control_tokens(*, emotion: str | None = None, act: str | None = None, sentiment: str | None = None) -> str:
    """What a dialogue model conditioned in CPED's way reads before it answers: "[happy]", "[happy][question]", "[positive][thanking]".

    Args:
        emotion: One of the 13, or an alias; `translate` makes one of a label of another taxonomy.
        act: One of `DIALOGUE_ACTS`; "other" gives "[da-other]", as in the data set's own vocabulary.
        sentiment: One of `SENTIMENTS`, for models that know only these; not together with `emotion` ("[neutral]" could be either).

    Returns:
        The tokens, emotion or sentiment first, without spaces; "" for nothing.

    Raises:
        ValueError: An unknown label, with those there are; or both emotion and sentiment.
    """
    if emotion is not None and sentiment is not None:
        raise ValueError(f"emotion or sentiment was expected, got both: {emotion!r} and {sentiment!r}")
    tokens = []
    if emotion is not None:
        tokens.append(taxonomy("cped13").resolve(emotion))
    if sentiment is not None:
        tokens.append(_known(sentiment, "sentiment", SENTIMENTS))
    if act is not None:
        known = _known(act, "act", DIALOGUE_ACTS)
        tokens.append("da-other" if known == "other" else known)
    return "".join(f"[{token}]" for token in tokens)


def _known(label: str, name: str, labels: tuple[str, ...]) -> str:
    if label not in labels:
        raise ValueError(f"{name}: one of {', '.join(labels)} was expected, got {label!r}")
    return label


CONTROL_TOKENS = (
    *(control_tokens(emotion=label) for label in taxonomy("cped13").labels),
    *(control_tokens(sentiment=label) for label in SENTIMENTS if label != "neutral"),
    *(control_tokens(act=label) for label in DIALOGUE_ACTS),
)
"""Every token once, to add to a tokenizer: 13 emotions, 2 sentiments more, 19 acts."""
