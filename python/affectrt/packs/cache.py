"""The cache of packs and pulled files: `AFFECTRT_CACHE_DIR`, else the user's cache folder.

    files/<sha256>/<name>       a file pulled for a pack; the name of its folder is the hash of its content
    packs/<name>/               a pack made by `affectrt packs add`
    zips/<sha256>/              the content of a zip, by the hash of the zip
    hub/<org>--<repo>/<commit>/ a pack out of a hub snapshot, with files in the place of the snapshot's links
    pulled/<key>.json           where a `pypi:` source that no pack pins has come to lie
    downloads/<key>.part        a download that is under way, or was cut off and can go on
    locks/<key>.lock
    seal-<user>.key             not of packs: see `affectrt.companion.seal`

Everything appears by a rename, whole or not at all. Only `downloads` ever holds something half done.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from affectrt.errors import PackError

__all__ = ["DiskError", "cache_root", "disk_errors", "file_lock", "files_root", "new_file", "new_folder", "sha256_of"]

LOCK_TIMEOUT_S = 1800.0
_CHUNK_BYTES = 1 << 20
_DISK_ERRORS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is larger than the disk or the process may hold",
    errno.ENOTDIR: "a part of the path is a file",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
}


class DiskError(PackError):
    """The disk refused to be written."""


def cache_root() -> Path:
    """The root of the cache; it need not exist yet."""
    chosen = os.environ.get("AFFECTRT_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_cache_path

    return user_cache_path("affectrt")


def files_root() -> Path:
    """Where pulled files of packs lie: `<sha256>/<name>`."""
    return cache_root() / "files"


def key_of(text: str) -> str:
    """A file name for any text."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content as 64 lower-case hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as reader:
        while chunk := reader.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def disk_errors(what: str, place: Path) -> Iterator[None]:
    """Turns an OSError of the disk into a DiskError (a PackError) that says what could not be written and where."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        free = ""
        with contextlib.suppress(OSError):
            at = next(folder for folder in (place, *place.parents) if folder.exists())
            free = f" ({shutil.disk_usage(at).free >> 20} MiB free)"
        raise DiskError(
            f"{what}: cannot write under {place}: {_DISK_ERRORS[error.errno]}{free}; make room, or set AFFECTRT_CACHE_DIR to another folder"
        ) from error


@contextlib.contextmanager
def file_lock(what: str, key: str, *, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
    """Lets one process at a time work on `key`. The system frees the lock when a process dies, however it dies.

    Raises PackError after `timeout_s` seconds, naming `what` and the process that holds the lock.
    """
    place = cache_root() / "locks" / f"{key}.lock"
    with disk_errors(what, place):
        place.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
                    raise PackError(
                        f"{what}: another process (pid {holder}) has been working on it for over {timeout_s:g} s; "
                        f"wait for it or end it, then try again (lock: {place})"
                    ) from None
                time.sleep(0.05)
        with contextlib.suppress(OSError):  # the number is for the message only, and a full disk must not stop a reader
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def new_file(what: str, target: Path) -> Iterator[Path]:
    """A temporary path beside `target` to write to. On success it becomes `target`; whatever is raised, nothing stays behind."""
    with disk_errors(what, target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        work = target.parent / f".{secrets.token_hex(8)}.tmp"
        try:
            yield work
            _flush(work)
            work.replace(target)
        finally:
            work.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(what: str, target: Path) -> Iterator[Path]:
    """As `new_file`, for a folder. If `target` has appeared meanwhile, that one stays: both hold the same content."""
    with disk_errors(what, target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        work = target.parent / f".{secrets.token_hex(8)}.tmp"
        try:
            work.mkdir()
            yield work
            for path in work.rglob("*"):
                if path.is_file():
                    _flush(path)
            if not target.exists():
                with contextlib.suppress(FileExistsError):
                    work.rename(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _flush(path: Path) -> None:
    # Without this a power cut after the rename can leave a file of the right name and wrong content.
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
