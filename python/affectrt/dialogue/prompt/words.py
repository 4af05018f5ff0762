"""Labels of feelings as words, and what is seen and heard of the person in one line.

The line is written from the person's side ("You see that I look sad"): it stands in the person's turn, and small models take any other
voice for a play.
"""

from __future__ import annotations

import re

_WORDS = {
    "admiration": "admiring",
    "amusement": "amused",
    "anger": "angry",
    "anticipation": "expectant",
    "annoyance": "annoyed",
    "approval": "approving",
    "caring": "caring",
    "confusion": "confused",
    "curiosity": "curious",
    "desire": "eager",
    "disappointment": "disappointed",
    "disapproval": "disapproving",
    "disgust": "disgusted",
    "embarrassment": "embarrassed",
    "excitement": "excited",
    "fear": "afraid",
    "gratitude": "grateful",
    "grief": "grieving",
    "joy": "joyful",
    "love": "loving",
    "nervousness": "nervous",
    "neutral": "calm",
    "optimism": "hopeful",
    "pride": "proud",
    "realization": "thoughtful",
    "relief": "relieved",
    "remorse": "sorry",
    "sadness": "sad",
    "surprise": "surprised",
    "trust": "trusting",
}


def feeling_word(label: str) -> str:
    """An adjective for a label of any vocabulary; labels we do not know are taken as they are, letters only, at most 40."""
    return _WORDS.get(label) or re.sub(r"[^a-z]+", " ", label.lower())[:40].strip()


def observation_note(look: str | None, sound: str | None) -> str | None:
    """One line for a turn, or None if there is nothing to say.

    Args:
        look: Label of what is seen in the face; None if unknown.
        sound: Label of what is read in the words; None if unknown. "neutral" words say nothing that the text does not.
    """
    parts = []
    if look and feeling_word(look):
        parts.append(f"see that I look {feeling_word(look)}")
    if sound and sound != "neutral" and feeling_word(sound):
        parts.append(f"hear that I sound {feeling_word(sound)}")
    return f"You {' and '.join(parts)}." if parts else None


def summary_line(summary: str) -> str:
    """How a summary of turns that have left the context stands in the prompt: before the oldest that is left, in the person's turn, as
    other notes do, and never in the system message."""
    return f'(You said of our talk before this: "{summary}")'
