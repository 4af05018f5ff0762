"""The typer application: one module a command, none of which imports anything heavy before it runs.

Other packages add commands through the entry-point group `affectrt.commands`: each entry point is a typer application or a plain
function, loaded only when its command is called.
"""

from __future__ import annotations

import importlib.metadata
import signal
import sys
import warnings
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from affectrt.cli import audit, bench, chat, demo, doctor, engines, evaluate, memory, packs, run, serve, stimuli, tune
from affectrt.cli.errors import BROKEN_PIPE, INTERRUPTED, errors_to_exit, guarded, note, one_line, set_debug

GROUP = "affectrt.commands"

_ROOT_HELP = "How a person feels, read on the device: faces, text and an answer in kind."


def _version(show: bool) -> None:
    if show:
        import affectrt

        print(affectrt.__version__)
        raise typer.Exit()


def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    set_debug(debug)


def build(arguments: list[str] | None = None) -> typer.Typer:
    """The application with its own commands and, as far as `arguments` call for them, those of other packages."""
    app = typer.Typer(name="affectrt", help=_ROOT_HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback()(_root)
    app.command("demo")(guarded(demo.demo))
    app.command("run")(guarded(run.run))
    app.command("chat")(guarded(chat.chat))
    app.command("serve")(guarded(serve.serve))
    app.command("eval")(guarded(evaluate.evaluate))
    app.add_typer(packs.build(), name="packs")
    app.add_typer(engines.build(), name="engines")
    app.add_typer(memory.build(), name="memory")
    app.add_typer(audit.build(), name="audit")
    app.command("doctor")(guarded(doctor.doctor))
    app.command("bench")(guarded(bench.bench))
    app.command("tune")(guarded(tune.tune))
    app.command("stimuli")(guarded(stimuli.stimuli))
    _add_foreign(app, arguments or [])
    return app


def _add_foreign(app: typer.Typer, arguments: list[str]) -> None:
    called = next((word for word in arguments if not word.startswith("-")), None)
    for entry in importlib.metadata.entry_points(group=GROUP):
        if entry.name == called:
            with errors_to_exit():
                _add(app, entry.name, entry.load())
        else:  # its name is all that the list of commands needs; loading it could take seconds
            origin = entry.dist.name if entry.dist else entry.module
            app.command(entry.name, help=f"From {origin}; `affectrt {entry.name} --help` tells more.")(_not_loaded)


def _not_loaded() -> NoReturn:
    raise RuntimeError("this command was not loaded")


def _add(app: typer.Typer, name: str, command: Any) -> None:
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name)
    else:
        app.command(name)(guarded(command))


def _terminated(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)  # so that temporary files go the way they do on Ctrl-C


def main() -> NoReturn:
    """Run on `sys.argv` and exit."""
    signal.signal(signal.SIGTERM, _terminated)
    warnings.showwarning = lambda message, *_place: note(f"warning: {one_line(str(message))}")
    code = 0
    try:
        with errors_to_exit():
            build(sys.argv[1:])(prog_name="affectrt")
    except typer.Exit as end:
        code = end.exit_code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = BROKEN_PIPE
        from affectrt.cli.errors import _silence_stdout

        _silence_stdout()
    sys.exit(code)
