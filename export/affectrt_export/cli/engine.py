"""`affectrt export engine`: a TensorRT engine of one variant of a pack, in the cache, as an ONNX file that ONNX Runtime opens."""

from __future__ import annotations

from typing import Annotated

import typer
from affectrt.cli.output import Format, Report, write

from affectrt_export.terminal import Bars, NarrowOutput


def engine(
    pack: Annotated[str, typer.Argument(help="A pack: a name, a folder or a .zip.")],
    variant: Annotated[str, typer.Option(help="Name or precision; auto: one made for TensorRT, else fp16, else fp32.")] = "auto",
    target: Annotated[str, typer.Option(help="Build ahead of time, without a GPU, for sm80, sm86, sm89 or sm120 (TensorRT-RTX).")] = "",
    output: NarrowOutput = Format.table,
) -> None:
    """Build a TensorRT engine on this device, or ahead of time for another; built once, then found in the cache."""
    from affectrt_export.tensorrt.derive import engine_for
    from affectrt_export.tensorrt.options import Options

    with Bars() as progress:
        place = engine_for(pack, variant, Options(targets=(target,)) if target else Options(), progress)
    row = {"pack": pack, "variant": variant, "model": str(place)}
    write(Report(tuple(row), [row], row), output)
