"""The work folder of one export: every finished step is kept under a key of what went into it, so that a killed export goes on.

A step's file appears whole or not at all, and says by a digest at its end that it is whole. Nothing in it can run code: bytes, arrays
without objects, JSON. One process at a time works in a folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from affectrt_export.spec import ExportError, Feeds

_DIGEST_BYTES = 32


def digest(*parts: object) -> str:
    """64 hex digits of bytes, text, numbers, None, and lists of these; different values never run together."""
    out = hashlib.sha256()
    for part in parts:
        if isinstance(part, (list, tuple)):
            kind, data = b"l", digest(*part).encode()
        elif isinstance(part, bytes):
            kind, data = b"b", part
        else:
            kind, data = type(part).__name__.encode(), repr(part).encode()
        out.update(kind + len(data).to_bytes(8, "little") + data)
    return out.hexdigest()


def digest_of_feeds(feeds: Iterable[Feeds]) -> str:
    """64 hex digits of inputs, in their order."""
    out = hashlib.sha256()
    for feed in feeds:
        for name in sorted(feed):
            value = np.ascontiguousarray(feed[name])
            out.update(digest(name, value.dtype.str, list(value.shape)).encode() + value.tobytes())
    return out.hexdigest()


class Job:
    """`with Job(folder) as job:` and then `job.step(...)`. ExportError if another process works in the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reused = 0
        """Steps that were found done."""
        self._lock: int | None = None

    def __enter__(self) -> Job:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            self._lock = None
            raise ExportError(f"{self.folder}: another export works in this folder; wait for it, or choose another --out") from None
        for left in self.folder.glob("*.part"):  # of a process that was killed
            left.unlink()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def remove(self) -> None:
        """Deletes the folder, once everything that was made in it has been published."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def step(self, name: str, key: str, make: Callable[[], bytes]) -> bytes:
        """What `make` returns, made now or found done. `key`: 64 hex digits of all that goes into it."""
        path = self.folder / f"{name}-{key[:24]}"
        kept = self._read(path)
        if kept is not None:
            self.reused += 1
            return kept
        data = make()
        part = path.with_name(path.name + ".part")
        try:
            with part.open("wb") as file:
                file.write(data)
                file.write(hashlib.sha256(data).digest())
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        return data

    def array(self, name: str, key: str, make: Callable[[], npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """The same for an array of numbers."""

        def written() -> bytes:
            out = io.BytesIO()
            np.lib.format.write_array(out, np.ascontiguousarray(make()), version=(1, 0), allow_pickle=False)
            return out.getvalue()

        value: npt.NDArray[Any] = np.lib.format.read_array(io.BytesIO(self.step(name, key, written)), allow_pickle=False)
        return value

    def json(self, name: str, key: str, make: Callable[[], Any]) -> Any:
        """The same for what JSON can hold."""
        return json.loads(self.step(name, key, lambda: json.dumps(make(), sort_keys=True).encode()))

    def _read(self, path: Path) -> bytes | None:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        body, end = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
        # One that the disk damaged is made again.
        return body if len(data) >= _DIGEST_BYTES and hashlib.sha256(body).digest() == end else None
