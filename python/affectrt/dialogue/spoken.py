"""Words that no model made, in the place of a reply."""

from __future__ import annotations

from collections.abc import Iterator

from affectrt.dialogue.reply import ReplyStats


class Spoken(Iterator[str]):
    """One piece, or none if there are no words; it has what a `Reply` has, and costs nothing."""

    def __init__(self, words: str) -> None:
        """Nothing is said yet."""
        self._words = words
        self._said = self._cancelled = False

    def __next__(self) -> str:
        if self._said or self._cancelled or not self._words:
            raise StopIteration
        self._said = True
        return self._words

    def read(self) -> str:
        """The words."""
        return "".join(self) or self.text

    def cancel(self) -> None:
        """Say nothing, if nothing was said yet."""
        self._cancelled = not self._said

    def close(self) -> None:
        """As `cancel`."""
        self.cancel()

    @property
    def text(self) -> str:
        """What was said so far."""
        return self._words if self._said else ""

    @property
    def stats(self) -> ReplyStats:
        """All zeros; `finish` is "spoken"."""
        finish = "cancelled" if self._cancelled else "spoken" if self._said or not self._words else ""
        return ReplyStats(0, 0, 0, None, None, self._cancelled, finish, 0, 0)
