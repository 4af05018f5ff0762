"""The source of a ladder: found, converted if it is a checkpoint, unpacked if it is quantised, and held against its framework."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectrt_export.families import base, source
from affectrt_export.gguf import quantise
from affectrt_export.gguf.convert import convert
from affectrt_export.gguf.evaluate import tokenise
from affectrt_export.gguf.files import census, open_gguf, text_of, value_of
from affectrt_export.gguf.ladder import Limits
from affectrt_export.gguf.parity import parity
from affectrt_export.job import Job, digest
from affectrt_export.spec import ExportError, Finding, Progress

_PARITY_TOKENS = 128


@dataclass(frozen=True)
class Origin:
    """What variants are made from."""

    base: Path
    """The GGUF file that is quantised."""
    best: Path
    """The one that answers best: the same, or what `base` unpacks to where it is quantised itself."""
    parity: tuple[Finding, ...] = ()
    """Empty where the source is GGUF."""
    note: str = ""


def find(given: str | Path, revision: str | None) -> source.Source:
    """A folder in hub layout, a .gguf file, or a hub id, which is downloaded. ExportError for anything else."""
    path = Path(given).expanduser()
    if path.suffix.lower() == ".gguf" and path.is_file():
        return source.Source(path, f"file: {path.name}")
    found = source.find(given, base.Options(revision=revision))
    if not found.place.is_dir():
        raise ExportError(f"{given}: expected a folder in hub layout, a hub id or a .gguf file, got another file")
    return found


def license_of(found: source.Source, given: str) -> str:
    """SPDX id: what was given, else what README.md or the GGUF file says; "" where neither does."""
    if found.place.is_file():
        given = given or text_of(open_gguf(found.place), "general.license")
    return source.license_of(found, base.Options(license=given))


def files_of(found: source.Source) -> list[Path]:
    """The files that hold the weights."""
    return [found.place] if found.place.is_file() else source.weight_files(found)


def settings_of(found: source.Source) -> str:
    """A digest of what beside the weights goes into a converted file."""
    if found.place.is_file():
        return ""
    there = [path for path in sorted(found.place.rglob("*")) if path.suffix in (".json", ".jinja", ".md")]
    return digest([[path.name, path.read_bytes()] for path in there])


def prepare(
    found: source.Source,
    key: str,
    job: Job,
    kept: Callable[[str, str, Callable[[Path], object]], Path],
    *,
    words: str,
    license: str,
    limits: Limits,
    allow_requantise: bool,
    threads: int,
    progress: Progress | None,
) -> Origin:
    """Converts, or unpacks. words: text for the parity check. kept: makes a file of the job, or finds it done."""
    if found.place.is_dir():
        made = kept("converted", key, lambda path: convert(found.place, path, license=license, progress=progress))
        return Origin(made, made, _parity(found.place, made, key, job, words, limits, threads))
    held = census(found.place)
    if not held.quantised:
        return Origin(found.place, found.place)
    if not allow_requantise:
        quantise.refuse_requantising(found.place, held)

    def unpack(path: Path) -> object:
        return quantise.quantise(found.place, path, "f32", allow_requantise=True, threads=threads, progress=progress)

    note = (
        f"The source is quantised already ({held.words()}): what its original would answer is not known. Variants are held against the "
        "source's weights unpacked to float32; what they lose comes on top of what the source has lost."
    )
    return Origin(found.place, kept("unpacked", key, unpack), note=note)


def _parity(folder: Path, made: Path, key: str, job: Job, words: str, limits: Limits, threads: int) -> tuple[Finding, ...]:
    reader = open_gguf(made)
    trained = value_of(reader, f"{text_of(reader, 'general.architecture')}.context_length")
    tokens = tokenise(made, [words])["tokens"][0][: min(_PARITY_TOKENS, int(trained))]
    if not tokens:
        raise ExportError("parity: the text gives no tokens")

    def measured() -> list[Mapping[str, Any]]:
        bounds = {"largest": limits.parity_max, "cosine": limits.parity_cosine}
        return [dataclasses.asdict(one) for one in parity(folder, made, tokens, job.folder, **bounds, threads=threads)]

    found = job.json("parity", digest(key, tokens, limits.parity_max, limits.parity_cosine), measured)
    return tuple(Finding(**one) for one in found)
