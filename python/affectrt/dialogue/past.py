"""What was said, to be gone on from."""

from __future__ import annotations

from dataclasses import dataclass

from affectrt.dialogue.engine import Model
from affectrt.dialogue.reply import Turn
from affectrt.dialogue.text import LONE_SURROGATE, TextStream, check_text


@dataclass(frozen=True, slots=True)
class Past:
    """What was said in a conversation, and what of it the model still sees: all that it takes to go on with it in another run."""

    turns: tuple[Turn, ...] = ()
    left: int = 0
    """How many of the oldest turns are no longer in the context."""
    summary: str | None = None
    """What the model was left to know of those; see `Conversation.summary`."""

    def __post_init__(self) -> None:
        for turn in self.turns:
            check_text(turn.user, "the user's text of a turn")
            if turn.note:
                check_text(turn.note, "the note of a turn")
            if not isinstance(turn.assistant, str) or LONE_SURROGATE.search(turn.assistant):
                raise ValueError(f"the answer of a turn must be a str of valid Unicode, got {turn.assistant!r:.80}")
        if isinstance(self.left, bool) or not isinstance(self.left, int) or not 0 <= self.left <= len(self.turns):
            raise ValueError(f"left must be a number of the {len(self.turns)} turns, got {self.left!r}")
        if self.summary is not None:
            check_text(self.summary, "summary")
            if not self.left:
                raise ValueError("summary must be None while no turn has left the context")

    def latest(self, most: int) -> Past:
        """The last `most` turns, and further ones if the model still sees them or has only a summary of all before."""
        first = max(0, min(len(self.turns) - most, self.left - (self.summary is not None)))
        return Past(self.turns[first:], self.left - first, self.summary)


def own_tokens(turn: Turn, model: Model) -> tuple[int, ...] | None:
    """The tokens of a turn's answer; None if they spell something else in this model, or hold a control token."""
    if turn.tokens is None or not all(type(token) is int and 0 <= token < model.vocabulary_size for token in turn.tokens):
        return None
    stream, pieces = TextStream(), [model.piece(token) for token in turn.tokens]
    spelled = "".join([*map(stream.feed, pieces), stream.close()])
    return turn.tokens if spelled == turn.assistant and all(pieces) else None
