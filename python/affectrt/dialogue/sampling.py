"""How the next token is chosen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Settings of one reply. A pack carries its own; `dataclasses.replace` changes some.

    Raises:
        TypeError: A count is not an int, or another setting not a number.
        ValueError: Naming every field that is out of its range.
    """

    temperature: float = 0.7
    """0 takes the likeliest token always; [0, 5]."""
    top_k: int = 40
    """Only the k likeliest; 0 means all."""
    top_p: float = 0.9
    """Only the likeliest that together reach this probability; (0, 1]."""
    min_p: float = 0.0
    """Only those with at least this part of the likeliest one's probability; [0, 1)."""
    repeat_penalty: float = 1.1
    """Divides the logits of tokens said lately; 1 is off; (0, 10]."""
    repeat_last_tokens: int = 64
    """How far back the penalty looks, in tokens of this reply."""
    max_tokens: int = 160
    """The longest reply, in tokens."""
    stop: tuple[str, ...] = ()
    """Strings that end a reply; they are not part of it."""

    def __post_init__(self) -> None:
        for count in ("top_k", "repeat_last_tokens", "max_tokens"):
            check_int(count, getattr(self, count))
        for number in ("temperature", "top_p", "min_p", "repeat_penalty"):
            check_number(number, getattr(self, number))
        checks = (
            ("temperature", 0.0 <= self.temperature <= 5.0, "in [0, 5]"),
            ("top_k", 0 <= self.top_k < 2**31, "in [0, 2**31 - 1]"),
            ("top_p", 0.0 < self.top_p <= 1.0, "in (0, 1]"),
            ("min_p", 0.0 <= self.min_p < 1.0, "in [0, 1)"),
            ("repeat_penalty", 0.0 < self.repeat_penalty <= 10.0, "in (0, 10]"),
            ("repeat_last_tokens", 0 <= self.repeat_last_tokens < 2**31, "in [0, 2**31 - 1]"),
            ("max_tokens", self.max_tokens >= 1, "at least 1"),
            ("stop", not isinstance(self.stop, str) and all(self.stop), "a tuple of strings, none empty"),
        )
        wrong = [f"{name} must be {rule}, got {getattr(self, name)!r}" for name, good, rule in checks if not good]
        if wrong:
            raise ValueError("; ".join(wrong))

    @classmethod
    def from_decode(cls, decode: Mapping[str, Any]) -> Sampling:
        """The `decode` object of a dialogue pack. Floats are rounded to what their author wrote: they come through float32."""
        return cls(
            temperature=_short(decode["temperature"]),
            top_p=_short(decode["top_p"]),
            top_k=int(decode["top_k"]),
            repeat_penalty=_short(decode["repeat_penalty"]),
            max_tokens=int(decode["max_tokens"]),
            stop=tuple(decode["stop"]),
        )


def check_int(name: str, value: object) -> None:
    """Raises TypeError, naming the argument, for what is no int. A bool is none, and a float would be cut off silently."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an int, got {value!r}")


def check_sampling(sampling: Sampling | None) -> Sampling | None:
    """Raises TypeError for what is neither: a dict would be missed only at the first answer."""
    if not (sampling is None or isinstance(sampling, Sampling)):
        raise TypeError(f"sampling: expected a Sampling or None, got {type(sampling).__name__}")
    return sampling


def check_number(name: str, value: object) -> None:
    """Raises TypeError, naming the argument, for what is neither an int nor a float."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")


def _short(value: float) -> float:
    return float(f"{value:.6g}") if math.isfinite(value) else value
