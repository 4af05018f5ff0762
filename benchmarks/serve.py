"""What the server adds to the model: the time to the first piece beside Dialogue's own, and how soon a client that left stops the model.

Needs the extras `dialogue` and `serve`. The two ways to ask take turns, so that a busy machine is busy for both.

    python benchmarks/serve.py [--rounds 20]
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import time
from typing import Any

from affectrt import Dialogue
from affectrt.serve import Limits, Server

SYSTEM = "You are a kind companion robot. Use one or two short sentences. " * 4


def send(server: Server, body: dict[str, Any]) -> socket.socket:
    """A request on a connection of its own."""
    host, port = server.url.split("/")[2].rsplit(":", 1)
    data = json.dumps({"model": "smollm2-135m", **body}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    connection = socket.create_connection((host, int(port)))
    connection.sendall(head.encode() + data)
    return connection


def until_first_piece(connection: socket.socket) -> None:
    data = b""
    while b'"delta":{"content":' not in data:
        data += connection.recv(65536)


def until_free(server: Server) -> float:
    """Milliseconds until nothing runs."""
    began = time.perf_counter()
    while server.busy != (0, 0):
        time.sleep(0.0005)
    return (time.perf_counter() - began) * 1e3


def first_pieces(dialogue: Dialogue, server: Server, rounds: int) -> tuple[list[float], list[float]]:
    alone, served = [], []
    for number in range(rounds):
        text = f"I have {number} questions, and you?"
        began = time.perf_counter()
        reply = dialogue.conversation(SYSTEM).reply(text)
        next(reply)
        alone.append((time.perf_counter() - began) * 1e3)
        reply.close()
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}]
        began = time.perf_counter()
        with send(server, {"messages": messages, "stream": True}) as connection:
            until_first_piece(connection)
            served.append((time.perf_counter() - began) * 1e3)
        until_free(server)
    return alone, served


def leavings(server: Server, rounds: int, *, reading: bool) -> list[float]:
    """Milliseconds from a client's leaving to a free model, while it reads a long prompt or answers."""
    times = []
    for number in range(rounds):
        text = f"{number} " + ("sea and wind and ships " * 280 if reading else "Tell me a story.")
        body = {
            "messages": [{"role": "user", "content": text}],
            "stream": not reading,
            "max_tokens": 400,
            "temperature": 5,
            "top_k": 0,
            "top_p": 1,
        }
        with send(server, body) as connection:
            if reading:
                while server.busy == (0, 0):
                    time.sleep(0.001)
                time.sleep(0.15)
            else:
                until_first_piece(connection)
            if server.busy != (1, 0):
                raise SystemExit("the answer was over before the client left: nothing was measured")
        times.append(until_free(server))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs, {rounds} rounds")
    with Dialogue(threads=1, device="cpu", seed=1) as dialogue, Server(dialogue, port=0, limits=Limits(kept=0)) as server:
        first_pieces(dialogue, server, 2)
        alone, served = first_pieces(dialogue, server, rounds)
        added = statistics.median(b - a for a, b in zip(alone, served, strict=True))
        print(
            f"first piece: Dialogue {statistics.median(alone):.1f} ms, over HTTP {statistics.median(served):.1f} ms, added {added:.1f} ms"
        )
        for reading in (False, True):
            times = leavings(server, rounds, reading=reading)
            what = "reading a prompt of 1,400 tokens" if reading else "answering"
            print(f"client leaves, model free, while {what}: median {statistics.median(times):.1f} ms, worst {max(times):.1f} ms")


if __name__ == "__main__":
    main()
