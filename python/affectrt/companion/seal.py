"""The key by which this user's programs on this machine know again what they have written themselves."""

from __future__ import annotations

import logging
import os
import secrets
import stat
from pathlib import Path

from affectrt.errors import PackError
from affectrt.packs.cache import cache_root, file_lock, new_file

_log = logging.getLogger("affectrt.companion")
_BYTES = 32


def seal_key() -> bytes | None:
    """32 random bytes from the user's cache folder, made when first asked for; None, with a note in the log, if it cannot hold them.

    They stand against files, not against the user: a state of llama.cpp in a memory file that came from elsewhere, or that another could
    write, does not carry the right seal and reaches nothing.
    """
    path = cache_root() / f"seal-{os.geteuid()}.key"
    try:
        if not path.exists():
            _make(path)
        return _read(path)
    except (OSError, PackError, ValueError) as error:
        _log.warning("no cache is kept or taken up: %s: %s", path.name, error)
        return None


def _make(path: Path) -> None:
    with file_lock("making the key of the seal", path.stem):
        if path.exists():  # another process was first
            return
        with new_file("the key of the seal", path) as work:
            handle = os.open(work, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(_BYTES))


def _read(path: Path) -> bytes:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise ValueError("expected a file that only its owner, this user, can read or write")
        key = file.read(_BYTES + 1)
    if len(key) != _BYTES:
        raise ValueError(f"expected {_BYTES} bytes, got {len(key)} or more")
    return key
