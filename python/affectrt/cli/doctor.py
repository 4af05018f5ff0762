"""`affectrt doctor`: what is here, what is missing, and the command that mends it."""

from __future__ import annotations

import dataclasses

import typer

from affectrt.cli.errors import FAILED, note
from affectrt.cli.output import Format, OutputOption, Report, write


def doctor(output: OutputOption = Format.table) -> None:
    """Examine this installation and machine; exit code 1 if something that is needed is missing."""
    from affectrt.bench import machine
    from affectrt.doctor import NOTE, OK, PROBLEM, examine

    checks = examine()
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
        note(f"{len(problems)} problems")
        raise typer.Exit(FAILED)
    note("nothing that is needed is missing")
