"""Pictures of other libraries: by __cuda_array_interface__ and by DLPack, without a copy, in the order of streams, and kept alive."""

import gc
import subprocess
import sys

import fake_cuda
import numpy as np
import pytest
from affectrt import _core
from arrays import KDL_CPU, DlPack, Interface, strided

SHAPE = (4, 6, 3)


@pytest.fixture
def stream(cuda):
    return _core.CudaStream("cuda:0")


@pytest.fixture
def memory(stream):
    return _core.CudaBuffer(4096)


def interface(memory, **changes):
    given = {"version": 3, "data": (memory.data, False), "typestr": "|u1", "shape": SHAPE, "strides": None, "stream": None, **changes}
    return Interface(**{name: value for name, value in given.items() if value is not ...})


def test_what_is_on_a_gpu(memory):
    assert _core.is_on_gpu(interface(memory))
    assert _core.is_on_gpu(DlPack(memory.data, SHAPE))
    assert not _core.is_on_gpu(DlPack(memory.data, SHAPE, device=(KDL_CPU, 0)))
    assert not _core.is_on_gpu(np.zeros(3))
    assert not _core.is_on_gpu("cuda:0")


def test_interface_without_a_copy(cuda, stream, memory):
    before = cuda.calls()[-1].number
    image = _core.cuda_image(interface(memory), "rgb8", stream=stream)
    assert (image.data, image.width, image.height, image.row_bytes, image.uv) == (memory.data, 6, 4, 18, 0)
    assert {call.name for call in cuda.calls()[before:]} <= {
        *("cuCtxGetCurrent", "cuCtxPushCurrent_v2", "cuCtxPopCurrent_v2", "cuPointerGetAttribute")
    }


def test_interface_with_rows_apart_read_only_and_nv12(stream, memory):
    wide = _core.cuda_image(interface(memory, strides=strided(SHAPE, 64), data=(memory.data + 64, True)), "bgr8", stream=stream)
    assert (wide.data, wide.row_bytes) == (memory.data + 64, 64)
    nv12 = _core.cuda_image(interface(memory, shape=(6, 8)), "nv12", stream=stream)
    assert (nv12.height, nv12.uv, nv12.uv_row_bytes) == (4, memory.data + 32, 8)


@pytest.mark.parametrize("version", [2, 3])
def test_interface_streams_are_waited_for(cuda, stream, memory, version):
    producer = _core.CudaStream()
    for handle in (1, 2, producer.handle):
        known = len(cuda.calls())
        _core.cuda_image(interface(memory, stream=handle, version=version), "rgb8", stream=stream)
        record, wait = [call for call in cuda.calls()[known:] if call.name in {"cuEventRecord", "cuStreamWaitEvent"}]
        assert (record.name, record.args["stream"]) == ("cuEventRecord", handle)
        assert (wait.name, wait.args["stream"], wait.args["event"]) == ("cuStreamWaitEvent", stream.handle, record.args["event"])
    known = len(cuda.calls())
    _core.cuda_image(interface(memory, stream=stream.handle), "rgb8", stream=stream)
    _core.cuda_image(interface(memory, stream=...), "rgb8", stream=stream)
    assert not [call for call in cuda.calls()[known:] if call.name == "cuEventRecord"]
    stream.synchronize()


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"stream": 0}, ValueError, "stream: expected none, 1"),
        ({"stream": -1}, ValueError, "got -1"),
        ({"stream": "x"}, TypeError, 'expected "stream", None or an integer'),
        ({"version": 1}, TypeError, "expected version 2 or 3, got 1"),
        ({"version": ...}, TypeError, 'expected "version"'),
        ({"mask": object()}, TypeError, "a mask is not supported"),
        ({"data": ...}, TypeError, 'expected "data", a pair'),
        ({"data": 5}, TypeError, 'expected "data", a pair'),
        ({"typestr": "<f4"}, ValueError, r"expected dtype \|u1 \(uint8\), got <f4"),
        ({"typestr": 3}, TypeError, 'expected "typestr"'),
        ({"shape": (4, 6)}, ValueError, r"expected shape \(height, width, 3\) for color='rgb8', got \(4, 6\)"),
        ({"shape": 4}, TypeError, 'expected "shape"'),
        ({"strides": (-18, 3, 1)}, ValueError, "one after another in each row"),
        ({"data": (0x1000, False)}, ValueError, "expected memory of cuda:0, got address 0x1000"),
    ],
)
def test_interfaces_that_do_not_fit(stream, memory, changes, error, text):
    with pytest.raises(error, match=text):
        _core.cuda_image(interface(memory, **changes), "rgb8", stream=stream, name="frame")


