"""The whole store: forgetting, export and import on top of recall and diary."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from affectrt.memory import rows
from affectrt.memory.blobs import Blobs
from affectrt.memory.diary import Diary
from affectrt.memory.forgetting import check_tau, draws, elapsed_days, retention
from affectrt.memory.items import FACT, SUMMARY, UTTERANCE, Forgotten, check_kinds, check_partner
from affectrt.memory.recalling import Recalling
from affectrt.memory.transfer import Counts, Reader, head, line, memory_line

__all__ = ["MemoryStore"]

_PAGE = 200


class MemoryStore(Recalling, Diary, Blobs):
    """What a robot remembers of the people it talks with: one SQLite file, its write-ahead log beside it while it is open.

    May be used from any number of threads, and the file by several processes. Methods block: on the disk (milliseconds), on the encoder,
    and when erasing on rewriting the file; from an event loop call them by `asyncio.to_thread`. After a fork the child opens its own.

    Kept is kept: what a method that writes has returned from survives `kill -9` and, as far as the disk keeps its word, a power cut.

    Erased is gone: from the tables, from the free pages (overwritten), from the file (written anew), from its log (cut to nothing) and
    from the vectors in memory (zeros). Another process that has the file open lets go of it at its next recall. What a disk keeps of
    blocks that it has replaced is beyond a program: encrypt.

    Forgetting and sharing never hide that something exists: `memories`, `count`, `partners` and the export show all of it, archived or not.

    Args:
        path: The file; made if it is not there, readable by its owner alone.
        key: Encrypts the file with SQLCipher: a passphrase, or 32 random bytes. Needs `pip install "affectrt[encrypted]"`. None: plain.
        sharing: What a partner is shown of the memories of others: "private", nothing; "flagged", what has the flag `shared`;
            "shared", all.
        embed: (N,) texts to (N, D) float32; None opens `TextEmbedding()` (`affectrt packs pull bge-small-en`) when it is first needed.
        encoder: Which one `embed` is; not needed for a `TextEmbedding`. Without `embed`: the caller passes all vectors.
        policy: Asked before anything of a partner is remembered or recalled (`require("memory", partner=...)`), and for its limits.
        retention: How long memories of a kind are kept, by wall clock; with a policy the shorter of both counts. See `expire`.
        timezone: In which days begin and end.
        timeout_s: How long to wait for another program that is writing.
        read_only: Change nothing, not even the schema.
        create: False: raise if there is no file.
        clock: Nanoseconds since 1970, where a method is not told the time.

    Raises:
        ConsentError, PolicyError: By the policy.
        StoreError: The file cannot be used; `reason` says why.
        ValueError, TypeError: For arguments.
    """

    def forget(
        self,
        now_ns: int | None = None,
        *,
        seed: int,
        policy: Literal["archive", "erase"] = "archive",
        tau_days: float = 1.0,
        kinds: Iterable[str] = (UTTERANCE, FACT, SUMMARY),
        partner: str | None = None,
    ) -> Forgotten:
        """Forget each memory with probability 1 - R, R = exp(-t / (tau S)) (MemoryBank; see `affectrt.memory.retention`).

        The same seed, time and memories give the same result. With one seed for the store's life, the probability that a memory is
        still there at a time t after its last recall is R(t), however often this is called; a new seed each time would forget faster.

        Args:
            now_ns: None takes now. Before a memory's last recall (the clock was set back), its t is 0 and it is kept.
            seed: Of the chance.
            policy: "archive": recall leaves them out, until `restore`; "erase": they are gone, and a summary made of them stays and
                counts them in `lost_sources`: the gist outlives the words. (`erase` takes the summary along.)
            tau_days: The time scale; 1 is the paper's, which forgets nearly two thirds of what is not recalled within a day.
            kinds, partner: Forget only of these; None: of everyone.
        """
        if policy not in ("archive", "erase"):
            raise ValueError(f"policy: expected archive or erase, got {policy!r}")
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise TypeError(f"seed: expected an int, got {seed!r}")
        tau, now = check_tau(tau_days), self._now(now_ns)
        where, values = self._where(partner, check_kinds(kinds), None, None, None if policy == "erase" else False)

        def choose(connection: sqlite3.Connection) -> set[int]:
            found = connection.execute(f"SELECT id, strength, recalled_ns FROM memories WHERE {where}", values).fetchall()
            ids, strengths, recalled = np.array(rows.numbers(found), np.int64).reshape(-1, 3).T
            gone = draws(seed, ids, strengths) >= retention(elapsed_days(now, recalled), np.maximum(strengths, 1), tau)
            return {int(id_) for id_ in ids[gone]}

        if policy == "erase":
            return Forgotten(self._erase(choose), erased=True)
        chosen: set[int] = set()

        def choose_and_tell(connection: sqlite3.Connection) -> set[int]:
            chosen.update(choose(connection))
            return chosen

        self._update("archived_ns = ?", [now], choose_and_tell, lambda index: index.set_archived(chosen, True))
        return Forgotten(tuple(sorted(chosen)), erased=False)

    # ---- export and import

    def export_lines(self, partner: str | None = None) -> Iterator[str]:
        """Everything but blobs, or all that belongs to one partner, as lines of JSON with vectors; see `affectrt.memory.transfer`.

        Not encrypted, whatever the store is. What is added meanwhile is left out; what is erased meanwhile is not in the rest.
        """
        name = None if partner is None else check_partner(partner)
        counts = Counts()
        with self._db.read() as connection:
            encoder = self._kept_encoder(connection)
            top = connection.execute("SELECT coalesce(max(id), 0) FROM memories").fetchone()[0]
        yield head(encoder)
        after = 0
        written: set[int] = set()
        while after < top:
            with self._db.read() as connection:
                values = [after, top] if name is None else [after, top, name]
                where = "id > ? AND id <= ?" + ("" if name is None else " AND partner = ?")
                page = rows.select(connection, where, values, f"id LIMIT {_PAGE}")
                vectors = rows.vectors(connection, [m.id for m in page], encoder.dimensions) if page and encoder else {}
            for memory in page:
                if memory.id in vectors:
                    written.add(memory.id)
                    counts.add("memory")
                    yield memory_line(memory, vectors[memory.id])
            after = page[-1].id if page else top
        with self._db.read() as connection:
            states = connection.execute("SELECT partner, name, value, stamp_ns, version FROM state ORDER BY 1, 2").fetchall()
            links = connection.execute("SELECT a, b, linked FROM links ORDER BY 1, 2").fetchall()
            sources = connection.execute("SELECT memory, source FROM sources ORDER BY 1, 2").fetchall()
        for owner, key, value, stamp, version in states:
            if name is None or owner == name:
                counts.add("state")
                yield line("state", {"partner": owner, "name": key, "value": json.loads(value), "stamp_ns": stamp, "version": version})
        for a, b, linked in links:
            if a in written and b in written:
                counts.add("link")
                yield line("link", {"a": a, "b": b, "linked": bool(linked)})
        for made, source in sources:
            if made in written and source in written:
                counts.add("source")
                yield line("source", {"memory": made, "source": source})
        yield line("end", counts)

    def export_file(self, path: str | Path, partner: str | None = None) -> int:
        """Write `export_lines` to a file that only its owner can read; it appears whole or not at all. Returns how many memories."""
        path = Path(path)
        if not path.parent.is_dir() or path.is_dir():  # its own name, not that of the temporary file, and before the work
            raise FileNotFoundError(errno.ENOENT, "expected a file in a folder that is there", str(path))
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
        count = 0
        try:
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                for text in self.export_lines(partner):
                    count += text.startswith('{"memory":')
                    file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()
        return count

    def import_lines(self, lines: Iterable[str]) -> int:
        """Take an export in, all of it or nothing; returns how many memories. They get new ids; importing twice has them twice.

        Vectors of another encoder than this store's are made anew from the texts. A summary or portrait takes the place of one of the
        same partner and day. Raises ValueError, which names the line; StoreError.
        """
        reader = Reader(lines)
        new: dict[int, int] = {}
        with self._db.exclusive():
            with self._db.write() as connection:
                convert = self._import_encoder(connection, reader)
                for sort, value in reader:
                    if sort == "memory":
                        id_, row = value
                        if id_ in new:
                            raise reader.error(f"a second memory {id_}")
                        new[id_] = self._import_memory(connection, row, convert)
                    elif sort == "state":
                        owner = self._owner(value["partner"])
                        text = json.dumps(value["value"], ensure_ascii=False, separators=(",", ":"))
                        values = (owner, value["name"], text, value["stamp_ns"], value["version"])
                        connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?, ?, ?, ?)", values)
                    else:
                        a, b, *flag = value
                        if a not in new or b not in new:
                            raise reader.error(f"expected memories of this export, got {a} and {b}")
                        table = "links" if flag else "sources"
                        pair = sorted((new[a], new[b])) if flag else [new[a], new[b]]
                        connection.execute(
                            f"INSERT OR REPLACE INTO {table} VALUES ({rows.marks(value)})", [*pair, *(int(one) for one in flag)]
                        )
            self._drop_index()
        return len(new)

    def _import_encoder(self, connection: sqlite3.Connection, reader: Reader) -> bool:
        """Whether the export's vectors are to be made anew. An empty store takes over the export's encoder."""
        if connection.execute("SELECT 1 FROM vectors LIMIT 1").fetchone() is None:
            rows.set_meta(connection, "encoder", reader.encoder.to_json() if reader.encoder else None)
            return False
        kept = self._kept_encoder(connection)
        same = kept is not None and reader.encoder is not None and kept.same(reader.encoder)
        return not same and self._check_encoder(connection)

    def _import_memory(self, connection: sqlite3.Connection, row: rows.Row, convert: bool) -> int:
        row = dataclasses.replace(row, partner=check_partner(row.partner))
        self._require(row.partner, row.kind)
        if convert:
            row = dataclasses.replace(row, semantic=self._embedder([row.text])[0])
        if row.kind not in (UTTERANCE, FACT):
            same = "SELECT id FROM memories WHERE partner = ? AND kind = ? AND day = ?"
            rows.delete(connection, [found[0] for found in connection.execute(same, (row.partner, row.kind, row.day))])
        return rows.insert(connection, row)

    def import_file(self, path: str | Path) -> int:
        """`import_lines` of a file."""
        with Path(path).open(encoding="utf-8", newline="\n") as file:
            return self.import_lines(file)
