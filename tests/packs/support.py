"""Manifests of every task, a tiny ONNX file written by hand, and changes to packs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import affectrt
import numpy as np
from affectrt.packs import default_packs

DEFAULT = Path(affectrt.__file__).parent / "packs" / "default"
_SHA = "0" * 64
NETWORK = "model.fp32.onnx"


def real(name: str) -> dict:
    """The manifest of a pack that travels with the package."""
    return json.loads((DEFAULT / name / "pack.json").read_text(encoding="utf-8"))


def face_manifest() -> dict:
    """A face-expression manifest of seven labels and one fp32 variant, whichever packs are the defaults."""
    labels = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    return {
        "format": "affectrt-pack",
        "format_version": 1,
        "name": "seven-faces",
        "version": "1.0.0",
        "task": "face-expression",
        "description": "Seven expressions",
        "license": {"code": "MIT", "weights": "MIT"},
        "source": [{"what": "weights", "origin": "made by the tests", "license": "MIT", "sha256": _SHA}],
        "card": "CARD.md",
        "intended_use": "To be spoilt by tests.",
        "known_limits": ["It knows nothing."],
        "recipe": "python -m recipe",
        "files": [{"path": path, "size_bytes": 1, "sha256": _SHA} for path in ("CARD.md", "golden/a.npy", "golden/a.probs.npy", NETWORK)],
        "inputs": [
            {
                "tensor": "image",
                "kind": "image",
                "layout": "nchw",
                "color": "gray",
                "width_px": 64,
                "height_px": 64,
                "mean": [127.5],
                "scale": [0.0078125],
                "pad_value": [0.0],
                "fit": "stretch",
                "dynamic_batch": True,
                "crop": {"kind": "key_points", "points": ["right_eye", "left_eye"], "template": [[20.4, 25.7], [43.6, 25.7]]},
            }
        ],
        "outputs": [{"tensor": "logits", "kind": "logits", "shape": [-1, 7]}],
        "labels": [{"name": name, "valence": 0.5, "arousal": -0.5, "dominance": 0.25} for name in labels],
        "decode": {"kind": "softmax", "temperature": 1.5, "thresholds": [], "unknown_below": 0.35},
        "variants": [variant("fp32", NETWORK, "onnx", "fp32")],
        "golden": [{"name": "a", "input": {"image": "golden/a.npy", "color": "rgb8"}, "expected": {"probs": "golden/a.probs.npy"}}],
    }


def make_faces(folder: Path) -> Path:
    """Writes the pack of `face_manifest`, with a network that is none but can be read as one. Returns the folder."""
    from affectrt.packs.write import npy_bytes, write_pack

    manifest = face_manifest()
    for key in ("format", "format_version", "files"):
        del manifest[key]
    noise = b"".join(hashlib.sha256(i.to_bytes(4, "big")).digest() for i in range(7000))  # does not compress
    files = {
        "CARD.md": b"# seven-faces\n" * 9,
        "golden/a.npy": npy_bytes(np.arange(64 * 64 * 3, dtype=np.uint32).astype(np.uint8).reshape(64, 64, 3)),
        "golden/a.probs.npy": npy_bytes(np.full(7, 1 / 7, np.float32)),
        NETWORK: onnx() + field(14, field(1, "noise") + field(2, noise)),
    }
    return write_pack(folder / "seven-faces", manifest, files)


def text_manifest() -> dict:
    """A text-emotion manifest of two labels."""
    manifest = face_manifest()
    manifest |= {
        "name": "text-two",
        "task": "text-emotion",
        "card": "CARD.md",
        "files": [{"path": path, "size_bytes": 1, "sha256": _SHA} for path in ("CARD.md", "m.onnx", "tokenizer.json", "golden/p.npy")],
        "inputs": [
            {
                "tensor": "input_ids",
                "kind": "text",
                "tokenizer": "tokenizer.json",
                "max_tokens": 8,
                "mask_tensor": "mask",
                "type_tensor": "types",
            }
        ],
        "outputs": [{"tensor": "logits", "kind": "logits", "shape": [-1, 2]}],
        "labels": [{"name": "joy", "valence": 0.5, "arousal": 0.5}, {"name": "fear", "valence": -0.5, "arousal": 0.5}],
        "decode": {"kind": "sigmoid", "temperature": 1.0, "thresholds": [0.3, 0.4], "unknown_below": 0.2},
        "variants": [variant("fp32", "m.onnx", "onnx", "fp32")],
        "golden": [{"name": "g", "input": {"text": "hello"}, "expected": {"probs": "golden/p.npy"}}],
    }
    return manifest


def chat_manifest() -> dict:
    """A dialogue manifest with a remote GGUF."""
    manifest = text_manifest()
    manifest |= {
        "name": "chat",
        "task": "dialogue",
        "files": [
            {"path": "CARD.md", "size_bytes": 1, "sha256": _SHA},
            {"path": "golden/t.npy", "size_bytes": 1, "sha256": _SHA},
            {"path": "m.gguf", "size_bytes": 1, "sha256": _SHA, "remote": "pypi:x==1/x/m.gguf"},
        ],
        "inputs": [{"tensor": "prompt", "kind": "chat", "context_tokens": 2048}],
        "outputs": [{"tensor": "text", "kind": "text", "shape": [-1]}],
        "labels": [],
        "decode": {
            "kind": "chat", "temperature": 0.7, "top_p": 0.9, "top_k": 40, "repeat_penalty": 1.1, "max_tokens": 160, "stop": ["</s>"],
        },
        "variants": [variant("q4", "m.gguf", "gguf", "q4_1")],
        "golden": [{"name": "g", "input": {"text": "hello"}, "expected": {"tokens": "golden/t.npy"}}],
    }  # fmt: skip
    return manifest


def embedding_manifest(pooling: str = "cls") -> dict:
    """A text-embedding manifest of three dimensions."""
    manifest = text_manifest()
    manifest |= {
        "name": "text-vector",
        "task": "text-embedding",
        "outputs": [{"tensor": "hidden", "kind": "embedding", "shape": [-1, 3] if pooling == "none" else [-1, -1, 3]}],
        "labels": [],
        "decode": {"kind": "embedding", "pooling": pooling, "normalize": True},
        "golden": [{"name": "g", "input": {"text": "hello"}, "expected": {"embedding": "golden/p.npy"}}],
    }
    return manifest


def span_manifest() -> dict:
    """A text-span manifest."""
    manifest = text_manifest()
    manifest |= {
        "name": "text-part",
        "task": "text-span",
        "outputs": [{"tensor": "logits", "kind": "span_logits", "shape": [-1, -1, 2]}],
        "labels": [],
        "decode": {
            "kind": "span",
            "question": "{target} | {evidence} | what causes {emotion}?",
            "max_answer_tokens": 4,
            "null_threshold": -0.5,
            "overlap_tokens": 3,
        },
        "golden": [{"name": "g", "input": {"text": "hello", "question": "why?"}, "expected": {"logits": "golden/p.npy"}}],
    }
    return manifest


def pair_manifest() -> dict:
    """A text-pair manifest of two labels."""
    manifest = text_manifest()
    manifest |= {
        "name": "two-texts",
        "task": "text-pair",
        "labels": [{"name": "other", "valence": 0.0, "arousal": 0.0}, {"name": "cause", "valence": 0.0, "arousal": 0.0}],
        "decode": {"kind": "pair", "separator": "<SEP>", "yes": "cause", "threshold": 0.5},
        "golden": [{"name": "g", "input": {"text": "joy <SEP> t <SEP> e"}, "expected": {"probs": "golden/p.npy"}}],
    }
    return manifest


def variant(name: str, file: str, format_: str, precision: str) -> dict:
    return {
        "name": name,
        "file": file,
        "format": format_,
        "precision": precision,
        "golden_tolerance_abs": 0.001,
        "requires": [],
        "measured": [],
    }


ALL = {
    **{name: real(name) for name in default_packs()},
    "faces": face_manifest(),
    "text": text_manifest(),
    "embedding": embedding_manifest(),
    "pooled": embedding_manifest("none"),
    "span": span_manifest(),
    "pair": pair_manifest(),
    "chat": chat_manifest(),
}


def edit(folder: Path, change) -> None:
    """Rewrites pack.json after `change(manifest)`."""
    manifest = json.loads((folder / "pack.json").read_text(encoding="utf-8"))
    change(manifest)
    (folder / "pack.json").write_text(json.dumps(manifest), encoding="utf-8")


def put(folder: Path, path: str, data: bytes) -> None:
    """Writes a file of the pack and makes the manifest fit it, so that only what is tested is wrong."""
    place = folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)

    def change(manifest: dict) -> None:
        manifest["files"] = [entry for entry in manifest["files"] if entry["path"] != path]
        manifest["files"].append({"path": path, "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})

    edit(folder, change)


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number: int, data: bytes | str) -> bytes:
    """One length-delimited field of a protobuf."""
    data = data.encode() if isinstance(data, str) else data
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def tensor(location: str | None) -> bytes:
    """A TensorProto, its data outside if `location` is given."""
    if location is None:
        return field(8, "w") + field(9, b"\0\0\0\0")
    return (
        field(8, "w") + field(13, field(1, "offset") + field(2, "0")) + field(13, field(1, "location") + field(2, location)) + b"\x70\x01"
    )


def onnx(location: str | None = None, *, place: str = "initializer", metadata: dict[str, str] | None = None) -> bytes:
    """A ModelProto (no working model: a skeleton) with one tensor at one of the places where ONNX may hold one."""
    value = tensor(location)
    inside = {
        "initializer": field(7, field(5, value)),
        "attribute": field(7, field(1, field(5, field(5, value)))),
        "attribute list": field(7, field(1, field(5, field(10, value)))),
        "graph in an attribute": field(7, field(1, field(5, field(6, field(5, value))))),
        "graphs in an attribute": field(7, field(1, field(5, field(11, field(1, field(5, field(5, value))))))),
        "sparse": field(7, field(15, field(1, value))),
        "sparse in an attribute": field(7, field(1, field(5, field(22, field(2, value))))),
        "function": field(7, b"") + field(25, field(7, field(5, field(5, value)))),
        "training": field(7, b"") + field(20, field(1, field(5, value))),
    }[place]
    props = b"".join(field(14, field(1, key) + field(2, text)) for key, text in (metadata or {}).items())
    return b"\x08\x08" + inside + props


PLACES = (
    "initializer", "attribute", "attribute list", "graph in an attribute", "graphs in an attribute",
    "sparse", "sparse in an attribute", "function", "training",
)  # fmt: skip
