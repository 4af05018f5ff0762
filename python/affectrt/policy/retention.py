"""How long what is kept may be kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from affectrt.policy.checks import DAY_S, check_number, check_time

_DEFAULT: Mapping[str, float] = MappingProxyType(
    {
        "frame": 0.0,
        "audio": 0.0,
        "observation": 1 * DAY_S,
        "utterance": 30 * DAY_S,
        "fact": 365 * DAY_S,
        "summary": 365 * DAY_S,
        "portrait": 365 * DAY_S,
    }
)


@dataclass(frozen=True, slots=True)
class Retention:
    """Limits by wall-clock time, per kind of record.

    Raises:
        TypeError, ValueError: A limit is no finite number of seconds of at least 0.
    """

    limits_s: Mapping[str, float] = field(default_factory=lambda: _DEFAULT)
    """Seconds by kind. 0 is "not kept at all". The default keeps no frames and no sound, observations for a day, utterances for 30 days,
    and facts, summaries and portraits for 365."""
    other_s: float = 30 * DAY_S
    """For a kind that is not named: nothing is kept for ever because somebody forgot to name it."""

    def __post_init__(self) -> None:
        if not isinstance(self.limits_s, Mapping):
            raise TypeError(f"limits_s: expected a mapping of kind to seconds, got {type(self.limits_s).__name__}")
        for kind, limit in self.limits_s.items():
            if not isinstance(kind, str):
                raise TypeError(f"limits_s: expected kinds as str, got {type(kind).__name__}")
            check_number(f"limits_s[{kind!r}]", limit, 0.0)
        check_number("other_s", self.other_s, 0.0)
        object.__setattr__(self, "limits_s", MappingProxyType(dict(self.limits_s)))

    def limit_s(self, kind: str) -> float:
        """How many seconds a record of this kind may be kept."""
        if not isinstance(kind, str):
            raise TypeError(f"kind: expected a str, got {type(kind).__name__}")
        return self.limits_s.get(kind, self.other_s)

    def expired(self, kind: str, stamp_ns: int, now_ns: int) -> bool:
        """Whether a record must go: at `stamp_ns` + limit it does. Pure; both times are nanoseconds since 1970.

        A record whose stamp lies ahead of `now_ns` (a clock that was set back) is as old as nothing: it goes when the clock has passed it
        by its limit.
        """
        age_ns = max(check_time("now_ns", now_ns) - check_time("stamp_ns", stamp_ns), 0)
        return age_ns >= round(self.limit_s(kind) * 1e9)

    def capped(self, other: Retention) -> Retention:
        """The shorter of both limits for every kind."""
        kinds = {*self.limits_s, *other.limits_s}
        return Retention({kind: min(self.limit_s(kind), other.limit_s(kind)) for kind in sorted(kinds)}, min(self.other_s, other.other_s))
