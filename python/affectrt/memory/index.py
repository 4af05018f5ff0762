"""The vectors of a store in memory, in contiguous matrices beside what decides who may see which row.

Loaded at the first recall, then kept in step: own changes directly, those of other processes by comparing ids. Rows lie in ascending
order of id, so that of equal distances the older memory wins. Whatever leaves is overwritten with zeros first.
Not safe for threads by itself: the store calls it under its lock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from affectrt import _core
from affectrt.errors import StoreError
from affectrt.memory.items import EMOTIONS, KINDS
from affectrt.memory.rows import MANY, vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FIRST_ROWS = 256


class VectorIndex:
    """Semantic vectors, their 8-bit codes and emotion vectors by memory; `len()` is the number of rows."""

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self._n = 0
        self._partners: dict[str, int] = {}
        self._columns: dict[str, NDArray[Any]] = {
            "semantics": np.zeros((0, dimensions), np.float32),
            "codes": np.zeros((0, dimensions), np.int8),
            "bounds": np.zeros((0, 3), np.float32),
            "emotions": np.zeros((0, len(EMOTIONS)), np.float32),
            "ids": np.zeros(0, np.int64),
            "stamps": np.zeros(0, np.int64),
            "partners": np.zeros(0, np.int32),
            "kinds": np.zeros(0, np.int8),
            "shared": np.zeros(0, np.bool_),
            "archived": np.zeros(0, np.bool_),
            "readable": np.zeros(0, np.bool_),
        }

    def __len__(self) -> int:
        return self._n

    def partners(self) -> tuple[str, ...]:
        """Everyone of whom a row is here."""
        return tuple(self._partners)

    def column(self, name: str) -> NDArray[Any]:
        """The rows in use of one column, without a copy; good until the next change."""
        return self._columns[name][: self._n]

    def extend(
        self,
        ids: Sequence[int],
        kinds: Sequence[str],
        partners: Sequence[str],
        stamps_ns: Sequence[int],
        shared: Sequence[bool],
        archived: Sequence[bool],
        emotions: NDArray[np.float32],
        semantics: NDArray[np.float32],
    ) -> None:
        """Add the rows of memories whose ids ascend from above all that are here; emotions (n, 8), semantics (n, D)."""
        if self._n + len(ids) > len(self._columns["ids"]):
            self._make_room(self._n + len(ids))
        codes, bounds = _core.memory_codes(semantics)
        numbers = [self._partners.setdefault(name, max(self._partners.values(), default=-1) + 1) for name in partners]
        values = (semantics, codes, bounds, emotions, ids, stamps_ns, numbers, [KINDS.index(kind) for kind in kinds], shared, archived)
        for column, value in zip(self._columns.values(), (*values, semantics.any(axis=1)), strict=True):
            column[self._n : self._n + len(ids)] = value
        self._n += len(ids)

    def _make_room(self, rows: int) -> None:
        room = max(_FIRST_ROWS, rows, len(self._columns["ids"]) * 3 // 2)
        for name, old in self._columns.items():
            new = np.zeros((room, *old.shape[1:]), old.dtype)
            new[: self._n] = old[: self._n]
            self._columns[name] = new
            old[:] = 0  # a memory that is erased later must not live on in what is freed now

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Let go of the rows (N,) that are not kept."""
        count = int(kept.sum())
        for column in self._columns.values():
            column[:count] = column[: self._n][kept]
            column[count : self._n] = 0
        self._n = count
        there = set(self.column("partners").tolist())
        self._partners = {name: number for name, number in self._partners.items() if number in there}

    def remove(self, ids: Collection[int]) -> None:
        """Let go of memories."""
        self.keep(~np.isin(self.column("ids"), np.fromiter(ids, np.int64, len(ids))))

    def clear(self) -> None:
        """Let go of all."""
        self.keep(np.zeros(self._n, np.bool_))

    def set_archived(self, ids: Collection[int], archived: bool) -> None:
        """Move memories into the archive or out of it."""
        self.column("archived")[np.isin(self.column("ids"), np.fromiter(ids, np.int64, len(ids)))] = archived

    def set_shared(self, ids: Collection[int], shared: bool) -> None:
        """Set the flag of memories."""
        self.column("shared")[np.isin(self.column("ids"), np.fromiter(ids, np.int64, len(ids)))] = shared

    def visible(
        self,
        *,
        partner: str | None,
        others: str,
        but: Iterable[str] = (),
        kinds: Iterable[str],
        before_ns: int | None,
        archived: bool,
        readable: bool,
    ) -> NDArray[np.bool_]:
        """(N,) bool: the rows that a query may find. partner: None is everyone. others: as of `Sharing`, `but` for these partners."""
        allowed = np.isin(self.column("kinds"), [KINDS.index(kind) for kind in kinds])
        if partner is not None and others != "shared":
            own = self.column("partners") == self._partners.get(partner, -1)
            allowed &= own | self.column("shared") if others == "flagged" else own
        if names := [self._partners[name] for name in but]:
            allowed &= ~np.isin(self.column("partners"), names)
        if before_ns is not None:
            allowed &= self.column("stamps") < before_ns
        if not archived:
            allowed &= ~self.column("archived")
        if readable:
            allowed &= self.column("readable")
        return np.ascontiguousarray(allowed)

    def load(self, connection: sqlite3.Connection) -> None:
        """Bring the rows in step with the file, reading the vectors of new memories only."""
        rows = connection.execute("SELECT id, kind, partner, stamp_ns, shared, archived_ns, emotion FROM memories ORDER BY id").fetchall()
        there = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        self.keep(np.isin(self.column("ids"), there))
        known = self.column("ids")
        if self._n and (there[: self._n] != known).any():  # another process's memory belongs between ours
            self.clear()
        old = rows[: self._n]
        self.column("shared")[:] = [bool(row[4]) for row in old]
        self.column("archived")[:] = [row[5] is not None for row in old]
        if len(rows) > len(self._columns["ids"]):
            self._make_room(len(rows))
        for start in range(self._n, len(rows), MANY):
            ids, kinds, partners, stamps, shared, archived, emotions = zip(*rows[start : start + MANY], strict=True)
            found = vectors(connection, ids, self.dimensions)
            for id_, kind, emotion in zip(ids, kinds, emotions, strict=True):
                if id_ not in found or kind not in KINDS or not isinstance(emotion, bytes) or len(emotion) != 4 * len(EMOTIONS):
                    raise StoreError(f"memory {id_}: the file is damaged there", "corrupt")
            feelings = np.frombuffer(b"".join(emotions), "<f4").reshape(-1, len(EMOTIONS))
            gone = [one is not None for one in archived]
            self.extend(ids, kinds, partners, stamps, [bool(one) for one in shared], gone, feelings, np.stack([found[id_] for id_ in ids]))
