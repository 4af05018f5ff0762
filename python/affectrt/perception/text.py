"""The emotions of a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from affectrt.engine import Configured, Engine, EngineSettings, ProviderSpec
from affectrt.errors import PackError
from affectrt.packs import DEFAULTS, Pack, open_pack
from affectrt.perception.face import check_stamp
from affectrt.perception.observation import UNKNOWN, TextObservation

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Encoding

__all__ = ["MAX_CHARACTERS", "TextEmotion"]

MAX_CHARACTERS = 20_000
"""Of a longer text only so much is looked at, and its observation says `truncated`."""

_BATCH = 32


class TextEmotion(Configured):
    """Emotions of a sentence or short passage, by a text-emotion pack. May be called from any number of threads.

    Args:
        pack: name, folder, zip, hub id or `Pack`; None takes the default.
        device, precision, providers, strict, threads: see `EngineSettings`.

    Raises: `PackError`, `EngineError`, `DeviceError`; `ValueError` or `TypeError` for arguments.
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
    ) -> None:
        from tokenizers import Tokenizer  # here, so that `import affectrt` stays light

        self.settings = EngineSettings(device=device, precision=precision, providers=providers, strict=strict, threads=threads)
        self.pack = pack if isinstance(pack, Pack) else open_pack(DEFAULTS["text-emotion"] if pack is None else pack)
        if self.pack.task != "text-emotion":
            raise ValueError(f"{self.pack.name}: expected a pack for text-emotion, got one for {self.pack.task}")
        manifest = self.pack.manifest
        self._input = manifest["inputs"][0]
        self._output = next(o for o in manifest["outputs"] if o["kind"] in ("logits", "probabilities"))["tensor"]
        self._decode = manifest["decode"]
        tokenizer = self.pack.file(self._input["tokenizer"])
        try:
            self._tokenizer = Tokenizer.from_file(str(tokenizer))
        except Exception as error:  # what the library raises is no narrower
            raise PackError(f"{self.pack.name}: {tokenizer.name}: expected a tokenizer, got something else: {error}") from error
        self._tokenizer.no_truncation()  # ours tells whether something was left out
        self._tokenizer.no_padding()
        variant = self.pack.variant(precision)
        self.settings.check_requirements(self.pack.name, variant.name, variant.requires)
        # Dynamic int8 scales its activations by all that is in the batch, so a text would read otherwise beside other texts.
        self._batch = 1 if variant.precision == "int8" else _BATCH
        self._engine = Engine(variant.path, self.settings)
        self.labels: tuple[str, ...] = tuple(label.name for label in self.pack.labels)
        self._check_contract()
        tokens = (self._tokenizer.token_to_id(name) for name in ("[UNK]", "<unk>"))
        self._unknown_token = next((i for i in tokens if i is not None), -1)
        self._valence = [label.valence for label in self.pack.labels]
        self._arousal = [label.arousal for label in self.pack.labels]
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
        stamp = check_stamp(stamp_ns)
        if isinstance(text, str):
            _check_text(text)
            return self._read([text], stamp)[0]
        if not isinstance(text, (list, tuple)):
            raise TypeError(f"text: expected str, or a list of str, got {type(text).__name__}")
        texts = list(text)
        for one in texts:
            _check_text(one)
        # Texts of like length share a batch, so that little is computed on padding.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        results: dict[int, TextObservation] = {}
        for first in range(0, len(order), self._batch):
            chunk = order[first : first + self._batch]
            results.update(zip(chunk, self._read([texts[i] for i in chunk], stamp), strict=True))
        return [results[i] for i in range(len(texts))]

    def _read(self, texts: list[str], stamp: int) -> list[TextObservation]:
        limit = int(self._input["max_tokens"])
        encoded: list[tuple[list[int], str, bool]] = []
        for text in texts:
            encoding = self._tokenizer.encode(text[:MAX_CHARACTERS])
            ids = encoding.ids
            truncated = len(ids) > limit or len(text) > MAX_CHARACTERS
            # The last token ends the sequence and stays.
            encoded.append((ids if len(ids) <= limit else [*ids[: limit - 1], ids[-1]], self._unreadable(encoding), truncated))
        readable = [i for i, (_, why, _) in enumerate(encoded) if not why]
        if len(readable) == len(texts):
            probs = self._probabilities([ids for ids, _, _ in encoded])
        else:
            probs = np.zeros((len(texts), len(self.labels)), np.float32)
            if readable:
                probs[readable] = self._probabilities([encoded[i][0] for i in readable])
        probs.flags.writeable = False
        return [self._observation(text, p, why, cut, stamp) for text, p, (_, why, cut) in zip(texts, probs, encoded, strict=True)]

    def _unreadable(self, encoding: Encoding) -> str:
        """Why the network can tell nothing of these tokens, or ""."""
        special, unknown = sum(encoding.special_tokens_mask), encoding.ids.count(self._unknown_token)
        words = len(encoding.ids) - special
        if words + unknown == 0:
            return "empty text"
        return "unreadable text" if 2 * unknown > words else ""

    def _check_contract(self) -> None:
        names = [spec.name for spec in self._engine.inputs]
        wanted = [self._input["tensor"], self._input["mask_tensor"], *filter(None, [self._input.get("type_tensor")])]
        if sorted(names) != sorted(wanted):
            raise PackError(f"{self.pack.name}: its manifest names the inputs {wanted}, its network has {names}")
        output = next((spec for spec in self._engine.outputs if spec.name == self._output), None)
        if output is None or output.dtype != "float32" or output.shape[-1] not in (-1, len(self.labels)):
            raise PackError(f"{self.pack.name}: expected an output {self._output!r} of {len(self.labels)} float32, got {output}")

    def _probabilities(self, sequences: list[list[int]]) -> NDArray[np.float32]:
        if len(sequences) == 1:
            tokens = np.array(sequences, np.int64)
            mask = np.ones_like(tokens)
        else:
            width = max(len(ids) for ids in sequences)
            tokens = np.zeros((len(sequences), width), np.int64)
            mask = np.zeros_like(tokens)
            for row, ids in enumerate(sequences):
                tokens[row, : len(ids)] = ids
                mask[row, : len(ids)] = 1
        feeds: dict[str, Any] = {self._input["tensor"]: tokens, self._input["mask_tensor"]: mask}
        if self._input.get("type_tensor"):
            feeds[self._input["type_tensor"]] = np.zeros_like(tokens)
        values: NDArray[np.float32] = self._engine.run(feeds)[self._output]
        return self._activate(values)

    def _activate(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
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
        total = max(sum(values), 1e-9)
        return TextObservation(
            stamp_ns=stamp,
            text=text,
            label=UNKNOWN if reason else self.labels[top],
            active=tuple(self.labels[i] for i in over),
            labels=self.labels,
            probs=probs,
            valence=sum(map(mul, values, self._valence)) / total,
            arousal=sum(map(mul, values, self._arousal)) / total,
            confidence=confidence,
            reason=reason,
            truncated=truncated,
        )

    @property
    def provider(self) -> str:
        """The ONNX Runtime provider that the network really runs on."""
        return self._engine.provider

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """Providers that were asked for and could not be had, each with the reason."""
        return self._engine.fallbacks


def _check_text(text: object) -> None:
    if not isinstance(text, str):
        raise TypeError(f"text: expected str, got {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"text: expected valid Unicode, got a lone surrogate at position {error.start}") from None
