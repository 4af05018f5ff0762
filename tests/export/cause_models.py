"""Question-answering heads and pair classifiers of a few thousand drawn weights, with the tokenizers of their kinds, in hub layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import checkpoints

QUESTION = (
    "The target utterance is {target} The evidence utterance is {evidence} What is the causal span from context that is relevant to "
    "the target utterance's emotion {emotion} ?"
)
"""RECCON's pattern: target, evidence, then what is asked of them."""
TALK = (
    "I finally passed the exam!",
    "My neighbour's naïve dog barked all night \N{CRYING FACE}, and I could not sleep.",
    "So the interview went badly; they laughed at my slides.",
    "You look tired.",
    "Stop it! I am sick of this noise, it drives me mad.",
)
"""What is said in the tests; the tokenizer was trained on it."""
MAX_TOKENS = 192


def bpe() -> bytes:
    """tokenizer.json of RoBERTa's kind: bytes, trained on the spot, `<s> a </s></s> b </s>`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    out = Tokenizer(models.BPE())
    out.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    out.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    out.train_from_iterator([QUESTION, *TALK] * 3, trainer)
    out.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    return str(out.to_str()).encode()


def checkpoint(folder: Path, kind: str, head: str) -> Path:
    """AutoModelFor`head` of one layer. "roberta": for `MAX_TOKENS`; "bert": two types of token, two dozen words, for 40 tokens."""
    import torch
    import transformers as t

    torch.manual_seed(3)
    thin: dict[str, Any] = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 32}
    if kind == "bert":
        config: Any = t.BertConfig(**thin, vocab_size=checkpoints.ROWS, max_position_embeddings=40)
        words = checkpoints.tokenizer("[CLS]", "[SEP]", "[PAD]", "[UNK]", pad_id=0, more=("why", "joy", "?"))
        said = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]"}
    else:
        after = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "type_vocab_size": 1}
        config = t.RobertaConfig(**thin, **after, vocab_size=600, max_position_embeddings=MAX_TOKENS + 2)
        words = bpe()
        said = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>"}
    config.id2label = {0: "other", 1: "cause"}
    config.label2id = {"other": 0, "cause": 1}
    network = getattr(t, f"AutoModelFor{head}").from_config(config)
    checkpoints.shake(network, 3)
    network.save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(words)
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    return folder


def export(source: Path, out: Path, *more: str) -> Path:
    """By the command line, nothing timed: the pack's folder."""
    from affectrt_export import cli
    from typer.testing import CliRunner

    off = ("--max-latency-ratio", "off", "--max-size-ratio", "off")
    if "--data" not in more:
        off += ("--max-accuracy-drop", "off", "--max-class-drop", "off")
    said = ["model", str(source), "--out", str(out), "--license", "MIT", "--name", "cause", *off, *more]
    done = CliRunner().invoke(cli.app, said)
    assert done.exit_code == 0, (done.output, done.stderr, done.exception)
    return out / "cause"
