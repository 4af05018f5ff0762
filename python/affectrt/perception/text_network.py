"""What the classes that read text share: the tokenizer and the network of a pack, and how texts come to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence, Sized
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from affectrt import _core
from affectrt.engine import Engine, EngineSettings
from affectrt.engines import Prepares, Preparing, open_networks
from affectrt.errors import PackError
from affectrt.packs import DEFAULTS, Pack, open_pack

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from tokenizers import Encoding

__all__ = ["MAX_CHARACTERS", "RunsTextNetwork", "TextNetwork", "Tokens", "check_text", "check_texts", "open_text_pack"]

MAX_CHARACTERS = 20_000
"""Of a longer text only so much is looked at."""

_BATCH = 32


class Tokens(NamedTuple):
    """A text as the network reads it."""

    ids: list[int]
    problem: str
    """Why the network can tell nothing of it ("empty text", "unreadable text"), or ""."""
    truncated: bool
    """True if the end of the text was left out."""


class TextNetwork:
    """The tokenizer of a text pack and the network of one of its variants. May be used from any number of threads.

    kinds: of the output that `run` returns. on_progress: see `Face`. Raises `PackError` where pack and network disagree, `EngineError`,
    `DeviceError`.
    """

    def __init__(
        self,
        pack: Pack,
        settings: EngineSettings,
        kinds: Sequence[str],
        on_progress: Callable[[Preparing], None] | None = None,
    ) -> None:
        from tokenizers import Tokenizer  # here, so that `import affectrt` stays light

        manifest = pack.manifest
        self._input = manifest["inputs"][0]
        self.max_tokens = int(self._input["max_tokens"])
        path = pack.file(self._input["tokenizer"])
        try:
            self.tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # what the library raises is no narrower
            raise PackError(f"{pack.name}: {path.name}: expected a tokenizer, got something else: {error}") from error
        self.tokenizer.no_truncation()  # ours tells whether something was left out
        self.tokenizer.no_padding()
        tokens = (self.tokenizer.token_to_id(name) for name in ("[UNK]", "<unk>"))
        self._unknown_token = next((i for i in tokens if i is not None), -1)
        output = next(o for o in manifest["outputs"] if o["kind"] in kinds)
        self._output: str = output["tensor"]

        def opened(options: dict[str, Any]) -> _Opened:
            engine = _open(pack, settings, options)
            self._check_contract(pack.name, engine.engine, output["shape"])
            return engine

        wanted = pack.preferred if settings.precision == "auto" else settings.precision
        self._lock = threading.Lock()
        with self._lock:
            self._opened, self.preparation = open_networks(settings, {"text": (pack, wanted)}, opened, self._take, on_progress)

    def _take(self, opened: _Opened) -> None:
        with self._lock:
            self._opened = opened

    @property
    def engine(self) -> Engine:
        """The network that runs now."""
        return self._opened.engine

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """Of the network, and of engines that were to be built for it."""
        return (*self._opened.fallbacks, *self.preparation.notes)

    def _check_contract(self, name: str, engine: Engine, shape: Sequence[int]) -> None:
        names = [spec.name for spec in engine.inputs]
        wanted = [self._input["tensor"], self._input["mask_tensor"], *filter(None, [self._input.get("type_tensor")])]
        if sorted(names) != sorted(wanted):
            raise PackError(f"{name}: its manifest names the inputs {wanted}, its network has {names}")
        output = next((spec for spec in engine.outputs if spec.name == self._output), None)
        good = output is not None and output.dtype == "float32" and len(output.shape) == len(shape) and output.shape[-1] in (-1, shape[-1])
        if not good:
            got = output or [spec.name for spec in engine.outputs]
            raise PackError(f"{name}: expected an output {self._output!r} of float32 {list(shape)}, got {got}")

    def tokens(self, text: str) -> Tokens:
        """`text` as the network reads it."""
        encoding = self.tokenizer.encode(text[:MAX_CHARACTERS])
        ids = encoding.ids
        truncated = len(ids) > self.max_tokens or len(text) > MAX_CHARACTERS
        # The last token ends the sequence and stays.
        return Tokens(ids if len(ids) <= self.max_tokens else [*ids[: self.max_tokens - 1], ids[-1]], self._problem(encoding), truncated)

    def _problem(self, encoding: Encoding) -> str:
        special, unknown = sum(encoding.special_tokens_mask), encoding.ids.count(self._unknown_token)
        words = len(encoding.ids) - special
        if words + unknown == 0:
            return "empty text"
        return "unreadable text" if 2 * unknown > words else ""

    def batches(self, texts: Sequence[Sized]) -> Iterator[list[int]]:
        """Positions of texts, or of their tokens, that go through the network together: of like length, so that little is padding."""
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        batch = self._opened.batch
        return (order[first : first + batch] for first in range(0, len(order), batch))

    def run(
        self, sequences: Sequence[list[int]], types: Sequence[list[int]] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Token ids of N texts to the output, first axis N, and the mask (N, T) int64: 1 where a token is, 0 where padding.

        types: of each token, where the network takes them; None: all 0.
        """
        if len(sequences) == 1:
            ids = np.array(sequences, np.int64)
            mask = np.ones_like(ids)
        else:
            width = max(len(one) for one in sequences)
            ids = np.zeros((len(sequences), width), np.int64)
            mask = np.zeros_like(ids)
            for row, one in enumerate(sequences):
                ids[row, : len(one)] = one
                mask[row, : len(one)] = 1
        feeds: dict[str, Any] = {self._input["tensor"]: ids, self._input["mask_tensor"]: mask}
        if self._input.get("type_tensor"):
            kinds = np.zeros_like(ids)
            for row, own in enumerate(types or ()):
                kinds[row, : len(own)] = own
            feeds[self._input["type_tensor"]] = kinds
        return self.engine.run(feeds)[self._output], mask


