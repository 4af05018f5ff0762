"""One random salt for each partner, in a file of its own: what makes a digest a digest of that person's, and what is deleted to unlink
them.
 A digest is HMAC-SHA256 under the salt (256 random bits) over the digest's name and the content. Whoever holds the salt can test a guess
at what was said; once the salt is gone nobody can, not even with the whole log. So the file is readable by its owner alone, and belongs
in no backup.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path

from affectrt.errors import AuditError
from affectrt.policy.audit.files import sync_folder

_ANYBODY = ""  # the salt of events without a partner; no partner's name is empty


class Salts:
    """The salts of one log. Every call is made under the log's lock."""

    def __init__(self, path: Path) -> None:
        """Read them when they are needed; there need be no file yet."""
        self._path = path
        self._read_key: tuple[int, int, int] | None = None
        self._salts: dict[str, bytes] = {}
        self._going: set[str] = set()

    def digest(self, name: str, content: str | bytes, partner: str | None, *, create: bool = True) -> str | None:
        """64 hex digits; None if there is no salt for this partner and none is to be made."""
        if isinstance(content, str):
            content = content.encode("utf-8", "surrogatepass")
        key = partner or _ANYBODY
        self._read()
        if key not in self._salts:
            if not create:
                return None
            self._write({**self._salts, key: secrets.token_bytes(32)}, self._going)
        return hmac.new(self._salts[key], name.encode() + b"\0" + content, hashlib.sha256).hexdigest()

    def partners(self) -> tuple[str | None, ...]:
        """Who has a salt; None stands for events without a partner."""
        self._read()
        return tuple(key or None for key in self._salts)

    def mark(self, partners: tuple[str | None, ...]) -> None:
        """Note that these are about to be deleted: a crash in between is made good at the next event."""
        self._read()
        self._write(self._salts, self._going | {partner or _ANYBODY for partner in partners})

    def marked(self) -> tuple[str | None, ...]:
        """Whose deletion began."""
        self._read()
        return tuple(key or None for key in sorted(self._going))

    def shred(self, partners: tuple[str | None, ...]) -> None:
        """Delete salts, and overwrite the file that held them."""
        self._read()
        gone = {partner or _ANYBODY for partner in partners}
        self._write({key: salt for key, salt in self._salts.items() if key not in gone}, self._going - gone)

    def _read(self) -> None:
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            self._read_key, self._salts, self._going = None, {}, set()
            return
        key = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if key == self._read_key:
            return
        try:
            data = json.loads(self._path.read_text(encoding="ascii"))
            salts = {name: bytes.fromhex(salt) for name, salt in data["salts"].items()}
            going = set(data["going"])
            if set(data) != {"salts", "going"} or not going <= set(salts) or any(len(salt) != 32 for salt in salts.values()):
                raise ValueError("unknown or missing fields")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise AuditError(f"{self._path}: expected a file of salts, got {error}") from None
        self._salts, self._going, self._read_key = salts, going, key

    def _write(self, salts: dict[str, bytes], going: set[str]) -> None:
        """Whole or not at all. What held the salts before is overwritten: the old file, and the new one of a writer that was killed."""
        work = self._path.with_name(f"{self._path.name}.new")  # one name, under the lock: nothing of a killed writer outlives the next
        text = json.dumps({"salts": {name: salt.hex() for name, salt in salts.items()}, "going": sorted(going)})
        _overwrite(work)
        try:
            old = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            old = -1
        try:
            handle = os.open(work, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            work.replace(self._path)
            sync_folder(self._path.parent)
            if old >= 0:  # it has no name any more, and the new one is safe
                _zero(old)
        finally:
            if old >= 0:
                os.close(old)
        self._salts, self._going, self._read_key = dict(salts), set(going), None


def _overwrite(path: Path) -> None:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        _zero(handle)
    finally:
        os.close(handle)


def _zero(handle: int) -> None:
    os.pwrite(handle, bytes(os.fstat(handle).st_size), 0)
    os.fsync(handle)
