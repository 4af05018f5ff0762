"""`affectrt tune`: the variant and number of threads with which a language model is fastest on this machine."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING, Annotated, Any

import typer

from affectrt.cli.errors import note
from affectrt.cli.options import DeviceOption
from affectrt.cli.output import Format, OutputOption, Report, write
from affectrt.cli.progress import Bar

if TYPE_CHECKING:
    from affectrt.packs import Pack

COLUMNS = ("variant", "threads", "decode_tok_s", "prompt_tok_s", "decode_ratio", "prompt_ratio", "chosen")


def tune(
    pack: Annotated[str | None, typer.Argument(help="Dialogue pack, org/repo:Q4_K_M, or a .gguf with --allow-unverified.")] = None,
    device: DeviceOption = "auto",
    seconds: Annotated[float, typer.Option(help="When to stop; one round is done in any case.")] = 30.0,
    allow_unverified: Annotated[bool, typer.Option("--allow-unverified", help="Accept a bare .gguf.")] = False,
    output: OutputOption = Format.table,
) -> None:
    """Measure with how many threads, and which variant of its pack, a language model is fastest here, beside whatever else runs now.

    The result is kept, and whatever leaves these open takes it from now on. Run it while the robot does what it does beside talking.
    """
    from affectrt.bench.resources import Conditions
    from affectrt.dialogue import native, tuned
    from affectrt.dialogue.tune import tune as measure
    from affectrt.packs import DEFAULTS, open_pack

    opened = open_pack(pack or DEFAULTS["dialogue"], allow_unverified=allow_unverified)
    conditions = Conditions()
    with Bar(f"measuring {opened.name}") as bar:
        found = measure(opened, device=device, max_seconds=seconds, progress=bar.set)
    around, best = conditions.record(None), found.best
    default = next(rate for rate in found.results if (rate.variant, rate.threads) == (opened.variant().name, native.default_threads()))
    rows: list[dict[str, Any]] = [
        {
            "variant": rate.variant,
            "threads": rate.threads,
            "decode_tok_s": rate.decode_tok_s,
            "prompt_tok_s": rate.prompt_tok_s,
            "decode_ratio": rate.decode_tok_s / default.decode_tok_s,
            "prompt_ratio": rate.prompt_tok_s / default.prompt_tok_s,
            "chosen": rate == best,
        }
        for rate in found.results
    ]
    left_out = _left_out(opened, found.models)
    load = f"load average {around['load_average_before']} before, {around['load_average_after']} after"
    notes = [
        f"chosen   {best.variant}, threads={best.threads}; the ratios are to {default.variant}, threads={default.threads}: without tuning",
        f"machine  {found.machine['cpu']}, {found.machine['cores']} cores, {found.machine['device']}; {load}",
        f"rounds   {found.rounds}, medians",
        *(f"not measured: {name}, {reason}" for name, reason in left_out.items()),
    ]
    document = {
        **tuned.document(found),
        "pack": opened.name,
        "chosen": {"variant": best.variant, "threads": best.threads},
        "default": {"variant": default.variant, "threads": default.threads},
        "left_out": left_out,
        "results": rows,
        "conditions": around,
    }
    write(Report(COLUMNS, rows, document, f"{opened.name} (tokens a second)", notes, ("prompt_ratio", "decode_ratio")), output)
    if tuned.ignored():
        note("warning: AFFECTRT_TUNED=off: the result is kept, and not used")


def _left_out(pack: Pack, measured: Container[str]) -> dict[str, str]:
    """The pack's other variants, and why they are no candidates."""
    found = {}
    for entry in pack.manifest.get("variants", ()):
        if entry["name"] not in measured:
            quality = "another was asked for" if pack.preferred != "auto" else "which by the pack did not pass the gates of quality"
            found[entry["name"]] = "not pulled" if entry["file"] in pack.missing else quality
    return found
