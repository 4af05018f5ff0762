"""Weights of a conversation: counted by hand and by the model, written and read, and refused."""

import contextlib
import json
import math

import numpy as np
import pytest
from affectrt.affect import ConversationDecoder, ConversationModel
from hypothesis import given, settings
from hypothesis import strategies as st

AB = ("low", "high")
ARRAYS = ("start", "end", "self_transitions", "other_transitions")


def same(a, b):
    return a.labels == b.labels and a.source == b.source and all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ARRAYS)


def test_default():
    model = ConversationModel.default("ekman", inertia=0.5, contagion=-0.25)
    assert model.source == "default: inertia 0.5, contagion -0.25" and model.taxonomy.name == "ekman"
    np.testing.assert_array_equal(model.self_transitions, 0.5 * np.eye(7))
    np.testing.assert_array_equal(model.other_transitions, -0.25 * np.eye(7))
    assert not model.start.any() and not model.end.any()
    with pytest.raises(ValueError, match="inertia: a finite number was expected, got nan"):
        ConversationModel.default("ekman", inertia=float("nan"))


def test_counts_by_hand():
    """low low | high | low: one pair within the run, one answer, one return that has both."""
    model = ConversationModel.fit([[("a", "low"), ("a", "low"), ("b", "high"), ("a", "low")]], AB, smoothing=1.0)
    at_all = np.array([3 + 1, 1 + 1]) / 6
    own = np.array([[2, 0], [0, 0]])  # a: low-low, and low-low over b's turn
    other = np.array([[0, 1], [1, 0]])
    for name, counts in (("self_transitions", own), ("other_transitions", other)):
        given_before = (counts + 2 * at_all) / (counts.sum(1, keepdims=True) + 2)
        np.testing.assert_allclose(getattr(model, name), np.log(given_before / at_all), rtol=1e-6)
    np.testing.assert_allclose(model.start, np.log(([1, 0] + 2 * at_all) / 3 / at_all), rtol=1e-6)
    assert not model.end.any()
    assert model.source == "counted: 4 utterances, 4 of them labelled, smoothing 1"


def pairs(conversation):
    """Counted weights with almost no smoothing: which pairs were seen at all."""
    model = ConversationModel.fit([conversation], tuple("wxyz"), smoothing=1e-9)
    return tuple(
        {"wxyz"[a] + "wxyz"[b] for a, b in zip(*np.nonzero(matrix > 0.01), strict=True)}
        for matrix in (model.self_transitions, model.other_transitions)
    )


def test_which_pairs_count():
    assert pairs([("a", "w"), ("b", "x"), ("a", "y")]) == ({"wy"}, {"wx", "xy"})
    assert pairs([("a", "w"), ("b", "x"), ("c", "y"), ("a", "z")]) == (set(), {"wx", "xy", "yz"})  # too long ago
    assert pairs([("a", "w"), ("a", "x"), ("b", "y"), ("b", "y"), ("a", "z")]) == ({"wx", "yy", "xz"}, {"xy", "yz"})
    # An unknown label breaks its pairs and no others; the run that it ends is still the run before.
    assert pairs([("a", "w"), ("b", None), ("a", "y")]) == ({"wy"}, set())
    assert pairs([("a", "w"), ("a", None), ("b", "x"), ("a", "y")]) == (set(), {"xy"})
    assert pairs([]) == (set(), set())


def test_nothing_seen_says_nothing():
    for conversations in ([], [[]], [[("a", None)]]):
        model = ConversationModel.fit(conversations, "ekman")
        for name in ARRAYS:
            np.testing.assert_allclose(getattr(model, name), 0, atol=1e-7)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([*AB, None])), max_size=8), max_size=5),
    st.floats(1e-3, 1e3),
)
def test_counted_weights_are_ratios_of_probabilities(conversations, smoothing):
    model = ConversationModel.fit(conversations, AB, smoothing=smoothing)
    labels = [label for conversation in conversations for _, label in conversation if label]
    at_all = np.array([labels.count(name) + smoothing for name in AB]) / (len(labels) + 2 * smoothing)
    for name in ("start", "self_transitions", "other_transitions"):
        weights = getattr(model, name).astype(np.float64)
        np.testing.assert_allclose((np.exp(weights) * at_all).sum(-1), 1, rtol=1e-5)


def test_what_was_counted_helps():
    """Conversations drawn from known transitions, read through a poor classifier: with counted weights more labels are right."""
    rng = np.random.default_rng(7)
    names, stay = tuple("wxyz"), 0.8

    def talk(utterances):
        said, moods = [], {}
        for _ in range(utterances):
            speaker = "ab"[rng.integers(2)]
            if speaker not in moods or rng.uniform() > stay:
                moods[speaker] = int(rng.integers(4))
            said.append((speaker, names[moods[speaker]]))
        return said

    model = ConversationModel.fit([talk(40) for _ in range(50)], names)
    assert np.diag(model.self_transitions).min() > np.abs(model.other_transitions).max()
    decoder, alone, together, total = ConversationDecoder(model), 0, 0, 0
    for truth in [talk(40) for _ in range(20)]:
        probs = [rng.dirichlet(1 + 1.2 * np.eye(4)[names.index(label)]) for _, label in truth]
        read = decoder.decode([(speaker, p) for (speaker, _), p in zip(truth, probs, strict=True)])
        alone += sum(names[int(p.argmax())] == label for p, (_, label) in zip(probs, truth, strict=True))
        together += sum(u.label == label for u, (_, label) in zip(read, truth, strict=True))
        total += len(truth)
    assert together > alone + 0.08 * total


