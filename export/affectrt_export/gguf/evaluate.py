"""Runs a GGUF model over tokens and gives its logits; for use in the child process only, except for the functions at the end."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from affectrt_export.gguf.child import call
from affectrt_export.spec import ExportError, Progress

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]


class Evaluator:
    """One model with one context of `context_tokens`. `exact`: the cache in float32 and attention step by step, to compare with others.

    watch: llama.cpp's `cb_eval`, a ctypes callback, called for every step of the graph.
    """

    def __init__(self, path: Path, context_tokens: int, *, threads: int = 0, exact: bool = False, watch: Any = None) -> None:
        from affectrt.dialogue import engine, native

        self._llama = llama = native.load()
        self.model = engine.Model(path, device="cpu")
        params = llama.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = context_tokens
        params.n_seq_max = 1
        params.n_threads = params.n_threads_batch = threads or native.default_threads()
        params.no_perf = True
        if exact:
            params.type_k = params.type_v = 0  # GGML_TYPE_F32
            params.flash_attn_type = 0  # disabled: it computes in float16
        if watch is not None:
            params.cb_eval = watch
        self._pointer = llama.llama_init_from_model(self.model.pointer, params)
        if not self._pointer:
            raise ExportError(f"{path.name}: llama.cpp cannot make a context: {'; '.join(native.complaints()) or 'no reason given'}")
        self.context_tokens = context_tokens
        self._memory = llama.llama_get_memory(self._pointer)
        self._batch = llama.llama_batch_init(context_tokens, 0, 1)

    def close(self) -> None:
        """Frees context and batch; the model goes with the object."""
        self._llama.llama_batch_free(self._batch)
        self._llama.llama_free(self._pointer)

    def clear(self) -> None:
        """Forgets what was evaluated."""
        self._llama.llama_memory_clear(self._memory, True)

    def decode(self, tokens: Sequence[int] | I32, *, start: int = 0, wanted: range = range(0)) -> None:
        """Appends tokens at position `start`; the logits after those in `wanted` (indices into `tokens`) are kept."""
        batch = self._batch
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i], batch.pos[i] = int(token), start + i
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, 0
            batch.logits[i] = i in wanted
        code = self._llama.llama_decode(self._pointer, batch)
        if code:
            raise ExportError(f"llama.cpp failed to evaluate {len(tokens)} tokens (llama_decode returned {code})")

    def logits(self, tokens: Sequence[int] | I32, wanted: range) -> F32:
        """(len(wanted), vocabulary) after each wanted token, of `tokens` alone. A view, valid until the next call."""
        self.clear()
        self.decode(tokens, wanted=wanted)
        pointer = self._llama.llama_get_logits(self._pointer)
        return np.ctypeslib.as_array(ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float)), (len(wanted), self.model.vocabulary_size))

    def chunks(self, tokens: Sequence[int]) -> list[list[int]]:
        """Whole windows of the context; each begins with BOS where the model wants one, in the place of its first token."""
        size = self.context_tokens
        out = [list(tokens[i : i + size]) for i in range(0, len(tokens) - size + 1, size)]
        if self.model.adds_bos and self.model.bos >= 0:
            for chunk in out:
                chunk[0] = self.model.bos
        return out


def tokenise_in_child(_progress: Progress, path: str, texts: Sequence[str], spelled: Sequence[str]) -> dict[str, Any]:
    """Tokens of each text without BOS and EOS, and what the file says of its vocabulary."""
    from affectrt.dialogue import engine, native

    engine.check_gguf(Path(path))
    llama = native.load()
    params = llama.llama_model_default_params()
    params.vocab_only = True
    native.complaints().clear()
    pointer = llama.llama_model_load_from_file(path.encode(), params)
    if not pointer:
        raise ExportError(f"{Path(path).name}: llama.cpp cannot load it: {'; '.join(native.complaints()) or 'no reason given'}")
    vocab = llama.llama_model_get_vocab(pointer)

    def cut(text: str, special: bool) -> list[int]:
        data = text.encode()
        room = len(data) + 16
        buffer = (ctypes.c_int32 * room)()
        count = llama.llama_tokenize(vocab, data, len(data), buffer, room, False, special)
        if count < 0:
            raise ExportError(f"the tokenizer failed on {len(data)} bytes (code {count})")
        return list(buffer[:count])

    size = int(llama.llama_vocab_n_tokens(vocab))
    ends = [token for token in range(size) if llama.llama_vocab_is_eog(vocab, token)]
    template = llama.llama_model_chat_template(pointer, None)
    facts = {
        "tokens": [cut(text, False) for text in texts],
        "spelled": [cut(text, True) for text in spelled],
        "vocabulary": size,
        "bos": int(llama.llama_vocab_bos(vocab)),
        "eos": int(llama.llama_vocab_eos(vocab)),
        "adds_bos": bool(llama.llama_vocab_get_add_bos(vocab)),
        "ends": ends,
        "chat_template": template.decode("utf-8", "replace") if template else "",
    }
    llama.llama_model_free(pointer)
    return facts


def logits_in_child(progress: Progress, path: str, tokens: Sequence[int], out: str, threads: int) -> None:
    """Writes the logits after every token to `out` (.npy)."""
    evaluator = Evaluator(Path(path), len(tokens), threads=threads, exact=True)
    np.save(out, evaluator.logits(tokens, range(len(tokens))))
    evaluator.close()


def tokenise(path: Path, texts: Sequence[str], *, spelled: Sequence[str] = ()) -> dict[str, Any]:
    """`tokens` of each text without BOS and EOS; `spelled`, where the spelling of a control token becomes that token; and of the file
    `vocabulary`, `bos`, `eos`, `adds_bos`, `ends` (tokens that end a turn), `chat_template`.

    Raises ExportError for a file that llama.cpp cannot read.
    """
    facts: dict[str, Any] = call("tokenise", {"path": str(path.resolve()), "texts": list(texts), "spelled": list(spelled)})
    return facts


def logits(path: Path, tokens: Sequence[int], scratch: Path, *, threads: int = 0) -> F32:
    """(tokens, vocabulary) float32 after each of `tokens`, computed without shortcuts. scratch: a folder for the passing file."""
    out = scratch / "logits.npy"
    call("logits", {"path": str(path.resolve()), "tokens": [int(t) for t in tokens], "out": str(out.resolve()), "threads": threads})
    try:
        value: F32 = np.load(out, allow_pickle=False)
    finally:
        out.unlink(missing_ok=True)
    return value
