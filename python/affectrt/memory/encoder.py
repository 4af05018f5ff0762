"""Which encoder made the vectors of a store, and the one that makes the next."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from affectrt.perception import TextEmbedding

Embed = Callable[[list[str]], Any]
"""(N,) texts to (N, D) float32."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """What tells one encoder's vectors from another's: only those of the same one can be compared."""

    name: str
    version: str
    dimensions: int
    sha256: str = ""
    """Of what computes the vectors, in hex; "" where that has no hash."""

    def __post_init__(self) -> None:
        if not all(isinstance(text, str) for text in (self.name, self.version, self.sha256)) or not self.name:
            raise ValueError(f"Encoder: expected name, version and sha256 as str, the name not empty, got {self!r}")
        if isinstance(self.dimensions, bool) or not isinstance(self.dimensions, int) or not 1 <= self.dimensions <= 65536:
            raise ValueError(f"Encoder: expected dimensions in [1, 65536], got {self.dimensions!r}")

    def __str__(self) -> str:
        mark = f", {self.sha256[:12]}" if self.sha256 else ""
        return f"{self.name} {self.version} ({self.dimensions} dimensions{mark})"

    def same(self, other: Encoder) -> bool:
        """Whether vectors of the two can be compared: by hash where both have one, so that a new card of a pack moves nothing."""
        if self.sha256 and other.sha256:
            return (self.sha256, self.dimensions) == (other.sha256, other.dimensions)
        return (self.name, self.version, self.dimensions) == (other.name, other.version, other.dimensions)

    def to_json(self) -> dict[str, Any]:
        """As `from_json` takes it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Encoder:
        """Of a file's note or of an export. Raises ValueError."""
        if not isinstance(value, dict) or set(value) != {"name", "version", "dimensions", "sha256"}:
            raise ValueError(f"encoder: expected name, version, dimensions and sha256, got {value!r}")
        return cls(**value)


class Embedder:
    """Texts to checked vectors; the default encoder is opened when the first text comes. May be used from any number of threads."""

    def __init__(self, embed: Embed | None, encoder: Encoder | None) -> None:
        if encoder is not None and not isinstance(encoder, Encoder):
            raise TypeError(f"encoder: expected an Encoder or None, got {type(encoder).__name__}")
        if embed is not None and not callable(embed):
            raise TypeError(f"embed: expected a callable or None, got {type(embed).__name__}")
        if embed is not None and encoder is None:
            encoder = _of_pack(embed)
            if encoder is None:
                raise ValueError("embed: give encoder=Encoder(name, version, dimensions) with a callable of your own")
        self._embed, self._encoder = embed, encoder
        self._lock = threading.Lock()

    @property
    def encoder(self) -> Encoder:
        """The encoder in use. Raises `PackError` if the default one has not been pulled."""
        self._open()
        assert self._encoder is not None
        return self._encoder

    def _open(self) -> None:
        with self._lock:
            if self._encoder is None:
                from affectrt.perception import TextEmbedding  # its network is not for a robot that only lists or erases

                embed = TextEmbedding()
                self._embed, self._encoder = embed, _of_pack(embed)

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(N, D) float32, all finite."""
        encoder = self.encoder
        if self._embed is None:
            raise ValueError("the store was given an encoder but no embed: pass the vector with each memory and query")
        vectors = np.asarray(self._embed(list(texts)))
        if vectors.shape != (len(texts), encoder.dimensions) or vectors.dtype.kind not in "fiu":
            raise ValueError(f"embed: expected ({len(texts)}, {encoder.dimensions}) numbers, got {vectors.shape} of {vectors.dtype}")
        return np.ascontiguousarray(_finite(vectors, "embed"))

    def check(self, vector: Any) -> NDArray[np.float32]:
        """A vector (D,) that the caller made."""
        given = np.asarray(vector)
        dimensions = self.encoder.dimensions
        if given.shape != (dimensions,) or given.dtype.kind not in "fiu":
            raise ValueError(f"semantic: expected ({dimensions},) numbers of {self.encoder.name}, got shape {given.shape} of {given.dtype}")
        return _finite(given, "semantic")


def _finite(vectors: NDArray[Any], name: str) -> NDArray[np.float32]:
    # Squares must stay finite too; no encoder comes near.
    if not np.isfinite(vectors).all() or (np.abs(vectors) > 1e15).any():
        raise ValueError(f"{name}: expected finite numbers, got NaN, infinity or one beyond 1e15")
    return vectors.astype(np.float32)


def _of_pack(embed: Embed | TextEmbedding) -> Encoder | None:
    pack = getattr(embed, "pack", None)
    if pack is None or not hasattr(embed, "dimensions"):
        return None
    # What computes: networks, tokenizer and how the vector is read. A new card or licence text moves no vector.
    manifest = pack.manifest
    used = {entry["tokenizer"] for entry in manifest["inputs"]} | {variant["file"] for variant in manifest["variants"]}
    hashes = sorted(entry["sha256"] for entry in manifest["files"] if entry["path"] in used)
    text = json.dumps([hashes, manifest["decode"]], sort_keys=True)
    return Encoder(pack.name, pack.version, embed.dimensions, hashlib.sha256(text.encode()).hexdigest())
