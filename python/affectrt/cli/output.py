"""The one writer of tables: for people (`table`), for machines (`json`, `jsonl`, `csv`) and for documents (`md`).

stdout carries nothing but the table. Numbers go to machines as they are; for people they are rounded.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, TextIO

import typer

Row = Mapping[str, Any]


class Format(str, Enum):
    """How results are written to stdout."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    csv = "csv"
    md = "md"


OutputOption = Annotated[Format, typer.Option("-o", "--output", help="How to write the result.", show_default=True)]


@dataclass(frozen=True)
class Report:
    """A result: `document` is the whole of it for JSON; `rows` are its main table, for the other formats."""

    columns: Sequence[str]
    rows: Sequence[Row]
    document: Mapping[str, Any] | None = None
    title: str = ""
    notes: Sequence[str] = field(default_factory=tuple)
    """Lines that people see under the table; in Markdown too."""
    optional: Sequence[str] = field(default_factory=tuple)
    """Columns that a terminal too narrow for all does without, the least important first; the other formats have them."""


def counted(number: int, one: str, many: str = "") -> str:
    """ "1 turn", "2 turns"; `many` where it is no plain s."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def plain(value: Any) -> Any:
    """The value in types that JSON has: arrays become lists, NumPy numbers Python's, not-a-number null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else None
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, (str, int, bool)) or value is None:
        return value
    return str(value)


def write(report: Report, output: Format, stream: TextIO | None = None) -> None:
    """Write the report to stdout (or `stream`)."""
    out = stream or sys.stdout
    if output is Format.json:
        document = plain(report.document if report.document is not None else list(report.rows))
        out.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        return
    writer = RowWriter(report.columns, output, stream=out, title=report.title, optional=report.optional)
    for row in report.rows:
        writer.row(row)
    writer.close()
    if report.notes and output in (Format.table, Format.md):
        out.write("\n" * (output is Format.md) + "\n".join(report.notes) + "\n")


class RowWriter:
    """Writes rows as they come where the format allows it (`jsonl`, `csv`, `md`), and at `close` where it does not."""

    def __init__(
        self, columns: Sequence[str], output: Format, *, stream: TextIO | None = None, title: str = "", optional: Sequence[str] = ()
    ) -> None:
        self._columns, self._output, self._title, self._optional = list(columns), output, title, optional
        self._out = stream or sys.stdout
        self._kept: list[Row] = []
        self._begun = False

    def row(self, row: Row) -> None:
        """Take one row; columns it has not are empty, keys that are no column reach JSON alone."""
        if self._output is Format.jsonl:
            self._line(json.dumps(plain(row), ensure_ascii=False))
        elif self._output is Format.csv:
            self._head()
            self._csv([_cell(row.get(name)) for name in self._columns])
        elif self._output is Format.md:
            self._head()
            self._line("| " + " | ".join(_escaped(_short(row.get(name))) for name in self._columns) + " |")
        else:
            self._kept.append(row)

    def close(self) -> None:
        """Write what was kept back."""
        if self._output is Format.json:
            self._line(json.dumps(plain(self._kept), indent=2, ensure_ascii=False))
        elif self._output is Format.table:
            _print_table(self._title, self._columns, self._kept, self._optional, self._out)
        elif self._output in (Format.csv, Format.md):
            self._head()

    def _head(self) -> None:
        if self._begun:
            return
        self._begun = True
        if self._output is Format.csv:
            self._csv(self._columns)
        else:
            self._line("| " + " | ".join(self._columns) + " |")
            self._line("|" + "---|" * len(self._columns))

    def _csv(self, cells: Iterable[str]) -> None:
        import csv

        row = list(cells)
        # The writer quotes only its own line end, but readers stop at a carriage return too.
        every = any("\r" in cell for cell in row)
        csv.writer(self._out, lineterminator="\n", quoting=csv.QUOTE_ALL if every else csv.QUOTE_MINIMAL).writerow(row)
        self._out.flush()

    def _line(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()


def _cell(value: Any) -> str:
    value = plain(value)
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _short(value: Any) -> str:
    value = plain(value)
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 100 else f"{value:,.1f}"
    if isinstance(value, list):
        return ", ".join(_short(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_short(item)}" for name, item in value.items())
    return str(value)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


_FIRM, _LEAST, _ANY_WIDTH = 24, 18, 1000
"""Cells of up to `_FIRM` characters (a date, a name) are not broken; longer ones are, and have `_LEAST` of room at least."""


def _print_table(title: str, columns: Sequence[str], rows: Sequence[Row], optional: Sequence[str], out: TextIO) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # A pipe has no width of its own: nothing is cut there, unless a width is asked for.
    asked = os.environ.get("COLUMNS", "")
    console = Console(file=out) if out.isatty() else Console(file=out, width=int(asked) if asked.isdecimal() and int(asked) else _ANY_WIDTH)
    longest = {name: max(len(name), *(len(_short(row.get(name))) for row in rows)) if rows else len(name) for name in columns}

    def wanted(names: Sequence[str]) -> int:
        widths = (longest[name] if longest[name] <= _FIRM else max(len(name), _LEAST) for name in names)
        return sum(widths) + 3 * len(names) - 1

    shown, without = list(columns), []
    for name in optional:
        if wanted(shown) > console.width and name in shown:
            shown.remove(name)
            without.append(name)
    fits = wanted(shown) <= console.width
    title = f"{title} (too narrow for {', '.join(without)})".lstrip() if without else title
    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in shown:
        numbers = [row.get(name) for row in rows if row.get(name) is not None]
        numeric = bool(numbers) and all(isinstance(plain(value), (int, float)) and not isinstance(value, bool) for value in numbers)
        firm = fits and longest[name] <= _FIRM
        table.add_column(name, justify="right" if numeric else "left", overflow="fold", no_wrap=firm)
    for row in rows:
        table.add_row(*[Text(_short(row.get(name))) for name in shown])
    console.print(table)
