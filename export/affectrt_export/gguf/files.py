"""GGUF files: opened with checks, counted, and written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from affectrt_export.spec import ExportError

if TYPE_CHECKING:
    import gguf

_CHUNK_BYTES = 1 << 22
TYPES_KEY = "affectrt.tensor_types"
"""In the metadata of every file made here: the tensor types it really holds, with their share of the weights."""


@dataclass(frozen=True)
class Census:
    """What a GGUF file really holds."""

    tensors: dict[str, int]
    """Tensors by type: {"q4_0": 210, "q8_0": 1, "f32": 61}."""
    weights: dict[str, int]
    """Weights by type."""
    size_bytes: int

    @property
    def quantised(self) -> tuple[str, ...]:
        """The types that are not plain numbers."""
        return tuple(kind for kind in self.tensors if kind not in ("f32", "f16", "bf16", "f64"))

    @property
    def bits(self) -> float:
        """Bits of the file a weight."""
        return 8 * self.size_bytes / max(1, sum(self.weights.values()))

    def words(self) -> str:
        """ "q4_0 210 (79%), q8_0 1 (21%), f32 61 (0%)", the most weights first."""
        total = max(1, sum(self.weights.values()))
        order = sorted(self.weights, key=lambda kind: (-self.weights[kind], kind))
        return ", ".join(f"{kind} {self.tensors[kind]} ({100 * self.weights[kind] / total:.0f}%)" for kind in order)


def open_gguf(path: Path, mode: Literal["r", "r+"] = "r") -> gguf.GGUFReader:
    """The file, mapped. ExportError where it is none, or ends before its last tensor."""
    import gguf

    try:
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        raise ExportError(f"{path}: cannot be read: {error.strerror or error}") from error
    if head != b"GGUF":
        raise ExportError(f"{path.name}: expected a GGUF file (its first bytes are b'GGUF'), got {head!r}")
    try:
        return gguf.GGUFReader(path, mode)
    except (ValueError, KeyError, IndexError, OverflowError, UnicodeDecodeError, MemoryError) as error:
        raise ExportError(f"{path.name}: is not a whole GGUF file: {error}") from error


def text_of(reader: gguf.GGUFReader, key: str, default: str = "") -> str:
    """A text of the metadata; the first of a list of texts."""
    value = value_of(reader, key)
    value = value[0] if isinstance(value, list) and value else value
    return value if isinstance(value, str) else default


def value_of(reader: gguf.GGUFReader, key: str) -> Any:
    """A value of the metadata; None where there is none."""
    field = reader.get_field(key)
    return None if field is None else field.contents()


def census(path: Path) -> Census:
    """Counts the tensors of a file by their types. ExportError where it is not whole."""
    reader = open_gguf(path)
    tensors: Counter[str] = Counter()
    weights: Counter[str] = Counter()
    for tensor in reader.tensors:
        kind = tensor.tensor_type.name.lower()
        tensors[kind] += 1
        weights[kind] += int(tensor.n_elements)
    if not tensors:
        raise ExportError(f"{path.name}: holds no tensors")
    return Census(dict(sorted(tensors.items())), dict(sorted(weights.items())), path.stat().st_size)


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; what was written takes its place at the end, or is deleted if that fails."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """64 hex digits of a file's content."""
    out = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK_BYTES):
            out.update(piece)
    return out.hexdigest()
