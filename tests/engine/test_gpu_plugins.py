"""Providers that come as libraries: registering, choosing the device, options, faults. Devices are the fake's; loading a library, and the
runtime's own device, are the real runtime's."""

import os
import subprocess
import sys
from pathlib import Path

import fake_ort
import pytest
from fake_ort import probe

RTX, CUDA_PLUGIN, CPU = "NvTensorRTRTXExecutionProvider", "CudaPluginExecutionProvider", "CPUExecutionProvider"
STREAM = 0x7F00
APPEND = "SessionOptionsAppendExecutionProvider_V2"
TWO_GPUS = (f"{RTX} NVIDIA gpu device_id=0", f"{RTX} NVIDIA gpu device_id=1")


def scenario(code: str, *arguments: Path | str) -> str:
    """A library stays registered, so each test has a process of its own, whose real runtime has the CPU alone."""
    prelude = (
        "import sys, fake_ort\nfrom pathlib import Path\nfrom fake_ort import probe\nfake = fake_ort.load()\nfake.set_providers()\n"
        f"RTX, CUDA_PLUGIN, CPU, STREAM, APPEND = {RTX!r}, {CUDA_PLUGIN!r}, {CPU!r}, {STREAM}, {APPEND!r}\n"
        "def refused(function, *arguments, **settings):\n"
        "    try:\n        function(*arguments, **settings)\n"
        "    except probe.ProbeError as error:\n        return error.kind, str(error)\n"
        "    raise AssertionError('expected an error')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", prelude + code, *map(str, arguments)],
        env=os.environ | fake_ort.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_ordinal_chooses_the_device(tmp_path, doubling):
    """By what the provider says of its devices, whatever their order; with our options, but no number for the device."""
    library = fake_ort.plugin_file(tmp_path, f"{RTX} NVIDIA cpu", f"{RTX} NVIDIA gpu device_id=1", f"{RTX} NVIDIA gpu device_id=0")
    code = """
probe.register(RTX, sys.argv[1])
there = [d[1:] for d in probe.devices() if d[0] == RTX]
assert there == [("NVIDIA", "cpu", "0"), ("NVIDIA", "gpu", "1"), ("NVIDIA", "gpu", "0")], there
for ordinal in (0, 1):
    fake.reset(); fake.set_providers()
    with probe.Engine(sys.argv[2], [(RTX, {"nv_runtime_cache_path": "/c"})], gpu=(ordinal, STREAM, True), strict=True) as engine:
        assert (engine.provider, engine.on_gpu, engine.graphs, engine.fallbacks) == (RTX, True, True, [])
    (call,) = fake.calls(APPEND)
    assert call.args["device"] == str(ordinal), call
    assert call.args["options"] == {"enable_cuda_graph": "1", "has_user_compute_stream": "1", "user_compute_stream": str(STREAM),
                                    "nv_runtime_cache_path": "/c"}, call
    assert [c.args["id"] for c in fake.calls("CreateMemoryInfo")] == [ordinal]
kind, text = refused(probe.Engine, sys.argv[2], [RTX], gpu=(2, STREAM, False), strict=True)
assert kind == "DeviceError" and text.startswith(f"{RTX}: GetEpDevices: expected GPU 2, found"), text
assert f"{RTX} on GPU 1, {RTX} on GPU 0" in text, text
with probe.Engine(sys.argv[2], [RTX], gpu=(2, STREAM, False)) as engine:
    assert engine.provider == CPU and "expected GPU 2" in engine.fallbacks[0]
"""
    scenario(code, library, doubling)


def test_what_libraries_offer_is_told_where_something_else_is_asked(tmp_path, doubling):
    code = """
probe.register(RTX, sys.argv[1])
with probe.Engine(sys.argv[2], ["QNNExecutionProvider"]) as engine:
    assert engine.fallbacks[0].endswith(f"; from libraries: {RTX} on GPU 0, {RTX} on GPU 1)"), engine.fallbacks
"""
    scenario(code, fake_ort.plugin_file(tmp_path, *TWO_GPUS), doubling)


