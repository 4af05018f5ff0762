"""image_to_tensor, detection and attention over random launches: a handful by default, as many as KERNEL_SWEEP says on request."""

import os

import kernels
import numpy as np
import pytest
import test_kernel_detection as detection
import test_kernel_masked_attention as attention
from image_launches import COLORS, TYPES, Launch

CASES = int(os.environ.get("KERNEL_SWEEP", "3"))


@pytest.mark.parametrize("seed", range(CASES))
def test_image_to_tensor(seed):
    rng = np.random.default_rng(1000 + seed)
    color = COLORS[rng.integers(len(COLORS))]
    even = 2 if color in ("nv12", "yuv422_yuy2") else 1
    size = tuple(int(even * rng.integers(1, 24)) for _ in range(2))
    maps = tuple(
        tuple(float(v) for v in (*rng.uniform(-2, 2, 2), rng.uniform(-9, size[1]), *rng.uniform(-2, 2, 2), rng.uniform(-9, size[0])))
        for _ in range(rng.integers(1, 4))
    )
    Launch(
        color,
        size,
        maps,
        tuple(int(v) for v in rng.integers(1, 28, 2)),
        str(rng.choice(list(TYPES))),
        str(rng.choice(["nchw", "nhwc"])),
        str(rng.choice(["rgb", "bgr", "gray"])),
        [None, int(rng.integers(0, len(maps) + 1))][seed % 2],
        int(rng.integers(0, 9)),
        int(rng.integers(0, 5)),
        int(rng.integers(0, 9)),
    ).check(kernels.program("image_to_tensor", kernels.ARCHITECTURES[seed % 3]))


@pytest.mark.parametrize("seed", range(CASES))
def test_detection(seed):
    rng = np.random.default_rng(2000 + seed)
    data = detection.outputs(
        int(rng.integers(1, 700)), int(rng.integers(0, 7)), seed, int(rng.integers(1, 9)), rng.uniform(1, 20), rng.uniform(0, 0.3)
    )
    code = kernels.program("detection", kernels.ARCHITECTURES[seed % 3])
    detection.check(code, data, int(rng.integers(1, 20)), rng.uniform(0.3, 0.8), rng.uniform(0, 0.9))


@pytest.mark.parametrize("seed", range(CASES))
def test_masked_attention(seed):
    rng = np.random.default_rng(3000 + seed)
    tokens = int(rng.integers(1, 50))
    hidden = [(int(rng.integers(2)), int(rng.integers(tokens))) for _ in range(rng.integers(0, 9))]
    code = kernels.program("masked_attention", kernels.ARCHITECTURES[seed % 3])
    attention.check(
        code, ["f32", "f16"][seed % 2], 2, int(rng.integers(1, 3)), tokens, int(rng.integers(1, 70)), int(rng.integers(1, 70)), hidden
    )
