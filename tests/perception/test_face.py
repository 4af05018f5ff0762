"""`Face` and `FaceExpression` on real pictures and on bad ones."""

import pickle
import shutil
import threading
import time

import affectrt as art
import numpy as np
import pytest
from affectrt import _core
from affectrt.packs import DEFAULTS, open_pack
from affectrt.perception import COLORS

MS = 1_000_000


def encode(frame, color):
    """An RGB frame in another encoding, by the definition of each."""
    red, green, blue = (frame[..., i].astype(np.float64) for i in range(3))
    if color == "rgb8":
        return frame
    if color == "bgr8":
        return np.ascontiguousarray(frame[..., ::-1])
    if color in ("rgba8", "bgra8"):
        alpha = np.full((*frame.shape[:2], 1), 255, np.uint8)
        return np.ascontiguousarray(np.concatenate([frame if color == "rgba8" else frame[..., ::-1], alpha], axis=2))
    y = 16 + 65.738 / 256 * red + 129.057 / 256 * green + 25.064 / 256 * blue
    u = 128 - 37.945 / 256 * red - 74.494 / 256 * green + 112.439 / 256 * blue
    v = 128 + 112.439 / 256 * red - 94.154 / 256 * green - 18.285 / 256 * blue
    luma = np.round(y).astype(np.uint8)
    if color == "mono8":
        return np.round(0.299 * red + 0.587 * green + 0.114 * blue).astype(np.uint8)
    if color == "yuv422_yuy2":
        chroma = np.stack([(c[:, 0::2] + c[:, 1::2]) / 2 for c in (u, v)], axis=2).reshape(luma.shape)
        return np.ascontiguousarray(np.stack([luma, np.round(chroma).astype(np.uint8)], axis=2))
    quarter = [sum(c[i::2, j::2] for i in (0, 1) for j in (0, 1)) / 4 for c in (u, v)]
    return np.ascontiguousarray(np.vstack([luma, np.round(np.stack(quarter, axis=2)).astype(np.uint8).reshape(-1, luma.shape[1])]))


def test_a_real_face(face, astronaut):
    (seen,) = face(astronaut, 5)
    assert seen.stamp_ns == 5
    x0, y0, x1, y1 = seen.box
    # Eileen Collins's face in this picture, measured by hand: brows to chin about 75-175, ears about 175-275.
    assert 150 < x0 < 190 and 260 < x1 < 300 and 50 < y0 < 90 and 160 < y1 < 200
    right_eye, left_eye, nose, mouth = seen.key_points[:4]
    assert right_eye[0] < nose[0] < left_eye[0] and right_eye[1] < nose[1] < mouth[1]
    assert seen.label == "happy" and seen.valence > 0.3
    assert seen.probs.dtype == np.float32 and seen.probs.sum() == pytest.approx(1, abs=1e-5)
    for axis in ("valence", "arousal", "dominance"):
        places = [getattr(label, axis) for label in face.packs["expression"].labels]
        assert getattr(seen, axis) == pytest.approx(float(seen.probs @ np.array(places)), abs=1e-5)
    assert 0 < seen.confidence <= 1 and seen.reason == ""
    assert seen.landmarks is None and seen.blendshapes is None
    assert face.provider == "CPUExecutionProvider" and face.timings_ms["total"] > 0


def test_values_are_frozen(astronaut):
    (seen,) = art.Face(color="rgb8", landmarks=True)(astronaut, 5)
    with pytest.raises(AttributeError):
        seen.label = "sad"
    for array in (seen.box, seen.key_points, seen.probs, seen.raw_probs, seen.landmarks):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 5


def test_a_frame_from_another_process(face, astronaut):
    """NumPy gives an unpickled array a dtype object of its own."""
    (want,) = face(astronaut, 5)
    (got,) = face(pickle.loads(pickle.dumps(astronaut)), 5)
    np.testing.assert_array_equal(got.raw_probs, want.raw_probs)


def test_without_an_expression_pack(astronaut):
    (seen,) = art.Face(color="rgb8", expression=False)(astronaut, 5)
    assert (seen.label, seen.reason, seen.confidence, seen.labels) == (art.UNKNOWN, "no expression pack", 0.0, ())


def test_nobody_there(face, empty_scene):
    assert face(empty_scene, 1) == []


@pytest.mark.parametrize("color", COLORS)
def test_every_encoding_gives_the_same_face(astronaut, color):
    face = art.Face()
    (want,) = face(astronaut, 1, color="rgb8")
    (got,) = face(encode(astronaut, color), 2, color=color)
    np.testing.assert_allclose(got.box, want.box, atol=3.0)
    np.testing.assert_allclose(got.raw_probs, want.raw_probs, atol=0.05)


