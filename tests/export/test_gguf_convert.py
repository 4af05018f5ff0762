"""The converter: every architecture answers as transformers does, text is cut alike, and what is wrong with a checkpoint is named."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf
import gguf_models as tiny
import numpy as np
import pytest
import torch
from affectrt_export.gguf.convert import convert
from affectrt_export.gguf.evaluate import logits, tokenise
from affectrt_export.gguf.files import census, sha256
from affectrt_export.gguf.parity import parity
from affectrt_export.spec import ExportError
from safetensors.torch import load_file, save_file

TOKENS = np.random.default_rng(0).integers(3, 500, 100).tolist()
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
    "rope_theta": 10000.0,
}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("LlamaForCausalLM", {"tie_word_embeddings": True, "head_dim": 32, "rms_norm_eps": 1e-2}),
    ("LlamaForCausalLM", {"attention_bias": True, "mlp_bias": True, "rope_parameters": LLAMA3}),
    ("LlamaForCausalLM", {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 500.0}}),
    (
        "MistralForCausalLM",
        {"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0, "original_max_position_embeddings": 64}},
    ),
    ("Qwen2ForCausalLM", {"num_key_value_heads": 4}),
    ("Qwen3ForCausalLM", {"head_dim": 32}),
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Llama with random weights."""
    return tiny.save(tmp_path_factory.mktemp("hub") / "tiny", tiny.drawn())


@pytest.fixture
def copy(checkpoint: Path, tmp_path: Path) -> Path:
    """One to spoil."""
    return Path(shutil.copytree(checkpoint, tmp_path / "copy"))


