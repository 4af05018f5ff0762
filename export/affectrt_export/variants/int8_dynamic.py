"""int8 for CPUs with products of matrices: int8 weights a scale a column, activations made uint8 as they come, by their own extremes.

ONNX Runtime's own operators: one DynamicQuantizeMatMul for all layers that read one value, so that it is quantised once. Tables that are
looked up become int8 too. A sentence's activations depend on what else is in its batch: run one sentence a call where that matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from affectrt_export.spec import ExportError, Feeds
from affectrt_export.variants import fuse, tables
from affectrt_export.variants.net import MICROSOFT
from affectrt_export.variants.optimise import start
from affectrt_export.variants.options import Options
from affectrt_export.variants.qdq import channels, note_others


@dataclass(frozen=True)
class Dynamic:
    """The maker of "int8" for networks of matrix products. Needs no calibration."""

    options: Options

    def __call__(self, model: bytes, calibration: Sequence[Feeds], keep: frozenset[str]) -> bytes:
        """See spec.Maker. `keep` names layers of `quantisable`."""
        del calibration
        net = start(model, keep)
        every = fuse.products(net, frozenset())
        if not every:
            raise ExportError("products with constant weights (MatMul, Gemm) were expected, the network has none: int8 of it is static")
        note_others(net, net.proto, fuse.OPS, keep)
        for product in fuse.products(net, keep):
            small, scale = channels(product.weight, 1, self.options.weight_limit)
            name = product.layers[0]
            inputs = [product.x, net.constant(small, f"{name}:int8"), net.constant(scale, f"{name}:scale"), ""]
            if product.bias is not None:
                inputs.append(net.constant(np.ascontiguousarray(product.bias), f"{name}:bias"))
            else:
                inputs.pop()
            fuse.put(net, product, net.add("DynamicQuantizeMatMul", inputs, name=f"{name}:int8 product", domain=MICROSOFT))
        tables.shrink(net, keep)
        net.refresh()
        fuse.gelu(net)
        return net.bytes()
