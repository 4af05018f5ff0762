"""Sentence classifiers of every kind: the ONNX answers as transformers does, and no padding of a batch changes a row of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import checkpoints
import numpy as np
import onnx
import pytest
from affectrt_export import checks, families, runner
from affectrt_export.families import encoder
from affectrt_export.parity import parity
from affectrt_export.spec import Bounds, ExportError, Feeds, Model
from tokenizers import Tokenizer

TEXTS = ("I finally passed the exam!", "noise", "it drives me mad", "the train leaves at nine so happy I passed the exam", "")
TIGHT = Bounds(parity_max=1e-5, parity_mean=1e-6, parity_cosine=0.999999)
KINDS = ("bert", "roberta", "xlm-roberta", "distilbert", "minilm")


@pytest.fixture(scope="module", params=KINDS)
def read(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    return families.read(checkpoints.encoder(tmp_path_factory.mktemp("hub") / request.param, request.param))


def feeds_of(model: Model) -> list[Feeds]:
    """As the runtime feeds one text."""
    tokenizer = Tokenizer.from_str(model.contract.files["tokenizer.json"].decode())
    out = []
    for text in TEXTS:
        ids = np.array([tokenizer.encode(text).ids], np.int64)
        out.append({"input_ids": ids, "attention_mask": np.ones_like(ids)})
    assert len({feed["input_ids"].shape for feed in out}) > 2, "lengths that are all the same would prove nothing"
    return out


def padded(feeds: list[Feeds], filler: int) -> Feeds:
    """As the runtime makes a batch: padded on the right to the longest, mask 0."""
    width = max(feed["input_ids"].shape[1] for feed in feeds) + 1
    ids = np.full((len(feeds), width), filler, np.int64)
    mask = np.zeros_like(ids)
    for row, feed in enumerate(feeds):
        length = feed["input_ids"].shape[1]
        ids[row, :length], mask[row, :length] = feed["input_ids"][0], 1
    return {"input_ids": ids, "attention_mask": mask}


def test_the_onnx_answers_as_transformers_does_whatever_the_padding(read: Model) -> None:
    feeds = feeds_of(read)
    assert read.family == "encoder" and not read.convolutional and read.contract.names == checkpoints.LABELS
    found = parity(read, feeds, TIGHT)
    assert len(found) == 3 and all(finding.passed for finding in found), found
    network = runner.Onnx(read.onnx)
    single = np.concatenate([network(feed)["logits"] for feed in feeds])
    assert single.std(0).min() > 1e-3, "outputs that do not depend on the text would prove nothing"
    # 0 is what the runtime pads with; in RoBERTa's vocabulary it is a word, and its own pad is 1.
    for filler in (0, 1, checkpoints.ROWS - 1):
        np.testing.assert_allclose(network(padded(feeds, filler))["logits"], single, rtol=1e-4, atol=2e-6)
    assert read.reference is not None
    np.testing.assert_allclose(read.reference(padded(feeds, 0))["logits"], single, rtol=1e-4, atol=2e-6)


def test_every_layer_is_named_and_no_bias_is_shared(read: Model) -> None:
    graph = onnx.load_from_string(read.onnx).graph
    names = [node.name for node in graph.node]
    assert all(names) and len(set(names)) == len(names)
    # Of a name that comes twice (two products of an attention, ALBERT's layers, which are one that runs twice) the second ends in ".2".
    assert sum("layer" in name.lower() and re.search(r"/MatMul(\.\d+)?$", name) is not None for name in names) >= 12
    vectors = {tensor.name for tensor in graph.initializer if len(tensor.dims) < 2 and tensor.data_type == onnx.TensorProto.FLOAT}
    readers = [name for node in graph.node for name in node.input if name in vectors]
    assert len(readers) == len(set(readers))
    assert not any(node.metadata_props or node.doc_string for node in graph.node)
    assert str(Path(__file__).parents[2]).encode() not in read.onnx and b"site-packages" not in read.onnx


def test_the_tokenizer_comes_without_padding_and_truncation(read: Model) -> None:
    content = json.loads(read.contract.files["tokenizer.json"])
    assert content["padding"] is None and content["truncation"] is None
    assert read.contract.inputs[0]["tokenizer"] == "tokenizer.json"


@pytest.fixture
def unwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the ONNX file, which takes seconds and is not what these tests look at."""
    monkeypatch.setattr(encoder, "export_network", lambda *_: b"")
    monkeypatch.setattr(checks, "check_network", lambda *_: None)


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.encoder(tmp_path_factory.mktemp("hub") / "roberta", "roberta")


