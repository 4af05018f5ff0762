"""`affectrt bench`: what a pipeline or a pack costs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from affectrt.cli.errors import FAILED, note
from affectrt.cli.options import DeviceOption, PrecisionOption
from affectrt.cli.output import Format, OutputOption, Report, write
from affectrt.cli.progress import Bar

DEFAULT_PIPELINES = ("face", "text", "dialogue")
COMPARED = ("metric", "value", "baseline", "ratio", "worse_percent", "gated")


def _percentiles(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"comma-separated numbers were expected, got {text!r}") from None


def bench(
    pipeline: Annotated[
        str | None, typer.Option(help="face, text, dialogue or companion; none: the first three, each in its own process.")
    ] = None,
    pack: Annotated[str | None, typer.Option(help="One pack instead of a pipeline.")] = None,
    output: OutputOption = Format.table,
    warmup: Annotated[int, typer.Option(min=0, help="Runs before measuring.")] = 10,
    iterations: Annotated[int | None, typer.Option(min=1, help="Runs to measure; none: as many as --duration has room for.")] = None,
    duration: Annotated[float, typer.Option(help="Seconds to measure.")] = 5.0,
    batch: Annotated[int, typer.Option(min=1, help="Inputs a run (text and expression).")] = 1,
    threads: Annotated[int, typer.Option(min=0, help="0: the shared pool (dialogue: as tuned, else every physical core).")] = 0,
    percentile: Annotated[str, typer.Option(help="Percentiles to report.")] = "50,90,95,99",
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    image: Annotated[Path | None, typer.Option(help="A picture of your own for the face pipelines.")] = None,
    baseline: Annotated[Path | None, typer.Option(help="An earlier `-o json` to compare with.")] = None,
    max_regression: Annotated[
        float | None, typer.Option(min=0, help="Percent that medians, throughput and memory may be worse; else exit 1.")
    ] = None,
) -> None:
    """Measure latency, throughput, memory and energy, per stage and end to end."""
    from affectrt.bench import record as bench_record
    from affectrt.bench.measure import Plan
    from affectrt.bench.subjects import PIPELINES, Options

    if pipeline is not None and pack is not None:
        raise typer.BadParameter("--pipeline or --pack was expected, not both")
    if pipeline is not None and pipeline not in PIPELINES:
        raise typer.BadParameter(f"--pipeline: one of {', '.join(PIPELINES)} was expected, got {pipeline}")
    if max_regression is not None and baseline is None:
        raise typer.BadParameter("--max-regression needs --baseline")
    if pipeline is None and pack is None and batch != 1:
        raise typer.BadParameter("--batch is for one pipeline or pack: name it with --pipeline or --pack")
    plan = Plan(warmup, iterations, duration, _percentiles(percentile))
    old = bench_record.read_baseline(baseline) if baseline else []
    if pipeline is None and pack is None:
        passed = ["--warmup", str(warmup), "--duration", str(duration), "--percentile", percentile, "--threads", str(threads)]
        passed += ["--device", device, "--precision", precision]
        passed += ["--iterations", str(iterations)] if iterations else []
        passed += ["--image", str(image)] if image else []
        records = []
        for name in DEFAULT_PIPELINES:
            note(f"{name} ...")
            records.append(bench_record.run_apart(name, passed))
    else:
        options = Options(device=device, precision=precision, threads=threads, batch=batch, frame=_picture(image))
        with Bar(f"measuring {pack or pipeline}") as bar:
            records = [bench_record.run(pipeline, pack, options, plan, bar.set)]
    _write(records, old, output, max_regression)


def _picture(image: Path | None) -> Any:
    if image is None:
        return None
    from affectrt.cli.media import read_image

    return read_image(image)


def _write(records: list[dict[str, Any]], old: list[dict[str, Any]], output: Format, limit: float | None) -> None:
    from affectrt.bench import record as bench_record

    compared: list[dict[str, Any]] = []
    for one in records:
        for warning in one["conditions"]["warnings"]:
            note(f"warning: {_name(one)}: {warning}")
        match = next((other for other in old if _name(other) == _name(one)), None)
        if old and match is None:
            raise ValueError(f"the baseline has no record of {_name(one)}, only of {', '.join(map(_name, old)) or 'nothing'}")
        if match is not None:
            for difference in bench_record.differences(one, match):
                note(f"warning: {_name(one)}: {difference}")
            compared += [{"subject": _name(one), **row} for row in bench_record.compare(one, match)]
    worse = [row for row in compared if limit is not None and row["gated"] and row["worse_percent"] > limit]
    document = {"records": records, **({"baseline": compared, "ok": not worse} if old else {})}
    if output not in (Format.table, Format.md):
        write(Report(("subject", *COMPARED), compared, document) if compared else _flat(records, document), output)
    else:
        for one in records:
            _tables(one, output)
        if compared:
            write(Report(("subject", *COMPARED), compared, title="against the baseline"), output)
    for row in worse:
        note(f"error: {row['subject']}: {row['metric']} is {row['worse_percent']:.1f} % worse than the baseline ({limit:g} % allowed)")
    if worse:
        raise typer.Exit(FAILED)


def _name(one: dict[str, Any]) -> str:
    return str(one["subject"]["pipeline"] or one["subject"]["pack"])


def _flat(records: list[dict[str, Any]], document: dict[str, Any]) -> Report:
    """One row a figure."""
    from affectrt.bench.record import metrics_of

    rows = [{"subject": _name(one), "metric": name, "value": value} for one in records for name, value in metrics_of(one)]
    return Report(("subject", "metric", "value"), rows, document)


def _tables(one: dict[str, Any], output: Format) -> None:
    """The tables that people read: one row a stage, then what is not a latency."""
    stages = [{"stage": name, **stage} for name, stage in (one["latency_ms"] | one["rates"]).items()]
    columns = ("stage", *(key for key in stages[0] if key not in ("stage", "samples", "std")))
    packs = ", ".join(f"{role}: {pack}" for role, pack in one["subject"]["packs"].items())
    cpu, memory, energy = one["machine"]["cpu"], one["memory_mb"], one["energy"]
    joules = (
        f"{energy['joules_per_run'] * 1e3:.1f} mJ a run ({energy['source']})" if energy["joules_per_run"] is not None else energy["why_not"]
    )
    conditions, governor = one["conditions"], cpu["governor"] or "unknown"
    notes = [
        f"packs       {packs}",
        f"input       {one['subject']['input']}; {stages[0]['samples']} runs after {one['settings']['warmup']} for warm-up",
        f"runs on     {one['provider']}; {cpu['name']}, {cpu['usable_cores']} of {cpu['cores']} cores, governor {governor}",
        f"load        {one['load_ms']:.1f} ms, first run {one['first_ms']:.2f} ms",
        f"throughput  {one['throughput_per_s']:.1f} a second",
        f"memory      {memory['peak']:.0f} MB at most ({memory['before']:.0f} MB before loading)",
        f"energy      {joules}",
        f"machine     load average {conditions['load_average_before']} before, {conditions['load_average_after']} after; "
        f"{'; '.join(conditions['warnings']) or 'undisturbed'}",
        "",
    ]
    unit = "ms; rates in tokens a second" if one["rates"] else "ms"
    write(Report(columns, stages, title=f"{_name(one)} ({unit})", notes=notes), output)
