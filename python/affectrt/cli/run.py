"""`affectrt run`: what the people in pictures, a video or a camera show, or what lines of text say."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from affectrt.cli.errors import FAILED, note
from affectrt.cli.options import DeviceOption, PrecisionOption, StrictOption, ThreadsOption
from affectrt.cli.output import Format, OutputOption
from affectrt.cli.states import LINE_S, TextStates, read_events

TEXT_SUFFIXES = (".txt", ".text", ".md", ".log")


def run(
    source: Annotated[
        str, typer.Argument(help="A picture, a folder of pictures, a video, a camera index (0), or - for lines of text on stdin.")
    ],
    save: Annotated[Path | None, typer.Option(help="Write the annotated picture or video and a timeline plot into this folder.")] = None,
    output: OutputOption = Format.table,
    detector: Annotated[str | None, typer.Option(help="Face detection pack.")] = None,
    expression: Annotated[str | None, typer.Option(help="Face expression pack.")] = None,
    text: Annotated[str | None, typer.Option(help="Text emotion pack, for `-`.")] = None,
    landmarks: Annotated[bool, typer.Option("--landmarks", help="Find 478 landmarks too.")] = False,
    blendshapes: Annotated[bool, typer.Option("--blendshapes", help="Find 52 blendshapes too.")] = False,
    max_faces: Annotated[int, typer.Option(min=1, help="Most faces a frame.")] = 16,
    state: Annotated[
        bool, typer.Option("--state", help="Tell the state of each person too: what was seen or read and what happened, over time.")
    ] = False,
    events: Annotated[
        Path | None, typer.Option(help="What happens, for --state; lines: seconds, name, valence, arousal[, dominance][, weight].")
    ] = None,
    line_seconds: Annotated[
        float | None, typer.Option(min=0.001, max=86400, help="Seconds from one line of text to the next, for --state; without it: 5.")
    ] = None,
    frames: Annotated[int | None, typer.Option(min=1, help="Stop after so many frames.")] = None,
    size: Annotated[str, typer.Option(help="Size asked of a camera.")] = "640x480",
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    strict: StrictOption = False,
    threads: ThreadsOption = 0,
) -> None:
    """Read faces from a picture, folder, video or camera, or emotions from lines of text."""
    common: dict[str, Any] = {"device": device, "precision": precision, "strict": strict, "threads": threads}
    if events is not None and not state:
        raise typer.BadParameter("--events tells what happens to a state: it needs --state")
    if line_seconds is not None and not state:
        raise typer.BadParameter("--line-seconds tells how a state fades between lines of text: it needs --state")
    happenings = read_events(events) if events is not None else []
    if save is not None:
        _check_save(save)
    if source == "-":
        from affectrt.cli.run_text import run_text

        states = TextStates(happenings, LINE_S if line_seconds is None else line_seconds) if state else None
        complete = run_text(sys.stdin.buffer, text, save, output, common, states=states)
    else:
        from affectrt import Face
        from affectrt.cli.run_faces import run_faces

        began = time.perf_counter()
        wanted: dict[str, Any] = {"detector": detector, "expression": expression, "landmarks": landmarks, "blendshapes": blendshapes}
        # Pictures of a folder have nothing to do with one another: only moving pictures are smoothed.
        moving = _is_moving(source)
        if state and not moving:
            raise ValueError(f"{source}: --state needs time: a video, a camera or lines of text were expected, pictures have none")
        face = Face(color="rgb8", max_faces=max_faces, smoothing_ms=250 if moving else 0, **wanted, **common)
        note(f"ready in {time.perf_counter() - began:.2f} s on {face.provider}")
        complete = run_faces(face, source, save, output, limit=frames, camera_size=size, events=happenings if state else None)
    if not complete:
        raise typer.Exit(FAILED)


def _is_moving(source: str) -> bool:
    from affectrt.cli.media import is_image

    path = Path(source)
    if not path.exists():
        if source.isdecimal():
            return True
        raise ValueError(f"{source}: no such file or folder (a camera is named by its index, text is read with `-`)")
    if path.suffix.lower() in TEXT_SUFFIXES:
        raise ValueError(f"{source}: a picture, a video or a folder was expected; text is read from stdin: affectrt run - < {source}")
    return not (path.is_dir() or is_image(path))


def _check_save(folder: Path) -> None:
    """What saving needs, before any work is done."""
    from affectrt.cli.media import MissingExtraError, pillow

    pillow()
    import importlib.util

    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib", "plot", "the timeline plot")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--save {folder}: a folder was expected, this is a file")
    folder.mkdir(parents=True, exist_ok=True)
