"""The folders of engines in the cache of packs, `engines/<key>`.

A folder is built as `<key>.partial-<pid>` and renamed when it is whole, its `engines.json` written last. What is not whole is never used.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectrt.errors import PackError
from affectrt.packs.cache import cache_root, disk_errors, file_lock, new_file, sha256_of

__all__ = ["WHAT", "StoredEngines", "clear", "discard", "engines_root", "find", "new_engines", "stored", "suspect"]

WHAT = "engines of TensorRT"
_MANIFEST = "engines.json"
_PARTIAL = ".partial-"
# A provider goes on writing its caches of kernels and timings; these stay as they were built.
_FIXED = (".engine", ".profile")


@dataclass(frozen=True, slots=True)
class StoredEngines:
    """A folder of engines."""

    key: str
    path: Path
    whole: bool
    """False for what a build left behind, or is at work on."""
    networks: tuple[str, ...]
    """What they were built for, such as "detector: blazeface-full-range"."""
    provider: str
    gpu: str
    size_bytes: int


def engines_root() -> Path:
    """Where the folders lie; it need not exist yet."""
    return cache_root() / "engines"


def lock_name(key: str) -> str:
    """The name of the lock that a build holds."""
    return f"engines-{key}"


def find(key: str) -> Path | None:
    """The whole folder of a key, or None."""
    folder = engines_root() / key
    return folder if (folder / _MANIFEST).is_file() else None


def suspect(folder: Path) -> str:
    """What of a whole folder may be why it does not open, or "": an engine that is not as it was built, or, where there is none, as with
    TensorRT-RTX, the cache that its provider goes on writing, of which nobody can say how it should be."""
    try:
        files = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))["files"]
        for name, entry in files.items():
            path = folder / name
            if not path.is_file() or (path.suffix in _FIXED and sha256_of(path) != entry["sha256"]):
                return str(name)
        return "" if any(Path(name).suffix in _FIXED for name in files) else str(next(iter(files), _MANIFEST))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return _MANIFEST


def discard(folder: Path) -> None:
    """Remove a folder, which at no time stands there half."""
    dead = folder.with_name(f".{secrets.token_hex(8)}.tmp")
    with contextlib.suppress(FileNotFoundError):
        folder.rename(dead)
    shutil.rmtree(dead, ignore_errors=True)


@contextlib.contextmanager
def new_engines(key: str, facts: Mapping[str, Any]) -> Iterator[Path]:
    """A folder to build in; it becomes that of the key, or, whatever is raised, nothing. Only with the key's lock held."""
    root = engines_root()
    with disk_errors(WHAT, root):
        root.mkdir(parents=True, exist_ok=True)
        for left in root.glob(f"{key}{_PARTIAL}*"):  # whoever made it has lost the lock, and so has died
            shutil.rmtree(left, ignore_errors=True)
        work = root / f"{key}{_PARTIAL}{os.getpid()}"
        work.mkdir()
        try:
            yield work
            files = {str(path.relative_to(work)): path for path in sorted(work.rglob("*")) if path.is_file()}
            entries = {name: {"size_bytes": path.stat().st_size, "sha256": sha256_of(path)} for name, path in files.items()}
            with new_file(WHAT, work / _MANIFEST) as manifest:
                manifest.write_text(json.dumps({"format": 1, "key": key, "facts": facts, "files": entries}, indent=1), encoding="utf-8")
            target = root / key
            if target.exists():  # it has no manifest, else nothing were built
                discard(target)
            work.rename(target)
        finally:
            shutil.rmtree(work, ignore_errors=True)


def stored() -> list[StoredEngines]:
    """All folders, whole or not, sorted by key."""
    root = engines_root()
    return [_describe(path) for path in sorted(root.iterdir()) if path.is_dir()] if root.is_dir() else []


def _describe(path: Path) -> StoredEngines:
    facts: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        facts = json.loads((path / _MANIFEST).read_text(encoding="utf-8"))["facts"]
    networks = tuple(f"{role}: {network['pack']}" for role, network in facts.get("networks", {}).items())
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    whole = _PARTIAL not in path.name and bool(facts)
    return StoredEngines(path.name, path, whole, networks, facts.get("provider", ""), facts.get("gpu", ""), size)


def clear() -> tuple[list[StoredEngines], list[StoredEngines]]:
    """Remove all folders but those of builds under way. Returns what was removed, and what was left."""
    removed, left = [], []
    for entry in stored():
        try:
            with file_lock(WHAT, lock_name(entry.key.partition(_PARTIAL)[0]), timeout_s=0):
                discard(entry.path)
            removed.append(entry)
        except PackError:
            left.append(entry)
    return removed, left
