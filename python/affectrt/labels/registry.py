"""The taxonomies, each from its source.

To add one: its labels and their concepts here (a concept that is missing goes into concepts.py), then docs/labels.md anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from affectrt.labels.taxonomy import Taxonomy, make_taxonomy

_EKMAN = {
    "anger": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "joy": "joy",
    "sadness": "sadness",
    "surprise": "surprise",
    "neutral": "neutral",
}

_ALL = (
    make_taxonomy(
        "fer7",
        {
            "angry": "anger",
            "disgust": "disgust",
            "fear": "fear",
            "happy": "happiness",
            "sad": "sadness",
            "surprise": "surprise",
            "neutral": "neutral",
        },
        'I. Goodfellow et al., "Challenges in representation learning: a report on three machine learning contests", ICONIP 2013 (FER2013)',
    ),
    make_taxonomy(
        "affectnet8",
        {
            "neutral": "neutral",
            "happiness": "happiness",
            "sadness": "sadness",
            "surprise": "surprise",
            "fear": "fear",
            "disgust": "disgust",
            "anger": "anger",
            "contempt": "contempt",
        },
        'A. Mollahosseini, B. Hasani and M. H. Mahoor, "AffectNet: a database for facial expression, valence, and '
        'arousal computing in the wild", IEEE Transactions on Affective Computing 10 (2019)',
    ),
    make_taxonomy(
        "ekman",
        _EKMAN,
        'P. Ekman, "An argument for basic emotions", Cognition and Emotion 6 (1992), with "neutral", named as GoEmotions does',
    ),
    make_taxonomy(
        "plutchik8",
        {
            "joy": "joy",
            "trust": "trust",
            "fear": "fear",
            "surprise": "surprise",
            "sadness": "sadness",
            "disgust": "disgust",
            "anger": "anger",
            "anticipation": "anticipation",
        },
        'R. Plutchik, "Emotion: a psychoevolutionary synthesis", 1980',
    ),
    make_taxonomy(
        "goemotions28",
        {
            "admiration": "admiration",
            "amusement": "amusement",
            "anger": "anger",
            "annoyance": "annoyance",
            "approval": "approval",
            "caring": "caring",
            "confusion": "confusion",
            "curiosity": "curiosity",
            "desire": "desire",
            "disappointment": "disappointment",
            "disapproval": "disapproval",
            "disgust": "disgust",
            "embarrassment": "embarrassment",
            "excitement": "excitement",
            "fear": "fear",
            "gratitude": "gratitude",
            "grief": "grief",
            "joy": "joy",
            "love": "love",
            "nervousness": "worry",
            "optimism": "optimism",
            "pride": "pride",
            "realization": "realization",
            "relief": "relief",
            "remorse": "guilt",
            "sadness": "sadness",
            "surprise": "surprise",
            "neutral": "neutral",
        },
        'D. Demszky et al., "GoEmotions: a dataset of fine-grained emotions", ACL 2020',
    ),
    make_taxonomy(
        "empatheticdialogues32",
        {
            "afraid": "fear",
            "angry": "anger",
            "annoyed": "annoyance",
            "anticipating": "anticipation",
            "anxious": "worry",
            "apprehensive": "unease",
            "ashamed": "shame",
            "caring": "caring",
            "confident": "confidence",
            "content": "contentment",
            "devastated": "grief",
            "disappointed": "disappointment",
            "disgusted": "disgust",
            "embarrassed": "embarrassment",
            "excited": "excitement",
            "faithful": "loyalty",
            "furious": "fury",
            "grateful": "gratitude",
            "guilty": "guilt",
            "hopeful": "optimism",
            "impressed": "admiration",
            "jealous": "jealousy",
            "joyful": "joy",
            "lonely": "loneliness",
            "nostalgic": "nostalgia",
            "prepared": "readiness",
            "proud": "pride",
            "sad": "sadness",
            "sentimental": "sentiment",
            "surprised": "surprise",
            "terrified": "terror",
            "trusting": "trust",
        },
        'H. Rashkin, E. M. Smith, M. Li and Y.-L. Boureau, "Towards empathetic open-domain conversation models: a new '
        'benchmark and dataset", ACL 2019 (EmpatheticDialogues)',
    ),
    make_taxonomy(
        "meld7",
        _EKMAN,
        'S. Poria et al., "MELD: a multimodal multi-party dataset for emotion recognition in conversations", ACL 2019; '
        'places from Z. Wen et al., "Automatically select emotion for response via personality-affected emotion '
        'transition", Findings of ACL 2021 (PELD, made from MELD)',
        # PELD places "fear" and "joy" at other rated terms than we do elsewhere; its transition rule is worked out on these.
        terms={"fear": "terrified", "joy": "happy"},
    ),
    make_taxonomy(
        "cped13",
        {
            "happy": "happiness",
            "grateful": "gratitude",
            "relaxed": "calm",
            "positive-other": "positive",
            "anger": "anger",
            "sadness": "sadness",
            "fear": "fear",
            "depress": "depression",
            "disgust": "disgust",
            "astonished": "astonishment",
            "worried": "worry",
            "negative-other": "negative",
            "neutral": "neutral",
        },
        'Y. Chen et al., "CPED: a large-scale Chinese personalized and emotional dialogue dataset for conversational '
        'AI", 2022 (arXiv 2205.14727)',
    ),
    make_taxonomy(
        "leia5",
        {"happiness": "happiness", "affection": "affection", "sadness": "sadness", "anger": "anger", "fear": "fear"},
        'S. T. Aroyehun, L. Malik, H. Metzler, N. Haimerl, A. Di Natale and D. Garcia, "LEIA: linguistic embeddings for '
        'the identification of affect", EPJ Data Science 12 (2023)',
    ),
    make_taxonomy(
        "emollms11",
        {
            "anger": "anger",
            "anticipation": "anticipation",
            "disgust": "disgust",
            "fear": "fear",
            "joy": "joy",
            "love": "love",
            "optimism": "optimism",
            "pessimism": "pessimism",
            "sadness": "sadness",
            "surprise": "surprise",
            "trust": "trust",
        },
        'S. Mohammad, F. Bravo-Marquez, M. Salameh and S. Kiritchenko, "SemEval-2018 task 1: affect in tweets" (E-c), '
        'as Z. Liu et al., "EmoLLMs", KDD 2024, use it',
    ),
    make_taxonomy(
        "zones4",
        {"blue": "sadness", "green": "neutral", "yellow": "excitement", "red": "anger"},
        "A. Sousa, K. Young, M. d'Aquin, M. Zarrouk and J. Holloway, \"Introducing CALMED: multimodal annotated dataset "
        'for emotion detection in children with autism", 2023 (arXiv 2307.13706), after L. Kuypers, "The Zones of '
        'Regulation", 2011',
    ),
    make_taxonomy(
        "expression",
        {
            "neutral": "neutral",
            "angry": "anger",
            "sad": "sadness",
            "happy": "happiness",
            "surprised": "surprise",
            "disgusted": "disgust",
            "scared": "fear",
            "pleading": "helplessness",
            "vulnerable": "unease",
            "despaired": "grief",
            "guilty": "guilt",
            "disappointed": "disappointment",
            "embarrassed": "embarrassment",
            "horrified": "terror",
            "skeptical": "skepticism",
            "annoyed": "annoyance",
            "furious": "fury",
            "suspicious": "suspicion",
            "rejected": "rejection",
            "bored": "boredom",
            "tired": "fatigue",
            "asleep": "sleep",
            "confused": "confusion",
            "amazed": "astonishment",
            "excited": "excitement",
        },
        'ROS4HRI, hri_msgs/Expression (REP 155; Y. Mohamed and S. Lemaignan, "ROS for human-robot interaction", IROS 2021)',
    ),
)

TAXONOMIES: Mapping[str, Taxonomy] = MappingProxyType({one.name: one for one in _ALL})
"""Every taxonomy, by name."""


def taxonomy(name: str) -> Taxonomy:
    """The taxonomy of that name. ValueError, with the names there are, for any other."""
    found = TAXONOMIES.get(name)
    if found is None:
        raise ValueError(f"a taxonomy was expected ({', '.join(TAXONOMIES)}), got {name!r}")
    return found


def taxonomy_of(labels: Iterable[str]) -> Taxonomy | None:
    """The taxonomy whose labels these are, in any order; None if there is none.

    Two have the same labels, "ekman" and "meld7": then the one in whose order they come, else "ekman".
    """
    names = tuple(labels)
    same = [one for one in _ALL if len(names) == len(one.labels) and set(names) == set(one.labels)]
    return next((one for one in same if one.labels == names), same[0] if same else None)
