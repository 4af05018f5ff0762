"""Shows that llama.cpp cuts text as the source's tokenizer does, and ends turns where it does: before any weight is written."""

from __future__ import annotations

from pathlib import Path

from affectrt_export.gguf.evaluate import tokenise
from affectrt_export.gguf.tokenizer import CONTROL, Vocabulary
from affectrt_export.spec import ExportError

PROBES = (
    "Hello, how are you?  I'm fine; you've won 1234567 prizes!",
    "\n\n  indented\n\ttabs \n \n   \n\n\nend\n",
    "It's WE'LL don't I'D 'tis 'RE rock'n'roll they're",
    "naïve café, Привет мир, 你好世界, こんにちは, שלום, 한국어",
    "🙂🤖 👩‍👩‍👧 ✅ «quoted» — dash… ½ ⅷ ١٢٣ 3.14 0x1F",
    "x[i] += y**2; // code\n    return {'a': [1, 2, 33, 333]}",
    "   leading and trailing   ",
    "a  5 and   42,\n    7\t8",  # blanks before digits: what tells digits cut one by one from gpt-2's words
    "word\r\nnext\r\rlast\t\tend",
    "'''''' ---- ..... !!!??? ======= ```py```",
    "a",
    " ",
)
_MOST_CONTROLS = 300


def prove(folder: Path, vocabulary: Vocabulary, architecture: str, scratch: Path) -> Vocabulary:
    """The vocabulary, with its further ends of a turn marked where llama.cpp would not find them by itself.

    Raises ExportError with the first text that the two cut differently.
    """
    path = scratch / "vocabulary.gguf"
    _write(path, vocabulary, architecture)
    try:
        controls = [i for i, kind in enumerate(vocabulary.types) if kind == CONTROL][:_MOST_CONTROLS]
        facts = tokenise(path, PROBES, spelled=[vocabulary.tokens[i] for i in controls])
        _compare(folder, facts["tokens"])
        for token, got in zip(controls, facts["spelled"], strict=True):
            if got != [token]:
                raise ExportError(
                    f"{folder.name}: llama.cpp reads the control token {vocabulary.tokens[token]!r} as {got}, expected [{token}]"
                )
        unseen = [token for token in vocabulary.ends if token not in facts["ends"]]
        if not unseen:
            return vocabulary
        marked = vocabulary.ending_also_with(unseen)
        _write(path, marked, architecture)
        left = [token for token in unseen if token not in tokenise(path, ())["ends"]]
    finally:
        path.unlink(missing_ok=True)
    if left:
        names = ", ".join(f"{vocabulary.tokens[token]!r} ({token})" for token in left)
        raise ExportError(f"generation_config.json: {names} end a turn, and GGUF has no place for so many: answers would never end")
    return marked


def _write(path: Path, vocabulary: Vocabulary, architecture: str) -> None:
    import gguf

    writer = gguf.GGUFWriter(path, architecture)
    # llama.cpp wants these even where it reads the vocabulary alone.
    writer.add_block_count(1)
    writer.add_context_length(1)
    writer.add_embedding_length(1)
    writer.add_head_count(1)
    writer.add_layer_norm_rms_eps(1e-5)
    vocabulary.write(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()


def _compare(folder: Path, found: list[list[int]]) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for text, got in zip(PROBES, found, strict=True):
        expected = tokenizer.encode(text, add_special_tokens=False).ids
        if got != expected:
            raise ExportError(
                f"tokenizer.json: llama.cpp would cut {text!r} otherwise: expected {expected[:12]} ({len(expected)} tokens), "
                f"got {got[:12]} ({len(got)}); the model would read another text than it was trained on"
            )
