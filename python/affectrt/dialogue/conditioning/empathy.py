"""Chain of empathy: what happened, what they feel, why, what an answer should aim at, the answer; a record of fixed form.

H. Zhang et al., "Towards multimodal empathetic response generation" (AvaMERG, Empatheia), 2025, arXiv 2502.04976: event scenario, emotion,
emotion cause, goal to respond, response. There a large model writes it freely; here a grammar holds a small one to the form, and what small
models know already (the classifier's emotion, a marked cause) is given instead of asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from affectrt.dialogue.cause import Quote, snap
from affectrt.dialogue.prompt import StateLayer, StrategyLayer, feeling_word, one_line, quoted
from affectrt.dialogue.text import check_text

STAGES = ("scenario", "emotion", "cause", "goal", "response")
"""In the order of the chain, which is that of the record: each is written in sight of those before."""

MAX_CHARS: Mapping[str, int] = {"scenario": 160, "cause": 160, "goal": 120, "response": 400}
_MEANING = {
    "scenario": "what happened to them",
    "emotion": "what they feel",
    "cause": "their own words that say why",
    "goal": "what a kind answer should do",
    "response": "the kind answer itself",
}
_LONGEST = 600

Ask = Callable[[str, Mapping[str, Any]], Any]
"""A question and a JSON schema to an answer that fits it, as JSON text or as its value: `lambda question, schema:
dialogue.ask(question, grammar=Grammar.json_schema(schema))`, or a fake."""


@dataclass(frozen=True, slots=True)
class EmpathyChain:
    """The record. A stage that is None is absent."""

    scenario: str | None = None
    emotion: str | None = None
    cause: Quote | None = None
    """A part of what the person said, word for word."""
    goal: str | None = None
    response: str | None = None
    asked: tuple[str, ...] = ()
    """The stages that the language model wrote; the others were known before, or are absent."""

    @property
    def state(self) -> StateLayer:
        """What the prompt of the answer says of the person."""
        return StateLayer(sound=self.emotion, cause=self.cause.text if self.cause is not None else None)

    @property
    def strategy(self) -> StrategyLayer | None:
        """What the prompt of the answer says of the goal; None without one."""
        return StrategyLayer("goal", self.goal) if self.goal is not None else None


def chain_schema(emotions: Sequence[str], stages: Sequence[str] = STAGES) -> dict[str, Any]:
    """The JSON schema of a record: all of `stages`, in the order of the chain, and nothing else.

    Raises:
        ValueError: `stages` are none, come twice or are not `STAGES`; or there is no emotion to choose from.
    """
    _check_stages(stages)
    if "emotion" in stages and (not emotions or len(set(emotions)) != len(emotions) or not all(emotions)):
        raise ValueError(f"emotions: expected different names, at least one, got {list(emotions)!r:.80}")
    texts = {stage: {"type": "string", "minLength": 1, "maxLength": most} for stage, most in MAX_CHARS.items()}
    parts: dict[str, Any] = {**texts, "emotion": {"enum": list(emotions)}}
    wanted = [stage for stage in STAGES if stage in stages]
    return {
        "type": "object",
        "properties": {stage: parts[stage] for stage in wanted},
        "required": wanted,
        "additionalProperties": False,
    }


def parse_chain(answer: str | Mapping[str, Any], said: str, emotions: Sequence[str], stages: Sequence[str] = STAGES) -> EmpathyChain:
    """A record from JSON, checked against `chain_schema`, its cause snapped to what was said (absent if it is not in there).

    Raises:
        ValueError: It does not fit; the text says where.
    """
    _check_stages(stages)
    try:
        values = json.loads(answer) if isinstance(answer, str | bytes) else answer
    except (ValueError, RecursionError) as error:
        raise ValueError(f"chain: expected JSON, got {answer!r:.60}: {error}") from None
    if not isinstance(values, Mapping) or set(values) != set(stages):
        raise ValueError(f"chain: expected an object with {', '.join(stages)}, got {values!r:.80}")
    for stage, value in values.items():
        if not isinstance(value, str) or not value:
            raise ValueError(f"chain: {stage}: expected a text, got {value!r:.60}")
        if stage == "emotion" and value not in emotions:
            raise ValueError(f"chain: emotion: expected one of {', '.join(emotions)}, got {value!r:.60}")
        if stage != "emotion" and len(value) > MAX_CHARS[stage]:
            raise ValueError(f"chain: {stage}: expected at most {MAX_CHARS[stage]} characters, got {len(value)}")
    texts = {stage: one_line(value) or None for stage, value in values.items() if stage != "cause"}
    found = snap(values["cause"], said) if "cause" in values else None
    return EmpathyChain(**texts, cause=found.quote if found is not None else None, asked=tuple(s for s in STAGES if s in stages))


def chain_of_empathy(
    said: str,
    ask: Ask,
    *,
    emotions: Sequence[str],
    emotion: str | None = None,
    cause: Quote | None = None,
    stages: Sequence[str] = STAGES,
) -> EmpathyChain:
    """Fill the record: what is known is taken, the rest is asked in one question.

    Args:
        said: What the person said.
        ask: Asks the language model. Not called if nothing is left to ask.
        emotions: Names to choose from.
        emotion: Known already, such as the classifier's label; need not be among `emotions`.
        cause: Known already, a quote of `said`.
        stages: Which are wanted.

    Raises:
        TypeError: `said` is no str.
        ValueError: An argument is wrong, or the answer does not fit.
    """
    check_text(said, "said")
    _check_stages(stages)
    if cause is not None and said[cause.start : cause.end] != cause.text:
        raise ValueError(f"cause: expected a part of what was said, got {cause.text!r:.60}")
    if emotion is not None and not feeling_word(emotion):
        raise ValueError(f"emotion: expected a name, got {emotion!r:.60}")
    known = {"emotion": emotion, "cause": cause}
    asked = [stage for stage in STAGES if stage in stages and known.get(stage) is None]
    given = EmpathyChain(emotion=emotion if "emotion" in stages else None, cause=cause if "cause" in stages else None)
    if not asked:
        return given
    chain = parse_chain(ask(_question(said, given, asked), chain_schema(emotions, asked)), said, emotions, asked)
    return EmpathyChain(chain.scenario, given.emotion or chain.emotion, given.cause or chain.cause, chain.goal, chain.response, chain.asked)


def _question(said: str, given: EmpathyChain, asked: Sequence[str]) -> str:
    lines = [f"Someone says {quoted(said, _LONGEST)}"]
    if given.emotion is not None:
        lines.append(f"They feel {feeling_word(given.emotion)}.")
    if given.cause is not None:
        lines.append(f"It is about {quoted(given.cause.text, MAX_CHARS['cause'])}.")
    lines.append("Answer with JSON: " + "; ".join(f"{stage}: {_MEANING[stage]}" for stage in asked) + ".")
    return "\n".join(lines)


def _check_stages(stages: Sequence[str]) -> None:
    if isinstance(stages, str) or not stages or len(set(stages)) != len(stages) or not set(stages) <= set(STAGES):
        raise ValueError(f"stages: expected some of {', '.join(STAGES)}, each once, got {stages!r:.80}")
