"""Packs of question-answering heads and of pair classifiers: made by the export, held against PyTorch, and decoded as brute force does.

No published checkpoint can be had here: the networks are small and drawn, their classes, files and tokenizers are the real ones.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import affectrt as art
import cause_models
import checkpoints
import numpy as np
import pytest
import torch
import transformers
from affectrt.dialogue.cause import EntailmentNetwork, Quote, SpanNetwork, cause_question, extract
from affectrt.errors import PackError
from affectrt.packs.write import npy_bytes
from affectrt.verify import FAILED, PASSED, verify
from affectrt_export import data, families
from affectrt_export.spec import ExportError, Model
from cause_models import MAX_TOKENS, QUESTION, TALK
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

LONG = " ".join(TALK * 8)
SHORT = "why {emotion} ?"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Checkpoint and pack of each kind."""
    root = tmp_path_factory.mktemp("cause")
    spans, typed = (cause_models.checkpoint(root / kind, kind, "QuestionAnswering") for kind in ("roberta", "bert"))
    return {
        "roberta": (spans, cause_models.export(spans, root / "1", "--question", QUESTION, "--variants", "fp32,int8", "--threshold", "-2")),
        "bert": (typed, cause_models.export(typed, root / "2", "--question", SHORT, "--variants", "fp32")),
    }


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Checkpoint and pack of a pair classifier, judged on data that it is right about."""
    root = tmp_path_factory.mktemp("pair")
    folder = cause_models.checkpoint(root / "pairs", "roberta", "SequenceClassification")
    texts = [f"{emotion} <SEP> {a} <SEP> {b}" for emotion in ("joy", "anger", "fear") for a in TALK for b in TALK]
    logits = np.stack([by_torch_pair(folder, text) for text in texts])
    odds = logits[:, 1] - logits[:, 0]
    rows = [f"{text}\t{int(value > np.median(odds))}\tx{i}\n" for i, (text, value) in enumerate(zip(texts, odds, strict=True))]
    (root / "data.tsv").write_text("".join(rows), encoding="utf-8")
    more = ("--task", "text-pair", "--yes", "cause", "--variants", "fp32", "--data", str(root / "data.tsv"))
    return folder, cause_models.export(folder, root / "out", *more)


def by_torch(folder: Path, question: str, context: str, max_tokens: int, overlap: int) -> list[tuple[Any, np.ndarray]]:
    """Windows as the tokenizers library cuts them, and (T, 2) logits of each as transformers gives them, one by one."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens, stride=overlap, strategy="only_second")
    network = transformers.AutoModelForQuestionAnswering.from_pretrained(folder).eval()
    first = tokenizer.encode(question, context)
    out = []
    for window in (first, *first.overflowing):
        with torch.inference_mode():
            said = network(input_ids=torch.tensor([window.ids]), token_type_ids=torch.tensor([window.type_ids]))
        out.append((window, torch.stack([said.start_logits[0], said.end_logits[0]], -1).numpy()))
    return out


@functools.cache
def loaded(folder: Path) -> tuple[Tokenizer, Any]:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return tokenizer, transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()


def by_torch_pair(folder: Path, text: str) -> np.ndarray:
    tokenizer, network = loaded(folder)
    with torch.inference_mode():
        return network(input_ids=torch.tensor([tokenizer.encode(text).ids])).logits[0].numpy()


CASES = [
    ("roberta", QUESTION, TALK[1], 1),
    ("roberta", QUESTION, LONG, 4),
    ("bert", SHORT, "i finally passed the exam", 1),
    ("bert", SHORT, "i finally passed the exam so happy it drives me mad ! the train leaves at nine " * 6, 4),
]


@pytest.mark.parametrize(("kind", "template", "context", "least"), CASES)
def test_logits_of_every_window_are_those_of_pytorch(made, kind, template, context, least):
    folder, pack = made[kind]
    network = SpanNetwork(str(pack), precision="fp32")
    limit = network.pack.manifest["inputs"][0]["max_tokens"]
    question = cause_question(TALK[3], TALK[2], "joy", template=template)
    ours, theirs = network(question, context), by_torch(folder, question, context, limit, network.decode["overlap_tokens"])
    assert len(ours) == len(theirs) >= least
    assert limit == (MAX_TOKENS if kind == "roberta" else 40)
    for one, (window, logits) in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one.start_logits, logits[:, 0], atol=2e-5)
        np.testing.assert_allclose(one.end_logits, logits[:, 1], atol=2e-5)
        assert one.offsets.tolist() == [list(place) for place in window.offsets]
        assert one.allowed.tolist() == words_of(window, context)
    assert max(np.ptp(logits) for _, logits in theirs) > 0.1, "outputs that are all alike would prove nothing"


