"""Day summaries, portraits and states: what is made of memories, and what a program wants to find again.

Writing a summary takes a language model, which is not here: `summarise` calls one of yours.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from affectrt.errors import StoreError
from affectrt.memory import rows
from affectrt.memory.items import (
    FACT,
    PORTRAIT,
    SUMMARY,
    UTTERANCE,
    Day,
    EmotionLike,
    Memory,
    StoredState,
    check_day,
    check_emotion,
    check_ids,
    check_k,
    check_partner,
    check_time,
    check_words,
)
from affectrt.memory.remembering import Remembering

if TYPE_CHECKING:
    import sqlite3

    import numpy as np
    from numpy.typing import NDArray

Summariser = Callable[[Sequence[Memory]], str]
"""The memories of a day, oldest first, to a text about them."""


class Diary(Remembering):
    """See `MemoryStore`."""

    def day_of(self, stamp_ns: int) -> str:
        """The date of a time in the store's time zone, as 2026-03-01."""
        seconds = check_time(stamp_ns, 0) // 1_000_000_000
        return datetime.datetime.fromtimestamp(seconds, self._timezone).date().isoformat()

    def days(self, partner: str) -> tuple[Day, ...]:
        """Each day of which there is an utterance, a fact or a summary, oldest first."""
        name = check_partner(partner)
        with self._db.read() as connection:
            found_ids = "SELECT id, stamp_ns FROM memories WHERE partner = ? AND kind IN (?, ?) ORDER BY stamp_ns, id"
            said = rows.numbers(connection.execute(found_ids, (name, UTTERANCE, FACT)).fetchall())
            summaries = dict(connection.execute("SELECT day, id FROM memories WHERE partner = ? AND kind = ?", (name, SUMMARY)).fetchall())
            found: dict[str, list[int]] = {day: [] for day in summaries}
            for id_, stamp in said:
                found.setdefault(self.day_of(stamp), []).append(id_)
            days = []
            for day, ids in sorted(found.items()):
                summary = summaries.get(day)
                made_of = {row[0] for row in connection.execute("SELECT source FROM sources WHERE memory = ?", (summary,))}
                days.append(Day(day, len(ids), summary, sum(id_ not in made_of for id_ in ids)))
        return tuple(days)

    def of_day(self, day: str, partner: str) -> list[Memory]:
        """The utterances and facts of a day, oldest first."""
        wanted, name = check_day(day), check_partner(partner)
        with self._db.read() as connection:
            found = rows.select(connection, "partner = ? AND kind IN (?, ?)", [name, UTTERANCE, FACT], "stamp_ns, id")
        return [memory for memory in found if self.day_of(memory.stamp_ns) == wanted]

    def add_summary(
        self,
        day: str,
        text: str,
        *,
        partner: str,
        sources: Collection[int],
        emotion: EmotionLike | None = None,
        semantic: NDArray[np.float32] | None = None,
        stamp_ns: int | None = None,
    ) -> Memory:
        """Keep the summary of a day; one that is there already gives way.

        Args:
            day: As 2026-03-01.
            text: The summary.
            partner: Whose day.
            sources: Ids of what it was made of, all of this partner: if one of them is erased, the summary is erased with it, as it may
                repeat it. If one is merely forgotten for good (`forget`, `expire`), the summary stays, and counts it in `lost_sources`.
            emotion, semantic, stamp_ns: As of `NewMemory`.

        Raises: ValueError, also if a source is not there (any more); TypeError; StoreError.
        """
        return self._add_made(SUMMARY, check_day(day), text, partner, sources, emotion, semantic, stamp_ns)

    def add_portrait(
        self,
        text: str,
        *,
        partner: str,
        sources: Collection[int],
        day: str = "",
        emotion: EmotionLike | None = None,
        semantic: NDArray[np.float32] | None = None,
        stamp_ns: int | None = None,
    ) -> Memory:
        """Keep what a partner is like: overall, or on a day; one that is there already gives way. Else as `add_summary`."""
        return self._add_made(PORTRAIT, check_day(day) if day else "", text, partner, sources, emotion, semantic, stamp_ns)

    def _add_made(
        self,
        kind: str,
        day: str,
        text: str,
        partner: str,
        sources: Collection[int],
        emotion: EmotionLike | None,
        semantic: NDArray[np.float32] | None,
        stamp_ns: int | None,
    ) -> Memory:
        name, words, made_of = check_partner(partner), check_words(text, "text"), check_ids(sources)
        stamp, feeling = check_time(stamp_ns, self._now(None)), check_emotion(emotion)
        self._require(name, kind)
        (vector,) = self._vectors([words], [semantic])
        with self._db.exclusive():
            old: set[int] = set()

            def prepare(connection: sqlite3.Connection) -> None:
                there = {
                    row[0]
                    for chunk in rows.chunks(made_of)
                    for row in connection.execute(
                        f"SELECT id FROM memories WHERE partner = ? AND id IN ({rows.marks(chunk)})", [name, *chunk]
                    )
                }
                missing = [id_ for id_ in made_of if id_ not in there]
                if missing:
                    raise ValueError(f"sources: expected memories of this partner, got {missing[0]}, which is none (any more)")
                found = connection.execute("SELECT id FROM memories WHERE partner = ? AND kind = ? AND day = ?", (name, kind, day))
                old.update(row[0] for row in found)
                if old & set(made_of):
                    raise ValueError(f"sources: {min(old)} is what this would replace")
                rows.delete(connection, old)

            def finish(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
                connection.executemany("INSERT INTO sources VALUES (?, ?)", [(ids[0], source) for source in made_of])

            (memory,) = self._insert([rows.Row(kind, name, words, stamp, feeling, vector, day=day)], prepare, finish)
            with self._changing() as index:
                if index is not None:
                    index.remove(old)
        return memory

    def summarise(self, day: str, summariser: Summariser, *, partner: str) -> Memory | None:
        """Let `summariser` write the summary of a day, and keep it; None if there is nothing of that day.

        It is called outside of any lock and may take its time. Raises ValueError if what it was given was erased meanwhile: its text
        is then not kept.
        """
        self._require(check_partner(partner), SUMMARY)
        memories = self.of_day(day, partner)
        if not memories:
            return None
        text = summariser(memories)
        return self.add_summary(day, text, partner=partner, sources=[memory.id for memory in memories])

    def summary(self, day: str, *, partner: str) -> Memory | None:
        """The summary of a day, or None."""
        return self._made(SUMMARY, check_day(day), partner)

    def portrait(self, *, partner: str, day: str = "") -> Memory | None:
        """The portrait of a partner, overall or of a day, or None."""
        return self._made(PORTRAIT, check_day(day) if day else "", partner)

    def _made(self, kind: str, day: str, partner: str) -> Memory | None:
        with self._db.read() as connection:
            found = rows.select(connection, "partner = ? AND kind = ? AND day = ?", [check_partner(partner), kind, day])
        return found[0] if found else None

    def sources(self, id_: int) -> tuple[int, ...]:
        """Of what a summary or portrait was made, as far as it is still there: ids in ascending order."""
        with self._db.read() as connection:
            found = connection.execute("SELECT source FROM sources WHERE memory = ? ORDER BY source", (check_k(id_, "id"),))
            return tuple(row[0] for row in found)

    # ---- states

    def save_state(self, name: str, value: Any, stamp_ns: int | None = None, *, version: int = 1, partner: str | None = None) -> None:
        """Keep a value under a name, in the place of an older one; it is on the disk when this returns.

        Args:
            name: Of the state.
            value: Whatever JSON holds, without NaN and infinity.
            stamp_ns: Of when it is; None takes now.
            version: The form of the value, in your own counting, for the day that you change it.
            partner: Whose state it is, if anyone's: it is erased with that partner.

        Raises: ValueError, TypeError; StoreError.
        """
        try:
            text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
            text.encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"state {name!r}: expected what JSON holds: {error}") from error
        if partner is not None:
            self._require(check_partner(partner))
        row = (self._owner(partner), check_words(name, "name"), text, check_time(stamp_ns, self._now(None)), check_k(version, "version"))
        with self._db.write() as connection:
            connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?, ?)", row)

    def load_state(self, name: str, *, partner: str | None = None) -> StoredState | None:
        """What was last saved under a name, or None."""
        owner = self._owner(partner)
        with self._db.read() as connection:
            row = connection.execute(
                "SELECT value, stamp_ns, version FROM state WHERE partner = ? AND name = ?", (owner, check_words(name, "name"))
            ).fetchone()
        if row is None:
            return None
        try:
            return StoredState(name, json.loads(row[0]), int(row[1]), int(row[2]), owner)
        except (TypeError, ValueError) as error:
            raise StoreError(f"{self.path}: state {name!r} is damaged", "corrupt") from error

    def erase_state(self, name: str, *, partner: str | None = None) -> bool:
        """Erase a state; returns whether there was one. Raises StoreError, as `erase` does."""
        owner, there = self._owner(partner), False

        def choose(connection: sqlite3.Connection) -> set[int]:
            nonlocal there
            cursor = connection.execute("DELETE FROM state WHERE partner = ? AND name = ?", (owner, check_words(name, "name")))
            there = cursor.rowcount > 0
            return set()

        self._erase(choose)
        return there

    @staticmethod
    def _owner(partner: str | None) -> str:
        return "" if partner is None else check_partner(partner)
