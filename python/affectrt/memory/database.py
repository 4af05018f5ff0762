"""One SQLite file: opened, locked, migrated, and its errors told in our words. Nothing here knows what a memory is.

Write-ahead log and `synchronous=FULL`: a transaction that returned is on the disk, whatever is killed afterwards. One connection under
one lock serves all threads; what is long happens outside of it: embedding a text, and rewriting the file after an erasing, which has a
connection of its own so that others read meanwhile. Who writes holds a second lock, always taken first: the turn to write. Other
processes may have the file open too: a writer waits up to `timeout_s` for another's transaction.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import urllib.parse
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from affectrt.errors import StoreError
from affectrt.memory.schema import APPLICATION_ID, MIGRATIONS, VERSION

__all__ = ["Database"]

_PLAIN = b"SQLite format 3\0"
INSTALL = 'pip install "affectrt[encrypted]"'

# By SQLite's own words: its error codes reach Python only from 3.11 on.
_REASONS = (
    (("is locked", "locking protocol"), "busy", "another program is writing to it; waited {timeout_s:g} s"),
    (("is full",), "full", "the disk is full, or the file is as large as it may be"),
    (("readonly database",), "read-only", "it cannot be written"),
    (("malformed", "not a database", "Could not decode", "unsupported file format"), "corrupt", "the file is damaged"),
    # Of our own statements over our own tables.
    (("no such", "has no column", "constraint failed", "mismatch", "already exists"), "corrupt", "the file is damaged"),
)

_AGAIN_S = 0.02
_LOG_BYTES = 4 << 20
"""To which the log is cut when it begins anew after a large transaction: about the size that it grows to by itself."""

_open: weakref.WeakSet[Database] = weakref.WeakSet()
_orphans: list[Any] = []  # connections of the parent process, which a child must neither use nor close


class Database:
    """A connection that is opened at once and shared by threads. Args: see `MemoryStore`. Raises `StoreError`."""

    def __init__(self, path: str | Path, *, key: str | bytes | None, timeout_s: float, read_only: bool, create: bool) -> None:
        if not isinstance(path, (str, os.PathLike)) or isinstance(path, bytes):
            raise TypeError(f"path: expected a str or a Path, got {type(path).__name__}")
        if str(path) in ("", ".", ":memory:") or "\0" in str(path):
            raise ValueError(f"path: expected the name of a file, got {str(path)!r}")
        if isinstance(timeout_s, bool) or not isinstance(timeout_s, (int, float)) or not 0 <= timeout_s <= 3600:
            raise ValueError(f"timeout_s: expected seconds in [0, 3600], got {timeout_s!r}")
        self.path = Path(path).expanduser().absolute()
        self.encrypted, self.read_only, self.timeout_s = key is not None, read_only, float(timeout_s)
        self._pragma = _key_pragma(key)
        self._turn, self._lock = threading.RLock(), threading.RLock()
        self._forked = False
        self._connection: sqlite3.Connection | None = None
        self._module: Any = _sqlcipher() if key is not None else sqlite3
        self._errors: type[Exception] = self._module.Error
        self._look_at_file(create)
        try:
            with self._told():
                self._connection = self._connect()
                self._prepare()
        except BaseException:
            self.close()
            raise
        _open.add(self)

    def _look_at_file(self, create: bool) -> None:
        path = self.path
        try:
            if path.is_dir():
                raise StoreError(f"{path}: expected a file, got a folder")
            if not path.parent.is_dir():
                raise StoreError(f"{path}: there is no folder {path.parent}", "missing")
            if not path.exists():
                if self.read_only or not create:
                    raise StoreError(f"{path}: no such file", "missing")
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))  # SQLite gives its other files the same rights
            if not path.is_file():
                raise StoreError(f"{path}: expected a file, got something else")
            with path.open("rb") as file:
                start = file.read(len(_PLAIN))
        except OSError as error:
            refused = isinstance(error, PermissionError) or error.errno == 30  # EROFS
            raise StoreError(f"{path}: {error.strerror}", "read-only" if refused else "failed") from error
        if 0 < path.stat().st_size < 512:  # no page is smaller, and SQLite would take this for an empty file
            raise StoreError(f"{path}: not a memory file, or damaged", "corrupt")
        if start == _PLAIN and self.encrypted:
            raise StoreError(
                f"{path}: a key was given, but the file is not encrypted; leave the key out, or export it without the key and import that "
                "into a new file with it",
                "key",
            )
        if start not in (b"", _PLAIN) and not self.encrypted:
            raise StoreError(f"{path}: not a memory file, or it is encrypted and needs its key", "key")
        if not self.read_only and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
            raise StoreError(f"{path}: the file or its folder cannot be written; read_only=True opens it for reading", "read-only")

    def _uri(self) -> str:
        mode = "ro" if self.read_only else "rw"
        log = self.path.with_name(self.path.name + "-wal")
        # Without a folder to write to there is no shared memory; that is safe only if no one else can write either.
        alone = self.read_only and not os.access(self.path.parent, os.W_OK) and not (log.exists() and log.stat().st_size)
        return f"file:{urllib.parse.quote(str(self.path))}?mode={mode}" + "&immutable=1" * alone

    def _connect(self) -> sqlite3.Connection:
        connection: sqlite3.Connection = self._module.connect(
            self._uri(), uri=True, timeout=self.timeout_s, isolation_level=None, check_same_thread=False
        )
        try:
            if self._pragma:
                self._unlock(connection)
            # What is deleted is overwritten, and nothing of it goes to another file.
            for pragma in (
                "trusted_schema = OFF",
                "cell_size_check = ON",
                "foreign_keys = ON",
                "temp_store = MEMORY",
                "secure_delete = ON",
            ):
                connection.execute(f"PRAGMA {pragma}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _unlock(self, connection: sqlite3.Connection) -> None:
        if not connection.execute("PRAGMA cipher_version").fetchone():
            raise StoreError(f"sqlcipher3 was built without SQLCipher and would not encrypt: {INSTALL}", "missing")
        connection.execute("PRAGMA cipher_log_level = NONE")  # it writes to stderr by itself
        connection.execute(self._pragma)
        connection.execute("PRAGMA cipher_compatibility = 4")  # so that a later SQLCipher with other defaults opens it
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except self._errors as error:
            if "not a database" not in str(error):
                raise
            raise StoreError(f"{self.path}: the key is wrong, or this is not an encrypted memory file", "key") from None

    def _prepare(self) -> None:
        connection = self._use()
        version = self._version()
        if self.read_only:
            if version != VERSION:
                raise StoreError(
                    f"{self.path}: of schema version {version}, expected {VERSION}; open it once without read_only to migrate it",
                    "read-only",
                )
            return
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreError(f"{self.path}: expected a file system with shared memory (SQLite's WAL), got journal mode {mode!r}")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
        if version < VERSION:
            with self.write():
                # Read again: another process may have migrated it while this one waited.
                for step, statements in enumerate(MIGRATIONS[self._version() :], self._version() + 1):
                    for statement in statements:
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version = {step}")
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")

    def _version(self) -> int:
        """The version of the file's tables, 0 of an empty file; refuses a file that is not ours, or newer."""
        connection = self._use()
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        kinds = [row[0] for row in connection.execute("SELECT type FROM sqlite_master")]
        ours = application == APPLICATION_ID and version > 0 if kinds else application == 0 == version
        if not ours or not {"table", "index"}.issuperset(kinds):
            raise StoreError(f"{self.path}: a database, but not of memories", "corrupt")
        if version > VERSION:
            raise StoreError(f"{self.path}: of schema version {version}; this affectrt knows up to {VERSION}: update it", "newer")
        return version

    def _use(self) -> sqlite3.Connection:
        if self._forked:
            raise StoreError(f"{self.path}: opened before this process was forked; open it again in the child", "forked")
        if self._connection is None:
            raise StoreError(f"{self.path}: the store is closed", "closed")
        return self._connection

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:  # SQLite quotes what it found, and Python cannot
            raise StoreError(f"{self.path}: the file is damaged", "corrupt") from error
        except self._errors as error:
            text = str(error)
            for signs, reason, words in _REASONS:
                if any(sign in text for sign in signs):
                    message = f"{self.path}: {words.format(timeout_s=self.timeout_s)} ({text})"
                    raise StoreError(message, reason) from error
            raise StoreError(f"{self.path}: {text}") from error

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """The connection, for this thread alone."""
        with self._lock, self._told():
            yield self._use()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """As `read`; what several statements read is of one moment, whatever other programs write meanwhile."""
        with self.read() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                with contextlib.suppress(self._errors):
                    connection.execute("ROLLBACK")

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """The turn to write, while others may read. Never to be taken under `read`, or two threads could wait for each other."""
        with self._turn:
            yield

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[sqlite3.Connection]:
        """The turn to write and the connection: what is written in here and the index stay in step."""
        with self._turn, self.read() as connection:
            yield connection

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction: all of the body is kept, on the disk, when this returns; or nothing, if it raises."""
        with self.exclusive() as connection:
            if self.read_only:
                raise StoreError(f"{self.path}: opened with read_only=True", "read-only")
            connection.execute("BEGIN IMMEDIATE")  # a transaction that began by reading could not wait for another writer
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(self._errors):
                    if connection.in_transaction:  # after some errors SQLite has gone back by itself
                        connection.execute("ROLLBACK")
                raise

    def changes_of_others(self) -> int:
        """A number that differs from the last one if another connection has committed since."""
        with self.read() as connection:
            return int(connection.execute("PRAGMA data_version").fetchone()[0])

    def scrub(self) -> None:
        """Write the file anew without what was deleted, and empty its log. Raises `StoreError`: it is to be done again then."""
        try:
            with self._turn, self._told():
                self._use()
                connection = self._connect()
                try:
                    self._scrub(connection)
                finally:
                    connection.close()
        except StoreError as error:
            raise StoreError(
                f"{error}; what was erased is gone from the tables, but the file or its log may hold it still", error.reason
            ) from error
        with self.read() as connection:
            connection.execute("PRAGMA shrink_memory")

    def _scrub(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()  # gives room on a disk that is nearly full
        until = time.monotonic() + self.timeout_s  # beside a checkpoint of another program SQLite gives up at once
        while True:
            try:
                connection.execute("VACUUM")  # overwriting alone is not enough: when SQLite moves rows between pages, copies stay behind
                break
            except self._errors as error:
                if "is locked" not in str(error) or time.monotonic() >= until:
                    raise
            time.sleep(_AGAIN_S)
        while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            if time.monotonic() >= until:
                raise StoreError(f"{self.path}: another program still reads the log; waited {self.timeout_s:g} s", "busy")
            time.sleep(_AGAIN_S)

    def problems(self) -> list[str]:
        """What SQLite's own full check finds wrong; empty: nothing. Reads the whole file."""
        with self.read() as connection:
            try:
                found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(20)")]
                found += [f"a row of {row[0]} without its memory" for row in connection.execute("PRAGMA foreign_key_check")]
            except self._errors as error:
                return [str(error)]
        return [text for text in found if text != "ok"]

    def close(self) -> None:
        """Close the connection; the last one of a file empties its log. Twice is once."""
        with self._turn, self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                with contextlib.suppress(self._errors):  # what was acknowledged is on the disk, in the log if not in the file
                    connection.close()

    def _after_fork(self) -> None:
        _orphans.append(self._connection)
        self._connection, self._forked = None, True
        self._turn, self._lock = threading.RLock(), threading.RLock()


def _fork() -> None:
    for database in list(_open):
        database._after_fork()


os.register_at_fork(after_in_child=_fork)


def _key_pragma(key: str | bytes | None) -> str:
    # Never in a message: whoever reads the log must not read the key. An empty key would leave the file plain.
    if key is None:
        return ""
    if isinstance(key, bytes):
        if len(key) != 32:
            raise ValueError(f"key: expected 32 bytes, or a passphrase as str, got {len(key)} bytes")
        return f"PRAGMA key = \"x'{key.hex()}'\""
    if not isinstance(key, str):
        raise TypeError(f"key: expected a str, 32 bytes or None, got {type(key).__name__}")
    if not key or "\0" in key:
        raise ValueError("key: expected a passphrase without NUL characters, got " + ("one with" if key else "an empty one"))
    return "PRAGMA key = '" + key.replace("'", "''") + "'"


def _sqlcipher() -> Any:
    try:
        from sqlcipher3 import dbapi2
    except ImportError as error:
        raise StoreError(f"a key was given, but SQLCipher is not installed: {INSTALL}", "missing") from error
    return dbapi2
