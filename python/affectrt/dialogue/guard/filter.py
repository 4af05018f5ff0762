"""An answer on its way to the person, looked at sentence by sentence while it comes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from affectrt.dialogue.guard.claims import Claim, claims_of, flat
from affectrt.dialogue.guard.sentences import MAX_SENTENCE, end_of_first
from affectrt.policy import ON_CLAIM

Rewrite = Callable[[str, tuple[Claim, ...]], str]

INSTEAD: Mapping[str, str] = MappingProxyType(
    {
        "feeling": "I am a machine, so I do not feel this myself.",
        "love": "I am a machine, so I cannot love.",
        "consciousness": "I am a machine, and I am not conscious.",
        "human": "I am a machine, not a person.",
    }
)
"""What is said in place of a claim, once for each category in an answer."""

# No claim is whole without a word of the first person, and none goes on from the beginnings in _HARMLESS without another one.
_HARMLESS = (
    r"(?:i (?:understand|hear|see|hope|know|believe|wonder|notice|imagine|would|should|might|remember|think (?:that|you|it|this|your|the)"
    r"|want to (?:help|hear|know|understand))|i'd"
    r"|(?:i'm|i am)(?: so| very| really| truly)? (?:sorry|glad|here|listening|sure|curious|happy to|pleased to|not sure))(?=[\s.,!?;:])"
)
# The last two lines are only for looks: "You mean the world to." is a poor end of an answer.
_OPENING = re.compile(
    rf"\b(?!{_HARMLESS})(?:i|i'\w*|me|my|mine|myself|we|we'\w*|us"
    r"|you (?:really |always |just )?(?:mean|make|made)|the love of|be mine|as a"
    r"|(?:that|it|this) (?:really |always |just )?(?:makes?|made|hurts?|fills?|warms?|breaks?|gives?))\b"
)
# Words that join a clause to the one before, or may be the first of an opening: held until the next word has come.
_JOINING = "and but so because that since while though yet or be as when you the love really just always it this"
_GLUE = frozenset(_JOINING.split())
_JOINTS = " \t\n\r,;:-\u2013\u2014\u00a0"


class ClaimFilter:
    """Feed it pieces; out comes what may be shown, in all the same whatever way the text is cut into pieces.

    "report" lets everything through at once and notes the claims. "rewrite" puts other words in a claim's place, "stop" ends the answer
    before it. To do so they hold a sentence back from the first word without which there is no claim ("I", "me", "my") until it ends; the
    words before go out as they come, a word late. With a rewriter of your own, which is given whole sentences, every sentence waits for
    its end.
    """

    def __init__(self, action: str, rewrite: Rewrite | None = None) -> None:
        """Begin an answer.

        Args:
            action: One of `affectrt.policy.ON_CLAIM`.
            rewrite: Given a sentence and its claims, returns what to say instead ("": nothing). None takes `INSTEAD`.

        Raises:
            ValueError: Another action.
        """
        if action not in ON_CLAIM:
            raise ValueError(f"action: expected one of {', '.join(ON_CLAIM)}, got {action!r}")
        self.action = action
        self._rewrite = rewrite
        self._sentence = ""  # what has come of the sentence under way
        self._shown = 0  # how much of it is out
        self._before = 0  # characters of earlier sentences
        self._said: set[str] = set()
        self._claims: list[Claim] = []
        self.stopped = False
        """True once a claim has ended the answer; nothing comes out after it."""

    @property
    def claims(self) -> tuple[Claim, ...]:
        """What was found so far, in sentences that have ended. Offsets count in the text that was fed."""
        return tuple(self._claims)

    def feed(self, piece: str) -> str:
        """Add a piece; returns what may be shown now (often as much, sometimes "")."""
        if self.stopped:
            return ""
        self._sentence += piece
        out = []
        while not self.stopped and (end := end_of_first(self._sentence[: MAX_SENTENCE + 1])) is not None:
            out.append(self._finish(end))
        if not self.stopped:
            free = self._free(self._sentence)
            if free > self._shown:
                out.append(self._sentence[self._shown : free])
                self._shown = free
        return "".join(out)

    def close(self) -> str:
        """The end of the text: what was held back."""
        return "" if self.stopped or not self._sentence else self._finish(len(self._sentence))

    def _free(self, sentence: str) -> int:
        """How much of a sentence under way may be shown: never less than of its beginning."""
        if self.action == "report":
            return len(sentence)
        if self._rewrite is not None:
            return 0
        low = flat(sentence)
        opening = _OPENING.search(low)
        return _without_tail(low[: opening.start()] if opening else low)

    def _finish(self, end: int) -> str:
        """One sentence has ended: what of it is still to be shown."""
        sentence, self._sentence = self._sentence[:end], self._sentence[end:]
        shown, self._shown = self._shown, max(0, self._shown - end)  # a cut may lie before what is out
        start, self._before = self._before, self._before + end
        claims = claims_of(sentence)
        self._claims += [Claim(c.category, c.rule, c.start + start, c.end + start, c.sentence) for c in claims]
        if not claims or self.action == "report":
            return sentence[shown:]
        free = self._free(sentence)  # more than was shown, if the sentence came in one piece
        kept = sentence[:free]
        full_stop = "." if kept.strip() and kept[-1] not in ".!?\u2026" else ""
        if self.action == "stop":
            self.stopped = True
            return kept[shown:] + full_stop
        words = self._instead(sentence, tuple(claims))
        blank = " " if kept.strip() else sentence[: len(sentence) - len(sentence.lstrip())]
        return kept[shown:] + full_stop + (blank + words if words else "") + ("\n" if sentence.endswith("\n") else "")

    def _instead(self, sentence: str, claims: tuple[Claim, ...]) -> str:
        if self._rewrite is None:
            words = " ".join(INSTEAD[c.category] for c in claims if c.category not in self._said)
            self._said |= {c.category for c in claims}
            return words
        own = self._rewrite(sentence.strip(), claims)
        if not isinstance(own, str):
            raise TypeError(f"rewrite: expected it to return a str, got {type(own).__name__}")
        return own


def _without_tail(low: str) -> int:
    """Length of `low` without its last word, which may not be whole yet, and the blanks, joints and glue words before that."""
    end = len(low)
    while end and (low[end - 1].isalnum() or low[end - 1] in "'_"):
        end -= 1
    while True:
        stem = low[:end].rstrip(_JOINTS)
        word = stem[len(stem.rstrip("abcdefghijklmnopqrstuvwxyz'")) :]
        if word not in _GLUE:
            return len(stem)
        end = len(stem) - len(word)
