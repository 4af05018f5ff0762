"""Which emoji this person would choose now: from what is said, what they use, and how it feels.

The setting is that of U-Sticker (arXiv 2502.19108): users, messages, and the sticker that followed. The score is a plain sum,

    text * likeness + use * share of their recent use + emotion * nearness in valence, arousal and dominance

and only what was used before the time asked for counts.
"""

from __future__ import annotations

import math
import re
import zlib
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectrt.affect import checks
from affectrt.expression.symbols import SYMBOLS, Symbol
from affectrt.labels import Affect
from affectrt.policy import Policy, check_policy

__all__ = ["Recommender", "Suggestion", "Usage", "Weights"]

BUCKETS = 1 << 16
MOST_PER_USER = 2_000
"""Uses that are remembered of a user; the oldest go first."""
MAX_TEXT = 4_000
"""Characters of a text that are looked at."""
NEAR = 0.5
"""How far apart two places are still alike: nearness is exp(-(distance / NEAR) ** 2 / 2)."""
FORMAT, VERSION = "affectrt.recommender", 1


@dataclass(frozen=True, slots=True)
class Weights:
    """What each part of the score counts.

    Raises:
        ValueError: One is negative or not finite, or all are 0.
    """

    text: float = 1.0
    use: float = 1.0
    emotion: float = 1.0

    def __post_init__(self) -> None:
        values = (self.text, self.use, self.emotion)
        if not all(math.isfinite(value) and value >= 0 for value in values) or not any(values):
            raise ValueError(f"expected finite weights of at least 0, not all 0, got {values}")


@dataclass(frozen=True, slots=True)
class Usage:
    """Someone chose a symbol."""

    user: str
    symbol: str
    """Its `Symbol.text`."""
    stamp_ns: int
    """When. Use a clock that goes on over restarts, such as `time.time_ns()`."""
    text: str = ""
    """What it went with: the message it answered, or that it stood in."""
    affect: Affect | None = None
    """How that felt, if known."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One symbol, and what speaks for it."""

    symbol: Symbol
    score: float
    text: float
    """[0, 1]: likeness of the words to the symbol's own, or to those that it was used with."""
    use: float
    """[0, 1]: its share of what the user used, each use halved for every half-life since."""
    emotion: float
    """[0, 1]; 0 if either place is not known."""


@dataclass(frozen=True, slots=True, order=True)
class _Used:
    stamp_ns: int
    symbol: int
    words: tuple[tuple[int, int], ...]
    """Hashed words and how often, in rising order."""


