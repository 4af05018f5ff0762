"""The network of affectrt_export.minilm in PyTorch, with the names of its weights as the checkpoint has them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from affectrt_export.minilm import EPSILON, FEATURES, HEADS, LAYERS, WIDTH


class MiniLm(nn.Module):
    """`ids`, `mask` (n, t) int64 to logits (n, labels): a linear layer on the pooled layers, see affectrt_export.minilm."""

    def __init__(self, labels: int, words: int = 30522, places: int = 512, dropout: float = 0.1) -> None:
        super().__init__()
        self.embeddings = nn.ModuleDict(
            {
                "word_embeddings": nn.Embedding(words, WIDTH),
                "position_embeddings": nn.Embedding(places, WIDTH),
                "token_type_embeddings": nn.Embedding(2, WIDTH),
                "LayerNorm": nn.LayerNorm(WIDTH, EPSILON),
            }
        )
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(_Layer(dropout) for _ in range(LAYERS))})
        self.head = nn.Linear(FEATURES, labels)
        self.dropout = nn.Dropout(dropout)

    def features(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(n, FEATURES): the mean over the words of each layer, the maximum of the last, its first word."""
        e = self.embeddings
        places = torch.arange(ids.shape[1])
        x = e["word_embeddings"](ids) + e["position_embeddings"](places) + e["token_type_embeddings"].weight[0]
        x = self.dropout(e["LayerNorm"](x))
        real = mask[:, :, None].to(x.dtype)
        seen = mask[:, None, None, :].bool()
        pooled = []
        for layer in self.encoder["layer"]:
            x = layer(x, seen)
            pooled.append((x * real).sum(1) / real.sum(1))
        pooled.append((x + (real - 1) * 1e4).amax(1))
        pooled.append(x[:, 0])
        return torch.cat(pooled, 1)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Logits (n, labels)."""
        return self.head(self.dropout(self.features(ids, mask)).float())


class _Layer(nn.Module):
    """One transformer layer of BERT."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        part = {name: nn.Linear(WIDTH, WIDTH) for name in ("query", "key", "value")}
        self.attention = nn.ModuleDict({"self": nn.ModuleDict(part), "output": _output(WIDTH)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(WIDTH, 4 * WIDTH)})
        self.output = _output(4 * WIDTH)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        part = self.attention["self"]
        query, key, value = (part[name](x).unflatten(2, (HEADS, -1)).transpose(1, 2) for name in ("query", "key", "value"))
        # Spelled out: at these lengths PyTorch's fused attention is slower on a CPU, above all backward.
        scores = (query @ key.transpose(2, 3) * (WIDTH // HEADS) ** -0.5).masked_fill(~seen, -1e4)
        found = (scores.softmax(-1).to(value.dtype) @ value).transpose(1, 2).flatten(2)
        out = self.attention["output"]
        x = out["LayerNorm"](x + self.dropout(out["dense"](found)))
        hidden = functional.gelu(self.intermediate["dense"](x))
        return self.output["LayerNorm"](x + self.dropout(self.output["dense"](hidden)))


def _output(width: int) -> nn.ModuleDict:
    return nn.ModuleDict({"dense": nn.Linear(width, WIDTH), "LayerNorm": nn.LayerNorm(WIDTH, EPSILON)})
