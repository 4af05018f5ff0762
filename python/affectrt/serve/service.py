"""What all requests share: the models, whose turn it is, what is kept, what is running."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from affectrt.dialogue import Dialogue
from affectrt.perception import TextEmbedding, TextEmotion, TextObservation
from affectrt.serve.errors import stopping
from affectrt.serve.gate import Gate
from affectrt.serve.generation import Generation
from affectrt.serve.kept import KeptConversations
from affectrt.serve.manner import Manner
from affectrt.serve.settings import Limits
from affectrt.serve.texts import affect

T = TypeVar("T")


class Service:
    """For one event loop."""

    def __init__(
        self, dialogue: Dialogue, text: TextEmotion | None, embedding: TextEmbedding | None, limits: Limits, manner: Manner
    ) -> None:
        self.dialogue, self.text, self.embedding, self.limits, self.manner = dialogue, text, embedding, limits, manner
        self.gate = Gate(limits.running, limits.waiting, limits.patience_s)
        self.kept = KeptConversations(dialogue, limits.kept, limits.kept_s)
        self.fingerprint = f"{dialogue.pack.name}-{dialogue.precision}-{dialogue.provider}"
        # Reading a text takes milliseconds; it must not wait for answers that take seconds.
        self._reading = Gate(2, 4 * limits.waiting, limits.patience_s)
        self._running: set[Generation] = set()
        self.stopped = False

    @contextlib.asynccontextmanager
    async def generating(self, generation: Generation) -> AsyncIterator[Generation]:
        """Keep account of a generation while the body runs, and end it whatever happens."""
        self._running.add(generation)
        try:
            yield generation
        finally:
            await generation.close()
            self._running.discard(generation)

    async def reading(self, work: Callable[..., T], *arguments: Any) -> T:
        """Run `work` in a thread when its turn has come."""
        async with self._reading.turn():
            return await asyncio.to_thread(work, *arguments)

    async def read_affect(self, text: str) -> dict[str, Any]:
        """How who wrote `text` seems to feel, as JSON."""
        (observation,) = await self.observe([text])
        return affect(observation)

    async def observe(self, texts: list[str]) -> list[TextObservation]:
        """What the pack reads in texts, and the policy lets count. Raises ConsentError."""
        text = self.text
        assert text is not None
        return [self.manner.judge(one) for one in await self.reading(lambda: text(texts))]

    def check_open(self) -> None:
        """Raises ApiError once the server goes down."""
        if self.stopped:
            raise stopping()

    def stop(self) -> None:
        """End whatever runs: each client is told."""
        self.stopped = True
        for generation in list(self._running):
            generation.abort(stopping())
        self.kept.clear()

    def models(self) -> list[str]:
        """The names of what is served."""
        return [part.pack.name for part in (self.dialogue, self.embedding, self.text) if part is not None]
