"""Questions that belong to no conversation: answers in one go, each in a place of its own in the cache."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from affectrt._core import CancelFlag
from affectrt.dialogue.cache import Slot
from affectrt.dialogue.grammar import Grammar
from affectrt.dialogue.reply import Reply
from affectrt.dialogue.runtime import Runtime
from affectrt.dialogue.sampling import Sampling
from affectrt.dialogue.template import Message, Prompt
from affectrt.dialogue.text import check_text
from affectrt.errors import EngineError

_KEPT_SLOTS = 8


class Asker:
    """Answers single questions. Safe to use from several threads."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()
        self._free: list[Slot] = []  # the one used last is at the end

    def answer(self, messages: Sequence[Message], sampling: Sampling, seed: int, grammar: Grammar | None) -> Reply:
        """A reply to messages that were checked. Raises ValueError if they are too long; EngineError if the model is closed."""
        prompt = self.prompt(messages, sampling.max_tokens)
        slot = self.take(prompt)
        return Reply(
            self._runtime,
            slot,
            prompt,
            sampling=sampling,
            seed=seed,
            grammar=grammar,
            lock=threading.RLock(),
            on_end=lambda _: self.give(slot),
        )

    def prompt(self, messages: Sequence[Message], max_tokens: int) -> Prompt:
        """The tokens of messages, which must leave room for an answer."""
        self._runtime.check_open()
        capacity = self._runtime.context.capacity
        room = capacity - min(max_tokens, capacity // 4)
        letters = sum(len(message.content) for message in messages)
        if letters > room * 128:  # a book: no need to tokenize it to know
            raise ValueError(f"the messages have {letters} characters, too many for a context of {capacity} tokens")
        prompt = self._runtime.template.prompt(messages)
        if len(prompt.tokens) > room:
            raise ValueError(
                f"the messages are {len(prompt.tokens)} tokens long, but a context of {capacity} tokens takes a prompt of at most {room}, "
                f"which leaves {capacity - room} for the answer: shorten them, or raise context_tokens"
            )
        return prompt

    def log_likelihoods(self, prompt: Prompt, answers: Sequence[tuple[int, ...]]) -> list[float]:
        """Of each answer's tokens and the end of the turn after them. What answers have in common is evaluated once."""
        runtime, flag, slot = self._runtime, CancelFlag(), self.take(prompt)
        ends = runtime.model.turn_ends
        # In the order of a walk over the tree of all answers: what is evaluated then is at most one token away.
        follow: dict[tuple[int, ...], dict[tuple[int, ...], float]] = {
            answer[:length]: {} for answer in sorted(answers) for length in range(len(answer) + 1)
        }
        ended: dict[tuple[int, ...], float] = {}
        try:
            for start in sorted(follow):
                logits = self._logits(slot, prompt, start, flag)
                total = np.logaddexp.reduce(logits)
                ended[start] = float(np.logaddexp.reduce(logits[ends]) - total)
                for answer in answers:
                    if answer[: len(start)] == start and len(answer) > len(start):
                        follow[start][answer[: len(start) + 1]] = float(logits[answer[len(start)]] - total)
        except BaseException:
            runtime.repair(slot)
            raise
        finally:
            self.give(slot)
        return [sum(follow[a[:n]][a[: n + 1]] for n in range(len(a))) + ended[a] for a in answers]

    def _logits(self, slot: Slot, prompt: Prompt, start: tuple[int, ...], flag: CancelFlag) -> np.ndarray[Any, np.dtype[np.float64]]:
        """(vocabulary,) float64, after the prompt and the first tokens of an answer; others have their turn before and between."""
        runtime, done = self._runtime, None
        while done is None:
            with runtime.lock:
                runtime.check_open()
                done = runtime.step(slot, [*prompt.tokens, *start], flag) if start else runtime.prefill(slot, prompt, flag)
                if done:
                    return runtime.context.logits().astype(np.float64)
        raise EngineError("the interpreter is ending")

    def take(self, prompt: Prompt) -> Slot:
        """A slot for this prompt alone, until it is given back: one that the prompt goes on from, or one with its system message.

        Of another slot's tokens no more than the system message is used: what is computed must not depend on how far two unrelated
        questions happen to agree.
        """
        tokens, system = list(prompt.tokens), list(prompt.tokens[: prompt.system_length])
        with self._lock:
            going_on = [s for s in self._free if s.tokens and s.tokens == tokens[: len(s.tokens)]]
            alike = [s for s in self._free if system and s.tokens[: len(system)] == system]
            slot = max(going_on, key=lambda s: len(s.tokens), default=alike[-1] if alike else None)
            if slot is None:
                return Slot()
            self._free.remove(slot)
            slot.usable = None if slot in going_on else len(system)
            return slot

    def give(self, slot: Slot) -> None:
        """Back for the next question."""
        with self._lock:
            self._free.append(slot)
            del self._free[:-_KEPT_SLOTS]


def check_messages(messages: str | Sequence[Message], system: str | None) -> list[Message]:
    """Messages in turn, from what a caller may give. Raises TypeError, ValueError."""
    listed = [Message("user", check_text(messages, "text"))] if isinstance(messages, str) else list(messages)
    if system is not None:
        listed.insert(0, Message("system", check_text(system, "system")))
    for message in listed:
        if not isinstance(message, Message):
            raise TypeError(f"messages must be a str or Messages, got {type(message).__name__}")
        if message.role != "assistant" or message.content:  # an answer may have been empty
            check_text(message.content, f"the content of a message of the role {message.role!r}")
    talk = listed[1:] if listed and listed[0].role == "system" else listed
    roles = [message.role for message in talk]
    if len(roles) % 2 == 0 or roles != (["user", "assistant"] * len(roles))[: len(roles)]:
        raise ValueError(
            f"messages must be user and assistant in turn, a user's last, perhaps after one system message; got {[m.role for m in listed]}"
        )
    return listed
