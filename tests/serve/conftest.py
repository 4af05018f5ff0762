"""A server with the real models, and OpenAI's real client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from affectrt.dialogue import Dialogue
from affectrt.packs import DEFAULTS, open_pack, pull
from affectrt.perception import TextEmbedding
from affectrt.serve import Limits, Server
from openai import OpenAI


@pytest.fixture(scope="session")
def dialogue() -> Iterator[Dialogue]:
    pull(DEFAULTS["dialogue"])
    with Dialogue(open_pack(DEFAULTS["dialogue"]), threads=1, device="cpu", seed=1) as loaded:
        yield loaded


@pytest.fixture(scope="session")
def embedding() -> TextEmbedding:
    pull("bge-small-en")
    return TextEmbedding("bge-small-en")


@pytest.fixture
def serving(dialogue: Dialogue, text: Any, embedding: TextEmbedding) -> Iterator[Callable[..., Server]]:
    """Start a server with these settings; it ends with the test."""
    started: list[Server] = []

    def start(*, limits: dict[str, Any] | None = None, **settings: Any) -> Server:
        server = Server(dialogue, text=text, embedding=embedding, port=0, limits=Limits(**(limits or {})), **settings)
        started.append(server)
        return server.start()

    yield start
    for server in started:
        server.close()


@pytest.fixture(scope="module")
def server(dialogue: Dialogue, text: Any, embedding: TextEmbedding) -> Iterator[Server]:
    """One for the tests of a file that need no settings of their own."""
    with Server(dialogue, text=text, embedding=embedding, port=0, limits=Limits(header_s=60, kept=32)) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.url, api_key="none", max_retries=0, timeout=120) as opened:
        yield opened