@pytest.fixture
def folder(roberta: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    copy = tmp_path / "model"
    copy.mkdir()
    for file in roberta.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return copy


def test_reading_twice_gives_the_same_bytes(folder: Path, roberta: Path) -> None:
    one, two = families.read(folder), families.read(roberta)
    assert one.onnx == two.onnx and one.contract == two.contract
    assert [entry["sha256"] for entry in one.source] == [entry["sha256"] for entry in two.source]


@pytest.mark.usefixtures("unwritten")
def test_positions_end_where_the_network_has_none(roberta: Path) -> None:
    # 42 places, of which those up to the pad id (1) are never used.
    assert families.read(roberta).contract.inputs[0]["max_tokens"] == 40
    with pytest.raises(ExportError, match=r"at most 40 was expected.*got 41"):
        families.read(roberta, options=families.Options(max_tokens=41))


@pytest.mark.usefixtures("unwritten")
@pytest.mark.parametrize(
    ("problem", "labels", "decode", "kind"),
    [
        ("multi_label_classification", ("joy", "anger"), {"kind": "sigmoid", "thresholds": [0.5, 0.5]}, "logits"),
        ("single_label_classification", ("joy", "anger"), {"kind": "softmax", "thresholds": []}, "logits"),
        ("regression", ("valence", "arousal", "dominance"), {"kind": "identity", "thresholds": []}, "probabilities"),
        (None, ("Valence",), {"kind": "identity", "thresholds": []}, "probabilities"),
    ],
)
def test_what_kind_of_answer(tmp_path: Path, problem: str | None, labels: tuple[str, ...], decode: dict[str, Any], kind: str) -> None:
    read = families.read(checkpoints.encoder(tmp_path / "m", "distilbert", labels=labels, problem=problem))
    assert decode.items() <= read.contract.decode.items() and read.contract.outputs[0]["kind"] == kind
    assert read.contract.names == labels and read.contract.outputs[0]["shape"] == [-1, len(labels)]
    assert read.contract.multi_label == (decode["kind"] == "sigmoid")
    if kind == "probabilities":
        assert (read.contract.labels[0]["valence"], read.contract.labels[0]["arousal"]) == (1.0, 0.0) and not read.notes


def test_a_vocabulary_that_the_table_has_no_rows_for(folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_tokens([f"extra{i}" for i in range(checkpoints.ROWS)])
    tokenizer.save(str(folder / "tokenizer.json"))
    with pytest.raises(ExportError, match=r"wrong tokenizer: it gives ids up to \d+ \('extra63'\), .* has 64 rows"):
        families.read(folder)


@pytest.mark.parametrize(
    ("config", "settings", "words"),
    [
        ({"pad_token_id": 0}, {}, "its pad token '<pad>' has id 1, config.json says 0"),
        ({}, {"cls_token": "[CLS]"}, r"has not the special tokens .* cls '\[CLS\]'"),
        ({"cls_token_id": 9}, {}, "its cls token '<s>' has id 2, config.json says 9"),
        ({}, {"cls_token": {"content": "</s>"}, "do_lower_case": True}, "begin with '</s>' .3., it begins with 2"),
        ({}, {"do_lower_case": False}, "lowercase True, tokenizer_config.json says do_lower_case False"),
        ({"problem_type": "ranking"}, {}, "problem_type of .* was expected, got 'ranking'"),
        ({"id2label": {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}}, {}, "placeholders for labels .* labels file"),
        ({"id2label": {"0": "joy", "1": "joy", "2": "fear"}}, {}, "every label was expected once.*joy"),
        ({"id2label": {"0": "joy", "1": "unknown", "2": "fear"}}, {}, "a label named unknown"),
        ({"id2label": {"0": "joy", "1": "", "2": "fear"}}, {}, "to have a name"),
        ({"id2label": {"0": "joy", "2": "a", "3": "fear"}}, {}, "count from 0 to 2"),
    ],
)
def test_what_does_not_agree_is_refused(folder: Path, config: dict[str, Any], settings: dict[str, Any], words: str) -> None:
    checkpoints.edit(folder / "config.json", **config)
    checkpoints.edit(folder / "tokenizer_config.json", **settings)
    with pytest.raises(ExportError, match=words):
        families.read(folder)


def test_no_labels(tmp_path: Path) -> None:
    folder = checkpoints.encoder(tmp_path / "m", "distilbert", labels=("a", "b"))
    checkpoints.edit(folder / "config.json", id2label=None)
    with pytest.raises(ExportError, match=r"names no labels \(id2label\) of its 2 outputs; name them in a labels file"):
        families.read(folder)


def test_a_pad_id_beyond_the_table(folder: Path) -> None:
    from affectrt_export.families import tokenizer

    with pytest.raises(ExportError, match="pad_token_id 64 was expected to be one of the 64 rows"):
        tokenizer.check((folder / "tokenizer.json").read_bytes(), 64, {"pad_token_id": 64}, {})


def test_no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ExportError, match=r"tokenizer.json was expected in model.*there are none"):
        families.read(folder)


def test_a_tokenizer_of_another_kind_of_file(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(ExportError, match=r"tokenizer.json: a tokenizer was expected"):
        families.read(folder)


@pytest.mark.usefixtures("unwritten")
def test_a_slow_tokenizer_is_converted(tmp_path: Path) -> None:
    folder = checkpoints.encoder(tmp_path / "m", "distilbert")
    whole = families.read(folder)
    vocabulary = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab()
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=lambda word: vocabulary[word])))
    checkpoints.edit(folder / "tokenizer_config.json", tokenizer_class="BertTokenizer", do_lower_case=True)
    made = Tokenizer.from_str(families.read(folder).contract.files["tokenizer.json"].decode())
    before = Tokenizer.from_str(whole.contract.files["tokenizer.json"].decode())
    for text in TEXTS:
        assert made.encode(text).ids == before.encode(text).ids


