"""Tokens a second, prompt and decode. Variants are measured in turn, round after round, so that what else the machine does hits all alike."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from affectrt_export.gguf.child import call
from affectrt_export.spec import ExportError, Progress


@dataclass(frozen=True)
class Turn:
    """What one turn of a conversation costs: tokens that are read, and tokens that are written."""

    prompt_tokens: int = 128
    reply_tokens: int = 32


@dataclass(frozen=True)
class Speed:
    """Of one file; medians over the rounds."""

    prompt_tok_s: float
    decode_tok_s: float
    turn_ms: float
    """A whole turn: the prompt, then the reply."""
    turn_ratio: float
    """Over the parent's in the same round, median."""
    threads: int
    rounds: int
    turns_ms: Sequence[float] = ()
    """Of each round."""


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
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in files}
    names = list(files)
    for done in range(rounds):
        for i, name in enumerate(names if done % 2 == 0 else names[::-1]):
            arguments = {"model": str(files[name].resolve()), "prompt_tokens": turn.prompt_tokens, "reply_tokens": turn.reply_tokens}
            prompt_s, reply_s = call("speed", {**arguments, "threads": threads})
            found[name].append((prompt_s, reply_s))
            if progress is not None:
                progress("speed", done * len(names) + i + 1, rounds * len(names))
    base = [sum(pair) for pair in found[parent]]
    out = {}
    for name, pairs in found.items():
        turns = [sum(pair) for pair in pairs]
        out[name] = Speed(
            prompt_tok_s=turn.prompt_tokens / statistics.median(prompt for prompt, _ in pairs),
            decode_tok_s=turn.reply_tokens / statistics.median(reply for _, reply in pairs),
            turn_ms=1000 * statistics.median(turns),
            turn_ratio=statistics.median(own / other for own, other in zip(turns, base, strict=True)),
            threads=threads,
            rounds=rounds,
            turns_ms=tuple(1000 * t for t in turns),
        )
    return out


def in_child(progress: Progress, model: str, prompt_tokens: int, reply_tokens: int, threads: int) -> tuple[float, float]:
    """Seconds for the prompt and for the reply, after one turn to warm up: the better of three."""
    from affectrt_export.gguf.evaluate import Evaluator

    evaluator = Evaluator(Path(model), prompt_tokens + reply_tokens, threads=threads)
    size = evaluator.model.vocabulary_size
    tokens = [(7 * i + 11) % size for i in range(prompt_tokens + reply_tokens)]
    best = (float("inf"), float("inf"))
    for attempt in range(4):
        evaluator.clear()
        start = time.perf_counter()
        evaluator.decode(tokens[:prompt_tokens], wanted=range(prompt_tokens - 1, prompt_tokens))
        middle = time.perf_counter()
        for i in range(prompt_tokens, len(tokens)):
            evaluator.decode([tokens[i]], start=i, wanted=range(1))
        end = time.perf_counter()
        if attempt:
            best = (min(best[0], middle - start), min(best[1], end - middle))
        os.sched_yield()
    evaluator.close()
    return best
