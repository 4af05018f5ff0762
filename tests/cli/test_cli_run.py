"""`affectrt run` on real photos: what it says on stdout in each format, and what `--save` writes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_tools import Done, leftovers, write_video
from PIL import Image

Cli = Callable[..., Done]


def test_a_face_as_json(cli: Cli, media: Path) -> None:
    done = cli("run", media / "face.png", "-o", "json")
    (row,) = json.loads(done.out)
    assert done.code == 0
    assert row["label"] == "happy" and row["valence"] > 0.4 and row["file"] == "face.png"
    assert sum(row["probs"].values()) == pytest.approx(1, abs=1e-4)
    # The astronaut's face lies about (175..280, 70..180).
    assert 150 < row["x0"] < 200 and 250 < row["x1"] < 300 and 40 < row["y0"] < 90 and 160 < row["y1"] < 220


def test_csv_has_a_column_for_each_label(cli: Cli, media: Path) -> None:
    done = cli("run", media / "face.png", "-o", "csv")
    (row,) = csv.DictReader(io.StringIO(done.out))
    probs = {name: float(value) for name, value in row.items() if name.startswith("prob_")}
    assert len(probs) == 7 and max(probs, key=lambda name: probs[name]) == "prob_happy"


def test_landmarks_and_blendshapes_come_when_asked_for(cli: Cli, media: Path) -> None:
    (row,) = json.loads(cli("run", media / "face.png", "--blendshapes", "-o", "json").out)
    assert np.array(row["landmarks"]).shape == (478, 3)
    assert len(row["blendshapes"]) == 52
    assert row["blendshapes"]["mouthSmileLeft"] > 0.3


def test_a_folder_counts_as_people_do_and_reads_every_picture(cli: Cli, media: Path, tmp_path: Path) -> None:
    done = cli("run", media / "folder", "--save", tmp_path / "out", "-o", "jsonl")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["file"] for row in rows] == ["2.jpg", "10.png"]  # 3.png shows a wall
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"2-affect.png", "3-affect.png", "10-affect.png", "folder-timeline.png"}
    assert "2 of 3 pictures show a face" in done.err


def test_saved_picture_is_the_picture_with_something_drawn_beside_the_face(
    cli: Cli, media: Path, tmp_path: Path, photo: np.ndarray
) -> None:
    assert cli("run", media / "face.png", "--save", tmp_path).code == 0
    drawn = np.asarray(Image.open(tmp_path / "face-affect.png"))
    assert drawn.shape == photo.shape
    changed = (drawn != photo).any(axis=2)
    assert 0.02 < changed.mean() < 0.3
    assert not changed[95:165, 195:260].any()  # the middle of the face stays free
    assert Image.open(tmp_path / "face-timeline.png").size[0] > 400
    assert not leftovers(tmp_path)


def test_a_video_is_one_track_with_the_times_of_the_file(cli: Cli, media: Path, tmp_path: Path) -> None:
    import av

    done = cli("run", media / "pan.mp4", "--save", tmp_path, "-o", "jsonl")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0, done.err
    assert len(rows) == 24 and {row["track"] for row in rows} == {1}
    assert [row["time_s"] for row in rows] == pytest.approx([i / 12 for i in range(24)], abs=1e-3)
    with av.open(str(tmp_path / "pan-affect.mp4")) as written:
        times = [float(frame.time) for frame in written.decode(video=0)]
    assert times == pytest.approx([i / 12 for i in range(24)], abs=1e-3)
    assert (tmp_path / "pan-timeline.png").is_file() and not leftovers(tmp_path)


def test_a_video_for_people_is_a_row_a_track(cli: Cli, media: Path) -> None:
    done = cli("run", media / "pan.mp4")
    (line,) = [line for line in done.out.splitlines() if line.strip().startswith("1 ")]
    assert line.split()[1] == "24"


def test_frames_ends_early_and_is_no_failure(cli: Cli, media: Path) -> None:
    done = cli("run", media / "pan.mp4", "--frames", "5", "-o", "json")
    assert done.code == 0 and [row["frame"] for row in json.loads(done.out)] == [0, 1, 2, 3, 4]


def test_odd_sizes_are_written(cli: Cli, tmp_path: Path, photo: np.ndarray) -> None:
    from affectrt.cli.video_writer import VideoWriter

    with VideoWriter(tmp_path / "odd.mp4", rate=10) as writer:
        for i in range(3):
            writer.write(np.ascontiguousarray(photo[:201, :301]), i * 100_000_000)
    import av

    with av.open(str(tmp_path / "odd.mp4")) as written:
        assert [(frame.width, frame.height) for frame in written.decode(video=0)] == [(300, 200)] * 3


def test_a_picture_lies_as_its_exif_data_say(tmp_path: Path, photo: np.ndarray) -> None:
    from affectrt.cli.media import read_image

    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to view
    Image.fromarray(np.rot90(photo)).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "turned.png"), photo)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16"])
def test_every_kind_of_picture_becomes_rgb(mode: str, tmp_path: Path, photo: np.ndarray) -> None:
    from affectrt.cli.media import read_image

    gray = photo.mean(axis=2).astype(np.uint16) * 257
    image = Image.fromarray(gray) if mode == "I;16" else Image.fromarray(photo).convert(mode)
    path = tmp_path / f"x.{'tif' if mode == 'CMYK' else 'png'}"
    image.save(path)
    found = read_image(path)
    assert found.shape == photo.shape and found.dtype == np.uint8
    if mode != "1":
        assert abs(found.mean() - photo.mean()) < 12


def test_no_face_is_an_empty_answer_in_every_format(cli: Cli, media: Path) -> None:
    wall = media / "folder" / "3.png"
    assert json.loads(cli("run", wall, "-o", "json").out) == []
    assert cli("run", wall, "-o", "jsonl").out == ""
    assert cli("run", wall, "-o", "csv").out.startswith("frame,time_s,file")
    assert "0 faces" in cli("run", wall).err


def test_two_people_are_two_tracks_and_both_are_drawn(cli: Cli, tmp_path: Path, photo: np.ndarray) -> None:
    pair = np.concatenate([photo[:300, :400], photo[:300, :400][:, ::-1]], axis=1)
    frames = [np.ascontiguousarray(np.roll(pair, i, axis=0)) for i in range(6)]
    write_video(tmp_path / "two.mp4", frames, rate=10)
    done = cli("run", tmp_path / "two.mp4", "-o", "json", "--save", tmp_path / "out")
    rows = json.loads(done.out)
    assert {row["track"] for row in rows} == {1, 2} and len(rows) == 12


def test_a_narrow_table_keeps_label_and_confidence_whole(cli: Cli, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = cli("run", media / "face.png").out.splitlines()
    assert lines[0].startswith("(too narrow for score, ") and max(map(len, lines)) <= 80
    assert {"time_s", "file", "label", "confidence", "valence", "arousal"} <= set(lines[2].split())
    assert "happy" in lines[4].split() and "face.png" in lines[4].split()
