"""The conversation with a partner in the memory's file: what was said, and the tokens that were evaluated for it.

Both are blobs of the store, so they have its key and its limits of age, and whatever is erased takes them along. What was said is text,
and believed as the memories are. The tokens' state goes into llama.cpp, which trusts it: it is sealed with a key that is not in the file
(`seal_key`), so that a file from elsewhere, or one that another could write, gets nothing in.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass

from affectrt.companion.person import Person
from affectrt.companion.recollection import Remembrance
from affectrt.companion.seal import seal_key
from affectrt.dialogue import Conversation, Past, Turn
from affectrt.dialogue.strategy import Strategy
from affectrt.errors import EngineError, StoreError
from affectrt.memory import StoredBlob
from affectrt.memory.blobs import MAX_BLOB_BYTES

_log = logging.getLogger("affectrt.companion")
_log.addHandler(logging.NullHandler())

RESUME_S = 600.0
"""How old the last words of a talk may be for the next run to go on with it, unless it is told otherwise."""
TALK, CACHE, VERSION = "talk", "cache", 1
MOST_TURNS = 50
"""Of a talk; more only where the model still sees them: what is written at each turn must not grow with the day."""


@dataclass(frozen=True, slots=True)
class KeptTalk:
    """A conversation as it lies in the file."""

    system: str | None
    past: Past
    said_ns: tuple[int, ...]
    """Wall-clock time of each turn."""
    reminded_of: tuple[str, ...]
    strategies: tuple[Strategy, ...]

    def to_bytes(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> KeptTalk:
        """Raises ValueError, TypeError or KeyError for what `to_bytes` did not give."""
        value = json.loads(data)
        past = value["past"]
        turns = tuple(_turn(**turn) for turn in past["turns"])
        system, said = value["system"], tuple(value["said_ns"])
        if not (system is None or isinstance(system, str)):
            raise ValueError("the system message is no text")
        if not turns or len(said) != len(turns) or not all(type(stamp) is int and stamp >= 0 for stamp in said):
            raise ValueError("turns and times do not belong together")
        reminded = tuple(value["reminded_of"])
        if not all(isinstance(name, str) for name in reminded):
            raise ValueError("a partner's name is no text")
        return cls(system, Past(turns, past["left"], past["summary"]), said, reminded, tuple(map(Strategy, value["strategies"])))


def _turn(user: str, assistant: str, note: str, finish: str, tokens: list[int] | None) -> Turn:
    if not all(isinstance(text, str) for text in (user, assistant, note, finish)):
        raise ValueError("a turn holds something else than text")
    return Turn(user, assistant, note, finish, None if tokens is None else tuple(tokens))


class Talk:
    """One partner's conversation in a store, for a Companion. Without consent, or with `resume_s` 0, none is kept and none resumed."""

    def __init__(self, remembrance: Remembrance, resume_s: float) -> None:
        """Reads the store's mark: what is recalled or said from now on may be kept, unless something is erased meanwhile."""
        self._remembrance, self._resume_ns = remembrance, round(resume_s * 1e9)
        self._store, self._partner = remembrance.store, remembrance.partner
        self._mark = self._store.erasing_mark()
        self._kept = Past()
        """What is in the file of what was said."""
        self._cached = Past()
        """What the tokens in the file are of."""

    @property
    def _allowed(self) -> bool:
        return self._resume_ns > 0 and self._remembrance.allowed

    @property
    def outdated(self) -> bool:
        """Whether something was erased since this was made or began anew, whoever's it was."""
        return self._store.erasing_mark() != self._mark

    def begin_anew(self) -> None:
        """The conversation was reset, and what it held erased."""
        self._mark, self._kept, self._cached = self._store.erasing_mark(), Past(), Past()

    def resume(self, person: Person, start: Callable[[Past], Conversation]) -> None:
        """Go on with what was kept, if it is young enough; of the cache, whatever the next prompt has in common with it is used.

        Raises:
            StoreError: The store cannot be read. What is damaged is passed over, with a note in the log.
        """
        kept = self._load() if self._allowed else None
        if kept is None or kept.system != person.conversation.system:
            return
        if 0 <= self._store.now_ns() - kept.said_ns[-1] <= self._resume_ns:
            person.conversation = start(kept.past)
            person.said_ns.update(enumerate(kept.said_ns))
            person.reminded_of.update(kept.reminded_of)
            person.strategies.extend(kept.strategies)
            self._kept = self._cached = person.conversation.past
        cache = self._blob(CACHE)
        if cache is not None and (key := seal_key()) is not None:
            person.conversation.import_cache(cache.value, key=key)

    def _load(self) -> KeptTalk | None:
        blob = self._blob(TALK)
        try:
            return None if blob is None else KeptTalk.from_bytes(blob.value)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            _log.warning("the talk kept of %r is passed over: %s", self._partner, error)
            return None

    def _blob(self, name: str) -> StoredBlob | None:
        try:
            found = self._store.load_blob(name, partner=self._partner)
        except StoreError as error:
            if error.reason != "corrupt":
                raise
            _log.warning("%s", error)
            return None
        return found if found is None or found.version == VERSION else None

    def keep(self, person: Person, *, cache: bool = True) -> None:
        """Put the conversation into the file, if there is something new in it. A full or busy disk is a note in the log.

        The words alone (`cache=False`) take milliseconds; the tokens, of which those of an earlier time fit as far as they go, a second.

        Nothing is kept of a conversation during which something was erased, whoever's it was, or consent was lacking.

        Raises:
            StoreError: The store cannot be written for another reason.
        """
        mark = self._mark  # before all that is read: another thread may erase it meanwhile, and begin anew
        past = person.conversation.past
        if past == (self._cached if cache else self._kept) or not self._allowed:
            return
        said = dict(person.said_ns)
        times = [said[turn] for turn in range(len(past.turns)) if turn in said]
        if len(times) < len(past.turns):  # something was said without consent
            return
        values: dict[str, bytes | None] = {TALK: None, CACHE: None} if cache or not past.turns else {}
        if past.turns:
            latest, oldest = past.latest(MOST_TURNS), min(times)
            times = times[-len(latest.turns) :]
            if latest.summary is not None:  # it holds what was said in all turns before, which count as old as the first of them
                times[0] = oldest
            kept = KeptTalk(person.conversation.system, latest, tuple(times), tuple(sorted(person.reminded_of)), tuple(person.strategies))
            values[TALK] = talk = kept.to_bytes()
            if cache:
                values[CACHE] = self._cache(person.conversation, MAX_BLOB_BYTES - len(talk))
        try:
            self._store.save_blobs(values, partner=self._partner, stamp_ns=min(times, default=None), version=VERSION, mark=mark)
        except StoreError as error:
            if error.reason not in ("busy", "full"):
                raise
            _log.warning("the talk with %r is not kept: %s", self._partner, error)
            return
        self._kept = past
        if cache:
            self._cached = past

    def _cache(self, conversation: Conversation, max_bytes: int) -> bytes | None:
        key = seal_key()
        if key is None:
            return None
        try:
            return conversation.export_cache(key=key, max_bytes=max_bytes)
        except EngineError as error:  # an answer is still being written, or the Dialogue was closed before
            _log.warning("the cache of the talk with %r is not kept: %s", self._partner, error)
            return None
