"""`affectrt demo`: a real photo, a real sentence, a real answer; needs no file of yours."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from affectrt.cli.errors import FAILED, describe, note
from affectrt.cli.output import Format, OutputOption, Report, write

if TYPE_CHECKING:
    from affectrt import Dialogue, Face, FaceObservation, TextEmotion, TextObservation

SENTENCE = "I finally passed the exam, after failing it twice!"


def photo() -> Path:
    """The portrait that travels with the package (python/affectrt/data/README.md says where it is from)."""
    return Path(__file__).resolve().parents[1] / "data" / "astronaut.jpg"


def demo(
    text: Annotated[str, typer.Argument(help="A sentence of yours to answer.")] = SENTENCE,
    image: Annotated[Path | None, typer.Option(help="A picture of yours instead of the portrait that comes along.")] = None,
    save: Annotated[Path, typer.Option(help="Folder for the annotated picture and the plot.")] = Path("out/demo"),
    output: OutputOption = Format.table,
) -> None:
    """See a face, read its expression and a sentence, and stream an answer, all on this device's own processor."""
    rows: list[dict[str, Any]] = []
    face, seen, text_emotion, read = _look_and_read(image or photo(), text, save, rows)
    problem = _answer(face, text_emotion, seen, text, image or photo(), rows)
    if output is not Format.table:
        document = {"face": seen[0].label if seen else None, "text": read.label, "timings": rows, "complete": not problem}
        write(Report(("step", "ms", "detail"), rows, document), output)
    else:
        print()
        write(Report(("step", "ms", "detail"), rows, title="what it took"), output)
    if problem:
        note(f"error: {problem}")
        raise typer.Exit(FAILED)


class _Clock:
    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows
        self._start = time.perf_counter()

    def lap(self, step: str, detail: str = "", ms: float | None = None) -> None:
        now = time.perf_counter()
        self._rows.append({"step": step, "ms": (now - self._start) * 1e3 if ms is None else ms, "detail": detail})
        self._start = now


def _say(text: str = "") -> None:
    """A line for people: on stderr, so that `-o json` stays clean, unless stdout is what they read."""
    print(text, file=sys.stderr)


def _look_and_read(
    picture: Path, text: str, save: Path, rows: list[dict[str, Any]]
) -> tuple[Face, list[FaceObservation], TextEmotion, TextObservation]:
    from affectrt.cli.media import read_image

    pixels = read_image(picture)
    clock = _Clock(rows)
    from affectrt import Face, TextEmotion

    face = Face(color="rgb8", landmarks=True, blendshapes=True, smoothing_ms=0)
    clock.lap("load the face networks", ", ".join(pack.name for pack in face.packs.values()))
    seen = face(pixels, 0)
    clock.lap("first frame", f"{pixels.shape[1]}x{pixels.shape[0]}, {len(seen)} faces, with 478 landmarks and 52 blendshapes")
    face.reset()
    seen = face(pixels, 0)
    spent = face.timings_ms
    clock.lap("second frame", ", ".join(f"{stage} {ms:.1f}" for stage, ms in spent.items() if stage != "total"), spent["total"])
    _tell_faces(picture, seen)
    clock = _Clock(rows)
    reader = TextEmotion()
    clock.lap("load the text network", reader.pack.name)
    read = reader(text, stamp_ns=0)
    clock.lap("first sentence")
    read = reader(text, stamp_ns=0)
    clock.lap("second sentence")
    _say(f"\nSentence: {text}")
    _say(f"  it sounds {', '.join(read.active[:3]) or read.label} (valence {read.valence:+.2f}, arousal {read.arousal:+.2f})")
    _save(pixels, seen, read, save)
    return face, seen, reader, read


def _tell_faces(picture: Path, seen: list[FaceObservation]) -> None:
    _say(f"Picture: {picture.name}")
    if not seen:
        _say("  no face in this picture")
    for one in seen:
        sure = f"{one.confidence * 100:.0f} %" if not one.reason else one.reason
        _say(f"  face #{one.track_id}: {one.label} ({sure}), valence {one.valence:+.2f}, arousal {one.arousal:+.2f}")
        if one.blendshapes:
            top = sorted(one.blendshapes.items(), key=lambda item: -item[1])[:4]
            _say("  strongest movements: " + ", ".join(f"{name} {value:.2f}" for name, value in top))


def _save(pixels: Any, seen: list[FaceObservation], read: TextObservation, folder: Path) -> None:
    from affectrt.cli import timeline
    from affectrt.cli.draw import annotate
    from affectrt.cli.media import write_image

    write_image(folder / "face.png", annotate(pixels, seen))
    _say(f"\nwrote {folder / 'face.png'}")
    told: list[tuple[str, Any]] = [(f"face #{one.track_id}", one) for one in seen[:1]]
    try:
        timeline.save(timeline.snapshot([*told, ("sentence", read)], title="what was seen and read"), folder / "emotions.png")
        _say(f"wrote {folder / 'emotions.png'}")
    except ImportError as error:  # the plot is an extra of its own
        note(f"no plot: {error}")


def _answer(face: Face, reader: TextEmotion, seen: list[FaceObservation], text: str, picture: Path, rows: list[dict[str, Any]]) -> str:
    """Stream an answer; returns why there is none, or ""."""
    from affectrt.errors import DeviceError, EngineError, PackError

    clock = _Clock(rows)
    try:
        dialogue = _dialogue()
    except (PackError, EngineError, DeviceError, ImportError, OSError) as error:
        return f"no answer: {describe(error)}"
    clock.lap("load the language model", f"{dialogue.pack.name} {dialogue.precision}, {dialogue.threads} threads")
    from affectrt import Companion
    from affectrt.cli.media import read_image
    from affectrt.cli.speak import cost, stream

    bot = Companion(face=face, text=reader, dialogue=dialogue)
    if seen:
        bot.see(read_image(picture), stamp_ns=time.monotonic_ns(), color="rgb8")
    _say("\nAnswer:")
    reply = bot.reply(text)
    stream(reply)
    clock.lap("answer", cost(reply.stats))
    return ""


def _dialogue() -> Dialogue:
    """The language model, pulled first if it is not here; the only step of the demo that needs a network, and only once."""
    from affectrt import Dialogue, open_pack
    from affectrt.cli.packs import pull_with_bar
    from affectrt.packs import DEFAULTS

    name = DEFAULTS["dialogue"]
    pack = open_pack(name)
    if pack.missing:
        size = sum(entry["size_bytes"] for entry in pack.manifest["files"] if entry["path"] in pack.missing)
        _say(f"\nThe language model is not here yet: pulling {size / 1e6:.0f} MB, once")
        pull_with_bar(name)
        pack = open_pack(name)
    return Dialogue(pack)
