"""Quantises a GGUF file with llama.cpp's own quantiser, in a child process, and says what the file really holds afterwards."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from affectrt_export.gguf.child import call
from affectrt_export.gguf.files import TYPES_KEY, Census, census, open_gguf, value_of, whole
from affectrt_export.gguf.imatrix import ImportanceMatrix, as_parameter
from affectrt_export.spec import ExportError, Progress

# name: llama.cpp's file type. q4_1 and f32 are no variants to ask for: the one is what the default model comes in, the other what
# a quantised source is unpacked to.
FILE_TYPES: Mapping[str, int] = {"f32": 0, "f16": 1, "bf16": 32, "q8_0": 7, "q6_k": 18, "q5_k_m": 17, "q4_k_m": 15, "q4_1": 3, "q4_0": 2}
VARIANTS = ("f16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0")
"""The ladder, from the largest down."""
_TENSOR_TYPES: Mapping[str, int] = {"f32": 0, "f16": 1, "bf16": 30, "q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "q6_k": 14}
_TEXT_BYTES = 127  # of a value that llama.cpp takes on the way
_STEP = re.compile(r"\[\s*(\d+)/\s*(\d+)\]")


def quantise(
    source: Path,
    out: Path,
    variant: str,
    *,
    matrix: Path | None = None,
    keep: Mapping[str, str] | None = None,
    allow_requantise: bool = False,
    threads: int = 0,
    progress: Progress | None = None,
) -> Census:
    """Writes `out`, whole or not at all, and counts what it holds: widths that do not fit a type are given another by llama.cpp.

    matrix: an importance matrix (imatrix.py). keep: tensor name to the type it is given instead, such as the type it has.
    allow_requantise: the source may be quantised itself, which loses more than one step would. Never more threads than 2 of its kind
    matter to the bytes: they do not depend on them.

    Raises ExportError for an unknown variant, a source that is no GGUF file or quantised without leave, and for all that llama.cpp says.
    """
    if variant not in FILE_TYPES:
        raise ExportError(f"variant {variant!r} is not known; there are {', '.join(VARIANTS)}")
    kept = dict(keep or {})
    if strange := sorted({kind for kind in kept.values() if kind not in _TENSOR_TYPES}):
        raise ExportError(f"keep: the types {', '.join(strange)} are not known; there are {', '.join(_TENSOR_TYPES)}")
    before = census(source)
    if before.quantised and not allow_requantise:
        refuse_requantising(source, before)
    entries: dict[str, str] = {TYPES_KEY: " " * _TEXT_BYTES}
    if before.quantised:
        entries["affectrt.requantised_from"] = ", ".join(before.quantised)
    if matrix is not None:
        found = ImportanceMatrix.load(matrix)
        _matches(found, source)
        entries["quantize.imatrix.dataset"] = found.data.encode()[:_TEXT_BYTES].decode("utf-8", "ignore")
    with whole(out) as part:
        call(
            "quantise",
            {
                "source": str(source.resolve()),
                "out": str(part.resolve()),
                "variant": variant,
                "matrix": None if matrix is None else str(matrix.resolve()),
                "keep": kept,
                "allow_requantise": allow_requantise,
                "threads": threads,
                "entries": entries,
            },
            progress,
        )
        # llama.cpp goes on after a failed write and leaves a file without a header, or one that is too short: this reads both ends.
        after = census(part)
        _note(part, after)
    return after


def refuse_requantising(source: Path, held: Census) -> NoReturn:
    """Raises the ExportError for a source that is quantised, where that was not allowed."""
    raise ExportError(
        f"{source.name} is quantised already ({held.words()}): quantising it again loses more than quantising its original would; "
        "allow requantising (allow_requantise, --allow-requantize) if there is no original"
    )


def _matches(matrix: ImportanceMatrix, source: Path) -> None:
    """llama.cpp passes over what it does not find; a matrix of another model must not pass unseen."""
    widths = {tensor.name: int(tensor.shape[0]) for tensor in open_gguf(source).tensors}
    wrong = [name for name, values in sorted(matrix.values.items()) if widths.get(name) != len(values)]
    if wrong:
        raise ExportError(
            f"the importance matrix is of another model: {len(wrong)} of its {len(matrix.values)} tensors do not fit {source.name}, "
            f"first {wrong[0]} with {len(matrix.values[wrong[0]])} columns, expected {widths.get(wrong[0], 'none of that name')}"
        )


def _note(path: Path, counted: Census) -> None:
    """Writes into the file's metadata which types it holds: into the blanks that were left for it, since they are known only afterwards."""
    reader = open_gguf(path, "r+")
    field = reader.get_field(TYPES_KEY)
    if field is None:
        raise ExportError(f"{path.name}: llama.cpp left out {TYPES_KEY}")
    place = field.parts[field.data[0]]
    place[:] = list(counted.words().encode()[: len(place)].ljust(len(place)))
    reader.data.flush()


