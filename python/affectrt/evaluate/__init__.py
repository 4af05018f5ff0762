"""Scores a pack on labelled data: reads the data, runs the real runtime over it, and compares by label name."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from affectrt import metrics

if TYPE_CHECKING:
    from affectrt.perception.observation import ExpressionObservation, TextObservation

BATCH = 64
ReadImage = Callable[[Path], NDArray[np.uint8]]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Texts:
    """Sentences, each with any number of labels."""

    texts: tuple[str, ...]
    truth: tuple[tuple[int, ...], ...]
    """Indices into `labels`."""
    labels: tuple[str, ...] | None
    """None: the file has indices only and no labels.txt lies beside it, so they count in the pack's own order."""
    groups: tuple[str, ...] | None = None
    """The group of each; None: they are not told apart."""

    def __len__(self) -> int:
        return len(self.texts)

    def first(self, count: int) -> Texts:
        """Only the first so many examples."""
        groups = self.groups[:count] if self.groups is not None else None
        return dataclasses.replace(self, texts=self.texts[:count], truth=self.truth[:count], groups=groups)


@dataclass(frozen=True)
class Images:
    """Face crops, each with one label; `load(i)` reads one as (H, W) or (H, W, 3) uint8."""

    load: Callable[[int], NDArray[np.uint8]]
    truth: tuple[int, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...] | None = None
    """The group of each; None: they are not told apart."""

    def __len__(self) -> int:
        return len(self.truth)

    def first(self, count: int) -> Images:
        """Only the first so many examples."""
        groups = self.groups[:count] if self.groups is not None else None
        return dataclasses.replace(self, truth=self.truth[:count], groups=groups)


@dataclass(frozen=True, eq=False)
class Answers:
    """What a pack answered."""

    truth: NDArray[np.generic]
    """(N,) indices into `labels`, or (N, C) bool where an example has any number of labels."""
    predicted: NDArray[np.generic]
    """The same of the pack."""
    labels: tuple[str, ...]

    @property
    def scores(self) -> metrics.Scores:
        """Of all examples."""
        if self.truth.ndim == 2:
            return metrics.multi_label(self.truth.astype(np.bool_), self.predicted.astype(np.bool_), self.labels)
        return metrics.single_label(self.truth.astype(np.int64), self.predicted.astype(np.int64), self.labels)

    def by_group(self, groups: Sequence[str], *, least: int = metrics.LEAST_GROUP) -> metrics.Slices:
        """Of each group; see `affectrt.metrics.by_group`."""
        return metrics.by_group(self.truth, self.predicted, self.labels, groups, least=least)


GROUP = "group"
"""The column, or array, that tells groups apart if no other is named."""
NO_GROUP = "(none)"
"""The group of an example whose cell is empty."""


