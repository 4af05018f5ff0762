"""Four conversations at once on one model: how long each waits for a token, also while another's long prompt enters; and cancelling in one.

    python benchmarks/dialogue_many.py [--threads 1] [--conversations 4] [--tokens 60] [--turns 3]

Each conversation runs in a thread of its own and says its turns one after the other; every turn brings some 600 tokens of prompt. A wait is
the time of one `next` after the first piece of a reply; the first is told apart, as its time is that of the own prompt.
Cancelling: from `cancel()` to the end of the iteration, in the middle of a prompt of over 2,000 tokens, with nothing else to do.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import threading
import time
from typing import Any

from affectrt.dialogue import Dialogue
from affectrt.packs import DEFAULTS, pull
from measure import report

LONG = "Tell me about the sea, the wind and the ships that went out and came home again. "
BOUNDS = {"wait_p99_to_median": ("<=", 8.0), "cancel_p90_ms": ("<=", 50.0)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--conversations", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=60)
    parser.add_argument("--turns", type=int, default=3)
    args = parser.parse_args()
    pull(DEFAULTS["dialogue"])
    with Dialogue(threads=args.threads, device="cpu", context_tokens=2560, seed=1) as dialogue:
        alone = together(dialogue, 1, args.turns, args.tokens)
        many = together(dialogue, args.conversations, args.turns, args.tokens)
        cancels = [cancel(dialogue, after_s) for after_s in (0.05, 0.1, 0.2, 0.3, 0.5) for _ in range(3)]
    figures = {
        **many,
        "alone_wait_median_ms": alone["wait_median_ms"],
        "alone_ttft_median_ms": alone["ttft_median_ms"],
        "alone_tok_s": alone["tok_s"],
        "throughput_to_alone": many["tok_s"] / alone["tok_s"],
        "cancel_p90_ms": percentile(cancels, 90),
        "cancel_max_ms": max(cancels),
    }
    return report("dialogue_many", {"threads": args.threads, "conversations": args.conversations, **figures}, BOUNDS)


def together(dialogue: Dialogue, count: int, turns: int, tokens: int) -> dict[str, Any]:
    waits: list[list[float]] = [[] for _ in range(count)]
    firsts: list[float] = []
    spent: list[float] = []
    start_all = threading.Barrier(count)

    def talk(i: int) -> None:
        chat = dialogue.conversation(f"You are robot number {i}.")
        start_all.wait()
        begin = time.perf_counter()
        for turn in range(turns):
            reply = iter(chat.reply(f"{LONG * 30}This is number {i}, {turn}.", max_tokens=tokens))
            start = time.perf_counter()
            for n, _ in enumerate(reply):
                now = time.perf_counter()
                (waits[i] if n else firsts).append((now - start) * 1e3)
                start = time.perf_counter()
        spent.append(time.perf_counter() - begin)

    threads = [threading.Thread(target=talk, args=(i,)) for i in range(count)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - start
    every = [wait for one in waits for wait in one]
    return {
        "pieces": len(every),
        "wait_median_ms": statistics.median(every),
        "wait_p99_ms": percentile(every, 99),
        "wait_max_ms": max(every),
        "wait_p99_to_median": percentile(every, 99) / statistics.median(every),
        "slowest_median_to_fastest": max(map(statistics.median, waits)) / min(map(statistics.median, waits)),
        "ttft_median_ms": statistics.median(firsts),
        "ttft_max_ms": max(firsts),
        "slowest_to_fastest_s": max(spent) / min(spent),
        "tok_s": len(every) / elapsed,
    }


def cancel(dialogue: Dialogue, after_s: float) -> float:
    """Milliseconds from `cancel()` in the middle of a long prompt to the end of the iteration."""
    reply = dialogue.conversation().reply(LONG * 118, max_tokens=8)
    assert reply.stats.prompt_tokens > 2000, reply.stats.prompt_tokens
    ended: list[float] = []

    def read() -> None:
        reply.read()
        ended.append(time.perf_counter())

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(after_s)
    start = time.perf_counter()
    reply.cancel()
    thread.join()
    if reply.stats.finish != "cancelled" or reply.stats.generated_tokens:
        raise SystemExit(f"the prompt was over before {after_s} s: nothing was measured")
    return (ended[0] - start) * 1e3


def percentile(values: list[float], percent: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]


if __name__ == "__main__":
    sys.exit(main())
