"""Choosing a strategy: by rules, and by a classifier where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from affectrt.dialogue.strategy.bias import PreferenceMonitor, debias
from affectrt.dialogue.strategy.names import STRATEGIES, Stage, Strategy
from affectrt.dialogue.strategy.rules import Situation, weigh
from affectrt.perception import TextObservation


class StrategyClassifier(Protocol):
    """What `Planner` asks of a classifier."""

    def __call__(self, history: Sequence[str]) -> ArrayLike:
        """(8,) probabilities over `STRATEGIES`, for what was said so far, the latest last."""
        ...


class _ReadsText(Protocol):
    labels: tuple[str, ...]

    def __call__(self, text: str, stamp_ns: int | None = None) -> TextObservation: ...


class TextClassifier:
    """A strategy classifier that is a text pack: `TextClassifier(TextEmotion("my-strategies"))`.

    The pack is of task text-emotion, its labels are the eight published names, in any order and case.
    """

    def __init__(self, reader: _ReadsText, *, turns: int = 3) -> None:
        """Take a reader.

        Args:
            reader: A `TextEmotion`, or what answers like one.
            turns: How many of the latest turns it reads, joined by line breaks.

        Raises:
            ValueError: Its labels are not the eight names; `turns` is below 1.
        """
        try:
            named = [Strategy.of(label) for label in reader.labels]
        except ValueError:
            named = []
        if sorted(named) != sorted(STRATEGIES):
            raise ValueError(f"expected a classifier whose labels are {', '.join(STRATEGIES)}, got {', '.join(reader.labels)}")
        if turns < 1:
            raise ValueError(f"turns: expected at least 1, got {turns}")
        self._reader, self._turns = reader, turns
        self._order = [named.index(one) for one in STRATEGIES]

    def __call__(self, history: Sequence[str]) -> NDArray[np.float64]:
        """(8,) float64 that sum to 1; all alike if the text is not readable."""
        probs = np.asarray(self._reader("\n".join(history[-self._turns :])).probs, np.float64)[self._order]
        total = probs.sum()
        return probs / total if total > 0 else np.full(len(STRATEGIES), 1 / len(STRATEGIES))


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A strategy for one answer."""

    strategy: Strategy
    """The one of the highest score; of equals the first in `STRATEGIES`."""
    stage: Stage
    scores: NDArray[np.float64]
    """(8,) float64 over `STRATEGIES`, sums to 1. Read-only."""
    reasons: tuple[str, ...]
    """The rules that had a say, and whether a classifier or debiasing had."""
    line: str = ""
    """A line for the prompt instead of the strategy's own; "" for that."""

    @property
    def prompt(self) -> str:
        """The line for the prompt."""
        return self.line or self.strategy.prompt

    @classmethod
    def of(cls, strategy: Strategy | str, stage: Stage | str, *, reasons: Sequence[str] = (), line: str = "") -> Plan:
        """A plan that was made elsewhere: all of the score is the one strategy's.

        Args:
            strategy: One of the eight, or its published name.
            stage: One of the three, such as `stage_of(situation)`.
            reasons: Why, for the trace.
            line: What the model is told instead of the strategy's own words: in the person's voice, since it stands in their turn.

        Raises:
            TypeError, ValueError: It is no such name; `reasons` is one text instead of several.
        """
        if isinstance(reasons, str):
            raise TypeError(f"reasons: expected several texts, got {reasons!r:.80}")
        if not isinstance(line, str):
            raise TypeError(f"line: expected a str, got {type(line).__name__}")
        chosen = Strategy.of(strategy)
        scores = np.zeros(len(STRATEGIES))
        scores[chosen.place] = 1.0
        scores.flags.writeable = False
        return cls(chosen, Stage(stage), scores, tuple(reasons), line)


class Planner:
    """Chooses a strategy. The same input gives the same plan."""

    def __init__(
        self, classifier: StrategyClassifier | None = None, *, classifier_weight: float = 0.5, monitor: PreferenceMonitor | None = None
    ) -> None:
        """Take a classifier, or do with the rules alone.

        Args:
            classifier: None plans by rules.
            classifier_weight: [0, 1]: its part in the product of the two, `rules ** (1 - w) * classifier ** w`.
            monitor: Once it holds choices, plans are debiased by the preferences that it found. Whoever judges an answer tells it
                (`monitor.add`).

        Raises:
            TypeError: `monitor` is none.
            ValueError: The weight is not in [0, 1].
        """
        if not (monitor is None or isinstance(monitor, PreferenceMonitor)):
            raise TypeError(f"monitor: expected a PreferenceMonitor or None, got {type(monitor).__name__}")
        if not 0.0 <= classifier_weight <= 1.0:
            raise ValueError(f"classifier_weight: expected a number in [0, 1], got {classifier_weight}")
        self._classifier, self._weight, self.monitor = classifier, classifier_weight, monitor

    def plan(self, situation: Situation, history: Sequence[str] = (), *, preferences: ArrayLike | None = None) -> Plan:
        """The strategy for the next answer.

        Args:
            situation: How things stand.
            history: What was said so far, for the classifier; without it the rules decide alone.
            preferences: (8,) of `preference_bias` or a `PreferenceMonitor`, to debias the scores; None takes those of the planner's own
                monitor, if it has one that holds choices.

        Raises:
            ValueError: The classifier gave something else than eight finite numbers of at least 0; or `preferences` are wrong.
        """
        weights, stage, why = weigh(situation)
        reasons = list(why)
        scores = np.array([weights[one] for one in STRATEGIES])
        if self._classifier is not None and history:
            likely = np.asarray(self._classifier(history), np.float64)
            if likely.shape != scores.shape or not np.isfinite(likely).all() or (likely < 0).any():
                raise ValueError(f"classifier: expected {len(STRATEGIES)} finite numbers of at least 0, got {likely.tolist()}")
            # A floor, so that a sure classifier shifts the rules and does not silence them.
            scores = scores ** (1 - self._weight) * np.maximum(likely, 1e-3) ** self._weight
            scores /= scores.sum()
            reasons.append("classifier")
        if preferences is None and self.monitor:
            preferences = self.monitor.preferences
        if preferences is not None:
            scores = debias(scores, preferences)
            reasons.append("debiased")
        scores.flags.writeable = False
        return Plan(STRATEGIES[int(scores.argmax())], stage, scores, tuple(reasons))
