"""affectrt: notice how a person feels and answer in kind, on the device.

import affectrt as art

face = art.Face(color="bgr8")
text = art.TextEmotion()
bot = art.Companion(persona="warm")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from affectrt.affect import AffectState, Evidence, Fusion, FusionSettings
    from affectrt.companion import Companion
    from affectrt.dialogue import Dialogue
    from affectrt.engine import Engine, EngineSettings, set_thread_pool
    from affectrt.errors import (
        AuditError,
        ConsentError,
        DeviceError,
        EngineError,
        PackError,
        PolicyError,
        PurposeError,
        StoreError,
    )
    from affectrt.memory import MemoryStore
    from affectrt.packs import Pack, open_pack
    from affectrt.perception import (
        UNKNOWN,
        ExpressionObservation,
        Face,
        FaceExpression,
        FaceObservation,
        TextEmbedding,
        TextEmotion,
        TextObservation,
    )
    from affectrt.policy import AuditLog, Policy

__version__ = "0.1.0"

__all__ = [
    "UNKNOWN",
    "AffectState",
    "AuditError",
    "AuditLog",
    "Companion",
    "ConsentError",
    "DeviceError",
    "Dialogue",
    "Engine",
    "EngineError",
    "EngineSettings",
    "Evidence",
    "ExpressionObservation",
    "Face",
    "FaceExpression",
    "FaceObservation",
    "Fusion",
    "FusionSettings",
    "MemoryStore",
    "Pack",
    "PackError",
    "Policy",
    "PolicyError",
    "PurposeError",
    "StoreError",
    "TextEmbedding",
    "TextEmotion",
    "TextObservation",
    "__version__",
    "open_pack",
    "set_thread_pool",
]

# Loaded on first use: not every robot talks, and `affectrt doctor` must run where the extension or NumPy is broken, to say so.
_HOMES = {
    **dict.fromkeys(("AffectState", "Evidence", "Fusion", "FusionSettings"), "affect"),
    "Companion": "companion",
    "Dialogue": "dialogue",
    **dict.fromkeys(("Engine", "EngineSettings", "set_thread_pool"), "engine"),
    **dict.fromkeys(
        ("AuditError", "ConsentError", "DeviceError", "EngineError", "PackError", "PolicyError", "PurposeError", "StoreError"), "errors"
    ),
    "MemoryStore": "memory",
    **dict.fromkeys(("Pack", "open_pack"), "packs"),
    **dict.fromkeys(
        (
            "UNKNOWN",
            "ExpressionObservation",
            "Face",
            "FaceExpression",
            "FaceObservation",
            "TextEmbedding",
            "TextEmotion",
            "TextObservation",
        ),
        "perception",
    ),
    **dict.fromkeys(("AuditLog", "Policy"), "policy"),
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'affectrt' has no attribute {name!r}")
    value = getattr(import_module(f"affectrt.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
