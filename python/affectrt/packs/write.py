"""The one writer of packs (docs/pack-format.md). It needs the standard library and NumPy only.

A pack appears under its name whole or not at all: it is built in a temporary folder beside its place, and renamed. The same
arguments give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["RemoteFile", "npy_bytes", "write_pack"]

FORMAT = "affectrt-pack"
FORMAT_VERSION = 1
MANIFEST = "pack.json"
MAX_MANIFEST_BYTES = 1 << 20

TASKS = frozenset(
    [
        "face-detection",
        "face-landmarks",
        "face-blendshapes",
        "face-expression",
        "text-emotion",
        "text-embedding",
        "text-span",
        "text-pair",
        "dialogue",
    ]
)
PRECISIONS = frozenset({"fp32", "fp16", "int8", "int4", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0", "q4_1"})

_REQUIRED = frozenset(
    [
        "name",
        "version",
        "task",
        "description",
        "license",
        "source",
        "card",
        "intended_use",
        "known_limits",
        "inputs",
        "outputs",
        "decode",
        "labels",
        "variants",
        "golden",
    ]
)
_OPTIONAL = frozenset({"recipe"})
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class RemoteFile:
    """A file that the pack names and does not carry: pulled into the cache from `remote`, then checked against size and hash."""

    remote: str
    size_bytes: int
    sha256: str


def npy_bytes(array: npt.ArrayLike) -> bytes:
    """The bytes of a `.npy` file (format 1.0, C order, little endian, no pickled objects)."""
    value = np.ascontiguousarray(array)
    if value.dtype.hasobject:
        raise TypeError(f"a golden vector cannot hold Python objects, got dtype {value.dtype}")
    value = value.astype(value.dtype.newbyteorder("<"), copy=False)
    out = io.BytesIO()
    np.lib.format.write_array(out, value, version=(1, 0), allow_pickle=False)
    return out.getvalue()


def write_pack(
    folder: str | os.PathLike[str],
    manifest: Mapping[str, Any],
    files: Mapping[str, bytes | Path],
    *,
    remote: Mapping[str, RemoteFile] | None = None,
    replace: bool = False,
    check: Callable[[Path], None] | None = None,
) -> Path:
    """Writes a pack to `folder` and returns that path.

    manifest: what pack.json holds, without `format`, `format_version` and `files`, which are filled in here.
    files: path in the pack -> its content, or the file to copy. remote: path in the pack -> a file that is not carried.
    replace: let it take the place of an existing pack, which stays until the new one is complete.
    check: called with the folder in which the whole pack stands before it moves to its place; what it raises stops that.

    Raises ValueError with every problem found in the arguments, FileExistsError where `folder` is taken, OSError as the disk does.
    Whatever it raises, `folder` is as it was.
    """
    target = Path(folder)
    absent = dict(remote or {})
    problems = _problems(manifest, files, absent)
    if target.name != manifest.get("name"):
        problems.append(f"folder {target.name!r} must be named like the pack, {manifest.get('name')!r}")
    if problems:
        raise ValueError("cannot write pack: " + "; ".join(problems))
    if target.exists() and not replace:
        raise FileExistsError(f"{target} exists; pass replace=True to put the new pack in its place")

    target.parent.mkdir(parents=True, exist_ok=True)
    work = target.parent / f".{target.name}.{secrets.token_hex(6)}.tmp"
    try:
        work.mkdir()
        entries = [_place(work, path, files[path]) for path in files]
        entries += [
            {"path": path, "size_bytes": file.size_bytes, "sha256": file.sha256, "remote": file.remote} for path, file in absent.items()
        ]
        content = dict(manifest, format=FORMAT, format_version=FORMAT_VERSION, files=sorted(entries, key=lambda e: str(e["path"])))
        data = (_json(content, 0) + "\n").encode()
        if len(data) > MAX_MANIFEST_BYTES:
            raise ValueError(f"{MANIFEST} would be {len(data)} bytes, the format allows {MAX_MANIFEST_BYTES}")
        _write(work / MANIFEST, data)
        if check is not None:
            check(work)
        _rename(work, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def _rename(work: Path, target: Path) -> None:
    if not target.exists():
        work.rename(target)
        return
    # A folder cannot be renamed onto a filled one, so the old pack steps aside first and comes back if the new one cannot move in.
    old = work.with_name(work.name + ".old")
    target.rename(old)
    try:
        work.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old)


def _place(work: Path, path: str, source: bytes | Path) -> dict[str, Any]:
    """Writes one file of the pack and returns its entry."""
    place = work.joinpath(*PurePosixPath(path).parts)
    place.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(source, bytes):
        _write(place, source)
        return {"path": path, "size_bytes": len(source), "sha256": hashlib.sha256(source).hexdigest()}
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as reader, place.open("xb") as writer:
        while chunk := reader.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            writer.write(chunk)
        _flush(writer)
    return {"path": path, "size_bytes": size, "sha256": digest.hexdigest()}


def _write(place: Path, data: bytes) -> None:
    with place.open("xb") as writer:
        writer.write(data)
        _flush(writer)


def _flush(writer: io.BufferedWriter) -> None:
    # Without this a power cut after the rename can leave a pack of the right name and empty files.
    writer.flush()
    os.fsync(writer.fileno())


def _json(value: Any, indent: int) -> str:
    """JSON with sorted keys, one key a line, and lists of plain values on one line: stable, and readable in a diff."""
    pad, inner = "  " * indent, "  " * (indent + 1)
    if isinstance(value, Mapping) and value:
        lines = [f"{inner}{json.dumps(key)}: {_json(value[key], indent + 1)}" for key in sorted(value)]
        return "{\n" + ",\n".join(lines) + f"\n{pad}}}"
    if isinstance(value, (list, tuple)) and any(isinstance(item, Mapping) for item in value):
        return "[\n" + ",\n".join(inner + _json(item, indent + 1) for item in value) + f"\n{pad}]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _problems(manifest: Mapping[str, Any], files: Mapping[str, bytes | Path], remote: Mapping[str, RemoteFile]) -> list[str]:
    """What is wrong with the arguments. The strict reading is the parser's; this stops what cannot become a pack at all."""
    out = [f"missing key {key!r}" for key in sorted(_REQUIRED - manifest.keys())]
    out += [f"unknown key {key!r}" for key in sorted(manifest.keys() - _REQUIRED - _OPTIONAL)]
    if out:
        return out
    if not _NAME.fullmatch(str(manifest["name"])):
        out.append(f"name {manifest['name']!r} must match [a-z0-9][a-z0-9-]{{0,63}}")
    if not _VERSION.fullmatch(str(manifest["version"])):
        out.append(f"version {manifest['version']!r} must be MAJOR.MINOR.PATCH")
    if manifest["task"] not in TASKS:
        out.append(f"task {manifest['task']!r} must be one of {', '.join(sorted(TASKS))}")
    licence = manifest["license"]
    out += [f"license.{part} must name a licence" for part in ("code", "weights") if not licence.get(part)]
    out += [f"{key} must not be empty" for key in ("description", "source", "known_limits", "variants", "golden") if not manifest[key]]
    for path in [*files, *remote]:
        out += _path_problems(path)
    out += [f"{path!r} is both carried and remote" for path in sorted(files.keys() & remote.keys())]
    out += [f"{path!r} is a part of another path" for path in _nested([*files, *remote])]
    out += [f"{path!r}: sha256 must be 64 hex digits" for path, file in remote.items() if not _SHA256.fullmatch(file.sha256)]
    known = files.keys() | remote.keys()
    for where, path in _references(manifest):
        if path not in known:
            out.append(f"{where} names {path!r}, which is not among the files")
    card = files.get(manifest["card"])
    if card is not None and not (card if isinstance(card, bytes) else card.read_bytes()).strip():
        out.append(f"card {manifest['card']!r} must say something, it is empty")
    names = [variant["name"] for variant in manifest["variants"]]
    out += [f"variant name {name!r} is used twice" for name in sorted({n for n in names if names.count(n) > 1})]
    for variant in manifest["variants"]:
        if variant["precision"] not in PRECISIONS:
            out.append(f"variant {variant['name']!r}: unknown precision {variant['precision']!r}")
    return out


def _references(manifest: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """Every place of the manifest that names a file of the pack."""
    out = [("card", manifest["card"])]
    out += [(f"variant {variant['name']!r}", variant["file"]) for variant in manifest["variants"]]
    out += [(f"input {entry['tensor']!r}", entry["tokenizer"]) for entry in manifest["inputs"] if "tokenizer" in entry]
    for golden in manifest["golden"]:
        named = [golden["input"][key] for key in ("image", "points") if key in golden["input"]]
        out += [(f"golden {golden['name']!r}", path) for path in [*named, *golden["expected"].values()]]
    return out


def _path_problems(path: str) -> list[str]:
    parts = path.split("/")
    if path == MANIFEST:
        return [f"{MANIFEST} is written here and cannot be given"]
    if any(part in ("", ".", "..") for part in parts) or "\\" in path or ":" in path or any(ord(c) < 32 or ord(c) == 127 for c in path):
        return [f"path {path!r} must be relative, with / and without empty parts, '.', '..', backslash, drive or control characters"]
    return []


def _nested(paths: Sequence[str]) -> list[str]:
    folders = {"/".join(path.split("/")[:n]) for path in paths for n in range(1, path.count("/") + 1)}
    return sorted(folders & set(paths))
