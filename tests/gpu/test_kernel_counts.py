"""What the kernels move and compute is what the committed table says, and within its budget."""

import json
from dataclasses import asdict

import kernel_counts


def test_table_and_budget():
    rows = kernel_counts.measure()
    assert [asdict(r) for r in rows] == json.loads(kernel_counts.TABLE.read_text()), "run `python tests/gpu/kernel_counts.py`"
    assert kernel_counts.markdown(rows) in kernel_counts.DOCS.read_text()
    for r in rows:
        # What affect reads back it has just written, so that it comes from the cache.
        assert r.moved_bytes <= (1.3 if r.kernel == "affect" else 1.1) * r.fewest_bytes, r
        # Addresses and fractions are worked out besides; nothing is computed twice.
        assert r.needed_operations is None or r.float_operations <= 1.5 * r.needed_operations, r
    assert {r.kernel.rsplit("_", 1)[0] if r.kernel[-3:] in ("f32", "f16") else r.kernel for r in rows} >= {
        "image_to_tensor", "sharpness", "detection", "align_box", "align_points", "affect", "emotion_layernorm", "masked_attention",
        "memory_top_k", "memory_top_k_merge", "skip_crf",
    }  # fmt: skip
