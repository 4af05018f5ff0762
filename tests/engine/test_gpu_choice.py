"""Which provider and which GPU are taken for what was asked, and what is left alone. On the fake runtime and the fake driver."""

import subprocess
import sys

import fake_cuda
import fake_ort
import pytest

TENSORRT, CUDA, PLUGIN, CPU = "TensorrtExecutionProvider", "CUDAExecutionProvider", "CudaPluginExecutionProvider", "CPUExecutionProvider"


def scenario(code: str, *arguments: object, **machine: int | str) -> None:
    prelude = (
        "import sys, fake_cuda, fake_ort\nfrom pathlib import Path\nimport numpy as np\n"
        "ort, cuda = fake_ort.load(), fake_cuda.FakeCuda(fake_cuda.build())\nimport affectrt as art\nfrom affectrt import _core\n"
        f"TENSORRT, CUDA, PLUGIN, CPU = {(TENSORRT, CUDA, PLUGIN, CPU)!r}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", prelude + code, *map(str, arguments)],
        env=fake_cuda.environment(**machine) | fake_ort.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_driver_is_not_started_for_a_runtime_that_could_not_use_it():
    scenario("""
ort.set_providers()
face = art.FaceExpression(color="mono8")
assert face.provider == CPU and cuda.calls() == [], cuda.calls()
(said,) = face.fallbacks
assert said.startswith(f"{CUDA}: not in this ONNX Runtime "), said
""")
    scenario('assert art.FaceExpression(color="mono8").provider == CUDA and len(cuda.calls("cuInit")) == 1')


def test_without_a_driver_nothing_is_said():
    scenario(
        'import os\nos.environ["AFFECTRT_CUDA_LIBRARY"] = "/no/driver.so"\nort.set_providers()\nassert art.FaceExpression().fallbacks == ()'
    )


@pytest.mark.parametrize("device", ["cuda:1", "auto"])
@pytest.mark.parametrize("name", [PLUGIN, CUDA])
def test_a_cuda_provider_from_a_library_is_taken(tmp_path, device, name):
    library = fake_ort.plugin_file(tmp_path, f"{name} NVIDIA gpu device_id=0", f"{name} NVIDIA gpu device_id=1")
    scenario(
        f"""
ort.set_providers()
_core.register_provider_library({name!r}, Path(sys.argv[1]))
for strict in (False, True):
    face = art.FaceExpression(color="mono8", device={device!r}, strict=strict)
    assert (face.provider, face.fallbacks) == ({name!r}, ()), (face.provider, face.fallbacks)
    assert len(face(np.zeros((48, 48), np.uint8)).probs) == 7
calls = ort.calls("SessionOptionsAppendExecutionProvider_V2")
assert {{call.args["device"] for call in calls}} == {{{"1" if device == "cuda:1" else "0"!r}}}, calls
""",
        library,
        devices=2,
    )


def test_graphs_are_for_networks_on_the_device():
    scenario("""
face = art.Face(color="rgb8", device="cuda:0", blendshapes=True)
assert face._core.on_gpu and face.fallbacks == ()
graphs = {Path(call.args["path"]).parent.name: call.args["graphs"] for call in ort.calls("CreateSession")}
assert graphs == {"blazeface-full-range": 1, "fernet-fer7": 1, "face-mesh-478": 1, "blendshapes-52": 0}, graphs
""")


@pytest.mark.parametrize("given", ["one", "-1", "1x", ""])
def test_a_number_of_a_gpu_that_is_none(given):
    scenario(f"""
for strict in (False, True):
    try:
        art.Face(color="rgb8", providers=[(CUDA, {{"device_id": {given!r}}})], strict=strict)
    except ValueError as error:
        assert str(error) == CUDA + ": option device_id: expected the number of a GPU, from 0, got '{given}'", error
    else:
        raise AssertionError
""")


def test_the_gpu_is_that_of_the_provider_that_is_there():
    scenario(
        """
ort.set_providers(CUDA)
face = art.Face(color="rgb8", providers=[(TENSORRT, {"device_id": "0"}), (CUDA, {"device_id": "1"})])
assert face.provider == CUDA and face._core.on_gpu
assert len(face.fallbacks) == 1 and face.fallbacks[0].startswith(f"{TENSORRT}: not in this ONNX Runtime "), face.fallbacks
assert {call.args["options"]["device_id"] for call in ort.calls("SessionOptionsAppendExecutionProvider_CUDA_V2")} == {"1"}
assert {call.args["id"] for call in ort.calls("CreateMemoryInfo") if call.args["name"] == "Cuda"} == {1}
""",
        devices=2,
    )
