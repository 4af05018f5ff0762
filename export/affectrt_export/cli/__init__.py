"""The command `affectrt export`: a trained model in, a proven pack out. The runtime finds it through an entry point.

One file a command; none imports anything heavy before it runs.
"""

from __future__ import annotations

import typer

from affectrt_export.cli import default, derive, engine, gguf, model
from affectrt_export.terminal import told


def build() -> typer.Typer:
    """The group of commands."""
    group = typer.Typer(help="Make packs of trained models, prove them, derive variants and engines (needs the extra `export`).")
    group.command("model")(told(model.model))
    group.command("families")(told(model.families))
    group.command("gguf")(told(gguf.gguf))
    group.command("default")(told(default.default))
    group.command("derive")(told(derive.derive))
    group.command("engine")(told(engine.engine))
    return group


app = build()
