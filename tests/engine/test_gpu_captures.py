"""Networks beside the capture of a CUDA graph, which ONNX Runtime makes in CUDA's global mode: whatever a thread of the process does then
that might wait or allocate is refused, and breaks the capture. On the fake runtime and the fake driver.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from device_memory import BYTES, SHAPE, bind
from fake_ort import probe

CUDA, TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"
BESIDE_S = 0.3
"""How long a capture lasts for what is tried beside it: what waits for its end is not done by then."""


class Beside:
    """Does something on a thread of its own while the next graph is being captured."""

    def __init__(self, ort, work: Callable[[], None]) -> None:
        self.error: BaseException | None = None
        self.waited = False
        self._work, self._thread, self._ort = work, threading.Thread(target=self._run), ort
        ort.on_capture(self._captured)

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self.error = error

    def _captured(self) -> None:
        self._ort.on_capture(None)
        self._thread.start()
        self._thread.join(BESIDE_S)
        self.waited = self._thread.is_alive()

    def end(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()
        if self.error:
            raise self.error


class Network:
    """The network between two buffers of the device, with graphs unless told."""

    def __init__(self, gpu, model, *, graphs=True, strict=True) -> None:
        self.gpu, self.stream, self.x, self.y = gpu, gpu.stream(), gpu.memory(), gpu.memory()
        self.source, self.result = gpu.pinned(), gpu.pinned()
        self.source[:] = np.arange(8).reshape(SHAPE)
        self.engine = probe.Engine(model, [CUDA], gpu=(0, self.stream, graphs), strict=strict)
        self.binding = self.engine.binding()
        bind(self.binding, self.x, self.y)

    def run(self, graph: int) -> None:
        self.gpu.upload(self.x, self.source, self.stream)
        self.binding.run(graph)
        self.gpu.download(self.result, self.y, self.stream)
        self.gpu.wait(self.stream)
        np.testing.assert_array_equal(self.result, 2 * self.source + 1)

    def close(self) -> None:
        self.binding.__exit__()
        self.engine.close()


@pytest.fixture
def network(gpu, doubling):
    made: list[Network] = []

    def make(**options) -> Network:
        made.append(Network(gpu, doubling, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def host_run(engine) -> None:
    given, got = np.ones(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    with engine.binding() as binding:
        binding.bind("input", 0, given.ctypes.data, BYTES, SHAPE, gpu=False)
        binding.bind("output", 0, got.ctypes.data, BYTES, SHAPE, gpu=False)
        binding.run()
    np.testing.assert_array_equal(got, 3)


def test_a_session_opens_or_closes_after_the_capture(ort, network, doubling):
    one = network()
    closing = probe.Engine(doubling, [CUDA])
    for graph, work in enumerate([lambda: probe.Engine(doubling, [CUDA]).close(), closing.close]):
        beside = Beside(ort, work)
        one.run(graph)
        beside.end()
        assert beside.waited
    assert [call.args["captures"] for call in ort.calls("RunWithBinding")] == [1, 1]


def test_which_providers_can_be_had_is_asked_after_the_capture(ort, network):
    one, beside = network(), Beside(ort, lambda: probe.to_be_had([CUDA]))
    one.run(0)
    beside.end()
    assert beside.waited


def test_a_run_without_graphs_waits_for_the_end(ort, network, doubling):
    one = network()
    with probe.Engine(doubling, [CUDA]) as text:
        beside = Beside(ort, lambda: host_run(text))
        one.run(0)
        beside.end()
    assert beside.waited


def test_networks_on_the_cpu_do_not_wait(ort, network, doubling):
    def on_cpu() -> None:
        with probe.Engine(doubling, []) as engine:
            host_run(engine)

    one, beside = network(), Beside(ort, on_cpu)
    one.run(0)
    beside.end()
    assert not beside.waited


def test_two_captures_at_once(ort, network):
    """The second does without for now, once the first has ended, and has its graph the next time."""
    one, other = network(), network()
    beside = Beside(ort, lambda: other.binding.run(0))
    one.run(0)
    beside.end()
    assert beside.waited
    other.run(0)
    other.run(0)
    runs = [(call.args["graph"], call.args["captures"]) for call in ort.calls("RunWithBinding")]
    assert runs == [("1", 1), ("-1", 0), ("1", 1), ("1", 0)]


def test_nobody_waits_for_a_session_that_opens(ort, network, doubling, tmp_path, monkeypatch):
    """It may take minutes, where an engine is built: until then there is no capture."""
    held = tmp_path / "held"
    held.touch()
    monkeypatch.setenv("AFFECTRT_FAKE_ORT_HOLD", str(held))
    cache = {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(tmp_path)}
    one, opening = network(), threading.Thread(target=lambda: probe.Engine(doubling, [(TENSORRT, cache)]).close())
    opening.start()
    while len(ort.calls("CreateSession")) < 2:
        time.sleep(0.01)
    one.run(0)
    held.unlink()
    opening.join(30)
    one.run(0)
    assert [call.args["captures"] for call in ort.calls("RunWithBinding")] == [0, 1]


@pytest.mark.parametrize("strict", [False, True])
def test_a_capture_that_another_library_breaks(ort, cuda, network, strict):
    one = network(strict=strict)
    ort.on_capture(cuda.unsafe)
    if strict:
        with pytest.raises(probe.ProbeError, match="CUDA failure 901: operation failed due to a previous error during capture") as caught:
            one.run(0)
        assert caught.value.kind == "EngineError"
        ort.on_capture(None)
    one.run(0)
    one.run(0)
    told = one.engine.fallbacks
    runs = [call.args["graph"] for call in ort.calls("RunWithBinding")]
    if strict:  # it tries again
        assert told == [] and runs == ["1", "1", "1"]
    else:
        assert runs == ["1", "-1", "-1"]
        assert len(told) == 1 and told[0].startswith("CUDA graphs: run: CUDA failure 901")


def test_each_thread_that_runs_it_captures_anew(ort, network):
    """What the runtime does, and why a pipeline has a thread of its own."""
    one = network()
    one.run(0)
    thread = threading.Thread(target=lambda: one.binding.run(0))
    thread.start()
    thread.join(30)
    one.run(0)
    runs = [(call.args["thread"], call.args["captures"]) for call in ort.calls("RunWithBinding")]
    assert [captures for _, captures in runs] == [1, 1, 0]
    assert runs[0][0] == runs[2][0] != runs[1][0]
