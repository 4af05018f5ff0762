"""int4 for encoders: weights in 4 bits by blocks, tables in int8 or 4 bits, everything computed as before. ONNX Runtime's own operators.

Weight-only: the least file and the least memory traffic; activations stay fp32 between products, inside them the runtime takes int8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from affectrt_export.spec import ExportError, Feeds
from affectrt_export.variants import fuse, tables
from affectrt_export.variants.blocks import asymmetric, nibbles, symmetric
from affectrt_export.variants.net import MICROSOFT, Net
from affectrt_export.variants.optimise import start
from affectrt_export.variants.options import Options
from affectrt_export.variants.qdq import note_others

_INT8_INSIDE = 4  # accuracy_level of MatMulNBits: what it may take the activations as


@dataclass(frozen=True)
class Int4:
    """The maker of "int4". Needs no calibration."""

    options: Options

    def __call__(self, model: bytes, calibration: Sequence[Feeds], keep: frozenset[str]) -> bytes:
        """See spec.Maker. `keep` names layers of `quantisable`."""
        del calibration
        net = start(model, keep)
        if not fuse.products(net, frozenset()):
            raise ExportError("products with constant weights (MatMul, Gemm) were expected, the network has none: int4 is for encoders")
        note_others(net, net.proto, fuse.OPS, keep)
        for product in fuse.products(net, keep):
            name = product.layers[0]
            values, scales, zeros = asymmetric(np.ascontiguousarray(product.weight.T), self.options.int4_block)
            inputs = [product.x, net.constant(nibbles(values), f"{name}:int4"), net.constant(scales.reshape(-1), f"{name}:scale")]
            inputs.append(net.constant(nibbles(zeros).reshape(-1), f"{name}:zero"))
            width, columns = product.weight.shape
            value = net.add(
                "MatMulNBits",
                inputs,
                name=f"{name}:int4 product",
                domain=MICROSOFT,
                K=width,
                N=columns,
                bits=4,
                block_size=self.options.int4_block,
                accuracy_level=_INT8_INSIDE,
            )
            if product.bias is not None:
                value = net.add("Add", [value, net.constant(np.ascontiguousarray(product.bias), f"{name}:bias")], name=f"{name}:sum")
            fuse.put(net, product, value)
        if self.options.int4_embeddings == "int4":
            _tables(net, keep, self.options.int4_block)
        tables.shrink(net, keep)
        net.refresh()
        fuse.gelu(net)
        return net.bytes()


def _tables(net: Net, keep: frozenset[str], block: int) -> None:
    """Tables in 4 bits; those that no block divides are left for int8."""
    for node in tables.lookups(net):
        table = str(node.input[0])
        value = np.asarray(net.array(table), np.float32)
        if node.name in keep or value.shape[1] % block:
            continue
        # No zero points: ONNX Runtime 1.23 and 1.32 read an odd number of them a row in different ways.
        values, scales = symmetric(value, block)
        packed = nibbles((values + 8).astype(np.uint8))
        inputs = [net.constant(packed, f"{table}:int4"), node.input[1], net.constant(scales, f"{table}:scale")]
        found = net.add(
            "GatherBlockQuantized",
            inputs,
            name=f"{node.name}:int4 rows",
            domain=MICROSOFT,
            gather_axis=0,
            quantize_axis=1,
            block_size=block,
            bits=4,
        )
        net.stand_in(str(node.output[0]), found)
    net.refresh()
