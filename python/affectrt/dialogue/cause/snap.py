"""What a language model answers, as a part of the text it was asked about."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from affectrt.dialogue.cause.quote import Quote, quote

MAX_WORDS = 100
"""Of an answer that is no exact quotation; what comes after is not looked at."""
MAX_CELLS = 400_000
"""Words of such an answer times words of the text that are compared; of a longer text the end is not looked at."""

_QUOTES = {'"': '"', "“": "”", "„": "“", "«": "»", "'": "'", "‘": "’", "`": "`", "「": "」"}
_LEAD = re.compile(
    r"^(?:sure[,.!:]? +)?(?:the |here is the )?(?:cause|span|answer|phrase|quote)\b[^\"“„«`「\n]{0,60}?(?::| is:?)\s+(?=\S)",
    re.IGNORECASE,
)
_NOTHING = re.compile(
    r"^(?:none|n/?a|null|nothing|unknown|empty|impossible|(?:there is )?no (?:clear |specific |explicit )?(?:cause|span|answer)\b.*"
    r"|not (?:mentioned|specified|stated|applicable)\b.*)$",
    re.IGNORECASE,
)
_ALL = re.compile(
    r"^(?:(?:it is |it's )?(?:the )?(?:entire|whole|full|complete) (?:utterance|text|sentence|comment|message|statement)"
    r"|all of it|everything)$",
    re.IGNORECASE,
)
# A letter of Chinese, Japanese or Thai is a word of its own: those are written without blanks.
_WORD = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")


def unquote(reply: str) -> str:
    """A reply without what models put round a quotation: blanks, "The cause is:", one pair of quotes and what follows it.

    "" if there is nothing in it, or it says that there is none.
    """
    text = _LEAD.sub("", reply.strip(), count=1)
    closing = _QUOTES.get(text[:1])
    if closing is not None:
        end = text.rfind(closing) if closing in "'’" else text.find(closing, 1)  # an apostrophe closes nothing
        if end > 0:
            text = text[1:end].strip()
    return "" if _NOTHING.match(text.rstrip(".! ")) else text


@dataclass(frozen=True, slots=True)
class Snapped:
    """Where an answer was found."""

    quote: Quote
    similarity: float
    """(0, 1]: twice the words that are alike over the words of both, where a little word counts a quarter; 1 if they differ in no word."""


def snap(reply: str, context: str, *, least: float = 0.6) -> Snapped | None:
    """The part of `context` that a model's reply means, word for word.

    First the reply as it stands, then whatever lines up best with it word by word: the local alignment of T. Smith and M. Waterman (1981)
    over words in small letters: 2 for a pair, 0.5 for a
    little word such as "the", -1 for each word left out or changed. "The entire utterance" is all of the text.

    Args:
        reply: As the model wrote it, with its quotes.
        context: The text that the model was shown.
        least: [0, 1]: a similarity below this is no match.

    Returns:
        None if the reply is empty, says that there is no cause, or is not in the text.

    Raises:
        TypeError: `reply` or `context` is no str.
        ValueError: `least` is out of range.
    """
    for name, given in (("reply", reply), ("context", context)):
        if not isinstance(given, str):
            raise TypeError(f"{name}: expected a str, got {type(given).__name__}")
    if not 0.0 <= least <= 1.0:
        raise ValueError(f"least: expected a number in [0, 1], got {least}")
    said = unquote(reply)
    if not said:
        return None
    whole = reply.strip()
    # The text itself may begin with "The cause is", but quotes round all of a reply are the model's own.
    for exact in (said, whole) if whole[0] in _QUOTES else (whole, said):
        if (at := context.find(exact)) >= 0:
            found = quote(context, at, at + len(exact))
            return None if found is None else Snapped(found, 1.0)
    if _ALL.match(said.rstrip(".! ")):
        found = quote(context, 0, len(context))
        return None if found is None else Snapped(found, 1.0)
    words = [_plain(word[0]) for word in _WORD.finditer(said)][:MAX_WORDS]
    places = [(_plain(word[0]), word.start(), word.end()) for word in _WORD.finditer(context)]
    places = places[: MAX_CELLS // max(1, len(words))]
    if not words or not places:
        return None
    text = [word for word, _, _ in places]
    first, last, shared = _align(words, text)
    similarity = 2 * shared / (sum(map(_weight, words)) + sum(map(_weight, text[first:last]))) if shared else 0.0
    found = quote(context, places[first][1], places[last - 1][2]) if shared and similarity >= least else None
    return None if found is None else Snapped(found, min(similarity, 1.0))


def _plain(word: str) -> str:
    return unicodedata.normalize("NFKC", word).casefold()


_LITTLE_WORDS = (
    "a an the and or but to of in on at by for with from as is are was were be been am do does did has have had it its this that these "
    "those i me my you your he him his she her we us our they them their so not no"
)
_LITTLE = frozenset(_LITTLE_WORDS.split())


def _weight(word: str) -> float:
    """ "The" alone is no likeness."""
    return 0.25 if word in _LITTLE else 1.0


def _align(words: list[str], text: list[str]) -> tuple[int, int, float]:
    """The best local alignment: first and last word of `text` (the latter excluded) and the weight of the pairs; of equals the first."""
    # A cell: score, start, weight. The largest wins, so of equal scores the later start, which makes the shorter part.
    nothing = (0.0, 0, 0.0)
    row = [nothing] * (len(text) + 1)
    best, end = nothing, 0
    for word in words:
        weight = _weight(word)
        diagonal, row[0] = nothing, nothing
        for j, other in enumerate(text, 1):
            score, start, shared = diagonal
            if score == 0:
                start = j - 1
            hit = (score + 2 * weight, start, shared + weight) if word == other else (score - 1, start, shared)
            up, left = row[j], row[j - 1]
            cell = max(hit, (up[0] - 1, up[1], up[2]), (left[0] - 1, left[1], left[2]))
            diagonal, row[j] = row[j], cell if cell[0] > 0 else nothing
            if cell[0] > best[0]:
                best, end = cell, j
    return best[1], end, best[2]
