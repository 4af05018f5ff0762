"""What several tests of the memory use: an encoder without a network, a clock that stands still, the bytes of a file."""

from __future__ import annotations

import functools
import zlib
from pathlib import Path

import numpy as np
from affectrt.memory import Encoder
from numpy.typing import NDArray

DIMENSIONS = 48
WORDS = Encoder("bag-of-words", "1", DIMENSIONS)
START_NS = 1_767_225_600_000_000_000  # 2026-01-01 00:00 UTC
DAY_NS = 86_400_000_000_000


@functools.cache
def _direction(word: str) -> NDArray[np.float32]:
    return np.random.default_rng(zlib.crc32(word.encode())).normal(size=DIMENSIONS).astype(np.float32)


def bag_of_words(texts: list[str]) -> NDArray[np.float32]:
    """Each word a pseudo-random direction; a text is the sum of its words, of unit length; no words, zeros."""
    vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
    for row, text in zip(vectors, texts, strict=True):
        for word in text.lower().split():
            if word.strip(".,!?").isalnum():
                row += _direction(word.strip(".,!?"))
        row /= max(float(np.linalg.norm(row)), 1e-12)
    return vectors


class Clock:
    """Tells the time that it was set to."""

    def __init__(self, now_ns: int = START_NS) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


def raw(path: Path) -> bytes:
    """Every byte of the store's files."""
    return b"\n".join(file.read_bytes() for file in sorted(path.parent.glob(path.name + "*")))
