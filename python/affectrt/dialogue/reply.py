"""One answer, token by token: an iterator for threads, its twin for asyncio, and what it cost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from affectrt._core import CancelFlag
from affectrt.dialogue.cache import Slot
from affectrt.dialogue.engine import Sampler
from affectrt.dialogue.grammar import Grammar, GrammarSampler
from affectrt.dialogue.runtime import Runtime
from affectrt.dialogue.sampling import Sampling
from affectrt.dialogue.template import Prompt
from affectrt.dialogue.text import TextStream
from affectrt.errors import EngineError


@dataclass(frozen=True, slots=True)
class ReplyStats:
    """What one reply cost, so far or in all."""

    prompt_tokens: int
    """Length of the prompt: the system message, the turns still in the context, the new one."""
    cached_tokens: int
    """How many of them were in the cache and not evaluated again."""
    generated_tokens: int
    ttft_ms: float | None
    """From the first request for a piece to the first token; None before there is one."""
    decode_tok_s: float | None
    """Tokens a second after the first one, without the time the caller took between pieces; None below two tokens."""
    cancelled: bool
    finish: str
    """"stop" (the model ended its turn), "stop_string", "length" (max_tokens), "context" (full), "grammar" (no token of the model fits it),
    "spoken" (by the guard, not by the model), "cancelled", "error"; "" while running."""
    dropped_turns: int
    """How many old turns had to leave the context for this reply."""
    seed: int
    """Give it again to get the same reply in the same conversation."""
    overflow: str = ""
    """What became of the dropped turns: "summarised" in the prompt, or "dropped" without; "" if there are none, or not yet."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What was said and answered."""

    user: str
    assistant: str
    note: str = ""
    """What stood before the user's text in the prompt."""
    finish: str = "stop"
    tokens: tuple[int, ...] | None = field(default=None, repr=False)
    """The answer's tokens as the model wrote them; None where the text was cut inside of them."""


@dataclass(frozen=True, slots=True)
class Context:
    """What of a conversation is in the prompt of a reply, before the words that it answers."""

    turns: tuple[Turn, ...] = ()
    summary: str | None = None
    """What stands for the turns before these, in the model's own words."""
    overflow: str = ""
    """What became of the turns that left for this reply: as `ReplyStats.overflow`."""


class Answer(Protocol):
    """What there is of an answer: a `Reply`, or what stands for one."""

    def __iter__(self) -> Iterator[str]: ...
    def __next__(self) -> str: ...
    def read(self) -> str: ...  # noqa: D102
    def cancel(self) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102
    @property
    def text(self) -> str: ...  # noqa: D102
    @property
    def stats(self) -> ReplyStats: ...  # noqa: D102