def test_swapped_channels_are_not_the_same(astronaut):
    """The encoding matters: a frame said to be what it is not gives other numbers."""
    face = art.Face()
    (right,) = face(astronaut, 1, color="rgb8")
    (wrong,) = face(astronaut, 1, color="bgr8")
    assert np.abs(right.box - wrong.box).max() > 1e-3


def test_landmarks_and_blendshapes(astronaut):
    face = art.Face(color="rgb8", blendshapes=True)
    (seen,) = face(astronaut, 1)
    assert seen.landmarks.shape == (478, 3) and seen.landmarks.dtype == np.float32
    right_eye, left_eye, _, mouth = seen.key_points[:4]
    # Outer and inner corners of the eyes, and the lips, in MediaPipe's numbering, against the detector's points.
    np.testing.assert_allclose(seen.landmarks[[33, 133], :2].mean(0), right_eye, atol=8)
    np.testing.assert_allclose(seen.landmarks[[362, 263], :2].mean(0), left_eye, atol=8)
    np.testing.assert_allclose(seen.landmarks[[13, 14], :2].mean(0), mouth, atol=10)
    shapes = seen.blendshapes
    assert len(shapes) == 52 and all(0 <= v <= 1 for v in shapes.values())
    assert shapes["mouthSmileLeft"] > 0.6 and shapes["mouthSmileRight"] > 0.6 and shapes["mouthFrownLeft"] < 0.1


