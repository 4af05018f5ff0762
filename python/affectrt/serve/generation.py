"""An answer being made, apart from its being sent: a client that reads slowly holds up itself and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from affectrt.dialogue import AsyncReply, Conversation, ReplyStats
from affectrt.errors import EngineError
from affectrt.serve.errors import ApiError
from affectrt.serve.gate import Gate
from affectrt.serve.kept import KeptConversations

Begin = Callable[[Conversation], AsyncReply]


@dataclass(frozen=True, slots=True)
class _End:
    stats: ReplyStats


class Generation:
    """Waits for its turn, makes the answer, and is over; what it made waits for whoever reads it.

    In a task of its own. `close` it whatever happens.
    """

    def __init__(self, gate: Gate, kept: KeptConversations, take: Callable[[], Conversation], begin: Begin) -> None:
        """Start.

        Args:
            gate: Whose turn it is.
            kept: Where the conversation goes afterwards.
            take: Gets the conversation; called in the event loop.
            begin: Starts the reply; called in a thread, as it tokenizes the prompt.
        """
        self._gate, self._kept, self._take, self._begin = gate, kept, take, begin
        self._events: asyncio.Queue[str | _End | ApiError] = asyncio.Queue()
        self._begun: asyncio.Future[ReplyStats] = asyncio.get_running_loop().create_future()
        self._aborted: ApiError | None = None
        self._stats: ReplyStats | None = None
        self._task = asyncio.create_task(self._run())

    async def begun(self) -> ReplyStats:
        """Wait until its turn has come and the prompt is ready.

        Raises:
            ApiError: The server is overloaded, or the conversation is not one that the model can answer.
        """
        return await asyncio.shield(self._begun)

    async def pieces(self) -> AsyncIterator[str]:
        """The answer as it comes.

        Raises:
            ApiError: The model failed, or the server goes down.
        """
        while True:
            event = await self._events.get()
            if isinstance(event, ApiError):
                raise event
            if isinstance(event, _End):
                self._stats = event.stats
                return
            yield event

    @property
    def stats(self) -> ReplyStats:
        """What it cost; there once the pieces have ended."""
        assert self._stats is not None
        return self._stats

    def abort(self, error: ApiError) -> None:
        """Stop as soon as possible; whoever reads gets `error`."""
        self._aborted = error
        self._task.cancel()

    async def close(self) -> None:
        """Stop, and wait until the model is free of it (milliseconds)."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._begun.done() and not self._begun.cancelled():
            self._begun.exception()  # was told, or nobody is left to hear it

    async def _run(self) -> None:
        try:
            async with self._gate.turn():
                stats = await self._answer()
            self._events.put_nowait(_End(stats))
        except asyncio.CancelledError:
            if self._aborted is None:
                raise
            self._fail(self._aborted)
        except ApiError as error:
            self._fail(error)
        except EngineError as error:
            self._fail(ApiError(500, f"the language model failed: {error}", code="engine_error", kind="server_error"))
        except Exception as error:
            self._fail(error)

    async def _answer(self) -> ReplyStats:
        conversation = self._take()
        try:
            reply = await asyncio.to_thread(self._begin, conversation)
        except ValueError as error:  # all else was looked at before: it is too long
            raise ApiError(400, str(error), param="messages", code="context_length_exceeded") from None
        try:
            self._begun.set_result(reply.stats)
            async for piece in reply:
                self._events.put_nowait(piece)
        finally:
            await reply.aclose()
            self._kept.keep(conversation)
        return reply.stats

    def _fail(self, error: Exception) -> None:
        if not self._begun.done():
            self._begun.set_exception(error)
        told = error if isinstance(error, ApiError) else ApiError(500, "the server failed; its log says where", kind="server_error")
        self._events.put_nowait(told)
