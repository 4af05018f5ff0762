"""Runs a wave: sections of straight code, and which lanes go where after each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arrays import Array
from .barriers import Barrier, Barriers
from .collective import Collective, collective, is_collective
from .counts import Counter
from .decode import decode, float_operations
from .errors import Kind, UnknownInstructionError
from .program import Instruction, Kernel, Register, Symbol
from .wave import Active, Step, Wave

_ENDS = ("ret", "exit")
_TRAPS = ("trap", "brkpt")
# Lanes that are behind go first, so that lanes come together again. Where a loop may wait for another thread, the lanes that are farthest
# on get a turn after so many sections.
_FAIR_TURN = 31


def ends_section(instruction: Instruction) -> bool:
    """Whether lanes may part, or have to wait, at this instruction."""
    return instruction.name in ("bra", "brx", "bar", "barrier", "call", *_ENDS, *_TRAPS) or is_collective(instruction)


@dataclass
class _Section:
    """Instructions `start` to `end` - 1, of which only the last may be one that ends a section."""

    start: int
    end: int
    steps: list[Step]
    operations: int
    last: Instruction | None


class Schedule:
    """Decodes a kernel for a wave and executes it."""

    def __init__(self, kernel: Kernel, wave: Wave, counter: Counter, step_limit: int) -> None:
        self._kernel, self._wave, self._counter, self._limit = kernel, wave, counter, step_limit
        self._code = kernel.instructions
        barriers: dict[int, Barrier] = {}
        self._collectives: dict[int, Collective] = {}
        steps: dict[int, Step] = {}
        for i, instruction in enumerate(self._code):
            if is_collective(instruction):
                self._collectives[i] = collective(instruction, wave)
            elif instruction.name in ("bar", "barrier"):
                barriers[i] = Barrier(instruction, wave)
            elif not ends_section(instruction):
                steps[i] = self._guarded(instruction, decode(instruction, wave))
        self._barrier_code = barriers
        self._barriers = Barriers(wave, barriers)
        self._sections = self._cut(steps)

    def _guarded(self, instruction: Instruction, step: Step) -> Step:
        if instruction.guard is None:
            return step
        wave = self._wave
        guard = wave.predicate(instruction.guard, instruction)
        operations, counter = float_operations(instruction), self._counter

        def run(active: Active) -> None:
            mask = active.mask & guard()
            if mask.any():
                chosen = wave.active(mask)
                step(chosen)
                counter.float_operations += operations * chosen.count

        return run

    def _cut(self, steps: dict[int, Step]) -> dict[int, _Section]:
        code, count = self._code, len(self._code)
        starts = {0, *self._kernel.labels.values()}
        for i, instruction in enumerate(code):
            if ends_section(instruction):
                starts |= {i, i + 1} if is_collective(instruction) or instruction.name in ("bar", "barrier") else {i + 1}
        borders = sorted(start for start in starts if start < count)
        sections = {}
        for start, end in zip(borders, [*borders[1:], count], strict=True):
            last = code[end - 1] if ends_section(code[end - 1]) else None
            body = range(start, end if last is None else end - 1)
            operations = sum(float_operations(code[i]) for i in body if code[i].guard is None)
            sections[start] = _Section(start, end, [steps[i] for i in body], operations, last)
        return sections

    def run(self) -> None:
        """Until every lane has ended. PtxError for a fault, UnknownInstructionError for what cannot be executed."""
        wave = self._wave
        self._groups: dict[int, Array] = {0: np.ones(wave.size, bool)}
        self._parked: dict[int, Array] = {}
        self._barriers = Barriers(wave, self._barrier_code)
        waits = any(i.name == "atom" or (i.name == "ld" and i.has("volatile", "relaxed", "acquire")) for i in self._code)
        executed = turn = 0
        while self._groups:
            turn += 1
            at = max(self._groups) if waits and turn % _FAIR_TURN == 0 else min(self._groups)
            active = wave.active(self._groups.pop(at))
            if at >= len(self._code):
                self._end(active.mask)
            else:
                section = self._sections[at]
                executed += section.end - section.start
                if executed > self._limit:
                    text = f"{executed} instructions of a wave without an end"
                    wave.fault(self._code[at], Kind.ENDLESS_LOOP, int(active.lanes[0]), text)
                for step in section.steps:
                    step(active)
                self._count(section, active)
                self._leave(section, active)
            if not self._groups:
                self._unblock()
        self._counter.barriers += self._barriers.passed

    def _count(self, section: _Section, active: Active) -> None:
        length = section.end - section.start
        self._counter.instructions += length * active.count
        self._counter.warp_instructions += length * int(np.count_nonzero(np.bincount(self._wave.warp_of[active.lanes])))
        self._counter.float_operations += section.operations * active.count

    def _go(self, at: int, mask: Array) -> None:
        """These lanes continue at an instruction, together with whoever is to execute it next or waits there for company."""
        waiting = self._parked.pop(at, None)
        if waiting is not None:
            mask = mask | waiting
        present = self._groups.get(at)
        self._groups[at] = mask if present is None else present | mask

    def _leave(self, section: _Section, active: Active) -> None:
        """Executes what ends the section and sends the lanes on."""
        last, mask, wave = section.last, active.mask, self._wave
        if last is None:
            self._go(section.end, mask)
            return
        at = section.end - 1
        if last.guard is not None:
            holds = wave.predicate(last.guard, last)() & mask
            stays = mask & ~holds
            if stays.any():
                self._go(section.end, stays)
            if not holds.any():
                return
            mask = holds
            active = wave.active(mask)
        if last.name == "bra":
            self._go(self._target(last, last.operands[-1]), mask)
        elif last.name == "brx":
            self._jump(last, active)
        elif last.name in _ENDS:
            self._end(mask)
        elif last.name in _TRAPS:
            wave.fault(last, Kind.TRAP, int(active.lanes[0]), "the kernel stops itself here")
        elif last.name == "call":
            self._call(last, active)
        elif at in self._collectives:
            self._meet(at, active)
        else:
            for index, lanes in self._barriers.arrive(at, mask):
                on = np.zeros(wave.size, bool)
                on[lanes] = True
                self._go(index + 1, on)

    def _target(self, instruction: Instruction, operand: object) -> int:
        if not isinstance(operand, Symbol) or operand.name not in self._kernel.labels:
            raise UnknownInstructionError(instruction, f"no label {operand}")
        return self._kernel.labels[operand.name]

    def _jump(self, instruction: Instruction, active: Active) -> None:
        """brx.idx: to the label whose number is in a register."""
        index, table = instruction.operands
        if not isinstance(table, Symbol) or not isinstance(index, Register):
            raise UnknownInstructionError(instruction)
        labels = self._kernel.jump_tables[table.name]
        values = self._wave.register(index, instruction)
        for number in np.unique(values[active.lanes]):
            if number >= len(labels):
                lane = int(active.lanes[values[active.lanes] == number][0])
                self._wave.fault(instruction, Kind.OUT_OF_BOUNDS, lane, f"entry {number} of a table of {len(labels)} labels")
            self._go(self._target(instruction, Symbol(labels[number])), active.mask & (values == number))

    def _call(self, instruction: Instruction, active: Active) -> None:
        if "__assertfail" in instruction.text:
            self._wave.fault(instruction, Kind.TRAP, int(active.lanes[0]), "an assertion of the kernel does not hold")
        raise UnknownInstructionError(instruction, "calls of functions that were not inlined")

    def _end(self, mask: Array) -> None:
        self._wave.kill(mask)
        if self._barriers:
            self._barriers.exit(mask)

    def _meet(self, at: int, active: Active) -> None:
        """A warp instruction: done by the lanes that are all here, the others wait for their company."""
        meeting = self._collectives[at]
        go, wait = meeting.split(active)
        if wait.any():
            self._parked[at] = wait
            if not go.any():
                return
            active = self._wave.active(go)
        meeting.run(active)
        self._go(at + 1, go)

    def _unblock(self) -> None:
        """No lane can go on: either all have ended, or an exited lane was waited for, or there is an error to report."""
        for at, mask in list(self._parked.items()):
            # A barrier of a warp does not wait for lanes that have ended since.
            if self._collectives[at].split(self._wave.active(mask))[0].any():
                self._groups[at] = self._parked.pop(at)
        if self._groups:
            return
        for at, mask in self._parked.items():
            lane, text = self._collectives[at].waiting_for(mask)
            self._wave.fault(self._code[at], Kind.MISSING_LANES, lane, text)
        if self._barriers:
            self._barriers.report()
