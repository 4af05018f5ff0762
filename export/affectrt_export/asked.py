"""What can be judged of a call before a model is loaded. The export judges all of it again."""

from __future__ import annotations

from pathlib import Path

from affectrt_export.families import source
from affectrt_export.families.base import Options
from affectrt_export.spec import Bounds, ExportError


def check_judging(labelled: bool, bounds: Bounds) -> None:
    """ExportError where there is nothing that the accuracy gates could judge by."""
    asked = [name for name in ("accuracy_drop", "class_drop") if getattr(bounds, name) is not None]
    if not labelled and asked:
        flags = " and ".join(f"--max-{name.replace('_', '-')} off" for name in asked)
        raise ExportError(f"no labelled data, which the accuracy gates need: give --data, or switch them off with {flags}")


def check_target(target: Path, replace: bool) -> None:
    """FileExistsError where a pack is there that was not to be replaced."""
    if target.exists() and not replace:
        raise FileExistsError(f"{target} exists; choose another --name or --out, or allow --replace")


def check_licence(license: str, of: str) -> None:
    """ExportError where nobody names a licence of the weights."""
    if not license:
        raise ExportError(f"{of}: the source names no licence of its weights; name it with --license (an SPDX id)")


def check_source(given: str, options: Options, out: Path, replace: bool) -> None:
    """Name and licence of a model, as far as a small file on this disk says them; a hub is not asked, a recipe not run.

    ExportError and FileExistsError as above, and ExportError where the source is no model's.
    """
    if options.name:
        check_target(out / options.name, replace)
    if not Path(given).expanduser().exists():
        return
    found = source.find(given, options)
    if found.function:
        return
    said = source.read_json(options.contract) if found.suffix == ".onnx" and options.contract is not None else {}
    own, terms = said.get("name"), said.get("license")
    if not options.name:
        check_target(out / (str(own) if own else source.name_of(found, options)), replace)
    check_licence(source.license_of(found, options) or (str(terms.get("weights", "")) if isinstance(terms, dict) else ""), given)
