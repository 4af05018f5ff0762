"""Every call of the runtime failing in turn: the error names the provider and the call, nothing stays behind, and the next try works."""

import os
import subprocess
import sys

import fake_ort
import numpy as np
import pytest
from fake_ort import probe

CUDA, TENSORRT, RTX, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider", "CPUExecutionProvider"
STREAM = 0x7F00


def is_of_provider(name: str) -> bool:
    return "ProviderOptions" in name or "AppendExecutionProvider" in name


def calls_of_opening(ort, doubling, provider, **settings) -> list[str]:
    ort.reset()
    probe.Engine(doubling, [provider], **settings).close()
    names = [call.name for call in ort.calls()]
    assert any(is_of_provider(name) for name in names) and "CreateSession" in names
    return names


@pytest.mark.parametrize("provider", [CUDA, TENSORRT, RTX])
def test_opening_where_strict(ort, doubling, provider):
    settings = {"gpu": (1, STREAM, True), "strict": True}
    names = calls_of_opening(ort, doubling, provider, **settings)
    before = ort.leaks()
    for number, name in enumerate(names, 1):
        ort.reset()
        ort.fail_at(number, f"fault {number}")
        with pytest.raises(probe.ProbeError, match=rf"fault {number}$") as caught:
            probe.Engine(doubling, [provider], **settings)
        assert ort.fired and ort.calls()[-1].name == name, "the fault ends it"
        assert caught.value.kind == ("DeviceError" if is_of_provider(name) else "EngineError"), name
        if is_of_provider(name):
            assert str(caught.value) == f"{provider}: {name}: fault {number}"
        assert ort.leaks() == before, name
        with probe.Engine(doubling, [provider], **settings) as engine:
            assert engine.provider == provider and engine.fallbacks == []


@pytest.mark.parametrize("provider", [CUDA, TENSORRT, RTX])
@pytest.mark.parametrize("others", [[], [CUDA, CPU]], ids=["alone", "before others"])
def test_opening_where_falling_back_is_allowed(ort, doubling, provider, others):
    names = calls_of_opening(ort, doubling, provider, gpu=(1, STREAM, False))
    faulty = [(number, name) for number, name in enumerate(names, 1) if is_of_provider(name)]
    assert faulty
    for number, name in faulty:
        ort.reset()
        ort.fail_at(number, "not today")
        with probe.Engine(doubling, [provider, *others], gpu=(1, STREAM, False)) as engine:
            assert engine.fallbacks == [f"{provider}: {name}: not today"]
            assert engine.provider == (CUDA if others else CPU)
            assert engine.on_gpu == bool(others)
        with probe.Engine(doubling, [provider, *others], gpu=(1, STREAM, False)) as engine:
            assert (engine.provider, engine.fallbacks) == (provider, [])


def test_which_providers_can_be_had(ort):
    ort.fail("SessionOptionsAppendExecutionProvider_CUDA_V2", "no")
    assert probe.to_be_had([CUDA, RTX]) == [RTX]
    assert probe.to_be_had([CUDA, RTX]) == [CUDA, RTX]
    ort.fail("CreateSessionOptions", "no")
    with pytest.raises(probe.ProbeError, match=r"no$"):
        probe.to_be_had([CUDA])


@pytest.mark.parametrize("gpu", [False, True])
def test_binding_and_running(ort, doubling, gpu):
    x, y = np.ones((3, 4), np.float32), np.zeros((3, 4), np.float32)

    def use(engine):
        with engine.binding() as binding:
            binding.bind("input", 0, x.ctypes.data, x.nbytes, x.shape, gpu=gpu)
            binding.bind("output", 0, y.ctypes.data, y.nbytes, y.shape, gpu=gpu)
            binding.run(2)

    with probe.Engine(doubling, [CUDA], gpu=(0, STREAM, True), strict=True) as engine:
        ort.reset()
        use(engine)
        names = [call.name for call in ort.calls()]
        assert {"CreateIoBinding", "BindInput", "BindOutput", "RunWithBinding"} <= set(names)
        before = ort.leaks()
        for number, name in enumerate(names, 1):
            ort.reset()
            ort.fail_at(number, f"fault {number}")
            with pytest.raises(probe.ProbeError, match=rf"fault {number}$") as caught:
                use(engine)
            assert caught.value.kind == "EngineError" and ort.calls()[-1].name == name
            assert ort.leaks() == before, name
            y[:] = 0
            use(engine)
            np.testing.assert_array_equal(y, 3)