class Reply(Iterator[str]):
    """Iterate to get the answer's pieces as they come; each is whole text, never half a character.

    Nothing is evaluated until the first piece is asked for. A reply that is closed or dropped before its end counts as cancelled, and what
    was said until then stays in the conversation. `cancel` may be called from any thread; everything else waits for the running step.
    """

    def __init__(
        self,
        runtime: Runtime,
        slot: Slot,
        prompt: Prompt,
        *,
        sampling: Sampling,
        seed: int,
        grammar: Grammar | None = None,
        context: Context | None = None,
        dropped_turns: int = 0,
        prepare: Callable[[CancelFlag], tuple[Prompt, Context] | None] | None = None,
        flag: CancelFlag | None = None,
        lock: threading.RLock,  # type: ignore[valid-type,unused-ignore]
        on_end: Callable[[Reply], None],
    ) -> None:
        """Made by `Conversation.reply`. `prepare` makes the final prompt, and says what is in it, when it is first needed."""
        self._runtime, self._slot, self._prompt = runtime, slot, prompt
        self._sampling, self._seed, self._dropped, self._grammar = sampling, seed, dropped_turns, grammar
        self._lock, self._on_end = lock, on_end
        self._prepare, self._context = prepare, context or Context()
        self._flag = flag if flag is not None else CancelFlag()
        self._stream = TextStream(sampling.stop)
        self._sampler: Sampler | None = None
        self._sequence: list[int] = list(prompt.tokens)
        self._pieces: list[str] = []
        self._finish = ""
        self._cached: int | None = None
        self._sampled = 0
        self._ttft_ns = 0
        self._decode_ns = 0

    def __iter__(self) -> Reply:
        return self

    def __next__(self) -> str:
        """The next piece of text.

        Raises:
            StopIteration: The answer is over; `stats.finish` says why.
            EngineError: llama.cpp failed, or the Dialogue was closed.
        """
        with self._lock:
            while not self._finish:
                piece = self._advance()
                if piece:
                    self._pieces.append(piece)
                if self._finish:
                    self._settle()
                if piece:
                    return piece
            raise StopIteration

    def __del__(self) -> None:
        if getattr(self, "_finish", "x") == "":
            self.close()

    def read(self) -> str:
        """Wait for the end; returns the whole answer."""
        for _ in self:
            pass
        return self.text

    def parsed(self) -> Any:
        """Wait for the end; returns the value of a whole answer under a grammar: of a JSON schema what the JSON stands for, else the text.

        Raises:
            EngineError: The answer is not whole: it was cancelled, cut by `max_tokens`, a stop string or the context, or the model has no
                token that fits the grammar.
            ValueError: The reply has no grammar.
        """
        if self._grammar is None:
            raise ValueError("a reply without a grammar has nothing to parse: read() it")
        text = self.read()
        if self._finish != "stop":
            why = {
                "length": f"max_tokens={self._sampling.max_tokens} came before its end",
                "grammar": "no token of this model fits the grammar",
                "context": "the context is full",
            }
            reason = why.get(self._finish, f"it ended with {self._finish!r}")
            raise EngineError(f"the answer does not keep to the grammar: {reason}; got {text[:80]!r} ({len(self.tokens)} tokens)")
        return self._grammar.parse(text)

    def cancel(self) -> None:
        """Stop as soon as possible, also in the middle of the prompt. Returns at once; no effect on an answer that is over."""
        self._flag.set()

    def close(self) -> None:
        """Cancel, and wait until the conversation is free for the next reply (milliseconds)."""
        self._flag.set()
        with self._lock:
            if not self._finish:
                self._finish = "cancelled"
                self._settle()

    @property
    def text(self) -> str:
        """The answer so far."""
        return "".join(self._pieces)

    @property
    def tokens(self) -> tuple[int, ...]:
        """The answer's tokens so far, without the one that ended it."""
        return tuple(self._sequence[len(self._prompt.tokens) :])

    @property
    def prompt_tokens(self) -> tuple[int, ...]:
        """The prompt as the model gets it."""
        return self._prompt.tokens

    @property
    def context(self) -> Context:
        """What the prompt holds of the conversation. Where old turns have to leave for it, that is known from the first piece on."""
        return self._context

    @property
    def sampling(self) -> Sampling:
        """The settings of this reply."""
        return self._sampling

    @property
    def cancelling(self) -> bool:
        """True once `cancel` was called."""
        return self._flag.is_set()

    @property
    def stats(self) -> ReplyStats:
        """The figures so far; final once the iteration has ended."""
        later = self._sampled - 1
        return ReplyStats(
            prompt_tokens=len(self._prompt.tokens),
            cached_tokens=self._cached or 0,
            generated_tokens=len(self._sequence) - len(self._prompt.tokens),
            ttft_ms=self._ttft_ns / 1e6 if self._sampled else None,
            decode_tok_s=later * 1e9 / self._decode_ns if later > 0 and self._decode_ns else None,
            cancelled=self._finish == "cancelled" or (not self._finish and self._flag.is_set()),
            finish=self._finish,
            dropped_turns=self._dropped,
            seed=self._seed,
            overflow=self._context.overflow,
        )

    def as_turn(self, user: str, note: str) -> Turn | None:
        """What the conversation remembers of this; None if nothing was said."""
        if not self._sampled and self._finish in ("cancelled", "error"):
            return None
        # Tokens may hold the stop string, or, after a cancellation, what was held back because it might have become one.
        exact = self._finish in ("stop", "length", "context", "grammar") or not self._sampling.stop
        # And a control token that the model wrote would begin or end a turn in the next prompt.
        plain = exact and all(map(self._runtime.model.piece, self.tokens))
        return Turn(user, self.text, note, self._finish, self.tokens if plain else None)

    def _advance(self) -> str:
        """Evaluate and choose one token; returns the text that is certain now."""
        if self._flag.is_set():
            self._finish = "cancelled"
            return ""
        runtime, first = self._runtime, self._sampler is None
        start = time.perf_counter_ns()
        try:
            if first and not self._prepared():
                return ""
            if first:
                self._sampler = self._make_sampler()
                self._slot.running = True
            done = None
            while done is None:
                with runtime.lock.take(self._flag) as mine:
                    done = mine and self._evaluate(first)
                    if not done:
                        continue
                    assert self._sampler is not None
                    token = runtime.sample(self._sampler)
            if not done:
                self._finish = "cancelled"
                return ""
        except BaseException:  # Ctrl-C too: it may have come between the library's work and our account of it
            self._finish = "error"
            runtime.repair(self._slot)
            self._settle()
            raise
        elapsed = time.perf_counter_ns() - start
        self._sampled += 1
        if first:
            self._ttft_ns = elapsed
        else:
            self._decode_ns += elapsed
        if token is None:
            self._finish = "grammar"
            return self._stream.close()
        if runtime.model.ends_turn(token):
            self._finish = "stop"
            return self._stream.close()
        self._sequence.append(token)
        piece = self._stream.feed(runtime.model.piece(token))
        if self._stream.stopped:
            self._finish = "stop_string"
        elif self._sampled >= self._sampling.max_tokens:
            self._finish = "length"
        elif len(self._sequence) > runtime.context.capacity:
            self._finish = "context"
        return piece + self._stream.close() if self._finish else piece

    def _prepared(self) -> bool:
        """Make the final prompt; False if cancelled meanwhile."""
        if self._prepare is not None:
            prepared, self._prepare = self._prepare(self._flag), None
            if prepared is None:
                self._finish = "cancelled"
                return False
            self._prompt, self._context = prepared
            self._sequence = list(self._prompt.tokens)
        return True

    def _make_sampler(self) -> Sampler:
        model = self._runtime.model
        if self._grammar is None:
            return Sampler(model, self._sampling, self._seed)
        return GrammarSampler(model, self._sampling, self._seed, self._grammar)

    def _evaluate(self, first: bool) -> bool | None:
        """With the turn: a batch of the prompt or the last token; True if the next token may be chosen, False if it is over."""
        runtime = self._runtime
        if runtime.exiting:
            return False
        runtime.check_open()
        if not first:
            return runtime.step(self._slot, self._sequence, self._flag)
        if self._cached is None:
            self._cached = runtime.find(self._slot, self._prompt)
        return runtime.prefill(self._slot, self._prompt, self._flag)

    def _settle(self) -> None:
        """Once, at the end: free the native part, hand the turn over."""
        self._slot.running = False
        if self._sampler is not None:
            self._sampler.close()
        self._on_end(self)


