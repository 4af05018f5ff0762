"""What the robot remembers: a store in one file, recall by meaning and feeling, forgetting, and erasing that erases."""

from affectrt.errors import StoreError
from affectrt.memory.encoder import Encoder
from affectrt.memory.forgetting import retention
from affectrt.memory.items import EMOTIONS, KINDS, Day, Forgotten, Hit, Memory, NewMemory, Recall, Sharing, StoredBlob, StoredState
from affectrt.memory.recalling import COMBINATIONS
from affectrt.memory.store import MemoryStore

__all__ = [
    "COMBINATIONS",
    "EMOTIONS",
    "KINDS",
    "Day",
    "Encoder",
    "Forgotten",
    "Hit",
    "Memory",
    "MemoryStore",
    "NewMemory",
    "Recall",
    "Sharing",
    "StoreError",
    "StoredBlob",
    "StoredState",
    "retention",
]
