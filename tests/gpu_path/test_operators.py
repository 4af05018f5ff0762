"""Our operators in a session on CUDA that is not there: the fake runtime calls them as the provider would, with tensors on the device of
the fake driver, and the interpreter runs the kernels that they launch. The networks' bodies are wrong: a right answer can only be ours.
"""

import json
import subprocess
import sys
from pathlib import Path

import on_fakes
import pytest

HERE = Path(__file__).parent
CUDA = "CUDAExecutionProvider"


@pytest.fixture
def run(tmp_path):
    def start(name, **machine):
        command = [sys.executable, str(HERE / "operators.py"), name, str(tmp_path)]
        done = subprocess.run(command, env=on_fakes.environment(**machine), capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert result.pop("violations") == []
        return result

    return start


def test_who_gets_them(run):
    result = run("who_gets_them")
    assert result["a network without"] is None and result["a network without, on CUDA"] is None
    assert result["TensorRT"] is None and result["RTX"] is None  # they compile the bodies
    cpu = [[name, "", element] for name in ("EmotionLayerNorm", "MaskedAttention") for element in (1, 10)]
    assert result["CPU"] is None  # the bodies are quicker there
    assert sorted(result["CUDA"]) == sorted(cpu + [[name, CUDA, element] for name, _, element in cpu])


@pytest.mark.parametrize("sm", [87, 120])
def test_they_answer_what_numpy_does(run, sm):
    result = run("numbers", sm=sm)
    assert [dtype for dtype, _ in result["answers"]] == ["float32", "float32", "float16", "float16"]
    assert all(error < (2e-5 if dtype == "float32" else 4e-3) for dtype, error in result["answers"]), result["answers"]
    assert result["launches"] == [
        ["emotion_layernorm_f32", [2, 2, 1], [256, 1, 1], 96],
        ["masked_attention_f32", [2, 2, 2], [256, 1, 1], 0],
        ["emotion_layernorm_f16", [2, 2, 1], [256, 1, 1], 96],
        ["masked_attention_f16", [2, 2, 2], [256, 1, 1], 0],
    ]
    assert result["empty"] == [2, 0, 12] and result["after"] == 4  # nothing to do, nothing launched


def test_they_launch_on_the_stream_of_the_provider(run):
    result = run("streams")
    assert result["used"] == [result["stream"]]
    assert "EmotionLayerNorm: expected the provider to compute on the engine's stream 0x" in result["said"]
    assert result["launches"] == 1


def test_what_goes_wrong_is_said(run):
    said = run("errors")
    assert "EmotionLayerNorm: expected table of shape (6, 12), got (7, 12)" in said["shape"]
    assert "EmotionLayerNorm: emotion_layernorm: expected a width of at most 12288 on a GPU, got 12289" in said["wide"]
    assert "MaskedAttention: masked_attention: expected values of at most 256 columns on a GPU, got 257" in said["wide values"]
    assert "EmotionLayerNorm: emotion_layernorm: launch of emotion_layernorm_f32" in said["launch"] and "CUDA_ERROR" in said["launch"]
    assert said["after"] < 2e-5
    assert [text.split(": ")[:2] for text in said["domain"]] == [
        ["domain affectrt", "no more"],
        ["EmotionLayerNorm", "no more"],
        ["domain affectrt", "no more"],
    ]
    assert said["left"]


def test_without_kernels_the_bodies_run(run):
    result = run("no_kernels")
    (why,) = result["fallbacks"]
    assert why.startswith("kernels for operators of domain affectrt: emotion_layernorm: ")
    assert result["strict"] == [CUDA, []]
    assert result["registered"] == [] and result["the body ran"]
