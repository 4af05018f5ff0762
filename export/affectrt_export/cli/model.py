"""`affectrt export model`: a trained classifier or regressor in, a pack of proven variants out."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from affectrt.cli.errors import FAILED, note
from affectrt.cli.output import Format, Report, write

from affectrt_export.terminal import Bars, NarrowOutput, among, bound, existing, licence, plain_argument

if TYPE_CHECKING:
    from affectrt_export.request import Result
    from affectrt_export.spec import Bounds, Model

COLUMNS = ("variant", "status", "size_mb", "score", "drop", "ece", "p50_ms", "ratio", "refused_for")
SHOWN = COLUMNS[:-1]
"""What fits into 80 columns; why a variant was refused is said beneath, and on stderr."""
Bound = "a number, or `off` to leave the gate out (the report says so)"


def model(
    source: Annotated[str, typer.Argument(help="A folder in hub layout, org/repo, an .onnx file, or a recipe FILE.py[:NAME].")],
    out: Annotated[Path, typer.Option(help="Folder that the pack's folder and its report are written to.")],
    data: Annotated[Path | None, typer.Option(help="Labelled data that judges the variants: .tsv, .csv or .npz.")] = None,
    calibration: Annotated[Path | None, typer.Option(help="Other labelled data that int8 is calibrated with.")] = None,
    data_labels: Annotated[Path | None, typer.Option(help="Names of the label indices in the .tsv of --data, a line each.")] = None,
    data_group: Annotated[
        str | None, typer.Option(help="Column of --data that tells groups apart (as of `affectrt eval --group`): the card has each.")
    ] = None,
    variants: Annotated[str, typer.Option(help="With commas, first choice first: fp32 fp16 int8 int8-trt int4 master.")] = ("int8,fp32"),
    family: Annotated[str | None, typer.Option(help="How to read the source; found out by itself (`affectrt export families`).")] = None,
    name: Annotated[str | None, typer.Option(help="Of the pack; made from the source's if left out.")] = None,
    version: Annotated[str, typer.Option(help="Of the pack.")] = "1.0.0",
    task: Annotated[str, typer.Option(help="face-expression, text-emotion, text-span or text-pair, where the source does not tell.")] = "",
    license: Annotated[str, typer.Option(help="SPDX id of the weights, where the source names none.")] = "",
    labels: Annotated[Path | None, typer.Option(help="Names of the outputs, a line each: joy, or joy,0.8,0.5,0.4.")] = None,
    contract: Annotated[Path | None, typer.Option(help="JSON that says how to feed an .onnx file (docs/packs.md).")] = None,
    revision: Annotated[str | None, typer.Option(help="Of a hub repository.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Texts are cut to so many.")] = None,
    size_px: Annotated[int | None, typer.Option(help="Side of the picture.")] = None,
    question: Annotated[str, typer.Option(help="text-span: as in training, with {target}, {evidence}, {emotion} in their places.")] = "",
    separator: Annotated[str, typer.Option(help="text-pair: between the parts of a pair, as in training; else <SEP>.")] = "",
    threshold: Annotated[float | None, typer.Option(help="text-span: margin over no answer (0). text-pair: of yes (0.5).")] = None,
    yes: Annotated[str, typer.Option(help="text-pair: the label that means a cause; else the last.")] = "",
    arch: Annotated[str, typer.Option(help="timm's name of the network, where a file of weights does not say.")] = "",
    intended_use: Annotated[str, typer.Option(help="One sentence for the card.")] = "",
    known_limit: Annotated[list[str] | None, typer.Option(metavar="TEXT", help="One sentence for the card; any number of times.")] = None,
    no_calibrate: Annotated[bool, typer.Option("--no-calibrate", help="Fit no temperature and thresholds on the examples.")] = False,
    calibration_method: Annotated[str, typer.Option(help="Of static int8: minmax, percentile or entropy.")] = "",
    max_parity: Annotated[str, typer.Option(help=f"Largest difference of fp32 to the source: {Bound}.")] = "1e-3",
    max_accuracy_drop: Annotated[str, typer.Option(help=f"Accuracy or macro-F1 under fp32: {Bound}.")] = "0.01",
    max_class_drop: Annotated[str, typer.Option(help=f"F1 of any class under fp32: {Bound}.")] = "0.05",
    max_latency_ratio: Annotated[str, typer.Option(help=f"Median time over the parent variant's: {Bound}.")] = "1.0",
    max_size_ratio: Annotated[str, typer.Option(help=f"Size over the parent variant's: {Bound}.")] = "1.0",
    threads: Annotated[int, typer.Option(help="Of ONNX Runtime, for latency.")] = 1,
    seed: Annotated[int, typer.Option(help="Chooses the calibration examples.")] = 0,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of a pack that is there.")] = False,
    output: NarrowOutput = Format.table,
) -> None:
    """Export a trained model: parity with its framework, every variant through its gates, repair of those that fail, a report.

    Exit code 1 if any variant that was asked for is refused; it is then not in the pack. Started again after a kill, it goes on.
    """
    from affectrt_export import asked, pipeline
    from affectrt_export import data as labelled
    from affectrt_export import families as known
    from affectrt_export.request import Request
    from affectrt_export.variants import KINDS, Options

    # What can be judged without the model is judged before it is loaded.
    limits = _bounds(max_parity, max_accuracy_drop, max_class_drop, max_latency_ratio, max_size_ratio)
    existing(data=data, calibration=calibration, data_labels=data_labels, labels=labels, contract=contract)
    names, license = among(variants, KINDS, "--variants"), licence(license)
    reading = known.Options(
        task=task,
        name=name or "",
        license=license,
        labels=labels,
        contract=contract,
        revision=revision,
        max_tokens=max_tokens,
        size_px=size_px,
        arch=arch,
        question=question,
        separator=separator,
        yes=yes,
        threshold=threshold,
    )
    asked.check_judging(data is not None, limits)
    asked.check_source(source, reading, out, replace)
    bars = Bars()
    bars.tell(f"reading {source}")
    read = known.read(source, family=family, options=reading)
    if data is not None:
        bars.tell(f"reading {data.name}")
    judged = None if data is None else labelled.read(data, read.contract, labels=data_labels, group=data_group)
    calibrating = None if calibration is None else labelled.read(calibration, read.contract, labels=data_labels)
    command = "affectrt " + shlex.join(plain_argument(word) for word in sys.argv[1:])
    request = Request(
        model=read,
        identity=_identity(read, name or read.name, version, intended_use, known_limit or [], command),
        out=out,
        variants=names,
        evaluation=judged,
        calibration=calibrating,
        bounds=limits,
        options=Options(calibration=calibration_method) if calibration_method else Options(),
        calibrate=not no_calibrate,
        license=license,
        seed=seed,
        threads=threads,
        replace=replace,
    )
    with bars as progress:
        result = pipeline.export(request, progress, bars.tell)
    show(result, output)


def families(output: NarrowOutput = Format.table) -> None:
    """List the families of models that `affectrt export model` reads."""
    from affectrt_export.families import FAMILIES

    write(Report(("family", "reads"), [{"family": one.name, "reads": one.about} for one in FAMILIES], title="families"), output)


def show(result: Result, output: Format) -> None:
    """Tells what an export gave; exit code 1 if anything was refused."""
    from affectrt_export.report.words import unlabelled

    rows: list[dict[str, Any]] = []
    for one in result.record.variants:
        failed = [finding for finding in one.findings if not finding.passed]
        rows.append(
            {
                "variant": one.name,
                "status": one.status,
                "size_mb": one.size_bytes / 1e6,
                "score": one.score,
                "drop": one.drop,
                "ece": None if one.quality is None else one.quality.reliability.ece,
                "p50_ms": None if one.latency is None else one.latency.p50_ms,
                "ratio": one.latency_ratio,
                "refused_for": ", ".join(finding.gate for finding in failed) if one.status == "refused" else "",
            }
        )
        for finding in failed:
            note(f"{one.name}: {finding.gate}: {finding.detail}")
    for finding in result.record.parity:
        if not finding.passed:
            note(f"parity: {finding.detail}")
    document = {
        "pack": str(result.pack or ""),
        "kept": str(result.kept or ""),
        "report": str(result.report),
        "passed": result.passed,
        "variants": rows,
    }
    places = [f"report: {result.report}", f"pack: {result.said}"]
    if unlabelled(result.record):
        places.insert(0, "accuracy was not judged: no labelled data was given (--data)")
    people = output in (Format.table, Format.md)
    if people:
        places = [f"{row['variant']} was refused for: {row['refused_for']}" for row in rows if row["refused_for"]] + places
    write(Report(SHOWN if people else COLUMNS, rows, document, f"{result.record.name}", places), output)
    if not result.passed:
        raise typer.Exit(FAILED)


def _bounds(parity: str, accuracy: str, per_class: str, latency: str, size: str) -> Bounds:
    from affectrt_export.spec import Bounds

    largest = bound(parity, "--max-parity")
    usual = Bounds()
    return Bounds(
        parity_max=largest,
        parity_mean=None if largest is None else largest / 10,
        parity_cosine=None if largest is None else usual.parity_cosine,
        accuracy_drop=bound(accuracy, "--max-accuracy-drop"),
        class_drop=bound(per_class, "--max-class-drop"),
        latency_ratio=bound(latency, "--max-latency-ratio"),
        size_ratio=bound(size, "--max-size-ratio"),
    )


def _identity(model: Model, name: str, version: str, intended_use: str, limits: list[str], command: str) -> Any:
    from affectrt_export import photos
    from affectrt_export.publish import Identity

    origin = "; ".join(f"{entry['what']}: `{entry['origin']}` ({entry['license']})" for entry in model.source)
    face = photos.astronaut()[62:182, 166:276]
    return Identity(
        name=name,
        version=version,
        description=f"{_what(model)}, from {model.name}",
        intended_use=intended_use or "As its author intends; the exporter added nothing.",
        known_limits=limits or ["Those of its source; none was named at export."],
        command=command,
        sections={"Origin and licence": origin, "Where not to use it": "Not to judge a person, nor where its author excludes it."},
        pictures={} if model.contract.inputs[0]["kind"] == "text" else {"astronaut": (face, "rgb8")},
    )


def _what(model: Model) -> str:
    if model.contract.task == "text-span":
        return "Which part of a text made someone feel as they do"
    if model.contract.task == "text-pair":
        return "Whether a text made someone feel as they do"
    return f"{model.contract.task.replace('-', ' ').capitalize()} of {len(model.contract.labels)} labels"
