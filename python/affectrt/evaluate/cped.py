"""CPED's CSV files: utterances with their labels, and whether a file is what was published.

Y. Chen et al., "CPED: a large-scale Chinese personalized and emotional dialogue dataset for conversational AI", 2022 (arXiv 2205.14727).
None of it comes with affectrt: its dialogues are from television.

    python -m affectrt.evaluate.cped test_split.csv --split test     # counts beside the published ones; exit code 1 where they differ
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from affectrt.labels import cped, taxonomy

COLUMNS = (
    "TV_ID",
    "Dialogue_ID",
    "Utterance_ID",
    "Speaker",
    "Gender",
    "Age",
    "Neuroticism",
    "Extraversion",
    "Openness",
    "Agreeableness",
    "Conscientiousness",
    "Scene",
    "FacePosition_LU",
    "FacePosition_RD",
    "Sentiment",
    "Emotion",
    "DA",
    "Utterance",
)
"""The head of each file. More columns are let be."""

EMOTIONS = taxonomy("cped13").labels

_CLOSED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Gender": cped.GENDERS,
        "Age": cped.AGES,
        **{trait.capitalize(): cped.LEVELS for trait in cped.TRAITS},
        "Scene": cped.SCENES,
        "Sentiment": cped.SENTIMENTS,
        "Emotion": EMOTIONS,
        "DA": cped.DIALOGUE_ACTS,
    }
)


@dataclass(frozen=True, slots=True)
class Utterance:
    """One line of a file."""

    show: str
    dialogue: str
    name: str
    """Of the utterance, unique in its file."""
    speaker: str
    gender: str
    age: str
    traits: tuple[str, ...]
    """Low, high or unknown, for each of `affectrt.labels.cped.TRAITS`."""
    scene: str
    face: tuple[int, int, int, int] | None
    """x0, y0, x1, y1 in pixels of the frame; None where the data has all zeros: no face is seen."""
    sentiment: str
    emotion: str
    """One of `EMOTIONS`."""
    act: str
    text: str


def _trait(number: int) -> Callable[[Utterance], str]:
    return lambda one: one.traits[number]


@dataclass(frozen=True, slots=True)
class Counts:
    """What a file holds."""

    utterances: int
    dialogues: int
    shows: int
    speakers: int
    emotions: Mapping[str, int]
    """Every emotion, in the taxonomy's order; so are the rest."""
    sentiments: Mapping[str, int]
    acts: Mapping[str, int]
    scenes: Mapping[str, int]


GROUPS: Mapping[str, Callable[[Utterance], str]] = MappingProxyType(
    {
        "TV_ID": lambda one: one.show,
        "Speaker": lambda one: one.speaker,
        "Gender": lambda one: one.gender,
        "Age": lambda one: one.age,
        "Scene": lambda one: one.scene,
        **{trait.capitalize(): _trait(number) for number, trait in enumerate(cped.TRAITS)},
    }
)
"""Columns by which utterances can be told apart: who speaks, and where."""

PUBLISHED: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "train": {"utterances": 94187, "dialogues": 8086, "shows": 26},
        "valid": {"utterances": 11137, "dialogues": 934, "shows": 5},
        "test": {"utterances": 27438, "dialogues": 2815, "shows": 9, "neutral": 7991, "grateful": 31},
    }
)
"""Split -> what its file must hold; a name of an emotion is the number of its utterances."""


def is_cped(path: Path) -> bool:
    """Whether a file begins with the data set's head."""
    with path.open("rb") as file:
        head = file.readline(4096).removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    return set(COLUMNS) <= {cell.strip() for cell in head.split(",")}


def read(path: Path) -> tuple[Utterance, ...]:
    """Every utterance of a file, in its order.

    Raises:
        ValueError: Not UTF-8, a column that is missing, a line of another length, a label that is none, an utterance that comes twice: with
            the line.
        OSError: The file cannot be read.
    """
    found: list[Utterance] = []
    seen: set[str] = set()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            place = _columns(path, next(lines, []))
            for cells in lines:
                if not cells:
                    continue
                where = f"{path}:{lines.line_num}"
                if len(cells) < len(place):
                    raise ValueError(f"{where}: {len(place)} cells were expected, got {len(cells)}")
                one = _utterance({name: cells[i].strip() for name, i in place.items()}, where)
                if one.name in seen:
                    raise ValueError(f"{where}: each utterance once was expected, got {one.name} again")
                seen.add(one.name)
                found.append(one)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: UTF-8 was expected ({error.reason} at byte {error.start})") from None
    except csv.Error as error:
        raise ValueError(f"{path}:{lines.line_num}: a line of CSV was expected ({error})") from None
    if not found:
        raise ValueError(f"{path}: no utterances in this file")
    return tuple(found)