def mean_network(side, labels):
    """Gray pictures of one size to as many logits as there are labels, all of them the mean."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["m", "ones"], ["y"]),
    ]
    values = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, side, side]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", labels]),
    ]
    ones = numpy_helper.from_array(np.ones((1, labels), np.float32), "ones")
    graph = helper.make_graph(nodes, "mean", values[:1], values[1:], [ones])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def crowd(astronaut, count=6):
    """A frame with the same real face several times, at different sizes."""
    frame = np.full((480, 640, 3), 90, np.uint8)
    crop = astronaut[30:220, 130:320]
    for i in range(count):
        step = 1 + i % 2
        small = crop[::step, ::step]
        y, x = 20 + 230 * (i // 3), 10 + 210 * (i % 3)
        frame[y : y + small.shape[0], x : x + small.shape[1]] = small
    return frame


def test_several_faces_in_one_batch(astronaut):
    """However many faces share the batch, each reads the same, and the best-scored are kept."""
    frame = crowd(astronaut)
    every = art.Face(color="rgb8")(frame, 1)
    assert len(every) == 6 and len({f.track_id for f in every}) == 6
    assert [f.detection_score for f in every] == sorted((f.detection_score for f in every), reverse=True)
    for count in range(1, 6):
        best = art.Face(color="rgb8", max_faces=count)(frame, 1)
        assert len(best) == count
        for one, same in zip(best, every, strict=False):
            np.testing.assert_array_equal(one.box, same.box)
            np.testing.assert_allclose(one.raw_probs, same.raw_probs, atol=1e-5)


def test_a_tiny_face_is_unknown(astronaut):
    from skimage.transform import resize

    small = (resize(astronaut, (96, 96), anti_aliasing=True) * 255).astype(np.uint8)
    frame = np.full((240, 320, 3), 120, np.uint8)
    frame[80:176, 100:196] = small
    seen = art.Face(color="rgb8")(frame, 1)
    assert seen, "the detector lost the face: the test no longer shows what it means to"
    for one in seen:
        assert one.box[3] - one.box[1] < 24
        assert (one.label, one.reason, one.confidence) == (art.UNKNOWN, "tiny face", 0.0)


def test_a_blurred_face_is_unknown(astronaut):
    from skimage.filters import gaussian

    blurred = (gaussian(astronaut, sigma=6, channel_axis=2) * 255).astype(np.uint8)
    (seen,) = art.Face(color="rgb8")(blurred, 1)
    assert (seen.label, seen.reason, seen.confidence) == (art.UNKNOWN, "blurred face", 0.0)


def test_tracks_are_stable_and_never_given_twice(astronaut):
    face = art.Face(color="rgb8")
    ids = []
    for i in range(12):
        shifted = np.roll(astronaut, 6 * i, axis=1)
        ids.append([f.track_id for f in face(shifted, i * 40 * MS)])
    assert ids == [ids[0]] * 12 and len(ids[0]) == 1
    gone = np.zeros_like(astronaut)
    for i in range(20):
        assert face(gone, (500 + i * 40) * MS) == []
    (back,) = face(astronaut, 5000 * MS)
    assert back.track_id == ids[0][0] + 1
    face.reset()
    (again,) = face(astronaut, 5040 * MS)
    assert again.track_id == back.track_id + 1


def test_a_face_missed_for_a_moment_keeps_its_id(astronaut):
    face = art.Face(color="rgb8")
    (first,) = face(astronaut, 0)
    face(np.zeros_like(astronaut), 40 * MS)
    (again,) = face(astronaut, 80 * MS)
    assert again.track_id == first.track_id


def test_time_that_runs_back(astronaut):
    face = art.Face(color="rgb8")
    (a,) = face(astronaut, 10_000 * MS)
    (b,) = face(astronaut, 9_990 * MS)
    (c,) = face(astronaut, 100 * MS)
    assert b.track_id == a.track_id and c.track_id != a.track_id
    assert np.isfinite(b.probs).all()


def test_smoothing_follows_time(astronaut):
    """The smoothed probabilities move towards the raw ones by 1 - exp(-dt / tau)."""
    face = art.Face(color="rgb8", smoothing_ms=100)
    (first,) = face(astronaut, 0)
    darker = (astronaut * 0.35).astype(np.uint8)
    (second,) = face(darker, 50 * MS)
    assert second.track_id == first.track_id
    assert np.abs(second.raw_probs - first.raw_probs).max() > 1e-3
    want = first.probs + (1 - np.exp(-0.5)) * (second.raw_probs - first.probs)
    np.testing.assert_allclose(second.probs, want, atol=1e-5)


def test_eight_threads_share_one_pipeline(astronaut, each_in_a_thread):
    face = art.Face(color="rgb8", smoothing_ms=0)
    frames = [np.ascontiguousarray(np.roll(astronaut, 11 * i, axis=1) // (1 + i % 3)) for i in range(8)]
    each_in_a_thread(lambda frame: face(frame, 0)[0].raw_probs, frames, repeats=8)


@pytest.mark.alone
def test_the_interpreter_runs_on_during_a_call(astronaut):
    """A thread that counts gets on while a large frame is looked at: the lock is not held."""
    face = art.Face(color="rgb8", landmarks=True)
    frame = np.tile(astronaut, (8, 8, 1))
    counted, done = [], threading.Event()

    def count():
        while not done.is_set():
            counted.append(time.perf_counter())
            time.sleep(0)

    face(frame, 0)
    counter = threading.Thread(target=count)
    counter.start()
    while not counted:
        time.sleep(0.001)
    start = time.perf_counter()
    for _ in range(5):
        face(frame, 0)
    end = time.perf_counter()
    done.set()
    counter.join()
    assert sum(start < t < end for t in counted) >= 10


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"color": "yuv"}, ValueError, "expected one of rgb8, bgr8"),
        ({"device": "tpu"}, ValueError, 'expected "auto", "cpu" or "cuda:N", got \'tpu\''),
        ({"smoothing_ms": float("nan")}, ValueError, "smoothing_ms: expected a finite number of at least 0, got nan"),
        ({"max_faces": "a"}, TypeError, "max_faces: expected an int, got str"),
        ({"precision": 3}, ValueError, "precision: expected"),
        ({"providers": [3]}, ValueError, "providers: expected names"),
        ({"threads": -1}, ValueError, "threads: expected 0 to [0-9]+, got -1"),
        ({"max_faces": 0}, ValueError, "max_faces: expected at least 1, got 0"),
        ({"detector": DEFAULTS["text-emotion"]}, ValueError, "expected a pack for face-detection, got one for text-emotion"),
        ({"precision": "int3"}, art.PackError, "int3"),
        ({"device": "cpu", "providers": ["CPUExecutionProvider"]}, ValueError, "expected one of the two"),
        ({"providers": []}, ValueError, "at least one name"),
        ({"providers": ["NoSuchExecutionProvider"], "strict": True}, art.DeviceError, "NoSuchExecutionProvider: not in this ONNX Runtime"),
    ],
)
def test_bad_arguments(arguments, error, text):
    with pytest.raises(error, match=text):
        art.Face(**arguments)


def test_a_provider_that_is_not_there_is_said_to_be(astronaut):
    face = art.Face(color="rgb8", providers=["NoSuchExecutionProvider", "CPUExecutionProvider"])
    assert face.provider == "CPUExecutionProvider"
    assert "NoSuchExecutionProvider" in face.fallbacks[0]
    assert len(face(astronaut, 0)) == 1


def test_no_color_says_which_to_pick(astronaut):
    with pytest.raises(ValueError, match='Frames from OpenCV are "bgr8"'):
        art.Face()(astronaut)


@pytest.mark.parametrize("stamp", [1.5, "now", True, 2**63])
def test_bad_stamps(face, astronaut, stamp):
    with pytest.raises((TypeError, ValueError), match="stamp_ns"):
        face(astronaut, stamp)


def test_bad_frames_leave_the_pipeline_usable(face, astronaut):
    for frame in (
        np.zeros((4, 4), np.uint8),
        np.zeros((0, 0, 3), np.uint8),
        np.zeros((4, 4, 3)),
        None,
        "frame",
        np.zeros((1, 1, 3), np.uint8),
    ):
        try:
            face(frame, 0)
        except (TypeError, ValueError) as error:
            assert "frame" in str(error)
    assert len(face(astronaut, 0)) == 1


def test_extreme_frames_are_looked_at(face):
    for shape in ((1, 1, 3), (1, 4096, 3), (4096, 1, 3), (2, 3, 3)):
        assert face(np.full(shape, 128, np.uint8), 0) == []


class TestFaceExpression:
    def test_one_and_many(self, astronaut):
        expression = art.FaceExpression(color="rgb8")
        crop = astronaut[60:190, 165:295]
        one = expression(crop, 3)
        assert one.label == "happy" and one.stamp_ns == 3 and one.valence > 0.3
        many = expression([crop, crop[10:100, 10:120], np.ascontiguousarray(crop[:, :, 0:3])])
        assert len(many) == 3
        np.testing.assert_allclose(many[0].probs, one.probs, atol=1e-6)
        assert expression([]) == []

    def test_dominance(self, astronaut, altered):
        crop, places = astronaut[60:190, 165:295], {"happy": 0.5, "angry": -1.0}

        def change(manifest):
            for label in manifest["labels"]:
                label.pop("dominance", None)
                if label["name"] in places:
                    label["dominance"] = places[label["name"]]

        pack = altered(DEFAULTS["face-expression"], change)
        one = art.FaceExpression(pack, color="rgb8")(crop)
        want = sum(place * one.probs[one.labels.index(name)] for name, place in places.items())
        assert one.dominance == pytest.approx(want, abs=1e-6) and one.dominance > 0.1
        (seen,) = art.Face(color="rgb8", expression=pack)(astronaut)
        assert seen.dominance == pytest.approx(sum(p * seen.probs[seen.labels.index(n)] for n, p in places.items()), abs=1e-6)

    def test_labels_without_dominance_have_none_to_speak_of(self, astronaut, altered):
        pack = altered(DEFAULTS["face-expression"], lambda m: [label.pop("dominance", None) for label in m["labels"]])
        assert art.FaceExpression(pack, color="rgb8")(astronaut[60:190, 165:295]).dominance == 0

    def test_more_than_a_batch(self, astronaut):
        expression = art.FaceExpression(color="rgb8")
        crops = [np.ascontiguousarray(astronaut[60 + i : 190 + i, 165:295]) for i in range(37)]
        many = expression(crops)
        for i in (0, 15, 16, 36):
            np.testing.assert_allclose(many[i].probs, expression(crops[i]).probs, atol=1e-5)

    def test_gray_crops(self, astronaut):
        gray = np.round(astronaut[60:190, 165:295] @ [0.299, 0.587, 0.114]).astype(np.uint8)
        expression = art.FaceExpression()
        np.testing.assert_allclose(
            expression(gray, color="mono8").probs, expression(astronaut[60:190, 165:295], color="rgb8").probs, atol=0.02
        )

    def test_a_flat_crop_is_unknown(self):
        seen = art.FaceExpression(color="mono8")(np.full((48, 48), 128, np.uint8))
        assert (seen.label, seen.reason, seen.confidence) == (art.UNKNOWN, "blurred face", 0.0)

    def test_one_bound_of_sharpness_does_for_networks_of_every_size(self, astronaut, altered):
        from skimage.filters import gaussian

        def change(side):
            def of(manifest):
                manifest["inputs"][0].update(width_px=side, height_px=side, layout="nchw", color="gray", tensor="x")
                manifest["inputs"][0].update(mean=[127.5], scale=[1 / 127.5], pad_value=[0])
                manifest["inputs"][0].pop("crop", None)
                manifest["outputs"] = [{"tensor": "y", "kind": "logits", "shape": [-1, len(manifest["labels"])]}]
                manifest["decode"]["kind"] = "softmax"

            return of

        crop = (gaussian(astronaut[60:190, 165:295], sigma=3, channel_axis=2) * 255).astype(np.uint8)
        pack = open_pack(DEFAULTS["face-expression"])
        found = {}
        for side in (48, 64, 96):
            folder = altered(pack.name, change(side), {pack.variant().file: mean_network(side, len(pack.labels))})
            found[side] = float(_core.CropModel(open_pack(folder)._core).classify([crop], "rgb8")[1][0])
            shutil.rmtree(folder)
        np.testing.assert_allclose([found[48], found[96]], found[64], rtol=0.3)

    def test_the_offending_crop_is_named(self, astronaut):
        with pytest.raises(ValueError, match="crop 1: expected shape"):
            art.FaceExpression(color="rgb8")([astronaut, np.zeros((4, 4), np.uint8)])
