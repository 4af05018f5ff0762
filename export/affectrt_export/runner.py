"""Runs networks while packs are made: ONNX Runtime on one CPU thread, and the TFLite interpreter as the original to compare with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

F32 = npt.NDArray[np.float32]


class Onnx:
    """One ONNX network; call it with its inputs by name, get its outputs by name."""

    def __init__(self, model: bytes, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        # A fixed number of threads: sums come in one order, so that a pack made twice is the same twice.
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._outputs = [o.name for o in self._session.get_outputs()]

    def __call__(self, inputs: Mapping[str, npt.NDArray[Any]]) -> dict[str, F32]:
        """Outputs by name, float32."""
        return dict(zip(self._outputs, self._session.run(None, dict(inputs)), strict=True))


def tflite(model: bytes, value: F32) -> list[F32]:
    """Outputs of the original network, in the order of the file, for one input in the layout of the file."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.ascontiguousarray(value))
    interpreter.invoke()
    return [interpreter.get_tensor(o["index"]) for o in interpreter.get_output_details()]
