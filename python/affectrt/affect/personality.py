"""Personality: five numbers that say where feelings rest, and how far they are moved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Literal

from affectrt.labels import Affect

__all__ = ["MBTI_CORRELATIONS", "Personality", "Temperament"]

NeuroticismMeans = Literal["neuroticism", "stability"]
Scores = Literal["centred", "unit"]


@dataclass(frozen=True, slots=True)
class Temperament(Affect):
    """Where a person's feelings rest when nothing happens; each coordinate in [-1, 1]."""


MBTI_CORRELATIONS: Mapping[str, tuple[str, str, float]] = MappingProxyType(
    {
        "extraversion": ("E", "I", 0.74),
        "openness": ("N", "S", 0.72),
        "agreeableness": ("F", "T", 0.44),
        "conscientiousness": ("J", "P", 0.49),
    }
)
"""Trait -> the letter of the Myers-Briggs type that goes with much of it, the one that goes with little, and how closely the two scales
correlate: R. R. McCrae and P. T. Costa, "Reinterpreting the Myers-Briggs Type Indicator from the perspective of the five-factor model of
personality", Journal of Personality 57 (1989) 17-40. No letter speaks of neuroticism."""

_MBTI_PLACES = (("I", "E"), ("N", "S"), ("F", "T"), ("P", "J"))


@dataclass(frozen=True, slots=True)
class Personality:
    """The Big Five; each number lies in [0, 1], and 0.5 is the average person.

    Raises:
        ValueError: Naming every trait that is not in [0, 1].
        TypeError: A trait is no number.
    """

    openness: float = 0.5
    conscientiousness: float = 0.5
    extraversion: float = 0.5
    agreeableness: float = 0.5
    neuroticism: float = 0.5
    """Proneness to distress: 0 is calm and stable, 1 is easily upset."""

    def __post_init__(self) -> None:
        wrong = []
        for trait in fields(self):
            value = getattr(self, trait.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"{trait.name}: a number in [0, 1] was expected, got {value!r}")
            if not 0.0 <= value <= 1.0:
                wrong.append(f"{trait.name} {value}")
        if wrong:
            raise ValueError(f"traits in [0, 1] were expected, got {', '.join(wrong)}")

    @classmethod
    def from_mbti(cls, kind: str) -> Personality:
        """The Big Five that a Myers-Briggs type such as "INFP" makes likely.

        Each letter moves its trait from the average 0.5 by half of the correlation that McCrae and Costa (1989) found between the two
        scales (`MBTI_CORRELATIONS`): up for E, N, F and J, down for I, S, T and P. The correlations are theirs, this use of them is ours.
        Neuroticism stays at 0.5: the types do not measure it. It is a way to describe a character, no psychological test.

        Raises:
            ValueError: Not four letters, one of each pair, in their order.
            TypeError: It is no str.
        """
        if not isinstance(kind, str):
            raise TypeError(f"a type of four letters was expected, got {type(kind).__name__}")
        letters = kind.strip().upper()
        if len(letters) != 4 or any(letter not in pair for letter, pair in zip(letters, _MBTI_PLACES, strict=True)):
            raise ValueError(f'a type of four letters was expected, one of each of I/E, N/S, F/T and P/J ("INFP"), got {kind!r}')
        traits = {trait: 0.5 + (0.5 if high in letters else -0.5) * r for trait, (high, _, r) in MBTI_CORRELATIONS.items()}
        return cls(**traits)

    def temperament(self, *, neuroticism_means: NeuroticismMeans = "neuroticism", scores: Scores = "centred") -> Temperament:
        """Where this person's feelings rest: valence, arousal and dominance by A. Mehrabian, "Analysis of the Big-Five personality factors
        in terms of the PAD temperament model", Australian Journal of Psychology 48 (1996) 86-92, with E, A, S, O and C for extraversion,
        agreeableness, emotional *stability*, openness and conscientiousness:

            valence   = 0.21 E + 0.59 A + 0.19 S
            arousal   = 0.15 O + 0.30 A - 0.57 S
            dominance = 0.25 O + 0.17 C + 0.60 E - 0.32 A

        The weights are for standardised scores. `scores="centred"` takes each trait from [0, 1] to [-1, 1] first, so that the average
        person rests at the origin. With "unit" they go in as they are; so does PELD (Z. Wen et al., Findings of ACL 2021), which then
        uses the result as weights of the emotion's change (`EmotionTransition`).

        The last Big Five trait is often called neuroticism, and the S of the equations is its opposite. `neuroticism_means="neuroticism"`
        takes this object's word for it and turns it round. "stability" puts the number in for S as it stands, as PELD does with
        scores that it calls neuroticism: there an anxious character comes out calm. It is here to reproduce its numbers.

        Returns:
            A `Temperament`. What goes beyond [-1, 1], up to 1.34, is cut off there.

        Raises:
            ValueError: Another word for either argument.
        """
        if neuroticism_means not in ("neuroticism", "stability"):
            raise ValueError(f'neuroticism_means: "neuroticism" or "stability" was expected, got {neuroticism_means!r}')
        if scores not in ("centred", "unit"):
            raise ValueError(f'scores: "centred" or "unit" was expected, got {scores!r}')
        stable = self.neuroticism if neuroticism_means == "stability" else 1.0 - self.neuroticism
        unit = (self.openness, self.conscientiousness, self.extraversion, self.agreeableness, stable)
        o, c, e, a, s = unit if scores == "unit" else (2.0 * value - 1.0 for value in unit)
        return Temperament(
            _cut(0.21 * e + 0.59 * a + 0.19 * s),
            _cut(0.15 * o + 0.30 * a - 0.57 * s),
            _cut(0.25 * o + 0.17 * c + 0.60 * e - 0.32 * a),
        )


def _cut(value: float) -> float:
    return min(1.0, max(-1.0, value))
