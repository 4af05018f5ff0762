"""What comes to mind when someone speaks, how it is put to the model, and what is kept of the present."""

from __future__ import annotations

import datetime
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from affectrt.affect import Fusion
from affectrt.companion.mood import Mood, emotion_vector
from affectrt.dialogue.prompt import MemoryLayer, MemoryLine
from affectrt.memory import COMBINATIONS, EMOTIONS, Hit, Memory, MemoryStore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from affectrt.affect import AffectState

STATE, STATE_VERSION = "affect", 1
_STRONG_MOOD = 0.4
"""Of the mass of the state's labels, that which is a feeling; with less a mood alone brings nothing up."""
_CLEAR = 0.5
"""Part of a memory's emotion that one feeling must have to be told."""
_MOOD_PAUSE_NS = 3_600_000_000_000
"""From one memory that a mood alone brought up to the next: a low mood is not to be fed with one sorrow after the other."""
_CANDIDATES = 20
# fmt: off
_POLITE = frozenset((
    "again", "bye", "day", "evening", "good", "goodbye", "hello", "hey", "hi", "morning", "much", "night", "no",
    "oh", "ok", "okay", "please", "so", "thank", "thanks", "very", "yes", "you",
))
# fmt: on
"""Words of greetings and thanks: who says only these tells nothing of themselves, however grateful they sound."""
_SPARE = 20
"""Looked for beyond `k`, in the place of small talk, and of questions that are asked again and again: they lie nearest to themselves."""


@dataclass(frozen=True, slots=True)
class RecallSettings:
    """What comes to mind: what is near by meaning alone, and what is near by meaning and mood together, taken in turns.

    Where there is neither, a strong mood brings up one thing that was felt alike, whatever it was about; once an hour at most.

    Better nothing than something beside the point: what lies beyond the limits is not mentioned. The limits are for the default encoder
    and were set on sentences of our own. ValueError for what cannot be.
    """

    k: int = 2
    """The most memories an answer may draw on; 0: none."""
    semantic_limit: float = 0.85
    """Euclidean distance of what is near by meaning."""
    combination: str = "C-A"
    """How meaning and mood are weighed together: see `MemoryStore.recall`."""
    limit: float = 1.0
    """Distance, by that combination, of what is near by both."""
    mood_limit: float = 0.2
    """Cosine distance below which two moods are alike; 0: nothing comes up by mood alone."""

    def __post_init__(self) -> None:
        if isinstance(self.k, bool) or not isinstance(self.k, int) or not 0 <= self.k <= 16:
            raise ValueError(f"k: expected an int in [0, 16], got {self.k!r}")
        if self.combination not in COMBINATIONS:
            raise ValueError(f"combination: expected one of {', '.join(COMBINATIONS)}, got {self.combination!r}")
        for name in ("semantic_limit", "limit", "mood_limit"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}: expected a distance of 0 or more, got {getattr(self, name)!r}")


@dataclass(frozen=True, slots=True)
class Recollection:
    """What came to mind for one thing said, and what it takes to keep that."""

    hits: tuple[Hit, ...]
    layer: MemoryLayer
    semantic: NDArray[np.float32]
    by_mood: bool = False
    """Whether the hits came up by mood alone."""


