"""What test_face_on_gpu.py has a process on the fakes do: `python scenario.py NAME` prints JSON."""

from __future__ import annotations

import gc
import json
import sys
import threading
import weakref
from typing import Any

import numpy as np
import on_fakes

cuda, ort, interpreter = on_fakes.start()

import affectrt as art  # noqa: E402  the fakes come first
from affectrt import _core  # noqa: E402
from skimage import data  # noqa: E402

MS = 1_000_000
PACKS = {"expression": "xception-fer7"}  # in fp32 on either, so that only kernels differ


def crowd() -> np.ndarray:
    """(360, 480, 3) uint8 RGB: two faces of different size."""
    frame = np.full((360, 480, 3), 90, np.uint8)
    face = data.astronaut()[0:230, 120:320]
    frame[40:270, 20:220] = face
    frame[60:175, 300:400] = face[::2, ::2]
    return frame


def plain(faces: list[Any]) -> list[dict[str, Any]]:
    return [
        {
            "track": f.track_id,
            "label": f.label,
            "reason": f.reason,
            "numbers": [*map(float, f.box), f.valence, f.arousal, f.confidence, *map(float, f.key_points.ravel())],
            "probs": [*map(float, f.probs), *map(float, f.raw_probs)],
            "landmarks": None if f.landmarks is None else [float(v) for v in f.landmarks.ravel()[::37]],
        }
        for f in faces
    ]


def both(frames: list[Any], color: str, **options: Any) -> dict[str, Any]:
    """The same frames on the GPU and on the CPU, 40 ms apart."""
    gpu, cpu = (art.Face(color=color, device=device, **PACKS, **options) for device in ("cuda:0", "cpu"))
    assert gpu._core.on_gpu and not cpu._core.on_gpu and gpu.fallbacks == ()
    seen = [plain(gpu(frame, i * 40 * MS)) for i, frame in enumerate(frames)]
    want = [plain(cpu(frame, i * 40 * MS)) for i, frame in enumerate(frames)]
    return {"gpu": seen, "cpu": want, "launches": interpreter.launched}


def two_faces() -> dict[str, Any]:
    """Two frames, the second moved: tracks, smoothing, landmarks."""
    frame = crowd()
    return both([frame, np.roll(frame, 6, axis=1)], "rgb8", landmarks=True)


def encodings() -> dict[str, Any]:
    """A frame in nv12 with rows apart, then nobody in bgra8."""
    rgb = crowd()[:, :260].astype(np.float64)
    y = 16 + rgb @ np.array([65.738, 129.057, 25.064]) / 256
    u, v = (128 + rgb @ np.array(w) / 256 for w in ([-37.945, -74.494, 112.439], [112.439, -94.154, -18.285]))
    wide = np.zeros((540, 300), np.uint8)
    wide[:360, :260] = np.round(y)
    wide[360:, 0:260:2], wide[360:, 1:260:2] = np.round(u[::2, ::2]), np.round(v[::2, ::2])
    nv12 = both([wide[:, :260]], "nv12")
    nobody = both([np.full((100, 120, 4), 130, np.uint8)], "bgra8")
    return {"gpu": nv12["gpu"] + nobody["gpu"], "cpu": nv12["cpu"] + nobody["cpu"], "launches": interpreter.launched}


class OnDevice:
    """A picture in a buffer of the driver's, as another library would hand it over."""

    def __init__(self, frame: np.ndarray) -> None:
        self._buffer = _core.CudaBuffer(frame.nbytes, device="cuda:0")
        cuda.memory(self._buffer.data, frame.nbytes)[:] = frame.reshape(-1)
        self.__cuda_array_interface__ = {"version": 3, "shape": frame.shape, "typestr": "|u1", "data": (self._buffer.data, False)}


def from_device() -> dict[str, Any]:
    """A frame that lies on the device already, once: what is copied, and what is waited for."""
    frame = crowd()[:, :260]
    face = art.Face(color="rgb8", device="cuda:0", **PACKS)
    held = OnDevice(np.ascontiguousarray(frame))
    face(held, 0)
    ort.reset()
    before = len(cuda.calls())
    seen = plain(face(held, 0))
    calls = [(call.name, call.args) for call in cuda.calls()[before:]]
    runs = [dict(call.args) for call in ort.calls("RunWithBinding")]
    face(frame, 0)  # the ring takes its memory
    face.reset()
    before = len(cuda.calls())
    again = plain(face(frame, 0))
    host_calls = [(call.name, call.args) for call in cuda.calls()[before:]]
    return {"device": seen, "host": again, "calls": calls, "host_calls": host_calls, "runs": runs}


