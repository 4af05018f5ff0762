"""Registers, shared memory, stack and spills are what the committed table says, and within their budgets."""

import json
import sys

import kernels
import pytest

sys.path.insert(0, str(kernels.ROOT / "cmake"))
import kernel_resources

MOST_REGISTERS = 80  # three blocks of 256 threads a multiprocessor
MOST_SHARED_BYTES = 20 * 1024
COLUMNS = [f"sm_{architecture}" for architecture in kernel_resources.ARCHITECTURES] + ["sm_87 (NVRTC 12.6)"]


@pytest.fixture(scope="module")
def table():
    return json.loads(kernel_resources.TABLE.read_text())


def test_every_kernel_on_every_architecture(table):
    names = {name for op in kernels.NAMES for name in kernels.program(op).kernels}
    assert set(table) == names
    assert all(list(row) == COLUMNS for row in table.values())
    assert {path.stem for path in kernels.OPS.glob("*.cu")} == set(kernels.NAMES)


def test_budgets(table):
    for kernel, row in table.items():
        for architecture, figures in row.items():
            where = f"{kernel} on {architecture}: {figures}"
            assert figures["spill_bytes"] == 0 and figures["stack_bytes"] == 0, where
            assert 0 < figures["registers"] <= MOST_REGISTERS, where
            assert figures["shared_bytes"] <= MOST_SHARED_BYTES, where


def test_the_table_is_what_the_compilers_make(table):
    """The oldest architecture by nvcc and JetPack's by NVRTC; `python cmake/kernel_resources.py --check` compares all."""
    made = kernel_resources.measure([75])
    for kernel, row in made.items():
        assert row == {name: table[kernel][name] for name in row}, "run `python cmake/kernel_resources.py`"
        assert set(row) == {"sm_75", "sm_87 (NVRTC 12.6)"}
    assert kernel_resources.markdown(table) in kernel_resources.DOCS.read_text()


def test_a_spill_is_seen():
    """Both readers, on a kernel that needs more registers than it may have."""
    text = "ptxas info    : Function properties for k\n    48 bytes stack frame, 20 bytes spill stores, 28 bytes spill loads\n"
    text += "ptxas info    : Used 32 registers, used 1 barriers, 768 bytes smem, 520 bytes cmem[0]\n"
    assert kernel_resources.read_ptxas(text) == {"k": {"registers": 32, "shared_bytes": 768, "stack_bytes": 48, "spill_bytes": 48}}
    source = """extern "C" __global__ void k(float* p) {
      volatile float local[16];
      for (int i = 0; i < 16; ++i) local[(i * 7 + threadIdx.x) % 16] = p[i];
      __shared__ float all[64];
      all[threadIdx.x % 64] = local[threadIdx.x % 16];
      __syncthreads();
      p[threadIdx.x] = all[63 - threadIdx.x % 64];
    }"""
    compiler = kernel_resources.nvrtc_compile
    nvrtc = compiler.Nvrtc(compiler.find_library([kernel_resources.find_nvcc().resolve().parents[3]]))
    figures = kernel_resources.read_cubin(nvrtc.compile(source, "k.cu", "sm_87"))["k"]
    assert figures["stack_bytes"] == 64 and figures["shared_bytes"] == 256 and 8 <= figures["registers"] <= 32
