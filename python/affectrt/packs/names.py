"""What the text after `open_pack(` may mean.

smollm2-135m                                   a default pack, or one made by `affectrt packs add`
./folder, /folder, pack.zip, model.gguf        something on this disk
org/repo, org/repo:Q4_K_M                      a hub repository that has been pulled; after the colon a variant or a GGUF's precision
pypi:name==1.2.3/path/in/wheel.gguf            one file of a wheel of the Python index that has been pulled
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from affectrt.errors import PackError

__all__ = ["HubSource", "NamedSource", "PathSource", "PypiSource", "Source", "parse_source"]

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_HUB = re.compile(r"([A-Za-z0-9][\w.-]*)/([A-Za-z0-9][\w.-]*)(?::([\w.-]+))?", re.ASCII)
_PYPI = re.compile(r"pypi:([A-Za-z0-9][A-Za-z0-9._-]*)==([A-Za-z0-9][A-Za-z0-9._+!-]*)/(.+)", re.DOTALL)


@dataclass(frozen=True)
class NamedSource:
    """A pack by its name."""

    name: str


@dataclass(frozen=True)
class PathSource:
    """A folder, a zip or a model file on this disk."""

    path: Path


@dataclass(frozen=True)
class HubSource:
    """A repository of the model hub."""

    org: str
    repo: str
    wanted: str | None
    """What stands after the colon: a variant of a pack, or the precision of a GGUF file."""

    @property
    def repo_id(self) -> str:
        """`org/repo`."""
        return f"{self.org}/{self.repo}"


@dataclass(frozen=True)
class PypiSource:
    """One file inside a wheel of the Python index."""

    package: str
    version: str
    member: str

    def __str__(self) -> str:
        return f"pypi:{self.package}=={self.version}/{self.member}"


Source = NamedSource | PathSource | HubSource | PypiSource


def parse_pypi(text: str) -> PypiSource:
    """Reads `pypi:NAME==VERSION/PATH`. Raises PackError."""
    match = _PYPI.fullmatch(text)
    if match is None:
        raise PackError(f"expected pypi:NAME==VERSION/PATH/IN/THE/WHEEL, got {text!r}")
    member = match[3]
    if any(part in ("", ".", "..") for part in member.split("/")) or "\\" in member or not member.isprintable():
        raise PackError(f"{text!r}: expected a relative path inside the wheel, got {member!r}")
    return PypiSource(match[1], match[2], str(PurePosixPath(member)))


def parse_source(source: str | os.PathLike[str]) -> Source:
    """Tells the kinds of source apart. What exists on the disk wins over a hub repository; a plain name is never a path.

    Raises PackError if it is none of them, TypeError if it is neither text nor path.
    """
    if not isinstance(source, str):
        return PathSource(Path(os.fspath(source)))
    if not source or "\0" in source:
        raise PackError(f"expected a pack name, a folder, a .zip, org/repo or pypi:NAME==VERSION/PATH, got {source!r}")
    if source.startswith("pypi:"):
        return parse_pypi(source)
    if _NAME.fullmatch(source):
        return NamedSource(source)
    path = Path(source).expanduser()
    hub = _HUB.fullmatch(source)
    if hub is None or path.exists() or path.suffix.lower() in (".zip", ".onnx", ".gguf"):
        return PathSource(path)
    return HubSource(hub[1], hub[2], hub[3])
