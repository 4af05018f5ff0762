"""bar.sync, bar.arrive and bar.red: who waits, and when a barrier opens."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .arrays import Array
from .errors import Kind, UnknownInstructionError
from .program import Instruction, Operand, Register
from .wave import Wave


@dataclass
class Barrier:
    """One barrier instruction: `number` and, for a part of a block, `count` are operands."""

    instruction: Instruction
    wave: Wave
    number: Operand = field(init=False)
    count: Operand | None = field(init=False)

    def __post_init__(self) -> None:
        instruction = self.instruction
        self.waits = not instruction.has("arrive")
        self.reduces = instruction.has("red")
        operands = list(instruction.operands)
        if self.reduces:
            self._how = next((part for part in instruction.parts if part in ("popc", "and", "or")), "")
            kind = "u32" if self._how == "popc" else "pred"
            self._out = self.wave.target(operands.pop(0), kind, instruction)
            source = operands.pop()
            if not isinstance(source, Register) or not self._how:
                raise UnknownInstructionError(instruction)
            self._holds = self.wave.predicate(source, instruction)
        if not 1 <= len(operands) <= 2:
            raise UnknownInstructionError(instruction)
        self.number = operands[0]
        self.count = operands[1] if len(operands) > 1 else None

    def numbers(self, lanes: Array) -> Array:
        return self._of(self.number, lanes)

    def counts(self, lanes: Array) -> Array | None:
        return None if self.count is None else self._of(self.count, lanes)

    def _of(self, operand: Operand, lanes: Array) -> Array:
        value = self.wave.value(operand, "u32", self.instruction)
        return np.broadcast_to(value, self.wave.size)[lanes].astype(np.int64)

    def finish(self, lanes: Array) -> None:
        """The lanes of one block have met: gives them the result of bar.red."""
        if self.reduces:
            holds = self._holds()[lanes]
            results = {"popc": np.count_nonzero(holds), "and": holds.all(), "or": holds.any()}
            self._out[lanes] = results[self._how]


@dataclass
class _Waiting:
    """Who has come to one barrier of one block: instruction by lane."""

    lanes: list[Array] = field(default_factory=list)
    at: list[Array] = field(default_factory=list)
    arrived: list[Array] = field(default_factory=list)
    expected: int = 0
    whole: bool = True

    @property
    def total(self) -> int:
        return sum(len(lanes) for lanes in [*self.lanes, *self.arrived])


class Barriers:
    """All barriers of a wave's blocks."""

    def __init__(self, wave: Wave, barriers: dict[int, Barrier]) -> None:
        self._wave, self._barriers = wave, barriers
        self._waiting: dict[tuple[int, int], _Waiting] = {}
        self.passed = 0

    def __bool__(self) -> bool:
        return any(waiting.lanes for waiting in self._waiting.values())

    def arrive(self, at: int, mask: Array) -> list[tuple[int, Array]]:
        """Lanes of `mask` come to the barrier instruction with index `at`. Returns the lanes that may go on, and the index each goes on
        from."""
        barrier, wave = self._barriers[at], self._wave
        go: list[tuple[int, Array]] = []
        lanes = np.flatnonzero(mask)
        numbers, counts = barrier.numbers(lanes), barrier.counts(lanes)
        blocks = wave.block_of[lanes]
        keys = blocks << 8 | numbers
        for key in np.unique(keys):
            chosen = np.flatnonzero(keys == key)
            here = lanes[chosen]
            waiting = self._waiting.setdefault((int(key) >> 8, int(key) & 255), _Waiting())
            waiting.whole = counts is None
            waiting.expected = wave.threads if counts is None else int(counts[chosen[0]])
            if counts is None:
                self._refuse_exited(barrier.instruction, int(key) >> 8, here)
            if barrier.waits:
                waiting.lanes.append(here)
                waiting.at.append(np.full(len(here), at))
            else:
                waiting.arrived.append(here)
                go.append((at, here))
            if waiting.total > waiting.expected:
                text = f"{waiting.total} threads at a barrier for {waiting.expected}"
                wave.fault(barrier.instruction, Kind.BARRIER_DIVERGENCE, here[0], text)
            if waiting.total == waiting.expected and waiting.lanes:
                del self._waiting[int(key) >> 8, int(key) & 255]
                go += self._open(waiting)
        return go

    def _open(self, waiting: _Waiting) -> list[tuple[int, Array]]:
        lanes, at = np.concatenate(waiting.lanes), np.concatenate(waiting.at)
        wave, order = self._wave, self._wave.spaces.order
        if waiting.whole and (at != at[0]).any():
            odd = int(lanes[np.flatnonzero(at != at[0])[0]])
            text = f"the threads of a block meet at different barriers, {self._place(int(at[0]))} among them"
            wave.fault(self._barriers[int(at[at != at[0]][0])].instruction, Kind.BARRIER_DIVERGENCE, odd, text)
        lanes, at = lanes[np.argsort(lanes)], at[np.argsort(lanes)]
        if waiting.whole or waiting.expected == wave.threads:
            order.pass_barrier(lanes)
        else:
            order.pass_partial_barrier(np.concatenate([lanes, *waiting.arrived]))
        self.passed += 1
        groups = [(int(index), lanes[at == index]) for index in np.unique(at)]
        for index, group in groups:
            self._barriers[index].finish(group)
        return groups

    def exit(self, mask: Array) -> None:
        """Lanes have reached the end of the kernel; nobody may be waiting for them."""
        blocks = set(np.unique(self._wave.block_of[mask]).tolist())
        for (block, _), waiting in self._waiting.items():
            if waiting.whole and block in blocks and waiting.lanes:
                lane = int(np.flatnonzero(mask & (self._wave.block_of == block))[0])
                at = int(waiting.at[0][0])
                self._exited(self._barriers[at].instruction, int(waiting.lanes[0][0]), lane)

    def _refuse_exited(self, instruction: Instruction, block: int, here: Array) -> None:
        threads = self._wave.threads
        alive = self._wave.alive[block * threads : (block + 1) * threads]
        if not alive.all():
            self._exited(instruction, int(here[0]), block * threads + int(np.flatnonzero(~alive)[0]))

    def _exited(self, instruction: Instruction, waits: int, exited: int) -> None:
        gone = self._wave.describe_thread(int(self._wave.thread_ids(np.array([exited]))[0]))
        self._wave.fault(instruction, Kind.BARRIER_AFTER_EXIT, waits, f"{gone} has ended and never comes to this barrier")

    def _place(self, at: int) -> str:
        return f"CUDA line {self._barriers[at].instruction.location}"

    def report(self) -> None:
        """Nobody can go on: raises the error of a barrier that never opens."""
        for waiting in self._waiting.values():
            if waiting.lanes:
                instruction = self._barriers[int(waiting.at[0][0])].instruction
                text = f"{waiting.total} of {waiting.expected} threads wait here, the others never come"
                self._wave.fault(instruction, Kind.BARRIER_DIVERGENCE, int(waiting.lanes[0][0]), text)
