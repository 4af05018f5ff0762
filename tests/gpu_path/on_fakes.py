"""Opens the package in this process on the fake driver and the fake runtime, with launches run by the PTX interpreter: all of the GPU path
but the GPU. Only in a process with `environment()`.
"""

from __future__ import annotations

import contextlib
import gc
import os
import struct
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "gpu")]

import fake_cuda  # noqa: E402
import fake_ort  # noqa: E402
import kernels  # noqa: E402
import ptx  # noqa: E402

OPS = {
    "image_to_tensor_f32": "image_to_tensor",
    "sharpness_f32": "sharpness",
    "detection": "detection",
    "align_box": "align",
    "align_points": "align",
    "affect": "affect",
    "emotion_layernorm_f32": "emotion_layernorm",
    "emotion_layernorm_f16": "emotion_layernorm",
    "masked_attention_f32": "masked_attention",
    "masked_attention_f16": "masked_attention",
    "memory_top_k": "memory_top_k",
    "memory_top_k_merge": "memory_top_k",
    "skip_crf": "skip_crf",
}


def environment(**machine: int | str) -> dict[str, str]:
    """Of a process whose driver and runtime are the fakes. machine: see `fake_cuda.environment`."""
    return {**fake_cuda.environment(**machine), **fake_ort.environment()}


class Interpreter:
    """Runs each launch's PTX on the fake device's memory."""

    def __init__(self, cuda: fake_cuda.FakeCuda, architecture: str = "compute_87") -> None:
        self.architecture, self.launched = architecture, list[str]()
        self._cuda, self._alive, self._seen = cuda, dict[int, int](), 0

    def _follow(self) -> None:
        for call in self._cuda.calls("cuMemAlloc_v2", "cuMemFree_v2"):
            if call.number <= self._seen or call.result:
                continue
            self._seen = call.number
            if call.name == "cuMemAlloc_v2":
                self._alive[call.args["data"]] = call.args["bytes"]
            else:
                self._alive.pop(call.args["data"], None)

    def __call__(self, name: str, grid: tuple[int, ...], block: tuple[int, ...], shared: int, parameters: bytes) -> None:
        self._follow()
        machine = ptx.Machine()
        for (word,) in struct.iter_unpack("<Q", parameters[: len(parameters) // 8 * 8]):
            for base, size in self._alive.items():
                if base <= word < base + size:
                    with contextlib.suppress(ValueError):  # mapped already: two parameters lie in one allocation
                        machine.map(base, self._cuda.memory(base, size), name=f"allocation of {size} bytes")
        machine.launch(kernels.program(OPS[name], self.architecture), name, grid, block, parameters, shared)
        self.launched.append(name)


def start() -> tuple[fake_cuda.FakeCuda, fake_ort.FakeOrt, Interpreter]:
    """The controls of this process, with launches that run."""
    assert os.environ.get("AFFECTRT_CUDA_LIBRARY"), "start this process with environment()"
    gc.freeze()  # nobody is to look through what is imported each time that the interpreter has made some objects
    gc.set_threshold(20_000)
    cuda, ort = fake_cuda.FakeCuda(fake_cuda.build()), fake_ort.load()
    interpreter = Interpreter(cuda)
    cuda.on_launch(interpreter)
    return cuda, ort, interpreter
