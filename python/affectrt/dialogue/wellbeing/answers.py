"""A model's answer, read: yes, no, or neither, and the reason it gives.

Under the grammar an answer has one form. Without one (another engine, an old log) models write in many ways, and this reads those too; in
doubt it reads neither yes nor no.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from affectrt.dialogue.prompt import one_line

ABSTAINED = ("unsure", "unreadable", "contradictory", "crisis")
"""Why there is neither yes nor no: the model said that it is not sure, wrote no answer, gave two; or it was not asked, as the text has
words of a crisis."""

_LONGEST = 1000

_YES = r"(?P<yes>(?:yes|yeah|yep)\b)"
# "No doubt they are sad" is no no.
_NO = r"(?P<no>(?:no|nope)\b(?!\s+(?:doubt|question|wonder|one|matter|longer|idea|answer|way to|clue)\b))"
_HEDGE = (
    r"(?:unsure|unclear|uncertain|undecided|undetermined|unknown|abstain|maybe|perhaps|possibly|probably|likely"
    r"|not (?:sure|clear|certain|enough)|no (?:idea|answer|clue|way to)|(?:it )?depends"
    r"|(?:can't|cannot|can not|could not) (?:say|tell|know|be (?:said|told|determined))"
    r"|(?:do not|don't) know|(?:hard|difficult|impossible) to (?:say|tell|know))\b"
)
_OPENERS = r"(?:well|so|i think|i would say|i'm|i am|i|it is|it's)"
_UNSURE = rf"(?P<unsure>(?:{_OPENERS}\W+)?{_HEDGE}|n/a)"
_VERDICT = rf"(?:{_YES}|{_NO}|{_UNSURE})"
_AT_START = re.compile(rf"\W*(?:{_OPENERS}\W+)?{_VERDICT}", re.IGNORECASE)
_LABELLED = re.compile(rf"\banswer\W{{0,6}}(?:is\b|:)\W{{0,6}}{_VERDICT}", re.IGNORECASE)
_ANSWER_LABEL = re.compile(r"(?:\b(?:so|thus|hence|therefore),? )?(?:\b(?:the|my) )?\b(?:final )?answer\W{0,6}(?:is\b|:)", re.IGNORECASE)
_REASON_LABEL = re.compile(r"\b(?:reasoning|reasons?|explanation|rationale)\b\W{0,4}[:\u2013\u2014-]\W*", re.IGNORECASE)
# The prompt says "Yes. Reasoning: ..."; a model that writes the dots too has given no answer, whatever stands before them.
_ECHO = re.compile(r"\b(?:reasoning|answer): ?(?:\.{3}|\u2026) ?(?:[\"\u201d]|$)", re.IGNORECASE | re.MULTILINE)
_OTHER_TOO = re.compile(rf"\s*(?:/|,|\band\b|\bor\b|\bbut(?: also)?\b)\s*(?:{_YES}|{_NO})", re.IGNORECASE)
_CLAUSE_ENDS = re.compile(r"[.;\n]|\bbecause\b|\bsince\b|\bas\b|\b(?:reasoning|reason|explanation|rationale)\b", re.IGNORECASE)
_HEDGED = re.compile(rf"\b{_HEDGE}", re.IGNORECASE)
_WORD = re.compile(r"\w")
_STRAIGHT = str.maketrans({"\u2019": "'", "\u2018": "'"})


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer says."""

    answer: Literal["yes", "no"] | None
    """None where there is neither."""
    reasoning: str
    """On one line, at most 1,000 characters; "" if there is none."""
    abstained: str = ""
    """One of `ABSTAINED` where `answer` is None, else ""."""


def parse(text: str) -> Reading:
    """Read an answer, of the grammar's form or free.

    Raises:
        TypeError: `text` is no str.
    """
    if not isinstance(text, str):
        raise TypeError(f"text: expected a str, got {type(text).__name__}")
    plain = text.translate(_STRAIGHT)
    found = [match for match in (_AT_START.match(plain), *_LABELLED.finditer(plain)) if match is not None]
    verdicts = {_verdict(match, plain) for match in found}
    reasoning = _reasoning(plain, found)
    if not verdicts or _ECHO.search(plain):
        return Reading(None, reasoning, "unreadable")
    if "contradictory" in verdicts or {"yes", "no"} <= verdicts:
        return Reading(None, reasoning, "contradictory")
    if "unsure" in verdicts:
        return Reading(None, reasoning, "unsure")
    return Reading("yes" if "yes" in verdicts else "no", reasoning)


def _verdict(match: re.Match[str], text: str) -> str:
    if match["unsure"] is not None:
        return "unsure"
    rest = text[match.end() :]
    other = _OTHER_TOO.match(rest)
    if other is not None and (other["yes"] is None) != (match["yes"] is None):
        return "contradictory"
    end = _CLAUSE_ENDS.search(rest)
    if _HEDGED.search(rest[: end.start()] if end else rest):
        return "unsure"
    return "yes" if match["yes"] is not None else "no"


def _reasoning(text: str, found: list[re.Match[str]]) -> str:
    label, answer = _REASON_LABEL.search(text), _ANSWER_LABEL.search(text)
    first = found[0] if found else None
    if label is not None:
        reason = text[label.end() :]
        if (after := _ANSWER_LABEL.search(reason)) is not None:
            reason = reason[: after.start()]
    elif first is not None and first["unsure"] is None and first.re is _AT_START:
        reason = text[first.end() :]
    elif first is not None and answer is not None:
        before = text[: answer.start()]
        reason = before if _WORD.search(before) else text[first.end() :]
    else:
        reason = text
    reason = one_line(reason, _LONGEST).lstrip(" .,:;!?*_#-\u2013\u2014").rstrip(" *_#")
    if len(reason) > 1 and reason[0] == reason[-1] and reason[0] in "\"'`":
        reason = reason[1:-1]
    return reason if _WORD.search(reason) else ""
