"""The command `affectrt export`: re-creates a default pack from its sources. The runtime finds it through an entry point."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated, Optional

import typer

RECIPES = ("face_detection", "face_landmarks", "face_blendshapes", "face_expression", "text_emotion", "dialogue")


def export(
    recipe: Annotated[str, typer.Argument(help=f"One of {', '.join(RECIPES)}.")],
    out: Annotated[Path, typer.Option(help="Folder that the pack's folder is written to.")],
    # typer reads the annotation itself, and on Python 3.10 only in this spelling.
    data: Annotated[Optional[Path], typer.Option(help="Data set that the recipe trains on or measures with, where it needs one.")] = None,  # noqa: UP045
    cache: Annotated[Optional[Path], typer.Option(help="Folder for downloaded packages.")] = None,  # noqa: UP045
    variants: Annotated[Optional[str], typer.Option(help="text_emotion only: which to write, with commas: fp32, int8.")] = None,  # noqa: UP045
) -> None:
    """Make a pack from the weights it comes from (needs the extra `export`)."""
    if recipe not in RECIPES:
        raise typer.BadParameter(f"there is no recipe {recipe!r}; there are {', '.join(RECIPES)}")
    argv = ["--out", str(out)]
    for name, value in (("--data", data), ("--cache", cache), ("--variants", variants)):
        if value is not None:
            argv += [name, str(value)]
    try:
        module = importlib.import_module(f"affectrt_export.recipes.{recipe}")
    except ModuleNotFoundError as error:
        raise RuntimeError(f"{error.name} is missing; install affectrt[export]") from error
    module.main(argv)
