"""`POST /v1/chat/completions`."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from affectrt.dialogue import AsyncReply, Conversation, Dialogue, ReplyStats, Sampling
from affectrt.dialogue.grammar import Grammar, structured
from affectrt.serve.errors import ApiError
from affectrt.serve.fields import Fields, check_readable, invalid
from affectrt.serve.forms import read_form
from affectrt.serve.generation import Generation
from affectrt.serve.manner import FILTERED, ServedReply, SpokenReply
from affectrt.serve.messages import Talk, read_messages
from affectrt.serve.settings import Limits
from affectrt.serve.web import EventStream, Receive, Scope, Send, read_json, send_json, while_connected

if TYPE_CHECKING:
    from affectrt.serve.service import Service

_FINISH = {
    "stop": "stop",
    "stop_string": "stop",
    "length": "length",
    "context": "length",
    "spoken": "stop",
    FILTERED: "content_filter",
}
_MOST_STOPS = 4
AFFECT_HEADER = b"x-affect"


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a client asks for."""

    talk: Talk
    sampling: Sampling
    grammar: Grammar | None
    seed: int | None
    stream: bool
    usage: bool
    """Whether a stream ends with what it cost."""
    affect: bool
    """Whether the answer also tells how the user seems to feel."""

    @classmethod
    def read(cls, body: Any, dialogue: Dialogue, limits: Limits, *, affect: bool = False) -> ChatRequest:
        """Read the body.

        Args:
            body: JSON.
            dialogue: Whose name `model` must be, and whose settings hold where the request brings none.
            limits: How many messages.
            affect: Whether a header asked for it.

        Raises:
            ApiError: Naming the first member that cannot be served as it was meant.
        """
        members = Fields(body)
        check_model(members, dialogue.pack.name)
        talk = read_messages(members.any("messages"), limits.messages)
        grammar = read_form(members.of("response_format", dict))
        sampling = _sampling(members, dialogue.sampling if grammar is None else structured(dialogue.sampling))
        seed = members.of("seed", int)
        if seed is not None and not 0 <= seed < 2**32 - 1:
            raise invalid("seed", "an integer in [0, 2**32 - 2]", seed)
        stream = bool(members.of("stream", bool))
        usage = _include_usage(members.of("stream_options", dict), stream)
        asked = members.of("affect", bool)
        _refuse_what_is_not_here(members)
        members.done()
        return cls(talk, sampling, grammar, seed, stream, usage, affect if asked is None else asked)


def check_model(members: Fields, name: str) -> None:
    """Raises ApiError where `model` is not the one that is served."""
    model = members.of("model", str, required=True)
    if model != name:
        raise ApiError(404, f"model: expected {name}, which is served here, got {model[:80]!a}", param="model", code="model_not_found")


def _sampling(members: Fields, default: Sampling) -> Sampling:
    wanted: dict[str, Any] = {
        name: members.of(name, float)
        for name in ("temperature", "top_p", "min_p", "repeat_penalty")  # the last two are our own
    }
    wanted["top_k"] = members.of("top_k", int)
    old, new = members.of("max_tokens", int), members.of("max_completion_tokens", int)
    if old is not None and new is not None and old != new:
        raise invalid("max_tokens", f"the same as max_completion_tokens ({new})", old)
    wanted["max_tokens"] = new if new is not None else old
    sampling = default
    for name, value in wanted.items():
        if value is None:
            continue
        named = "max_completion_tokens" if name == "max_tokens" and new is not None else name
        try:
            sampling = replace(sampling, **{name: value})
        except (ValueError, OverflowError) as error:
            raise ApiError(400, str(error).replace(name, named, 1), param=named, code="invalid_value") from None
    stop = _stop(members.any("stop"))
    return sampling if stop is None else replace(sampling, stop=stop)


