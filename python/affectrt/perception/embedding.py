"""Sentences as vectors, to find what was said before that is like what is said now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, overload

import numpy as np

from affectrt.engine import EngineSettings, ProviderSpec
from affectrt.engines import Preparing
from affectrt.packs import Pack
from affectrt.perception.text_network import RunsTextNetwork, TextNetwork, check_text, check_texts, open_text_pack
from affectrt.policy import Policy, check_policy

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TextEmbedding"]

_TINY = np.float32(1e-12)


class TextEmbedding(RunsTextNetwork):
    """Vectors of sentences or short passages, by a text-embedding pack. May be called from any number of threads.

    `a @ b` of two vectors of unit length is their cosine: near 1 for texts that mean the same. `memories @ query`, (N, D) and (D,), ranks
    memories for a query; whether queries want words before them, the pack's card says.

    Args:
        pack: name, folder, zip, hub id or `Pack`; None takes the default, which is pulled: `affectrt packs pull bge-small-en`.
        device, precision, providers, strict, threads, engine: see `EngineSettings`.
        on_progress: as of `Face`.
        policy: each call needs its consent for "text", if that is among what it requires; None asks nobody.

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
        self.pack = open_text_pack(pack, "text-embedding")
        self._network = TextNetwork(self.pack, self.settings, ("embedding",), on_progress)
        self._preparation = self._network.preparation
        manifest = self.pack.manifest
        self._decode = manifest["decode"]
        self.dimensions = int(manifest["outputs"][0]["shape"][-1])
        """D, the length of a vector."""

    @overload
    def __call__(self, text: str) -> NDArray[np.float32]: ...

    @overload
    def __call__(self, text: list[str] | tuple[str, ...]) -> NDArray[np.float32]: ...

    def __call__(self, text: str | list[str] | tuple[str, ...]) -> NDArray[np.float32]:
        """The vector (D,) float32 of a text, or (N, D) of a list of texts, each read as if alone; of unit length if the pack says so.

        An empty text, and one of which the model knows hardly a word (emoji, a script that it cannot read), gives zeros: it is like
        nothing. Of a longer text than the model reads only the beginning counts: see `truncates`.
        """
        if self._policy is not None:
            self._policy.require("text")
        if isinstance(text, str):
            one: NDArray[np.float32] = self._read([check_text(text)])[0]
            return one
        texts = check_texts(text)
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for chunk in self._network.batches(texts):
            vectors[chunk] = self._read([texts[i] for i in chunk])
        return vectors

    @overload
    def truncates(self, text: str) -> bool: ...

    @overload
    def truncates(self, text: list[str] | tuple[str, ...]) -> list[bool]: ...

    def truncates(self, text: str | list[str] | tuple[str, ...]) -> bool | list[bool]:
        """Whether a text is longer than the model reads, so that its end does not count in its vector; a list for a list of texts."""
        if isinstance(text, str):
            return self._network.tokens(check_text(text)).truncated
        return [self._network.tokens(one).truncated for one in check_texts(text)]

    def token_count(self, text: str) -> int:
        """How many tokens of a text the model reads, those that mark its beginning and end included."""
        return len(self._network.tokens(check_text(text)).ids)

    def _read(self, texts: list[str]) -> NDArray[np.float32]:
        read = [self._network.tokens(text) for text in texts]
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        readable = [i for i, one in enumerate(read) if not one.problem]
        if readable:
            vectors[readable] = self._pooled(*self._network.run([read[i].ids for i in readable]))
        return vectors

    def _pooled(self, values: NDArray[np.float32], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """(N, T, D), or (N, D) where the network pools itself, to (N, D)."""
        if self._decode["pooling"] == "cls":
            values = values[:, 0]
        elif self._decode["pooling"] == "mean":
            weight = mask.astype(np.float32)
            values = (values * weight[:, :, None]).sum(axis=1) / weight.sum(axis=1, keepdims=True)
        if self._decode["normalize"]:
            values = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), _TINY)
        return values
