"""What cannot run here, with doubles: TensorRT 10 and 11, which need a GPU, and the driver's library.

The doubles are fakes. They have the names that the bindings of 10.13.0.35 and 11.4.0.106 have for what is called (read from the strings in
their extension modules), and say what they were asked. That the real ones do the same has not been seen.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from affectrt_export.spec import ExportError
from affectrt_export.tensorrt import build as builder
from affectrt_export.tensorrt import cache, derive, device, library
from affectrt_export.tensorrt.build import BuildError, build
from affectrt_export.tensorrt.device import Gpu, find_gpu, parse_target
from affectrt_export.tensorrt.ep_context import check
from affectrt_export.tensorrt.library import load, parse_version
from affectrt_export.tensorrt.options import Options
from onnx import TensorProto, helper

ORIN = Gpu("Orin", (8, 7), "540.4.0")

FAKE = """
import enum, json, os, signal, time
import onnx

__version__ = "@VERSION@"
MAJOR = int(__version__.split(".")[0])
MODE = "@MODE@"
asked = {}


class ILogger:
    Severity = enum.IntEnum("Severity", "INTERNAL_ERROR ERROR WARNING INFO VERBOSE", start=0)


class IProgressMonitor:
    pass


class NetworkDefinitionCreationFlag(enum.IntEnum):
    if MAJOR < 11:
        EXPLICIT_BATCH = 0
    STRONGLY_TYPED = 1  # 11: deprecated, ignored


class BuilderFlag(enum.IntEnum):
    if MAJOR < 11:
        FP16, INT8 = 1, 2
    TF32 = 7


MemoryPoolType = enum.Enum("MemoryPoolType", "WORKSPACE TACTIC_DRAM")
DataType = enum.Enum("DataType", "FLOAT HALF INT64")


class Tensor:
    def __init__(self, value):
        self.name, self.dtype = value.name, DataType.FLOAT
        self.shape = [d.dim_value or -1 for d in value.type.tensor_type.shape.dim]


class Network:
    def __init__(self, flags):
        asked["flags"] = flags

    num_inputs = property(lambda self: len(self.graph.input))
    num_outputs = property(lambda self: len(self.graph.output))

    def get_input(self, i):
        return Tensor(self.graph.input[i])

    def get_output(self, i):
        return Tensor(self.graph.output[i])


class OnnxParser:
    num_errors = 0

    def __init__(self, network, log):
        self.network = network

    def parse(self, model):
        self.network.graph = onnx.load_model_from_string(model).graph
        return True


class TimingCache:
    def __init__(self, data):
        self.data = data

    def serialize(self):
        return b"times of " + __version__.encode()


class Config:
    def set_memory_pool_limit(self, pool, size):
        asked["workspace"] = [pool.name, size]

    def clear_flag(self, flag):
        asked.setdefault("cleared", []).append(flag.name)

    def create_timing_cache(self, data):
        return TimingCache(data)

    def set_timing_cache(self, cache, ignore_mismatch):
        asked.setdefault("timing", []).append([cache.data.decode(), ignore_mismatch])
        self.cache = cache
        return not cache.data.startswith(b"another GPU")

    def get_timing_cache(self):
        return self.cache

    def add_optimization_profile(self, profile):
        asked["shapes"] = profile.shapes
        return 0


class Profile:
    def __init__(self):
        self.shapes = {}

    def set_shape(self, name, *shapes):
        self.shapes[name] = shapes


class Builder:
    def __init__(self, log):
        if MODE == "no GPU":
            log.log(ILogger.Severity.ERROR, "CUDA initialization failure with error: 35")
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def create_network(self, flags=0):
        return Network(flags)

    def create_builder_config(self):
        return Config()

    def create_optimization_profile(self):
        return Profile()

    def build_serialized_network(self, network, config):
        monitor = config.progress_monitor
        monitor.phase_start("Building engine", None, 2)
        monitor.step_complete("Building engine", 0)
        if MODE == "abort":
            print("Assertion failed in the builder", flush=True)
            os.abort()
        if MODE == "raise":
            raise RuntimeError("what nobody expects")
        if MODE == "slow":
            open("@ALIVE@", "w").write(str(os.getpid()))
            time.sleep(300)
        monitor.phase_finish("Building engine")
        return json.dumps(asked).encode()
