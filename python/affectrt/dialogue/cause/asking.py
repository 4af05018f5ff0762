"""A cause by the language model, snapped to what was said."""

from __future__ import annotations

from collections.abc import Callable

from affectrt.dialogue.cause.snap import Snapped, snap
from affectrt.dialogue.prompt import feeling_word, quoted
from affectrt.dialogue.text import check_text

LONGEST = 600
"""Characters of what was said that the model is shown."""


def ask_cause(said: str, emotion: str, ask: Callable[[str], str], *, least: float = 0.6) -> Snapped | None:
    """The part of `said` that a language model names as the cause of an emotion.

    The task is that of M. M. Imran et al., "Uncovering the causes of emotions in software developer communication using zero-shot LLMs",
    ICSE 2024; the words are ours, for theirs have no licence. Whatever the model writes, the result is a part of `said`, word for word.

    Args:
        said: One turn. The model is shown it on one line, shortened to `LONGEST` characters.
        emotion: A label of any taxonomy.
        ask: A question to an answer: `dialogue.ask`, or a fake.
        least: As of `snap`.

    Returns:
        None if the model finds no cause, or names one that is not in there.

    Raises:
        TypeError, ValueError: `said` is not a text that can be read, or `emotion` names nothing.
    """
    check_text(said, "said")
    feeling = feeling_word(emotion)
    if not feeling:
        raise ValueError(f"emotion: expected a name, got {emotion!r:.60}")
    question = (
        f"Someone says {quoted(said, LONGEST)} They feel {feeling}. Which part of it says why? "
        "Copy that part word for word in quotation marks, and write nothing else."
    )
    return snap(ask(question), said, least=least)
