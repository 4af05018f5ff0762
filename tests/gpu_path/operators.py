"""What test_operators.py has a process on the fakes do: `python operators.py NAME FOLDER` prints JSON."""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import on_fakes

cuda, ort, interpreter = on_fakes.start()
sys.path[:0] = [str(Path(__file__).resolve().parents[1] / name) for name in ("engine", "ops")]

import custom_networks as networks  # noqa: E402  the fakes come first
import kernel_reference  # noqa: E402
from affectrt import _core  # noqa: E402

REGISTERING = ("CreateCustomOpDomain", "CustomOpDomain_Add", "AddCustomOpDomain")
CUDA, FOLDER = "CUDAExecutionProvider", Path(sys.argv[2])


def open_engine(model: Path, *names: str, strict: bool = False, **options: str) -> Any:
    return _core.Engine(model, providers=[(name, options) for name in names], strict=strict)


def registered() -> list[list[Any]]:
    return [[call.args["op"], call.args["provider"], call.args["element"]] for call in ort.calls("CustomOpDomain_Add")]


def layernorm(dtype: type = np.float32, **sizes: int) -> tuple[Path, dict[str, np.ndarray]]:
    inputs = networks.layernorm_inputs(dtype, **sizes)
    return networks.save(FOLDER / f"layernorm-{np.dtype(dtype)}.onnx", "EmotionLayerNorm", inputs), inputs


def attention(dtype: type = np.float32, **sizes: int) -> tuple[Path, dict[str, np.ndarray]]:
    inputs = networks.attention_inputs(dtype, **sizes)
    return networks.save(FOLDER / f"attention-{np.dtype(dtype)}.onnx", "MaskedAttention", inputs, scale=0.3), inputs


def who_gets_them() -> dict[str, Any]:
    """What is registered with which session."""
    model, _ = layernorm()
    plain = FOLDER / "plain.onnx"
    networks.save_without(plain)
    said: dict[str, Any] = {}
    _core.ort_info()  # what the runtime itself keeps is there
    for name, path, providers in (
        ("a network without", plain, ()),
        ("a network without, on CUDA", plain, (CUDA,)),
        ("TensorRT", model, ("TensorrtExecutionProvider", CUDA)),
        ("RTX", model, ("NvTensorRTRTXExecutionProvider",)),
        ("CPU", model, ()),
        ("CUDA", model, (CUDA,)),
    ):
        ort.reset()
        before = ort.leaks()
        engine = open_engine(path, *providers)
        said[name] = registered() if ort.calls(*REGISTERING) else None
        assert list(engine.fallbacks) == []
        del engine
        gc.collect()
        assert ort.leaks() == before, (name, before, ort.leaks())
    return said


def numbers() -> dict[str, Any]:
    """What the operators for CUDA answer, and what they launched."""
    answers = []
    for dtype in (np.float32, np.float16):
        model, inputs = layernorm(dtype, batch=2, tokens=37, width=24)
        got = open_engine(model, CUDA).run(inputs)["y"]
        answers.append([str(got.dtype), float(np.abs(got - kernel_reference.emotion_layernorm(*inputs.values(), 1e-5)).max())])
        model, inputs = attention(dtype, batch=2, heads=2, tokens=11, width=6, value_width=40)
        got = open_engine(model, CUDA).run(inputs)["y"]
        answers.append([str(got.dtype), float(np.abs(got - kernel_reference.masked_attention(*inputs.values(), 0.3)).max())])
    launches = [[c.args["kernel"], c.args["grid"], c.args["block"], c.args["shared_bytes"]] for c in cuda.calls("cuLaunchKernel")]
    model, inputs = layernorm()
    empty = open_engine(model, CUDA).run(inputs | {"x": inputs["x"][:, :0]})["y"]
    return {"answers": answers, "launches": launches, "empty": empty.shape, "after": len(cuda.calls("cuLaunchKernel"))}


def streams() -> dict[str, Any]:
    """The operator launches on the stream that the provider was given; another is refused."""
    model, inputs = layernorm()
    stream = _core.CudaStream("cuda:0")
    options = {"has_user_compute_stream": "1", "user_compute_stream": str(stream.handle)}
    open_engine(model, CUDA, **options).run(inputs)
    used = [call.args["stream"] for call in cuda.calls("cuLaunchKernel")]
    ort.lose_stream()
    lost = open_engine(model, CUDA, **options)
    try:
        lost.run(inputs)
        said = "nothing"
    except _core.EngineError as error:
        said = str(error)
    return {"stream": stream.handle, "used": used, "said": said, "launches": len(cuda.calls("cuLaunchKernel"))}


def errors() -> dict[str, Any]:
    """What a run and a session say of what goes wrong."""
    said: dict[str, Any] = {}
    model, inputs = layernorm()
    engine = open_engine(model, CUDA)

    def run(name: str, engine: Any, given: dict[str, np.ndarray]) -> None:
        try:
            engine.run(given)
            said[name] = "nothing"
        except _core.EngineError as error:
            said[name] = str(error)

    run("shape", engine, inputs | {"probs": inputs["probs"][:, :6].copy()})
    run("wide", engine, networks.layernorm_inputs(np.float32, width=12 * 1024 + 1))
    wide, values = attention(value_width=257)
    run("wide values", open_engine(wide, CUDA), values)
    before = len(cuda.calls())
    engine.run(inputs)
    at = next(call.number for call in cuda.calls()[before:] if call.name == "cuLaunchKernel") - before
    cuda.fail_at(len(cuda.calls()) + at)
    run("launch", engine, inputs)
    cuda.fail_at(0)
    want = kernel_reference.emotion_layernorm(*inputs.values(), 1e-5)
    said["after"] = float(np.abs(engine.run(inputs)["y"] - want).max())
    said["domain"] = []
    before_leaks = ort.leaks()
    os.environ["AFFECTRT_OPERATORS_ON_CPU"] = "1"
    for name in REGISTERING:
        ort.fail(name, "no more")
        try:
            open_engine(model)
            said["domain"].append("nothing")
        except _core.EngineError as error:
            said["domain"].append(str(error))
    said["left"] = ort.leaks() == before_leaks
    return said


def no_kernels() -> dict[str, Any]:
    """A build without kernels for the device: the bodies run there, and the engine says so."""
    cuda.add_kernel("none of ours")
    model, inputs = layernorm()
    engine = open_engine(model, CUDA)
    strict = open_engine(model, CUDA, strict=True)
    same = bool((engine.run(inputs)["y"] == inputs["x"]).all())
    return {
        "fallbacks": list(engine.fallbacks),
        "strict": [strict.provider, list(strict.fallbacks)],
        "registered": registered(),
        "the body ran": same,
    }


if __name__ == "__main__":
    result = globals()[sys.argv[1]]()
    gc.collect()
    print(json.dumps({**result, "violations": [*cuda.violations(), *ort.violations()]}))