"""


def network():
    image, out = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 3]) for n in ("image", "logits"))
    graph = helper.make_graph([helper.make_node("Relu", ["image"], ["logits"])], "g", [image], [out])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Puts a fake `tensorrt` in front of everything, for this process and the one that builds; with a GPU, as the real one needs."""
    monkeypatch.syspath_prepend(str(tmp_path / "fake"))
    monkeypatch.setenv("AFFECTRT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    for module in (builder, library):
        monkeypatch.setattr(module, "find_gpu", lambda: ORIN)

    def install(version, mode=""):
        (tmp_path / "fake").mkdir(exist_ok=True)
        text = FAKE.replace("@VERSION@", version).replace("@MODE@", mode).replace("@ALIVE@", str(tmp_path / "alive"))
        (tmp_path / "fake" / "tensorrt.py").write_text(text)
        sys.modules.pop("tensorrt", None)

    yield install
    sys.modules.pop("tensorrt", None)


@pytest.mark.parametrize(("version", "flags"), [("10.3.0", 2), ("10.13.0.35", 2), ("11.4.0.106", 0)])
def test_fake_10_is_told_to_type_strongly_and_11_does_so_by_itself(fake, version, flags):
    fake(version)
    engine = build(network(), Options(workspace_mib=64))
    asked = json.loads(engine.data)
    assert (asked["flags"], asked["cleared"], asked["workspace"]) == (flags, ["TF32"], ["WORKSPACE", 64 << 20])
    assert asked["shapes"] == {"image": [[1, 3], [1, 3], [8, 3]]}
    assert (engine.library.kind, engine.gpu, engine.hardware) == ("tensorrt", ORIN, "87")
    assert engine.library.provider == "TensorrtExecutionProvider"


@pytest.mark.parametrize("version", ["10.13.0.35", "11.4.0.106"])
def test_fake_timing_cache_is_kept_between_builds_and_one_of_another_gpu_is_left(fake, version):
    fake(version)
    first = build(network())
    assert json.loads(first.data)["timing"] == [["", False]] and first.timing == b"times of " + version.encode()
    second = build(network(), timing=first.timing)
    assert json.loads(second.data)["timing"] == [["times of " + version, False]]
    other = build(network(), timing=b"another GPU")
    assert json.loads(other.data)["timing"] == [["another GPU", False], ["", False]]


def test_fake_engine_is_wrapped_for_the_tensorrt_provider_and_its_times_are_kept(fake):
    fake("10.3.0.30")
    path = derive.engine_of(network(), "face")
    context, engine = check(path.read_bytes())
    assert (context.provider, context.sdk_version, context.hardware) == ("TensorrtExecutionProvider", "100300", "87")
    assert json.loads((path.parent / engine).read_bytes())["timing"] == [["", False]]
    again = derive.engine_of(network(), "face", options=Options(level=5))
    assert again != path and json.loads((again.parent / engine).read_bytes())["timing"] == [["times of 10.3.0.30", False]]


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        ("abort", r"TensorRT 10\.3\.0 ended its process \(signal SIGABRT\), saying: Assertion failed in the builder"),
        ("raise", r"TensorRT 10\.3\.0 ended its process \(exit status 1\), saying: .*what nobody expects"),
        ("no GPU", r"TensorRT 10\.3\.0 gives no builder: CUDA initialization failure with error: 35"),
    ],
)
def test_fake_that_aborts_does_not_take_the_host_with_it(fake, mode, said):
    fake("10.3.0", mode)
    with pytest.raises(BuildError, match="(?s)" + said):
        build(network())


WAITS = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that starts tests in the background has them ignore it
from affectrt_export.tensorrt import build, library
from affectrt_export.tensorrt.device import Gpu
build.find_gpu = library.find_gpu = lambda: Gpu("Orin", (8, 7), "540.4.0")
build.build(bytes.fromhex(sys.argv[1]))
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_fake_that_takes_minutes_ends_with_whoever_waits_for_it(fake, tmp_path, number, status):
    fake("10.3.0", "slow")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    waits = subprocess.Popen([sys.executable, "-c", WAITS, network().hex()], env=environment, stderr=subprocess.PIPE)
    alive = tmp_path / "alive"
    until(lambda: (alive.exists() and alive.read_text()) or waits.poll() is not None)
    builds = int(alive.read_text())
    waits.send_signal(number)
    assert waits.wait(30) in (status, -number)
    until(lambda: not Path(f"/proc/{builds}").exists() or " Z " in Path(f"/proc/{builds}/stat").read_text())
    assert number == signal.SIGKILL or b"KeyboardInterrupt" in waits.stderr.read()


def until(done):
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_fake_of_another_version_is_refused_as_a_number_not_as_text(fake):
    for version in ("8.6.1", "9.3.0", "12.0.0"):
        fake(version)
        with pytest.raises(ExportError, match=rf"TensorRT {version}: expected a version from 10 on and before 12"):
            load("tensorrt")
    fake("10.3.0")
    assert load("tensorrt").version == (10, 3, 0) > (9, 9)


