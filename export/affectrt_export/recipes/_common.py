"""What the recipes share: their command line, the wording of cards, and entries of pack.json."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectrt.packs.write import npy_bytes, write_pack

from affectrt_export.fetch import default_cache

__all__ = ["Options", "arguments", "card", "measured", "npy_bytes", "save"]


@dataclass(frozen=True)
class Options:
    """Where packs go and where downloads are kept."""

    out: Path
    cache: Path
    data: Path | None = None


def parser(description: str | None, data: str = "") -> argparse.ArgumentParser:
    """The command line every recipe has."""
    out = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    out.add_argument("--out", type=Path, required=True, help="folder that the pack's folder is written to")
    out.add_argument("--cache", type=Path, default=default_cache(), help="folder for downloaded packages")
    if data:
        out.add_argument("--data", type=Path, help=data)
    return out


def training_parser(description: str | None, data: str) -> argparse.ArgumentParser:
    """The command line of a recipe that trains."""
    out = parser(description, data)
    out.add_argument("--train", type=Path, required=True, help="folder of the training, kept between calls")
    out.add_argument("--minutes", type=float, default=75, help="stop the training after so many, to be called again")
    return out


def trained(folder: Path, train: Callable[[], bool]) -> Path | None:
    """The checkpoint in `folder`, made by `train` if it is not there yet; None if it needs another call."""
    checkpoint = folder / "checkpoint"
    if (checkpoint / "model.safetensors").is_file() or train():
        return checkpoint
    return None


def arguments(description: str | None, argv: Sequence[str] | None = None, data: str = "") -> Options:
    """Reads the command line of a recipe that needs nothing special."""
    read = parser(description, data).parse_args(argv)
    return Options(read.out, read.cache, getattr(read, "data", None))


def measured(metric: str, data: str, value: float, command: str, reference: float | None = None) -> dict[str, Any]:
    """One entry of a variant's `measured`; values are kept to six digits so that they are the same on the next run."""
    entry: dict[str, Any] = {"metric": metric, "data": data, "value": _short(value), "machine": machine(), "command": command}
    if reference is not None:
        entry["reference"] = _short(reference)
    return entry


def machine() -> str:
    """The kind of machine, never which one."""
    return f"{platform.machine().replace('_', '-')} CPU"


def card(title: str, sections: Mapping[str, str], variants: Sequence[Mapping[str, Any]]) -> bytes:
    """A card: the sections in order, then a table of what was measured."""
    lines = [f"# {title}", ""]
    for heading, text in sections.items():
        lines += [f"## {heading}", "", text.strip(), ""]
    entries = [(variant["name"], entry) for variant in variants for entry in variant["measured"]]
    if entries:
        lines += ["## Measured", "", "| variant | metric | data | value | reference |", "|---|---|---|---|---|"]
        for name, entry in entries:
            lines.append(f"| {name} | {entry['metric']} | {entry['data']} | {entry['value']} | {entry.get('reference', '')} |")
        commands = sorted({entry["command"] for _, entry in entries})
        machines = sorted({entry["machine"] for _, entry in entries})
        lines += ["", f"On {', '.join(machines)}, by {', '.join(f'`{c}`' for c in commands)}.", ""]
    lines.pop()
    return ("\n".join(lines) + "\n").encode()


def save(options: Options, manifest: Mapping[str, Any], files: Mapping[str, bytes | Path], **more: Any) -> Path:
    """Writes the pack and says where."""
    path = write_pack(options.out / manifest["name"], manifest, files, replace=True, **more)
    size = sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
    print(f"{path}: {size / 1e6:.2f} MB")
    return path


def _short(value: float) -> float:
    return float(f"{value:.4g}")
