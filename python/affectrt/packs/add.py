"""`affectrt packs add FILE`: a pack of a bare model file, under `packs/<name>` of the cache, where `open_pack(name)` finds it.

A GGUF file says itself how to feed it (its chat template), so nothing more is needed. An ONNX file does not: the contract comes as a
JSON file that holds what docs/pack-format.md wants in pack.json, but for `format`, `format_version` and `files`; the files it names lie
beside it.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from affectrt import _core
from affectrt.errors import PackError
from affectrt.packs.bare import BareModel, read_bare
from affectrt.packs.cache import cache_root, disk_errors, file_lock, sha256_of
from affectrt.packs.spdx import spdx

__all__ = ["add"]

_PROMPT = "I finally passed the exam!"
_MAX_CONTRACT_BYTES = 1 << 20


def add(
    file: str | os.PathLike[str],
    *,
    name: str | None = None,
    license: str | None = None,
    contract: str | os.PathLike[str] | None = None,
    replace: bool = False,
) -> Path:
    """Makes a pack of a model file and returns its folder.

    name: of the pack; without it, made from the file's metadata. license: SPDX id or expression where the
    metadata names none. contract: JSON file of an ONNX model's contract. replace: over an added pack of the same name.

    Raises PackError: not a model file, no licence or one that SPDX has not, no contract, a contract the parser refuses, a name that is
    taken, a full disk. The golden vector of a GGUF is made by tokenising with llama-cpp-python: PackError if that is not installed.
    """
    path = Path(file).expanduser()
    model = read_bare(path)
    license = _licence(path, license)
    if contract is None and model.format == "onnx":
        raise PackError(f"{path}: an ONNX file does not say how to feed it; write its contract as JSON (docs/packs.md) and pass contract=")
    if contract is None:
        manifest, files = _of_gguf(path, model, name, license)
    else:
        manifest, files = _of_contract(path, Path(contract).expanduser(), name, license or model.license)
    return _write(manifest, files, path, replace)


def _write(manifest: dict[str, Any], files: dict[str, bytes | Path], path: Path, replace: bool) -> Path:
    from affectrt.packs.open import default_packs
    from affectrt.packs.write import write_pack

    name = str(manifest["name"])
    if name in default_packs():
        raise PackError(f"{path}: expected a name that no default pack has, got {name!r}; pass name=")
    target = cache_root() / "packs" / name
    with file_lock(f"adding {name}", f"add-{name}"), disk_errors(f"adding {name}", target):
        if target.exists() and not replace:
            raise PackError(f"{path}: expected a name that is free, got {name!r}, an added pack; pass another name=, or replace=True")
        # Written and checked aside first, so that a contract the parser refuses does not cost the pack that is there.
        trial = target.parent / ".new" / name
        try:
            write_pack(trial, manifest, files, replace=True)
            _core.Pack.open(trial)
            if target.exists():
                _remove(target)
            trial.replace(target)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise PackError(f"{path}: no pack can be made of it: {error}") from error
        finally:
            _remove(trial)
    return target


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _of_contract(path: Path, contract: Path, name: str | None, license: str | None) -> tuple[dict[str, Any], dict[str, bytes | Path]]:
    try:
        data = contract.read_bytes()
        if len(data) > _MAX_CONTRACT_BYTES:
            raise PackError(f"{contract}: expected at most {_MAX_CONTRACT_BYTES} bytes, got {len(data)}")
        manifest = json.loads(data)
    except OSError as error:
        raise PackError(f"{contract}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise PackError(f"{contract}: expected a contract as UTF-8 JSON, got: {error}") from error
    if not isinstance(manifest, dict):
        raise PackError(f"{contract}: expected a JSON object, got {type(manifest).__name__}")
    if name is not None:
        manifest["name"] = name
    if license is not None:
        manifest.setdefault("license", {"code": license, "weights": license})
    wanted: set[str] = set()
    try:
        wanted.add(manifest["card"])
        wanted.update(entry["tokenizer"] for entry in manifest["inputs"] if "tokenizer" in entry)
        wanted.update(variant["file"] for variant in manifest["variants"])
        for golden in manifest["golden"]:
            wanted.update(golden["input"][key] for key in ("image", "points") if key in golden["input"])
            wanted.update(golden["expected"].values())
    except (KeyError, TypeError, AttributeError) as error:
        raise PackError(f"{contract}: expected the keys of docs/pack-format.md, got a problem at {error}") from error
    if path.name not in {variant["file"] for variant in manifest["variants"]}:
        raise PackError(f"{contract}: expected a variant with the file {path.name!r}, got none")
    files: dict[str, bytes | Path] = {}
    for entry in sorted(wanted):
        place = path if entry == path.name else contract.parent / entry
        if Path(entry).is_absolute() or ".." in Path(entry).parts or not place.is_file():
            raise PackError(f"{contract}: expected the file {entry!r} beside it, got none")
        files[entry] = place
    return manifest, files


def _of_gguf(path: Path, model: BareModel, name: str | None, license: str | None) -> tuple[dict[str, Any], dict[str, bytes | Path]]:
    chosen = license or model.license
    if chosen is None:
        raise PackError(f"{path}: expected a licence in the metadata of the file, got none; pass license= with its SPDX id")
    chosen = _spelled(chosen)
    if model.precision is None:
        raise PackError(f"{path}: expected a precision that the pack format knows, got file type {model.metadata.get('general.file_type')}")
    slug = name or re.sub(r"[^a-z0-9]+", "-", (model.name or path.stem).lower()).strip("-")[:64]
    architecture = str(model.metadata.get("general.architecture", ""))
    trained = int(model.metadata.get(f"{architecture}.context_length", 2048))
    file = path.name.lower().replace(" ", "-")
    digest = sha256_of(path)
    card = (
        f"# {model.name or path.stem}\n\nMade by `affectrt packs add` from {path.name} (SHA-256 {digest}). "
        "Its origin and quality have not been checked.\n"
        "The golden vector was made by this very file: it shows that a device reads the file as this one did, "
        "not that the model is good.\n"
    )
    manifest: dict[str, Any] = {
        "name": slug,
        "version": "1.0.0",
        "task": "dialogue",
        "description": f"{model.name or path.stem}, a language model the user added",
        "license": {"code": chosen, "weights": chosen},
        "source": [{"what": "weights", "origin": f"file: {path.name}", "license": chosen, "sha256": digest}],
        "card": "CARD.md",
        "intended_use": "What the one who added it uses it for.",
        "known_limits": ["Origin, training data and quality of the replies have not been checked."],
        "inputs": [{"tensor": "prompt", "kind": "chat", "context_tokens": max(1, min(trained, 4096))}],
        "outputs": [{"tensor": "text", "kind": "text", "shape": [-1]}],
        "labels": [],
        "decode": {
            "kind": "chat",
            "temperature": 0.7,
            "top_p": 0.9,
            "top_k": 40,
            "repeat_penalty": 1.1,
            "max_tokens": 160,
            "stop": [],
        },
        "variants": [
            {
                "name": model.precision,
                "file": file,
                "format": "gguf",
                "precision": model.precision,
                "golden_tolerance_abs": 0.0,
                "requires": [],
                "measured": [],
            }
        ],
        "golden": [{"name": "exam", "input": {"text": _PROMPT}, "expected": {"tokens": "golden/exam.tokens.npy"}}],
    }
    return manifest, {"CARD.md": card.encode(), file: path, "golden/exam.tokens.npy": _prompt_tokens(path, model)}


def _licence(path: Path, license: str | None) -> str | None:
    """What the user says, in its right spelling. PackError where SPDX has nothing of the kind."""
    try:
        return None if license is None else spdx(license)
    except ValueError as error:
        raise PackError(f"{path}: license: {error}") from None


def _spelled(license: str) -> str:
    """Metadata may name what SPDX has not; that stays as it is."""
    try:
        return spdx(license)
    except ValueError:
        return license


def _prompt_tokens(path: Path, model: BareModel) -> bytes:
    """The golden prompt as tokens, one user turn through the file's own chat template, as a `.npy` of int32."""
    import numpy as np

    from affectrt.packs.write import npy_bytes

    try:
        from llama_cpp import Llama
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter
    except ImportError as error:
        raise PackError(f"{path}: making a pack of it needs llama-cpp-python: pip install 'affectrt[dialogue]'") from error
    template = model.metadata.get("tokenizer.chat_template")
    if not isinstance(template, str):
        raise PackError(f"{path}: expected a chat template in the metadata of the file, got none")
    try:
        llama = Llama(str(path), vocab_only=True, verbose=False)
    except (ValueError, RuntimeError) as error:
        raise PackError(f"{path}: llama.cpp cannot read it: {error}") from error
    try:

        def text(token: int) -> str:
            return llama._model.token_get_text(token) if token >= 0 else ""

        formatter = Jinja2ChatFormatter(template, eos_token=text(llama.token_eos()), bos_token=text(llama.token_bos()))
        prompt = formatter(messages=[{"role": "user", "content": _PROMPT}]).prompt
        tokens = llama.tokenize(prompt.encode(), add_bos=False, special=True)
    finally:
        llama.close()
    return npy_bytes(np.asarray(tokens, dtype=np.int32))
