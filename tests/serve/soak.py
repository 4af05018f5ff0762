"""Many turns of many clients against one server: whether memory stays where it was. `make soak` runs 1,000; the tests a few.

What a client does varies by a seed: answers whole and streamed, streams left half-way, conversations that go on, errors, embeddings,
affect.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
from pathlib import Path
from typing import Any

from openai import BadRequestError, OpenAI

MODEL = "smollm2-135m"


def resident_mb() -> float:
    """What this process, the server in it, holds of the machine's memory."""
    gc.collect()
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def turn(client: OpenAI, chance: random.Random, messages: list[dict[str, str]]) -> None:
    """One request; `messages` is the conversation so far, and grows."""
    kind = chance.choice(["whole", "stream", "left", "error", "embedding", "affect"])
    more: dict[str, Any] = {"model": MODEL, "max_tokens": chance.randint(1, 8)}
    said = {"role": "user", "content": f"I have {chance.randint(0, 10**6)} questions, and you?"}
    if kind == "embedding":
        client.embeddings.create(model="bge-small-en", input=[said["content"]] * chance.randint(1, 4))
        return
    if kind == "error":
        try:
            client.chat.completions.create(messages=[*messages, said], temperature=9, **more)
        except BadRequestError:
            return
        raise AssertionError("a temperature of 9 was taken")
    messages.append(said)
    if kind == "whole" or kind == "affect":
        done = client.chat.completions.create(messages=messages, extra_body={"affect": kind == "affect"}, **more)
        answer = done.choices[0].message.content
    else:
        stream = client.chat.completions.create(messages=messages, stream=True, **more)
        pieces = []
        for chunk in stream:
            pieces.append(chunk.choices[0].delta.content or "")
            if kind == "left" and len(pieces) == 3:
                break
        stream.close()
        answer = "".join(pieces)
    messages.append({"role": "assistant", "content": answer})
    if len(messages) > 8:
        messages.clear()


def soak(client: OpenAI, turns: int, seed: int = 1, *, tell: bool = False) -> list[float]:
    """Run so many turns; the resident megabytes after each tenth of them."""
    chance = random.Random(seed)
    talks: list[list[dict[str, str]]] = [[] for _ in range(12)]
    held = []
    for number in range(turns):
        turn(client, chance, chance.choice(talks))
        if (number + 1) % max(1, turns // 10) == 0:
            held.append(resident_mb())
            if tell:
                print(f"{number + 1} turns: {held[-1]:.0f} MB", flush=True)
    return held


def main() -> int:
    """Run the soak; 1 if memory grew."""
    from affectrt import Dialogue, TextEmbedding, TextEmotion
    from affectrt.serve import Limits, Server

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=1000)
    parser.add_argument("--kept", type=int, default=2, help="Conversations kept; the size of their states is what varies most.")
    parser.add_argument("--most-mb", type=float, default=24.0, help="How much more than after the first tenth it may hold at the end.")
    options = parser.parse_args()
    with Dialogue(threads=1, device="cpu") as dialogue:
        server = Server(dialogue, text=TextEmotion(), embedding=TextEmbedding(), port=0, limits=Limits(kept=options.kept))
        with server, OpenAI(base_url=server.url, api_key="none", max_retries=0) as client:
            soak(client, 40, seed=2)  # the conversations that are kept fill their places first
            held = soak(client, options.turns, tell=True)
    grown = held[-1] - held[0]
    print(f"grown by {grown:.1f} MB since the first tenth")
    return int(grown > options.most_mb)


if __name__ == "__main__":
    sys.exit(main())