def test_devices_without_a_number_count_in_their_order(tmp_path, doubling):
    library = fake_ort.plugin_file(tmp_path, f"{CUDA_PLUGIN} NVIDIA gpu", f"{CUDA_PLUGIN} NVIDIA gpu meta:cuda_device_id=7 device_id=3")
    code = """
probe.register(CUDA_PLUGIN, sys.argv[1])
assert [d[3] for d in probe.devices() if d[0] == CUDA_PLUGIN] == ["0", "7"]
"""
    scenario(code, library, doubling)


def test_a_provider_that_may_pass_over_the_stream_has_host_tensors_only(tmp_path, doubling):
    code = """
probe.register(CUDA_PLUGIN, sys.argv[1])
with probe.Engine(sys.argv[2], [(CUDA_PLUGIN, {"device_id": "1"})], gpu=(0, STREAM, True)) as engine:
    assert (engine.provider, engine.on_gpu, engine.fallbacks) == (CUDA_PLUGIN, False, [])
(call,) = fake.calls(APPEND)
assert (call.args["device"], call.args["options"]) == ("1", {})
"""
    scenario(
        code, fake_ort.plugin_file(tmp_path, f"{CUDA_PLUGIN} NVIDIA gpu device_id=0", f"{CUDA_PLUGIN} NVIDIA gpu device_id=1"), doubling
    )


def test_without_a_gpu_in_the_options_the_caller_chooses(tmp_path, doubling):
    code = """
probe.register(RTX, sys.argv[1])
for given, chosen in [({}, "0"), ({"device_id": "1"}, "1")]:
    fake.reset(); fake.set_providers()
    with probe.Engine(sys.argv[2], [(RTX, given)]) as engine:
        assert engine.provider == RTX and not engine.on_gpu
    (call,) = fake.calls(APPEND)
    assert (call.args["device"], call.args["options"]) == (chosen, {})
kind, text = refused(probe.Engine, sys.argv[2], [(RTX, {"device_id": "1"})], gpu=(0, STREAM, False))
assert kind == "ValueError" and "option device_id: expected 0" in text
"""
    scenario(code, fake_ort.plugin_file(tmp_path, *TWO_GPUS), doubling)


def test_registering_twice(tmp_path):
    first, second = fake_ort.plugin_file(tmp_path, *TWO_GPUS), fake_ort.plugin_file(tmp_path, TWO_GPUS[0])
    code = """
probe.register(RTX, sys.argv[1])
probe.register(RTX, sys.argv[1])
assert len(fake.calls("RegisterExecutionProviderLibrary")) == 1
kind, text = refused(probe.register, RTX, sys.argv[2])
assert kind == "DeviceError" and text == f"{RTX}: registered already with {sys.argv[1]}; cannot change to {sys.argv[2]}", text
"""
    scenario(code, first, second)


def test_every_call_failing_in_turn(tmp_path, doubling):
    code = """
probe.to_be_had([])
fake.fail("RegisterExecutionProviderLibrary", "wrong driver")
assert refused(probe.register, RTX, sys.argv[1]) == ("DeviceError", f"{RTX}: RegisterExecutionProviderLibrary: wrong driver")
assert probe.devices() == [], "a library that failed is not registered"
probe.register(RTX, sys.argv[1])
before = fake.leaks()
for name in ["GetEpDevices", APPEND]:
    fake.fail(name, "gone")
    assert refused(probe.Engine, sys.argv[2], [RTX], strict=True, gpu=(0, STREAM, True)) == ("DeviceError", f"{RTX}: {name}: gone")
    fake.fail(name, "gone")
    with probe.Engine(sys.argv[2], [RTX], gpu=(0, STREAM, True)) as engine:
        assert (engine.provider, engine.fallbacks) == (CPU, [f"{RTX}: {name}: gone"])
    with probe.Engine(sys.argv[2], [RTX], gpu=(0, STREAM, True)) as engine:
        assert (engine.provider, engine.fallbacks) == (RTX, [])
fake.reset(); fake.set_providers()
probe.Engine(sys.argv[2], [RTX], strict=True, gpu=(0, STREAM, True)).close()
total = fake.count
for number in range(1, total + 1):
    fake.reset(); fake.set_providers()
    fake.fail_at(number, "fault")
    kind, text = refused(probe.Engine, sys.argv[2], [RTX], strict=True, gpu=(0, STREAM, True))
    assert text.endswith("fault") and fake.leaks() == before, (number, text, fake.leaks())
    assert not fake.violations()
print(total)
"""
    assert int(scenario(code, fake_ort.plugin_file(tmp_path, *TWO_GPUS), doubling)) > 20


