"""Who may come in: the Host header, the origin, the token. And what is told of it: a status and a line in the log, never what was said."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable

from starlette.exceptions import HTTPException

from affectrt.errors import PolicyError
from affectrt.serve.errors import ApiError
from affectrt.serve.service import Service
from affectrt.serve.web import ClientLeftError, Message, Receive, Scope, Send, send_json

App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEALTH = "/healthz"
_DRAIN_BYTES, _DRAIN_S = 8 << 20, 5.0

log = logging.getLogger("affectrt.serve")
log.addHandler(logging.NullHandler())


class Doors:
    """Stands before the application; whatever goes wrong behind it becomes an answer here."""

    def __init__(self, app: App, service: Service, *, token: str | None, names: Iterable[str], paths: Iterable[str]) -> None:
        """Make one.

        Args:
            app: What is behind.
            service: For whether it still serves.
            token: What every request but `/healthz` must carry; None: nothing.
            names: Host names, beside addresses and localhost, under which the server may be asked for.
            paths: Those that the log may name.
        """
        self._app, self._service = app, service
        self._token = _digest(token.encode()) if token is not None else None
        self._names = frozenset({"localhost", *(name.lower().rstrip(".") for name in names)})
        self._paths = frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        began = time.monotonic()
        request = _Request(receive, send)
        try:
            self._check(scope)
            await self._app(scope, request.receive, request.send)
        except ApiError as error:
            await request.refuse(error)
        except HTTPException as error:  # the router's
            what = f"{scope['method'][:16]} {scope['path'][:80]!a}"
            known = f"; known: {', '.join(sorted(self._paths))}" if error.status_code == 404 else ""
            message = f"{what}: {error.detail.lower()}{known}"
            await request.refuse(ApiError(error.status_code, message, code="unknown_url", headers=dict(error.headers or {})))
        except PolicyError as error:  # says what may not be done, and nothing of what was said
            await request.refuse(ApiError(403, str(error), code="forbidden_by_policy"))
        except ClientLeftError:
            request.status = request.status or 499
        except Exception as error:
            # Neither the client nor the log gets the error's text: it may hold what was said.
            place = traceback.extract_tb(error.__traceback__)[-1]
            log.error("unexpected %s at %s:%d (a bug in affectrt)", type(error).__name__, place.filename, place.lineno or 0)
            await request.refuse(ApiError(500, "the server failed; its log says where", kind="server_error"))
        finally:
            path = scope["path"] if scope["path"] in self._paths else "(another path)"
            log.info("%s %s %s %.0f ms", scope["method"][:16], path, request.status or 499, (time.monotonic() - began) * 1e3)

    def _check(self, scope: Scope) -> None:
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, []).append(value)
        host = self._check_host(headers.get(b"host", []))
        # A page that a browser has from elsewhere sends its origin along.
        for origin in headers.get(b"origin", []):
            if origin.lower().partition(b"://")[2] != host:
                raise ApiError(403, f"this server is not for pages of other origins, got {_ascii(origin)}", code="forbidden_origin")
        if scope["path"] == HEALTH:
            return
        if self._token is not None:
            self._check_token(headers.get(b"authorization", []))
        self._service.check_open()
        if scope["method"] == "POST":
            # Anything else a page of another origin could send without asking.
            kinds = [value.partition(b";")[0].strip().lower() for value in headers.get(b"content-type", [])]
            if kinds != [b"application/json"]:
                got = _ascii(b", ".join(kinds)) if kinds else "none"
                raise ApiError(415, f"Content-Type: expected application/json, got {got}", code="unsupported_media_type")

    def _check_host(self, values: list[bytes]) -> bytes:
        """Against DNS rebinding: a page's own name that was made to lead here is none of ours."""
        host = values[0].strip().lower() if len(values) == 1 else b""
        name = host.decode("latin-1")
        name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
        if name.rstrip(".") not in self._names:
            try:
                ipaddress.ip_address(name)
            except ValueError:
                got = " and ".join(_ascii(value) for value in values) or "none"
                raise ApiError(
                    403,
                    f"Host: expected an address, {' or '.join(sorted(self._names))}, got {got} (--allow-host adds names)",
                    code="forbidden_host",
                ) from None
        return host

    def _check_token(self, values: list[bytes]) -> None:
        kind, _, token = values[0].partition(b" ") if len(values) == 1 else (b"", b"", b"")
        # Digests, so that the time tells nothing, not even the length.
        if not hmac.compare_digest(_digest(token.strip()), self._token or b"") or kind.lower() != b"bearer":
            raise ApiError(
                401,
                f"expected the header Authorization: Bearer TOKEN, got {'another token' if values else 'none'}",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )


class _Request:
    """Remembers how far a request has come."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._read = False
        self._gone = False
        self.status = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self._gone = self._gone or message["type"] == "http.disconnect"
        self._read = self._read or self._gone or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)

    async def refuse(self, error: ApiError) -> None:
        if self.status:  # too late to say so
            return
        if error.status != 408:  # then it was waited for long enough
            await self._drain()
        if not self._gone:
            headers = error.headers if self._read else {**error.headers, "Connection": "close"}
            await send_json(self.send, error.body, error.status, headers)

    async def _drain(self) -> None:
        """Take in the rest of the body: who is answered while still sending often never reads the answer."""

        async def rest() -> None:
            size = 0
            while not self._read and size <= _DRAIN_BYTES:
                size += len((await self.receive()).get("body", b""))

        try:
            await asyncio.wait_for(rest(), _DRAIN_S)
        except asyncio.TimeoutError:
            return


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _ascii(value: bytes) -> str:
    return ascii(value[:80].decode("latin-1"))
