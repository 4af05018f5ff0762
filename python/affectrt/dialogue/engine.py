"""The three native objects of llama.cpp, each owned by one Python object: Model, Context, Sampler.

None is copied; each frees its pointer once, also when the interpreter ends. A NULL from the library becomes an EngineError.
Only Model is safe to share between threads without a lock.
"""

from __future__ import annotations

import ctypes
import functools
import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from affectrt._core import CancelFlag
from affectrt.dialogue import native
from affectrt.dialogue.sampling import Sampling
from affectrt.errors import DeviceError, EngineError, PackError
from affectrt.packs.bare import read_bare
from affectrt.packs.cache import sha256_of

# Between batches others have their turn, and on a GPU, which does not poll it, the cancel flag is looked at.
_CPU_BATCH_TOKENS, _GPU_BATCH_TOKENS = 64, 256

_MAX_LAYERS, _MAX_EXPERTS = 512, 512  # of llama.cpp, for any model

OK, NO_ROOM, ABORTED = 0, 1, 2  # what llama_decode returns; anything else is a failure


class Model:
    """The weights and the vocabulary of one GGUF file."""

    def __init__(self, path: Path, *, device: str = "auto", sha256: str | None = None) -> None:
        """Map the file. `sha256`: its hash, where that is known.

        Raises:
            PackError: The file is missing, or not a whole GGUF file.
            EngineError: llama.cpp is missing or refuses the model.
            DeviceError: This build of llama.cpp has no such device.
            ValueError: `device` is none of "auto", "cpu", "cuda:N".
        """
        self._path, self._sha256 = path, sha256
        gpu = _gpu_index(device)
        check_gguf(path)
        self._llama = llama = native.load()
        self.device = resolve_device(device)
        params = llama.llama_model_default_params()
        params.n_gpu_layers = 0 if self.device == "cpu" else -1
        if gpu is not None:
            params.split_mode, params.main_gpu = llama.LLAMA_SPLIT_MODE_NONE, gpu
        native.complaints().clear()
        pointer = llama.llama_model_load_from_file(os.fsencode(path), params)
        if not pointer:
            raise EngineError(f"{path.name}: llama.cpp cannot load this model: {'; '.join(native.complaints()) or 'no reason given'}")
        self.pointer = pointer
        self._free = weakref.finalize(self, llama.llama_model_free, pointer)
        self.vocab = llama.llama_model_get_vocab(pointer)
        self._pieces: dict[int, bytes] = {}
        self.trained_tokens = int(llama.llama_model_n_ctx_train(pointer))
        self.vocabulary_size = int(llama.llama_vocab_n_tokens(self.vocab))
        if self.vocabulary_size <= 0 or llama.llama_model_has_encoder(pointer):
            raise EngineError(f"{path.name}: not a text decoder with a vocabulary ({self.vocabulary_size} tokens)")
        self.bos = int(llama.llama_vocab_bos(self.vocab))
        self.eos = int(llama.llama_vocab_eos(self.vocab))
        self.adds_bos = bool(llama.llama_vocab_get_add_bos(self.vocab))
        template = llama.llama_model_chat_template(pointer, None)
        self.chat_template = template.decode("utf-8", "replace") if template else ""

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """Token ids of `text`; with `special`, the spelling of a control token becomes that token. Adds no BOS or EOS."""
        data = text.encode("utf-8")
        room = len(data) + 8
        buffer = (ctypes.c_int32 * room)()
        count = self._llama.llama_tokenize(self.vocab, data, len(data), buffer, room, False, special)
        if count < 0:
            raise EngineError(f"the tokenizer failed on {len(data)} bytes (code {count})")
        return buffer[:count]

    def piece(self, token: int) -> bytes:
        """The bytes that a token stands for; b"" for a control token."""
        known = self._pieces.get(token)
        if known is None:
            known = self._pieces[token] = self.spelling(token, special=False)
        return known

    def spelling(self, token: int, *, special: bool = True) -> bytes:
        """How the token is written, a control token by its name."""
        for room in (64, 4096):  # the longest tokens are runs of blanks
            buffer = ctypes.create_string_buffer(room)
            size = self._llama.llama_token_to_piece(self.vocab, token, buffer, room, 0, special)
            if size >= 0:
                return buffer.raw[:size]
        raise EngineError(f"token {token} of this model is longer than 4096 bytes")

    def attributes(self, token: int) -> int:
        """The token's llama_token_attr bits."""
        return int(self._llama.llama_vocab_get_attr(self.vocab, token))

    @functools.cached_property
    def sha256(self) -> str:
        """The hash of the file; if it was not known, read when first asked for: half a second for a gigabyte."""
        return self._sha256 or sha256_of(self._path)

    @functools.cached_property
    def turn_ends(self) -> list[int]:
        """All tokens that end a turn."""
        return [token for token in range(self.vocabulary_size) if self.ends_turn(token)]

    def ends_turn(self, token: int) -> bool:
        """True for an end-of-generation token, and for BOS: a model that writes one has left its turn."""
        return token == self.bos or bool(self._llama.llama_vocab_is_eog(self.vocab, token))


