"""The exceptions of affectrt.

A wrong argument is a `ValueError` or a `TypeError`. `PackError`, `EngineError`, `DeviceError`, `AuditError` and `StoreError` (all
`RuntimeError`) are for what the world did wrong. `PolicyError` and its two kinds say that something may not be done: they are
`PermissionError`, as is what the system raises where a program may not use a camera, so that one handler serves both. They are no
`ValueError`: a loop that skips bad frames would skip a missing consent too.
"""

from affectrt._core import DeviceError, EngineError, PackError

__all__ = ["AuditError", "ConsentError", "DeviceError", "EngineError", "PackError", "PolicyError", "PurposeError", "StoreError"]


class PolicyError(PermissionError):
    """The policy in force forbids it."""


class ConsentError(PolicyError):
    """Nobody who may has consented to it, or the consent has run out or was withdrawn."""


class PurposeError(PolicyError):
    """Law forbids a use for this purpose in many places, and no exception was stated, or none exists."""


class AuditError(RuntimeError):
    """An audit log cannot be trusted or continued; the text names file and line."""


class StoreError(RuntimeError):
    """A memory file cannot be opened, read or written; `reason` says why in a word that a program can go by.

    "busy": another program holds it, or it cannot be shared. "full": no room. "read-only". "corrupt": damaged, or no memory file at all.
    "key": encrypted and the key is missing or wrong, or plain and there is a key. "newer": of a newer affectrt. "missing": no such file,
    or an extra is not installed. "encoder": its vectors are of another encoder. "closed". "forked". "failed": anything else.
    """

    def __init__(self, message: str, reason: str = "failed") -> None:
        super().__init__(message)
        self.reason = reason
