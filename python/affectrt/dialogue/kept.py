"""The evaluated tokens of a conversation as bytes or a file, so that the next run of the program need not evaluate them again.

llama.cpp believes what it is given as a state, so nothing reaches it that does not carry the right seal, made for this very model, version
of the library and device. Whatever does not is passed over with a note in the log: only time is lost.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import hmac
import json
import logging
import os
import secrets
import struct
from pathlib import Path
from typing import Any

from affectrt.dialogue import native
from affectrt.dialogue.cache import Slot
from affectrt.dialogue.engine import State
from affectrt.dialogue.runtime import Runtime

_log = logging.getLogger("affectrt.dialogue")
_log.addHandler(logging.NullHandler())

_MAGIC = b"affectrt dialogue cache 1\n"
_SEAL = hashlib.sha256().digest_size
_MAX_HEAD = 4096
_MIN_KEY = 16


def check_key(key: bytes | None) -> bytes | None:
    """Raises TypeError, ValueError for what is no key."""
    if key is not None and not isinstance(key, bytes):
        raise TypeError(f"key must be bytes, got {type(key).__name__}")
    if key is not None and len(key) < _MIN_KEY:
        raise ValueError(f"key must have at least {_MIN_KEY} bytes, got {len(key)}")
    return key


def dump(runtime: Runtime, slot: Slot, key: bytes | None, max_bytes: int | None = None) -> bytes | None:
    """What the cache has of a conversation; None if that is nothing, or more than `max_bytes`."""
    with runtime.lock:
        runtime.check_open()
        if not slot.tokens:
            return None
        runtime.cache.enter(slot)
        if not slot.tokens:  # its state was dropped and could not come back
            return None
        tokens, size = list(slot.tokens), runtime.context.saved_bytes()
        head = json.dumps({**_setting(runtime), "tokens": len(tokens), "system_length": slot.system_length, "bytes": size}).encode()
        if max_bytes is not None and len(_MAGIC) + 4 + len(head) + 4 * len(tokens) + size + _SEAL > max_bytes:
            return None
        state = runtime.context.save()
    seal = _sealer(key)
    start = _MAGIC + struct.pack("<I", len(head)) + head + struct.pack(f"<{len(tokens)}i", *tokens)
    rest = memoryview(state.buffer)[:size]
    seal.update(start)
    seal.update(rest)
    return b"".join((start, rest, seal.digest()))


def save(runtime: Runtime, slot: Slot, path: Path, key: bytes | None) -> bool:
    """Write what `dump` gives to a file; False if that is nothing. The file appears whole or not at all, for its owner only."""
    data = dump(runtime, slot, key)
    if data is None:
        return False
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return True


class _UnusableError(Exception):
    pass


def load(runtime: Runtime, path: Path, key: bytes | None) -> Slot | None:
    """What a file holds, ready for the next prompt; None, with a note in the log, if it is missing, damaged, or not for this model."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.warning("%s is passed over: it cannot be read (%s)", path.name, error.strerror)
        return None
    return read(runtime, data, key, path.name)


def read(runtime: Runtime, data: bytes, key: bytes | None, name: str) -> Slot | None:
    """What `dump` gave, ready for the next prompt; None, with a note in the log that calls it `name`, as in `load`."""
    try:
        return _opened(runtime, _unsealed(data, key))
    except _UnusableError as why:
        _log.warning("%s is passed over: %s", name, why)
    return None


def _unsealed(data: bytes, key: bytes | None) -> memoryview:
    sealed = len(data) - _SEAL
    if sealed < len(_MAGIC) + 4 or not data.startswith(_MAGIC):
        raise _UnusableError("it is no such file")
    seal = _sealer(key)
    seal.update(memoryview(data)[:sealed])
    if not hmac.compare_digest(seal.digest(), data[sealed:]):
        raise _UnusableError("it is damaged, or sealed with another key")
    return memoryview(data)[len(_MAGIC) : sealed]


def _opened(runtime: Runtime, data: memoryview) -> Slot:
    """The content of a file whose seal is right. It is looked at all the same: without a key anyone can make a seal."""
    (size,) = struct.unpack_from("<I", data)
    try:
        head = json.loads(bytes(data[4 : 4 + min(size, _MAX_HEAD)]))
        tokens, system_length, count = (head.pop(name) for name in ("tokens", "system_length", "bytes"))
    except (ValueError, AttributeError, KeyError, RecursionError):
        raise _UnusableError("its head is damaged") from None
    if head != _setting(runtime):
        raise _UnusableError("it was made by another model, device or version")
    body = data[4 + size :]
    whole = all(type(number) is int and number >= 0 for number in (tokens, system_length, count))
    if not whole or not system_length <= tokens <= runtime.context.capacity or len(body) != 4 * tokens + count or not tokens or not count:
        raise _UnusableError("its lengths are wrong")
    slot = Slot()
    slot.tokens, slot.system_length = list(struct.unpack_from(f"<{tokens}i", body)), system_length
    if not all(0 <= token < runtime.model.vocabulary_size for token in slot.tokens):
        raise _UnusableError("its tokens are wrong")
    slot.saved = State((ctypes.c_uint8 * count).from_buffer_copy(body[4 * tokens :]), count)
    return slot


def _sealer(key: bytes | None) -> Any:
    return hashlib.sha256() if key is None else hmac.new(key, digestmod=hashlib.sha256)


def _setting(runtime: Runtime) -> dict[str, Any]:
    """What a state depends on besides its tokens."""
    version = getattr(native.load(), "__version__", "unknown")
    return {
        "model": runtime.model.sha256,
        "llama_cpp_python": version,
        "device": runtime.model.device,
        "batch": runtime.context.batch_tokens,
    }
