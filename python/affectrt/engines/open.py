"""Networks on TensorRT: out of the cache, or by something else until a build has ended."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affectrt.engine import EngineSettings
from affectrt.engines import store
from affectrt.engines.build import Build, request_of
from affectrt.engines.key import choose_provider, engine_facts, engine_providers, gpu_of, key_of
from affectrt.engines.serve import _FAILURES, OnProgress, Preparation, T, check_provider
from affectrt.errors import DeviceError, EngineError

if TYPE_CHECKING:
    from affectrt.packs import Pack

__all__ = ["open_tensorrt"]

_LOG = logging.getLogger(__name__)

Open = Callable[[dict[str, Any]], T]


class _Target:
    """The engines that are wanted, and how networks are opened on them."""

    def __init__(self, settings: EngineSettings, networks: Mapping[str, tuple[Pack, str]]) -> None:
        self.settings = settings
        self.provider = choose_provider()
        self.index, gpu = gpu_of(settings)
        self.facts = engine_facts(self.provider, gpu, networks)
        self.key = key_of(self.facts)
        self.discarded = ""
        self.request = request_of(self.key, self.facts, networks, index=self.index, strict=settings.strict, threads=settings.threads)

    def open(self, opened_with: Open[T], folder: Path) -> T:
        """Raises `EngineError` too where the networks have opened, but on something else."""
        strict = self.settings.strict
        providers = engine_providers(self.provider, self.index, folder, strict)
        networks = opened_with({"providers": providers, "strict": strict, "threads": self.settings.threads})
        check_provider(networks, self.provider)
        return networks

    def stored(self, opened_with: Open[T]) -> T | None:
        """The networks on engines of the cache; None where those are to be built: they are not there, or may be why nothing opens, which
        `discarded` then says."""
        folder = store.find(self.key)
        if folder is None:
            return None
        try:
            return self.open(opened_with, folder)
        except _FAILURES as error:
            file = store.suspect(folder)
            if not file:
                raise
            store.discard(folder)
            self.discarded = f"{file} of the cache is given up, and what it held is built anew, since it did not open: {error}"
            _LOG.warning("%s", self.discarded)
            return None

    def built(self, opened_with: Open[T], build: Build) -> T:
        """The networks on engines that `build` brings into the cache."""
        build.run()
        folder = store.find(self.key)
        if folder is None:
            raise EngineError(f"{store.engines_root() / self.key} was removed before it could be opened")
        return self.open(opened_with, folder)


def open_tensorrt(
    settings: EngineSettings,
    networks: Mapping[str, tuple[Pack, str]],
    opened_with: Open[T],
    take: weakref.WeakMethod[Callable[[T], None]],
    on_progress: OnProgress | None,
) -> tuple[T, Preparation]:
    """See `open_networks`."""
    settled = Preparation()
    try:
        target = _Target(settings, networks)
    except _FAILURES as error:
        if settings.strict:
            raise
        settled.note(str(error))
        return opened_with(settings.core_options()), settled
    try:
        found = target.stored(opened_with)
    except _FAILURES as error:
        if settings.strict:
            raise
        settled.note(str(error))
        return _serve(settings, opened_with, settled), settled
    if found is not None:
        return found, settled

    preparation = Preparation(len(networks), on_progress)
    build = Build(target.request, preparation.tell)
    if settings.strict:
        try:
            return target.built(opened_with, build), preparation
        finally:
            preparation.end()
    if target.discarded:
        preparation.note(target.discarded)
    serving = _serve(settings, opened_with, preparation)

    def work() -> None:
        try:
            built = target.built(opened_with, build)
            taking = take()
            if taking is not None:  # else nobody is there any more to run them
                taking(built)
            preparation.notes = ()
        except Exception as error:  # whatever it is, the object goes on serving
            preparation.note(str(error) or type(error).__name__)
        finally:
            preparation.end()

    build.thread = threading.Thread(target=work, name="affectrt-engines", daemon=True)
    build.thread.start()
    return serving, preparation


def _serve(settings: EngineSettings, opened_with: Open[T], preparation: Preparation) -> T:
    """The networks without engines, on a machine that has the GPU."""
    try:
        options = settings.core_options()
    except DeviceError as error:  # ONNX Runtime has no CUDA provider for it
        preparation.note(f"{error}; the CPU serves{'' if preparation.state is None else ' until the engines are built'}")
        options = {"providers": [], "strict": False, "threads": settings.threads}
    return opened_with(options)
