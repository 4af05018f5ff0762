"""The golden texts of a pack: such as its tokenizer reads, or the runtime would call them unreadable and answer with zeros."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from affectrt.dialogue.cause import cause_question, entailment_text
from affectrt.dialogue.cause.windows import pair_ids, windows
from affectrt.perception.text import MAX_CHARACTERS  # the runtime reads no more of a text either
from tokenizers import Encoding, Tokenizer

from affectrt_export.spec import Contract, Examples, ExportError, Feeds

SENTENCES = {
    "exam": "I finally passed the exam!",
    "miss": "I miss my grandmother so much, the house feels empty.",
    "train": "The train leaves at half past nine from platform two.",
    "noise": "Stop it! I am sick of this noise, it drives me mad.",
}
"""English, for a tokenizer that reads it where the user gave no texts."""
EMOTION = "joy"
"""Of golden texts, where the task asks about one."""
TAKEN = 4
"""How many texts of the user's data become golden."""
_LOOKED_AT = 2_000
_LONGEST = 1_000  # characters: golden texts are to be read by people too


def question(contract: Contract, text: str) -> str:
    """What a text-span network is asked of a golden text, which is its own target and evidence."""
    return cause_question(text, text, EMOTION, template=str(contract.decode["question"]))


class Reader:
    """The tokenizer of a contract, used as the runtime does (affectrt.perception.text_network). ExportError where it is none."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._spec = contract.inputs[0]
        name = str(self._spec["tokenizer"])
        file = contract.files.get(name)
        if file is None:
            raise ExportError(f"the contract names the tokenizer {name}, its files are {', '.join(contract.files) or 'none'}")
        try:
            self._tokenizer = Tokenizer.from_buffer(file)
        except Exception as error:  # what the library raises is no narrower
            raise ExportError(f"{name}: a tokenizer.json was expected: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        found = (self._tokenizer.token_to_id(token) for token in ("[UNK]", "<unk>"))
        self._unknown = next((number for number in found if number is not None), -1)
        self._limit = int(self._spec["max_tokens"])

    def feeds(self, texts: Sequence[str]) -> list[Feeds]:
        """What the network takes, one text each, without padding. ExportError: a text of pairs that is none, or too long."""
        try:
            if self._contract.task == "text-pair":
                by = str(self._contract.decode["separator"])
                return [self._feed(pair_ids(self._tokenizer, text, separator=by, max_tokens=self._limit)[0]) for text in texts]
        except ValueError as error:
            raise ExportError(str(error)) from error
        # The last token ends the sequence and stays.
        cut = ([*e.ids[: self._limit - 1], e.ids[-1]] if len(e.ids) > self._limit else e.ids for e in self._encoded(texts))
        return [self._feed(ids) for ids in cut]

    def windows(self, text: str) -> list[Feeds]:
        """What a text-span network takes of one golden text, a window each. ExportError: a question that leaves no room."""
        overlap = int(self._contract.decode["overlap_tokens"])
        try:
            asked = question(self._contract, text)
            parts = windows(self._tokenizer, asked, text, max_tokens=self._limit, overlap_tokens=overlap)
        except ValueError as error:
            raise ExportError(str(error)) from error
        return [self._feed(part.ids, part.types) for part in parts]

    def _feed(self, ids: Sequence[int], types: Sequence[int] = ()) -> Feeds:
        tokens = np.array([ids], np.int64)
        feeds = {str(self._spec["tensor"]): tokens, str(self._spec["mask_tensor"]): np.ones_like(tokens)}
        if self._spec.get("type_tensor"):
            feeds[str(self._spec["type_tensor"])] = np.array([types], np.int64) if len(types) else np.zeros_like(tokens)
        return feeds

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text; 0 where the runtime would not read it: hardly a word of it is known, or there is none."""
        return [len(encoding.ids) if self._readable(encoding) else 0 for encoding in self._encoded(texts)]

    def _encoded(self, texts: Sequence[str]) -> list[Encoding]:
        return list(self._tokenizer.encode_batch([text[:MAX_CHARACTERS] for text in texts]))

    def _readable(self, encoding: Encoding) -> bool:
        unknown = encoding.ids.count(self._unknown)
        words = len(encoding.ids) - sum(encoding.special_tokens_mask)
        return words + unknown > 0 and 2 * unknown <= words


def choose(
    contract: Contract, wished: Mapping[str, str] | None = None, given: Iterable[Examples | None] = ()
) -> tuple[Mapping[str, str], str]:
    """Golden texts by name, and what the report says of them ("" where there is nothing to say). The same for the same arguments.

    Those of `wished` that the tokenizer reads; where there are none, some of the `given` examples, from the shortest to the longest;
    where those have no texts, the `SENTENCES` that it reads. ExportError where it reads none of all these.
    """
    reader = Reader(contract)
    if kept := _readable(reader, wished or {}):
        left = [name for name in wished or {} if name not in kept]
        return kept, f"Golden texts that the tokenizer cannot read are left out: {', '.join(left)}." if left else ""
    for examples in given:
        if examples is not None and (taken := _spread(reader, examples.texts)):
            return {f"text-{i + 1}": text for i, text in enumerate(taken)}, (
                f"Golden texts: {len(taken)} of {examples.name}, which the pack holds as they are; each shown in pack.json."
            )
    own = SENTENCES
    if contract.task == "text-pair":
        separator = str(contract.decode["separator"])
        own = {name: entailment_text(EMOTION, text, text, separator=separator) for name, text in SENTENCES.items()}
    if kept := _readable(reader, own):
        return kept, ""
    raise ExportError(
        "a golden text that the tokenizer reads was expected, it knows hardly a word of any there is; "
        "give --data with texts in the language of the model"
    )


def _readable(reader: Reader, texts: Mapping[str, str]) -> dict[str, str]:
    lengths = reader.lengths(list(texts.values())) if texts else []
    return {name: text for (name, text), length in zip(texts.items(), lengths, strict=True) if length}


def _spread(reader: Reader, texts: Sequence[str]) -> list[str]:
    """Up to `TAKEN` texts of different length: the shortest, the longest, and those between them in equal steps."""
    unlike = [text for text in dict.fromkeys(texts[:_LOOKED_AT]) if len(text) <= _LONGEST]
    if not unlike:
        return []
    lengths = reader.lengths(unlike)
    one_each = {length: text for length, text in sorted(zip(lengths, unlike, strict=True), reverse=True) if length}
    sizes = sorted(one_each)
    places = {round(i * (len(sizes) - 1) / max(TAKEN - 1, 1)) for i in range(TAKEN)} if sizes else set()
    return [one_each[sizes[place]] for place in sorted(places)]
