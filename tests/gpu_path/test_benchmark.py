"""benchmarks/gpu.py, which is for the day there is a GPU: all of it but the speed, on the fakes."""

import datetime
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import on_fakes
import pytest
from affectrt import _core
from affectrt.packs import open_pack

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from gpu_parts import device, machine, report  # noqa: E402

# The benchmark replaces `kernels.program` for itself; the interpreter goes on with the real one. `stray` is a kernel that does nothing.
RUN = """
import runpy, sys, types
sys.path.insert(0, {folder!r})
import on_fakes
cuda, ort, interpreter = on_fakes.start()
on_fakes.kernels = types.SimpleNamespace(program=on_fakes.kernels.program)
for op in ("image_to_tensor", "sharpness", "emotion_layernorm", "masked_attention"):
    on_fakes.OPS.update({{f"{{op}}_{{kind}}": op for kind in ("f32", "f16", "s8")}})
stray = {stray!r}
if stray:
    cuda.on_launch(lambda name, *launch: None if name == stray else interpreter(name, *launch))
sys.argv = ["benchmarks/gpu.py", *sys.argv[1:]]
try:
    runpy.run_path({script!r}, run_name="__main__")
finally:
    assert cuda.violations() == [], cuda.violations()
"""
SECTIONS = {
    "Opening and first frame",
    "Memory",
    "Kernels: right",
    "Copy on the device",
    "Kernels: time",
    "Faces: as on the CPU",
    "Faces: latency",
    "Faces: throughput",
    "Text: as on the CPU",
    "Text: latency",
    "Providers",
}
OPS = {"affect", "align", "detection", "emotion_layernorm", "image_to_tensor", "masked_attention", "memory_top_k", "sharpness", "skip_crf"}


def run(folder, *arguments, stray="", **changed):
    """The benchmark in a process on the fakes: its report, and the finished process."""
    code = RUN.format(folder=str(Path(__file__).parent), script=str(ROOT / "benchmarks/gpu.py"), stray=stray)
    command = [sys.executable, "-c", code, "--quick", "--out", str(folder), *arguments]
    done = subprocess.run(command, env=on_fakes.environment() | changed, capture_output=True, text=True, timeout=300, check=False)
    written = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    if not written:
        return None, done
    today = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
    assert written == [f"gpu-report-{today}.json", f"gpu-report-{today}.md"], done.stderr
    return json.loads((folder / written[0]).read_text()), done


@pytest.fixture
def text_pack(tmp_path):
    """The default one, which says that it is for CPUs, said to be for all: deriving another takes longer than this test may."""
    folder = tmp_path / "minilm-goemotions"
    shutil.copytree(open_pack("minilm-goemotions").path, folder)
    manifest = json.loads((folder / "pack.json").read_text())
    for variant in manifest["variants"]:
        variant["requires"] = []
    (folder / "pack.json").write_text(json.dumps(manifest))
    return folder


def test_short_run_on_the_fakes(tmp_path, text_pack):
    record, done = run(tmp_path / "out", "--text-pack", str(text_pack))
    assert done.returncode == 0, done.stderr
    findings = record["findings"]
    assert {finding["section"] for finding in findings} == SECTIONS
    assert record["bounds_missed"] == []

    right = [finding for finding in findings if finding["section"] in report.CORRECTNESS]
    assert all(finding["met"] is True for finding in right)
    assert {finding["name"] for finding in right if finding["section"] == report.KERNELS_RIGHT} == OPS
    faces = " ".join(finding["name"] for finding in right)
    for part in ("strict", "from the host", "from device memory", "auto", "CUDA, 2 faces", "Tensorrt, 2 faces", "NvTensorRTRTX, 2 faces"):
        assert part in faces
    for count in (1, 2, 4, 8, 16):
        assert f"{count} faces, GPU: p50" in [finding["name"] for finding in findings]
    # Times of a stand-in are told and not judged.
    judged = [finding for finding in findings if finding["section"] not in report.CORRECTNESS and finding["met"] is not None]
    assert judged == []

    assert record["machine"]["sm"] == 87 and record["machine"]["driver_library"] in record["not_a_gpu"]
    assert "large launches: --quick" in record["left_out"]
    text = next((tmp_path / "out").glob("*.md")).read_text()
    assert "**Not a GPU.** driver library: " in text and "## Faces: latency (not a GPU)" in text
    for finding in findings:
        assert f"| {finding['name']} |" in text


