"""Pack fernet-fer7: seven facial expressions, from a small residual network trained here on FER2013.

python -m affectrt_export.recipes.face_fernet --data FOLDER --train DIR --out DIR [--minutes 75]

FOLDER holds fer2013_training.npz and fer2013_public_test.npz. The training is kept in --train and gone on with at each call.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from affectrt.labels import FER7

from affectrt_export import calibrate, data, families, measure, photos, pipeline, reference, runner
from affectrt_export.publish import Identity
from affectrt_export.recipes import face_detection
from affectrt_export.recipes._common import Options, trained, training_parser
from affectrt_export.request import Request, Result
from affectrt_export.spec import F32, Examples, ExportError, Model
from affectrt_export.terminal import Bars

COMMAND = "affectrt export default face_fernet --data FOLDER --train DIR --out DIR"
NAME = "fernet-fer7"
LIMITS = (
    "FER2013's labels are noisy, people agree with them about two times in three; so does this network.",
    "It mistakes fear for sadness and sadness for neutral most.",
    "Its training pictures come from a web search of 2013: posed, mostly light-skinned adults. Expect it to be worse on others.",
    "It reads one picture. A face at rest that looks sad is read as sad.",
)
ACCURACY_WHERE_KNOWN = 0.75


def make(options: Options, train: Path, minutes: float) -> Result | None:
    """Trains, or goes on training; when that is done, exports the checkpoint and writes the pack. None: call again."""
    from affectrt_export.train import face_expression as training

    if options.data is None:
        raise ExportError("--data must name a folder with fer2013_training.npz and fer2013_public_test.npz")
    checkpoint = trained(train, lambda: training.train(options.data or Path(), train, minutes, training.Recipe()))
    if checkpoint is None:
        return None
    model = families.read(checkpoint, options=families.Options(name=NAME, license="Apache-2.0"))
    held = data.read(options.data / "fer2013_public_test.npz", model.contract, name="FER2013 PublicTest")
    training_set = data.read(options.data / "fer2013_training.npz", model.contract, name="FER2013 Training")
    model, unknown = _calibrated(model, held)
    _check_clip(model, options.cache)
    request = Request(
        model=model,
        identity=_identity(model, unknown),
        out=options.out,
        variants=("int8", "master"),
        evaluation=held,
        calibration=training_set,
        calibrate=False,
        replace=True,
    )
    with Bars() as progress:
        return pipeline.export(request, progress)


def _calibrated(model: Model, held: Examples) -> tuple[Model, calibrate.Unknown]:
    logits = measure.run(model.onnx, held.feeds, model.contract.output)
    decode = {**model.contract.decode, "temperature": _temperature(model, logits, held)}
    contract = dataclasses.replace(model.contract, decode=decode)
    unknown = calibrate.unknown_below(measure.probabilities(contract, logits), held.truth, accuracy=ACCURACY_WHERE_KNOWN)
    contract = dataclasses.replace(contract, decode={**decode, "unknown_below": unknown.below})
    return dataclasses.replace(model, contract=contract), unknown


def _temperature(model: Model, logits: F32, held: Examples) -> float:
    """Of those within a tenth of the likeliest, the one with which the top probability is most nearly the share of right answers.

    Smoothed labels leave the unlikely ones too likely, and the likelihood pays for that with a confidence that is too high.
    """
    likeliest = calibrate.temperature(logits, held.truth)

    def error(value: float) -> float:
        contract = dataclasses.replace(model.contract, decode={**model.contract.decode, "temperature": value})
        return measure.reliability(measure.probabilities(contract, logits), held.truth, False).ece

    return min((round(likeliest * float(part), 3) for part in np.linspace(0.9, 1.1, 21)), key=error)


def _check_clip(model: Model, cache: Path) -> None:
    """A clip that goes from neutral to a smile must be read so, found by the detector and cut by the pack's own crop."""
    spec = face_detection.FULL
    detect = face_detection.detector(spec, face_detection.model(spec, cache))
    network, (entry,) = runner.Onnx(model.onnx), model.contract.inputs
    template = np.array(entry["crop"]["template"], np.float32)
    said = []
    for image in photos.video("single_face.mp4", 3, cache):
        for row in detect(image)[:1]:
            region = reference.key_point_region(row[5:].reshape(-1, 2), template, entry["width_px"], entry["height_px"])
            logits = network({entry["tensor"]: reference.image_tensor(image, "rgb8", entry, region)})[model.contract.output]
            said.append(FER7[int(logits[0].argmax())])
    if said[0] != "neutral" or said[-1] != "happy":
        raise ExportError(f"the clip goes from neutral to happy, it was read as {said}")


def _identity(model: Model, unknown: calibrate.Unknown) -> Identity:
    near = photos.astronaut()[62:182, 166:276]
    decode = model.contract.decode
    summary = "Seven facial expressions: angry, disgust, fear, happy, sad, surprise, neutral"
    return Identity(
        name=NAME,
        version="1.0.0",
        description=summary,
        intended_use="Let a robot or device react to the expression of somebody in front of it, smoothed over time, with consent.",
        known_limits=LIMITS,
        command=COMMAND,
        sections={
            "What it is": f"{summary}. A residual network of 1.6 million parameters for gray faces of 48x48, trained here from nothing. "
            "`int8`: weights and activations in 8 bits, static scales, for any CPU. `master`: 8-bit weights only, computed in fp32; "
            "`affectrt export derive` makes fp16 and TensorRT files of it on your machine.",
            "Origin and licence": "Weights: trained here on FER2013 Training (Goodfellow et al., 2013; 28,709 gray faces of 48x48 from a "
            "web search, released for a public challenge), Apache-2.0. PublicTest was used to validate, PrivateTest not "
            "at all. The golden picture is "
            "a "
            "part of scikit-image's astronaut (NASA, public domain). Valence, arousal and dominance of each label are ratings of the "
            "words by "
            "people (Russell and Mehrabian, 1977; see affectrt/labels.py), not measurements of faces.",
            "Training": "60 epochs of crops at 40 px, mirrored, turned, scaled, moved and partly erased; labels smoothed and, towards the "
            "end, mixed with what the network said before (Laine and Aila, 2017). Then twice 8 epochs on whole pictures at 48 px (Touvron "
            "et al., 2019), rare classes weighing more: that was tried because PublicTest showed 0.674 and a poor F1 of disgust before it. "
            "Moving average of the weights. No test-time augmentation.",
            "Input": "A gray face that fills the picture the way FER2013's do, stretched to 48x48, scaled to [-1, 1]. From a frame it is "
            "cut by "
            "six key points onto the place where the full-range detector finds them in FER2013's own pictures.",
            "Confidence": f"The temperature ({decode['temperature']:g}) and the threshold for unknown ({unknown.below:g}) were chosen on "
            "PublicTest: "
            f"{unknown.coverage:.1%} of its faces are answered, {unknown.accuracy:.1%} of those answers are right.",
            "Where not to use it": "Not to decide about a person: not in hiring, teaching, policing, health or access to anything. A "
            "facial "
            "expression is not a feeling.",
        },
        pictures={"astronaut": (near, "rgb8"), "astronaut-bgr": (np.ascontiguousarray(near[4:100, 6:102, ::-1]), "bgr8")},
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    read = training_parser(__doc__, "folder with fer2013_training.npz and fer2013_public_test.npz").parse_args(argv)
    result = make(Options(read.out, read.cache, read.data), read.train, read.minutes)
    raise SystemExit(3 if result is None else 0 if result.passed else 1)


if __name__ == "__main__":
    main()
