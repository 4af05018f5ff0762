"""Emotions of a whole conversation: what each utterance says, in the light of what the speaker and the others felt before.

    decoder = ConversationDecoder()                                # ekman, the documented default weights
    decoder.decode([("ana", text("I lost it.")), ("bot", None), ("ana", text("Fine."))])      # offline: the whole conversation
    stream = decoder.stream()                                      # streaming: as it goes on
    update = stream.add("ana", text("I lost it."))
    update.newest.label, update.revised

**Offline and streaming are two questions.** Offline, each utterance is read in the light of the whole conversation, also of what comes
after. A stream knows no future: its answer for the newest utterance is that of decoding the conversation so far, and later utterances may
revise it, which is reported. When all has been said, the labels are the same.

    >>> decoder = ConversationDecoder("ekman")
    >>> said = [("ana", {"joy": 0.52, "sadness": 0.48}), ("ana", {"sadness": 0.9, "neutral": 0.1})]
    >>> [utterance.label for utterance in decoder.decode(said)]
    ['sadness', 'sadness']
    >>> stream = decoder.stream()
    >>> stream.add(*said[0]).newest.label
    'joy'
    >>> stream.add(*said[1]).revised
    (Revision(index=0, before='joy', after='sadness'),)

The model is the decoding layer of EmotionIC (Y. Liu et al., 2023, arXiv 2303.11117), SkipCRF, without its network: any classifier's
probabilities go in. Decoding is exact; see `_core.skip_crf_decode`.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affectrt import _core
from affectrt.affect.conversation_model import ConversationModel
from affectrt.affect.evidence import Evidence
from affectrt.labels import taxonomy, taxonomy_of, translate_probs
from affectrt.perception.observation import UNKNOWN, ExpressionObservation, FaceObservation, TextObservation

__all__ = ["ConversationDecoder", "ConversationStream", "ConversationUpdate", "DecodedUtterance", "Revision"]

Said = TextObservation | FaceObservation | ExpressionObservation | Evidence | Mapping[str, float] | NDArray[np.floating] | None
"""What is known of an utterance: an observation, or evidence; probabilities by label of the model, those left out being 0; all of them,
(K,); or nothing. An observation whose label is "unknown" says nothing either, nor does evidence without labels or of confidence 0, nor
probabilities that sum to 0."""

_LEAST = 1e-6
"""Probabilities that sum to less say nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class DecodedUtterance:
    """One utterance, read in its conversation."""

    index: int
    """0 is the first of the conversation."""
    speaker: Hashable
    label: str
    """That of the best sequence for the whole conversation, which need not be the likeliest by itself; "unknown" only where the model
    forbids every sequence."""
    confidence: float
    """The label's probability, in [0, 1]."""
    probs: NDArray[np.float32]
    """(K,) float32 over the model's labels: how likely each is in the light of the conversation (marginals of the SkipCRF), sums to 1."""
    observed: bool
    """False if nothing was known of the utterance itself, so that the conversation alone speaks."""
    stamp_ns: int | None
    """Of the observation; None if there was none."""


@dataclass(frozen=True, slots=True)
class Revision:
    """An earlier utterance that is read differently now."""

    index: int
    before: str
    after: str


@dataclass(frozen=True, slots=True, eq=False)
class ConversationUpdate:
    """What one more utterance changes."""

    newest: DecodedUtterance
    revised: tuple[Revision, ...]
    """Earlier utterances whose label is now another, oldest first."""


