"""What a bare GGUF or ONNX file says about itself: name and licence, read from its metadata without loading the model."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from affectrt.errors import PackError

__all__ = ["BareModel", "read_bare"]

_MAX_TEXT_BYTES = 1 << 22
_MAX_ITEMS = 1 << 22
_GGUF_SCALARS: Mapping[int, str] = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_GGUF_TEXT, _GGUF_ARRAY = 8, 9
# general.file_type of GGUF, where the pack format has a word for it
_GGUF_FILE_TYPES: Mapping[int, str] = {0: "fp32", 1: "fp16", 2: "q4_0", 3: "q4_1", 7: "q8_0", 15: "q4_k_m", 17: "q5_k_m", 18: "q6_k"}


@dataclass(frozen=True)
class BareModel:
    """The metadata of a model file."""

    format: str
    """"gguf" or "onnx"."""
    name: str | None
    license: str | None
    metadata: Mapping[str, Any]
    """Texts and numbers; lists are left out."""

    @property
    def precision(self) -> str | None:
        """The precision that a GGUF file declares, in the pack format's words."""
        return _GGUF_FILE_TYPES.get(self.metadata.get("general.file_type", -1))


TOKENS = "tokenizer.ggml.tokens"


def read_bare(path: Path) -> BareModel:
    """Reads the metadata of a .gguf or .onnx file. Raises PackError if it is neither, or ends too early."""
    suffix = path.suffix.lower()
    if not path.is_file():
        raise PackError(f"{path}: expected a model file, got {'a folder' if path.is_dir() else 'no such file'}")
    if suffix not in (".gguf", ".onnx"):
        raise PackError(f"{path}: expected a .gguf or .onnx file, got {suffix or 'no'} suffix")
    try:
        with path.open("rb") as reader:
            found = _gguf(reader) if suffix == ".gguf" else _onnx(reader, path.stat().st_size)
    except OSError as error:
        raise PackError(f"{path}: cannot be read: {error.strerror}") from error
    except (struct.error, ValueError) as error:
        raise PackError(f"{path}: expected a {suffix[1:].upper()} file, got something else: {error}") from error

    def text(*keys: str) -> str | None:
        return next((value.strip() for key in keys if isinstance(value := found.get(key), str) and value.strip()), None)

    return BareModel(
        format=suffix[1:],
        name=text("general.name", "name"),
        license=text("general.license", "license", "licence"),
        metadata=found,
    )


def _take(reader: BinaryIO, count: int) -> bytes:
    data = reader.read(count)
    if len(data) != count:
        raise ValueError("it ends too early")
    return data


def _number(reader: BinaryIO, code: str) -> Any:
    return struct.unpack(code, _take(reader, struct.calcsize(code)))[0]


def _gguf(reader: BinaryIO) -> dict[str, Any]:
    if _take(reader, 4) != b"GGUF":
        raise ValueError("it does not begin with GGUF")
    version = _number(reader, "<I")
    if version not in (2, 3):
        raise ValueError(f"GGUF version {version}, not 2 or 3")
    _number(reader, "<Q")  # tensors
    count = _number(reader, "<Q")
    if count > 65536:
        raise ValueError(f"{count} metadata entries")
    found: dict[str, Any] = {}
    for _ in range(count):
        key = _gguf_text(reader)
        texts: list[str] | None = [] if key == TOKENS else None
        value = _gguf_value(reader, _number(reader, "<I"), texts)
        if value is not None:
            found[key] = value
        elif texts and (twice := _first_twice(texts)) is not None:
            raise ValueError(f"the token {twice!r:.40} is in its vocabulary twice")
    return found


def _gguf_text(reader: BinaryIO) -> str:
    size = _number(reader, "<Q")
    if size > _MAX_TEXT_BYTES:
        raise ValueError(f"a text of {size} bytes")
    return _take(reader, size).decode("utf-8", "replace")


def _first_twice(texts: list[str]) -> str | None:
    seen = set[str]()
    for text in texts:
        if text and text in seen:
            return text
        seen.add(text)
    return None


def _gguf_value(reader: BinaryIO, kind: int, texts: list[str] | None = None) -> Any:
    """A text or a number; lists (the vocabulary) are walked over and give None. `texts` takes those of a list."""
    if kind in _GGUF_SCALARS:
        return _number(reader, _GGUF_SCALARS[kind])
    if kind == _GGUF_TEXT:
        return _gguf_text(reader)
    if kind != _GGUF_ARRAY:
        raise ValueError(f"unknown metadata type {kind}")
    inner, count = _number(reader, "<I"), _number(reader, "<Q")
    if count > _MAX_ITEMS or inner == _GGUF_ARRAY:
        raise ValueError(f"a list of {count} entries of type {inner}")
    if inner in _GGUF_SCALARS:
        reader.seek(struct.calcsize(_GGUF_SCALARS[inner]) * count, 1)
    else:
        for _ in range(count):
            text = _gguf_value(reader, inner)
            if texts is not None:
                texts.append(text)
    return None


def _onnx(reader: BinaryIO, size: int) -> dict[str, Any]:
    """`metadata_props` (field 14) of an ONNX ModelProto: key (1) and value (2) texts. Everything else is stepped over."""
    found: dict[str, Any] = {}
    saw_graph = False
    while reader.tell() < size:
        tag = _varint(reader)
        field, kind = tag >> 3, tag & 7
        length = {0: -1, 1: 8, 5: 4}.get(kind)
        if kind == 2:
            length = _varint(reader)
        if length is None:
            raise ValueError(f"unknown wire type {kind}")
        if length < 0:
            _varint(reader)
        elif length > size - reader.tell():
            raise ValueError("it ends too early")
        elif field == 14 and length <= _MAX_TEXT_BYTES:
            key, value = _onnx_entry(_take(reader, length))
            found[key] = value
        else:
            saw_graph = saw_graph or field == 7
            reader.seek(length, 1)
    if not saw_graph:
        raise ValueError("it has no graph")
    return found


def _onnx_entry(data: bytes) -> tuple[str, str]:
    from io import BytesIO

    texts = {1: "", 2: ""}
    reader = BytesIO(data)
    while reader.tell() < len(data):
        tag = _varint(reader)
        if tag & 7 != 2:
            raise ValueError("metadata that is no text")
        texts[tag >> 3] = _take(reader, _varint(reader)).decode("utf-8", "replace")
    return texts[1], texts[2]


def _varint(reader: BinaryIO) -> int:
    value = 0
    for shift in range(0, 64, 7):
        byte = _take(reader, 1)[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
    raise ValueError("a number of more than 64 bits")
