"""Which emotion to answer with: the one before, moved by what was said, as much as the personality lets it.

Z. Wen, J. Cao, R. Yang, S. Liu and J. Shen, "Automatically select emotion for response via personality-affected emotion transition",
Findings of ACL 2021 (PELD): E_r = E_i + dE * P, in valence, arousal and dominance, element by element.

What is theirs and what is ours:

- Theirs: the sum; the places of the seven emotions; the use of Mehrabian's temperament as P.
- Theirs and not here, as it is learnt and neither their data nor their weights have a licence: dE by a network that reads the two
  utterances before, a learnt 3x3 layer on top of P, a learnt classifier of E_r. A network of your own for dE goes into `LearntChange`.
- Ours: without one, dE is how far the other's emotion lies from one's own, `heard - own`. Then P is how much of a feeling is caught:
  0 stays as it was, 1 takes on the other's, and below 0 (the arousal of a stable person) goes against it: the calmer, the more the other
  is upset. And the label is the nearest of the seven, its probability softmax(-distance / temperature).

Their second model, a transition by way of moods, is not here: all of it but the four places of the moods is learnt.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectrt.affect.personality import NeuroticismMeans, Personality
from affectrt.engine import Engine, EngineSettings
from affectrt.labels import Affect, taxonomy

__all__ = ["EmotionTransition", "LearntChange", "Transition"]

Embed = Callable[[str], NDArray[np.float32]]


@dataclass(frozen=True, slots=True, eq=False)
class Transition:
    """The emotion to answer with."""

    affect: Affect
    """E_r, cut off at [-1, 1]."""
    label: str
    labels: tuple[str, ...]
    probs: NDArray[np.float32]
    """(C,) float32 over `labels`, sums to 1."""


class EmotionTransition:
    """A personality's way from one emotion to the next. Pure: the same arguments give the same answer.

    Args:
        personality: Whose answer it is.
        neuroticism_means: As of `Personality.temperament`; "stability" is how the paper computes.
        weights: P, three numbers, instead of the personality's own (a learnt layer's, for example).
        labels: Name of the taxonomy to choose from; the paper's seven by default.
        temperature: Over 0. Small is sure of the nearest label, large is not; in the same unit as a distance between places.

    Raises: `ValueError` for what does not fit.
    """

    def __init__(
        self,
        personality: Personality,
        *,
        neuroticism_means: NeuroticismMeans = "neuroticism",
        weights: Affect | None = None,
        labels: str = "meld7",
        temperature: float = 0.2,
    ) -> None:
        if not (math.isfinite(temperature) and temperature > 0):
            raise ValueError(f"temperature: a number over 0 was expected, got {temperature}")
        self.personality = personality
        self.weights = weights or personality.temperament(neuroticism_means=neuroticism_means, scores="unit")
        """P."""
        _check(self.weights, "weights", bounded=False)
        self.taxonomy = taxonomy(labels)
        self.temperature = temperature
        self._places = np.array([_array(place) for place in self.taxonomy.affect.values()])

    def __call__(self, own: str | Affect, heard: str | Affect | None = None, *, change: Affect | None = None) -> Transition:
        """The emotion to answer with.

        Args:
            own: E_i, the emotion of one's own last utterance: a label of the taxonomy (an alias will do), or a place.
            heard: That of the utterance to be answered.
            change: dE, instead of `heard - own`; any finite numbers.

        Raises: `ValueError`: neither or both of `heard` and `change`, an unknown label, a coordinate that is not in [-1, 1] or not finite.
        """
        if (heard is None) == (change is None):
            raise ValueError("one of heard and change was expected, got " + ("both" if change else "neither"))
        before = self._place(own, "own")
        if change is not None:
            step = _array(_check(change, "change", bounded=False))
        else:
            assert heard is not None
            step = self._place(heard, "heard") - before
        after = np.clip(before + step * _array(self.weights), -1.0, 1.0)
        distance = np.linalg.norm(self._places - after, axis=1)
        scaled = (distance.min() - distance) / self.temperature
        probs = np.exp(scaled) / np.exp(scaled).sum()
        labels = self.taxonomy.labels
        # By the distance, not the probability: a high temperature rounds near ones to the same.
        return Transition(Affect(*map(float, after)), labels[int(distance.argmin())], labels, probs.astype(np.float32))

    def _place(self, emotion: str | Affect, name: str) -> NDArray[np.float64]:
        if isinstance(emotion, str):
            return _array(self.taxonomy.affect[self.taxonomy.resolve(emotion)])
        return _array(_check(emotion, name, bounded=True))


class LearntChange:
    """dE by a small network of your own: (1, 2 D) float32, the sentence vectors of the two utterances one after the other, to (1, 3).

        change = LearntChange("change.onnx", affectrt.TextEmbedding())
        transition("neutral", change=change("I lost my keys.", "Oh no, again?"))

    None comes with affectrt: see the head of this module. A network of the paper's head (2 D -> D -> D -> 3, tanh before the last) over
    sentence vectors fits.

    Raises: `EngineError`; `ValueError` if the network does not have that one input and that one output.
    """

    def __init__(self, model: str | Path | Engine, embed: Embed, settings: EngineSettings | None = None) -> None:
        self.engine = model if isinstance(model, Engine) else Engine(model, settings)
        self._embed = embed
        inputs, outputs = self.engine.inputs, self.engine.outputs
        if len(inputs) != 1 or len(outputs) != 1 or len(inputs[0].shape) != 2 or outputs[0].shape[-1:] != (3,):
            got = ", ".join(f"{spec.name} {spec.shape}" for spec in (*inputs, *outputs))
            raise ValueError(f"a network of one input (1, 2 D) and one output (1, 3) was expected, got {got}")
        self._input, self._output = inputs[0].name, outputs[0].name

    def __call__(self, first: str, second: str) -> Affect:
        """dE of two utterances, the one's own before and the one to be answered."""
        both = np.concatenate([self._embed(first), self._embed(second)]).astype(np.float32)[None]
        valence, arousal, dominance = self.engine.run({self._input: both})[self._output][0]
        return Affect(float(valence), float(arousal), float(dominance))


def _array(place: Affect) -> NDArray[np.float64]:
    return np.array([place.valence, place.arousal, place.dominance], dtype=np.float64)


def _check(place: Affect, name: str, *, bounded: bool) -> Affect:
    values = _array(place)
    if not np.isfinite(values).all() or (bounded and np.abs(values).max() > 1):
        expected = "three numbers in [-1, 1] were" if bounded else "three finite numbers were"
        raise ValueError(f"{name}: {expected} expected, got {place}")
    return place