class Recommender:
    """Learns from each use at once. It keeps no text: of each word only 16 bits of a hash. Not for several threads at once."""

    def __init__(
        self,
        symbols: Sequence[Symbol] = SYMBOLS,
        *,
        weights: Weights | None = None,
        half_life_s: float = 14 * 86_400.0,
        policy: Policy | None = None,
    ) -> None:
        """Begin without any history.

        Args:
            symbols: What may be suggested; no text twice.
            weights: None takes 1 for each.
            half_life_s: After this many seconds a use counts half.
            policy: `learn` needs the user's consent for "memory", and without it their history is not looked at; None asks nobody.

        Raises:
            ValueError: No symbols, one twice, or a half-life that is not positive and finite.
        """
        self._policy = check_policy(policy)
        self.symbols = tuple(symbols)
        self._place = {symbol.text: i for i, symbol in enumerate(self.symbols)}
        if not self.symbols or len(self._place) != len(self.symbols):
            raise ValueError(f"symbols: expected at least one, and each once, got {len(self.symbols)} of which {len(self._place)} differ")
        if not (math.isfinite(half_life_s) and half_life_s > 0):
            raise ValueError(f"half_life_s: expected a finite number above 0, got {half_life_s}")
        self.weights = weights if weights is not None else Weights()
        self._half_life_ns = half_life_s * 1e9
        self._own = [_hashed(symbol.words) for symbol in self.symbols]
        places = [(s.affect.valence, s.affect.arousal, s.affect.dominance) if s.affect else (math.nan,) * 3 for s in self.symbols]
        self._affects = np.array(places, np.float64)
        self._history: dict[str, list[_Used]] = {}

    def learn(self, usage: Usage) -> None:
        """Remember a use; it may come late, and in any order.

        Raises:
            TypeError, ValueError: The user is no name, the symbol is not one of `symbols`, or the stamp is no time.
            ConsentError: By the policy.
        """
        user = checks.text(usage.user, "user")
        if self._policy is not None:
            self._policy.require("memory", partner=user)
        stamp = checks.stamp(usage.stamp_ns)
        if usage.symbol not in self._place:
            raise ValueError(f"symbol: expected one of {len(self.symbols)} symbols, got {usage.symbol!r}")
        history = self._history.setdefault(user, [])
        insort(history, _Used(stamp, self._place[usage.symbol], _hashed(usage.text)))
        del history[:-MOST_PER_USER]

    def recommend(
        self, user: str, text: str = "", *, stamp_ns: int, affect: Affect | None = None, k: int | None = 3
    ) -> tuple[Suggestion, ...]:
        """The best symbols for this user at this time, best first; of equals the first in `symbols`.

        Args:
            user: Of whom nothing is known, the words and the feeling decide alone.
            text: What is being said.
            stamp_ns: Only uses before this time count, whatever else was learnt.
            affect: How it feels; None leaves that part at 0.
            k: How many; None ranks them all.

        Raises:
            TypeError, ValueError: An argument is not so.
        """
        if k is not None and k < 1:
            raise ValueError(f"k: expected at least 1 or None, got {k}")
        stamp = checks.stamp(stamp_ns)
        user = checks.text(user, "user")
        known = self._policy is None or self._policy.allows("memory", partner=user)
        before = [one for one in self._history.get(user, ()) if one.stamp_ns < stamp] if known else []
        likeness, share = self._from_words(_hashed(text), before), self._from_use(before, stamp)
        nearness = np.zeros(len(self.symbols))
        if affect is not None:
            apart = self._affects - (affect.valence, affect.arousal, affect.dominance)
            nearness = np.nan_to_num(np.exp(-(apart**2).sum(axis=1) / (2 * NEAR**2)))
        scores = self.weights.text * likeness + self.weights.use * share + self.weights.emotion * nearness
        order = np.argsort(-scores, kind="stable")[:k].tolist()
        return tuple(Suggestion(self.symbols[i], float(scores[i]), float(likeness[i]), float(share[i]), float(nearness[i])) for i in order)

    def _from_words(self, words: tuple[tuple[int, int], ...], before: Sequence[_Used]) -> NDArray[np.float64]:
        asked = dict(words)
        likeness = [_cosine(asked, own) for own in self._own]
        for one in before:
            # Of the texts it went with, the likest one counts: a symbol is used in more than one way.
            likeness[one.symbol] = max(likeness[one.symbol], _cosine(asked, one.words))
        return np.array(likeness)

    def _from_use(self, before: Sequence[_Used], stamp_ns: int) -> NDArray[np.float64]:
        share = np.zeros(len(self.symbols))
        if before:
            # Against the newest use, so that after years away the powers are not all 0.
            newest = before[-1].stamp_ns
            weights = np.array([0.5 ** ((newest - one.stamp_ns) / self._half_life_ns) for one in before])
            np.add.at(share, [one.symbol for one in before], weights / weights.sum())
        return share

    def forget(self, user: str) -> None:
        """Erase all that was learnt of a user; no error if that is nothing."""
        self._history.pop(user, None)

    @property
    def users(self) -> tuple[str, ...]:
        """Of whom something was learnt."""
        return tuple(sorted(self._history))

    def to_json(self) -> str:
        """All that was learnt, without the symbols and the settings. The same state gives the same text."""
        symbols = [symbol.text for symbol in self.symbols]
        history = {
            user: [[one.stamp_ns, symbols[one.symbol], [list(pair) for pair in one.words]] for one in self._history[user]]
            for user in self.users
        }
        return checks.canonical({"format": FORMAT, "version": VERSION, "buckets": BUCKETS, "history": history})

    def load_json(self, document: str) -> None:
        """Instead of what was learnt, that of `to_json`. Uses of symbols that are no longer there are left out.

        Raises:
            ValueError: It is something else, or of another version; then nothing has changed.
        """
        value = checks.parse(document, "recommender")
        checks.header(value, "recommender", FORMAT, VERSION)
        value = checks.keys(value, "recommender", ("format", "version", "buckets", "history"))
        if value["buckets"] != BUCKETS or not isinstance(value["history"], dict):
            raise ValueError(f"recommender: expected {BUCKETS} buckets and an object as history, got {value['buckets']!r}")
        history: dict[str, list[_Used]] = {}
        for user, rows in value["history"].items():
            if not isinstance(rows, list):
                raise ValueError(f"recommender: expected a list of uses, got {type(rows).__name__}")
            uses = sorted(used for row in rows if (used := self._read(row)) is not None)
            history[checks.text(user, "user")] = uses[-MOST_PER_USER:]
        self._history = {user: uses for user, uses in history.items() if uses}

    def _read(self, row: Any) -> _Used | None:
        try:
            stamp, symbol, words = row
            pairs = tuple(sorted((int(bucket), int(count)) for bucket, count in words))
            if [list(pair) for pair in pairs] != words or any(
                not 0 <= bucket < BUCKETS or not 1 <= count <= MAX_TEXT for bucket, count in pairs
            ):
                raise ValueError("words out of range")
            place = self._place.get(symbol)
            return None if place is None else _Used(checks.stamp(stamp), place, pairs)
        except (TypeError, ValueError) as error:
            raise ValueError(f"recommender: expected [stamp_ns, symbol, [[bucket, count], ...]], got {str(row)[:100]} ({error})") from None


_WORD = re.compile(r"[^\W_]+")


def _hashed(text: str) -> tuple[tuple[int, int], ...]:
    if not isinstance(text, str):
        raise TypeError(f"text: expected a str, got {type(text).__name__}")
    counts: dict[int, int] = {}
    for word in _WORD.findall(text[:MAX_TEXT].lower()):
        bucket = zlib.crc32(word.encode("utf-8", "replace")) % BUCKETS
        counts[bucket] = counts.get(bucket, 0) + 1
    return tuple(sorted(counts.items()))


def _cosine(asked: dict[int, int], words: tuple[tuple[int, int], ...]) -> float:
    """Of two bags of words; 0 if one is empty."""
    shared = sum(asked.get(bucket, 0) * count for bucket, count in words)
    if not shared:
        return 0.0
    lengths = sum(count * count for count in asked.values()) * sum(count * count for _, count in words)
    return min(shared / math.sqrt(lengths), 1.0)
