"""Windows of 200 ms: how many, what is in each, and what comes late, never, or out of order."""

from __future__ import annotations

import numpy as np
import pytest
from affectrt.affect import Windows, window_count
from hypothesis import given
from hypothesis import strategies as st

MS = 1_000_000
finite = st.floats(-1e6, 1e6) | st.just(float("nan"))
samples = st.lists(st.tuples(st.integers(0, 1999), st.tuples(finite, finite)), max_size=40)


def same(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert (a.index, a.start_ns, a.end_ns, a.count) == (b.index, b.start_ns, b.end_ns, b.count)
        assert a.values.tobytes() == b.values.tobytes()


@pytest.mark.parametrize(
    ("duration", "count"), [(0, 0), (0.199, 0), (0.2, 1), (0.399999999, 1), (0.6, 3), (1.4, 7), (60, 300), (11402.4, 57012)]
)
def test_the_count_is_the_floor(duration, count):
    """0.6 / 0.2 is 2.9999999999999996 in floating point."""
    assert window_count(duration) == count
    windows = Windows(1, start_ns=5)
    assert len(windows.close(5 + round(duration * 1e9))) == count


@given(st.integers(0, 10**7), st.integers(1, 5000))
def test_the_count_for_any_duration_and_length(duration_ms, length_ms):
    assert window_count(duration_ms / 1000, length_ms) == duration_ms // length_ms


def test_means_by_hand():
    windows = Windows(2, start_ns=1000 * MS)
    for at_ms, values in ((1000, [1, 10]), (1199, [3, float("nan")]), (1200, [7, 7]), (1650, [float("nan"), 2])):
        assert windows.add(at_ms * MS, values)
    closed = windows.close(1899 * MS)
    assert [w.count for w in closed] == [2, 1, 0, 1]
    assert [(w.start_ns // MS, w.end_ns // MS) for w in closed] == [(1000, 1200), (1200, 1400), (1400, 1600), (1600, 1800)]
    np.testing.assert_array_equal([w.values for w in closed], np.array([[2, 10], [7, 7], [np.nan, np.nan], [np.nan, 2]], np.float32))
    assert all(w.values.dtype == np.float32 for w in closed)
    assert windows.close(1899 * MS) == []
    assert [w.index for w in windows.close(2000 * MS)] == [4]


@given(samples, st.randoms())
def test_the_order_of_arrival_changes_no_bit(stream, random):
    shuffled = list(stream)
    random.shuffle(shuffled)
    results = []
    for order in (stream, shuffled):
        windows = Windows(2, start_ns=0)
        assert all(windows.add(at * MS, values) for at, values in order)
        results.append(windows.close(2000 * MS))
    same(*results)


def test_the_order_of_arrival_changes_no_bit_where_sums_round():
    results = []
    for order in ([1e16, 1.0, -1e16], [1e16, -1e16, 1.0]):
        windows = Windows(1, start_ns=0)
        for value in order:
            windows.add(0, [value])
        results.append(windows.close(200 * MS))
    same(*results)


@given(samples, st.lists(st.integers(-500, 2500), max_size=6))
def test_each_window_is_given_once_however_often_it_is_closed(stream, times):
    at_once, piecewise = Windows(2, start_ns=0), Windows(2, start_ns=0)
    for at, values in sorted(stream, key=lambda s: s[0]):
        at_once.add(at * MS, values)
        piecewise.add(at * MS, values)
    closed = [w for now in times for w in piecewise.close(now * MS)]  # times jump back, too
    closed += piecewise.close(2500 * MS)
    if max(times, default=0) <= 2500:
        same(closed, at_once.close(2500 * MS))
    assert [w.index for w in closed] == list(range(len(closed)))


def test_a_late_sample_is_counted_and_changes_nothing():
    windows = Windows(1, start_ns=0)
    windows.add(10 * MS, [1])
    (first,) = windows.close(200 * MS)
    assert windows.add(199 * MS, [9]) is False and windows.add(-1, [9]) is False
    assert windows.late == 2 and first.values[0] == 1
    assert windows.add(200 * MS, [2])
    assert windows.close(400 * MS)[0].values[0] == 2


def test_waiting_lets_the_late_in():
    windows = Windows(1, start_ns=0, wait_ms=100)
    assert windows.close(299 * MS) == []
    assert windows.add(50 * MS, [4])
    assert windows.close(300 * MS)[0].values[0] == 4


def test_what_is_kept_is_bounded():
    windows = Windows(1, start_ns=0, ahead_ms=1000)
    assert windows.add(1000 * MS, [1])
    with pytest.raises(ValueError, match="ahead_ms"):
        windows.add(1001 * MS, [1])
    windows.close(400 * MS)
    assert windows.add(1001 * MS, [1])
    with pytest.raises(ValueError, match="1000000 windows"):
        windows.close(10**18)
    assert [w.count for w in windows.close(1200 * MS)] == [0, 0, 0, 2]


@pytest.mark.parametrize("values", [[1], [1, 2, 3], [[1, 2]], [1, float("inf")], 1.0, []])
def test_bad_samples(values):
    windows = Windows(2, start_ns=0)
    with pytest.raises(ValueError, match="values"):
        windows.add(0, values)
    assert windows.close(200 * MS)[0].count == 0


@pytest.mark.parametrize("stamp", [0.5, "0", None, True])
def test_a_time_that_is_no_int(stamp):
    windows = Windows(1, start_ns=0)
    with pytest.raises(TypeError, match="stamp_ns"):
        windows.add(stamp, [1])
    with pytest.raises(TypeError, match="now_ns"):
        windows.close(stamp)
    with pytest.raises(TypeError, match="start_ns"):
        Windows(1, start_ns=stamp)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"features": 0}, "features"),
        ({"length_ms": 0}, "length_ms"),
        ({"length_ms": float("nan")}, "length_ms"),
        ({"length_ms": 1e-9}, "length_ms"),
        ({"wait_ms": -1}, "wait_ms"),
        ({"ahead_ms": 100}, "ahead_ms"),
        ({"ahead_ms": float("inf")}, "ahead_ms"),
    ],
)
def test_bad_arguments(keywords, message):
    with pytest.raises(ValueError, match=message):
        Windows(**{"features": 1, "start_ns": 0, **keywords})


@pytest.mark.parametrize("duration", [-1, float("nan"), float("inf")])
def test_no_duration(duration):
    with pytest.raises(ValueError, match="duration_s"):
        window_count(duration)
