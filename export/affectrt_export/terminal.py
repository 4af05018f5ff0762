"""What the commands share: how errors are told, how bounds are written, how progress is shown."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, TypeVar

import typer
from affectrt.cli.errors import FAILED, errors_to_exit, note, one_line
from affectrt.cli.output import Format
from affectrt.cli.progress import Bar
from affectrt.packs.spdx import spdx

from affectrt_export.spec import ExportError

NarrowOutput = Annotated[Format, typer.Option("-o", "--output", metavar="FORMAT", help="table, json, jsonl, csv or md.")]
"""`affectrt.cli.output.OutputOption` without all formats as one long word, which at 80 columns takes the room of the flags' names."""
F = TypeVar("F", bound=Callable[..., Any])
OFF = "off"


def told(command: F) -> F:
    """A command whose errors are one line and an exit code: 1, or 2 for a wrong call."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        with errors_to_exit():
            try:
                return command(*args, **kwargs)
            except ExportError as error:
                note(f"error: {one_line(str(error))}")
                raise typer.Exit(FAILED) from None
            except ModuleNotFoundError as error:
                raise ImportError(f"{error.name} is missing; install affectrt[export]") from error

    return run  # type: ignore[return-value]


def bound(text: str, flag: str) -> float | None:
    """A bound as the user writes it: a number from 0 on, or "off"."""
    if text.strip().lower() == OFF:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise typer.BadParameter(f"a number from 0 on, or {OFF!r}, was expected, got {text!r}", param_hint=flag)
    return value


def licence(text: str) -> str:
    """An SPDX id or expression in its right spelling; "" stays."""
    try:
        return spdx(text) if text else ""
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--license") from None


def existing(**files: Path | None) -> None:
    """typer.BadParameter for a file that is not there; each by the name of its flag, with _ for -."""
    for name, path in files.items():
        if path is not None and not path.is_file():
            got = "a folder" if path.is_dir() else "none"
            raise typer.BadParameter(f"a file was expected, there is {got}: {path}", param_hint=f"--{name.replace('_', '-')}")


def among(text: str, known: Sequence[str], flag: str) -> list[str]:
    """Names with commas between them, each one of `known`, at least one."""
    names = words(text)
    wrong = [name for name in names if name not in known]
    if wrong or not names:
        raise typer.BadParameter(f"some of {', '.join(known)} were expected, got {', '.join(wrong) or 'none'}", param_hint=flag)
    return names


def words(text: str) -> list[str]:
    """Names with commas between them."""
    return [word.strip() for word in text.split(",") if word.strip()]


def plain_argument(word: str) -> str:
    """An argument of the command line without the path of this machine: packs and reports are passed on."""
    path = Path(word)
    return path.name if path.is_absolute() else word


class Bars:
    """What is going on, on stderr: a line a step (`tell`), and one bar after another for what takes more than a second.

    `with bars as progress:` where bars is a `Bars()`. Where stderr is no terminal a bar is a line every ten seconds.
    """

    def __init__(self) -> None:
        self._what, self._bar = "", None  # type: tuple[str, Bar | None]

    def __enter__(self) -> Callable[[str, int, int], None]:
        return self._set

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def tell(self, step: str) -> None:
        """One line, as the step begins."""
        self._close()
        note(f"{step} ...")

    def _set(self, what: str, done: int, total: int) -> None:
        if what != self._what or self._bar is None:
            self._close()
            self._what, self._bar = what, Bar(what, total=total)
            self._bar.__enter__()
        self._bar.set(done, total)
        if done >= total:
            self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None
