"""What the store takes and gives: frozen values.

Times are wall-clock nanoseconds since 1970 (UTC, `time.time_ns()`), not of a monotonic clock: they must mean the same after a restart.
"""

from __future__ import annotations

import contextlib
import datetime
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Union

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

UTTERANCE, FACT, SUMMARY, PORTRAIT = "utterance", "fact", "summary", "portrait"
KINDS = (UTTERANCE, FACT, SUMMARY, PORTRAIT)
"""What was said; what is known; the summary of a day; the portrait of a partner (overall, or of a day)."""

EMOTIONS = ("joy", "trust", "fear", "surprise", "sadness", "disgust", "anger", "anticipation")
"""Plutchik's eight, in the order of an emotion vector; "trust" is the "acceptance" of Emotional RAG (arXiv 2410.23041)."""

_LAST_NS = 2**63 - 1

Sharing = Literal["private", "flagged", "shared"]
"""What a partner is shown of the memories of others: none; those with the flag `shared`; all."""

EmotionLike = Union[Mapping[str, float], Sequence[float], "NDArray[np.float32]"]
"""(8,) numbers >= 0 in the order of `EMOTIONS`, or some of their names with numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class NewMemory:
    """Something to remember, for `MemoryStore.add_many`."""

    text: str
    partner: str
    """Whose memory this is: the person the robot talks with."""
    kind: str = UTTERANCE
    """"utterance" or "fact"; summaries and portraits have methods of their own."""
    stamp_ns: int | None = None
    """When it was said or learnt; None takes now."""
    emotion: EmotionLike | None = None
    """None, or all zeros: not known."""
    semantic: NDArray[np.float32] | None = None
    """(D,) of the store's encoder, where the caller has it already; None lets the store embed the text."""
    shared: bool = False
    """Whether other partners may be shown it, where the store's policy goes by this flag."""


@dataclass(frozen=True, slots=True)
class Memory:
    """One memory, as it stood when it was read."""

    id: int
    """Never given twice in a store's life."""
    kind: str
    partner: str
    text: str
    stamp_ns: int
    strength: int
    """S of the forgetting curve: 1, and one more for each recall that strengthens."""
    recalled_ns: int
    """When the forgetting curve last began anew: the latest such recall, or `stamp_ns`."""
    emotion: tuple[float, ...]
    """(8,) in the order of `EMOTIONS`; all zeros: not known."""
    shared: bool
    archived_ns: int | None = None
    """When it was forgotten into the archive, or None."""
    day: str = ""
    """Of a summary, or the portrait of a day: which, as 2026-03-01."""
    lost_sources: int = 0
    """How many of the memories that a summary or portrait was made of have been forgotten for good since."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A memory that was recalled."""

    memory: Memory
    distance: float
    """By which it was ranked; smaller is nearer. Its meaning goes with the combination."""
    semantic_distance: float
    """Euclidean, of the semantic vectors; NaN if the query's words could not be read."""
    emotional_distance: float
    """Cosine distance of the emotions, in [0, 1]; 1 if the memory's is not known; NaN if the query's is not."""


@dataclass(frozen=True, slots=True)
class Recall:
    """What came to mind."""

    hits: tuple[Hit, ...]
    """Nearest first; of equals the older first."""
    linked: tuple[Memory, ...]
    """The memories that are linked with the first hit, which is not among them; oldest first."""
    combination: str
    """The one that was used; "none" if the query had neither readable words nor an emotion."""
    reason: str = ""
    """Why it is not the one that was asked for ("emotion unknown", "unreadable query"), else ""."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What `forget` or a limit let go."""

    ids: tuple[int, ...]
    """In ascending order."""
    erased: bool
    """False: they are in the archive."""


@dataclass(frozen=True, slots=True)
class Day:
    """One day with a partner, in the time zone of the store."""

    day: str
    """As 2026-03-01."""
    memories: int
    """Utterances and facts of that day that are still there, those of the archive too."""
    summary: int | None
    """Id of the day's summary, or None."""
    unsummarised: int
    """Of `memories`, those that the summary was not made of: all if there is none."""


