"""`affectrt doctor`: what is here, what is missing, and the command that mends it."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from affectrt.cli.errors import FAILED, note
from affectrt.cli.output import Format, OutputOption, Report, write


def doctor(
    output: OutputOption = Format.table,
    need: Annotated[
        list[str] | None, typer.Option(help="dialogue, video, plot, serve or encrypted: a problem where it is missing.")
    ] = None,
) -> None:
    """Examine this installation and machine; exit code 1 if something that is needed is missing. An extra is needed if `--need` says so."""
    from affectrt.bench import machine
    from affectrt.doctor import EXTRAS, NOTE, OK, PROBLEM, Place, examine

    if unknown := [name for name in need or () if name not in EXTRAS]:
        raise typer.BadParameter(f"one of {', '.join(EXTRAS)} was expected, got {', '.join(unknown)}", param_hint="--need")
    checks = examine(Place(needs=tuple(need or ())))
    problems = [check for check in checks if check.status == PROBLEM]
    rows = [dataclasses.asdict(check) for check in checks]
    document = {"ok": not problems, "machine": machine.describe(), "checks": rows}
    notes = [f"{check.name}: {check.fix}" for check in checks if check.fix]
    shown = rows
    if output in (Format.table, Format.md):
        marks = {OK: "ok", NOTE: "note", PROBLEM: "PROBLEM"}
        shown = [{**row, "status": marks[row["status"]]} for row in rows]
    columns = ("status", "name", "detail") if output in (Format.table, Format.md) else ("name", "status", "detail", "fix")
    write(Report(columns, shown, document, "affectrt doctor", ["to mend:", *(f"  {line}" for line in notes)] if notes else []), output)
    if problems:
        note(f"{len(problems)} problem{'s' * (len(problems) > 1)}")
        raise typer.Exit(FAILED)
    note("nothing that is needed is missing")
