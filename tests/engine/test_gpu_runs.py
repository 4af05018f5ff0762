"""Runs with tensors of the host and of the device: what is waited for, which graph, what is refused. On the fake runtime."""

import threading

import numpy as np
import pytest
from fake_ort import probe

CUDA, RTX, CPU = "CUDAExecutionProvider", "NvTensorRTRTXExecutionProvider", "CPUExecutionProvider"
STREAM = 0x7F00


def pair(rows: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Input and output of the network. Without a fake driver, the fake takes addresses of the host for the device's."""
    return np.arange(rows * 4, dtype=np.float32).reshape(rows, 4), np.zeros((rows, 4), np.float32)


def bind(binding: probe.Binding, x: np.ndarray, y: np.ndarray, *, gpu: bool) -> None:
    binding.bind("input", 0, x.ctypes.data, x.nbytes, x.shape, gpu=gpu)
    binding.bind("output", 0, y.ctypes.data, y.nbytes, y.shape, gpu=gpu)


@pytest.mark.parametrize("provider", [CUDA, RTX])
def test_host_tensors_are_ready_when_the_run_returns(ort, doubling, provider):
    x, y = pair()
    with probe.Engine(doubling, [provider], gpu=(0, STREAM, True)) as engine, engine.binding() as binding:
        bind(binding, x, y, gpu=False)
        binding.run()
    np.testing.assert_array_equal(y, 2 * x + 1)
    (run,) = ort.calls("RunWithBinding")
    assert run.args["synchronised"] == 1 and run.args["on_device"] == []
    assert run.args["graph"] in ("", "-1"), "no graph is captured with addresses of the host"


@pytest.mark.parametrize("provider", [CUDA, RTX])
def test_device_tensors_stay_on_the_stream(ort, doubling, provider):
    x, y = pair()
    with probe.Engine(doubling, [provider], gpu=(0, STREAM, False)) as engine, engine.binding() as binding:
        bind(binding, x, y, gpu=True)
        binding.run()
    np.testing.assert_array_equal(y, 2 * x + 1)
    (run,) = ort.calls("RunWithBinding")
    assert (run.args["synchronised"], run.args["provider"], run.args["stream"]) == (0, provider, STREAM)
    assert run.args["on_device"] == ["x", "y"] and run.args["graph"] == ""


def test_one_tensor_on_the_device_is_enough(ort, doubling):
    x, y = pair()
    with probe.Engine(doubling, [CUDA], gpu=(0, STREAM, False)) as engine, engine.binding() as binding:
        binding.bind("input", 0, x.ctypes.data, x.nbytes, x.shape, gpu=True)
        binding.bind("output", 0, y.ctypes.data, y.nbytes, y.shape, gpu=False)
        binding.run()
        binding.bind("input", 0, x.ctypes.data, x.nbytes, x.shape, gpu=False)
        binding.run()
    assert [(c.args["on_device"], c.args["synchronised"]) for c in ort.calls("RunWithBinding")] == [(["x"], 0), ([], 1)]


def test_each_graph_has_a_number_of_its_own(ort, doubling):
    """One for each set of addresses; the fake tells where two sets share one."""
    sets = [pair(1), pair(2), pair(2)]
    with probe.Engine(doubling, [CUDA], gpu=(0, STREAM, True)) as engine:
        bindings = [engine.binding() for _ in sets]
        for _ in range(3):
            for graph, (binding, (x, y)) in enumerate(zip(bindings, sets, strict=True)):
                y[:] = 0
                x += 1
                bind(binding, x, y, gpu=True)
                binding.run(graph)
                np.testing.assert_array_equal(y, 2 * x + 1)
        with bindings[0]:
            bindings[0].run(-1)
        for binding in bindings[1:]:
            with binding:
                pass
    graphs = [c.args["graph"] for c in ort.calls("RunWithBinding")]
    # The runtime keeps 0 for itself, and takes -1 as none. Providers from libraries have another name for the number.
    assert graphs == ["1", "2", "3"] * 3 + ["-1"]
    entries = [(c.args["key"], c.args["value"]) for c in ort.calls("AddRunConfigEntry") if "graph" in c.args["key"]]
    assert entries[:2] == [("gpu_graph_id", "1"), ("cuda_graph_annotation_id", "1")]
    # Options of a run are made once for each graph and kept.
    assert len(ort.calls("CreateRunOptions")) <= 4


def test_two_sets_under_one_number_are_found(ort, doubling):
    """What the check above is worth: the second replays the first's addresses."""
    (x, y), (other, result) = pair(), pair()
    other += 100
    with probe.Engine(doubling, [CUDA], gpu=(0, STREAM, True)) as engine, engine.binding() as binding:
        bind(binding, x, y, gpu=True)
        binding.run(3)
        bind(binding, other, result, gpu=True)
        binding.run(3)
    assert not result.any()
    assert "was captured with other tensors than those bound now" in ort.violations()[0]
    ort.reset()


@pytest.mark.parametrize(("providers", "gpu"), [([CPU], (0, STREAM, False)), ([CUDA], None), ([], None)])
def test_no_device_memory_without_a_gpu(ort, doubling, providers, gpu):
    x, _ = pair()
    with probe.Engine(doubling, providers, gpu=gpu) as engine, engine.binding() as binding:
        with pytest.raises(probe.ProbeError, match=f"'x': expected host memory, since the network runs with {engine.provider}") as caught:
            binding.bind("input", 0, x.ctypes.data, x.nbytes, x.shape, gpu=True)
        assert caught.value.kind == "ValueError"
    assert not ort.calls("CreateTensorWithDataAsOrtValue", "BindInput")


@pytest.mark.parametrize(
    ("size", "shape", "text"),
    [(31, (2, 4), "'x': expected 32 bytes, got 31"), (32, (4, 2), r"'x': expected shape \(\*, 4\), got \(4, 2\)"), (0, (1, 4), "got 0")],
)
def test_wrong_buffers_on_the_device(ort, doubling, size, shape, text):
    x, _ = pair()
    with probe.Engine(doubling, [CUDA], gpu=(0, STREAM, False)) as engine, engine.binding() as binding:
        with pytest.raises(probe.ProbeError, match=text) as caught:
            binding.bind("input", 0, x.ctypes.data, size, shape, gpu=True)
        assert caught.value.kind == "ValueError"


def test_the_same_tensor_is_bound_once(ort, doubling):
    x, y = pair()
    with probe.Engine(doubling, [CUDA], gpu=(0, STREAM, False)) as engine, engine.binding() as binding:
        for _ in range(5):
            bind(binding, x, y, gpu=True)
            binding.run()
        assert len(ort.calls("BindInput")) == len(ort.calls("BindOutput")) == 1
        # The address is the same, but it is another memory.
        bind(binding, x, y, gpu=False)
        assert len(ort.calls("BindInput")) == 2


def test_eight_threads(ort, doubling):
    """Engines opened, run and closed on all of them at once."""
    errors: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            for turn in range(10):
                x, y = pair(1 + seed % 3)
                x += seed
                providers = [(CUDA, {"gpu_mem_limit": str(seed)}), RTX]
                settings = (0, STREAM + seed, turn % 2 == 0)
                with probe.Engine(doubling, providers, gpu=settings) as engine, engine.binding() as binding:
                    bind(binding, x, y, gpu=turn % 3 > 0)
                    for _ in range(5):
                        binding.run(seed)
                np.testing.assert_array_equal(y, 2 * x + 1)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors[0]
    assert len(ort.calls("RunWithBinding")) == 8 * 10 * 5