def test_a_capture_that_fails_is_given_up_and_told(ort, doubling):
    x, y = np.ones((3, 4), np.float32), np.zeros((3, 4), np.float32)
    with probe.Engine(doubling, [CUDA], gpu=(0, STREAM, True)) as engine, engine.binding() as binding:
        binding.bind("input", 0, x.ctypes.data, x.nbytes, x.shape, gpu=True)
        binding.bind("output", 0, y.ctypes.data, y.nbytes, y.shape, gpu=True)
        ort.fail("RunWithBinding", "operation failed due to a previous error during capture")
        for _ in range(2):
            binding.run(2)
            np.testing.assert_array_equal(y, 3)
        binding.run(3)  # another graph is another matter
        assert engine.fallbacks == ["CUDA graphs: run: operation failed due to a previous error during capture"]
    assert [call.args["graph"] for call in ort.calls("RunWithBinding")] == ["3", "-1", "-1", "4"]


def test_a_binding_works_again_after_a_fault(ort, doubling):
    x, y = np.ones((3, 4), np.float32), np.zeros((3, 4), np.float32)
    with probe.Engine(doubling, [CUDA], gpu=(0, STREAM, False)) as engine, engine.binding() as binding:
        for name in ["CreateTensorWithDataAsOrtValue", "BindInput"]:
            ort.fail(name)
            with pytest.raises(probe.ProbeError, match="injected"):
                binding.bind("input", 0, x.ctypes.data, x.nbytes, x.shape, gpu=True)
        binding.bind("input", 0, x.ctypes.data, x.nbytes, x.shape, gpu=True)
        binding.bind("output", 0, y.ctypes.data, y.nbytes, y.shape, gpu=True)
        for name in ["CreateRunOptions", "AddRunConfigEntry", "RunWithBinding"]:
            ort.fail(name)
            with pytest.raises(probe.ProbeError, match="injected"):
                binding.run()
        assert not y.any()
        binding.run()
    np.testing.assert_array_equal(y, 3)


OPENING = """
import fake_ort
from fake_ort import probe
fake = fake_ort.load()
CUDA = "CUDAExecutionProvider"
failed = []
while True:
    fake.reset()
    fake.fail_at(len(failed) + 1, "fault")
    try:
        found = probe.to_be_had([CUDA])
        break
    except probe.ProbeError as error:
        assert error.kind == "EngineError" and str(error).endswith(": fault"), error
        failed.append(fake.calls()[-1].name)
        if "CreateSessionOptions" not in failed:  # the runtime is not open yet; names are what the call itself should have given back
            assert set(fake.leaks()) <= {"providers"}, (failed, fake.leaks())
print(*failed)
assert found == ["CPUExecutionProvider"] or found == [CUDA], found
fake.reset()
assert probe.to_be_had([CUDA]) == [CUDA]
"""


def test_opening_the_runtime():
    """Each call that opens the runtime fails once, in a process that has opened none; the next try goes on."""
    done = subprocess.run(
        [sys.executable, "-c", OPENING], env=os.environ | fake_ort.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    failed = done.stdout.split()
    assert {"CreateThreadingOptions", "CreateEnvWithGlobalThreadPools", "CreateCpuMemoryInfo", "GetAvailableProviders"} <= set(failed)
