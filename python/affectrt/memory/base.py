"""The ground of the store: it is opened, changed and erased from."""

from __future__ import annotations

import contextlib
import datetime
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from affectrt.errors import PolicyError, StoreError
from affectrt.memory import rows
from affectrt.memory.database import Database
from affectrt.memory.encoder import Embed, Embedder, Encoder
from affectrt.memory.index import VectorIndex
from affectrt.memory.items import (
    KINDS,
    UTTERANCE,
    Forgotten,
    Sharing,
    check_ids,
    check_partner,
    check_time,
)
from affectrt.policy import Policy, Retention, check_policy

if TYPE_CHECKING:
    import sqlite3
    from types import TracebackType
    from typing import TypeVar

    import numpy as np
    from numpy.typing import NDArray

    T = TypeVar("T", bound="StoreBase")

MARK = "last erasing"
"""The note in the file that another erasing changes."""
_EXPIRE_EVERY_NS = 3_600_000_000_000


class StoreBase:
    """See `MemoryStore`."""

    def __init__(
        self,
        path: str | Path,
        *,
        key: str | bytes | None = None,
        sharing: Sharing = "private",
        embed: Embed | None = None,
        encoder: Encoder | None = None,
        policy: Policy | None = None,
        retention: Retention | None = None,
        timezone: datetime.tzinfo = datetime.timezone.utc,
        timeout_s: float = 5.0,
        read_only: bool = False,
        create: bool = True,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        if sharing not in get_args(Sharing):
            raise ValueError(f"sharing: expected one of {', '.join(get_args(Sharing))}, got {sharing!r}")
        if not isinstance(timezone, datetime.tzinfo):
            raise TypeError(f"timezone: expected a datetime.tzinfo, got {type(timezone).__name__}")
        self.sharing: Sharing = sharing
        self.policy = check_policy(policy)
        if retention is not None and not isinstance(retention, Retention):
            raise TypeError(f"retention: expected an affectrt.policy.Retention or None, got {type(retention).__name__}")
        self._retention = retention
        self._timezone, self._clock = timezone, clock
        self._embedder = Embedder(embed, encoder)
        self._index: VectorIndex | None = None
        self._index_version = -1
        self._index_of: Encoder | None = None
        self._expired_ns: int | None = None
        self._db = Database(path, key=key, timeout_s=timeout_s, read_only=read_only, create=create)
        if not read_only:
            try:
                self._take_up()
            except BaseException:
                self._db.close()
                raise

    def _take_up(self) -> None:
        try:
            self._finish_erasing()
            self._expire_if_due(self._now(None))
        except StoreError as error:
            if error.reason not in ("busy", "full"):  # those pass, and the note in the file stays until it is done
                raise
            self._expired_ns = None

    def __enter__(self: T) -> T:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r}, sharing={self.sharing!r}, encrypted={self.encrypted})"

    @property
    def path(self) -> Path:
        """The file, absolute."""
        return self._db.path

    @property
    def encrypted(self) -> bool:
        """Whether the file was opened with a key."""
        return self._db.encrypted

    @property
    def encoder(self) -> Encoder | None:
        """Which encoder made the vectors that are here; None in a store that has never held one."""
        with self._db.read() as connection:
            return self._kept_encoder(connection)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors (N, D) of texts by the store's encoder, for `add` and `recall` of the same words; opens it if need be.

        Raises `PackError` if the default encoder has not been pulled.
        """
        return self._embedder(texts)

    def close(self) -> None:
        """Close the file and overwrite the vectors in memory. Twice is once."""
        self._db.close()
        index, self._index = self._index, None
        if index is not None:
            index.clear()

    def _kept_encoder(self, connection: sqlite3.Connection) -> Encoder | None:
        kept = rows.meta(connection, "encoder")
        try:
            return None if kept is None else Encoder.from_json(kept)
        except ValueError as error:
            raise StoreError(f"{self.path}: {error}", "corrupt") from error

    def _check_encoder(self, connection: sqlite3.Connection) -> bool:
        """Whether there are vectors; raises if they are of another encoder than ours."""
        kept, ours = self._kept_encoder(connection), self._embedder.encoder
        if connection.execute("SELECT 1 FROM vectors LIMIT 1").fetchone() is None:
            return False
        if kept is None:
            raise StoreError(f"{self.path}: there is no telling which encoder its vectors are of; the file is damaged", "corrupt")
        if not kept.same(ours):
            raise StoreError(
                f"{self.path}: its vectors are of {kept}, this store was opened with {ours}: open it with that encoder, or call reembed()",
                "encoder",
            )
        return True

    def _claim_encoder(self, connection: sqlite3.Connection) -> None:
        if not self._check_encoder(connection):
            rows.set_meta(connection, "encoder", self._embedder.encoder.to_json())
            self._drop_index()  # it may be of another number of dimensions

    def _drop_index(self) -> None:
        index, self._index = self._index, None
        if index is not None:
            index.clear()

    # ---- change

    def share(self, ids: Collection[int], shared: bool = True) -> int:
        """Set the flag by which the policy "flagged" shows a memory to other partners; returns how many memories there were."""
        return self._update("shared = ?", [int(shared)], ids, lambda index: index.set_shared(ids, shared))

    def archive(self, ids: Collection[int], now_ns: int | None = None) -> int:
        """Put memories into the archive: recall leaves them out, everything else still shows them."""
        return self._update("archived_ns = ?", [self._now(now_ns)], ids, lambda index: index.set_archived(ids, True))

    def restore(self, ids: Collection[int]) -> int:
        """Take memories out of the archive."""
        return self._update("archived_ns = NULL", [], ids, lambda index: index.set_archived(ids, False))

    def _update(
        self,
        change: str,
        values: list[Any],
        ids: Collection[int] | Callable[[sqlite3.Connection], Collection[int]],
        step: Callable[[VectorIndex], None],
    ) -> int:
        """Change columns of memories, by id or as a function of the tables chooses, and bring the index in step."""
        changed = 0
        with self._db.exclusive():
            with self._db.write() as connection:
                for chunk in rows.chunks(ids(connection) if callable(ids) else check_ids(ids)):
                    cursor = connection.execute(f"UPDATE memories SET {change} WHERE id IN ({rows.marks(chunk)})", [*values, *chunk])
                    changed += cursor.rowcount
            with self._changing() as index:
                if index is not None:
                    step(index)
        return changed

    @contextlib.contextmanager
    def _changing(self) -> Iterator[VectorIndex | None]:
        """The index while it is changed: if that is broken off, it is let go of, as its columns may no longer fit together."""
        index, self._index = self._index, None
        try:
            yield index
        except BaseException:
            if index is not None:
                index.clear()
            raise
        self._index = index

    # ---- erase

    def erase(self, ids: Collection[int]) -> tuple[int, ...]:
        """Erase memories, every summary and portrait made of them, and all blobs. See `MemoryStore` for what "erased" means.

        Returns the ids of all that was erased. Raises StoreError: it says whether the memories are gone from the tables but not yet from
        the log ("busy"); erasing anything, or opening the file again, finishes the work.
        """
        wanted = check_ids(ids)
        return self._erase(lambda connection: rows.with_dependents(connection, rows.by_id_only(connection, wanted)))

    def erase_partner(self, partner: str) -> tuple[int, ...]:
        """Erase all memories of a partner and everything made of them, and the states and blobs kept for the partner; as `erase`."""
        name = check_partner(partner)

        def choose(connection: sqlite3.Connection) -> set[int]:
            connection.execute("DELETE FROM state WHERE partner = ?", (name,))
            connection.execute("DELETE FROM blobs WHERE partner = ?", (name,))
            found = connection.execute("SELECT id FROM memories WHERE partner = ?", (name,))
            return rows.with_dependents(connection, {row[0] for row in found})

        return self._erase(choose)

    def erase_all(self) -> tuple[int, ...]:
        """Erase every memory, state and blob; as `erase`."""

        def choose(connection: sqlite3.Connection) -> set[int]:
            connection.execute("DELETE FROM state")
            connection.execute("DELETE FROM blobs")
            return {row[0] for row in connection.execute("SELECT id FROM memories")}

        return self._erase(choose)

    def _erase(self, choose: Callable[[sqlite3.Connection], set[int]]) -> tuple[int, ...]:
        with self._db.turn():
            with self._db.exclusive():
                with self._db.write() as connection:
                    before = connection.total_changes
                    ids = choose(connection)
                    rows.delete(connection, ids)
                    if connection.total_changes > before:
                        connection.execute("DELETE FROM blobs")  # any of them may repeat what was erased
                        rows.set_meta(connection, MARK, secrets.token_hex(8))
                        rows.set_meta(connection, "erasing", True)  # so that the next to open the file finishes, if this is killed here
                with self._changing() as index:
                    if index is not None:
                        index.remove(ids)
            self._finish_erasing()
        return tuple(sorted(ids))

    def _finish_erasing(self) -> None:
        with self._db.turn():
            with self._db.read() as connection:
                due = rows.meta(connection, "erasing") is not None
            if due:
                self._db.scrub()
                with self._db.write() as connection:
                    rows.set_meta(connection, "erasing", None)

    # ---- limits

    def expire(self, now_ns: int | None = None) -> Forgotten:
        """Erase what is as old as `retention` or the policy allows for its kind. Runs by itself when the store is opened, and with use.

        A summary outlives the utterances it was made of until its own limit; its `lost_sources` counts them. What lies in the future
        (the clock was set back) is kept.
        """
        now = self._now(now_ns)
        self._expired_ns = now

        limits = self._limits_ns()

        def choose(connection: sqlite3.Connection) -> set[int]:
            ids: set[int] = set()
            connection.execute("DELETE FROM blobs WHERE stamp_ns <= ?", (now - limits[UTTERANCE],))
            for kind, limit in limits.items():
                ids |= {
                    row[0] for row in connection.execute("SELECT id FROM memories WHERE stamp_ns <= ? AND kind = ?", (now - limit, kind))
                }
            return ids

        return Forgotten(self._erase(choose) if limits else (), erased=True)

    def _limits_ns(self) -> dict[str, int]:
        """How long each kind may be kept; empty: for ever. Asked anew each time, as a policy may change."""
        sources = [source for source in (self.policy, self._retention) if source is not None]
        return {kind: round(min(source.limit_s(kind) for source in sources) * 1e9) for kind in KINDS} if sources else {}

    def _expire_if_due(self, now: int) -> None:
        """On the way to something else, which is not to fail for it: a full disk or another writer puts it off to the next time."""
        last, limits = self._expired_ns, self._limits_ns()
        if limits and (last is None or not 0 <= now - last < min(_EXPIRE_EVERY_NS, *limits.values())):
            try:
                self.expire(now)
            except StoreError as error:
                if error.reason not in ("busy", "full"):
                    raise

    def _require(self, partner: str, kind: str | None = None) -> None:
        """Pass if the partner's memories may be used, and one of this kind be kept. Raises ConsentError, PolicyError."""
        if self.policy is not None:
            self.policy.require("memory", partner=partner)
        if kind is not None and self._limits_ns().get(kind) == 0:
            raise PolicyError(f"{kind}: not to be kept at all: its limit is 0 s")

    def now_ns(self) -> int:
        """The time by the store's clock, in nanoseconds since 1970."""
        return self._now(None)

    def _now(self, now_ns: int | None) -> int:
        return check_time(now_ns, 0, "now_ns") if now_ns is not None else check_time(self._clock(), 0, "clock")
