"""How long each stage took before the model was asked."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator


class Stages:
    """`with stages("recall"): ...`; a stage that is absent leaves no trace."""

    def __init__(self) -> None:
        self.spent_ms: dict[str, float] = {}
        """By stage, in their order."""

    @contextlib.contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time what is done in the `with`; nothing is kept of it if it raises."""
        start = time.perf_counter_ns()
        yield
        self.spent_ms[name] = (time.perf_counter_ns() - start) / 1e6
