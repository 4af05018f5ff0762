"""Where a model comes from: a folder, a file, a hub repository or a recipe in Python, found on this disk before a family reads it."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affectrt.packs.spdx import spdx

from affectrt_export.families.base import Options
from affectrt_export.spec import ExportError

# README.md holds the licence. Only the top folder: what lies below are other frameworks' copies of the same weights. Never a pickle.
_WANTED = ("*.json", "*.txt", "*.safetensors", "*.onnx", "README.md")
_HUB = re.compile(r"([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@([\w./-]+))?", re.ASCII)
_FUNCTION = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_]\w*)", re.ASCII)
_RECIPE = re.compile(r"(.+\.py)(?::([A-Za-z_]\w*))?", re.DOTALL)
_FORMS = "a folder in hub layout, a hub id ORG/REPO[@REVISION], an .onnx, .safetensors or .pt file, a recipe FILE.py[:NAME] or MODULE:NAME"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
"""Of a folder, in order of preference."""


@dataclass(frozen=True)
class Source:
    """A model on this disk."""

    place: Path
    """Folder, or file; of "MODULE:NAME" the module's name."""
    origin: str
    """As pack.json names it: nothing of this machine."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """config.json of a folder."""
    function: str = ""
    """Of a recipe in Python: the name in the file or module; it is the user's own code and runs only when named so."""

    @property
    def model_type(self) -> str:
        """What config.json says, or ""."""
        return str(self.config.get("model_type", ""))

    @property
    def suffix(self) -> str:
        """Of a file, in lower case."""
        return self.place.suffix.lower() if not self.function else ""

    def json(self, name: str) -> dict[str, Any]:
        """A JSON file of the folder; {} where there is none."""
        path = self.place / name
        return read_json(path) if path.is_file() else {}


def find(given: str | Path, options: Options) -> Source:
    """The source on this disk, downloaded if it is a hub id. Raises ExportError."""
    text = str(given)
    path = Path(text).expanduser()
    if path.is_dir():
        return _folder(path, f"folder: {path.resolve().name}")
    if recipe := _RECIPE.fullmatch(text):
        file = Path(recipe[1]).expanduser()
        if not file.is_file():
            raise ExportError(f"{text}: a Python file was expected, there is none")
        return Source(file, f"recipe: {file.name}", function=recipe[2] or "recipe")
    if path.is_file():
        return Source(path, f"file: {path.name}")
    if function := _FUNCTION.fullmatch(text):
        return Source(Path(function[1]), f"recipe: {text}", function=function[2])
    if (hub := _HUB.fullmatch(text)) and not isinstance(given, Path):
        return _hub(hub[1], options.revision or hub[2], options.cache)
    raise ExportError(f"{text}: expected {_FORMS}; got none of these")


def _folder(folder: Path, origin: str) -> Source:
    if not (folder / "config.json").is_file():
        held = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
        raise ExportError(f"{folder}: a folder in hub layout was expected, with config.json in it; it holds {held}")
    return Source(folder, origin, read_json(folder / "config.json"))


def _hub(repo: str, revision: str | None, cache: Path | None) -> Source:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        found = snapshot_download(repo, revision=revision, cache_dir=cache, allow_patterns=list(_WANTED), ignore_patterns=["*/*"])
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        raise ExportError(
            f"{repo}: no such folder here, the hub's cache does not hold it, and the hub cannot be reached: {_line(error)}"
        ) from error
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise ExportError(f"{repo}: {_line(error)} (a private repository needs HF_TOKEN)") from error
    folder = Path(found)
    # <cache>/models--org--repo/snapshots/<commit>: links to its blobs are how the cache is made, links out of it are not.
    home = folder.parent.parent.resolve()
    for file in folder.iterdir():
        if not file.resolve().is_relative_to(home):
            raise ExportError(f"{repo}: {file.name}: a link inside the repository's cache was expected, it leads to another place")
    return _folder(folder, f"hub: {repo}@{folder.name}")


def _line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises ExportError."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ExportError(f"{path.name}: a JSON file in UTF-8 was expected: {error}") from error
    if not isinstance(content, dict):
        raise ExportError(f"{path.name}: a JSON object was expected, got {type(content).__name__}")
    return content


def weight_files(source: Source) -> list[Path]:
    """The files of a folder that hold its weights, safetensors before a pickle. Raises ExportError where there are none."""
    for name in WEIGHTS:
        path = source.place / name
        if not path.is_file():
            continue
        if name.endswith(".index.json"):
            shards = sorted(set(map(str, read_json(path).get("weight_map", {}).values())))
            missing = [shard for shard in shards if Path(shard).name != shard or not (source.place / shard).is_file()]
            if missing or not shards:
                raise ExportError(f"{name}: the files that it lists were expected beside it, missing: {', '.join(missing) or 'all'}")
            return [source.place / shard for shard in shards]
        return [path]
    held = sorted(path.name for path in source.place.iterdir() if fnmatch.fnmatch(path.name, "*.[bhmpt]*"))
    hint = (
        "; of a hub repository pickles are not downloaded: its owner can save it with safe_serialization=True"
        if "hub:" in source.origin
        else ""
    )
    raise ExportError(f"{source.origin}: weights in {WEIGHTS[0]} were expected, there are {', '.join(held) or 'none'}{hint}")


def entries(source: Source, files: list[Path], license: str) -> list[dict[str, Any]]:
    """`source` of pack.json: each file of weights with its hash."""
    out = []
    for file in files:
        digest = hashlib.sha256()
        with file.open("rb") as reader:
            while chunk := reader.read(1 << 20):
                digest.update(chunk)
        origin = source.origin if file == source.place else f"{source.origin}/{file.name}"
        out.append({"what": "weights", "origin": origin, "license": license, "sha256": digest.hexdigest()})
    return out


def license_of(source: Source, options: Options) -> str:
    """SPDX id: the user's word, or the front matter of README.md as hubs have it; "" if neither says. ExportError: not of SPDX."""
    said = options.license
    readme = source.place / "README.md"
    if not said and source.place.is_dir() and readme.is_file():
        head = re.match(r"---\s*\n(.*?)\n---", readme.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
        line = re.search(r"^license:\s*[\"']?([\w.+-]+)", head[1], re.MULTILINE) if head else None
        said = line[1] if line and line[1].lower() not in ("other", "unknown") else ""
    try:
        return spdx(said) if said else ""
    except ValueError as error:
        where = "--license" if options.license else f"{source.origin}: README.md: license"
        raise ExportError(f"{where}: {error}" + ("" if options.license else "; --license can say")) from None


def name_of(source: Source, options: Options) -> str:
    """The user's word, or the last part of the origin in the letters that a pack's name may have. Raises ExportError."""
    last = source.origin.partition("@")[0].partition(": ")[2].rsplit("/", 1)[-1]
    stem = last if source.place.is_dir() else last.rsplit(".", 1)[0]
    name = options.name or re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:64].strip("-")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", name):
        raise ExportError(f"name {name!r}: [a-z0-9][a-z0-9-]{{0,63}} was expected; pass one")
    return name
