"""SkipCRF in plain NumPy: the score as it is written down, brute force over all sequences, and the dynamic program."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np


@dataclass
class Crf:
    """Weights (K,) and (K, K) float32."""

    start: np.ndarray
    end: np.ndarray
    self_transitions: np.ndarray
    other_transitions: np.ndarray

    @staticmethod
    def random(tags: int, rng: np.random.Generator, whole: bool = False) -> Crf:
        """`whole` numbers add up exactly, so that ties are ties."""

        def draw(*shape: int) -> np.ndarray:
            return (rng.integers(-2, 3, shape) if whole else rng.normal(0, 1, shape)).astype(np.float32)

        return Crf(draw(tags), draw(tags), draw(tags, tags), draw(tags, tags))


def runs_of(speakers) -> list[list[int]]:
    """Positions of each unbroken run of one speaker."""
    return [[i for i, _ in group] for _, group in itertools.groupby(enumerate(speakers), key=lambda pair: pair[1])]


def score(sequences, emissions, speakers, crf: Crf) -> np.ndarray:
    """Of each of (N, T) sequences of tags, float64, by the formula; added from left to right, Self before Other before emissions."""
    emissions, start, end, own, other = (
        np.asarray(a, np.float64) for a in (emissions, crf.start, crf.end, crf.self_transitions, crf.other_transitions)
    )
    runs = runs_of(speakers)
    total = start[sequences[:, 0]] + emissions[0, sequences[:, 0]]
    for number, run in enumerate(runs):
        for i in run:
            if i == 0:
                continue
            here, before = sequences[:, i], sequences[:, i - 1]
            if i > run[0]:
                total = total + own[before, here]
            else:
                if number >= 2 and speakers[runs[number - 2][0]] == speakers[i]:
                    total = total + own[sequences[:, runs[number - 2][-1]], here]
                total = total + other[before, here]
            total = total + emissions[i, here]
    return total + end[sequences[:, -1]]


def tie_order(speakers) -> list[int]:
    """Positions in the order in which equally good sequences are compared; the lower tag wins."""
    runs = runs_of(speakers)
    order = [runs[-1][-1]]
    for number in reversed(range(len(runs))):
        if number > 0:
            order.append(runs[number - 1][-1])
        order += reversed(runs[number][:-1])
    return order


def all_sequences(tags: int, utterances: int) -> np.ndarray:
    return np.stack(np.meshgrid(*[np.arange(tags)] * utterances, indexing="ij"), -1).reshape(-1, utterances)


def brute_force(emissions, speakers, crf: Crf) -> tuple[list[int], float]:
    """Best sequence and its score, over all of them."""
    sequences = all_sequences(emissions.shape[1], len(emissions))
    scores = score(sequences, emissions, speakers, crf)
    best = scores.max()
    if best == -np.inf:
        return [-1] * len(emissions), best
    order = tie_order(speakers)
    return min(sequences[scores == best].tolist(), key=lambda s: [s[i] for i in order]), best


def brute_marginals(emissions, speakers, crf: Crf) -> tuple[np.ndarray, float]:
    sequences = all_sequences(emissions.shape[1], len(emissions))
    scores = score(sequences, emissions, speakers, crf)
    top = scores.max()
    if top == -np.inf:
        return np.zeros(emissions.shape), -np.inf
    weights = np.exp(scores - top)
    tags = range(emissions.shape[1])
    probs = np.array([[weights[sequences[:, i] == c].sum() for c in tags] for i in range(len(emissions))]) / weights.sum()
    return probs, top + np.log(weights.sum())


def viterbi(emissions, speakers, crf: Crf) -> tuple[list[int], float]:
    """The dynamic program over (tag at the end of the run before, tag), for dialogues too long for brute force."""
    own, other = crf.self_transitions.astype(np.float64), crf.other_transitions.astype(np.float64)
    emissions = np.asarray(emissions, np.float64)
    table = (crf.start.astype(np.float64) + emissions[0])[None]
    past: list[int] = []
    links = []
    for i in range(1, len(emissions)):
        if speakers[i] == speakers[i - 1]:
            sums = table[:, :, None] + own  # (row, tag, next tag)
            links.append(("same", sums.argmax(1)))
            table = sums.max(1) + emissions[i]
            continue
        if past and past[-1] == speakers[i]:
            sums = table[:, :, None] + own[:, None]  # (row, tag, next tag): the tag becomes the row
            links.append(("return", sums.argmax(0)))
            table = sums.max(0) + other + emissions[i]
        else:
            links.append(("switch", table.argmax(0)))
            table = table.max(0)[:, None] + other + emissions[i]
        past = [speakers[i - 1]]
    last = table + crf.end.astype(np.float64)
    best = last.max()
    if best == -np.inf:
        return [-1] * len(emissions), best
    tag, row = divmod(int(last.T.argmax()), len(last))
    tags = [tag]
    for kind, link in reversed(links):
        if kind == "same":
            tag = int(link[row, tag])
        else:
            row, tag = int(link[row, tag] if kind == "return" else link[row]), row
        tags.append(tag)
    return tags[::-1], best
