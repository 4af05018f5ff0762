"""From a checkpoint or a GGUF file to a ladder of proven variants: converted, held against transformers, quantised, measured, judged.

Each step that takes time is kept in a work folder (affectrt_export.job), so that a killed export goes on where it was.
"""

from __future__ import annotations

import functools
import importlib.metadata
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from affectrt import __version__

from affectrt_export import report
from affectrt_export.families import base, source
from affectrt_export.gguf import origin, quantise
from affectrt_export.gguf.files import whole
from affectrt_export.gguf.ladder import Rung, choose
from affectrt_export.gguf.rungs import PARENT, Ladder, Measuring, kept
from affectrt_export.gguf.text import Text, read_text
from affectrt_export.job import Job, digest
from affectrt_export.report.record import DataSet, Record, installed, this_commit, this_machine
from affectrt_export.spec import Bounds, ExportError, Progress

_PARITY_CHARACTERS = 2000


@dataclass(frozen=True)
class Options:
    """How a ladder is made."""

    name: str = ""
    """Of the files and the report; made from the source's if empty."""
    license: str = ""
    """SPDX id of the weights, where the source names none."""
    revision: str | None = None
    """Of a hub repository."""
    calibration_text: Path | None = None
    """What the importance matrix is of; None: the first half of the text."""
    text_name: str = ""
    """What the text is, as the report says it; its file's name if empty."""
    measuring: Measuring = field(default_factory=Measuring)
    command: str = ""
    """What the report says made it."""
    replace: bool = False


@dataclass(frozen=True)
class Exported:
    """What an export gave."""

    record: Record
    files: Mapping[str, Path]
    """The variants that passed, by name."""
    chosen: str
    """The one to run on this machine; "" where none passed."""
    report: Path

    @property
    def passed(self) -> bool:
        """Whether everything that was asked for is published."""
        return self.record.passed and bool(self.files)


def export_gguf(
    given: str | Path,
    out: Path,
    *,
    variants: Sequence[str] = ("q8_0", "q4_k_m", "q4_0"),
    text: Path | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Writes `NAME.VARIANT.gguf` of every variant that passes, and the folder `NAME.report`, to the folder `out`.

    given: a folder in hub layout, org/repo, or a .gguf file. text: UTF-8 in the language that the model is for, some ten thousand words:
    one part makes the importance matrix, another one judges. Without it nothing is known of the quality, so that the gates on it and the
    importance matrix must have been switched off.

    What a gate refuses is no error: it is in the record, and its file is not written. Raises ExportError for a source or a text that
    cannot be used, and where the disk is full; FileExistsError where a file is there already. Nothing is then half-written.
    """
    settings = options or Options()
    _check(variants, text, settings.measuring)
    found = origin.find(given, settings.revision)
    name = settings.name or source.name_of(found, base.Options())
    work = out / f".{name}.work"
    targets = [out / f"{name}.{variant.upper()}.gguf" for variant in variants]
    # Where an export was killed while it published, some are there already.
    if not settings.replace and not work.exists() and (there := [target.name for target in targets if target.exists()]):
        raise FileExistsError(f"{', '.join(there)} exist in {out}; choose another folder, or allow replace")
    parted = None if text is None else read_text(text, settings.calibration_text, settings.text_name)
    out.mkdir(parents=True, exist_ok=True)
    try:
        with Job(work) as job:
            try:
                result = _run(found, name, out, variants, parted, settings, job, progress)
            except ExportError:
                # A folder in which nothing was done would only say, wrongly, that an export was killed here.
                if [path.name for path in work.iterdir()] == ["lock"]:
                    job.remove()
                raise
            job.remove()
    except FileExistsError:
        raise
    except OSError as error:
        raise ExportError(f"{out}: cannot be written: {error.strerror or error}") from error
    return result


def _check(variants: Sequence[str], text: Path | None, how: Measuring) -> None:
    unknown = [variant for variant in variants if variant not in quantise.VARIANTS]
    if unknown or not variants or len(set(variants)) != len(variants):
        raise ExportError(f"variants of {', '.join(quantise.VARIANTS)} were expected, each once, got {', '.join(variants) or 'none'}")
    if text is None and (how.limits.perplexity_ratio is not None or how.limits.kl_mean is not None or how.importance):
        raise ExportError(
            "no text, which the importance matrix and the gates on perplexity and divergence need: give one, or switch all three off"
        )


def _run(
    found: source.Source,
    name: str,
    out: Path,
    variants: Sequence[str],
    text: Text | None,
    options: Options,
    job: Job,
    progress: Progress | None,
) -> Exported:
    how = options.measuring
    license = origin.license_of(found, options.license)
    entries = source.entries(found, origin.files_of(found), license)
    tools = {package: importlib.metadata.version(package) for package in ("llama-cpp-python", "gguf")}
    key = digest(__version__, sorted(tools.items()), [entry["sha256"] for entry in entries], origin.settings_of(found), license)
    made = origin.prepare(
        found,
        key,
        job,
        functools.partial(kept, job),
        words=(text.held_out if text else " ".join(map(str, range(500))))[:_PARITY_CHARACTERS],
        license=license,
        limits=how.limits,
        allow_requantise=how.allow_requantise,
        threads=how.threads,
        progress=progress,
    )
    ladder = Ladder(made, key, text, how, job, progress)
    ladder.notes += [note for note in (made.note, text.note if text else "No text was given: nothing is known of the quality.") if note]
    rungs: list[Rung] = []
    if all(finding.passed for finding in made.parity):
        rungs = ladder.climb(variants)
    else:
        ladder.notes.append("The converted file does not answer as transformers does, so that no variant was made.")
    chosen = choose(rungs)
    if chosen is not None:
        ladder.notes.append(
            f"To run on this machine: {chosen.name}. It is the fastest of those that passed, or within 3% of it and nearer to the source."
        )
    record = Record(
        name=name,
        family="gguf",
        task="dialogue",
        license=license,
        source=tuple(entries),
        command=options.command,
        variants=tuple(rung.variant(PARENT, ladder.size_ratio(rung), text.name if text else "") for rung in rungs),
        reference=PARENT,
        bounds=_bounds(how),
        parity=made.parity,
        data=_data(text, options),
        machine=this_machine(),
        versions={**installed(), **tools},
        commit=this_commit(),
        notes=tuple(ladder.notes),
    )
    place = out / f"{name}.report"
    report.write(record, place)
    files = {rung.name: out / f"{name}.{rung.name.upper()}.gguf" for rung in rungs if rung.passed}
    for rung in rungs:
        if rung.passed:
            _place(rung.path, files[rung.name])
    return Exported(record, files, chosen.name if chosen else "", place)


def _bounds(how: Measuring) -> Bounds:
    limits = how.limits
    return Bounds(
        parity_max=limits.parity_max,
        parity_mean=None,
        parity_cosine=limits.parity_cosine,
        accuracy_drop=None,
        class_drop=None,
        latency_ratio=limits.latency_ratio,
        size_ratio=limits.size_ratio,
    )


def _data(text: Text | None, options: Options) -> tuple[DataSet, ...]:
    if text is None:
        return ()
    other = options.calibration_text.name if options.calibration_text else f"{text.name}, first half"
    calibration = DataSet("importance", other, len(text.calibration.split()))
    return (calibration, DataSet("perplexity", text.name, len(text.held_out.split())))


def _place(made: Path, target: Path) -> None:
    """Gives a file of the work folder its name. It stays in the work folder too, for the case that the process dies before the end."""
    with whole(target) as part:
        try:
            part.hardlink_to(made)
        except OSError:  # a disk without links
            shutil.copyfile(made, part)