def refused() -> dict[str, Any]:
    """What cannot be had, in auto and in strict mode."""
    said: dict[str, Any] = {}
    frame = crowd()[:, :260]
    cpu = art.Face(color="rgb8", device="cpu", **PACKS)
    try:
        cpu(OnDevice(np.ascontiguousarray(frame)))
    except TypeError as error:
        said["device frame on the CPU"] = str(error)
    ort.refuse("CUDAExecutionProvider", "no kernel image")
    for strict in (False, True):
        try:
            face = art.Face(color="rgb8", strict=strict, **PACKS)
            said[f"strict={strict}"] = [face.provider, list(face.fallbacks), face._core.on_gpu]
        except (art.DeviceError, art.EngineError) as error:
            said[f"strict={strict}"] = f"{type(error).__name__}: {error}"
    ort.reset()
    said["auto"] = [(f := art.Face(color="rgb8", **PACKS)).provider, list(f.fallbacks), f._core.on_gpu]
    text = art.TextEmotion()
    named = art.TextEmotion(device="cuda:0")
    said["text named"] = [named.provider, list(named.fallbacks)]
    said["text"] = [text.provider, list(text.fallbacks), text("I finally passed the exam!").label]
    try:
        art.TextEmotion(device="cuda:0", strict=True)
    except art.DeviceError as error:
        said["text on cuda:0"] = str(error)
    return said


def faults() -> dict[str, Any]:
    """Every driver call of a frame fails in turn: an error that names the call, and the next frame is as if nothing had been."""
    frame = crowd()[:, :260]
    face = art.Face(color="rgb8", device="cuda:0", **PACKS)
    want = plain(face(frame, 0))
    # From here on launches do nothing but what the detector's did: its rows stand where they stood.
    cuda.on_launch(lambda *_: None)
    first = len(cuda.calls())
    face(frame, 0)
    count = len(cuda.calls()) - first
    failed = []
    for number in range(1, count + 1):
        at = len(cuda.calls()) + number
        cuda.fail_at(at)
        said, pending = "", 0
        try:
            face(frame, 0)
        except art.DeviceError as error:
            said, pending = str(error), cuda.pending
        failed.append([next(call.name for call in cuda.calls() if call.number == at), said, pending])
        cuda.fail_at(0)
        face(frame, 0)
    cuda.on_launch(interpreter)
    face.reset()
    after = plain(face(frame, 0))
    return {"calls": count, "errors": failed, "want": want, "after": after}


def owners() -> dict[str, Any]:
    """A frame on the device is let go when its call is over, also after an error, and then nothing under way reads it."""
    frame = np.ascontiguousarray(crowd()[:, :260])
    face = art.Face(color="rgb8", device="cuda:0", **PACKS)
    kept = []

    def look() -> str:
        held = OnDevice(frame)
        gone = weakref.ref(held)
        said = ""
        try:
            face(held, 0)
        except (art.EngineError, art.DeviceError) as error:
            said = str(error)
        pending = cuda.pending
        del held
        gc.collect()
        kept.append([gone() is not None, pending])
        return said

    said = [look()]
    for nth in (1, 2):  # detector, expression
        ort.fail("RunWithBinding", "no more memory", nth=nth)
        said.append(look())
    said.append(look())
    return {"said": said, "kept": kept}


def threads() -> dict[str, Any]:
    """A pipeline that is called from many threads, and one whose networks run on the GPU while its other stages do not."""
    frame = crowd()[:, :260]
    faces = [art.Face(color="rgb8", device="cuda:0", **PACKS), art.Face(color="rgb8", device="cuda:0", max_faces=65, **PACKS)]
    on_gpu = [face._core.on_gpu for face in faces]
    seen, told = [], []
    for face in faces:
        ort.reset()
        for _ in range(3):
            thread = threading.Thread(target=lambda face=face: seen.append(plain(face(frame, 0))))
            thread.start()
            thread.join()
        told.append([[call.args["thread"], call.args["graph"], call.args["captures"]] for call in ort.calls("RunWithBinding")])
    return {"on_gpu": on_gpu, "seen": seen, "runs": told, "here": threading.active_count()}


def beside_a_capture() -> dict[str, Any]:
    """Another pipeline opens, looks, and closes while the first captures its graphs."""
    frame = crowd()[:, :260]
    first = art.Face(color="rgb8", device="cuda:0", **PACKS)
    faces, others = [first], list[Any]()

    def another() -> None:
        faces.append(art.Face(color="rgb8", device="cuda:0", **PACKS))
        others.append(plain(faces[1](frame, 0)))

    waited, beside = list[bool](), threading.Thread(target=another)

    def captured() -> None:
        ort.on_capture(None)
        beside.start()
        beside.join(0.3)
        waited.append(beside.is_alive())

    ort.on_capture(captured)
    seen = [plain(first(frame, 0))]
    beside.join(120)
    seen += [plain(face(frame, 40 * MS)) for face in faces]
    captures = sum(call.args["captures"] for call in ort.calls("RunWithBinding"))
    return {"seen": seen + others, "waited": waited, "captures": captures, "fallbacks": [one for face in faces for one in face.fallbacks]}


if __name__ == "__main__":
    result = globals()[sys.argv[1]]()
    print(json.dumps({**result, "violations": [*cuda.violations(), *ort.violations()]}))
