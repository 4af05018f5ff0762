"""The log that is written to."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from affectrt.errors import AuditError
from affectrt.policy.audit import files as on_disk
from affectrt.policy.audit.line import GENESIS, AuditEvent, make, parse
from affectrt.policy.audit.salts import Salts
from affectrt.policy.audit.verify import Checkpoint, events, verify_open
from affectrt.policy.checks import check_partner, check_time

_VERSION = 1
_LEAST_BYTES = 1024
_GO_ON = "set the file aside with those beside it, and begin a new log"


@dataclass(frozen=True, slots=True)
class _Tail:
    """Where the log ends: number and hash of its last line, and the file that was looked at for it."""

    seq: int
    hash: str
    file: tuple[int, int] | None
    size: int


class AuditLog:
    """An append-only log (JSON lines, chained by SHA-256) of what was done. May be used from several threads and processes at once.

    It holds kinds, times, closed vocabularies and digests, never what was said or seen. An event is on the disk when `record` returns.

    A write that a crash tore leaves bytes after the last newline. They were never acknowledged: the next `record` cuts them off and notes
    it as an event of kind "mended". A whole line that is broken is never mended: a log with one in the file that is written to, or in the
    last line of the closed one before, does not open, and `verify` names any.

    Args:
        path: The file; its folder must exist. Beside it stand `.lock`, `.salts` (see `erase`) and the closed files `.1`, `.2`, ...
        max_bytes: A file that would outgrow this is closed and the next begun.
        keep: How many closed files are kept; the oldest beyond that are deleted, which the log notes ("dropped"). None keeps all.
        sync: False leaves it to the system when it writes to the disk: quicker, and a power cut may lose the last seconds. A killed
            process loses nothing.

    Raises:
        TypeError, ValueError: An argument is wrong.
        OSError: There is no such folder, or it cannot be written to.
        AuditError: A line is broken, which is named.
    """

    def __init__(self, path: str | os.PathLike[str], *, max_bytes: int = 4 << 20, keep: int | None = 16, sync: bool = True) -> None:
        for name, value, least in (("max_bytes", max_bytes, _LEAST_BYTES), ("keep", 0 if keep is None else keep, 0)):
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"{name}: expected an int, got {type(value).__name__}")
            if value < least:
                raise ValueError(f"{name}: expected at least {least}, got {value}")
        self._path = Path(path).absolute()
        self._max_bytes, self._keep, self._sync = max_bytes, keep, sync
        self._salts = Salts(on_disk.beside(self._path, "salts"))
        self._known: _Tail | None = None
        with on_disk.locked(self._path):
            self._tail()
        self._check()

    @property
    def path(self) -> Path:
        """The file that is written to."""
        return self._path

    def record(
        self,
        kind: str,
        at_ns: int,
        *,
        facts: Mapping[str, int | str] | None = None,
        content: Mapping[str, str | bytes] | None = None,
        partner: str | None = None,
    ) -> AuditEvent:
        """Add an event.

        Args:
            kind: One of `KINDS`, which says what it may hold.
            at_ns: When, in nanoseconds since 1970.
            facts: Numbers and words of closed vocabularies.
            content: What was said, seen or put into a prompt, by name: only its digest under the partner's salt is written.
            partner: Whom it concerns: only a digest of the name is written (`who`), under the same salt.

        Raises:
            TypeError, ValueError: Something may not stand in such an event.
            AuditError: The log cannot be continued: its last line, or the file of salts, is broken.
            OSError: It could not be written; nothing of it is in the log.
        """
        check_partner(partner)
        check_time("at_ns", at_ns)
        for name, value in (content or {}).items():
            if not isinstance(value, (str, bytes)):
                raise TypeError(f"{kind}: {name}: expected str or bytes, got {type(value).__name__}")
        make(0, at_ns, kind, facts or {}, dict.fromkeys(content or {}, GENESIS), GENESIS)  # refuse before anything is written
        with on_disk.locked(self._path):
            self._finish_erasures(at_ns)
            digests = self._digests(content or {}, partner)
            return self._append(kind, at_ns, facts or {}, digests)

    def events(self, partner: str | None = None) -> Iterator[AuditEvent]:
        """All events, oldest first, or those that name `partner`. Raises AuditError at a broken line."""
        check_partner(partner)
        who = None
        if partner is not None and (who := self._digest("who", partner, partner)) is None:
            return
        for _, event in self._read():
            if who is None or event.digests.get("who") == who:
                yield event

    def matches(self, event: AuditEvent, name: str, content: str | bytes, partner: str | None = None) -> bool:
        """Whether the digest `name` of an event is that of `content`. After an erasure nothing matches any more."""
        check_partner(partner)
        digest = self._digest(name, content, partner)
        return digest is not None and hmac.compare_digest(digest, event.digests.get(name, ""))

    def checkpoint(self) -> Checkpoint | None:
        """The log's end, to be kept where who can write the log cannot write: `verify` finds what was cut off before it. None if it is
        empty."""
        with on_disk.locked(self._path):
            tail = self._tail()
            return Checkpoint(tail.seq, tail.hash) if tail.seq >= 0 else None

    def erase(self, partner: str, at_ns: int) -> int:
        """Make what concerns a partner unlinkable: their salt is deleted, and the file that held it overwritten.

        The lines stay, with kinds and times, and so does the chain; but no one can tell any more whom they concern, or test a guess at
        what was said. On flash and on file systems that copy on write, the overwritten block may outlive this call: keep the file on an
        encrypted disk.

        Returns:
            How many lines concerned them. The erasure is an event itself.
        """
        if check_partner(partner) is None:
            raise TypeError("partner: expected a str, got None; erase_all erases everyone")
        check_time("at_ns", at_ns)
        return self._erase((partner,), at_ns, "partner")

    def erase_all(self, at_ns: int) -> int:
        """As `erase`, for everyone, and for events without a partner. Returns how many lines held digests of content or of persons."""
        check_time("at_ns", at_ns)
        with on_disk.locked(self._path):
            partners = self._salts.partners()
        return self._erase(partners, at_ns, "all")

    def export(self, target: str | os.PathLike[str], at_ns: int, *, partner: str | None = None) -> int:
        """Write the whole log as one file that `verify` takes, or the lines that name `partner`. It is an event itself, added afterwards.

        Returns:
            How many lines were written.

        Raises:
            AuditError: A line is broken.
            OSError: The target exists already, or cannot be written.
        """
        check_partner(partner)
        check_time("at_ns", at_ns)
        wanted = Path(target)
        who = self._digest("who", partner, partner) if partner is not None else None
        count = 0
        work = wanted.with_name(f".{wanted.name}.{secrets.token_hex(8)}.tmp")
        try:
            handle = os.open(work, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as out:
                for line, event in self._read():
                    if partner is None or (who is not None and event.digests.get("who") == who):
                        out.write(line + b"\n")
                        count += 1
                out.flush()
                os.fsync(out.fileno())
            os.link(work, wanted)  # unlike a rename, it never replaces a file
        finally:
            work.unlink(missing_ok=True)
        self.record(
            "export", at_ns, facts={"scope": "all" if partner is None else "partner", "records": count}, partner=partner if who else None
        )
        return count

    def _read(self) -> Iterator[tuple[bytes, AuditEvent]]:
        try:
            with on_disk.snapshot(self._path) as sources:
                for place, line, event in events(sources):
                    if isinstance(event, str):
                        raise AuditError(f"{self._path.parent / place}: {event}")
                    yield line, event
        except FileNotFoundError:
            return

    def _digest(self, name: str, content: str | bytes, partner: str | None) -> str | None:
        with on_disk.locked(self._path):
            return self._salts.digest(name, content, partner, create=False)

    def _digests(self, content: Mapping[str, str | bytes], partner: str | None) -> dict[str, str]:
        named = {**content, **({"who": partner} if partner is not None else {})}
        made = {name: self._salts.digest(name, value, partner) for name, value in named.items()}
        return {name: digest for name, digest in made.items() if digest is not None}

    def _erase(self, partners: tuple[str | None, ...], at_ns: int, scope: str) -> int:
        names = [(p, self._digest("who", p, p) if p is not None else None) for p in partners]
        who = {digest for _, digest in names if digest is not None}
        everyone = scope == "all"
        count = sum(1 for _, e in self._read() if (_personal(e) if everyone else e.digests.get("who") in who))
        with on_disk.locked(self._path):
            known = tuple(p for p in partners if p in self._salts.partners())
            self._salts.mark(known)
            digests = {"who": next(iter(who))} if not everyone and who else {}
            self._append("erase", at_ns, {"scope": scope, "records": count}, digests)
            self._salts.shred(known)
        return count

    def _finish_erasures(self, at_ns: int) -> None:
        """A crash came between the note of an erasure and its end: noting it twice is better than not erasing."""
        if partners := self._salts.marked():
            self._append("erase", at_ns, {"scope": "resumed", "records": 0}, {})
            self._salts.shred(partners)

    def _append(self, kind: str, at_ns: int, facts: Mapping[str, int | str], digests: Mapping[str, str]) -> AuditEvent:
        """Under the lock: cut off what a crash tore, begin, turn over, write."""
        torn = self._cut_torn()
        tail = self._tail()
        if tail.seq < 0:
            tail, _ = self._write(tail, "opened", at_ns, {"version": _VERSION}, {})
        if torn:
            tail, _ = self._write(tail, "mended", at_ns, {"bytes": len(torn)}, {"cut": hashlib.sha256(torn).hexdigest()})
        _, line = make(tail.seq + 1, at_ns, kind, facts, digests, tail.hash)
        if tail.size and tail.size + len(line) > self._max_bytes:
            tail = self._turn_over(tail, at_ns)
        return self._write(tail, kind, at_ns, facts, digests)[1]

    def _write(
        self, tail: _Tail, kind: str, at_ns: int, facts: Mapping[str, int | str], digests: Mapping[str, str]
    ) -> tuple[_Tail, AuditEvent]:
        event, line = make(tail.seq + 1, at_ns, kind, facts, digests, tail.hash)
        self._known = None
        stat = on_disk.append(self._path, line, sync=self._sync)
        self._known = _Tail(event.seq, event.hash, (stat.st_dev, stat.st_ino), stat.st_size)
        return self._known, event

    def _turn_over(self, tail: _Tail, at_ns: int) -> _Tail:
        closed = on_disk.segments(self._path)
        number = closed[-1][0] + 1 if closed else 1
        self._path.rename(on_disk.beside(self._path, str(number)))
        on_disk.sync_folder(self._path.parent)
        tail, _ = self._write(_Tail(tail.seq, tail.hash, None, 0), "rotated", at_ns, {"segment": number}, {})
        closed = on_disk.segments(self._path)
        for old, file in closed[: max(0, len(closed) - self._keep)] if self._keep is not None else []:
            last = self._parsed(file, on_disk.last_line(file)[0])
            # First the note, then the deed: after a crash in between, the file is dropped at the next turn.
            tail, _ = self._write(tail, "dropped", at_ns, {"segment": old, "through": last.seq}, {"last": last.hash})
            file.unlink()
        return tail

    def _check(self) -> None:
        """Events written after a broken line would be as good as none: whoever verifies the log stops there."""
        try:
            found = verify_open(self._path)
        except FileNotFoundError:
            return
        if not found.ok:
            raise AuditError(f"{self._path.parent / found.broken}: {found.reason}: {_GO_ON}")

    def _cut_torn(self) -> bytes:
        """Cut off, and return, what stands after the last newline."""
        self._tail()
        if self._known is not None:  # the file is as this object left it
            return b""
        try:
            torn = on_disk.last_line(self._path)[1]
        except FileNotFoundError:
            return b""
        if torn:
            with self._path.open("r+b") as file:
                file.truncate(file.seek(0, os.SEEK_END) - len(torn))
                os.fsync(file.fileno())
        return torn

    def _tail(self) -> _Tail:
        """The log's end, read anew if the file is not as this object left it: another process may have written to it."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            stat = None
        file = (stat.st_dev, stat.st_ino) if stat is not None else None
        size = stat.st_size if stat is not None else 0
        if self._known is not None and (self._known.file, self._known.size) == (file, size):
            return self._known
        self._known = None
        candidates = [self._path] if stat is not None else []
        candidates += [path for _, path in reversed(on_disk.segments(self._path))]
        for path in candidates:
            try:
                line = on_disk.last_line(path)[0]
            except ValueError as error:
                raise AuditError(f"{path}: {error}") from None
            if line:
                event = self._parsed(path, line)
                return _Tail(event.seq, event.hash, file, size)
        return _Tail(-1, GENESIS, file, size)

    def _parsed(self, path: Path, line: bytes) -> AuditEvent:
        try:
            return parse(line)
        except ValueError as error:
            raise AuditError(f"{path}: its last line is broken ({error}): {_GO_ON}") from None


def _personal(event: AuditEvent) -> bool:
    return any(name not in ("cut", "last") for name in event.digests)
