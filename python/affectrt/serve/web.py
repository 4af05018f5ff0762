"""Bytes of HTTP: bodies in, JSON and events out, and a client that leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any, TypeVar

from affectrt.serve.errors import ApiError
from affectrt.serve.fields import parse
from affectrt.serve.settings import Limits

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

T = TypeVar("T")


class ClientLeftError(Exception):
    """Nobody is left to answer."""


async def read_json(receive: Receive, limits: Limits) -> Any:
    """The body of a request.

    Raises:
        ApiError: It is too long, too slow, or no JSON.
        ClientLeftError: The client left meanwhile.
    """
    try:
        data = await asyncio.wait_for(_body(receive, limits.body_bytes), limits.body_s)
    except asyncio.TimeoutError:
        raise ApiError(408, f"the body did not come within {limits.body_s:g} s", code="timeout") from None
    return parse(data)


async def _body(receive: Receive, most: int) -> bytes:
    data = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeftError
        data += message.get("body", b"")
        if len(data) > most:
            raise ApiError(413, f"the body must have at most {most} bytes", code="request_too_large")
        if not message.get("more_body", False):
            return bytes(data)


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives, unless the client leaves first: then `work` is cancelled and has ended when this raises.

    Raises:
        ClientLeftError: It left.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_left(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientLeftError
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def encode(value: Any) -> bytes:
    """JSON in ASCII: whatever a client made us say goes out as valid UTF-8."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")


async def send_json(send: Send, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
    """A whole answer."""
    data = encode(value)
    named = {"content-type": "application/json", "content-length": str(len(data)), "cache-control": "no-store", **(headers or {})}
    await send({"type": "http.response.start", "status": status, "headers": [(k.lower().encode(), v.encode()) for k, v in named.items()]})
    await send({"type": "http.response.body", "body": data})


class EventStream:
    """Server-sent events."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def open(self) -> None:
        """The head of the answer."""
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def event(self, value: Any) -> None:
        """One event."""
        await self._send({"type": "http.response.body", "body": b"data: " + encode(value) + b"\n\n", "more_body": True})

    async def close(self) -> None:
        """The end, as OpenAI marks it."""
        await self._send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})
