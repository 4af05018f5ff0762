"""States at the ends of windows: all of them, each once, and only when nothing can change them any more."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import pytest
from affectrt.affect import AffectState, Evidence, Fusion, FusionSettings
from fusion_tools import SECOND, evidence
from hypothesis import given
from hypothesis import strategies as st

WINDOW_NS = SECOND // 5
HOW = FusionSettings(lateness_s=0.7)


def face(stamp_ns: int, valence: float = 0.5) -> Evidence:
    return Evidence("face", stamp_ns, 1.0, valence=valence, arousal=0.0)


def lines(states: Iterator[AffectState]) -> list[str]:
    return [state.to_json() for state in states]


@pytest.mark.parametrize("duration_s", [0.0, 0.19, 0.2, 1.0, 1.999, 60.0])
def test_there_are_as_many_as_fit_into_the_time(duration_s: float) -> None:
    given_ = [face(0)] if duration_s else []
    states = list(Fusion(HOW).windows(given_, start_ns=0, end_ns=int(duration_s * 1e9)))
    assert [state.stamp_ns for state in states] == [(k + 1) * WINDOW_NS for k in range(int(duration_s / 0.2 + 1e-9))]


@given(st.lists(evidence(), min_size=1, max_size=25), st.randoms(use_true_random=False))
def test_each_is_the_state_at_its_end_in_whatever_order_evidence_came(given_: list[Evidence], shuffle: random.Random) -> None:
    arrivals = sorted(given_, key=lambda one: one.stamp_ns + shuffle.randint(0, 700_000_000))
    whole = Fusion(FusionSettings(lateness_s=10))
    for one in given_:
        whole.add(one)
    first, last = min(one.stamp_ns for one in given_), max(one.stamp_ns for one in given_)
    ends = range(-(-first // WINDOW_NS) * WINDOW_NS, last + 1, WINDOW_NS)
    assert lines(Fusion(HOW).windows(arrivals)) == [whole.state(end).to_json() for end in ends]


@given(st.lists(evidence(), min_size=1, max_size=15), st.integers(-SECOND, SECOND), st.integers(0, 6 * SECOND))
def test_with_a_beginning_and_an_end_of_their_own(given_: list[Evidence], start_ns: int, end_ns: int) -> None:
    in_order = sorted(given_, key=Evidence.order)
    whole = Fusion(FusionSettings(lateness_s=10))
    for one in in_order:
        whole.add(one)
    states = list(Fusion(HOW).windows(in_order, window_ms=500, start_ns=start_ns, end_ns=end_ns))
    settled = max(one.stamp_ns for one in given_) - 700_000_000
    ends = [end for end in range(start_ns + SECOND // 2, 8 * SECOND, SECOND // 2) if end <= end_ns or end < settled]
    assert [state.stamp_ns for state in states] == ends
    for state in states:
        if state.stamp_ns >= whole.settled_ns:
            assert state.to_json() == whole.state(state.stamp_ns).to_json()


def test_a_window_is_given_as_soon_as_nothing_can_change_it_and_not_before() -> None:
    fusion, seen = Fusion(FusionSettings(lateness_s=1.0)), []

    def arriving() -> Iterator[Evidence]:
        for stamp in (0, SECOND, SECOND + 1, SECOND + WINDOW_NS, SECOND + WINDOW_NS + 1):
            yield face(stamp)
            seen.append(("came", stamp))

    for state in fusion.windows(arriving()):
        seen.append(("window", state.stamp_ns))
    came = {what: at for at, what in enumerate(seen)}
    assert came["window", 0] == came["came", SECOND] + 1
    assert came["window", WINDOW_NS] == came["came", SECOND + WINDOW_NS] + 1


def test_an_endless_stream_is_taken_bit_by_bit() -> None:
    endless = (face(i * SECOND // 30) for i in itertools.count())
    states = list(itertools.islice(Fusion(HOW).windows(endless), 50))
    assert [state.stamp_ns for state in states] == [k * WINDOW_NS for k in range(50)]


def test_a_silence_is_full_of_windows() -> None:
    states = list(Fusion(HOW).windows([face(0), face(100 * SECOND)]))
    assert len(states) == 501 and states[0].confidence > 0.7 and states[499].confidence < 1e-6


def test_wrong_windows_are_refused() -> None:
    for wrong in (0, 0.5, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="window_ms: expected a number in"):
            next(Fusion().windows([face(0)], window_ms=wrong))
    with pytest.raises(TypeError, match="window_ms"):
        next(Fusion().windows([face(0)], window_ms="200"))  # type: ignore[arg-type]
    fusion = Fusion()
    fusion.add(face(10 * SECOND))
    with pytest.raises(ValueError, match="start_ns: expected windows that end at 8000000000 or later"):
        next(fusion.windows([], start_ns=0))
    assert next(fusion.windows([], start_ns=8 * SECOND, end_ns=9 * SECOND)).stamp_ns == 8 * SECOND + WINDOW_NS
