"""Whether a log is whole: every line's own hash, and each line's tie to the one before."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from affectrt.errors import AuditError
from affectrt.policy.audit.files import Source, snapshot
from affectrt.policy.audit.line import GENESIS, AuditEvent, parse


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The log's end at some time. Kept where the log's writer cannot reach it, it shows that nothing up to it was cut off or written
    anew."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read what `str` wrote. Raises ValueError."""
        seq, _, digest = text.strip().partition(":")
        if not (seq.isascii() and seq.isdecimal() and len(seq) < 20 and len(digest) == 64 and set(digest) <= set("0123456789abcdef")):
            raise ValueError(f"expected a checkpoint NUMBER:64-HEX-DIGITS, got {text[:100]!r}")
        return cls(int(seq), digest)


@dataclass(frozen=True, slots=True)
class Verification:
    """What `verify` found."""

    ok: bool
    """True if nothing is wrong with the whole lines. A torn last line alone is no fault: it was never acknowledged."""
    lines: int
    """Whole lines that hold, counted up to the first broken one."""
    first_seq: int
    """Number of the first line that is there: over 0 where old files were dropped by rule."""
    last: Checkpoint | None
    """The last line that holds; None if there is none."""
    torn_bytes: int
    """Bytes after the last newline: of a write that a crash tore, or of one just now under way in a copy of a living log."""
    broken: str = ""
    """The first broken line ("audit.jsonl line 7"), or ""."""
    reason: str = ""
    """What is wrong with it."""


def events(sources: list[Source]) -> Iterator[tuple[str, bytes, AuditEvent | str]]:
    """Place, bytes, and the event, or what is wrong with it. A torn last line of the last file is left out."""
    for source in sources:
        for number, (line, whole) in enumerate(source.lines(), 1):
            if not whole and source is sources[-1]:
                return
            place = f"{source.name} line {number}"
            try:
                yield place, line, parse(line) if whole else "it has no end"
            except ValueError as error:
                foreign = number == 1 and source is sources[0] and not line.startswith(b"{")
                yield place, line, f"{error}: this is no audit log" if foreign else str(error)


def verify(path: str | os.PathLike[str], checkpoint: Checkpoint | None = None) -> Verification:
    """Check a log from its first line to its last.

    What it cannot show: a tail that was cut off at the end of a line, or a log that was written anew from some line on by somebody who
    may write the file. Both are found, up to it, with a `checkpoint` that was kept elsewhere.

    Args:
        path: The log, as given to `AuditLog`, or one that `AuditLog.export` wrote.
        checkpoint: From `AuditLog.checkpoint`.

    Raises:
        OSError: There is no such file, or it cannot be read.
    """
    with snapshot(Path(path)) as sources:
        return _Check(checkpoint).run(sources)


def verify_open(path: str | os.PathLike[str]) -> Verification:
    """As `verify`, but of the file that is written to alone, and of its tie to the closed one before it: that takes the same time however
    many closed ones there are.

    Raises:
        OSError: There is no such file, or it cannot be read.
    """
    with snapshot(Path(path)) as sources:
        check = _Check(None)
        if len(sources) > 1:
            before = [line for line, _ in sources[-2].lines()]
            try:
                check.goes_on_from(parse(before[-1] if before else b""))
            except ValueError as error:
                return check.result(f"{sources[-2].name}'s last line", str(error))
        return check.run(sources[-1:])


def read_events(path: str | os.PathLike[str]) -> Iterator[AuditEvent]:
    """The events of a log, or of a copy or an export of one, oldest first; nothing is written, and no salts are needed.

    Each line is checked by itself, not its tie to the one before: `verify` does that.

    Raises:
        OSError: There is no such file, or it cannot be read.
        AuditError: At a broken line, which is named.
    """
    log = Path(path)
    with snapshot(log) as sources:
        for place, _, event in events(sources):
            if isinstance(event, str):
                raise AuditError(f"{log.parent / place}: {event}")
            yield event


class _Check:
    def __init__(self, checkpoint: Checkpoint | None) -> None:
        self._checkpoint = checkpoint
        self._first: AuditEvent | None = None
        self._last: AuditEvent | None = None
        self._lines = 0
        self._dropped: set[tuple[int, str]] = set()
        self._met = False

    def goes_on_from(self, event: AuditEvent) -> None:
        self._last = event
        self._dropped.add((event.seq, event.hash))

    def run(self, sources: list[Source]) -> Verification:
        start = ""
        for where, _, event in events(sources):
            start = start or where
            wrong = event if isinstance(event, str) else self._wrong(event)
            if wrong:
                return self.result(where, wrong)
            assert isinstance(event, AuditEvent)
            self._take(event)
        torn = next((len(line) for line, whole in sources[-1].lines() if not whole), 0)
        first = self._first
        if first is not None and first.seq > 0 and (first.seq - 1, first.prev) not in self._dropped:
            return self.result(start, f"it is number {first.seq}, and no line says that those before it were dropped by rule", torn)
        mark = self._checkpoint
        if mark is not None and not self._met:
            if first is not None and mark.seq < first.seq:
                return self.result(start, f"the checkpoint's event {mark.seq} was dropped by rule: a newer checkpoint is needed", torn)
            return self.result("the end", f"event {mark.seq}, that of the checkpoint, is missing: the log was cut off", torn)
        return self.result("", "", torn)

    def _wrong(self, event: AuditEvent) -> str:
        last = self._last
        if last is None:
            if event.seq == 0 and event.prev != GENESIS:
                return "it is the first one and names one before it"
        elif event.seq != last.seq + 1:
            return f"expected number {last.seq + 1}, got {event.seq}"
        elif event.prev != last.hash:
            return "it does not follow from the line before it"
        mark = self._checkpoint
        if mark is not None and event.seq == mark.seq and event.hash != mark.hash:
            return "it is not the event of the checkpoint: the log was written anew"
        return ""

    def _take(self, event: AuditEvent) -> None:
        self._first, self._last = self._first or event, event
        self._lines += 1
        self._met = self._met or (self._checkpoint is not None and event.seq == self._checkpoint.seq)
        if event.kind == "dropped" and isinstance(through := event.facts.get("through"), int):
            self._dropped.add((through, event.digests.get("last", "")))

    def result(self, broken: str, reason: str, torn: int = 0) -> Verification:
        last = Checkpoint(self._last.seq, self._last.hash) if self._last is not None else None
        first = self._first.seq if self._first is not None else 0
        return Verification(not broken, self._lines, first, last, torn, broken, reason)
