"""Labels of a model and where each lies in valence, arousal and dominance."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectrt.labels import EXPRESSION_AFFECT, FER7_AFFECT, GOEMOTIONS_AFFECT, TERMS, Affect

from affectrt_export.checks import check_labels
from affectrt_export.spec import ExportError

# Words of common data sets that affectrt.labels has in another form. The last is a choice: contempt itself was not rated, and of the rated
# terms disgust is the one that it is most often grouped with.
_SAME = {"happiness": "happy", "contempt": "disgusted"}
DIMENSIONS = {"valence": Affect(1, 0, 0), "arousal": Affect(0, 1, 0), "dominance": Affect(0, 0, 1)}
"""Names that the outputs of a regressor may have, and what each adds."""
_UNNAMED = re.compile(r"LABEL_\d+")
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)"
_SPACED = re.compile(rf"\s*(\S.*?)\s+{_NUMBER}\s+{_NUMBER}(?:\s+{_NUMBER})?\s*")
_LINE = "a line has commas or tabs: joy,0.8,0.5,0.4"


@dataclass(frozen=True)
class Labels:
    """In output order, as pack.json writes them and with dominance, and what the user should know of them."""

    entries: tuple[dict[str, Any], ...]
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Of each."""
        return tuple(str(entry["name"]) for entry in self.entries)


def of_config(config: Mapping[str, Any], file: Path | None, outputs: int, *, regression: bool = False) -> Labels:
    """Labels of a model with config.json, or those of the user's `file` before them. Raises ExportError: none, unnamed, or not as many."""
    if file is not None:
        return of_file(file, outputs, regression=regression)
    table = config.get("id2label")
    if not isinstance(table, Mapping) or not table:
        raise ExportError(f"config.json names no labels (id2label) of its {outputs} outputs; name them in a labels file")
    try:
        names = {int(key): str(name) for key, name in table.items()}
    except ValueError as error:
        raise ExportError(f"config.json: id2label was expected to count its labels by integers: {error}") from error
    if sorted(names) != list(range(len(names))):
        raise ExportError(f"config.json: id2label was expected to count from 0 to {len(names) - 1}, it has {sorted(names)[:8]}")
    if any(_UNNAMED.fullmatch(name) for name in names.values()):
        raise ExportError(f"config.json has placeholders for labels ({names[0]}, ...); name the {outputs} outputs in a labels file")
    return of_names([names[i] for i in range(len(names))], outputs, regression=regression)


def of_file(path: Path, outputs: int | None = None, *, regression: bool = False) -> Labels:
    """Labels of a .txt or .json file, see `Options.labels`. Raises ExportError."""
    try:
        text = path.read_text(encoding="utf-8")
        rows = _json_rows(json.loads(text)) if path.suffix.lower() == ".json" else [re.split(r"[\t,]", line) for line in text.splitlines()]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ExportError(f"{path.name}: a list of labels in UTF-8 was expected: {error}") from error
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    points: dict[str, Affect] = {}
    for row in rows:
        if len(row) not in (1, 3, 4):
            raise ExportError(f"{path.name}: a name, or name, valence, arousal[, dominance] was expected, got {row}; {_LINE}")
        if spaced := _SPACED.fullmatch(row[0]) if len(row) == 1 and path.suffix.lower() != ".json" else None:
            raise ExportError(f"{path.name}: {spaced[1]!r} and numbers with spaces between them were found in {row[0]!r}; {_LINE}")
        try:
            values = [float(cell) for cell in row[1:]]
        except ValueError as error:
            raise ExportError(f"{path.name}: numbers were expected after {row[0]!r}: {error}") from error
        if not all(-1 <= value <= 1 for value in values):
            raise ExportError(f"{path.name}: values in [-1, 1] were expected of {row[0]!r}, got {values}")
        if values:
            points[row[0].strip()] = Affect(*values, *[0.0] * (3 - len(values)))
    return of_names([row[0].strip() for row in rows], outputs, points, regression=regression)


def _json_rows(content: Any) -> list[list[str]]:
    rows = []
    for entry in content:
        if isinstance(entry, str):
            rows.append([entry])
        else:
            rows.append([str(entry["name"]), *(str(entry[key]) for key in ("valence", "arousal", "dominance") if key in entry)])
    return rows


def of_names(
    names: Sequence[str], outputs: int | None = None, points: Mapping[str, Affect] | None = None, *, regression: bool = False
) -> Labels:
    """Labels by their names; where each lies is in `points`, or known, or the origin, and then a note says so. Raises ExportError."""
    check_labels(names, outputs)
    known = {name: (points or {}).get(name) or (DIMENSIONS.get(name.lower()) if regression else affect(name)) for name in names}
    entries = []
    for name in names:
        at = known[name] or Affect(0, 0, 0)
        entries.append({"name": name, "valence": float(at.valence), "arousal": float(at.arousal), "dominance": float(at.dominance)})
    lost = [name for name in names if known[name] is None]
    notes = []
    if lost:
        notes.append(f"Not known where these lie in valence and arousal, so 0 is taken: {', '.join(lost)}. A labels file can say.")
    if not regression and any(name.lower() == "contempt" and name not in (points or {}) for name in names):
        notes.append("Contempt is placed where disgust lies: the word itself was not rated.")
    return Labels(tuple(entries), tuple(notes))


def affect(name: str) -> Affect | None:
    """Where a label lies, by its name in any letter case; None if affectrt.labels does not know it."""
    key = name.strip().lower().replace("_", " ")
    for table in (GOEMOTIONS_AFFECT, FER7_AFFECT, EXPRESSION_AFFECT, TERMS):
        if key in table:
            return table[key]
    return TERMS.get(_SAME.get(key, ""))
