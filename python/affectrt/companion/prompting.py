"""What the model is told for one answer: the layers, and the trace of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from affectrt.companion.person import Person
from affectrt.companion.state import CompanionState, Impression
from affectrt.dialogue import Dialogue, Reply
from affectrt.dialogue.conditioning import Stimulus, cause_words
from affectrt.dialogue.persona import Persona
from affectrt.dialogue.prompt import (
    Assembled,
    Layer,
    MemoryLayer,
    PersonaLayer,
    PromptTrace,
    StateLayer,
    StrategyLayer,
    TurnLayer,
    assemble,
    join_turn,
)
from affectrt.dialogue.strategy import Plan, Situation
from affectrt.policy import Policy


class PlansStrategy(Protocol):
    """What Companion asks of `strategy`; `Planner` is one."""

    def plan(self, situation: Situation, history: Sequence[str] = ()) -> Plan: ...  # noqa: D102


class Prompting:
    """Makes prompts that begin alike: with the persona, and the stimulus if there is one."""

    def __init__(self, persona: Persona, stimulus: Stimulus | None, planner: PlansStrategy | None, policy: Policy | None) -> None:
        """Raises TypeError for what is no Stimulus, or plans nothing; PolicyError for a negative one that the policy does not allow."""
        if not (stimulus is None or isinstance(stimulus, Stimulus)):
            raise TypeError(f"stimulus: expected a Stimulus or None, got {type(stimulus).__name__}")
        if planner is not None and not callable(getattr(planner, "plan", None)):
            raise TypeError(f"strategy: expected a Planner, False or None, got {type(planner).__name__}")
        self._always: list[Layer] = [PersonaLayer.of(persona)]
        if stimulus is not None:
            self._always.append(stimulus.layer(policy))
        self._planner = planner

    @property
    def system(self) -> str:
        """The system message of every conversation."""
        return "\n".join(layer.render() for layer in self._always)

    def plan(self, person: Person, state: CompanionState, text: str) -> Plan | None:
        """The strategy of the next answer, by all that is known of how they feel; None without a planner."""
        if self._planner is None:
            return None
        turns = person.conversation.turns
        situation = Situation.of(state.affect, turn=len(turns), text=text, recent=tuple(person.strategies))
        plan = self._planner.plan(situation, [turn.user for turn in turns] + [text])
        if not isinstance(plan, Plan):
            raise TypeError(f"strategy: expected a Plan of its plan (Plan.of makes one), got {type(plan).__name__}")
        return plan

    def assemble(
        self, text: str, state: CompanionState, read: Impression | None, memory: MemoryLayer | None, plan: Plan | None
    ) -> Assembled:
        """The prompt. What is unknown is left out, never guessed at: a wrong "you look sad" is worse than none."""
        look, sound = state.seen.label if state.seen else None, read.label if read else None
        feels = any(label not in (None, "neutral") for label in (look, sound))
        causes = cause_words(text) if feels else ()
        layers: list[Layer] = [*self._always, StateLayer(look, sound, causes[0].text if causes else None), TurnLayer(text)]
        if memory is not None:
            layers.append(memory)
        if plan is not None:
            layers.append(StrategyLayer(plan.strategy.value, plan.prompt))
        return assemble(layers)


def trace_of(prompt: Assembled, reply: Reply, dialogue: Dialogue) -> PromptTrace:
    """All that an answer depends on, as it stands now: turns may leave the context until its first piece."""
    return PromptTrace(
        prompt,
        tuple((join_turn(turn.note, turn.user), turn.assistant) for turn in reply.context.turns),
        model=f"{dialogue.pack.name} {dialogue.pack.version} {dialogue.precision}",
        seed=reply.stats.seed,
        sampling=reply.sampling,
        summary=reply.context.summary or "",
    )


def audited(trace: PromptTrace) -> dict[str, str]:
    """What the audit log takes digests of: each layer, and the trace whole."""
    layers = {"said" if isinstance(layer, TurnLayer) else layer.layer: layer.render() for layer in trace.layers}
    return {**layers, "trace": trace.to_json()}
