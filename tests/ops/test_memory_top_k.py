"""Recall against its own arithmetic in NumPy, to the last bit, and against float64; 8-bit codes change nothing."""

import threading

import memory_reference as reference
import numpy as np
import pytest
from affectrt import _core
from hypothesis import given, settings
from hypothesis import strategies as st

WIDTHS = [1, 2, 7, 31, 32, 33, 63, 64, 65, 127, 384, 389, 1031]
COUNTS = [0, 1, 2, 31, 33, 97, 131, 521]


def made(count, width, moods=8, seed=0):
    rng = np.random.default_rng(seed)
    semantics, emotions = rng.normal(0, 1, (count, width)), rng.uniform(0, 1, (count, moods))
    emotions[rng.uniform(size=count) < 0.2] = 0
    semantic, emotion = rng.normal(0, 1, width), rng.uniform(0, 1, moods) + 0.01
    return tuple(a.astype(np.float32) for a in (semantic, emotion, semantics, emotions))


def same(got, want):
    np.testing.assert_array_equal(got[0], want[0])
    assert got[0].dtype == np.int64 and got[1].dtype == np.float32
    assert got[1].tobytes() == want[1].tobytes(), (got[1], want[1])


def check(data, combination, k, candidates=20, allowed=None):
    """Every way of computing it gives the reference's bits."""
    semantic, emotion, semantics, emotions = data
    want = reference.memory_top_k(semantic, emotion, semantics, emotions, combination, k, candidates, allowed)
    codes, bounds = _core.memory_codes(semantics)
    for kernels in range(len(_core.memory_kernels())):
        for coded in ({}, {"codes": codes, "code_bounds": bounds}):
            options = {"combination": combination, "k": k, "candidates": candidates, "allowed": allowed, "kernels": kernels}
            same(_core.memory_top_k(semantic, emotion, semantics, emotions, **options, **coded), want)


@pytest.mark.parametrize("combination", reference.COMBINATIONS)
@pytest.mark.parametrize("width", WIDTHS)
def test_to_the_last_bit(combination, width):
    for count in COUNTS:
        check(made(count, width, seed=count), combination, k=7, candidates=11)


@pytest.mark.parametrize("moods", [1, 2, 7, 8, 9, 16, 28, 64, 65, 100])
def test_any_number_of_emotions(moods):
    check(made(97, 5, moods), "C-A", k=10)


@pytest.mark.parametrize("combination", reference.COMBINATIONS)
@pytest.mark.parametrize("k", [1, 20, 97, 98, 1000])
def test_any_k(combination, k):
    data = made(97, 33, seed=k)
    check(data, combination, k, candidates=5)
    check(data, combination, k, candidates=200)


@pytest.mark.parametrize("combination", reference.COMBINATIONS)
def test_near_float64(combination):
    """Away from near-ties the order is that of exact arithmetic, and the distances are within float32's rounding of it."""
    data = made(521, 384, seed=4)
    d_sem, d_emo = reference.oracle_distances(*data)
    index, distance = _core.memory_top_k(*data, combination=combination, k=521, candidates=521)
    last = {"S-C": "emotional", "S-S": "semantic"}.get(combination, combination)
    exact = reference.combined(d_sem, d_emo, last)
    np.testing.assert_allclose(distance, exact[index], rtol=2e-6, atol=2e-7)
    steps = np.diff(exact[index])
    assert (steps > -4e-6 * exact.max()).all() and len(set(index.tolist())) == 521


@pytest.mark.parametrize("combination", reference.COMBINATIONS)
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_only_what_is_allowed(combination, share):
    rng = np.random.default_rng(9)
    allowed = rng.uniform(size=521) < share
    check(made(521, 37), combination, k=9, allowed=allowed)
    check(made(521, 37), combination, k=600, allowed=allowed)


@pytest.mark.parametrize("combination", reference.COMBINATIONS)
def test_all_rows_equal_come_by_index(combination):
    semantic, emotion, semantics, emotions = made(1, 41)
    data = semantic, emotion, np.repeat(semantics, 300, 0), np.repeat(emotions + 1, 300, 0)
    check(data, combination, k=23)
    index, _ = _core.memory_top_k(*data, combination=combination, k=15)
    assert index.tolist() == list(range(15))


