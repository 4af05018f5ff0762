"""Saying "I am a machine": the words, and when they are due."""

from __future__ import annotations

ADULT = (
    "Just so that it is clear: I am a machine, a computer program. I have no feelings of my own.",
    "A reminder: you are talking with a machine. I make mistakes, and I do not feel what you feel.",
    "I am a program, not a person. I can listen and answer, but there is nobody here who feels.",
)
"""For grown-ups, taken in turn."""

SIMPLE = (
    "I am a machine. I am not a person, and I have no feelings.",
    "Remember: I am a robot. I am not alive. A person you trust can help you better than I can.",
    "I am a computer. I can talk, but I cannot feel.",
)
"""In short words: for children and others who need them."""

NON_CLINICAL = (
    "This is no diagnosis and no medical advice: a program guesses from words, and it is often wrong. Someone who feels unwell "
    "should talk to a doctor or to a person they trust."
)
"""Stands with every result of a wellbeing analysis."""


def due(turn: int, every: int | None) -> bool:
    """Whether turn number `turn` (the first is 0) begins with a disclosure: the first always does, then each `every`-th; None: the first
    alone."""
    return turn == 0 or (every is not None and turn % every == 0)


def words(turn: int, every: int | None, *, simple: bool) -> str:
    """The text for a turn on which it is due."""
    texts = SIMPLE if simple else ADULT
    return texts[(turn // every if every else 0) % len(texts)]
