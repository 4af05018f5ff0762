"""Which provider a network gets, with which options, and what is said where one cannot be had. On the fake runtime."""

import pytest
from fake_ort import probe

CUDA, TENSORRT, RTX, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider", "CPUExecutionProvider"
STREAM = 0x7F00

# Provider, the call that appends it, and the options we set for (GPU 1, our stream, graphs). The stream of the first two is a pointer of
# its own, beside the options.
APPENDED = [
    (CUDA, "SessionOptionsAppendExecutionProvider_CUDA_V2", {"device_id": "1", "enable_cuda_graph": "1"}),
    (TENSORRT, "SessionOptionsAppendExecutionProvider_TensorRT_V2", {"device_id": "1", "trt_cuda_graph_enable": "1"}),
    (
        RTX,
        "SessionOptionsAppendExecutionProvider",
        {"device_id": "1", "enable_cuda_graph": "1", "has_user_compute_stream": "1", "user_compute_stream": str(STREAM)},
    ),
]
EACH = pytest.mark.parametrize(("provider", "append", "options"), APPENDED, ids=["cuda", "tensorrt", "rtx"])


@EACH
def test_the_engines_own_device_stream_and_graphs(ort, doubling, provider, append, options):
    with probe.Engine(doubling, [provider], gpu=(1, STREAM, True)) as engine:
        assert (engine.provider, engine.fallbacks, engine.on_gpu, engine.graphs) == (provider, [], True, True)
    (call,) = ort.calls(append)
    assert call.args["options"] == options
    assert call.args.get("stream", STREAM) == STREAM
    assert [c.args["providers"] for c in ort.calls("CreateSession")] == [[provider]]
    assert [c.args for c in ort.calls("CreateMemoryInfo")] == [{"name": "Cuda", "id": 1}]


@EACH
def test_without_graphs_it_says_so(ort, doubling, provider, append, options):
    with probe.Engine(doubling, [provider], gpu=(1, STREAM, False)) as engine:
        assert not engine.graphs
    (call,) = ort.calls(append)
    assert call.args["options"] == {key: "0" if "graph" in key else value for key, value in options.items()}
    assert ort.calls("CreateSession")[0].args["graphs"] == 0


@EACH
def test_without_a_stream_the_provider_makes_its_own(ort, doubling, provider, append, options):
    with probe.Engine(doubling, [provider], gpu=(1, 0, False)) as engine:
        assert engine.on_gpu
    (call,) = ort.calls(append)
    assert "user_compute_stream" not in call.args["options"] and "has_user_compute_stream" not in call.args["options"]
    assert call.args.get("stream", 0) == 0
    assert not [c for c in ort.calls() if c.name.endswith("OptionsWithValue")]


@EACH
def test_without_a_gpu_in_the_options_nothing_is_set(ort, doubling, provider, append, options):
    with probe.Engine(doubling, [provider]) as engine:
        assert engine.provider == provider and not engine.on_gpu
    (call,) = ort.calls(append)
    assert call.args["options"] == {} and call.args.get("stream", 0) == 0
    assert not ort.calls("CreateMemoryInfo")


@pytest.mark.parametrize(
    ("provider", "own", "key", "value"),
    [
        (CUDA, {"gpu_mem_limit": "1000", "enable_cuda_graph": "0"}, "enable_cuda_graph", "0"),
        (TENSORRT, {"trt_engine_cache_enable": "1", "trt_cuda_graph_enable": "0"}, "trt_cuda_graph_enable", "0"),
        (RTX, {"nv_runtime_cache_path": "/somewhere", "enable_cuda_graph": "0"}, "enable_cuda_graph", "0"),
    ],
)
def test_the_callers_own_options_win(ort, doubling, provider, own, key, value):
    with probe.Engine(doubling, [(provider, own)], gpu=(0, STREAM, True)):
        pass
    append = dict((name, call) for name, call, _ in APPENDED)[provider]
    options = ort.calls(append)[0].args["options"]
    assert options[key] == value and options["device_id"] == "0"
    assert own.items() <= options.items()


@pytest.mark.parametrize("provider", [CUDA, TENSORRT, RTX])
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"device_id": "1"}, "option device_id: expected 0, as the engine's own stream has it, got 1"),
        ({"user_compute_stream": "77"}, f"option user_compute_stream: expected {STREAM}, as the engine's own stream has it, got 77"),
        ({"has_user_compute_stream": "0"}, "option has_user_compute_stream: expected 1, as the engine's own stream has it, got 0"),
    ],
)
def test_another_device_or_stream_than_the_engines_is_refused(ort, doubling, provider, strict, option, text):
    with pytest.raises(probe.ProbeError) as caught:
        probe.Engine(doubling, [(provider, option)], gpu=(0, STREAM, False), strict=strict)
    assert caught.value.kind == "ValueError" and str(caught.value) == f"{provider}: {text}"


@pytest.mark.parametrize("provider", [CUDA, TENSORRT, RTX])
def test_the_same_device_and_stream_may_be_named(ort, doubling, provider):
    own = {"device_id": "0", "has_user_compute_stream": "1", "user_compute_stream": str(STREAM)}
    with probe.Engine(doubling, [(provider, own)], gpu=(0, STREAM, False)) as engine:
        assert engine.provider == provider
    (append,) = [c for c in ort.calls() if "AppendExecutionProvider" in c.name]
    assert append.args.get("stream", STREAM) == STREAM
    if provider != RTX:  # the stream is told once, as a pointer: as text, not every version of these takes it
        assert set(append.args["options"]) == {"device_id", next(key for key in append.args["options"] if "graph" in key)}


