"""`Face` on a GPU that is not there: real kernels as PTX in the interpreter, the fake driver, the fake runtime. What it answers is what the
CPU answers, and what it does on the way is as it must be.
"""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import on_fakes

HERE = Path(__file__).parent


def run(name, **machine):
    env = on_fakes.environment(**machine)
    done = subprocess.run([sys.executable, str(HERE / "scenario.py"), name], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result.pop("violations") == []
    return result


def assert_same(seen, want, px=2e-3, tracks=True):
    assert not tracks or [[f["track"] for f in frame] for frame in seen] == [[f["track"] for f in frame] for frame in want]
    assert [[(f["label"], f["reason"]) for f in frame] for frame in seen] == [[(f["label"], f["reason"]) for f in frame] for frame in want]
    for one, other in zip(itertools.chain(*seen), itertools.chain(*want), strict=True):
        np.testing.assert_allclose(one["numbers"], other["numbers"], atol=px)
        np.testing.assert_allclose(one["probs"], other["probs"], atol=2e-4)
        if other["landmarks"] is not None:
            np.testing.assert_allclose(one["landmarks"], other["landmarks"], atol=5e-3)


def test_it_sees_what_the_cpu_sees():
    result = run("two_faces")
    assert [len(frame) for frame in result["gpu"]] == [2, 2]
    assert_same(result["gpu"], result["cpu"])
    # Whatever the number of faces, the crops of each network are one launch.
    a_frame = ["image_to_tensor_f32", "detection", "align_points", "image_to_tensor_f32", "align_box", "image_to_tensor_f32"]
    assert result["launches"] == [*a_frame, "sharpness_f32", "affect"] * 2


def test_other_encodings_and_nobody():
    result = run("encodings", sm=120)
    assert [len(frame) for frame in result["gpu"]] == [1, 0]
    assert_same(result["gpu"], result["cpu"])


def test_a_frame_on_the_device_is_not_copied():
    result = run("from_device")
    assert_same([result["device"]], [result["host"]], px=1e-6, tracks=False)
    names = [name for name, _ in result["calls"]]
    up = [args for name, args in result["calls"] if name.startswith("cuMemcpyHtoD")]
    down = [args for name, args in result["calls"] if name.startswith("cuMemcpyDtoH")]
    assert sum(args["bytes"] for args in up) < 1024, up
    assert sum(args["bytes"] for args in down) < 4096, down
    assert "cuMemAlloc_v2" not in names and "cuMemHostAlloc" not in names
    # One wait for where the faces are, one for what they show; and all on one stream.
    assert names.count("cuEventSynchronize") == 1 and names.count("cuStreamSynchronize") == 1
    assert len({args["stream"] for _, args in result["calls"] if "stream" in args}) == 1
    # A frame of the host's goes up once, and is waited for no more often.
    names = [name for name, _ in result["host_calls"]]
    big = [args for name, args in result["host_calls"] if name.startswith("cuMemcpyHtoD") and args["bytes"] > 1024]
    assert [args["bytes"] for args in big] == [360 * 260 * 3]
    assert names.count("cuEventSynchronize") == 1 and names.count("cuStreamSynchronize") == 1
    assert "cuMemAlloc_v2" not in names and "cuMemHostAlloc" not in names
    assert len(result["runs"]) == 2 and all(not run["synchronised"] for run in result["runs"])


def test_what_cannot_be_had_is_said():
    said = run("refused")
    assert (
        'expected memory of the CPU, got a CUDA array (copy it to the CPU first, or open the model with device="cuda:N")'
        in (said["device frame on the CPU"])
    )
    provider, fallbacks, on_gpu = said["strict=False"]
    assert provider == "CPUExecutionProvider" and not on_gpu
    assert any("CUDAExecutionProvider" in one and "no kernel image" in one for one in fallbacks)
    assert "no kernel image" in said["strict=True"]
    assert said["auto"] == ["CUDAExecutionProvider", [], True]
    provider, fallbacks, label = said["text"]
    assert provider == "CPUExecutionProvider" and label == "joy"
    assert fallbacks == ["CUDAExecutionProvider: no variant of minilm-goemotions runs with it"]
    assert said["text named"] == [provider, fallbacks]
    assert "variant int8 needs CPUExecutionProvider" in said["text on cuda:0"]


def test_every_driver_call_may_fail():
    result = run("faults")
    assert result["calls"] > 15
    unsaid = {name for name, error, _ in result["errors"] if not error}
    assert unsaid <= {"cuCtxPopCurrent_v2", "cuThreadExchangeStreamCaptureMode"}, unsaid  # what gives something back goes on regardless
    assert all(name in error and "CUDA_ERROR" in error for name, error, _ in result["errors"] if error)
    assert all(pending == 0 for _, _, pending in result["errors"]), "work that reads the frame outlives the call"
    assert_same([result["after"]], [result["want"]], px=1e-6, tracks=False)


def test_a_frame_is_let_go_when_its_call_is_over():
    result = run("owners")
    assert result["kept"] == [[False, 0]] * 4
    assert [bool(said) for said in result["said"]] == [False, True, True, False]
    assert all("no more memory" in said for said in result["said"] if said)


def test_one_thread_runs_the_networks_whoever_calls():
    """ONNX Runtime keeps graphs and handles of its libraries for each thread, as long as the network lives."""
    result = run("threads")
    assert result["on_gpu"] == [True, False]
    whole, single = result["runs"]
    assert len({thread for thread, _, _ in whole}) == 1
    assert [captures for _, _, captures in whole] == [1, 1] + [0, 0] * 2
    # Where the stages are the CPU's the networks are still the GPU's.
    assert len({thread for thread, _, _ in single}) == 1 and {graph for _, graph, _ in single} == {"-1"}
    seen = result["seen"]
    assert_same(seen[:1] * 2, seen[1:3], px=1e-6)
    assert_same(seen[:1], seen[3:4], tracks=False)


def test_another_pipeline_beside_a_capture():
    result = run("beside_a_capture")
    assert result["waited"] == [True]
    assert result["captures"] == 4  # the detector and the expression network of both, at the latest with the second frame
    assert result["fallbacks"] == []
    assert [len(frame) for frame in result["seen"]] == [1] * 4


def test_kernels_that_are_missing_leave_the_cpu():
    """A build without kernels for the device: auto says so, and goes on."""
    code = (
        "import on_fakes\ncuda, ort, _ = on_fakes.start()\nimport affectrt as art\nfrom affectrt import _core\n"
        "cuda.add_kernel('none of ours')\n"
        "face = art.Face(color='rgb8', expression='xception-fer7')\nprint(face._core.on_gpu, face.fallbacks)\n"
        "try:\n    art.Face(color='rgb8', expression='xception-fer7', device='cuda:0', strict=True)\n"
        "except art.DeviceError as error:\n    print(error)\n"
    )
    env = on_fakes.environment()
    env["PYTHONPATH"] = os.pathsep.join([str(HERE), env.get("PYTHONPATH", "")])
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    auto, strict = done.stdout.splitlines()
    assert auto.startswith("False ('kernels for the GPU: ")
    assert "image_to_tensor" in strict
