"""Kill writers at random moments and count what they had acknowledged and is no longer there.

    python tests/memory/crash.py --rounds 200 [--encrypted] [--seed 1]

A writer adds memories one by one and in batches, strengthens, saves a state and a blob, erases, and tells over a pipe what each call has
returned from. It is killed with SIGKILL; then its file must open, be sound, and hold exactly what was told, and of the one call under way
all or nothing. The same file lives through all rounds. This tries what a killed process leaves, not what a power cut does to a disk.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from affectrt.memory import Encoder, MemoryStore, NewMemory

ENCODER = Encoder("random", "1", 32)
KEY = bytes(range(32))  # raw, so that opening does not spend its time on deriving one


def open_store(path: Path, encrypted: bool) -> MemoryStore:
    store = MemoryStore(path, encoder=ENCODER, key=KEY if encrypted else None)
    with store._db.read() as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 20")  # so that checkpoints are cut through too
    return store


def new(text: str) -> NewMemory:
    return NewMemory(text, "a", semantic=np.full(32, len(text), np.float32))


def blob(step: int) -> bytes:
    """So large that it takes many pages, and no two alike."""
    return step.to_bytes(8, "little") * (2_000 + step % 7 * 5_000)


def write(path: Path, encrypted: bool, seed: int, pipe: int) -> None:
    """Work until killed. Each line: what is about to be done, or that it was done."""
    chance = random.Random(seed)

    def tell(**what: Any) -> None:
        os.write(pipe, (json.dumps(what) + "\n").encode())

    store = open_store(path, encrypted)
    tell(opened=True)
    for step in range(1_000_000):
        texts = [f"{seed}/{step}/{i} " + "pad " * chance.randrange(400) for i in range(1 if chance.random() < 0.6 else 7)]
        tell(adding=texts)
        added = [memory.id for memory in store.add_many(new(text) for text in texts)]
        tell(added=texts, ids=added)
        store.strengthen(added)
        tell(state=step)
        store.save_state("step", step)
        tell(saved=step)
        if step % 4 == 1:
            tell(keeping=step)
            store.save_blobs({"cache": blob(step)}, partner="a")
            tell(kept=step)
        if step % 9 == 5:
            gone = store.memories(limit=3)
            tell(erasing=[m.text for m in gone])
            store.erase([m.id for m in gone])
            tell(erased=[m.text for m in gone])


@dataclass
class Ledger:
    """What must be there, by what was told."""

    there: set[str] = field(default_factory=set)
    perhaps: tuple[set[str], set[str]] = (set(), set())
    """Of the call under way: texts that may have been added, or erased, all or none."""
    states: set[Any] = field(default_factory=lambda: {None})
    blobs: set[int | None] = field(default_factory=lambda: {None})
    """Which blob may be there; None: none, as after an erasing."""
    calls: int = 0

    def read(self, lines: Iterator[str]) -> None:
        for line in lines:
            what = json.loads(line)
            self.calls += any(name in what for name in ("added", "saved", "kept", "erased"))
            if "adding" in what:
                self.perhaps = (set(what["adding"]), set())
            elif "added" in what:
                self.there |= set(what["added"])
                self.perhaps = (set(), set())
            elif "erasing" in what:
                self.perhaps = (set(), set(what["erasing"]))
                self.blobs.add(None)
            elif "erased" in what:
                self.there -= set(what["erased"])
                self.blobs = {None}
                self.perhaps = (set(), set())
            elif "keeping" in what:
                self.blobs.add(what["keeping"])
            elif "kept" in what:
                self.blobs = {what["kept"]}
            elif "state" in what:
                self.states.add(what["state"])
            elif "saved" in what:
                self.states = {what["saved"]}

    def check(self, store: MemoryStore) -> list[str]:
        """What is wrong; afterwards the ledger holds what is really there."""
        found = {memory.text for memory in store.memories()}
        added, erased = self.perhaps
        wrong = []
        if missing := self.there - erased - found:
            wrong.append(f"{len(missing)} acknowledged memories are missing")
        if found - self.there - added:
            wrong.append("memories are there that were erased, or never added")
        if not (added <= found or not added & found) or not (erased <= found or not erased & found):
            wrong.append("a call was kept in part")
        state = store.load_state("step")
        if (state.value if state else None) not in self.states:
            wrong.append(f"state {state}, expected one of {self.states}")
        kept = store.load_blob("cache", partner="a")
        step = int.from_bytes(kept.value[:8], "little") if kept else None
        if step not in self.blobs or (kept and kept.value != blob(step)):
            wrong.append(f"the blob of step {step}, expected one of {self.blobs}")
        wrong += store.check()
        self.blobs = {step}
        self.there, self.perhaps, self.states = found, (set(), set()), {state.value if state else None}
        return wrong


def survive(rounds: int, encrypted: bool, seed: int, folder: Path) -> dict[str, Any]:
    """Run the rounds; what was found."""
    chance, ledger, wrong, opened = random.Random(seed), Ledger(), [], 0
    path = folder / "robot.db"
    for number in range(rounds):
        ours, theirs = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(ours)
                write(path, encrypted, seed * 100_000 + number, theirs)
            except BaseException as error:
                os.write(2, f"{error!r}\n".encode())
            os._exit(1)
        os.close(theirs)
        # Now and then by the clock from the start, to hit the opening; else by what was told, however slow the machine, and a little later.
        told, lines_first = b"", 0 if chance.random() < 0.25 else chance.randrange(1, 50)
        while told.count(b"\n") < lines_first and (more := os.read(ours, 1 << 16)):
            told += more
        until = time.monotonic() + (0.008 if lines_first else 0.05) * chance.random()
        while (left := until - time.monotonic()) > 0:
            if select.select([ours], [], [], left)[0]:
                told += os.read(ours, 1 << 16)
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        with os.fdopen(ours, "rb") as pipe:
            told += pipe.read()
        lines = told[: told.rfind(b"\n") + 1].decode().splitlines()  # the last may have been cut through
        if not os.WIFSIGNALED(status):
            wrong.append(f"round {number}: the writer failed by itself")
        opened += bool(lines)
        ledger.read(iter(lines))
        with open_store(path, encrypted) as store:
            wrong += [f"round {number}: {text}" for text in ledger.check(store)]
    return {"rounds": rounds, "encrypted": encrypted, "acknowledged": ledger.calls, "rounds_past_opening": opened, "wrong": wrong}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--encrypted", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        result = survive(arguments.rounds, arguments.encrypted, arguments.seed, folder)
    finally:
        shutil.rmtree(folder)
    print(json.dumps(result))
    return int(bool(result["wrong"]))


if __name__ == "__main__":
    sys.exit(main())