def test_aliases_count_and_unknown_labels_are_named():
    model = ConversationModel.fit([[("a", "happy"), ("a", "Joyful")]], "ekman")
    assert model.self_transitions.argmax() == 3 * 7 + 3
    with pytest.raises(ValueError, match=r"conversation 1, utterance 2: .*'bliss'"):
        ConversationModel.fit([[], [("a", "joy"), ("a", None), ("a", "bliss")]], "ekman")
    with pytest.raises(ValueError, match="conversation 0, utterance 0: one of low, high was expected, got 'joy'"):
        ConversationModel.fit([[("a", "joy")]], AB)
    with pytest.raises(ValueError, match="conversation 0, utterance 0"):
        ConversationModel.fit([[("a", 5)]], "ekman")
    for smoothing in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="smoothing"):
            ConversationModel.fit([], AB, smoothing=smoothing)


NUMBERS = st.floats(width=32, allow_nan=False).filter(lambda x: x < math.inf)


@settings(max_examples=50, deadline=None)
@given(st.lists(NUMBERS, min_size=12, max_size=12), st.text(max_size=9))
def test_written_and_read_back(numbers, source):
    values = np.array(numbers, np.float32)
    model = ConversationModel(AB, values[:2], values[2:4], values[4:8].reshape(2, 2), values[8:].reshape(2, 2), source)
    assert same(ConversationModel.from_json(model.to_json()), model)


def test_files(tmp_path):
    model = ConversationModel.default("ekman")
    model.save(tmp_path / "talk.json")
    assert same(ConversationModel.load(tmp_path / "talk.json"), model)
    model.save(tmp_path / "talk.json")
    assert [path.name for path in tmp_path.iterdir()] == ["talk.json"]
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ValueError, match=r"bad\.json: a conversation model: not the JSON"):
        ConversationModel.load(tmp_path / "bad.json")
    with pytest.raises(FileNotFoundError):
        ConversationModel.load(tmp_path / "none.json")
    with pytest.raises(OSError):
        model.save(tmp_path / "no" / "folder.json")


GOOD = json.loads(ConversationModel.default(AB).to_json())


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"format": "affectrt.fusion"}, "the format 'affectrt.conversation'"),
        ({"version": 2}, "a conversation model: expected version 1, got 2"),
        ({"version": True}, "expected version 1, got True"),
        ({"extra": 1}, "unknown 'extra'"),
        ({"labels": "low"}, "labels: a list was expected, got str"),
        ({"labels": ["low", "low"]}, "names that differ"),
        ({"labels": ["low", 7]}, "names that differ"),
        ({"labels": ["low"]}, "2 to 256 were expected, got 1"),
        ({"source": None}, "source: a str was expected, got NoneType"),
        ({"start": [0]}, r"start: shape \(2,\) was expected, got \(1,\)"),
        ({"end": 0}, "end: a list was expected, got int"),
        ({"end": [[0], [0]]}, "end: numbers and null were expected, got"),
        ({"start": [0, True]}, "numbers and null were expected, got True"),
        ({"start": [0, "0"]}, "numbers and null were expected, got '0'"),
        ({"start": [0, 1e300]}, "finite numbers or -inf were expected"),
        ({"start": [0, 10**400]}, "start: numbers in an array"),
        ({"self_transitions": [0, 0]}, "self_transitions: a list was expected, got int"),
        ({"other_transitions": [[0, 0], [0]]}, "other_transitions: numbers in an array of shape"),
    ],
)
def test_bad_files(changed, match):
    with pytest.raises(ValueError, match=match):
        ConversationModel.from_json(json.dumps(GOOD | changed))


@pytest.mark.parametrize("text", ["", "[]", "7", b"\xff", '{"format": NaN}', "[" * 100_000])
def test_texts_that_are_no_model(text):
    with pytest.raises(ValueError, match="conversation model"):
        ConversationModel.from_json(text)


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3)),
    st.sampled_from([*GOOD]),
)
def test_any_value_in_any_place(value, key):
    """No other error than that one."""
    with contextlib.suppress(ValueError):
        ConversationModel.from_json(json.dumps(GOOD | {key: value}))


def test_every_problem_at_once_and_read_only():
    with pytest.raises(ValueError) as caught:
        ConversationModel(("a", "a"), [0], np.zeros(2), np.full((2, 2), np.nan), "no", 5)
    for word in ("labels", "source", "start", "self_transitions", "other_transitions"):
        assert word in str(caught.value)
    given_start = np.zeros(2)
    model = ConversationModel(AB, given_start, np.zeros(2), np.zeros((2, 2)), np.zeros((2, 2)))
    given_start[0] = 7
    assert model.start[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        model.start[0] = 1
    assert ConversationModel(AB, [0, -np.inf], [0, 0], np.zeros((2, 2)), np.zeros((2, 2))).start[1] == -np.inf
