"""Quantising, importance matrix, perplexity: right by transformers and NumPy, the same bytes each time, nothing left of a failure."""

from __future__ import annotations

import math
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf_models as tiny
import numpy as np
import pytest
import tokenizers
import torch
import transformers
from affectrt_export.gguf import child, imatrix, perplexity, speed
from affectrt_export.gguf.convert import convert
from affectrt_export.gguf.files import census, open_gguf, sha256, text_of
from affectrt_export.gguf.imatrix import ImportanceMatrix
from affectrt_export.gguf.quantise import VARIANTS, held, quantise
from affectrt_export.spec import ExportError

WINDOW, CHUNKS = 64, 12
Q_PROJ, DOWN = "blk.1.attn_q.weight", "blk.1.ffn_down.weight"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint that knows a little English, `full.gguf` of it, texts, and an importance matrix."""
    folder = tmp_path_factory.mktemp("quantise")
    tiny.trained(folder / "hub", steps=40)
    convert(folder / "hub", folder / "full.gguf")
    (folder / "calibration.txt").write_text(tiny.corpus()[300_000:306_000], encoding="utf-8")
    (folder / "held-out.txt").write_text(tiny.corpus()[320_000:326_000], encoding="utf-8")
    arguments = {"data": "pydoc", "context_tokens": WINDOW, "chunks": CHUNKS, "threads": 1}
    imatrix.measure(folder / "full.gguf", folder / "calibration.txt", folder / "matrix.gguf", **arguments)
    return folder


@pytest.fixture(scope="module")
def reference(work: Path) -> perplexity.Reference:
    """What the full model says of the held-out text."""
    return perplexity.reference(
        work / "full.gguf", work / "held-out.txt", work / "reference.npy", context_tokens=WINDOW, chunks=CHUNKS, threads=1
    )


def windows(work: Path, text: str) -> list[list[int]]:
    tokens = tokenizers.Tokenizer.from_file(str(work / "hub" / "tokenizer.json")).encode((work / text).read_text(encoding="utf-8")).ids
    return [tokens[i * WINDOW : (i + 1) * WINDOW] for i in range(CHUNKS)]


@pytest.fixture(scope="module")
def model(work: Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(work / "hub").eval()


def test_the_importance_matrix_is_the_mean_square_of_what_goes_in(work: Path, model: Any) -> None:
    sums: dict[str, Any] = {}
    names = {Q_PROJ: model.model.layers[1].self_attn.q_proj, DOWN: model.model.layers[1].mlp.down_proj}

    def watch(name: str) -> Any:
        return lambda _module, given: sums.__setitem__(name, sums.get(name, 0) + given[0][0].double().square().sum(0))

    hooks = [module.register_forward_pre_hook(watch(name)) for name, module in names.items()]
    with torch.inference_mode():
        for window in windows(work, "calibration.txt"):
            model(torch.tensor([window]))
    for hook in hooks:
        hook.remove()
    matrix = ImportanceMatrix.load(work / "matrix.gguf")
    assert len(matrix.values) == 14 and (matrix.chunks, matrix.data) == (CHUNKS, "pydoc")
    for name, total in sums.items():
        # The key-value cache of llama.cpp is float16.
        np.testing.assert_allclose(matrix.values[name], total.numpy() / (CHUNKS * WINDOW), rtol=2e-2)
    matrix.save(work / "again.gguf", WINDOW)
    assert sha256(work / "again.gguf") == sha256(work / "matrix.gguf")


def test_perplexity_is_what_transformers_gives(work: Path, model: Any, reference: perplexity.Reference) -> None:
    losses = []
    with torch.inference_mode():
        for window in windows(work, "held-out.txt"):
            log_p = model(torch.tensor([window])).logits[0].double().log_softmax(-1)
            losses += [-float(log_p[i, window[i + 1]]) for i in range(WINDOW // 2, WINDOW - 1)]
    assert reference.score.tokens == len(losses) == CHUNKS * 31
    assert reference.score.perplexity == pytest.approx(math.exp(np.mean(losses)), rel=1e-3)
    assert reference.score.perplexity < 0.5 * tiny.VOCABULARY


def test_the_source_against_itself_is_nought_apart(work: Path, reference: perplexity.Reference) -> None:
    found = score(work / "full.gguf", work, reference)
    assert found.kl_mean < 1e-6 and found.same_top == 1.0 and found.ratio == pytest.approx(1.0, abs=1e-6)
    few = perplexity.score(work / "full.gguf", work / "held-out.txt", reference, context_tokens=WINDOW, chunks=2, threads=1)
    assert few.tokens == 62


def score(path: Path, work: Path, reference: perplexity.Reference) -> perplexity.Score:
    return perplexity.score(path, work / "held-out.txt", reference, context_tokens=WINDOW, threads=1)


def test_the_ladder_holds_what_it_says_and_loses_more_the_lower_it_goes(
    work: Path, reference: perplexity.Reference, tmp_path: Path
) -> None:
    apart, sizes = [], []
    for variant in VARIANTS:
        counted = quantise(work / "full.gguf", tmp_path / f"{variant}.gguf", variant, matrix=work / "matrix.gguf", threads=1)
        kind = {"q5_k_m": "q5_k", "q4_k_m": "q4_k"}.get(variant, variant)
        assert max(counted.weights, key=counted.weights.__getitem__) == kind
        assert held(tmp_path / f"{variant}.gguf") == counted.words() and counted == census(tmp_path / f"{variant}.gguf")
        apart.append(score(tmp_path / f"{variant}.gguf", work, reference).kl_mean)
        sizes.append(counted.size_bytes)
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > 3 * sizes[-1]
    assert apart == sorted(apart) and apart[0] < 1e-4 < 1e-3 < apart[-1] < 0.1


def test_the_importance_matrix_helps(work: Path, reference: perplexity.Reference, tmp_path: Path) -> None:
    quantise(work / "full.gguf", tmp_path / "plain.gguf", "q4_k_m", threads=1)
    quantise(work / "full.gguf", tmp_path / "weighed.gguf", "q4_k_m", matrix=work / "matrix.gguf", threads=1)
    assert text_of(open_gguf(tmp_path / "weighed.gguf"), "quantize.imatrix.dataset") == "pydoc"
    plain, weighed = (score(tmp_path / name, work, reference).kl_mean for name in ("plain.gguf", "weighed.gguf"))
    assert weighed < 0.9 * plain


def test_the_same_bytes_each_time_and_for_any_number_of_threads(work: Path, tmp_path: Path) -> None:
    for variant in ("q4_k_m", "q4_0"):
        digests = set()
        for i, threads in enumerate((1, 2)):
            quantise(work / "full.gguf", tmp_path / f"{i}.gguf", variant, matrix=work / "matrix.gguf", threads=threads)
            digests.add(sha256(tmp_path / f"{i}.gguf"))
        assert len(digests) == 1


def test_widths_that_do_not_fit_are_told(tmp_path: Path) -> None:
    model = tiny.drawn(hidden_size=96, intermediate_size=320, tie_word_embeddings=True)
    convert(tiny.save(tmp_path / "hub", model), tmp_path / "full.gguf")
    counted = quantise(tmp_path / "full.gguf", tmp_path / "x.gguf", "q4_k_m")
    assert "q4_k" not in counted.tensors and {"q5_0", "q8_0", "f32"} == set(counted.tensors)
    assert held(tmp_path / "x.gguf").startswith("q5_0 12 (")


def test_a_quantised_source_needs_leave_and_is_named(work: Path, tmp_path: Path) -> None:
    quantise(work / "full.gguf", tmp_path / "q8.gguf", "q8_0")
    with pytest.raises(ExportError, match=r"q8\.gguf is quantised already \(q8_0 16 \(100%\), f32 5 \(0%\)\)"):
        quantise(tmp_path / "q8.gguf", tmp_path / "q4.gguf", "q4_0")
    counted = quantise(tmp_path / "q8.gguf", tmp_path / "q4.gguf", "q4_0", allow_requantise=True, keep={DOWN: "q8_0"})
    assert text_of(open_gguf(tmp_path / "q4.gguf"), "affectrt.requantised_from") == "q8_0"
    assert counted.tensors["q8_0"] == 1
    kinds = {tensor.name: tensor.tensor_type.name for tensor in open_gguf(tmp_path / "q4.gguf").tensors}
    assert (kinds[DOWN], kinds[Q_PROJ]) == ("Q8_0", "Q4_0")


def test_what_cannot_be_quantised_is_named_and_leaves_nothing(work: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "x.gguf"
    out.parent.mkdir()
    (tmp_path / "text.gguf").write_text("not a model", encoding="utf-8")
    whole = (work / "full.gguf").read_bytes()
    (tmp_path / "cut.gguf").write_bytes(whole[:-100])
    (tmp_path / "head.gguf").write_bytes(whole[:200])
    for name, message in (
        ("text.gguf", "expected a GGUF file"),
        ("cut.gguf", "is not a whole GGUF file"),
        ("head.gguf", "is not a whole GGUF file"),
        ("none.gguf", "cannot be read: No such file"),
    ):
        with pytest.raises(ExportError, match=message):
            quantise(tmp_path / name, out, "q4_0")
    with pytest.raises(ExportError, match="variant 'q3' is not known; there are f16, q8_0"):
        quantise(work / "full.gguf", out, "q3")
    with pytest.raises(ExportError, match="the types q9 are not known"):
        quantise(work / "full.gguf", out, "q4_0", keep={DOWN: "q9"})
    wrong = ImportanceMatrix({DOWN: np.ones(7, np.float32)}, "other", 1)
    wrong.save(tmp_path / "wrong.gguf", WINDOW)
    with pytest.raises(ExportError, match=r"is of another model: 1 of its 1 tensors do not fit .* with 7 columns, expected 512"):
        quantise(work / "full.gguf", out, "q4_0", matrix=tmp_path / "wrong.gguf")
    with pytest.raises(ExportError, match="expected an importance matrix"):
        quantise(work / "full.gguf", out, "q4_0", matrix=work / "full.gguf")
    assert list(out.parent.iterdir()) == []


def test_a_file_that_makes_llama_cpp_abort_ends_the_child_only(work: Path, tmp_path: Path) -> None:
    shutil.copy(work / "full.gguf", tmp_path / "bad.gguf")
    reader = open_gguf(tmp_path / "bad.gguf", "r+")
    field = reader.get_field("llama.block_count")
    assert field is not None
    field.parts[field.data[0]][:] = 100_000
    reader.data.flush()
    with pytest.raises(ExportError, match=r"llama\.cpp was ended by SIGABRT: [\w-]+\.cpp:\d+: GGML_ASSERT"):
        quantise(tmp_path / "bad.gguf", tmp_path / "x.gguf", "q4_0")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.gguf"]


def test_a_full_disk_leaves_nothing(work: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from affectrt_export.gguf.quantise import quantise\n"
        "try: quantise(Path(sys.argv[1]), Path(sys.argv[2]), 'q8_0')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )

    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    command = [sys.executable, "-c", code, str(work / "full.gguf"), str(tmp_path / "x.gguf")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env, preexec_fn=small_files)
    assert done.stdout.startswith("ExportError ") and "is the disk full?" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_texts_that_are_too_short_and_other_vocabularies_are_named(work: Path, reference: perplexity.Reference, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("Hello there.\n", encoding="utf-8")
    with pytest.raises(ExportError, match=r"the text has \d+ tokens; one window of 64 is the least"):
        perplexity.reference(work / "full.gguf", tmp_path / "short.txt", tmp_path / "r.npy", context_tokens=WINDOW)
    with pytest.raises(ExportError, match="shorter than one window of 64"):
        imatrix.measure(work / "full.gguf", tmp_path / "short.txt", tmp_path / "m.gguf", data="short", context_tokens=WINDOW)
    assert [path.name for path in tmp_path.iterdir()] == ["short.txt"]
    other = tiny.save(tmp_path / "other", tiny.drawn(vocab_size=600))
    convert(other, tmp_path / "other.gguf")
    with pytest.raises(ExportError, match=r"of a vocabulary of 512 as the source has, got 372 of 600"):
        score(tmp_path / "other.gguf", work, reference)


def test_speed_is_measured_in_turn(work: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    files = {"source": work / "full.gguf", "again": work / "full.gguf"}
    found = speed.measure(
        files, "source", turn=speed.Turn(16, 4), threads=1, rounds=2, progress=lambda what, done, total: seen.append((what, done, total))
    )
    assert seen == [("speed", i, 4) for i in (1, 2, 3, 4)]
    assert found["source"].turn_ratio == 1.0 and 0.05 < found["again"].turn_ratio < 20
    assert all(one.prompt_tok_s > 0 and one.decode_tok_s > 0 and one.turn_cpu_ms > 0 and one.rounds == 2 for one in found.values())
    with pytest.raises(ExportError, match="expected the parent 'none' among source, again"):
        speed.measure(files, "none", turn=speed.Turn(16, 4))


def test_a_child_that_is_not_understood_says_so() -> None:
    with pytest.raises(ExportError, match="nothing: its process ended with code 1: KeyError: 'nothing'"):
        child.call("nothing", {})
