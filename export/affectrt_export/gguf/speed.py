"""Tokens a second, prompt and decode. Variants are measured in turn, round after round: what else the machine does hits all alike.

What is compared is processor time: other programs take wall time away, and from one variant more than from another, but do not add to it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from affectrt_export.gguf.child import call
from affectrt_export.spec import ExportError, Progress

_ATTEMPTS = 3


@dataclass(frozen=True)
class Turn:
    """What one turn of a conversation costs: tokens that are read, and tokens that are written."""

    prompt_tokens: int = 128
    reply_tokens: int = 32


@dataclass(frozen=True)
class Speed:
    """Of one file; medians over the rounds."""

    prompt_tok_s: float
    """By the clock on the wall, as all but the next two."""
    decode_tok_s: float
    turn_ms: float
    """A whole turn: the prompt, then the reply."""
    turn_cpu_ms: float
    """The same in processor time, of all threads together."""
    turn_ratio: float
    """Processor time of a turn over the parent's in the same round, median."""
    threads: int
    rounds: int


def measure(
    files: Mapping[str, Path], parent: str, *, turn: Turn, threads: int = 0, rounds: int = 5, progress: Progress | None = None
) -> dict[str, Speed]:
    """Speeds by the names of `files`, against the file named `parent`. Each measurement loads the file anew, in a process of its own.

    threads: 0: as many as the runtime takes. ExportError where a file cannot be run.
    """
    from affectrt.dialogue.native import default_threads

    if parent not in files or rounds < 1:
        raise ExportError(f"expected the parent {parent!r} among {', '.join(files)} and at least one round, got {rounds}")
    threads = threads or default_threads()
    found: dict[str, list[Sequence[float]]] = {name: [] for name in files}
    names = list(files)
    for done in range(rounds):
        for i, name in enumerate(names if done % 2 == 0 else names[::-1]):
            arguments = {"model": str(files[name].resolve()), "prompt_tokens": turn.prompt_tokens, "reply_tokens": turn.reply_tokens}
            found[name].append(call("speed", {**arguments, "threads": threads}))
            if progress is not None:
                progress("speed", done * len(names) + i + 1, rounds * len(names))

    def middle(name: str, of: int) -> float:
        return statistics.median(one[of] for one in found[name])

    return {
        name: Speed(
            prompt_tok_s=turn.prompt_tokens / middle(name, 0),
            decode_tok_s=turn.reply_tokens / middle(name, 1),
            turn_ms=1000 * statistics.median(one[0] + one[1] for one in rows),
            turn_cpu_ms=1000 * middle(name, 2),
            turn_ratio=statistics.median(own[2] / other[2] for own, other in zip(rows, found[parent], strict=True)),
            threads=threads,
            rounds=rounds,
        )
        for name, rows in found.items()
    }


def in_child(_progress: Progress, model: str, prompt_tokens: int, reply_tokens: int, threads: int) -> list[float]:
    """Seconds for the prompt and for the reply, and processor seconds for both: the least of some turns, after one to warm up."""
    from affectrt_export.gguf.evaluate import Evaluator

    evaluator = Evaluator(Path(model), prompt_tokens + reply_tokens, threads=threads)
    size = evaluator.model.vocabulary_size
    tokens = [(7 * i + 11) % size for i in range(prompt_tokens + reply_tokens)]
    turns = []
    for _ in range(1 + _ATTEMPTS):
        evaluator.clear()
        start, worked = time.perf_counter(), time.process_time()
        evaluator.decode(tokens[:prompt_tokens], wanted=range(prompt_tokens - 1, prompt_tokens))
        middle = time.perf_counter()
        for i in range(prompt_tokens, len(tokens)):
            evaluator.decode([tokens[i]], start=i, wanted=range(1))
        turns.append((middle - start, time.perf_counter() - middle, time.process_time() - worked))
    evaluator.close()
    return [min(turn[i] for turn in turns[1:]) for i in range(3)]
