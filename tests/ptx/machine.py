"""Memory, and launches of kernels on it."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .arrays import Array
from .counts import Counts
from .dataflow import addressing, unused
from .errors import Index3
from .launch import Launch
from .memory import Buffer, GlobalMemory
from .order import Order
from .program import Kernel, Program, Variable
from .schedule import Schedule
from .spaces import Spaces
from .wave import Wave

MAXIMUM_THREADS = 1024
_LANES = 4096
_SYNCHRONISING = ("membar", "fence")


def _three(size: int | tuple[int, ...], what: str) -> Index3:
    values = (size,) if isinstance(size, int) else tuple(int(v) for v in size)
    if not 1 <= len(values) <= 3 or min(values) < 1:
        raise ValueError(f"expected one to three sizes of at least 1 as {what}, got {size}")
    x, y, z = (*values, 1, 1)[:3]
    return x, y, z


class Machine:
    """Runs PTX on the CPU and checks everything it does.

    `step_limit` is how many instructions a wave of blocks may execute before it counts as an endless loop; `lanes` how many threads run
    together, as far as whole blocks allow.
    """

    def __init__(self, *, step_limit: int = 2_000_000, lanes: int = _LANES) -> None:
        self._memory = GlobalMemory()
        self._step_limit, self._lanes = step_limit, lanes
        self._variables: dict[int, tuple[Program, dict[str, Buffer]]] = {}

    def buffer(self, array: ArrayLike, *, name: str = "", writable: bool = True, initialised: bool = True) -> Buffer:
        """Global memory with a copy of `array` in it, at an address of its own with room around. Without `initialised`, the content is a
        pattern and reading what no kernel has written is an error; `array` then only gives type and shape."""
        source = np.ascontiguousarray(array)
        address = self._memory.allocate_address(source.nbytes)
        data = np.frombuffer(source.tobytes(), np.uint8).copy()
        flags = None
        if not initialised:
            data[:] = 0xA5
            flags = np.zeros(len(data), bool)
        return self._add(name or f"buffer at {address:#x}", address, data, source.dtype, source.shape, writable, flags)

    def map(self, address: int, memory: Array | int, *, name: str = "", writable: bool = True, initialised: bool | Array = True) -> Buffer:
        """Makes memory that lies elsewhere visible to kernels, without a copy.

        `address` is what kernels see. `memory` is a C-contiguous array that backs it, or a number of bytes, which are then those at this
        very address of the process. `initialised` may be a (bytes,) bool array, which is kept up to date.
        """
        if isinstance(memory, int):
            backing: Array = np.ctypeslib.as_array((ctypes.c_uint8 * memory).from_address(address))
            dtype, shape = backing.dtype, backing.shape
        else:
            if not memory.flags.c_contiguous:
                raise ValueError(f"expected a C-contiguous array to map, got strides {memory.strides} for shape {memory.shape}")
            backing, dtype, shape = memory.reshape(-1).view(np.uint8), memory.dtype, memory.shape
        flags = None
        if isinstance(initialised, np.ndarray):
            if initialised.dtype != bool or initialised.shape != backing.shape:
                raise ValueError(f"expected ({len(backing)},) bool as initialised, got {initialised.shape} {initialised.dtype}")
            flags = initialised
        elif not initialised:
            flags = np.zeros(len(backing), bool)
        return self._add(name or f"memory at {address:#x}", address, backing, dtype, shape, writable, flags)

    def unmap(self, buffer: Buffer) -> None:
        """Takes a buffer away: touching it becomes an error."""
        self._memory.remove(buffer)

    def _add(
        self, name: str, address: int, data: Array, dtype: np.dtype[Any], shape: tuple[int, ...], writable: bool, initialised: Array | None
    ) -> Buffer:
        buffer = Buffer(name, address, data, dtype, shape, writable, initialised)
        self._memory.add(buffer)
        return buffer

    def launch(
        self,
        program: Program,
        kernel: str,
        grid: int | tuple[int, ...],
        block: int | tuple[int, ...],
        params: bytes = b"",
        shared_bytes: int = 0,
    ) -> Counts:
        """Runs a kernel to its end. `params` is the parameter block, as the driver gets it: each parameter at its alignment.

        Raises PtxError for a fault of the kernel, UnknownInstructionError for an instruction this interpreter lacks, LookupError for a
        kernel that is not there and ValueError for a launch that no GPU would take.
        """
        code = program.kernel(kernel)
        grid3, block3 = _three(grid, "grid"), _three(block, "block")
        threads = block3[0] * block3[1] * block3[2]
        if threads > MAXIMUM_THREADS:
            raise ValueError(f"expected at most {MAXIMUM_THREADS} threads in a block, got {block}")
        if len(params) != code.parameter_bytes:
            raise ValueError(f"expected {code.parameter_bytes} bytes of parameters for {kernel}, got {len(params)}")
        launch = Launch(code, self._memory, params + bytes(-len(params) % 16), shared_bytes)
        blocks = grid3[0] * grid3[1] * grid3[2]
        if any(i.name in _SYNCHRONISING or i.has("acquire", "release", "acq_rel") for i in code.instructions):
            launch.order.released = np.zeros(blocks * threads, np.int64)
            launch.order.atomic = np.zeros(blocks, np.int64)
        waves = -(-blocks // max(self._lanes // threads, 1))
        each = -(-blocks // waves)
        schedules: dict[int, tuple[Wave, Schedule]] = {}
        with np.errstate(all="ignore"):
            for first in range(0, blocks, each):
                count = min(each, blocks - first)
                if count not in schedules:
                    schedules[count] = self._prepare(program, code, launch, grid3, block3, count)
                wave, schedule = schedules[count]
                wave.begin(first)
                wave.spaces.begin(_order(launch, code, wave))
                schedule.run()
        return launch.counter.finish(launch.footprints)

    def _prepare(self, program: Program, code: Kernel, launch: Launch, grid: Index3, block: Index3, blocks: int) -> tuple[Wave, Schedule]:
        """Registers and decoded instructions for waves of so many blocks."""
        wave = Wave(code, grid, block, blocks)
        wave.addressing = frozenset(id(code.instructions[i]) for i in addressing(code))
        wave.unused = frozenset(id(code.instructions[i]) for i in unused(code))
        used = [*code.variables, *program.variables]
        shared = [v for v in used if v.space == "shared" and _mentions(code, v)]
        local = [v for v in used if v.space == "local"]
        wave.spaces = Spaces(wave, launch, shared, local, _order(launch, code, wave))
        wave.symbols = {p.name: p.offset for p in code.parameters} | wave.spaces.offsets
        wave.symbols |= {name: buffer.address for name, buffer in self.variables(program).items()}
        return wave, Schedule(code, wave, launch.counter, self._step_limit)

    def variables(self, program: Program) -> dict[str, Buffer]:
        """Buffers of a program's `__device__` and `__constant__` variables by their PTX names; they keep their content between launches."""
        if id(program) not in self._variables:
            buffers = {}
            for variable in program.variables:
                if variable.space in ("global", "const") and variable.size_bytes is not None:
                    data = np.frombuffer(variable.data, np.uint8)
                    buffers[variable.name] = self.buffer(data, name=variable.name, writable=variable.space == "global")
            self._variables[id(program)] = (program, buffers)
        return self._variables[id(program)][1]


def _order(launch: Launch, code: Kernel, wave: Wave) -> Order:
    syncs_warps = any(i.name in ("bar", "barrier") and i.has("warp") for i in code.instructions)
    return Order(launch.order, wave.threads, wave.first_block * wave.threads, wave.size, syncs_warps)


def _mentions(code: Kernel, variable: Variable) -> bool:
    """Shared variables of a module belong to all its kernels; a kernel has those it names."""
    return variable in code.variables or any(variable.name in instruction.text for instruction in code.instructions)