def test_objects_that_are_no_pictures(stream):
    with pytest.raises(TypeError, match=r"frame: expected an object with __dlpack__ or __cuda_array_interface__, got int"):
        _core.cuda_image(3, "rgb8", stream=stream, name="frame")
    with pytest.raises(TypeError, match="expected memory of a GPU, got a DLPack tensor on device type 1"):
        _core.cuda_image(np.zeros((4, 4, 3), np.uint8), "rgb8", stream=stream)
    with pytest.raises(TypeError, match="expected a dict"):
        _core.cuda_image(type("Bad", (), {"__cuda_array_interface__": 3})(), "rgb8", stream=stream)
    with pytest.raises(ValueError, match="color: expected one of rgb8"):
        _core.cuda_image(3, "rgb", stream=stream)


@pytest.mark.parametrize("versioned", [True, False])
def test_dlpack_gets_our_stream_and_its_tensor_back(cuda, stream, memory, versioned):
    tensor = DlPack(memory.data, SHAPE, strides=strided(SHAPE, 64), byte_offset=128, versioned=versioned)
    image = _core.cuda_image(tensor, "rgb8", stream=stream)
    assert (image.data, image.row_bytes) == (memory.data + 128, 64)
    assert tensor.streams == [stream.handle]
    gc.collect()
    assert tensor.deleted == 0
    del image
    assert tensor.deleted == 1


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"code": 2, "bits": 32}, ValueError, r"expected dtype \|u1 \(uint8\), got <f4"),
        ({"code": 99}, ValueError, "got |unknown 1"),
        ({"major": 2}, TypeError, r"expected DLPack of version 1, got 2\.0"),
        ({"shape": (4, 6, 4)}, ValueError, "for color='rgb8', got"),
        ({"device": (10, 0)}, TypeError, "device type 10"),
    ],
)
def test_dlpack_that_does_not_fit_is_given_back(stream, memory, changes, error, text):
    tensor = DlPack(memory.data, **{"shape": SHAPE, **changes})
    with pytest.raises(error, match=text):
        _core.cuda_image(tensor, "rgb8", stream=stream)
    gc.collect()
    assert tensor.deleted == len(tensor.streams)


def test_dlpack_of_a_producer_that_fails(stream, memory):
    class Broken(DlPack):
        def __dlpack__(self, **_):
            raise BufferError("cannot export")

    class Odd(DlPack):
        def __dlpack__(self, **_):
            return 3

    with pytest.raises(BufferError, match="cannot export"):
        _core.cuda_image(Broken(memory.data, SHAPE), "rgb8", stream=stream)
    with pytest.raises(TypeError, match="to return a capsule"):
        _core.cuda_image(Odd(memory.data, SHAPE), "rgb8", stream=stream)


def test_interfaces_keep_their_object_alive(stream, memory):
    dropped = []

    class Told(Interface):
        def __del__(self):
            dropped.append(True)

    told = Told(version=3, data=(memory.data, False), typestr="|u1", shape=SHAPE)
    image = _core.cuda_image(told, "rgb8", stream=stream)
    del told
    gc.collect()
    assert dropped == []
    del image
    gc.collect()
    assert dropped == [True]


