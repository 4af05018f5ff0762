"""Sentence classifiers and regressors of the BERT kind, through transformers: one label, several (sigmoid), or numbers.

The graph takes input_ids and attention_mask (n, t) int64 and is right for any row padded with any ids where the mask is 0: the runtime
pads with 0, which is a word in RoBERTa's vocabulary, so positions come from the mask and never from the ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from affectrt.dialogue.cause import SEPARATOR

from affectrt_export.families import labels, pretrained, tokenizer
from affectrt_export.families.base import Options
from affectrt_export.families.source import Source, entries, license_of, name_of
from affectrt_export.spec import F32, Contract, ExportError, Feeds, Model, Run

MOST_TOKENS = 512
_CLOSED = -1e4  # added to the scores of padding: nothing is left of them after the softmax, and it fits 16 bits


@dataclass(frozen=True)
class Kind:
    """What a network needs besides ids and mask."""

    types: bool = True
    """It has token types: all are of type 0."""
    places: bool = False
    """Its positions begin after the pad id and are counted from ids if nobody gives them."""
    plain: bool = False
    """It makes what it needs of the mask in a way of its own."""


KINDS: Mapping[str, Kind] = {
    "bert": Kind(),
    "electra": Kind(),
    "albert": Kind(),
    "distilbert": Kind(types=False),
    "roberta": Kind(places=True),
    "xlm-roberta": Kind(places=True),
    "camembert": Kind(places=True),
    "mpnet": Kind(types=False, places=True),
    "deberta-v2": Kind(types=False, plain=True),
    "modernbert": Kind(types=False, plain=True),
}
"""By model_type. MiniLM checkpoints are "bert" or "xlm-roberta"."""


@dataclass(frozen=True)
class Encoder:
    """Folders whose config.json has one of `KINDS`."""

    name: str = "encoder"
    about: str = f"text classifiers and regressors of transformers: {', '.join(KINDS)}"

    def claims(self, source: Source) -> bool:
        """By model_type."""
        return source.model_type in KINDS

    def read(self, source: Source, options: Options) -> Model:
        """See `affectrt_export.families.base.Family`."""
        if options.task not in ("", "text-emotion", "text-pair"):
            raise ExportError(f"{source.origin}: a model for text-emotion or text-pair, the task {options.task} was asked for")
        pair = options.task == "text-pair"
        network, files = pretrained.load(source, "AutoModelForSequenceClassification", pickles=not pair)
        config, kind = network.config, KINDS[source.model_type]
        outputs = int(config.num_labels)
        problem = source.config.get("problem_type") or ("regression" if outputs == 1 else "single_label_classification")
        named = labels.of_config(source.config, options.labels, outputs, regression=problem == "regression")
        rows = int(network.get_input_embeddings().num_embeddings)
        words = tokenizer.read(source, rows)
        license = license_of(source, options)
        how, notes = _pair(problem, named.names, options) if pair else (decode(problem, outputs), named.notes)
        return Model(
            name=name_of(source, options),
            family=self.name,
            onnx=export_network(network, kind, rows),
            reference=reference(network),
            contract=Contract(
                task="text-pair" if pair else "text-emotion",
                inputs=[text_input(config, kind, words, options)],
                outputs=[{"tensor": "logits", "kind": "probabilities" if problem == "regression" else "logits", "shape": [-1, outputs]}],
                decode=how,
                labels=named.entries,
                files={tokenizer.FILE: words.data},
            ),
            convolutional=False,
            license=license,
            source=entries(source, files, license),
            notes=notes,
        )


def decode(problem: str, outputs: int) -> dict[str, Any]:
    """Decode section of a pack before anything is calibrated. Raises ExportError: a problem_type that is none."""
    kinds = {"single_label_classification": "softmax", "multi_label_classification": "sigmoid", "regression": "identity"}
    if problem not in kinds:
        raise ExportError(f"config.json: problem_type of {', '.join(kinds)} was expected, got {problem!r}")
    several = problem == "multi_label_classification"
    return {"kind": kinds[problem], "temperature": 1.0, "thresholds": [0.5] * outputs if several else [], "unknown_below": 0.0}


def _pair(problem: str, names: Sequence[str], options: Options) -> tuple[dict[str, Any], list[str]]:
    """Decode section of a text-pair pack, and what was assumed for it. Where its labels lie among feelings does not matter."""
    if problem != "single_label_classification" or len(names) < 2:
        raise ExportError(f"text-pair: a classifier of one label, of two at least, was expected, got {problem} of {len(names)}")
    if options.yes not in ("", *names):
        raise ExportError(f"yes: one of the labels {', '.join(names)} was expected, got {options.yes!r}")
    notes = []
    if not options.yes:
        notes.append(f"The label that means a cause is taken to be the last, {names[-1]!r}; --yes can name it.")
    if not options.separator:
        notes.append(f"Between the parts of a pair {SEPARATOR!r} is put, as in RECCON; --separator can say otherwise.")
    threshold = 0.5 if options.threshold is None else options.threshold
    if not 0 <= threshold <= 1:
        raise ExportError(f"threshold: a probability was expected, got {threshold}")
    return {"kind": "pair", "separator": options.separator or SEPARATOR, "yes": options.yes or names[-1], "threshold": threshold}, notes


def text_input(config: Any, kind: Kind, words: tokenizer.Words, options: Options, *, types: bool = False) -> dict[str, Any]:
    """Input section of a pack. types: the network takes token types. Raises ExportError: more tokens than it has positions for."""
    most = _most_tokens(config, kind, words.longest)
    tokens = options.max_tokens or min(most, MOST_TOKENS)
    if tokens > most:
        raise ExportError(f"max_tokens: at most {most} was expected, as many as the network has positions for, got {tokens}")
    own = {"tensor": "input_ids", "kind": "text", "tokenizer": tokenizer.FILE, "max_tokens": tokens, "mask_tensor": "attention_mask"}
    return {**own, "type_tensor": "token_type_ids"} if types else own


def _most_tokens(config: Any, kind: Kind, longest: int | None) -> int:
    places = int(getattr(config, "max_position_embeddings", 0) or MOST_TOKENS)
    places -= int(config.pad_token_id or 0) + 1 if kind.places else 0
    return min(places, longest or places)


def export_network(network: Any, kind: Kind, rows: int, *, output: str = "logits", types: bool = False) -> bytes:
    """ONNX file bytes. output: "logits", or "span_logits" (n, t, 2) of a question-answering head. types: token types are an input."""
    import torch

    from affectrt_export.to_onnx import export

    class Encoded(torch.nn.Module):
        """Ids and mask to logits, whatever the ids are where the mask is 0."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.pad = int(network.config.pad_token_id or 0)

        def forward(
            self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor | None = None
        ) -> torch.Tensor:
            more: dict[str, torch.Tensor] = {}
            if kind.places:
                more["position_ids"] = torch.cumsum(attention_mask, 1) * attention_mask + self.pad
            if token_type_ids is not None:
                more["token_type_ids"] = token_type_ids
            elif kind.types:
                more["token_type_ids"] = torch.zeros_like(input_ids[:1, :1])  # one for all, so that it is added as a constant
            mask = attention_mask
            if not kind.plain:
                mask = ((attention_mask - 1).to(torch.float32) * -_CLOSED)[:, None, None, :]
            return _answer(self.network(input_ids=input_ids, attention_mask=mask, **more), output)

    ids = torch.arange(14).reshape(2, 7) % rows
    free = {0: "n", 1: "t"}
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if types:
        inputs["token_type_ids"] = (ids > 6).long()
    return export(Encoded(), inputs, [output], dict.fromkeys(inputs, free))


def _answer(said: Any, output: str) -> Any:
    import torch

    return said.logits if output == "logits" else torch.stack([said.start_logits, said.end_logits], -1)


def reference(network: Any, output: str = "logits") -> Run:
    """The network as transformers calls it: 2-d mask, its own positions, padding with its own pad id."""
    pad = int(network.config.pad_token_id or 0)

    def run(feeds: Feeds) -> dict[str, F32]:
        import torch

        mask = np.asarray(feeds["attention_mask"], np.int64)
        ids = np.where(mask == 1, feeds["input_ids"], pad)
        more = {name: torch.from_numpy(feeds[name]) for name in ("token_type_ids",) if name in feeds}
        with torch.inference_mode():
            out = network(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask), **more)
        return {output: _answer(out, output).numpy()}

    return run
