"""What the two-stage decision about an emotion costs, and what a wide margin of the classifier saves of it.

    python benchmarks/emotion_decision.py [--threads 1] [--rounds 3]

Twenty sentences of ours are read by TextEmotion; the default language model then chooses among the 28 emotions of GoEmotions, three in the
first stage, by the likelihood of each answer. Every sentence is decided three ways in each round, in turns: with the second stage barred,
as by a wide margin (`sure_margin=0`); with the first stage free to refuse (`sure_margin=1`); and so that it does refuse, whatever the model
says. The time is that of the decision alone, without reading.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Sequence

import affectrt as art
from affectrt.dialogue.conditioning import REFUSAL, chooser, decide_emotion
from affectrt.packs import DEFAULTS, pull
from measure import report

SENTENCES = (
    "I finally passed my exam, I could dance!",
    "My dog died last night and the house is so quiet.",
    "They lost my bag again and nobody even said sorry.",
    "I am so scared of the operation tomorrow.",
    "Thank you, you really helped me today.",
    "I don't know what to make of all this.",
    "She looked at me as if I were dirt.",
    "We are having a baby!",
    "I forgot her birthday, and now I feel awful.",
    "Nothing ever changes here.",
    "What a surprise to see you!",
    "I miss my grandmother.",
    "The neighbours drill all day long.",
    "I hope that the letter comes tomorrow.",
    "He told everybody my secret.",
    "That soup was disgusting.",
    "I am proud of my little brother.",
    "It is Tuesday.",
    "Why would anybody do that?",
    "I can't stop laughing about it.",
)
DEFAULT_MARGIN = 0.5
WAYS = ("barred", "free", "refused")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    pull(DEFAULTS["dialogue"])
    reader = art.TextEmotion(threads=1)
    spent: dict[str, list[float]] = {way: [] for way in WAYS}
    second: dict[str, list[bool]] = {way: [] for way in WAYS}
    wide = []
    with art.Dialogue(threads=args.threads, device="cpu") as dialogue:
        choose = chooser(dialogue)

        def refuse(question: str, options: Sequence[str]) -> str:
            answer = choose(question, options)
            return REFUSAL if REFUSAL in options else answer

        for turn in range(args.rounds + 1):  # the first one fills the caches and does not count
            for text in SENTENCES:
                seen = reader(text)
                for way in WAYS:
                    start = time.perf_counter()
                    got = decide_emotion(
                        text,
                        seen.probs.tolist(),
                        seen.labels,
                        refuse if way == "refused" else choose,
                        sure_margin=0.0 if way == "barred" else 1.0,
                    )
                    if turn:
                        spent[way].append((time.perf_counter() - start) * 1e3)
                        second[way].append(got.stage == 2)
                wide.append(got.margin > DEFAULT_MARGIN)
    figures = {
        **{f"{way}_ms": statistics.median(values) for way, values in spent.items()},
        "barred_over_refused": statistics.median(a / b for a, b in zip(spent["barred"], spent["refused"], strict=True)),
        "second_stage_when_free": statistics.fmean(second["free"]),
        "wide_margin": statistics.fmean(wide),
    }
    return report("emotion_decision", {"sentences": len(SENTENCES), "threads": args.threads, **figures}, {})


if __name__ == "__main__":
    sys.exit(main())
