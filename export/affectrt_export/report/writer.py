"""Writes a report to its folder, whole or not at all, and reads one back."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from affectrt_export.report.record import MAX_BYTES, Record

JSON, MARKDOWN, HTML = "report.json", "report.md", "report.html"


def write(record: Record, folder: Path) -> None:
    """Writes report.md, report.html, report.json and the folder pictures to `folder`, and takes the place of an older report there.

    The same record gives the same bytes. A folder that holds anything but a report is left alone: FileExistsError. RuntimeError where
    matplotlib is missing, OSError as the disk does; whatever it raises, `folder` is as it was.
    """
    from affectrt_export.report import html, markdown, pictures

    folder = Path(folder)
    _check(folder)
    drawn = pictures.draw(record)
    files = {
        JSON: record.to_json().encode(),
        MARKDOWN: markdown.markdown(record).encode("utf-8", "replace"),
        HTML: html.page(record, drawn).encode("utf-8", "replace"),
        **{f"{pictures.FOLDER}/{name}": svg for name, svg in drawn.items()},
    }
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = folder.parent / f".{folder.name}.{secrets.token_hex(6)}.tmp"
    try:
        for name, content in files.items():
            place = work / name
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # or a power cut after the rename can leave a report of empty files
        _move(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def read(folder: Path) -> Record:
    """The record of a report's folder. ValueError for a damaged one, OSError where there is none."""
    with (Path(folder) / JSON).open("rb") as file:
        return Record.from_json(file.read(MAX_BYTES + 1))


def _check(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise FileExistsError(f"{folder} is no folder; a report goes into a folder of its own")
    if folder.exists() and any(folder.iterdir()) and not (folder / JSON).is_file():
        raise FileExistsError(f"{folder} holds something that is no report; name another folder, or remove it")


def _move(work: Path, folder: Path) -> None:
    if not folder.exists():
        work.rename(folder)
        return
    # A folder cannot be renamed onto a filled one, so the old report steps aside first and comes back if the new one cannot move in.
    old = work.with_name(f"{work.name}.old")
    folder.rename(old)
    try:
        work.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
