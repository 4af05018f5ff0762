"""`affectrt export default`: makes a default pack again, from where its weights come from."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated

import typer

RECIPES = (
    "face_detection",
    "face_landmarks",
    "face_blendshapes",
    "face_expression",
    "face_fernet",
    "text_emotion",
    "sentence_embedding",
    "dialogue",
)


def default(
    recipe: Annotated[str, typer.Argument(help=f"One of {', '.join(RECIPES)}.")],
    out: Annotated[Path, typer.Option(help="Folder that the pack's folder is written to.")],
    data: Annotated[Path | None, typer.Option(help="Data that the recipe trains on or measures with, where it needs some.")] = None,
    train: Annotated[Path | None, typer.Option(help="Folder of the training, for those that train: kept, and gone on with.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for downloaded packages.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop the training after so many; the same command goes on.")] = None,
) -> None:
    """Make a default pack again. Those that are trained here take up to 75 minutes a call, and are called until they are done."""
    if recipe not in RECIPES:
        raise typer.BadParameter(f"there is no recipe {recipe!r}; there are {', '.join(RECIPES)}")
    argv = ["--out", str(out)]
    for name, value in (("--data", data), ("--train", train), ("--cache", cache), ("--minutes", minutes)):
        if value is not None:
            argv += [name, str(value)]
    importlib.import_module(f"affectrt_export.recipes.{recipe}").main(argv)
