"""An answer as it may be shown, by the rules of a policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from affectrt.dialogue import Conversation, Reply, ReplyStats
from affectrt.dialogue.guard import Claim, Guard


class GuardedReply(Iterator[str]):
    """A `Reply` behind a guard: the disclosure first, if one is due, then the pieces as the policy lets them through.

    When it ends, the conversation remembers what was shown, not what the model wrote: a claim that was rewritten does not come back. The
    audit log, if there is one, gets the digests of it and of what led to it.
    """

    def __init__(
        self, reply: Reply, conversation: Conversation, guard: Guard, partner: str | None, content: Callable[[], Mapping[str, str]]
    ) -> None:
        """Counts as a turn of the guard once its first piece is asked for. `content`: what of the prompt the audit log takes digests of."""
        self._reply, self._conversation = reply, conversation
        self._guard, self._partner, self._content = guard, partner, content
        self._said_before = ""
        self._stream = guard.stream(reply, partner=partner)
        self._begun = self._over = False

    def __next__(self) -> str:
        if self._over:
            raise StopIteration
        if not self._begun:
            self._begun, words = True, self._guard.turn(partner=self._partner)
            if words is not None:
                self._said_before = f"{words} "
                return self._said_before
        try:
            return next(self._stream)
        except StopIteration:
            self._end()
            raise

    def __del__(self) -> None:
        if not getattr(self, "_over", True):  # dropped early: what was held back is not to be gone on from either
            self.close()

    def read(self) -> str:
        """Wait for the end; returns all that was shown."""
        for _ in self:
            pass
        return self.text

    def cancel(self) -> None:
        """Stop as soon as possible."""
        self._reply.cancel()

    def close(self) -> None:
        """Cancel, and wait until the next reply may begin."""
        self._reply.close()
        self._end()

    def settle(self) -> None:
        """Close it if it is over or was cancelled, though nobody has read it to its end: what was shown until now is what counts."""
        if self._reply.cancelling or self._reply.stats.finish:
            self.close()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._conversation.amend(self._reply.text, self._stream.text)
            if self._begun:
                self._guard.replied({**self._content(), "answer": self.text}, partner=self._partner)

    @property
    def text(self) -> str:
        """What was shown so far."""
        return self._said_before + self._stream.text

    @property
    def claims(self) -> tuple[Claim, ...]:
        """What was found so far; offsets count in the text as the model wrote it."""
        return self._stream.claims

    @property
    def stopped(self) -> bool:
        """Whether a claim has ended the answer."""
        return self._stream.stopped

    @property
    def stats(self) -> ReplyStats:
        """Of the model's reply."""
        return self._reply.stats
