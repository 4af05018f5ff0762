"""Answers of a given form: a grammar that every token has to keep."""

from __future__ import annotations

import ctypes
import json
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from affectrt.dialogue import native
from affectrt.dialogue.engine import Context, Model, Sampler
from affectrt.dialogue.gbnf import MAX_CHARACTERS, Choice, Rules, Text, check, read, write
from affectrt.dialogue.sampling import Sampling
from affectrt.dialogue.schema import rules_of
from affectrt.errors import EngineError


@dataclass(frozen=True, slots=True)
class Grammar:
    """The form of an answer. Made by `gbnf`, `json_schema` or `choice`, which check it; may be used with any model, any number of times."""

    source: str
    """The grammar as llama.cpp gets it."""
    is_json: bool
    """Whether the whole answer is JSON, so that `parse` makes a value of it."""

    @classmethod
    def gbnf(cls, text: str) -> Grammar:
        r"""A grammar in llama.cpp's notation: rules `name ::= "text" [a-z] other-rule (a | b) c* d+ e? f{2,5}`, the first one `root`.

        Take one from nobody whom you do not trust. What would crash the library or stop it at once is refused here, but a grammar with
        two ways to read a text at each step may still take the time of a thousand.

        Raises:
            TypeError: Not a str.
            ValueError: Not a grammar, with line and column; or too large (65,536 characters, 512 rules, 1,000 repetitions, 20,000 elements
                with the repetitions written out), left-recursive, or with over 1,024 ways to begin a rule.
        """
        if not isinstance(text, str):
            raise TypeError(f"a grammar must be a str, got {type(text).__name__}")
        if len(text) > MAX_CHARACTERS:
            raise ValueError(f"the grammar has {len(text)} characters, the limit is {MAX_CHARACTERS}")
        return cls._of(read(text), is_json=False)

    @classmethod
    def json_schema(cls, schema: Mapping[str, Any]) -> Grammar:
        """The grammar of the JSON that fits a schema, properties in the schema's order.

        Of JSON Schema: `type` (also a list), `properties`, `required`, `additionalProperties: false` (also where it is not said),
        `items`, `minItems`, `maxItems`, `minLength`, `maxLength`, `enum`, `const`, `anyOf`, `$ref` within the schema, and whole
        `minimum` and `maximum` together. Anything else is refused, and so are schemas that hold themselves.

        Raises:
            TypeError: Not a mapping.
            ValueError: Not such a schema; the text says where and what.
        """
        return cls._of(rules_of(schema), is_json=True)

    @classmethod
    def choice(cls, answers: Iterable[str]) -> Grammar:
        """One of these texts, letter by letter.

        Raises:
            TypeError: One is not a str.
            ValueError: There are none, one is empty, or too many.
        """
        listed = [answers] if isinstance(answers, str) else list(answers)
        if wrong := [one for one in listed if not isinstance(one, str)]:
            raise TypeError(f"each answer must be a str, got {type(wrong[0]).__name__}")
        if not listed or not all(listed):
            raise ValueError(f"answers must be texts, none empty, got {listed!r:.80}")
        if any("\ud800" <= char < "\ue000" or char == "\0" for one in listed for char in one):
            raise ValueError("answers must be valid Unicode without NUL")
        return cls._of({"root": Choice(tuple((Text(one),) for one in listed))}, is_json=False)

    def parse(self, text: str) -> Any:
        """The value of a whole answer: of JSON what it stands for, else the text itself. Raises ValueError for what is no JSON."""
        return json.loads(text) if self.is_json else text

    @classmethod
    def _of(cls, rules: Rules, *, is_json: bool) -> Grammar:
        check(rules)
        return cls(write(rules), is_json)


def structured(sampling: Sampling) -> Sampling:
    """The settings of an answer of a given form, unless the caller has some: the likeliest token, and no penalty on the quotes of JSON."""
    return Sampling(temperature=0.0, repeat_penalty=1.0, max_tokens=sampling.max_tokens)


class GrammarSampler(Sampler):
    """A sampler chain behind a grammar.

    The grammar is no part of the chain: llama.cpp's own loop ends the process if no token fits, and so do we look first.
    """

    def __init__(self, model: Model, sampling: Sampling, seed: int, grammar: Grammar) -> None:
        """Raises EngineError if llama.cpp refuses the grammar."""
        super().__init__(model, sampling, seed)
        self._llama = llama = native.load()
        native.complaints().clear()
        self._grammar = llama.llama_sampler_init_grammar(model.vocab, grammar.source.encode(), b"root")
        if not self._grammar:
            raise EngineError(f"llama.cpp refuses the grammar: {'; '.join(native.complaints()) or 'no reason given'}")
        self._free_grammar = weakref.finalize(self, llama.llama_sampler_free, self._grammar)
        self._model = model
        self._greedy = sampling.temperature == 0.0 and sampling.repeat_penalty == 1.0
        self._candidates = np.zeros(model.vocabulary_size, dtype=[("id", np.int32), ("logit", np.float32), ("p", np.float32)])

    def sample(self, context: Context) -> int | None:
        """The next token, or None if none of the vocabulary fits."""
        logits = context.logits()
        if self._greedy and self._fits(best := int(logits.argmax())):
            return self._take(best)
        candidates = self._candidates
        candidates["id"] = np.arange(len(candidates), dtype=np.int32)
        candidates["logit"], candidates["p"] = logits, 0.0
        array = self._array(candidates)
        self._llama.llama_sampler_apply(self._grammar, ctypes.byref(array))
        if not np.isfinite(candidates["logit"]).any():
            return None
        self._llama.llama_sampler_apply(self.pointer, ctypes.byref(array))
        if not 0 <= array.selected < array.size:
            raise EngineError(f"llama.cpp selected candidate {array.selected} of {array.size}")
        return self._take(int(array.data[array.selected].id))

    def _fits(self, token: int) -> bool:
        """Whether the grammar lets this token through: its test of all of them takes longer than a small model's thinking."""
        one = np.array([(token, 0.0, 0.0)], dtype=self._candidates.dtype)
        self._llama.llama_sampler_apply(self._grammar, ctypes.byref(self._array(one)))
        return bool(np.isfinite(one["logit"][0]))

    def _take(self, token: int) -> int:
        if not self._model.ends_turn(token):
            self._llama.llama_sampler_accept(self._grammar, token)
        self._llama.llama_sampler_accept(self.pointer, token)
        return token

    def _array(self, candidates: np.ndarray[Any, Any]) -> Any:
        llama = self._llama
        data = candidates.ctypes.data_as(llama.llama_token_data_p)
        return llama.llama_token_data_array(data=data, size=len(candidates), selected=-1, sorted=False)

    def close(self) -> None:
        """Free both now."""
        super().close()
        self._free_grammar()
