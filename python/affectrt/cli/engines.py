"""`affectrt engines list | clear`: what TensorRT has built on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from affectrt.cli.errors import guarded, note
from affectrt.cli.output import Format, OutputOption, Report, write

if TYPE_CHECKING:
    from affectrt.engines import StoredEngines

COLUMNS = ("key", "networks", "provider", "gpu", "size_mb", "state")


def build() -> typer.Typer:
    """The group of commands."""
    group = typer.Typer(help="List and remove engines that TensorRT has built.", no_args_is_help=True)
    group.command("list")(guarded(list_engines))
    group.command("clear")(guarded(clear))
    return group


def list_engines(output: OutputOption = Format.table) -> None:
    """List the engines of the cache, and what of a build is left or under way."""
    from affectrt.engines import engines_root, stored

    write(Report(COLUMNS, _rows(stored()), title="engines", notes=[f"They lie under {engines_root()}."]), output)


def clear(output: OutputOption = Format.table) -> None:
    """Remove all engines but those that are being built; they are built anew when they are asked for."""
    from affectrt import engines

    removed, left = engines.clear()
    write(Report(COLUMNS, _rows(removed), title="removed"), output)
    for entry in left:
        note(f"{entry.key}: being built, left there")


def _rows(entries: Sequence[StoredEngines]) -> list[dict[str, Any]]:
    return [
        {
            "key": entry.key,
            "networks": list(entry.networks),
            "provider": entry.provider,
            "gpu": entry.gpu,
            "size_mb": entry.size_bytes / 1e6,
            "state": "whole" if entry.whole else "not whole",
        }
        for entry in entries
    ]
