"""`POST /v1/embeddings` and, beyond OpenAI's interface, `POST /v1/affect/text`."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from affectrt.expression import NEUTRAL, Expression, answer_to, expression_of
from affectrt.perception import UNKNOWN, TextEmbedding, TextEmotion, TextObservation
from affectrt.serve.chat import check_model
from affectrt.serve.errors import ApiError
from affectrt.serve.fields import Fields, check_readable, invalid
from affectrt.serve.settings import Limits
from affectrt.serve.web import Receive, Scope, Send, read_json, send_json, while_connected

if TYPE_CHECKING:
    from affectrt.serve.service import Service


class Embeddings:
    """The endpoint, as an ASGI application."""

    def __init__(self, service: Service, embedding: TextEmbedding) -> None:
        self._service, self._embedding = service, embedding

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        body = await read_json(receive, self._service.limits)
        members = Fields(body)
        check_model(members, self._embedding.pack.name)
        texts = _input(members.any("input"), self._service.limits)
        form = members.of("encoding_format", str) or "float"
        if form not in ("float", "base64"):
            raise invalid("encoding_format", '"float" or "base64"', form)
        size = members.of("dimensions", int)
        if size is not None and size != self._embedding.dimensions:
            raise invalid("dimensions", f"{self._embedding.dimensions}, as this model has", size)
        members.of("user", str)
        members.done()
        await while_connected(receive, self._answer(texts, form, send))

    async def _answer(self, texts: list[str], form: str, send: Send) -> None:
        data, tokens = await self._service.reading(self._read, texts, form)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        await send_json(send, {"object": "list", "data": data, "model": self._embedding.pack.name, "usage": usage})

    def _read(self, texts: list[str], form: str) -> tuple[list[dict[str, Any]], int]:
        embedding = self._embedding
        for index, truncated in enumerate(embedding.truncates(texts)):
            if truncated:
                raise ApiError(
                    400,
                    f"input[{index}] is longer than this model reads: shorten it, or cut it into parts",
                    param=f"input[{index}]",
                    code="context_length_exceeded",
                )
        data = []
        for index, vector in enumerate(embedding(texts)):
            value = base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii") if form == "base64" else vector.tolist()
            data.append({"object": "embedding", "index": index, "embedding": value})
        return data, sum(embedding.token_count(text) for text in texts)


class AffectOfText:
    """The endpoint, as an ASGI application."""

    def __init__(self, service: Service, text: TextEmotion) -> None:
        self._service, self._text = service, text

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        body = await read_json(receive, self._service.limits)
        members = Fields(body)
        members.only("model", (self._text.pack.name,), "which is served here")
        texts = _input(members.any("input"), self._service.limits)
        members.done()
        await while_connected(receive, self._answer(texts, send))

    async def _answer(self, texts: list[str], send: Send) -> None:
        data = [{"index": index, **affect(one, probabilities=True)} for index, one in enumerate(await self._service.observe(texts))]
        await send_json(send, {"object": "list", "model": self._text.pack.name, "data": data})


def affect(one: TextObservation, *, probabilities: bool = False) -> dict[str, Any]:
    """What a text tells of its writer's feeling, and the face to show them, as JSON."""
    person: dict[str, Any] = {
        "label": one.label,
        "reason": one.reason,
        "confidence": one.confidence,
        "active": list(one.active),
        "valence": one.valence,
        "arousal": one.arousal,
        "dominance": one.dominance,
        "truncated": one.truncated,
    }
    if probabilities:
        person["probs"] = dict(zip(one.labels, one.probs.tolist(), strict=True))
    face = _answer_to(one)
    return {"person": person, "expression": {"name": face.name, "valence": face.valence, "arousal": face.arousal}}


def _answer_to(one: TextObservation) -> Expression:
    if one.label == UNKNOWN:
        return NEUTRAL
    return answer_to(expression_of(one.label, one.valence, one.arousal))


def _input(value: Any, limits: Limits) -> list[str]:
    """The texts of a request, in order."""
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, list) and texts and isinstance(texts[0], (int, list)) and not isinstance(texts[0], bool):
        raise invalid("input", "text: tokens of another model's tokenizer mean nothing to this one", value, "unsupported_content")
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise invalid("input", "a string or a list of strings", value, "invalid_type")
    if not 1 <= len(texts) <= limits.texts:
        raise invalid("input", f"1 to {limits.texts} strings", value)
    return [check_readable(one, f"input[{index}]" if isinstance(value, list) else "input") for index, one in enumerate(texts)]
