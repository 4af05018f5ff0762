"""Labelled data as a network takes it: read, checked, preprocessed by the contract, and split into calibration and evaluation.

What cannot be used is an ExportError that names the labels and rows; what is merely thin is a sentence for the report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
from affectrt.evaluate import Images, Texts, read_data

from affectrt_export import golden, reference
from affectrt_export.measure import probabilities
from affectrt_export.spec import F32, Contract, Examples, ExportError, Feeds

Bools = npt.NDArray[np.bool_]
U8 = npt.NDArray[np.uint8]

CALIBRATION = 300
"""How many examples calibrate, unless the user says otherwise."""
_TAKEN_AT_MOST = 4  # of the examples for evaluation one in so many may go to calibration


@dataclass(frozen=True)
class Split:
    """Examples that choose scales and ranges, and others that judge what came of it."""

    calibration: Examples
    evaluation: Examples
    note: str
    """What the user must be told, or ""."""


def read(path: Path, contract: Contract, *, labels: Path | None = None, name: str = "", group: str | None = None) -> Examples:
    """The examples of a .tsv, .csv or .npz file (docs/cli.md, `affectrt eval`). `name`: what the report calls them, else the file's name.
    `group`: as of `read_data`.

    ExportError for what `affectrt.evaluate.read_data` refuses and for labels that do not fit the contract.
    """
    from affectrt.cli.media import read_image

    try:
        data = read_data(path, read_image, labels=labels, group=group)
    except (ValueError, OSError) as error:
        raise ExportError(f"the labelled data cannot be read: {error}") from error
    return examples(contract, data, name or path.stem)


def examples(contract: Contract, data: Texts | Images, name: str) -> Examples:
    """Preprocessed as the runtime does it: one picture is the crop, one text goes without padding. Pictures are read when asked for.

    ExportError: data of the wrong kind, no labels, labels that the model has not, several labels where the model gives one, one class only.
    """
    kind = str(contract.inputs[0]["kind"])
    if not contract.names:
        raise ExportError(
            f"{name}: labelled data judges labels, and {contract.task} has none: accuracy is not judged here; leave --data out and switch "
            "the accuracy gates off"
        )
    wanted = {"image": Images, "text": Texts}.get(kind)
    if wanted is None:
        raise ExportError(f"a network with an input of image or text was expected, this one takes {kind}")
    if not isinstance(data, wanted):
        raise ExportError(f"{name}: the network takes {kind}, the data is {'text' if isinstance(data, Texts) else 'pictures'}")
    truth = _truth(contract, data, name)
    if isinstance(data, Images):
        return Examples(f"{name} ({len(truth):,})", _image_feeds(contract, data), truth, groups=data.groups or ())
    return Examples(f"{name} ({len(truth):,})", golden.Reader(contract).feeds(data.texts), truth, data.texts, data.groups or ())


def take(whole: Examples, rows: Sequence[int] | npt.NDArray[np.integer[Any]], name: str | None = None) -> Examples:
    """Only these rows, in this order."""
    index = [int(row) for row in rows]
    feeds = Lazy(len(index), lambda i: whole.feeds[index[i]])
    texts = [whole.texts[i] for i in index] if whole.texts else ()
    groups = [whole.groups[i] for i in index] if whole.groups else ()
    return Examples(whole.name if name is None else name, feeds, whole.truth[index], texts, groups)


def without_examples(contract: Contract, given: Examples) -> tuple[str, ...]:
    """Names of the labels that no example has: nothing can be said of them, and their F1 counts as 0."""
    return tuple(contract.names[label] for label in np.flatnonzero(~given.truth.any(0)))


def split(evaluation: Examples, calibration: Examples | None = None, *, count: int = CALIBRATION, seed: int = 0) -> Split:
    """`count` calibration examples, every class in proportion, at least one of each where there are two; the same for the same seed.

    They come from `calibration` where that is given. Otherwise they are taken out of the evaluation, at most a quarter of it, and the
    note says so.
    """
    if calibration is not None:
        rows = _stratified(calibration.truth, min(count, len(calibration)), seed, leave=0)
        return Split(take(calibration, rows, _part(calibration, len(rows), "for calibration")), evaluation, "")
    wanted = min(count, len(evaluation) // _TAKEN_AT_MOST)
    if wanted < 1:
        raise ExportError(
            f"{evaluation.name}: too few examples to calibrate with some and judge with others; {_TAKEN_AT_MOST} are the least"
        )
    rows = _stratified(evaluation.truth, wanted, seed, leave=1)
    rest = np.setdiff1d(np.arange(len(evaluation)), rows)
    note = (
        f"No calibration data was given, so {len(rows)} of the {len(evaluation):,} examples of {evaluation.name} calibrate the int8 "
        f"variants and do not judge them: the figures are of the other {len(rest):,}. Better: calibrate with a part of the training data."
    )
    return Split(
        take(evaluation, rows, _part(evaluation, len(rows), "for calibration")),
        take(evaluation, rest, _part(evaluation, len(rest), "not used for calibration")),
        note,
    )


def check_labels(contract: Contract, logits: F32, given: Examples) -> str:
    """Holds the fp32 network's answers (N, labels) against the labels. A sentence where it does no better than guessing, else "".

    ExportError where the labels are mixed up: another order of their names fits the answers far better, on both halves of the data, or
    the given one fits worse than chance would. What fits is measured by the correlation of each label with each probability.
    """
    from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped,import-not-found,unused-ignore]

    probs = probabilities(contract, logits).astype(np.float64)
    even, odd = (_correlation(given.truth[half::2], probs[half::2]) for half in (0, 1))
    there = np.flatnonzero(given.truth[0::2].any(0) & given.truth[1::2].any(0))
    best, again = (linear_sum_assignment(-half[there])[1] for half in (even, odd))
    moved = [(int(row), int(column)) for row, column, same in zip(there, best, again, strict=True) if row != column == same]
    noise = 1 / np.sqrt(max(len(given), 1))  # of a correlation of things that have nothing to do with each other
    names = contract.names
    gain = np.mean([odd[row, column] - odd[row, row] for row, column in moved]) if moved else 0.0
    if gain > 0.05 + 6 * noise and np.mean([odd[row, column] for row, column in moved]) > 0.05 + 3 * noise:
        order = np.arange(len(names))
        order[there] = best
        before, after = _agreement(probs, given.truth), _agreement(probs[:, order], given.truth)
        raise ExportError(
            f"{given.name}: the labels seem mixed up. As they are named, the network's best label is a true one for {before:.1%} of the "
            f"examples; renamed like this it is for {after:.1%}: "
            + ", ".join(f"{names[row]} -> {names[column]}" for row, column in moved)
            + f" (data -> network). Compare the order of the data's label names with the model's: {', '.join(names)}"
        )
    fit = float(np.mean(np.diag(_correlation(given.truth, probs))[there])) if len(there) else 0.0
    if fit < -3 * noise:
        raise ExportError(
            f"{given.name}: the network is worse than guessing: its probabilities rise where the labels are absent (mean correlation "
            f"{fit:.2f}). The data's labels do not mean what the model's do, or belong to other rows"
        )
    if fit < 2 * noise:
        return (
            f"On {given.name} the network is hardly better than guessing (mean correlation of probabilities and labels "
            f"{fit:.2f}): either it is untrained, or the labels belong to other rows, or preprocessing or tokenizer are not those of "
            "its training."
        )
    return ""


def _correlation(truth: Bools, probs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(labels, labels): of each label's truth with each label's probability, 0 where one of them never changes."""
    a, b = truth - truth.mean(0), probs - probs.mean(0)
    scale = np.sqrt((a**2).sum(0))[:, None] * np.sqrt((b**2).sum(0))
    return np.asarray(np.divide(a.T @ b, scale, out=np.zeros_like(scale), where=scale > 1e-12))


