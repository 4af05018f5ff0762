"""A report as a tree of plain values, the same for Markdown and HTML. All text is plain text: whoever renders it escapes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    mark: str = ""
    """"good", "warn", "bad" or "": how it is coloured where there is colour; the text says the same."""
    shade: float = 0.0
    """0 to 1: how strongly the background is tinted."""


@dataclass(frozen=True)
class Table:
    """A table with a head; the first cell of a row names it."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell | str]]
    words: frozenset[int] = frozenset({0})
    """Columns that hold words and stand left; the others hold numbers and stand right."""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    mark: str = ""


@dataclass(frozen=True)
class Items:
    """A list."""

    items: Sequence[str]


@dataclass(frozen=True)
class Code:
    """What is typed or read by machines, verbatim."""

    text: str


@dataclass(frozen=True)
class Image:
    """A picture of the report, by its file."""

    file: str
    alt: str


@dataclass(frozen=True)
class Gallery:
    """Pictures that may stand side by side."""

    images: Sequence[Image]


@dataclass(frozen=True)
class Section:
    """A part with a heading; `folded` where it is shown only on demand, if that can be."""

    title: str
    blocks: Sequence[Block]
    folded: bool = False
    mark: str = ""
    """Of a word behind the title, `badge`."""
    badge: str = ""


Block = Table | Text | Items | Code | Image | Gallery | Section


@dataclass(frozen=True)
class Document:
    """The whole."""

    title: str
    opening: Sequence[tuple[str, str]]
    """Mark and sentence of the first lines."""
    sections: Sequence[Section] = field(default_factory=tuple)
