"""align.cu in the interpreter against the closed form of its CPU twin and the paper's, and its seeded faults."""

import kernels
import numpy as np
import pytest
import reference
import structs


def detections(count, key_points, seed=0, at=0.0):
    """(count, 5 + 2 K) float32: upright and turned faces, some far from the corner."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 300, (count, 2)) + at
    rows = np.hstack([rng.uniform(0.5, 1, (count, 1)), low, low + rng.uniform(20, 200, (count, 2))])
    points = rng.uniform(0, 200, (count, 2 * key_points)) + np.tile(low, key_points)
    return np.hstack([rows, points]).astype(np.float32)


def box_map(row, scale, shift, square, eyes, size):
    """The rectangle of a BoxCrop, worked out in double precision."""
    x0, y0, x1, y1, *points = row[1:].astype(np.float64)
    turn = 1 + 0j
    if min(eyes) >= 0:
        right, left = (complex(points[2 * e], points[2 * e + 1]) for e in eyes)
        if left != right:
            turn = (left - right) / abs(left - right)
    width, height = x1 - x0, y1 - y0
    centre = complex((x0 + x1) / 2, (y0 + y1) / 2) + turn * complex(shift[0] * width, shift[1] * height)
    if square:
        width = height = max(width, height)
    sx, sy = scale * width / size[0], scale * height / size[1]
    origin = centre - complex(0.5, 0.5) - turn * complex(sx * (size[0] - 1) / 2, sy * (size[1] - 1) / 2)
    return [turn.real * sx, -turn.imag * sy, origin.real, turn.imag * sx, turn.real * sy, origin.imag]


def launch(code, kernel, args, rows, count, limit=None):
    gpu = kernels.Gpu()
    args.rows, args.row_values = gpu.upload(rows, "rows").address, rows.shape[1]
    args.count = gpu.upload(np.array([count], np.int32), "count").address
    blank = np.zeros((len(rows), 6), np.float32)
    out = gpu.empty(blank.shape, np.float32, "regions")
    args.regions, args.max_count = out.address, len(rows) if limit is None else limit
    counts = gpu.launch(code, kernel, -(-len(rows) // 64), 64, args)
    used = min(count, args.max_count)
    assert (kernels.written(out, blank) == (np.arange(len(rows)) < used)[:, None]).all(), "wrote other maps than it should"
    return out.array()[:used], counts


def check_box(code, rows, count, scale=1.5, shift=(0.1, -0.2), square=1, eyes=(0, 1), size=(64, 48)):
    args = structs.AlignBoxArgs()
    args.right_eye, args.left_eye, args.square, args.scale = *eyes, square, scale
    args.shift_x, args.shift_y = shift
    args.tensor_width_px, args.tensor_height_px = size
    got, counts = launch(code, "align_box", args, rows, count)
    want = [box_map(row, scale, shift, square, eyes, size) for row in rows[: len(got)]]
    np.testing.assert_allclose(got, np.reshape(want, (-1, 6)), rtol=1e-5, atol=2e-3)
    return counts


def check_points(code, rows, count, index, limit=None):
    target = np.random.default_rng(len(index)).uniform(4, 44, (len(index), 2)).astype(np.float32)
    args = structs.AlignPointsArgs()
    args.points = len(index)
    args.index[: len(index)] = index
    args.template_x[: len(index)] = target[:, 0].tolist()
    args.template_y[: len(index)] = target[:, 1].tolist()
    got, counts = launch(code, "align_points", args, rows, count, limit)
    for row, m in zip(rows, got, strict=False):
        source = row[5:].reshape(-1, 2)[list(index)]
        np.testing.assert_allclose(m, reference.umeyama(source - 0.5, target - 0.5), rtol=1e-4, atol=4e-3)
    return counts


@pytest.mark.parametrize("architecture", kernels.ARCHITECTURES)
@pytest.mark.parametrize(("faces", "count"), [(1, 1), (7, 5), (67, 66), (16, 0)])
def test_maps(architecture, faces, count):
    code = kernels.program("align", architecture)
    check_box(code, detections(faces, 6), count)
    check_box(code, detections(faces, 0), count, square=0, eyes=(-1, -1), size=(31, 17))
    check_points(code, detections(faces, 6), count, (0, 1, 2, 3, 4, 5))


@pytest.mark.parametrize("index", [(0, 1), (3, 0, 5), tuple(range(16))])
def test_number_of_points(index):
    check_points(kernels.program("align"), detections(3, 16), 3, index, limit=2)


def test_far_from_the_corner():
    code = kernels.program("align")
    check_points(code, detections(5, 6, at=15000.0), 5, (0, 1, 2, 3, 4, 5))
    check_box(code, detections(5, 6, at=15000.0), 5)


def test_eyes_at_one_place_do_not_turn():
    rows = detections(1, 2)
    rows[0, 7:9] = rows[0, 5:7]
    check_box(kernels.program("align"), rows, 1)


def test_reads_each_detection_once():
    counts = check_box(kernels.program("align"), detections(16, 6), 16)
    # Score and other key points share sectors with what is needed; 16 rows of 68 bytes, the count, 16 maps of 24 bytes.
    assert counts.sectors_read <= 34 + 1 and counts.sectors_written == 12


FAULTS = [
    (
        "one detection too many",
        "if (i >= a.max_count || i >= *a.count) return;\n  const float* row =",
        "if (i > *a.count) return;\n  const float* row =",
    ),
    (
        "no guard of the capacity",
        "if (i >= a.max_count || i >= *a.count) return;\n  const float* points",
        "if (i >= *a.count) return;\n  const float* points",
    ),
    (
        "swapped eyes",
        "const float x = row[5 + 2 * a.left_eye] - row[5 + 2 * a.right_eye]",
        "const float x = row[5 + 2 * a.right_eye] - row[5 + 2 * a.left_eye]",
    ),
    (
        "wrong stride of maps",
        "float* m = a.regions + 6LL * i;\n  m[0] = cosine * sx",
        "float* m = a.regions + 5LL * i;\n  m[0] = cosine * sx",
    ),
    ("edge for centre", "const float ux = tx - 0.5f", "const float ux = tx"),
    ("turned the other way", "imaginary += px * qy - py * qx", "imaginary += py * qx - px * qy"),
    ("sides swapped", "sy = a.scale * height", "sy = a.scale * width"),
    ("shift not turned", "cosine * shift_x - sine * shift_y", "shift_x"),
]


def test_seeded_faults():
    def every(code):
        check_box(code, detections(5, 6), 3)
        check_box(code, detections(5, 6), 3, square=0)
        check_points(code, detections(5, 6), 5, (0, 1, 2), limit=3)

    kernels.assert_all_caught("align", FAULTS, every)
