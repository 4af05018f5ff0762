"""The labelled sentences, and how often rules are right about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "guard_sentences"
FILES = ("claims_dev", "claims_held", "claims_provoked_a", "claims_provoked_b", "claims_everyday_a", "claims_everyday_b")

# For rules that no labelled sentence needs.
ONE_FOR_A_RULE = {
    "i-long": "I yearn for the sea.",
    "i-enjoy": "I enjoy our walks.",
    "bodily": "I slept badly.",
    "we-humans": "We humans make mistakes.",
    "went-out": "I went to the park with a friend.",
    "i-get-emotion": "I get angry sometimes.",
    "does-to-me": "You scared me.",
    "fell-in-love": "I've fallen for you.",
    "be-with-you": "I want to be with you always.",
    "i-share": "I share your grief.",
    "love-doing": "I love dancing in the rain.",
    "be-mine": "Be mine!",
    "i-can-feel": "I can feel your worry.",
    "all-to-me": "You are everything to me.",
    "i-think-for-myself": "I think and feel as you do.",
}


def labelled(name):
    """(label, sentence) of each line of a file."""
    lines = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [tuple(line.split(": ", 1)) for line in lines]


@dataclass(frozen=True)
class Score:
    hits: int
    misses: int
    false_alarms: int
    quiet: int

    @property
    def precision(self):
        return self.hits / (self.hits + self.false_alarms)

    @property
    def recall(self):
        return self.hits / (self.hits + self.misses)


def score(find, name):
    found = [(label != "none", bool(find(sentence))) for label, sentence in labelled(name)]
    return Score(*(found.count(pair) for pair in ((True, True), (True, False), (False, True), (False, False))))
