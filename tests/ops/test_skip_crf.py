"""SkipCRF decoding, marginals and the stream against brute force over all sequences, and against hostile input."""

import threading
import time

import numpy as np
import pytest
import skip_crf_reference as reference
from affectrt import _core
from hypothesis import given, settings
from hypothesis import strategies as st
from skip_crf_reference import Crf


def weights(crf):
    return vars(crf)


def decode(emissions, speakers, crf, lengths=None):
    return _core.skip_crf_decode(emissions, np.asarray(speakers), lengths=lengths, **weights(crf))


def decode_one(emissions, speakers, crf):
    tags, scores = decode(emissions[None], np.array([speakers]), crf)
    return tags[0].tolist(), scores[0]


@st.composite
def dialogues(draw, numbers, most_tags=4, most_utterances=6):
    tags, utterances = draw(st.integers(1, most_tags)), draw(st.integers(1, most_utterances))
    speakers = draw(st.lists(st.integers(0, 3), min_size=utterances, max_size=utterances))

    def array(*shape):
        size = int(np.prod(shape))
        return np.array(draw(st.lists(numbers, min_size=size, max_size=size)), np.float32).reshape(shape)

    return array(utterances, tags), speakers, Crf(array(tags), array(tags), array(tags, tags), array(tags, tags))


# Whole numbers add up exactly, so that ties are ties, and there are many.
WHOLE = st.integers(-2, 2).map(float) | st.just(-np.inf)
REAL = st.floats(-30, 30, width=32)


@settings(max_examples=300, deadline=None)
@given(dialogues(WHOLE))
def test_equals_brute_force_with_ties_and_forbidden_tags(case):
    assert decode_one(*case) == reference.brute_force(*case)
    assert reference.viterbi(*case) == reference.brute_force(*case)


@settings(max_examples=200, deadline=None)
@given(dialogues(REAL))
def test_equals_brute_force_on_any_numbers(case):
    """Sums that round are compared by their value: equal up to the last bit, since rounding is monotone."""
    emissions, speakers, crf = case
    tags, score = decode_one(*case)
    assert score == reference.brute_force(*case)[1]
    assert score == reference.score(np.array([tags]), emissions, speakers, crf)[0]


@settings(max_examples=100, deadline=None)
@given(dialogues(REAL | st.just(-np.inf), most_tags=3, most_utterances=5))
def test_marginals_equal_brute_force(case):
    emissions, speakers, crf = case
    probs, log_partition = _core.skip_crf_marginals(emissions[None], np.array([speakers]), **weights(crf))
    want, log_want = reference.brute_marginals(*case)
    np.testing.assert_allclose(probs[0], want, atol=1e-6)
    assert log_partition[0] == pytest.approx(log_want, rel=1e-9, abs=1e-9)
    assert probs.sum(2) == pytest.approx(0 if log_want == -np.inf else 1, abs=1e-5)


def test_self_and_other_count_where_they_should():
    """Two tags; Self rewards staying by 1 and Other by 10: the score of one constant sequence says which were added."""
    crf = Crf(np.zeros(2, np.float32), np.zeros(2, np.float32), np.eye(2, dtype=np.float32), 10 * np.eye(2, dtype=np.float32))
    for speakers, expected in [
        ([0], 0),
        ([0, 0, 0], 2),  # one run
        ([0, 1], 10),  # a first appearance
        ([0, 1, 0], 21),  # A-B-A
        ([0, 1, 2, 0], 30),  # A-B-C-A: too long ago
        ([0, 0, 1, 1, 0, 0], 1 + 10 + 1 + 11 + 1),
        ([0, 1, 0, 1, 0], 10 + 11 + 11 + 11),
        ([5, 6, 7, 6, 7], 10 + 10 + 11 + 11),
    ]:
        emissions = np.zeros((len(speakers), 2), np.float32)
        emissions[0, 1] = 0.5
        assert decode_one(emissions, speakers, crf) == ([1] * len(speakers), expected + 0.5), speakers