def test_versions_are_numbers():
    assert parse_version("10.3.0.30-1+cuda12.5") == (10, 3, 0, 30) and parse_version("11.4.0.post12") == (11, 4, 0)
    assert parse_version("10.0") > parse_version("7.0")
    with pytest.raises(ExportError, match="expected numbers"):
        parse_version("unknown")


def test_fake_without_a_gpu_is_not_asked_to_build(fake, monkeypatch):
    fake("10.3.0")
    monkeypatch.setattr(builder, "find_gpu", lambda: None)
    with pytest.raises(ExportError, match=r"builds on the GPU that the engine is for, and there is none here.*TensorRT-RTX"):
        build(network(), Options(library="tensorrt"))
    with pytest.raises(ExportError, match="targets sm89: TensorRT builds for the GPU it runs on"):
        build(network(), Options(library="tensorrt", targets=["sm89"]))


def test_which_library_is_taken(fake, monkeypatch):
    fake("10.3.0")
    assert load().kind == "tensorrt"  # there is a GPU
    assert load(targets=["sm89"]).kind == "tensorrt_rtx"
    monkeypatch.setattr(library, "find_gpu", lambda: None)
    assert load().kind == "tensorrt_rtx"
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    assert load().kind == "tensorrt"
    with pytest.raises(ExportError, match='expected "auto", "tensorrt" or "tensorrt_rtx"'):
        load("tensorflow")


def test_what_is_missing_is_named_with_how_to_install_it_here_first(monkeypatch):
    for name in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        ExportError, match=r"tensorrt_rtx is not installed and tensorrt is not installed; ahead of time.*pip install tensorrt-rtx-cu13"
    ):
        load()
    monkeypatch.setattr(library.machine, "jetson", lambda: {"model": "Orin"})
    with pytest.raises(ExportError, match=r"tensorrt is not installed; on a Jetson: .*nvidia-jetpack.*; on a desktop.*; ahead of time"):
        load("tensorrt")


def test_a_library_that_cannot_be_loaded_and_one_that_is_none_say_why(fake, tmp_path):
    fake("10.3.0")
    (tmp_path / "fake" / "tensorrt.py").write_text("raise ImportError('libnvinfer.so.10: cannot open shared object file')")
    with pytest.raises(ExportError, match="tensorrt cannot be loaded: libnvinfer"):
        load("tensorrt")
    (tmp_path / "fake" / "tensorrt.py").write_text("")
    sys.modules.pop("tensorrt", None)
    with pytest.raises(ExportError, match="which is not NVIDIA's library"):
        load("tensorrt")


class FakeCuda:
    """A fake of the driver's library: one Orin, or an error from one call."""

    def __init__(self, fails=""):
        self.fails = fails

    def __getattr__(self, name):
        def call(*arguments):
            if name == "cuDeviceGetName":
                arguments[0].value = b"Orin"
            elif name == "cuDeviceGetAttribute":
                arguments[0]._obj.value = {75: 8, 76: 7}[arguments[1]]
            elif name == "cuDriverGetVersion":
                arguments[0]._obj.value = 12060
            return int(name == self.fails)

        return call


def test_fake_driver_gives_name_compute_capability_and_version(monkeypatch):
    monkeypatch.setattr(device.machine, "gpu", lambda: None)
    assert find_gpu(cuda=FakeCuda()) == Gpu("Orin", (8, 7), "CUDA 12.6")
    assert find_gpu(cuda=FakeCuda()).target == "sm87"
    monkeypatch.setattr(device.machine, "gpu", lambda: {"names": [], "driver": "540.4.0"})
    assert find_gpu(cuda=FakeCuda()) == ORIN
    for name in ("cuInit", "cuDeviceGet", "cuDeviceGetName", "cuDeviceGetAttribute", "cuDriverGetVersion"):
        assert find_gpu(cuda=FakeCuda(name)) is None


def test_targets_are_read_in_every_usual_spelling():
    assert {parse_target(text) for text in ("sm89", "SM89", "sm_89", "89", "8.9", " 8.9 ")} == {"sm89"}
    assert parse_target("12.0") == parse_target("120") == "sm120"
    for text in ("", "8", "ada", "sm8.9.1", "sm89x"):
        with pytest.raises(ExportError, match="expected the compute capability"):
            parse_target(text)


def test_nothing_is_loaded_before_it_is_asked_for():
    program = "import sys, affectrt_export.tensorrt.derive; print([m for m in sys.modules if m.startswith(('tensorrt', 'torch'))])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True).stdout.strip() == "[]"
    )


def test_the_cache_is_where_the_other_caches_are(tmp_path, monkeypatch):
    monkeypatch.setenv("AFFECTRT_CACHE_DIR", str(tmp_path))
    assert cache.engines_root() == tmp_path / "engines"
