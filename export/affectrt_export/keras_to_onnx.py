"""Keras HDF5 classifiers of plain convolutional layers to ONNX, in NCHW, batch normalisation folded into the convolution before it."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np

from affectrt_export.onnx_graph import Array, Graph

Layer = Mapping[str, Any]


def read(data: bytes) -> tuple[list[Layer], dict[str, list[Array]]]:
    """The layers of the model, and the weights of each in the order Keras stores them. No code of the file is run."""
    with h5py.File(io.BytesIO(data), "r") as file:
        layers = json.loads(file.attrs["model_config"])["config"]["layers"]
        stored = file["model_weights"]
        weights = {}
        for name in stored:
            keys = [k.decode() if isinstance(k, bytes) else k for k in stored[name].attrs["weight_names"]]
            weights[name] = [np.asarray(stored[name][key], np.float32) for key in keys]
    return layers, weights


def same_pads(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Padding before and after that TensorFlow's SAME means for one side of `size` pixels."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def convert(data: bytes, name: str, input_name: str, output_name: str) -> bytes:
    """ONNX file bytes: (n, C, H, W) float32 in, (n, classes) logits out; the softmax at the end is left to the decoder of the pack."""
    layers, weights = read(data)
    graph = Graph(name)
    tensors: dict[str, str] = {}
    sides: dict[str, int] = {}
    users: dict[str, int] = {}
    for layer in layers:
        for source in _sources(layer):
            users[source] = users.get(source, 0) + 1
    # A convolution that only a batch normalisation reads waits for it here: source, weights, bias, strides, pads, groups.
    waiting: dict[str, tuple[list[str], list[Array], dict[str, Any]]] = {}
    for layer in layers:
        kind, key, config, sources = layer["class_name"], layer["config"]["name"], layer["config"], _sources(layer)
        if kind == "InputLayer":
            _, side, width, channels = config["batch_input_shape"]
            if side != width:
                raise ValueError(f"expected a square input, got {side}x{width}")
            tensors[key], sides[key] = graph.input(input_name, ["n", channels, side, side]), side
        elif kind in ("Conv2D", "SeparableConv2D"):
            source, side = tensors[sources[0]], sides[sources[0]]
            kernel, stride = config["kernel_size"][0], config["strides"][0]
            pads = same_pads(side, kernel, stride) if config["padding"] == "same" else (0, 0)
            window: dict[str, Any] = {"strides": [stride] * 2, "pads": [pads[0], pads[0], pads[1], pads[1]], "kernel_shape": [kernel] * 2}
            sides[key] = (side + sum(pads) - kernel) // stride + 1
            stored = weights[key]
            if kind == "SeparableConv2D":
                depth = stored[0].transpose(2, 3, 0, 1)
                source = graph.add("Conv", [source, graph.constant(depth, "weight")], group=depth.shape[0], **window)
                window, stored = {"kernel_shape": [1, 1]}, stored[1:]
            weight = stored[0].transpose(3, 2, 0, 1)
            bias = stored[1] if config["use_bias"] else np.zeros(weight.shape[0], np.float32)
            if config["activation"] != "linear":
                raise ValueError(f"{key}: activation {config['activation']} inside a convolution is not supported")
            waiting[key] = ([source], [weight, bias], window)
            if users.get(key) != 1 or _reader(layers, key)["class_name"] != "BatchNormalization":
                tensors[key] = _flush(graph, waiting.pop(key))
        elif kind == "BatchNormalization":
            inputs, (weight, bias), window = waiting.pop(sources[0])
            gamma, beta, mean, variance = (w.astype(np.float64) for w in weights[key])
            gain = gamma / np.sqrt(variance + config["epsilon"])
            folded = [(weight * gain[:, None, None, None]).astype(np.float32), ((bias - mean) * gain + beta).astype(np.float32)]
            tensors[key], sides[key] = _flush(graph, (inputs, folded, window)), sides[sources[0]]
        elif kind == "MaxPooling2D":
            kernel, stride, side = config["pool_size"][0], config["strides"][0], sides[sources[0]]
            pads = same_pads(side, kernel, stride) if config["padding"] == "same" else (0, 0)
            window = {"strides": [stride] * 2, "pads": [pads[0], pads[0], pads[1], pads[1]], "kernel_shape": [kernel] * 2}
            tensors[key], sides[key] = graph.add("MaxPool", [tensors[sources[0]]], **window), (side + sum(pads) - kernel) // stride + 1
        elif kind == "Add":
            tensors[key], sides[key] = graph.add("Add", [tensors[s] for s in sources]), sides[sources[0]]
        elif kind == "GlobalAveragePooling2D":
            tensors[key] = graph.add("Flatten", [graph.add("GlobalAveragePool", [tensors[sources[0]]])])
            sides[key] = 1
        elif kind == "Activation" and config["activation"] == "relu":
            tensors[key], sides[key] = graph.add("Relu", [tensors[sources[0]]]), sides[sources[0]]
        elif kind == "Activation" and config["activation"] == "softmax" and layer is layers[-1]:
            graph.add("Identity", [tensors[sources[0]]], out=output_name)
            graph.output(output_name, ["n", weights[layers[-3]["config"]["name"]][0].shape[-1]])
        else:
            raise ValueError(f"layer {key} of kind {kind} is not supported")
    return graph.bytes()


def _sources(layer: Layer) -> list[str]:
    return [node[0] for node in layer["inbound_nodes"][0]] if layer["inbound_nodes"] else []


def _reader(layers: Sequence[Layer], key: str) -> Layer:
    return next(layer for layer in layers if key in _sources(layer))


def _flush(graph: Graph, pending: tuple[list[str], list[Array], dict[str, Any]]) -> str:
    inputs, (weight, bias), window = pending
    return graph.add("Conv", [*inputs, graph.constant(weight, "weight"), graph.constant(bias, "bias")], **window)
