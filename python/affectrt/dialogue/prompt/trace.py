"""What conditioned an answer, whole: enough to build the prompt anew, and a hash that says whether it is the same."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from affectrt.dialogue.prompt.assembled import Assembled, assemble, join_turn
from affectrt.dialogue.prompt.layers import LAYERS, Layer, MemoryLayer, MemoryLine
from affectrt.dialogue.prompt.words import summary_line
from affectrt.dialogue.sampling import Sampling
from affectrt.dialogue.template import Message
from affectrt.dialogue.text import check_text

VERSION = 1
_KINDS = {kind.layer: kind for kind in LAYERS}


@dataclass(frozen=True, slots=True)
class PromptTrace:
    """Everything that one answer depends on, but for the weights and the machine.

    Raises:
        TypeError, ValueError: A part is not what it must be.
    """

    prompt: Assembled
    turns: tuple[tuple[str, str], ...] = ()
    """Earlier turns that were still in the prompt: the whole user message and the answer."""
    model: str = ""
    """Pack, version and variant."""
    seed: int | None = None
    sampling: Sampling | None = None
    summary: str = field(default="")
    """What stood for turns that had left the context; "" if nothing did."""

    def __post_init__(self) -> None:
        if not isinstance(self.prompt, Assembled):
            raise TypeError(f"prompt: expected what assemble() gives, got {type(self.prompt).__name__}")
        pairs = isinstance(self.turns, tuple) and all(isinstance(turn, tuple) and len(turn) == 2 for turn in self.turns)
        if not pairs:
            raise TypeError(f"turns: expected a tuple of pairs (user message, answer), got {self.turns!r:.80}")
        for user, answer in self.turns:
            check_text(user, "turns: a user message")
            _check_str("turns: an answer", answer)
        _check_str("model", self.model)
        _check_str("summary", self.summary)
        if self.seed is not None and (isinstance(self.seed, bool) or not isinstance(self.seed, int)):
            raise TypeError(f"seed: expected an int or None, got {type(self.seed).__name__}")
        if self.sampling is not None and not isinstance(self.sampling, Sampling):
            raise TypeError(f"sampling: expected a Sampling or None, got {type(self.sampling).__name__}")

    @property
    def layers(self) -> tuple[Layer, ...]:
        """In the order of the prompt."""
        return self.prompt.layers

    def messages(self) -> list[Message]:
        """The prompt as the chat template gets it."""
        system, talk = self.prompt.system, []
        for user, answer in self.turns:
            talk += [Message("user", user), Message("assistant", answer)]
        talk.append(Message("user", self.prompt.turn))
        if self.summary:
            talk[0] = Message("user", join_turn(summary_line(self.summary), talk[0].content))
        return [Message("system", system), *talk] if system is not None else talk

    def to_json(self) -> str:
        """Canonical: sorted keys, no blanks, ASCII. Equal traces give equal bytes in every process and on every machine."""
        document = {
            "affectrt_trace": VERSION,
            "layers": [{"layer": layer.layer, **dataclasses.asdict(layer)} for layer in self.layers],
            "turns": self.turns,
            "summary": self.summary,
            "model": self.model,
            "seed": self.seed,
            "sampling": dataclasses.asdict(self.sampling) if self.sampling is not None else None,
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)

    @property
    def sha256(self) -> str:
        """Of `to_json`, in hexadecimal."""
        return hashlib.sha256(self.to_json().encode("ascii")).hexdigest()

    @classmethod
    def from_json(cls, text: str | bytes) -> PromptTrace:
        """Build it anew from its parts.

        Raises:
            ValueError: It is no trace of this version; the text says what is wrong.
        """
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"trace: expected JSON, got {text!r:.60}: {error}") from None
        keys = {"affectrt_trace", "layers", "turns", "summary", "model", "seed", "sampling"}
        if not isinstance(document, dict) or set(document) != keys:
            raise ValueError(f"trace: expected an object with {', '.join(sorted(keys))}, got {document!r:.80}")
        if document["affectrt_trace"] != VERSION or isinstance(document["affectrt_trace"], bool):
            raise ValueError(f"trace: expected version {VERSION}, got {document['affectrt_trace']!r:.20}")
        try:
            trace = cls(
                prompt=assemble([_layer(part) for part in document["layers"]]),
                turns=tuple(tuple(turn) for turn in document["turns"]),
                summary=document["summary"],
                model=document["model"],
                seed=document["seed"],
                sampling=_sampling(document["sampling"]),
            )
        except (TypeError, KeyError) as error:
            raise ValueError(f"trace: {error}") from None
        if list(trace.layers) != [_layer(part) for part in document["layers"]]:
            raise ValueError("trace: expected layers in the order of the prompt, none empty")
        return trace


def _layer(part: dict[str, Any]) -> Layer:
    values = dict(part)
    kind = _KINDS.get(values.pop("layer"))
    if kind is None:
        raise ValueError(f"trace: expected a layer of {', '.join(_KINDS)}, got {part['layer']!r:.40}")
    if kind is MemoryLayer:
        return MemoryLayer(tuple(MemoryLine(**line) for line in values["lines"]))
    return kind(**values)


def _sampling(values: dict[str, Any] | None) -> Sampling | None:
    return None if values is None else Sampling(**{**values, "stop": tuple(values["stop"])})


def _check_str(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected a str, got {type(value).__name__}")
