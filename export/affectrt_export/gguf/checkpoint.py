"""Reads a checkpoint in hub layout: config.json, safetensors (one file or several with an index), never a pickle.

Tensors are mapped, not loaded: `read` brings one of them into memory as float32.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from affectrt_export.spec import ExportError

F32 = npt.NDArray[np.float32]

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
_ITEM = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


@dataclass(frozen=True)
class Stored:
    """Where one tensor lies."""

    path: Path
    dtype: str
    """"F32", "F16" or "BF16"; others are kept as the file names them, and refused when read."""
    shape: tuple[int, ...]
    offset: int
    """Of its first byte in the file."""


class Checkpoint:
    """A folder with a model. Raises ExportError where the folder does not hold one, or a file is broken."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not folder.is_dir():
            raise ExportError(f"{folder}: expected a folder with {CONFIG} and {WEIGHTS}, got {'a file' if folder.exists() else 'nothing'}")
        self.config = read_json(folder / CONFIG)
        self.generation = read_json(folder / "generation_config.json") if (folder / "generation_config.json").is_file() else {}
        self.files = _files(folder)
        self.tensors: dict[str, Stored] = {}
        for path in self.files:
            for name, stored in _header(path).items():
                if name in self.tensors:
                    raise ExportError(f"tensor {name} is in two files: {self.tensors[name].path.name} and {path.name}")
                self.tensors[name] = stored

    def read(self, name: str) -> F32:
        """One tensor as float32, in its own shape. ExportError where it holds NaN or infinity."""
        stored = self.tensors[name]
        if stored.dtype not in _ITEM:
            raise ExportError(f"tensor {name}: expected {', '.join(_ITEM)}, got {stored.dtype}; already quantised checkpoints are not read")
        if 0 in stored.shape:
            return np.empty(stored.shape, np.float32)
        kind: Any = _ITEM[stored.dtype]
        raw = np.memmap(stored.path, kind, "r", stored.offset, stored.shape)
        value = _from_bfloat16(raw) if stored.dtype == "BF16" else raw.astype(np.float32)
        if not np.isfinite(value).all():
            bad = int(value.size - np.isfinite(value).sum())
            raise ExportError(f"tensor {name}: {bad} of {value.size} weights are NaN or infinite; the checkpoint is damaged")
        return value

    @property
    def dtype(self) -> str:
        """The widest type of the weight matrices: what a file must hold to lose nothing."""
        kinds = {stored.dtype for stored in self.tensors.values() if len(stored.shape) > 1}
        return next((kind for kind in ("F32", "F16", "BF16") if kind in kinds and len(kinds) == 1), "F32")


def read_json(path: Path) -> Mapping[str, Any]:
    """An object of JSON. ExportError where there is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ExportError(f"{path.parent}: has no {path.name}") from error
    except (OSError, ValueError) as error:
        raise ExportError(f"{path}: is not readable JSON: {error}") from error
    if not isinstance(value, dict):
        raise ExportError(f"{path}: expected an object, got {type(value).__name__}")
    return value


def _from_bfloat16(bits: npt.NDArray[Any]) -> F32:
    """BF16 is the upper half of a float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _files(folder: Path) -> tuple[Path, ...]:
    """The safetensors of the folder; with an index, those that it names."""
    if (folder / INDEX).is_file():
        weight_map = read_json(folder / INDEX).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise ExportError(f"{folder / INDEX}: expected a filled weight_map, got {type(weight_map).__name__}")
        names = sorted({str(name) for name in weight_map.values()})
        if strange := [name for name in names if Path(name).name != name]:
            raise ExportError(f"{folder / INDEX}: names files outside the folder: {', '.join(strange)}")
        if missing := [name for name in names if not (folder / name).is_file()]:
            raise ExportError(f"{folder}: the index names {len(names)} files, these are missing: {', '.join(missing)}")
        return tuple(folder / name for name in names)
    if (folder / WEIGHTS).is_file():
        return (folder / WEIGHTS,)
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    held = f"; {', '.join(pickles)} may run code when read: save as safetensors first" if pickles else ""
    raise ExportError(f"{folder}: has no {WEIGHTS} and no {INDEX}{held}")


def _header(path: Path) -> dict[str, Stored]:
    """Name to place of every tensor of one file."""
    import safetensors

    try:
        # The library checks what can be wrong with a file: sizes, overlaps, the end. BF16 it cannot give to NumPy: that needs the places.
        with safetensors.safe_open(path, framework="np"):
            pass
        with path.open("rb") as reader:
            (size,) = struct.unpack("<Q", reader.read(8))
            entries = json.loads(reader.read(size))
    except (safetensors.SafetensorError, OSError, ValueError, struct.error) as error:
        raise ExportError(f"{path.name}: is not a whole safetensors file: {error}") from error
    entries.pop("__metadata__", None)
    return {
        name: Stored(path, str(entry["dtype"]), tuple(entry["shape"]), 8 + size + int(entry["data_offsets"][0]))
        for name, entry in entries.items()
    }