_END = object()


class AsyncReply(AsyncIterator[str]):
    """The same answer for asyncio: the loop runs in a thread of its own, and no event loop ever waits for it."""

    def __init__(self, reply: Answer) -> None:
        """Made by `Conversation.areply`."""
        self._reply = reply
        self._queue: asyncio.Queue[Any] | None = None
        self._thread: threading.Thread | None = None
        self._over = False

    def __aiter__(self) -> AsyncReply:
        return self

    async def __anext__(self) -> str:
        """The next piece; errors and end as in Reply."""
        if self._over:
            raise StopAsyncIteration
        if self._queue is None:
            self._queue = asyncio.Queue()
            # Not a daemon: the interpreter waits for it at its end instead of pulling the library from under it.
            self._thread = threading.Thread(
                target=_pump, args=(self._reply, asyncio.get_running_loop(), self._queue), name="affectrt-reply", daemon=False
            )
            self._thread.start()
        try:
            item = await self._queue.get()
        except asyncio.CancelledError:
            self._reply.cancel()
            raise
        if isinstance(item, str):
            return item
        self._over = True
        if isinstance(item, BaseException):
            raise item
        raise StopAsyncIteration

    def __del__(self) -> None:
        if hasattr(self, "_reply"):
            self._reply.cancel()

    async def __aenter__(self) -> AsyncReply:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Cancel, and wait until the conversation is free for the next reply."""
        self._over = True
        self._reply.cancel()
        if self._thread is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
        self._reply.close()

    async def read(self) -> str:
        """Wait for the end; returns the whole answer."""
        async for _ in self:
            pass
        return self.text

    def cancel(self) -> None:
        """As `Reply.cancel`."""
        self._reply.cancel()

    @property
    def text(self) -> str:
        """The answer so far; it may be ahead of the pieces taken."""
        return self._reply.text

    @property
    def stats(self) -> ReplyStats:
        """As `Reply.stats`."""
        return self._reply.stats


def _pump(reply: Answer, loop: asyncio.AbstractEventLoop, queue: asyncio.Queue[Any]) -> None:
    last: object = _END
    try:
        for piece in reply:
            loop.call_soon_threadsafe(queue.put_nowait, piece)
    except RuntimeError as error:
        last = error
        if loop.is_closed():  # nobody is left to hear
            reply.close()
            return
    except BaseException as error:
        last = error
    try:
        loop.call_soon_threadsafe(queue.put_nowait, last)
    except RuntimeError:  # the loop closed just now
        reply.close()
