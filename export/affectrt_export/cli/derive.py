"""`affectrt export derive`: from the weights in a pack to an fp32, fp16 or TensorRT int8 file, on the device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from affectrt.cli.output import Format

from affectrt_export.cli.model import show
from affectrt_export.terminal import Bars, NarrowOutput, among, existing


def derive(
    pack: Annotated[str, typer.Argument(help="A pack with a variant `master` or a dynamic int8 one: a name, a folder or a .zip.")],
    to: Annotated[str, typer.Option(help="With commas: fp32, fp16, int8-trt.")],
    out: Annotated[Path, typer.Option(help="Folder that the new pack's folder and its report are written to.")],
    data: Annotated[
        Path | None, typer.Option(help="Labelled data that judges accuracy, which is else not judged; int8-trt is calibrated with it too.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of a pack that is there.")] = False,
    output: NarrowOutput = Format.table,
) -> None:
    """Derive variants for this device from a pack's weight-only master or dynamic int8 file.

    They pass the gates of an export; without --data that is parity, speed and size, and accuracy is not judged.
    """
    from affectrt_export import derived

    existing(data=data)
    among(to, derived.DERIVED, "--to")
    bars = Bars()
    bars.tell(f"opening {pack}")
    with bars as progress:
        result = derived.derive(pack, to, out, data=data, replace=replace, progress=progress, tell=bars.tell)
    show(result, output)