def read_data(path: Path, read_image: ReadImage, *, labels: Path | None = None, group: str | None = None) -> Texts | Images:
    """Read a data set by its suffix: .tsv, .csv or .npz (docs/cli.md says what is in each). ValueError names the line that does not fit.

    `group`: the column that tells groups apart, by its name in the head line (.csv), its number from 1 (.tsv) or the array's name (.npz).
    None takes "group" where the head line or the arrays have it.
    """
    readers: dict[str, Callable[[], Texts | Images]] = {
        ".tsv": lambda: read_tsv(path, labels, group),
        ".csv": lambda: _read_either_csv(path, read_image, group),
        ".npz": lambda: read_npz(path, group),
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ValueError(f"{path}: a .tsv, .csv or .npz file was expected")
    return reader()


def _text_lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                text = line.decode("utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise ValueError(f"{path}:{number}: UTF-8 was expected ({error.reason} at byte {error.start})") from None
            if text:
                yield number, text


def read_tsv(path: Path, labels: Path | None = None, group: str | None = None) -> Texts:
    """Read GoEmotions-style lines: text, comma-separated label indices, and an id that is not looked at. `group`: number of a column."""
    beside = labels or path.with_name("labels.txt")
    names = tuple(text for _, text in _text_lines(beside)) if labels or beside.is_file() else None
    if group is not None and not (group.isascii() and group.isdecimal() and 3 <= int(group) < 1000):
        raise ValueError(f"{path}: a .tsv has no head line: the number of a column from 3 on was expected as the group's, got {group!r}")
    texts, truth, groups = [], [], []
    for number, line in _text_lines(path):
        cells = line.split("\t")
        try:
            indices = tuple(int(cell) for cell in cells[1].split(","))
        except (IndexError, ValueError):
            raise ValueError(f"{path}:{number}: text, tab, comma-separated label indices were expected, got {line[:60]!r}") from None
        if min(indices) < 0 or (names and max(indices) >= len(names)):
            most = len(names) - 1 if names else "n - 1"
            raise ValueError(f"{path}:{number}: label indices from 0 to {most} were expected, got {cells[1]}")
        if group is not None:
            if len(cells) < int(group):
                raise ValueError(f"{path}:{number}: {group} columns were expected, as the last is the group, got {len(cells)}")
            groups.append(cells[int(group) - 1].strip() or NO_GROUP)
        texts.append(cells[0])
        truth.append(indices)
    if not texts:
        raise ValueError(f"{path}: no lines in this file")
    return Texts(tuple(texts), tuple(truth), names, tuple(groups) if group is not None else None)


def _read_either_csv(path: Path, read_image: ReadImage, group: str | None) -> Texts | Images:
    from affectrt.evaluate import cped  # here, as it is also run as `python -m affectrt.evaluate.cped`

    return read_cped(path, group) if cped.is_cped(path) else read_csv(path, read_image, group)


def read_cped(path: Path, group: str | None = None) -> Texts:
    """Read one of CPED's files: its utterances with their emotions. `group`: one of its columns about the speaker or the scene.
    `affectrt.evaluate.cped` reads all the rest of it."""
    from affectrt.evaluate import cped

    if group is not None and group not in cped.GROUPS:
        raise ValueError(f"{path}: one of {', '.join(cped.GROUPS)} was expected as the group's column, got {group!r}")
    utterances = cped.read(path)
    truth = tuple((cped.EMOTIONS.index(one.emotion),) for one in utterances)
    groups = tuple(cped.GROUPS[group](one) or NO_GROUP for one in utterances) if group is not None else None
    return Texts(tuple(one.text for one in utterances), truth, cped.EMOTIONS, groups)


def read_csv(path: Path, read_image: ReadImage, group: str | None = None) -> Images:
    """Read `file,label` lines; files are relative to the csv. A head line that begins so is optional, and needed for a column of groups."""
    rows: list[tuple[int, str, str, str]] = []
    number = 0
    place: int | None = None

    def lines() -> Iterator[str]:
        nonlocal number
        for number, text in _text_lines(path):  # noqa: B007 - read below: the number of the line that csv has come to
            yield text

    first = True
    for cells in csv.reader(lines()):
        head, first = first, False
        if head and [cell.strip().lower() for cell in cells[:2]] == ["file", "label"]:
            place = _group_column(path, cells, group)
            continue
        if head and group is not None:
            raise ValueError(f"{path}:{number}: a head line file,label,...,{group} was expected, to tell the group's column")
        if len(cells) < 2 or not cells[0].strip() or not cells[1].strip():
            raise ValueError(f"{path}:{number}: file,label was expected, got {','.join(cells)[:60]!r}")
        if place is not None and len(cells) <= place:
            raise ValueError(f"{path}:{number}: {place + 1} cells were expected, as the last is the group, got {len(cells)}")
        rows.append((number, cells[0].strip(), cells[1].strip(), cells[place].strip() if place is not None else ""))
    if not rows:
        raise ValueError(f"{path}: no lines in this file")
    for number, file, *_ in rows:  # all of them before any is run
        if not (path.parent / file).is_file():
            raise ValueError(f"{path}:{number}: no such file: {path.parent / file}")
    names = tuple(sorted({label for _, _, label, _ in rows}))
    files = [path.parent / file for _, file, *_ in rows]
    groups = tuple(cell or NO_GROUP for *_, cell in rows) if place is not None else None
    return Images(lambda i: read_image(files[i]), tuple(names.index(label) for _, _, label, _ in rows), names, groups)


def _group_column(path: Path, head: Sequence[str], group: str | None) -> int | None:
    names = [cell.strip() for cell in head]
    if group is None:
        return names.index(GROUP) if GROUP in names[2:] else None
    if group not in names[2:]:
        raise ValueError(f"{path}: a column {group!r} was expected in the head line, got {', '.join(names)}")
    return names.index(group, 2)


def read_npz(path: Path, group: str | None = None) -> Images:
    """Read `images` (N, H, W) or (N, H, W, 3) uint8, `labels` (N,) integers, `label_names` (C,) strings; nothing pickled is opened.
    `group`: an array (N,) of strings or integers."""
    wanted = ("images", "labels", "label_names")
    images, truth, names, *more = _npz_arrays(path, (*wanted, group) if group is not None else wanted, GROUP if group is None else None)
    if images.dtype != np.uint8 or not (images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3)) or 0 in images.shape[1:3]:
        raise ValueError(f"{path}: images of uint8 (N, H, W) or (N, H, W, 3) were expected, got {images.dtype} {images.shape}")
    if truth.shape != images.shape[:1] or not np.issubdtype(truth.dtype, np.integer):
        raise ValueError(f"{path}: labels of integers ({len(images)},) were expected, got {truth.dtype} {truth.shape}")
    if names.ndim != 1 or not len(names) or names.dtype.kind != "U":
        raise ValueError(f"{path}: label_names of strings (C,) with C of at least 1 were expected, got {names.dtype} {names.shape}")
    if not len(truth):
        raise ValueError(f"{path}: no examples")
    if truth.min() < 0 or truth.max() >= len(names):
        raise ValueError(f"{path}: labels from 0 to {len(names) - 1} were expected, got {truth.min()} to {truth.max()}")
    groups = _npz_groups(path, more[0], len(truth), group or GROUP) if more else None
    return Images(lambda i: np.ascontiguousarray(images[i]), tuple(int(i) for i in truth), tuple(str(name) for name in names), groups)


def _npz_groups(path: Path, values: NDArray[Any], count: int, name: str) -> tuple[str, ...]:
    if values.shape != (count,) or values.dtype.kind not in "Uiu":
        raise ValueError(f"{path}: {name} of strings or integers ({count},) was expected, got {values.dtype} {values.shape}")
    return tuple(str(value).strip() or NO_GROUP for value in values.tolist())


def _npz_arrays(path: Path, wanted: tuple[str, ...], optional: str | None = None) -> list[NDArray[Any]]:
    import struct
    import zipfile
    import zlib

    with path.open("rb") as head:
        if (start := head.read(2)) != b"PK":
            raise ValueError(f"{path}: an .npz file was expected, which begins with b'PK', got {start!r}")
    arrays: list[NDArray[Any]] = []
    name = ""
    # NumPy's own words may advise to allow pickle, which is never right here: only the kind of error is passed on.
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in wanted if name not in file]
            if missing:
                raise KeyError(missing)
            wanted = (*wanted, optional) if optional is not None and optional in file else wanted
            for name in wanted:
                arrays.append(file[name])
    except KeyError:
        raise ValueError(f"{path}: arrays {', '.join(wanted[:-1])} and {wanted[-1]} were expected, {', '.join(missing)} missing") from None
    except (zipfile.BadZipFile, zlib.error, struct.error, ValueError, EOFError, NotImplementedError, RuntimeError, MemoryError) as error:
        got = "objects (pickled) or damaged bytes" if isinstance(error, ValueError) else f"a damaged file ({type(error).__name__})"
        raise ValueError(f"{path}: {name or 'an .npz file'}: an array of plain numbers or strings was expected, got {got}") from None
    not_arrays = [name for name, array in zip(wanted, arrays, strict=True) if not isinstance(array, np.ndarray)]
    if not_arrays:
        raise ValueError(f"{path}: {', '.join(not_arrays)}: .npy arrays were expected, got other bytes")
    return arrays


