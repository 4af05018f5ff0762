"""The stages wired together: what the camera sees and what the words tell becomes a state and a memory, and reaches the answer."""

from affectrt.companion.companion import Companion
from affectrt.companion.recollection import RecallSettings
from affectrt.companion.reply import AsyncCompanionReply, CompanionReply
from affectrt.companion.state import CompanionState, Impression, Piece, Trace

__all__ = ["AsyncCompanionReply", "Companion", "CompanionReply", "CompanionState", "Impression", "Piece", "RecallSettings", "Trace"]
