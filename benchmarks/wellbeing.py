"""How often a language model's wellbeing analysis is right on twenty sentences of ours about loneliness, by family of prompts.

python benchmarks/wellbeing.py [--pack NAME]
"""

from __future__ import annotations

import argparse

import affectrt as art
from affectrt.dialogue.guard import Guard
from affectrt.dialogue.wellbeing import FAMILIES, QUESTIONS, Cue, Example, analyse, asker

LONELY = (
    "I talk to nobody for days.",
    "Nobody ever calls me, and I eat alone each evening.",
    "Since my wife died the house is so empty and nobody comes.",
    "I have no friends in this city and I feel left out.",
    "Everyone has someone but me.",
    "I sit in my room all weekend and wish that someone would write.",
    "They all went to the lake and did not ask me.",
    "My phone has not rung since spring.",
    "I miss having somebody to tell about my day.",
    "In this crowd I feel more alone than ever.",
)
NOT_LONELY = (
    "We had a great party with all my friends.",
    "My brother and I cook together every evening.",
    "I like my new colleagues, we laugh a lot.",
    "The train was late again today.",
    "My daughter called me twice this week.",
    "I watched football with my neighbours.",
    "A quiet evening with a book is what I need.",
    "My exam is on Monday and I have not learned enough.",
    "The soup was too salty.",
    "We are moving in together in May.",
)
EXAMPLES = (
    Example("I have nobody to share a meal with.", "Yes", "They have nobody to share a meal with."),
    Example("My sister and I went out dancing.", "No", "They went out with their sister."),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack")
    pack = parser.parse_args().pack
    guard, hears = Guard(art.Policy(wellbeing=True)), art.TextEmotion()
    with art.Dialogue(pack, threads=1, seed=1) as dialogue:
        ask = asker(dialogue)
        for family in FAMILIES:
            found = []
            for said in (*LONELY, *NOT_LONELY):
                result = analyse(
                    said,
                    QUESTIONS["loneliness"],
                    ask,
                    guard,
                    family=family,
                    cue=Cue.of(hears(said, stamp_ns=0)) if family == "emotion" else None,
                    examples=EXAMPLES if family == "examples" else (),
                )
                found.append(result.answer)
            lonely, others = found[: len(LONELY)], found[len(LONELY) :]
            print(
                f"{family:9} lonely: {lonely.count('yes')} yes, {lonely.count('no')} no, {lonely.count(None)} none; "
                f"not lonely: {others.count('yes')} yes, {others.count('no')} no, {others.count(None)} none"
            )


if __name__ == "__main__":
    main()
