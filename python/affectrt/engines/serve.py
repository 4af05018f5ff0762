"""How an object comes to run on engines: at once where they are in the cache, else when they have been built, and as it can meanwhile."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from affectrt.engine import Configured, EngineSettings
from affectrt.errors import DeviceError, EngineError, PackError

if TYPE_CHECKING:
    from affectrt.packs import Pack

__all__ = ["Preparation", "Prepares", "Preparing", "check_provider", "open_networks"]

_LOG = logging.getLogger(__name__)
_FAILURES = (DeviceError, EngineError, PackError, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class Preparing:
    """How far the building of an object's engines is."""

    network: str
    """The one that is being built, such as "detector"; "" while another process builds the same engines, and at the very start and end."""
    done: int
    """Networks that are built."""
    total: int
    seconds: float
    """Since the building was asked for."""


class _Networks(Protocol):
    @property
    def provider(self) -> str: ...
    @property
    def fallbacks(self) -> Sequence[str]: ...


T = TypeVar("T", bound=_Networks)
OnProgress = Callable[[Preparing], None]


class Preparation:
    """What an object knows of the engines that are being built for it. `notes` are among its fallbacks."""

    def __init__(self, total: int = 0, on_progress: OnProgress | None = None) -> None:
        self.notes: tuple[str, ...] = ()
        self._total, self._on_progress = total, on_progress
        self._network, self._count, self._since = "", 0, time.monotonic()
        self._over = threading.Event()
        if total == 0:
            self._over.set()

    @property
    def state(self) -> Preparing | None:
        """None where nothing is being built."""
        if self._over.is_set():
            return None
        return Preparing(self._network, self._count, self._total, time.monotonic() - self._since)

    def tell(self, network: str, done: int) -> None:
        """Note how far it is."""
        self._network, self._count = network, done
        state = self.state
        if self._on_progress is None or state is None:
            return
        try:
            self._on_progress(state)
        except Exception:
            _LOG.exception("on_progress failed; it is not called again")
            self._on_progress = None

    def note(self, reason: str) -> None:
        """Add to the fallbacks."""
        self.notes = (*self.notes, f'engine="tensorrt": {reason}')

    def end(self) -> None:
        """All is as it will stay."""
        self._over.set()

    def wait(self, timeout_s: float | None) -> bool:
        """Whether it was over in time."""
        return self._over.wait(timeout_s)


class Prepares(Configured):
    """What an object that runs networks says of the engines that are built for it (see `EngineSettings.engine`)."""

    _preparation: Preparation

    @property
    def engine(self) -> str:
        """The kind of engine asked for."""
        return self.settings.engine

    @property
    def preparing(self) -> Preparing | None:
        """How far the building of engines is; None when there is none to build, or no more."""
        return self._preparation.state

    def wait_ready(self, timeout_s: float | None = None) -> bool:
        """Wait until no engine is being built: True then, though it may have failed (`provider` and `fallbacks` tell); False on timeout."""
        return self._preparation.wait(timeout_s)


def check_provider(networks: _Networks, provider: str) -> None:
    """Raises `EngineError` with the reason if the networks do not run with this provider."""
    reasons = [reason for reason in networks.fallbacks if reason.startswith(f"{provider}:")]
    if networks.provider != provider or reasons:
        raise EngineError("; ".join(reasons) or f"expected networks on {provider}, got {networks.provider}")


def open_networks(
    settings: EngineSettings,
    networks: Mapping[str, tuple[Pack, str]],
    opened_with: Callable[[dict[str, Any]], T],
    take: Callable[[T], None],
    on_progress: OnProgress | None = None,
) -> tuple[T, Preparation]:
    """Open an object's networks the way its settings say.

    networks: role to pack and the variant wanted of it ("auto": the first that runs).
    opened_with: opens them all with such options as `EngineSettings.core_options` gives.
    take: a method of the object, which goes over to networks that have been opened since; called by another thread. It does not keep the
        object alive.

    Raises what `opened_with` raises; if strict, also `EngineError` or `DeviceError` where there are no engines.
    """
    if settings.engine != "tensorrt":
        return opened_with(settings.core_options()), Preparation()
    from affectrt.engines.open import open_tensorrt

    return open_tensorrt(settings, networks, opened_with, weakref.WeakMethod(take), on_progress)
