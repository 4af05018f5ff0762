"""Converts a Llama-family checkpoint to GGUF: tokenizer and chat template included, one tensor in memory at a time."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from affectrt_export.gguf.architectures import Shape, llama3_factors, read_shape
from affectrt_export.gguf.checkpoint import Checkpoint
from affectrt_export.gguf.files import whole
from affectrt_export.gguf.proof import prove
from affectrt_export.gguf.tokenizer import Vocabulary, read_vocabulary
from affectrt_export.spec import ExportError, Progress

if TYPE_CHECKING:
    import gguf

F32 = npt.NDArray[np.float32]
TYPES = ("auto", "f32", "f16", "bf16")
_FILE_TYPES = {"f32": 0, "f16": 1, "bf16": 32}
_LARGEST_F16 = 65504.0
_IGNORED = (".rotary_emb.inv_freq",)
_SHOWN = 12


@dataclass(frozen=True)
class Converted:
    """What was written."""

    path: Path
    dtype: str
    """"f32", "f16" or "bf16" of the matrices; vectors are f32."""
    shape: Shape
    vocabulary: Vocabulary
    tensors: int


def convert(source: Path, out: Path, dtype: str = "auto", *, license: str = "", progress: Progress | None = None) -> Converted:
    """Writes `out` from the checkpoint in the folder `source`, whole or not at all; the same folder gives the same bytes.

    dtype: "auto" takes the checkpoint's own, so that nothing is lost; "f32", "f16", "bf16". license: where the folder's README names none.

    Raises ExportError for an architecture, a tokenizer or a setting that cannot be converted, with all tensors that are missing or of
    the wrong shape, for weights that are NaN or too large for float16, and where the disk is full.
    """
    if dtype not in TYPES:
        raise ExportError(f"dtype {dtype!r} is not known; there are {', '.join(TYPES)}")
    checkpoint = Checkpoint(source)
    shape = read_shape(checkpoint.config)
    _check(checkpoint, shape)
    dtype = checkpoint.dtype.lower() if dtype == "auto" else dtype
    vocabulary = read_vocabulary(source, checkpoint.config, checkpoint.generation, shape.vocabulary)
    with tempfile.TemporaryDirectory() as scratch:
        vocabulary = prove(source, vocabulary, shape.architecture.gguf, Path(scratch))
    with whole(out) as part:
        try:
            count = _write(checkpoint, shape, vocabulary, part, dtype, license or _license(source), progress)
        except OSError as error:
            raise ExportError(f"{out.name}: cannot be written: {error.strerror or error}") from error
    return Converted(out, dtype, shape, vocabulary, count)


def _check(checkpoint: Checkpoint, shape: Shape) -> None:
    """Every tensor is there with its shape, and none that nobody knows."""
    wanted = dict(shape.tensors())
    there = checkpoint.tensors
    problems = []
    if missing := [name for name in wanted if name not in there]:
        problems.append(f"{len(missing)} tensors are missing: {_list(missing)}")
    known = {*wanted, "lm_head.weight"}
    if unknown := [name for name in sorted(there) if name not in known and not name.endswith(_IGNORED)]:
        problems.append(f"{len(unknown)} tensors are not known: {_list(unknown)}")
    shapes = [(name, there[name].shape, size) for name, size in wanted.items() if name in there]
    wrong = [f"{name} {list(got)}, expected {list(size)}" for name, got, size in shapes if got != size]
    if wrong:
        problems.append(f"{len(wrong)} tensors have another shape than config.json says: {_list(wrong)}")
    if problems:
        raise ExportError(f"{checkpoint.folder.name} as {shape.name}: " + "; ".join(problems))


def _list(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _write(
    checkpoint: Checkpoint, shape: Shape, vocabulary: Vocabulary, part: Path, dtype: str, license: str, progress: Progress | None
) -> int:
    import gguf

    writer = gguf.GGUFWriter(part, shape.architecture.gguf)
    _numbers(writer, checkpoint, shape, dtype, license)
    vocabulary.write(writer)
    plan = list(_plan(shape))
    size = 0
    for _, target, dims in plan:
        kind = "f32" if len(dims) == 1 else dtype
        width = 4 if kind == "f32" else 2
        size += (nbytes := width * int(np.prod(dims)))
        raw = gguf.GGMLQuantizationType[kind.upper()]
        writer.add_tensor_info(target, dims, np.dtype(np.float16 if width == 2 else np.float32), nbytes, raw)
    if (free := shutil.disk_usage(part.parent).free) < size:
        raise ExportError(f"{part.parent}: {size / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free")
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for i, (name, _, dims) in enumerate(plan):
            value = shape.turned(name, checkpoint.read(name)) if name else llama3_factors(shape)
            writer.write_tensor_data(_stored(name, value, "f32" if len(dims) == 1 else dtype))
            if progress is not None:
                progress("convert", i + 1, len(plan))
    finally:
        writer.close()
    return len(plan)


def _plan(shape: Shape) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """(name in the checkpoint, name in GGUF, shape) in the order of the file; "" for what is computed."""
    import gguf

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[shape.architecture.gguf.upper()], shape.layers)
    for name, dims in shape.tensors():
        target = names.get_name(name, (".weight", ".bias"))
        if target is None:
            raise ExportError(f"the package gguf has no name for {name} in {shape.architecture.gguf}; 0.19 has")
        yield name, target, dims
    if shape.rope["rope_type"] == "llama3":
        yield "", "rope_freqs.weight", (shape.head_dim // 2,)


def _stored(name: str, value: F32, kind: str) -> npt.NDArray[Any]:
    """The value in the type of the file, C order."""
    if kind == "f32":
        return np.ascontiguousarray(value)
    if kind == "bf16":
        bits = np.ascontiguousarray(value).view(np.uint32)
        # Round to nearest, ties to even; what came from BF16 is not changed by it.
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    if (largest := float(np.abs(value).max(initial=0.0))) > _LARGEST_F16:
        raise ExportError(f"tensor {name}: {largest:.3g} is too large for float16 (at most {_LARGEST_F16:.0f}); use bf16 or f32")
    return np.ascontiguousarray(value, np.float16)


def _numbers(writer: gguf.GGUFWriter, checkpoint: Checkpoint, shape: Shape, dtype: str, license: str) -> None:
    writer.add_type("model")
    writer.add_name(str(checkpoint.config.get("_name_or_path") or checkpoint.folder.resolve().name))
    if license:
        writer.add_license(license)
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context_tokens)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_rope_freq_base(shape.rope_theta)
    writer.add_layer_norm_rms_eps(shape.rms_epsilon)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(_FILE_TYPES[dtype])
    _rope(writer, shape)


def _rope(writer: gguf.GGUFWriter, shape: Shape) -> None:
    import gguf

    rope = shape.rope
    kind = rope["rope_type"]
    if kind not in ("linear", "yarn"):  # llama3 is a tensor of its own
        return
    writer.add_rope_scaling_type(gguf.RopeScalingType[kind.upper()])
    writer.add_rope_scaling_factor(float(rope["factor"]))
    if kind == "yarn":
        writer.add_rope_scaling_orig_ctx_len(int(rope.get("original_max_position_embeddings") or shape.context_tokens / rope["factor"]))


def _license(folder: Path) -> str:
    """The licence that the front matter of README.md names; "" where it names none."""
    path = folder / "README.md"
    if not path.is_file():
        return ""
    head, _, rest = path.read_text(encoding="utf-8", errors="replace").partition("---\n")
    if head.strip():
        return ""
    for line in rest.partition("\n---")[0].splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "license":
            return value.strip().strip("\"'")
    return ""
