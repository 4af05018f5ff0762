"""`affectrt run` on pictures, videos and cameras: a row for each face of each frame, and what `--save` writes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from affectrt.cli import timeline
from affectrt.cli.camera import Camera
from affectrt.cli.draw import annotate
from affectrt.cli.errors import note
from affectrt.cli.media import Frame, Video, folder_images, is_image, read_image, warn_of_missing, write_image
from affectrt.cli.options import FACE_COLUMNS, OPTIONAL, face_row
from affectrt.cli.output import Format, RowWriter, counted
from affectrt.cli.progress import Bar
from affectrt.cli.states import STATE_COLUMNS, Happening, Person, state_row, too_late
from affectrt.cli.video_writer import VideoWriter

if TYPE_CHECKING:
    from affectrt import Face
    from affectrt.affect import AffectState
    from affectrt.perception.observation import FaceObservation

PEOPLE = (Format.table, Format.md)
"""Formats that show a row a person; thousands of rows are for machines."""
GONE_S = 10.0
"""Who is out of view for longer has no state any more: a camera may see thousands of people in a day."""
TRACK_COLUMNS = ("track", "frames", "from_s", "to_s", "label", "share", "valence", "arousal", "confidence")


def run_faces(
    face: Face,
    source: str,
    folder: Path | None,
    output: Format,
    *,
    limit: int | None,
    camera_size: str,
    events: Sequence[Happening] | None = None,
) -> bool:
    """Look at every frame of `source`; False if something of it could not be read (what could has been written).

    `events`, even an empty list, asks for the state of each person in a video or before a camera.
    """
    path = Path(source)
    if path.is_dir() or (path.exists() and is_image(path)):
        return _pictures(face, path, folder, output, limit)
    if path.exists():
        with Video(path) as video:
            total = video.total if limit is None else min(limit, video.total or limit)
            _Moving(face, folder, output, path.stem, path.name, video.rate, events).all(iter(video), limit, total)
            return limit is not None or not warn_of_missing(video)
    with Camera(int(source), size=camera_size) as camera:
        note("press Ctrl-C to stop")
        _Moving(face, folder, output, f"camera{source}", f"camera {source}", 30.0, events, live=True).all(iter(camera), limit, limit)
    return True


class _Rows:
    """Writes a row a face; in `csv` with one column for each label, known once the first face is seen."""

    def __init__(self, output: Format, *, states: bool = False) -> None:
        self._output = output
        self._columns = (*FACE_COLUMNS, *STATE_COLUMNS) if states else FACE_COLUMNS
        self._writer: RowWriter | None = None

    def add(self, faces: list[FaceObservation], index: int, name: str, states: Mapping[int, AffectState] = MappingProxyType({})) -> None:
        for seen in faces:
            row = face_row(seen, index, name)
            if seen.track_id in states:
                row |= state_row(states[seen.track_id])
            if self._output is Format.csv:
                row |= {f"prob_{label}": prob for label, prob in row["probs"].items()}
            if self._writer is None:
                extra = [f"prob_{label}" for label in seen.labels] if self._output is Format.csv else []
                self._writer = RowWriter([*self._columns, *extra], self._output, optional=OPTIONAL)
            self._writer.row(row)

    def close(self) -> None:
        (self._writer or RowWriter(self._columns, self._output, optional=OPTIONAL)).close()


def _pictures(face: Face, path: Path, folder: Path | None, output: Format, limit: int | None) -> bool:
    paths = (folder_images(path) if path.is_dir() else [path])[:limit]
    rows, complete, largest, last = _Rows(output), True, timeline.Series("largest face", ()), []
    names: set[str] = set()
    with Bar("pictures", total=len(paths)) as bar:
        for index, one in enumerate(paths):
            try:
                rgb = read_image(one)
            except (ValueError, OSError) as error:
                if not path.is_dir():
                    raise
                note(f"error: {error}")
                complete = False
                continue
            face.reset()
            last = face(rgb, index)
            rows.add(last, index, one.name)
            if last:
                main = max(last, key=lambda seen: float((seen.box[2] - seen.box[0]) * (seen.box[3] - seen.box[1])))
                largest.labels = main.labels
                largest.add(index, main)
            if folder is not None:
                _report(write_annotated(folder, one, annotate(rgb, last), names), quiet=len(paths) > 1)
            bar.advance()
    rows.close()
    found = len(largest.at)
    note(f"{found} of {len(paths)} pictures show a face" if len(paths) > 1 else f"{len(last)} faces" if len(last) != 1 else "1 face")
    if folder is not None and found:
        figure = (
            timeline.snapshot([(f"face #{seen.track_id}", seen) for seen in last], title=path.name)
            if len(paths) == 1
            else timeline.timeline([largest], unit="picture", title=path.name)
        )
        target = folder / f"{path.stem}-timeline.png"
        timeline.save(figure, target)
        _report(target)
    return complete


def write_annotated(folder: Path, source: Path, rgb: Any, names: set[str]) -> Path:
    """Write an annotated picture under a name made of its source's, distinct within one run."""
    name = source.stem if source.stem not in names else source.name.replace(".", "_")
    names.add(name)
    target = folder / f"{name}-affect.png"
    write_image(target, rgb)
    return target


def _report(path: Path, *, quiet: bool = False) -> None:
    if not quiet:
        note(f"wrote {path}")


