"""From tokenizer.json to the vocabulary of a GGUF file, and the proof that both cut text alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectrt_export.gguf.checkpoint import read_json
from affectrt_export.spec import ExportError

if TYPE_CHECKING:
    import gguf

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_LLAMA3, _QWEN2 = _WORDS + r"\p{N}{1,3}" + _REST, _WORDS + r"\p{N}" + _REST
_TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|"
    r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PRE_TOKENIZERS: Mapping[tuple[Any, ...], str] = {
    ("bytes and words", False): "gpt-2",
    ("digits", "bytes and words", False): "smollm",
    (_LLAMA3, "bytes", True): "llama-bpe",
    (_LLAMA3, "bytes", False): "dbrx",
    (_QWEN2, "bytes", False): "qwen2",
    (_TEKKEN, "bytes", True): "tekken",
}
"""How text is cut before merges, and whether whole words pass by the merges: what llama.cpp calls that."""


@dataclass(frozen=True)
class Vocabulary:
    """What a GGUF file holds of a tokenizer."""

    model: str
    """"gpt2" (byte level) or "llama" (SentencePiece)."""
    pre: str
    tokens: Sequence[str]
    types: Sequence[int]
    merges: Sequence[str]
    scores: Sequence[float]
    special: Mapping[str, int]
    """bos, eos, unk, pad, and eot, eom where a turn may end in further ways."""
    ends: Sequence[int]
    """Tokens that end a turn, as generation_config.json says."""
    add_bos: bool
    add_eos: bool
    add_space_prefix: bool
    templates: Mapping[str, str] = field(default_factory=dict)
    """Chat templates by name; "default" is the one used."""

    def write(self, writer: gguf.GGUFWriter) -> None:
        """Adds all of it to the metadata."""
        writer.add_tokenizer_model(self.model)
        writer.add_tokenizer_pre(self.pre)
        writer.add_token_list(list(self.tokens))
        writer.add_token_types(list(self.types))
        if self.model == "gpt2":
            writer.add_token_merges(list(self.merges))
        else:
            writer.add_token_scores(list(self.scores))
        for name, token in self.special.items():
            getattr(writer, f"add_{name}_token_id")(token)
        writer.add_add_bos_token(self.add_bos)
        writer.add_add_eos_token(self.add_eos)
        writer.add_add_space_prefix(self.add_space_prefix)
        # The library's own function for several templates writes their names in an order that differs from run to run.
        more = sorted(name for name in self.templates if name != "default")
        for name in more:
            writer.add_string(f"tokenizer.chat_template.{name}", self.templates[name])
        if more:
            writer.add_array("tokenizer.chat_templates", more)
        if "default" in self.templates:
            writer.add_string("tokenizer.chat_template", self.templates["default"])

    def ending_also_with(self, tokens: Sequence[int]) -> Vocabulary:
        """With up to two further tokens marked as ends of a turn."""
        return replace(self, special={**self.special, **dict(zip(("eot", "eom"), tokens, strict=False))})


def read_vocabulary(folder: Path, config: Mapping[str, Any], generation: Mapping[str, Any], size: int) -> Vocabulary:
    """Reads tokenizer.json and what stands beside it. size: rows of the embedding.

    Raises ExportError for a tokenizer that llama.cpp has no name for, and where it has more tokens than the model.
    """
    if not (folder / "tokenizer.json").is_file():
        raise ExportError(f"{folder}: has no tokenizer.json; AutoTokenizer.from_pretrained(...).save_pretrained(...) writes one")
    content = read_json(folder / "tokenizer.json")
    settings = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    model = content.get("model") or {}
    if model.get("type") != "BPE":
        raise ExportError(f"tokenizer.json: expected a model of type BPE, got {model.get('type')!r}")
    pieces, added = dict(model["vocab"]), {entry["content"]: entry for entry in content.get("added_tokens") or ()}
    pieces |= {text: int(entry["id"]) for text, entry in added.items()}
    if max(pieces.values()) >= size:
        raise ExportError(f"tokenizer.json: has tokens up to {max(pieces.values())}, the model's embedding has {size} rows")
    sentencepiece = bool(model.get("byte_fallback"))
    pre = _sentencepiece(content) if sentencepiece else _pre_tokenizer(content)
    by_id = {token: text for text, token in pieces.items()}
    tokens = [by_id.get(i, f"[PAD{i}]") for i in range(size)]
    unknown = model.get("unk_token")

    def kind(i: int) -> int:
        text = by_id.get(i)
        if text is None:
            return UNUSED
        if sentencepiece and text == unknown:
            return UNKNOWN
        if text in added:
            return CONTROL if added[text].get("special") else USER_DEFINED
        return BYTE if sentencepiece and len(text) == 6 and text.startswith("<0x") else NORMAL

    merges = [pair.split(" ", 1) if isinstance(pair, str) else list(pair) for pair in model["merges"]]
    if not sentencepiece and any(" " in part for pair in merges for part in pair):
        raise ExportError("tokenizer.json: a merge of a byte-level tokenizer holds a blank")
    special = _special(settings, config, pieces)
    if unknown in pieces:
        special.setdefault("unk", pieces[unknown])
    ends = generation.get("eos_token_id", config.get("eos_token_id"))
    ends = [special["eos"]] if ends is None and "eos" in special else ends
    add_bos, add_eos = _added_around(folder, settings, special)
    return Vocabulary(
        model="llama" if sentencepiece else "gpt2",
        pre="default" if sentencepiece else pre,
        tokens=tokens,
        types=[kind(i) for i in range(size)],
        merges=[" ".join(pair) for pair in merges],
        scores=_scores(tokens, merges) if sentencepiece else [],
        special=special,
        ends=[ends] if isinstance(ends, int) else list(ends or ()),
        add_bos=add_bos,
        add_eos=add_eos,
        add_space_prefix=sentencepiece and pre == "prefix",
        templates=_templates(folder, settings),
    )


def _pre_tokenizer(content: Mapping[str, Any]) -> str:
    """llama.cpp's name for how the text is cut. Decided by what the file does, not by what the model is called."""
    normalizer = content.get("normalizer")
    if normalizer not in (None, {"type": "NFC"}):
        raise ExportError(f"tokenizer.json: normalizer {json.dumps(normalizer)[:200]} cannot be converted; known are none and NFC")
    steps = tuple(_step(step) for step in _flat(content.get("pre_tokenizer"), "pretokenizers"))
    name = PRE_TOKENIZERS.get((*steps, bool((content.get("model") or {}).get("ignore_merges"))))
    if name is None:
        known = ", ".join(sorted(PRE_TOKENIZERS.values()))
        raise ExportError(
            f"tokenizer.json: pre_tokenizer {json.dumps(content.get('pre_tokenizer'))[:400]} is not one that llama.cpp is known to have; "
            f"known are those of {known}"
        )
    return name


