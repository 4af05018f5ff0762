"""How many work at once, how many may wait, and what the others are told."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import AsyncIterator

from affectrt.serve.errors import overloaded


class Gate:
    """Places for so many at once, in one event loop: first come, first served. Leaving while one waits costs nobody a place."""

    def __init__(self, running: int, waiting: int, patience_s: float) -> None:
        self._running, self._free = running, running
        self._most_waiting, self._patience_s = waiting, patience_s
        self._queue: deque[asyncio.Future[None]] = deque()
        self._mean_s = 2.0
        """How long a place is held, the last dozen or so."""

    @property
    def running(self) -> int:
        """How many are inside."""
        return self._running - self._free

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._queue)

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a place, and hold it for the body.

        Raises:
            ApiError: 503: too many wait, or none came free for too long.
        """
        await self._enter()
        since = time.monotonic()
        try:
            yield
        finally:
            self._mean_s += (time.monotonic() - since - self._mean_s) / 8
            self._pass_on()

    async def _enter(self) -> None:
        if self._free:  # then nobody waits
            self._free -= 1
            return
        if len(self._queue) >= self._most_waiting:
            raise overloaded(f"{self.running} requests are being served and {self.waiting} wait: come again", self._retry_after_s())
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(mine)
        try:
            await asyncio.wait({mine}, timeout=self._patience_s)
        except BaseException:
            self._leave(mine)
            raise
        if not mine.done():
            self._leave(mine)
            raise overloaded(f"no turn came within {self._patience_s:g} s: come again", self._retry_after_s())

    def _leave(self, mine: asyncio.Future[None]) -> None:
        if mine.done():  # its turn came at the very moment it left
            self._pass_on()
        else:
            self._queue.remove(mine)

    def _pass_on(self) -> None:
        if self._queue:
            self._queue.popleft().set_result(None)
        else:
            self._free += 1

    def _retry_after_s(self) -> int:
        return min(60, max(1, math.ceil(self._mean_s * (self.waiting + 1) / self._running)))
