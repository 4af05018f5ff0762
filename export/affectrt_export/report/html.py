"""A report as one page of HTML that needs nothing but itself: pictures inside, no script, no network, light and dark."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence

from affectrt_export.report.content import document
from affectrt_export.report.document import Block, Cell, Code, Gallery, Image, Items, Section, Table, Text
from affectrt_export.report.page_style import CSS
from affectrt_export.report.pictures import inline
from affectrt_export.report.record import Record
from affectrt_export.report.words import clean

# A page whose names come from elsewhere: even if one of them got through, the browser would run and fetch nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_SHORT = 32  # characters that stay on one line
_SYMBOLS = {"good": "✓", "warn": "!", "bad": "✗"}


def page(record: Record, pictures: Mapping[str, bytes]) -> str:
    """The whole report. `pictures`: as `pictures.draw` gives them."""
    report = document(record)
    title = escaped(report.title)
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f"<title>{title}</title>",
        f"<style>{CSS}</style>",
        "</head>",
        "<body>",
        '<a class="skip" href="#content">To the content</a>',
        f"<header><h1>{title}</h1>",
        *_opening(report.opening),
        "</header>",
        '<nav aria-label="Sections"><ul>',
        *(f'<li><a href="#{_anchor(i)}">{escaped(section.title)}</a></li>' for i, section in enumerate(report.sections)),
        '</ul></nav><main id="content">',
    ]
    for i, section in enumerate(report.sections):
        parts += [f'<section id="{_anchor(i)}"><h2>{escaped(section.title)}</h2>', *_blocks(section.blocks, pictures, 3), "</section>"]
    return "\n".join([*parts, "</main>", "</body>", "</html>"]) + "\n"


def escaped(text: str) -> str:
    """Plain text that HTML shows as it is."""
    return html.escape(clean(text))


def _anchor(i: int) -> str:
    return f"section-{i + 1}"


def _opening(lines: Sequence[tuple[str, str]]) -> Iterator[str]:
    (mark, first), *rest = lines
    yield f'<p class="verdict {mark}">{_symbol(mark)} {escaped(first)}</p>'
    if rest:
        yield '<ul class="findings">'
        yield from (f'<li class="{mark}">{_symbol(mark)} {escaped(text)}</li>' for mark, text in rest)
        yield "</ul>"


def _symbol(mark: str) -> str:
    return f'<span class="symbol" aria-hidden="true">{_SYMBOLS[mark]}</span>' if mark in _SYMBOLS else ""


def _blocks(blocks: Sequence[Block], pictures: Mapping[str, bytes], level: int) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, Section):
            yield from _section(block, pictures, level)
        else:
            yield _block(block, pictures)


def _section(section: Section, pictures: Mapping[str, bytes], level: int) -> Iterator[str]:
    if section.folded:
        yield f"<details><summary>{escaped(section.title)}</summary>"
        yield from _blocks(section.blocks, pictures, level + 1)
        yield "</details>"
        return
    badge = f' <span class="badge {section.mark}">{escaped(section.badge)}</span>' if section.badge else ""
    tag = f"h{min(level, 6)}"
    yield f"<section><{tag}>{escaped(section.title)}{badge}</{tag}>"
    yield from _blocks(section.blocks, pictures, level + 1)
    yield "</section>"


def _block(block: Block, pictures: Mapping[str, bytes]) -> str:
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Text):
        return f"<p>{escaped(block.text)}</p>"
    if isinstance(block, Items):
        return "<ul>" + "".join(f"<li>{escaped(item)}</li>" for item in block.items) + "</ul>"
    if isinstance(block, Code):
        lines = "\n".join(escaped(line) for line in block.text.splitlines())
        return f'<pre tabindex="0"><code>{lines}</code></pre>'
    images = block.images if isinstance(block, Gallery) else [block] if isinstance(block, Image) else []
    kind = "gallery" if len(images) > 1 else "picture"
    return f'<div class="{kind}">' + "".join(f"<figure>{inline(pictures[image.file])}</figure>" for image in images) + "</div>"


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col"{_side(table, i)}>{escaped(name)}</th>' for i, name in enumerate(table.head))
    rows = []
    for cells in table.rows:
        first, *rest = cells
        row = f'<th scope="row"{_side(table, 0)}>{_content(first)}</th>'
        rows.append(f"<tr>{row}{''.join(_cell(table, i + 1, cell) for i, cell in enumerate(rest))}</tr>")
    caption = escaped(table.caption)
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}"><table><caption>{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _side(table: Table, column: int) -> str:
    return "" if column in table.words else ' class="number"'


def _cell(table: Table, column: int, cell: Cell | str) -> str:
    shade = f' style="--shade: {cell.shade:.2f}"' if isinstance(cell, Cell) and cell.shade > 0 else ""
    return f"<td{_side(table, column)}{shade}>{_content(cell)}</td>"


def _content(cell: Cell | str) -> str:
    if isinstance(cell, str):
        return escaped(cell)
    if not cell.mark:
        return escaped(cell.text)
    short = " short" if len(cell.text) < _SHORT else ""
    return f'<span class="mark{short} {cell.mark}">{_symbol(cell.mark)} {escaped(cell.text)}</span>'
