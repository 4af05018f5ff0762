"""Streams an answer to the terminal: pieces to stdout as they come, figures to stderr; Ctrl-C stops the answer, a second one leaves."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, TextIO

from affectrt.cli.output import counted


def stream(reply: Any, out: TextIO | None = None) -> str:
    """Print the pieces of a reply as they come; returns the whole text. The first Ctrl-C cancels it, a second raises KeyboardInterrupt."""
    pieces: list[str] = []
    out = out or sys.stdout
    with _cancelled_by_interrupt(reply):
        for piece in reply:
            pieces.append(str(piece))
            out.write(pieces[-1])
            out.flush()
    out.write("\n")
    out.flush()
    return "".join(pieces)


@contextlib.contextmanager
def _cancelled_by_interrupt(reply: Any) -> Iterator[None]:
    def cancel(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)  # the next one is meant for the program
        reply.cancel()

    try:
        before = signal.signal(signal.SIGINT, cancel)
    except ValueError:  # not the main thread, which alone hears signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def cost(stats: Any) -> str:
    """What a reply cost, in a line."""
    parts = []
    if stats.ttft_ms is not None:
        parts.append(f"first token {stats.ttft_ms:.0f} ms")
    if stats.decode_tok_s is not None:
        parts.append(f"{stats.decode_tok_s:.0f} tok/s")
    parts.append(f"{counted(stats.generated_tokens, 'token')}, prompt {stats.prompt_tokens} ({stats.cached_tokens} cached)")
    ends = {"length": f" (cut at {counted(stats.generated_tokens, 'token')})", "context": " (cut: the context is full)"}
    return ", ".join(parts) + (" (cancelled)" if stats.cancelled else ends.get(stats.finish, ""))


def remembered(hits: Any) -> str:
    """`; remembers "My dog died."` for each memory that an answer draws on."""
    from affectrt.dialogue.prompt import one_line

    return "".join(f'; remembers "{one_line(hit.memory.text)}"' for hit in hits)  # a file may be from elsewhere: no control characters


def dim(text: str) -> str:
    """The text in the terminal's faint style, if stderr is one."""
    return f"\x1b[2m{text}\x1b[0m" if sys.stderr.isatty() else text


def perceived(state: Any) -> str:
    """`sounds joy (87 %, valence +0.71, arousal +0.40); looks happy (...)` of a CompanionState."""
    parts = []
    for what, one in (("sounds", state.read), ("looks", state.seen)):
        if one is not None:
            parts.append(f"{what} {one.label} ({one.confidence * 100:.0f} %, valence {one.valence:+.2f}, arousal {one.arousal:+.2f})")
    return "; ".join(parts) or "no clear feeling"


def felt(state: Any) -> str:
    """`; state sadness (valence -0.41, arousal -0.12)` of a CompanionState: what was perceived comes to; "" while that is nothing."""
    if not state.affect.confidence:
        return ""
    return f"; state {state.label} (valence {state.valence:+.2f}, arousal {state.arousal:+.2f})"
