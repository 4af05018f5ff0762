"""`affectrt run --state`: the state in the rows and on the plot, what happens to it, and what is refused."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affectrt.affect import Evidence, Fusion
from affectrt.cli import run_faces, timeline
from affectrt.cli.media import Frame
from affectrt.cli.output import Format
from affectrt.cli.states import Happening, Person, TextStates, read_events
from cli_tools import Done, leftovers
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from test_cli_draw import face

Cli = Callable[..., Done]
SECOND = 1_000_000_000
FER7 = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.csv"
    path.write_text("seconds, name, valence, arousal, dominance, weight\n# the door\n1.0, slam, -0.8, 0.7, , 0.5\n\n0.5,hug,0.6,0.1\n")
    return path


def test_rows_of_a_video_have_the_state_made_of_them(cli: Cli, media: Path) -> None:
    done = cli("run", media / "pan.mp4", "--state", "-o", "jsonl")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0 and len(rows) == 24
    fusion = Fusion()
    for row in rows:
        place = {axis: row[axis] for axis in ("valence", "arousal", "dominance")}
        probs = tuple(row["probs"][label] for label in FER7)
        if row["label"] != "unknown":
            fusion.add(Evidence("face", row["stamp_ns"], row["confidence"], **place, taxonomy="fer7", probs=probs))
        state = fusion.state(row["stamp_ns"])
        assert (row["state_label"], list(row["state_sources"])) == (state.label, [one.source for one in state.sources])
        found = [row[f"state_{name}"] for name in ("valence", "arousal", "dominance", "confidence", "conflict")]
        assert found == pytest.approx([state.valence, state.arousal, state.dominance, state.confidence, state.conflict], abs=1e-6)
    assert rows[-1]["state_label"] == "joy" and rows[-1]["state_valence"] > 0.3 and rows[-1]["state_said"] == {"face": "happy"}


def test_what_happens_changes_the_state_when_its_time_comes(cli: Cli, media: Path, events: Path) -> None:
    done = cli("run", media / "pan.mp4", "--state", "--events", events, "-o", "jsonl")
    rows = [json.loads(line) for line in done.out.splitlines()]
    for row in rows:
        assert ("event" in row["state_sources"]) == (row["time_s"] >= 0.5)
        assert (row["state_said"].get("event") == "slam") == (row["time_s"] >= 1.0)
    calm, upset = ([row for row in rows if abs(row["time_s"] - at) < 0.05][0] for at in (0.9, 1.1))  # noqa: RUF015
    assert upset["state_valence"] < calm["state_valence"] and upset["state_conflict"] > calm["state_conflict"]
    assert upset["state_contradiction"].startswith("valence: event says")


def test_csv_and_table_have_its_columns(cli: Cli, media: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(cli("run", media / "pan.mp4", "--state", "-o", "csv", "--frames", "3").out)))
    assert [key for key in rows[0] if key.startswith("state_")] == [*run_faces.STATE_COLUMNS]
    assert list(json.loads(rows[0]["state_sources"])) == ["face"] and -1 <= float(rows[0]["state_valence"]) <= 1
    table = cli("run", media / "pan.mp4", "--state").out
    assert "state_confidence" in table and "joy" in table and "face 0." in table
    assert "state" not in cli("run", media / "pan.mp4").out


def test_the_timeline_is_saved(cli: Cli, media: Path, events: Path, tmp_path: Path) -> None:
    sizes = []
    for name, options in (("plain", ()), ("state", ("--state", "--events", events))):
        assert cli("run", media / "pan.mp4", "--save", tmp_path / name, *options).code == 0
        sizes.append(Image.open(tmp_path / name / "pan-timeline.png").size)
    assert sizes[1][1] > sizes[0][1]
    assert not leftovers(tmp_path)


def test_lines_of_text_have_times_and_a_state(cli: Cli, events: Path, tmp_path: Path) -> None:
    said = "I finally passed the exam, I am so happy!\n\nI miss him so much.\n"
    options = ("--state", "--line-seconds", "20", "--events", events, "--save", tmp_path / "out")
    rows = [json.loads(line) for line in cli("run", "-", "-o", "jsonl", *options, stdin=said).out.splitlines()]
    assert [row["time_s"] for row in rows] == [0, 20, 40]
    assert rows[0]["state_label"] == "joy" and list(rows[0]["state_sources"]) == ["text"]
    assert rows[1]["state_said"] == {"event": "slam", "text": rows[0]["label"]}  # an empty line says nothing
    assert rows[1]["state_sources"]["text"] < rows[0]["state_sources"]["text"]
    assert rows[2]["state_valence"] < 0 < rows[0]["state_valence"]
    assert (tmp_path / "out" / "text-timeline.png").is_file()
    head = cli("run", "-", "--state", "-o", "csv", stdin=said).out.splitlines()[0].split(",")
    assert head[-1] == "text" and head[head.index("time_s") + 1] == "state_label"


def test_a_plot_has_lines_for_events_and_jumps_where_something_is_said() -> None:
    from affectrt import TextObservation

    labels = ("joy", "sadness")
    probs = np.array([0.9, 0.1], np.float32)
    states = TextStates([Happening(4.0, "hug", 0.5, 0.1), Happening(99.0, "never", 0.5, 0.1)], 5.0)
    series = timeline.Series("text", labels)
    for number, valence in enumerate((0.8, -0.8, 0.1), start=1):
        seen = TextObservation(0, "x", "joy", ("joy",), labels, probs, valence, 0.2, 0.9)
        states.read(number, seen)
        series.add(states.time_s(number), seen)
    assert states.series is not None
    at, values = np.array(states.series.at), np.array(states.series.valence)
    assert (np.diff(at) >= 0).all()
    for moment in (4.0, 5.0, 10.0):
        before, after = values[at == moment]
        assert abs(after - before) > 0.03
    steady = np.abs(np.diff(values))[np.diff(at) > 0]
    assert steady.max() < 0.01
    series.state = states.series
    figure = timeline.timeline([series], stacked=False, events=states.events)
    assert len(figure.axes) == 3
    names = [text.get_text() for text in figure.axes[0].texts]
    assert names == ["hug"]
    drawn = [line for line in figure.axes[2].lines if list(line.get_xdata()) == [4.0, 4.0]]
    first, last = figure.axes[2].get_xlim()
    assert len(drawn) == 1 and -0.5 < first < 0 and 10 < last < 10.5
    states.finish()
    assert series.state.at[-1] == 15.0 and len(timeline.timeline([series], events=[(14.0, "late")]).axes[0].texts) == 1


def read(label: str, valence: float, probs: tuple[float, float]) -> Any:
    from affectrt import TextObservation

    return TextObservation(0, "x", label, (), ("joy", "fear"), np.array(probs, np.float32), valence, valence, 0.9)


def drawn_text(*seen: Any) -> Any:
    states, series = TextStates([], 5.0), timeline.Series("text", ("joy", "fear"))
    for number, one in enumerate(seen, start=1):
        states.read(number, one)
        series.add(states.time_s(number), one)
    states.finish()
    series.state = states.series
    return timeline.timeline([series], title="text", stacked=False)


def test_a_line_that_says_nothing_is_no_dot_and_leaves_a_gap() -> None:
    figure = drawn_text(read("joy", 0.8, (0.9, 0.02)), read("unknown", 0.0, (0, 0)), read("joy", 0.7, (0.8, 0.01)))
    dots = [line for line in figure.axes[0].lines if line.get_label().startswith("_") and len(line.get_xdata()) == 3]
    assert len(dots) == 2
    for line in dots:
        assert np.isnan(line.get_ydata()).tolist() == [False, True, False]
    (curve,) = figure.axes[2].lines  # fear lies on the axis: not drawn, and not in the legend
    assert np.isnan(curve.get_ydata()).tolist() == [False, True, False]
    assert [text.get_text() for text in figure.axes[2].get_legend().get_texts()] == ["joy"]
    assert "fear" not in [text.get_text() for text in figure.axes[1].get_legend().get_texts()]


@pytest.mark.parametrize("seen", [[("joy", 0.8, (0.9, 0.1))], [("unknown", 0.0, (0.0, 0.0))]])
def test_one_line_shows_its_state_for_as_long_as_a_line_lasts(seen: list[Any], tmp_path: Path) -> None:
    figure = drawn_text(*(read(*one) for one in seen))
    first, last = figure.axes[2].get_xlim()
    assert first < 0 and last > 5
    lines = [line for line in figure.axes[0].lines if line.get_label() == "valence"]
    assert len(lines) == 1 and lines[0].get_xdata()[-1] == 5.0
    assert figure.axes[1].collections  # the bands of its labels
    told = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert told == ["valence", "arousal", "dots: reading", "lines: state"]
    assert figure.get_suptitle() == "text" and figure.axes[0].get_title(loc="left") == ""
    timeline.save(figure, tmp_path / "t.png")


def test_what_happens_after_the_end_is_told(cli: Cli, media: Path, tmp_path: Path) -> None:
    events = tmp_path / "events.csv"
    events.write_text("1, hug, 0.5, 0\n80, far, 0, 0\n" + "".join(f"{90 + i}, x{i}, 0, 0\n" for i in range(5)))
    done = cli("run", "-", "--state", "--events", events, stdin="I am so happy!\nGreat!\n")
    assert done.code == 0 and "after the last line (5 s), so that no row has it: far at 80 s, x0 at 90 s" in done.err
    assert "x3 at 93 s and 1 more" in done.err and "hug" not in done.err
    assert "after the last frame" in cli("run", media / "pan.mp4", "--state", "--events", events).err


def test_who_is_gone_for_long_has_no_state_any_more() -> None:
    def looks(rgb: Any, stamp_ns: int) -> list[Any]:
        return [face((0, 0, 9, 9), "happy", stamp_ns=stamp_ns)] if stamp_ns < SECOND or stamp_ns > 40 * SECOND else []

    def frames() -> Iterator[Frame]:
        for i in range(90):
            yield Frame(np.zeros((16, 16, 3), np.uint8), i * SECOND // 2, i, "")

    moving = run_faces._Moving(looks, None, Format.jsonl, "x", "x", 2.0, [])  # type: ignore[arg-type]
    moving.all(frames(), None, None)
    state = moving._tracks[1].series.state
    assert state is not None
    assert max(at for at in state.at if at < 40) == 10.5 and state.confidence[state.at.index(10.5)] < 0.4 < state.confidence[0]
    assert state.at[-1] == 44.5 and state.confidence[-1] > 0.7


def test_times_that_run_backwards_leave_the_state_at_the_latest() -> None:
    person = Person([Happening(1.0, "hug", 0.5, 0.1)], 0)
    seen = Evidence("face", 5 * SECOND, 1.0, valence=0.5, arousal=0.0)
    later = person.at(5 * SECOND, seen)
    back = person.at(SECOND, Evidence("face", SECOND, 1.0, valence=-0.5, arousal=0.0))
    assert back.stamp_ns == later.stamp_ns and back.to_json() == later.to_json()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1, hug, 0.5", "4 to 6 cells were expected"),
        ("1, hug, 0.5, 0, 0, 1, 1", "4 to 6 cells were expected"),
        ("soon, hug, 0.5, 0", "seconds: a number was expected, got 'soon'"),
        ("-1, hug, 0.5, 0", "seconds: a number in [0, 1e+08] was expected, got -1"),
        ("nan, hug, 0.5, 0", "seconds: a number in"),
        ("1, , 0.5, 0", "name: 1 to 200 characters"),
        (f"1, {'x' * 201}, 0.5, 0", "name: 1 to 200 characters"),
        ("1, hug, 1.5, 0", "valence: a number in [-1, 1] was expected, got 1.5"),
        ("1, hug, 0.5, inf", "arousal: a number in"),
        ("1, hug, 0.5, 0, x", "dominance: a number was expected"),
        ("1, hug, 0.5, 0, , 2", "weight: a number in [0, 1] was expected, got 2"),
        ("1, hug, 0.5, 0, ,", "weight: a number was expected, got ''"),
        ("seconds, name, valence, arousal", "seconds: a number was expected"),
    ],
)
def test_a_wrong_line_of_events_is_named(cli: Cli, media: Path, tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "events.csv"
    path.write_text(f"0.5, fine, 0, 0\n\n{line}\n")
    done = cli("run", media / "pan.mp4", "--state", "--events", path)
    (error,) = [text for text in done.err.splitlines() if text.startswith("error: ")]
    assert done.code == 1 and done.out == "" and f"{path}: line 3: {said}" in error


@pytest.mark.parametrize(("content", "said"), [(b"", "the file is empty"), (b"\xff\xfe1", "UTF-8 was expected")])
def test_a_file_of_events_that_is_none(cli: Cli, media: Path, tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "events.csv").write_bytes(content)
    done = cli("run", media / "pan.mp4", "--state", "--events", tmp_path / "events.csv")
    assert done.code == 1 and said in done.err


def test_options_that_do_not_go_together(cli: Cli, media: Path, events: Path) -> None:
    assert cli("run", media / "pan.mp4", "--events", events).code == 2
    lonely = cli("run", "-", "--line-seconds", "3", stdin="")
    assert lonely.code == 2 and "it needs --state" in lonely.err
    for wrong in ("0", "-1", "nan", "x"):
        assert cli("run", "-", "--state", "--line-seconds", wrong, stdin="").code == 2
    for pictures in ("face.png", "folder"):
        done = cli("run", media / pictures, "--state")
        assert done.code == 1 and "--state needs time" in done.err
    nowhere = cli("run", media / "pan.mp4", "--state", "--events", "nowhere.csv")
    assert nowhere.code == 1 and "nowhere.csv: a file of events was expected (--events): No such file" in nowhere.err


def test_a_file_of_text_is_told_how_it_is_read(cli: Cli, here: Path) -> None:
    (here / "lines.txt").write_text("I am happy.\n")
    done = cli("run", "lines.txt")
    assert (done.code, done.out) == (1, "") and "affectrt run - < lines.txt" in done.err


def test_events_come_in_the_order_of_their_times(events: Path) -> None:
    assert read_events(events) == [Happening(0.5, "hug", 0.6, 0.1), Happening(1.0, "slam", -0.8, 0.7, None, 0.5)]


@given(
    text=st.text()
    | st.lists(st.sampled_from(["1", "a", ",", "\n", '"', "nan", "-", "0.5", " ", "#", "\0", "\r"]), max_size=40).map("".join)
)
def test_no_file_of_events_breaks_it(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("events") / "x.csv"
    path.write_text(text, encoding="utf-8")
    try:
        for event in read_events(path):
            event.evidence(0)
    except ValueError as error:
        assert str(error).startswith(str(path))
