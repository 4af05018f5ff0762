"""Finished engines, kept under a key of all that went into them, below `affectrt.packs.cache_root()`.

    engines/<key>/              one engine: its files, and entry.json, which names what went into the key and the hash of each file
    engines/timing/<key>.bin    TensorRT's times of kernels on one GPU, by version, kept between builds

An entry appears whole, by the rename of a folder, or not at all. It is read against its hashes, and one that differs is built again. One
process builds a key; others wait for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from affectrt.errors import PackError
from affectrt.packs.cache import cache_root, disk_errors, file_lock, new_file, new_folder, sha256_of

from affectrt_export.tensorrt.device import Gpu
from affectrt_export.tensorrt.library import Library
from affectrt_export.tensorrt.options import Options, Shapes

FORMAT = 1
ENTRY = "entry.json"
LIMIT_BYTES = 4 << 30
_STALE_S = 600.0  # a temporary folder this old has lost its process: writing an engine takes seconds


def engines_root() -> Path:
    """Where engines lie; it need not exist yet."""
    return cache_root() / "engines"


def parts(
    model: bytes, types: Mapping[str, int], shapes: Mapping[str, Shapes], library: Library, gpu: Gpu | None, options: Options
) -> dict[str, Any]:
    """All that an engine depends on, as JSON: what a key is made of, and what its entry says. `types`: how often each type is there."""
    return {
        "format": FORMAT,
        "model": hashlib.sha256(model).hexdigest(),
        "types": dict(sorted(types.items())),
        "shapes": {name: [list(s.least), list(s.usual), list(s.most)] for name, s in sorted(shapes.items())},
        "library": library.kind,
        "version": library.version_text,
        "targets": list(options.targets),
        "gpu": gpu.name if gpu else None,
        "compute_capability": list(gpu.compute_capability) if gpu else None,
        "driver": gpu.driver if gpu else None,
        "options": {"workspace_mib": options.workspace_mib, "level": options.level, "tf32": options.tf32},
    }


def key_of(what: Mapping[str, Any]) -> str:
    """64 hex digits of `parts`."""
    return hashlib.sha256(json.dumps(what, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def entry(what: Mapping[str, Any], make: Callable[[], Mapping[str, bytes]], *, limit_bytes: int = LIMIT_BYTES) -> Path:
    """The folder of the entry for `parts`; `make` gives its files by name, and is called only if there is no such entry that is whole.

    Other entries, those not used for longest first, go until all fit in `limit_bytes`. Raises what `make` raises, and PackError for a disk
    that refuses or another process that builds the same for over half an hour.
    """
    key = key_of(what)
    place = engines_root() / key
    with file_lock(f"engine {key[:12]}", f"engine-{key}"):
        if not whole(place):
            _remove(place)
            files = make()
            with new_folder(f"engine {key[:12]}", place) as work:
                for name, data in files.items():
                    (work / name).write_bytes(data)
                listed = {
                    name: {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)} for name, data in sorted(files.items())
                }
                (work / ENTRY).write_text(json.dumps({"parts": what, "files": listed}, indent=1, sort_keys=True))
        with contextlib.suppress(OSError):
            os.utime(place / ENTRY)  # when it was last used
    trim(limit_bytes, keep=key)
    return place


def whole(place: Path) -> bool:
    """Whether the entry in this folder has every file it lists, byte for byte, for the key that the folder is named after."""
    try:
        listed = json.loads((place / ENTRY).read_bytes())
        same_key = key_of(listed["parts"]) == place.name
        return same_key and all(sha256_of(place / name) == file["sha256"] for name, file in listed["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def entries() -> list[Path]:
    """Folders of all entries, the one not used for longest first."""
    found = [(p.stat().st_mtime_ns, p.parent) for p in engines_root().glob(f"*/{ENTRY}") if not p.parent.name.startswith(".")]
    return [place for _, place in sorted(found)]


def size_bytes() -> int:
    """Of all that lies below `engines_root()`."""
    return sum(p.stat().st_size for p in engines_root().rglob("*") if p.is_file())


def trim(limit_bytes: int, *, keep: str = "") -> None:
    """Removes entries, the one not used for longest first, until all fit; never the one of key `keep`, and none that is being built."""
    _sweep()
    for place in entries():
        if size_bytes() <= limit_bytes:
            break
        if place.name != keep:
            _remove_locked(place)


def clear() -> int:
    """Removes every engine and timing cache that no process is working on; the number of engines removed."""
    _sweep()
    gone = sum(_remove_locked(place) for place in entries())
    shutil.rmtree(engines_root() / "timing", ignore_errors=True)
    return gone


def read_timing(library: Library, gpu: Gpu | None) -> bytes:
    """The timing cache for this version and GPU, b"" if there is none. The library itself checks it."""
    place = _timing(library, gpu)
    try:
        return place.read_bytes() if place else b""
    except OSError:
        return b""


def write_timing(library: Library, gpu: Gpu | None, timing: bytes | None) -> None:
    """Keeps the timing cache after a build. Of two builds at once the later one stays: what is lost is measured again."""
    place = _timing(library, gpu)
    if place and timing:
        with new_file("timing cache", place) as work:
            work.write_bytes(timing)


def _timing(library: Library, gpu: Gpu | None) -> Path | None:
    if gpu is None or not library.has_timing_cache:
        return None
    key = key_of(
        {"library": library.kind, "version": library.version_text, "gpu": gpu.name, "at": gpu.compute_capability, "driver": gpu.driver}
    )
    return engines_root() / "timing" / f"{key}.bin"


def _remove(place: Path) -> None:
    """Takes an entry away by a rename, so that nobody finds half of one."""
    if not place.exists():
        return
    with disk_errors("engine", place):
        gone = place.parent / f".{secrets.token_hex(8)}.tmp"
        place.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def _remove_locked(place: Path) -> int:
    try:
        with file_lock("engine", f"engine-{place.name}", timeout_s=0.0):
            _remove(place)
    except PackError:  # somebody is working on it
        return 0
    return 1


def _sweep() -> None:
    """Removes what killed processes left."""
    for left in engines_root().glob(".*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime >= _STALE_S:
                shutil.rmtree(left, ignore_errors=True)