class ConversationDecoder:
    """Reads conversations, whole (`decode`) or as they go on (`stream`). Pure and immutable: threads may share it.

    Args:
        model: Weights, or the name of a taxonomy for `ConversationModel.default`. `ConversationModel.fit` counts them from conversations of
            your own, `ConversationModel.load` reads them from a file.
        doubt: The part of each utterance's probabilities that is spread over all labels, in (0, 1): a classifier that rules a label out is
            not believed altogether.
    """

    def __init__(self, model: ConversationModel | str = "ekman", *, doubt: float = 0.02) -> None:
        if not isinstance(model, (ConversationModel, str)):
            raise TypeError(f"model: a ConversationModel or the name of a taxonomy was expected, got {type(model).__name__}")
        if not 0 < doubt < 1:
            raise ValueError(f"doubt: a number in (0, 1) was expected, got {doubt}")
        self.model = ConversationModel.default(model) if isinstance(model, str) else model
        self._doubt = doubt
        self._taxonomy = self.model.taxonomy
        self._weights = {
            "start": self.model.start,
            "end": self.model.end,
            "self_transitions": self.model.self_transitions,
            "other_transitions": self.model.other_transitions,
        }

    @property
    def labels(self) -> tuple[str, ...]:
        """Those of the model."""
        return self.model.labels

    def decode(self, conversation: Iterable[tuple[Hashable, Said]]) -> tuple[DecodedUtterance, ...]:
        """Every utterance of a conversation, each in the light of all others. Memory for T utterances: 8 T K^2 bytes.

        Args:
            conversation: (speaker, what is known), oldest first.

        Raises: `ValueError` for probabilities that are none, of labels that cannot be translated into the model's; `TypeError`.
        """
        return self.decode_all([conversation])[0]

    def decode_all(self, conversations: Iterable[Iterable[tuple[Hashable, Said]]]) -> list[tuple[DecodedUtterance, ...]]:
        """`decode` of each conversation; the same, bit for bit."""
        spoken = [list(conversation) for conversation in conversations]
        longest = max(map(len, spoken), default=0)
        emissions = np.zeros((len(spoken), longest, len(self.labels)), np.float32)
        speakers = np.zeros((len(spoken), longest), np.int64)
        observed = np.zeros((len(spoken), longest), bool)
        for i, conversation in enumerate(spoken):
            numbers: dict[Hashable, int] = {}
            for t, (speaker, said) in enumerate(conversation):
                speakers[i, t] = numbers.setdefault(speaker, len(numbers))
                probs = self._probs(said)
                observed[i, t] = probs is not None
                emissions[i, t] = self._emissions(probs)
        lengths = np.array([len(conversation) for conversation in spoken], np.int32)
        tags, _ = _core.skip_crf_decode(emissions, speakers, lengths=lengths, **self._weights)
        probs, _ = _core.skip_crf_marginals(emissions, speakers, lengths=lengths, **self._weights)
        probs.flags.writeable = False
        return [
            tuple(
                self._utterance(t, speaker, said, int(tags[i, t]), probs[i, t], bool(observed[i, t]))
                for t, (speaker, said) in enumerate(conversation)
            )
            for i, conversation in enumerate(spoken)
        ]

    def stream(self, *, history: int = 1000) -> ConversationStream:
        """A conversation that goes on.

        Args:
            history: How many of the last utterances can be revised; what is older stays as it was read last. The newest answer does not
                depend on it. Memory: K^2 bytes each.
        """
        return ConversationStream(self, history)

    def _utterance(
        self, index: int, speaker: Hashable, said: Said, tag: int, probs: NDArray[np.float32], observed: bool
    ) -> DecodedUtterance:
        label, confidence = (UNKNOWN, 0.0) if tag < 0 else (self.labels[tag], float(probs[tag]))
        return DecodedUtterance(index, speaker, label, confidence, probs, observed, getattr(said, "stamp_ns", None))

    def _emissions(self, probs: NDArray[np.float64] | None) -> NDArray[np.float32]:
        """Logarithms; zeros where nothing is known."""
        if probs is None:
            return np.zeros(len(self.labels), np.float32)
        mixed: NDArray[np.float32] = np.log((1 - self._doubt) * probs + self._doubt / len(self.labels)).astype(np.float32)
        return mixed

    def _probs(self, said: Said) -> NDArray[np.float64] | None:
        """(K,), sums to 1; None if nothing is said."""
        if said is None:
            return None
        if isinstance(said, (TextObservation, FaceObservation, ExpressionObservation)):
            if said.label == UNKNOWN:
                return None
            # Several at a time, if they are a text's and do not share one certainty between them.
            several = isinstance(said, TextObservation) and abs(float(said.probs.sum()) - 1) > 1e-3
            values = self._translated(said.labels, said.probs, several)
        elif isinstance(said, Evidence):
            if said.taxonomy is None or said.probs is None or said.confidence == 0:
                return None
            values = self._translated(taxonomy(said.taxonomy).labels, np.array(said.probs), said.multi_label)
        elif isinstance(said, Mapping):
            values = self._by_name(said)
        elif isinstance(said, np.ndarray):
            values = said
        else:
            raise TypeError(
                f"an observation, evidence, probabilities by label or an array of them was expected, or None, got {type(said).__name__}"
            )
        if values.shape != (len(self.labels),) or values.dtype.kind not in "fiu":
            raise ValueError(f"probabilities of shape ({len(self.labels)},) were expected, got {values.dtype} {values.shape}")
        values = values.astype(np.float64)
        if not ((values >= 0) & (values <= 1 + 1e-6)).all():  # false for NaN; a little over 1 is rounding
            raise ValueError(f"probabilities in [0, 1] were expected, got {values.min()} to {values.max()}")
        total = values.sum()
        return values / total if total >= _LEAST else None

    def _translated(self, labels: tuple[str, ...], probs: NDArray[np.floating], several: bool) -> NDArray[np.floating]:
        if probs.shape != (len(labels),):
            raise ValueError(f"as many probabilities as labels were expected, {len(labels)}, got shape {probs.shape}")
        if set(labels) == set(self.labels) and len(labels) == len(self.labels):
            return probs[[labels.index(label) for label in self.labels]]
        given = taxonomy_of(labels)
        if given is None or self._taxonomy is None:
            strange = labels if given is None else self.labels
            raise ValueError(
                f"the labels of a taxonomy of affectrt.labels, or the model's own, were expected; these are of none: {', '.join(strange)}"
            )
        ordered = probs[[labels.index(label) for label in given.labels]]
        translated = translate_probs(ordered, given.name, self._taxonomy.name, multi_label=several)
        return translated[[self._taxonomy.labels.index(label) for label in self.labels]]

    def _by_name(self, said: Mapping[str, float]) -> NDArray[np.float64]:
        values = np.zeros(len(self.labels))
        for name, value in said.items():
            label = name if name in self.labels or self._taxonomy is None else self._taxonomy.resolve(name)
            if label not in self.labels:
                raise ValueError(f"one of {', '.join(self.labels)} was expected, got {name!r}")
            values[self.labels.index(label)] += value
        return values


