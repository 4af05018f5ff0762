"""What a failure looks like on the command line: one line on stderr and an exit code, never a traceback unless asked for."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import typer

FAILED, USAGE, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141

_debug = False

F = TypeVar("F", bound=Callable[..., Any])


def set_debug(debug: bool) -> None:
    """Show tracebacks from now on (`affectrt --debug`)."""
    global _debug
    _debug = debug


def note(text: str) -> None:
    """Tell the person at the terminal something, on stderr, so that stdout stays clean for machines."""
    print(text, file=sys.stderr, flush=True)


def one_line(text: str) -> str:
    """The text on one line: lists that an error spreads over lines are joined with "; "."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "".join(line + (" " if line.endswith(":") else "; ") for line in lines[:-1]) + (lines[-1] if lines else "")


def describe(error: BaseException) -> str:
    """One line that says what went wrong."""
    if isinstance(error, KeyError) or not str(error):
        return one_line(f"{type(error).__name__}: {error}")
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename is not None else ""
        return one_line(f"{error.strerror}{where}")
    hint = "; `affectrt doctor` tells what is wrong" if isinstance(error, ImportError) and "_core" in str(error) else ""
    return one_line(str(error)) + hint


@contextlib.contextmanager
def in_options(**arguments: str) -> Iterator[None]:
    """Where an error of the body tells what to do with an argument of ours, as `replace=True`, let it name the option instead."""
    try:
        yield
    except Exception as error:
        if error.args and isinstance(error.args[0], str):
            text = error.args[0]
            for name, option in arguments.items():  # "name=", "name=True"; alone only what can be no word of English
                text = re.sub(rf"\b{name}(=True\b|={'|' if '_' in name else ''})", option, text)
            error.args = (text, *error.args[1:])
        raise


@contextlib.contextmanager
def reading(path: Path, what: str, option: str = "") -> Iterator[None]:
    """Where the body cannot read the file that was named, say by which option it was named and what it was to hold."""
    try:
        yield
    except OSError as error:
        if error.strerror is None:  # a PolicyError, which is one too
            raise
        other = f" ({error.filename})" if error.filename is not None and str(error.filename) != str(path) else ""
        raise ValueError(f"{option} {path}: expected {what}: {error.strerror}{other}".lstrip()) from error


def warn_if_others_read(secret: Path) -> None:
    """Say so where other users of this machine may read the file of a secret."""
    with contextlib.suppress(OSError):  # one that is not there is an error of whoever reads it
        mode = secret.stat().st_mode
        if stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
            note(f"warning: {secret} can be read by other users: chmod 600 {secret}")


def _expected() -> tuple[type[BaseException], ...]:
    kinds: tuple[type[BaseException], ...] = (ValueError, OSError, ImportError)
    try:
        from affectrt.errors import AuditError, DeviceError, EngineError, PackError, StoreError
    except ImportError:  # the extension cannot be loaded, which is then the error that is being told
        return kinds
    return (*kinds, AuditError, PackError, EngineError, DeviceError, StoreError)


def _silence_stdout() -> None:
    # Whoever read our output has gone; without this the interpreter fails once more when it flushes at exit.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def errors_to_exit() -> Iterator[None]:
    """Turn any error of the body into its line and `typer.Exit` with its code."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
        raise typer.Exit(BROKEN_PIPE) from None
    except KeyboardInterrupt:
        note("interrupted")
        raise typer.Exit(INTERRUPTED) from None
    except (typer.Exit, typer.Abort, SystemExit, GeneratorExit):
        raise
    except Exception as error:
        if type(error).__name__ in ("BadParameter", "UsageError"):  # typer says these itself, with exit code 2
            raise
        if _debug:
            raise
        if isinstance(error, _expected()):
            note(f"error: {describe(error)}")
        else:
            note(f"error: unexpected {type(error).__name__}: {describe(error)} (a bug in affectrt; `affectrt --debug ...` shows where)")
        raise typer.Exit(FAILED) from None


def guarded(command: F) -> F:
    """Make a command end as `errors_to_exit` says."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        with errors_to_exit():
            return command(*args, **kwargs)

    return run  # type: ignore[return-value]