@pytest.mark.parametrize("tags", [1, 2, 7, 31, 97, 256])
@pytest.mark.parametrize("speakers", ["one", "two", "three", "many", "new each time"])
def test_sizes(tags, speakers):
    rng = np.random.default_rng(tags)
    utterances = {1: 1, 256: 5}.get(tags, 23)
    voices = {
        "one": np.zeros(utterances, int),
        "two": rng.integers(0, 2, utterances),
        "three": np.arange(utterances) % 3,
        "many": rng.integers(0, 5, utterances),
        "new each time": np.arange(utterances),
    }[speakers]
    crf = Crf.random(tags, rng)
    emissions = rng.normal(0, 2, (utterances, tags)).astype(np.float32)
    assert decode_one(emissions, voices, crf) == reference.viterbi(emissions, voices, crf)


def test_a_batch_is_its_dialogues_one_by_one_and_padding_is_not_read():
    rng = np.random.default_rng(0)
    crf = Crf.random(5, rng)
    lengths = np.array([0, 1, 13, 7, 13])
    emissions = rng.normal(0, 2, (5, 13, 5)).astype(np.float32)
    speakers = rng.integers(-(2**62), 2**62, (5, 3))[np.arange(5)[:, None], rng.integers(0, 3, (5, 13))]
    for i, length in enumerate(lengths):
        emissions[i, length:] = np.nan
    tags, scores = decode(emissions, speakers, crf, lengths)
    probs, log_partition = _core.skip_crf_marginals(emissions, speakers, lengths=lengths, **weights(crf))
    assert tags.dtype == np.int32 and scores.dtype == np.float64 and probs.dtype == np.float32
    for i, length in enumerate(lengths):
        assert (tags[i, length:] == -1).all() and (probs[i, length:] == 0).all()
        if length:
            assert (tags[i, :length].tolist(), scores[i]) == reference.viterbi(emissions[i, :length], speakers[i, :length], crf)
            np.testing.assert_allclose(probs[i, :length].sum(1), 1, atol=1e-5)
    assert scores[0] == 0 and log_partition[0] == 0
    assert (log_partition >= scores).all()


def test_empty_batches():
    crf = Crf.random(3, np.random.default_rng(0))
    tags, scores = decode(np.zeros((0, 4, 3), np.float32), np.zeros((0, 4), int), crf)
    assert tags.shape == (0, 4) and scores.shape == (0,)
    tags, scores = decode(np.zeros((2, 0, 3), np.float32), np.zeros((2, 0), int), crf)
    assert tags.shape == (2, 0) and scores.tolist() == [0, 0]


def test_nothing_allowed():
    rng = np.random.default_rng(0)
    crf, emissions = Crf.random(3, rng), rng.normal(0, 1, (2, 4, 3)).astype(np.float32)
    emissions[0, 2] = -np.inf
    tags, scores = decode(emissions, np.zeros((2, 4), int), crf)
    assert tags[0].tolist() == [-1] * 4 and scores[0] == -np.inf
    assert (tags[1] >= 0).all() and np.isfinite(scores[1])
    probs, log_partition = _core.skip_crf_marginals(emissions, np.zeros((2, 4), int), **weights(crf))
    assert (probs[0] == 0).all() and log_partition[0] == -np.inf


def test_great_differences_do_not_underflow():
    """The likely start is forbidden to go on: what remains is e^-2000 of it, and still adds up to 1."""
    crf = Crf(
        np.array([0, -2000], np.float32),
        np.zeros(2, np.float32),
        np.array([[-np.inf, -np.inf], [-900, -901]], np.float32),
        np.eye(2, dtype=np.float32),
    )
    probs, log_partition = _core.skip_crf_marginals(np.zeros((1, 2, 2), np.float32), np.zeros((1, 2), int), **weights(crf))
    np.testing.assert_allclose(probs[0, 0], [0, 1])
    np.testing.assert_allclose(probs[0, 1], [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))], rtol=1e-6)
    assert log_partition[0] == pytest.approx(-2900 + np.log(1 + np.exp(-1)))


