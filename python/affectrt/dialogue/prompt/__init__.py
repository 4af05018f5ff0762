"""What the model is told, layer by layer, and a trace of it that can be built anew.

prompt = assemble([PersonaLayer.of(persona), StateLayer(sound="sadness"), StrategyLayer.of(plan.strategy), TurnLayer("I failed again.")])
chat = dialogue.conversation(prompt.system)
reply = chat.reply(prompt.words, note=prompt.note)
trace = PromptTrace(prompt, model=dialogue.pack.name, seed=reply.stats.seed)
PromptTrace.from_json(trace.to_json()).sha256 == trace.sha256
"""

from affectrt.dialogue.prompt.assembled import NOTE_END, Assembled, assemble, join_turn
from affectrt.dialogue.prompt.clean import name, one_line, paragraph, quoted, visible
from affectrt.dialogue.prompt.layers import (
    LAYERS,
    MAX_CAUSE,
    MAX_MEMORY,
    Layer,
    MemoryLayer,
    MemoryLine,
    PersonaLayer,
    StateLayer,
    StimulusLayer,
    StrategyLayer,
    SystemLayer,
    TurnLayer,
)
from affectrt.dialogue.prompt.trace import PromptTrace
from affectrt.dialogue.prompt.words import feeling_word, observation_note

__all__ = [
    "LAYERS",
    "MAX_CAUSE",
    "MAX_MEMORY",
    "NOTE_END",
    "Assembled",
    "Layer",
    "MemoryLayer",
    "MemoryLine",
    "PersonaLayer",
    "PromptTrace",
    "StateLayer",
    "StimulusLayer",
    "StrategyLayer",
    "SystemLayer",
    "TurnLayer",
    "assemble",
    "feeling_word",
    "join_turn",
    "name",
    "observation_note",
    "one_line",
    "paragraph",
    "quoted",
    "visible",
]
