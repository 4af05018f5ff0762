"""Checks of memory accesses: each fires on a kernel that deserves it, names the place, and leaves its right twin alone."""

import numpy as np
import ptx
import pytest
from ptx import Kind
from samples import ARCHITECTURES, Run, program

FLOATS = np.arange(1, 65, dtype=np.float32)


@pytest.fixture(params=ARCHITECTURES)
def code(request):
    return program("memory", request.param)


def fault(kind, code, kernel, *args, **options):
    """The error that the launch must raise, which must name a line of the sample."""
    with pytest.raises(ptx.PtxError) as caught:
        Run(code, kernel, *args, **options)
    assert caught.value.kind is kind, caught.value
    assert caught.value.kernel == kernel
    assert caught.value.location.outermost.file == "memory.cu"
    for part in (kernel, "memory.cu:", caught.value.instruction, f"block {caught.value.block}", f"thread {caught.value.thread}"):
        assert part in str(caught.value)
    return caught.value


def test_copy_of_an_odd_size(code):
    run = Run(code, "copy", FLOATS[:61], np.zeros(61), block=32, grid=2)
    np.testing.assert_array_equal(run.out, FLOATS[:61])
    assert run.written.all()


def test_out_of_bounds_behind(code):
    error = fault(Kind.OUT_OF_BOUNDS, code, "copy_unguarded", FLOATS[:61], np.zeros(64), block=32, grid=2)
    assert (error.block, error.thread) == ((1, 0, 0), (29, 0, 0))
    assert "0 bytes after the end of in (244 bytes)" in str(error)
    error = fault(Kind.OUT_OF_BOUNDS, code, "copy_unguarded", FLOATS, np.zeros(61), block=32, grid=2)
    assert "write of 4 bytes at 0 bytes after the end of out" in str(error)


def test_out_of_bounds_before(code):
    error = fault(Kind.OUT_OF_BOUNDS, code, "copy_before", FLOATS, np.zeros(64), shift=1)
    assert error.thread == (0, 0, 0) and "4 bytes before in" in str(error)


def test_vector_access_is_aligned(code):
    run = Run(code, "copy_by_four", np.append(FLOATS, FLOATS), np.zeros(64), n=64, block=32, shift=4)
    np.testing.assert_array_equal(run.out, [*FLOATS[4:], *FLOATS[:4]])
    error = fault(Kind.MISALIGNED, code, "copy_by_four", np.append(FLOATS, FLOATS), np.zeros(64), n=64, block=32, shift=1)
    assert "no multiple of 16" in str(error)


def test_input_is_read_only(code):
    fault(Kind.READ_ONLY, code, "write_input", FLOATS, np.zeros(64))


def test_uninitialised_global_memory(code):
    fault(Kind.UNINITIALISED, code, "accumulate", FLOATS, np.zeros(64))
    np.testing.assert_array_equal(Run(code, "accumulate", FLOATS, FLOATS, keep=True).out, 2 * FLOATS)


def test_shared_arrays_have_bounds_of_their_own(code):
    run = Run(code, "shared_neighbour", FLOATS[:32], np.zeros(32), block=32)
    np.testing.assert_array_equal(run.out, 3 * FLOATS[:32])
    error = fault(Kind.OUT_OF_BOUNDS, code, "shared_neighbour", FLOATS[:32], np.zeros(32), block=32, shift=1)
    assert error.thread == (31, 0, 0) and "128 of 128 bytes" in str(error)


def test_dynamic_shared_memory(code):
    run = Run(code, "shared_dynamic", FLOATS, np.zeros(64), shared_bytes=256)
    np.testing.assert_array_equal(run.out, FLOATS[::-1])
    fault(Kind.OUT_OF_BOUNDS, code, "shared_dynamic", FLOATS, np.zeros(64), shared_bytes=252)
    fault(Kind.OUT_OF_BOUNDS, code, "shared_dynamic", FLOATS, np.zeros(64), shared_bytes=0)


def test_uninitialised_shared_memory(code):
    np.testing.assert_array_equal(Run(code, "shared_uninitialised", FLOATS, np.zeros(64)).out, FLOATS)
    error = fault(Kind.UNINITIALISED, code, "shared_uninitialised", FLOATS, np.zeros(64), n=63)
    assert error.thread == (63, 0, 0)


def test_shared_memory_is_fresh_in_every_block(code):
    fault(Kind.UNINITIALISED, code, "shared_uninitialised", FLOATS, np.zeros(64), n=0, grid=2)


def test_local_memory(code):
    np.testing.assert_array_equal(
        Run(code, "local_array", FLOATS[:8], np.zeros(64), shift=1).out, np.roll(FLOATS[:8], -1)[np.arange(64) % 8]
    )
    fault(Kind.UNINITIALISED, code, "local_array", FLOATS[:7], np.zeros(64))


def test_local_memory_has_bounds(code):
    run = Run(code, "local_outside", FLOATS[:8], np.zeros(2), block=2)
    np.testing.assert_array_equal(run.out, [np.sum(FLOATS[:8] * np.arange(8))] * 2)
    fault(Kind.OUT_OF_BOUNDS, code, "local_outside", FLOATS[:9], np.zeros(2), block=2)