def words_of(window, context):
    """Which tokens are of the text, and not blank."""
    return [
        part == 1 and context[first:last].strip() != "" for part, (first, last) in zip(window.sequence_ids, window.offsets, strict=True)
    ]


def by_brute_force(windows, context, max_tokens):
    """Of all spans of all windows the best: exact score, place; and the least score of no answer."""
    best, null = None, min(Fraction(float(logits[0, 0])) + Fraction(float(logits[0, 1])) for _, logits in windows)
    for window, logits in windows:
        allowed = words_of(window, context)
        for start in range(len(logits)):
            for end in range(start, min(start + max_tokens, len(logits))):
                if allowed[start] and allowed[end]:
                    score = Fraction(float(logits[start, 0])) + Fraction(float(logits[end, 1]))
                    key = score, -window.offsets[start][0], -window.offsets[end][1]
                    best = max(best or key, key)
    return best[0] - null, -best[1], -best[2]


@pytest.mark.parametrize(("kind", "template", "context", "least"), CASES)
def test_the_answer_is_the_best_of_all_spans_of_pytorchs_logits(made, kind, template, context, least):
    folder, pack = made[kind]
    network = SpanNetwork(str(pack))
    limit, decode = network.pack.manifest["inputs"][0]["max_tokens"], network.decode
    question = cause_question(TALK[0], TALK[3], "joy", template=template)
    margin, start, end = by_brute_force(
        by_torch(folder, question, context, limit, decode["overlap_tokens"]), context, decode["max_answer_tokens"]
    )
    found = extract(network, question, context, max_tokens=decode["max_answer_tokens"], threshold=float(margin) - 0.01)
    assert found == (Quote(context[start:end], start, end), pytest.approx(float(margin), abs=1e-4))
    assert extract(network, question, context, max_tokens=decode["max_answer_tokens"], threshold=float(margin) + 0.01) is None
    by_pack = network.find(context, "joy", target=TALK[0], evidence=TALK[3])
    assert by_pack == (found if margin > decode["null_threshold"] else None)
    assert decode["null_threshold"] == (-2 if kind == "roberta" else 0)


PIECES = st.sampled_from([*TALK, " ", "\n", "\N{CRYING FACE}", "\N{FAMILY}\u200d", "e\u0301", "</s>", "<s><pad>", "日本", "x" * 40])


@settings(max_examples=25)
@given(st.lists(PIECES, max_size=30).map(" ".join), st.sampled_from(["roberta", "bert"]))
def test_an_answer_is_always_words_of_the_text(made, context, kind):
    network = open_once(made[kind][1])
    found = extract(network, "why joy ?", context, threshold=-1e6)
    assert (found is None) == (context.strip() == "")
    if found is not None:
        part, margin = found
        assert context[part.start : part.end] == part.text == part.text.strip() != "" and math.isfinite(margin)


_opened: dict[Path, SpanNetwork] = {}


def open_once(pack: Path) -> SpanNetwork:
    return _opened.setdefault(pack, SpanNetwork(str(pack)))


def test_the_packs_replay_and_say_what_they_are(made, pair):
    for folder in (made["roberta"][1], made["bert"][1], pair[1]):
        outcomes = verify(art.open_pack(str(folder)))
        assert outcomes and all(one.status == PASSED for one in outcomes), outcomes
    spans = art.open_pack(str(made["roberta"][1])).manifest
    assert spans["task"] == "text-span" and spans["labels"] == [] and [one["name"] for one in spans["variants"]] == ["fp32", "int8"]
    assert spans["decode"] == {
        "kind": "span", "question": QUESTION, "max_answer_tokens": 30, "null_threshold": -2.0, "overlap_tokens": 48,
    }  # fmt: skip
    assert "type_tensor" not in spans["inputs"][0]
    assert art.open_pack(str(made["bert"][1])).manifest["inputs"][0]["type_tensor"] == "token_type_ids"
    assert all(one["input"]["question"] == cause_question(*[one["input"]["text"]] * 2, "joy", template=QUESTION) for one in spans["golden"])
    pairs = art.open_pack(str(pair[1])).manifest
    assert pairs["decode"] == {"kind": "pair", "separator": "<SEP>", "yes": "cause", "threshold": 0.5}
    assert all(one["input"]["text"].count(" <SEP> ") == 2 for one in pairs["golden"])
    assert {entry["metric"]: entry["value"] for entry in pairs["variants"][0]["measured"]}["accuracy"] > 0.4