@pytest.mark.parametrize("stray", ["align_points", "sharpness_f16"])
def test_a_kernel_that_does_nothing_is_found(tmp_path, stray):
    record, done = run(tmp_path, "--parts", "kernels", stray=stray)
    assert done.returncode == 1
    missed = [finding["name"] for finding in record["findings"] if finding["met"] is False and finding["section"] == report.KERNELS_RIGHT]
    assert missed == [stray.removesuffix("_points").removesuffix("_f16")]
    assert "NO" in next(tmp_path.glob("*.md")).read_text()


def assert_refused(done, *words):
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("gpu.py: ") and all(word in line for word in words), line


def test_no_driver(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "AFFECTRT_CUDA_LIBRARY"}
    command = [sys.executable, str(ROOT / "benchmarks/gpu.py"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert_refused(done, "no GPU to measure", "libcuda.so.1", "nvidia-driver")
    assert not (tmp_path / "out").exists()


def test_no_gpu_no_such_gpu_no_provider(tmp_path):
    out = tmp_path / "out"
    assert_refused(run(out, AFFECTRT_FAKE_CUDA_DEVICES="0")[1], "no GPU to measure")
    assert_refused(run(out, "--device", "cuda:3")[1], "cuda:3", "this machine has cuda:0")
    # A runtime for the CPU beside a driver.
    real = on_fakes.environment()["AFFECTRT_FAKE_ORT_REAL"]
    command = [sys.executable, str(ROOT / "benchmarks/gpu.py"), "--out", str(out)]
    environment = on_fakes.environment() | {"AFFECTRT_ORT_LIBRARY": real}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert_refused(done, "has no CUDA provider", "onnxruntime-gpu")
    assert not out.exists()


def test_no_kernels(monkeypatch):
    gpu = type("Gpu", (), {"name": "cuda:0"})
    monkeypatch.setattr(_core, "cuda_devices", lambda: [gpu])
    monkeypatch.setattr(_core, "cuda_kernel_images", lambda: [])
    with pytest.raises(machine.NotHereError, match=r"no kernels: CUDACXX=.*AFFECTRT_CUDA=ON"):
        machine.require("cuda:0")


def test_a_report_is_whole_or_not_there(tmp_path, monkeypatch):
    made = report.Report({"gpu": object()}, quick=True, not_a_gpu="")
    with pytest.raises(TypeError):
        made.write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_number_is_a_failure(capsys):
    made = report.Report({}, quick=True, not_a_gpu="")
    made.bounded(report.FACES_RIGHT, "boxes", float("nan"), "px", "<=", 1.0)
    made.bounded("Faces: latency", "CPU over GPU", 0.5, "", ">=", 1.0)
    made.bounded("Faces: latency", "CPU over GPU", 2.0, "", ">=", 1.0)
    assert [finding.met for finding in made.findings] == [False, False, True]
    assert made.findings[0].value is None and "nan" in made.findings[0].note
    assert len(capsys.readouterr().err.splitlines()) == 3


class HostBuffer:
    """Instead of `_core.CudaBuffer`."""

    data = 4096

    def __init__(self, size_bytes, *, device):
        self.values = np.zeros(size_bytes, np.uint8)

    def write(self, values, stream):
        self.values[:] = values

    def read(self, values, stream):
        values[:] = self.values


def launched(memory, changes):
    """One launch, made on each leftover: `changes` are (place in the payload, value) of the two."""
    results = []
    for leftover, (place, value) in zip(device.LEFTOVERS, changes, strict=True):
        memory.send(leftover, None)
        memory._buffer.values[device.GUARD_BYTES + place] = value
        results.append(memory.fetch(leftover, None))
    memory.take(results)


def test_what_a_launch_did_to_memory(monkeypatch):
    """Two launches on other leftovers tell what was written; guards and inputs are watched."""
    monkeypatch.setattr(_core, "CudaBuffer", HostBuffer)
    content = np.arange(8, dtype=np.uint8)

    def memory(*, writable=True, written=False):
        return device.Memory(content.copy(), content, "out", "cuda:0", writable=writable, written=written)

    out = memory()
    launched(out, ((3, 9), (3, 9)))
    assert out.written.tolist() == [False] * 3 + [True] + [False] * 4 and out.array()[3] == 9
    for wrong, changes, text in (
        (memory(), ((-1, 7), (-1, 7)), "outside"),
        (memory(), ((8, 7), (8, 7)), "outside"),
        (memory(), ((3, 9), (3, 8)), "nobody wrote"),
        (memory(written=True), ((3, 9), (3, 8)), "differ"),
        (memory(written=True, writable=False), ((3, 9), (3, 9)), "input"),
    ):
        with pytest.raises(AssertionError, match=text):
            launched(wrong, changes)
