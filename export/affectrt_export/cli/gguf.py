"""`affectrt export gguf`: a chat model in, GGUF files out, each measured against the best source there is."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from affectrt.cli.errors import FAILED, note
from affectrt.cli.output import Format, Report, write

from affectrt_export.terminal import Bars, NarrowOutput, bound, existing, licence, plain_argument, words

if TYPE_CHECKING:
    from affectrt_export.gguf import Exported

COLUMNS = ("variant", "status", "size_mb", "perplexity", "kl_mean", "prompt_tok_s", "decode_tok_s", "file")


def gguf(
    source: Annotated[str, typer.Argument(help="A Llama-family folder in hub layout, org/repo, or a .gguf file.")],
    out: Annotated[Path, typer.Option(help="Folder that the files and the report are written to.")],
    text: Annotated[Path | None, typer.Option(help="UTF-8 text that weighs and judges: what the model is for.")] = None,
    variants: Annotated[str, typer.Option(help="With commas: f16 q8_0 q6_k q5_k_m q4_k_m q4_0.")] = "q8_0,q4_k_m,q4_0",
    calibration_text: Annotated[Path | None, typer.Option(help="Other text for the importance matrix.")] = None,
    name: Annotated[str, typer.Option(help="Of the files; made from the source's if left out.")] = "",
    license: Annotated[str, typer.Option(help="SPDX id of the weights, where the source names none.")] = "",
    revision: Annotated[str | None, typer.Option(help="Of a hub repository.")] = None,
    no_importance: Annotated[bool, typer.Option("--no-importance", help="Do not weigh by an importance matrix of the text.")] = False,
    allow_requantise: Annotated[bool, typer.Option("--allow-requantise", help="The source may be quantised already.")] = False,
    max_perplexity_ratio: Annotated[str, typer.Option(help="Perplexity over the best source's: a number or `off`.")] = "1.05",
    max_kl: Annotated[str, typer.Option(help="Nats a token from the best source: a number or `off`.")] = "0.1",
    max_latency_ratio: Annotated[str, typer.Option(help="Time of a turn over the source's: a number or `off`.")] = "1.0",
    max_size_ratio: Annotated[str, typer.Option(help="Size over the source's: a number or `off`.")] = "1.0",
    threads: Annotated[int, typer.Option(help="0: as many as the runtime takes.")] = 0,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of files that are there.")] = False,
    output: NarrowOutput = Format.table,
) -> None:
    """Convert and quantise a chat model; perplexity and divergence against the best source, speed, and what each file really holds.

    Exit code 1 if any variant that was asked for is refused; its file is then not written.
    """
    from affectrt_export.gguf import Limits, Measuring, Options, export_gguf

    existing(text=text, calibration_text=calibration_text)

    limits = Limits(
        perplexity_ratio=bound(max_perplexity_ratio, "--max-perplexity-ratio"),
        kl_mean=bound(max_kl, "--max-kl"),
        latency_ratio=bound(max_latency_ratio, "--max-latency-ratio"),
        size_ratio=bound(max_size_ratio, "--max-size-ratio"),
    )
    options = Options(
        name=name,
        license=licence(license),
        revision=revision,
        calibration_text=calibration_text,
        measuring=Measuring(limits=limits, importance=not no_importance, threads=threads, allow_requantise=allow_requantise),
        command="affectrt " + shlex.join(plain_argument(word) for word in sys.argv[1:]),
        replace=replace,
    )
    with Bars() as progress:
        result = export_gguf(source, out, variants=words(variants), text=text, options=options, progress=progress)
    _show(result, output)


def _show(result: Exported, output: Format) -> None:
    rows: list[dict[str, Any]] = []
    for one in result.record.variants:
        rows.append(
            {
                "variant": one.name,
                "status": one.status,
                "size_mb": one.size_bytes / 1e6,
                **{metric: one.figure(metric) for metric in COLUMNS[3:7]},
                "file": result.files[one.name].name if one.name in result.files else "",
            }
        )
        for finding in one.findings:
            if not finding.passed:
                note(f"{one.name}: {finding.gate}: {finding.detail}")
    for finding in result.record.parity:
        if not finding.passed:
            note(f"parity: {finding.detail}")
    document = {"report": str(result.report), "passed": result.passed, "chosen": result.chosen, "variants": rows}
    places = [f"to run on this machine: {result.chosen or 'none passed'}", f"report: {result.report}"]
    write(Report(COLUMNS, rows, document, result.record.name, places), output)
    if not result.passed:
        raise typer.Exit(FAILED)
