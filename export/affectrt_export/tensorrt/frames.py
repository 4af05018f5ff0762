"""What the process that builds and the one that waits say to each other: a letter, a length, that many bytes."""

from __future__ import annotations

import json
import struct
from typing import IO, Any

_HEAD = struct.Struct("<cQ")


def write(stream: IO[bytes], kind: str, payload: bytes) -> None:
    """Sends one frame at once."""
    stream.write(_HEAD.pack(kind.encode(), len(payload)))
    stream.write(payload)
    stream.flush()


def write_json(stream: IO[bytes], kind: str, value: Any) -> None:
    """Sends one frame of JSON."""
    write(stream, kind, json.dumps(value).encode())


def read(stream: IO[bytes]) -> tuple[str, bytes] | None:
    """The next frame, as letter and bytes; None where the other side has gone, in the middle of a frame too."""
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    kind, size = _HEAD.unpack(head)
    payload = stream.read(size)
    return (kind.decode(), payload) if len(payload) == size else None
