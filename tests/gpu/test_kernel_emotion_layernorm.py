"""emotion_layernorm.cu in the interpreter against the reference of its CPU twin, and its seeded faults."""

import kernel_reference
import kernels
import numpy as np
import pytest
import structs

TYPES = {"f32": np.float32, "f16": np.float16}
LIMIT = {"f32": 2e-5, "f16": 6e-3}


def check(code, kind="f32", batch=2, tokens=5, width=12, emotions=7, apart=0, item_apart=0, shift=0, hard=False, epsilon=1e-5):
    """`apart` elements between rows, `item_apart` between texts, the whole `shift` elements from an aligned address."""
    rng, dtype = np.random.default_rng(width + tokens), TYPES[kind]
    x = rng.normal(0.3, 1.5, (batch, tokens, width)).astype(dtype)
    probs = rng.dirichlet(np.ones(emotions), batch).astype(dtype)
    if hard:
        probs = np.eye(emotions, dtype=dtype)[rng.integers(0, emotions, batch)]
    table, gamma, beta = (rng.normal(0, 1, shape).astype(dtype) for shape in ((emotions, width), width, width))
    gpu, args = kernels.Gpu(), structs.EmotionLayerNormArgs()
    row = width + apart
    item = tokens * row + item_apart
    memory = np.zeros(shift + batch * item, dtype)
    places = shift + (np.arange(batch)[:, None, None] * item + np.arange(tokens)[:, None] * row + np.arange(width))
    memory[places] = x
    args.x = gpu.upload(memory, "x").address + shift * memory.itemsize
    args.probs, args.table = gpu.upload(probs, "probs").address, gpu.upload(table, "table").address
    args.gamma, args.beta = gpu.upload(gamma, "gamma").address, gpu.upload(beta, "beta").address
    out = gpu.empty(memory.shape, dtype, "out")
    args.out = out.address + shift * memory.itemsize
    args.item_step = args.out_item_step = item
    args.row_step = args.out_row_step = row
    args.tokens, args.width, args.emotions, args.epsilon = tokens, width, emotions, epsilon
    counts = gpu.launch(code, f"emotion_layernorm_{kind}", (-(-tokens // 32), batch), 256, args, shared_bytes=4 * width)
    wanted = np.zeros(memory.shape, bool)
    wanted[places] = True
    assert (kernels.written(out, memory) == wanted).all(), "wrote other elements than it should"
    want = kernel_reference.emotion_layernorm(x, probs, table, gamma, beta, epsilon)
    np.testing.assert_allclose(out.array()[places].astype(np.float64), want, rtol=LIMIT[kind], atol=LIMIT[kind])
    return counts


@pytest.mark.parametrize("architecture", kernels.ARCHITECTURES)
@pytest.mark.parametrize("kind", TYPES)
def test_by_four_and_one_by_one(architecture, kind):
    code = kernels.program("emotion_layernorm", architecture)
    check(code, kind, width=128)
    check(code, kind, width=101, item_apart=3)
    check(code, kind, width=12, apart=5, shift=1)


@pytest.mark.parametrize(("batch", "tokens", "width", "emotions"), [(1, 1, 1, 1), (3, 33, 4, 2), (1, 67, 31, 28), (2, 2, 384, 7)])
def test_sizes(batch, tokens, width, emotions):
    # A single value is its own mean; the difference is then nothing but rounding, which epsilon must cover.
    check(kernels.program("emotion_layernorm"), batch=batch, tokens=tokens, width=width, emotions=emotions)


def test_a_lookup_reads_one_row():
    code = kernels.program("emotion_layernorm")
    soft = check(code, batch=1, tokens=3, width=128, emotions=32)
    hard = check(code, batch=1, tokens=3, width=128, emotions=32, hard=True)
    row = 128 * 4 // 32
    assert hard.sectors_read == 3 * row + row + 2 * row + 4  # tokens, one of the emotions, gamma and beta, probabilities
    assert soft.sectors_read == hard.sectors_read + 31 * row


def test_moves_each_byte_once():
    counts = check(kernels.program("emotion_layernorm"), "f16", batch=2, tokens=32, width=64, emotions=7)
    row = 64 * 2 // 32
    assert counts.sectors_read == 64 * row + 7 * row + 2 * row + 1 and counts.sectors_written == 64 * row
    assert counts.transactions_written == counts.sectors_written


FAULTS = [
    ("dropped barrier", "  __syncthreads();\n", ""),
    (
        "one row too many",
        "min((blockIdx.x + 1) * kEmotionLayerNormRows, a.tokens)",
        "min((blockIdx.x + 1) * kEmotionLayerNormRows, a.tokens + 1)",
    ),
    ("wrong stride of the table", "static_cast<long long>(k) * a.width + i", "static_cast<long long>(k) * a.emotions + i"),
    ("first text's emotions for all", "static_cast<long long>(item) * a.emotions", "0"),
    ("vectors at any width", "(a.row_step | a.out_row_step | a.width) % 4 == 0", "true"),
    ("beta left out", " * g[k] + b[k];", " * g[k];"),
    ("epsilon left out", "/ n + a.epsilon", "/ n"),
    ("emotion not in the variance", "const float centred = v[k] + mix[i + k] - mean;", "const float centred = v[k] - mean;"),
    ("texts of the wrong stride", "item * a.item_step", "item * a.tokens * a.row_step"),
    (
        "columns skipped",
        "for (int i = threadIdx.x; i < a.width; i += kEmotionLayerNormThreads)",
        "for (int i = threadIdx.x + 1; i < a.width; i += kEmotionLayerNormThreads)",
    ),
]


def test_seeded_faults():
    def every(code):
        check(code, "f32", tokens=34, width=36, item_apart=4)
        check(code, "f16", tokens=3, width=13, apart=3, epsilon=0.5)

    kernels.assert_all_caught("emotion_layernorm", FAULTS, every)
