"""A progress bar on stderr for whatever takes longer than a second; plain lines where stderr is no terminal."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

from affectrt.cli.errors import note

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SHOW_AFTER_S = 1.0
LINE_EVERY_S = 10.0


class Bar:
    """`with Bar("frames", total=120) as bar: bar.advance()`. `total` None: unknown, only the count and the time are shown.

    `unit="bytes"` shows sizes and a rate in bytes. Nothing at all is shown for work that ends within a second.
    """

    def __init__(self, what: str, *, total: float | None = None, unit: str = "") -> None:
        self._what, self._total, self._bytes = what, total, unit == "bytes"
        self._done = 0.0
        self._began = self._last_line = time.monotonic()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._progress is not None:
            self._progress.stop()

    def set(self, done: float, total: float | None = None) -> None:
        """Say how far the work is, in absolute terms."""
        self._done = done
        if total is not None:
            self._total = total
        self._show()

    def advance(self, step: float = 1.0) -> None:
        """Say that `step` more is done."""
        self.set(self._done + step)

    def _show(self) -> None:
        now = time.monotonic()
        if now - self._began < SHOW_AFTER_S:
            return
        if not sys.stderr.isatty():
            if now - self._last_line >= LINE_EVERY_S:
                self._last_line = now
                note(self._line())
            return
        if self._progress is None:
            self._open()
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=self._done, total=self._total)

    def _open(self) -> None:
        from rich import progress
        from rich.console import Console

        amount = [progress.DownloadColumn(), progress.TransferSpeedColumn()] if self._bytes else [progress.MofNCompleteColumn()]
        self._progress = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            *amount,
            progress.TimeElapsedColumn(),
            progress.TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task(self._what, total=self._total)
        self._progress.start()

    def _line(self) -> str:
        scale, unit = (1e-6, " MB") if self._bytes else (1.0, "")
        of = f" of {self._total * scale:.0f}{unit}" if self._total else ""
        return f"{self._what}: {self._done * scale:.0f}{unit if not of else ''}{of}"
