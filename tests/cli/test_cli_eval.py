"""`affectrt eval`: readers of labelled data, mapping by label name, and scores of the real packs on a few real examples."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from affectrt import evaluate
from affectrt.cli.media import read_image
from cli_tools import Done
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

Cli = Callable[..., Done]
NAMES = np.array(["neutral", "happy"])
CROPS = np.zeros((2, 4, 4), np.uint8)


@pytest.fixture
def crop(photo: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(photo[70:180, 172:282])


def test_pictures_and_labels_in_an_npz_are_mapped_by_name(cli: Cli, tmp_path: Path, crop: np.ndarray) -> None:
    # The pack's order has "happy" fourth; here it is the second of two names. One of the three is labelled wrong.
    np.savez(tmp_path / "faces.npz", images=np.stack([crop] * 3), labels=np.array([1, 1, 0]), label_names=NAMES)
    done = cli("eval", "xception-fer7", tmp_path / "faces.npz", "-o", "json")
    document = json.loads(done.out)
    assert done.code == 0 and document["accuracy"] == pytest.approx(2 / 3)
    scores = {one["label"]: one for one in document["classes"]}
    assert scores["happy"]["precision"] == pytest.approx(2 / 3) and scores["happy"]["recall"] == 1
    assert scores["neutral"]["support"] == 1 and scores["neutral"]["recall"] == 0
    happy, neutral = document["labels"].index("happy"), document["labels"].index("neutral")
    assert document["confusion"][neutral][happy] == 1 and document["confusion"][happy][happy] == 2


def test_a_list_of_files(cli: Cli, tmp_path: Path, crop: np.ndarray) -> None:
    (tmp_path / "faces").mkdir()
    Image.fromarray(crop).save(tmp_path / "faces" / "a.png")
    Image.fromarray(crop).convert("L").save(tmp_path / "faces" / "b, with comma.png")
    (tmp_path / "list.csv").write_text('file,label\nfaces/a.png,happy\n"faces/b, with comma.png",happy\n')
    document = json.loads(cli("eval", "xception-fer7", tmp_path / "list.csv", "-o", "json").out)
    assert document["examples"] == 2 and document["accuracy"] == 1


def test_tables_hold_every_class_and_the_averages(cli: Cli, tmp_path: Path, crop: np.ndarray) -> None:
    np.savez(tmp_path / "faces.npz", images=crop[None], labels=np.array([1]), label_names=NAMES)
    done = cli("eval", "xception-fer7", tmp_path / "faces.npz", "-o", "csv")
    assert [line.split(",")[0] for line in done.out.splitlines()][-3:] == ["neutral", "(macro)", "(micro)"]
    assert "accuracy 1.0000" in cli("eval", "xception-fer7", tmp_path / "faces.npz").out


def test_sentences(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("gratitude\nanger\nneutral\n")
    (tmp_path / "dev.tsv").write_text("Thank you so much for your help!\t0\tid1\nThank you, I am grateful.\t0\tid2\n")
    document = json.loads(cli("eval", "minilm-goemotions", tmp_path / "dev.tsv", "-o", "json").out)
    scores = {one["label"]: one for one in document["classes"]}
    assert document["multi_label"] and len(scores) == 28
    assert scores["gratitude"]["support"] == 2 and scores["gratitude"]["recall"] == 1


def test_tsv_reads_every_kind_of_line(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("a b\t0,2\tid\r\nünï\t1\n\nno id\t2\t\n", encoding="utf-8")
    data = evaluate.read_tsv(tmp_path / "x.tsv")
    assert data.texts == ("a b", "ünï", "no id") and data.truth == ((0, 2), (1,), (2,)) and data.labels is None


def test_label_sets_that_differ_are_named() -> None:
    with pytest.raises(ValueError, match=r"labels that the pack has not: joy; the pack's labels that the data has not: happy, sad"):
        evaluate.match_labels(["joy", "neutral"], ["happy", "neutral", "sad"])
    assert evaluate.match_labels(["sad", "happy"], ["happy", "neutral", "sad"]) == [2, 0]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.tsv", b"text without a tab\n", "x.tsv:1: text, tab, comma-separated"),
        ("x.tsv", b"text\tjoy\n", "x.tsv:1: text, tab, comma-separated"),
        ("x.tsv", b"ok\t1\nbad\t-1\n", "x.tsv:2: label indices from 0"),
        ("x.tsv", b"\xff\xfe\t1\n", "x.tsv:1: UTF-8 was expected"),
        ("x.tsv", b"", "no lines"),
        ("x.csv", b"file,label\nmissing.png,happy\n", "x.csv:2: no such file"),
        ("x.csv", b"only-one-cell\n", "x.csv:1: file,label was expected"),
        ("x.csv", b"file,label\n", "no lines"),
        ("x.csv", b"\n\nfile,label\n\n\nmissing.png,happy\n", "x.csv:6: no such file"),
        ("x.csv", b"file,label\n\nonly-one-cell\n", "x.csv:3: file,label was expected"),
        ("x.npz", b"PK\x03\x04 garbage", "x.npz"),
        ("x.npz", b"PK", "x.npz"),
        ("x.npz", b"no zip at all", "x.npz"),
        ("x.json", b"{}", "a .tsv, .csv or .npz file was expected"),
    ],
)
def test_data_that_does_not_fit(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError) as error:
        evaluate.read_data(tmp_path / name, read_image)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"images": np.zeros((2, 4, 4), np.uint8)}, "labels, label_names missing"),
        ({"images": np.zeros((2, 4, 4), np.float32), "labels": np.zeros(2, int), "label_names": NAMES}, "uint8"),
        ({"images": np.zeros((2, 4, 4), np.uint8), "labels": np.zeros(3, int), "label_names": NAMES}, r"\(2,\) were expected"),
        ({"images": np.zeros((2, 4, 4), np.uint8), "labels": np.array([0, 2]), "label_names": NAMES}, "from 0 to 1"),
        ({"images": np.zeros((0, 4, 4), np.uint8), "labels": np.zeros(0, int), "label_names": NAMES}, "no examples"),
        ({"images": np.array([{}], object), "labels": np.zeros(1, int), "label_names": NAMES}, "images: an array of plain numbers"),
        ({"images": CROPS, "labels": np.zeros(2, int), "label_names": np.array([{}], object)}, "label_names: an array of plain .*strings"),
        ({"images": CROPS, "labels": np.zeros(2, int), "label_names": np.array("happy")}, r"label_names of strings \(C,\) .* got <U5 \(\)"),
        ({"images": CROPS, "labels": np.zeros(2, int), "label_names": np.arange(2)}, "label_names of strings"),
        ({"images": np.zeros((2, 0, 4), np.uint8), "labels": np.zeros(2, int), "label_names": NAMES}, r"got uint8 \(2, 0, 4\)"),
        ({"images": np.zeros((2, 4, 0, 3), np.uint8), "labels": np.zeros(2, int), "label_names": NAMES}, r"got uint8 \(2, 4, 0, 3\)"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, arrays: dict[str, np.ndarray], said: str) -> None:
    np.savez(tmp_path / "x.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=said) as error:
        evaluate.read_npz(tmp_path / "x.npz")
    assert str(error.value).startswith(str(tmp_path / "x.npz")) and "allow_pickle" not in str(error.value)


@given(data=st.data())
def test_a_damaged_npz_gives_a_value_error_or_an_array(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    content = io.BytesIO()
    np.savez_compressed(content, images=CROPS, labels=np.array([0, 1]), label_names=NAMES)
    damaged = bytearray(content.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    try:
        assert len(evaluate.read_npz(path)) > 0
    except ValueError as error:
        assert str(error).startswith(str(path)) and "allow_pickle" not in str(error)


def test_groups_of_pictures(cli: Cli, tmp_path: Path, crop: np.ndarray) -> None:
    arrays = {"images": np.stack([crop] * 5), "labels": np.array([1, 1, 0, 1, 0]), "label_names": NAMES}
    np.savez(tmp_path / "faces.npz", **arrays, group=np.array(["old", "young", "young", "old", " "]))
    document = json.loads(cli("eval", "xception-fer7", tmp_path / "faces.npz", "-o", "json", "--least-group", "2").out)
    slices = document["slices"]
    assert [(one["group"], one["examples"], one["small"]) for one in slices["groups"]] == [
        ("(none)", 1, True),
        ("old", 2, False),
        ("young", 2, False),
    ]
    assert [one["accuracy"] for one in slices["groups"]] == [0, 1, 0.5]
    assert slices["accuracy_gap"] == {"best": "old", "worst": "young", "difference": 0.5} and slices["least"] == 2
    # happy: given twice, once right; neutral: never given. (2/3 + 0) / 2
    assert slices["groups"][2]["macro_f1"] == pytest.approx(1 / 3)
    shown = cli("eval", "xception-fer7", tmp_path / "faces.npz", "--least-group", "2").out
    assert (
        "accuracy: young is worst, 0.5000 under old" in shown and "(none)        1  0.0000  0.0000  under 2 examples: not compared" in shown
    )
    assert "fewer than two groups of 30 examples: no gap" in cli("eval", "xception-fer7", tmp_path / "faces.npz").out
    np.savez(tmp_path / "ages.npz", **arrays, age=np.array([3, 80, 80, 3, 3]))
    document = json.loads(cli("eval", "xception-fer7", tmp_path / "ages.npz", "-o", "json", "--group", "age", "--limit", "3").out)
    assert [(one["group"], one["examples"]) for one in document["slices"]["groups"]] == [("3", 1), ("80", 2)]
    assert json.loads(cli("eval", "xception-fer7", tmp_path / "ages.npz", "-o", "json").out)["slices"] is None


def test_groups_of_a_list_of_files_and_of_sentences(cli: Cli, tmp_path: Path, crop: np.ndarray) -> None:
    Image.fromarray(crop).save(tmp_path / "a.png")
    (tmp_path / "list.csv").write_text("file,label,note,group,light\na.png,happy,x,ada,day\na.png,happy,x,ben,\n")
    assert evaluate.read_csv(tmp_path / "list.csv", read_image).groups == ("ada", "ben")
    assert evaluate.read_csv(tmp_path / "list.csv", read_image, "light").groups == ("day", "(none)")
    (tmp_path / "plain.csv").write_text("a.png,happy,ada\n")
    assert evaluate.read_csv(tmp_path / "plain.csv", read_image).groups is None
    (tmp_path / "dev.tsv").write_text("Thank you so much!\t0\tid1\twoman\nThank you!\t0\tid2\tman\n")
    (tmp_path / "labels.txt").write_text("gratitude\n")
    document = json.loads(cli("eval", "minilm-goemotions", tmp_path / "dev.tsv", "--group", "4", "--least-group", "1", "-o", "json").out)
    assert [(one["group"], one["accuracy"]) for one in document["slices"]["groups"]] == [("man", 1), ("woman", 1)]
    assert evaluate.read_tsv(tmp_path / "dev.tsv").groups is None


@pytest.mark.parametrize(
    ("name", "content", "group", "said"),
    [
        ("x.tsv", b"a\t0\tid\n", "4", "x.tsv:1: 4 columns were expected, as the last is the group, got 3"),
        ("x.tsv", b"a\t0\tid\n", "woman", "x.tsv: a .tsv has no head line: the number of a column from 3 on"),
        ("x.tsv", b"a\t0\tid\n", "1", "x.tsv: a .tsv has no head line: the number of a column from 3 on"),
        ("x.csv", b"file,label,age\nx.csv,happy,3\n", "sex", "x.csv: a column 'sex' was expected in the head line, got file, label, age"),
        ("x.csv", b"x.csv,happy,3\n", "age", "x.csv:1: a head line file,label,...,age was expected"),
        ("x.csv", b"file,label,age\nx.csv,happy\n", "age", "x.csv:2: 3 cells were expected, as the last is the group, got 2"),
        ("x.csv", b"file,label,age\nx.csv,happy,3\n", "label", "x.csv: a column 'label' was expected"),
    ],
)
def test_groups_that_are_not_there(tmp_path: Path, name: str, content: bytes, group: str, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError) as error:
        evaluate.read_data(tmp_path / name, read_image, group=group)
    assert said in str(error.value)


@pytest.mark.parametrize("groups", [np.array(["a"]), np.array([0.5, 1.5]), np.array([["a", "b"]]), np.array([True, False])])
def test_arrays_that_are_no_groups(tmp_path: Path, groups: np.ndarray) -> None:
    np.savez(tmp_path / "x.npz", images=CROPS, labels=np.array([0, 1]), label_names=NAMES, group=groups)
    with pytest.raises(ValueError, match=r"group of strings or integers \(2,\) was expected"):
        evaluate.read_npz(tmp_path / "x.npz")
    with pytest.raises(ValueError, match="arrays images, labels, label_names and sex were expected, sex missing"):
        evaluate.read_npz(tmp_path / "x.npz", "sex")


def test_the_wrong_kind_of_pack_or_data(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("a\t0\n")
    done = cli("eval", "blazeface-full-range", tmp_path / "x.tsv")
    assert done.code == 1 and "a pack for text-emotion or face-expression was expected" in done.err
    done = cli("eval", "xception-fer7", tmp_path / "x.tsv")
    assert done.code == 1 and "this data is text" in done.err
