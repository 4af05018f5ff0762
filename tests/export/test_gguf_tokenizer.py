"""From tokenizer.json to llama.cpp: the way text is cut is told by the file's content, proven on text, and refused if it is not known."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import gguf_models as tiny
import pytest
import tokenizers
from affectrt_export.gguf.proof import PROBES, prove
from affectrt_export.gguf.tokenizer import BYTE, CONTROL, NORMAL, UNKNOWN, UNUSED, USER_DEFINED, Vocabulary, read_vocabulary
from affectrt_export.spec import ExportError

KINDS = ("gpt-2", "smollm", "llama-bpe", "dbrx", "qwen2", "tekken")
WRONG = (("gpt-2", "smollm"), ("gpt-2", "llama-bpe"), ("smollm", "gpt-2"), ("smollm", "qwen2"), ("llama-bpe", "qwen2"))


def read(folder: Path, **generation: Any) -> Vocabulary:
    return read_vocabulary(folder, {}, generation, tiny.VOCABULARY)


@pytest.mark.parametrize("kind", KINDS)
def test_a_byte_level_tokenizer_is_recognised_and_cuts_alike(tmp_path: Path, kind: str) -> None:
    tiny.save_tokenizer(tmp_path, tiny.byte_level(kind))
    vocabulary = read(tmp_path)
    assert (vocabulary.model, vocabulary.pre) == ("gpt2", kind)
    assert prove(tmp_path, vocabulary, "llama", tmp_path) == vocabulary
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tokenizer.json", "tokenizer_config.json"]


def test_sentencepiece_is_recognised_and_cuts_alike(tmp_path: Path) -> None:
    tiny.save_tokenizer(tmp_path, tiny.sentencepiece())
    vocabulary = read(tmp_path)
    assert (vocabulary.model, vocabulary.add_space_prefix, vocabulary.add_bos, vocabulary.add_eos) == ("llama", True, True, False)
    assert {BYTE: 256, UNKNOWN: 1, CONTROL: 2}.items() <= {kind: vocabulary.types.count(kind) for kind in set(vocabulary.types)}.items()
    assert prove(tmp_path, vocabulary, "llama", tmp_path).special == {"bos": 1, "eos": 2, "unk": 0}


@pytest.mark.parametrize(("kind", "wrong"), WRONG)
def test_the_proof_finds_a_wrong_name(tmp_path: Path, kind: str, wrong: str) -> None:
    # A cut shows only where a token reaches over it: these have tokens of several digits wherever their own cuts allow them.
    tiny.save_tokenizer(tmp_path, tiny.byte_level(kind, "1234567 " * 2000))
    vocabulary = read(tmp_path)
    assert vocabulary.pre == kind and prove(tmp_path, vocabulary, "llama", tmp_path) == vocabulary
    with pytest.raises(ExportError, match=r"llama\.cpp would cut .* otherwise: expected \["):
        prove(tmp_path, dataclasses.replace(vocabulary, pre=wrong), "llama", tmp_path)


def test_the_proof_finds_merges_in_another_order(tmp_path: Path) -> None:
    tiny.save_tokenizer(tmp_path, tiny.byte_level())
    vocabulary = read(tmp_path)
    with pytest.raises(ExportError, match=r"llama.cpp would cut"):
        prove(tmp_path, dataclasses.replace(vocabulary, merges=list(vocabulary.merges[::-1])), "llama", tmp_path)


def test_the_proof_finds_sentencepiece_scores_that_are_lost(tmp_path: Path) -> None:
    """Other converters write the same score for every token."""
    tiny.save_tokenizer(tmp_path, tiny.sentencepiece())
    vocabulary = read(tmp_path)
    with pytest.raises(ExportError, match=r"llama.cpp would cut"):
        prove(tmp_path, dataclasses.replace(vocabulary, scores=[-1000.0] * tiny.VOCABULARY), "llama", tmp_path)


def test_kinds_of_tokens(tmp_path: Path) -> None:
    tokenizer = tiny.byte_level()
    tokenizer.add_tokens([tokenizers.AddedToken("<tool>", special=False)])
    tiny.save_tokenizer(tmp_path, tokenizer)
    vocabulary = read(tmp_path, eos_token_id=2)
    at = vocabulary.tokens.index("<tool>")
    assert [vocabulary.types[i] for i in (0, 2, 3, at, 511)] == [CONTROL, CONTROL, NORMAL, USER_DEFINED, UNUSED]
    assert vocabulary.tokens[511] == "[PAD511]" and vocabulary.ends == [2]


def test_bos_is_added_as_set_or_else_as_done(tmp_path: Path) -> None:
    tokenizer = tiny.byte_level("llama-bpe")
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(single="<|im_start|> $A", special_tokens=[("<|im_start|>", 1)])
    tiny.save_tokenizer(tmp_path, tokenizer)
    assert read(tmp_path).add_bos
    tiny.save_tokenizer(tmp_path, tokenizer, add_bos_token=False)
    assert not read(tmp_path).add_bos
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)])
    tiny.save_tokenizer(tmp_path, tokenizer)
    with pytest.raises(ExportError, match=r"puts \[0\] before and \[\] after a text; only BOS and EOS"):
        read(tmp_path)


def changed(folder: Path, **changes: Any) -> None:
    tiny.save_tokenizer(folder, tiny.byte_level())
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    (folder / "tokenizer.json").write_text(json.dumps(content | changes), encoding="utf-8")


def test_what_llama_cpp_has_no_name_for_is_refused(tmp_path: Path) -> None:
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    words = {"type": "Split", "pattern": {"Regex": r"\w+"}, "behavior": "Isolated", "invert": False}
    changed(tmp_path, pre_tokenizer={"type": "Sequence", "pretokenizers": [words, byte_level]})
    with pytest.raises(ExportError, match=r"is not one that llama\.cpp is known to have; known are those of dbrx, gpt-2, llama-bpe, qwen2"):
        read(tmp_path)
    changed(tmp_path, pre_tokenizer={**byte_level, "use_regex": True, "add_prefix_space": True})
    with pytest.raises(ExportError, match=r"is not one that llama.cpp is known to have"):
        read(tmp_path)
    changed(tmp_path, normalizer={"type": "Lowercase"})
    with pytest.raises(ExportError, match=r"normalizer .*Lowercase.* cannot be converted; known are none and NFC"):
        read(tmp_path)
    wordpiece = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": {}}
    changed(tmp_path, model=wordpiece)
    with pytest.raises(ExportError, match="expected a model of type BPE, got 'WordPiece'"):
        read(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    with pytest.raises(ExportError, match=r"has no tokenizer.json"):
        read(tmp_path)


def test_probes_hold_what_tokenizers_differ_in() -> None:
    text = "\n".join(PROBES)
    for part in ("1234567", "  ", "\n\n", "\t", "'ve", "WE'LL", "你", "🙂", "\u200d", "\r\n", "é", "---"):
        assert part in text
