"""What made someone feel as they do: a part of their own words, with its place.

    ask_cause(text, "anger", dialogue.ask)                              # a language model -> Snapped, or None
    snap('The cause is "the build failed again".', text)                # what a language model answered -> Snapped, or None
    SpanNetwork("packs/mine").find(text, "anger")   # a question-answering head in a pack -> (Quote, margin), or None
    extract(model, cause_question(target, evidence, "anger"), text)     # the same of any model
    EntailmentNetwork("packs/mine")("anger", target, evidence)          # whether it is the cause at all -> Entailment
    find_causes(text)                                                   # marked clauses, without a model

Whatever finds it, the answer is `text[quote.start:quote.end]`.
"""

from affectrt.dialogue.cause.asking import ask_cause
from affectrt.dialogue.cause.networks import Entailment, EntailmentNetwork, SpanNetwork
from affectrt.dialogue.cause.quote import Quote, quote
from affectrt.dialogue.cause.rules import Cause, find_causes
from affectrt.dialogue.cause.scores import CauseScores, bleu2, cause_scores, lcs_f1, squad_f1
from affectrt.dialogue.cause.snap import Snapped, snap, unquote
from affectrt.dialogue.cause.span import (
    QUESTION,
    SEPARATOR,
    SpanLogits,
    SpanModel,
    TokenSpan,
    best_span,
    cause_question,
    entailment,
    entailment_text,
    extract,
    span_quote,
)

__all__ = [
    "QUESTION",
    "SEPARATOR",
    "Cause",
    "CauseScores",
    "Entailment",
    "EntailmentNetwork",
    "Quote",
    "Snapped",
    "SpanLogits",
    "SpanModel",
    "SpanNetwork",
    "TokenSpan",
    "ask_cause",
    "best_span",
    "bleu2",
    "cause_question",
    "cause_scores",
    "entailment",
    "entailment_text",
    "extract",
    "find_causes",
    "lcs_f1",
    "quote",
    "snap",
    "span_quote",
    "squad_f1",
    "unquote",
]
