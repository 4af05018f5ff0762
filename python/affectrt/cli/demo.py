"""`affectrt demo`: a real photo, a real sentence, a real answer; needs no file of yours."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from affectrt.cli.errors import FAILED, describe, note
from affectrt.cli.options import face_row, text_row
from affectrt.cli.output import Format, OutputOption, Report, counted, write

if TYPE_CHECKING:
    from affectrt import Dialogue, Face, FaceObservation, TextEmotion, TextObservation

SENTENCE = "I finally passed the exam, I am so happy!"

DEMO_SEED = 2
"""A demo that says something else each time is no demo: what is odd in it can be looked into."""


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
    # What people read goes to stdout with the rest; a machine's stdout holds the document alone.
    show = _Show(sys.stdout if output is Format.table else sys.stderr)
    picture = image or photo()
    face, seen, reader, read = _look_and_read(picture, text, save, show)
    answer, problem = _answer(face, reader, seen, text, picture, show)
    document = {
        "faces": [face_row(one, 0, picture.name) for one in seen],
        "text": text_row(read, 1),
        "answer": answer,
        "steps": show.rows,
        "complete": not problem,
    }
    show.say()
    write(Report(("step", "ms", "detail"), show.rows, document, "what it took"), output)
    if problem:
        note(f"error: {problem}")
        raise typer.Exit(FAILED)


class _Show:
    """Tells people what happens, and keeps what each step took."""

    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.rows: list[dict[str, Any]] = []
        self._start = time.perf_counter()

    def say(self, text: str = "") -> None:
        self.out.write(text + "\n")
        self.out.flush()

    def start(self) -> None:
        self._start = time.perf_counter()

    def lap(self, step: str, detail: str = "", ms: float | None = None) -> None:
        spent = (time.perf_counter() - self._start) * 1e3
        self.rows.append({"step": step, "ms": spent if ms is None else ms, "detail": detail})
        self.start()


def _look_and_read(picture: Path, text: str, save: Path, show: _Show) -> tuple[Face, list[FaceObservation], TextEmotion, TextObservation]:
    from affectrt.cli.media import read_image

    pixels = read_image(picture)
    show.start()
    from affectrt import Face, TextEmotion

    face = Face(color="rgb8", landmarks=True, blendshapes=True, smoothing_ms=0)
    show.lap("load the face networks", ", ".join(pack.name for pack in face.packs.values()))
    seen = face(pixels, 0)
    faces = f"{len(seen)} face{'s' * (len(seen) != 1)}"
    show.lap("first frame", f"{pixels.shape[1]}x{pixels.shape[0]}, {faces}, with 478 landmarks and 52 blendshapes")
    seen = face(pixels, 1_000_000)
    spent = face.timings_ms
    show.lap("second frame", ", ".join(f"{stage} {ms:.1f}" for stage, ms in spent.items() if stage != "total"), spent["total"])
    _tell_faces(picture, seen, show)
    show.start()
    reader = TextEmotion()
    show.lap("load the text network", reader.pack.name)
    reader(text, stamp_ns=0)
    show.lap("first sentence")
    read = reader(text, stamp_ns=0)
    show.lap("second sentence")
    show.say(f"\nSentence: {text}")
    show.say(f"  it sounds {', '.join(read.active[:3]) or read.label} (valence {read.valence:+.2f}, arousal {read.arousal:+.2f})")
    _save(pixels, seen, read, save, show)
    return face, seen, reader, read


def _tell_faces(picture: Path, seen: list[FaceObservation], show: _Show) -> None:
    show.say(f"Picture: {picture.name}")
    if not seen:
        show.say("  no face in this picture")
    for one in seen:
        sure = f"{one.confidence * 100:.0f} %" if not one.reason else one.reason
        show.say(f"  face #{one.track_id}: {one.label} ({sure}), valence {one.valence:+.2f}, arousal {one.arousal:+.2f}")
        if one.blendshapes:
            top = sorted(one.blendshapes.items(), key=lambda item: -item[1])[:4]
            show.say("  strongest movements: " + ", ".join(f"{name} {value:.2f}" for name, value in top))


def _save(pixels: Any, seen: list[FaceObservation], read: TextObservation, folder: Path, show: _Show) -> None:
    from affectrt.cli import timeline
    from affectrt.cli.draw import annotate
    from affectrt.cli.media import write_image

    write_image(folder / "face.png", annotate(pixels, seen))
    show.say(f"\nwrote {folder / 'face.png'}")
    told: list[tuple[str, Any]] = [(f"face #{one.track_id}", one) for one in seen[:1]]
    try:
        timeline.save(timeline.snapshot([*told, ("sentence", read)], title="what was seen and read"), folder / "emotions.png")
        show.say(f"wrote {folder / 'emotions.png'}")
    except ImportError as error:  # the plot is an extra of its own
        note(f"no plot: {error}")


def _answer(face: Face, reader: TextEmotion, seen: list[FaceObservation], text: str, picture: Path, show: _Show) -> tuple[str | None, str]:
    """Stream an answer; returns it and "", or None and why there is none."""
    from affectrt.errors import DeviceError, EngineError, PackError

    try:
        dialogue = _dialogue(show)
    except (PackError, EngineError, DeviceError, ImportError, OSError) as error:
        return None, f"no answer: {describe(error)}"
    show.lap("load the language model", f"{dialogue.pack.name} {dialogue.precision}, {counted(dialogue.threads, 'thread')}")
    from affectrt import Companion
    from affectrt.cli.media import read_image
    from affectrt.cli.speak import cost, stream

    bot = Companion(face=face, text=reader, dialogue=dialogue)
    if seen:
        bot.see(read_image(picture), stamp_ns=time.monotonic_ns(), color="rgb8")
    show.say("\nAnswer:")
    show.start()
    reply = bot.reply(text, seed=DEMO_SEED)
    answer = stream(reply, show.out)
    show.lap("answer", cost(reply.stats))
    return answer, ""


def _dialogue(show: _Show) -> Dialogue:
    """The language model, pulled first if it is not here; the only step of the demo that needs a network, and only once."""
    from affectrt import Dialogue, open_pack
    from affectrt.cli.packs import pull_with_bar
    from affectrt.packs import DEFAULTS

    name = DEFAULTS["dialogue"]
    pack = open_pack(name)
    if pack.missing:
        size = sum(entry["size_bytes"] for entry in pack.manifest["files"] if entry["path"] in pack.missing)
        show.say(f"\nThe language model is not here yet: pulling {size / 1e6:.0f} MB, once")
        pull_with_bar(name)
        pack = open_pack(name)
    show.start()
    return Dialogue(pack)
