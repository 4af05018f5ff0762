"""Layers put together to the two messages that they make: the system message, and the person's turn with what goes before their words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from affectrt.dialogue.prompt.layers import LAYERS, Layer, TurnLayer

NOTE_END = "\n\n"
"""Between what we say in a turn and what the person says; neither holds a blank line of its own."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """Layers in the order of the prompt. Made by `assemble`."""

    layers: tuple[Layer, ...]

    @property
    def system(self) -> str | None:
        """The system message; None if no layer is in it: for `Dialogue.conversation`."""
        return _join(self.layers, "system") or None

    @property
    def note(self) -> str | None:
        """What goes before the person's words; None if there is nothing: for `Conversation.reply(words, note=note)`."""
        return _join(self.layers[:-1], "user") or None

    @property
    def words(self) -> str:
        """What the person says."""
        return self.layers[-1].render()

    @property
    def turn(self) -> str:
        """The whole user message: note and words."""
        return join_turn(self.note, self.words)

    def costs(self, count: Callable[[str], int]) -> dict[str, int]:
        """Tokens of each layer by its name, in the order of the prompt.

        What a layer adds to the message that it stands in, the line break before it included: they sum up to the tokens of the two
        messages, without those of the template.

        Args:
            count: How many tokens a text has, its lines tokenised apart as in a prompt: `Dialogue.count_tokens`.
        """
        costs: dict[str, int] = {}
        for role in ("system", "user"):
            before, so_far = 0, ""
            for layer in self.layers:
                text = layer.render() if layer.role == role else ""
                if not text:
                    continue
                gap = "" if not so_far else NOTE_END if isinstance(layer, TurnLayer) else "\n"
                so_far += gap + text
                total = count(so_far)
                costs[layer.layer], before = total - before, total
        return costs


def assemble(layers: Sequence[Layer]) -> Assembled:
    """Put layers in order; those that have nothing to say are left out.

    Raises:
        TypeError: Something is no layer.
        ValueError: A kind comes twice, or there is no turn.
    """
    places: dict[type[Layer], Layer] = {}
    for layer in layers:
        if type(layer) not in LAYERS:
            raise TypeError(f"layers: expected layers of affectrt.dialogue.prompt, got {type(layer).__name__}")
        if type(layer) in places:
            raise ValueError(f"layers: expected at most one of each kind, got {layer.layer} twice")
        places[type(layer)] = layer
    if TurnLayer not in places:
        raise ValueError(f"layers: expected a turn, got {', '.join(layer.layer for layer in layers) or 'none'}")
    ordered = (places[kind] for kind in LAYERS if kind in places)
    return Assembled(tuple(layer for layer in ordered if layer.render()))


def join_turn(note: str | None, words: str) -> str:
    """The user message of a turn, as `Conversation` puts it together."""
    return f"{note}{NOTE_END}{words}" if note else words


def _join(layers: Sequence[Layer], role: str) -> str:
    return "\n".join(text for layer in layers if layer.role == role and (text := layer.render()))
