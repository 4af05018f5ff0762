"""Checks of what threads do together: races, barriers, shuffles, votes, atomics."""

import numpy as np
import ptx
import pytest
from ptx import Kind
from samples import ARCHITECTURES, Run, program

NUMBERS = np.arange(1, 129, dtype=np.int32)
SIGNED = np.where(np.arange(128) % 3, NUMBERS, -NUMBERS).astype(np.int32)


@pytest.fixture(params=ARCHITECTURES)
def code(request):
    return program("threads", request.param)


def fault(kind, code, kernel, *args, **options):
    with pytest.raises(ptx.PtxError) as caught:
        Run(code, kernel, *args, **options)
    assert caught.value.kind is kind, caught.value
    assert caught.value.location.outermost.file == "threads.cu"
    return caught.value


def test_barrier_orders_shared_memory(code):
    run = Run(code, "reverse", NUMBERS, np.zeros(128), grid=2)
    np.testing.assert_array_equal(run.out, [*NUMBERS[63::-1], *NUMBERS[:63:-1]])
    assert run.counts.barriers == 2


def test_race_of_a_write_and_a_read(code):
    error = fault(Kind.RACE, code, "reverse_no_barrier", NUMBERS, np.zeros(128))
    assert "read at byte" in str(error) and "a write by block (0, 0, 0), thread (63, 0, 0)" in str(error)


def test_warp_barrier_orders_one_warp_only(code):
    fault(Kind.RACE, code, "reverse_warp_barrier", NUMBERS, np.zeros(128), grid=2)
    np.testing.assert_array_equal(Run(code, "reverse_warp_barrier", NUMBERS[:32], np.zeros(32), block=32).out, NUMBERS[31::-1])
    wanted = NUMBERS[np.arange(64) ^ 31 ^ 1] + 1
    np.testing.assert_array_equal(Run(code, "warp_exchange", NUMBERS[:64], np.zeros(64)).out, wanted)


def test_race_with_the_next_round(code):
    np.testing.assert_array_equal(Run(code, "rounds", NUMBERS[:64], np.zeros(64)).out, 2 * NUMBERS[63::-1] + 1)
    error = fault(Kind.RACE, code, "rounds_no_barrier", NUMBERS[:64], np.zeros(64))
    assert "write at" in str(error) and "a read by" in str(error)


def test_race_of_two_writes_to_shared_memory(code):
    fault(Kind.RACE, code, "shared_same_place", NUMBERS, np.zeros(64))
    assert Run(code, "shared_same_place", NUMBERS, np.zeros(1), block=1).out == [1]


def test_bytes_side_by_side_do_not_race(code):
    np.testing.assert_array_equal(Run(code, "shared_bytes", NUMBERS, np.zeros(64)).out, NUMBERS[np.arange(64) ^ 1])


def test_race_of_writes_to_global_memory(code):
    error = fault(Kind.RACE, code, "all_write", NUMBERS, np.zeros(1))
    assert "of another value" in str(error)
    # The same value from everybody is a race that changes nothing.
    np.testing.assert_array_equal(Run(code, "all_write", np.full(128, 7, np.int32), np.zeros(1), grid=2).out, [7])
    blocks = np.repeat(np.array([7, 8], np.int32), 64)
    fault(Kind.RACE, code, "all_write", blocks, np.zeros(1), grid=2)
    fault(Kind.RACE, code, "all_write", blocks, np.zeros(1), grid=2, lanes=64)


@pytest.mark.parametrize("lanes", [64, 4096])
def test_race_between_blocks(code, lanes):
    """Blocks that run one after the other here may run at once on a GPU."""
    error = fault(Kind.RACE, code, "smooth_in_place", NUMBERS, NUMBERS, keep=True, grid=2, lanes=lanes)
    assert "out" in str(error)


def test_race_within_a_block_in_global_memory(code):
    np.testing.assert_array_equal(Run(code, "exchange", NUMBERS, np.zeros(128), grid=2).out, NUMBERS[np.arange(128) ^ 1] + 1)
    fault(Kind.RACE, code, "exchange_no_barrier", NUMBERS, np.zeros(128), grid=2)


def test_read_only_path(code):
    error = fault(Kind.RACE, code, "read_only_path", NUMBERS, np.zeros(64))
    assert "through the read-only path" in str(error)


@pytest.mark.parametrize("lanes", [64, 4096])
def test_fence_and_atomic_order_blocks(code, lanes):
    run = Run(code, "last_block", NUMBERS[:8], np.zeros(9), grid=8, lanes=lanes)
    np.testing.assert_array_equal(run.out, [36, *range(1, 9)])
    fault(Kind.RACE, code, "last_block_no_fence", NUMBERS[:8], np.zeros(9), grid=8, lanes=lanes)


def test_atomics(code):
    data = np.random.default_rng(0).integers(0, 1000, 500).astype(np.int32)
    run = Run(code, "histogram", data, np.zeros(16, np.int32), keep=True, grid=4, block=128)
    np.testing.assert_array_equal(run.out, np.bincount(data & 15, minlength=16))
    assert run.counts.atomics == 4 * 16
    fault(Kind.RACE, code, "histogram_no_atomic", data, np.zeros(16, np.int32), keep=True, grid=4, block=128)