@dataclass(frozen=True, slots=True)
class State:
    """A copy of what a cache held."""

    buffer: ctypes.Array[ctypes.c_uint8]
    size: int
    """How much of the buffer is used, in bytes."""


class Context:
    """The key-value cache of one sequence of tokens, and the arithmetic over it. Use by one thread at a time."""

    def __init__(self, model: Model, *, context_tokens: int, threads: int) -> None:
        """Allocate the cache.

        Raises:
            EngineError: llama.cpp cannot allocate it.
        """
        self._llama = llama = native.load()
        self._model = model  # freed after this
        params = llama.llama_context_default_params()
        params.n_ctx, params.n_seq_max = context_tokens, 1
        params.n_batch = params.n_ubatch = min(_CPU_BATCH_TOKENS if model.device == "cpu" else _GPU_BATCH_TOKENS, context_tokens)
        params.n_threads = params.n_threads_batch = threads
        params.no_perf = True
        if hasattr(params, "n_outputs_max"):  # only the last token's logits are wanted: saves a vocabulary-wide row per batch token
            params.n_outputs_max = 1
        native.complaints().clear()
        pointer = llama.llama_init_from_model(model.pointer, params)
        if not pointer:
            why = "; ".join(native.complaints()) or "no reason given"
            raise EngineError(f"llama.cpp cannot make a context of {context_tokens} tokens: {why}")
        self.pointer = pointer
        self._free = weakref.finalize(self, llama.llama_free, pointer)
        self._memory = llama.llama_get_memory(pointer)
        self.capacity = int(llama.llama_n_ctx(pointer))
        self.threads = threads
        self.batch_tokens = int(params.n_batch)
        self._ids = (ctypes.c_int32 * self.batch_tokens)()
        self._one = llama.llama_batch_get_one(self._ids, 1)
        self._flag: CancelFlag | None = None
        self._decode, self._get_one = llama.llama_decode, llama.llama_batch_get_one

    def watch(self, flag: CancelFlag) -> None:
        """Let `flag` stop what is decoded from now on. Keeps it alive for as long as the library holds its address."""
        if flag is not self._flag:
            callback = self._llama.ggml_abort_callback(flag.callback_address)
            self._llama.llama_set_abort_callback(self.pointer, callback, flag.data_address)
            self._flag = flag

    def stop(self) -> None:
        """Stop whatever is being decoded, from any thread."""
        if self._flag is not None:
            self._flag.set()

    def decode_one(self, token: int) -> int:
        """Append one token; returns llama_decode's code. The lock of the interpreter is free meanwhile."""
        self._ids[0] = token
        return int(self._decode(self.pointer, self._one))

    def decode(self, tokens: Sequence[int]) -> int:
        """Append at most `batch_tokens` tokens."""
        count = len(tokens)
        self._ids[:count] = list(tokens)
        return int(self._decode(self.pointer, self._get_one(self._ids, count)))

    def truncate(self, length: int) -> bool:
        """Forget everything from position `length` on. False where the architecture cannot forget a part: then all is forgotten."""
        if length > 0 and self._llama.llama_memory_seq_rm(self._memory, 0, length, -1):
            return True
        self._llama.llama_memory_clear(self._memory, False)
        return length <= 0

    def saved_bytes(self) -> int:
        """How large `save` would be."""
        return int(self._llama.llama_state_seq_get_size(self.pointer, 0))

    def save(self, old: State | None = None) -> State:
        """A copy of what the cache holds, in the memory of `old` where that is large enough: new memory takes ten times as long."""
        size = self.saved_bytes()
        buffer = old.buffer if old is not None and size <= len(old.buffer) <= 4 * size else (ctypes.c_uint8 * (size + size // 4))()
        written = int(self._llama.llama_state_seq_get_data(self.pointer, buffer, size, 0))
        if written != size:
            raise EngineError(f"llama.cpp wrote {written} of {size} bytes of a conversation's state")
        return State(buffer, size)

    def restore(self, state: State) -> bool:
        """Replace what the cache holds. False if the library refuses it: the cache is then empty."""
        self._llama.llama_memory_clear(self._memory, False)
        if self._llama.llama_state_seq_set_data(self.pointer, state.buffer, state.size, 0):
            return True
        self._llama.llama_memory_clear(self._memory, False)
        return False

    def logits(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """(vocabulary,) float32: the logits after the last decoded token. A view, good until the next decoding.

        Raises:
            EngineError: Nothing was decoded yet.
        """
        pointer = self._llama.llama_get_logits_ith(self.pointer, -1)
        if not pointer:
            raise EngineError("llama.cpp has no logits: nothing was evaluated")
        return np.ctypeslib.as_array(pointer, shape=(self._model.vocabulary_size,))

    def set_threads(self, threads: int) -> None:
        """Change the number of threads."""
        self._llama.llama_set_n_threads(self.pointer, threads, threads)
        self.threads = threads

    def close(self) -> None:
        """Free the cache now. Nothing else may be called afterwards."""
        self._free()


class Sampler:
    """llama.cpp's sampler chain for one reply: the whole choice of a token happens in C."""

    def __init__(self, model: Model, sampling: Sampling, seed: int) -> None:
        llama = native.load()
        chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        if not chain:
            raise EngineError("llama.cpp cannot make a sampler")
        self.pointer = chain
        self._free = weakref.finalize(self, llama.llama_sampler_free, chain)
        self._sample = llama.llama_sampler_sample
        for part in self._parts(llama, model, sampling, seed):
            llama.llama_sampler_chain_add(chain, part)

    @staticmethod
    def _parts(llama: Any, model: Model, sampling: Sampling, seed: int) -> list[Any]:
        parts = []
        if sampling.repeat_penalty != 1.0:
            penalty = (sampling.repeat_last_tokens, sampling.repeat_penalty, 0.0, 0.0)
            make = llama.llama_sampler_init_penalties
            # Newer versions take the vocabulary's size first.
            parts.append(make(model.vocabulary_size, *penalty) if len(make.argtypes) == 5 else make(*penalty))
        if sampling.temperature == 0.0:
            return [*parts, llama.llama_sampler_init_greedy()]
        if sampling.top_k > 0:
            parts.append(llama.llama_sampler_init_top_k(sampling.top_k))
        if sampling.top_p < 1.0:
            parts.append(llama.llama_sampler_init_top_p(sampling.top_p, 1))
        if sampling.min_p > 0.0:
            parts.append(llama.llama_sampler_init_min_p(sampling.min_p, 1))
        return [*parts, llama.llama_sampler_init_temp(sampling.temperature), llama.llama_sampler_init_dist(seed)]

    def sample(self, context: Context) -> int | None:
        """Choose a token from the logits of the last decoded one, and remember it for the repeat penalty. None: no token may follow."""
        return int(self._sample(self.pointer, context.pointer, -1))

    def close(self) -> None:
        """Free the chain now."""
        self._free()


def resolve_device(device: str) -> str:
    """What a Model runs on that is asked for `device`: "cpu" or "cuda:N". Raises as Model does."""
    gpu = _gpu_index(device)
    offload = bool(native.load().llama_supports_gpu_offload())
    if gpu is not None and not offload:
        raise DeviceError(f"device {device!r} asked for, but the installed llama-cpp-python was built for the CPU only")
    return f"cuda:{gpu or 0}" if offload and device != "cpu" else "cpu"


def _gpu_index(device: str) -> int | None:
    if device in ("auto", "cpu"):
        return None
    kind, _, index = device.partition(":")
    if kind == "cuda" and (index.isdecimal() or not index):
        return int(index or 0)
    raise ValueError(f'device must be "auto", "cpu" or "cuda:N", got {device!r}')


def check_gguf(path: Path) -> None:
    """Refuse early what is plainly no GGUF file: the library's own message for it would be a line in a log.

    Raises:
        PackError: Missing, not a file, not readable, or without a GGUF header.
    """
    try:
        with path.open("rb") as file:
            head = file.read(24)
    except FileNotFoundError:
        raise PackError(f"{path}: no such file") from None
    except OSError as error:
        raise PackError(f"{path}: cannot be read: {error.strerror}") from error
    if head[:4] != b"GGUF":
        raise PackError(f"{path.name}: expected a GGUF file (its first bytes are b'GGUF'), got {head[:4]!r}")
    if len(head) < 24:
        raise PackError(f"{path.name}: truncated: a GGUF header has 24 bytes, the file {len(head)}")
    version = int.from_bytes(head[4:8], "little")
    if version not in (2, 3):
        raise PackError(f"{path.name}: expected GGUF version 2 or 3, got {version}")
    _check_sizes(path)


def _check_sizes(path: Path) -> None:
    """Refuse the numbers that llama.cpp meets with an assertion, which ends the process, instead of an error."""
    found = read_bare(path).metadata
    kind = found.get("general.architecture")

    def size(name: str, default: int) -> int:
        value = found.get(f"{kind}.{name}", default)
        return value if isinstance(value, int) else default

    layers, experts, groups = size("block_count", 1), size("expert_count", 0), size("expert_group_count", 0)
    used, groups_used = size("expert_used_count", 0), size("expert_group_used_count", 0)
    grouped = groups > 1 and (experts % groups != 0 or not 0 < groups_used < groups)
    wrong = [
        f"{kind}.{name} must be {rule}, got {value}"
        for name, good, rule, value in (
            ("block_count", 1 <= layers <= _MAX_LAYERS, f"in [1, {_MAX_LAYERS}]", layers),
            ("expert_count", 0 <= experts <= _MAX_EXPERTS, f"in [0, {_MAX_EXPERTS}]", experts),
            ("expert_used_count", min(1, experts) <= used <= experts, f"in [{min(1, experts)}, {experts}]", used),
            ("expert_group_count", groups >= 0 and (experts > 0 or groups == 0) and not grouped, "a divisor of the experts", groups),
        )
        if not good
    ]
    if wrong:
        raise PackError(f"{path.name}: {'; '.join(wrong)}")
