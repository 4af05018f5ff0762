"""The routes."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from starlette.routing import Route, Router

from affectrt.serve.chat import Chat
from affectrt.serve.doors import HEALTH, App, Doors
from affectrt.serve.service import Service
from affectrt.serve.texts import AffectOfText, Embeddings
from affectrt.serve.web import Receive, Scope, Send, send_json


def application(service: Service, *, token: str | None = None, names: Iterable[str] = ()) -> App:
    """The whole as an ASGI application.

    Args:
        service: What it serves.
        token: See `Doors`.
        names: See `Doors`.
    """
    routes = [
        Route(HEALTH, _Said({"status": "ok"}), methods=["GET"]),
        Route("/v1/models", _Said(_models(service)), methods=["GET"]),
        *(Route(f"/v1/models/{model['id']}", _Said(model), methods=["GET"]) for model in _models(service)["data"]),
        Route("/v1/chat/completions", Chat(service), methods=["POST"]),
    ]
    if service.embedding is not None:
        routes.append(Route("/v1/embeddings", Embeddings(service, service.embedding), methods=["POST"]))
    if service.text is not None:
        routes.append(Route("/v1/affect/text", AffectOfText(service, service.text), methods=["POST"]))
    router = Router(routes, redirect_slashes=False)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = app  # so that the router raises what it refuses instead of answering itself
        await router(scope, receive, send)

    return Doors(app, service, token=token, names=names, paths=[route.path for route in routes])


def _models(service: Service) -> dict[str, Any]:
    now = int(time.time())
    return {"object": "list", "data": [{"id": n, "object": "model", "created": now, "owned_by": "affectrt"} for n in service.models()]}


class _Said:
    """An endpoint that always says the same."""

    def __init__(self, value: Any) -> None:
        self._value = value

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, self._value)
