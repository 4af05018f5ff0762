"""Whose tokens are in the context: one conversation's at a time, the others' put by.

llama.cpp can keep several sequences in one context, but then either each gets its share of the memory for good, or all share one
buffer and each pays at every token for the cells of the others. Here the context holds one sequence; on a change the old one's
state is copied out (some 20 KB a token for a small model, a few milliseconds) and comes back when its conversation goes on.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence

from affectrt.dialogue.engine import Context, State

_PAUSE_ENTRIES = 256


class Slot:
    """What one conversation has in the cache. Belongs to the conversation, touched under the engine's lock only."""

    __slots__ = ("__weakref__", "running", "saved", "system_length", "tokens", "usable", "used")

    def __init__(self) -> None:
        self.tokens: list[int] = []
        """The tokens evaluated so far, in the context or in `saved`."""
        self.system_length = 0
        self.saved: State | None = None
        self.used = 0
        self.running = False
        """Whether a reply is being made: then its state stays, or many at once would for ever drop each other's."""
        self.usable: int | None = None
        """How many of the tokens the next prompt may go on from; None: all."""


class PrefixCache:
    """Brings a conversation's evaluated tokens into the context and keeps account of them. Guard it with the engine's lock."""

    def __init__(self, context: Context, *, spare_bytes: int = 256 << 20) -> None:
        """Start empty.

        Args:
            context: Nobody else may change what it holds.
            spare_bytes: How much memory the states of resting conversations may take. Beyond it the one longest unused is dropped:
                its next turn is evaluated anew, and only slower. Those whose reply is just being made are kept beyond it.
        """
        self._context = context
        self._spare_bytes = spare_bytes
        self._resident: weakref.ref[Slot] | None = None
        self._held: list[int] = []
        """What the context holds: the resident slot's tokens, and still there if that slot is gone."""
        self._held_system = 0
        self._used_buffer: State | None = None
        """The memory of a state that is back in the context, for the next one."""
        self._slots: weakref.WeakSet[Slot] = weakref.WeakSet()
        self._clock = 0

    def enter(self, slot: Slot, system: Sequence[int] = ()) -> None:
        """Make `slot` the one that the context holds. `system`: the tokens of its system message, in case it has nothing yet."""
        self._clock += 1
        slot.used = self._clock
        resident = self._resident() if self._resident is not None else None
        if resident is slot:
            return
        if resident is not None and resident.tokens and resident.saved is None:
            self._put_by(resident)
        if slot.saved is not None and self._context.restore(slot.saved):
            self._used_buffer, slot.saved = slot.saved, None
        else:
            slot.saved = None
            # A conversation without a state takes over the system message of the one before if it is the very same, and nothing beyond
            # it: what it computes must not depend on how far two unrelated conversations happen to agree.
            same = self._held_system > 0 and self._held[: self._held_system] == list(system)
            slot.tokens = list(system) if same and self._context.truncate(len(system)) else []
            slot.system_length = len(slot.tokens)
            if not slot.tokens:
                self._context.truncate(0)
        self._held, self._held_system = slot.tokens, slot.system_length
        self._resident = weakref.ref(slot)
        self._slots.add(slot)

    def keep_common(self, slot: Slot, tokens: Sequence[int]) -> int:
        """Cut the resident slot back to what it shares with `tokens`, at least one short of them; returns how many stay."""
        have = slot.tokens
        limit = min(len(have), len(tokens) - 1, len(have) if slot.usable is None else slot.usable)
        slot.usable = None
        common = next((i for i in range(limit) if have[i] != tokens[i]), limit)
        self.cut(slot, common)
        return len(slot.tokens)

    def cut(self, slot: Slot, length: int) -> None:
        """Forget the resident slot's tokens from `length` on (all of them where the architecture cannot forget a part)."""
        if not self._context.truncate(length):
            length = 0
        del slot.tokens[length:]
        slot.system_length = min(slot.system_length, length)
        self._held_system = slot.system_length

    def forget(self, slot: Slot) -> None:
        """Let go of what was said in a conversation: its tokens can be read back as words."""
        self._used_buffer = None
        if self._resident is not None and self._resident() is slot:
            self.cut(slot, slot.system_length)
        else:
            slot.saved, slot.tokens, slot.system_length = None, [], 0

    def mark_system(self, slot: Slot) -> None:
        """What the resident slot holds now is its system message and nothing more."""
        slot.system_length = self._held_system = len(slot.tokens)

    def _put_by(self, slot: Slot) -> None:
        state = self._context.save(self._used_buffer)
        self._used_buffer = None
        slot.saved = state if slot.running or len(state.buffer) <= self._spare_bytes else None
        if slot.saved is None:
            slot.tokens = []
            return
        # The list goes on living in the context's account, which the next conversation may cut.
        slot.tokens = list(slot.tokens)
        resting = sorted((s for s in self._slots if s.saved is not None), key=lambda s: s.used)
        total = sum(len(s.saved.buffer) for s in resting if s.saved is not None)
        for old in resting:
            if total <= self._spare_bytes:
                break
            paused = self._clock - old.used > _PAUSE_ENTRIES  # nobody reads its reply just now
            if old.saved is not None and old is not slot and (paused or not old.running):
                total -= len(old.saved.buffer)
                old.saved, old.tokens = None, []
