"""`python -m affectrt.labels`: the tables of docs/labels.md."""

from __future__ import annotations

import sys

from affectrt.labels import TAXONOMIES, mapping

MARKS = ("<!-- made by python -m affectrt.labels -->", "<!-- end -->")
PIVOTS = ("ekman", "plutchik8", "expression", "zones4")


def returns(source: str, target: str) -> int:
    """How many labels of `source` are themselves again after a way to `target` and back."""
    there, back = mapping(source, target), mapping(target, source)
    return sum(back[there[label]] == label for label in there)


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def tables() -> str:
    """What stands between the marks of docs/labels.md."""
    lines = ["## Taxonomies", "", _row("name", "labels", "source"), _row("---", "---", "---")]
    lines += [_row(f"`{one.name}`", len(one), one.source) for one in TAXONOMIES.values()]
    lines += ["", "## Round trips", "", "How many labels of the row, sent to the column and back, are themselves again.", ""]
    lines += [_row("", *(f"`{name}`" for name in TAXONOMIES)), _row("---", *("---:" for _ in TAXONOMIES))]
    for source, one in TAXONOMIES.items():
        lines.append(_row(f"`{source}` ({len(one)})", *(returns(source, target) for target in TAXONOMIES)))
    lines += ["", "## Labels", "", "Where each lies, and what it becomes; `affectrt.labels.mapping` gives the rest."]
    for one in TAXONOMIES.values():
        targets = [name for name in PIVOTS if name != one.name]
        lines += ["", f"### `{one.name}`", ""]
        lines += [
            _row("label", "concept", "valence", "arousal", "dominance", *targets),
            _row("---", "---", *["---:"] * 3, *["---"] * len(targets)),
        ]
        for label, place in one.affect.items():
            numbers = (f"{value:.2f}" for value in (place.valence, place.arousal, place.dominance))
            lines.append(_row(label, one.concepts[label], *numbers, *(mapping(one.name, name)[label] for name in targets)))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(tables())
