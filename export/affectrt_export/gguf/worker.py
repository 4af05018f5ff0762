"""The child's side of child.py: one task, read from stdin, its progress and its result written to stdout, one JSON a line."""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
from typing import Any

from affectrt.errors import EngineError, PackError

from affectrt_export.spec import ExportError

# name: module and function, called as f(progress, **arguments)
TASKS = {
    "quantise": ("affectrt_export.gguf.quantise", "in_child"),
    "importance matrix": ("affectrt_export.gguf.imatrix", "in_child"),
    "tokenise": ("affectrt_export.gguf.evaluate", "tokenise_in_child"),
    "log-probabilities": ("affectrt_export.gguf.perplexity", "reference_in_child"),
    "perplexity": ("affectrt_export.gguf.perplexity", "score_in_child"),
    "logits": ("affectrt_export.gguf.evaluate", "logits_in_child"),
    "speed": ("affectrt_export.gguf.speed", "in_child"),
}


def main() -> None:
    """Reads the request, runs it, writes the answer."""
    _die_with_parent()
    # The library prints where it likes; what it prints must not mix with what is said to the parent.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(message: dict[str, Any]) -> None:
        channel.write(json.dumps(message) + "\n")
        channel.flush()

    def progress(what: str, done: int, total: int) -> None:
        say({"progress": [what, done, total]})

    request = json.loads(sys.stdin.readline())
    module, function = TASKS[request["task"]]
    try:
        result = getattr(importlib.import_module(module), function)(progress, **request["arguments"])
    except (ExportError, EngineError, PackError, ValueError, OSError) as error:
        say({"error": str(error) or type(error).__name__})
        return
    except MemoryError:
        say({"error": "not enough memory"})
        return
    say({"result": result})


def _die_with_parent() -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
