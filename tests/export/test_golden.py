"""Golden texts: what the tokenizer reads, from the user's data where there is some; and a pack replays them before it is published."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import affectrt as art
import pytest
import text_models
from affectrt.bench import record
from affectrt.bench.measure import Plan
from affectrt.bench.subjects import Options
from affectrt.verify import verify
from affectrt_export import cli, data, derived, families, golden, pipeline, publish
from affectrt_export.report import read as read_report
from affectrt_export.request import Request
from affectrt_export.spec import Bounds, Examples, ExportError, Model
from typer.testing import CliRunner

UNTIMED = Bounds(latency_ratio=None, size_ratio=None, accuracy_drop=None, class_drop=None)
OPEN = ("--max-latency-ratio", "off", "--max-size-ratio", "off", "--max-accuracy-drop", "off", "--max-class-drop", "off")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return text_models.classifier(tmp_path_factory.mktemp("foreign") / "net")


@pytest.fixture(scope="module")
def model(foreign: Path) -> Model:
    return families.read(foreign, options=families.Options(license="MIT", name="foreign"))


@pytest.fixture(scope="module")
def judged(foreign: Path, model: Model) -> Examples:
    return data.read(foreign / "data.tsv", model.contract)


@pytest.fixture(scope="module")
def pack(foreign: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pack of the foreign classifier, by the command line."""
    out = tmp_path_factory.mktemp("out")
    argv = ["model", str(foreign), "--data", str(foreign / "data.tsv"), "--license", "MIT", "--name", "foreign", "--out", str(out)]
    done = CliRunner().invoke(cli.app, [*argv, "--variants", "int8,fp32", *OPEN])
    assert done.exit_code == 0, done.output
    return out / "foreign"


def test_a_pack_whose_tokenizer_knows_no_english_proves_itself(pack: Path, foreign: Path) -> None:
    found = verify(art.open_pack(str(pack)))
    assert found and all(one.ok for one in found), found
    held = [entry["input"]["text"] for entry in json.loads((pack / "pack.json").read_text())["golden"]]
    given = [line.split("\t")[0] for line in (foreign / "data.tsv").read_text().splitlines()]
    assert len(held) == golden.TAKEN and set(held) <= set(given)
    assert len({len(text.split()) for text in held}) == golden.TAKEN
    text = art.TextEmotion(str(pack))
    assert all(text(one).reason != "unreadable text" and text(one).probs.any() for one in held)
    assert "Golden texts: 4 of data" in (pack.parent / "foreign.report" / "report.md").read_text()


def test_what_a_golden_text_is_chosen_from(model: Model, judged: Examples) -> None:
    contract = model.contract
    own, note = golden.choose(contract, None, [None, judged])
    assert list(own) == ["text-1", "text-2", "text-3", "text-4"] and "data (120)" in note
    assert golden.choose(contract, None, [judged]) == (own, note), "the same each time"
    lengths = golden.Reader(contract).lengths(list(own.values()))
    assert lengths == sorted(set(lengths)) and lengths[0] > 0
    wished = {"a": next(iter(own.values())), "b": "nothing that it knows"}
    assert golden.choose(contract, wished, [judged]) == (
        {"a": wished["a"]},
        "Golden texts that the tokenizer cannot read are left out: b.",
    )
    with pytest.raises(ExportError, match="give --data with texts in the language of the model"):
        golden.choose(contract, wished | {"a": "nor this"}, [None])
    with pytest.raises(ExportError, match="give --data"):
        golden.choose(contract)


def test_the_sentences_stay_where_the_tokenizer_reads_them() -> None:
    manifest = art.open_pack("minilm-goemotions")
    spec = manifest.manifest["inputs"]
    files = {"tokenizer.json": manifest.file("tokenizer.json").read_bytes()}
    contract = dataclasses.replace(_contract(), inputs=spec, files=files)
    assert golden.choose(contract) == (golden.SENTENCES, "")
    assert golden.choose(contract, golden.SENTENCES, []) == (golden.SENTENCES, "")
    assert [entry["input"]["text"] for entry in manifest.manifest["golden"]] == list(golden.SENTENCES.values())