@dataclass
class _Track:
    """What is told of one person in the end."""

    series: timeline.Series
    labels: list[str] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    state: AffectState | None = None
    """When the face was last seen."""

    def row(self, track: int) -> dict[str, Any]:
        label = max(set(self.labels), key=self.labels.count)
        frames = len(self.labels)
        return {
            "track": track,
            "frames": frames,
            "from_s": self.series.at[0],
            "to_s": self.series.at[-1],
            "label": label,
            "share": self.labels.count(label) / frames,
            "valence": sum(self.series.valence) / frames,
            "arousal": sum(self.series.arousal) / frames,
            "confidence": sum(self.confidence) / frames,
            **({} if self.state is None else state_row(self.state)),
        }


class _Moving:
    """One pass over a video or a camera."""

    def __init__(
        self,
        face: Face,
        folder: Path | None,
        output: Format,
        stem: str,
        title: str,
        rate: float,
        events: Sequence[Happening] | None,
        *,
        live: bool = False,
    ) -> None:
        self._face, self._folder, self._output = face, folder, output
        self._stem, self._title, self._rate, self._live = stem, title, rate, live
        self._tracks: dict[int, _Track] = {}
        self._rows = _Rows(output, states=events is not None)
        self._events = events
        self._people: dict[int, Person] = {}
        self._spent: list[float] = []
        self._first_ns: int | None = None
        self._last_s = 0.0

    def all(self, frames: Iterator[Frame], limit: int | None, total: int | None) -> None:
        """Look at every frame; Ctrl-C ends a camera (files are completed first) and breaks off a video (files are removed)."""
        stopped: KeyboardInterrupt | None = None
        began = time.perf_counter()
        with contextlib.ExitStack() as files:
            target = self._folder / f"{self._stem}-affect.mp4" if self._folder else None
            writer = files.enter_context(VideoWriter(target, rate=self._rate)) if target else None
            with Bar("frames", total=total) as bar:
                try:
                    for frame in frames:
                        self._frame(frame, writer)
                        bar.advance()
                        if limit and len(self._spent) >= limit:
                            break
                except KeyboardInterrupt as interrupt:
                    if not self._live or not self._spent:
                        raise
                    stopped = interrupt
        self._finish(target, time.perf_counter() - began)
        if stopped:
            raise stopped

    def _frame(self, frame: Frame, writer: VideoWriter | None) -> None:
        began = time.perf_counter()
        faces = self._face(frame.rgb, frame.stamp_ns)
        self._spent.append((time.perf_counter() - began) * 1e3)
        self._first_ns = frame.stamp_ns if self._first_ns is None else self._first_ns
        at_s = (frame.stamp_ns - self._first_ns) / 1e9
        self._last_s = max(self._last_s, at_s)
        for seen in faces:
            name = f"face #{seen.track_id}"
            track = self._tracks.setdefault(seen.track_id, _Track(timeline.Series(name, seen.labels)))
            track.series.add(at_s, seen)
            track.labels.append(seen.label)
            track.confidence.append(seen.confidence)
        states = {} if self._events is None else self._states(faces, frame.stamp_ns, self._first_ns, self._events)
        if self._output not in PEOPLE:
            self._rows.add(faces, frame.index, frame.name, states)
        if writer is not None:
            writer.write(annotate(frame.rgb, faces), frame.stamp_ns)

    def _states(self, faces: list[FaceObservation], stamp_ns: int, first_ns: int, events: Sequence[Happening]) -> Mapping[int, AffectState]:
        """The state of everybody in view, and of who left it a moment ago."""
        from affectrt.affect import Evidence

        seen = {one.track_id: Evidence.of(one) for one in faces}
        for number in seen.keys() - self._people.keys():
            self._people[number] = Person(events, first_ns)
        at_s, states = (stamp_ns - first_ns) / 1e9, {}
        for number, person in list(self._people.items()):
            track = self._tracks[number]
            if at_s - track.series.at[-1] > GONE_S:
                del self._people[number]
                continue
            states[number] = state = person.at(stamp_ns, seen.get(number))
            track.series.state = track.series.state or timeline.Series("state", state.labels)
            track.series.state.add(at_s, state)
            if number in seen:
                track.state = state
        return states

    def _finish(self, target: Path | None, wall_s: float) -> None:
        import statistics

        if self._output in PEOPLE:
            columns = TRACK_COLUMNS if self._events is None else (*TRACK_COLUMNS, *STATE_COLUMNS)
            table = RowWriter(columns, self._output, title=self._title, optional=OPTIONAL)
            for track, seen in sorted(self._tracks.items()):
                table.row(seen.row(track))
            table.close()
        else:
            self._rows.close()
        count = len(self._spent)
        rate = count / max(wall_s, 1e-9)
        looked_at = f"{counted(count, 'frame')}, {counted(len(self._tracks), 'track')}"
        note(
            f"{looked_at} in {wall_s:.1f} s ({rate:.0f} frames/s with reading and writing), "
            f"faces {statistics.median(self._spent or [0.0]):.2f} ms a frame (median)"
        )
        events = [(one.at_s, one.name) for one in self._events or ()]
        if late := too_late(events, self._last_s, "frame"):
            note(late)
        if target is not None and self._folder is not None:
            _report(target)
            if self._tracks:
                plot = self._folder / f"{self._stem}-timeline.png"
                series = [track.series for track in self._tracks.values()]
                timeline.save(timeline.timeline(series, title=self._title, events=events), plot)
                _report(plot)
