"""The emotions of a sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import mul
from typing import TYPE_CHECKING, overload

import numpy as np

from affectrt.engine import EngineSettings, ProviderSpec
from affectrt.engines import Preparing
from affectrt.packs import Pack
from affectrt.perception.face import check_stamp
from affectrt.perception.observation import UNKNOWN, TextObservation
from affectrt.perception.text_network import MAX_CHARACTERS, RunsTextNetwork, TextNetwork, check_text, check_texts, open_text_pack
from affectrt.policy import Policy, check_policy

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MAX_CHARACTERS", "TextEmotion"]


class TextEmotion(RunsTextNetwork):
    """Emotions of a sentence or short passage, by a text-emotion pack. May be called from any number of threads.

    Args:
        pack: name, folder, zip, hub id or `Pack`; None takes the default.
        device, precision, providers, strict, threads, engine: see `EngineSettings`.
        on_progress: as of `Face`.
        policy: each call needs its consent for "text", if that is among what it requires; None asks nobody.

    Of a text longer than the model reads, or than `MAX_CHARACTERS`, the end is not looked at, and its observation says `truncated`.

    Raises: `PackError`, `EngineError`, `DeviceError`; `ValueError` or `TypeError` for arguments; a call also `ConsentError`.
    """

    def __init__(
        self,
        pack: str | Pack | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
        providers: Sequence[ProviderSpec] | None = None,
        strict: bool = False,
        threads: int = 0,
        engine: str = "cuda",
        on_progress: Callable[[Preparing], None] | None = None,
        policy: Policy | None = None,
    ) -> None:
        self._policy = check_policy(policy)
        self.settings = EngineSettings(
            device=device, precision=precision, providers=providers, strict=strict, threads=threads, engine=engine
        )
        self.pack = open_text_pack(pack, "text-emotion")
        self._network = TextNetwork(self.pack, self.settings, ("logits", "probabilities"), on_progress)
        self._preparation = self._network.preparation
        self._decode = self.pack.manifest["decode"]
        self.labels: tuple[str, ...] = tuple(label.name for label in self.pack.labels)
        self._valence = [label.valence for label in self.pack.labels]
        self._arousal = [label.arousal for label in self.pack.labels]
        self._dominance = [label.dominance for label in self.pack.labels]
        # As the probabilities are: float32, so that one that is on its threshold stays there.
        self._thresholds: list[float] = np.array(self._decode["thresholds"] or [0.5] * len(self.labels), np.float32).tolist()
        self._inverse_temperature = np.float32(1 / self._decode["temperature"]) if "temperature" in self._decode else np.float32(1)

    @overload
    def __call__(self, text: str, stamp_ns: int | None = ...) -> TextObservation: ...

    @overload
    def __call__(self, text: list[str] | tuple[str, ...], stamp_ns: int | None = ...) -> list[TextObservation]: ...

    def __call__(self, text: str | list[str] | tuple[str, ...], stamp_ns: int | None = None) -> TextObservation | list[TextObservation]:
        """One observation for a text, a list for a list of texts, each read as if alone.

        The label is "unknown" for an empty text, for one of which the model knows hardly a word, and where it is not sure enough.
        """
        if self._policy is not None:
            self._policy.require("text")
        stamp = check_stamp(stamp_ns)
        if isinstance(text, str):
            return self._read([check_text(text)], stamp)[0]
        texts = check_texts(text)
        results: dict[int, TextObservation] = {}
        for chunk in self._network.batches(texts):
            results.update(zip(chunk, self._read([texts[i] for i in chunk], stamp), strict=True))
        return [results[i] for i in range(len(texts))]

    def _read(self, texts: list[str], stamp: int) -> list[TextObservation]:
        read = [self._network.tokens(text) for text in texts]
        readable = [i for i, one in enumerate(read) if not one.problem]
        if len(readable) == len(texts):
            probs = self._probabilities([one.ids for one in read])
        else:
            probs = np.zeros((len(texts), len(self.labels)), np.float32)
            if readable:
                probs[readable] = self._probabilities([read[i].ids for i in readable])
        probs.flags.writeable = False
        return [self._observation(text, p, one.problem, one.truncated, stamp) for text, p, one in zip(texts, probs, read, strict=True)]

    def _probabilities(self, sequences: list[list[int]]) -> NDArray[np.float32]:
        values, _ = self._network.run(sequences)
        kind = self._decode["kind"]
        if kind == "identity":
            return values
        scaled = values * self._inverse_temperature
        if kind == "sigmoid":
            probs: NDArray[np.float32] = np.reciprocal(np.exp(-scaled) + np.float32(1))
            return probs
        powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        result: NDArray[np.float32] = powers / powers.sum(axis=1, keepdims=True)
        return result

    def _observation(self, text: str, probs: NDArray[np.float32], unreadable: str, truncated: bool, stamp: int) -> TextObservation:
        # After a network has run, NumPy's code is as cold as its data: for some dozen numbers plain Python is the quicker.
        values = probs.tolist()
        over = [] if unreadable else [i for i, (p, least) in enumerate(zip(values, self._thresholds, strict=True)) if p >= least]
        over.sort(key=lambda i: -values[i])
        # A label over its own threshold comes before a likelier one that is not over its own.
        top = over[0] if over else values.index(max(values))
        confidence = values[top]
        sure = bool(over) or confidence >= float(self._decode["unknown_below"])
        reason = unreadable or ("" if sure else "uncertain")
        valence, arousal, dominance = self._place(values)
        return TextObservation(
            stamp_ns=stamp,
            text=text,
            label=UNKNOWN if reason else self.labels[top],
            active=tuple(self.labels[i] for i in over),
            labels=self.labels,
            probs=probs,
            valence=valence,
            arousal=arousal,
            confidence=confidence,
            reason=reason,
            truncated=truncated,
            dominance=dominance,
        )

    def _place(self, values: list[float]) -> tuple[float, float, float]:
        """Valence, arousal, dominance: means over the labels by probability. A regressor's numbers add up."""
        regressor = self._decode["kind"] == "identity"
        total = 1.0 if regressor else max(sum(values), 1e-9)
        valence, arousal, dominance = (sum(map(mul, values, axis)) / total for axis in (self._valence, self._arousal, self._dominance))
        return (_clip(valence), _clip(arousal), _clip(dominance)) if regressor else (valence, arousal, dominance)


def _clip(value: float) -> float:
    return min(max(value, -1.0), 1.0)
