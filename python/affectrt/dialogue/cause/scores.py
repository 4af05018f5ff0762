"""How well causes are found: the measures of RECCON (S. Poria et al., 2021), of SQuAD, and BLEU-2 (K. Papineni et al., ACL 2002)."""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CauseScores:
    """Means over examples. Where there is nothing to take a mean of it is 0, and the counts say so."""

    examples: int
    positives: int
    """Examples that have a cause."""
    negatives: int
    exact: float
    """Share of the positives that are found exactly, but for blanks at the sides."""
    lcs_f1: float
    """Over the positives: F1 of the longest run of words that the two share."""
    squad_f1: float
    """Over the positives: F1 of the words as a bag, in small letters, without signs and articles."""
    inv_precision: float
    """Of the examples where no cause was found, the share that has none."""
    inv_recall: float
    """Of the examples without a cause, the share where none was found."""
    inv_f1: float
    all_f1: float
    """Over all examples: SQuAD's F1, for a negative 1 if none was found."""


def cause_scores(truth: Sequence[str], predicted: Sequence[str]) -> CauseScores:
    """Score causes; "" stands for none.

    The published script differs in four ways, which are faults of it: it gives a positive no credit unless one text holds the other; it
    finds shared runs of letters, and counts what is left of words at their ends as words; with no negative example, or none predicted, it
    divides by zero; and one of its branches looks at the example before.

    Raises:
        ValueError: Unequal lengths, or no examples.
    """
    if len(truth) != len(predicted):
        raise ValueError(f"expected as many predictions as truths, got {len(predicted)} and {len(truth)}")
    if not truth:
        raise ValueError("no examples to score")
    pairs = [(right.strip(), said.strip()) for right, said in zip(truth, predicted, strict=True)]
    positive = [(right, said) for right, said in pairs if right]
    negatives, silent = len(pairs) - len(positive), sum(not said for _, said in pairs)
    both = sum(not right and not said for right, said in pairs)
    squad = [squad_f1(right, said) for right, said in positive]
    return CauseScores(
        examples=len(pairs),
        positives=len(positive),
        negatives=negatives,
        exact=_over(sum(right == said for right, said in positive), len(positive)),
        lcs_f1=_over(math.fsum(lcs_f1(right, said) for right, said in positive), len(positive)),
        squad_f1=_over(math.fsum(squad), len(positive)),
        inv_precision=_over(both, silent),
        inv_recall=_over(both, negatives),
        inv_f1=_over(2 * both, silent + negatives),
        all_f1=_over(math.fsum([*squad, both]), len(pairs)),
    )


def _over(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def lcs_f1(truth: str, predicted: str) -> float:
    """F1 of the longest run of words that both hold, as it is against each of them; 0 if they share none, 1 if both are empty."""
    right, said = truth.split(), predicted.split()
    if not right and not said:
        return 1.0
    longest, before = 0, [0] * (len(said) + 1)
    for word in right:
        row = [0] * (len(said) + 1)
        for j, other in enumerate(said, 1):
            if word == other:
                row[j] = before[j - 1] + 1
                longest = max(longest, row[j])
        before = row
    return 2 * longest / (len(right) + len(said))


_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def _bag(text: str) -> Counter[str]:
    return Counter(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def squad_f1(truth: str, predicted: str) -> float:
    """F1 of the words as bags, normalised as SQuAD does (P. Rajpurkar et al., 2016): small letters, no ASCII punctuation, no articles.

    If one of them has no words then, 1 if the other has none either, else 0.
    """
    right, said = _bag(truth), _bag(predicted)
    if not right or not said:
        return float(right == said)
    return 2 * (right & said).total() / (right.total() + said.total())


def bleu2(reference: str, candidate: str) -> float:
    """BLEU of one candidate against one reference with pairs and single words, equal weights, brevity penalty, no smoothing.

    Words are what blanks separate, in small letters. A candidate of one word has no pairs: then it is 0, as it is without a shared pair.
    """
    right, said = reference.lower().split(), candidate.lower().split()
    if not right or len(said) < 2:
        return 0.0
    product = 1.0
    for n in (1, 2):
        grams = [Counter(zip(*(words[i:] for i in range(n)), strict=False)) for words in (said, right)]
        product *= (grams[0] & grams[1]).total() / grams[0].total()
    brevity = 1.0 if len(said) >= len(right) else math.exp(1 - len(right) / len(said))
    return brevity * math.sqrt(product)