@settings(max_examples=150, deadline=None)
@given(dialogues(WHOLE, most_tags=5, most_utterances=9) | dialogues(REAL, most_utterances=9))
def test_the_stream_gives_what_decoding_each_prefix_gives(case):
    emissions, speakers, crf = case
    stream = _core.SkipCrfStream(**weights(crf))
    assert len(stream) == 0 and stream.tags.size == 0 and stream.score == 0
    before = []
    for i, speaker in enumerate(speakers):
        revised = stream.push(emissions[i], speaker)
        tags, score = decode_one(emissions[: i + 1], speakers[: i + 1], crf)
        assert (stream.tags.tolist(), stream.score, len(stream)) == (tags, score, i + 1)
        assert revised == [k for k in range(i) if tags[k] != before[k]]
        probs, _ = _core.skip_crf_marginals(emissions[None, : i + 1], np.array([speakers[: i + 1]]), **weights(crf))
        np.testing.assert_array_equal(stream.probs, probs[0, -1])
        before = tags


@pytest.mark.parametrize("history", [1, 2, 7])
def test_a_short_history_touches_only_what_is_old(history):
    rng = np.random.default_rng(history)
    crf, speakers = Crf.random(4, rng), rng.integers(0, 3, 60)
    emissions = rng.normal(0, 1, (60, 4)).astype(np.float32)
    whole, short = _core.SkipCrfStream(**weights(crf)), _core.SkipCrfStream(**weights(crf), history=history)
    for i in range(60):
        revised = short.push(emissions[i], int(speakers[i]))
        assert revised == [k for k in whole.push(emissions[i], int(speakers[i])) if k > i - history]
        assert short.tags.tolist() == whole.tags[-history:].tolist()
        assert short.score == whole.score and len(short) == i + 1


def test_ten_thousand_utterances():
    rng = np.random.default_rng(1)
    crf, speakers = Crf.random(7, rng), rng.integers(0, 3, (1, 10_000))
    emissions = rng.normal(0, 1, (1, 10_000, 7)).astype(np.float32)
    tags, scores = decode(emissions, speakers, crf)
    assert scores[0] == reference.score(tags, emissions[0], speakers[0], crf)[0]
    want, best = reference.viterbi(emissions[0], speakers[0], crf)
    assert (tags[0].tolist(), scores[0]) == (want, best)


