"""The pictures of a report: the same bytes each time, small, well-formed, and names that can be read."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import os
import re
import subprocess
import sys
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from affectrt_export.report import Figure, Record, Variant, labels, pictures, plots
from affectrt_export.spec import Layer, Reliability
from report_samples import FACES, FP32, GOOD, INT8, REFUSED, REPAIRED, emotions, kind, model, quality, record


def faces() -> Record:
    return record(FP32, REPAIRED, dataclasses.replace(REFUSED, kind=kind("int8-plain")))


def texts(svg: bytes) -> list[str]:
    root = ElementTree.fromstring(svg)
    return ["".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")]


def test_each_variant_has_its_pictures() -> None:
    names = [picture.file for picture in pictures.planned(faces())]
    assert names == [
        *("tradeoff.svg", "classes.svg", "reliability-fp32.svg", "reliability-int8.svg", "reliability-int8-plain.svg"),
        *("sensitivity-int8.svg", "sensitivity-int8-plain.svg"),
    ]
    assert list(pictures.draw(faces())) == names


def test_the_same_record_gives_the_same_bytes_whatever_the_user_has_set() -> None:
    made = faces()
    first = pictures.draw(made)
    with mpl.rc_context({"font.size": 20, "axes.grid": False, "svg.hashsalt": None, "figure.dpi": 200}):
        assert pictures.draw(made) == first
        assert mpl.rcParams["font.size"] == 20  # and theirs stays as it was


def test_another_process_gives_the_same_bytes(tmp_path: os.PathLike[str]) -> None:
    program = (
        "import sys, hashlib\n"
        "from affectrt_export.report import Record\n"
        "assert not {'matplotlib', 'torch', 'onnx'} & set(sys.modules), 'a record needs none of them'\n"
        "from affectrt_export.report import pictures\n"
        "drawn = pictures.draw(Record.from_json(sys.stdin.read()))\n"
        "print(hashlib.sha256(b''.join(drawn.values())).hexdigest())\n"
    )
    made = record(FP32)
    environment = {**os.environ, "PYTHONHASHSEED": "7", "MPLCONFIGDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], input=made.to_json(), env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == hashlib.sha256(b"".join(pictures.draw(made).values())).hexdigest()


def test_eight_variants_of_28_labels_are_small_and_every_name_is_there() -> None:
    made = emotions(8)
    drawn = pictures.draw(made)
    assert max(len(svg) for svg in drawn.values()) < pictures.MAX_BYTES
    names = {variant.name for variant in made.variants}
    assert names <= set(texts(drawn["tradeoff.svg"])) and names <= set(texts(drawn["classes.svg"]))
    assert {f"emotion{i}" for i in range(28)} <= set(texts(drawn["classes.svg"])) & set(texts(drawn["reliability-int8.svg"]))


@pytest.mark.parametrize("apart", [0.0, 1.0, 30.0])
def test_names_beside_points_lie_on_nothing(apart: float) -> None:
    """Eight points at one place, nearly at one place, or apart: no name lies on another, and none leaves the axes."""
    axes = plots.figure(4.6, 3.4).subplots()
    rng = np.random.default_rng(1)
    for i in range(8):
        x, y = 50 + apart * rng.standard_normal(2)
        axes.plot([x], [y], marker="o", gid=f"point:variant-{i}")
    axes.set(xlim=(-50, 150), ylim=(-50, 150))
    axes.figure.draw_without_rendering()
    boxes = labels.place(axes)
    inside = axes.get_window_extent()
    assert len(boxes) == 8
    for left, bottom, right, top in boxes:
        assert inside.x0 <= left < right <= inside.x1 and inside.y0 <= bottom < top <= inside.y1
    for one, other in itertools.combinations(boxes, 2):
        apart_x = min(one[2], other[2]) <= max(one[0], other[0])
        assert apart_x or min(one[3], other[3]) <= max(one[1], other[1])


def test_hostile_names_stay_text() -> None:
    names = ("a$b$", "<script>", "nul\x00\x1b", "]]>&amp;", "感情", "x" * 300, "half\ud800")
    own = quality(names)
    layers = [Layer(name, "Conv", 0.1) for name in names]
    outcome = dataclasses.replace(REFUSED, kind=kind("<svg onload=1>$"), quality=own, sensitivity=layers)
    drawn = pictures.draw(record(dataclasses.replace(FP32, quality=own), outcome, of=model(names)))
    for svg in drawn.values():
        tags = {node.tag.split("}")[1] for node in ElementTree.fromstring(svg).iter()}
        assert tags <= {"svg", "title", "desc", "defs", "style", "g", "path", "use", "text", "clipPath", "rect"}
    assert {"a$b$", "<script>", "]]>&amp;", "感情"} <= set(texts(drawn["classes.svg"]))
    assert all("/" not in name and name.isascii() for name in drawn) and "sensitivity-svg-onload-1.svg" in drawn


def test_variants_whose_names_differ_in_marks_only_keep_apart() -> None:
    own = [dataclasses.replace(FP32, kind=kind(name)) for name in ("fp 32", "fp/32", "..")]
    files = [picture.file for picture in pictures.planned(record(*own)) if picture.kind == "reliability"]
    assert files == ["reliability-fp-32.svg", "reliability-fp-32-2.svg", "reliability-variant-3.svg"]


@pytest.mark.parametrize(
    "made",
    [
        record(dataclasses.replace(FP32, latency=None)),
        record(dataclasses.replace(FP32, quality=None)),
        record(FP32, dataclasses.replace(INT8, quality=None, latency=None, findings=GOOD)),
        record(dataclasses.replace(INT8, quality=dataclasses.replace(quality(FACES), reliability=Reliability((), (), (), float("nan"))))),
        record(dataclasses.replace(REFUSED, sensitivity=[Layer("head", "Gemm", float("inf"))], quality=None, latency=None)),
        record(),
    ],
    ids=["no latency", "no quality", "some unmeasured", "no bins", "infinite error", "no variant"],
)
def test_what_was_not_measured_is_left_out(made: Record) -> None:
    drawn = pictures.draw(made)
    assert list(drawn) == [picture.file for picture in pictures.planned(made)]
    for svg in drawn.values():
        ElementTree.fromstring(svg)
    assert "none" not in str(drawn).lower().replace("fill: none", "").replace("linestyle: none", "")


def test_a_conversation_pack_shows_perplexity_and_speed() -> None:
    def one(name: str, size: int, perplexity: float, speed: float) -> Variant:
        figures = (Figure("perplexity", perplexity), Figure("decode_tok_s", speed))
        return Variant(name, name, "q8_0", "published", size, figures=figures)

    made = Record("smollm2", "llama", "dialogue", "MIT", (), "c", (one("q8_0", 144_000_000, 20.1, 145), one("q4_0", 91_000_000, 20.9, 184)))
    drawn = pictures.draw(made)
    assert list(drawn) == ["tradeoff.svg"]
    assert {"q8_0", "q4_0", "perplexity (lower is better)", "tokens a second (higher is better)"} <= set(texts(drawn["tradeoff.svg"]))


def test_inline_pictures_take_the_colours_of_the_page_and_share_no_id() -> None:
    shown = [pictures.inline(svg) for svg in pictures.draw(faces()).values()]
    ids = [name for text in shown for name in re.findall(r' id="([^"]+)"', text)]
    assert len(ids) == len(set(ids)) > 0
    used = {name for text in shown for name in re.findall(r'(?:href="#|url\(#)([^")]+)', text)}
    assert used == set(ids)
    for text in shown:
        assert text.startswith("<svg") and "http" not in text and "<style" not in text and "<!DOCTYPE" not in text
        assert 'role="img"' in text and "<title>" in text and "<desc>" in text
        assert "var(--ink)" in text and pictures.INK not in text and pictures.PAPER not in text