def test_atomics_that_return(code):
    out = np.zeros(1 + 128 + 3, np.int32)
    out[130] = 1000
    run = Run(code, "tickets", NUMBERS, out, keep=True, grid=2)
    np.testing.assert_array_equal(run.out, [128, *[1] * 128, 128, 1, np.bitwise_xor.reduce(NUMBERS)])


def test_lock(code):
    """Threads that wait for each other in a loop get on, as they do on every GPU since Volta."""
    run = Run(code, "lock", NUMBERS[:64], np.zeros(2, np.int32), keep=True, block=32, grid=2)
    assert run.out.tolist() == [0, NUMBERS[:64].sum()]


def test_barrier_divergence(code):
    assert Run(code, "diverging_barrier", NUMBERS, np.zeros(64)).out.tolist() == [1] * 64
    fault(Kind.BARRIER_DIVERGENCE, code, "diverging_barrier", SIGNED, np.zeros(64))
    Run(code, "half_barrier", NUMBERS, np.zeros(64))
    fault(Kind.BARRIER_DIVERGENCE, code, "half_barrier", np.repeat(np.array([1, -1], np.int32), 32), np.zeros(64))


def test_barrier_after_exit(code):
    assert Run(code, "barrier_after_exit", NUMBERS, np.zeros(128), grid=2).written.all()
    error = fault(Kind.BARRIER_AFTER_EXIT, code, "barrier_after_exit", NUMBERS[:100], np.zeros(100), grid=2)
    assert error.block == (1, 0, 0) and "thread (36, 0, 0) has ended" in str(error)


def test_barriers_of_a_part_of_a_block(code):
    np.testing.assert_array_equal(Run(code, "named_barriers", NUMBERS, np.zeros(128), block=128).out, NUMBERS[np.arange(128) ^ 63])
    fault(Kind.RACE, code, "named_barrier_across", NUMBERS, np.zeros(128), block=128)


def test_barriers_that_count(code):
    assert Run(code, "counted", SIGNED, np.zeros(128), block=128).out.tolist() == [4 * int((SIGNED > 0).sum()) + 1] * 128
    assert Run(code, "counted", SIGNED, np.zeros(32), block=32).out.tolist() == [4 * int((SIGNED[:32] > 0).sum()) + 2] * 32


def test_shuffles(code):
    sums = NUMBERS.reshape(4, 32).sum(axis=1)
    np.testing.assert_array_equal(Run(code, "warp_sum", NUMBERS, np.zeros(128), grid=2).out, np.repeat(sums, 32))
    v, lane = NUMBERS[:32], np.arange(32)
    up = np.where(lane >= 3, v[lane - 3], v)
    down = np.where(lane % 16 + 5 < 16, v[np.minimum(lane + 5, 31)], v)
    wanted = [up, down, v[lane // 8 * 8 + 3], v[lane ^ 9]]
    np.testing.assert_array_equal(Run(code, "shuffles", v, np.zeros(128), block=32).out, np.concatenate(wanted))


def test_shuffle_with_missing_lanes(code):
    Run(code, "shuffle_after_exit", NUMBERS[:32], np.zeros(32), block=32)
    error = fault(Kind.MISSING_LANES, code, "shuffle_after_exit", NUMBERS[:30], np.zeros(30), block=32)
    assert "30, 31" in str(error)
    fault(Kind.MISSING_LANES, code, "shuffle_after_exit", NUMBERS[:40], np.zeros(40), block=40)
    np.testing.assert_array_equal(Run(code, "shuffle_in_branch", NUMBERS[:32], np.zeros(32), block=32).out, NUMBERS[np.arange(32) ^ 1])
    error = fault(Kind.MISSING_LANES, code, "shuffle_in_branch", SIGNED[:32], np.zeros(32), block=32)
    assert "never come here" in str(error)
    error = fault(Kind.MISSING_LANES, code, "shuffle_wrong_mask", NUMBERS[:32], np.zeros(32), block=32)
    assert "mask" in str(error)


def test_votes(code):
    v = SIGNED[:32].astype(np.int64)
    bits = 1 << np.arange(32, dtype=np.int64)
    out = Run(code, "votes", SIGNED[:32], np.zeros(256), block=32).out.reshape(8, 32).astype(np.int64) & 0xFFFFFFFF
    assert (out[0] == bits[v > 0].sum()).all()
    assert (out[1] == (v > 30).any() + 2 * (v > -50).all()).all()
    rest = np.fmod(v, 3)
    np.testing.assert_array_equal(out[2], [(bits * (rest == r)).sum() for r in rest])
    # All agree: the full mask, and 1 for agreement on top of it.
    assert (out[3] == 0).all()
    assert (out[4, 1::2] == 0xAAAAAAAA).all() and (out[4, ::2] == (v[::2] > 0).sum()).all()
    if code.target != "sm_75":
        assert (out[5] == v.sum() & 0xFFFFFFFF).all() and (out[6] == v.min() & 0xFFFFFFFF).all()
        assert (out[7] == np.bitwise_or.reduce(v & 0xFFFFFFFF)).all()
