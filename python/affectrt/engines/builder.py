"""The process that builds engines, for `build.py`, which starts it: what TensorRT does for minutes can be ended there at any moment, and
cannot take the program that waits for it down.

It gets a request as JSON on stdin, and answers on stdout with a JSON object a line: {"network", "done"} before each network, at last
{"built"} or {"error"}.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["build", "main"]

LOCK_TIMEOUT_S = 6 * 3600.0
_LOOK_S = 0.2
_ORPHANED = 3


def main(request: Mapping[str, Any]) -> None:
    """Build what `request` says."""
    threading.Thread(target=_end_with, args=(request["parent"],), daemon=True).start()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer

    def say(**answer: Any) -> None:
        print(json.dumps(answer), file=answers, flush=True)

    try:
        say(built=build(request, say))
    except Exception as error:  # goes on as text, whatever it is
        say(error=str(error) or type(error).__name__)


def build(request: Mapping[str, Any], say: Callable[..., None]) -> bool:
    """Whether there was something to build. Raises what opening a network raises; `PackError` where the cache cannot be written."""
    from affectrt import _core
    from affectrt.engines import store
    from affectrt.packs.cache import file_lock

    key = request["key"]
    say(network="", done=0)
    with file_lock(store.WHAT, store.lock_name(key), timeout_s=LOCK_TIMEOUT_S):
        if store.find(key):
            return False
        with store.new_engines(key, request["facts"]) as folder:
            if not os.environ.get("AFFECTRT_ORT_LIBRARY"):
                _core.set_ort_library(request["library"])
            for name, library in request["plugins"].items():
                _core.register_provider_library(name, library)
            for done, network in enumerate(request["networks"]):
                say(network=network["role"], done=done)
                _build_one(network, request, folder)
    return True


def _build_one(network: Mapping[str, Any], request: Mapping[str, Any], folder: Path) -> None:
    import numpy as np

    from affectrt import _core
    from affectrt.engines.key import engine_providers
    from affectrt.engines.serve import check_provider
    from affectrt.packs.cache import files_root

    provider, strict = request["provider"], request["strict"]
    pack = _core.Pack.open(network["folder"], remote_files=files_root())
    providers = engine_providers(provider, request["index"], folder, strict)
    _, engine = _core.open_variant(pack, network["wanted"], providers=providers, strict=strict, threads=request["threads"])
    check_provider(engine, provider)
    # Part of the kernels is made at the first run only. Of ones every network can make something.
    usual = {tensor: shape for tensor, _, shape, _ in _core.shape_ranges(pack)}
    engine.run({name: np.ones([abs(n) for n in usual.get(name, shape)], dtype) for name, dtype, shape in engine.inputs})


def _end_with(parent: int) -> None:
    """End this process when the one that wants the engines is gone, wherever the build is."""
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os._exit(_ORPHANED)


if __name__ == "__main__":
    main(json.load(sys.stdin))
