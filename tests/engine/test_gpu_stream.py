"""Networks between kernels and copies on one stream: the fake runtime on the fake driver, with real device addresses of the latter."""

import numpy as np
import pytest
from device_memory import BYTES, SHAPE, bind
from fake_ort import probe

CUDA = "CUDAExecutionProvider"


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
