"""What our decode loop costs beside llama-cpp-python's own, and what the kept prefix saves. Real model, one process, alternating order.

    python benchmarks/dialogue.py [-o json] [--threads 1] [--rounds 9] [--tokens 96]

Both loops run the same GGUF with the same prompt, threads, batch size, sampler chain and seed, and must give the same tokens before
anything is timed. The decode rate is that of the caller's `for` loop, from the first piece to the last.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from affectrt.dialogue import Conversation, Dialogue
from affectrt.packs import DEFAULTS, open_pack, pull

SYSTEM = "You are a kind companion robot. Answer in one or two short sentences."
ASK = "Tell me a long story about a dragon and a knight who became friends."
TALK = (
    "Good morning! I slept badly, there was a storm all night and the windows shook.",
    "I am a little nervous about today. There is a talk I have to give in front of everybody.",
    "My sister says I should breathe slowly and look at the people I know.",
    "Afterwards we want to go to the sea and eat ice cream, if it does not rain.",
    "Do you think it will go well?",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--tokens", type=int, default=96)
    args = parser.parse_args()
    pull(DEFAULTS["dialogue"])
    record = {
        "machine": platform.processor() or platform.machine(),
        "threads": args.threads,
        "rounds": args.rounds,
        "decode": decode(args.threads, args.rounds, args.tokens),
        "followup": followup(args.threads, args.rounds),
    }
    if args.output == "json":
        json.dump(record, sys.stdout, indent=2)
        print()
        return
    for part in ("decode", "followup"):
        for name, value in record[part].items():
            print(f"{part}.{name:36} {value:.3f}" if isinstance(value, float) else f"{part}.{name:36} {value}")


def decode(threads: int, rounds: int, tokens: int) -> dict[str, Any]:
    """Tokens a second of the three loops, and ours over theirs."""
    import llama_cpp

    pack = open_pack(DEFAULTS["dialogue"])
    dialogue = Dialogue(pack, threads=threads, device="cpu")
    sampling = replace(dialogue.sampling, max_tokens=tokens, stop=())
    path, size = str(pack.variant().path), dialogue.context_tokens
    theirs = llama_cpp.Llama(path, n_ctx=size, n_threads=threads, n_threads_batch=threads, n_batch=256, flash_attn=True, verbose=False)
    plain = llama_cpp.Llama(path, n_ctx=size, n_threads=threads, n_threads_batch=threads, verbose=False)
    options = {
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "temp": sampling.temperature,
        "repeat_penalty": sampling.repeat_penalty,
    }
    named = {**{k: v for k, v in options.items() if k != "temp"}, "temperature": sampling.temperature}

    def ours(seed: int) -> tuple[float, list[int]]:
        reply = dialogue.conversation(SYSTEM).reply(ASK, sampling=sampling, seed=seed)
        next(reply)
        start = time.perf_counter()
        for _ in reply:
            pass
        return (reply.stats.generated_tokens - 1) / (time.perf_counter() - start), list(reply.tokens)

    def generate(seed: int, llm: Any = theirs) -> tuple[float, list[int]]:
        llm.set_seed(seed)
        loop = llm.generate(prompt, **options)
        got = [next(loop)]
        start = time.perf_counter()
        while len(got) < tokens:
            got.append(next(loop))
        return (tokens - 1) / (time.perf_counter() - start), got

    def completion(seed: int) -> tuple[float, list[int]]:
        loop = theirs.create_completion(prompt, max_tokens=tokens, stream=True, seed=seed, **named)
        next(loop)
        start = time.perf_counter()
        last = list(loop)[-1]
        rate = (tokens - 1) / (time.perf_counter() - start)
        assert last["choices"][0]["finish_reason"] == "length"
        return rate, []

    prompt = list(dialogue.conversation(SYSTEM).reply(ASK, sampling=sampling).prompt_tokens)
    # A seed whose answer is long enough for everybody; and the check that the same work is done.
    seed = next(seed for seed in range(100) if len(ours(seed)[1]) == tokens)
    if generate(seed)[1] != ours(seed)[1]:
        raise SystemExit("the two loops chose different tokens: the comparison would mean nothing")
    loops: dict[str, Callable[[int], tuple[float, list[int]]]] = {
        "ours": ours,
        "generate": generate,
        "create_completion": completion,
        "generate_defaults": lambda seed: generate(seed, plain),  # no flash attention: other tokens, same number of them
    }
    rates: dict[str, list[float]] = {name: [] for name in loops}
    for i in range(rounds):
        order = list(loops)[i % 4 :] + list(loops)[: i % 4]
        for name in order:
            rates[name].append(loops[name](seed)[0])
    dialogue.close()
    medians = {f"{name}_tok_s": statistics.median(values) for name, values in rates.items()}
    return {
        "tokens": tokens,
        "seed": seed,
        **medians,
        "ratio_to_generate": _ratio(rates["ours"], rates["generate"]),
        "ratio_to_create_completion": _ratio(rates["ours"], rates["create_completion"]),
        "ratio_to_generate_defaults": _ratio(rates["ours"], rates["generate_defaults"]),
    }


def _ratio(ours: list[float], theirs: list[float]) -> float:
    """Median over the rounds of ours / theirs: what a busy neighbour does to one round, it does to both."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def followup(threads: int, rounds: int) -> dict[str, Any]:
    """Time to first token of the last turn of a conversation: with its prefix in the cache, and sent anew in whole."""
    kept, anew = [], []
    stats = None
    with Dialogue(threads=threads, device="cpu", seed=1) as dialogue:
        for i in range(rounds):
            chat = dialogue.conversation(f"{SYSTEM} Today is day {i}.")
            for text in TALK[:-1]:
                chat.reply(text, max_tokens=40).read()
            turns = chat.turns
            for keep in (True, False) if i % 2 else (False, True):
                # Taken up anew, it finds at most the system message in the cache.
                one = chat if keep else dialogue.conversation(chat.system, turns=turns)
                first, got = _first_token(one)
                (kept if keep else anew).append(first)
                stats = got if keep else stats
    assert stats is not None
    return {
        "turns": len(TALK),
        "prompt_tokens": stats.prompt_tokens,
        "cached_tokens": stats.cached_tokens,
        "kept_ttft_ms": statistics.median(kept),
        "anew_ttft_ms": statistics.median(anew),
        "ratio": statistics.median(a / b for a, b in zip(kept, anew, strict=True)),
    }


def _first_token(chat: Conversation) -> tuple[float, Any]:
    reply = chat.reply(TALK[-1], max_tokens=1)
    reply.read()
    assert reply.stats.ttft_ms is not None
    return reply.stats.ttft_ms, reply.stats


if __name__ == "__main__":
    main()
