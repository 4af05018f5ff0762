"""A whole ladder: from a checkpoint to GGUF variants that were measured, with a report; and nothing from what is no checkpoint."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import gguf_models as tiny
import pytest
from affectrt_export.gguf import Exported, Limits, Measuring, Options, export_gguf
from affectrt_export.gguf.files import census, sha256
from affectrt_export.gguf.speed import Turn
from affectrt_export.spec import ExportError

VARIANTS = ("f16", "q8_0", "q4_0")
MATRICES = 16
# A turn of some tokens on a busy machine says nothing of speed: it is measured, and judges nothing.
LIMITS = Limits(latency_ratio=None, perplexity_ratio=1.5, kl_mean=0.5)
MEASURING = Measuring(LIMITS, context_tokens=64, calibration_chunks=4, chunks=4, threads=1, turn=Turn(8, 2), rounds=1)
OPTIONS = Options(license="apache-2.0", measuring=MEASURING)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama that knows a little English."""
    return tiny.trained(tmp_path_factory.mktemp("hub") / "tiny", steps=16)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """English of another place than what the model was trained on."""
    path = tmp_path_factory.mktemp("text") / "english.txt"
    path.write_text(tiny.corpus()[300_000:306_000], encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def exported(checkpoint: Path, text: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The ladder that the tests look at."""
    return export_gguf(checkpoint, tmp_path_factory.mktemp("out"), variants=VARIANTS, text=text, options=OPTIONS)


def figure(exported: Exported, variant: str, name: str) -> float:
    """One number of the record."""
    (found,) = [one for one in exported.record.variants if one.name == variant]
    (value,) = [one.value for one in found.figures if one.metric == name]
    return float(value)


def test_every_variant_is_written_and_holds_what_its_name_says(exported: Exported) -> None:
    assert exported.passed and set(exported.files) == set(VARIANTS) and exported.chosen in VARIANTS
    for name, path in exported.files.items():
        assert path.name == f"tiny.{name.upper()}.gguf"
        held = census(path).tensors
        assert held["f32"] == 5 and sum(held.values()) == 5 + MATRICES
        assert held[name] >= MATRICES - 1, f"{name}: only the output may be kept in higher precision, got {held}"
        (recorded,) = [one for one in exported.record.variants if one.name == name]
        assert (recorded.size_bytes, recorded.sha256) == (path.stat().st_size, sha256(path))
    sizes = [exported.files[name].stat().st_size for name in VARIANTS]
    assert sizes[0] > 1.5 * sizes[1] > 1.5 * sizes[2]


def test_what_was_measured_falls_with_the_bits(exported: Exported) -> None:
    perplexities = [figure(exported, name, "perplexity") for name in VARIANTS]
    assert all(math.isfinite(value) and 1 < value < tiny.VOCABULARY for value in perplexities), "better than guessing"
    far = [figure(exported, name, "kl_mean") for name in VARIANTS]
    assert 0 <= far[0] < far[1] < far[2]
    assert all(figure(exported, name, "decode_tok_s") > 0 for name in VARIANTS)
    assert len(exported.record.parity) == 2 and all(finding.passed for finding in exported.record.parity)


def test_the_report_stands_beside_the_files_and_nothing_else(exported: Exported) -> None:
    out = exported.report.parent
    assert {path.name for path in out.iterdir()} == {"tiny.report", *(path.name for path in exported.files.values())}
    (written,) = exported.report.glob("*.json")
    content = json.loads(written.read_text(encoding="utf-8"))
    assert [one["name"] for one in content["variants"]] == list(VARIANTS)


def test_what_a_gate_refuses_is_reported_and_not_written(checkpoint: Path, text: Path, tmp_path: Path) -> None:
    strict = dataclasses.replace(MEASURING, limits=dataclasses.replace(LIMITS, kl_mean=1e-9), repair=False)
    made = export_gguf(checkpoint, tmp_path, variants=("q4_0",), text=text, options=dataclasses.replace(OPTIONS, measuring=strict))
    assert not made.passed and made.files == {} and made.chosen == ""
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.report"]
    (refused,) = made.record.variants
    assert [finding.gate for finding in refused.findings if not finding.passed] == ["divergence"]


def test_files_that_are_there_are_kept(exported: Exported, checkpoint: Path, text: Path) -> None:
    before = sha256(exported.files["q4_0"])
    with pytest.raises(FileExistsError, match=r"tiny\.Q4_0\.gguf exist"):
        export_gguf(checkpoint, exported.report.parent, variants=("q4_0",), text=text, options=OPTIONS)
    assert sha256(exported.files["q4_0"]) == before


def test_a_source_or_a_text_that_is_wrong_leaves_nothing(checkpoint: Path, text: Path, tmp_path: Path) -> None:
    bad, out = tmp_path / "bad", tmp_path / "out"
    bad.mkdir()
    for path in checkpoint.iterdir():
        (bad / path.name).write_bytes(path.read_bytes())
    (bad / "model.safetensors").write_bytes((checkpoint / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(ExportError, match=r"model\.safetensors: is not a whole safetensors file"):
        export_gguf(bad, out, variants=VARIANTS, text=text, options=OPTIONS)
    assert list(out.rglob("*")) == []
    with pytest.raises(ExportError, match="no text, which the importance matrix and the gates"):
        export_gguf(checkpoint, tmp_path / "other", variants=VARIANTS, options=OPTIONS)
    with pytest.raises(ExportError, match=r"variants of f16, q8_0, .* were expected, each once, got q3"):
        export_gguf(checkpoint, tmp_path / "other", variants=("q3",), text=text, options=OPTIONS)
    assert not (tmp_path / "other").exists()