def test_a_library_that_is_too_old(tmp_path):
    code = """
fake.set_api_version(21)
assert probe.to_be_had([RTX]) == [CPU]
kind, text = refused(probe.register, RTX, sys.argv[1])
assert kind == "DeviceError", kind
assert text.startswith("providers that come as a library need ONNX Runtime 1.22 or newer, found 1.21.0 at "), text
assert not fake.calls("RegisterExecutionProviderLibrary")
fake.set_api_version(22)
probe.register(RTX, sys.argv[1])
"""
    scenario(code, fake_ort.plugin_file(tmp_path, *TWO_GPUS))


def test_an_option_that_the_provider_does_not_know(tmp_path, doubling):
    code = """
probe.register(RTX, sys.argv[1])
with probe.Engine(sys.argv[2], [(RTX, {"trt_fp16_enable": "1"})]) as engine:
    assert engine.fallbacks == [f'{RTX}: {APPEND}: Unknown provider option: "trt_fp16_enable"'], engine.fallbacks
"""
    scenario(code, fake_ort.plugin_file(tmp_path, *TWO_GPUS), doubling)


def test_what_is_built_in_comes_first(ort, tmp_path, doubling):
    """A provider that the runtime has by itself needs no library, and asks for none."""
    with probe.Engine(doubling, [RTX], gpu=(0, STREAM, False)):
        pass
    assert ort.calls("SessionOptionsAppendExecutionProvider") and not ort.calls("GetEpDevices", APPEND)


def test_nothing_is_asked_where_nothing_is_registered(ort, doubling):
    with probe.Engine(doubling, ["QNNExecutionProvider"]):
        pass
    assert not ort.calls("GetEpDevices")


@pytest.fixture(scope="session")
def no_provider() -> Path:
    return fake_ort.compile_library("no_provider", [fake_ort.HERE / "probe" / "no_provider.cc"])


def test_the_real_runtime_loads_a_library(no_provider, doubling):
    """Our rows of its table, called for real: a library is loaded, its lack of devices told, and the runtime's own device is described."""
    code = """
probe.register("none", sys.argv[1])
(cpu,) = [d for d in probe.devices() if d[0] == CPU]
assert cpu[1:] == ("Microsoft", "cpu", "0"), cpu
with probe.Engine(sys.argv[2], [RTX], gpu=(0, STREAM, False)) as engine:
    assert engine.fallbacks[0].startswith(f"{RTX}: not in this ONNX Runtime ") and "libraries" not in engine.fallbacks[0]
with probe.Engine(sys.argv[2], ["none"]) as engine:
    assert engine.fallbacks == [f"none: the library {sys.argv[1]} finds no device for it on this machine"], engine.fallbacks
for path in ("/nowhere/libprovider.so", sys.argv[2]):
    kind, text = refused(probe.register, "other", path)
    assert kind == "DeviceError" and text.startswith("other: RegisterExecutionProviderLibrary: ") and path in text, text
kind, text = refused(probe.register, "none", "/another")
assert "registered already" in text
"""
    scenario(code, no_provider, doubling)


def test_from_python(tmp_path, doubling):
    """The package itself on the fake runtime."""
    code = """
from affectrt import _core
_core.register_provider_library(RTX, Path(sys.argv[1]))
assert [d for d in _core.provider_devices() if d[0] == RTX] == [(RTX, "NVIDIA", True, 0), (RTX, "NVIDIA", True, 1)]
engine = _core.Engine(sys.argv[2], providers=[(RTX, {"device_id": "1"})], strict=True)
assert engine.provider == RTX and fake.calls(APPEND)[0].args["device"] == "1"
import numpy as np
x = np.ones((2, 4), np.float32)
np.testing.assert_array_equal(engine.run({"x": x})["y"], 3)
try:
    _core.register_provider_library(RTX, "/other")
except _core.DeviceError as error:
    assert "registered already" in str(error)
else:
    raise AssertionError
"""
    scenario(code, fake_ort.plugin_file(tmp_path, *TWO_GPUS), doubling)
