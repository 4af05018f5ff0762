"""The pictures of a report, as SVG: which there are (no plotting library is needed to know), drawn, and made fit for a page of HTML.

The same record gives the same bytes. Text stays text, so that files are small and readers of the screen find it. matplotlib is imported
only where something is drawn.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from affectrt_export.report import words
from affectrt_export.report.record import Record, Variant

FOLDER = "pictures"
MAX_BYTES = 80_000
"""No picture is longer."""

INK, FAINT, GRID, PAPER, BAND, STRIPE = "#1f2937", "#9ca3af", "#e5e7eb", "#ffffff", "#eef6f1", "#f5f6f8"
GOOD, WARN, BAD = "#009e73", "#e69f00", "#d55e00"
REFERENCE = "#6b7280"
STATUS = {"published": GOOD, "repaired": WARN, "refused": BAD, "not carried": REFERENCE}
# Told apart by people with the common colour-vision deficiencies (after Okabe and Ito), and by its marker as well.
SERIES = ("#1f83c9", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8b6914", "#7f5ab6")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "p")
_THEME = {INK: "ink", FAINT: "faint", GRID: "line", PAPER: "paper", BAND: "band", STRIPE: "stripe"}

FONTS = "'DejaVu Sans', Verdana, Helvetica, Arial, sans-serif"
_RC: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "affectrt",
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Helvetica", "Arial", "sans-serif"],
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 8.5,
    "axes.edgecolor": FAINT,
    "axes.facecolor": PAPER,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "figure.facecolor": PAPER,
    "figure.dpi": 72,
    "savefig.dpi": 72,
}


@dataclass(frozen=True)
class Picture:
    """One picture of a report."""

    file: str
    """Its name in the folder of pictures."""
    kind: str
    """"tradeoff", "classes", "reliability" or "sensitivity"."""
    title: str
    alt: str
    """What it shows, for those who do not see it."""
    variant: str = ""


def planned(record: Record) -> list[Picture]:
    """The pictures that this record has something for, in the order of the report."""
    found = []
    if text := _tradeoff_alt(record):
        found.append(Picture("tradeoff.svg", "tradeoff", "Size, quality and speed", text))
    measured = [v for v in record.variants if v.quality is not None]
    if measured and measured[0].quality and measured[0].quality.scores.classes:
        found.append(Picture("classes.svg", "classes", "F1 of each class", _classes_alt(record, measured)))
    slugs = _slugs(record)
    for variant in measured:
        if variant.quality and any(variant.quality.reliability.count):
            file = f"reliability-{slugs[variant.name]}.svg"
            name = words.clean(variant.name)
            text = f"Reliability of {name}: share right against confidence. ECE {words.share(variant.quality.reliability.ece)}."
            found.append(Picture(file, "reliability", f"Reliability of {name}", text, variant.name))
    for variant in record.variants:
        if variant.sensitivity:
            name, worst = words.clean(variant.name), variant.sensitivity[0]
            text = f"Error of the outputs of {name} with one layer quantised; "
            text += f"worst: {words.clean(worst.name)}, {words.number(worst.error, 3)}."
            found.append(Picture(f"sensitivity-{slugs[variant.name]}.svg", "sensitivity", f"Sensitivity of {name}", text, variant.name))
    return found


def _slugs(record: Record) -> dict[str, str]:
    """A part of a file name for each variant."""
    out: dict[str, str] = {}
    for i, variant in enumerate(record.variants):
        slug = re.sub(r"[^a-z0-9]+", "-", variant.name.lower())[:40].strip("-")
        out[variant.name] = slug if slug and slug not in out.values() else f"{slug or 'variant'}-{i + 1}"
    return out


@dataclass(frozen=True)
class Measure:
    """What one axis of the trade-off shows."""

    title: str
    label: str
    of: Callable[[Variant], float | None]
    """None where it was not measured, or is no number."""
    unit: str = ""


def score_measure(record: Record) -> Measure | None:
    """Quality: the main score, else the perplexity; None where neither was measured."""
    name = words.score_name(record)
    found = Measure(name, name, lambda v: finite(v.score))
    perplexity = Measure("perplexity", "perplexity (lower is better)", lambda v: finite(v.figure("perplexity")))
    return next((one for one in (found, perplexity) if any(one.of(v) is not None for v in record.variants)), None)


def speed_measure(record: Record) -> Measure | None:
    """Speed: median latency, else the time of a turn of a conversation, else tokens a second; None where nothing of it was measured."""
    found = (
        Measure("latency", "median latency, ms", lambda v: finite(v.latency.p50_ms if v.latency else None), " ms"),
        Measure("time of a turn", "time of a turn, ms", lambda v: finite(v.figure("turn_ms")), " ms"),
        Measure("speed", "tokens a second (higher is better)", lambda v: finite(v.figure("decode_tok_s")), " tokens a second"),
    )
    return next((one for one in found if any(one.of(v) is not None for v in record.variants)), None)


def finite(value: float | None) -> float | None:
    """None for what cannot be plotted."""
    return value if value is not None and math.isfinite(value) else None


def _tradeoff_alt(record: Record) -> str:
    measures = [one for one in (score_measure(record), speed_measure(record)) if one]
    parts = []
    for v in record.variants:
        said = [f"{one.title} {words.number(value, 3)}{one.unit}" for one in measures if (value := one.of(v)) is not None]
        if v.size_bytes and said:
            parts.append(f"{words.clean(v.name)} ({v.status}): {', '.join([words.size(v.size_bytes), *said])}")
    return ("Size, quality and speed of each variant. " + "; ".join(parts) + ".") if parts else ""


def _classes_alt(record: Record, measured: list[Variant]) -> str:
    names = words.listed([words.clean(v.name) for v in measured], 8)
    return f"F1 of each class for {names}, and the difference to {words.clean(record.reference)}; the table beside it has the numbers."


def draw(record: Record) -> dict[str, bytes]:
    """File name to SVG of every planned picture. RuntimeError that says what to install where matplotlib is missing."""
    from affectrt_export.report import plots

    drawn = {
        "tradeoff": lambda _: plots.tradeoff(record),
        "classes": lambda _: plots.classes(record),
        "reliability": lambda variant: plots.reliability(variant),
        "sensitivity": lambda variant: plots.sensitivity(variant),
    }
    out = {}
    for picture in planned(record):
        kind, variant = drawn[picture.kind], record.variant(picture.variant)
        out[picture.file] = _render(lambda kind=kind, variant=variant: kind(variant), picture)  # type: ignore[misc]
    return out


def _render(make: Callable[[], Any], picture: Picture) -> bytes:
    try:
        import matplotlib
    except ImportError:
        raise RuntimeError("matplotlib is missing, which draws the report's pictures; install affectrt[export]") from None
    mpl: Any = matplotlib  # its settings are typed by name
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with mpl.rc_context(), warnings.catch_warnings():
        # A label in a script that the font lacks: the layout is guessed then, the text itself is written as text all the same.
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*")
        mpl.rcdefaults()  # whatever the user's own settings are
        mpl.rcParams.update(_RC)
        out = io.BytesIO()
        make().savefig(out, format="svg", metadata=nothing)
    return _tidied(out.getvalue().decode(), picture).encode()


def _tidied(svg: str, picture: Picture) -> str:
    """Without what only editors read, with ids of its own, so that several can stand on one page, and with its title."""
    from html import escape

    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    tag = partial(_tag, prefix=picture.file.removesuffix(".svg"), used=used)
    svg = re.sub(r"<[^>]*>", lambda found: tag(found[0]), svg)
    svg = re.sub(r">\n\s*", ">\n", svg)
    svg = re.sub(r"(<g[^>]*)>\n((?:<use [^>]*>\n)+)</g>", _shared_style, svg)
    while (smaller := re.sub(r"<g/>\n|<g>\s*</g>\n|<defs/>\n", "", svg)) != svg:
        svg = smaller
    head, rest = svg.split(">", 1)
    head += f' role="img" style="font-family: {FONTS}"'
    return f"{head}>\n<title>{escape(picture.title)}</title>\n<desc>{escape(picture.alt)}</desc>{rest}"


def _tag(tag: str, prefix: str, used: set[str]) -> str:
    """One tag with shorter numbers, the fonts left to the whole picture, and ids that no other picture has."""
    tag = re.sub(r"-?\d+\.\d{3,}", lambda found: f"{round(float(found[0]), 2):g}", tag)
    tag = re.sub(r" ?font-family: [^;]*;| transform=\"rotate\(-0 [^)]*\)\"", "", tag).replace("\n", "")
    tag = re.sub(r' id="([^"]+)"', lambda found: f' id="{prefix}-{found[1]}"' if found[1] in used else "", tag)
    return re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}-", tag)


def _shared_style(group: re.Match[str]) -> str:
    """Marks of one kind, with their style said once."""
    styles = set(re.findall(r' style="[^"]*"', group[2]))
    if len(styles) != 1 or "style=" in group[1]:
        return group[0]
    (style,) = styles
    return f"{group[1]}{style}>\n{group[2].replace(style, '')}</g>"


def inline(svg: bytes) -> str:
    """A picture as a part of an HTML page: it takes its colours from the page (light or dark) and names no address."""
    text = re.sub(r' (?:xmlns(?::xlink)?|version)="[^"]*"', "", svg.decode(), count=3).replace("xlink:href=", "href=")
    text = re.sub(r"<style.*?</style>\n?", "", text, flags=re.DOTALL)
    for color, name in _THEME.items():
        text = text.replace(f": {color}", f": var(--{name})")
    return text
