"""The tokenizer of a text model, as a pack carries it: in the form of the tokenizers library, held against the network it belongs to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affectrt_export.families.source import Source
from affectrt_export.spec import ExportError

FILE = "tokenizer.json"
_PROBE = "I finally passed the exam!"
_ROLES = ("pad", "cls", "sep", "bos", "eos")


@dataclass(frozen=True)
class Words:
    """A tokenizer that fits its network."""

    data: bytes
    """tokenizer.json without padding and truncation: the pack's contract says those."""
    longest: int | None
    """Tokens a text, as tokenizer_config.json limits it; None: not at all."""


def bare(data: bytes) -> bytes:
    """tokenizer.json without its fixed padding and truncation. Raises ExportError: no such file."""
    try:
        content = json.loads(data)
        content["truncation"] = content["padding"] = None
    except (ValueError, TypeError) as error:
        raise ExportError(f"{FILE}: a JSON object was expected: {error}") from error
    return (json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def read(source: Source, rows: int) -> Words:
    """The tokenizer of a folder, checked against an embedding table of `rows` rows and the special tokens that the folder names.

    Raises ExportError: none there and none that can be converted, not of this network, special tokens that do not agree.
    """
    path = source.place / FILE
    data = bare(path.read_bytes() if path.is_file() else _converted(source.place))
    settings = source.json("tokenizer_config.json")
    check(data, rows, source.config, {**source.json("special_tokens_map.json"), **settings})
    longest = settings.get("model_max_length")
    # Where there is no limit some checkpoints write a number of thirty digits.
    return Words(data, int(longest) if isinstance(longest, (int, float)) and 0 < longest < 1 << 20 else None)


def check(data: bytes, rows: int, config: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """ExportError unless the tokenizer is one for a table of `rows` rows, and its special tokens are those of `config` and `settings`."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(data.decode())
    except Exception as error:  # what the library raises is no narrower
        raise ExportError(f"{FILE}: a tokenizer was expected: {error}") from error
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    if not vocabulary:
        raise ExportError(f"{FILE}: a vocabulary was expected, it has no token")
    token, highest = max(vocabulary.items(), key=lambda item: item[1])
    if highest >= rows:
        raise ExportError(f"wrong tokenizer: it gives ids up to {highest} ({token!r}), the embedding table of the network has {rows} rows")
    pad = config.get("pad_token_id")
    if pad is not None and not 0 <= pad < rows:
        raise ExportError(f"config.json: pad_token_id {pad} was expected to be one of the {rows} rows of the embedding table")
    ids = {role: vocabulary.get(name) for role in _ROLES if (name := _token(settings.get(f"{role}_token"))) is not None}
    absent = [f"{role} {_token(settings[f'{role}_token'])!r}" for role, number in ids.items() if number is None]
    if absent:
        raise ExportError(f"wrong tokenizer: its vocabulary has not the special tokens that its settings name: {', '.join(absent)}")
    for role, number in ids.items():
        said = config.get(f"{role}_token_id")
        if said is not None and said != number:
            raise ExportError(
                f"wrong tokenizer: its {role} token {_token(settings[f'{role}_token'])!r} has id {number}, config.json says {said}"
            )
    first = ids.get("cls")
    probe = tokenizer.encode(_PROBE).ids
    if not probe:
        raise ExportError(f"wrong tokenizer: it makes no token of {_PROBE!r}")
    if first is not None and probe[0] != first:
        raise ExportError(
            f"wrong tokenizer: a text was expected to begin with {_token(settings['cls_token'])!r} ({first}), it begins with {probe[0]}"
        )
    _check_case(data, settings)


def _check_case(data: bytes, settings: Mapping[str, Any]) -> None:
    """Some training code lowers case as tokenizer_config.json says: where the two disagree the network has seen other words."""
    lowers, said = (json.loads(data).get("normalizer") or {}).get("lowercase"), settings.get("do_lower_case")
    if isinstance(lowers, bool) and isinstance(said, bool) and lowers != said:
        raise ExportError(
            f"{FILE} says lowercase {lowers}, tokenizer_config.json says do_lower_case {said}; make them agree as in training"
        )


def _token(value: Any) -> str | None:
    """A special token stands there as text, or as an object with its content."""
    if isinstance(value, Mapping):
        value = value.get("content")
    return value if isinstance(value, str) else None


def _converted(folder: Path) -> bytes:
    """tokenizer.json made from a slow tokenizer's files."""
    from transformers import AutoTokenizer

    held = sorted(
        path.name for path in folder.iterdir() if path.name in ("vocab.txt", "vocab.json", "merges.txt") or path.suffix == ".model"
    )
    if not held:
        raise ExportError(
            f"{FILE} was expected in {folder.name}, or files of a tokenizer that can be converted (vocab.txt, ...); there are none"
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        return str(tokenizer.backend_tokenizer.to_str()).encode()
    except Exception as error:  # transformers raises what its converters raise
        first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ExportError(f"{FILE} is missing and {', '.join(held)} cannot be converted: {first}") from error
