"""Conversations that ended a moment ago, in case a client goes on with them.

OpenAI's interface has no conversations: each request brings all of it again. What a request brings is looked up here by all that was said,
and if it goes on with a conversation of a moment ago, that one answers: its tokens are evaluated already.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from affectrt.dialogue import Conversation, Dialogue, Turn
from affectrt.serve.messages import Talk

_Key = tuple[str | None, tuple[tuple[str, str, str], ...]]


class KeptConversations:
    """So many for so long, by what was said in them. For one event loop; who takes one has it alone."""

    def __init__(self, dialogue: Dialogue, most: int, seconds: float) -> None:
        self._dialogue, self._most, self._seconds = dialogue, most, seconds
        self._kept: OrderedDict[_Key, tuple[Conversation, asyncio.TimerHandle]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, talk: Talk) -> Conversation:
        """The conversation that `talk` goes on with, or a new one that says the same.

        Raises:
            TypeError, ValueError, EngineError: As `Dialogue.conversation`.
        """
        found = self._kept.pop(_key(talk.system, talk.turns), None)
        if found is None:
            return self._dialogue.conversation(talk.system, turns=talk.turns)
        conversation, timer = found
        timer.cancel()
        return conversation

    def keep(self, conversation: Conversation) -> None:
        """Keep one whose reply is over."""
        if self._most == 0:
            return
        key = _key(conversation.system, conversation.turns)
        self._drop(key)
        timer = asyncio.get_running_loop().call_later(self._seconds, self._drop, key)
        self._kept[key] = (conversation, timer)
        while len(self._kept) > self._most:
            self._drop(next(iter(self._kept)))

    def clear(self) -> None:
        """Keep none."""
        for key in list(self._kept):
            self._drop(key)

    def _drop(self, key: _Key) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            found[1].cancel()


def _key(system: str | None, turns: Sequence[Turn]) -> _Key:
    return system, tuple((turn.note, turn.user, turn.assistant) for turn in turns)