def _agreement(probs: npt.NDArray[np.float64], truth: Bools) -> float:
    return float(truth[np.arange(len(truth)), probs.argmax(1)].mean())


class Lazy(Sequence[Feeds]):
    """Inputs that are made when they are asked for, and not kept: a data set of pictures may be larger than the memory."""

    def __init__(self, count: int, make: Callable[[int], Feeds]) -> None:
        self._count, self._make = count, make

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> Feeds: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Feeds]: ...

    def __getitem__(self, index: int | slice) -> Feeds | Sequence[Feeds]:
        rows = range(self._count)[index]
        return self._make(rows) if isinstance(rows, int) else Lazy(len(rows), lambda i: self._make(rows[i]))


def _part(whole: Examples, count: int, what: str) -> str:
    return f"{whole.name}, {count:,} {what}"


def _truth(contract: Contract, data: Texts | Images, name: str) -> Bools:
    rows = [(index,) for index in data.truth] if isinstance(data, Images) else list(data.truth)
    if not rows:
        raise ExportError(f"{name}: no examples; one at least of each of {', '.join(contract.names)} is needed")
    if not any(rows):
        raise ExportError(f"{name}: none of the {len(rows):,} examples has a label; calibration and the gates need labelled data")
    position = _positions(contract, data, {index for row in rows for index in row}, name)
    truth = np.zeros((len(rows), len(contract.names)), np.bool_)
    for number, row in enumerate(rows):
        truth[number, [position[index] for index in row]] = True
    if not contract.multi_label:
        wrong = np.flatnonzero(truth.sum(1) != 1)
        if len(wrong):
            raise ExportError(
                f"{name}: the model gives one label, {len(wrong):,} of {len(rows):,} examples have none or several: "
                f"the first is example {wrong[0] + 1} with {int(truth[wrong[0]].sum())}"
            )
    seen = [contract.names[label] for label in np.flatnonzero(truth.any(0))]
    if len(seen) == 1 and len(contract.names) > 1:
        raise ExportError(
            f"{name}: every label of the {len(rows):,} examples is {seen[0]!r}; with one class nothing can be calibrated or judged. "
            f"The model's labels: {', '.join(contract.names)}"
        )
    return truth


