"""Who answers and by which rules: what the server itself adds to what its clients ask. By default nothing.

A request brings its whole conversation, and the server remembers none: what the guard said in it is known by its words.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from affectrt.companion.guarded import GuardedReply
from affectrt.dialogue import Conversation, Reply, ReplyStats
from affectrt.dialogue.guard import Claim, Crisis, CrisisHook, Decision, Guard, find_crises
from affectrt.dialogue.persona import Persona
from affectrt.dialogue.spoken import Spoken
from affectrt.perception import UNKNOWN, TextObservation
from affectrt.policy import Policy, check_policy, disclosure
from affectrt.serve.messages import Talk

FILTERED = "filtered"
"""How an answer ended that the guard ended, or did not let begin."""


_DISCLOSURES = (*disclosure.ADULT, *disclosure.SIMPLE)


def turns_before(disclosed: Sequence[bool], every: int | None) -> int:
    """How many turns a guard is to count, of which it is told which began with a disclosure.

    Of a conversation that is brought whole they are all its turns. One that was cut short (clients often bring the last few turns alone)
    counts from its last disclosure, and if it has none, from the beginning: the next answer has one.
    """
    if not any(disclosed):
        return 0
    since = list(reversed(disclosed)).index(True) + 1
    return (sum(disclosed) - 1) * every + min(since, every) if every is not None else since


@dataclass(frozen=True, slots=True)
class Heard:
    """A request after the guard."""

    talk: Talk
    """As the model is to know it."""
    guard: Guard | None
    """That of its conversation; None without a policy."""
    decision: Decision

    def content(self) -> dict[str, str]:
        """What of it the audit log takes digests of."""
        parts = {"system": self.talk.system, "note": self.talk.note, "said": self.talk.text}
        return {name: text for name, text in parts.items() if text}


@dataclass(frozen=True, slots=True)
class Manner:
    """The same for all requests. Raises TypeError, ValueError for a hook without a policy."""

    persona: Persona | None = None
    """Stands before the clients' own system messages."""
    policy: Policy | None = None
    """With one there is a guard, as `Companion` has."""
    on_crisis: CrisisHook | None = None

    def __post_init__(self) -> None:
        check_policy(self.policy)
        if self.on_crisis is not None and self.policy is None:
            raise ValueError("on_crisis: expected only with a policy, without which nothing is looked for")

    def hear(self, talk: Talk) -> Heard:
        """Look at what was said last, before anything else is done with it, and make the conversation what the model is to know of it.

        It is led by the persona, and without the guard's own part: turns in which somebody spoke of a crisis were answered by the guard,
        or by people, and the model does not get them afterwards either; disclosures are taken off the answers, so that they are again
        what the model wrote. Raises whatever the hook raises.
        """
        if self.persona is not None:
            talk = replace(talk, system="\n\n".join(filter(None, (self.persona.system, talk.system))))
        if self.policy is None:
            return Heard(talk, None, Decision.go())
        disclosed, turns = [], []
        for turn in talk.turns:
            if not find_crises(turn.user):
                words = next(filter(turn.assistant.startswith, _DISCLOSURES), "")
                disclosed.append(bool(words))
                turns.append(replace(turn, assistant=turn.assistant.removeprefix(words).removeprefix(" ")) if words else turn)
        guard = Guard(self.policy, on_crisis=self.on_crisis, turns=turns_before(disclosed, self.policy.discloses_every))
        return Heard(replace(talk, turns=tuple(turns)), guard, guard.before(talk.text))

    def judge(self, observation: TextObservation) -> TextObservation:
        """By the policy's least confidence."""
        if self.policy is None or observation.label == UNKNOWN or not self.policy.abstains("text", observation.confidence):
            return observation
        return replace(observation, label=UNKNOWN, active=(), reason="uncertain")


class ServedReply(GuardedReply):
    """An answer behind the guard."""

    def __init__(self, reply: Reply, conversation: Conversation, heard: Heard) -> None:
        """There must be a guard."""
        assert heard.guard is not None
        super().__init__(reply, conversation, heard.guard, None, heard.content)
        self._crises = heard.decision.crises

    @property
    def stats(self) -> ReplyStats:
        """Of the model's reply; `finish` is `FILTERED` if a claim has ended it."""
        return replace(super().stats, finish=FILTERED, cancelled=False) if self.stopped else super().stats

    @property
    def told(self) -> dict[str, Any]:
        """What a client is told of it, so far."""
        return _told(self._crises, disclosed=bool(self._said_before), claims=self.claims)


class SpokenReply:
    """The guard's own words in place of the model's."""

    def __init__(self, decision: Decision) -> None:
        """From a decision other than "go"."""
        spoken = Spoken(decision.text)
        self._text = spoken.read()
        self.stats = replace(spoken.stats, finish=FILTERED) if decision.action == "refuse" else spoken.stats
        self.told = _told(decision.crises)

    async def pieces(self) -> AsyncIterator[str]:
        """Them, in one piece."""
        if self._text:
            yield self._text


def _told(crises: Iterable[Crisis], *, disclosed: bool = False, claims: Iterable[Claim] = ()) -> dict[str, Any]:
    return {"disclosed": disclosed, "crises": [one.category for one in crises], "claims": [one.category for one in claims]}
