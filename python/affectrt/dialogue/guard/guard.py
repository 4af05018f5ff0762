"""The guard of one conversation: what the person says is looked at before anything is generated, what the machine says while it comes."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from affectrt.dialogue.guard.claims import Claim
from affectrt.dialogue.guard.crisis import Crisis, find_crises
from affectrt.dialogue.guard.filter import ClaimFilter, Rewrite
from affectrt.policy import Policy, check_policy

DEFAULT_ANSWERS: Mapping[str, str] = MappingProxyType(
    {
        "self-harm": (
            "What you say worries those who made me, and it matters more than talking with a machine. Please tell a person you trust "
            "now, or call a crisis line or the emergency number where you are. You do not have to be alone with this."
        ),
        "harm-by-others": (
            "If somebody is hurting or threatening you, that is not your fault. I am a machine and cannot get help to you. If you are "
            "in danger now, call the emergency number where you are; if you can, go to a person you trust."
        ),
        "medical": (
            "This may be an emergency, and I am a machine that cannot judge it. Please call the emergency number where you are now, or "
            "ask someone near you to call."
        ),
    }
)
"""Said without a hook, and without the language model, by the category of the first phrase."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens next with what the person said."""

    action: Literal["go", "answer", "refuse"]
    """"go": generate. "answer": say `text`, generate nothing. "refuse": generate nothing; say `text` if there is one."""
    text: str = ""
    crises: tuple[Crisis, ...] = ()
    """What was found in the person's words."""

    def __post_init__(self) -> None:
        if self.action not in ("go", "answer", "refuse"):
            raise ValueError(f"action: expected go, answer or refuse, got {self.action!r}")
        if not isinstance(self.text, str):
            raise TypeError(f"text: expected a str, got {type(self.text).__name__}")
        if bool(self.text.strip()) != (self.action == "answer") and self.action != "refuse":
            raise ValueError(f"text: expected {'words' if self.action == 'answer' else 'none'} with {self.action!r}, got {self.text!r}")

    @classmethod
    def go(cls) -> Decision:
        """Generate an answer as ever."""
        return cls("go")

    @classmethod
    def answer(cls, text: str) -> Decision:
        """Say this; generate nothing."""
        return cls("answer", text)

    @classmethod
    def refuse(cls, text: str = "") -> Decision:
        """Generate nothing."""
        return cls("refuse", text)


CrisisHook = Callable[[Crisis], Decision]


class Guard:
    """One for each conversation, as it counts the turns. Pure but for the policy's audit log; one turn at a time.

    Args:
        policy: Decides how often a disclosure comes and what becomes of claims; its audit log, if any, gets each event. None takes
            `Policy()`.
        on_crisis: Called with each phrase of a crisis, in order, before anything is generated, until it decides other than
            `Decision.go()`. What it raises goes up to the caller, and nothing is generated. None answers with `DEFAULT_ANSWERS`, without
            the model.
        rewrite: See `ClaimFilter`.
        turns: How many turns there were before, of a conversation that goes on.

    Raises:
        TypeError, ValueError: `policy` is no Policy, a hook cannot be called, or `turns` is no count.
    """

    def __init__(
        self,
        policy: Policy | None = None,
        *,
        on_crisis: CrisisHook | None = None,
        rewrite: Rewrite | None = None,
        turns: int = 0,
    ) -> None:
        for name, hook in (("on_crisis", on_crisis), ("rewrite", rewrite)):
            if hook is not None and not callable(hook):
                raise TypeError(f"{name}: expected a function or None, got {type(hook).__name__}")
        if isinstance(turns, bool) or not isinstance(turns, int) or turns < 0:
            raise ValueError(f"turns: expected an int of at least 0, got {turns!r}")
        self._policy = check_policy(policy) or Policy()
        self._on_crisis, self._rewrite = on_crisis, rewrite
        self._lock = threading.Lock()
        self._turns = turns

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._policy

    @property
    def turns(self) -> int:
        """How many turns were counted."""
        return self._turns

    def before(self, text: str, *, partner: str | None = None, now_ns: int | None = None) -> Decision:
        """Look at what the person said, before anything is generated or remembered.

        Args:
            text: Their words.
            partner: Who they are, for the audit log.
            now_ns: The time, in nanoseconds since 1970, for the audit log; None takes the policy's clock.

        Raises:
            TypeError: `text` is not a str, or the hook returned no Decision.
        """
        crises = find_crises(text)
        decision = Decision.go()
        for crisis in crises:
            decision = self._decide(crisis)
            self._record("crisis", {"category": crisis.category, "action": decision.action}, {"said": text}, partner, now_ns)
            if decision.action != "go":
                break
        return Decision(decision.action, decision.text, crises)

    def turn(self, *, partner: str | None = None, now_ns: int | None = None) -> str | None:
        """Count a turn; returns the disclosure to say before its answer, or None if none is due."""
        with self._lock:
            turn, self._turns = self._turns, self._turns + 1
        words = self._policy.disclosure(turn)
        if words is not None:
            self._record("disclosed", {"turn": turn}, {}, partner, now_ns)
        return words

    def stream(self, pieces: Iterable[str], *, partner: str | None = None, now_ns: int | None = None) -> GuardedStream:
        """The answer's pieces as they may be shown. If `pieces` has a method `close` (as a Reply has), it is called when the answer is
        stopped."""
        return GuardedStream(pieces, self._filter(), lambda claim, action: self._note(claim, action, partner, now_ns))

    def astream(self, pieces: AsyncIterable[str], *, partner: str | None = None, now_ns: int | None = None) -> AsyncGuardedStream:
        """`stream` for `async for`; what is called when it is stopped is `aclose`."""
        return AsyncGuardedStream(pieces, self._filter(), lambda claim, action: self._note(claim, action, partner, now_ns))

    def replied(self, content: Mapping[str, str], *, partner: str | None = None, now_ns: int | None = None) -> None:
        """Put digests of an answer, and of what led to it, into the audit log, if there is one.

        Args:
            content: Text by its name: "system", "persona", "stimulus", "memory", "state", "strategy", "said", "answer", "trace".
            partner, now_ns: As in `before`.

        Raises:
            OSError, ValueError: As `AuditLog.record`.
        """
        self._record("reply", {"turn": max(0, self._turns - 1)}, content, partner, now_ns)

    def _filter(self) -> ClaimFilter:
        return ClaimFilter(self._policy.claim_action, self._rewrite)

    def _decide(self, crisis: Crisis) -> Decision:
        if self._on_crisis is None:
            return Decision.answer(DEFAULT_ANSWERS[crisis.category])
        decision = self._on_crisis(crisis)
        if not isinstance(decision, Decision):
            raise TypeError(f"on_crisis: expected it to return a Decision, got {type(decision).__name__}")
        return decision

    def _note(self, claim: Claim, action: str, partner: str | None, now_ns: int | None) -> None:
        self._record("claim", {"category": claim.category, "action": action}, {"sentence": claim.sentence}, partner, now_ns)

    def _record(
        self, kind: str, facts: Mapping[str, int | str], content: Mapping[str, str], partner: str | None, now_ns: int | None
    ) -> None:
        if self._policy.audit is not None:
            at = self._policy.clock() if now_ns is None else now_ns
            self._policy.audit.record(kind, at, facts=facts, content=content, partner=partner)


