"""What one utterance's emotion says about the next: the weights of a SkipCRF, counted, written by hand, or a documented default."""

from __future__ import annotations

import math
import os
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affectrt.affect import checks
from affectrt.labels import Taxonomy, taxonomy, taxonomy_of

__all__ = ["ConversationModel"]

FORMAT, VERSION = "affectrt.conversation", 1
MOST_LABELS = 256
_VECTORS, _MATRICES = ("start", "end"), ("self_transitions", "other_transitions")
_KEYS = ("format", "version", "labels", "source", *_VECTORS, *_MATRICES)


@dataclass(frozen=True, slots=True, eq=False)
class ConversationModel:
    """Which emotions follow which in a conversation: the SkipCRF of EmotionIC (Y. Liu et al., "EmotionIC: emotional inertia and
    contagion-driven dependency modeling for emotion recognition in conversation", 2023, arXiv 2303.11117).

    All numbers are natural logarithms of how much likelier something is than without the conversation: 0 says nothing, 1 makes it 2.7 times
    as likely, -inf forbids it. Float32, read-only.

    Raises: `ValueError` with every problem at once.
    """

    labels: tuple[str, ...]
    """2 to 256 names; those of a taxonomy of `affectrt.labels`, in any order, so that other taxonomies can be translated into them."""
    start: NDArray[np.float32]
    """(K,): of a conversation's first utterance."""
    end: NDArray[np.float32]
    """(K,): of the last one, which in a stream is always the newest."""
    self_transitions: NDArray[np.float32]
    """(K, K), inertia: from the speaker's own emotion (row) to the next (column)."""
    other_transitions: NDArray[np.float32]
    """(K, K), contagion: from the other's emotion (row) to the answer's (column)."""
    source: str = ""
    """Where the numbers come from."""

    def __post_init__(self) -> None:
        problems = []
        labels = tuple(self.labels)
        if not all(isinstance(label, str) and label for label in labels) or len(set(labels)) != len(labels):
            problems.append(f"labels: names that differ were expected, got {labels!r}")
        if not 1 < len(labels) <= MOST_LABELS:
            problems.append(f"labels: 2 to {MOST_LABELS} were expected, got {len(labels)}")
        if not isinstance(self.source, str):
            problems.append(f"source: a str was expected, got {type(self.source).__name__}")
        object.__setattr__(self, "labels", labels)
        for name in (*_VECTORS, *_MATRICES):
            shape = (len(labels),) * (1 if name in _VECTORS else 2)
            try:
                object.__setattr__(self, name, _checked(getattr(self, name), name, shape))
            except ValueError as error:
                problems.append(str(error))
        if problems:
            raise ValueError("; ".join(problems))

    @classmethod
    def default(cls, labels: str | Sequence[str] = "ekman", *, inertia: float = 1.0, contagion: float = 0.3) -> ConversationModel:
        """The least that can be said: an emotion stays with its speaker, and a little of it is caught.

        The two constants are ours, chosen and not fitted, and have been measured against nothing. What they stand for is emotional inertia
        (P. Kuppens, N. Allen and L. Sheeber, Psychological Science 21, 2010) and contagion (E. Hatfield, J. Cacioppo and R. Rapson, Current
        Directions in Psychological Science 2, 1993). `fit` counts weights of your own.

        Args:
            labels: Name of a taxonomy, or names.
            inertia: Added where a speaker's emotion stays what it was: 1.0 makes that 2.7 times as likely as the utterance alone says.
            contagion: Added where the emotion is that of the speaker before: 0.3 makes it 1.35 times as likely.
        """
        names = _named(labels)[0]
        for name, value in (("inertia", inertia), ("contagion", contagion)):
            if not math.isfinite(value):
                raise ValueError(f"{name}: a finite number was expected, got {value}")
        nothing, stay = np.zeros(len(names)), np.eye(len(names))
        told = f"default: inertia {inertia:g}, contagion {contagion:g}"
        return cls(names, _logs(nothing), _logs(nothing), _logs(inertia * stay), _logs(contagion * stay), told)

    @classmethod
    def fit(
        cls,
        conversations: Iterable[Iterable[tuple[Hashable, str | None]]],
        labels: str | Sequence[str],
        *,
        smoothing: float = 1.0,
    ) -> ConversationModel:
        """Counted from conversations whose emotions are known.

        A weight is the logarithm of how much likelier a label was after another than it is at all: log P(next | before) / P(next), with
        P(next | before) = (count + smoothing K P(next)) / (count of before + smoothing K). Where little was seen it is near 0, and where
        nothing was, 0. That is what a classifier's own P(label | utterance) has to be multiplied by if the utterance, the speaker's emotion
        before and the other's are independent given the label. `start` is counted in the same way; `end` is 0, as a conversation that goes
        on has no last utterance.

        Args:
            conversations: Each a sequence of (speaker, label); a label of None is unknown and counts for nothing.
            labels: Name of their taxonomy, whose aliases will do, or their names.
            smoothing: Over 0: how many made-up observations each pair has on average.

        Raises: `ValueError` for an unknown label, naming its place, or a `smoothing` that is no number over 0.
        """
        names, known = _named(labels)
        if not (math.isfinite(smoothing) and smoothing > 0):
            raise ValueError(f"smoothing: a number over 0 was expected, got {smoothing}")
        index = {name: i for i, name in enumerate(names)}
        count = len(names)
        seen, first = np.zeros(count), np.zeros(count)
        own, other = np.zeros((count, count)), np.zeros((count, count))
        heard = 0
        for number, conversation in enumerate(conversations):
            speaker: Hashable = None
            before: int | None = None
            # Who spoke before the one who speaks, and with which label they ended: who comes back to it has both transitions (A-B-A).
            last_run: tuple[Hashable, int | None] | None = None
            position = 0
            for position, (now, label) in enumerate(conversation, start=1):
                tag = None if label is None else _index(label, index, known, f"conversation {number}, utterance {position - 1}")
                pairs = []
                if position > 1 and now == speaker:
                    pairs = [(own, before)]
                elif position > 1:
                    pairs = [(other, before)]
                    if last_run is not None and last_run[0] == now:
                        pairs.append((own, last_run[1]))
                    last_run = (speaker, before)
                if tag is not None:
                    seen[tag] += 1
                    first[tag] += position == 1
                    for counts, earlier in pairs:
                        if earlier is not None:
                            counts[earlier, tag] += 1
                speaker, before = now, tag
            heard += position
        at_all = (seen + smoothing) / (seen.sum() + smoothing * count)
        start, self_transitions, other_transitions = (_over_chance(counts, at_all, smoothing) for counts in (first[None], own, other))
        told = f"counted: {heard} utterances, {int(seen.sum())} of them labelled, smoothing {smoothing:g}"
        return cls(names, start[0], _logs(np.zeros(count)), self_transitions, other_transitions, told)

    @property
    def taxonomy(self) -> Taxonomy | None:
        """The taxonomy that has these labels, if there is one."""
        return taxonomy_of(self.labels)

    def to_json(self) -> str:
        """Reads back as the same numbers; null stands for -inf."""
        arrays = {name: _plain(getattr(self, name)) for name in (*_VECTORS, *_MATRICES)}
        return checks.canonical({"format": FORMAT, "version": VERSION, "labels": self.labels, "source": self.source, **arrays})

    @classmethod
    def from_json(cls, text: str | bytes) -> ConversationModel:
        """What `to_json` wrote. Raises `ValueError` that names what is not as expected."""
        content = checks.parse(text, "a conversation model")
        checks.header(content, "a conversation model", FORMAT, VERSION)
        checks.keys(content, "a conversation model", _KEYS)
        if not isinstance(content["labels"], list):
            raise ValueError(f"labels: a list was expected, got {type(content['labels']).__name__}")
        start, end = (_read(content[name], name, 1) for name in _VECTORS)
        self_transitions, other_transitions = (_read(content[name], name, 2) for name in _MATRICES)
        return cls(tuple(content["labels"]), start, end, self_transitions, other_transitions, content["source"])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a file beside it and renames that, so that a reader finds the whole model or the one before."""
        target = Path(path)
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            beside.write_text(self.to_json() + "\n", encoding="utf-8")
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ConversationModel:
        """The model of a file. Raises `ValueError` that names the file, or `OSError`."""
        try:
            return cls.from_json(Path(path).read_bytes())
        except ValueError as error:
            raise ValueError(f"{os.fspath(path)}: {error}") from None


def _named(labels: str | Sequence[str]) -> tuple[tuple[str, ...], Taxonomy | None]:
    if isinstance(labels, str):
        known = taxonomy(labels)
        return known.labels, known
    return tuple(labels), taxonomy_of(labels)


def _index(label: str, index: Mapping[str, int], known: Taxonomy | None, where: str) -> int:
    if label in index:
        return index[label]
    try:
        if known is None:
            raise ValueError(f"one of {', '.join(index)} was expected, got {label!r}")
        return index[known.resolve(label)]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from None


def _over_chance(counts: NDArray[np.float64], at_all: NDArray[np.float64], smoothing: float) -> NDArray[np.float32]:
    strength = smoothing * len(at_all)
    return _logs(np.log((counts + strength * at_all) / (counts.sum(1, keepdims=True) + strength) / at_all))


def _logs(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return values.astype(np.float32)


def _checked(value: ArrayLike, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    try:
        array = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name}: numbers in an array of shape {shape} were expected") from None
    if array.shape != shape:
        raise ValueError(f"{name}: shape {shape} was expected, got {array.shape}")
    with np.errstate(over="ignore"):
        result = array.astype(np.float32)
    if not (result < np.inf).all() or (np.isinf(result) & np.isfinite(array)).any():
        raise ValueError(f"{name}: finite numbers or -inf were expected, got {array[~np.isfinite(result)][0]}")
    result.flags.writeable = False
    return result


def _plain(array: NDArray[np.float32]) -> list[Any]:
    if array.ndim == 2:
        return [_plain(row) for row in array]
    # By its own shortest digits: those of the float64 that it becomes would be twice as many.
    return [None if value == -np.inf else float(str(value)) for value in array]


def _read(value: object, name: str, rank: int) -> Any:
    """Lists of numbers and nulls. Their lengths are looked at later."""
    if not isinstance(value, list):
        raise ValueError(f"{name}: {'a list' if rank == 1 else 'a list of lists'} was expected, got {type(value).__name__}")
    if rank == 2:
        return [_read(row, name, 1) for row in value]
    for entry in value:
        if entry is not None and (isinstance(entry, bool) or not isinstance(entry, (int, float))):
            raise ValueError(f"{name}: numbers and null were expected, got {entry!r}")
    return [-math.inf if entry is None else entry for entry in value]
