"""The exceptions of affectrt. A wrong argument is a `ValueError` or a `TypeError`; these three are for what the world did wrong."""

from affectrt._core import DeviceError, EngineError, PackError

__all__ = ["DeviceError", "EngineError", "PackError"]
