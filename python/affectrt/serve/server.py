"""uvicorn around the application: one socket, clients that dawdle, an end that keeps nobody waiting."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from affectrt.dialogue import Dialogue
from affectrt.dialogue.guard import CrisisHook
from affectrt.dialogue.persona import Persona, find_persona
from affectrt.perception import TextEmbedding, TextEmotion
from affectrt.policy import Policy
from affectrt.serve.application import application
from affectrt.serve.manner import Manner
from affectrt.serve.service import Service
from affectrt.serve.settings import Limits, check_token, resolve

_HEAD_BYTES = 32 << 10
_GRACE_S = 5


class Server:
    """Serves a Dialogue, and what else is given, over HTTP in the manner of OpenAI's interface.

    `run` serves in this thread until a signal; `start` (or `with`) in a thread of its own until `close`. The models stay the caller's.
    """

    def __init__(
        self,
        dialogue: Dialogue,
        *,
        text: TextEmotion | None = None,
        embedding: TextEmbedding | None = None,
        host: str = "127.0.0.1",
        port: int = 8080,
        token: str | None = None,
        names: Iterable[str] = (),
        limits: Limits | None = None,
        persona: str | Persona | None = None,
        policy: Policy | None = None,
        on_crisis: CrisisHook | None = None,
    ) -> None:
        """Open the socket; connections are taken once it runs.

        Args:
            dialogue: What answers.
            text: For `/v1/affect/text` and the field `affect` of answers; None: there are none.
            embedding: For `/v1/embeddings`; None: there are none.
            host: An address of this machine. Other than a loopback address it needs a token.
            port: 0 takes a free one; see `url`.
            token: What clients give as their API key; at least 16 visible ASCII characters. None asks for none.
            names: Host names under which clients may ask for it, beside its addresses and localhost.
            limits: Sizes and times.
            persona: Who answers: a name or a description, as `Companion` takes it. It stands before the clients' own system messages.
                None: those alone.
            policy: Guards every answer, as `Companion` does: words of a crisis are answered without the model, claims to feel or to be
                human become what it says, answers begin with "I am a machine" as often as it says. `text` and `embedding` ask their own
                policy for consent. None: nothing of that.
            on_crisis: Decides what happens with words of a crisis, as `Guard` takes it; called in a thread. Only with a policy.

        Raises:
            TypeError, ValueError: An argument is of another type or out of range, or a token is missing.
            OSError: The address cannot be had.
        """
        family, address = resolve(host, port, check_token(token))
        manner = Manner(find_persona(persona) if persona is not None else None, policy, on_crisis)
        self._service = Service(dialogue, text, embedding, limits or Limits(), manner)
        app = application(self._service, token=token, names=names)
        limits = self._service.limits
        config = uvicorn.Config(
            app,
            http=type("Protocol", (_Protocol,), {"limits": limits}),
            ws="none",
            loop="asyncio",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level=logging.CRITICAL,  # its tracebacks could hold what was said; `affectrt.serve` logs what went wrong
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=limits.connections,
            timeout_keep_alive=limits.keep_alive_s,
            timeout_graceful_shutdown=_GRACE_S,
            h11_max_incomplete_event_size=_HEAD_BYTES,
        )
        self._socket = socket.create_server((address, port), family=family, backlog=limits.connections)
        bound, self._port = self._socket.getsockname()[:2]
        self._host = f"[{bound}]" if ":" in bound else bound
        self._uvicorn = _Uvicorn(config, self._service)
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it is, for a client's `base_url`: "http://127.0.0.1:8080/v1"."""
        return f"http://{self._host}:{self._port}/v1"

    @property
    def busy(self) -> tuple[int, int]:
        """How many answers are being made, and how many requests wait for their turn."""
        return self._service.gate.running, self._service.gate.waiting

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM, which is raised again afterwards."""
        self._uvicorn.run(sockets=[self._socket])

    def start(self) -> Server:
        """Serve in a thread; returns when connections are taken.

        Raises:
            RuntimeError: It was started before.
        """
        if self._thread is not None:
            raise RuntimeError("this server was started before")
        self._thread = threading.Thread(target=self._uvicorn.run, kwargs={"sockets": [self._socket]}, name="affectrt-serve")
        self._thread.start()
        if not self._uvicorn.up.wait(timeout=30) or not self._thread.is_alive():
            raise RuntimeError("the server did not start")
        return self

    def close(self) -> None:
        """End whatever runs, and the socket."""
        self._uvicorn.should_exit = True
        if self._thread is not None:
            self._thread.join()
        self._socket.close()

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class _Uvicorn(uvicorn.Server):  # type: ignore[misc]
    """Ends answers that are being made before it waits for their clients."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self.up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.up.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._service.stop()
        await super().shutdown(sockets=sockets)
        for connection in list(self.server_state.connections):  # of clients that do not read: closing would wait for them
            connection.transport.abort()


class _Protocol(H11Protocol):  # type: ignore[misc]
    """Has patience with clients, and an end to it: uvicorn itself waits for ever for a head that does not come or an answer not read."""

    limits: Limits
    _late: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._no_longer_late()
        self._no_longer_stalled()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._abort_later()

    def resume_writing(self) -> None:
        self._no_longer_stalled()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._abort_later()  # closing waits for what is not yet written

    def _watch(self) -> None:
        """Counts from the first byte of a head, or from the connection; a request that has begun has its own times."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._no_longer_late()
        elif self._late is None:
            self._late = self.loop.call_later(self.limits.header_s, self.transport.abort)

    def _abort_later(self) -> None:
        if self._stalled is None:
            self._stalled = self.loop.call_later(self.limits.write_s, self.transport.abort)

    def _no_longer_late(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _no_longer_stalled(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
