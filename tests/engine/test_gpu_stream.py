"""Networks between kernels and copies on one stream: the fake runtime on the fake driver, with real device addresses of the latter."""

import ctypes
from collections.abc import Iterator

import fake_cuda
import numpy as np
import pytest
from fake_ort import probe

CUDA = "CUDAExecutionProvider"
SHAPE, BYTES = (2, 4), 32


class Gpu:
    """Device memory, page-locked memory and a stream, by the driver's own functions."""

    def __init__(self) -> None:
        self._c = ctypes.CDLL(str(fake_cuda.build()))
        self._owned: list[tuple[str, ctypes.c_void_p]] = []
        context = ctypes.c_void_p()
        self._call("cuInit", 0)
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), 0)
        self._call("cuCtxPushCurrent_v2", context)

    def _call(self, name: str, *arguments: object) -> None:
        assert getattr(self._c, name)(*arguments) == 0, name

    def _new(self, name: str, release: str, *arguments: object) -> int:
        made = ctypes.c_void_p()
        self._call(name, ctypes.byref(made), *arguments)
        self._owned.append((release, made))
        return int(made.value or 0)

    def stream(self) -> int:
        return self._new("cuStreamCreateWithPriority", "cuStreamDestroy_v2", 1, 0)

    def memory(self) -> int:
        return self._new("cuMemAlloc_v2", "cuMemFree_v2", ctypes.c_size_t(BYTES))

    def pinned(self) -> np.ndarray:
        """(2, 4) float32, page-locked."""
        address = self._new("cuMemHostAlloc", "cuMemFreeHost", ctypes.c_size_t(BYTES), 0)
        return np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_float)), SHAPE)

    def upload(self, to: int, source: np.ndarray, stream: int) -> None:
        self._call(
            "cuMemcpyHtoDAsync_v2",
            ctypes.c_uint64(to),
            ctypes.c_void_p(source.ctypes.data),
            ctypes.c_size_t(BYTES),
            ctypes.c_void_p(stream),
        )

    def download(self, to: np.ndarray, source: int, stream: int) -> None:
        self._call(
            "cuMemcpyDtoHAsync_v2",
            ctypes.c_void_p(to.ctypes.data),
            ctypes.c_uint64(source),
            ctypes.c_size_t(BYTES),
            ctypes.c_void_p(stream),
        )

    def wait(self, stream: int) -> None:
        self._call("cuStreamSynchronize", ctypes.c_void_p(stream))

    def free(self, address: int) -> None:
        (found,) = [owned for owned in self._owned if owned[1].value == address]
        self._owned.remove(found)
        self._call(found[0], found[1])

    def close(self) -> None:
        for release, handle in reversed(self._owned):
            self._call(release, handle)
        self._call("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_void_p()))
        self._call("cuDevicePrimaryCtxRelease_v2", 0)


@pytest.fixture
def cuda(ort) -> Iterator[fake_cuda.FakeCuda]:
    """Control of the fake driver, which the fake runtime uses too."""
    library = fake_cuda.build()
    fake = fake_cuda.FakeCuda(library)
    fake.reset()
    before = sorted(fake.leaks())
    ort.use_driver(library)
    yield fake
    ort.use_driver(fake_cuda.ROOT / "none")
    violations, leaks = fake.violations(), sorted(fake.leaks())
    fake.reset()
    assert violations == [] and leaks == before


@pytest.fixture
def gpu(cuda) -> Iterator[Gpu]:
    made = Gpu()
    yield made
    made.close()


def bind(binding: probe.Binding, x: int, y: int) -> None:
    binding.bind("input", 0, x, BYTES, SHAPE, gpu=True)
    binding.bind("output", 0, y, BYTES, SHAPE, gpu=True)


@pytest.mark.parametrize("graphs", [False, True])
def test_between_an_upload_and_a_download(ort, gpu, doubling, graphs):
    """Three times the same buffers: each run sees what was put on the stream before it, and nobody waits but for the result."""
    stream, x, y, source, result = gpu.stream(), gpu.memory(), gpu.memory(), gpu.pinned(), gpu.pinned()
    with probe.Engine(doubling, [CUDA], gpu=(0, stream, graphs)) as engine, engine.binding() as binding:
        bind(binding, x, y)
        for turn in range(3):
            source[:] = np.arange(8).reshape(SHAPE) + turn
            gpu.upload(x, source, stream)
            binding.run(1 if graphs else -1)
            gpu.download(result, y, stream)
            gpu.wait(stream)
            np.testing.assert_array_equal(result, 2 * source + 1)
    assert len(ort.calls("BindInput")) == 1
    assert [(c.args["stream"], c.args["synchronised"]) for c in ort.calls("RunWithBinding")] == [(stream, 0)] * 3


def test_two_networks_one_after_the_other(gpu, doubling):
    stream, x, y, source, result = gpu.stream(), gpu.memory(), gpu.memory(), gpu.pinned(), gpu.pinned()
    with (
        probe.Engine(doubling, [CUDA], gpu=(0, stream, False)) as first,
        probe.Engine(doubling, [CUDA], gpu=(0, stream, False)) as second,
        first.binding() as there,
        second.binding() as back,
    ):
        bind(there, x, y)
        bind(back, y, x)
        source[:] = 1
        gpu.upload(x, source, stream)
        there.run()
        back.run()
        gpu.download(result, x, stream)
        gpu.wait(stream)
    np.testing.assert_array_equal(result, 7)


def test_an_engine_may_go_while_its_work_stands_on_the_stream(gpu, doubling):
    stream, x, y, source, result = gpu.stream(), gpu.memory(), gpu.memory(), gpu.pinned(), gpu.pinned()
    source[:] = 1
    gpu.upload(x, source, stream)
    with probe.Engine(doubling, [CUDA], gpu=(0, stream, False)) as engine, engine.binding() as binding:
        bind(binding, x, y)
        binding.run()
    gpu.download(result, y, stream)
    gpu.wait(stream)
    np.testing.assert_array_equal(result, 3)


def test_a_host_run_waits_for_the_stream(cuda, gpu, doubling):
    stream, x, source = gpu.stream(), gpu.memory(), gpu.pinned()
    given, got = np.ones(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    gpu.upload(x, source, stream)
    assert cuda.pending == 1
    with probe.Engine(doubling, [CUDA], gpu=(0, stream, False)) as engine, engine.binding() as binding:
        binding.bind("input", 0, given.ctypes.data, BYTES, SHAPE, gpu=False)
        binding.bind("output", 0, got.ctypes.data, BYTES, SHAPE, gpu=False)
        binding.run()
    assert cuda.pending == 0
    np.testing.assert_array_equal(got, 3)


def test_an_address_that_is_none_of_the_device(gpu, doubling):
    given = np.ones(SHAPE, np.float32)
    with probe.Engine(doubling, [CUDA], gpu=(0, gpu.stream(), False)) as engine, engine.binding() as binding:
        with pytest.raises(probe.ProbeError, match="x: the address is no memory of the device"):
            binding.bind("input", 0, given.ctypes.data, BYTES, SHAPE, gpu=True)
        freed = gpu.memory()
        gpu.free(freed)
        with pytest.raises(probe.ProbeError, match="x: the address is no memory of the device"):
            binding.bind("input", 0, freed, BYTES, SHAPE, gpu=True)


def test_the_network_runs_when_the_stream_comes_to_it(cuda, gpu, doubling):
    stream, x, y, source, result = gpu.stream(), gpu.memory(), gpu.memory(), gpu.pinned(), gpu.pinned()
    source[:], result[:] = 1, 0
    with probe.Engine(doubling, [CUDA], gpu=(0, stream, False)) as engine, engine.binding() as binding:
        bind(binding, x, y)
        gpu.upload(x, source, stream)
        binding.run()
        gpu.download(result, y, stream)
        assert cuda.pending == 3 and not result.any()
        gpu.wait(stream)
    np.testing.assert_array_equal(result, 3)


def test_a_reader_on_another_stream_is_a_race(cuda, gpu, doubling):
    stream, other, x, y, result = gpu.stream(), gpu.stream(), gpu.memory(), gpu.memory(), gpu.pinned()
    with probe.Engine(doubling, [CUDA], gpu=(0, stream, False)) as engine, engine.binding() as binding:
        bind(binding, x, y)
        binding.run()
        gpu.download(result, y, other)
        cuda.run_all()
    (told,) = cuda.violations()
    assert told.startswith("race: ") and "ONNX Runtime" in told
    cuda.reset()
