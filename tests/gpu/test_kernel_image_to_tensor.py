"""image_to_tensor.cu in the interpreter against the reference of its CPU twin: every encoding, element and layout; sizes 1, odd, prime;
strided and batched; what it moves against the fewest bytes; and that seeded faults are caught."""

import itertools

import kernels
import numpy as np
import pytest
from image_launches import COLORS, MEAN, PAD, SCALE, TYPES, Launch

TURNED = (1.3, 0.2, -2.0, -0.15, 1.2, 1.0)
SHRUNK = (2.1, 0.0, 0.4, 0.0, 2.3, 0.6)
GROWN = (0.31, 0.0, -0.6, 0.0, 0.27, -0.7)
NOWHERE = (float("nan"), 0.0, 0.0, 0.0, 1.0, 0.0)


@pytest.mark.parametrize("architecture", kernels.ARCHITECTURES)
@pytest.mark.parametrize("color", COLORS)
def test_every_encoding(architecture, color):
    """All kinds of element and layout in turn, two of three slots in use, rows of the picture apart, the tensor at an odd place."""
    code = kernels.program("image_to_tensor", architecture)
    layouts = itertools.cycle([("nchw", "rgb"), ("nhwc", "bgr"), ("nchw", "gray"), ("nhwc", "rgb"), ("nchw", "bgr")])
    start = COLORS.index(color) + 2 * kernels.ARCHITECTURES.index(architecture)
    for kind, (layout, tensor_color) in zip(TYPES, itertools.islice(layouts, start, start + 3), strict=True):
        for apart_bytes, shift, apart in ((0, 0, 0), (3, 1, 5)):
            Launch(color, (18, 22), (TURNED, GROWN, SHRUNK), (14, 23), kind, layout, tensor_color, 2, apart_bytes, shift, apart).check(code)


@pytest.mark.parametrize("size", [(1, 1), (1, 31), (31, 1), (13, 17)])
@pytest.mark.parametrize("out", [(1, 1), (19, 23), (16, 32)])
def test_sizes(size, out):
    code = kernels.program("image_to_tensor")
    whole = (size[1] / out[1], 0.0, size[1] / out[1] / 2 - 0.5, 0.0, size[0] / out[0], size[0] / out[0] / 2 - 0.5)
    for kind, layout in itertools.product(TYPES, ("nchw", "nhwc")):
        Launch("rgb8", size, (whole, TURNED), out, kind, layout).check(code)


@pytest.mark.parametrize(("count", "maps"), [(0, 2), (1, 1), (2, 2), (None, 3)])
def test_slots_in_use(count, maps):
    Launch("bgra8", (9, 11), (TURNED, GROWN, SHRUNK)[:maps], (17, 19), count=count).check(kernels.program("image_to_tensor"))


def test_a_map_that_is_no_number_reads_as_outside():
    _, got = Launch("nv12", (8, 8), (NOWHERE,), (4, 5)).run(kernels.program("image_to_tensor"))
    outside = (np.array(PAD) - MEAN) * SCALE
    np.testing.assert_allclose(got[0], np.broadcast_to(outside[:, None, None], (3, 4, 5)), rtol=1e-6)


@pytest.mark.parametrize("color", COLORS)
@pytest.mark.parametrize("kind", TYPES)
def test_moves_little_more_than_the_fewest_bytes(color, kind):
    """One launch for four faces: at most 1.1 times the sectors that must be read and written."""
    crops = tuple((0.9, 0.05, 3.0 + 9 * i, -0.05, 0.9, 4.0) for i in range(4))
    launch = Launch(color, (48, 80), crops, (32, 32), kind, "nhwc" if kind == "f16" else "nchw")
    counts = launch.check(kernels.program("image_to_tensor"))
    moved, fewest = counts.sectors_read + counts.sectors_written, launch.fewest_sectors()
    assert fewest <= moved <= 1.1 * fewest, f"{moved} sectors, of which {fewest} must be"
    # A warp writes whole sectors, each once.
    assert counts.transactions_written == counts.sectors_written


FAULTS = [
    ("dropped barrier", "  __syncthreads();\n", ""),
    ("one block's pixels for all", "const int first = blockIdx.x * kImageToTensorThreads, ", "const int first = 0, "),
    ("too many elements written", "min(kImageToTensorThreads, pixels - first)", "kImageToTensorThreads"),
    ("off by one in the right tap", "p.x1 = min(p.x0 + 1, a.width_px - 1);", "p.x1 = p.x0 + 1;"),
    ("rows of the wrong plane's pitch", "a.uv + (y / 2) * a.uv_row_bytes", "a.uv + y * a.uv_row_bytes"),
    ("swapped channel", "{{red, static_cast<float>(__ldg(pixel + a.green))", "{{static_cast<float>(__ldg(pixel + a.green)), red"),
    ("slots beyond the count", "slot >= *a.count", "slot > *a.count"),
    ("regions of the wrong stride", "a.regions + 6 * slot", "a.regions + 4 * slot"),
    ("half a pixel less of border", "sx >= -0.5f", "sx >= 0.0f"),
    ("vectors at any address", "% 16 == 0) {", "% 1 == 0) {"),
    ("interleaved in the wrong order", "threadIdx.x * 3 + c", "c * kImageToTensorThreads / 4 + threadIdx.x"),
    ("chroma of the neighbour", "pair + 3", "pair + 5"),
    ("zero point left out", " + a.zero_point;", ";"),
    ("rounded down", "__float2int_rn(value / a.quant_scale)", "static_cast<int>(floorf(value / a.quant_scale))"),
]


def test_seeded_faults():
    def check(code):
        Launch("rgb8", (12, 17), (TURNED, GROWN), (17, 19), "f32", "nchw", "rgb", 1, 2, 1, 5).check(code)
        Launch("nv12", (8, 10), (TURNED, GROWN), (16, 16), "f16", "nhwc").check(code)
        Launch("yuv422_yuy2", (7, 10), (SHRUNK,), (9, 11), "s8", "nchw").check(code)

    kernels.assert_all_caught("image_to_tensor", FAULTS, check)
