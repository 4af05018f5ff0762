"""What there is of one partner while the Companion lives."""

from __future__ import annotations

import weakref
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from affectrt.companion.guarded import GuardedReply
from affectrt.companion.mood import Mood
from affectrt.companion.recollection import Remembrance
from affectrt.companion.state import Impression
from affectrt.dialogue import Conversation
from affectrt.dialogue.guard import Guard
from affectrt.dialogue.strategy import Strategy

if TYPE_CHECKING:
    from affectrt.companion.talk import Talk


@dataclass(slots=True)
class Person:
    """Belongs to a Companion, and is guarded by its lock where two threads may come."""

    name: str
    conversation: Conversation
    mood: Mood
    remembrance: Remembrance | None
    guard: Guard
    said_ns: dict[int, int] = field(default_factory=dict)
    """Wall-clock time of what was said, by number of turn; one that was cancelled before its first word gives its number to the next."""
    reminded_of: set[str] = field(default_factory=set)
    """Whose memories were told in this conversation."""
    strategies: deque[Strategy] = field(default_factory=lambda: deque(maxlen=2))
    """Those of the latest answers; the planner looks back no further."""
    talk: Talk | None = None
    """The conversation in the memory's file, if there is a memory."""
    answer: weakref.ref[GuardedReply] | None = None
    """The latest, where there is a policy."""
    seen: Impression | None = None
    read: Impression | None = None

    def before_ns(self) -> int | None:
        """From when on the model still sees what was said, by the wall clock; None if it sees nothing."""
        first = len(self.conversation.turns) - self.conversation.turns_in_context
        return min((said for turn, said in tuple(self.said_ns.items()) if turn >= first), default=None)

    def settle(self) -> None:
        """Before the next answer: of the one before, what the person did not see is not to be taken up again."""
        if self.answer is not None and (answer := self.answer()) is not None:
            answer.settle()

    def reset(self) -> None:
        """Forget the conversation. Raises EngineError while a reply runs."""
        self.settle()  # an answer that was cancelled and is still held would be logged when it is let go
        self.conversation.reset()
        self.said_ns.clear()
        self.reminded_of.clear()
        self.strategies.clear()

    def begin_anew(self) -> None:
        """Something was erased: know what the memory knows now. Raises EngineError while a reply runs; StoreError."""
        self.reset()
        if self.remembrance is not None:
            self.mood = self.remembrance.mood()
        if self.talk is not None:
            self.talk.begin_anew()

    def keep_talk(self, *, cache: bool = True) -> None:
        """Keep the conversation for the next run, if there is a memory. Raises StoreError."""
        if self.talk is not None:
            self.talk.keep(self, cache=cache)