class _Watched:
    """What both streams share: the filter, what was shown, and the claims that were told already."""

    def __init__(self, filter_: ClaimFilter, note: Callable[[Claim, str], None], action: str) -> None:
        self._filter, self._note, self._action = filter_, note, action
        self._told = 0
        self._shown: list[str] = []

    @property
    def claims(self) -> tuple[Claim, ...]:
        """What was found so far; offsets count in the text as the model wrote it."""
        return self._filter.claims

    @property
    def stopped(self) -> bool:
        """Whether a claim has ended the answer."""
        return self._filter.stopped

    @property
    def text(self) -> str:
        """What was shown so far: what the conversation should remember as said."""
        return "".join(self._shown)

    def _show(self, out: str) -> str:
        for claim in self._filter.claims[self._told :]:
            self._told += 1
            self._note(claim, self._action)
        if out:
            self._shown.append(out)
        return out


class GuardedStream(_Watched, Iterator[str]):
    """Iterate to get the pieces; none is empty."""

    def __init__(self, pieces: Iterable[str], filter_: ClaimFilter, note: Callable[[Claim, str], None]) -> None:
        """Made by `Guard.stream`."""
        super().__init__(filter_, note, filter_.action)
        self._source = pieces
        self._pieces = iter(pieces)
        self._over = False

    def __iter__(self) -> GuardedStream:
        return self

    def __next__(self) -> str:
        """The next piece. Raises StopIteration at the end, and whatever the source raises."""
        while not self._over:
            try:
                out = self._filter.feed(next(self._pieces))
            except StopIteration:
                self._over = True
                out = self._filter.close()
            if self._filter.stopped and not self._over:
                self.close()
            if self._show(out):
                return out
        raise StopIteration

    def close(self) -> None:
        """Stop the source, if it can be stopped; nothing more comes."""
        self._over = True
        close = getattr(self._source, "close", None)
        if callable(close):
            close()


class AsyncGuardedStream(_Watched, AsyncIterator[str]):
    """The same for `async for`."""

    def __init__(self, pieces: AsyncIterable[str], filter_: ClaimFilter, note: Callable[[Claim, str], None]) -> None:
        """Made by `Guard.astream`."""
        super().__init__(filter_, note, filter_.action)
        self._source = pieces
        self._pieces = aiter(pieces)
        self._over = False

    def __aiter__(self) -> AsyncGuardedStream:
        return self

    async def __anext__(self) -> str:
        """The next piece. Raises StopAsyncIteration at the end, and whatever the source raises."""
        while not self._over:
            try:
                out = self._filter.feed(await anext(self._pieces))
            except StopAsyncIteration:
                self._over = True
                out = self._filter.close()
            if self._filter.stopped and not self._over:
                await self.aclose()
            if self._show(out):
                return out
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """As `GuardedStream.close`."""
        self._over = True
        close = getattr(self._source, "aclose", None)
        if callable(close):
            await close()
