"""A robot that starts anew in the middle of a talk: its first answer with what was kept of the talk and of the cache, and without.

    python benchmarks/dialogue_restart.py [--threads 1] [--turns 12] [--rounds 5] [--encrypted]

A Companion talks for some turns and is closed, and its memory file is set aside. Then, in turns and each with a model loaded anew and a
copy of that file, it starts again and is asked one more thing: with the cache ("resumed"); with what was said, but without the cache, so
that the same prompt is evaluated whole ("evaluated"); and so late that the talk is over, with the system message out of the cache ("late")
and without ("late_evaluated"). At last what the cache costs the memory's file as a blob. The file is in the system's memory by then; a
disk adds its own time for reading it.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from affectrt import Companion, Dialogue, MemoryStore, TextEmbedding, TextEmotion
from affectrt.packs import DEFAULTS, pull
from measure import report

KEY = bytes(range(32))
LATER_NS = 3600 * 10**9
BOUNDS = {"resumed_ttft_ratio": ("<=", 0.35)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--encrypted", action="store_true")
    args = parser.parse_args()
    for task in ("dialogue", "text-embedding"):
        pull(DEFAULTS[task])
    reader = TextEmotion(threads=1, device="cpu")
    embed = TextEmbedding(threads=1, device="cpu")

    def run(path: Path, said: list[str], late_ns: int = 0) -> dict[str, Any]:
        """Start, say something, stop."""
        key = KEY if args.encrypted else None
        with (
            Dialogue(threads=args.threads, device="cpu", seed=1) as dialogue,
            MemoryStore(path, key=key, embed=embed, clock=lambda: time.time_ns() + late_ns) as store,
        ):
            start = time.perf_counter()
            bot = Companion(face=False, text=reader, dialogue=dialogue, memory=store)
            opened = time.perf_counter()
            for text in said:
                reply = bot.reply(text, max_tokens=30)
                reply.read()
            begin = time.perf_counter()
            bot.close()
            done = time.perf_counter()
            cache = store.load_blob("cache", partner="someone")
        return {
            "open_ms": (opened - start) * 1e3,
            "ttft_ms": reply.stats.ttft_ms,
            "close_ms": (done - begin) * 1e3,
            "prompt_tokens": reply.stats.prompt_tokens,
            "cached_tokens": reply.stats.cached_tokens,
            "cache_mb": len(cache.value) / 1e6 if cache else 0.0,
            "file_mb": path.stat().st_size / 1e6,
        }

    folder = Path(tempfile.mkdtemp())
    try:
        kept, bare = folder / "kept.db", folder / "bare.db"
        first = run(
            kept, [f"This is day {i} of our journey, and my dog Bruno has seen {i + 3} ships from the shore." for i in range(args.turns)]
        )
        shutil.copy(kept, bare)
        with MemoryStore(bare, key=KEY if args.encrypted else None, embed=embed) as store:
            store.save_blobs({"cache": None}, partner="someone", stamp_ns=time.time_ns())
        ways = {"resumed": (kept, 0), "evaluated": (bare, 0), "late": (kept, LATER_NS), "late_evaluated": (bare, LATER_NS)}
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
        for turn in range(args.rounds):
            for name in [*ways][turn % 4 :] + [*ways][: turn % 4]:
                source, late_ns = ways[name]
                shutil.copy(source, folder / "run.db")
                found[name].append(run(folder / "run.db", ["How many ships did my dog see?"], late_ns))
        blob = of_blob(kept, KEY if args.encrypted else None, embed)
    finally:
        shutil.rmtree(folder)
    medians = {f"{name}_{what}": statistics.median(one[what] for one in runs) for name, runs in found.items() for what in runs[0]}
    figures = {
        "resumed_ttft_ratio": ratio(found, "resumed", "evaluated", "ttft_ms"),
        "resumed_open_and_ttft_ratio": ratio(found, "resumed", "evaluated", "open_ms", "ttft_ms"),
        "late_ttft_ratio": ratio(found, "late", "late_evaluated", "ttft_ms"),
        **{f"talk_{what}": first[what] for what in ("cache_mb", "file_mb", "close_ms")},
        **medians,
        **blob,
    }
    settings = {"threads": args.threads, "turns": args.turns, "encrypted": args.encrypted}
    return report("dialogue_restart", {**settings, **figures}, BOUNDS)


def of_blob(path: Path, key: bytes | None, embed: TextEmbedding) -> dict[str, float]:
    """What the cache costs the file: read, written again, and erased with a memory, as against a memory erased alone."""
    with MemoryStore(path, key=key, embed=embed) as store:
        found: dict[str, float] = {}

        def timed(name: str, work: Callable[[], Any]) -> Any:
            start = time.perf_counter()
            result = work()
            found[f"blob_{name}_ms"] = (time.perf_counter() - start) * 1e3
            return result

        value = timed("load", lambda: store.load_blob("cache", partner="someone")).value
        before = path.stat().st_size
        timed("save", lambda: store.save_blobs({"cache": value[::-1]}, partner="someone"))
        store.save_state("x", 1)
        found["blob_saved_again_growth_mb"] = (path.stat().st_size - before) / 1e6
        one, other = (memory.id for memory in store.memories(limit=2))
        timed("erase", lambda: store.erase([one]))
        timed("erase_without", lambda: store.erase([other]))
        found["erased_file_mb"] = path.stat().st_size / 1e6
    return found


def ratio(found: dict[str, list[dict[str, Any]]], over: str, under: str, *parts: str) -> float:
    pairs = zip(found[over], found[under], strict=True)
    return statistics.median(sum(a[part] for part in parts) / sum(b[part] for part in parts) for a, b in pairs)


if __name__ == "__main__":
    sys.exit(main())
