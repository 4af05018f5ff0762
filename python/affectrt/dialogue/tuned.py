"""What `tune` has measured of a language model on this machine, kept in the cache: `tuned/<bytes of the models>-<key>.json`.

A file is for one set of models, by their SHA-256, one version of llama-cpp-python, device, processor and number of cores. What does not
fit, or is damaged, is passed over with a note in the log: then a Dialogue starts as if nothing had been measured.
"""

from __future__ import annotations

import json
import logging
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectrt.dialogue import native
from affectrt.dialogue.engine import resolve_device
from affectrt.packs import Pack
from affectrt.packs.cache import cache_root, key_of, new_file, sha256_of
from affectrt.packs.pack import Variant

SCHEMA = "affectrt-tuned/1"
WITHIN = 0.03
"""What differs by less counts as equally fast."""
GATES = {"perplexity_ratio": 1.05, "kl_mean": 0.1}
"""What a variant besides the pack's first must have been measured to keep to at export: the limits of `affectrt export gguf`."""

_MAX_BYTES = 1 << 16

_log = logging.getLogger("affectrt.dialogue")
_log.addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast one variant is with so many threads."""

    variant: str
    threads: int
    prompt_tok_s: float
    """Tokens a second of a prompt, median over the rounds."""
    decode_tok_s: float
    """Tokens a second of an answer, median over the rounds."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was measured on this machine; it holds for this machine alone."""

    machine: Mapping[str, str | int]
    """llama_cpp_python (version), device, cpu (name), cores (hardware threads that the process may use)."""
    models: Mapping[str, str]
    """Variant to the SHA-256 of its file, in the pack's order."""
    results: tuple[Rate, ...]
    """Variants in the pack's order."""
    rounds: int
    load_average: float | None
    """Runnable processes when it began; None where the system does not tell."""

    @property
    def best(self) -> Rate:
        """What a Dialogue takes that leaves variant and threads open."""
        return fastest(self.results)


def fastest(results: Sequence[Rate]) -> Rate:
    """The fastest at decoding; among those less than 3 % slower, both at decoding and with prompts, the first with the fewest threads."""
    best = max(results, key=lambda rate: rate.decode_tok_s)
    least = 1 - WITHIN
    near = [rate for rate in results if rate.decode_tok_s >= least * best.decode_tok_s and rate.prompt_tok_s >= least * best.prompt_tok_s]
    return min(near, key=lambda rate: rate.threads)


def candidates(pack: Pack) -> tuple[Variant, ...]:
    """The variants of a pack that may be chosen between, as far as they are on this disk, in the pack's order.

    These are the first, which is what a Dialogue takes otherwise, and those of which the pack says that they passed the gates of quality;
    or the one that the pack was opened for.
    """
    if not pack.verified:
        return (pack.variant(),)
    entries = pack.manifest["variants"]
    if pack.preferred != "auto":
        allowed = [entry for entry in entries if entry["name"] == pack.preferred]
    else:
        allowed = [entries[0], *filter(_passed, entries[1:])]
    missing = set(pack.missing)
    return tuple(pack.variant(entry["name"]) for entry in allowed if entry["file"] not in missing)


def _passed(entry: Mapping[str, Any]) -> bool:
    figures = {metric: [one["value"] for one in entry["measured"] if one["metric"] == metric] for metric in GATES}
    return not entry["requires"] and all(values and all(value <= GATES[metric] for value in values) for metric, values in figures.items())


def ignored() -> bool:
    """Whether the environment says that what was measured is not to be used."""
    return os.environ.get("AFFECTRT_TUNED") == "off"


def find(pack: Pack, device: str = "auto") -> Tuned | None:
    """What was measured of the pack on this machine; None if that is nothing.

    Raises:
        EngineError, DeviceError, ValueError: As `Model` does for `device`; only if something was measured of models of this size.
    """
    variants = candidates(pack)
    try:
        size = sum(variant.path.stat().st_size for variant in variants)
    except OSError:  # whoever loads the model says it better
        return None
    if not variants or next(_root().glob(f"{size}-*.json"), None) is None:  # else a bare file were hashed for nothing, each time
        return None
    machine, models = this_machine(device), models_of(pack, variants)
    return _read(_place(size, machine, models), machine, models)


def decide(pack: Pack, precision: str, threads: int, device: str) -> Rate | None:
    """The fastest of what was measured, as far as `precision` (or the pack) and `threads` leave it open.

    None where nothing fits: not measured, nothing left open, or switched off.

    Raises:
        EngineError, DeviceError, ValueError: As `find`.
    """
    fixed = pack.variant(precision).name if precision != "auto" or pack.preferred != "auto" else None
    if ignored() or (threads and (fixed or len(candidates(pack)) == 1)):
        return None
    tuned = find(pack, device)
    open_to = [rate for rate in tuned.results if fixed in (None, rate.variant) and threads in (0, rate.threads)] if tuned else []
    return fastest(open_to) if open_to else None


