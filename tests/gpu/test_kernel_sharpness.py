"""sharpness.cu in the interpreter against the reference of its CPU twin, and its seeded faults."""

import kernel_reference
import kernels
import numpy as np
import pytest
import structs

TYPES = {"f32": np.float32, "f16": np.float16, "s8": np.int8}


def tensors(slots, channels, size, layout, kind, seed=3):
    """Pictures from sharp to flat, normalised as a network has them, (slots, ...) of the kind."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    values = rng.normal(0, 1, (slots, channels, *size)) * np.linspace(0.5, 0.02, slots)[:, None, None, None] + 0.4 * np.sin(x / 5 + y / 7)
    values = values if layout == "nchw" else values.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(np.rint(values * 50 - 9).clip(-128, 127) if kind == "s8" else values).astype(TYPES[kind])


def check(code, kind="f32", layout="nchw", channels=1, size=(20, 37), slots=3, count=None, apart=0, values=None):
    gpu, args = kernels.Gpu(), structs.SharpnessArgs()
    values = tensors(slots, channels, size, layout, kind) if values is None else values
    apart_values = np.pad(values.reshape(slots, -1), ((0, 0), (0, apart)))
    args.tensor = gpu.upload(apart_values.ravel()[: apart_values.size - apart], "tensor").address
    args.count = 0 if count is None else gpu.upload(np.array([count], np.int32), "count").address
    out = gpu.empty(slots, np.float32, "sharpness")
    args.sharpness = out.address
    args.slot_step, args.channel_step = apart_values.shape[1], 1 if layout == "nhwc" else size[0] * size[1]
    args.height_px, args.width_px, args.channels = *size, channels
    args.least_variance = 1e-9
    counts = gpu.launch(code, f"sharpness_{kind}", slots, 256, args)
    used = slots if count is None else count
    assert (kernels.written(out, np.zeros(slots, np.float32)) == (np.arange(slots) < used)).all()
    want = [kernel_reference.sharpness(slot, layout) for slot in values[:used]]
    np.testing.assert_allclose(out.array()[:used], want, rtol=1e-5, atol=1e-7)
    return counts


@pytest.mark.parametrize("architecture", kernels.ARCHITECTURES)
@pytest.mark.parametrize("kind", TYPES)
def test_kinds_and_layouts(architecture, kind):
    code = kernels.program("sharpness", architecture)
    check(code, kind, count=2, apart=5)
    check(code, kind, "nhwc", 3, (11, 13))
    check(code, kind, "nchw", 3, (11, 13), apart=1)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (3, 3), (3, 67), (48, 48)])
def test_sizes(size):
    check(kernels.program("sharpness"), size=size)


def test_flat_bright_and_empty():
    code = kernels.program("sharpness")
    flat = np.full((2, 1, 16, 16), 200.0, np.float32)
    flat[1] += np.random.default_rng(0).normal(0, 0.05, (1, 16, 16)).astype(np.float32)  # little contrast far from zero
    check(code, size=(16, 16), slots=2, values=flat)
    check(code, count=0)


def test_reads_each_byte_from_memory_once():
    counts = check(kernels.program("sharpness"), size=(32, 32), slots=2)
    assert counts.sectors_read == 2 * 32 * 32 * 4 // 32 and counts.sectors_written == 1


FAULTS = [
    (
        "off by one in the rows",
        "y = 1 + warp; y + 1 < a.height_px; y += kWarps)\n    for (int x = 1 + lane; x + 1 < a.width_px; x += 32) {",
        "y = 1 + warp; y < a.height_px; y += kWarps)\n    for (int x = 1 + lane; x + 1 < a.width_px; x += 32) {",
    ),
    ("wrong channel", "a.channels == 3 ? a.channel_step : 0;", "a.channels == 3 ? 2 * a.channel_step : 0;"),
    ("neighbour left out", " - to_float(p[-row])", ""),
    ("sums share one place", "block_sum<kWarps>(laplace, sums[2])", "block_sum<kWarps>(laplace, sums[1])"),
    ("slots beyond the count", "slot >= *a.count", "slot > *a.count"),
    ("wrong stride of slots", "slot * a.slot_step + green", "slot * a.width_px * a.height_px + green"),
    ("columns of all lanes alike", "x = 1 + lane; x + 1 < a.width_px; x += 32) sum", "x = 1; x + 1 < a.width_px; x += 32) sum"),
    ("size counted once", "* size * size", "* size"),
]


def test_seeded_faults():
    def every(code):
        check(code, "f32", "nchw", 3, (13, 17), count=2, apart=3)
        check(code, "f16", "nhwc", 3, (9, 35))

    kernels.assert_all_caught("sharpness", FAULTS, every)