def test_order_is_the_callers(ort, doubling):
    with probe.Engine(doubling, [TENSORRT, CUDA, CPU, RTX], gpu=(0, STREAM, False)) as engine:
        assert engine.provider == TENSORRT and engine.fallbacks == []
    # Behind the CPU, which can run everything, nothing is asked.
    assert ort.calls("CreateSession")[0].args["providers"] == [TENSORRT, CUDA]
    assert probe.to_be_had([CUDA, RTX]) == [CUDA, RTX]
    assert probe.to_be_had([CPU, CUDA]) == [CPU]


def test_an_unknown_option_is_told_by_the_provider(ort, doubling):
    with probe.Engine(doubling, [(CUDA, {"trt_engine_cache_enable": "1"}), TENSORRT], gpu=(0, STREAM, False)) as engine:
        assert engine.provider == TENSORRT
        assert engine.fallbacks == [f'{CUDA}: UpdateCUDAProviderOptions: Unknown provider option: "trt_engine_cache_enable"']
    with pytest.raises(probe.ProbeError, match="UpdateCUDAProviderOptions: Unknown provider option") as caught:
        probe.Engine(doubling, [(CUDA, {"trt_engine_cache_enable": "1"}), TENSORRT], strict=True)
    assert caught.value.kind == "DeviceError"


def test_a_provider_that_the_library_lacks(ort, doubling):
    with probe.Engine(doubling, ["ROCMExecutionProvider"], gpu=(0, STREAM, True)) as engine:
        assert (engine.provider, engine.on_gpu) == (CPU, False)
        (reason,) = engine.fallbacks
    assert reason.startswith("ROCMExecutionProvider: not in this ONNX Runtime ")
    assert f"(it has: {RTX} {TENSORRT} {CUDA} " in reason
    with pytest.raises(probe.ProbeError, match=r"^ROCMExecutionProvider: not in this ONNX Runtime") as caught:
        probe.Engine(doubling, ["ROCMExecutionProvider"], strict=True)
    assert caught.value.kind == "DeviceError"


def test_strict_forbids_single_nodes_on_the_cpu(ort, doubling):
    entry = {"key": "session.disable_cpu_ep_fallback", "value": "1"}
    for provider, strict, wanted in [(CUDA, True, [entry]), (CUDA, False, []), (CPU, True, [])]:
        ort.reset()
        with probe.Engine(doubling, [provider], strict=strict):
            pass
        assert [dict(c.args) for c in ort.calls("AddSessionConfigEntry") if c.args["key"] == entry["key"]] == wanted


@pytest.mark.parametrize("provider", [CUDA, TENSORRT, RTX])
def test_refused_graphs_are_given_up_and_told(ort, doubling, provider):
    ort.refuse("graphs", "This session cannot use the graph capture feature")
    with probe.Engine(doubling, [provider], gpu=(0, STREAM, True)) as engine:
        assert (engine.provider, engine.on_gpu, engine.graphs) == (provider, True, False)
        (said,) = engine.fallbacks
    assert said.startswith("CUDA graphs: ") and said.endswith("This session cannot use the graph capture feature")
    assert [c.args["graphs"] for c in ort.calls("CreateSession")] == [1, 0]


def test_refused_graphs_are_an_error_where_strict(ort, doubling):
    ort.refuse("graphs", "This session cannot use the graph capture feature")
    with pytest.raises(probe.ProbeError, match="cannot use the graph capture feature") as caught:
        probe.Engine(doubling, [CUDA], gpu=(0, STREAM, True), strict=True)
    assert caught.value.kind == "EngineError"
    assert len(ort.calls("CreateSession")) == 1


def test_a_file_that_is_no_network_is_told_once(ort, tmp_path):
    garbage = tmp_path / "garbage.onnx"
    garbage.write_bytes(b"not a model")
    with pytest.raises(probe.ProbeError, match=r"garbage\.onnx") as caught:
        probe.Engine(garbage, [CUDA], gpu=(0, STREAM, True))
    assert caught.value.kind == "EngineError"


@pytest.mark.parametrize("graphs", [False, True])
def test_a_provider_that_fails_when_the_session_opens(ort, doubling, graphs):
    """As CUDA does where a library is there and no GPU: the next one is asked, then the CPU, and each reason is told."""
    ort.refuse(CUDA, "CUDA failure 100: no CUDA-capable device is detected")
    ort.refuse(TENSORRT, "no device")
    with probe.Engine(doubling, [TENSORRT, CUDA], gpu=(0, STREAM, graphs)) as engine:
        assert (engine.provider, engine.on_gpu) == (CPU, False)
        told = engine.fallbacks
    assert [line.split(": ")[0] for line in told] == (["CUDA graphs"] if graphs else []) + [TENSORRT, CUDA]
    assert told[-1].startswith(f"{CUDA}: CreateSession: ") and told[-1].endswith("no CUDA-capable device is detected")
    with pytest.raises(probe.ProbeError, match="no CUDA-capable device") as caught:
        probe.Engine(doubling, [CUDA], gpu=(0, STREAM, graphs), strict=True)
    assert caught.value.kind == "EngineError"


def test_the_next_provider_in_the_list_is_asked(ort, doubling):
    ort.refuse(TENSORRT, "no device")
    with probe.Engine(doubling, [TENSORRT, CUDA], gpu=(0, STREAM, False)) as engine:
        assert (engine.provider, engine.on_gpu) == (CUDA, True)