def match_labels(data: Sequence[str], pack: Sequence[str]) -> list[int]:
    """For each label of the data its index in the pack. ValueError if the data has labels that the pack has not."""
    unknown = sorted(set(data) - set(pack))
    if unknown:
        spare = sorted(set(pack) - set(data))
        hint = f"; the pack's labels that the data has not: {', '.join(spare)}" if spare else ""
        raise ValueError(f"the data has labels that the pack has not: {', '.join(unknown)}{hint}")
    return [list(pack).index(name) for name in data]


def evaluate_texts(text: Any, data: Texts, progress: Progress | None = None) -> metrics.Scores:
    """Score `text` (an `affectrt.TextEmotion`) with the thresholds of its pack: an example's labels are all those over their own."""
    return answer_texts(text, data, progress).scores


def answer_texts(text: Any, data: Texts, progress: Progress | None = None) -> Answers:
    """What `evaluate_texts` scores."""
    labels: tuple[str, ...] = ()
    position: list[int] = []
    truth: NDArray[np.bool_] = np.zeros((0, 0), dtype=bool)
    predicted = truth
    for start in range(0, len(data), BATCH):
        seen: list[TextObservation] = text(list(data.texts[start : start + BATCH]))
        if not labels:
            labels = seen[0].labels
            position = _positions(data, labels)
            truth = np.zeros((len(data), len(labels)), dtype=bool)
            predicted = np.zeros_like(truth)
        index = {label: i for i, label in enumerate(labels)}
        for i, one in enumerate(seen, start=start):
            truth[i, [position[k] for k in data.truth[i]]] = True
            predicted[i, [index[label] for label in one.active]] = True
        if progress:
            progress(min(start + BATCH, len(data)), len(data))
    return Answers(truth, predicted, labels)


