"""The layers of a prompt, each a frozen value.

| layer | says | lasts | role | whose text |
|---|---|---|---|---|
| system | the application's rules | always | system | the application's |
| persona | who the robot is | a conversation | system | the application's |
| stimulus | EmotionPrompt, NegativePrompt | a conversation | system | ours, or the application's |
| memory | what is remembered | a turn | user | anybody's: quoted |
| state | how the person looks and sounds, and why | a turn | user | labels; the cause is quoted |
| strategy | which way of support to take | a turn | user | ours, or the application's |
| turn | what the person said | a turn | user | theirs: comes last |

What lasts longest comes first, so that the cache keeps it. What others wrote never gets into the system role.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from affectrt.dialogue.prompt.clean import name, one_line, paragraph, quoted
from affectrt.dialogue.prompt.words import feeling_word, observation_note
from affectrt.dialogue.text import check_text

if TYPE_CHECKING:
    from affectrt.dialogue.persona import Persona
    from affectrt.dialogue.strategy import Strategy

MAX_MEMORY = 200
"""Characters of a memory that go into the prompt (MemoryBank's bound)."""
MAX_CAUSE = 120
"""Characters of a cause that go into the prompt."""

Role = Literal["system", "user"]


def _own(text: object, what: str) -> str:
    return check_text(text, what)


def _foreign(text: object, what: str) -> None:
    """Raises what `check_text` raises, but an empty or blank text may stand."""
    if not isinstance(text, str) or text.strip():
        check_text(text, what)


@dataclass(frozen=True, slots=True)
class SystemLayer:
    """The application's rules. Raises TypeError, ValueError for what is no readable text, as all layers do."""

    text: str

    layer: ClassVar[str] = "system"
    role: ClassVar[Role] = "system"

    def __post_init__(self) -> None:
        _own(self.text, "system.text")

    def render(self) -> str:
        """As it stands in the prompt."""
        return self.text


@dataclass(frozen=True, slots=True)
class PersonaLayer:
    """Who the robot is."""

    name: str
    text: str

    layer: ClassVar[str] = "persona"
    role: ClassVar[Role] = "system"

    def __post_init__(self) -> None:
        _foreign(self.name, "persona.name")
        _own(self.text, "persona.text")

    @classmethod
    def of(cls, persona: Persona) -> PersonaLayer:
        """The layer of a Persona."""
        return cls(persona.name, persona.system)

    def render(self) -> str:
        """As it stands in the prompt."""
        return self.text


@dataclass(frozen=True, slots=True)
class StimulusLayer:
    """A sentence that is appended to what the robot is told; see `affectrt.dialogue.conditioning.stimuli`."""

    id: str
    """"EP01" to "EP11", "NP01" to "NP10", or a name of your own."""
    text: str

    layer: ClassVar[str] = "stimulus"
    role: ClassVar[Role] = "system"

    def __post_init__(self) -> None:
        _own(self.id, "stimulus.id")
        _own(self.text, "stimulus.text")

    def render(self) -> str:
        """As it stands in the prompt."""
        return self.text


@dataclass(frozen=True, slots=True)
class MemoryLine:
    """One memory."""

    text: str
    """As it is kept; in the prompt at most `MAX_MEMORY` characters of it, between quotation marks."""
    when: str
    """"yesterday", "3 days ago"."""
    said: bool = True
    """True: somebody said it. False: something known or summed up."""
    of: str | None = None
    """Whose memory it is; None: of the person who is spoken with."""
    feeling: str | None = None
    """Label of how they felt."""

    def __post_init__(self) -> None:
        _foreign(self.text, "memory.text")
        _own(self.when, "memory.when")
        if not isinstance(self.said, bool):
            raise TypeError(f"memory.said: expected a bool, got {type(self.said).__name__}")
        for field in ("of", "feeling"):
            if getattr(self, field) is not None:
                _foreign(getattr(self, field), f"memory.{field}")

    def render(self) -> str:
        """As it stands in the prompt."""
        when, words = one_line(self.when, 40), quoted(self.text, MAX_MEMORY)
        word = feeling_word(self.feeling) if self.feeling else ""
        felt = f", feeling {word}" if word else ""
        if self.said:
            return f"You remember that {'I' if self.of is None else name(self.of)} said {when}{felt}: {words}"
        return f"You remember{'' if self.of is None else f' of {name(self.of)}'} from {when}{felt}: {words}"


@dataclass(frozen=True, slots=True)
class MemoryLayer:
    """What is remembered, oldest first."""

    lines: tuple[MemoryLine, ...]

    layer: ClassVar[str] = "memory"
    role: ClassVar[Role] = "user"

    def __post_init__(self) -> None:
        if not isinstance(self.lines, tuple) or not all(isinstance(line, MemoryLine) for line in self.lines):
            raise TypeError(f"memory.lines: expected a tuple of MemoryLine, got {self.lines!r:.80}")

    def render(self) -> str:
        """As it stands in the prompt: one line each; "" if there is none."""
        return "\n".join(line.render() for line in self.lines)


@dataclass(frozen=True, slots=True)
class StateLayer:
    """How the person seems. What is not known is left out, never guessed at."""

    look: str | None = None
    """Label of what is seen in the face."""
    sound: str | None = None
    """Label of what is read in the words; "neutral" says nothing that the text does not."""
    cause: str | None = None
    """What they feel so about, in their own words (HEF's cause words)."""

    layer: ClassVar[str] = "state"
    role: ClassVar[Role] = "user"

    def __post_init__(self) -> None:
        for field in ("look", "sound", "cause"):
            if getattr(self, field) is not None:
                _foreign(getattr(self, field), f"state.{field}")

    def render(self) -> str:
        """As it stands in the prompt; "" if nothing is known."""
        lines = [observation_note(self.look, self.sound) or ""]
        if self.cause is not None and (cause := quoted(self.cause, MAX_CAUSE)) != '""':
            lines.append(f"It is about {cause}.")
        return " ".join(line for line in lines if line)


@dataclass(frozen=True, slots=True)
class StrategyLayer:
    """Which way of support to take in this answer."""

    name: str
    text: str

    layer: ClassVar[str] = "strategy"
    role: ClassVar[Role] = "user"

    def __post_init__(self) -> None:
        _own(self.name, "strategy.name")
        _own(self.text, "strategy.text")

    @classmethod
    def of(cls, strategy: Strategy) -> StrategyLayer:
        """The layer of one of the eight strategies."""
        return cls(strategy.value, strategy.prompt)

    def render(self) -> str:
        """As it stands in the prompt."""
        return one_line(self.text)


@dataclass(frozen=True, slots=True)
class TurnLayer:
    """What the person says now."""

    text: str

    layer: ClassVar[str] = "turn"
    role: ClassVar[Role] = "user"

    def __post_init__(self) -> None:
        _own(self.text, "turn.text")
        if not paragraph(self.text):
            raise ValueError(f"turn.text must hold something to read, got only characters that nobody sees: {self.text!r:.80}")

    def render(self) -> str:
        """As it stands in the prompt: no blank lines, no hidden characters."""
        return paragraph(self.text)


Layer = SystemLayer | PersonaLayer | StimulusLayer | MemoryLayer | StateLayer | StrategyLayer | TurnLayer

LAYERS: tuple[type[Layer], ...] = (SystemLayer, PersonaLayer, StimulusLayer, MemoryLayer, StateLayer, StrategyLayer, TurnLayer)
"""In the order of the prompt: what changes least comes first."""