def test_other_threads_run_on_meanwhile():
    rng = np.random.default_rng(2)
    crf, emissions = Crf.random(64, rng), rng.normal(0, 1, (1, 400, 64)).astype(np.float32)
    done = threading.Event()

    def work():
        decode(emissions, np.arange(400)[None] // 2 % 2, crf)
        _core.skip_crf_marginals(emissions, np.arange(400)[None] // 2 % 2, **weights(crf))
        done.set()

    worker = threading.Thread(target=work)
    worker.start()
    turns = 0
    while not done.is_set():
        turns += 1
        time.sleep(0.0005)
    worker.join()
    assert turns > 10


def test_threads_may_share_a_stream():
    crf = Crf.random(9, np.random.default_rng(3))
    stream = _core.SkipCrfStream(**weights(crf), history=50)

    def talk(speaker):
        for i in range(200):
            stream.push(np.full(9, i % 3, np.float32), speaker)
            assert len(stream.tags) <= 50

    threads = [threading.Thread(target=talk, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stream) == 800 and (stream.tags >= 0).all()


GOOD = {
    "emissions": np.zeros((2, 3, 4), np.float32),
    "speakers": np.zeros((2, 3), np.int64),
    "lengths": np.array([3, 2]),
    "start": np.zeros(4, np.float32),
    "end": np.zeros(4, np.float32),
    "self_transitions": np.zeros((4, 4), np.float32),
    "other_transitions": np.zeros((4, 4), np.float32),
}


def with_value(name, value, at):
    array = GOOD[name].copy()
    array[at] = value
    return {name: array}


@pytest.mark.parametrize(
    ("changed", "error", "text"),
    [
        (with_value("emissions", np.nan, (1, 1, 2)), ValueError, "emissions, got nan in dialogue 1, utterance 1, tag 2"),
        (with_value("emissions", np.inf, (0, 2, 0)), ValueError, "emissions, got inf in dialogue 0, utterance 2, tag 0"),
        (with_value("start", np.nan, 3), ValueError, "start, got nan at 3"),
        (with_value("end", np.inf, 0), ValueError, "end, got inf at 0"),
        (with_value("self_transitions", np.nan, (1, 0)), ValueError, "self_transitions, got nan at 4"),
        (with_value("other_transitions", np.inf, (0, 0)), ValueError, "other_transitions, got inf at 0"),
        (with_value("lengths", 4, 0), ValueError, "expected 0 to 3, got 4 for dialogue 0"),
        (with_value("lengths", -1, 1), ValueError, "expected 0 to 3, got -1 for dialogue 1"),
        (with_value("lengths", 2**32 + 1, 1), ValueError, "got 4294967297 for dialogue 1"),
        ({"lengths": np.array([3])}, ValueError, r"lengths: expected shape \(2,\), got \(1\)"),
        ({"lengths": np.array([3.0, 2.0])}, TypeError, "lengths: expected integers, got dtype float64"),
        ({"speakers": np.zeros((2, 4), np.int64)}, ValueError, r"speakers: expected shape \(2, 3\), got \(2, 4\)"),
        ({"speakers": np.zeros((2, 3), bool)}, TypeError, "speakers: expected integers, got dtype bool"),
        ({"emissions": np.zeros((2, 3, 5), np.float32)}, ValueError, r"expected shape \(batch, utterances, 4\), got \(2, 3, 5\)"),
        ({"emissions": np.zeros((3, 4), np.float32)}, ValueError, r"got \(3, 4\)"),
        ({"emissions": np.zeros((2, 3, 4))}, TypeError, "expected dtype float32, got float64"),
        ({"emissions": np.zeros((2, 3, 8), np.float32)[..., ::2]}, ValueError, "C-contiguous"),
        ({"emissions": [[[0.0] * 4] * 3] * 2}, TypeError, "expected a NumPy array"),
        ({"end": np.zeros(3, np.float32)}, ValueError, r"end: expected shape \(4,\), got \(3\)"),
        ({"self_transitions": np.zeros((4, 3), np.float32)}, ValueError, r"self_transitions: expected shape \(4, 4\), got \(4, 3\)"),
        ({"other_transitions": np.zeros(16, np.float32)}, ValueError, r"other_transitions: expected shape \(4, 4\), got \(16\)"),
        ({"start": np.zeros((1, 4), np.float32)}, ValueError, r"start: expected shape \(tags,\)"),
    ],
)
@pytest.mark.parametrize("function", [_core.skip_crf_decode, _core.skip_crf_marginals])
def test_bad_input(function, changed, error, text):
    function(**GOOD)
    with pytest.raises(error, match=text):
        function(**GOOD | changed)


def test_bad_numbers_of_tags():
    for tags, text in [(0, "expected 1 to 256 tags, got 0"), (257, "expected at most 256 tags, got 257")]:
        crf = Crf.random(tags, np.random.default_rng(0))
        with pytest.raises(ValueError, match=text):
            decode(np.zeros((1, 2, tags), np.float32), [[0, 0]], crf)


def test_a_stream_refuses_and_goes_on():
    crf = Crf.random(3, np.random.default_rng(4))
    with pytest.raises(ValueError, match="history: expected at least 1, got 0"):
        _core.SkipCrfStream(**weights(crf), history=0)
    stream, untouched = _core.SkipCrfStream(**weights(crf)), _core.SkipCrfStream(**weights(crf))
    for bad, error, text in [
        (np.array([0, np.nan, 0], np.float32), ValueError, "emissions, got nan at 1"),
        (np.zeros(4, np.float32), ValueError, "expected 3 values as emissions, got 4"),
        (np.zeros((1, 3), np.float32), ValueError, r"expected shape \(tags,\), got \(1, 3\)"),
        (np.zeros(3), TypeError, "expected dtype float32"),
    ]:
        with pytest.raises(error, match=text):
            stream.push(bad, 7)
    for speaker in (0, 1, 0):
        row = np.arange(3, dtype=np.float32)
        assert stream.push(row, speaker) == untouched.push(row, speaker)
    assert (stream.tags.tolist(), stream.score) == (untouched.tags.tolist(), untouched.score)
