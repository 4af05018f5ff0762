"""OpenAI's list of messages as a conversation of ours: who the model is, what was said, what is said now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from affectrt.dialogue import Turn
from affectrt.serve.errors import ApiError
from affectrt.serve.fields import Fields, check_readable, invalid, shown

_ROLES = ("system", "developer", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation that waits for an answer."""

    system: str | None
    turns: tuple[Turn, ...]
    text: str
    """What the user says now."""
    note: str | None
    """What a system message said in between, just before it."""


def read_messages(value: object, most: int) -> Talk:
    """Take the list apart.

    System messages at the front become the system message, one that comes later the note of the user's next words: a template has one
    system message, and it stands first. Several messages of one role in a row are one, with an empty line between.

    Raises:
        ApiError: It is not a list of messages, or not a conversation that a chat template can show.
    """
    if not isinstance(value, list):
        raise invalid("messages", "a list", value, "invalid_type")
    if not 1 <= len(value) <= most:
        raise invalid("messages", f"1 to {most} messages", value)
    read = [_message(one, f"messages[{i}]") for i, one in enumerate(value)]
    if read[-1][0] != "user":
        raise ApiError(
            400, f"messages: expected a user's message at the end, got one of {read[-1][0]}", param="messages", code="invalid_value"
        )
    system: list[str] = []
    while read[0][0] == "system":
        system.append(read.pop(0)[1])
    turns: list[Turn] = []
    notes: list[str] = []
    said: list[str] = []
    answered: list[str] = []
    for place, (role, text) in enumerate(read, len(value) - len(read)):
        if role == "assistant":
            if not said:
                raise ApiError(
                    400,
                    f"messages[{place}]: expected a user's message before the first answer, as chat templates do",
                    param=f"messages[{place}]",
                    code="invalid_value",
                )
            answered.append(text)
            continue
        if answered:
            turns.append(Turn("\n\n".join(said), "\n\n".join(answered), "\n\n".join(notes)))
            notes, said, answered = [], [], []
        (said if role == "user" else notes).append(text)
    return Talk("\n\n".join(system) or None, tuple(turns), "\n\n".join(said), "\n\n".join(notes) or None)


def _message(value: object, where: str) -> tuple[str, str]:
    members = Fields(value, where)
    role = members.of("role", str, required=True)
    if role not in _ROLES:
        raise invalid(members.path("role"), f"one of {', '.join(_ROLES)}", role)
    text = _content(members.any("content"), members.path("content"))
    for name in ("tool_calls", "function_call", "audio", "refusal"):
        members.only(name, ([],) if name == "tool_calls" else (), "there are no tools and no audio here")
    members.only("name", (), "participants cannot be told apart; write the name into the content")
    members.done()
    check_readable(text, members.path("content"), blank=role == "assistant")
    return ("system" if role == "developer" else role), text


def _content(value: Any, where: str) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value:
        raise invalid(where, "a string, or a list of parts", value, "invalid_type")
    texts = []
    for index, one in enumerate(value):
        part = Fields(one, f"{where}[{index}]")
        kind = part.of("type", str, required=True)
        if kind != "text":
            raise ApiError(
                400,
                f'{part.path("type")}: expected "text", got {shown(kind)}: this model reads text only',
                param=part.path("type"),
                code="unsupported_content",
            )
        texts.append(part.of("text", str, required=True))
        part.done()
    return "".join(texts)