def test_ties_between_candidates_come_by_index():
    """Two steps: a later memory that was nearer in the first step is still after its equal in the second."""
    semantics = np.array([[3.0], [2.0], [1.0], [0.0]], np.float32)
    emotions = np.ones((4, 8), np.float32)
    index, distance = _core.memory_top_k(np.zeros(1, np.float32), emotions[0], semantics, emotions, combination="S-C", k=2, candidates=3)
    assert index.tolist() == [1, 2] and distance.tolist() == [0, 0]
    index, _ = _core.memory_top_k(np.zeros(1, np.float32), emotions[0], semantics, emotions, combination="S-S", k=2, candidates=3)
    assert index.tolist() == [2, 1]


@pytest.mark.parametrize("near", [0.0, 0.01, 0.1, 1.0])
def test_a_mood_that_is_too_far_by_itself(near):
    """One mood a memory, most of them unrelated to the query's: in C-A these are left out unread, unless they are needed after all."""
    rng = np.random.default_rng(3)
    semantic, emotion = rng.normal(0, 1, 70).astype(np.float32), np.eye(8, dtype=np.float32)[2]
    semantics = (semantic + near * rng.normal(0, 0.1, (700, 70))).astype(np.float32)
    emotions = np.eye(9, 8, dtype=np.float32)[rng.integers(0, 9, 700)]
    emotions[::5] += rng.choice([0, 0.5], (140, 8)).astype(np.float32)
    for k in (3, 90, 700):
        check((semantic, emotion, semantics, emotions), "C-A", k)
        check((semantic, emotion, semantics[::-1], emotions), "C-A", k, allowed=rng.uniform(size=700) < 0.7)


def test_a_mood_just_at_the_limit_is_not_left_out():
    """The second and third are as near as the first, by mood or by meaning alone; ties come by index, from whichever end they are read."""
    semantics = np.repeat(np.array([[1.0], [0.0], [1.0], [0.0]], np.float32), 40, 0)
    emotions = np.repeat(np.array([[1.0, 0], [0, 1.0], [1.0, 0], [0, 1.0]], np.float32), 40, 0)
    query = np.zeros(1, np.float32), np.array([1, 0], np.float32)
    check((*query, semantics, emotions), "C-A", k=60)
    check((*query, semantics[::-1], emotions[::-1]), "C-A", k=60)


def test_the_distances_are_those_of_the_paper():
    semantic, emotion = np.array([0, 0], np.float32), np.array([1, 0], np.float32)
    semantics, emotions = np.array([[3, 4]], np.float32), np.array([[3, 4]], np.float32)
    want = {"semantic": 5, "emotional": 0.4, "C-A": 5.4, "C-M": 2.0, "S-C": 0.4, "S-S": 5}
    for combination, distance in want.items():
        got = _core.memory_top_k(semantic, emotion, semantics, emotions, combination=combination)[1]
        assert got.tolist() == pytest.approx([distance], rel=1e-6), combination


def test_parallel_moods_lie_at_zero_and_opposite_ones_at_two():
    mood = np.array([0.3, 0.1, 0.7], np.float32)
    emotions = np.stack([mood * np.float32(s) for s in (1, 1e-30, 3e30, -1, -2e-38, 0)])
    _, distance = _core.memory_top_k(None, mood, None, emotions, combination="emotional", k=6)
    np.testing.assert_allclose(distance, [0, 0, 0, 1, 2, 2], atol=3e-7)
    assert _core.memory_top_k(None, mood, None, mood[None], combination="emotional")[1][0] == 0


@pytest.mark.parametrize("combination", reference.COMBINATIONS)
def test_rows_that_lie_apart_or_run_backwards(combination):
    semantic, emotion, semantics, emotions = made(97, 35)
    wide, moods = np.full((194, 40), np.nan, np.float32), np.full((97, 11), np.nan, np.float32)
    wide[::2, 3:38], moods[:, 2:10] = semantics, emotions
    apart = semantic, emotion, wide[::2, 3:38], moods[:, 2:10]
    check(apart, combination, k=9)
    check((semantic, emotion, semantics[::-1], emotions[::-1]), combination, k=9)
    check((semantic, emotion, np.broadcast_to(semantics[:1], (97, 35)), emotions), combination, k=9)


