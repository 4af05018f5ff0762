"""A pack in one zip: unpacked into the cache, under the hash of the zip.

A zip is refused before anything of it is written: entries that its pack.json does not list, twice the same name, links, encryption,
paths that leave the folder, sizes other than the manifest's, and more than 100 times its own size once unpacked (a zip bomb).
"""

from __future__ import annotations

import hashlib
import stat
import zipfile
import zlib
from pathlib import Path
from typing import Any

from affectrt import _core
from affectrt.errors import PackError
from affectrt.packs.cache import cache_root, file_lock, new_folder, sha256_of
from affectrt.packs.pack import MANIFEST, MAX_MANIFEST_BYTES, parse_manifest

__all__ = ["copy_member", "unpack"]

MAX_ENTRIES = 8192
MAX_RATIO = 100
_SMALL_BYTES = 64 << 20  # below this a large ratio harms nobody: golden vectors of zeros compress well
_CHUNK_BYTES = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What zipfile raises on a broken archive, beside its own error.
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError, ValueError, OverflowError)


def unpack(path: Path) -> Path:
    """The folder with the content of a zipped pack; unpacks it if that has not been done yet. Raises PackError."""
    target = cache_root() / "zips" / sha256_of(path)
    if target.is_dir():
        return target
    with file_lock(f"unpacking {path.name}", f"zip-{target.name}"):
        if target.is_dir():
            return target
        try:
            with zipfile.ZipFile(path) as archive:
                members, files = _plan(path, archive)
                with new_folder(f"unpacking {path.name}", target) as work:
                    for name, info in members.items():
                        place = work / name
                        place.parent.mkdir(parents=True, exist_ok=True)
                        copy_member(archive, info, place, sha256=files.get(name), shown=f"{path.name}: {name}")
                    _core.Pack.open(work)  # whatever it refuses never gets a name
        except _BROKEN as error:
            raise PackError(f"{path}: expected a zip that holds a pack, got a broken one: {error}") from error
    return target


def _plan(path: Path, archive: zipfile.ZipFile) -> tuple[dict[str, zipfile.ZipInfo], dict[str, str]]:
    """What to write where, and the hash each listed file must have."""
    infos = archive.infolist()
    if len(infos) > MAX_ENTRIES:
        raise PackError(f"{path}: expected at most {MAX_ENTRIES} entries, got {len(infos)}")
    names = [info.filename for info in infos]
    # A zip of the folder itself holds everything one level down.
    manifests = [name for name in names if name == MANIFEST or (name.endswith("/" + MANIFEST) and name.count("/") == 1)]
    if len(manifests) != 1:
        raise PackError(f"{path}: expected one {MANIFEST} at the top of the zip or in its only folder, got {len(manifests)}")
    prefix = manifests[0][: -len(MANIFEST)]
    content = _manifest(path, archive, manifests[0])
    listed = {entry["path"]: entry for entry in content["files"] if "remote" not in entry}
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        shown = f"{path}: {info.filename!r}"
        _check_kind(info, shown)
        if info.is_dir():
            continue  # folders are made as files need them
        name = info.filename[len(prefix) :] if info.filename.startswith(prefix) else ""
        if name != MANIFEST and name not in listed:
            raise PackError(f"{shown}: expected only what {MANIFEST} lists under files")
        if name in members:
            raise PackError(f"{shown}: expected every entry once, got it twice")
        if name != MANIFEST and info.file_size != listed[name]["size_bytes"]:
            raise PackError(f"{shown}: expected a size in bytes of {listed[name]['size_bytes']}, got {info.file_size}")
        members[name] = info
    absent = sorted(listed.keys() - members.keys())
    if absent:
        raise PackError(f"{path}: expected every file that {MANIFEST} lists, got none for {absent[0]!r}")
    total = sum(info.file_size for info in members.values())
    if total > max(_SMALL_BYTES, MAX_RATIO * path.stat().st_size):
        raise PackError(f"{path}: expected at most {MAX_RATIO} times its size once unpacked, got {total} bytes from {path.stat().st_size}")
    return members, {name: entry["sha256"] for name, entry in listed.items()}


def _manifest(path: Path, archive: zipfile.ZipFile, name: str) -> dict[str, Any]:
    info = archive.getinfo(name)
    _check_kind(info, f"{path}: {name!r}")
    with archive.open(info) as reader:
        return parse_manifest(reader.read(MAX_MANIFEST_BYTES + 1), str(path))


def _check_kind(info: zipfile.ZipInfo, shown: str) -> None:
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise PackError(f"{shown}: expected a regular file, got {'a symbolic link' if stat.S_ISLNK(mode) else 'a special file'}")
    if info.flag_bits & 0x1:
        raise PackError(f"{shown}: expected a plain entry, got an encrypted one")
    if info.compress_type not in _METHODS:
        raise PackError(f"{shown}: expected it stored or deflated, got compression method {info.compress_type}")


def copy_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, place: Path, *, sha256: str | None, shown: str) -> str:
    """Writes one entry to `place`, never more than the size it claims, and returns its hash. Raises PackError if it is not `sha256`."""
    _check_kind(info, shown)
    digest = hashlib.sha256()
    left = info.file_size
    with archive.open(info) as reader, place.open("xb") as writer:
        while chunk := reader.read(min(_CHUNK_BYTES, left + 1)):
            left -= len(chunk)
            if left < 0:
                raise PackError(f"{shown}: expected {info.file_size} bytes, got more")
            digest.update(chunk)
            writer.write(chunk)
    if left:
        raise PackError(f"{shown}: expected {info.file_size} bytes, got {info.file_size - left}")
    if sha256 is not None and digest.hexdigest() != sha256:
        raise PackError(f"{shown}: expected SHA-256 {sha256}, got {digest.hexdigest()}")
    return digest.hexdigest()
