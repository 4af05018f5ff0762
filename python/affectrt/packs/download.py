"""A download that can be cut off at any point and goes on where it stopped.

The bytes go to `downloads/<key>.part`. A connection that breaks is taken up again from there, in this run and in the next; Ctrl-C and
`kill -9` leave the part for the next run. What has arrived counts only after its SHA-256 has been checked.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import time
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path

from affectrt.errors import PackError
from affectrt.packs.cache import DiskError, disk_errors, sha256_of
from affectrt.packs.web import NETWORK_ERRORS, Web, unreachable, without_secrets

__all__ = ["Progress", "download"]

Progress = Callable[[str, int, int | None], None]
"""Called as progress(name, bytes so far, bytes in all or None)."""

_CHUNK_BYTES = 1 << 18
_TRIES = 4  # in a row without a single new byte
_PAUSE_S = 0.5


def download(url: str, part: Path, *, name: str, sha256: str | None, web: Web, progress: Progress | None = None) -> None:
    """Brings `part` to hold the whole file at `url`, with that hash. The caller holds the lock of `part`.

    Raises PackError: the server cannot be reached (the part stays), the disk is full or the content is wrong (the part is removed).
    """
    try:
        with disk_errors(f"downloading {name}", part.parent):
            part.parent.mkdir(parents=True, exist_ok=True)
            resumed = part.exists() and part.stat().st_size > 0
            _fetch(url, part, name, web, progress)
            if sha256 is None:
                return
            got = sha256_of(part)
            if got != sha256 and resumed:
                # The earlier part may be of another file; one try from the start tells.
                part.unlink()
                _fetch(url, part, name, web, progress)
                got = sha256_of(part)
            if got != sha256:
                part.unlink()
                raise PackError(f"{name} from {without_secrets(url)}: expected SHA-256 {sha256}, got {got}; it was removed")
    except DiskError:
        part.unlink(missing_ok=True)  # a full disk stays full while the part lies on it
        raise


def _fetch(url: str, part: Path, name: str, web: Web, progress: Progress | None) -> None:
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            if _fetch_once(url, part, before, name, web, progress):
                return
            error: Exception = ConnectionError("the connection was closed before the end")
        except urllib.error.HTTPError as http_error:
            http_error.close()
            if http_error.code == 416 and before:  # nothing beyond what we have: it is whole, or of another file; the hash tells
                return
            if http_error.code < 500:
                raise PackError(
                    f"{name} from {without_secrets(url)}: expected a file, got HTTP {http_error.code} {http_error.reason}"
                ) from None
            error = http_error
        except _WriteError as disk:
            raise disk.error from None
        except NETWORK_ERRORS as network:
            error = network
        now = part.stat().st_size if part.exists() else 0
        failures = 0 if now > before else failures + 1
        if failures >= _TRIES:
            kept = f"; {now} bytes are kept, the next pull goes on from there" if now else ""
            raise PackError(f"downloading {name}: {unreachable(url, error)}{kept}")
        time.sleep(_PAUSE_S * failures)


class _WriteError(Exception):
    """Carries an error of writing past the handling of network errors: both are OSErrors."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


def _fetch_once(url: str, part: Path, start: int, name: str, web: Web, progress: Progress | None) -> bool:
    """True if the file is whole as far as the server says."""
    with web.file(url, start=start) as reply:
        with _disk():
            if reply.total is not None and shutil.disk_usage(part.parent).free < reply.total - reply.start:
                raise OSError(errno.ENOSPC, f"{name} needs {reply.total - reply.start} bytes")
            writer = part.open("r+b" if part.exists() else "xb", buffering=0)
        with contextlib.closing(writer):
            with _disk():
                writer.truncate(reply.start)
                writer.seek(reply.start)
            done = reply.start
            while chunk := reply.body.read(_CHUNK_BYTES):
                with _disk():
                    view = memoryview(chunk)
                    while view:
                        view = view[writer.write(view) :]
                done += len(chunk)
                if progress:
                    progress(name, done, reply.total)
        return reply.total is None or done >= reply.total


@contextlib.contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _WriteError(error) from error
