"""masked_attention.cu in the interpreter against the reference of its CPU twin, and its seeded faults."""

import kernel_reference
import kernels
import numpy as np
import pytest
import structs

TYPES = {"f32": np.float32, "f16": np.float16}
LIMIT = {"f32": 3e-5, "f16": 4e-3}


def check(code, kind="f32", batch=2, heads=2, tokens=11, width=20, value_width=9, hidden=(), masked=True, scale=0.4, interleaved=False):
    """`hidden` are (text, token) of padding; `interleaved`: memory is (batch, tokens, heads, width)."""
    rng, dtype = np.random.default_rng(tokens + width), TYPES[kind]
    query, same, other = (rng.normal(0, 1, (batch, heads, tokens, width)).astype(dtype) for _ in range(3))
    value = rng.normal(0, 1, (batch, heads, tokens, value_width)).astype(dtype)
    speakers = rng.integers(0, 3, (batch, tokens)).astype(np.int64) * (1 << 33)
    mask = np.ones((batch, tokens), np.uint8)
    for at in hidden:
        mask[at] = 0
    order = (0, 2, 1, 3) if interleaved else (0, 1, 2, 3)
    gpu, args = kernels.Gpu(), structs.MaskedAttentionArgs()
    for name, array in (("query", query), ("key_same", same), ("key_other", other), ("value", value)):
        setattr(args, name, gpu.upload(array.transpose(order), name).address)
    args.speakers = gpu.upload(speakers, "speakers").address
    args.mask = gpu.upload(mask, "mask").address if masked else 0
    out = gpu.empty(value.transpose(order).shape, dtype, "out")
    args.out = out.address
    args.item_step, args.value_item_step = heads * tokens * width, heads * tokens * value_width
    args.head_step, args.row_step = (width, heads * width) if interleaved else (tokens * width, width)
    args.value_head_step, args.value_row_step = (value_width, heads * value_width) if interleaved else (tokens * value_width, value_width)
    args.tokens, args.key_width, args.value_width, args.scale = tokens, width, value_width, scale
    counts = gpu.launch(code, f"masked_attention_{kind}", (-(-tokens // 8), heads, batch), 256, args)
    assert out.written.all()
    want = kernel_reference.masked_attention(query, same, other, value, speakers, mask, scale)
    got = out.array().transpose(order).astype(np.float64)
    np.testing.assert_allclose(got, want, rtol=LIMIT[kind], atol=LIMIT[kind])
    return counts


@pytest.mark.parametrize("architecture", kernels.ARCHITECTURES)
@pytest.mark.parametrize("kind", TYPES)
def test_kinds_and_strides(architecture, kind):
    code = kernels.program("masked_attention", architecture)
    check(code, kind, hidden=((0, 3), (0, 10), (1, 0)))
    check(code, kind, tokens=5, interleaved=True, masked=False)


@pytest.mark.parametrize(("tokens", "width", "value_width"), [(1, 1, 1), (8, 32, 32), (33, 31, 17), (67, 40, 256), (7, 129, 101)])
def test_sizes(tokens, width, value_width):
    check(kernels.program("masked_attention"), batch=1, heads=1, tokens=tokens, width=width, value_width=value_width)


def test_padding():
    """The whole first tile; the tokens behind it; a text that is nothing but padding, which gives zeros."""
    code = kernels.program("masked_attention")
    first = tuple((0, i) for i in range(32))
    check(code, batch=1, heads=1, tokens=35, width=4, hidden=first)
    check(code, batch=1, heads=1, tokens=35, width=4, hidden=tuple((0, i) for i in range(32, 35)))
    check(code, batch=2, heads=1, tokens=6, width=4, hidden=tuple((1, i) for i in range(6)))


def test_great_logits_do_not_overflow():
    check(kernels.program("masked_attention"), tokens=40, width=8, heads=1, batch=1, scale=40.0)


def test_moves_each_byte_once():
    counts = check(kernels.program("masked_attention"), batch=1, heads=1, tokens=32, width=32, value_width=32, masked=False)
    tensor = 32 * 32 * 4 // 32
    assert counts.sectors_read == 4 * tensor + 8 and counts.sectors_written == tensor


FAULTS = [
    ("dropped barrier before the tile is read", "__syncthreads();  // the tile is there", ""),
    ("dropped barrier after it was read", "__syncthreads();  // and has been read", ""),
    ("own and other keys swapped", "same ? same_keys[lane] : other_keys[lane]", "same ? other_keys[lane] : same_keys[lane]"),
    ("no guard of the last token", "const bool there = inside && first + row < a.tokens;", "const bool there = inside;"),
    ("padding attended to", "(mask == nullptr || mask[key] != 0)", "true"),
    ("sums not scaled anew", "sums[r] *= keep;", "sums[r] *= 1.0f;"),
    ("scale left out", "a.scale * logit", "logit"),
    (
        "wrong stride of heads",
        "blockIdx.z * a.value_item_step + blockIdx.y * a.value_head_step",
        "blockIdx.z * a.value_item_step + blockIdx.y * a.head_step",
    ),
    ("a column too many", "const bool inside = column + lane < a.key_width;", "const bool inside = column + lane <= a.key_width;"),
    ("query beyond the last", "  if (query >= a.tokens) return;\n", ""),
    ("first text's speakers for all", "a.speakers + static_cast<long long>(blockIdx.z) * a.tokens", "a.speakers"),
]


def test_seeded_faults():
    def every(code):
        check(code, tokens=35, width=33, value_width=9, heads=2, batch=2, hidden=((0, 3), (1, 0)))
        check(code, "f16", tokens=5, interleaved=True)

    kernels.assert_all_caught("masked_attention", FAULTS, every)
