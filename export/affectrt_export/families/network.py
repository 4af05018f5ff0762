"""Image networks in PyTorch as ONNX, with the middle of the picture cut out inside, and their reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from affectrt_export.families.picture import Preprocessing
from affectrt_export.spec import F32, Feeds, Run

IMAGE = "image"
Called = Callable[[Any, Any], Sequence[Any]]
"""A network and its pixels (n, C, H, W) to its outputs, as torch tensors."""


def image_onnx(network: Any, how: Preprocessing, outputs: Sequence[str], call: Called) -> bytes:
    """ONNX file bytes: `image` (n, C, side_px, side_px) to `outputs`. Raises ExportError as `to_onnx.export` does."""
    import torch

    from affectrt_export.to_onnx import export

    class Pictured(torch.nn.Module):
        """The middle of the picture, then the network."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return tuple(call(self.network, middle(image, how)))

    shape = (2, len(how.mean), how.side_px, how.side_px)
    image = torch.linspace(-1, 1, int(np.prod(shape))).reshape(shape)
    return export(Pictured(), {IMAGE: image}, outputs, {IMAGE: {0: "n"}})


def image_reference(network: Any, how: Preprocessing, outputs: Sequence[str], call: Called) -> Run:
    """The network in its own framework on the same feeds."""

    def run(feeds: Feeds) -> dict[str, F32]:
        import torch

        image = torch.from_numpy(np.ascontiguousarray(feeds[IMAGE], np.float32))
        with torch.inference_mode():
            values = call(network, middle(image, how))
        return {name: value.numpy() for name, value in zip(outputs, values, strict=True)}

    return run


def middle(image: Any, how: Preprocessing) -> Any:
    """(n, C, inner_px, inner_px)."""
    first, last = how.margin_px, how.margin_px + how.inner_px
    return image[:, :, first:last, first:last] if how.margin_px else image