def _flat(value: Mapping[str, Any] | None, inner: str) -> list[Mapping[str, Any]]:
    if value is None:
        return []
    return [step for one in value[inner] for step in _flat(one, inner)] if value.get("type") == "Sequence" else [value]


def _step(step: Mapping[str, Any]) -> str:
    if step.get("type") == "ByteLevel" and not step.get("add_prefix_space"):
        return "bytes and words" if step.get("use_regex", True) else "bytes"
    if step.get("type") == "Digits" and step.get("individual_digits"):
        return "digits"
    if step.get("type") == "Split" and step.get("behavior") == "Isolated" and not step.get("invert"):
        return str((step.get("pattern") or {}).get("Regex"))
    return f"unknown {step.get('type')}"


def _sentencepiece(content: Mapping[str, Any]) -> str:
    """ "prefix" where a blank is put before the text, "none" where not. ExportError for anything else than SentencePiece's own way."""
    steps = _flat(content.get("normalizer"), "normalizers") + _flat(content.get("pre_tokenizer"), "pretokenizers")
    prefix, blanks = "none", False
    for step in steps:
        if step.get("type") == "Prepend" and step.get("prepend") == "▁":
            prefix = "prefix"
        elif step.get("type") == "Replace" and (step.get("pattern") or {}).get("String") == " " and step.get("content") == "▁":
            blanks = True
        elif step.get("type") == "Metaspace" and step.get("replacement", "▁") == "▁" and not step.get("split"):
            blanks = True
            if step.get("prepend_scheme", "always" if step.get("add_prefix_space") else "never") != "never":
                prefix = "prefix"
        else:
            raise ExportError(f"tokenizer.json: {json.dumps(step)[:200]} is not SentencePiece's way, and cannot be converted")
    if not blanks:
        raise ExportError("tokenizer.json: a BPE with byte_fallback that does not write blanks as ▁ cannot be converted")
    return prefix


def _scores(tokens: Sequence[str], merges: Sequence[Sequence[str]]) -> list[float]:
    """SentencePiece merges the pair whose result scores highest: the earlier its merge, the higher."""
    rank: dict[str, int] = {}
    for i, (left, right) in enumerate(merges):
        rank.setdefault(left + right, i)
    return [-float(rank.get(text, len(merges))) for text in tokens]


def _special(settings: Mapping[str, Any], config: Mapping[str, Any], pieces: Mapping[str, int]) -> dict[str, int]:
    out: dict[str, int] = {}
    for name in ("bos", "eos", "unk", "pad"):
        text = settings.get(f"{name}_token")
        text = text.get("content") if isinstance(text, dict) else text
        if isinstance(text, str) and text in pieces:
            out[name] = pieces[text]
            continue
        token = config.get(f"{name}_token_id")
        if isinstance(token, int) and token in pieces.values():
            out[name] = token
    return out


def _added_around(folder: Path, settings: Mapping[str, Any], special: Mapping[str, int]) -> tuple[bool, bool]:
    """Whether the tokenizer puts BOS before and EOS after a text: as it is set, else as it does."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    plain, full = tokenizer.encode("a", add_special_tokens=False).ids, tokenizer.encode("a").ids
    at = next((i for i in range(len(full) - len(plain) + 1) if full[i : i + len(plain)] == plain), 0)
    before, after = full[:at], full[at + len(plain) :]
    if before not in ([], [special.get("bos")]) or after not in ([], [special.get("eos")]):
        raise ExportError(f"tokenizer.json: puts {before} before and {after} after a text; only BOS and EOS can be converted")
    set_bos, set_eos = settings.get("add_bos_token"), settings.get("add_eos_token")
    return (set_bos if isinstance(set_bos, bool) else bool(before)), (set_eos if isinstance(set_eos, bool) else bool(after))


def _templates(folder: Path, settings: Mapping[str, Any]) -> dict[str, str]:
    """Chat templates: a file of their own wins over tokenizer_config.json, as in transformers."""
    given = settings.get("chat_template")
    out: dict[str, str] = {}
    if isinstance(given, str):
        out["default"] = given
    elif isinstance(given, list):
        out |= {_plain(str(entry["name"])): str(entry["template"]) for entry in given}
    if (folder / "chat_template.jinja").is_file():
        out["default"] = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    for path in sorted((folder / "additional_chat_templates").glob("*.jinja")):
        out[_plain(path.stem)] = path.read_text(encoding="utf-8")
    return out


def _plain(name: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name)
