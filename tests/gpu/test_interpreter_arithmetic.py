"""Every arithmetic instruction that nvcc emits, against exact arithmetic, on PTX of five architectures."""

import struct
from pathlib import Path

import numpy as np
import ptx
import pytest
from exact import DTYPES
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from operations import OPERATIONS, Operation

SOURCE = Path(ptx.__file__).parent / "samples/arithmetic.cu"
ARCHITECTURES = (*ptx.ARCHITECTURES, ptx.JETPACK_ARCHITECTURE)
LANES = 40

SPECIAL = {
    "f": [0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, np.inf, -np.inf, np.nan, 255.5, 65504.0, 2.0**-24, 2.0**31, 2.0**63, 127.5, -128.5],
    "i": [0, 1, -1, 2, 31, 32, 33, 63, 64, 127, 128, 255, 256, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1, -(2**63)],
}


def values(words, kind, limit):
    """Random 64-bit words as values of a type: a part of them any bits, a part small numbers, a part those at which things go wrong."""
    dtype = DTYPES[kind]
    bits = words & np.uint64((1 << 8 * dtype.itemsize) - 1)
    out = bits.astype(f"u{dtype.itemsize}").view(dtype).copy()
    how = words >> np.uint64(61)
    special = SPECIAL["f" if dtype.kind == "f" else "i"]
    for i in np.flatnonzero(how >= 4):
        word = int(words[i])
        small = (word % 2001 - 1000) / 16 if dtype.kind == "f" else word % 141 - 70
        value = special[word % len(special)] if how[i] < 6 else small
        with np.errstate(over="ignore"):
            out[i] = (
                np.array(value, np.float64).astype(dtype) if dtype.kind == "f" else np.array(value & (1 << 64) - 1, np.uint64).astype(dtype)
            )
    if limit is not None:
        # An approximation is only held to where it is meant to hold.
        out = np.where(np.isfinite(out) & (np.abs(out) >= 2.0**-10), np.clip(out, -limit, limit), dtype.type(1))
    return out


def run(program, name, arrays, result):
    machine = ptx.Machine()
    inputs = [machine.buffer(array, name=letter, writable=False) for letter, array in zip("abc", arrays, strict=True)]
    lanes = len(arrays[0])
    out = machine.buffer(np.zeros(lanes, result), name="out", initialised=False)
    params = struct.pack("<QQQQi4x", *(buffer.address for buffer in inputs), out.address, lanes)
    machine.launch(program, name, -(-lanes // 32), 32, params)
    return out.array()


@pytest.fixture(scope="module")
def programs(pytestconfig):
    cache = pytestconfig.cache.mkdir("ptx")
    return {arch: ptx.load(SOURCE, arch, cache=cache) for arch in ARCHITECTURES}


def words_of(operation: Operation):
    size = 3 * LANES * operation.halves
    return st.binary(min_size=8 * size, max_size=8 * size).map(lambda data: np.frombuffer(data, np.uint64).reshape(3, -1))


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(programs, name):
    operation = OPERATIONS[name]

    @settings(max_examples=4, database=None, phases=(Phase.explicit, Phase.generate))
    @given(words=words_of(operation))
    @example(words=np.random.default_rng(1).integers(0, 2**64, (3, LANES * operation.halves), np.uint64))
    def holds(words):
        arrays = [values(row, kind, operation.limit) for row, kind in zip(words, operation.types, strict=True)]
        wanted = expected(operation, arrays)
        for arch, program in programs.items():
            if int(arch.removeprefix("compute_")) >= operation.first:
                got = given_by(program, name, arrays, operation)
                np.testing.assert_allclose(got, wanted, rtol=operation.rtol, atol=operation.rtol * 1e-3, err_msg=arch, equal_nan=True)

    holds()


def expected(operation, arrays):
    with np.errstate(all="ignore"):
        results = [operation.of(*(array[i].item() for array in arrays)) for i in range(len(arrays[0]))]
        dtype = DTYPES[operation.result]
        # Straight from Python's integers: by way of a double, the low bits of 64 would be lost.
        return np.array(results, np.float64).astype(dtype) if dtype.kind == "f" else np.array([int(x) for x in results], dtype)


def given_by(program, name, arrays, operation):
    if operation.halves == 1:
        return run(program, name, arrays, DTYPES[operation.result])
    return run(program, name, [array.view(np.uint32) for array in arrays], np.uint32).view(np.float16)


def test_every_sample_kernel_is_held_to_something(programs):
    """A kernel of the file that no test runs would prove nothing."""
    elsewhere = {"all_eq_h2", "swap_h2", "f32_to_h2"}
    assert set(programs["compute_120"].kernels) == OPERATIONS.keys() | elsewhere


def test_halves_keep_their_places(programs):
    a, b = np.array([[1, 2], [3, np.nan]], np.float16), np.array([[1, 2], [3, np.nan]], np.float16)
    words = [x.reshape(-1).view(np.uint32) for x in (a, b, b)]
    for program in programs.values():
        np.testing.assert_array_equal(run(program, "all_eq_h2", words, np.uint32), [1, 0])
        np.testing.assert_array_equal(run(program, "swap_h2", words, np.uint32).view(np.float16), [2, 1, np.nan, 3])
        floats = [np.array(x, np.float32) for x in ([1.0, -7.0], [2.0, 70000.0], [0.0, 0.0])]
        np.testing.assert_array_equal(run(program, "f32_to_h2", floats, np.uint32).view(np.float16), [1, 2, -7, np.inf])
