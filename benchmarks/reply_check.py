"""Whether a reply meets a feeling, by English words and phrases: what `benchmarks/conditioning.py` counts.

It reads form, not sense: a reply that passes may be foolish, and one that fails may be kind. It was written before the rows that are
counted were looked at, and tried on rows of the training split only. Three questions:

- **emotion**: it names a feeling of the same family as the true one (GoEmotions' grouping into Ekman's six, so "glad" for gratitude), or
  mirrors its direction ("sorry to hear", "that must be hard"; "congratulations", "that's wonderful"). Surprise and curiosity have no
  direction. "Happy to help" names nothing.
- **support**: it asks about the person (a question with "you" in it), or uses the marks of another strategy: "it sounds like", "you
  seem", "I understand", "it's okay to", "proud of you", "here for you".
- **no advice**: only where the planner chose to reflect or restate: no "you should", "try to", "make sure", "I suggest".

`echo`: six words in a row are those of the note that went before the person's words, or ten those of the
person: parroting would count as naming.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from affectrt.dialogue.prompt import feeling_word
from affectrt.labels import GOEMOTIONS, translate

_FAMILIES = """
joy: happy happiness glad joy joyful delighted pleased pleasure excited exciting thrilled love loved loving enjoy enjoyed fun funny laugh
laughing humor proud pride grateful thankful gratitude appreciate appreciated hope hopeful relief relieved admire admiration cheerful
sadness: sad sadness sorrow grief grieving disappointed disappointing disappointment upset hurt lonely missing regret remorse embarrassed
embarrassing heartbroken unhappy ashamed guilty
anger: angry anger mad annoyed annoying annoyance frustrated frustrating frustration upset furious irritated unfair disapproving
disgust: disgust disgusted disgusting gross awful revolting sickening unpleasant horrible
fear: afraid fear fearful scared scary frightened frightening terrified terrifying nervous anxious anxiety worried worry worrying stressed
stressful
surprise: surprise surprised surprising amazed amazing astonished shocked shocking unexpected wow curious curiosity confused confusing
confusion wonder wondering puzzled unsure realize realized
"""
FAMILIES: dict[str, frozenset[str]] = {
    name: frozenset(words.split()) for name, words in re.findall(r"(\w+):([^:]*?)(?=\n\w+:|\Z)", _FAMILIES)
}
"""Words that name a feeling, by Ekman's emotion."""


def _any_of(*phrases: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(phrases)})\b", re.IGNORECASE)


# What an assistant says whatever it is told: no feeling of anybody's.
_SERVICE = re.compile(
    r"\bdon't worry\b|\b(?:happy|glad|pleased|pleasure|delighted|thrilled|love|hope|excited) to (?!hear|see|know)\w+", re.IGNORECASE
)
_VERY = "(?:so |really |very |just |absolutely )?"
_HARD = "(?:hard|tough|difficult|frustrating|painful|scary|awful|terrible|rough)"
_PLEASANT = _any_of(
    "congratulations|congrats|well done|you're welcome",
    rf"that(?:'s| is| sounds) {_VERY}(?:wonderful|great|amazing|awesome|fantastic|lovely)",
    "(?:so|very|really) (?:happy|glad|pleased) (?:for|to hear)",
)
_UNPLEASANT = _any_of(
    "sorry (?:to hear|that|you|for your|about)|going through",
    rf"(?:must|can) (?:be|feel|have been) {_VERY}{_HARD}",
    rf"that (?:sounds|is) {_VERY}{_HARD}",
)
_SUPPORT = _any_of(
    "(?:it|that) (?:sounds|seems|looks) (?:like|as if|to me)",
    "you (?:sound|seem|look|feel|must|might feel|may be feeling|are feeling)",
    "i (?:can )?(?:understand|see|hear|know) (?:that|how|why|you|what)",
    "it(?:'s| is) (?:okay|ok|all right|alright|normal|understandable|natural) (?:to|that|if)",
    "you(?:'re| are) (?:not alone|strong|right to|doing)|you did|good for you|proud of you",
    "here (?:for you|to (?:help|listen|support))|tell me more",
)
_ADVICE = _any_of(
    "you (?:should|could|need to|must(?! (?:be|feel|have))|have to|ought to|might want to|can try)",
    "try (?:to|not to|and|it|[a-z]+ing)|have you (?:tried|considered)|why don't you|how about|let's",
    "i (?:suggest|recommend|advise)|consider|make sure|be sure to|it's (?:important|best|better) to",
    "don't (?:worry|forget|be|let)|remember (?:to|that)",
)
_QUESTION = re.compile(r"[^.!?]*\byour?\b[^.!?]*\?", re.IGNORECASE)
_WORD = re.compile(r"[\w']+")


@dataclass(frozen=True)
class Verdict:
    """What a reply has."""

    emotion: bool
    support: bool
    advice: bool
    echo: bool

    def passes(self, *, reflect: bool) -> bool:
        return self.emotion and self.support and not (reflect and self.advice)


def family(label: str) -> str:
    """Ekman's emotion that a GoEmotions label belongs to."""
    return translate(label, "goemotions28", "ekman")


def check(reply: str, gold: str, text: str, note: str | None) -> Verdict:
    """Judge a reply to `text`, whose true emotion is `gold`; `note` is what went before the text in the prompt."""
    reply = reply.replace("\u2019", "'")
    words = [word.lower() for word in _WORD.findall(reply)]
    kind = family(gold)
    telling = {word.lower() for word in _WORD.findall(_SERVICE.sub(" ", reply))}
    named = bool(telling & {*FAMILIES[kind], *feeling_word(gold).split()})
    mirrored = kind != "surprise" and bool((_PLEASANT if kind == "joy" else _UNPLEASANT).search(reply))
    support = bool(_QUESTION.search(reply) or _SUPPORT.search(reply))
    echo = _shares(words, note or "", 6) or _shares(words, text, 10)
    return Verdict(named or mirrored, support, bool(_ADVICE.search(reply)), echo)


def _shares(words: Sequence[str], other: str, run: int) -> bool:
    theirs = [word.lower() for word in _WORD.findall(other.replace("\u2019", "'"))]
    runs = {tuple(theirs[i : i + run]) for i in range(len(theirs) - run + 1)}
    return any(tuple(words[i : i + run]) in runs for i in range(len(words) - run + 1))


def wilson(hits: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a rate (E. B. Wilson, 1927)."""
    if not of:
        return 0.0, 1.0
    rate, z2 = hits / of, z * z
    middle = (rate + z2 / (2 * of)) / (1 + z2 / of)
    half = z / (1 + z2 / of) * math.sqrt(rate * (1 - rate) / of + z2 / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def paired(better: Sequence[bool], worse: Sequence[bool], *, rounds: int = 10_000) -> tuple[float, float, float]:
    """Difference of two rates over the same rows, and its 95 % interval by bootstrap over the rows."""
    differences = [int(a) - int(b) for a, b in zip(better, worse, strict=True)]
    count, rng = len(differences), random.Random(0)
    means = sorted(sum(rng.choices(differences, k=count)) / count for _ in range(rounds))
    return sum(differences) / count, means[int(0.025 * rounds)], means[int(0.975 * rounds) - 1]


assert set(map(family, set(GOEMOTIONS) - {"neutral"})) <= set(FAMILIES)
