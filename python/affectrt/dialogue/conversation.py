"""A conversation: what was said, what of it still fits the context, and the next reply."""

from __future__ import annotations

import functools
import os
import secrets
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from affectrt._core import CancelFlag
from affectrt.dialogue import kept
from affectrt.dialogue.cache import Slot
from affectrt.dialogue.grammar import Grammar, structured
from affectrt.dialogue.past import Past, own_tokens
from affectrt.dialogue.prompt.words import summary_line
from affectrt.dialogue.reply import AsyncReply, Context, Reply, Turn
from affectrt.dialogue.runtime import Runtime
from affectrt.dialogue.sampling import Sampling, check_sampling
from affectrt.dialogue.summary import summarise, summary_tokens
from affectrt.dialogue.template import Message, Prompt
from affectrt.dialogue.text import check_text
from affectrt.errors import EngineError


class Conversation:
    """Made by `Dialogue.conversation`. Its evaluated tokens stay in the cache, so that each turn costs only what is new.

    May be used from several threads; one reply runs at a time.
    """

    def __init__(
        self,
        runtime: Runtime,
        system: str | None,
        sampling: Sampling,
        seed: int | None,
        past: Past,
        *,
        summarise: bool = True,
    ) -> None:
        self._runtime = runtime
        self._summarise = summarise
        self._sampling = sampling
        self._seed = seed
        self._system = check_text(system, "system") if system is not None else None
        self._slot = Slot()
        self._lock = threading.RLock()
        self._turns = [replace(turn, tokens=own_tokens(turn, runtime.model)) for turn in past.turns]
        self._first = past.left  # older turns have left the context
        self._summary = past.summary  # of those
        self._running: weakref.ref[Reply] | None = None

    @property
    def system(self) -> str | None:
        """The system message; None leaves the word to the model's template."""
        return self._system

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Everything said so far, also what has left the context."""
        with self._lock:
            return tuple(self._turns)

    @property
    def turns_in_context(self) -> int:
        """How many of the latest turns the model still sees."""
        with self._lock:
            return len(self._turns) - self._first

    @property
    def summary(self) -> str | None:
        """What the model was left to know of the turns that are no longer in its context, in its own words; None without such."""
        with self._lock:
            return self._summary

    @property
    def past(self) -> Past:
        """The above, of one moment; `Dialogue.conversation` goes on from it."""
        with self._lock:
            return Past(tuple(self._turns), self._first, self._summary)

    def reply(
        self,
        text: str,
        *,
        note: str | None = None,
        sampling: Sampling | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] | None = None,
        seed: int | None = None,
        grammar: Grammar | None = None,
    ) -> Reply:
        """Answer `text`.

        When the conversation outgrows the context, its oldest turns leave the prompt, never the system message, and a quarter more than
        needed, so that it does not happen at every turn. Before the first piece the model then sums them up in a line, which stays in the
        prompt (`summary`); if nothing comes of that, they leave without one (`stats.overflow`).

        Args:
            text: What the user says. Control tokens spelled in it are plain text to the model.
            note: What the application adds for this turn, put before the text, such as what the camera sees.
            sampling: Instead of the pack's settings.
            max_tokens: Instead of `sampling.max_tokens`.
            stop: Instead of `sampling.stop`.
            seed: Makes the reply repeatable; without it, the Dialogue's seed, or else a random one (see `stats.seed`).
            grammar: The form that the answer must have; then the likeliest token is taken, unless `sampling` says otherwise. An answer
                that `max_tokens` cuts short does not have it: `reply.parsed()` says so, and `stats.finish`.

        Raises:
            TypeError: `text` or `note` is not a str, or `grammar` no Grammar.
            ValueError: It is blank, holds NUL or a lone surrogate, or is longer than the context; or a setting is out of range.
            EngineError: A reply of this conversation is still running; or the Dialogue is closed.
        """
        check_text(text, "text")
        if note is not None:
            check_text(note, "note")
        settings = choose_settings(self._sampling, sampling, grammar, max_tokens, stop)
        chosen = check_seed(seed if seed is not None else self._seed)
        with self._lock:
            self._runtime.check_open()
            self._refuse_second()
            said = f"{note}\n\n{text}" if note else text
            prompt, dropped = self._fit(said, settings.max_tokens)
            prepare = None
            if dropped:
                prepare = functools.partial(self._overflow, said, self._first + dropped, settings.max_tokens, prompt)
            me = weakref.ref(self)

            def on_end(reply: Reply) -> None:
                conversation = me()
                turn = reply.as_turn(text, note or "")
                if conversation is not None and turn is not None:
                    conversation._turns.append(turn)

            reply = Reply(
                self._runtime,
                self._slot,
                prompt,
                sampling=settings,
                seed=chosen,
                grammar=grammar,
                context=Context(tuple(self._turns[self._first + dropped :]), None if dropped else self._summary),
                dropped_turns=dropped,
                prepare=prepare,
                lock=self._lock,
                on_end=on_end,
            )
            self._running = weakref.ref(reply)
            return reply

    def areply(
        self,
        text: str,
        *,
        note: str | None = None,
        sampling: Sampling | None = None,
        max_tokens: int | None = None,
        stop: Sequence[str] | None = None,
        seed: int | None = None,
        grammar: Grammar | None = None,
    ) -> AsyncReply:
        """`reply` for `async for`; same arguments, same errors."""
        return AsyncReply(self.reply(text, note=note, sampling=sampling, max_tokens=max_tokens, stop=stop, seed=seed, grammar=grammar))

    def amend(self, written: str, shown: str) -> None:
        """Let the last answer, if it is `written`, read as it was shown: what the person never saw is not to be taken up again."""
        with self._lock:
            if written != shown and self._turns and self._turns[-1].assistant == written:
                last = self._turns.pop()
                if shown.strip():
                    self._turns.append(replace(last, assistant=shown, tokens=None))

    def reset(self) -> None:
        """Forget everything but the system message, in the cache too.

        Raises:
            EngineError: A reply is still running.
        """
        with self._lock:
            self._refuse_second()
            self._turns.clear()
            self._first = 0
            self._summary = None
            self._runtime.forget(self._slot)

    def export_cache(self, *, key: bytes | None = None, max_bytes: int | None = None) -> bytes | None:
        """What the cache holds of this conversation, for `import_cache` in a later run; None if that is nothing, or more than `max_bytes`.

        The tokens in it can be read back as words: keep it as safe as what was said, and erase it with that. It takes some 23 KB a token
        for the default model.

        Args:
            key: At least 16 bytes, to seal it with: then only who has the key can make what `import_cache` takes.
            max_bytes: The limit.

        Raises:
            TypeError, ValueError: `key` is none.
            EngineError: A reply is still running; or the Dialogue is closed.
        """
        with self._lock:
            self._refuse_second()
            return kept.dump(self._runtime, self._slot, kept.check_key(key), max_bytes)

    def import_cache(self, data: bytes, *, key: bytes | None = None) -> bool:
        """Take over what `export_cache` gave; True if it could be. What was said comes from `turns=` of `Dialogue.conversation`.

        As much is used as the next prompt has in common with it: all before the new text, or only the system message, as of any other
        conversation, where nothing was said yet. What is damaged, sealed with another key, or of another model, device or version is
        passed over, with a note in the log `affectrt.dialogue`. Without a key, take it only from where nobody else can write: llama.cpp
        trusts it.

        Raises:
            TypeError, ValueError: `data` is no bytes, or `key` is none.
            EngineError: A reply is still running; or the Dialogue is closed.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"data must be bytes, got {type(data).__name__}")
        checked = kept.check_key(key)
        return self._take_over(lambda: kept.read(self._runtime, data, checked, "a cache"))

    def save_cache(self, path: str | os.PathLike[str], *, key: bytes | None = None) -> bool:
        """Write `export_cache` to a file, for `load_cache` in a later run; False if it holds nothing.

        The file is not encrypted: it is readable by its owner only, appears whole or not at all, and is to be deleted with the
        conversation.

        Args:
            path: The file; one that is there is replaced.
            key: As in `export_cache`.

        Raises:
            TypeError, ValueError: `key` is none.
            EngineError: A reply is still running; or the Dialogue is closed.
            OSError: The file cannot be written.
        """
        with self._lock:
            self._refuse_second()
            return kept.save(self._runtime, self._slot, Path(path), kept.check_key(key))

    def load_cache(self, path: str | os.PathLike[str], *, key: bytes | None = None) -> bool:
        """`import_cache` from a file of `save_cache`; one that is missing or cannot be read is passed over too.

        Raises:
            TypeError, ValueError: `key` is none.
            EngineError: A reply is still running; or the Dialogue is closed.
        """
        file, checked = Path(path), kept.check_key(key)
        return self._take_over(lambda: kept.load(self._runtime, file, checked))

    def _take_over(self, find: Callable[[], Slot | None]) -> bool:
        with self._lock:
            self._refuse_second()
            self._runtime.check_open()
            slot = find()
            if slot is None:
                return False
            self._runtime.forget(self._slot)
            if not self._turns:
                slot.usable = slot.system_length
            self._slot = slot
            return True

    def _refuse_second(self) -> None:
        running = self._running() if self._running is not None else None
        if running is None or running.stats.finish:
            return
        if not running.cancelling:
            raise EngineError("a reply of this conversation is still running: iterate it to its end, or cancel() it first")
        running.close()  # cancelled, and its reader has not come back yet

    def _messages(self, first: int, said: str, summary: str | None) -> list[Message]:
        talk = []
        for turn in self._turns[first:]:
            talk.append(Message("user", f"{turn.note}\n\n{turn.user}" if turn.note else turn.user))
            talk.append(Message("assistant", turn.assistant, turn.tokens))
        talk.append(Message("user", said))
        if summary is not None:
            talk[0] = Message("user", f"{summary_line(summary)}\n\n{talk[0].content}")
        return [Message("system", self._system), *talk] if self._system is not None else talk

    def _overflow(self, said: str, first: int, max_tokens: int, without: Prompt, flag: CancelFlag) -> tuple[Prompt, Context] | None:
        """The prompt from the turn `first` on, with a summary of those before if that works; None if cancelled meanwhile."""
        summary, prompt = None, without
        if self._summarise:
            summary = summarise(self._runtime, self._summary, self._turns[self._first : first], flag)
            if flag.is_set():
                return None
        if summary is not None:
            prompt = self._runtime.template.prompt(self._messages(first, said, summary))
            if len(prompt.tokens) > self._room(max_tokens):
                summary, prompt = None, without
        self._first, self._summary = first, summary
        return prompt, Context(tuple(self._turns[first:]), summary, "dropped" if summary is None else "summarised")

    def _room(self, max_tokens: int) -> int:
        """The longest prompt."""
        capacity = self._runtime.context.capacity
        return capacity - min(max_tokens, capacity // 4)

    def _fit(self, said: str, max_tokens: int) -> tuple[Prompt, int]:
        """The prompt, and how many turns had to leave for it."""
        room = self._room(max_tokens)
        template = self._runtime.template
        self._refuse_huge(said, room)
        first, summary, limit = self._first, self._summary, room
        while True:
            prompt = template.prompt(self._messages(first, said, summary))
            if len(prompt.tokens) <= limit or (first == len(self._turns) and len(prompt.tokens) <= room):
                if first == self._first:
                    self._summary = summary  # None, where it was all that could leave
                return prompt, first - self._first
            if first < len(self._turns):
                first, limit = first + 1, room * 3 // 4 - summary_tokens(self._runtime.context.capacity)
            elif summary is None:
                break
            summary = None
        text_tokens = len(self._runtime.model.tokenize(said))
        raise ValueError(self._too_long(f"{text_tokens} tokens long ({len(prompt.tokens)} with the system message)", room))

    def _refuse_huge(self, said: str, room: int) -> None:
        """Before a book is tokenised line by line: at one go, its beginning alone may be seen to be too long."""
        if len(said) > room:
            tokens = len(self._runtime.model.tokenize(said[: room * 128]))
            if tokens > room:
                over = "over " if len(said) > room * 128 else ""
                raise ValueError(self._too_long(f"{over}{tokens} tokens long ({len(said)} characters)", room))

    def _too_long(self, what: str, room: int) -> str:
        capacity = self._runtime.context.capacity
        return (
            f"the text is {what}, but a context of {capacity} tokens takes a prompt of at most {room}, which leaves {capacity - room} "
            "for the answer: shorten it, or raise context_tokens"
        )


def choose_settings(
    default: Sampling, given: Sampling | None, grammar: Grammar | None, max_tokens: int | None, stop: Sequence[str] | None
) -> Sampling:
    """The settings of one reply, from the arguments that it was asked with."""
    if grammar is not None and not isinstance(grammar, Grammar):
        raise TypeError(f"grammar must be a Grammar (Grammar.gbnf, .json_schema, .choice), got {type(grammar).__name__}")
    check_sampling(given)
    settings = given if given is not None else default if grammar is None else structured(default)
    if max_tokens is not None:
        settings = replace(settings, max_tokens=max_tokens)
    if stop is not None:
        settings = replace(settings, stop=tuple(stop) if not isinstance(stop, str) else (stop,))
    return settings


def check_seed(seed: int | None) -> int:
    """A seed that llama.cpp can take; a random one for None. Raises TypeError, ValueError."""
    if seed is None:
        return secrets.randbelow(0xFFFFFFFF)  # 2**32 - 1 itself means "random" to llama.cpp
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(f"seed must be an int, got {type(seed).__name__}")
    if not 0 <= seed < 0xFFFFFFFF:
        raise ValueError(f"seed must lie in [0, 2**32 - 2], got {seed}")
    return seed
