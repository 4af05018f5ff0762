"""An opened pack, and a bare model file in its clothes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affectrt import _core
from affectrt.errors import PackError

__all__ = ["MANIFEST", "Label", "Pack", "Variant", "parse_manifest"]

MANIFEST = "pack.json"
MAX_MANIFEST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Label:
    """One label of a pack, with the place it has in the space of affect."""

    name: str
    valence: float
    """[-1, 1]"""
    arousal: float
    """[-1, 1]"""
    dominance: float = 0.0
    """[-1, 1]; 0 where the pack does not say."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One network of a pack. All variants of a pack answer the same question, at different sizes and precisions."""

    name: str
    file: str
    """Path in the pack."""
    path: Path
    """Where the file lies on this disk."""
    format: str
    """"onnx" or "gguf"."""
    precision: str
    """"fp32", "int8", "q4_1", ..."""
    golden_tolerance_abs: float = 0.0
    """How far a golden output may be off."""
    requires: tuple[str, ...] = ()
    """ONNX Runtime providers it needs; empty: any."""
    measured: tuple[dict[str, Any], ...] = ()
    """What was measured at export: metric, data, value, and reference, machine, command where they are known."""


@dataclass(frozen=True, eq=False)
class Pack:
    """A pack whose every file has been checked, or (`verified` False) a bare model file of which nothing is known but its metadata.

    Use `affectrt.open_pack`; this class is not built by hand.
    """

    name: str
    version: str
    """MAJOR.MINOR.PATCH, or "" for a bare file."""
    task: str
    """"face-detection", "text-emotion", "dialogue", ..., or "" for a bare ONNX file, of which nobody knows."""
    path: Path
    """Folder of the pack, or the bare file."""
    source: str
    """What it was opened from, as the commands of `affectrt packs` take it."""
    license: str
    """SPDX id of the weights."""
    labels: tuple[Label, ...] = ()
    preferred: str = "auto"
    """What `variant("auto")` means: the part after the colon of `org/repo:Q4_K_M`, else the first variant."""
    _manifest: str = field(default="{}", repr=False)
    _core: _core.Pack | None = field(default=None, repr=False)

    @property
    def verified(self) -> bool:
        """True if the files are those of a manifest, byte for byte; False for a bare model file."""
        return self._core is not None

    @property
    def manifest(self) -> dict[str, Any]:
        """The contents of pack.json as the C++ parser has checked them: a new copy each time; {} for a bare file."""
        content: dict[str, Any] = json.loads(self._manifest)
        return content

    @property
    def missing(self) -> tuple[str, ...]:
        """Remote files that have not been pulled yet, as paths in the pack."""
        return tuple(entry["path"] for entry in self.manifest.get("files", ()) if "remote" in entry and not self._there(entry["path"]))

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the variants, the reference first."""
        names: Sequence[str] = [entry["name"] for entry in self.manifest.get("variants", ())]
        return tuple(names) or (self.path.name,)

    def file(self, path: str) -> Path:
        """Where a listed file lies on this disk. For a bare file the only path is its own name.

        Raises PackError if it is not listed, or if it is remote and not pulled: the text then names the command that pulls it.
        """
        if self._core is None:
            if path != self.path.name:
                raise PackError(f"{self.source}: expected {self.path.name!r}, the only file of a bare model, got {path!r}")
            return self.path
        entry = next((entry for entry in self.manifest["files"] if entry["path"] == path), None)
        if entry is not None and "remote" in entry and not self._there(path):
            raise PackError(
                f"pack {self.name}: {path} ({entry['size_bytes'] / 1e6:.0f} MB, from {entry['remote']}) is not carried in the pack "
                f"and has not been pulled yet; run: affectrt packs pull {self.source}"
            )
        return Path(self._core.file(path))

    def variant(self, name_or_precision: str = "auto") -> Variant:
        """The variant of that name, or the first of that precision, or for "auto" the preferred one.

        Raises PackError listing what there is.
        """
        wanted = self.preferred if name_or_precision == "auto" else name_or_precision
        if self._core is None:
            suffix = self.path.suffix.lower().lstrip(".")
            if name_or_precision not in ("auto", self.path.name):
                raise PackError(f"{self.source}: expected precision='auto', as a bare model has one variant, got {name_or_precision!r}")
            return Variant(self.path.name, self.path.name, self.path, suffix, "unknown")
        chosen = self._core.variant(wanted)
        entry = next(entry for entry in self.manifest["variants"] if entry["name"] == chosen)
        return Variant(
            name=entry["name"],
            file=entry["file"],
            path=self.file(entry["file"]),
            format=entry["format"],
            precision=entry["precision"],
            golden_tolerance_abs=entry["golden_tolerance_abs"],
            requires=tuple(entry["requires"]),
            measured=tuple(entry["measured"]),
        )

    def _there(self, path: str) -> bool:
        assert self._core is not None
        try:
            return Path(self._core.file(path)).is_file()
        except PackError:
            return False


def parse_manifest(data: bytes, shown: str) -> dict[str, Any]:
    """The contents of a pack.json, checked. Raises PackError that begins with `shown`."""
    try:
        if len(data) > MAX_MANIFEST_BYTES:
            raise PackError(f"{MANIFEST}: expected at most {MAX_MANIFEST_BYTES} bytes, got more")
        content: dict[str, Any] = json.loads(_core.parse_manifest(data.decode("utf-8")))
    except UnicodeDecodeError as error:
        raise PackError(f"{shown}: {MANIFEST}: expected UTF-8 JSON, got {error.reason} at byte {error.start}") from error
    except PackError as error:
        raise PackError(f"{shown}: {error}") from error
    return content


def pack_of(core: _core.Pack, source: str, preferred: str | None = None) -> Pack:
    """The Python view of an opened pack. Raises PackError if `preferred` is no variant of it."""
    text = core.manifest_json
    content = json.loads(text)
    if preferred is not None:
        preferred = core.variant(preferred.lower() if preferred not in {v["name"] for v in content["variants"]} else preferred)
    return Pack(
        name=content["name"],
        version=content["version"],
        task=content["task"],
        path=Path(core.folder),
        source=source,
        license=content["license"]["weights"],
        labels=tuple(Label(entry["name"], entry["valence"], entry["arousal"], entry.get("dominance", 0.0)) for entry in content["labels"]),
        preferred=preferred or "auto",
        _manifest=text,
        _core=core,
    )
