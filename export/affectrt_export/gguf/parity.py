"""Holds a converted file against transformers on the same tokens, before anything is quantised."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from affectrt_export.gguf.evaluate import logits
from affectrt_export.spec import ExportError, Finding


def parity(
    folder: Path, converted: Path, tokens: Sequence[int], scratch: Path, *, largest: float | None, cosine: float | None, threads: int = 0
) -> list[Finding]:
    """Largest difference of a logit, in standard deviations of the logits, and least cosine of a position's logits.

    tokens: some of real text; wrong rotation shows only after the first few dozen. A bound of None: switched off, and still measured.
    Raises ExportError where transformers is missing or does not read the folder.
    """
    expected = _framework(folder, tokens)
    got = logits(converted, tokens, scratch, threads=threads)
    if got.shape != expected.shape:
        raise ExportError(f"parity: transformers gives logits of shape {list(expected.shape)}, the file {list(got.shape)}")
    apart = np.abs(got - expected).max(1) / expected.std()
    alike = (got * expected).sum(1) / np.maximum(np.linalg.norm(got, axis=1) * np.linalg.norm(expected, axis=1), 1e-30)
    worst, least = int(apart.argmax()), int(alike.argmin())
    on = f"on {len(tokens)} tokens"
    far, near = float(apart[worst]), float(alike[least])
    return [
        Finding("parity", _below(far, largest), far, largest, f"largest difference {on}, at token {worst}"),
        Finding("parity", cosine is None or near >= cosine, near, cosine, f"least cosine {on}, at token {least}"),
    ]


def _below(value: float, bound: float | None) -> bool:
    return bound is None or bool(value <= bound)


def _framework(folder: Path, tokens: Sequence[int]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    try:
        import torch
        import transformers
    except ModuleNotFoundError as error:
        raise ExportError(f"parity: holding the file against its framework needs {error.name}: pip install 'affectrt[export]'") from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        more = {"dtype": torch.float32, "use_safetensors": True, "attn_implementation": "eager"}
        model = transformers.AutoModelForCausalLM.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False, **more)
    except Exception as error:  # transformers raises what any of its parts raise
        raise ExportError(f"parity: transformers cannot load {folder.name}: {error}") from error
    with torch.inference_mode():
        out: np.ndarray[tuple[int, ...], np.dtype[np.float32]] = model.eval()(torch.tensor([list(tokens)])).logits[0].numpy()
    return out
