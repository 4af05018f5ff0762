"""Language models on the device: streamed, cancellable answers, with each conversation's prefix kept in the cache."""

from affectrt.dialogue.conversation import Conversation
from affectrt.dialogue.dialogue import Dialogue, DialogueInfo
from affectrt.dialogue.grammar import Grammar
from affectrt.dialogue.past import Past
from affectrt.dialogue.reply import AsyncReply, Reply, ReplyStats, Turn
from affectrt.dialogue.sampling import Sampling
from affectrt.dialogue.template import Message

__all__ = [
    "AsyncReply",
    "Conversation",
    "Dialogue",
    "DialogueInfo",
    "Grammar",
    "Message",
    "Past",
    "Reply",
    "ReplyStats",
    "Sampling",
    "Turn",
]
