"""affectrt: notice how a person feels and answer in kind, on the device.

import affectrt as art

face = art.Face(color="bgr8")
text = art.TextEmotion()
bot = art.Companion(persona="warm")
"""

from typing import TYPE_CHECKING, Any

from affectrt.engine import Engine, EngineSettings, set_thread_pool
from affectrt.errors import DeviceError, EngineError, PackError
from affectrt.packs import Pack, open_pack
from affectrt.perception import (
    UNKNOWN,
    ExpressionObservation,
    Face,
    FaceExpression,
    FaceObservation,
    TextEmotion,
    TextObservation,
)

if TYPE_CHECKING:
    from affectrt.companion import Companion
    from affectrt.dialogue import Dialogue

__version__ = "0.1.0"

__all__ = [
    "UNKNOWN",
    "Companion",
    "DeviceError",
    "Dialogue",
    "Engine",
    "EngineError",
    "EngineSettings",
    "ExpressionObservation",
    "Face",
    "FaceExpression",
    "FaceObservation",
    "Pack",
    "PackError",
    "TextEmotion",
    "TextObservation",
    "__version__",
    "open_pack",
    "set_thread_pool",
]


def __getattr__(name: str) -> Any:
    # Loaded on first use: not every robot talks, and `import affectrt` is to stay light.
    if name == "Companion":
        from affectrt.companion import Companion

        return Companion
    if name == "Dialogue":
        from affectrt.dialogue import Dialogue

        return Dialogue
    raise AttributeError(f"module 'affectrt' has no attribute {name!r}")