def _positions(data: Texts, labels: tuple[str, ...]) -> list[int]:
    if data.labels is not None:
        return match_labels(data.labels, labels)
    highest = max(max(one) for one in data.truth)
    if highest >= len(labels):
        raise ValueError(f"label index {highest} in the data, but the pack has {len(labels)} labels; name the data's own with --labels")
    return list(range(len(labels)))


def evaluate_images(expression: Any, data: Images, progress: Progress | None = None) -> metrics.Scores:
    """Score `expression` (an `affectrt.FaceExpression`) by its most probable label, whether or not it is sure enough to name it."""
    return answer_images(expression, data, progress).scores


def answer_images(expression: Any, data: Images, progress: Progress | None = None) -> Answers:
    """What `evaluate_images` scores."""
    labels: tuple[str, ...] = ()
    truth: list[int] = []
    predicted: list[int] = []
    for start in range(0, len(data), BATCH):
        crops = [data.load(i) for i in range(start, min(start + BATCH, len(data)))]
        seen = _read_crops(expression, crops)
        if not labels:
            labels = seen[0].labels
            position = match_labels(data.labels, labels)
        truth += [position[k] for k in data.truth[start : start + BATCH]]
        predicted += [int(np.argmax(one.probs)) for one in seen]
        if progress:
            progress(len(truth), len(data))
    return Answers(np.asarray(truth), np.asarray(predicted), labels)


def _read_crops(expression: Any, crops: list[NDArray[np.uint8]]) -> list[ExpressionObservation]:
    """Gray and colour crops may stand side by side in one set."""
    gray = [i for i, crop in enumerate(crops) if crop.ndim == 2]
    color = [i for i, crop in enumerate(crops) if crop.ndim == 3]
    seen: dict[int, ExpressionObservation] = {}
    for indices, encoding in ((gray, "mono8"), (color, "rgb8")):
        if indices:
            seen |= dict(zip(indices, expression([crops[i] for i in indices], color=encoding), strict=True))
    return [seen[i] for i in range(len(crops))]
