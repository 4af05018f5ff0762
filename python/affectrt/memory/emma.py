"""The texts that EMMA's model reads and writes, for a sequence-to-sequence model that was trained on them.

J. Jang et al., "Mixed-session conversation with egocentric memory", Findings of EMNLP 2024 (arXiv 2410.02503): one speaker meets
a partner a session, keeps what was learnt of both, and takes up what belongs together. The model is not here: these are the forms of its
inputs, with single spaces, and the readers of its outputs. `MemoryStore.link_pass(id, judge(ask))` keeps its links.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from affectrt.memory.items import Memory

_ONES = ("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
_TEENS = ("tenth", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth", "nineteenth")
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def ordinal(number: int) -> str:
    """first, second, twenty-third: in words up to 99, from there on as 100th. ValueError for what is not an int of at least 1."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ValueError(f"session: expected an int of at least 1, got {number!r}")
    if number > 99:
        ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
        return f"{number}{ending}"
    tens, ones = divmod(number, 10)
    if tens == 0:
        return _ONES[ones]
    if tens == 1:
        return _TEENS[ones]
    return f"{_TENS[tens]}-{_ONES[ones]}" if ones else f"{_TENS[tens][:-1]}ieth"


def session(speakers: Sequence[tuple[str, str]], number: int, turns: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Who talks, and what was said in this session: the two parts between which memories go.

    Args:
        speakers: Name and occupation of each.
        number: Of the session, from 1.
        turns: Name and words, oldest first.
    """
    who = " ".join(f"[{name}] {occupation}" for name, occupation in speakers)
    said = " ".join(f"[{name}] {words}" for name, words in turns)
    return who, f"[NOW] {ordinal(number)} session {said}".rstrip()


def generation_input(who: str, now: str, speaker: str, memory: str | None = None, links: Sequence[str] = ()) -> str:
    """What the model answers as `speaker`, in the light of a memory and of those linked with it. The first session has none.

    Raises:
        ValueError: There are links without a memory, or the memory is its own link.
    """
    if memory is None and links:
        raise ValueError(f"links: expected none without a memory, got {len(links)}")
    if memory in links:
        raise ValueError(f"links: expected other memories than {memory!r} itself")
    parts = [] if memory is None else [f"[MEMORY] {memory}", *(f"[LINK] {link}" for link in links)]
    return " ".join(["generation:", who, *parts, now, f"[{speaker}]"])


def summary_input(who: str, now: str, about: str) -> str:
    """What the model sums up a session from, once for each speaker."""
    return f"summarize [ABOUT_{about}]: {who} {now}"


def memories_of_summary(summary: str, about: str, number: int) -> tuple[str, ...]:
    """The memories in a summary: parts between [SEP], none of [NONE], each with whom and which session it is of."""
    if "[NONE]" in summary:
        return ()
    parts = (" ".join(part.split()) for part in summary.split("[SEP]"))
    return tuple(f"{part} (about {about}, from {ordinal(number)} session)" for part in parts if part)


def link_input(a: str, b: str) -> str:
    """What the model judges two memories by."""
    return f"memory sentence1: {a} memory sentence2: {b}"


def judge(ask: Callable[[str], str]) -> Callable[[Memory, Memory], bool]:
    """For `MemoryStore.link_pass`: whether the model, `ask`, calls a pair positive."""
    return lambda a, b: "positive" in ask(link_input(a.text, b.text))
