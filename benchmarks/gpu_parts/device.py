"""Stands in for `kernels.Gpu` of tests/gpu: the launches that are checked in the PTX interpreter, on the device, through the driver."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
from affectrt import _core
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
GUARD_BYTES = 512
# What memory holds that nobody wrote: as floats no numbers, and zeros. A result that differs between the two has read such memory.
LEFTOVERS = (0xFF, 0x00)
UNWRITTEN = np.uint8(0xA5)  # what the host sees there afterwards: neither zeros nor a likely result


class Memory:
    """An array on the device between two guards. The content that the host knows is that after the last launch."""

    def __init__(self, content: U8, like: NDArray[Any], name: str, device: str, *, writable: bool, written: bool) -> None:
        self._content, self._dtype, self._shape = content, like.dtype, like.shape
        self.name, self._writable = name, writable
        self.written = np.full(len(content), written)
        self._buffer = _core.CudaBuffer(len(content) + 2 * GUARD_BYTES, device=device)

    @property
    def address(self) -> int:
        return int(self._buffer.data) + GUARD_BYTES

    def array(self) -> NDArray[Any]:
        return self._content.view(self._dtype).reshape(self._shape).copy()

    def send(self, leftover: int, stream: _core.CudaStream) -> None:
        whole = np.full(len(self._content) + 2 * GUARD_BYTES, leftover, np.uint8)
        whole[GUARD_BYTES:-GUARD_BYTES] = np.where(self.written, self._content, np.uint8(leftover))
        self._buffer.write(whole, stream)

    def fetch(self, leftover: int, stream: _core.CudaStream) -> U8:
        whole = np.empty(len(self._content) + 2 * GUARD_BYTES, np.uint8)
        self._buffer.read(whole, stream)
        guards = np.concatenate([whole[:GUARD_BYTES], whole[-GUARD_BYTES:]])
        assert (guards == leftover).all(), f"{self.name}: wrote outside of it"
        return whole[GUARD_BYTES:-GUARD_BYTES]

    def take(self, results: list[U8]) -> None:
        """The content after one launch that was made twice, once on each leftover."""
        first, second = results
        same = first == second
        assert same[self.written].all(), f"{self.name}: two launches differ"
        untouched = (first == LEFTOVERS[0]) & (second == LEFTOVERS[1])
        assert (same | untouched).all(), f"{self.name}: what was written depends on memory that nobody wrote"
        if not self._writable:
            assert (first == self._content).all(), f"{self.name}: an input was written to"
        self.written = self.written | same
        self._content = np.where(self.written, first, UNWRITTEN)


class Clock:
    """Times work on a stream by events, many times in one graph, so that the host's share of a launch is not in it."""

    def __init__(self, stream: _core.CudaStream, device: str, *, times: int, rounds: int, warm: bool = True) -> None:
        self._stream, self._times, self._rounds, self._warm = stream, times, rounds, warm
        self._start, self._end = _core.CudaEvent(device=device), _core.CudaEvent(device=device)

    def ms(self, work: Callable[[], None]) -> float:
        """Milliseconds for one `work`, the median of the rounds."""

        def many() -> None:
            for _ in range(self._times):
                work()

        graph = _core.CudaGraph(self._stream, many)
        if self._warm:
            graph.launch(self._stream)
        samples = []
        for _ in range(self._rounds):
            self._start.record(self._stream)
            graph.launch(self._stream)
            self._end.record(self._stream)
            self._end.synchronize()
            samples.append(self._end.ms_since(self._start) / self._times)
        return statistics.median(samples)


class Launcher:
    """Makes the stand-ins of `kernels.Gpu`, which share a stream. With a clock, launches are timed besides."""

    def __init__(self, device: str, counts: Callable[[], Any]) -> None:
        self.device, self.stream = device, _core.CudaStream(device)
        self.clock: Clock | None = None
        self.timed_ms: list[float] = []
        self.launches = 0
        self._counts = counts
        self._kernels: dict[tuple[str, str], _core.CudaKernel] = {}

    def kernel(self, op: str, name: str) -> _core.CudaKernel:
        if (op, name) not in self._kernels:
            self._kernels[op, name] = _core.CudaKernel(op, name, device=self.device)
        return self._kernels[op, name]

    def gpu(self) -> Gpu:
        return Gpu(self)

    def run(self, memories: list[Memory], work: Callable[[], None]) -> Any:
        self.launches += 1
        results: list[list[U8]] = [[] for _ in memories]
        for leftover in LEFTOVERS:
            for memory in memories:
                memory.send(leftover, self.stream)
            work()
            self.stream.synchronize()
            for memory, fetched in zip(memories, results, strict=True):
                fetched.append(memory.fetch(leftover, self.stream))
        for memory, fetched in zip(memories, results, strict=True):
            memory.take(fetched)
        if self.clock is not None:
            self.timed_ms.append(self.clock.ms(work))
        return self._counts()


class Gpu:
    """What a check of tests/gpu makes of `kernels.Gpu()`: buffers, and launches with one struct as the parameter."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher, self._memories = launcher, list[Memory]()

    def upload(self, array: NDArray[Any], name: str) -> Memory:
        return self._add(array, name, writable=False, written=True)

    def state(self, array: NDArray[Any], name: str) -> Memory:
        return self._add(array, name, writable=True, written=True)

    def empty(self, shape: Any, dtype: Any, name: str) -> Memory:
        return self._add(np.zeros(shape, dtype), name, writable=True, written=False)

    def launch(self, code: str, kernel: str, grid: int | tuple[int, ...], block: int, args: Any, shared_bytes: int = 0) -> Any:
        """`code` is the op's name: what the stand-in of `kernels.program` gives."""
        x, y, z = (*((grid,) if isinstance(grid, int) else grid), 1, 1)[:3]
        function, parameters, stream = self._launcher.kernel(code, kernel), bytes(args), self._launcher.stream

        def work() -> None:
            function.launch((x, y, z), (block, 1, 1), parameters, stream, shared_bytes=shared_bytes)

        return self._launcher.run(self._memories, work)

    def _add(self, array: NDArray[Any], name: str, *, writable: bool, written: bool) -> Memory:
        content = np.ascontiguousarray(array)
        memory = Memory(content.reshape(-1).view(np.uint8).copy(), content, name, self._launcher.device, writable=writable, written=written)
        self._memories.append(memory)
        return memory
