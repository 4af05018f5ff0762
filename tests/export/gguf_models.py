"""Small decoders in hub layout for the tests of affectrt_export.gguf: drawn at random, or trained for some seconds on real English."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace("{1,3}", "")
TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|"
    r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
VOCABULARY = 512
SHAPE: dict[str, Any] = {
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,
}


def corpus() -> str:
    """Half a million characters of English that come with Python: its language reference."""
    from pydoc_data import topics

    return "\n\n".join(topics.topics[name] for name in sorted(topics.topics))[:500_000]


def byte_level(kind: str = "smollm", more: str = "") -> tokenizers.Tokenizer:
    """A byte-level BPE that cuts text like one of the known families, trained on the corpus and on what `more` there is."""
    tokenizer = tokenizers.Tokenizer(models.BPE(ignore_merges=kind in ("llama-bpe", "tekken")))
    words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    regex = {"llama-bpe": LLAMA3, "dbrx": LLAMA3, "qwen2": QWEN2, "tekken": TEKKEN}
    if kind in regex:
        split = pre_tokenizers.Split(tokenizers.Regex(regex[kind]), behavior="isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, plain])
    elif kind == "smollm":
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), words])
    else:
        tokenizer.pre_tokenizer = words
    if kind == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 4,  # some rows of the embedding have no token, as in many checkpoints
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([corpus()[:200_000], more], trainer)
    return tokenizer


def sentencepiece() -> tokenizers.Tokenizer:
    """A BPE in the manner of Llama 2: blanks as ▁, bytes for what is unknown, every split of a token among its merges."""
    alphabet = [f"<0x{i:02X}>" for i in range(256)]
    tokenizer = tokenizers.Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=["<unk>", "<s>", "</s>", *alphabet], show_progress=False, max_token_length=8
    )
    tokenizer.train_from_iterator([line for line in corpus()[:100_000].splitlines() if line.isascii()], trainer)
    content = json.loads(tokenizer.to_str())
    vocab = content["model"]["vocab"]
    rank = {left + right: i for i, (left, right) in enumerate(content["model"]["merges"])}
    splits = [(text[:i], text[i:]) for text in sorted(rank, key=rank.__getitem__) for i in range(1, len(text))]
    content["model"]["merges"] = [list(pair) for pair in splits if all(part in vocab for part in pair)]
    content["added_tokens"] = [entry for entry in content["added_tokens"] if not entry["content"].startswith("<0x")]
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(content))
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def save_tokenizer(folder: Path, tokenizer: tokenizers.Tokenizer, **settings: Any) -> None:
    """tokenizer.json and tokenizer_config.json."""
    tokenizer.save(str(folder / "tokenizer.json"))
    spm = tokenizer.token_to_id("<s>") is not None
    named = {"bos_token": "<s>", "eos_token": "</s>"} if spm else {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}
    content = {**named, "chat_template": TEMPLATE, **settings}
    (folder / "tokenizer_config.json").write_text(json.dumps(content), encoding="utf-8")


def drawn(architecture: str = "LlamaForCausalLM", **changes: Any) -> Any:
    """A transformers model with random weights, the same each time."""
    import torch
    import transformers

    # Two threads wait for each other at every step, and beside other work they wait long.
    torch.set_num_threads(1)
    config_class = getattr(transformers, architecture.replace("ForCausalLM", "Config"))
    torch.manual_seed(3)
    model = getattr(transformers, architecture)(config_class(**{**SHAPE, **changes}))
    for name, value in model.named_parameters():  # biases begin as zeros, norms as ones: nothing would show that they are in their places
        if value.ndim == 1:
            torch.nn.init.normal_(value, float("norm" in name), 0.3)
    return model.eval()


def save(folder: Path, model: Any, tokenizer: tokenizers.Tokenizer | None = None, **more: Any) -> Path:
    """The folder that a hub would hold."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder, **more)
    save_tokenizer(folder, tokenizer or byte_level())
    return folder


def trained(folder: Path, steps: int = 80) -> Path:
    """A Llama that has learned a little English: some seconds on one core, the same each time on one machine."""
    import torch

    tokenizer = byte_level()
    ids = torch.tensor(tokenizer.encode(corpus()[:200_000]).ids)
    torch.manual_seed(5)
    model = drawn(initializer_range=0.05).train()
    for name, value in model.named_parameters():
        if "norm" in name:
            torch.nn.init.ones_(value)
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * min(1.0, (steps - step) / (0.4 * steps))
        starts = torch.randint(0, len(ids) - 65, (8,))
        batch = torch.stack([ids[start : start + 64] for start in starts])
        loss = model(input_ids=batch, labels=batch).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return save(folder, model.eval(), tokenizer)