def test_what_is_not_finite_lies_at_infinity():
    semantic, emotion, semantics, emotions = made(40, 9)
    emotions += 0.1
    semantics[3, 4], semantics[5] = np.nan, np.inf
    emotions[7, 0], emotions[11, 2] = np.nan, -np.inf
    semantics[13] = 3e38  # too far for a float32
    for combination in reference.COMBINATIONS:
        check((semantic, emotion, semantics, emotions), combination, k=40, candidates=40)
    index, distance = _core.memory_top_k(semantic, emotion, semantics, emotions, combination="C-A", k=40)
    assert index[-5:].tolist() == [3, 5, 7, 11, 13] and np.isinf(distance[-5:]).all() and np.isfinite(distance[:-5]).all()


@pytest.mark.parametrize("scale", [1e-45, 1e-40, 1e-30, 1e-19, 1e-10, 1e10, 1e18, 1e19, 1e30, 3e38])
@pytest.mark.parametrize("combination", ["semantic", "C-A", "C-M"])
def test_norms_of_any_size(scale, combination):
    with np.errstate(over="ignore"):
        semantic, emotion, semantics, emotions = made(131, 67, seed=2)
        semantics = np.clip(semantics, -1, 1) * np.float32(scale)
        check((np.clip(semantic, -1, 1) * np.float32(scale), emotion, semantics, emotions), combination, k=11)
        check((semantic, emotion, semantics, emotions), combination, k=11)
        mixed = semantics.copy()
        mixed[::3] = made(131, 67, seed=3)[2][::3]
        check((semantic, emotion, mixed, emotions), combination, k=11)


def numbers(width=32):
    small = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 1e-45, -1e-38, 1e-20, 3e38, -3e38, 1e19, np.inf, np.nan])
    return st.one_of(st.floats(width=width, allow_nan=False, allow_infinity=False), small, st.floats(-1, 1, width=width))


