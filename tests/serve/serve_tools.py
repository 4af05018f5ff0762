"""What the tests of the server use: raw HTTP, waiting for a state, requests that take long."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from typing import Any

from affectrt.serve.kept import _key

MODEL = "smollm2-135m"
ENDLESS = {"temperature": 5.0, "top_p": 1.0, "top_k": 0, "repeat_penalty": 1.0, "max_tokens": 1500}
"""So hot that the model practically never finds the end of its answer: it goes on until the context is full."""


def ask(text: str = "Hello!", **more: Any) -> dict[str, Any]:
    """The body of a chat request."""
    return {"model": MODEL, "messages": [{"role": "user", "content": text}], "max_tokens": 8, "temperature": 0, **more}


def endless(text: str = "Tell me a story.") -> dict[str, Any]:
    return ask(text) | ENDLESS


def connect(server: Any) -> socket.socket:
    host, port = server.url.split("/")[2].rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=60)


def head(method: str, path: str, headers: dict[str, str]) -> bytes:
    return "".join([f"{method} {path} HTTP/1.1\r\n", *(f"{name}: {value}\r\n" for name, value in headers.items()), "\r\n"]).encode(
        "latin-1"
    )


def post(path: str, body: bytes, **headers: str) -> bytes:
    """The bytes of a request; `Host` and so on can be given, with _ for -."""
    named = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
    named.update({name.replace("_", "-"): value for name, value in headers.items()})
    return head("POST", path, {name: value for name, value in named.items() if value}) + body


def exchange(server: Any, data: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send these bytes, read until the server closes: status, headers, body. (0, {}, b"") if it closes without an answer."""
    with connect(server) as connection:
        connection.sendall(data)
        return answer(connection)


def answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    data = bytearray()
    try:
        while chunk := connection.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    if not data:
        return 0, {}, b""
    first, _, body = bytes(data).partition(b"\r\n\r\n")
    lines = first.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return int(lines[0].split()[1]), headers, body


def chat(server: Any, body: Any, path: str = "/v1/chat/completions", **headers: str) -> tuple[int, dict[str, Any]]:
    """Post JSON, or bytes as they are: the status and the JSON of the answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, _, text = exchange(server, post(path, data, **headers))
    return status, json.loads(text)


def until(what: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for something that takes milliseconds, on a machine that may be busy."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.005)


def finishes(server: Any) -> list[str]:
    """How the last replies of the conversations that are kept ended, oldest first; "" where nothing had been said."""
    kept = server._service.kept._kept
    # Under what was said in it by the end, its last answer included: so it was over when it was put by.
    assert all(_key(conversation.system, conversation.turns) == key for key, (conversation, _) in kept.items())
    return [conversation.turns[-1].finish if conversation.turns else "" for conversation, _ in kept.values()]
