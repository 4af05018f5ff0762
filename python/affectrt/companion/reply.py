"""An answer as it comes, with the expression that goes with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

from affectrt.companion.state import Piece, Trace
from affectrt.dialogue import AsyncReply, ReplyStats
from affectrt.dialogue.prompt import PromptTrace
from affectrt.dialogue.reply import Answer


class CompanionReply(Iterator[Piece]):
    """An answer as it comes. Cancel it from any thread; dropping it early cancels it too."""

    def __init__(self, reply: Answer, trace: Trace, told: Callable[[], PromptTrace] | None = None) -> None:
        """Made by `Companion.reply`. `told` says what the model is told, if one is asked."""
        self._reply = reply
        self._trace, self._told = trace, told
        self.expression = trace.state.expression
        """Known before the first word: a face answers sooner than a sentence."""

    def __iter__(self) -> CompanionReply:
        return self

    def __next__(self) -> Piece:
        return Piece(next(self._reply), self.expression)

    def read(self) -> str:
        """Wait for the end; returns the whole answer."""
        return self._reply.read()

    def cancel(self) -> None:
        """Stop as soon as possible, also in the middle of the prompt."""
        self._reply.cancel()

    def close(self) -> None:
        """Cancel, and wait until the next reply may begin (milliseconds)."""
        self._reply.close()

    @property
    def trace(self) -> Trace:
        """What conditions it. Where old turns have to leave the context for it, that is in there from the first piece on."""
        return replace(self._trace, prompt=self._told()) if self._told is not None else self._trace

    @property
    def text(self) -> str:
        """The answer so far."""
        return self._reply.text

    @property
    def stats(self) -> ReplyStats:
        """What it cost so far."""
        return self._reply.stats


class AsyncCompanionReply(AsyncIterator[Piece]):
    """The same for `async for`. Reading the text and building the prompt run in a thread too: errors come at the first piece."""

    def __init__(self, start: Callable[[], CompanionReply]) -> None:
        """Made by `Companion.areply`."""
        self._start = start
        self._starting: asyncio.Future[None] | None = None
        self._reply: CompanionReply | None = None
        self._pieces: AsyncReply | None = None
        self._cancelled = False

    def _begin(self) -> None:
        reply = self._start()
        self._pieces = AsyncReply(reply._reply)
        self._reply = reply
        if self._cancelled:
            reply.cancel()

    def __aiter__(self) -> AsyncCompanionReply:
        return self

    async def __anext__(self) -> Piece:
        if self._starting is None:
            self._starting = asyncio.get_running_loop().run_in_executor(None, self._begin)
        try:
            await asyncio.shield(self._starting)  # a thread cannot be cancelled: what it has begun must be seen, to be stopped
        except asyncio.CancelledError:
            self.cancel()
            raise
        assert self._pieces is not None and self._reply is not None
        return Piece(await self._pieces.__anext__(), self._reply.expression)

    async def aclose(self) -> None:
        """Cancel, and wait until the next reply may begin."""
        self.cancel()
        if self._starting is not None:
            await asyncio.gather(asyncio.shield(self._starting), return_exceptions=True)
        if self._pieces is not None:
            await self._pieces.aclose()

    def cancel(self) -> None:
        """Stop as soon as possible; may be called from any thread, also before the first piece."""
        self._cancelled = True
        if self._reply is not None:
            self._reply.cancel()

    @property
    def trace(self) -> Trace | None:
        """The prompt's parts; None before the first piece."""
        return self._reply.trace if self._reply is not None else None

    @property
    def text(self) -> str:
        """The answer so far."""
        return self._reply.text if self._reply is not None else ""

    @property
    def stats(self) -> ReplyStats | None:
        """What it cost so far; None before the first piece."""
        return self._reply.stats if self._reply is not None else None
