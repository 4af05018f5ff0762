"""`affectrt run -`: one row for each line of text on stdin, as it comes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from affectrt.cli.errors import note
from affectrt.cli.options import OPTIONAL, TEXT_COLUMNS, text_row
from affectrt.cli.output import Format, RowWriter
from affectrt.cli.states import STATE_COLUMNS, TextStates, state_row, too_late
from affectrt.cli.timeline import Series, save, timeline

MAX_LINE_BYTES = 1 << 20


def run_text(
    stream: BinaryIO, pack: str | None, folder: Path | None, output: Format, common: dict[str, Any], *, states: TextStates | None = None
) -> bool:
    """Read every line, write its row, and with `folder` the timeline; False if a line could not be read."""
    from affectrt import TextEmotion

    text = TextEmotion(pack, **common)
    writer = RowWriter(
        TEXT_COLUMNS if states is None else [*TEXT_COLUMNS[:-1], "time_s", *STATE_COLUMNS, "text"], output, optional=OPTIONAL
    )
    series: Series | None = None
    complete = True
    for number, line in lines(stream):
        if isinstance(line, Exception):
            note(f"error: line {number}: {line}")
            complete = False
            continue
        seen = text(line, stamp_ns=number)
        row = text_row(seen, number)
        if states is not None:
            row |= {"time_s": states.time_s(number), **state_row(states.read(number, seen))}
        writer.row(row)
        series = series or Series("text", seen.labels)
        series.add(number if states is None else states.time_s(number), seen)
    writer.close()
    if states is not None and series is not None and (late := too_late(states.events, series.at[-1], "line")):
        note(late)
    if folder is not None and series is not None:
        path = folder / "text-timeline.png"
        if states is None:
            figure = timeline([series], unit="line", title="text", stacked=False)
        else:
            states.finish()
            series.state = states.series
            figure = timeline([series], title="text", stacked=False, events=states.events)
        save(figure, path)
        note(f"wrote {path}")
    return complete


def lines(stream: BinaryIO) -> Iterator[tuple[int, str | Exception]]:
    """Each line with its number from 1, or why it cannot be read: not UTF-8, or longer than `MAX_LINE_BYTES`."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            while line and not line.endswith(b"\n"):  # the rest of it is not a line of its own
                line = stream.readline(MAX_LINE_BYTES)
            yield number, ValueError(f"longer than {MAX_LINE_BYTES} bytes")
            continue
        try:
            yield number, line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            yield number, ValueError(f"UTF-8 was expected, byte {error.object[error.start]:#04x} at position {error.start} is none")
