"""Memories to rows and back. Functions over a connection, inside a transaction of the caller's."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from affectrt.errors import StoreError
from affectrt.memory.items import EMOTIONS, KINDS, Memory, StoredBlob

if TYPE_CHECKING:
    from numpy.typing import NDArray

_COLUMNS = "id, kind, partner, text, stamp_ns, strength, recalled_ns, emotion, shared, archived_ns, day, lost_sources, crc"
_F4 = np.dtype("<f4")
MANY = 500
"""Ids in one statement; older SQLite takes 999 parameters."""


@dataclass(frozen=True, slots=True)
class Row:
    """A memory that has been checked and embedded, ready to be written."""

    kind: str
    partner: str
    text: str
    stamp_ns: int
    emotion: NDArray[np.float32]
    semantic: NDArray[np.float32]
    shared: bool = False
    day: str = ""
    strength: int = 1
    recalled_ns: int | None = None
    archived_ns: int | None = None
    lost_sources: int = 0


def _crc(id_: int, kind: str, partner: str, text: str, stamp_ns: int, emotion: bytes) -> int:
    return zlib.crc32(emotion, zlib.crc32("\0".join((str(id_), kind, partner, text, str(stamp_ns))).encode()))


def _vector_crc(id_: int, semantic: bytes) -> int:
    return zlib.crc32(semantic, id_ & 0xFFFFFFFF)


def insert(connection: sqlite3.Connection, row: Row) -> int:
    """Write one memory; returns its id."""
    emotion = row.emotion.astype(_F4).tobytes()
    last = connection.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'memories'").fetchone()[0]
    values: dict[str, Any] = {
        "id": (last or 0) + 1,  # as AUTOINCREMENT would give it, but known before, for the checksums
        "kind": row.kind,
        "partner": row.partner,
        "text": row.text,
        "stamp_ns": row.stamp_ns,
        "recalled_ns": row.stamp_ns if row.recalled_ns is None else row.recalled_ns,
        "strength": row.strength,
        "shared": int(row.shared),
        "archived_ns": row.archived_ns,
        "emotion": emotion,
        "crc": _crc((last or 0) + 1, row.kind, row.partner, row.text, row.stamp_ns, emotion),
        "day": row.day,
        "lost_sources": row.lost_sources,
    }
    connection.execute(f"INSERT INTO memories ({', '.join(values)}) VALUES ({marks(list(values))})", list(values.values()))
    replace_vector(connection, values["id"], row.semantic)
    return int(values["id"])


def _memory(row: Sequence[Any]) -> Memory:
    id_, kind, partner, text, stamp, strength, recalled, emotion, shared, archived, day, lost, crc = row
    numbers = (id_, stamp, strength, recalled, shared, 0 if archived is None else archived, lost)
    sound = all(isinstance(n, int) for n in numbers) and all(isinstance(t, str) for t in (kind, partner, text, day))
    if not (sound and kind in KINDS and isinstance(emotion, bytes) and len(emotion) == 4 * len(EMOTIONS)):
        raise StoreError(f"memory {id_}: the file is damaged there", "corrupt")
    if _crc(id_, kind, partner, text, stamp, emotion) != crc:
        raise StoreError(f"memory {id_}: its words do not match their checksum; the file is damaged there", "corrupt")
    feeling = tuple(float(x) for x in np.frombuffer(emotion, _F4))
    return Memory(id_, kind, partner, text, stamp, strength, recalled, feeling, bool(shared), archived, day, lost)


def numbers(found: Sequence[Sequence[Any]]) -> Sequence[Sequence[int]]:
    """Rows of an id and other numbers >= 0, if that is what they are; raises StoreError."""
    for row in found:
        if not all(isinstance(value, int) and value >= 0 for value in row):
            raise StoreError(f"memory {row[0]}: the file is damaged there", "corrupt")
    return found


def select(connection: sqlite3.Connection, where: str = "1", parameters: Sequence[Any] = (), order: str = "id") -> list[Memory]:
    """The memories of a condition."""
    # All rows first: a statement that an error leaves half read would hold its snapshot, and stand in the way of erasing.
    found = connection.execute(f"SELECT {_COLUMNS} FROM memories WHERE {where} ORDER BY {order}", parameters).fetchall()
    return [_memory(row) for row in found]


def by_id(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, Memory]:
    """The memories of some ids that are there."""
    return {memory.id: memory for chunk in chunks(ids) for memory in select(connection, f"id IN ({marks(chunk)})", chunk)}


def by_id_only(connection: sqlite3.Connection, ids: Iterable[int]) -> set[int]:
    """Which of some ids are there; reads nothing of the memories, which may be damaged."""
    return {row[0] for chunk in chunks(ids) for row in connection.execute(f"SELECT id FROM memories WHERE id IN ({marks(chunk)})", chunk)}


def vectors(connection: sqlite3.Connection, ids: Iterable[int], dimensions: int) -> dict[int, NDArray[np.float32]]:
    """The semantic vectors of some ids that are there, each checked."""
    found: dict[int, NDArray[np.float32]] = {}
    for chunk in chunks(ids):
        rows = connection.execute(f"SELECT memory, semantic, crc FROM vectors WHERE memory IN ({marks(chunk)}) ORDER BY memory", chunk)
        for id_, semantic, crc in rows.fetchall():
            if not isinstance(semantic, bytes) or len(semantic) != 4 * dimensions or _vector_crc(id_, semantic) != crc:
                raise StoreError(f"memory {id_}: its vector does not match its checksum; the file is damaged there", "corrupt")
            found[id_] = np.frombuffer(semantic, _F4)
    return found


def replace_vector(connection: sqlite3.Connection, id_: int, vector: NDArray[np.float32]) -> None:
    """Write the vector of a memory, in the place of an old one."""
    semantic = vector.astype(_F4).tobytes()
    connection.execute("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", (id_, semantic, _vector_crc(id_, semantic)))


def with_dependents(connection: sqlite3.Connection, ids: Iterable[int]) -> set[int]:
    """The ids, and those of every summary and portrait that was made of any of them, however indirectly."""
    reached: set[int] = set(ids)
    edge = reached
    while edge:
        further: set[int] = set()
        for chunk in chunks(edge):
            rows = connection.execute(f"SELECT DISTINCT memory FROM sources WHERE source IN ({marks(chunk)})", chunk)
            further |= {row[0] for row in rows}
        edge = further - reached
        reached |= edge
    return reached


def delete(connection: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Delete memories with their vectors and links; what was made of them counts what it lost."""
    gone = list(ids)
    for chunk in chunks(gone):
        lost = connection.execute(f"SELECT memory, count(*) FROM sources WHERE source IN ({marks(chunk)}) GROUP BY memory", chunk)
        for memory, count in lost.fetchall():
            connection.execute("UPDATE memories SET lost_sources = lost_sources + ? WHERE id = ?", (count, memory))
        connection.execute(f"DELETE FROM memories WHERE id IN ({marks(chunk)})", chunk)


