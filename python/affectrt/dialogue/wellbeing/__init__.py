"""Wellbeing analysis: does a text tell of low mood, strain, loneliness: yes, no or neither, and why. No clinical tool; off by default.

After K. Yang et al., "Towards interpretable mental health analysis with large language models", EMNLP 2023, arXiv 2304.03347: a question
with a binary answer and its reason ("Yes. Reasoning: ..."), asked plainly, step by step, with an emotion that was recognised, or with
worked examples. All words are ours.

analyse("I talk to nobody.", QUESTIONS["loneliness"], asker(dialogue), Guard(Policy(wellbeing=True)))  # -> WellbeingResult
"""

from affectrt.dialogue.wellbeing.analysis import Ask, WellbeingResult, analyse, asker
from affectrt.dialogue.wellbeing.answers import ABSTAINED, Reading, parse
from affectrt.dialogue.wellbeing.prompts import FAMILIES, QUESTIONS, Cue, Example, build_prompt, grammar

__all__ = [
    "ABSTAINED",
    "FAMILIES",
    "QUESTIONS",
    "Ask",
    "Cue",
    "Example",
    "Reading",
    "WellbeingResult",
    "analyse",
    "asker",
    "build_prompt",
    "grammar",
    "parse",
]
