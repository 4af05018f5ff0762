"""What a small model knows, brought to a large one: emotion, cause, a chain of reasoning, stimuli, and tasks with answers of fixed form.

Every part takes the language model as a function, so that anything may stand in for it.

decide_emotion(text, probs, labels, chooser(dialogue)) # HEF: the classifier's likeliest first -> EmotionDecision
cause_words(text, score)                               # what carries the feeling, word for word -> Quotes
chain_of_empathy(text, ask, emotions=labels)           # scenario, emotion, cause, goal, response -> EmpathyChain
compose(prompt, STIMULI["EP02"])                       # EmotionPrompt
TASKS["emotions"].prompt(text)                         # EmoLLMs, with .grammar() and .parse()
"""

from affectrt.dialogue.conditioning.cause_words import cause_words
from affectrt.dialogue.conditioning.decision import REFUSAL, Choose, EmotionDecision, chooser, decide_emotion
from affectrt.dialogue.conditioning.emollms import TASKS, EmotionTask
from affectrt.dialogue.conditioning.empathy import STAGES, Ask, EmpathyChain, chain_of_empathy, chain_schema, parse_chain
from affectrt.dialogue.conditioning.stimuli import EMOTION_PROMPT, NEGATIVE, STIMULI, Effect, Stimulus, compose, effect, overhead

__all__ = [
    "EMOTION_PROMPT",
    "NEGATIVE",
    "REFUSAL",
    "STAGES",
    "STIMULI",
    "TASKS",
    "Ask",
    "Choose",
    "Effect",
    "EmotionDecision",
    "EmotionTask",
    "EmpathyChain",
    "Stimulus",
    "cause_words",
    "chain_of_empathy",
    "chain_schema",
    "chooser",
    "compose",
    "decide_emotion",
    "effect",
    "overhead",
    "parse_chain",
]
