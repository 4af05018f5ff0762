"""Who the robot is when it talks: a system message in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from affectrt.dialogue.sampling import check_number
from affectrt.dialogue.text import check_text


@dataclass(frozen=True, slots=True)
class Persona:
    """A manner of talking.

    Raises:
        TypeError: `name` or `system` is no text, or `expressiveness` no number.
        ValueError: `name` or `system` is blank, or `expressiveness` lies outside [0, 1].
    """

    name: str
    system: str
    """The system message. Short and in simple words, which small models follow best."""
    expressiveness: float = 0.7
    """How strongly the robot's face answers: 0 keeps it still, 1 shows everything."""

    def __post_init__(self) -> None:
        check_text(self.name, "name")
        check_text(self.system, "system")
        check_number("expressiveness", self.expressiveness)
        if not 0.0 <= self.expressiveness <= 1.0:
            raise ValueError(f"expressiveness must lie in [0, 1], got {self.expressiveness}")


_SHORT = "Use one or two short sentences."

PERSONAS: Mapping[str, Persona] = MappingProxyType(
    {
        persona.name: persona
        for persona in (
            Persona(
                "warm",
                "You are a warm and caring friend, talking with someone you like. First say that you understand how they feel, then "
                f"ask one simple question. {_SHORT}",
                0.8,
            ),
            Persona(
                "calm",
                "You are a calm and patient listener. You speak softly, never judge and never hurry. Say back what you have understood. "
                f"{_SHORT}",
                0.4,
            ),
            Persona(
                "cheerful",
                f"You are a cheerful and playful companion who loves good news and gives courage when things go wrong. {_SHORT}",
                1.0,
            ),
            Persona("plain", f"You are a helpful assistant. Answer clearly and politely, without small talk. {_SHORT}", 0.2),
        )
    }
)
"""The personas that come with affectrt, by name."""


def find_persona(persona: str | Persona) -> Persona:
    """A persona by name, or one made of the caller's own words.

    Raises:
        TypeError: Neither a str nor a Persona.
        ValueError: One word that is no name.
    """
    if isinstance(persona, Persona):
        return persona
    check_text(persona, "persona")
    if persona in PERSONAS:
        return PERSONAS[persona]
    if len(persona.split()) < 3:
        raise ValueError(f"persona must be one of {', '.join(PERSONAS)}, or a description in a sentence or more, got {persona!r}")
    return Persona("own", persona.strip())
