"""The eight support strategies and the three stages of a supportive conversation."""

from __future__ import annotations

from enum import Enum


class Strategy(str, Enum):
    """One of the eight of S. Liu et al., "Towards emotional support dialog systems", ACL 2021, by its published name."""

    QUESTION = "Question"
    RESTATEMENT = "Restatement or Paraphrasing"
    REFLECTION = "Reflection of feelings"
    SELF_DISCLOSURE = "Self-disclosure"
    AFFIRMATION = "Affirmation and Reassurance"
    SUGGESTIONS = "Providing Suggestions"
    INFORMATION = "Information"
    OTHERS = "Others"

    def __str__(self) -> str:
        return self.value

    @property
    def prompt(self) -> str:
        """What to tell the language model, in our own words; in the person's voice, since it stands in their turn."""
        return _PROMPTS[self]

    @property
    def place(self) -> int:
        """Its place in `STRATEGIES`."""
        return STRATEGIES.index(self)

    @classmethod
    def of(cls, name: str, *, unknown: Strategy | None = None) -> Strategy:
        """The strategy of a name, in any case and with blanks round it.

        Args:
            name: One of the eight published names.
            unknown: What another name becomes. The published evaluation counts it as `OTHERS`; None refuses it.

        Raises:
            TypeError: `name` is no str.
            ValueError: It is none of the eight.
        """
        if not isinstance(name, str):
            raise TypeError(f"name: expected a str, got {type(name).__name__}")
        found = _BY_NAME.get(name.strip().lower(), unknown)
        if found is None:
            raise ValueError(f"name: expected one of {', '.join(STRATEGIES)}, got {name!r}")
        return found


STRATEGIES: tuple[Strategy, ...] = tuple(Strategy)
"""In the published order, which is that of every table of eight here."""

_BY_NAME = {one.value.lower(): one for one in STRATEGIES}

# A machine has no past to tell of: self-disclosure is kept to what is true of it.
_PROMPTS = {
    Strategy.QUESTION: "Ask me one open question, so that I can tell you more about it.",
    Strategy.RESTATEMENT: "Say back in your own short words what I told you.",
    Strategy.REFLECTION: "Name the feeling that you hear in what I say, gently.",
    Strategy.SELF_DISCLOSURE: "Say something true about yourself as a machine that shows you follow me; claim no feelings and no past.",
    Strategy.AFFIRMATION: "Tell me what I did well or have the strength for, and that my feeling is all right.",
    Strategy.SUGGESTIONS: "Offer me one small thing that I could try, and leave the choice to me.",
    Strategy.INFORMATION: "Give one plain fact that helps here, only if you are sure of it.",
    Strategy.OTHERS: "Answer kindly in a few words.",
}


class Stage(str, Enum):
    """Where a supportive conversation stands (C. Hill, "Helping skills", 2009; S. Liu et al., 2021)."""

    EXPLORATION = "exploration"
    """Finding out what it is about."""
    COMFORTING = "comforting"
    """Showing that it is understood."""
    ACTION = "action"
    """Looking for what can be done."""

    def __str__(self) -> str:
        return self.value


STAGES: tuple[Stage, ...] = tuple(Stage)
