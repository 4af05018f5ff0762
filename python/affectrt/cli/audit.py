"""`affectrt audit verify | show`: the audit log of a policy, for who has to answer for the device."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import errno
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from affectrt.cli.errors import guarded, note, reading
from affectrt.cli.output import Format, OutputOption, Report, RowWriter, counted, write

if TYPE_CHECKING:
    from affectrt.policy import AuditEvent

LogArgument = Annotated[Path, typer.Argument(help="The log, or an export of it.")]

VERIFY_COLUMNS = ("file", "ok", "lines", "first_seq", "torn_bytes", "checkpoint")
SHOW_COLUMNS = ("seq", "time", "kind", "facts", "digests")


def build() -> typer.Typer:
    """The group of commands."""
    group = typer.Typer(help="Check an audit log, and show what it holds.", no_args_is_help=True)
    group.command("verify")(guarded(verify))
    group.command("show")(guarded(show))
    return group


def verify(
    path: LogArgument,
    checkpoint: Annotated[
        str | None, typer.Option(help="NUMBER:HASH as it was kept elsewhere; shows too that nothing was cut off or written anew before it.")
    ] = None,
    output: OutputOption = Format.table,
) -> None:
    """Check every line and its tie to the one before. Exit code 1 if a line is broken, which is named."""
    from affectrt.errors import AuditError
    from affectrt.policy import Checkpoint
    from affectrt.policy import verify as check

    kept = Checkpoint.parse(checkpoint) if checkpoint is not None else None
    with reading(path, "an audit log"):
        found = check(path, kept)
    row = {"file": str(path), **dataclasses.asdict(found), "checkpoint": str(found.last) if found.last is not None else None}
    del row["last"]
    if output is Format.table:  # a line of its own for the checkpoint: it is to be copied
        to_keep = ["checkpoint, to be kept where this device cannot write:", str(found.last)] if found.last is not None else []
        write(Report(VERIFY_COLUMNS[1:-1], [row], title=str(path), notes=to_keep), output)
    else:
        write(Report(VERIFY_COLUMNS, [row], row), output)
    if found.ok and not found.lines:
        note(f"{path}: {'there is no whole line in it: a log just begun, or no audit log' if found.torn_bytes else 'it is empty'}")
    if found.torn_bytes:
        note(f"{path}: {found.torn_bytes} bytes after the last line, of a write that was torn; the next event cuts them off")
    if not found.ok:
        place = f"{path}, {found.broken}" if found.broken == "the end" else path.parent / found.broken
        raise AuditError(f"{place}: {found.reason} ({_held(found.lines)})")


def _held(lines: int) -> str:
    return f"{counted(lines, 'line')} before it {'holds' if lines == 1 else 'hold'}"


def show(
    path: LogArgument,
    kind: Annotated[list[str] | None, typer.Option(help="Only events of this kind; several times.")] = None,
    partner: Annotated[str | None, typer.Option(help="Only events that name this partner; the log's .salts must lie beside it.")] = None,
    last: Annotated[int | None, typer.Option(min=1, help="Only the last so many.")] = None,
    output: OutputOption = Format.table,
) -> None:
    """Show events: number, time (UTC), kind, facts, names of digests. Checks each line by itself; `verify` checks the chain."""
    from affectrt.policy import KINDS, AuditLog, read_events

    if unknown := sorted(set(kind or ()) - set(KINDS)):
        raise typer.BadParameter(f"--kind: expected one of {', '.join(KINDS)}, got {unknown[0]!r}")
    with reading(path, "an audit log"):
        if not path.exists() and partner is not None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        events: Iterable[AuditEvent] = read_events(path) if partner is None else AuditLog(path).events(partner)
        if kind:
            events = (event for event in events if event.kind in kind)
        if last is not None:
            events = collections.deque(events, maxlen=last)
        # One ahead: of a file that cannot be read, or broken in its first line, there is no head of a table either.
        rows = _ahead(map(_row, events))
    writer = RowWriter(SHOW_COLUMNS, output, title=path.name)
    none = True
    try:
        for row in rows:
            writer.row(row)
            none = False
    finally:
        writer.close()
    if none and partner is not None:
        note(f"{path}: no event names {partner!r}: there was none, or they were erased")


def _ahead(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    return itertools.chain(list(itertools.islice(rows, 1)), rows)


def _row(event: AuditEvent) -> dict[str, Any]:
    when = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=event.at_ns // 1000)
    return {
        "seq": event.seq,
        "time": when.strftime("%Y-%m-%d %H:%M:%S"),
        "at_ns": event.at_ns,
        "kind": event.kind,
        "facts": dict(event.facts),
        "digests": sorted(event.digests) if event.digests else None,
        "hash": event.hash,
    }