def _stop(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    stops = [value] if isinstance(value, str) else value
    if not isinstance(stops, list) or not all(isinstance(one, str) for one in stops):
        raise invalid("stop", "a string or a list of strings", value, "invalid_type")
    if len(stops) > _MOST_STOPS:
        raise invalid("stop", f"at most {_MOST_STOPS} strings", value)
    if not all(stops):
        raise invalid("stop", "strings of at least one character", "")
    return tuple(check_readable(one, "stop", blank=True) for one in stops)


def _include_usage(value: Any, stream: bool) -> bool:
    if value is None:
        return False
    if not stream:
        raise ApiError(400, "stream_options: only with stream = true", param="stream_options", code="invalid_value")
    options = Fields(value, "stream_options")
    usage = options.of("include_usage", bool)
    options.only("include_obfuscation", (False,), "nothing is padded here")
    options.done()
    return bool(usage)


def _refuse_what_is_not_here(members: Fields) -> None:
    """Parameters of OpenAI's that change an answer are taken only where they change nothing."""
    members.only("n", (1,), "one answer a request")
    members.only("logprobs", (False,), "probabilities are not told")
    members.only("top_logprobs", (0,), "probabilities are not told")
    members.only("logit_bias", ({},), "not here")
    for name in ("presence_penalty", "frequency_penalty"):
        members.only(name, (0, 0.0), "repeat_penalty is what this engine has")
    for name in ("tools", "functions"):
        members.only(name, ([],), "there are no tools here")
    members.only("tool_choice", ("none", "auto"), "there are no tools here")
    members.only("function_call", ("none", "auto"), "there are no tools here")
    members.only("modalities", (["text"],), "text only")
    members.only("store", (False,), "nothing is stored here")
    members.only("audio", (), "text only")
    members.only("prediction", (), "not here")
    members.only("reasoning_effort", ("none",), "these models do not reason first")
    members.only("web_search_options", (), "nothing leaves this device")
    # What says something about the caller, or how fast or how dear it may be, and nothing about the answer.
    for name in ("user", "safety_identifier", "prompt_cache_key"):
        members.of(name, str)
    members.of("metadata", dict)
    members.only("service_tier", ("auto", "default"), "there is one tier")
    members.of("parallel_tool_calls", bool)


class Chat:
    """The endpoint, as an ASGI application."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        service = self._service
        body = await read_json(receive, service.limits)
        # In a thread: a large schema takes its time to become a grammar.
        request = await asyncio.to_thread(ChatRequest.read, body, service.dialogue, service.limits, affect=_asked(scope))
        if request.affect and service.text is None:
            raise ApiError(400, "affect: this server has no pack for emotions of text", param="affect", code="unsupported_parameter")
        if request.grammar is not None and service.manner.policy is not None:
            raise ApiError(
                400,
                "response_format: expected text: this server guards its answers, which may then hold other words than the model's",
                param="response_format",
                code="unsupported_parameter",
            )
        await while_connected(receive, self._answer(request, send))

    async def _answer(self, request: ChatRequest, send: Send) -> None:
        service = self._service
        heard = await asyncio.to_thread(service.manner.hear, request.talk)
        affect = await service.read_affect(request.talk.text) if request.affect else None
        if heard.decision.action != "go":
            await self._send(request, send, SpokenReply(heard.decision), affect)
            return
        talk = heard.talk
        shown: list[ServedReply] = []

        def begin(conversation: Conversation) -> AsyncReply:
            reply = conversation.reply(talk.text, note=talk.note, sampling=request.sampling, seed=request.seed, grammar=request.grammar)
            if heard.guard is None:
                return AsyncReply(reply)
            shown.append(ServedReply(reply, conversation, heard))
            return AsyncReply(shown[0])

        async with service.generating(Generation(service.gate, service.kept, lambda: service.kept.take(talk), begin)) as made:
            await made.begun()
            await self._send(request, send, _Made(made, shown), affect)

    async def _send(self, request: ChatRequest, send: Send, made: _Answer, affect: dict[str, Any] | None) -> None:
        service = self._service
        head: dict[str, Any] = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "object": "chat.completion.chunk" if request.stream else "chat.completion",
            "created": int(time.time()),
            "model": service.dialogue.pack.name,
            "system_fingerprint": service.fingerprint,
        }
        if request.stream:
            await _stream(EventStream(send), head, made, request.usage, affect)
            return
        text = "".join([piece async for piece in made.pieces()])
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": None},
            "logprobs": None,
            "finish_reason": _finish(made.stats),
        }
        more = {"affect": affect} if affect is not None else {}
        await send_json(send, {**head, "choices": [choice], "usage": _usage(made.stats), **_ours(made), **more})


class _Answer(Protocol):
    """What is sent: a model's answer, or the guard's."""

    def pieces(self) -> AsyncIterator[str]: ...
    @property
    def stats(self) -> ReplyStats: ...
    @property
    def told(self) -> dict[str, Any] | None: ...


class _Made:
    """A generation, and the guard round it, if there is one."""

    def __init__(self, generation: Generation, shown: Sequence[ServedReply]) -> None:
        self.pieces, self._generation, self._shown = generation.pieces, generation, shown

    @property
    def stats(self) -> ReplyStats:
        return self._generation.stats

    @property
    def told(self) -> dict[str, Any] | None:
        return self._shown[0].told if self._shown else None


async def _stream(events: EventStream, head: dict[str, Any], made: _Answer, usage: bool, affect: dict[str, Any] | None) -> None:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**head, "choices": [choice], **({"usage": None} if usage else {})}

    await events.open()
    await events.event({**chunk({"role": "assistant", "content": ""}), **({"affect": affect} if affect is not None else {})})
    try:
        async for piece in made.pieces():
            await events.event(chunk({"content": piece}))
        await events.event({**chunk({}, _finish(made.stats)), **_ours(made)})
        if usage:
            await events.event({**head, "choices": [], "usage": _usage(made.stats)})
    except ApiError as error:  # the head is out: clients read errors among the events too
        await events.event(error.body)
    await events.close()


def _finish(stats: ReplyStats) -> str:
    if stats.finish not in _FINISH:  # "grammar": none of the model's tokens fits
        raise ApiError(500, f"the answer has come to no end: it ended with {stats.finish!r}", code=stats.finish, kind="server_error")
    return _FINISH[stats.finish]


def _usage(stats: ReplyStats) -> dict[str, Any]:
    return {
        "prompt_tokens": stats.prompt_tokens,
        "completion_tokens": stats.generated_tokens,
        "total_tokens": stats.prompt_tokens + stats.generated_tokens,
        "prompt_tokens_details": {"cached_tokens": stats.cached_tokens},
    }


def _ours(made: _Answer) -> dict[str, Any]:
    """What clients of OpenAI do not expect, and may want to know: old turns that the context had no room for, what the guard did."""
    guard = {"guard": made.told} if made.told is not None else {}
    return {"affectrt": {"seed": made.stats.seed, "dropped_turns": made.stats.dropped_turns, **guard}}


def _asked(scope: Scope) -> bool:
    """Whether the header X-Affect asks for the user's feeling."""
    values = [value.strip().lower() for name, value in scope["headers"] if name == AFFECT_HEADER]
    if any(value not in (b"1", b"true", b"0", b"false") for value in values):
        raise ApiError(400, "header X-Affect: expected 1 or 0", param="X-Affect", code="invalid_value")
    return any(value in (b"1", b"true") for value in values)