def keep(pack: Pack, tuned: Tuned) -> Path:
    """Write down what was measured; returns where.

    Raises:
        DiskError: It cannot be written.
    """
    size = sum(pack.variant(name).path.stat().st_size for name in tuned.models)
    place = _place(size, tuned.machine, tuned.models)
    with new_file("what was measured of a language model", place) as path:
        path.write_text(json.dumps(document(tuned), indent=1) + "\n", encoding="utf-8")
    return place


def document(tuned: Tuned) -> dict[str, Any]:
    """As JSON has it."""
    return {
        "schema": SCHEMA,
        "machine": dict(tuned.machine),
        "models": dict(tuned.models),
        "rounds": tuned.rounds,
        "load_average": tuned.load_average,
        "results": [{name: getattr(rate, name) for name in Rate.__slots__} for rate in tuned.results],
    }


def this_machine(device: str) -> dict[str, str | int]:
    """What a measurement holds for, besides the models. Raises as `resolve_device`."""
    return {
        "llama_cpp_python": str(getattr(native.load(), "__version__", "unknown")),
        "device": resolve_device(device),
        "cpu": _cpu_name(),
        "cores": native.most_threads(),
    }


def models_of(pack: Pack, variants: Sequence[Variant]) -> dict[str, str]:
    """Variant to the SHA-256 of its file. A pack's were checked when it was opened; a bare file is read."""
    known = {entry["path"]: entry["sha256"] for entry in pack.manifest.get("files", ())}
    return {variant.name: known.get(variant.file) or sha256_of(variant.path) for variant in variants}


def _cpu_name(root: Path = Path("/")) -> str:
    try:
        lines = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        fields = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
        board = root / "proc/device-tree/model"
        told = (
            fields.get("model name") or fields.get("hardware") or (board.read_text(errors="replace").strip("\0") if board.exists() else "")
        )
    except OSError:
        told = ""
    return told or platform.processor() or platform.machine()


def _root() -> Path:
    return cache_root() / "tuned"


def _place(size: int, machine: Mapping[str, Any], models: Mapping[str, str]) -> Path:
    return _root() / f"{size}-{key_of(json.dumps([machine, models], sort_keys=True))[:32]}.json"


def _read(place: Path, machine: Mapping[str, Any], models: Mapping[str, str]) -> Tuned | None:
    try:
        with place.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise ValueError(f"at most {_MAX_BYTES} bytes were expected")
        return _checked(json.loads(data), machine, models)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as why:
        _log.warning("%s is passed over: %s", place, why)
        return None


def _checked(content: Any, machine: Mapping[str, Any], models: Mapping[str, str]) -> Tuned:
    """Raises ValueError for what `document` would not give for this machine and these models."""
    shape = {"schema": SCHEMA, "machine": dict(machine), "models": dict(models)}
    if not isinstance(content, dict) or any(content.get(name) != value for name, value in shape.items()):
        raise ValueError(f"expected {SCHEMA} of this machine and model")
    rounds, load, rows = (content.get(name) for name in ("rounds", "load_average", "results"))
    if (
        type(rounds) is not int
        or rounds < 1
        or not (load is None or _positive(load, or_zero=True))
        or not isinstance(rows, list)
        or not rows
    ):
        raise ValueError("expected rounds, load_average and results")
    seen = set()
    for row in rows:
        if not isinstance(row, dict) or set(row) != set(Rate.__slots__) or not isinstance(row["variant"], str):
            raise ValueError(f"expected a result of {', '.join(Rate.__slots__)}, got {row!r:.80}")
        threads = row["threads"]
        if row["variant"] not in models or type(threads) is not int or not 1 <= threads <= machine["cores"]:
            raise ValueError(f"expected one of {', '.join(models)} with 1 to {machine['cores']} threads, got {row!r:.80}")
        if not _positive(row["prompt_tok_s"]) or not _positive(row["decode_tok_s"]) or (row["variant"], threads) in seen:
            raise ValueError(f"expected rates over 0, each variant and number of threads once, got {row!r:.80}")
        seen.add((row["variant"], threads))
    return Tuned(dict(machine), dict(models), tuple(Rate(**row) for row in rows), rounds, load)


def _positive(value: Any, *, or_zero: bool = False) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and (value > 0 or (or_zero and value == 0))
