"""A small residual network for 48x48 gray faces, in operators that quantise well: convolutions, ReLU, additions, one mean, one product."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

WIDTHS = (48, 96, 192)


class FerNet(nn.Module):
    """(n, 1, h, w) gray in [-1, 1] to logits (n, labels). 1.8 M parameters; any size from 32 px will do, 48 is what it is made for."""

    def __init__(self, labels: int, widths: Sequence[int] = WIDTHS, blocks: Sequence[int] = (2, 2, 2), dropout: float = 0.3) -> None:
        super().__init__()
        self.stem = _conv(1, 32)
        parts: list[nn.Module] = []
        before = 32
        for width, count in zip(widths, blocks, strict=True):
            parts += [_Block(before if i == 0 else width, width, 2 if i == 0 else 1) for i in range(count)]
            before = width
        self.stages = nn.Sequential(*parts)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(before, labels)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Logits (n, labels)."""
        x = self.stages(torch.relu(self.stem(image)))
        return self.head(self.dropout(x.mean((2, 3)).float()))


class _Block(nn.Module):
    """Two convolutions and a way round them (He et al., 2016); the second starts as nothing, so that deep stacks train at once."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first, self.second = _conv(before, after, stride), _conv(after, after)
        nn.init.zeros_(self.second[1].weight)
        # As wide as the stride: a mean of the pixels first would take longer than the whole convolution in 8 bits.
        same = stride == 1 and before == after
        self.skip = nn.Identity() if same else _conv(before, after, stride, side=stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, after, h / stride, w / stride)."""
        return torch.relu(self.skip(x) + self.second(torch.relu(self.first(x))))


def _conv(before: int, after: int, stride: int = 1, side: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, side, stride, (side - 1) // 2, bias=False), nn.BatchNorm2d(after))
