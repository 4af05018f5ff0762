"""Small checkpoints with random weights in hub layout, for tests: the real classes, the real files, a few thousand numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LABELS = ("joy", "anger", "neutral")
WORDS = ("i", "finally", "passed", "the", "exam", "so", "happy", "it", "drives", "me", "mad", "train", "leaves", "at", "nine", "noise", "!")
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
            if name.endswith("running_var") or (value.ndim < 2 and name.endswith("weight")):  # a vector of weights is a norm's
                value.copy_(0.5 + noise)
            elif value.ndim < 2:
                value.copy_(0.2 * noise - 0.1)
            else:  # what goes in comes out about as large
                value.copy_((2 * noise - 1) * (3 / value[0].numel()) ** 0.5)


def tokenizer(begin: str, end: str, pad: str, unknown: str, *, pad_id: int, more: Sequence[str] = ()) -> bytes:
    """tokenizer.json of a small WordPiece vocabulary, with fixed padding and truncation as trainers leave them in it."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    special = [unknown, begin, end]
    special.insert(pad_id, pad)
    words = {word: i for i, word in enumerate([*special, *WORDS, *more])}
    out = Tokenizer(models.WordPiece(words, unk_token=unknown))
    out.normalizer = normalizers.BertNormalizer(lowercase=True)
    out.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    out.add_special_tokens(special)
    out.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} {end} $B {end}" if pad_id else f"{begin} $A {end} $B:1 {end}:1",  # RoBERTa's, BERT's
        special_tokens=[(begin, words[begin]), (end, words[end])],
    )
    out.enable_truncation(16)
    out.enable_padding(length=16, pad_id=pad_id, pad_token=pad)
    return out.to_str().encode()


def encoder(
    folder: Path,
    kind: str,
    *,
    labels: Sequence[str] = LABELS,
    problem: str | None = None,
    seed: int = 0,
    head: str = "SequenceClassification",
) -> Path:
    """A sentence classifier, or another head: `kind` is a model_type, or "minilm" (BERT, six thin layers)."""
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
        "camembert": lambda: t.CamembertConfig(**wide, **after),
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
    network = getattr(t, f"AutoModelFor{head}").from_config(config)
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


def image(folder: Path, kind: str, *, labels: Sequence[str] = LABELS, seed: int = 0) -> Path:
    """A classifier of small pictures: `kind` is a model_type. EfficientNet's and ResNet's processors have their own turns."""
    import torch
    import transformers as t

    torch.manual_seed(seed)
    thin = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32}
    stage = {
        "kernel_sizes": [3, 5],
        "in_channels": [32, 8],
        "out_channels": [8, 16],
        "strides": [1, 2],
        "num_block_repeats": [1, 1],
        "expand_ratios": [1, 2],
        "depthwise_padding": [],
        "hidden_dim": 1280,
    }
    config: Any = {
        "vit": lambda: t.ViTConfig(**thin, image_size=32, patch_size=8),
        "deit": lambda: t.DeiTConfig(**thin, image_size=32, patch_size=8),
        "swin": lambda: t.SwinConfig(image_size=32, patch_size=4, embed_dim=8, depths=[2, 2], num_heads=[2, 2], window_size=4),
        "efficientnet": lambda: t.EfficientNetConfig(image_size=32, width_coefficient=1.0, depth_coefficient=1.0, **stage),
        "resnet": lambda: t.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2], layer_type="basic"),
        "convnext": lambda: t.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2),
    }[kind]()
    config.architectures = ["DeiTForImageClassification"] if kind == "deit" else None  # it has two kinds of classifier
    config.id2label = dict(enumerate(labels))
    config.label2id = {name: i for i, name in enumerate(labels)}
    network = t.AutoModelForImageClassification.from_config(config)
    shake(network, seed)
    network.save_pretrained(folder)
    said: dict[str, Any] = {
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.2, 0.25, 0.5],
        "image_processor_type": "ViTImageProcessor",
        "resample": 2,
        "rescale_factor": 1 / 255,
        "size": {"height": 32, "width": 32},
    }
    if kind == "efficientnet":
        said |= {"image_processor_type": "EfficientNetImageProcessor", "include_top": True, "rescale_offset": False, "resample": 3}
    if kind in ("resnet", "convnext"):
        said |= {"image_processor_type": "ConvNextImageProcessor", "crop_pct": 0.875, "size": {"shortest_edge": 28}}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    return folder


def fernet(folder: Path, *, seed: int = 0) -> Path:
    """What train/face_expression.py writes, untrained."""
    from affectrt_export.train.face_expression import Recipe, config
    from affectrt_export.train.fer_net import FerNet

    return _trained(folder, FerNet(7), config(Recipe()), seed)


def minilm(folder: Path, *, seed: int = 0) -> Path:
    """What train/text_emotion.py writes, untrained, with a small vocabulary."""
    from affectrt.labels import GOEMOTIONS
    from affectrt_export.train.minilm import MiniLm

    config: dict[str, object] = {
        "architectures": ["AffectMiniLm"],
        "model_type": "affect-minilm",
        "problem_type": "multi_label_classification",
        "id2label": {str(i): name for i, name in enumerate(GOEMOTIONS)},
        "max_position_embeddings": 512,
    }
    _trained(folder, MiniLm(28, words=ROWS, places=40), config, seed)
    (folder / "tokenizer.json").write_bytes(tokenizer("[CLS]", "[SEP]", "[PAD]", "[UNK]", pad_id=0))
    return folder


def _trained(folder: Path, network: Any, config: dict[str, object], seed: int) -> Path:
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    shake(network, seed)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    return folder