def _columns(path: Path, head: Sequence[str]) -> dict[str, int]:
    names = [cell.strip() for cell in head]
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise ValueError(f"{path}:1: the columns of CPED were expected, {', '.join(missing)} missing")
    return {name: names.index(name) for name in COLUMNS}


def _utterance(row: Mapping[str, str], where: str) -> Utterance:
    for column, labels in _CLOSED.items():
        if row[column] not in labels:
            raise ValueError(f"{where}: {column}: one of {', '.join(labels)} was expected, got {row[column]!r}")
    for column in ("TV_ID", "Dialogue_ID", "Utterance_ID"):
        if not row[column]:
            raise ValueError(f"{where}: {column}: a name was expected, got nothing")
    box = (*_pixels(row["FacePosition_LU"], where), *_pixels(row["FacePosition_RD"], where))
    return Utterance(
        show=row["TV_ID"],
        dialogue=row["Dialogue_ID"],
        name=row["Utterance_ID"],
        speaker=row["Speaker"],
        gender=row["Gender"],
        age=row["Age"],
        traits=tuple(row[trait.capitalize()] for trait in cped.TRAITS),
        scene=row["Scene"],
        face=box if any(box) else None,
        sentiment=row["Sentiment"],
        emotion=row["Emotion"],
        act=row["DA"],
        text=row["Utterance"],
    )


def _pixels(cell: str, where: str) -> tuple[int, int]:
    x, _, y = cell.partition("_")
    if not (x.isascii() and y.isascii() and x.isdigit() and y.isdigit() and max(len(x), len(y)) < 7):
        raise ValueError(f'{where}: a corner of the face as x_y was expected, such as "335_103", got {cell!r}')
    return int(x), int(y)


def count(utterances: Iterable[Utterance]) -> Counts:
    """What these utterances hold."""
    all_of_them = tuple(utterances)

    def tally(labels: Sequence[str], values: Iterable[str]) -> Mapping[str, int]:
        counted = Counter(values)
        return MappingProxyType({label: counted[label] for label in labels})

    return Counts(
        utterances=len(all_of_them),
        dialogues=len({one.dialogue for one in all_of_them}),
        shows=len({one.show for one in all_of_them}),
        speakers=len({(one.show, one.speaker) for one in all_of_them}),
        emotions=tally(EMOTIONS, (one.emotion for one in all_of_them)),
        sentiments=tally(cped.SENTIMENTS, (one.sentiment for one in all_of_them)),
        acts=tally(cped.DIALOGUE_ACTS, (one.act for one in all_of_them)),
        scenes=tally(cped.SCENES, (one.scene for one in all_of_them)),
    )


def differences(counts: Counts, split: str) -> list[str]:
    """Where a file differs from what was published of its split ("train", "valid", "test"), in words; empty if nowhere."""
    if split not in PUBLISHED:
        raise ValueError(f"split: one of {', '.join(PUBLISHED)} was expected, got {split!r}")
    wrong = []
    for name, published in PUBLISHED[split].items():
        here = counts.emotions[name] if name in counts.emotions else int(getattr(counts, name))
        if here != published:
            wrong.append(f"{name}: {published} were published, here are {here}")
    return wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the counts of a file. 0, or 1 where they are not the published ones, or 2 for a file that cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m affectrt.evaluate.cped", description="Counts of one of CPED's CSV files.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--split", choices=tuple(PUBLISHED), help="compare with what was published of it")
    given = parser.parse_args(arguments)
    try:
        counts = count(read(given.file))
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{counts.utterances} utterances, {counts.dialogues} dialogues, {counts.shows} shows, {counts.speakers} speakers")
    for name in ("emotions", "sentiments", "acts", "scenes"):
        print(f"{name}: " + ", ".join(f"{label} {number}" for label, number in getattr(counts, name).items()))
    wrong = differences(counts, given.split) if given.split else []
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