def spoilt(pack: Path, to: Path, path: str, content: bytes) -> str:
    import hashlib

    shutil.copytree(pack, to)
    (to / path).write_bytes(content)
    manifest = json.loads((to / "pack.json").read_text(encoding="utf-8"))
    entry = next(one for one in manifest["files"] if one["path"] == path)
    entry |= {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (to / "pack.json").write_text(json.dumps(manifest), encoding="utf-8")
    return str(to)


def test_golden_vectors_that_are_off_fail(made, pair, tmp_path):
    for number, (pack, result) in enumerate(((made["bert"][1], "logits"), (pair[1], "probs"))):
        path = art.open_pack(str(pack)).manifest["golden"][0]["expected"][result]
        right = np.load(pack / path)
        off = verify(art.open_pack(spoilt(pack, tmp_path / f"a{number}", path, npy_bytes(right + np.float32(0.01)))))
        assert off[0].status == FAILED and off[0].max_difference == pytest.approx(0.01, abs=1e-4)
        short = verify(art.open_pack(spoilt(pack, tmp_path / f"b{number}", path, npy_bytes(right[:-1]))))
        assert short[0].status == FAILED and "shape" in short[0].detail


def test_a_tokenizer_whose_pairs_begin_with_a_word(made, tmp_path):
    content = json.loads((made["bert"][1] / "tokenizer.json").read_text(encoding="utf-8"))
    content["post_processor"] = None
    pack = spoilt(made["bert"][1], tmp_path / "p", "tokenizer.json", json.dumps(content).encode())
    with pytest.raises(PackError, match="pairs begin with a special token"):
        SpanNetwork(pack)


def test_texts_that_are_refused(made, pair):
    spans, pairs = open_once(made["roberta"][1]), EntailmentNetwork(str(pair[1]))
    with pytest.raises(ValueError, match=r"question: expected one that leaves room for at least 96 of 192 tokens, since the text has \d+"):
        spans(LONG, LONG)
    assert spans.find("", "joy", target="Hm.") is None
    assert len(spans(LONG[:200], TALK[0])) == 1  # fits beside it
    with pytest.raises(ValueError, match="context: expected at most 20000 characters, got 20001"):
        spans("why?", "x" * 20_001)
    with pytest.raises(ValueError, match="lone surrogate"):
        spans.find("\ud800", "joy")
    with pytest.raises(TypeError, match="expected str"):
        pairs("joy", 3, "x")
    with pytest.raises(ValueError, match=r"emotion, target and evidence: expected at most 192 tokens in all, got \d+"):
        pairs("joy", LONG, "x", ["history"])
    with pytest.raises(ValueError, match="at most 20000 characters in all, got 20009"):
        pairs("joy", "y" * 20_000, "x" * 6)
    with pytest.raises(ValueError, match="emotion, target and evidence with '<SEP>' between them, got 2"):
        pairs.probs("joy <SEP> x")
    with pytest.raises(ValueError, match="expected a pack for text-pair, got one for text-span"):
        EntailmentNetwork(str(made["bert"][1]))
    with pytest.raises(ValueError, match="expected a pack for text-span, got one for text-emotion"):
        SpanNetwork("minilm-goemotions")


def test_pairs_as_pytorch_reads_them(pair):
    folder, pack = pair
    network = EntailmentNetwork(str(pack))
    for history in ([], [TALK[3]], [TALK[2], TALK[3]]):
        text = " <SEP> ".join(["joy", TALK[0], TALK[1], *([" ".join(history)] if history else [])])
        no, yes = by_torch_pair(folder, text).astype(float)
        said = network("joy", TALK[0], TALK[1], history)
        assert said.probability == pytest.approx(1 / (1 + math.exp(no - yes)), abs=1e-5) and not said.truncated
        assert said.yes == (said.probability >= 0.5)
        np.testing.assert_allclose(network.probs(text), [1 - said.probability, said.probability], atol=1e-6)
    assert network("joy", "a <SEP> b", "c") == network("joy", "a b", "c")  # nobody makes parts by saying the separator


def test_history_is_cut_at_its_oldest_end(pair):
    folder, pack = pair
    network = EntailmentNetwork(str(pack))
    tokenizer, model = loaded(folder)
    head, said = f"joy <SEP> {TALK[0]} <SEP> {TALK[1]} <SEP>", LONG
    tail = tokenizer.encode(" " + said, add_special_tokens=False).ids
    start = tokenizer.encode(head, add_special_tokens=False).ids
    kept = [0, *start, *tail[len(tail) - (MAX_TOKENS - 2 - len(start)) :], 2]
    assert len(kept) == MAX_TOKENS < len(start) + len(tail)
    with torch.inference_mode():
        no, yes = model(input_ids=torch.tensor([kept])).logits[0].tolist()
    found = network("joy", TALK[0], TALK[1], [LONG])
    assert found.truncated and found.probability == pytest.approx(1 / (1 + math.exp(no - yes)), abs=1e-5)
    assert network("joy", TALK[0], TALK[1], ["z " * 30_000, LONG]) == found  # however long ago it began


@pytest.fixture
def unwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the ONNX file, which takes seconds and is not what these tests look at."""
    from affectrt_export import checks
    from affectrt_export.families import encoder, question

    monkeypatch.setattr(encoder, "export_network", lambda *_, **__: b"")
    monkeypatch.setattr(question, "export_network", lambda *_, **__: b"")
    monkeypatch.setattr(checks, "check_network", lambda *_: None)


def copied(folder: Path, to: Path, **config: Any) -> Path:
    shutil.copytree(folder, to)
    checkpoints.edit(to / "config.json", **config)
    return to


def test_what_a_question_answering_head_must_say(made, tmp_path):
    folder = made["bert"][0]
    for options, words in (
        ({}, r"a question was expected.*--question.*If there were none: 'Someone says"),
        ({"question": "why?"}, r"question: template: expected the field \{emotion\}"),
        ({"question": "{emotion} {who}"}, r"question: template: expected no fields but"),
        ({"question": SHORT, "task": "text-emotion"}, "a model for text-span, the task text-emotion was asked for"),
        ({"question": SHORT, "max_tokens": 99}, "max_tokens: at most 40 was expected"),
    ):
        with pytest.raises(ExportError, match=words):
            families.read(folder, options=families.Options(**options))
    with pytest.raises(ExportError, match="two outputs a token, start and end, were expected, the head has 3"):
        three = checkpoints.encoder(tmp_path / "three", "bert", head="QuestionAnswering")
        families.read(three, options=families.Options(question=SHORT))
    with pytest.raises(ValueError, match="threshold: a finite number"):
        families.Options(threshold=math.nan)
    bad = copied(folder, tmp_path / "pairs")
    content = json.loads((bad / "tokenizer.json").read_text())
    content["post_processor"]["pair"] = [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}]
    (bad / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(ExportError, match="a pair of texts was expected to begin with a special token"):
        families.read(bad, options=families.Options(question=SHORT))
    pickled = copied(folder, tmp_path / "pickled")
    (pickled / "model.safetensors").unlink()
    torch.save({"a": torch.zeros(2)}, pickled / "pytorch_model.bin")
    with pytest.raises(ExportError, match=r"weights as safetensors were expected, got pytorch_model\.bin"):
        families.read(pickled, options=families.Options(question=SHORT))


@pytest.mark.usefixtures("unwritten")
def test_what_a_pair_classifier_must_say(pair, tmp_path):
    def read(source: Path = pair[0], **options: Any) -> Model:
        return families.read(source, options=families.Options(task="text-pair", **options))

    plain = read()
    assert plain.contract.decode == {"kind": "pair", "separator": "<SEP>", "yes": "cause", "threshold": 0.5}
    assert [note.split("'")[1] for note in plain.notes] == ["cause", "<SEP>"]  # what was assumed is told
    said = read(separator="</s>", yes="other", threshold=0.7)
    assert said.contract.decode == {"kind": "pair", "separator": "</s>", "yes": "other", "threshold": 0.7} and said.notes == []
    with pytest.raises(ExportError, match="yes: one of the labels other, cause was expected, got 'maybe'"):
        read(yes="maybe")
    with pytest.raises(ExportError, match="threshold: a probability was expected, got 7"):
        read(threshold=7)
    with pytest.raises(ExportError, match="a classifier of one label, of two at least, was expected, got multi_label"):
        read(copied(pair[0], tmp_path / "m", problem_type="multi_label_classification"))


@pytest.mark.usefixtures("unwritten")
def test_no_labelled_data_for_spans(made, tmp_path):
    contract = families.read(made["bert"][0], options=families.Options(question=SHORT)).contract
    (tmp_path / "data.tsv").write_text("i passed\t0\tx\n")
    with pytest.raises(ExportError, match="text-span has none: accuracy is not judged here"):
        data.read(tmp_path / "data.tsv", contract)
    pairs = dataclasses.replace(
        contract, task="text-pair", decode={"kind": "pair", "separator": "<SEP>"}, labels=[{"name": "a"}, {"name": "b"}]
    )
    (tmp_path / "data.tsv").write_text("i passed\t0\tx\nthe exam\t1\ty\n")
    with pytest.raises(ExportError, match="expected emotion, target and evidence with '<SEP>' between them, got 1"):
        data.read(tmp_path / "data.tsv", pairs)