def held(path: Path) -> str:
    """What `quantise` wrote into the file about its types; "" for a file of another maker."""
    value = value_of(open_gguf(path), TYPES_KEY)
    return value.strip() if isinstance(value, str) else ""


def in_child(
    progress: Progress,
    source: str,
    out: str,
    variant: str,
    matrix: str | None,
    keep: Mapping[str, str],
    allow_requantise: bool,
    threads: int,
    entries: Mapping[str, str],
) -> None:
    """The same, in the child."""
    llama, complaints = _load(variant, progress)
    if not hasattr(llama, "llama_model_imatrix_data"):
        raise ExportError("this llama-cpp-python takes no importance matrix from C: 0.3.36 does, `pip install -U llama-cpp-python`")
    params = llama.llama_model_quantize_default_params()
    params.ftype, params.nthread, params.allow_requantize = FILE_TYPES[variant], threads, allow_requantise
    alive: list[Any] = []
    if matrix is not None:
        params.imatrix, more = as_parameter(llama, ImportanceMatrix.load(Path(matrix)))
        alive += [params.imatrix, more]
    overrides = (llama.llama_model_kv_override * (len(entries) + 1))()
    for override, (key, text) in zip(overrides, entries.items(), strict=False):
        override.tag, override.key = llama.LLAMA_KV_OVERRIDE_TYPE_STR, key.encode()
        override.value.val_str = text.encode()
    params.kv_overrides = overrides
    if keep:
        types = (llama.llama_model_tensor_override * (len(keep) + 1))()
        for place, (name, kind) in zip(types, sorted(keep.items()), strict=False):
            place.pattern, place.type = f"^{re.escape(name)}$".encode(), _TENSOR_TYPES[kind]
        params.tt_overrides = types
    if llama.llama_model_quantize(source.encode(), out.encode(), ctypes.byref(params)):
        why = "; ".join(complaints) or "llama.cpp gives no reason"
        # All that the library says of a failed write.
        why += " (it cannot write the file: is the disk full?)" if "iostream" in why else ""
        raise ExportError(f"{Path(source).name} to {variant}: {why}")


def _load(variant: str, progress: Progress) -> tuple[Any, list[str]]:
    """The library with its log led to `progress`, and what it complains of."""
    from affectrt.dialogue import native

    llama = native.load()
    complaints: list[str] = []

    def on_log(level: int, text: bytes | None, _data: Any) -> None:
        line = (text or b"").decode("utf-8", "replace").strip()
        if level == 4 and line:  # GGML_LOG_LEVEL_ERROR
            complaints.append(line)
        elif step := _STEP.match(line):
            progress(f"quantise {variant}", int(step[1]), int(step[2]))

    callback = llama.llama_log_callback(on_log)
    llama.llama_log_set(callback, ctypes.c_void_p(0))
    _load.callback = callback  # type: ignore[attr-defined]  # the library keeps the bare pointer
    return llama, complaints
