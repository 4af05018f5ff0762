"""Question-answering heads of the BERT kind, through transformers: which tokens begin and end the answer (SQuAD 2; RECCON's first task).

The graph is that of families/encoder.py with `span_logits` (n, t, 2): start and end of each token. Networks that know two types of token
(BERT) get them as an input: 0 of the question, 1 of the text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from affectrt.dialogue.cause import QUESTION, cause_question

from affectrt_export.families import pretrained, tokenizer
from affectrt_export.families.base import Options
from affectrt_export.families.encoder import KINDS, export_network, reference, text_input
from affectrt_export.families.source import Source, entries, license_of, name_of
from affectrt_export.spec import Contract, ExportError, Model

MAX_ANSWER_TOKENS = 30
OVERLAP_TOKENS = 128
OUTPUT = "span_logits"


@dataclass(frozen=True)
class Question:
    """Folders whose config.json names a ...ForQuestionAnswering of one of `encoder.KINDS`."""

    name: str = "question"
    about: str = "question-answering heads of transformers (safetensors only), of the kinds of encoder"

    def claims(self, source: Source) -> bool:
        """By model_type and architectures."""
        named = source.config.get("architectures") or []
        return source.model_type in KINDS and any(str(one).endswith("ForQuestionAnswering") for one in named)

    def read(self, source: Source, options: Options) -> Model:
        """See `affectrt_export.families.base.Family`."""
        if options.task not in ("", "text-span"):
            raise ExportError(f"{source.origin}: a model for text-span, the task {options.task} was asked for")
        _check_question(options.question)
        network, files = pretrained.load(source, "AutoModelForQuestionAnswering", pickles=False)
        config, kind = network.config, KINDS[source.model_type]
        if (outputs := int(config.num_labels)) != 2:
            raise ExportError(f"{source.origin}: two outputs a token, start and end, were expected, the head has {outputs}")
        rows = int(network.get_input_embeddings().num_embeddings)
        words = tokenizer.read(source, rows)
        _check_pairs(words.data)
        types = kind.types and int(getattr(config, "type_vocab_size", 0)) > 1
        given = text_input(config, kind, words, options, types=types)
        overlap = min(OVERLAP_TOKENS, given["max_tokens"] // 4)
        license = license_of(source, options)
        return Model(
            name=name_of(source, options),
            family=self.name,
            onnx=export_network(network, kind, rows, output=OUTPUT, types=types),
            reference=reference(network, OUTPUT),
            contract=Contract(
                task="text-span",
                inputs=[given],
                outputs=[{"tensor": OUTPUT, "kind": OUTPUT, "shape": [-1, -1, 2]}],
                decode={
                    "kind": "span",
                    "question": options.question,
                    "max_answer_tokens": min(MAX_ANSWER_TOKENS, overlap + 1),
                    "null_threshold": options.threshold or 0.0,
                    "overlap_tokens": overlap,
                },
                labels=[],
                files={tokenizer.FILE: words.data},
            ),
            convolutional=False,
            license=license,
            source=entries(source, files, license),
        )


def _check_question(question: str) -> None:
    if not question:
        raise ExportError(
            "a question was expected, with {emotion}, and {target} and {evidence} if it had them, in the words of the model's training, "
            f"which its files do not tell (--question). If there were none: {QUESTION!r}"
        )
    try:
        cause_question("", "", "", template=question)
    except ValueError as error:
        raise ExportError(f"question: {error}") from error


def _check_pairs(data: bytes) -> None:
    """ExportError unless a pair begins with a special token, which stands for "no answer", and another parts the two."""
    from tokenizers import Tokenizer

    encoding: Any = Tokenizer.from_str(data.decode()).encode("a", "b")
    parts = encoding.sequence_ids
    middle = parts[parts.index(0) : parts.index(1)] if {0, 1} <= {*parts} else []
    if not parts or parts[0] is not None or None not in middle:
        raise ExportError(
            f"wrong tokenizer: a pair of texts was expected to begin with a special token and have one between, got {encoding.tokens}"
        )
