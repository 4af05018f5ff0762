"""The labelled sentences, and how often rules are right about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "guard_sentences"


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