def test_weights_that_are_not_numbers_are_named(folder: Path) -> None:
    name = "roberta.encoder.layer.1.output.dense.weight"
    checkpoints.spoil(folder / "model.safetensors", name, float("nan"))
    with pytest.raises(ExportError, match=rf"finite weights were expected.*{name} \(1 NaN, 0 infinite"):
        families.read(folder)


def test_a_classifier_that_nobody_trained(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = {name: value for name, value in load_file(folder / "model.safetensors").items() if not name.startswith("classifier")}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ExportError, match=r"none that fit for classifier.*fine-tuned"):
        families.read(folder)


def test_weights_of_other_shapes(folder: Path) -> None:
    checkpoints.edit(folder / "config.json", intermediate_size=48)
    with pytest.raises(ExportError, match=r"cannot load it|none that fit"):
        families.read(folder)


@pytest.mark.usefixtures("unwritten")
def test_a_pickle_of_tensors_is_read_and_one_of_objects_is_not(folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    feed = {"input_ids": np.array([[2, 9, 8, 3]]), "attention_mask": np.ones((1, 4), np.int64)}
    before = families.read(folder).reference
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    after = families.read(folder).reference
    assert before is not None and after is not None
    np.testing.assert_array_equal(after(feed)["logits"], before(feed)["logits"])
    torch.save(torch.nn.Linear(2, 2), folder / "pytorch_model.bin")
    with pytest.raises(ExportError, match=r"pytorch_model.bin: a file of tensors was expected, it holds pickled Python objects"):
        families.read(folder)


def test_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ExportError, match=r"weights in model.safetensors were expected, there are none"):
        families.read(folder)


def test_a_text_model_is_no_face_model(folder: Path) -> None:
    with pytest.raises(ExportError, match="a model for text-emotion or text-pair, the task face-expression was asked for"):
        families.read(folder, options=families.Options(task="face-expression"))
