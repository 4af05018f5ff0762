"""What our decode loop costs beside llama-cpp-python's own, and what the kept prefix saves. Real model, one process, in turns.

    python benchmarks/dialogue.py [--threads 1] [--rounds 9] [--tokens 96]

Both loops run the same GGUF with the same prompt, threads, batch size, sampler chain and seed, and must give the same tokens before
anything is timed. The decode rate is that of the caller's `for` loop, from the first piece to the last.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from affectrt.dialogue import Conversation, Dialogue, Reply
from affectrt.dialogue.persona import PERSONAS
from affectrt.dialogue.prompt import (
    Assembled,
    MemoryLayer,
    MemoryLine,
    PersonaLayer,
    StateLayer,
    StrategyLayer,
    SystemLayer,
    TurnLayer,
    assemble,
)
from affectrt.dialogue.strategy import Strategy
from affectrt.packs import DEFAULTS, open_pack, pull
from measure import report

SYSTEM = "You are a kind companion robot. Answer in one or two short sentences."
ASK = "Tell me a long story about a dragon and a knight who became friends."
TALK = (
    "Good morning! I slept badly, there was a storm all night and the windows shook.",
    "I am a little nervous about today. There is a talk I have to give in front of everybody.",
    "My sister says I should breathe slowly and look at the people I know.",
    "Afterwards we want to go to the sea and eat ice cream, if it does not rain.",
    "Do you think it will go well?",
)


# At least this part of llama-cpp-python's own rate, and at most this part of the time of a prompt that is sent anew.
BOUNDS = {"decode_ratio_to_generate": (">=", 0.97), "followup_ttft_ratio": ("<=", 0.5), "full_ttft_ratio": ("<=", 0.35)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--tokens", type=int, default=96)
    args = parser.parse_args()
    pull(DEFAULTS["dialogue"])
    parts = {
        "decode": decode(args.threads, args.rounds, args.tokens),
        "followup": followup(args.threads, args.rounds, bare),
        "full": followup(args.threads, args.rounds, full),
    }
    figures = {f"{part}_{name}": value for part, values in parts.items() for name, value in values.items()}
    return report("dialogue", {"threads": args.threads, "rounds": args.rounds, **figures}, BOUNDS)


def decode(threads: int, rounds: int, tokens: int) -> dict[str, Any]:
    """Tokens a second of the three loops, and ours over theirs."""
    import llama_cpp

    pack = open_pack(DEFAULTS["dialogue"])
    dialogue = Dialogue(pack, threads=threads, device="cpu")
    sampling = replace(dialogue.sampling, max_tokens=tokens, stop=())
    path, size = str(pack.variant().path), dialogue.context_tokens
    same = {"n_ctx": size, "n_threads": threads, "n_threads_batch": threads, "verbose": False}
    alike = [llama_cpp.Llama(path, n_batch=64, flash_attn=True, **same) for _ in range(2)]
    plain = llama_cpp.Llama(path, **same)  # its defaults: no flash attention, so it chooses other tokens, and as many of them
    options = {"top_k": sampling.top_k, "top_p": sampling.top_p, "min_p": sampling.min_p, "repeat_penalty": sampling.repeat_penalty}
    warmth = sampling.temperature

    def ours(seed: int) -> Reply:
        return dialogue.conversation(SYSTEM).reply(ASK, sampling=sampling, seed=seed)

    def generate(llm: Any, seed: int) -> Iterator[int]:
        llm.set_seed(seed)
        return itertools.islice(llm.generate(prompt, temp=warmth, **options), tokens)

    prompt = list(ours(0).prompt_tokens)
    # A seed whose answer is long enough, and the check that the same work is done.
    seed, chosen = next((seed, reply.tokens) for seed in range(100) if (reply := ours(seed)).read() and len(reply.tokens) == tokens)
    if tuple(generate(alike[0], seed)) != chosen:
        raise SystemExit("the two loops chose different tokens: the comparison would mean nothing")
    loops: dict[str, Callable[[], Iterator[Any]]] = {
        "ours": lambda: ours(seed),
        "generate": lambda: generate(alike[0], seed),
        "create_completion": lambda: alike[1].create_completion(
            prompt, max_tokens=tokens, stream=True, seed=seed, temperature=warmth, **options
        ),
        "generate_defaults": lambda: generate(plain, seed),
    }
    rounds_s = [_lockstep(loops) for _ in range(rounds)]
    dialogue.close()
    rates = {f"{name}_tok_s": (tokens - 1) / statistics.median(spent[name] for spent in rounds_s) for name in loops}
    others = [name for name in loops if name != "ours"]
    ratios = {f"ratio_to_{name}": statistics.median(spent[name] / spent["ours"] for spent in rounds_s) for name in others}
    return {"tokens": tokens, "seed": seed, **rates, **ratios}


def _lockstep(loops: dict[str, Callable[[], Iterator[Any]]]) -> dict[str, float]:
    """Seconds that each loop takes after its first item. They go step by step in turns, so that a busy neighbour meets all alike."""
    running = {name: start() for name, start in loops.items()}
    spent = dict.fromkeys(running, 0.0)
    for loop in running.values():
        next(loop)
    while running:
        for name, loop in list(running.items()):
            start = time.perf_counter()
            more = next(loop, None) is not None
            spent[name] += time.perf_counter() - start
            if not more:
                del running[name]
        if len(running) > 1:  # who goes first changes
            first = next(iter(running))
            running[first] = running.pop(first)
    return spent


def bare(text: str, day: int) -> Assembled:
    """The words alone."""
    return assemble([SystemLayer(f"{SYSTEM} Today is day {day}."), TurnLayer(text)])


def full(text: str, day: int) -> Assembled:
    """With all that Companion may put in: persona, six memories (others at every turn), state with a cause, strategy."""
    at = TALK.index(text)
    memories = tuple(
        MemoryLine(f"On day {day} I told {name} number {at} that the storm had kept me awake.", f"{i + 2} days ago", feeling="sadness")
        for i, name in enumerate(("Anna", "my sister", "Ben", "the doctor", "our teacher", "Bruno"))
    )
    persona = PersonaLayer("warm", f"{PERSONAS['warm'].system} Today is day {day}.")
    state, strategy = StateLayer("sad", "nervousness", "a talk I have to give"), StrategyLayer.of(Strategy.REFLECTION)
    return assemble([persona, MemoryLayer(memories), state, strategy, TurnLayer(text)])


def followup(threads: int, rounds: int, prompt: Callable[[str, int], Assembled]) -> dict[str, Any]:
    """Time to first token of the last turn of a conversation: with its prefix in the cache, and sent anew in whole."""
    kept, anew = [], []
    stats = None
    with Dialogue(threads=threads, device="cpu", seed=1) as dialogue:
        for i in range(rounds):
            chat = dialogue.conversation(prompt(TALK[0], i).system)
            for text in TALK[:-1]:
                chat.reply(text, note=prompt(text, i).note, max_tokens=40).read()
            turns = chat.turns
            for keep in (True, False) if i % 2 else (False, True):
                # Taken up anew, it finds at most the system message in the cache.
                one = chat if keep else dialogue.conversation(chat.system, turns=turns)
                first, got = _first_token(one, prompt(TALK[-1], i).note)
                (kept if keep else anew).append(first)
                stats = got if keep else stats
    assert stats is not None
    return {
        "turns": len(TALK),
        "prompt_tokens": stats.prompt_tokens,
        "cached_tokens": stats.cached_tokens,
        "kept_ttft_ms": statistics.median(kept),
        "anew_ttft_ms": statistics.median(anew),
        "ttft_ratio": statistics.median(a / b for a, b in zip(kept, anew, strict=True)),
    }


def _first_token(chat: Conversation, note: str | None) -> tuple[float, Any]:
    reply = chat.reply(TALK[-1], note=note, max_tokens=1)
    reply.read()
    assert reply.stats.ttft_ms is not None
    return reply.stats.ttft_ms, reply.stats


if __name__ == "__main__":
    sys.exit(main())
