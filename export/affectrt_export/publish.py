"""Makes a pack of the variants that passed: manifest, card, golden vectors. The same arguments give the same bytes.

What differs from run to run, such as latency, is in the report beside the pack and never in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from affectrt import metrics
from affectrt.packs import open_pack
from affectrt.packs.write import npy_bytes, write_pack
from affectrt.verify import FAILED, verify

from affectrt_export import golden, reference, runner
from affectrt_export.measure import probabilities
from affectrt_export.recipes._common import card, measured
from affectrt_export.spec import F32, Contract, ExportError, Feeds, Model, Outcome, Quality, Run

U8 = npt.NDArray[np.uint8]
_NAMED = 4

# How far an answer of the variant that the golden vectors come from may be off on another processor. Activations quantised as they come
# round differently there for a few inputs (tests/aarch64/compare.py).
TOLERANCE = {"fp32": 0.001, "fp16": 0.01, "int8": 0.02, "int4": 0.02}


@dataclass(frozen=True)
class Identity:
    """What a pack says of itself that no network knows."""

    name: str
    version: str
    description: str
    intended_use: str
    known_limits: Sequence[str]
    command: str
    """The command that re-creates the pack."""
    sections: Mapping[str, str] = field(default_factory=dict)
    """Sections of the card, by heading, before those that are always there."""
    pictures: Mapping[str, tuple[U8, str]] = field(default_factory=dict)
    """Golden inputs of a face pack: name to picture (H, W, C) or (H, W) and its encoding."""
    sentences: Mapping[str, str] | None = None
    """Golden inputs of a text pack; None: `golden.choose` finds some."""


def feeds_of(contract: Contract, identity: Identity) -> dict[str, list[Feeds]]:
    """The golden inputs as the network takes them: each at once, or in the windows of a text-span network."""
    (entry,) = contract.inputs
    if entry["kind"] == "image":
        pictures = identity.pictures.items()
        return {name: [{entry["tensor"]: reference.image_tensor(image, color, entry)}] for name, (image, color) in pictures}
    reader, given = golden.Reader(contract), identity.sentences or {}
    if contract.task == "text-span":
        return {name: reader.windows(text) for name, text in given.items()}
    return {name: [feed] for name, feed in zip(given, reader.feeds(list(given.values())), strict=True)}


def answer(contract: Contract, network: Run, feeds: Sequence[Feeds]) -> F32:
    """What is expected of a golden input: the probabilities of labels, or the logits of spans, one window after the other."""
    logits = [network(feed)[contract.output] for feed in feeds]
    return np.concatenate([one[0] for one in logits]) if contract.task == "text-span" else probabilities(contract, logits[0])[0]


def publish(
    folder: Path,
    model: Model,
    identity: Identity,
    outcomes: Sequence[Outcome],
    *,
    fp32: Quality | None = None,
    license: str = "",
    replace: bool = True,
    before: Callable[[], None] | None = None,
) -> Path | None:
    """Writes the pack of all published outcomes to `folder`/name; the first is its reference. None where nothing was published.

    fp32: how right the network is in fp32, which the figures of each variant stand beside. license: SPDX id of the weights where the
    source names none. before: called when the pack is whole and has replayed its golden vectors, right before it moves to its place.

    Raises ValueError for what the pack format does not allow, ExportError for a pack that does not replay; then nothing is written.
    """
    good = [outcome for outcome in outcomes if outcome.published]
    if not good:
        return None
    contract, feeds = model.contract, feeds_of(model.contract, identity)
    answers = [_answers(contract, outcome, feeds) for outcome in good]
    variants = []
    for outcome, answer in zip(good, answers, strict=True):
        kind = outcome.kind
        base = TOLERANCE.get(kind.precision, 0.02)
        apart = max(float(np.abs(answer[name] - answers[0][name]).max()) for name in feeds)
        variants.append(
            {
                "name": kind.name,
                "file": f"model.{kind.name}.onnx",
                "format": "onnx",
                "precision": kind.precision,
                "golden_tolerance_abs": base if outcome is good[0] else _up(base + 1.5 * apart),
                "requires": list(kind.requires),
                "measured": _measured(outcome.quality, fp32, identity.command),
            }
        )
    files: dict[str, bytes | Path] = {**contract.files}
    vectors = []
    result = "logits" if contract.task == "text-span" else "probs"
    for name in feeds:
        files[f"golden/{name}.{result}.npy"] = npy_bytes(answers[0][name])
        if name in identity.pictures:
            image, color = identity.pictures[name]
            files[f"golden/{name}.npy"] = npy_bytes(image)
            given: dict[str, str] = {"image": f"golden/{name}.npy", "color": color}
        else:
            given = {"text": (identity.sentences or {})[name]}
            if contract.task == "text-span":
                given["question"] = golden.question(contract, given["text"])
        vectors.append({"name": name, "input": given, "expected": {result: f"golden/{name}.{result}.npy"}})
    files |= {f"model.{outcome.kind.name}.onnx": outcome.onnx for outcome in good if outcome.onnx is not None}
    files["CARD.md"] = _card(identity, variants, good)
    manifest = {
        "name": identity.name,
        "version": identity.version,
        "task": contract.task,
        "description": identity.description,
        "license": {"code": "Apache-2.0", "weights": license or model.license},
        "source": [dict(entry) for entry in model.source],
        "card": "CARD.md",
        "intended_use": identity.intended_use,
        "known_limits": list(identity.known_limits),
        "recipe": identity.command,
        "inputs": [dict(entry) for entry in contract.inputs],
        "outputs": [dict(entry) for entry in contract.outputs],
        "decode": dict(contract.decode),
        "labels": [dict(label) for label in contract.labels],
        "variants": variants,
        "golden": vectors,
    }

    def check(work: Path) -> None:
        check_replay(work)
        if before is not None:
            before()

    return write_pack(folder / identity.name, manifest, files, replace=replace, check=check)


def check_replay(folder: Path) -> None:
    """ExportError unless the runtime gives the golden answers of a pack again, with every variant that runs on this machine."""
    wrong = [one for one in verify(open_pack(str(folder))) if one.status == FAILED]
    if wrong:
        said = [f"{one.variant}, {one.golden}: {one.detail or _apart(one.max_difference, one.tolerance)}" for one in wrong[:_NAMED]]
        more = f"; and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        raise ExportError(f"the finished pack does not give its own golden answers, so it is not published: {'; '.join(said)}{more}")


def _apart(difference: float | None, tolerance: float | None) -> str:
    return f"off by {difference:.4g}, {tolerance:g} is allowed" if difference is not None and tolerance is not None else "not the same"


def _answers(contract: Contract, outcome: Outcome, feeds: Mapping[str, Sequence[Feeds]]) -> dict[str, F32]:
    assert outcome.onnx is not None
    network = runner.Onnx(outcome.onnx)
    return {name: answer(contract, network, value) for name, value in feeds.items()}


def _measured(quality: Quality | None, parent: Quality | None, command: str) -> list[dict[str, Any]]:
    if quality is None:
        return []

    def figures(q: Quality) -> dict[str, float]:
        main = {"macro_f1": q.scores.macro_f1, "micro_f1": q.scores.micro_f1}
        if not q.scores.multi_label:
            main = {"accuracy": q.scores.accuracy, "macro_f1": q.scores.macro_f1}
        return {**main, "ece": q.reliability.ece, "known_part": q.coverage, "accuracy_where_known": q.accuracy_where_known}

    compared = figures(parent) if parent is not None else {}
    return [measured(name, quality.data, value, command, compared.get(name)) for name, value in figures(quality).items()]


def _card(identity: Identity, variants: Sequence[Mapping[str, Any]], good: Sequence[Outcome]) -> bytes:
    sliced = [(outcome.kind.name, outcome.slices) for outcome in good if outcome.slices is not None]
    sections = {
        "What it is": identity.description,
        **identity.sections,
        "Known limits": "\n".join(f"- {limit}" for limit in identity.known_limits),
        **({"By group": _by_group(sliced)} if sliced else {}),
        "Made by": f"`{identity.command}`. Running it twice on one machine gives the same bytes.",
    }
    return card(identity.name, sections, variants)


def _by_group(sliced: Sequence[tuple[str, metrics.Slices]]) -> str:
    lines = ["| variant | group | examples | accuracy | macro_f1 |", "|---|---|---|---|---|"]
    ends = []
    for name, slices in sliced:
        for one in slices.groups:
            lines.append(
                f"| {name} | {_cell(one.group)} | {one.examples}{' (few)' * one.small} | {one.accuracy:.4g} | {one.macro_f1:.4g} |"
            )
        for what, gap in (("accuracy", slices.accuracy_gap), ("macro_f1", slices.macro_f1_gap)):
            if gap is not None:
                ends.append(f"{name}: {what} is worst for {_cell(gap.worst)}, {gap.difference:.4g} under {_cell(gap.best)}.")
    least = sliced[0][1].least
    return "\n".join(
        [*lines, "", f"Groups of under {least} examples (few) are not compared; macro_f1 is over the classes that a group has.", *ends]
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _up(value: float) -> float:
    """Rounded up to two digits after the point."""
    return math.ceil(value * 100) / 100
