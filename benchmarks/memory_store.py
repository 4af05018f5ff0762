"""What the memory store costs: a commit, a batch, opening, recall end to end, erasing; plain and encrypted, at 1,000 to 100,000 memories.

python benchmarks/memory_store.py [--sizes 1000,10000,100000] [--folder DIR]

Vectors are random, of 384 dimensions, and no text is embedded: what an encoder takes comes on top. The disk is that of --folder (default:
the temporary folder).
"""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from affectrt.memory import COMBINATIONS, Encoder, MemoryStore, NewMemory
from measure import report, take_turns, time_ms

DIMENSIONS = 384
ENCODER = Encoder("random", "1", DIMENSIONS)
KEY = bytes(range(32))
BOUNDS = {"commit_over_sync": ("<=", 5.0)}


def timed_ms(function: Callable[[], Any]) -> float:
    start = time.perf_counter_ns()
    function()
    return (time.perf_counter_ns() - start) / 1e6


def vectors(random: np.random.Generator, n: int) -> np.ndarray:
    made = random.normal(size=(n, DIMENSIONS)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)  # type: ignore[no-any-return]


def commits(folder: Path, random: np.random.Generator) -> dict[str, float]:
    """One memory a commit against what the disk takes for writing and syncing as many bytes, in turns."""
    plain = MemoryStore(folder / "commit.db", encoder=ENCODER)
    encrypted = MemoryStore(folder / "commit-encrypted.db", encoder=ENCODER, key=KEY)
    raw = os.open(folder / "raw", os.O_WRONLY | os.O_CREAT)
    pool = iter(vectors(random, 4000))
    block = bytes(3 * 4096)
    os.pwrite(raw, block * 300, 0)
    os.fsync(raw)
    place = iter(range(10**9))

    def sync() -> None:  # over bytes that are there, as SQLite does with its log: a file that grows costs several times as much
        os.pwrite(raw, block, next(place) % 300 * len(block))
        os.fdatasync(raw)

    def add(store: MemoryStore) -> Callable[[], Any]:
        return lambda: store.add("I finally passed the exam!", partner="anna", semantic=next(pool), emotion={"joy": 1})

    both = {"plain": add(plain), "encrypted": add(encrypted)}
    # The log grows for the first thousand pages, which makes syncing it dear; then SQLite writes over it again and again.
    figures = {f"{name}_growing_log_ms": statistics.median(time_ms(one, 100)) for name, one in both.items()}
    for one in both.values():
        time_ms(one, 600)
    turns = take_turns({"sync": sync, **both}, rounds=15, repeats=20)
    batch = [NewMemory("I finally passed the exam!", "anna", semantic=v) for v in vectors(random, 100)]
    figures |= {f"{name}_ms": statistics.median(values) for name, values in turns.items()}
    figures["commit_over_sync"] = statistics.median(a / b for a, b in zip(turns["plain"], turns["sync"], strict=True))
    figures["encrypted_over_plain"] = statistics.median(a / b for a, b in zip(turns["encrypted"], turns["plain"], strict=True))
    figures["batch_of_100_ms"] = statistics.median(timed_ms(lambda: plain.add_many(batch)) for _ in range(10))
    figures["state_ms"] = statistics.median(timed_ms(lambda: plain.save_state("affect", {"valence": 0.1})) for _ in range(100))
    plain.close()
    encrypted.close()
    os.close(raw)
    return figures


def at_size(folder: Path, random: np.random.Generator, n: int, key: bytes | None) -> dict[str, float]:
    path = folder / f"{n}{'-encrypted' if key else ''}.db"
    store = MemoryStore(path, encoder=ENCODER, key=key)
    emotions = random.uniform(size=(n, 8)).astype(np.float32)
    for start in range(0, n, 1000):
        part = vectors(random, min(1000, n - start))
        store.add_many(
            NewMemory(f"memory {start + i} of what someone said to the robot one day", f"p{i % 5}", semantic=v, emotion=emotions[start + i])
            for i, v in enumerate(part)
        )
    store.close()
    figures = {"file_mb": path.stat().st_size / 1e6}
    start = time.perf_counter_ns()
    store = MemoryStore(path, encoder=ENCODER, key=key)
    figures["open_ms"] = (time.perf_counter_ns() - start) / 1e6
    queries, felt = vectors(random, 64), random.uniform(size=8).astype(np.float32)
    turn = iter(range(10**9))

    def recall(combination: str = "C-A", partner: str | None = None) -> None:
        store.recall(queries[next(turn) % 64], partner=partner, emotion=felt, combination=combination)

    figures["first_recall_ms"] = timed_ms(recall)
    for combination in COMBINATIONS:
        figures[f"recall_{combination}_ms"] = statistics.median(timed_ms(lambda c=combination: recall(c)) for _ in range(20))  # type: ignore[misc]
    figures["recall_one_of_five_partners_ms"] = statistics.median(timed_ms(lambda: recall(partner="p1")) for _ in range(20))
    figures["recall_and_strengthen_ms"] = statistics.median(
        timed_ms(lambda: store.recall(queries[next(turn) % 64], partner=None, emotion=felt, strengthen=True)) for _ in range(20)
    )
    figures["forget_ms"] = timed_ms(lambda: store.forget(time.time_ns() + 10**13, seed=1))
    figures["erase_partner_ms"] = timed_ms(lambda: store.erase_partner("p2"))
    store.close()
    path.unlink()
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=arguments.folder))
    sizes = sorted(int(size) for size in arguments.sizes.split(","))
    random = np.random.default_rng(1)
    try:
        figures: dict[str, Any] = {"sqlite": sqlite3.sqlite_version, **commits(folder, random)}
        for n in sizes:
            for key in (None, KEY):
                name = f"{n}_encrypted" if key else str(n)
                figures |= {f"{name}_{what}": value for what, value in at_size(folder, random, n, key).items()}
    finally:
        shutil.rmtree(folder)
    return report("memory_store", figures, BOUNDS)


if __name__ == "__main__":
    sys.exit(main())
