"""One analysis, from the policy's leave to the line in its log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from affectrt.dialogue.dialogue import Dialogue
from affectrt.dialogue.grammar import Grammar
from affectrt.dialogue.guard import Decision, Guard
from affectrt.dialogue.wellbeing.answers import Reading, parse
from affectrt.dialogue.wellbeing.prompts import Cue, Example, build_prompt, grammar

Ask = Callable[[str, str], str]
"""A prompt and a grammar (GBNF) to the model's answer: `asker(dialogue)`, or a fake."""

_MAX_TOKENS = 320


@dataclass(frozen=True, slots=True)
class WellbeingResult:
    """What an analysis came to. It cannot be made without its notice: `str(result)` has both.

    Raises:
        ValueError: There is no notice.
    """

    answer: Literal["yes", "no"] | None
    """None where the analysis abstains."""
    reasoning: str
    """The model's reason in its own words, perhaps wrong, perhaps ""."""
    abstained: str
    """Why there is no answer, one of `ABSTAINED`; else ""."""
    notice: str
    """What must be shown with it."""
    decision: Decision
    """What the guard decided about the text. With "answer" its words are to be said to the person."""
    prompt: str = ""
    """What the model was asked; "" if it was not."""

    def __post_init__(self) -> None:
        if not self.notice.strip():
            raise ValueError("notice: expected the words that stand with every wellbeing result, got none")

    def __str__(self) -> str:
        answer = self.answer or f"no answer ({self.abstained})"
        return f"{answer}: {self.reasoning}\n{self.notice}" if self.reasoning else f"{answer}\n{self.notice}"


def asker(dialogue: Dialogue) -> Ask:
    """Asks a `Dialogue`; the likeliest answer, the same each time."""

    def ask(prompt: str, form: str) -> str:
        return dialogue.answer(prompt, grammar=Grammar.gbnf(form), max_tokens=_MAX_TOKENS).read()

    return ask


def analyse(
    said: str,
    question: str,
    ask: Ask,
    guard: Guard,
    *,
    family: str = "plain",
    cue: Cue | None = None,
    least: float = 0.5,
    examples: Sequence[Example] = (),
    partner: str | None = None,
    now_ns: int | None = None,
) -> WellbeingResult:
    """Ask whether a text tells of something.

    In this order: the policy must allow the analysis, and reading this person's text; the guard looks for words of a crisis, and unless
    its hook decides to go on, the model is not asked; the answer is read, in doubt as none; the policy's log gets an event "wellbeing".

    Args:
        said: The text.
        question: One of `QUESTIONS`, or your own, to be answered with yes or no.
        ask: The language model.
        guard: Whose policy and crisis hook hold; that of the conversation, if there is one.
        family, cue, least, examples: As of `build_prompt`.
        partner: Who said it: whose consent counts, and whose digests the log's are.
        now_ns: Nanoseconds since 1970; None takes the policy's clock.

    Raises:
        PolicyError: The policy does not allow the analysis, as by default, or a consent is missing.
        TypeError, ValueError: As `build_prompt`, before anything is asked.
    """
    if not isinstance(guard, Guard):
        raise TypeError(f"guard: expected a Guard, got {type(guard).__name__}")
    policy = guard.policy
    notice = policy.require_wellbeing(now_ns=now_ns)
    policy.require("text", partner=partner, now_ns=now_ns)
    prompt = build_prompt(said, question, family, cue=cue, least=least, examples=examples)
    decision = guard.before(said, partner=partner, now_ns=now_ns)
    raw = ""
    if decision.action == "go":
        raw = ask(prompt, grammar(family))
        reading = parse(raw)
    else:
        prompt, reading = "", Reading(None, "", "crisis")
    if policy.audit is not None:
        at = policy.clock() if now_ns is None else now_ns
        facts = {"abstained": int(reading.answer is None)}
        policy.audit.record("wellbeing", at, facts=facts, content={"said": said, "answer": raw}, partner=partner)
    return WellbeingResult(reading.answer, reading.reasoning, reading.abstained, notice, decision, prompt)