def test_pictures_of_another_gpu(cuda):
    cuda.set_device(count=2)
    stream, memory = _core.CudaStream("cuda:0"), _core.CudaBuffer(4096, device="cuda:1")
    with pytest.raises(ValueError, match="expected memory of cuda:0, got memory of cuda:1"):
        _core.cuda_image(interface(memory), "rgb8", stream=stream)


def test_faults_of_each_call_while_a_picture_is_taken(cuda, stream, memory):
    cuda.reset()
    _core.cuda_image(interface(memory, stream=1), "rgb8", stream=stream)
    calls = cuda.calls()
    told = set()
    for call in calls:
        cuda.reset()
        cuda.fail_at(call.number)
        try:
            _core.cuda_image(interface(memory, stream=1), "rgb8", stream=stream)
        except _core.DeviceError as error:
            assert f"{call.name} failed: CUDA_ERROR_OUT_OF_MEMORY" in str(error)
            told.add(call.name)
        assert cuda.fired
        assert cuda.violations() == []
    assert told >= {"cuCtxGetCurrent", "cuEventCreate", "cuEventRecord", "cuStreamWaitEvent", "cuPointerGetAttribute"}
    cuda.fail_at(0)
    _core.cuda_image(interface(memory, stream=1), "rgb8", stream=stream)


def test_devices(cuda):
    cuda.set_device(count=2, sm=120, driver_version=13010, memory_bytes=1 << 30)
    first, second = _core.cuda_devices()
    assert (second.name, second.model, second.sm, second.memory_bytes) == ("cuda:1", "Fake GPU 1", 120, 1 << 30)
    assert (first.integrated, first.multiprocessors) == (False, 8)
    assert _core.cuda_library() == str(cuda.library)


def test_launch_callbacks_see_and_change_memory(cuda, stream, memory):
    """The control itself: what tests of the whole path stand on."""
    cuda.memory(memory.data, 4)[:] = [1, 2, 3, 4]
    assert cuda.memory(memory.data + 2, 2).tolist() == [3, 4]
    for wrong in ((memory.data, 4097), (1234, 1)):
        with pytest.raises(ValueError, match="bytes of device memory"):
            cuda.memory(*wrong)


ASK = "from affectrt import _core\ntry:\n    print(_core.cuda_devices())\nexcept _core.DeviceError as error:\n    print(error)"


def ask(environment):
    done = subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_without_a_driver(tmp_path):
    environment = {**fake_cuda.environment(), "AFFECTRT_CUDA_LIBRARY": str(tmp_path / "libcuda.so.1")}
    text = ask(environment)
    assert text.startswith(f"no NVIDIA driver: {tmp_path}/libcuda.so.1 could not be opened (")
    assert "install the driver, or set AFFECTRT_CUDA_LIBRARY" in text


def test_with_a_library_that_is_no_driver():
    text = ask({**fake_cuda.environment(), "AFFECTRT_CUDA_LIBRARY": "libm.so.6"})
    assert text.startswith("no usable NVIDIA driver: libm.so.6 lacks cuDriverGetVersion")


def test_with_a_driver_that_lacks_a_function(tmp_path):
    source = tmp_path / "old.cc"
    source.write_text(
        'extern "C" int cuDriverGetVersion(int* v) { *v = 13000; return 0; }\nextern "C" int cuInit(unsigned) { return 0; }\n'
    )
    library = tmp_path / "libcuda.so"
    subprocess.run(["c++", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    assert ask({**fake_cuda.environment(), "AFFECTRT_CUDA_LIBRARY": str(library)}).startswith(
        f"no usable NVIDIA driver: {library} lacks cuGetErrorName; expected the driver of CUDA 12.6"
    )


def test_with_an_old_driver_and_without_a_gpu():
    old = ask(fake_cuda.environment(version=12040))
    assert old.startswith("the NVIDIA driver is too old: expected CUDA 12.6 or newer, got CUDA 12.4 from ")
    assert "cuInit failed: CUDA_ERROR_NO_DEVICE 100" in ask(fake_cuda.environment(devices=0))
