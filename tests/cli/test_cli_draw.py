"""Annotated pictures: what is drawn keeps off the faces, colours are stable, and no shape of picture or face breaks it."""

from __future__ import annotations

import numpy as np
import pytest
from affectrt import FaceObservation
from affectrt.cli import timeline
from affectrt.cli.draw import annotate
from affectrt.cli.palette import color_of
from hypothesis import given, settings
from hypothesis import strategies as st

LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def face(box: tuple[float, float, float, float], label: str = "happy", track: int = 1, **more: object) -> FaceObservation:
    probs = np.full(7, 0.02, np.float32)
    probs[LABELS.index(label) if label in LABELS else 0] = 0.88
    values: dict[str, object] = {
        "stamp_ns": 0,
        "box": np.array(box, np.float32),
        "key_points": np.zeros((6, 2), np.float32),
        "detection_score": 0.9,
        "track_id": track,
        "label": label,
        "labels": LABELS,
        "probs": probs,
        "raw_probs": probs,
        "valence": 0.8,
        "arousal": 0.4,
        "confidence": 0.88,
        "reason": "",
        **more,
    }
    return FaceObservation(**values)  # type: ignore[arg-type]


def test_the_picture_given_stays_as_it_is() -> None:
    picture = np.full((480, 640, 3), 90, np.uint8)
    before = picture.copy()
    drawn = annotate(picture, [face((200, 100, 300, 220))])
    np.testing.assert_array_equal(picture, before)
    assert drawn.shape == picture.shape and drawn.dtype == np.uint8 and (drawn != picture).any()


def test_box_has_the_colour_of_the_label() -> None:
    drawn = annotate(np.zeros((480, 640, 3), np.uint8), [face((200, 100, 300, 220), "angry")])
    assert tuple(drawn[101:104, 250].max(axis=0)) == color_of("angry")


def test_panel_covers_no_face() -> None:
    boxes = [(100.0, 100.0, 200.0, 220.0), (320.0, 100.0, 420.0, 220.0)]
    picture = np.full((480, 640, 3), 90, np.uint8)
    drawn = annotate(picture, [face(box, track=i) for i, box in enumerate(boxes)])
    for x0, y0, x1, y1 in boxes:
        assert (drawn[int(y0) + 8 : int(y1) - 8, int(x0) + 8 : int(x1) - 8] == 90).all()


@settings(deadline=None, max_examples=40)
@given(
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    boxes=st.lists(st.tuples(*[st.floats(-400, 700)] * 2, *[st.floats(0, 500)] * 2), max_size=6),
    label=st.sampled_from([*LABELS, "unknown"]),
)
def test_nothing_breaks_it(size: tuple[int, int], boxes: list[tuple[float, ...]], label: str) -> None:
    picture = np.zeros((*size, 3), np.uint8)
    faces = [face((x, y, x + w, y + h), label, reason="tiny face" if label == "unknown" else "") for x, y, w, h in boxes]
    assert annotate(picture, faces).shape == picture.shape


def test_colours_are_the_same_every_time_and_by_every_name() -> None:
    assert color_of("happy") == color_of("joy") == color_of("happiness") != color_of("sad")
    assert color_of("some new emotion") == color_of("some new emotion")


@pytest.mark.parametrize("points", [1, 2, 300])
def test_timelines_of_any_length_are_drawn(points: int, tmp_path) -> None:  # type: ignore[no-untyped-def]
    series = [timeline.Series(f"face #{k}", LABELS) for k in range(6)]
    for one in series:
        for i in range(points):
            one.add(i / 25, face((0, 0, 1, 1)))
    timeline.save(timeline.timeline(series, title="x"), tmp_path / "t.png")
    assert (tmp_path / "t.png").stat().st_size > 5000
    timeline.save(timeline.snapshot([("a", face((0, 0, 1, 1)))] * points), tmp_path / "s.png")
    assert (tmp_path / "s.png").stat().st_size > 5000


# Ten and more at one place on the edge do run out of room (found by hypothesis); a crowd that looks all alike is read in the bars beside.
@pytest.mark.parametrize(
    "places",
    [
        *([(0.0, 0.0)], [(-0.9, 0.4), (0.8, -0.7)], [(0.5, 0.3), (0.52, 0.31)], [(-0.31, -0.2), (-0.3, -0.2)]),
        *([(0.3, 0.2)] * 8, [(1.0, 1.0)] * 4, [(-1.0, -1.0)] * 4, [(0.0, 1.0)] * 4, [(1.0, 0.0)] * 4),
    ],
    ids=str,
)
def test_labels_of_near_points_do_not_cover_one_another_and_each_points_to_its_own(places: list[tuple[float, float]]) -> None:
    from dataclasses import replace

    from matplotlib.text import Text

    seen = [(f"face #{i}", replace(face((0, 0, 1, 1)), valence=v, arousal=a)) for i, (v, a) in enumerate(places)]
    figure = timeline.snapshot(seen)
    figure.canvas.draw()
    plane = figure.axes[-1]
    assert [text.xy for text in plane.texts] == places and all(text.arrow_patch is not None for text in plane.texts)
    dots = [plane.transData.transform(place) for place in places]
    boxes = [Text.get_window_extent(text).padded(-0.5) for text in plane.texts]  # without its arrow
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])
        assert not any(box.contains(*dot) for dot in dots)
        assert plane.bbox.padded(12).contains(*box.min) and plane.bbox.padded(12).contains(*box.max)
