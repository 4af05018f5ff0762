"""Measures which variant of a language model, and how many threads, are fastest on this machine as it is now.

All take turns, round by round, and the median over the rounds counts: what else the machine does hits all alike. It is wall time that is
measured, beside whatever runs meanwhile, since that is what a person waits for.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence

from affectrt._core import CancelFlag
from affectrt.dialogue import native
from affectrt.dialogue.engine import OK, Context, Model
from affectrt.dialogue.tuned import Rate, Tuned, candidates, keep, models_of, this_machine
from affectrt.errors import EngineError
from affectrt.packs import DEFAULTS, Pack, open_pack
from affectrt.packs.pack import Variant

Measure = Callable[[Variant, int], tuple[float, float]]
"""Variant and threads to (prompt, decode) in tokens a second, of one short run."""

ROUNDS = 12
_DECODED_TOKENS = 16
_CONTEXT_TOKENS = 512


def tune(
    pack: str | os.PathLike[str] | Pack | None = None,
    *,
    device: str = "auto",
    max_seconds: float = 30.0,
    allow_unverified: bool = False,
    measure: Measure | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> Tuned:
    """Measure, and keep the result for every Dialogue that leaves variant or threads open from now on, on this machine.

    Run it while the robot does what it does beside talking: the number of threads that is best on an idle machine can be the worst beside
    a camera.

    Args:
        pack: As of Dialogue.
        device: As of Dialogue.
        max_seconds: When to stop. One round is done in any case, and 12 are enough.
        allow_unverified: As of Dialogue.
        measure: Instead of the measurement.
        progress: Called with (done, of) in runs.

    Returns:
        All that was measured; `best` is the choice.

    Raises:
        PackError: The pack is missing, broken or not pulled; or the result cannot be written.
        EngineError: llama-cpp-python is missing, or refuses the model.
        DeviceError: There is no such device.
        ValueError: The pack is not for dialogue, or `max_seconds` is not over 0.
    """
    if not max_seconds > 0:
        raise ValueError(f"max_seconds must be over 0, got {max_seconds}")
    opened = pack if isinstance(pack, Pack) else open_pack(pack or DEFAULTS["dialogue"], allow_unverified=allow_unverified)
    if opened.task != "dialogue":
        raise ValueError(f"{opened.name}: expected a pack for dialogue, got one for {opened.task}")
    variants = candidates(opened) or (opened.variant(),)  # which tells what to pull
    machine, load = this_machine(device), _load_average()
    runs = [(variant, threads) for variant in variants for threads in thread_counts(native.default_threads(), native.most_threads())]
    found = _rounds(runs, measure or _Bench(variants, device).measure, max_seconds, progress)
    rates = [
        Rate(run[0].name, run[1], *map(statistics.median, zip(*samples, strict=True))) for run, samples in zip(runs, found, strict=True)
    ]
    tuned = Tuned(machine, models_of(opened, variants), tuple(rates), len(found[0]), load)
    keep(opened, tuned)
    return tuned


def thread_counts(physical: int, most: int) -> list[int]:
    """A few numbers of threads worth trying, the physical cores first: all, all but one, halves, one, hyper-threads too."""
    tried = (physical, physical - 1, physical // 2, physical // 4, 1, most)
    return [count for count in dict.fromkeys(tried) if 1 <= count <= most]


def _rounds(
    runs: Sequence[tuple[Variant, int]], measure: Measure, max_seconds: float, progress: Callable[[float, float], None] | None
) -> list[list[tuple[float, float]]]:
    """The samples of each run: as many whole rounds as there is time for."""
    samples: list[list[tuple[float, float]]] = [[] for _ in runs]
    began = time.monotonic()
    for done in range(ROUNDS):
        # A round takes as long as those before: one that would not end in time is not begun.
        if done and (time.monotonic() - began) * (done + 1) / done > max_seconds:
            break
        order = range(len(runs)) if done % 2 == 0 else reversed(range(len(runs)))
        for i, at in enumerate(order, start=done * len(runs) + 1):
            samples[at].append(measure(*runs[at]))
            if progress is not None:
                progress(i, ROUNDS * len(runs))
    return samples


def _load_average() -> float | None:
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


class _Bench:
    """Loads each variant once, as a Dialogue does, and evaluates a batch of a prompt and a few tokens after it."""

    def __init__(self, variants: Sequence[Variant], device: str) -> None:
        self._contexts: dict[str, tuple[Context, list[int]]] = {}
        for variant in variants:
            model = Model(variant.path, device=device)
            context = Context(model, context_tokens=min(_CONTEXT_TOKENS, model.trained_tokens), threads=native.default_threads())
            context.watch(CancelFlag())  # a reply has one too
            count = min(context.batch_tokens + _DECODED_TOKENS, context.capacity)
            self._contexts[variant.name] = context, [(7 * i + 11) % model.vocabulary_size for i in range(count)]
            self.measure(variant, context.threads)  # the file comes from the disk, threads start

    def measure(self, variant: Variant, threads: int) -> tuple[float, float]:
        context, tokens = self._contexts[variant.name]
        context.set_threads(threads)
        context.truncate(0)
        batch = len(tokens) - _DECODED_TOKENS
        start = time.perf_counter()
        self._done(context, context.decode(tokens[:batch]))
        middle = time.perf_counter()
        for token in tokens[batch:]:
            self._done(context, context.decode_one(token))
        end = time.perf_counter()
        return batch / (middle - start), _DECODED_TOKENS / (end - middle)

    @staticmethod
    def _done(context: Context, code: int) -> None:
        if code != OK:
            raise EngineError(f"llama.cpp failed to evaluate a batch (llama_decode returned {code})")
        context.logits()  # a GPU is done only when somebody wants them