def spoil(folder: Path, change: Any) -> None:
    """Changes the tensors of a checkpoint."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def configure(folder: Path, file: str = "config.json", **changes: Any) -> None:
    content = json.loads((folder / file).read_text(encoding="utf-8"))
    (folder / file).write_text(json.dumps(content | changes), encoding="utf-8")


@pytest.mark.parametrize(("architecture", "changes"), CASES)
def test_it_answers_as_transformers_does(architecture: str, changes: dict[str, Any], tmp_path: Path) -> None:
    model = tiny.drawn(architecture, **changes)
    tiny.save(tmp_path / "hub", model)
    made = convert(tmp_path / "hub", tmp_path / "x.gguf")
    got = logits(made.path, TOKENS, tmp_path, threads=1)
    with torch.inference_mode():
        expected = model(torch.tensor([TOKENS])).logits[0].numpy()
    assert made.dtype == "f32" and expected.std() > 1
    # Float32 sums in another order: 1e-3 of logits of a size of 15. What is turned, scaled or placed wrongly is off by whole units.
    np.testing.assert_allclose(got, expected, atol=1e-3)


# llama.cpp rounds what goes into a matrix product to the type of the matrix: to 8 bits with bf16, to 11 with f16. Weights drawn this wide
# magnify that. Transformers in float32, with the inputs of its linear layers rounded to bf16, is off by the same 0.155 standard deviations
# and has a least cosine of 0.9985; a wrong rotation is off by more than 0.5.
@pytest.mark.parametrize(("dtype", "bound", "cosine"), [("float16", 0.02, 0.999), ("bfloat16", 0.25, 0.997)])
def test_a_half_precision_checkpoint_keeps_its_type_and_every_bit(dtype: str, bound: float, cosine: float, tmp_path: Path) -> None:
    folder = tiny.save(tmp_path / "hub", tiny.drawn().to(getattr(torch, dtype)), max_shard_size="700KB")
    assert len(list(folder.glob("*.safetensors"))) > 2
    made = convert(folder, tmp_path / "x.gguf")
    kind = {"float16": "f16", "bfloat16": "bf16"}[dtype]
    assert census(made.path).tensors == {"f32": 5, kind: 16}
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(made.path).tensors}
    stored = {name: value for path in folder.glob("*.safetensors") for name, value in load_file(path).items()}
    down = stored["model.layers.1.mlp.down_proj.weight"]
    assert np.array_equal(np.array(tensors["blk.1.ffn_down.weight"].data).view(np.int16).ravel(), down.view(torch.int16).numpy().ravel())
    found = parity(folder, made.path, TOKENS, tmp_path, largest=bound, cosine=cosine, threads=1)
    assert [finding.passed for finding in found] == [True, True], found
    # Without that rounding the same weights answer alike: what is left above is llama.cpp's arithmetic, not the conversion.
    exact = convert(folder, tmp_path / "exact.gguf", "f32")
    found = parity(folder, exact.path, TOKENS, tmp_path, largest=1e-3, cosine=0.99999, threads=1)
    assert [finding.passed for finding in found] == [True, True], found


def test_parity_sees_a_wrong_rotation(copy: Path, tmp_path: Path) -> None:
    made = convert(copy, tmp_path / "x.gguf")
    configure(copy, rope_parameters={"rope_type": "default", "rope_theta": 100.0}, rope_theta=100.0)
    found = parity(copy, made.path, TOKENS, tmp_path, largest=0.05, cosine=0.999, threads=1)
    assert not any(finding.passed for finding in found) and found[0].value > 0.5


def test_the_same_folder_gives_the_same_bytes(checkpoint: Path, tmp_path: Path) -> None:
    first = convert(checkpoint, tmp_path / "a.gguf", "f16")
    code = (
        "import sys; from pathlib import Path; from affectrt_export.gguf.convert import convert; "
        "convert(Path(sys.argv[1]), Path(sys.argv[2]), 'f16')"
    )
    subprocess.run([sys.executable, "-c", code, str(checkpoint), str(tmp_path / "b.gguf")], check=True, env=_with_path())
    assert sha256(first.path) == sha256(tmp_path / "b.gguf")


def _with_path() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "7"}


def test_the_chat_template_and_the_ends_of_a_turn_are_kept(copy: Path, tmp_path: Path) -> None:
    texts = {"default": "old", "tool_use": "{{ tools }}", "rag": "{{ docs }}"}
    named = [{"name": name, "template": template} for name, template in texts.items()]
    configure(copy, "tokenizer_config.json", chat_template=named)
    (copy / "chat_template.jinja").write_text(tiny.TEMPLATE, encoding="utf-8")
    (copy / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 300, 301]}), encoding="utf-8")
    made = convert(copy, tmp_path / "x.gguf")
    facts = tokenise(made.path, [])
    assert facts["chat_template"] == tiny.TEMPLATE
    assert {0, 2, 300, 301} <= set(facts["ends"]), "0 and 2 by their names, the others because generation_config.json says so"
    assert facts["eos"] == 2 and facts["adds_bos"] is False
    reader = gguf.GGUFReader(made.path)
    assert reader.get_field("tokenizer.chat_templates").contents() == ["rag", "tool_use"]
    assert reader.get_field("tokenizer.chat_template.rag").contents() == "{{ docs }}"
    (copy / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 300, 301, 302]}), encoding="utf-8")
    with pytest.raises(ExportError, match=r"\(302\) end a turn"):
        convert(copy, tmp_path / "y.gguf")


def test_metadata_of_the_card(copy: Path, tmp_path: Path) -> None:
    (copy / "README.md").write_text("---\nlicense: apache-2.0\nlanguage: en\n---\n# Model\n", encoding="utf-8")
    reader = gguf.GGUFReader(convert(copy, tmp_path / "x.gguf").path)
    assert reader.get_field("general.license").contents() == "apache-2.0"
    assert reader.get_field("llama.context_length").contents() == 256


def test_every_fault_of_the_tensors_is_named_at_once(copy: Path, tmp_path: Path) -> None:
    def change(tensors: dict[str, Any]) -> None:
        del tensors["model.norm.weight"], tensors["model.layers.1.self_attn.k_proj.weight"]
        tensors["model.layers.0.self_attn.q_proj.lora_A"] = torch.zeros(2, 2)
        tensors["lm_head.weight"] = torch.zeros(500, 256)

    spoil(copy, change)
    with pytest.raises(ExportError) as caught:
        convert(copy, tmp_path / "x.gguf")
    for part in (
        "2 tensors are missing: model.layers.1.self_attn.k_proj.weight, model.norm.weight",
        "1 tensors are not known: model.layers.0.self_attn.q_proj.lora_A",
        "lm_head.weight [500, 256], expected [512, 256]",
    ):
        assert part in str(caught.value)
    assert _nothing_left(tmp_path, copy)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(copy: Path, tmp_path: Path, value: float) -> None:
    spoil(copy, lambda tensors: tensors["model.layers.1.mlp.up_proj.weight"].view(-1)[7].fill_(value))
    with pytest.raises(ExportError, match=r"model\.layers\.1\.mlp\.up_proj\.weight: 1 of 131072 weights are NaN or infinite"):
        convert(copy, tmp_path / "x.gguf")
    assert _nothing_left(tmp_path, copy)


def test_weights_too_large_for_float16_are_named(copy: Path, tmp_path: Path) -> None:
    spoil(copy, lambda tensors: tensors["lm_head.weight"].view(-1)[7].fill_(70000.0))
    with pytest.raises(ExportError, match=r"lm_head\.weight: 7e\+04 is too large for float16 .*; use bf16 or f32"):
        convert(copy, tmp_path / "x.gguf", "f16")
    assert _nothing_left(tmp_path, copy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architectures": ["GPT2LMHeadModel"]}, "known are LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM"),
        ({"architectures": None}, "architecture None cannot be converted"),
        ({"num_hidden_layers": 0, "hidden_size": "wide"}, "num_hidden_layers: expected a positive number, got 0"),
        ({"num_hidden_layers": 0, "hidden_size": "wide"}, "hidden_size: expected a positive number, got 'wide'"),
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 2.0}}, "rope type: 'dynamic' cannot be converted"),
        ({"rope_parameters": {"rope_type": "llama3", "factor": 8.0}}, "rope llama3: low_freq_factor: expected a positive number, got None"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 8.0, "beta_fast": 16}}, "rope yarn: beta_fast: expected 32, got 16"),
        ({"quantization_config": {"quant_method": "gptq"}}, "the checkpoint is quantised already"),
        ({"hidden_act": "gelu"}, "hidden_act: expected silu, got 'gelu'"),
        ({"num_key_value_heads": 3}, "3 does not divide num_attention_heads 4"),
        ({"vocab_size": 400}, "has tokens up to 507, the model's embedding has 400 rows"),
    ],
)
def test_what_config_json_says_wrongly(copy: Path, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    configure(copy, **changes)
    if "vocab_size" in changes:
        spoil(copy, lambda tensors: tensors.update({n: tensors[n][:400].clone() for n in ("lm_head.weight", "model.embed_tokens.weight")}))
    with pytest.raises(ExportError) as caught:
        convert(copy, tmp_path / "x.gguf")
    assert message in str(caught.value)


def test_files_that_are_no_checkpoint(copy: Path, tmp_path: Path) -> None:
    whole = (copy / "model.safetensors").read_bytes()
    for content in (whole[:-100], whole[:50], b"", b"\xff" * 64):
        (copy / "model.safetensors").write_bytes(content)
        with pytest.raises(ExportError, match=r"model\.safetensors: is not a whole safetensors file"):
            convert(copy, tmp_path / "x.gguf")
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(ExportError, match=r"has no model\.safetensors.*pytorch_model\.bin may run code when read"):
        convert(copy, tmp_path / "x.gguf")
    index = {"weight_map": {"a": "../../etc/passwd"}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    with pytest.raises(ExportError, match="names files outside the folder"):
        convert(copy, tmp_path / "x.gguf")
    (copy / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ExportError, match=r"config\.json: is not readable JSON"):
        convert(copy, tmp_path / "x.gguf")
    with pytest.raises(ExportError, match="expected a folder"):
        convert(tmp_path / "nowhere", tmp_path / "x.gguf")
    assert _nothing_left(tmp_path, copy)


def test_a_full_disk_leaves_nothing(checkpoint: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from affectrt_export.gguf.convert import convert\n"
        "try: convert(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except Exception as error: print(type(error).__name__, error)"
    )

    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))

    command = [sys.executable, "-c", code, str(checkpoint), str(tmp_path / "x.gguf")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=_with_path(), preexec_fn=small_files)
    assert done.stdout.startswith("ExportError x.gguf: cannot be written")
    assert list(tmp_path.iterdir()) == []


def _nothing_left(folder: Path, *but: Path) -> bool:
    return set(folder.iterdir()) == set(but)
