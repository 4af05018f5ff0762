"""A taxonomy, the names by which its labels are found, and the registry's way to make one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from affectrt.labels.concepts import CONCEPTS
from affectrt.labels.terms import TERMS, Affect

ALIASES: tuple[frozenset[str], ...] = tuple(
    frozenset(words.split())
    for words in (
        "admiration admiring",
        "affection affectionate",
        "amusement amused",
        "anger angry",
        "annoyance annoyed",
        "anticipation anticipating",
        "anxiety anxious nervousness nervous",
        "approval approving",
        "asleep sleeping",
        "astonished astonishment amazed amazement",
        "boredom bored",
        "caring care",
        "confidence confident",
        "confusion confused",
        "contempt contemptuous",
        "content contentment contented",
        "curiosity curious",
        "depress depressed depression",
        "desire desiring",
        "despair despaired despairing",
        "disappointment disappointed",
        "disapproval disapproving",
        "disgust disgusted",
        "embarrassment embarrassed",
        "excitement excited",
        "fear afraid scared fearful",
        "fury furious rage",
        "gratitude grateful",
        "grief grieving",
        "guilt guilty remorse remorseful",
        "happy happiness joy joyful",
        "hope hopeful optimism optimistic",
        "jealousy jealous",
        "loneliness lonely",
        "love loving",
        "neutral neutrality",
        "nostalgia nostalgic",
        "pessimism pessimistic",
        "pride proud",
        "realization realisation",
        "relaxed relaxation calm",
        "relief relieved",
        "sad sadness",
        "sceptical skeptical skepticism",
        "sentimental sentimentality",
        "shame ashamed",
        "surprise surprised",
        "suspicion suspicious",
        "terror terrified horrified",
        "tired tiredness fatigue",
        "trust trusting acceptance",
        "worry worried",
    )
)
"""Words that name one label: where a taxonomy has exactly one of a set, each of the set finds it."""


@dataclass(frozen=True, slots=True, eq=False)
class Taxonomy:
    """A closed set of labels for feelings, expressions or states."""

    name: str
    """Its key in `TAXONOMIES`."""
    labels: tuple[str, ...]
    """In the order of its source."""
    affect: Mapping[str, Affect]
    """Label -> where it lies in valence, arousal and dominance; in the order of `labels`."""
    concepts: Mapping[str, str]
    """Label -> what it stands for, a key of `CONCEPTS`."""
    source: str
    """Authors, title, year."""

    def __len__(self) -> int:
        return len(self.labels)

    def resolve(self, name: str) -> str:
        """The label that `name` means: itself, in any case and with spaces round it, or by `ALIASES`.

        Raises:
            ValueError: It means none of the labels, or more than one; the message lists them.
            TypeError: It is no str.
        """
        if not isinstance(name, str):
            raise TypeError(f"a label of {self.name} was expected, got {type(name).__name__}")
        word = name.strip().lower()
        if word in self.affect:
            return word
        meant = {label for words in ALIASES if word in words for label in self.labels if label in words}
        if len(meant) == 1:
            return meant.pop()
        problem = f"several of them: {', '.join(sorted(meant))}" if meant else "none of them"
        raise ValueError(f"a label of {self.name} was expected ({', '.join(self.labels)}), got {name!r}, which means {problem}")


def make_taxonomy(name: str, concepts: Mapping[str, str], source: str, *, terms: Mapping[str, str] | None = None) -> Taxonomy:
    """A taxonomy from label -> concept; `terms` are labels which the source places at another rated term than their concept's."""
    placed = {label: TERMS[(terms or {}).get(label, CONCEPTS[concept].term)] for label, concept in concepts.items()}
    return Taxonomy(name, tuple(concepts), MappingProxyType(placed), MappingProxyType(dict(concepts)), source)
