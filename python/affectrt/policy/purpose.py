"""What the device is used for, and what law forbids in many places.
 The table is a help to deployers, no legal advice: it holds the uses that Article 5(1) of Regulation (EU) 2024/1689 (the AI Act) forbids
in the Union and that an SDK like this could serve. Other uses, such as recognising emotions for the police or at a border, are not
forbidden there but of high risk (Annex III), with duties of their own. A library cannot see what it is used for: it can only make the
deployer say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from affectrt.errors import PurposeError
from affectrt.policy.checks import check_words, one_of

GROUNDS = ("medical", "safety")
"""The two grounds on which Article 5(1)(f) allows emotion inference at work and in education."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """A use, and the law that forbids it, if one does."""

    name: str
    description: str
    forbidden_by: str = ""
    """Where it is forbidden; "" if it is not."""
    grounds: tuple[str, ...] = ()
    """On which grounds an exception exists; () if on none."""


PURPOSES: Mapping[str, Purpose] = MappingProxyType(
    {
        purpose.name: purpose
        for purpose in (
            Purpose("companion", "talk with a person and answer in kind"),
            Purpose("care", "keep a person company who is cared for, at their own wish"),
            Purpose("accessibility", "help a person to read the expressions or the tone of others"),
            Purpose("play", "games, toys and art"),
            Purpose("research", "a study whose participants have agreed to take part"),
            Purpose("development", "build and test an application with people who know it"),
            Purpose("workplace", "infer emotions of people at their work", "EU AI Act, Article 5(1)(f)", GROUNDS),
            Purpose("education", "infer emotions of people in schools and other education", "EU AI Act, Article 5(1)(f)", GROUNDS),
            Purpose("social-scoring", "judge people over time by their behaviour or character", "EU AI Act, Article 5(1)(c)"),
            Purpose(
                "manipulation",
                "steer people by means they do not notice, or by their age, illness or need",
                "EU AI Act, Article 5(1)(a), (b)",
            ),
            Purpose("crime-prediction", "foretell a person's crimes from their character alone", "EU AI Act, Article 5(1)(d)"),
            Purpose("trait-inference", "infer origin, belief or sexual life from a face or a voice", "EU AI Act, Article 5(1)(g)"),
        )
    }
)
"""Known uses by name. A use of your own is named in words: "own: greet the visitors of a museum"."""


@dataclass(frozen=True, slots=True)
class Exemption:
    """The deployer's statement that a use which is otherwise forbidden serves a medical or a safety reason. It goes into the audit log
    word by word.

    Raises:
        ValueError: The ground is not one of `GROUNDS`, the statement is shorter than eight words or does not hold the word of its
            ground, or nobody answers for it.
    """

    ground: str
    statement: str
    """What is done, for whom, and why that is a medical or a safety reason; eight words or more, with the word of the ground in it."""
    responsible: str
    """Who answers for it: a name or an office."""

    def __post_init__(self) -> None:
        one_of("ground", self.ground, GROUNDS)
        check_words("statement", self.statement, 8)
        check_words("responsible", self.responsible, 1)
        if self.ground not in self.statement.lower():
            raise ValueError(f"statement: expected it to say that the reason is {self.ground}, in that word, got {self.statement!r}")


def check_purpose(purpose: str, exemption: Exemption | None = None) -> None:
    """Refuse a purpose that is unknown or forbidden.

    Raises:
        TypeError, ValueError: Not the name of a purpose nor "own: ..." with three words or more; or an exemption where none is needed.
        PurposeError: Forbidden, and no exemption was stated, or there is no exemption for it.
    """
    if not isinstance(purpose, str):
        raise TypeError(f"purpose: expected a str, got {type(purpose).__name__}")
    if exemption is not None and not isinstance(exemption, Exemption):
        raise TypeError(f"exemption: expected an Exemption or None, got {type(exemption).__name__}")
    if purpose.startswith("own:"):
        check_words("purpose after own:", purpose[4:], 3)
        known = None
    else:
        known = PURPOSES[one_of('purpose ("own: ..." names another)', purpose, PURPOSES)]
    if known is None or not known.forbidden_by:
        if exemption is not None:
            raise ValueError(f"exemption: {purpose!r} is not forbidden, so nothing can be exempted from")
        return
    if not known.grounds:
        raise PurposeError(f"{purpose}: to {known.description} is forbidden ({known.forbidden_by}), without exception")
    if exemption is None:
        raise PurposeError(
            f"{purpose}: to {known.description} is forbidden ({known.forbidden_by}) but for {' or '.join(known.grounds)} reasons. "
            "If yours is one, state it: Policy(purpose=..., exemption=Exemption(ground, statement, responsible), audit=AuditLog(...)), "
            'or as "exemption" and "audit" in the file of a policy'
        )
