"""Small checkpoints with random weights in hub layout, for tests: the real classes, the real files, a few thousand numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LABELS = ("joy", "anger", "neutral")
WORDS = "i finally passed the exam so happy it drives me mad train leaves at nine stop noise !".split()
ROWS = 64


def shake(network: Any, seed: int = 0) -> None:
    """Weights and running statistics that are neither zero nor all alike, so that a mistake shows in the outputs."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in (*network.named_parameters(), *network.named_buffers()):
            if not value.is_floating_point():
                continue
            noise = torch.rand(value.shape, generator=generator)
            if name.endswith(("running_var", "variance")) or (value.ndim < 2 and "norm" in name.lower() and name.endswith("weight")):
                value.copy_(0.5 + noise)
            else:
                value.copy_((noise - 0.5) * (0.6 if value.ndim > 1 else 0.2))


def tokenizer(begin: str, end: str, pad: str, unknown: str, *, pad_id: int) -> bytes:
    """tokenizer.json of a small WordPiece vocabulary, with fixed padding and truncation as trainers leave them in it."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    special = [unknown, begin, end]
    special.insert(pad_id, pad)
    words = {word: i for i, word in enumerate([*special, *WORDS])}
    out = Tokenizer(models.WordPiece(words, unk_token=unknown))
    out.normalizer = normalizers.BertNormalizer(lowercase=True)
    out.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    out.add_special_tokens(special)
    out.post_processor = processors.TemplateProcessing(single=f"{begin} $A {end}", special_tokens=[(begin, words[begin]), (end, words[end])])
    out.enable_truncation(16)
    out.enable_padding(length=16, pad_id=pad_id, pad_token=pad)
    return out.to_str().encode()


def encoder(folder: Path, kind: str, *, labels: Sequence[str] = LABELS, problem: str | None = None, seed: int = 0) -> Path:
    """A sentence classifier: `kind` is a model_type, or "minilm" (BERT, six thin layers)."""
    import torch
    import transformers as t

    torch.manual_seed(seed)
    wide = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32, "vocab_size": ROWS}
    after = {"pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3, "max_position_embeddings": 42}
    config: Any = {
        "bert": lambda: t.BertConfig(**wide, max_position_embeddings=40),
        "minilm": lambda: t.BertConfig(**{**wide, "num_hidden_layers": 6, "hidden_size": 12, "num_attention_heads": 3}),
        "electra": lambda: t.ElectraConfig(**wide, embedding_size=12),
        "albert": lambda: t.AlbertConfig(**wide, embedding_size=12),
        "distilbert": lambda: t.DistilBertConfig(dim=24, n_layers=2, n_heads=4, hidden_dim=32, vocab_size=ROWS),
        "roberta": lambda: t.RobertaConfig(**wide, **after),
        "xlm-roberta": lambda: t.XLMRobertaConfig(**wide, **after),
        "mpnet": lambda: t.MPNetConfig(**wide, **after),
        "deberta-v2": lambda: t.DebertaV2Config(
            **wide,
            relative_attention=True,
            pos_att_type=["c2p", "p2c"],
            position_buckets=8,
            share_att_key=True,
            norm_rel_ebd="layer_norm",
            position_biased_input=False,
            type_vocab_size=0,
        ),
        "modernbert": lambda: t.ModernBertConfig(**wide, pad_token_id=0, cls_token_id=2, sep_token_id=3, bos_token_id=2, eos_token_id=3),
    }[kind]()
    config.id2label = dict(enumerate(labels))
    config.label2id = {name: i for i, name in enumerate(labels)}
    config.problem_type = problem
    network = t.AutoModelForSequenceClassification.from_config(config)
    shake(network, seed)
    network.save_pretrained(folder)
    shifted = getattr(config, "pad_token_id", 0) == 1
    names = ("<s>", "</s>", "<pad>", "<unk>") if shifted else ("[CLS]", "[SEP]", "[PAD]", "[UNK]")
    (folder / "tokenizer.json").write_bytes(tokenizer(*names, pad_id=1 if shifted else 0))
    said = {"cls_token": names[0], "sep_token": names[1], "pad_token": names[2], "unk_token": names[3], "model_max_length": 10**30}
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
    return folder


def edit(path: Path, **changes: Any) -> None:
    """Other values in a JSON file; None takes a key out."""
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def spoil(path: Path, name: str, value: float) -> None:
    """One number of one weight of a .safetensors file becomes `value`."""
    from safetensors.torch import load_file, save_file

    weights = load_file(path)
    weights[name].view(-1)[0] = value
    save_file(weights, path, {"format": "pt"})
