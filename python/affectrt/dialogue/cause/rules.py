"""Causes of a feeling by clauses, without a model: a baseline.

It finds causes that are marked as such: after "because", "due to", "thanks to" and their like, after the word for a feeling ("angry that
...", "so happy about ..."), before "makes me sad", between "when" and a comma. In talk among developers also what fails, breaks or does
not work. English only. A cause that is only told ("My dog died. I can't stop crying.") it does not find; docs/strategy.md has what that
means in numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from affectrt.dialogue.cause.quote import Quote, quote
from affectrt.labels import ALIASES, TAXONOMIES

__all__ = ["Cause", "find_causes"]

MAX_CHARACTERS = 4_000
"""Of a text; the rest is not looked at."""


@dataclass(frozen=True, slots=True)
class Cause:
    """A clause that is marked as the cause of a feeling."""

    quote: Quote
    marker: str
    """The words that mark it, as they stand in the text."""
    rule: str
    """"because", "feeling", "makes", "when" or "fails"; rules are tried in this order."""


_MORE_FEELINGS = (
    "upset frustrated glad happy worried mad ticked stressed overwhelmed thrilled delighted pleased heartbroken devastated hurt irritated "
    "furious sorry stoked psyched fed pumped shocked stunned unhappy miserable bummed impressed sick"
)
# "Calm" needs no cause; the others are verbs or things more often than feelings that are told of.
_NO_FEELINGS = "neutral neutrality calm care caring desire trust love pride hope rage worry"


def _feelings() -> str:
    words = {word for group in ALIASES for word in group} | set(_MORE_FEELINGS.split())
    for name in ("goemotions28", "empatheticdialogues32", "cped13"):
        words |= {label for label in TAXONOMIES[name].labels if label.isalpha()}
    return "|".join(sorted(words - set(_NO_FEELINGS.split()), key=lambda word: (-len(word), word)))


# They read text whose blanks are single: a pattern that may cut a run of them in many ways takes minutes over a page of blanks.
# A clause ends with a sentence, a bracket, or before a new thought.
_CLAUSE = (
    r"(?P<cause>[^.!?;:()\n]+?)(?=\s?(?:[.!?;:()\n]|$|,\s?(?:and|but|so|which|though|although|yet|i|we)\b"
    r"|\s(?:but|although|though)\b))"
)
_BECAUSE = r"because of|because|'cause|cuz|due to|thanks to|owing to|on account of|the reason is(?: that)?"
_ABOUT = r"that|about|at|with|by|of|over|for|since|to(?= (?:hear|see|find|learn|know|have)\b)|when|how"
_STIRS = (
    "makes?|made|is making|drives?|drove|got|gets|has|leaves?|left|frustrates|frustrated|upsets?|annoys|annoyed|scares|scared|bothers"
    "|bothered|worries|worried|disappointed|surprised|thrilled|delighted"
)
_FAILS = (
    r"fails?|failed|keeps? \w+ing|breaks?|broke|broken|crash(?:es|ed)?|hangs?|freezes|stopped working|no longer works?"
    r"|(?:does|do|did|is|are)(?:n't| not) (?:work|working|compile|build|start|respond|supported|documented)"
)
_RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in (
        ("because", rf"(?<!\w)(?P<marker>{_BECAUSE})\s{_CLAUSE}"),
        ("feeling", rf"\b(?P<marker>(?:{_feelings()})(?: (?:up|off|out))?\s(?:{_ABOUT}))\s{_CLAUSE}"),
        (
            "makes",
            r"(?:^|(?<=[.!?;:\n])|\b(?:and|but|so)\s)\s?(?P<cause>[^.!?;:()\n,]+?)\s"
            rf"(?P<marker>(?:really |just |always )?(?:{_STIRS})\s(?:me|us|my (?:day|week)))\b",
        ),
        ("when", r"\b(?P<marker>when|whenever|every time|each time|now that|ever since|after)\s(?P<cause>[^.!?;:()\n,]+)"),
        ("fails", rf"(?:^|(?<=[.!?;:\n,]))\s?(?P<cause>[^.!?;:()\n,]*?\b(?P<marker>{_FAILS})\b[^.!?;:()\n,]*)"),
    )
)
_HEADS = re.compile(r"^(?:that|the fact that)\s", re.IGNORECASE)
_SAYS_NOTHING = frozenset({"it", "this", "that", "which", "what", "it all", "all this", "all that"})


def find_causes(text: str, *, rules: Iterable[str] = ("because", "feeling", "makes", "when", "fails")) -> tuple[Cause, ...]:
    """The marked causes in a text.

    Args:
        text: One turn, or more; the curly apostrophe counts as the straight one.
        rules: Which rules are tried.

    Returns:
        In the order of the rules, then of the text; a later one that overlaps an earlier is left out. Each quote is a part of `text`, word
        for word. Empty if nothing is marked, which says nothing about whether there is a cause.

    Raises:
        TypeError: `text` is no str.
        ValueError: There is no such rule.
    """
    if not isinstance(text, str):
        raise TypeError(f"text: expected a str, got {type(text).__name__}")
    wanted = set(rules)
    if unknown := wanted - {name for name, _ in _RULES}:
        raise ValueError(f"rules: expected some of {', '.join(name for name, _ in _RULES)}, got {', '.join(sorted(unknown))}")
    read, places = _single_blanks(text[:MAX_CHARACTERS].replace("’", "'"))
    found: list[Cause] = []
    for name, pattern in _RULES:
        if name not in wanted:
            continue
        for match in pattern.finditer(read):
            start, end = match.span("cause")
            if head := _HEADS.match(read[start:end]):
                start += head.end()
            part = quote(text, places[start], places[end])
            if part is None or part.text.lower() in _SAYS_NOTHING or not any(letter.isalnum() for letter in part.text):
                continue
            if any(part.start < one.quote.end and one.quote.start < part.end for one in found):
                continue
            marker = text[places[match.start("marker")] : places[match.end("marker")]]
            found.append(Cause(part, marker.rstrip(), name))
    return tuple(found)


def _single_blanks(text: str) -> tuple[str, list[int]]:
    """The text with each run of blanks as one (a line break if it holds one), and the place in `text` of each character, and of the end."""
    pieces: list[str] = []
    places: list[int] = []
    for match in re.finditer(r"\s+|\S", text):
        run = match[0]
        pieces.append(run if not run.isspace() else "\n" if "\n" in run else " ")
        places.append(match.start())
    return "".join(pieces), [*places, len(text)]
