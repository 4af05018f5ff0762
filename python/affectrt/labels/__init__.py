"""Names of emotions, expressions and zones: twelve taxonomies, where their labels lie in valence, arousal and dominance, and how each maps
to every other.

    translate("remorse", "goemotions28", "plutchik8")          # "sadness"
    translate_probs(face.probs, "fer7", "plutchik8")           # (8,) float32
    taxonomy_of(face.labels)                                   # the Taxonomy of a pack's labels, or None
    taxonomy("cped13").affect["worried"]                       # Affect(valence=-0.33, arousal=0.58, dominance=-0.11)

docs/labels.md lists them all; `python -m affectrt.labels` makes its tables.
"""

from __future__ import annotations

from collections.abc import Mapping

from affectrt.labels.concepts import CONCEPTS, Concept
from affectrt.labels.registry import TAXONOMIES, taxonomy, taxonomy_of
from affectrt.labels.taxonomy import ALIASES, Taxonomy
from affectrt.labels.terms import NEUTRAL_AFFECT, TERMS, Affect
from affectrt.labels.translate import has_neutral, mapping, nearest, translate, translate_probs
from affectrt.labels.zones import ZONES, zone_of

FER7 = TAXONOMIES["fer7"].labels
"""The seven facial expressions of FER2013, in the data set's order."""
FER7_AFFECT = TAXONOMIES["fer7"].affect

GOEMOTIONS = TAXONOMIES["goemotions28"].labels
"""The 27 emotions and "neutral" of GoEmotions, in the data set's order."""
GOEMOTIONS_AFFECT = TAXONOMIES["goemotions28"].affect

EKMAN = TAXONOMIES["ekman"].labels
"""Ekman's six basic emotions and "neutral", as GoEmotions names them."""

GOEMOTIONS_TO_EKMAN: Mapping[str, str] = mapping("goemotions28", "ekman")
"""The grouping published with GoEmotions."""

EXPRESSIONS = TAXONOMIES["expression"].labels
"""Every string of hri_msgs/Expression (ROS4HRI), in the message definition's order."""
EXPRESSION_AFFECT = TAXONOMIES["expression"].affect

FER7_TO_EXPRESSION: Mapping[str, str] = mapping("fer7", "expression")

GOEMOTIONS_TO_EXPRESSION: Mapping[str, str] = mapping("goemotions28", "expression")
"""The expression a person would wear who feels this; not the one a robot should answer with."""

__all__ = [
    "ALIASES",
    "CONCEPTS",
    "EKMAN",
    "EXPRESSIONS",
    "EXPRESSION_AFFECT",
    "FER7",
    "FER7_AFFECT",
    "FER7_TO_EXPRESSION",
    "GOEMOTIONS",
    "GOEMOTIONS_AFFECT",
    "GOEMOTIONS_TO_EKMAN",
    "GOEMOTIONS_TO_EXPRESSION",
    "NEUTRAL_AFFECT",
    "TAXONOMIES",
    "TERMS",
    "ZONES",
    "Affect",
    "Concept",
    "Taxonomy",
    "has_neutral",
    "mapping",
    "nearest",
    "taxonomy",
    "taxonomy_of",
    "translate",
    "translate_probs",
    "zone_of",
]
