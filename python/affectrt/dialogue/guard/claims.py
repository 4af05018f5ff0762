"""Sentences in which a machine says that it feels, loves, is conscious or is human.

A rule table for English, written by us. It looks for statements in the first person, and lets pass: set phrases of politeness ("I'm
sorry to hear that", "happy to help"), opinions ("I feel that ..."), denials, conditions ("if I were human"), what others are said to
think or say, and what stands in quotes. It reads single sentences, no contexts: docs/policy.md has its precision and recall.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from affectrt.dialogue.guard.claim_rules import NOT_MINE, NOT_MINE_EITHER, RULES, TAKEN_FOR_GRANTED
from affectrt.dialogue.guard.sentences import sentences

CATEGORIES = tuple(RULES)


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim in a text."""

    category: str
    """One of `CATEGORIES`."""
    rule: str
    """The name of the rule that found it."""
    start: int
    """Where it stands in the text: characters from the beginning."""
    end: int
    sentence: str
    """The whole sentence."""


_TAKEN_BACK, _GRANTED_TAKEN_BACK = re.compile(NOT_MINE), re.compile(NOT_MINE_EITHER)
_RULES = tuple(
    (category, name, re.compile(pattern), _GRANTED_TAKEN_BACK if name in TAKEN_FOR_GRANTED else _TAKEN_BACK)
    for category, rules in RULES.items()
    for name, pattern in rules.items()
)
_CLAUSE = re.compile(r"[,;:\u2013\u2014]| but | and yet ")
_QUOTED = re.compile(r'"[^"]*(?:"|$)')
_STRAIGHT = str.maketrans(
    {"\u2019": "'", "\u2018": "'", "\u02bc": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u00a0": " ", "\t": " "}
)


def find_claims(text: str) -> tuple[Claim, ...]:
    """The claims in a text, in order, one at most of each category in a sentence.

    Raises:
        TypeError: `text` is not a str.
    """
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, got {type(text).__name__}")
    found = []
    for start, end in sentences(text):
        found += [Claim(c.category, c.rule, c.start + start, c.end + start, c.sentence) for c in claims_of(text[start:end])]
    return tuple(found)


def claims_of(sentence: str) -> list[Claim]:
    """The claims of one sentence; offsets count from its beginning."""
    plain = _plain(sentence)
    found: dict[str, Claim] = {}
    for category, rule, pattern, taken_back in _RULES:
        if category in found:
            continue
        for match in pattern.finditer(plain):
            if not taken_back.search(_before(plain, match.start())):
                found[category] = Claim(category, rule, match.start(), match.end(), sentence.strip())
                break
    return sorted(found.values(), key=lambda claim: claim.start)


def flat(text: str) -> str:
    """Small letters and straight marks; as long as the text, so that offsets hold."""
    return "".join(c.lower() if len(c.lower()) == 1 else c for c in text).translate(_STRAIGHT)


def _plain(sentence: str) -> str:
    """`flat`, with quotes blanked out."""
    low = flat(sentence)
    first = len(low) - len(low.lstrip())

    def blank(match: re.Match[str]) -> str:
        # A sentence that is a quote as a whole is how some models put their own words.
        return match[0] if match.start() == first else " " * len(match[0])

    return _QUOTED.sub(blank, low).replace('"', " ")


def _before(plain: str, at: int) -> str:
    start = 0
    for clause in _CLAUSE.finditer(plain, 0, at):
        if plain[clause.end() : at].strip():  # a mark just before the claim ends no clause: "say: I ..."
            start = clause.end()
    return plain[start:at]