def _contract() -> publish.Contract:
    return publish.Contract("text-emotion", [], [], {}, [])


def test_the_runtime_calls_unreadable_what_the_exporter_does(pack: Path, model: Model) -> None:
    text = art.TextEmotion(str(pack))
    reader = golden.Reader(model.contract)
    for one in ("", " ", "hello", "xi hello", "xi hello there", "xi xeht hello", *text_models.texts(8), *golden.SENTENCES.values()):
        assert bool(reader.lengths([one])[0]) == (text(one).reason not in ("empty text", "unreadable text")), one


def test_without_data_and_with_an_unread_language_nothing_is_made(model: Model, tmp_path: Path) -> None:
    identity = publish.Identity("foreign", "1.0.0", "d", "u", ["l"], "affectrt export model")
    request = Request(model, identity, tmp_path / "out", ["fp32"], bounds=UNTIMED)
    with pytest.raises(ExportError, match="a golden text that the tokenizer reads was expected"):
        pipeline.export(request)
    assert list(tmp_path.iterdir()) == []


def test_a_pack_that_does_not_replay_is_not_published(
    model: Model, judged: Examples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever goes wrong between the exporter and the runtime: here the exporter's own answers are off."""
    true = publish._answers
    monkeypatch.setattr(publish, "_answers", lambda *given: {name: value * 0.5 for name, value in true(*given).items()})
    identity = publish.Identity("foreign", "1.0.0", "d", "u", ["l"], "affectrt export model")
    request = Request(model, identity, tmp_path, ["fp32"], evaluation=judged, bounds=UNTIMED)
    said = r"does not give its own golden answers, so it is not published: fp32, text-1: off by 0\.\d+, 0.001"
    with pytest.raises(ExportError, match=said):
        pipeline.export(request)
    assert not (tmp_path / "foreign").exists() and not (tmp_path / "foreign.report").exists()


def test_derived_packs_keep_the_golden_texts_that_are_read(pack: Path, foreign: Path, tmp_path: Path) -> None:
    result = derived.derive(str(pack), "fp32", tmp_path)
    assert result.pack is not None and all(one.ok for one in verify(art.open_pack(str(result.pack))))
    of = [json.loads((folder / "pack.json").read_text())["golden"] for folder in (pack, result.pack)]
    assert [entry["input"] for entry in of[0]] == [entry["input"] for entry in of[1]]
    assert read_report(result.report).passed
    said = (result.report / "report.md").read_text()
    assert "Accuracy was not judged" in said and "Everything passed" not in said and "switched off" not in said.lower()


def test_derive_says_that_accuracy_was_not_judged(pack: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli.app, ["derive", str(pack), "--to", "fp32", "--out", str(tmp_path)])
    assert done.exit_code == 0 and "accuracy was not judged: no labelled data was given (--data)" in done.output
    assert "accuracy is not judged" in " ".join(CliRunner().invoke(cli.app, ["derive", "--help"]).output.replace("│", "").split())


def test_bench_measures_what_the_tokenizer_reads(pack: Path, tmp_path: Path) -> None:
    def bench(folder: Path) -> dict[str, Any]:
        return record.run(None, str(folder), Options(batch=2), Plan(warmup=1, iterations=3))

    shortest, second = (entry["input"]["text"] for entry in json.loads((pack / "pack.json").read_text())["golden"][:2])
    found = bench(pack)
    assert found["subject"]["input"] == f"2 sentences, {len(f'{shortest} {second}'.split())} words"
    assert not [text for text in found["conditions"]["warnings"] if "unreadable" in text]

    deaf = tmp_path / "foreign"
    shutil.copytree(pack, deaf)
    manifest = json.loads((deaf / "pack.json").read_text())
    for entry in manifest["golden"]:
        entry["input"]["text"] = golden.SENTENCES["exam"]
    (deaf / "pack.json").write_text(json.dumps(manifest))
    assert any("unreadable text: the pack's tokenizer" in text for text in bench(deaf)["conditions"]["warnings"])
