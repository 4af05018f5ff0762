"""The Python side of the fake driver: launches that Python runs, the log, faults. What it finds wrong is tested in misuse.cc."""

import ctypes
from typing import Any

import fake_cuda
import pytest
from affectrt import _core

BEGIN, SIZE, END = (ctypes.c_void_p(value) for value in (1, 2, 0))


class Parameters(ctypes.Structure):
    _fields_ = (("to", ctypes.c_uint64), ("count", ctypes.c_uint32), ("value", ctypes.c_uint32))


@pytest.fixture
def launch(cuda):
    """Launches a kernel on a stream by the driver's own functions, as csrc/device does. Returns the driver's code."""
    driver = ctypes.CDLL(str(cuda.library))
    context, module = ctypes.c_void_p(), ctypes.c_void_p()
    assert driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
    assert driver.cuCtxPushCurrent_v2(context) == 0
    assert driver.cuModuleLoadData(ctypes.byref(module), b"any image") == 0

    def launch(name: str, parameters: Any, stream: int) -> int:
        function, size = ctypes.c_void_p(), ctypes.c_size_t(ctypes.sizeof(parameters))
        code = driver.cuModuleGetFunction(ctypes.byref(function), module, name.encode())
        block = ctypes.cast(ctypes.pointer(parameters), ctypes.c_void_p)
        extra = (ctypes.c_void_p * 5)(BEGIN, block, SIZE, ctypes.cast(ctypes.pointer(size), ctypes.c_void_p), END)
        return code or driver.cuLaunchKernel(function, 3, 2, 1, 64, 1, 1, 16, ctypes.c_void_p(stream), None, extra)

    yield launch
    driver.cuModuleUnload(module)
    driver.cuCtxPopCurrent_v2(ctypes.byref(context))
    driver.cuDevicePrimaryCtxRelease_v2(0)


@pytest.fixture
def stream(launch):
    return _core.CudaStream()


@pytest.fixture
def memory(launch):
    return _core.CudaBuffer(16)


def test_python_runs_launches(cuda, launch, stream, memory):
    seen = []

    def run(kernel, grid, block, shared_bytes, parameters):
        seen.append((kernel, grid, block, shared_bytes))
        given = Parameters.from_buffer_copy(parameters)
        cuda.memory(given.to, given.count)[:] = given.value
        cuda.touch(given.to, given.count, write=True)

    cuda.on_launch(run)
    cuda.add_kernel("set", ctypes.sizeof(Parameters))
    assert launch("set", Parameters(memory.data, 16, 7), stream.handle) == 0
    assert seen == []
    assert cuda.pending == 1
    stream.synchronize()
    assert seen == [("set", (3, 2, 1), (64, 1, 1), 16)]
    assert cuda.memory(memory.data, 16).tolist() == [7] * 16
    (call,) = cuda.calls("cuLaunchKernel")
    assert call.args["kernel"] == "set"
    assert call.args["grid"] == [3, 2, 1]
    assert call.args["parameter_bytes"] == 16
    assert launch("unknown", Parameters(), stream.handle) == 500


def test_what_python_raises_is_the_devices_failure(cuda, launch, stream, memory):
    def run(*_):
        raise ZeroDivisionError("in the kernel")

    cuda.on_launch(run)
    assert launch("set", Parameters(memory.data, 16, 7), stream.handle) == 0
    with pytest.raises(_core.DeviceError, match="cuStreamSynchronize failed: CUDA_ERROR_LAUNCH_FAILED"):
        stream.synchronize()
    with pytest.raises(ZeroDivisionError, match="in the kernel"):
        cuda.violations()
    assert cuda.violations() == []


def test_eager_work_is_done_at_once(cuda, launch, stream, memory):
    seen = []
    cuda.on_launch(lambda *launched: seen.append(launched[0]))
    cuda.set_eager(True)
    assert launch("set", Parameters(memory.data, 16, 7), stream.handle) == 0
    assert seen == ["set"]


def test_time_can_pass(cuda, launch, stream, memory):
    seen = []
    cuda.on_launch(lambda *launched: seen.append(launched[0]))
    for _ in range(3):
        launch("set", Parameters(memory.data, 16, 7), stream.handle)
    cuda.run(stream.handle, 1)
    assert (len(seen), cuda.pending) == (1, 2)
    cuda.run_all()
    assert (len(seen), cuda.pending) == (3, 0)


def test_faults_and_the_log(cuda, stream):
    before = len(cuda.calls())
    cuda.fail_at(before + 3, 719)
    with pytest.raises(_core.DeviceError, match="CUDA_ERROR_LAUNCH_FAILED"):
        for _ in range(3):
            stream.synchronize()
    assert cuda.fired
    assert [call.result for call in cuda.calls()[before:]].count(719) == 1
    assert cuda.calls()[before].number == before + 1


def test_a_leak_is_seen(cuda):
    kept = _core.CudaBuffer(123)
    assert "123 bytes of device memory" in cuda.leaks()
    del kept
    assert "123 bytes of device memory" not in cuda.leaks()


def test_the_library_is_built_once():
    assert fake_cuda.build() == fake_cuda.load().library


def test_a_compiler_error_is_told(tmp_path):
    (tmp_path / "bad.cc").write_text("int f( {")
    with pytest.raises(RuntimeError, match=r"bad\.cc.*error"):
        fake_cuda.compile_cached("bad", [tmp_path / "bad.cc"], [])
