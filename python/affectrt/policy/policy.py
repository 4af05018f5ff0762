"""The policy in force: what the deployer decided, what people agreed to, and the questions that the rest of affectrt asks of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from affectrt.errors import ConsentError, PolicyError, PurposeError
from affectrt.policy import disclosure
from affectrt.policy.audit import AuditLog
from affectrt.policy.checks import DAY_S, check_number, check_partner, check_time, one_of
from affectrt.policy.consent import MODALITIES, Consent, ConsentBook
from affectrt.policy.purpose import Exemption, check_purpose
from affectrt.policy.retention import Retention

USERS = ("adult", "child", "vulnerable")
"""Whom the device serves. "vulnerable" is a grown-up whom age, illness or need makes easier to harm."""

ON_CLAIM = ("report", "rewrite", "stop")
"""What becomes of an answer that claims to feel, to love, to be conscious or human."""

_GENTLE = Retention(
    {
        "frame": 0.0,
        "audio": 0.0,
        "observation": 1 * DAY_S,
        "utterance": 7 * DAY_S,
        "fact": 90 * DAY_S,
        "summary": 90 * DAY_S,
        "portrait": 90 * DAY_S,
    },
    7 * DAY_S,
)
_GENTLE_ABSTAIN = 0.6
_GENTLE_DISCLOSE = 5
_MANY = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """Given to `Face`, `TextEmotion` and the others as `policy=`, it is enforced there. Without one nothing is checked, and the
    application answers for it.

    The decisions are frozen (`dataclasses.replace` makes another policy); the consent book and the log are shared, and may be used from
    several threads.

    With `user` other than "adult" the policy is stricter whatever else is set: labels under a confidence of 0.6 become "unknown", a
    disclosure comes every 5 turns at least, claims are rewritten at least, words kept 7 days and facts 90 at most; no wellbeing analysis,
    no negative stimuli; for a child only a guardian's consent counts.

    Raises:
        TypeError, ValueError: Decisions that are out of range or contradict each other.
        PurposeError: The purpose is forbidden in many places; see `purpose`.
    """

    purpose: str = "companion"
    """One of `PURPOSES`, or "own: ..." in words."""
    exemption: Exemption | None = None
    """For a purpose that is otherwise forbidden; needs `audit`, where it is recorded each time that a policy is made."""
    requires: frozenset[str] = frozenset({"camera", "microphone", "memory"})
    """Modalities that need consent. Text that somebody typed to the device needs none, unless it is named here."""
    own_consent: bool = False
    """True: where a partner is named, only their own consent counts, never a general one."""
    user: str = "adult"
    """One of `USERS`."""
    retention: Retention = field(default_factory=Retention)
    abstain_below: Mapping[str, float] = field(default_factory=dict)
    """Modality to the least confidence, [0, 1], on top of the packs' own thresholds."""
    wellbeing: bool = False
    """Whether wellbeing analysis may run; its results carry `NON_CLINICAL`."""
    negative_stimuli: bool = False
    """Whether a prompt may hold negative stimuli (NegativePrompt)."""
    disclose_every: int | None = 20
    """A disclosure on the first turn and on each so-manieth; None: on the first alone."""
    on_claim: str = "report"
    """One of `ON_CLAIM`."""
    consents: ConsentBook = field(default_factory=ConsentBook)
    audit: AuditLog | None = None
    clock: Callable[[], int] = time.time_ns
    """Nanoseconds since 1970, where a call is given no time."""
    _told: set[tuple[str, str, str | None]] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        for name, kind in (
            ("own_consent", bool),
            ("wellbeing", bool),
            ("negative_stimuli", bool),
            ("retention", Retention),
            ("consents", ConsentBook),
        ):
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"{name}: expected a {kind.__name__}, got {type(getattr(self, name)).__name__}")
        if self.audit is not None and not isinstance(self.audit, AuditLog):
            raise TypeError(f"audit: expected an AuditLog or None, got {type(self.audit).__name__}")
        if isinstance(self.requires, str) or not set(self.requires) <= set(MODALITIES):
            raise ValueError(f"requires: expected a set of {', '.join(MODALITIES)}, got {self.requires!r}")
        one_of("user", self.user, USERS)
        one_of("on_claim", self.on_claim, ON_CLAIM)
        for modality, least in self.abstain_below.items():
            check_number(f"abstain_below[{one_of('abstain_below', modality, MODALITIES)!r}]", least, 0.0, 1.0)
        if self.disclose_every is not None:
            check_number("disclose_every", self.disclose_every, 1)
            if not isinstance(self.disclose_every, int):
                raise TypeError(f"disclose_every: expected an int or None, got {type(self.disclose_every).__name__}")
        if self.user != "adult":
            for name in ("wellbeing", "negative_stimuli"):
                if getattr(self, name):
                    raise ValueError(f"{name}: expected False for user={self.user!r}, got True")
        object.__setattr__(self, "requires", frozenset(self.requires))
        object.__setattr__(self, "abstain_below", MappingProxyType(dict(self.abstain_below)))
        try:
            check_purpose(self.purpose, self.exemption)
        except PurposeError:
            self._refused("purpose", "forbidden", self.clock())
            raise
        if self.exemption is not None:
            if self.audit is None:
                raise ValueError("exemption: expected an audit log to record it in (audit=AuditLog(path)), got none")
            stated = {"ground": self.exemption.ground, "statement": self.exemption.statement, "responsible": self.exemption.responsible}
            self.audit.record("exemption", self.clock(), facts={"purpose": self.purpose, **stated})

    @classmethod
    def strict(
        cls,
        purpose: str = "companion",
        *,
        user: str = "adult",
        consents: ConsentBook | None = None,
        audit: AuditLog | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> Policy:
        """Consent for everything, each named partner's own; a disclosure every 10 turns; claims rewritten; labels under 0.5 are
        "unknown"."""
        return cls(
            purpose=purpose,
            requires=frozenset(MODALITIES),
            own_consent=True,
            user=user,
            abstain_below=dict.fromkeys(MODALITIES, 0.5),
            disclose_every=10,
            on_claim="rewrite",
            consents=ConsentBook() if consents is None else consents,
            audit=audit,
            clock=clock,
        )

    def grant(
        self,
        modality: str,
        *,
        partner: str | None = None,
        given_by: str | None = None,
        valid_s: float | None = None,
        purposes: tuple[str, ...] | None = None,
        now_ns: int | None = None,
    ) -> Consent:
        """Note that somebody consented.

        Args:
            modality: One of `MODALITIES`.
            partner: Whose consent; None is a general one, for whoever is there.
            given_by: One of `GIVERS`; None is the person ("self"), or the deployer for a general one.
            valid_s: For how many seconds; None is until it is withdrawn.
            purposes: What for; None is this policy's purpose.
            now_ns: The time; None takes `clock`.

        Raises:
            TypeError, ValueError: An argument is wrong.
        """
        now = self._now(now_ns)
        expires = None if valid_s is None else now + round(check_number("valid_s", valid_s, 1e-9) * 1e9)
        giver = given_by or ("deployer" if partner is None else "self")
        act = Consent(modality, now, (self.purpose,) if purposes is None else purposes, partner, expires, giver)
        self._take(act, "granted")
        return act

    def withdraw(self, modality: str, *, partner: str | None = None, given_by: str = "self", now_ns: int | None = None) -> Consent:
        """Note that somebody takes their consent back, or says no before they were asked. It holds from the next question on. Arguments
        as of `grant`."""
        act = Consent(modality, self._now(now_ns), (self.purpose,), partner, None, given_by, withdrawn=True)
        self._take(act, "withdrawn")
        return act

    def allows(self, modality: str, *, partner: str | None = None, now_ns: int | None = None) -> bool:
        """Whether `require` would pass."""
        return not self._why_not(modality, partner, self._now(now_ns))

    def require(self, modality: str, *, partner: str | None = None, now_ns: int | None = None) -> None:
        """Pass if the modality may be used now.

        Raises:
            ConsentError: It may not; the text says why and how to mend it. The log, if there is one,
                gets an event ("refused"), once until the reason or the consents change.
        """
        now = self._now(now_ns)
        if why := self._why_not(modality, partner, now):
            self._refused(modality, why.replace(" ", "-"), now, partner)
            whose = f"by {partner!r}" if partner is not None else "by whoever is there"
            mend = "policy.grant({!r}{})".format(modality, f", partner={partner!r}" if partner is not None else "")
            raise ConsentError(f"{modality}: consent {whose} for {self.purpose!r} is needed ({why}); once it is given, note it: {mend}")

    def require_wellbeing(self, *, now_ns: int | None = None) -> str:
        """The notice that a result of wellbeing analysis must carry.

        Raises:
            PolicyError: Wellbeing analysis is off, as it is by default.
        """
        if not self.wellbeing:
            self._refused("wellbeing", "off", self._now(now_ns))
            raise PolicyError(
                "wellbeing: the analysis is off; it is no clinical tool. Policy(wellbeing=True) turns it on, for grown-ups only"
            )
        return disclosure.NON_CLINICAL

    def require_negative_stimuli(self, *, now_ns: int | None = None) -> None:
        """Pass if prompts may hold negative stimuli. Raises PolicyError if not, as by default."""
        if not self.negative_stimuli:
            self._refused("negative-stimuli", "off", self._now(now_ns))
            raise PolicyError("negative_stimuli: they are off; Policy(negative_stimuli=True) turns them on, for grown-ups only")

    def expired(self, kind: str, stamp_ns: int, now_ns: int) -> bool:
        """Whether a record of this kind must go. Pure; see `Retention.expired`."""
        return self._retention.expired(kind, stamp_ns, now_ns)

    def limit_s(self, kind: str) -> float:
        """How many seconds a record of this kind may be kept."""
        return self._retention.limit_s(kind)

    def abstains(self, modality: str, confidence: float) -> bool:
        """Whether a label of this confidence, [0, 1], is to become "unknown"."""
        return not confidence >= self.least_confidence(modality)  # NaN abstains

    def least_confidence(self, modality: str) -> float:
        """The least confidence that a label needs, [0, 1]."""
        own = self.abstain_below.get(one_of("modality", modality, MODALITIES), 0.0)
        return max(own, _GENTLE_ABSTAIN) if self.gentle else own

    def disclosure(self, turn: int) -> str | None:
        """The words to say before the answer of turn number `turn` (the first is 0), or None if none are due."""
        if isinstance(turn, bool) or not isinstance(turn, int) or turn < 0:
            raise ValueError(f"turn: expected an int of at least 0, got {turn!r}")
        every = self.discloses_every
        return disclosure.words(turn, every, simple=self.gentle) if disclosure.due(turn, every) else None

    @property
    def discloses_every(self) -> int | None:
        """`disclose_every`, and 5 at most where the user is no adult."""
        return min(self.disclose_every or _GENTLE_DISCLOSE, _GENTLE_DISCLOSE) if self.gentle else self.disclose_every

    @property
    def claim_action(self) -> str:
        """What becomes of a claim: `on_claim`, and "rewrite" at least where the user is no adult."""
        return "rewrite" if self.gentle and self.on_claim == "report" else self.on_claim

    @property
    def gentle(self) -> bool:
        """Whether the stricter rules hold: the user is a child, or vulnerable."""
        return self.user != "adult"

    @property
    def _retention(self) -> Retention:
        return self.retention.capped(_GENTLE) if self.gentle else self.retention

    def _why_not(self, modality: str, partner: str | None, now_ns: int) -> str:
        one_of("modality", modality, MODALITIES)
        check_partner(partner)
        verdict = self.consents.verdict(modality, partner, self.purpose, now_ns, own=self.own_consent, guardian=self.user == "child")
        # Who said no is heard, also where nobody needs to be asked.
        needed = modality in self.requires or verdict == "withdrawn"
        return verdict if needed and verdict != "given" else ""

    def _now(self, now_ns: int | None) -> int:
        return check_time("now_ns", self.clock() if now_ns is None else now_ns)

    def _take(self, act: Consent, action: str) -> None:
        # The log first: what could not be recorded is not in force. A withdrawal is in force whatever happens to the log.
        self._told.clear()
        if act.withdrawn:
            self.consents.add(act)
        if self.audit is not None:
            facts: dict[str, int | str] = {"modality": act.modality, "action": action, "by": act.given_by}
            if act.expires_ns is not None:
                facts["expires_ns"] = act.expires_ns
            self.audit.record("consent", act.given_ns, facts=facts, content={"purposes": "\n".join(act.purposes)}, partner=act.partner)
        if not act.withdrawn:
            self.consents.add(act)

    def _refused(self, what: str, why: str, now_ns: int, partner: str | None = None) -> None:
        """Once until something changes: a camera that is refused at every frame must not flush the log."""
        if self.audit is None or (what, why, partner) in self._told:
            return
        self.audit.record("refused", now_ns, facts={"what": what, "why": why}, partner=partner)
        if len(self._told) >= _MANY:
            self._told.clear()
        self._told.add((what, why, partner))


def check_policy(policy: object) -> Policy | None:
    """A policy, or None where there is none. Raises TypeError."""
    if policy is not None and not isinstance(policy, Policy):
        raise TypeError(f"policy: expected a Policy or None, got {type(policy).__name__}")
    return policy
