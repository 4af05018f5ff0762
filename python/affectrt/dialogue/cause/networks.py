"""Causes by the networks of packs: of task text-span (which part of a text) and text-pair (whether one text is the cause of another)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from affectrt.dialogue.cause.quote import Quote
from affectrt.dialogue.cause.span import SpanLogits, cause_question, entailment, entailment_text, extract
from affectrt.dialogue.cause.windows import pair_ids, windows
from affectrt.engine import EngineSettings, ProviderSpec
from affectrt.engines import Preparing
from affectrt.errors import PackError
from affectrt.packs import Pack
from affectrt.perception.text_network import MAX_CHARACTERS, RunsTextNetwork, TextNetwork, check_text, open_text_pack

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Entailment", "EntailmentNetwork", "SpanNetwork"]


class _Network(RunsTextNetwork):
    """What the two share: a pack, its settings and its network. May be called from any number of threads."""

    task = ""
    kind = ""

    def __init__(
        self,
        pack: str | Pack,
        *,
        device: str = "auto",
        precision: str = "auto",
        providers: Sequence[ProviderSpec] | None = None,
        strict: bool = False,
        threads: int = 0,
        engine: str = "cuda",
        on_progress: Callable[[Preparing], None] | None = None,
    ) -> None:
        self.settings = EngineSettings(
            device=device, precision=precision, providers=providers, strict=strict, threads=threads, engine=engine
        )
        self.pack = open_text_pack(pack, self.task)
        self._network = TextNetwork(self.pack, self.settings, (self.kind,), on_progress)
        self._preparation = self._network.preparation
        self.decode = self.pack.manifest["decode"]
        """The pack's section of that name (docs/pack-format.md)."""
        self._check()

    def _check(self) -> None:
        """Raises `PackError` where the tokenizer is not one for the task."""


class SpanNetwork(_Network):
    """Which part of a text made someone feel so, by the question-answering head of a text-span pack: a `SpanModel`.

    The head is that of RECCON's first task (S. Poria et al., "Recognizing emotion cause in conversations", Cognitive Computation 2021).
    There is no default pack: docs/families.md says how one is made of a checkpoint.

    Args:
        pack: name, folder, zip, hub id or `Pack`.
        device, precision, providers, strict, threads, engine: see `EngineSettings`.
        on_progress: as of `Face`.

    Raises: `PackError`, `EngineError`, `DeviceError`; `ValueError` or `TypeError` for arguments.
    """

    task, kind = "text-span", "span_logits"

    def _check(self) -> None:
        if self._network.tokenizer.encode("a", "b").special_tokens_mask[:1] != [1]:
            raise PackError(
                f"{self.pack.name}: expected a tokenizer whose pairs begin with a special token, which means no answer; got none"
            )

    def find(self, context: str, emotion: str, *, target: str | None = None, evidence: str | None = None) -> tuple[Quote, float] | None:
        """The part of `context` that made someone feel `emotion`, by the pack's own question and decode settings.

        Args:
            context: What may hold the cause, up to `MAX_CHARACTERS`; longer than the network reads at once, it is read in windows.
            emotion: In the words of the model's training; its card says which.
            target: The words in which the emotion shows; None: `context`, which is then short: the question holds them too.
            evidence: The words that may hold its cause; None as of `target`.

        Returns:
            The quote, `context[quote.start:quote.end]`, and its margin over "no answer"; None if that is not above `null_threshold`.

        Raises:
            ValueError, TypeError: A text that cannot be read, or is too long.
        """
        given = [context if one is None else one for one in (target, evidence)]
        question = cause_question(given[0], given[1], emotion, template=self.decode["question"])
        return extract(self, question, context, max_tokens=self.decode["max_answer_tokens"], threshold=self.decode["null_threshold"])

    def __call__(self, question: str, context: str) -> list[SpanLogits]:
        """The logits of each window of `context` beside `question`, in their order.

        Raises `ValueError` or `TypeError`: a text that cannot be read or has more than `MAX_CHARACTERS`, a question too long to leave room.
        """
        for name, one in (("question", question), ("context", context)):
            if len(check_text(one)) > MAX_CHARACTERS:
                raise ValueError(f"{name}: expected at most {MAX_CHARACTERS} characters, got {len(one)}")
        parts = windows(
            self._network.tokenizer,
            question,
            context,
            max_tokens=self._network.max_tokens,
            overlap_tokens=self.decode["overlap_tokens"],
        )
        logits: dict[int, NDArray[np.float32]] = {}
        for batch in self._network.batches([part.ids for part in parts]):
            values, _ = self._network.run([parts[i].ids for i in batch], [parts[i].types for i in batch])
            logits.update(zip(batch, values, strict=True))
        return [
            SpanLogits(logits[i][: len(part.ids), 0], logits[i][: len(part.ids), 1], part.offsets, part.allowed)
            for i, part in enumerate(parts)
        ]


@dataclass(frozen=True, slots=True)
class Entailment:
    """What an entailment head says of one pair."""

    yes: bool
    """Whether the evidence is a cause of the target's emotion: the probability reaches the pack's threshold."""
    probability: float
    """[0, 1]"""
    truncated: bool
    """True if the oldest part of the history was left out."""


class EntailmentNetwork(_Network):
    """Whether a piece of evidence made someone feel so, by the classifier of a text-pair pack.

    The head is that of RECCON's second task (see `SpanNetwork`). There is no default pack. Arguments and errors are those of `SpanNetwork`.
    """

    task, kind = "text-pair", "logits"

    def __call__(self, emotion: str, target: str, evidence: str, history: Sequence[str] = ()) -> Entailment:
        """Whether `evidence` is a cause of the `emotion` of `target`.

        Args:
            emotion: In the words of the model's training.
            target: The words in which the emotion shows.
            evidence: The words that may be its cause.
            history: What was said before, oldest first; what does not fit is left out from its oldest end, within an utterance too.

        Raises:
            ValueError, TypeError: A text that cannot be read; emotion, target and evidence too long for the network without any history.
        """
        short = (check_text(emotion), check_text(target), check_text(evidence))
        if (count := sum(map(len, short))) > MAX_CHARACTERS:
            raise ValueError(f"emotion, target and evidence: expected at most {MAX_CHARACTERS} characters in all, got {count}")
        said = " ".join(map(check_text, history))
        text = entailment_text(*short, [said[-MAX_CHARACTERS:]] if said.strip() else [], separator=self.decode["separator"])
        values, truncated = self._logits(text)
        yes = [label.name for label in self.pack.labels].index(self.decode["yes"])
        rest = np.delete(values, yes)
        odds = values[yes] - (np.logaddexp.reduce(rest) if len(rest) else 0.0)
        return Entailment(*entailment([odds], threshold=self.decode["threshold"]), truncated or len(said) > MAX_CHARACTERS)

    def probs(self, text: str) -> NDArray[np.float32]:
        """(C,) float32, one of each label of the pack, of a text as `entailment_text` makes it with the pack's separator."""
        values, _ = self._logits(check_text(text))
        if len(values) == 1:
            return np.array([1 / (1 + np.exp(-values[0]))], np.float32)
        powers = np.exp(values - values.max())
        return np.asarray(powers / powers.sum(), np.float32)

    def _logits(self, text: str) -> tuple[NDArray[np.float64], bool]:
        ids, truncated = pair_ids(self._network.tokenizer, text, separator=self.decode["separator"], max_tokens=self._network.max_tokens)
        values, _ = self._network.run([ids])
        return values[0].astype(np.float64), truncated