@dataclass(frozen=True, slots=True)
class StoredState:
    """A value kept under a name."""

    name: str
    value: Any
    """As JSON holds it."""
    stamp_ns: int
    version: int
    """The form of the value, in the caller's own counting."""
    partner: str = ""


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """Bytes kept under a name."""

    name: str
    value: bytes = field(repr=False)
    stamp_ns: int
    """When the oldest of what is in it was said."""
    version: int
    """The form of the value, in the caller's own counting."""
    partner: str


def check_time(value: int | None, now_ns: int, name: str = "stamp_ns") -> int:
    """The time, or now for None."""
    if value is None:
        return now_ns
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: expected an int (ns since 1970, as time.time_ns() gives) or None, got {value!r}")
    if not 0 <= value <= _LAST_NS:
        raise ValueError(f"{name}: expected nanoseconds since 1970 in [0, 2**63), got {value}")
    return int(value)


def check_words(value: object, name: str) -> str:
    """A text that is not blank and that UTF-8 can hold."""
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected a str, got {type(value).__name__}")
    if not value.strip():
        raise ValueError(f"{name}: expected words, got {value!r}")
    if "\0" in value:  # SQLite would keep it, but half of its tools end a text there
        raise ValueError(f"{name}: expected a text without NUL characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name}: expected text that UTF-8 can hold, got a lone surrogate") from None
    return value


def check_emotion(value: EmotionLike | None) -> NDArray[np.float32]:
    """(8,) float32; zeros for None."""
    vector = np.zeros(len(EMOTIONS), np.float32)
    if value is None:
        return vector
    if isinstance(value, Mapping):
        unknown = [name for name in value if name not in EMOTIONS]
        if unknown:
            raise ValueError(f"emotion: expected names of {', '.join(EMOTIONS)}, got {unknown[0]!r}")
        for name, amount in value.items():
            vector[EMOTIONS.index(name)] = amount
    else:
        given = np.asarray(value)
        if given.shape != vector.shape or given.dtype.kind not in "fiu":
            raise ValueError(f"emotion: expected ({len(EMOTIONS)},) numbers, got shape {given.shape} of {given.dtype}")
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused below
            vector = given.astype(np.float32)
    if not np.isfinite(vector).all() or (vector < 0).any():
        raise ValueError(f"emotion: expected finite numbers >= 0, got {vector.tolist()}")
    # A scale of its own is nothing to a cosine, but squares of extreme numbers leave float32.
    top = vector.max()
    return vector if top == 0 or 1e-6 <= top <= 1e6 else vector / top


def check_day(value: object) -> str:
    """A date as 2026-03-01."""
    with contextlib.suppress(TypeError, ValueError):
        if value == datetime.date.fromisoformat(value).isoformat():  # type: ignore[arg-type]  # Python from 3.11 on takes other forms too
            return str(value)
    raise ValueError(f"day: expected a date as 2026-03-01, got {value!r}")


def check_k(value: object, name: str, least: int = 1) -> int:
    """A count, or an id."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not least <= value <= _LAST_NS:
        raise ValueError(f"{name}: expected an int of at least {least} (and below 2**63), got {value!r}")
    return int(value)


def check_partner(value: object) -> str:
    """A partner's name in the one form in which it is stored: the same name typed on another keyboard is the same partner."""
    return unicodedata.normalize("NFC", check_words(value, "partner").strip())


def check_kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    """Some of `KINDS`."""
    found = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    if not found or not set(found) <= set(KINDS):
        raise ValueError(f"kinds: expected some of {', '.join(KINDS)}, got {found!r}")
    return found


def check_ids(ids: Collection[int]) -> list[int]:
    """Ids of memories, each once."""
    if isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable):
        raise TypeError(f"ids: expected a collection of int, got {ids!r}")
    return sorted({check_k(id_, "id") for id_ in ids})
