"""affect.cu in the interpreter against the reference of its CPU twin, frame after frame, and its seeded faults."""

import ctypes

import kernel_reference
import kernels
import numpy as np
import pytest
import structs

ACTIVATIONS = ("softmax", "sigmoid", "identity")
OPTIONS = {
    "activation": "softmax",
    "temperature": 1.3,
    "smoothing_ms": 250.0,
    "min_face_px": 24.0,
    "min_sharpness": 0.01,
    "full_height_px": 48.0,
    "unknown_below": 0.3,
}
FACE = np.dtype([("stamp_ns", "i8"), ("track", "i4"), ("fresh", "i4")])
TRACK = np.dtype([("stamp_ns", "i8"), ("filled", "i4"), ("unused", "i4")])
READING = np.dtype([("vad", "f4", 3), ("confidence", "f4"), ("label", "i4"), ("doubt", "i4")])


def frames(count, faces, labels, seed=0, alike=False):
    """Frames of faces that come and go: (values, heights, sharpness, tracks, fresh, stamp_ns) each."""
    rng = np.random.default_rng(seed)
    stamp, seen = 1_000_000_000_000, set()
    for _ in range(count):
        stamp += int(rng.choice([-30_000_000, 0, 40_000_000, 110_000_000], p=[0.2, 0.1, 0.35, 0.35]))
        tracks = rng.permutation(faces + 2)[:faces]
        fresh = np.array([t not in seen or rng.uniform() < 0.1 for t in tracks])
        seen |= set(tracks.tolist())
        values = rng.normal(0, 2, (faces, labels)).astype(np.float32)
        if alike:
            values[:] = values[:, :1]
        values[rng.uniform(size=faces) < 0.1, rng.integers(labels)] = np.nan
        heights, sharpness = rng.choice([20.0, 30.0, 90.0], faces, p=[0.2, 0.4, 0.4]), rng.choice([0.005, 0.2], faces, p=[0.2, 0.8])
        yield values, heights.astype(np.float32), sharpness.astype(np.float32), tracks, fresh, stamp


