"""cmake/nvrtc_compile.py: what it makes of a kernel, and what it says when it cannot."""

import subprocess
import sys
from pathlib import Path

import kernels
import ptx.compiler
import pytest

sys.path.insert(0, str(kernels.ROOT / "cmake"))
import nvrtc_compile

SOURCE = 'extern "C" __global__ void twice(float* p) { p[threadIdx.x] *= 2; }'


@pytest.fixture(scope="module")
def nvrtc():
    return nvrtc_compile.Nvrtc(ptx.compiler.find_nvrtc())


def test_it_is_of_jetpack_6(nvrtc):
    assert nvrtc.version() == (12, 6)


def test_a_cubin_and_ptx(nvrtc):
    assert nvrtc.compile(SOURCE, "twice.cu", "sm_87").startswith(b"\x7fELF")
    text = nvrtc.compile(SOURCE, "twice.cu", "compute_75")
    # cuModuleLoadData wants text to end with a zero byte.
    assert b".target sm_75" in text and b".visible .entry twice(" in text and text.endswith(b"\0")


@pytest.mark.parametrize(
    ("source", "architecture", "says"),
    [("not CUDA at all", "sm_87", r"twice.cu for sm_87:(.|\n)*error"), (SOURCE, "sm_999", "invalid value for --gpu-architecture")],
)
def test_errors_have_the_compilers_log(nvrtc, source, architecture, says):
    with pytest.raises(nvrtc_compile.NvrtcError, match=says):
        nvrtc.compile(source, "twice.cu", architecture)


def test_where_it_is_looked_for(monkeypatch, tmp_path):
    monkeypatch.delenv("AFFECTRT_NVRTC_LIBRARY", raising=False)
    library = tmp_path / "nvidia/cuda_nvrtc/lib/libnvrtc.so.12"
    library.parent.mkdir(parents=True)
    library.touch()
    assert nvrtc_compile.find_library([tmp_path]) == library
    monkeypatch.setenv("AFFECTRT_NVRTC_LIBRARY", "/elsewhere/libnvrtc.so")
    assert nvrtc_compile.find_library([tmp_path]) == Path("/elsewhere/libnvrtc.so")


def test_as_the_build_calls_it(tmp_path):
    script, library = kernels.ROOT / "cmake/nvrtc_compile.py", ptx.compiler.find_nvrtc()
    command = [sys.executable, script, "--library", library, "--include", kernels.include(), "--architecture", "sm_87"]
    subprocess.run([*command, kernels.OPS / "align.cu", tmp_path / "align.sm_87"], check=True, timeout=60)
    assert (tmp_path / "align.sm_87").read_bytes().startswith(b"\x7fELF")
