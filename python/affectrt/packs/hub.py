"""`org/repo[:WHAT]`: a pack, or a bare GGUF, in a repository of the model hub, through `huggingface_hub`.

`HF_HOME`, `HF_HUB_CACHE`, `HF_TOKEN` and `HF_HUB_OFFLINE` mean what they mean there. A hub snapshot is a folder of symbolic links into a
folder of blobs, and a pack may hold no links; so the files that pack.json lists (and no others: a repository has its README and
.gitattributes) are linked hard, or copied where that cannot be, into a folder of our own cache, and that folder is opened with every
check. A link of the snapshot that leaves the repository's own folder of the hub cache is refused.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from affectrt import _core
from affectrt.errors import PackError
from affectrt.packs.cache import cache_root, file_lock, new_folder
from affectrt.packs.names import HubSource
from affectrt.packs.pack import MANIFEST, MAX_MANIFEST_BYTES, parse_manifest

__all__ = ["bare_file", "pack_folder"]


def pack_folder(source: HubSource, *, revision: str | None, online: bool) -> Path | None:
    """The folder of the pack in the repository; None if the repository holds no pack.json. `online` False never opens a socket.

    Raises PackError: not pulled yet, no network, no access, a link that leaves the repository, a file that is listed and not there.
    """
    manifest = _file(source, MANIFEST, revision, online)
    if manifest is None:
        return None
    # snapshots/<commit>/pack.json: from here on everything is of that commit, whatever a branch does meanwhile.
    commit = manifest.parent.name
    target = cache_root() / "hub" / f"{source.org}--{source.repo}" / commit
    if target.is_dir():
        return target
    with manifest.open("rb") as reader:
        text = reader.read(MAX_MANIFEST_BYTES + 1)
    what = f"{source.repo_id} at {commit}"
    content = parse_manifest(text, what)
    with file_lock(f"taking over {what}", f"hub-{source.org}--{source.repo}-{commit}"):
        if target.is_dir():
            return target
        with new_folder(f"taking over {what}", target) as work:
            (work / MANIFEST).write_bytes(text)
            for entry in content["files"]:
                if "remote" in entry:
                    continue
                path = _file(source, entry["path"], commit, online)
                if path is None:
                    raise PackError(f"{what}: expected {entry['path']!r}, which its {MANIFEST} lists, got no such file")
                place = work / entry["path"]
                place.parent.mkdir(parents=True, exist_ok=True)
                _take(path.resolve(), place)
            _core.Pack.open(work)  # whatever it refuses never gets a name
    return target


def bare_file(source: HubSource, *, revision: str | None, online: bool) -> Path:
    """The GGUF or ONNX file of a repository without a pack.json: the only one, or the one whose name holds `source.wanted`.

    Raises PackError listing what there is.
    """
    names = [name for name in _names(source, revision, online) if name.lower().endswith((".gguf", ".onnx"))]
    wanted = source.wanted
    fitting = [name for name in names if wanted is None or wanted.lower() in Path(name).name.lower()]
    if len(fitting) != 1:
        shown = ", ".join(sorted(names)) or "none"
        which = f"with {wanted!r} in its name" if wanted else "alone, or one chosen as org/repo:PRECISION"
        raise PackError(f"{source.repo_id}: expected one model file {which}, got {len(fitting)}; there are: {shown}")
    path = _file(source, fitting[0], revision, online)
    if path is None:
        raise PackError(f"{source.repo_id}: {fitting[0]!r} was listed and is not there")
    return path  # the link: a blob has no suffix


def _file(source: HubSource, name: str, revision: str | None, online: bool) -> Path | None:
    """A file of the repository in the hub's cache; None if the repository has no such file."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    with _hub_errors(source):
        try:
            path = Path(hf_hub_download(source.repo_id, name, revision=revision, local_files_only=not online))
        except LocalEntryNotFoundError:
            if online:
                raise
            if _snapshot(source, revision) is None:
                raise PackError(_not_pulled(source)) from None
            return None  # the snapshot is there and does not hold it
        except EntryNotFoundError:
            return None
    # <cache>/models--org--repo/snapshots/<commit>/<name>
    home = path.parents[len(Path(name).parts) + 1].resolve()
    if not path.resolve().is_relative_to(home):
        raise PackError(f"{source.repo_id}: {name!r}: expected a link inside {home}, got one to {path.resolve()}")
    return path


def _names(source: HubSource, revision: str | None, online: bool) -> list[str]:
    if online:
        from huggingface_hub import HfApi

        with _hub_errors(source):
            return list(HfApi().list_repo_files(source.repo_id, revision=revision))
    snapshot = _snapshot(source, revision)
    if snapshot is None:
        raise PackError(_not_pulled(source))
    return [path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*") if path.is_file()]


def _snapshot(source: HubSource, revision: str | None) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source.repo_id, revision=revision, local_files_only=True))
    except LocalEntryNotFoundError:
        return None


@contextlib.contextmanager
def _hub_errors(source: HubSource) -> Iterator[None]:
    from huggingface_hub.constants import HF_HUB_OFFLINE
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        yield
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        if HF_HUB_OFFLINE:
            raise PackError(f"{source.repo_id}: HF_HUB_OFFLINE is set, and the hub cache does not hold it") from error
        raise PackError(f"{source.repo_id}: the hub cannot be reached, and its cache does not hold it: {_first_line(error)}") from error
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise PackError(f"{source.repo_id}: {_first_line(error)} (a private repository needs HF_TOKEN)") from error


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _not_pulled(source: HubSource) -> str:
    whole = source.repo_id if source.wanted is None else f"{source.repo_id}:{source.wanted}"
    return f"{whole}: expected a folder or a repository of the hub that has been pulled, got neither; run: affectrt packs pull {whole}"


def _take(blob: Path, place: Path, link: Callable[[Path, Path], None] = os.link) -> None:
    try:
        link(blob, place)
    except OSError:  # another disk, or one without hard links
        shutil.copyfile(blob, place)