def check(code, faces=3, labels=7, count=None, limit=None, steps=3, seed=0, alike=False, **changed):
    options = OPTIONS | changed
    rng = np.random.default_rng(seed + 99)
    ratings = rng.uniform(-1, 1, (3, labels)).astype(np.float32)
    used = min(faces if count is None else count, faces if limit is None else limit)
    gpu = kernels.Gpu()
    slots = faces + 2
    track_probs, tracks_state = gpu.empty((slots, labels), np.float32, "track_probs"), gpu.state(np.zeros(slots, TRACK), "tracks")
    remembered = [{} for _ in range(slots)]
    for values, heights, sharpness, tracks, fresh, stamp in frames(steps, faces, labels, seed, alike):
        args = structs.AffectArgs()
        rows = np.zeros((faces, 17), np.float32)
        rows[:, 2], rows[:, 4] = 11, 11 + heights
        face = np.zeros(faces, FACE)
        face["stamp_ns"], face["track"], face["fresh"] = stamp, tracks, fresh
        args.values, args.rows, args.row_values = gpu.upload(values, "values").address, gpu.upload(rows, "rows").address, 17
        args.sharpness, args.faces = gpu.upload(sharpness, "sharpness").address, gpu.upload(face, "faces").address
        args.ratings = gpu.upload(ratings, "ratings").address
        args.count = 0 if count is None else gpu.upload(np.array([count], np.int32), "count").address
        args.track_probs, args.tracks = track_probs.address, tracks_state.address
        blank = np.zeros((faces, labels), np.float32)
        raw, probs = gpu.empty(blank.shape, np.float32, "raw_probs"), gpu.empty(blank.shape, np.float32, "probs")
        readings = gpu.empty(faces, READING, "readings")
        args.raw_probs, args.probs, args.readings = raw.address, probs.address, readings.address
        args.max_count, args.labels = faces if limit is None else limit, labels
        args.activation = ACTIVATIONS.index(options["activation"])
        for name in ("temperature", "smoothing_ms", "min_face_px", "min_sharpness", "full_height_px", "unknown_below"):
            setattr(args, name, options[name])
        counts = gpu.launch(code, "affect", -(-faces // 4), 128, args)

        assert (kernels.written(probs, blank) == (np.arange(faces) < used)[:, None]).all(), "wrote to other faces than it should"
        assert (kernels.written(readings, np.zeros(faces, READING)) == (np.arange(faces) < used)).all()
        for i in range(used):
            track = remembered[tracks[i]]
            if fresh[i]:
                track.clear()
            want = kernel_reference.read_affect(values[i], heights[i], sharpness[i], stamp, ratings, track, options)
            got = readings.array()[i]
            np.testing.assert_allclose(raw.array()[i], want.raw, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(probs.array()[i], want.probs, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose([*got["vad"], got["confidence"]], [*want.vad, want.confidence], rtol=1e-4, atol=1e-5)
            assert (got["label"], got["doubt"]) == (want.label, want.doubt)
    return counts


@pytest.mark.parametrize("architecture", kernels.ARCHITECTURES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_frame_after_frame(architecture, activation):
    code = kernels.program("affect", architecture)
    check(code, activation=activation, steps=5, faces=5, seed=ACTIVATIONS.index(activation))


@pytest.mark.parametrize("labels", [1, 2, 31, 32, 33, 97])
def test_labels(labels):
    check(kernels.program("affect"), labels=labels, seed=labels)


@pytest.mark.parametrize(("faces", "count", "limit"), [(1, None, None), (5, 3, None), (5, 0, None), (6, 6, 2), (13, None, 13)])
def test_faces_in_use(faces, count, limit):
    check(kernels.program("affect"), faces=faces, count=count, limit=limit)


def test_of_equal_labels_the_first():
    check(kernels.program("affect"), labels=40, alike=True, unknown_below=0.0, steps=1)


def test_without_smoothing():
    check(kernels.program("affect"), smoothing_ms=0.0, unknown_below=0.0)


def test_moves_each_value_once():
    counts = check(kernels.program("affect"), faces=4, labels=32, steps=1)
    # Values, ratings, rows, faces; sharpness; raw probabilities are read back by the lane that wrote them.
    assert counts.sectors_read <= 16 + 12 + 8 + 2 + 1 + 2 + 16 + 16 + 4
    assert ctypes.sizeof(structs.AffectArgs) == 128


FAULTS = [
    ("one face too many", "i >= *a.count", "i > *a.count"),
    ("no guard of the capacity", "if (i >= a.max_count || (", "if ((a.count == nullptr && i >= a.max_count) || ("),
    ("temperature left out", "expf((values[i] - top) / a.temperature)", "expf(values[i] - top)"),
    ("arousal of dominance", "a.ratings[a.labels + k]", "a.ratings[2 * a.labels + k]"),
    (
        "track of the face's number",
        "static_cast<long long>(face.track) * a.labels;\n  AffectTrackState",
        "static_cast<long long>(face.fresh) * a.labels;\n  AffectTrackState",
    ),
    ("fresh track not seen", "!face.fresh && ", ""),
    ("state of the track before it", "if (face.fresh && lane == 0) a.tracks[face.track].filled = 0;", ""),
    ("time in the wrong unit", "* 1e-6f", "* 1e-9f"),
    (
        "labels beyond the first 32 left out",
        "for (int k = lane; k < a.labels; k += 32) {\n    const float p",
        "for (int k = lane; k < a.labels && k < 32; k += 32) {\n    const float p",
    ),
    ("last of equal labels", "(value == top.value && label < top.label)", "(value == top.value && label > top.label)"),
    ("clock that runs back", "fmaxf(dt_ms, 0.0f)", "dt_ms"),
    ("blurred face smoothed in", "if (doubt == kNoDoubt) smooth", "if (doubt != kTinyDoubt) smooth"),
    ("nonsense let into the track", "return __all_sync(0xffffffffu, finite);", "return __all_sync(0xffffffffu, true);"),
]


def test_seeded_faults():
    def every(code):
        check(code, faces=5, count=3, labels=7, steps=5, seed=1)
        check(code, faces=5, count=5, limit=3, labels=35, steps=3, seed=2, unknown_below=0.0)
        check(code, faces=4, labels=9, alike=True, unknown_below=0.0, steps=1, seed=4)
        check(code, faces=5, labels=7, steps=5, seed=2, activation="identity")

    kernels.assert_all_caught("affect", FAULTS, every)