class ConversationStream:
    """One conversation as it goes on; from `ConversationDecoder.stream`. An utterance costs O(K^3), however long the conversation is.

    After each, the labels are those of `ConversationDecoder.decode` for the conversation so far, and so are `newest.probs`. Threads may
    share it; their utterances then come in the order of their calls.
    """

    def __init__(self, decoder: ConversationDecoder, history: int = 1000) -> None:
        if isinstance(history, bool) or not isinstance(history, int) or history < 1:
            raise ValueError(f"history: an int of at least 1 was expected, got {history!r}")
        self._decoder = decoder
        self._stream = _core.SkipCrfStream(history=history, **decoder._weights)
        self._numbers: dict[Hashable, int] = {}
        self._labels: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._stream)

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the last utterances, as many as `history` at most, as they are read now."""
        return self._labels

    def add(self, speaker: Hashable, said: Said) -> ConversationUpdate:
        """One more utterance. Raises as `ConversationDecoder.decode` does, and has then changed nothing."""
        probs = self._decoder._probs(said)
        emissions = self._decoder._emissions(probs)
        with self._lock:
            number = self._numbers.setdefault(speaker, len(self._numbers))
            revised = self._stream.push(emissions, number)
            size, tags, before = len(self._stream), self._stream.tags, self._labels
            self._labels = tuple(UNKNOWN if tag < 0 else self._decoder.labels[tag] for tag in tags.tolist())
            was_first, first = size - 1 - len(before), size - len(tags)
            newest = self._decoder._utterance(size - 1, speaker, said, int(tags[-1]), self._stream.probs, probs is not None)
            revisions = tuple(Revision(i, before[i - was_first], self._labels[i - first]) for i in revised)
        return ConversationUpdate(newest, revisions)
