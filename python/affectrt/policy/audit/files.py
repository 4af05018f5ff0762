"""The log's files: `audit.jsonl` is written to; `audit.jsonl.1`, `.2`, ... are full and closed, the highest number the newest."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from affectrt.policy.audit.line import MAX_LINE


def beside(path: Path, ending: str) -> Path:
    """A file that belongs to the log at `path`."""
    return path.with_name(f"{path.name}.{ending}")


def segments(path: Path) -> list[tuple[int, Path]]:
    """The closed files with their numbers, oldest first."""
    found = []
    for one in path.parent.glob(f"{_literal(path.name)}.*"):
        number = one.name[len(path.name) + 1 :]
        if number.isascii() and number.isdecimal() and str(int(number)) == number:
            found.append((int(number), one))
    return sorted(found)


def _literal(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


@contextlib.contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """One writer, or any number of readers, among processes and threads. The system frees the lock when a process dies."""
    try:
        handle = os.open(beside(path, "lock"), os.O_RDONLY if shared else os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        if not shared:
            raise
        handle = -1  # a copy of a log has no lock, and nobody writes to it
    try:
        if handle >= 0:
            fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        if handle >= 0:
            os.close(handle)


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the log as it was at one moment. The log only grows, so it can be read in peace while others write."""

    name: str
    file: BinaryIO
    size: int

    def lines(self) -> Iterator[tuple[bytes, bool]]:
        """Its lines without their newline, and whether each had one; only the last may lack it. Of one that is too long, a part."""
        self.file.seek(0)
        left = self.size
        while line := self.file.readline(min(MAX_LINE, left)):
            left -= len(line)
            yield (line[:-1], True) if line.endswith(b"\n") else (line, len(line) == MAX_LINE)


@contextlib.contextmanager
def snapshot(path: Path) -> Iterator[list[Source]]:
    """The files that hold the log now, oldest first, opened under the lock and read without it. Raises FileNotFoundError if there are
    none."""
    with contextlib.ExitStack() as stack:
        with locked(path, shared=True):
            paths = [file for _, file in segments(path)]
            if path.exists() or not paths:
                paths.append(path)
            files = [(one.name, stack.enter_context(one.open("rb"))) for one in paths]
            sources = [Source(name, file, os.fstat(file.fileno()).st_size) for name, file in files]
        yield sources


def last_line(path: Path) -> tuple[bytes, bytes]:
    """The last whole line, without its newline, and the bytes after it: of a write that was torn."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        start = file.seek(max(0, size - 2 * MAX_LINE))
        data = file.read()
    whole, newline, torn = data.rpartition(b"\n")
    if not newline:
        whole, torn = b"", data
    if len(torn) >= MAX_LINE or (start > 0 and b"\n" not in whole):
        raise ValueError(f"expected lines of at most {MAX_LINE} bytes at its end")
    return whole.rpartition(b"\n")[2], torn


def append(path: Path, line: bytes, *, sync: bool) -> os.stat_result:
    """Add a line in one write, whole or not at all; on the disk when this returns, if `sync`."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        before = os.fstat(handle).st_size
        try:
            if (written := os.write(handle, line)) != len(line):
                raise OSError(f"{path}: {written} of {len(line)} bytes could be written: is the disk full?")
            if sync:
                os.fsync(handle)
        except OSError:
            os.ftruncate(handle, before)
            raise
        after = os.fstat(handle)
    finally:
        os.close(handle)
    if sync and before == 0:
        sync_folder(path.parent)
    return after


def sync_folder(folder: Path) -> None:
    """Names that appeared or changed in it are on the disk when this returns."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
