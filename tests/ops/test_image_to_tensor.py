"""image_to_tensor against its NumPy twin: every encoding, sizes 1, odd and prime, views of larger pictures, borders, turned regions."""

import ctypes
import mmap

import numpy as np
import pytest
import reference
from affectrt import _core
from hypothesis import given, settings
from hypothesis import strategies as st

COLORS = ("rgb8", "bgr8", "rgba8", "bgra8", "mono8", "nv12", "yuv422_yuy2")
# Of 255: the fast kernel rounds horizontal weights to 14 bits, which chroma conversion at most doubles.
TOLERANCE = 0.06


def picture(color, height, width, seed=0):
    rng = np.random.default_rng(seed)
    shape = {
        "mono8": (height, width),
        "nv12": (height * 3 // 2, width),
        "yuv422_yuy2": (height, width, 2),
    }.get(color, (height, width, 4 if "a8" in color else 3))
    return rng.integers(0, 256, shape, dtype=np.uint8)


def compare(frame, color, to_source, width=24, height=16, layout="nchw", tensor_color="rgb", guard=True):
    channels = 1 if tensor_color == "gray" else 3
    options = {
        "layout": layout,
        "tensor_color": tensor_color,
        "mean": [10.0, 20.0, 30.0][:channels],
        "scale": [1.0, 0.5, 2.0][:channels],
        "pad_value": [7.0, 8.0, 9.0][:channels],
    }
    got = _core.image_to_tensor(frame, color, to_source=to_source, width=width, height=height, **options)
    want = reference.image_to_tensor(frame, color, to_source, width, height, **options)
    assert got.shape == want.shape and got.dtype == np.float32
    rows = frame.shape[0] * 2 // 3 if color == "nv12" else frame.shape[0]
    unsure = reference.near_edge(to_source, width, height, frame.shape[1], rows)
    difference = np.abs(got - want)
    difference = difference.max(axis=0 if layout == "nchw" else 2)
    assert np.isfinite(got).all()
    assert difference[~unsure].max(initial=0) <= TOLERANCE * 2.0  # the largest scale above


@pytest.mark.parametrize("color", COLORS)
@pytest.mark.parametrize("tensor_color", ["rgb", "bgr", "gray"])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize(
    "sizes", [((48, 64), (16, 24)), ((480, 640), (192, 192)), ((62, 98), (31, 37)), ((2, 2), (7, 5)), ((4, 16), (1, 1))]
)
def test_whole_picture(color, tensor_color, layout, sizes):
    (height, width), (out_height, out_width) = sizes
    for fit in ("stretch", "letterbox"):
        to_source = _core.fit_whole(width, height, out_width, out_height, fit)
        compare(picture(color, height, width), color, to_source, out_width, out_height, layout, tensor_color)


@pytest.mark.parametrize("color", ["rgb8", "bgr8", "rgba8", "bgra8", "mono8"])
@pytest.mark.parametrize("size", [(1, 1), (1, 31), (31, 1), (3, 5), (13, 17), (101, 103)])
def test_odd_and_prime_sizes(color, size):
    to_source = _core.fit_whole(size[1], size[0], 23, 19, "stretch")
    compare(picture(color, *size), color, to_source, 23, 19)


@settings(max_examples=300, deadline=None)
@given(
    color=st.sampled_from(COLORS),
    half=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    out=st.tuples(st.integers(1, 33), st.integers(1, 33)),
    linear=st.tuples(*[st.floats(-4, 4, width=32)] * 4),
    shift=st.tuples(*[st.floats(-30, 90, width=32)] * 2),
    seed=st.integers(0, 9),
)
def test_any_affine_map(color, half, out, linear, shift, seed):
    to_source = (linear[0], linear[1], shift[0], linear[2], linear[3], shift[1])
    compare(picture(color, 2 * half[0], 2 * half[1], seed), color, to_source, out[1], out[0])


@pytest.mark.parametrize("color", COLORS)
def test_views_with_rows_apart(color):
    big = picture(color, 60, 80)
    if color == "nv12":  # rows of both planes lie equally far apart
        view = big[:, 8:72]
    else:
        view = big[4:52, 8:72]
    height = view.shape[0] * 2 // 3 if color == "nv12" else view.shape[0]
    to_source = _core.fit_whole(64, height, 24, 16, "stretch")
    compare(view, color, to_source)


@pytest.mark.parametrize("color", COLORS)
def test_reads_nothing_beyond_the_picture(color):
    """The same picture with other bytes behind it gives the same tensor."""
    frame = picture(color, 18, 22)
    results = []
    for fill in (0, 255):
        memory = np.full(frame.size + 64, fill, np.uint8)
        memory[: frame.size] = frame.ravel()
        inside = memory[: frame.size].reshape(frame.shape)
        results.append(
            _core.image_to_tensor(
                inside,
                color,
                to_source=(0.9, 0.05, 1.0, -0.05, 0.95, 1.2),
                width=24,
                height=18,
                mean=[0, 0, 0],
                scale=[1, 1, 1],
                pad_value=[0, 0, 0],
            )
        )
    np.testing.assert_array_equal(*results)


@pytest.fixture
def before_a_wall():
    """Copies an array to where the next byte cannot be read: reading on ends the process, so this test would not merely fail."""
    libc = ctypes.CDLL(None, use_errno=True)
    walls = []

    def place(array):
        pages = -(-array.nbytes // mmap.PAGESIZE)
        memory = mmap.mmap(-1, (pages + 1) * mmap.PAGESIZE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        wall = ctypes.c_void_p(start + pages * mmap.PAGESIZE)
        assert libc.mprotect(wall, mmap.PAGESIZE, 0) == 0
        walls.append((memory, wall))
        copy = np.frombuffer(memory, np.uint8, array.nbytes, pages * mmap.PAGESIZE - array.nbytes).reshape(array.shape)
        copy[:] = array
        return copy

    yield place
    for _, wall in walls:
        libc.mprotect(wall, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE)


@pytest.mark.parametrize("color", COLORS)
@pytest.mark.parametrize("size", [(2, 16), (4, 16), (8, 18), (48, 64), (62, 98)])
def test_reads_no_byte_behind_the_picture(color, size, before_a_wall):
    frame = before_a_wall(picture(color, *size))
    for to_source in [(size[1] / 32, 0, 0, 0, size[0] / 32, 0), (1, 0, size[1] - 33, 0, 1, size[0] - 33), (0.3, 0.9, -3, 0.9, 0.3, -3)]:
        compare(frame, color, to_source, 33, 33)


def test_identity_is_exact():
    frame = picture("rgb8", 32, 40)
    got = _core.image_to_tensor(
        frame,
        "rgb8",
        to_source=(1, 0, 0, 0, 1, 0),
        width=40,
        height=32,
        layout="nhwc",
        mean=[0, 0, 0],
        scale=[1, 1, 1],
        pad_value=[0, 0, 0],
    )
    np.testing.assert_array_equal(got, frame.astype(np.float32))


def test_nan_in_the_map_reads_as_outside():
    frame = picture("rgb8", 32, 40)
    got = _core.image_to_tensor(
        frame, "rgb8", to_source=(float("nan"), 0, 0, 0, 1, 0), width=40, height=32, mean=[0, 0, 0], scale=[1, 1, 1], pad_value=[5, 6, 7]
    )
    assert (got == np.array([5, 6, 7], np.float32)[:, None, None]).all()


ARGUMENTS = {"to_source": (1, 0, 0, 0, 1, 0), "width": 8, "height": 8, "mean": [0, 0, 0], "scale": [1, 1, 1], "pad_value": [0, 0, 0]}


@pytest.mark.parametrize(
    ("frame", "color", "error", "text"),
    [
        (np.zeros((4, 4, 3), np.float32), "rgb8", TypeError, "expected dtype uint8, got float32"),
        (np.zeros((4, 4), np.uint8), "rgb8", ValueError, r"expected shape \(height, width, 3\) for color='rgb8', got \(4, 4\)"),
        (np.zeros((4, 4, 4), np.uint8), "bgr8", ValueError, r"got \(4, 4, 4\)"),
        (np.zeros((4, 4, 3), np.uint8), "rgba8", ValueError, r"\(height, width, 4\)"),
        (np.zeros((4, 4, 3), np.uint8), "mono8", ValueError, r"\(height, width\)"),
        (np.zeros((5, 4), np.uint8), "nv12", ValueError, r"height \* 3/2"),
        (np.zeros((9, 4), np.uint8), "nv12", None, ""),
        (np.zeros((6, 5), np.uint8), "nv12", ValueError, "even sides"),
        (np.zeros((4, 5, 2), np.uint8), "yuv422_yuy2", ValueError, "even width"),
        (np.zeros((0, 4, 3), np.uint8), "rgb8", ValueError, "at least one pixel"),
        (np.zeros((2, 20000, 3), np.uint8), "rgb8", ValueError, "at most 16384 px a side"),
        (np.zeros((1, 40000, 3), np.uint8), "rgb8", ValueError, "at most 16384 px a side"),
        (np.zeros((4, 4, 3), np.uint8)[:, ::-1], "rgb8", ValueError, "one after another"),
        (np.zeros((4, 4, 3), np.uint8)[..., ::-1], "rgb8", ValueError, "unreversed frame with its own color="),
        (np.zeros((4, 4, 3), np.uint8)[::-1], "rgb8", ValueError, "one after another"),
        (np.zeros((4, 8, 3), np.uint8)[:, ::2], "rgb8", ValueError, "one after another"),
        (np.zeros((3, 4, 4), np.uint8).transpose(1, 2, 0), "rgb8", ValueError, "one after another"),
        ([[1, 2], [3, 4]], "rgb8", TypeError, "expected a NumPy array or an object with __dlpack__, got list"),
        (None, "rgb8", TypeError, "got NoneType"),
        (np.zeros((4, 4, 3), np.uint8), "yuv", ValueError, "expected one of rgb8, bgr8"),
    ],
)
def test_bad_pictures(frame, color, error, text):
    if error is None:
        _core.image_to_tensor(frame, color, **ARGUMENTS)
        return
    with pytest.raises(error, match=text):
        _core.image_to_tensor(frame, color, **ARGUMENTS)


def test_read_only_and_dlpack_come_in_uncopied():
    frame = picture("rgb8", 16, 16)
    want = _core.image_to_tensor(frame, "rgb8", **ARGUMENTS)
    frame.flags.writeable = False
    np.testing.assert_array_equal(_core.image_to_tensor(frame, "rgb8", **ARGUMENTS), want)

    class Capsule:
        def __init__(self, array):
            self.array = array

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    np.testing.assert_array_equal(_core.image_to_tensor(Capsule(picture("rgb8", 16, 16)), "rgb8", **ARGUMENTS), want)

    class OnGpu(Capsule):
        def __dlpack_device__(self):
            return (2, 0)

    with pytest.raises(TypeError, match="DLPack tensor on device type 2"):
        _core.image_to_tensor(OnGpu(frame), "rgb8", **ARGUMENTS)
