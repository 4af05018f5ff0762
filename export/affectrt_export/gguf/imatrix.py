"""The importance matrix: how large the inputs of each weight matrix are on the user's text, so that quantising spares what counts.

llama.cpp calls back after each step of its graph; of every product with a weight matrix the squares of the other factor are summed by
column. The file is GGUF as llama.cpp's own tools write and read it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from affectrt_export.gguf.child import call
from affectrt_export.gguf.files import open_gguf, text_of, whole
from affectrt_export.gguf.layout import Tensors
from affectrt_export.spec import ExportError, Progress

F32 = npt.NDArray[np.float32]
_SUMS, _COUNTS = ".in_sum2", ".counts"
# A product of fewer rows is the output of single tokens, not the text going through the layers.
_LEAST_ROWS = 16


@dataclass(frozen=True)
class ImportanceMatrix:
    """Mean squares of the inputs by tensor name, each float32 (columns,)."""

    values: Mapping[str, F32]
    data: str
    """What text it was measured on."""
    chunks: int

    def save(self, path: Path, chunk_tokens: int) -> None:
        """Writes the file, whole or not at all."""
        import gguf

        with whole(path) as part:
            writer = gguf.GGUFWriter(part, "imatrix")
            writer.add_type("imatrix")
            writer.add_array("imatrix.datasets", [self.data])
            writer.add_uint32("imatrix.chunk_count", self.chunks)
            writer.add_uint32("imatrix.chunk_size", chunk_tokens)
            rows = self.chunks * chunk_tokens
            for name in sorted(self.values):
                writer.add_tensor(name + _SUMS, (self.values[name] * np.float32(rows))[None])
                writer.add_tensor(name + _COUNTS, np.full((1, 1), rows, np.float32))
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()

    @classmethod
    def load(cls, path: Path) -> ImportanceMatrix:
        """Reads what `save` or llama.cpp's imatrix tool wrote. ExportError for anything else."""
        reader = open_gguf(path)
        if text_of(reader, "general.type") != "imatrix":
            raise ExportError(f"{path.name}: expected an importance matrix, got a GGUF file of type {text_of(reader, 'general.type')!r}")
        tensors = {tensor.name: np.array(tensor.data, np.float32) for tensor in reader.tensors}
        values: dict[str, F32] = {}
        for name, sums in tensors.items():
            if name.endswith(_SUMS):
                stem = name.removesuffix(_SUMS)
                counts = tensors.get(stem + _COUNTS)
                if counts is None or not (counts > 0).all():
                    raise ExportError(f"{path.name}: {stem} has no rows counted")
                values[stem] = np.ascontiguousarray((sums.reshape(counts.size, -1) / counts.reshape(-1, 1)).ravel())
        if not values:
            raise ExportError(f"{path.name}: holds no importances")
        chunks = reader.get_field("imatrix.chunk_count")
        return cls(values, text_of(reader, "imatrix.datasets"), int(chunks.contents()) if chunks else 0)


def measure(
    model: Path,
    text: Path,
    out: Path,
    *,
    data: str,
    context_tokens: int = 512,
    chunks: int = 0,
    threads: int = 0,
    progress: Progress | None = None,
) -> ImportanceMatrix:
    """Runs the model over the text and writes the matrix to `out`. chunks: windows of `context_tokens` at most; 0: all of the text.

    Raises ExportError where the text is shorter than one window, or a value is not finite.
    """
    arguments = {"model": str(model.resolve()), "text": str(text.resolve()), "out": str(out.resolve()), "data": data}
    call("importance matrix", {**arguments, "context_tokens": context_tokens, "chunks": chunks, "threads": threads}, progress)
    return ImportanceMatrix.load(out)


def in_child(progress: Progress, model: str, text: str, out: str, data: str, context_tokens: int, chunks: int, threads: int) -> None:
    """The same, in the child."""
    from affectrt.dialogue import native

    from affectrt_export.gguf.evaluate import Evaluator

    llama = native.load()
    sums = _Sums()
    # Held by this variable for as long as the context lives: the library keeps the bare pointer.
    callback = llama.ggml_backend_sched_eval_callback(sums)
    evaluator = Evaluator(Path(model), context_tokens, threads=threads, watch=callback)
    pieces = evaluator.chunks(evaluator.model.tokenize(Path(text).read_text(encoding="utf-8")))
    if not pieces:
        raise ExportError(f"{data}: the text is shorter than one window of {context_tokens} tokens")
    pieces = pieces[:chunks] if chunks else pieces
    for i, piece in enumerate(pieces):
        evaluator.clear()
        # The last layer sees only the rows whose logits are wanted.
        evaluator.decode(piece, wanted=range(len(piece)))
        if sums.error is not None:
            raise sums.error
        progress("importance matrix", i + 1, len(pieces))
    evaluator.close()
    rows = len(pieces) * context_tokens
    if odd := sorted(name for name, count in sums.rows.items() if count != rows):
        raise ExportError(f"importance matrix: {odd[0]} saw {sums.rows[odd[0]]} rows where {rows} were expected")
    matrix = ImportanceMatrix({n: (s / rows).astype(np.float32) for n, s in sums.squares.items()}, data, len(pieces))
    if not matrix.values:
        raise ExportError("importance matrix: llama.cpp showed no product with a weight matrix; this build is not known")
    matrix.save(Path(out), context_tokens)


class _Sums:
    """The callback: called first to ask whether a step is wanted, then with its result."""

    def __init__(self) -> None:
        self.squares: dict[str, npt.NDArray[np.float64]] = {}
        self.rows: dict[str, int] = {}
        self.error: Exception | None = None
        self._tensors = Tensors()

    def __call__(self, tensor: int, ask: bool, _data: Any) -> bool:
        try:
            name = self._weight(tensor)
            if not ask and name:
                self._add(name, self._tensors.source(tensor, 1))
            return bool(name) if ask else True
        except Exception as error:  # an exception cannot pass through C
            self.error = error
            return not ask

    def _weight(self, tensor: int) -> str:
        """The name of the weight matrix, where the step is a product with one over a row for each token; else ""."""
        tensors = self._tensors
        if tensors.operation(tensor) != "MUL_MAT":
            return ""
        name = tensors.name(tensors.source(tensor, 0))
        if not (name.startswith("blk.") and name.endswith(".weight")):
            return ""
        return name if tensors.rows(tensors.source(tensor, 1)) >= _LEAST_ROWS else ""

    def _add(self, name: str, tensor: int) -> None:
        values = self._tensors.read(tensor)
        squares = np.einsum("ij,ij->j", values, values).astype(np.float64)
        if not np.isfinite(squares).all():
            raise ExportError(f"importance matrix: the inputs of {name} are not finite")
        self.squares[name] = self.squares.get(name, 0.0) + squares
        self.rows[name] = self.rows.get(name, 0) + len(values)


def as_parameter(llama: Any, matrix: ImportanceMatrix) -> tuple[Any, list[Any]]:
    """The array that llama_model_quantize_params wants, ended by an entry without a name, and what must live as long as it."""
    entries = (llama.llama_model_imatrix_data * (len(matrix.values) + 1))()
    alive: list[Any] = []
    for entry, (name, values) in zip(entries, sorted(matrix.values.items()), strict=False):
        data = np.ascontiguousarray(values, np.float32)
        label = name.encode()
        alive += [data, label]
        entry.name, entry.size = label, data.size
        entry.data = data.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    return entries, alive
