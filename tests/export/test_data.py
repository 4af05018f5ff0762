"""Labelled data: read and preprocessed as the runtime does it, split the same way each time, and refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import affectrt
import numpy as np
import pytest
from affectrt.evaluate import Images, Texts, evaluate_images, evaluate_texts
from affectrt_export import data, measure, reference
from affectrt_export.spec import Contract, Examples, ExportError
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

PACKS = Path(__file__).resolve().parents[2] / "python" / "affectrt" / "packs" / "default"
RNG = np.random.default_rng(5)
SENTENCES = (
    "I finally passed the exam!",
    "The train leaves at half past nine.",
    "Stop it, this noise drives me mad.",
    "I miss her so much, " * 40,
    "thanks",
    "what a lovely surprise, who would have thought",
)


def contract_of(pack: str, **decode: Any) -> Contract:
    content = json.loads((PACKS / pack / "pack.json").read_text(encoding="utf-8"))
    files = {"tokenizer.json": (PACKS / pack / "tokenizer.json").read_bytes()} if content["task"] == "text-emotion" else {}
    return Contract(content["task"], content["inputs"], content["outputs"], {**content["decode"], **decode}, content["labels"], files)


FACES, TEXTS = contract_of("xception-fer7"), contract_of("minilm-goemotions")


def pictures(count: int, truth: list[int] | None = None, labels: tuple[str, ...] = FACES.names) -> Images:
    images = np.random.default_rng(1).integers(0, 256, (count, 48, 48), dtype=np.uint8)
    return Images(lambda i: images[i], tuple(truth or [i % len(labels) for i in range(count)]), labels)


def of_truth(truth: np.ndarray, name: str = "made up") -> Examples:
    return Examples(name, data.Lazy(len(truth), lambda i: {"x": np.full((1, 1), i, np.float32)}), truth.astype(bool))


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize(("color", "channels"), [("gray", 1), ("rgb", 3), ("bgr", 3)])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 11), (64, 64), (97, 40)])
def test_the_quick_path_is_the_reference_to_the_bit(fit: str, layout: str, color: str, channels: int, height: int, width: int) -> None:
    spec = {"fit": fit, "layout": layout, "color": color, "width_px": 64, "height_px": 48}
    spec |= {"mean": [120.0, 110.0, 99.5][:channels], "scale": [0.01, 0.02, 0.017][:channels], "pad_value": [7.0, 8.0, 9.0][:channels]}
    for encoding, shape in (("mono8", (height, width)), ("rgb8", (height, width, 3)), ("bgr8", (height, width, 3))):
        image = RNG.integers(0, 256, shape, dtype=np.uint8)
        np.testing.assert_array_equal(data.Cut(height, width, spec)(image, encoding), reference.image_tensor(image, encoding, spec))


def test_a_gray_picture_of_the_tensors_own_size_is_taken_as_it_is() -> None:
    image = RNG.integers(0, 256, (64, 64), dtype=np.uint8)
    (feeds,) = data.examples(FACES, Images(lambda i: image, (0, 1), ("angry", "happy")), "two").feeds[:1]
    assert np.allclose(feeds["image"][0, 0], (image - 127.5) / 127.5, atol=1e-6)


def test_texts_are_read_as_the_runtime_reads_them() -> None:
    examples = data.examples(TEXTS, Texts(SENTENCES, ((0,), (27,), (2, 3), (9, 25), (15,), (26,)), TEXTS.names), "six")
    lengths = [feeds["input_ids"].shape[1] for feeds in examples.feeds]
    assert max(lengths) == 128 and min(lengths) == 3 and examples.name == "six (6)"
    logits = measure.run((PACKS / "minilm-goemotions" / "model.int8.onnx").read_bytes(), examples.feeds, TEXTS.output)
    seen = affectrt.TextEmotion()(list(SENTENCES))
    np.testing.assert_allclose(measure.probabilities(TEXTS, logits), [one.probs for one in seen], atol=1e-6)


def test_quality_is_what_affectrt_eval_says() -> None:
    texts = Texts(SENTENCES, ((0,), (27,), (2, 3), (9, 25), (15,), ()), TEXTS.names)
    examples = data.examples(TEXTS, texts, "six")
    logits = measure.run((PACKS / "minilm-goemotions" / "model.int8.onnx").read_bytes(), examples.feeds)
    assert measure.quality(TEXTS, logits, examples).scores == evaluate_texts(affectrt.TextEmotion(), texts)
    images = pictures(40)
    faces = data.examples(FACES, images, "noise")
    logits = measure.run((PACKS / "xception-fer7" / "model.fp32.onnx").read_bytes(), faces.feeds)
    assert measure.quality(FACES, logits, faces).scores == evaluate_images(affectrt.FaceExpression("xception-fer7"), images)


def test_labels_are_matched_by_name_and_may_be_fewer() -> None:
    examples = data.examples(FACES, pictures(4, [0, 1, 1, 0], ("happy", "angry")), "two classes")
    assert examples.truth.argmax(1).tolist() == [3, 0, 0, 3]
    assert data.without_examples(FACES, examples) == ("disgust", "fear", "sad", "surprise", "neutral")


def test_a_name_that_no_example_uses_need_not_be_known() -> None:
    examples = data.examples(FACES, pictures(4, [0, 1, 1, 0], ("happy", "angry", "bored")), "two classes")
    assert examples.truth.sum() == 4


@pytest.mark.parametrize(
    ("contract", "given", "words"),
    [
        (FACES, pictures(4, [0, 1, 2, 0], ("Happy", "angry", "bored")), ["labels that the model has not: Happy, bored", "may be 'happy'"]),
        (FACES, pictures(4, [3, 3, 3, 3]), ["every label of the 4 examples is 'happy'"]),
        (FACES, Images(lambda i: np.zeros((1, 1), np.uint8), (), FACES.names), ["no examples"]),
        (FACES, Texts(("a", "b"), ((0,), (1,)), FACES.names), ["the network takes image, the data is text"]),
        (TEXTS, Texts(("a", "b"), ((), ()), TEXTS.names), ["none of the 2 examples has a label"]),
        (TEXTS, Texts(("a", "b"), ((0,), (28,)), None), ["label index 28", "the model has 28 labels (0 to 27)"]),
        (TEXTS, pictures(2, [0, 1]), ["the network takes text, the data is pictures"]),
        (
            contract_of("minilm-goemotions", kind="softmax"),
            Texts(("a", "b", "c"), ((0,), (1, 2), ()), TEXTS.names),
            ["the model gives one label, 2 of 3 examples have none or several", "example 2 with 2"],
        ),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(contract: Contract, given: Images | Texts, words: list[str]) -> None:
    with pytest.raises(ExportError) as refusal:
        data.examples(contract, given, "mine")
    for word in words:
        assert word in str(refusal.value)


def test_a_file_is_read_by_its_suffix(tmp_path: Path) -> None:
    images = RNG.integers(0, 256, (3, 20, 30), dtype=np.uint8)
    np.savez(tmp_path / "faces.npz", images=images, labels=np.array([0, 1, 0]), label_names=np.array(["sad", "happy"]))
    faces = data.read(tmp_path / "faces.npz", FACES)
    assert faces.name == "faces (3)" and faces.truth.argmax(1).tolist() == [4, 3, 4]
    np.testing.assert_array_equal(faces.feeds[1]["image"], reference.image_tensor(images[1], "mono8", FACES.inputs[0]))

    (tmp_path / "labels.txt").write_text("joy\nfear\n", encoding="utf-8")
    (tmp_path / "texts.tsv").write_text("how nice\t0\tx\nhelp\t1,0\ty\n", encoding="utf-8")
    texts = data.read(tmp_path / "texts.tsv", TEXTS, name="mine")
    assert texts.name == "mine (2)" and texts.truth[1].nonzero()[0].tolist() == [14, 17]

    Image.fromarray(images[0]).save(tmp_path / "one.png")
    (tmp_path / "faces.csv").write_text("file,label\none.png,sad\none.png,happy\n", encoding="utf-8")
    feeds = data.read(tmp_path / "faces.csv", FACES).feeds[0]
    np.testing.assert_allclose(feeds["image"], reference.image_tensor(images[0], "mono8", FACES.inputs[0]), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("a.tsv", b"no label here\n", "label indices were expected"),
        ("a.npz", b"PK nothing", "damaged"),
        ("a.json", b"{}", ".tsv, .csv or .npz"),
    ],
)
def test_an_unreadable_file_is_refused(tmp_path: Path, name: str, content: bytes, word: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ExportError, match=word):
        data.read(tmp_path / name, TEXTS)
    with pytest.raises(ExportError, match="cannot be read"):
        data.read(tmp_path / "absent.tsv", TEXTS)


def test_groups_stay_with_their_examples(tmp_path: Path) -> None:
    rows = [(f"sentence {i}", i % 3, f"id{i}", "ada" if i % 2 else "ben") for i in range(24)]
    (tmp_path / "dev.tsv").write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    whole = data.read(tmp_path / "dev.tsv", TEXTS, group="4")
    parts = data.split(whole, count=6)
    told = {row[0]: row[3] for row in rows}
    for part in (parts.calibration, parts.evaluation):
        assert len(part.groups) == len(part) and [told[text] for text in part.texts] == list(part.groups)
    slices = measure.by_group(TEXTS, np.where(whole.truth, 9.0, -9.0).astype(np.float32), whole)
    assert slices is not None and [(one.group, one.examples, one.macro_f1) for one in slices.groups] == [("ada", 12, 1), ("ben", 12, 1)]
    assert measure.by_group(TEXTS, np.zeros(whole.truth.shape, np.float32), data.read(tmp_path / "dev.tsv", TEXTS)) is None
    with pytest.raises(ExportError, match="9 columns were expected, as the last is the group, got 4"):
        data.read(tmp_path / "dev.tsv", TEXTS, group="9")


def test_feeds_are_made_when_asked_for() -> None:
    asked: list[int] = []

    def load(index: int) -> np.ndarray:
        asked.append(index)
        return np.zeros((8, 8), np.uint8)

    examples = data.examples(FACES, Images(load, (0, 1, 2, 3), FACES.names), "lazy")
    part = data.take(examples, [3, 1])
    assert not asked
    part.feeds[0], part.feeds[-1], examples.feeds[1:3][0]
    assert asked == [3, 1, 1] and part.truth.argmax(1).tolist() == [3, 1]
    with pytest.raises(IndexError):
        part.feeds[2]


@settings(max_examples=40)
@given(st.integers(8, 300), st.integers(1, 400), st.integers(2, 9), st.booleans(), st.integers(0, 3))
def test_a_split_holds_every_example_once_and_every_class_twice(n: int, count: int, labels: int, several: bool, seed: int) -> None:
    rng = np.random.default_rng(n)
    truth = np.eye(labels, dtype=bool)[rng.choice(labels, n, p=rng.dirichlet(np.ones(labels)))]
    if several:
        truth |= rng.random(truth.shape) < 0.1
    whole = of_truth(truth)
    made = data.split(whole, count=count, seed=seed)
    numbers = [[int(feeds["x"][0, 0]) for feeds in part.feeds] for part in (made.calibration, made.evaluation)]
    assert sorted(numbers[0] + numbers[1]) == list(range(n))
    assert 0 < len(numbers[0]) <= min(count, n // 4)
    assert "No calibration data was given" in made.note and str(len(numbers[0])) in made.note
    for part, rows in zip((made.calibration, made.evaluation), numbers, strict=True):
        np.testing.assert_array_equal(part.truth, truth[rows])
    there = truth.any(0)
    assert made.evaluation.truth.any(0)[there].all(), "a class that can be judged stays one"
    again = data.split(whole, count=count, seed=seed)
    assert [int(feeds["x"][0, 0]) for feeds in again.calibration.feeds] == numbers[0]


def test_a_split_keeps_proportions_and_rare_classes() -> None:
    truth = np.eye(4, dtype=bool)[[0] * 600 + [1] * 300 + [2] * 98 + [3] * 2]
    made = data.split(of_truth(truth), count=100)
    assert made.calibration.truth.sum(0).tolist() == [59, 30, 10, 1]
    other = data.split(of_truth(truth), count=100, seed=1)
    assert [f["x"] for f in other.calibration.feeds] != [f["x"] for f in made.calibration.feeds]


def test_calibration_data_of_ones_own_leaves_the_evaluation_whole() -> None:
    truth = np.eye(3, dtype=bool)[np.arange(90) % 3]
    made = data.split(of_truth(truth), of_truth(truth[:60], "training"), count=30)
    assert len(made.evaluation) == 90 and made.note == ""
    assert made.calibration.truth.sum(0).tolist() == [10, 10, 10] and made.calibration.name == "training, 30 for calibration"
    with pytest.raises(ExportError, match="too few"):
        data.split(of_truth(truth[:3]))


def answers(truth: np.ndarray, right: float, seed: int = 0) -> np.ndarray:
    """Logits of a network that answers so large a share right and the rest by chance."""
    rng = np.random.default_rng(1000 + seed)
    guess = np.eye(truth.shape[1])[rng.integers(0, truth.shape[1], len(truth))]
    logits = np.where(rng.random(len(truth))[:, None] < right, truth, guess) * 3 + rng.normal(size=truth.shape)
    return np.asarray(logits, np.float32)


def test_labels_in_another_order_are_found_out() -> None:
    truth = np.eye(7, dtype=bool)[np.random.default_rng(0).integers(0, 7, 600)]
    logits = answers(truth, 0.6)
    assert data.check_labels(FACES, logits, of_truth(truth)) == ""
    mixed = truth[:, [0, 1, 2, 4, 3, 5, 6]]  # the data calls happy what the network calls sad
    with pytest.raises(ExportError) as refusal:
        data.check_labels(FACES, logits, of_truth(mixed, "mixed"))
    assert "mixed: the labels seem mixed up" in str(refusal.value)
    assert "happy -> sad, sad -> happy (data -> network)" in str(refusal.value)
    with pytest.raises(ExportError, match="angry -> fear, disgust -> angry, fear -> disgust "):
        data.check_labels(FACES, logits, of_truth(truth[:, [2, 0, 1, 3, 4, 5, 6]]))


def test_several_labels_in_another_order_are_found_out() -> None:
    rng = np.random.default_rng(2)
    truth = rng.random((1500, 28)) < 0.06
    truth[~truth.any(1), 27] = True
    logits = np.asarray(truth * 2.5 - 3 + rng.normal(size=truth.shape), np.float32)
    assert data.check_labels(TEXTS, logits, of_truth(truth)) == ""
    swapped = np.arange(28)
    swapped[[3, 20]] = [20, 3]
    with pytest.raises(ExportError, match=r"annoyance -> optimism, optimism -> annoyance"):
        data.check_labels(TEXTS, logits, of_truth(truth[:, swapped]))


def test_labels_that_mean_the_contrary_are_found_out() -> None:
    rng = np.random.default_rng(2)
    truth = rng.random((800, 28)) < 0.3
    logits = np.asarray(truth * -2.0 + rng.normal(size=truth.shape), np.float32)
    with pytest.raises(ExportError, match="worse than guessing"):
        data.check_labels(TEXTS, logits, of_truth(truth))


def test_labels_of_other_rows_are_told_of_and_no_false_alarm_is_raised() -> None:
    told = 0
    for seed in range(20):
        truth = np.eye(7, dtype=bool)[np.random.default_rng(seed).integers(0, 7, 120)]
        assert data.check_labels(FACES, answers(truth, 0.4, seed), of_truth(truth)) == ""
        told += "hardly better than guessing" in data.check_labels(FACES, answers(np.roll(truth, 1, 0), 0.6, seed), of_truth(truth))
    assert told == 20