@st.composite
def searches(draw):
    count, width, moods = draw(st.integers(0, 70)), draw(st.integers(1, 70)), draw(st.integers(1, 12))
    values = draw(st.lists(numbers(), min_size=1, max_size=40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    tight = draw(st.booleans())

    def array(*shape, finite=False):
        pool = np.array([v for v in values if np.isfinite(v)] + [0.25] if finite else values, np.float32)
        picked = rng.choice(pool, shape)
        # Rows near to each other, where bounds and ties matter most.
        return (picked[:1] + rng.choice([0, 1e-3, 1e-7], shape)).astype(np.float32) if tight and len(shape) == 2 and shape[0] else picked

    emotion = array(moods, finite=True)
    if not emotion.any():
        emotion[0] = 1
    allowed = None if draw(st.booleans()) else rng.uniform(size=count) < 0.6
    data = array(width, finite=True), emotion, array(count, width), array(count, moods)
    return data, draw(st.sampled_from(reference.COMBINATIONS)), draw(st.integers(1, 80)), draw(st.integers(1, 80)), allowed


@settings(max_examples=300, deadline=None)
@given(searches())
def test_hostile_numbers(search):
    with np.errstate(all="ignore"):
        check(*search)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.sampled_from([0.0, 1e-7, 1e-4, 1e-2, 1.0]), st.sampled_from([1e-3, 1.0, 1e3]))
def test_bounds_of_codes_hold(seed, width, spread, scale):
    """|row - scale * codes| is at most what is stored, in exact arithmetic, and no coarser than half a step an element."""
    rng = np.random.default_rng(seed)
    rows = ((rng.normal(0, 1, width) + spread * rng.normal(0, 1, (30, width))) * scale).astype(np.float32)
    codes, bounds = _core.memory_codes(rows)
    coded = codes.astype(np.float64) * bounds[:, :1].astype(np.float64)
    lost = np.linalg.norm(rows.astype(np.float64) - coded, axis=1)
    assert (lost <= bounds[:, 2]).all() and (lost >= 0.999999 * bounds[:, 2] - 1e-40).all()
    np.testing.assert_allclose(bounds[:, 1], np.linalg.norm(coded, axis=1), rtol=1e-6)
    assert (bounds[:, 2] <= 0.5001 * np.sqrt(width) * bounds[:, 0]).all()


def test_codes_are_row_by_row_and_say_where_nothing_is_known():
    rows = made(20, 31)[2]
    rows[3, 4], rows[7], rows[9] = np.nan, 0, 1e-44
    codes, bounds = _core.memory_codes(rows)
    for i in range(20):
        one = _core.memory_codes(rows[i : i + 1])
        np.testing.assert_array_equal(codes[i], one[0][0])
        np.testing.assert_array_equal(bounds[i], one[1][0])
    assert not codes[3].any() and np.isinf(bounds[3, 2])
    assert not codes[7].any() and bounds[7, 2] <= 1e-44
    assert not codes[9].any() and bounds[9, 2] >= 1e-44 * np.sqrt(31) * 0.9
    assert np.abs(codes[0]).max() == 127
    strided = np.zeros((40, 50), np.float32)
    strided[::2, 5:36] = rows
    np.testing.assert_array_equal(_core.memory_codes(strided[::2, 5:36])[0], codes)
    assert _core.memory_codes(np.zeros((0, 4), np.float32))[0].shape == (0, 4)


def test_the_portable_kernels_are_there():
    assert _core.memory_kernels()[-1] == "portable"


def test_codes_in_a_larger_buffer():
    semantic, emotion, semantics, emotions = made(97, 65)
    codes, bounds = _core.memory_codes(semantics)
    room = np.full((97, 80), 7, np.int8)
    room[:, :65] = codes
    got = _core.memory_top_k(semantic, emotion, semantics, emotions, combination="C-M", codes=room[:, :65], code_bounds=bounds)
    same(got, reference.memory_top_k(semantic, emotion, semantics, emotions, "C-M", 10))


def test_codes_are_really_used():
    """With codes of other rows the result is another: so they decide what is looked at."""
    semantic, emotion, semantics, emotions = made(521, 64)
    codes, bounds = _core.memory_codes(np.ascontiguousarray(semantics[::-1]))
    got = _core.memory_top_k(semantic, emotion, semantics, emotions, combination="semantic", codes=codes, code_bounds=bounds)
    assert got[0].tolist() != reference.memory_top_k(semantic, emotion, semantics, emotions, "semantic", 10)[0].tolist()


def test_parts_that_are_not_asked_for_may_be_missing():
    semantic, emotion, semantics, emotions = made(50, 9)
    got = _core.memory_top_k(semantic, None, semantics, None, combination="semantic")
    same(got, reference.memory_top_k(semantic, emotion, semantics, emotions, "semantic", 10))
    got = _core.memory_top_k(None, emotion, None, emotions, combination="emotional", allowed=np.ones(50, bool))
    same(got, reference.memory_top_k(semantic, emotion, semantics, emotions, "emotional", 10))
    # What is not asked for is not looked at, whatever its size.
    got = _core.memory_top_k(semantic, emotion, semantics[:3], emotions, combination="emotional")
    same(got, reference.memory_top_k(semantic, emotion, semantics, emotions, "emotional", 10))


GOOD = made(5, 3)
BAD = [
    ({"combination": "C-X"}, ValueError, "combination: expected semantic, emotional, C-A, C-M, S-C or S-S, got 'C-X'"),
    ({"k": 0}, ValueError, "k: expected at least 1, got 0"),
    ({"k": -3}, ValueError, "k: expected at least 1, got -3"),
    ({"kernels": 9}, ValueError, "kernels: expected 0 to"),
    ({"candidates": 0}, ValueError, "candidates: expected at least 1, got 0"),
    ({"semantic": np.array([1, np.nan, 0], np.float32)}, ValueError, "semantic: expected finite numbers, got nan"),
    ({"emotion": np.full(8, np.inf, np.float32)}, ValueError, "emotion: expected finite numbers, got inf"),
    ({"emotion": np.zeros(8, np.float32)}, ValueError, "emotion: expected a vector that is not all zeros"),
    ({"semantic": np.zeros(4, np.float32)}, ValueError, "semantics: expected rows of 4 numbers, as semantic has, got 3"),
    ({"semantic": np.zeros(3)}, TypeError, "semantic: expected dtype float32, got float64"),
    ({"semantic": np.zeros((3, 1), np.float32)}, ValueError, r"semantic: expected shape \(D,\), got \(3, 1\)"),
    ({"semantic": np.zeros(6, np.float32)[::2]}, ValueError, "semantic: expected a contiguous array"),
    ({"semantic": [0.0, 0, 0]}, TypeError, "semantic: expected a NumPy array"),
    ({"semantic": None}, ValueError, "semantic: expected 1 to 65536 numbers, got 0"),
    ({"semantics": np.zeros((5, 6), np.float32)[:, ::2]}, ValueError, "semantics: expected the numbers of a row one after another"),
    ({"semantics": np.zeros((3, 5), np.float32).T}, ValueError, "semantics: expected the numbers of a row one after another"),
    ({"semantics": np.zeros((5, 3), ">f4")}, TypeError, "semantics: expected dtype float32, got >f4"),
    ({"semantics": np.zeros(3, np.float32)}, ValueError, r"semantics: expected shape \(N, D\), got \(3\)"),
    ({"emotions": np.zeros((4, 8), np.float32)}, ValueError, "emotions: expected 5 rows, got 4"),
    ({"emotions": np.zeros((5, 7), np.float32)}, ValueError, "emotions: expected rows of 8 numbers, as emotion has, got 7"),
    ({"emotions": None}, ValueError, "emotions: expected rows of 8 numbers, as emotion has, got 0"),
    ({"allowed": np.ones(4, bool)}, ValueError, r"allowed: expected 5 rows, got shape \(4\)"),
    ({"allowed": np.ones(5, np.uint8)}, TypeError, "allowed: expected dtype bool, got uint8"),
    ({"allowed": np.ones(10, bool)[::2]}, ValueError, "allowed: expected a contiguous array"),
    ({"codes": np.zeros((5, 3), np.int8)}, ValueError, "codes and code_bounds: expected both or neither"),
    ({"codes": np.zeros((5, 3), np.uint8), "code_bounds": np.zeros((5, 3), np.float32)}, TypeError, "codes: expected dtype int8"),
    ({"codes": np.zeros((4, 3), np.int8), "code_bounds": np.zeros((4, 3), np.float32)}, ValueError, "codes: expected 5 rows, got 4"),
    ({"codes": np.zeros((5, 2), np.int8), "code_bounds": np.zeros((5, 3), np.float32)}, ValueError, "codes: expected rows of 3 numbers"),
    ({"codes": np.zeros((5, 3), np.int8), "code_bounds": np.zeros((5, 2), np.float32)}, ValueError, "code_bounds: expected a C-contiguous"),
    ({"codes": np.zeros((5, 3), np.int8), "code_bounds": np.zeros((4, 3), np.float32)}, ValueError, "code_bounds: expected 5 rows"),
]


@pytest.mark.parametrize(("change", "error", "text"), BAD, ids=[text[:40] for _, _, text in BAD])
def test_bad_arguments_are_named(change, error, text):
    arguments = dict(zip(("semantic", "emotion", "semantics", "emotions"), GOOD, strict=True)) | {"combination": "C-A"} | change
    with pytest.raises(error, match=text):
        _core.memory_top_k(**arguments)


def test_rows_between_floats_are_refused():
    raw = np.zeros(5 * 14 + 8, np.uint8)
    uneven = np.ndarray((5, 3), np.float32, raw.data, 0, (14, 4))
    shifted = np.ndarray((5, 3), np.float32, raw.data, 1, (12, 4))
    for rows in (uneven, shifted):
        with pytest.raises(ValueError, match="semantics: expected the numbers of a row one after another"):
            _core.memory_top_k(GOOD[0], GOOD[1], rows, GOOD[3], combination="C-A")
        with pytest.raises(ValueError, match="semantics"):
            _core.memory_codes(rows)


def test_other_threads_run_meanwhile():
    """The interpreter's lock is free during a search: another thread counts on while one long search runs."""
    data = made(1, 64)
    semantics = np.broadcast_to(data[2], (4_000_000, 64))
    emotions = np.broadcast_to(data[3], (4_000_000, 8))
    done, counted = threading.Event(), 0

    def search():
        _core.memory_top_k(data[0], data[1], semantics, emotions, combination="C-A")
        done.set()

    thread = threading.Thread(target=search)
    thread.start()
    while not done.is_set():
        counted += 1
    thread.join()
    assert counted > 100