def _positions(contract: Contract, data: Texts | Images, used: set[int], name: str) -> dict[int, int]:
    """Index in the data to index in the model, by name; by position where the data has no names."""
    own = contract.names
    if data.labels is None:
        if max(used) >= len(own):
            raise ExportError(
                f"{name}: label index {max(used)} in the data, but the model has {len(own)} labels (0 to {len(own) - 1}); "
                f"put the names of the data's indices into a labels.txt beside it"
            )
        return {index: index for index in used}
    unknown = sorted(data.labels[index] for index in used if data.labels[index] not in own)
    if unknown:
        alike = {label.casefold(): label for label in own}
        hints = [f"{one!r} may be {alike[one.casefold()]!r}" for one in unknown if one.casefold() in alike]
        spare = sorted(set(own) - {data.labels[index] for index in used})
        raise ExportError(
            f"{name}: the data has labels that the model has not: {', '.join(unknown)}"
            + (f"; the model's labels that the data has not: {', '.join(spare)}" if spare else "")
            + (f"; {', '.join(hints)}" if hints else "")
        )
    return {index: own.index(data.labels[index]) for index in used}


def _stratified(truth: Bools, count: int, seed: int, leave: int) -> npt.NDArray[np.int64]:
    """`count` sorted rows. An example counts for the rarest of its labels; of each class at least `leave` examples are not taken."""
    rarity = np.where(truth, truth.sum(0), np.iinfo(np.int64).max)
    stratum = np.where(truth.any(1), rarity.argmin(1), truth.shape[1])
    order = np.random.default_rng(seed).permutation(len(truth))
    groups = [order[stratum[order] == one] for one in np.unique(stratum)]
    size = np.array([len(group) for group in groups])
    most, quota = np.maximum(size - leave, 0), np.zeros(len(groups), np.int64)
    for _ in range(min(count, int(most.sum()))):  # Sainte-Lague's rule, after one for each
        worth = np.where(quota == 0, len(truth) + size, size / (2 * quota + 1))
        quota[np.argmax(np.where(quota < most, worth, -1))] += 1
    return np.sort(np.concatenate([group[:part] for group, part in zip(groups, quota, strict=True)]))


def _image_feeds(contract: Contract, data: Images) -> Sequence[Feeds]:
    spec = contract.inputs[0]
    cuts: dict[tuple[int, ...], Cut] = {}

    def make(index: int) -> Feeds:
        image = data.load(index)
        if image.shape[:2] not in cuts:
            if len(cuts) >= 64:  # photographs of every size: none comes again
                cuts.clear()
            cuts[image.shape[:2]] = Cut(image.shape[0], image.shape[1], spec)
        return {str(spec["tensor"]): cuts[image.shape[:2]](image, "mono8" if image.ndim == 2 else "rgb8")}

    return Lazy(len(data), make)


class Cut:
    """`reference.image_tensor` of whole pictures of one size, to the bit, with all that depends on the size alone done once.

    The axes are sampled one after the other, which for an upright region is the same arithmetic: 20 times as fast.
    """

    def __init__(self, height_px: int, width_px: int, spec: Any) -> None:
        self._spec = spec
        region = reference.whole(np.empty((height_px, width_px), np.uint8))
        if spec["fit"] == "letterbox":
            region = reference.letterboxed(region, spec["width_px"], spec["height_px"])
        self._columns = _Axis(float(region[0, 0]), float(region[0, 2]), spec["width_px"], width_px)
        self._rows = _Axis(float(region[1, 1]), float(region[1, 2]), spec["height_px"], height_px)

    def __call__(self, image: U8, color: str) -> reference.F32:
        """(1, C, H, W) or (1, H, W, C) float32 of `image` (H, W) or (H, W, 3) uint8 in `color` (mono8, rgb8, bgr8)."""
        spec, x, y = self._spec, self._columns, self._rows
        pixels = reference.to_color(np.atleast_3d(image).astype(np.float32), color, spec["color"])
        lines = pixels[:, x.first] * (1 - x.part[:, None]) + pixels[:, x.second] * x.part[:, None]
        out = lines[y.first] * (1 - y.part[:, None, None]) + lines[y.second] * y.part[:, None, None]
        out[y.outside] = out[:, x.outside] = np.asarray(spec["pad_value"], np.float64)
        value = (out.astype(np.float32) - np.asarray(spec["mean"], np.float32)) * np.asarray(spec["scale"], np.float32)
        return np.ascontiguousarray(value.transpose(2, 0, 1) if spec["layout"] == "nchw" else value)[None]


class _Axis:
    """Where the samples of one axis lie: two neighbours, how far between them, and whether they are outside the picture."""

    def __init__(self, length: float, start: float, samples: int, size_px: int) -> None:
        place = length * ((np.arange(samples, dtype=np.float64) + 0.5) / samples) + start - 0.5
        floor = np.floor(place)
        self.part = place - floor
        self.outside = (place < -0.5) | (place > size_px - 0.5)
        self.first, self.second = np.clip([floor, floor + 1], 0, size_px - 1).astype(np.int64)
