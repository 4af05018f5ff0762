"""What one observation and one state cost, and whether that stays so over three hours of faces at 30 a second.

python benchmarks/affect_fusion.py
"""

from __future__ import annotations

import statistics
import sys
import time
import tracemalloc

import numpy as np
from affectrt.affect import Evidence, Fusion
from affectrt.labels import TAXONOMIES
from affectrt.perception.observation import ExpressionObservation
from measure import report

SECOND = 1_000_000_000
RATE, HOURS = 30, 3
FER7 = TAXONOMIES["fer7"].labels
BOUNDS = {"four_sources_ms": ("<=", 0.1), "last_over_first_minute": ("<=", 1.2), "kilobytes_grown": ("<=", 16.0)}


def face(i: int) -> ExpressionObservation:
    probs = np.roll(np.array([0.6, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05], np.float32), i % 7)
    return ExpressionObservation(i * SECOND // RATE, FER7[i % 7], FER7, probs, (i % 11 - 5) / 10, (i % 7 - 3) / 10, 0.6)


def others(at_ns: int) -> list[Evidence]:
    words = tuple(0.9 if i == 3 else 0.02 for i in range(28))
    return [
        Evidence("text", at_ns, 0.9, valence=-0.5, arousal=0.2, dominance=0.0, taxonomy="goemotions28", probs=words, multi_label=True),
        Evidence("voice", at_ns, 0.7, arousal=0.3),
        Evidence.of_event("praised", at_ns, valence=0.6, arousal=0.3),
    ]


def minute(fusion: Fusion, first: int) -> float:
    """Median time in ms of one observation made evidence, taken in, and the state asked for; others speak every ten seconds."""
    samples = []
    for i in range(first, first + 60 * RATE):
        seen = face(i)
        if i % (10 * RATE) == 0:
            for one in others(seen.stamp_ns):
                fusion.add(one)
        start = time.perf_counter_ns()
        fusion.add(Evidence.of(seen))
        fusion.state(seen.stamp_ns)
        samples.append((time.perf_counter_ns() - start) / 1e6)
    return statistics.median(samples)


def faces_alone() -> float:
    fusion, samples = Fusion(), []
    for i in range(60 * RATE):
        seen = face(i)
        start = time.perf_counter_ns()
        fusion.add(Evidence.of(seen))
        fusion.state(seen.stamp_ns)
        samples.append((time.perf_counter_ns() - start) / 1e6)
    return statistics.median(samples)


def late() -> float:
    """Median time in ms of taking in evidence that is a second late, as words are: the faces since then stay as they are."""
    fusion, samples = Fusion(), []
    for i in range(60 * RATE):
        fusion.add(Evidence.of(face(i)))
        if i % RATE == RATE - 1:
            one = others((i - RATE) * SECOND // RATE)[0]
            start = time.perf_counter_ns()
            fusion.add(one)
            samples.append((time.perf_counter_ns() - start) / 1e6)
    return statistics.median(samples)


def main() -> int:
    fusion = Fusion()
    minute(fusion, 0)  # warm
    first = minute(fusion, 60 * RATE)
    tracemalloc.start()
    begin, end = 120 * RATE, HOURS * 3600 * RATE - 60 * RATE
    early = 0
    for i in range(begin, end):
        fusion.add(Evidence.of(face(i)))
        if i == begin + 60 * RATE:
            early = tracemalloc.get_traced_memory()[0]
    grown = tracemalloc.get_traced_memory()[0] - early
    tracemalloc.stop()
    last = minute(fusion, end)
    figures = {
        "faces_alone_ms": faces_alone(),
        "four_sources_ms": last,
        "late_words_ms": late(),
        "first_minute_ms": first,
        "last_over_first_minute": last / first,
        "observations": fusion.taken,
        "kilobytes_grown": grown / 1024,
        "saved_bytes": len(fusion.to_json()),
    }
    return report("affect_fusion", figures, BOUNDS)


if __name__ == "__main__":
    sys.exit(main())
