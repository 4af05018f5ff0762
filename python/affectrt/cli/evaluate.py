"""`affectrt eval PACK DATA`: how right a pack is on labelled data."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from affectrt.cli.errors import note
from affectrt.cli.options import DeviceOption, PrecisionOption, StrictOption, ThreadsOption
from affectrt.cli.output import Format, OutputOption, Report, counted, write
from affectrt.cli.progress import Bar

if TYPE_CHECKING:
    from affectrt.metrics import Scores, Slices


def evaluate(
    pack: Annotated[str, typer.Argument(help="A text-emotion or face-expression pack.")],
    data: Annotated[Path, typer.Argument(help="text and label indices (.tsv), file,label (.csv), or images and labels (.npz).")],
    output: OutputOption = Format.table,
    labels: Annotated[Path | None, typer.Option(help="Names of a tsv's label indices, one a line (default: labels.txt beside it).")] = None,
    group: Annotated[
        str | None,
        typer.Option(
            help="Column that tells groups apart: its name (csv, npz) or number (tsv); without it `group`, where a csv or npz has that."
        ),
    ] = None,
    least_group: Annotated[int, typer.Option(min=1, help="Smaller groups are marked, and do not count in the gap.")] = 30,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many examples.")] = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    strict: StrictOption = False,
    threads: ThreadsOption = 0,
) -> None:
    """Score a pack on labelled data: accuracy, macro- and micro-F1, each class, confusion; each group, where the data tells them apart."""
    from affectrt import FaceExpression, TextEmotion, open_pack
    from affectrt import evaluate as scoring
    from affectrt.cli.media import read_image

    examples = scoring.read_data(data, read_image, labels=labels, group=group)
    opened = open_pack(pack)
    kinds: dict[str, tuple[type[Any], Any]] = {
        "text-emotion": (scoring.Texts, TextEmotion),
        "face-expression": (scoring.Images, FaceExpression),
    }
    if opened.task not in kinds:
        raise ValueError(f"{pack}: a pack for {' or '.join(kinds)} was expected, this one is for {opened.task}")
    wanted, reader = kinds[opened.task]
    if not isinstance(examples, wanted):
        raise ValueError(
            f"{data}: {pack} is for {opened.task}, this data is {'text' if isinstance(examples, scoring.Texts) else 'pictures'}"
        )
    if limit:
        examples = examples.first(limit)
    model = reader(opened, device=device, precision=precision, strict=strict, threads=threads)
    began = time.perf_counter()
    with Bar("examples", total=len(examples)) as bar:
        if isinstance(examples, scoring.Texts):
            answers = scoring.answer_texts(model, examples, bar.set)
        else:
            answers = scoring.answer_images(model, examples, bar.set)
    spent = time.perf_counter() - began
    result = answers.scores
    slices = answers.by_group(examples.groups, least=least_group) if examples.groups is not None else None
    note(f"{counted(result.examples, 'example')} in {spent:.1f} s on {model.provider}, {model.precision}")
    write(_report(result, slices, opened.name, data, model), output)


def _report(scores: Scores, slices: Slices | None, pack: str, data: Path, model: Any) -> Report:
    rows: list[dict[str, Any]] = [dataclasses.asdict(one) for one in scores.classes]
    summary = {"support": sum(one.support for one in scores.classes), "predicted": sum(one.predicted for one in scores.classes)}
    averages = [
        {"label": "(macro)", "precision": scores.macro_precision, "recall": scores.macro_recall, "f1": scores.macro_f1, **summary},
        {"label": "(micro)", "precision": scores.micro_precision, "recall": scores.micro_recall, "f1": scores.micro_f1, **summary},
    ]
    document = {"pack": pack, "data": str(data), "provider": model.provider, "precision": model.precision, **dataclasses.asdict(scores)}
    labels = [one.label for one in scores.classes]
    document["labels"] = labels
    document["slices"] = dataclasses.asdict(slices) if slices is not None else None
    document["confusion_columns"] = ["true_negative", "false_positive", "false_negative", "true_positive"] if scores.multi_label else labels
    what = "exact match" if scores.multi_label else "accuracy"
    notes = [
        f"{what} {scores.accuracy:.4f}, macro-F1 {scores.macro_f1:.4f}, micro-F1 {scores.micro_f1:.4f} over {scores.examples} examples"
    ]
    if not scores.multi_label:
        notes += ["", "confusion: a row for each true label, a column for each predicted one", *_matrix(labels, scores.confusion)]
    if slices is not None:
        notes += ["", *_by_group(slices, what)]
    return Report(
        ("label", "precision", "recall", "f1", "support", "predicted"), [*rows, *averages], document, f"{pack} on {data.name}", notes
    )


def _by_group(slices: Slices, what: str) -> list[str]:
    width = max(len(one.group) for one in slices.groups) + 1
    lines = [f"by group ({what}; macro-F1 over the classes that a group has)"]
    for one in slices.groups:
        small = f"  under {slices.least} examples: not compared" if one.small else ""
        lines.append(f"{one.group.ljust(width)} {one.examples:>7}  {one.accuracy:.4f}  {one.macro_f1:.4f}{small}")
    for name, gap in ((what, slices.accuracy_gap), ("macro-F1", slices.macro_f1_gap)):
        if gap is not None:
            lines.append(f"{name}: {gap.worst} is worst, {gap.difference:.4f} under {gap.best}")
    return lines if slices.accuracy_gap is not None else [*lines, f"fewer than two groups of {slices.least} examples: no gap"]


def _matrix(labels: list[str], cells: tuple[tuple[int, ...], ...]) -> list[str]:
    width = max(len(label) for label in labels) + 1
    column = max(width, *(len(str(cell)) + 1 for row in cells for cell in row))
    head = " " * width + "".join(label.rjust(column) for label in labels)
    return [
        head,
        *(label.ljust(width) + "".join(str(cell).rjust(column) for cell in row) for label, row in zip(labels, cells, strict=True)),
    ]
