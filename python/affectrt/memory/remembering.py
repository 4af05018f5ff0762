"""What goes into the store, and what its owner sees of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from affectrt.errors import StoreError
from affectrt.memory import rows
from affectrt.memory.base import StoreBase
from affectrt.memory.items import (
    FACT,
    KINDS,
    UTTERANCE,
    EmotionLike,
    Memory,
    NewMemory,
    check_emotion,
    check_k,
    check_kinds,
    check_partner,
    check_time,
    check_words,
)

if TYPE_CHECKING:
    import sqlite3

    from numpy.typing import NDArray


class Remembering(StoreBase):
    """See `MemoryStore`."""

    # ---- remember

    def add(
        self,
        text: str,
        *,
        partner: str,
        kind: str = UTTERANCE,
        stamp_ns: int | None = None,
        emotion: EmotionLike | None = None,
        semantic: NDArray[np.float32] | None = None,
        shared: bool = False,
    ) -> Memory:
        """Remember one thing; it is on the disk when this returns. The arguments are the fields of `NewMemory`.

        Raises: ValueError, TypeError for arguments; ConsentError, PolicyError by the store's policy; StoreError; PackError if the default
        encoder has not been pulled.
        """
        return self.add_many([NewMemory(text, partner, kind, stamp_ns, emotion, semantic, shared)])[0]

    def add_many(self, memories: Iterable[NewMemory]) -> tuple[Memory, ...]:
        """Remember several things at once: all of them are on the disk when this returns, or none if it raises."""
        items = list(memories)
        now = self._now(None)
        for item in items:
            if not isinstance(item, NewMemory):
                raise TypeError(f"add_many: expected NewMemory, got {type(item).__name__}")
            if item.kind not in (UTTERANCE, FACT):
                raise ValueError(
                    f"kind: expected {UTTERANCE} or {FACT}, got {item.kind!r} (summaries and portraits have their own methods)"
                )
            if not isinstance(item.shared, bool):
                raise TypeError(f"shared: expected a bool, got {item.shared!r}")
        checked = [
            (
                item.kind,
                check_partner(item.partner),
                check_words(item.text, "text"),
                check_time(item.stamp_ns, now),
                check_emotion(item.emotion),
            )
            for item in items
        ]
        for kind, partner in {(kind, partner) for kind, partner, *_ in checked}:
            self._require(partner, kind)
        vectors = self._vectors([item.text for item in items], [item.semantic for item in items])
        self._expire_if_due(now)
        new = [rows.Row(*start, semantic=vector, shared=item.shared) for start, vector, item in zip(checked, vectors, items, strict=True)]
        return self._insert(new)

    def _vectors(self, texts: Sequence[str], given: Sequence[Any]) -> list[NDArray[np.float32]]:
        """The vector of each text, made where the caller gave none. Slow: never under the lock."""
        vectors = [None if vector is None else self._embedder.check(vector) for vector in given]
        missing = [i for i, vector in enumerate(vectors) if vector is None]
        if missing:
            for i, vector in zip(missing, self._embedder([texts[i] for i in missing]), strict=True):
                vectors[i] = vector
        return [vector for vector in vectors if vector is not None]

    def _insert(
        self,
        new: Sequence[rows.Row],
        prepare: Callable[[sqlite3.Connection], None] | None = None,
        finish: Callable[[sqlite3.Connection, Sequence[int]], None] | None = None,
    ) -> tuple[Memory, ...]:
        """Write rows in one transaction, with what goes before and after them in the same, and bring the index in step."""
        if not new:
            return ()
        with self._db.exclusive() as connection:
            with self._db.write():
                self._claim_encoder(connection)
                if prepare is not None:
                    prepare(connection)
                in_step = self._index is not None and self._db.changes_of_others() == self._index_version
                ids = [rows.insert(connection, row) for row in new]
                if finish is not None:
                    finish(connection, ids)
            with self._changing() as index:
                if in_step and index is not None:
                    index.extend(
                        ids,
                        [row.kind for row in new],
                        [row.partner for row in new],
                        [row.stamp_ns for row in new],
                        [row.shared for row in new],
                        [row.archived_ns is not None for row in new],
                        np.stack([row.emotion for row in new]),
                        np.stack([row.semantic for row in new]),
                    )
            found = rows.by_id(connection, ids)
        return tuple(found[id_] for id_ in ids)

    # ---- look

    def get(self, id_: int) -> Memory | None:
        """One memory, or None if there is none of that id."""
        with self._db.read() as connection:
            return rows.by_id(connection, [check_k(id_, "id")]).get(id_)

    def has(self, id_: int) -> bool:
        """Whether there is a memory of that id, however damaged."""
        with self._db.read() as connection:
            return bool(rows.by_id_only(connection, [check_k(id_, "id")]))

    def memories(
        self,
        *,
        partner: str | None = None,
        kinds: Iterable[str] = KINDS,
        since_ns: int | None = None,
        before_ns: int | None = None,
        archived: bool | None = None,
        after_id: int = 0,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[Memory]:
        """What is in the store, whoever's: a tool of its owner, to which no sharing policy applies.

        Args:
            partner: Of whom; None: of all.
            kinds: Of which kinds.
            since_ns, before_ns: Of which time: since_ns <= stamp_ns < before_ns.
            archived: None: all; True: only what was forgotten into the archive; False: only what was not.
            after_id, limit: At most so many, with ids above that: to walk through a large store piece by piece.
            newest_first: By time, newest first; else by id.
        """
        where, values = self._where(partner, kinds, since_ns, before_ns, archived)
        order = "stamp_ns DESC, id DESC" if newest_first else "id"
        order += f" LIMIT {check_k(limit, 'limit')}" if limit is not None else ""
        with self._db.read() as connection:
            return rows.select(connection, where + " AND id > ?", [*values, check_k(after_id, "after_id", 0)], order)

    def count(self, *, partner: str | None = None, kinds: Iterable[str] = KINDS, archived: bool | None = None) -> int:
        """How many there are; arguments as of `memories`."""
        where, values = self._where(partner, kinds, None, None, archived)
        with self._db.read() as connection:
            return int(connection.execute(f"SELECT count(*) FROM memories WHERE {where}", values).fetchone()[0])

    @staticmethod
    def _where(
        partner: str | None, kinds: Iterable[str], since_ns: int | None, before_ns: int | None, archived: bool | None
    ) -> tuple[str, list[Any]]:
        values: list[Any] = list(check_kinds(kinds))
        where = f"kind IN ({rows.marks(values)})"
        if partner is not None:
            where, values = where + " AND partner = ?", [*values, check_partner(partner)]
        if since_ns is not None:
            where, values = where + " AND stamp_ns >= ?", [*values, check_time(since_ns, 0, "since_ns")]
        if before_ns is not None:
            where, values = where + " AND stamp_ns < ?", [*values, check_time(before_ns, 0, "before_ns")]
        if archived is not None:
            where += " AND archived_ns IS " + ("NOT NULL" if archived else "NULL")
        return where, values

    def partners(self) -> tuple[str, ...]:
        """Everyone of whom there is a memory, a state or a blob."""
        with self._db.read() as connection:
            tables = "SELECT partner FROM memories UNION SELECT partner FROM blobs UNION SELECT partner FROM state WHERE partner != ''"
            found = connection.execute(f"{tables} ORDER BY 1")
            return tuple(row[0] for row in found)

    def vector(self, id_: int) -> NDArray[np.float32] | None:
        """The semantic vector (D,) of a memory, or None if there is none of that id."""
        with self._db.read() as connection:
            encoder = self._kept_encoder(connection)
            return rows.vectors(connection, [check_k(id_, "id")], encoder.dimensions).get(id_) if encoder else None

    def check(self) -> list[str]:
        """Everything that is wrong with the file, in words; an empty list if it is sound. Reads all of it."""
        problems = self._db.problems()
        with self._db.snapshot() as connection, contextlib.suppress(StoreError):  # told by the walk below or by SQLite above
            encoder = self._kept_encoder(connection)
            dimensions = encoder.dimensions if encoder else 0
            for (id_,) in connection.execute("SELECT id FROM memories ORDER BY id").fetchall():
                try:
                    rows.by_id(connection, [id_])
                    if id_ not in rows.vectors(connection, [id_], dimensions):
                        problems.append(f"memory {id_}: its vector is missing")
                except StoreError as error:
                    problems.append(str(error))
            for partner, name in connection.execute("SELECT partner, name FROM blobs ORDER BY 1, 2").fetchall():
                try:
                    rows.blob(connection, partner, name)
                except StoreError as error:
                    problems.append(str(error))
        return problems
