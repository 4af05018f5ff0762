"""Who somebody is, as fields: what a persona is written from, and partners are matched by.

The fields and what each role shows of them are those of CharacterChat (Q. Tu et al., arXiv 2308.10278).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from affectrt.affect import Personality
from affectrt.dialogue.persona import Persona
from affectrt.dialogue.text import check_text

__all__ = ["FIELDS", "HIDDEN", "MEMORY_FIELDS", "STATEMENT_FIELDS", "Profile", "Role"]

Role = Literal["seeker", "supporter"]

MEMORY_FIELDS = (
    "tone",
    "personality",
    "advantages_and_disadvantages",
    "hobby",
    "growth_experience",
    "family_relationship",
    "working_conditions",
    "social_relationship",
    "emotional_state",
    "living_conditions",
    "recent_worry_or_anxiety",
)
"""What may come up in a conversation, one piece at a time."""

FIELDS = ("name", "gender", "age", "region", "job", *MEMORY_FIELDS)
"""All sixteen."""

STATEMENT_FIELDS: Mapping[str, tuple[str, ...]] = {
    "seeker": ("name", "gender", "age", "region", "job", "personality", "tone", "recent_worry_or_anxiety"),
    "supporter": ("name", "gender", "age", "region", "job", "personality", "tone"),
}
"""What a role's persona is made of."""

HIDDEN: Mapping[str, frozenset[str]] = {
    "seeker": frozenset({"tone"}),
    "supporter": frozenset({"tone", "recent_worry_or_anxiety"}),
}
"""What a role never tells: the tone is heard, not told of, and who gives support leaves their own worries out."""

MAX_FIELD = 2_000
"""Characters of a field."""

_WORDS = {
    "gender": "You are {}.",
    "age": "You are {} years old.",
    "region": "You live in {}.",
    "job": "Your job: {}.",
    "personality": "What you are like: {}",
    "tone": "How you speak: {}",
    "advantages_and_disadvantages": "Your strengths and weaknesses: {}",
    "hobby": "What you like to do: {}",
    "growth_experience": "What you grew up with: {}",
    "family_relationship": "Your family: {}",
    "working_conditions": "Your work: {}",
    "social_relationship": "Your friends: {}",
    "emotional_state": "Your love life: {}",
    "living_conditions": "How you live: {}",
    "recent_worry_or_anxiety": "What has been worrying you: {}",
}


@dataclass(frozen=True, slots=True)
class Profile:
    """A character. Fields that are "" (or None for the age) are not known and are left out.

    Raises:
        ValueError: Naming all that is wrong, in one message.
    """

    name: str
    gender: str = ""
    age: int | None = None
    """[1, 120] years."""
    region: str = ""
    job: str = ""
    tone: str = ""
    personality: str = ""
    advantages_and_disadvantages: str = ""
    hobby: str = ""
    growth_experience: str = ""
    family_relationship: str = ""
    working_conditions: str = ""
    social_relationship: str = ""
    emotional_state: str = ""
    living_conditions: str = ""
    recent_worry_or_anxiety: str = ""
    mbti: str = ""
    """Four letters such as "INFP", in any case; "" if not known."""
    big_five: Personality | None = None
    """None takes what the type makes likely, and the average where there is no type."""

    def __post_init__(self) -> None:
        problems = []
        for field in FIELDS:
            problem = _age_problem(self.age) if field == "age" else _text_problem(getattr(self, field), field)
            if problem:
                problems.append(problem)
        try:
            if self.mbti != "":
                Personality.from_mbti(self.mbti)
        except (TypeError, ValueError):
            problems.append(f"mbti: expected four letters such as INFP, got {self.mbti!r}")
        if self.big_five is not None and not isinstance(self.big_five, Personality):
            problems.append(f"big_five: expected a Personality, got {type(self.big_five).__name__}")
        if problems:
            raise ValueError(f"a profile with {len(problems)} problem{'s' if len(problems) > 1 else ''}: " + "; ".join(problems))
        object.__setattr__(self, "mbti", self.mbti.strip().upper())

    @property
    def traits(self) -> Personality:
        """The Big Five: given, or by the type, or the average."""
        if self.big_five is not None:
            return self.big_five
        return Personality.from_mbti(self.mbti) if self.mbti else Personality()

    def statement(self, role: Role = "supporter") -> str:
        """The character in the second person, one sentence or so a field, as a system message has it.

        Args:
            role: "seeker" (who looks for support) tells what worries them, "supporter" does not.
        """
        told = [f"You are {self.name.strip()}."]
        for field in STATEMENT_FIELDS[_role(role)]:
            if field in _WORDS and (value := self._words(field)):
                told.append(_WORDS[field].format(value))
        return " ".join(told)

    def memories(self, role: Role = "supporter") -> tuple[str, ...]:
        """What this character may bring up, one text for each known field of `MEMORY_FIELDS` that the role does not hide."""
        hidden = HIDDEN[_role(role)]
        return tuple(_WORDS[field].format(value) for field in MEMORY_FIELDS if field not in hidden and (value := self._words(field)))

    def persona(self, role: Role = "supporter", *, expressiveness: float = 0.7) -> Persona:
        """A `Persona` that speaks as this character."""
        return Persona(self.name.strip(), f"{self.statement(role)} Use one or two short sentences.", expressiveness)

    def _words(self, field: str) -> str:
        value = getattr(self, field)
        return "" if value is None else " ".join(str(value).split()).rstrip(".")

    def to_dict(self) -> dict[str, Any]:
        """In types that JSON has, without what is not known."""
        known = {field: getattr(self, field) for field in (*FIELDS, "mbti") if getattr(self, field) not in ("", None)}
        if self.big_five is not None:
            known["big_five"] = {trait.name: getattr(self.big_five, trait.name) for trait in fields(Personality)}
        return known

    @classmethod
    def from_dict(cls, value: object) -> Profile:
        """The reverse of `to_dict`; ValueError for anything else, with all problems at once, unknown fields among them."""
        if not isinstance(value, dict):
            raise ValueError(f"profile: expected an object, got {type(value).__name__}")
        given, problems = dict(value), []
        unknown = [key for key in given if key not in (*FIELDS, "mbti", "big_five")]
        if unknown:
            problems.append(f"unknown {', '.join(map(repr, unknown))}")
            given = {key: given[key] for key in given if key not in unknown}
        if "big_five" in given:
            try:
                given["big_five"] = Personality(**given["big_five"])
            except (TypeError, ValueError) as error:
                problems.append(f"big_five: {error}")
                del given["big_five"]
        try:
            profile = cls(**{"name": "", **given})
        except ValueError as error:
            problems.append(str(error).split(": ", 1)[1])
        if problems:
            raise ValueError(f"profile: {'; '.join(problems)}")
        return profile


def _role(role: str) -> str:
    if role not in HIDDEN:
        raise ValueError(f'role: expected "seeker" or "supporter", got {role!r}')
    return role


def _age_problem(age: object) -> str:
    if age is None or (isinstance(age, int) and not isinstance(age, bool) and 1 <= age <= 120):
        return ""
    return f"age: expected years in [1, 120], got {age!r}"


def _text_problem(value: object, field: str) -> str:
    if value == "" and field != "name":
        return ""
    try:
        text = check_text(value, field)
    except (TypeError, ValueError) as error:
        return str(error)
    return f"{field}: expected at most {MAX_FIELD} characters, got {len(text)}" if len(text) > MAX_FIELD else ""