def test_offset_that_does_not_fit_32_bits(code):
    np.testing.assert_array_equal(Run(code, "narrow_offset", FLOATS, np.zeros(1), n=7).out, [50])
    # 65536 squared is 0 in 32 bits, which would read the first element and go unnoticed.
    error = fault(Kind.ADDRESS_OVERFLOW, code, "narrow_offset", FLOATS, np.zeros(1), n=65536)
    assert "4294967296 does not fit 32 bits" in str(error)
    np.testing.assert_array_equal(Run(code, "wide_offset", FLOATS, np.zeros(1), n=65536).out, [2])


def test_division_by_zero(code):
    np.testing.assert_array_equal(Run(code, "divide", FLOATS, np.zeros(8), block=8, n=9).out, [-11, -12, -14, -16, -20, -25, -33, -50])
    error = fault(Kind.DIVISION_BY_ZERO, code, "divide", FLOATS, np.zeros(8), block=8, n=5)
    assert error.thread == (5, 0, 0)


def test_endless_loop(code):
    Run(code, "endless", FLOATS, np.ones(2), block=1, n=1, keep=True)
    fault(Kind.ENDLESS_LOOP, code, "endless", FLOATS, np.ones(2), block=1, n=2, keep=True, step_limit=5000)


def test_trap(code):
    np.testing.assert_array_equal(Run(code, "stops", FLOATS, np.zeros(64)).out, FLOATS)
    error = fault(Kind.TRAP, code, "stops", np.where(FLOATS == 9, -1, FLOATS).astype(np.float32), np.zeros(64))
    assert error.thread == (8, 0, 0)


def test_constants_and_device_variables(code):
    run = Run(code, "constants", FLOATS, np.zeros(64), shift=3, grid=2, block=32)
    np.testing.assert_array_equal(run.out, FLOATS * np.tile([0.5, 0.25, 0.125, 0.125], 16) + 0.125)
    variables = run.machine.variables(code)
    assert variables["launches"].array().view(np.int32)[0] == 8
    fault(Kind.OUT_OF_BOUNDS, code, "constants", FLOATS, np.zeros(64), shift=4)


def test_branches(code):
    data = (np.arange(150) % 11).astype(np.float32)
    of = {
        0: lambda v: 2,
        1: lambda v: 3,
        2: lambda v: data[0] - 2,
        3: lambda v: 2,
        4: lambda v: 16,
        5: lambda v: np.float32(1) / v,
        6: lambda v: -6,
    }
    of |= {7: lambda v: 10, 8: lambda v: 8 + data[1]}
    wanted = [np.float32(of.get(int(v), lambda v: 0)(v)) + min(i % 5, 3) for i, v in enumerate(data)]
    np.testing.assert_array_equal(Run(code, "branches", data, np.zeros(150), block=96, grid=2).out, np.array(wanted, np.float32))


def test_mapped_memory_is_used_where_it_lies(code):
    data, out = FLOATS.copy(), np.zeros(64, np.float32)
    flags = np.zeros(out.nbytes, bool)
    machine = ptx.Machine()
    machine.map(0x7000_0000, data, name="in", writable=False)
    mapped = machine.map(0x9000_0000, out, name="out", initialised=flags)
    params = np.array([0x7000_0000, 0x9000_0000, 60], np.uint64).tobytes()
    machine.launch(code, "copy", 1, 64, params)
    np.testing.assert_array_equal(out[:60], FLOATS[:60])
    assert flags[:240].all() and not flags[240:].any()
    machine.unmap(mapped)
    with pytest.raises(ptx.PtxError, match="out of bounds: write of 4 bytes at address 0x90000000"):
        machine.launch(code, "copy", 1, 64, params)


def test_memory_of_the_process_by_its_address(code):
    room = np.zeros(80, np.float32)
    start = -room.ctypes.data % 16 // 4
    view = room[start : start + 64]
    machine = ptx.Machine()
    source = machine.buffer(FLOATS, name="in")
    machine.map(view.ctypes.data, view.nbytes, name="out")
    machine.launch(code, "copy", 1, 64, np.array([source.address, view.ctypes.data, 64], np.uint64).tobytes())
    np.testing.assert_array_equal(view, FLOATS)


def test_launches_no_gpu_would_take(code):
    machine = ptx.Machine()
    with pytest.raises(LookupError, match="no kernel 'nothing'; this program has accumulate"):
        machine.launch(code, "nothing", 1, 1)
    with pytest.raises(ValueError, match="at most 1024 threads"):
        machine.launch(code, "copy", 1, (32, 33), bytes(24))
    with pytest.raises(ValueError, match="expected 24 bytes of parameters for copy, got 20"):
        machine.launch(code, "copy", 1, 1, bytes(20))
    with pytest.raises(ValueError, match="one to three sizes"):
        machine.launch(code, "copy", 0, 1, bytes(24))
    machine.map(4096, np.zeros(64, np.uint8))
    with pytest.raises(ValueError, match="overlaps"):
        machine.map(4096 + 48, np.zeros(64, np.uint8))
    with pytest.raises(ValueError, match="multiple of 16"):
        machine.map(8, np.zeros(4, np.uint8))