def replace_blob(connection: sqlite3.Connection, partner: str, name: str, stamp_ns: int, version: int, value: bytes) -> None:
    """Write a blob, in the place of an old one."""
    crc = _blob_crc(partner, name, stamp_ns, version, value)
    connection.execute("INSERT OR REPLACE INTO blobs VALUES (?, ?, ?, ?, ?, ?)", (partner, name, stamp_ns, version, crc, value))


def blob(connection: sqlite3.Connection, partner: str, name: str) -> StoredBlob | None:
    """A blob, checked, or None."""
    where = "SELECT stamp_ns, version, crc, value FROM blobs WHERE partner = ? AND name = ?"
    row = connection.execute(where, (partner, name)).fetchone()
    if row is None:
        return None
    stamp, version, crc, value = row
    sound = isinstance(stamp, int) and isinstance(version, int) and isinstance(value, bytes)
    if not sound or _blob_crc(partner, name, stamp, version, value) != crc:
        raise StoreError(f"blob {name!r} of {partner!r}: it does not match its checksum; the file is damaged there", "corrupt")
    return StoredBlob(name, value, stamp, version, partner)


def thin_blobs(connection: sqlite3.Connection, limit: int) -> None:
    """Delete the blobs that were written longest ago, as far as all together are larger than `limit` bytes."""
    total = 0
    for row, size in connection.execute("SELECT rowid, length(value) FROM blobs ORDER BY rowid DESC").fetchall():
        total += size
        if total > limit:
            connection.execute("DELETE FROM blobs WHERE rowid = ?", (row,))


def _blob_crc(partner: str, name: str, stamp_ns: int, version: int, value: bytes) -> int:
    return zlib.crc32(value, zlib.crc32("\0".join((partner, name, str(stamp_ns), str(version))).encode()))


def meta(connection: sqlite3.Connection, name: str) -> Any:
    """A value of the file's own notes, or None."""
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    try:
        return None if row is None else json.loads(row[0])
    except (TypeError, ValueError) as error:
        raise StoreError(f"the file's note {name!r} is damaged", "corrupt") from error


def set_meta(connection: sqlite3.Connection, name: str, value: Any) -> None:
    """Keep a note; None removes it."""
    if value is None:
        connection.execute("DELETE FROM meta WHERE name = ?", (name,))
    else:
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, json.dumps(value)))


def chunks(ids: Iterable[int]) -> Iterable[list[int]]:
    """The ids in ascending order, as many at a time as a statement takes."""
    ordered = sorted(ids)
    return (ordered[i : i + MANY] for i in range(0, len(ordered), MANY))


def marks(values: Sequence[object]) -> str:
    """The placeholders of so many values."""
    return ",".join("?" * len(values))