class Remembrance:
    """One partner's part of a store, as Companion uses it."""

    def __init__(self, store: MemoryStore, partner: str, settings: RecallSettings) -> None:
        """Nothing is read yet."""
        self.store, self.partner, self.settings = store, partner, settings
        self._by_mood_ns: int | None = None

    @property
    def allowed(self) -> bool:
        """Whether the store's policy lets anything of the partner be kept and recalled now; without a policy always."""
        return self.store.policy is None or self.store.policy.allows("memory", partner=self.partner)

    def mood(self) -> Mood:
        """The partner's state as it was saved, faded by the time since; a new one if there is none."""
        saved = self.store.load_state(STATE, partner=self.partner) if self.allowed else None
        if saved is None or saved.version != STATE_VERSION:
            return Mood(self.store.now_ns)
        try:
            Fusion.from_json(saved.value)
        except ValueError as error:  # a robot that cannot start for it would be worse off
            warnings.warn(f"{self.store.path}: the state kept of {self.partner!r} is left out: {error}", stacklevel=2)
            return Mood(self.store.now_ns)
        return Mood(self.store.now_ns, (saved.value, saved.stamp_ns))

    def recall(self, text: str, state: AffectState, before_ns: int | None) -> Recollection:
        """What is near to these words, said in this state, and older than that (what is newer the model still sees)."""
        semantic, emotion, settings = self.store.embed([text])[0], emotion_vector(state), self.settings
        found: list[Hit] = []
        if settings.k > 0 and semantic.any():
            found += self._near(semantic, None, "semantic", settings.semantic_limit, before_ns)
        if settings.k > 0 and emotion is not None:
            of_mood = self._near(semantic, emotion, settings.combination, settings.limit, before_ns)
            found = [hit for pair in zip_longest(found, of_mood) for hit in pair if hit is not None]
        unique: dict[str, Hit] = {}
        for hit in found:
            unique.setdefault(hit.memory.text, hit)
        hits = tuple(unique.values())[: settings.k]
        of_mood_alone = self._of_mood(semantic, emotion, before_ns) if not hits and settings.k > 0 and emotion is not None else ()
        hits += of_mood_alone
        return Recollection(hits, self._layer([hit.memory for hit in hits]), semantic, bool(of_mood_alone))

    def _of_mood(self, semantic: NDArray[np.float32], emotion: NDArray[np.float32], before_ns: int | None) -> tuple[Hit, ...]:
        """Of what was felt alike, that which is nearest to the words; one, or none."""
        if float(emotion.sum()) < _STRONG_MOOD:
            return ()
        if self._by_mood_ns is not None and 0 <= self.store.now_ns() - self._by_mood_ns < _MOOD_PAUSE_NS:
            return ()
        found = self.store.recall(
            semantic, partner=self.partner, emotion=emotion, combination="S-S", k=_CANDIDATES, candidates=_CANDIDATES, before_ns=before_ns
        )
        alike = (hit for hit in found.hits if hit.emotional_distance < self.settings.mood_limit)
        return tuple(hit for hit in alike if not _small_talk(hit.memory))[:1]

    def _near(
        self, semantic: NDArray[np.float32], emotion: NDArray[np.float32] | None, combination: str, limit: float, before_ns: int | None
    ) -> list[Hit]:
        found = self.store.recall(
            semantic, partner=self.partner, emotion=emotion, combination=combination, k=self.settings.k + _SPARE, before_ns=before_ns
        )
        if found.combination != combination:
            return []
        return [hit for hit in found.hits if hit.distance <= limit and not _small_talk(hit.memory)]

    def keep(self, text: str, heard: Recollection, emotion: NDArray[np.float32] | None) -> None:
        """Remember what was said, what was felt at it, and that what it brought up was recalled. On the disk when this returns."""
        self.store.add(text, partner=self.partner, semantic=heard.semantic, emotion=emotion)
        if heard.hits:
            self.store.strengthen([hit.memory.id for hit in heard.hits])
        if heard.by_mood:
            self._by_mood_ns = self.store.now_ns()

    def keep_state(self, saved: tuple[str, int] | None) -> None:
        """Remember the state, by `Mood.saved`."""
        if saved is not None and self.allowed:
            self.store.save_state(STATE, saved[0], saved[1], partner=self.partner, version=STATE_VERSION)

    def _layer(self, memories: Sequence[Memory]) -> MemoryLayer:
        today = datetime.date.fromisoformat(self.store.day_of(self.store.now_ns()))
        return MemoryLayer(tuple(self._line(memory, today) for memory in sorted(memories, key=lambda memory: memory.stamp_ns)))

    def _line(self, memory: Memory, today: datetime.date) -> MemoryLine:
        when = _when(today, datetime.date.fromisoformat(memory.day or self.store.day_of(memory.stamp_ns)))
        of = None if memory.partner == self.partner else memory.partner
        said = memory.kind == "utterance"
        strongest = max(range(len(EMOTIONS)), key=memory.emotion.__getitem__)
        clear = 0 < memory.emotion[strongest] >= _CLEAR * sum(memory.emotion)  # a wrong "feeling sad" is worse than none
        felt = EMOTIONS[strongest] if said and clear else None
        return MemoryLine(memory.text, when, said, of, felt)


def _small_talk(memory: Memory) -> bool:
    """A greeting, thanks, a yes or a no: it is near to every other, and reminds of nothing. And what only asks: it is near to the same
    question, and has no answer to it. (Somebody may tell of themselves in a question; that is lost to recall.)"""
    if memory.kind != "utterance":
        return False
    words = re.findall(r"[^\W\d_]+", memory.text.lower())
    return _POLITE.issuperset(words) or (len(words) < 4 and not any(memory.emotion)) or _only_asks(memory.text)


def _only_asks(text: str) -> bool:
    sentences = re.split(r"(?<=[.!?])\s+", text.strip())
    return all(sentence.rstrip("!\"')").endswith("?") for sentence in sentences)


def _when(today: datetime.date, day: datetime.date) -> str:
    days = (today - day).days
    if days <= 0:
        return "earlier today"
    if days == 1:
        return "yesterday"
    return f"{days} days ago" if days < 60 else f"{round(days / 30.4)} months ago"
