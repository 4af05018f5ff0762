"""From messages to tokens, through the chat template that comes with a model: run in a sandbox with limits, cut into pieces, its role marks
guarded."""

from affectrt.dialogue.template.chat import ChatTemplate, Message, Prompt

__all__ = ["ChatTemplate", "Message", "Prompt"]