class RunsTextNetwork(Prepares):
    """What an object that runs a text network says of it."""

    _network: TextNetwork

    @property
    def provider(self) -> str:
        """The ONNX Runtime provider that the network really runs on."""
        return self._network.engine.provider

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """Providers and engines that were asked for and could not be had, each with the reason."""
        return self._network.fallbacks


def open_text_pack(source: str | Pack | None, task: str) -> Pack:
    """The pack that was meant; the default of `task` for None. Raises `ValueError` if it is one for another task."""
    pack = source if isinstance(source, Pack) else open_pack(DEFAULTS[task] if source is None else source)
    if pack.task != task:
        raise ValueError(f"{pack.name}: expected a pack for {task}, got one for {pack.task}")
    return pack


class _Opened(NamedTuple):
    engine: Engine
    batch: int
    """Texts that go through it together."""

    @property
    def provider(self) -> str:
        return self.engine.provider

    @property
    def fallbacks(self) -> tuple[str, ...]:
        return self.engine.fallbacks


def _open(pack: Pack, settings: EngineSettings, options: dict[str, Any]) -> _Opened:
    """The network of the variant that the settings mean."""
    assert pack._core is not None  # a bare model has no task
    wanted = pack.preferred if settings.precision == "auto" else settings.precision
    if wanted != "auto" or {entry["file"] for entry in pack.manifest["variants"]} <= set(pack.missing):
        pack.variant(wanted)  # of a file that is not here it says best where to have it from
    name, engine = Engine.of_pack(pack._core, wanted, settings, options)
    precision = next(entry["precision"] for entry in pack.manifest["variants"] if entry["name"] == name)
    # Dynamic int8 scales its activations by all that is in the batch, so a text would read otherwise beside other texts.
    batch = 1 if precision == "int8" else _BATCH
    if settings.engine != "cuda":  # also while another provider serves, so that a batch never meets an engine that it is too large for
        batch = min([batch, *(most[0] for _, _, _, most in _core.shape_ranges(pack._core))])
    return _Opened(engine, batch)


def check_texts(text: object) -> list[str]:
    """A list of texts. Raises `TypeError` or `ValueError` naming what came."""
    if not isinstance(text, (list, tuple)):
        raise TypeError(f"text: expected str, or a list of str, got {type(text).__name__}")
    return [check_text(one) for one in text]


def check_text(text: object) -> str:
    """A text that can be read. Raises `TypeError` or `ValueError`."""
    if not isinstance(text, str):
        raise TypeError(f"text: expected str, got {type(text).__name__}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"text: expected valid Unicode, got a lone surrogate at position {error.start}") from None
    return text
