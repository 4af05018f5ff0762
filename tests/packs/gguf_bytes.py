"""GGUF headers, written by hand."""

from __future__ import annotations

import struct


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(data)) + data


def gguf(metadata: dict[str, object], *, version: int = 3, extra: bytes = b"", count: int | None = None) -> bytes:
    """A file of metadata and no tensors. Texts, ints (uint32), floats (float32), lists of texts and of ints."""
    out = b""
    for key, value in metadata.items():
        out += text(key)
        if isinstance(value, str):
            out += struct.pack("<I", 8) + text(value)
        elif isinstance(value, int):
            out += struct.pack("<II", 4, value)
        elif isinstance(value, float):
            out += struct.pack("<If", 6, value)
        elif value and isinstance(value[0], str):
            out += struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(text, value))
        else:
            out += struct.pack("<IIQ", 9, 5, len(value)) + struct.pack(f"<{len(value)}i", *value)
    return b"GGUF" + struct.pack("<IQQ", version, 0, len(metadata) if count is None else count) + out + extra
