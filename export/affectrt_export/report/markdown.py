"""A report as Markdown (GitHub's kind): tables, pictures by relative links, nothing of the input read as markup."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from affectrt_export.report.content import document
from affectrt_export.report.document import Block, Cell, Code, Gallery, Image, Items, Section, Table, Text
from affectrt_export.report.pictures import FOLDER
from affectrt_export.report.record import Record
from affectrt_export.report.words import clean


def markdown(record: Record) -> str:
    """The whole report; pictures are links into the folder `pictures`."""
    report = document(record)
    lines = [f"# {escaped(report.title)}", ""]
    (_, first), *rest = report.opening
    lines += [f"**{escaped(first)}**", ""]
    lines += [f"- {paragraph(sentence)}" for _, sentence in rest]
    lines += [""] if rest else []
    for section in report.sections:
        lines += _section(section, 2)
    while not lines[-1]:
        lines.pop()
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Plain text that Markdown shows as it is, on one line."""
    one_line = " ".join(clean(text).split())
    safe = re.sub(r"([\\`*\[\]<>#|~$&@])", r"\\\1", one_line)
    safe = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\_", safe)  # one between letters is no markup
    return re.sub(r"(?i)\b(https?|ftp|www|mailto|xmpp)([:.])", r"\1\\\2", safe)  # no address becomes a link by itself


def paragraph(text: str) -> str:
    """The same where a line begins: it starts no list, no heading and no rule."""
    safe = escaped(text)
    return re.sub(r"^(\d+)(?=[.)](?:\s|$))", r"\1\\", re.sub(r"^(?=[-+=:])", r"\\", safe))


def code_block(text: str) -> list[str]:
    """A fenced block that the text cannot end."""
    body = "\n".join(clean(line) for line in text.splitlines())
    longest = max([len(run) for run in re.findall(r"`+", body)], default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", body, fence]


def _section(section: Section, level: int) -> Iterator[str]:
    badge = f" ({escaped(section.badge)})" if section.badge else ""
    yield f"{'#' * min(level, 6)} {escaped(section.title)}{badge}"
    yield ""
    for block in section.blocks:
        if isinstance(block, Section):
            yield from _section(block, level + 1)
        else:
            yield from _block(block)
            yield ""


def _block(block: Block) -> list[str]:
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Text):
        return [paragraph(block.text)]
    if isinstance(block, Items):
        return [f"- {paragraph(item)}" for item in block.items]
    if isinstance(block, Code):
        return code_block(block.text)
    images = block.images if isinstance(block, Gallery) else [block] if isinstance(block, Image) else []
    return ["\n\n".join(f"![{escaped(image.alt)}]({FOLDER}/{image.file})" for image in images)]


def _table(table: Table) -> list[str]:
    rule = ["---" if i in table.words else "---:" for i in range(len(table.head))]
    lines = [paragraph(table.caption), "", _row(table.head), f"|{'|'.join(rule)}|"]
    return lines + [_row(row) for row in table.rows]


def _row(cells: Sequence[Cell | str]) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(cell: Cell | str) -> str:
    if isinstance(cell, str):
        return escaped(cell)
    text = escaped(cell.text)
    return f"**{text}**" if cell.mark == "bad" and text else text
